"""An ablation's grid: every seed a dot, its mean with an interval, its difference from the reference."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reports.figures import style
from reports.frames import Frames
from reports.naming import metric_of
from reports.tables import ablation_table, levels


def ablation(
    frames: Frames,
    ablation: str = "critics_and_loss",
    *,
    data: str,
    metric: str = "psnr",
    region: str = "hole",
    output: str = "composite",
    level: float = 0.95,
) -> Figure:
    """Left the means, right the differences from the reference, which chance blurs less since images are paired.

    The first factor lies along x, the second is the colour; of three or more, all levels lie along x. Dots are seeds,
    bars are intervals that hold together at `level` (Bonferroni) in each panel, a cross at the foot is a diverged
    seed. Raises NoDataError where the study has no such ablation or none of it was run on `data`.
    """
    table = ablation_table(frames, ablation, data, metric=metric, region=region, output=output, level=level)
    factors = [str(name) for name in levels(frames, ablation).columns[1:]]
    if len(factors) > 2:
        table["all factors"] = table[factors].astype(str).agg("\n".join, axis=1)
        factors = ["all factors"]
    along, by = factors[0], (factors[1] if len(factors) == 2 else None)
    places = _levels(table[along].astype(str).tolist())
    hues = _levels(table[by].astype(str).tolist()) if by else [""]
    named = metric_of(metric)
    unit = f" ({named.unit})" if named.unit else ""
    reference = frames.study["reference"]
    panels = 2 if table["difference"].notna().any() else 1

    with style.styled():
        drawn = style.figure(panels * max(3.6, 1.2 + 0.8 * len(places)), 3.3)
        means, *differences = drawn.subplots(1, panels, squeeze=False).ravel()
        for row in table.to_dict("records"):
            hue = hues.index(str(row[by])) if by else 0
            shade = style.LEVELS[hue % len(style.LEVELS)]
            x = places.index(str(row[along])) + 0.24 * (hue - (len(hues) - 1) / 2)
            dots = np.asarray(row["by_seed"], dtype=float)
            means.scatter(np.full(len(dots), x - 0.07), dots, s=16, color=shade, alpha=0.55, linewidths=0)
            _bar(means, x + 0.04, row["mean"], row["low"], row["high"], shade)
            crosses = x + 0.07 * (np.arange(row["diverged"]) - (row["diverged"] - 1) / 2)
            foot = np.full(len(crosses), 0.03)
            means.plot(crosses, foot, marker="x", color=shade, ls="none", transform=means.get_xaxis_transform())
            for axes in differences:
                _bar(axes, x, row["difference"], row["difference_low"], row["difference_high"], shade)
                if row["variant"] == reference:
                    axes.plot(x, 0, marker="D", ms=5, color=shade, mfc="none")
        means.set_title(f"{named.label}, {region}{unit}")
        for axes in differences:
            axes.axhline(0, color=style.MUTED, lw=0.8)
            axes.set_title(f"difference from {reference}{unit}")
        for axes in (means, *differences):
            axes.set_xlabel(along)
            axes.set_xticks(range(len(places)), places)
            axes.set_xlim(-0.6, len(places) - 0.4)
            axes.grid(axis="y")
        drawn.legend(handles=_keys(by, hues), loc="outside lower center", ncols=5, fontsize=8)
    return drawn


def _bar(axes: Axes, x: float, middle: float, low: float, high: float, shade: str) -> None:
    if np.isfinite(low) and np.isfinite(high):
        axes.errorbar(x, middle, [[middle - low], [high - middle]], color=shade, capsize=2.5, lw=1.2)
    axes.plot(x, middle, marker="D", ms=5, color=shade)


def _keys(by: str | None, hues: list[str]) -> list[Line2D]:
    muted: dict[str, Any] = {"color": style.MUTED}
    colours = [style.LEVELS[place % len(style.LEVELS)] for place in range(len(hues))]
    return [
        *(
            Line2D([], [], color=colour, lw=3, label=f"{by} {hue}")
            for colour, hue in zip(colours, hues, strict=True)
            if by
        ),
        Line2D([], [], marker="o", ms=4, ls="none", label="one seed", **muted),
        Line2D([], [], marker="D", ms=5, label="mean and interval", **muted),
        Line2D([], [], marker="x", ms=5, ls="none", label="diverged seed", **muted),
    ]


def _levels(found: list[str]) -> list[str]:
    """Each level once: by number where all are numbers, else by appearance."""
    once = list(dict.fromkeys(found))
    try:
        return sorted(once, key=float)
    except ValueError:
        return once
