"""The specification curve: an effect under each set of readings of the paper, and below it the readings themselves."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reports.analysis.frames import Frames
from reports.analysis.multiverse import multiverses, published_difference, readings, specification_table
from reports.analysis.naming import label, level_label
from reports.figures import style

APART, HOLDS, OTHER = style.LEVELS[0], style.MUTED, style.LEVELS[1]
ROW, GAP = 0.17, 0.45
"""The height of a level's row in inches, and the space between two readings in rows."""
BAND = 20.0
"""The maximum half-width of the band around the study's own settings, in points."""
LONGEST = 34
"""The maximum length of a label, in characters."""


def specification(
    frames: Frames,
    multiverse: str | None = None,
    *,
    data: str,
    contrast: tuple[str, str] | None = None,
    metric: str = "psnr",
    region: str = "hole",
    output: str = "composite",
    level: float = 0.95,
) -> Figure:
    """The contrast in each universe, sorted, with its interval; dots below show the level of every reading.

    The study's own settings are a diamond in a band; the published difference, if any, is a thin line; a universe
    without a result is a cross at the bottom. ``multiverse`` and ``contrast`` default to the study's first. Raises
    NoDataError as ``specification_table`` does.
    """
    multiverse = multiverse or next(iter(multiverses(frames)), "of the study")
    table = specification_table(
        frames, multiverse, data, contrast=contrast, metric=metric, region=region, output=output, level=level
    )
    a, b = contrast or multiverses(frames)[multiverse][0]
    published = published_difference(frames, data, a, b, metric)
    rows = _rows(table)
    height = ROW * (rows["y"].max() + 1 if len(rows) else 1)
    width = min(style.WIDTH, max(4.6, 2.2 + 0.3 * len(table)))
    step = (width - 2.1) * 72 / len(table)  # points from one universe to the next

    with style.styled():
        fig = style.figure(width, 2.5 + height + 0.5)
        fig.get_layout_engine().set(hspace=0.02, w_pad=0.15)  # type: ignore[union-attr, call-arg]
        above, below = fig.subplots(2, 1, sharex=True, height_ratios=[2.4, height])
        half = min(0.5, BAND / step)
        for place in np.flatnonzero(table["usual"]):
            for axes in (above, below):
                axes.axvspan(place - half, place + half, color=style.MUTED, alpha=0.18, lw=0)
        _effects(above, table, size=min(5.0, max(0.75 * step, 2.2)), line=min(1.3, 0.4 * step))
        above.axhline(0, color=style.INK, lw=0.8)
        if np.isfinite(published):
            above.axhline(published, color=style.LEVELS[2], lw=0.9, ls="--")
        of = style.axis_label(metric, region, of="Difference in ")
        title = f"{label(a)} − {label(b)}, {output}, on {data}\n{of}"
        style.title(fig, title)
        above.grid(axis="y")
        above.tick_params(bottom=False)
        _grid(below, table, rows, size=min(4.5, max(0.75 * step, 1.5)))
        below.set_xlim(-0.7, len(table) - 0.3)
        below.set_xlabel(f"{len(table)} universes, in the order of the difference")
        fig.legend(handles=_keys(table, rows, published), loc="outside lower center", ncols=3)
    return fig


def _rows(table: pd.DataFrame) -> pd.DataFrame:
    """One row per level, from the top down: y, reading, level, usual (the study's own level), text (its label)."""
    rows = []
    y = 0.0
    first = table.sort_values("universe")
    settled = first[first["usual"]]
    for reading in readings(table):
        own = settled[reading].tolist()
        for place, level in enumerate(dict.fromkeys([*own, *first[reading]])):
            name = f"{reading}:  {level_label(level)}" if place == 0 else level_label(level)
            text = name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
            rows.append({"y": y, "reading": reading, "level": level, "usual": level in own, "text": text})
            y += 1
        y += GAP
    return pd.DataFrame(rows, columns=["y", "reading", "level", "usual", "text"])


def _effects(axes: Axes, table: pd.DataFrame, *, size: float, line: float) -> None:
    for place, row in enumerate(table.to_dict("records")):
        shade = APART if row["beyond_zero"] else HOLDS
        if not np.isfinite(row["difference"]):
            axes.plot(place, 0.03, marker="x", ms=size, color=HOLDS, transform=axes.get_xaxis_transform())
            continue
        if np.isfinite(row["low"]):
            axes.plot([place, place], [row["low"], row["high"]], color=shade, lw=line, solid_capstyle="butt")
        look: dict[str, Any] = {"marker": "o", "ms": size, "mew": 0.0, "color": shade, "zorder": 3}
        if row["usual"]:
            look |= {"marker": "D", "ms": max(size, 4.0), "mec": style.INK, "mew": 0.9}
        if not np.isfinite(row["low"]):
            look |= {"mfc": "none", "mew": 0.9}
        axes.plot(place, row["difference"], **look)


def _grid(axes: Axes, table: pd.DataFrame, rows: pd.DataFrame, *, size: float) -> None:
    for row in rows.to_dict("records"):
        places = np.flatnonzero(table[row["reading"]] == row["level"])
        shade = style.MUTED if row["usual"] else OTHER
        axes.plot(places, np.full(len(places), row["y"]), marker="o", ms=size, mew=0, ls="none", color=shade)
    axes.hlines(rows["y"], -0.7, len(table) - 0.3, color=style.MUTED, lw=0.4, alpha=0.35, zorder=0)
    axes.set_yticks(rows["y"], rows["text"], fontsize=style.SMALLEST)
    for tick, usual in zip(axes.get_yticklabels(), rows["usual"], strict=True):
        tick.set_fontstyle("normal" if usual else "italic")
    axes.set_ylim((rows["y"].max() if len(rows) else 0) + 0.7, -0.7)
    axes.set_xticks([])
    axes.tick_params(left=False)
    axes.spines[:].set_visible(False)


def _keys(table: pd.DataFrame, rows: pd.DataFrame, published: float) -> list[Line2D]:
    """Legend entries for the marks that occur."""
    known, bounded = table["difference"].notna(), table["low"].notna()
    effect = {"marker": "o", "ms": 5, "mew": 0, "lw": 1.3}
    dot = {"marker": "o", "ms": 4.5, "mew": 0, "ls": "none"}
    own = {"marker": "D", "ms": 5, "mfc": "none", "mec": style.INK, "mew": 0.9, "ls": "none"}
    keys = [
        (bounded & table["beyond_zero"], "the interval excludes zero", {"color": APART, **effect}),
        (bounded & ~table["beyond_zero"], "the interval includes zero", {"color": HOLDS, **effect}),
        (known & ~bounded, "no interval", {"color": HOLDS, "marker": "o", "ms": 5, "mfc": "none", "ls": "none"}),
        (known & table["usual"], "the study's own settings", own),
        (pd.Series(np.isfinite(published)), "published", {"color": style.LEVELS[2], "lw": 0.9, "ls": "--"}),
        (~known, "no result", {"color": HOLDS, "marker": "x", "ms": 5, "ls": "none"}),
        (rows["usual"].astype(bool), "the study's own level", {"color": style.MUTED, **dot}),
        (~rows["usual"].astype(bool), "another level", {"color": OTHER, **dot}),
    ]
    return [style.key(text, **look) for occurs, text, look in keys if occurs.any()]
