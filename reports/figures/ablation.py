"""Figures of ablations: the seeds and means of one, and the differences of all from the reference."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reports.analysis.frames import Frames, NoDataError
from reports.analysis.naming import label, level_label, metric_of, option_label
from reports.analysis.tables import ablation_table, levels
from reports.figures import style
from reports.figures.contrasts import NAMES, Row, draw_forest

ALL = "all factors"
HIGH = 7.0
"""The maximum height of a part's rows, in inches."""


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
    """Left: every seed, and means with intervals. Right: the means joined along the first factor.

    The first factor is on the x axis, the second is the colour. With three or more factors, all combinations are on the
    x axis and nothing is joined. Dots are seeds, bars are simultaneous intervals at ``level`` (Bonferroni), a cross at
    the bottom is a diverged seed. A thin line joins the values of one seed, unless the variant misses a seed. Raises
    NoDataError if the study has no such ablation or none of it was run on ``data``.
    """
    table = ablation_table(frames, ablation, data, metric=metric, region=region, output=output, level=level)
    along, by = _factors(frames, ablation, table)
    places = ordered_levels(table[along].tolist())
    hues = ordered_levels(table[by].tolist()) if by else [""]
    joined = along != ALL and len(places) > 1 and table["mean"].notna().any()

    with style.styled():
        upright = along == ALL and len(places) > 3
        fig = style.figure(style.WIDTH if joined or len(places) > 5 else 4.6, 4.4 if upright else 3.1)
        dots, *lines = fig.subplots(1, 2 if joined else 1, squeeze=False).ravel()
        for row in table.to_dict("records"):
            hue = hues.index(row[by]) if by else 0
            shade = style.LEVELS[hue % len(style.LEVELS)]
            x = places.index(row[along]) + 0.7 / len(hues) * (hue - (len(hues) - 1) / 2)
            own = np.asarray(row["by_seed"], dtype=float)
            dots.scatter(np.full(len(own), x - 0.07), own, s=9, color=shade, linewidths=0)
            _bar(dots, x + 0.04, row["mean"], row["low"], row["high"], shade)
            crosses = x + 0.07 * (np.arange(row["diverged"]) - (row["diverged"] - 1) / 2)
            foot = np.full(len(crosses), 0.03)
            dots.plot(crosses, foot, marker="x", color=shade, ls="none", transform=dots.get_xaxis_transform())
        for axes in lines:
            for hue, level_of in enumerate(hues):
                own_rows = table[table[by] == level_of] if by else table
                _joined(axes, frames, data, own_rows, along, places, style.LEVELS[hue % len(style.LEVELS)], hue)
            axes.set_title("The same means joined; thin: one seed")
        dots.set_title(f"Every seed; means, whose {level:.0%} intervals hold together")
        for axes in (dots, *lines):
            axes.set_ylabel(style.wrapped(style.axis_label(metric, region), 38))
            axes.set_xlabel(style.wrapped(along, 40, 1))
            signs = 34 if upright else max(8, 48 // len(places))
            names = [style.wrapped(place, signs, 2 if upright else 3) for place in places]
            axes.set_xticks(range(len(places)), names, rotation=90 if upright else 0)
            axes.set_xlim(-0.6, len(places) - 0.4)
            axes.grid(axis="y")
        style.legend(fig, _keys(by, hues, table))
    return fig


def ablations(frames: Frames, data: str, part: int = 0, *, level: float = 0.95) -> Figure:
    """All ablations in one forest plot: each cell's difference from the study's reference in PSNR of the hole.

    A heading opens each ablation. Intervals of one ablation hold together at ``level``. The band is the paper's own
    gain over GLCIC. A small stroke is a seed's difference from the same seed of the reference. A plot that is higher
    than a page has ``ablation_parts`` parts. Raises NoDataError if no ablation was scored on ``data``.
    """
    parts = frames.once(("ablations", data, level), lambda: _parts(_forest_rows(frames, data, level)))
    if not parts:
        raise NoDataError(f"No ablation was scored on {data}.")
    return draw_forest(
        parts[part],
        title=f"Differences from {style.wrapped(label(str(frames.study['reference'])), 36, 1)} on {data}; "
        f"{level:.0%} intervals hold together in each ablation",
        xlabel=style.axis_label("psnr", "hole", of="Difference in "),
        digits=metric_of("psnr").digits + 1,
        margin=metric_of("psnr").margin,
    )


def ablation_parts(frames: Frames, data: str, *, level: float = 0.95) -> int:
    """The number of parts of ``ablations``; 0 if nothing can be drawn."""
    return len(frames.once(("ablations", data, level), lambda: _parts(_forest_rows(frames, data, level))))


def _forest_rows(frames: Frames, data: str, level: float) -> list[tuple[str, Row]]:
    """Each cell's row, with the name of its ablation; ablations without a mean are left out."""
    reference = frames.study["reference"]
    digits = metric_of("psnr").digits
    rows = []
    for name in dict.fromkeys(str(each) for each in frames.factors["ablation"]):
        try:
            table = ablation_table(frames, name, data, level=level)
        except NoDataError:
            continue
        if not np.isfinite(table["mean"].astype(float)).any():
            continue
        factors = [str(factor) for factor in levels(frames, name).columns[1:]]
        named = zip(table["variant"], table["by_seed"], strict=True)
        seeds = {variant: _by_seed(frames, data, variant, values) for variant, values in named}
        for row in table.to_dict("records"):
            own = row["variant"] == reference
            beside = reference in seeds and not own
            apart = seeds[row["variant"]] - seeds[reference] if beside else pd.Series(dtype=float)
            mean = f"mean {row['mean']:.{digits}f}" if np.isfinite(row["mean"]) else ""
            known = np.isfinite(row["difference"])
            cell = {factor: level_label(str(row[factor])) for factor in factors}
            rows.append(
                (
                    name,
                    Row(
                        name=style.wrapped(_cell(cell, factors), NAMES, 3),
                        difference=row["difference"],
                        low=row["difference_low"],
                        high=row["difference_high"],
                        n=_n(row, own),
                        seeds=tuple(apart.dropna()),
                        value="the reference" if own else "" if known else mean,
                    ),
                )
            )
    return rows


def _parts(rows: list[tuple[str, Row]]) -> list[list[Row]]:
    """The rows with their headings, in parts of at most ``HIGH``."""
    parts: list[list[Row]] = []
    before = None
    for name, row in rows:
        full = parts and sum(each.height for each in parts[-1]) + row.height > HIGH - Row(name="").height
        if full or not parts:
            parts.append([])
        if name != before or not parts[-1]:
            heading = f"{name.replace('_', ' ')}{', continued' if name == before else ''}"
            parts[-1].append(Row(name=style.wrapped(heading, NAMES, 1), heading=True))
        parts[-1].append(row)
        before = name
    return parts


def _factors(frames: Frames, ablation: str, table: pd.DataFrame) -> tuple[str, str | None]:
    """Returns the column for the x axis and the one for the colour, if any. Changes ``table`` in place.

    The factors' levels become readable text. With three or more factors, a column ``ALL`` is added.
    """
    factors = [str(name) for name in levels(frames, ablation).columns[1:]]
    for factor in factors:
        table[factor] = table[factor].astype(str).map(level_label)
    if len(factors) > 2:
        table[ALL] = [_cell(row, factors) for row in table.to_dict("records")]
        return ALL, None
    return factors[0], (factors[1] if len(factors) == 2 else None)


def _cell(row: Mapping[Any, Any], factors: list[str]) -> str:
    return ", ".join(f"{option_label(factor)} {row[factor]}" for factor in factors)


def _bar(axes: Axes, x: float, middle: float, low: float, high: float, shade: str) -> None:
    if np.isfinite(low) and np.isfinite(high):
        axes.errorbar(x, middle, [[middle - low], [high - middle]], color=shade, capsize=2.5, lw=1.2)
    axes.plot(x, middle, marker="D", ms=5, color=shade)


def _joined(
    axes: Axes, frames: Frames, data: str, own: pd.DataFrame, along: str, places: list[str], shade: str, hue: int
) -> None:
    """Draws the means along the first factor for one level of the second, and a thin line for each seed."""
    means = own.drop_duplicates(along).set_index(along)["mean"].reindex(places).astype(float)
    known = {row[along]: _by_seed(frames, data, row["variant"], row["by_seed"]) for row in own.to_dict("records")}
    seeds = pd.DataFrame(known, dtype=float).reindex(columns=places)
    x = np.arange(len(places))
    for _, values in seeds.iterrows():
        axes.plot(x, values, color=shade, lw=0.5, zorder=1)
    dashes = ("-", "--", ":", "-.")[hue % 4]  # so that overlapping lines both show
    axes.plot(x, means, color=shade, marker="D", ms=5, lw=1.8, ls=dashes, zorder=3)


def _by_seed(frames: Frames, data: str, variant: str, values: tuple[float, ...]) -> pd.Series:
    """``values`` by seed. Empty if a completed run has no score, because it is then unknown which seed is which."""
    runs = frames.runs[(frames.runs["data"] == data) & (frames.runs["variant"] == variant)]
    seeds = sorted(runs.loc[runs["status"] == "completed", "seed"].tolist())
    return pd.Series(dict(zip(seeds, values, strict=True)) if len(seeds) == len(values) else {}, dtype=float)


def _n(row: dict[Any, Any], reference: bool) -> str:
    """The seeds that a row's difference is based on, as text."""
    seeds = f"{row['difference_seeds']} seed{'s' * (row['difference_seeds'] != 1)}"
    alone = reference or not np.isfinite(row["difference"])
    paired = "" if alone else ", paired" if row["paired"] else ", not paired"
    lost = f", {row['diverged']} diverged" if row["diverged"] else ""
    return f"{seeds}{paired}{lost}"


def _hue_keys(by: str | None, hues: list[str]) -> list[Line2D]:
    colours = [style.LEVELS[place % len(style.LEVELS)] for place in range(len(hues))]
    return [
        style.key(style.wrapped(f"{by} {hue}", 40, 1), color=colour, lw=3)
        for colour, hue in zip(colours, hues, strict=True)
        if by
    ]


def _keys(by: str | None, hues: list[str], table: pd.DataFrame) -> list[Line2D]:
    keys = [
        *_hue_keys(by, hues),
        style.key("one seed", marker="o", ms=4, ls="none", color=style.MUTED),
        style.key("mean and interval", marker="D", ms=5, color=style.MUTED),
    ]
    if table["diverged"].any():
        keys.append(style.key("diverged seed", marker="x", ms=5, ls="none", color=style.MUTED))
    return keys


def ordered_levels(levels: list[str]) -> list[str]:
    """The distinct levels, sorted if all are numbers, otherwise in order of appearance."""
    unique = list(dict.fromkeys(levels))
    try:
        return sorted(unique, key=float)
    except ValueError:
        return unique
