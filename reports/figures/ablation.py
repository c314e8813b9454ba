"""An ablation's grid: every seed a dot, its mean with an interval."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reports.figures import style
from reports.frames import Frames
from reports.naming import metric_of
from reports.tables import ablation_table


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
    """The first factor along x, the second by colour; of three or more, the variants' levels along x.

    Dots are seeds, the bar is the interval that holds with all the others at `level` (Bonferroni), a
    cross at the foot is a diverged seed. Raises NoDataError where the study has no such ablation or none
    of it was run on `data`.
    """
    table = ablation_table(frames, ablation, data, metric=metric, region=region, output=output, level=level)
    factors = [column for column in table.columns[1 : table.columns.get_loc("mean")]]
    if len(factors) > 2:
        table["all factors"] = table[factors].astype(str).agg("\n".join, axis=1)
        factors = ["all factors"]
    along, by = factors[0], (factors[1] if len(factors) == 2 else None)
    places = _levels(table[along].astype(str).tolist())
    hues = _levels(table[by].astype(str).tolist()) if by else [""]

    with style.styled():
        drawn = style.figure(max(4.2, 1.5 + 1.3 * len(places)), 3.4)
        axes = drawn.subplots()
        foot = axes.get_xaxis_transform()
        for row in table.to_dict("records"):
            hue = hues.index(str(row[by])) if by else 0
            shade = style.LEVELS[hue % len(style.LEVELS)]
            x = places.index(str(row[along])) + 0.24 * (hue - (len(hues) - 1) / 2)
            dots = np.asarray(row["by_seed"], dtype=float)
            axes.scatter(x - 0.05 + np.zeros_like(dots), dots, s=16, color=shade, alpha=0.55, linewidths=0)
            if np.isfinite(row["low"]):
                error = [[row["mean"] - row["low"]], [row["high"] - row["mean"]]]
                axes.errorbar(x + 0.04, row["mean"], error, color=shade, capsize=2.5, lw=1.2)
            axes.plot(x + 0.04, row["mean"], marker="D", ms=5, color=shade, ls="none")
            crosses = x + 0.07 * (np.arange(row["diverged"]) - (row["diverged"] - 1) / 2)
            axes.plot(crosses, np.full(len(crosses), 0.03), marker="x", ms=5, color=shade, ls="none", transform=foot)
            if row["variant"] == frames.study["reference"]:
                axes.annotate("proposed", (x, 1.0), xycoords=foot, ha="center", va="bottom", fontsize=8)

        unit = metric_of(metric).unit
        axes.set_ylabel(f"{metric_of(metric).label}, {region}" + (f" ({unit})" if unit else ""))
        axes.set_xlabel(along)
        axes.set_xticks(range(len(places)), places)
        axes.set_xlim(-0.6, len(places) - 0.4)
        axes.grid(axis="y")
        keys = [
            Line2D([], [], color=style.LEVELS[i % len(style.LEVELS)], lw=3, label=f"{by} {h}")
            for i, h in enumerate(hues)
            if by
        ]
        keys += [
            Line2D([], [], color=style.MUTED, marker="o", ms=4, ls="none", label="one seed"),
            Line2D([], [], color=style.MUTED, marker="D", ms=5, label="mean and interval"),
            Line2D([], [], color=style.MUTED, marker="x", ms=5, ls="none", label="diverged seed"),
        ]
        drawn.legend(handles=keys, loc="outside lower center", ncols=min(len(keys), 5), fontsize=8)
    return drawn


def _levels(found: list[str]) -> list[str]:
    """Each level once: by number where all are numbers, else by appearance."""
    once = list(dict.fromkeys(found))
    try:
        return sorted(once, key=float)
    except ValueError:
        return once
