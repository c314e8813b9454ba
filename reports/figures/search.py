"""Figures of a search: the trials in order, each option against the score, and each option's importance."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, PercentFormatter

from reports.analysis.frames import Frames, NoDataError
from reports.analysis.tables import options, trials_table
from reports.figures import style

COLUMNS = 3
PSNR = "Validation PSNR of the hole (dB) ↑"
PRUNED, DIVERGED, BEST = style.LEVELS[3], style.LEVELS[5], style.LEVELS[2]
OURS = style.LEVELS[0]


def history(frames: Frames, variant: str) -> Figure:
    """The trials of a search in order, with the best so far as a line and the study's own setting marked.

    Diverged trials, which have no score, are at the bottom. Raises NoDataError if nothing was scored.
    """
    table = _scored(frames, variant).sort_values("number")
    with style.styled():
        fig = style.figure(style.WIDTH, 2.4)
        axes = fig.add_subplot()
        done = table[table["state"] == "completed"]
        best = table["value"].where(table["state"] == "completed").cummax().ffill()
        axes.step(table["number"], best, where="post", color=BEST, lw=1.4, zorder=2)
        _dots(axes, table, "number")
        usual = done[done["usual"]]
        if len(usual):
            axes.axhline(usual["value"].iloc[0], color=style.MUTED, lw=0.8, ls="--", zorder=1)
        axes.set_xlabel("trial")
        axes.set_ylabel(PSNR)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.margins(x=0.02)
        axes.grid()
        line = [style.key("best so far", color=BEST, lw=1.4)] if len(done) else []
        style.legend(fig, [*_keys(table), *line])
    return fig


def slices(frames: Frames, variant: str) -> Figure:
    """One panel per searched option: its value in each trial against the trial's score.

    Raises NoDataError if nothing was scored.
    """
    table = _scored(frames, variant)
    keys = [key for key in options(frames, variant) if key in table]
    space = {entry["key"]: entry for entry in _facts(frames, variant).get("space") or []}
    with style.styled():
        rows = -(-len(keys) // COLUMNS)
        fig = style.figure(style.WIDTH, 1.9 * rows + 0.5)
        first: Axes | None = None
        for place, key in enumerate(keys):
            axes = fig.add_subplot(rows, min(COLUMNS, len(keys)), place + 1, sharey=first)
            first = first or axes
            here = table.dropna(subset=key)
            within = space.get(key) or {}
            if within.get("choices") is not None or not pd.api.types.is_numeric_dtype(here[key]):
                levels = [str(choice) for choice in within.get("choices") or here[key].unique()]
                here = here.assign(**{key: [levels.index(str(value)) for value in here[key]]})
                axes.set_xticks(range(len(levels)), [style.wrapped(level, 12) for level in levels])
                axes.set_xlim(-0.5, len(levels) - 0.5)
            elif within.get("log"):
                axes.set_xscale("log")
                axes.xaxis.set_major_locator(LogLocator(numticks=4))
                axes.xaxis.set_minor_locator(NullLocator())
                axes.xaxis.set_major_formatter("{x:g}")  # powers of ten would need mathtext
            else:
                axes.xaxis.set_major_locator(MaxNLocator(4, integer=bool((here[key] % 1 == 0).all())))
            if within.get("choices") is None and within.get("log"):
                axes.set_xlim(within["low"] / 1.5, within["high"] * 1.5)
            _dots(axes, here.assign(**{key: here[key].astype(float)}), key)
            axes.set_title(style.wrapped(key, 26))
            axes.grid()
            if place % COLUMNS:
                axes.tick_params(labelleft=False)
            else:
                axes.set_ylabel(style.wrapped(PSNR, 22))
        style.legend(fig, _keys(table))
    return fig


def importances(frames: Frames, variant: str) -> Figure:
    """One bar per option: its importance, 0 to 1. Raises NoDataError if the importances are not known."""
    importance = _facts(frames, variant).get("importance") or {}
    if not importance:
        raise NoDataError("What mattered most is not known: too few trials were completed, or all scored alike.")
    ranked = sorted(importance.items(), key=lambda entry: entry[1])
    with style.styled():
        fig = style.figure(style.WIDTH * 0.7, 0.28 * len(ranked) + 0.7)
        axes = fig.add_subplot()
        axes.barh([style.wrapped(key, 30) for key, _ in ranked], [share for _, share in ranked], color=OURS, height=0.6)
        for place, (_, share) in enumerate(ranked):
            axes.text(share + 0.01, place, f"{share:.0%}", va="center")
        axes.set_xlim(0, 1.1)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
        axes.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
        axes.set_xlabel("share in what sets the best trials apart")
    return fig


def _facts(frames: Frames, variant: str) -> Mapping[str, Any]:
    facts: Mapping[str, Any] = (frames.study["searches"] or {}).get(variant) or {}
    return facts


def _scored(frames: Frames, variant: str) -> pd.DataFrame:
    """The trials that ended; diverged ones get a value below all others. Raises NoDataError if none was scored."""
    table = trials_table(frames, variant)
    table = table[table["state"].isin(["completed", "pruned", "diverged"])]
    values = table["value"].to_numpy(dtype=float)
    if not np.isfinite(values).any():
        raise NoDataError("No trial was scored.")
    low, high = np.nanmin(values), np.nanmax(values)
    foot = low - 0.08 * (high - low or 1.0)
    return table.assign(value=np.where(np.isfinite(values), values, foot))


def _dots(axes: Axes, table: pd.DataFrame, column: str) -> None:
    """Draws trials: dots (completed), rings (pruned), crosses (diverged), a diamond (own setting), a star (best)."""
    looks = {
        "completed": {"color": OURS, "s": 22},
        "pruned": {"facecolors": "none", "edgecolors": PRUNED, "s": 22},
        "diverged": {"color": DIVERGED, "marker": "x", "s": 26},
    }
    special = table["usual"] | table["best"]
    for state, look in looks.items():
        own = table[(table["state"] == state) & ~(special & (table["state"] == "completed"))]
        axes.scatter(own[column], own["value"], lw=1.1, zorder=3, **look)  # type: ignore[arg-type]
    for kind, marker, size, shade in (("best", "*", 130, BEST), ("usual", "D", 34, style.INK)):
        own = table[table[kind] & (table["state"] == "completed")]
        axes.scatter(own[column], own["value"], marker=marker, s=size, color=shade, zorder=4, lw=0)


def _keys(table: pd.DataFrame) -> list[Line2D]:
    """Legend entries for the marks that occur."""
    states = set(table["state"])
    usual = (table["usual"] & (table["state"] == "completed")).any()
    marks = [
        ("completed" in states, "completed", {"marker": "o", "color": OURS, "ms": 5}),
        (usual, "the study's own setting", {"marker": "D", "color": style.INK, "ms": 5}),
        (table["best"].any(), "the best", {"marker": "*", "color": BEST, "ms": 10}),
        ("pruned" in states, "pruned, when it was", {"marker": "o", "color": PRUNED, "ms": 5, "mfc": "none"}),
        ("diverged" in states, "diverged, no score", {"marker": "x", "color": DIVERGED, "ms": 6}),
    ]
    return [style.key(text, ls="none", **look) for occurs, text, look in marks if occurs]
