"""Forest plots: one row per difference, with its interval, its value as text, and its n."""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from reports.analysis.frames import Frames, NoDataError
from reports.analysis.naming import metric_of, titled
from reports.analysis.tables import contrast_table
from reports.figures import style

_SIGN, _LINE, _ROW = 0.066, 0.16, 0.3
"""Inches: the width of a character at the right, the height of a further line, the height of a row of one line."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of a forest plot.

    Args:
        name: The label, with its line breaks.
        difference: In the metric's unit; NaN if unknown. ``low`` and ``high`` bound its interval.
        n: The text at the right: what the difference is based on.
        published: The paper's difference, or NaN.
        zero: The row is the reference itself.
    """

    name: str
    difference: float
    low: float
    high: float
    n: str
    colour: str
    published: float = np.nan
    zero: bool = False


def draw_forest(
    rows: list[Row], *, title: str, xlabel: str, digits: int, margin: float | None, keys: list[Line2D]
) -> Figure:
    """Draws a forest plot: names at the left, then differences with intervals, then their values and n as text.

    ``margin`` is half the width of the band around zero, None for none. ``keys`` explain the caller's colours in the
    legend.
    """
    names = [row.name for row in rows]
    values = [_value(row, digits) for row in rows]
    ns = [style.wrapped(row.n, 30) for row in rows]
    heights = np.array([_ROW + _LINE * max(name.count("\n"), n.count("\n")) for name, n in zip(names, ns, strict=True)])
    tall = float(heights.sum())
    middles = np.cumsum(heights) - heights / 2
    columns = [_SIGN * max(len(line) for line in "\n".join(column).split("\n")) + 0.1 for column in (values, ns)]
    named = _SIGN * max(len(line) for line in "\n".join(names).split("\n"))

    with style.styled():
        fig = style.figure(style.WIDTH, tall + 1.55)
        fig.get_layout_engine().set(wspace=0.02)  # type: ignore[union-attr, call-arg]
        widths = [max(style.WIDTH - 0.2 - named - sum(columns), 2.0), *columns]
        plot, *beside = fig.subplots(1, 3, sharey=True, width_ratios=widths)
        if margin is not None:
            plot.axvspan(-margin, margin, color=style.MUTED, alpha=0.25, lw=0)
        plot.axvline(0, color=style.INK, lw=0.8)
        for y, row in zip(middles, rows, strict=True):
            if np.isfinite(row.low):
                plot.errorbar(
                    row.difference, y, xerr=[[row.difference - row.low], [row.high - row.difference]],
                    color=row.colour, capsize=2.5, lw=1.3,
                )  # fmt: skip
            if np.isfinite(row.difference):
                plot.plot(row.difference, y, marker="D", ms=5, color=row.colour, mew=0)
            if row.zero:
                plot.plot(0, y, marker="s", ms=6, mfc="none", mec=row.colour, mew=1.2)
            if np.isfinite(row.published):
                plot.plot(row.published, y, marker="o", ms=7.5, mfc="none", mec=style.INK, mew=1.1, zorder=4)
        plot.set_ylim(tall, 0)
        plot.set_yticks(middles, names, fontsize=8)
        plot.tick_params(axis="y", left=False)
        plot.grid(axis="x")
        plot.spines["left"].set_visible(False)
        plot.set_xlabel(xlabel)
        plot.margins(x=0.06)
        for axes, heading, column in zip(beside, ("difference [interval]", "n"), (values, ns), strict=True):
            for y, words in zip(middles, column, strict=True):
                axes.text(0, y, words, fontsize=8, va="center")
            axes.set_title(heading, fontsize=8)
            axes.set_xlim(0, 1)
            axes.tick_params(left=False, bottom=False, labelleft=False, labelbottom=False)
            axes.spines[:].set_visible(False)
        style.title(fig, title)
        style.legend(fig, [*keys, *_marks(rows, margin)])
    return fig


def _value(row: Row, digits: int) -> str:
    if row.zero:
        return "the reference"
    if not np.isfinite(row.difference):
        return "no result"
    interval = f"[{row.low:+.{digits}f}, {row.high:+.{digits}f}]" if np.isfinite(row.low) else "(no interval)"
    return f"{row.difference:+.{digits}f} {interval}".replace("-", "−")


def _marks(rows: list[Row], margin: float | None) -> list[Line2D | Patch]:
    """Legend entries for the marks that occur."""
    keys: list[Line2D | Patch] = []
    if any(np.isfinite(row.low) for row in rows):
        keys.append(style.key("measured, interval", marker="D", ms=5, mew=0, lw=1.3, color=style.MUTED))
    if any(np.isfinite(row.difference) and not np.isfinite(row.low) for row in rows):
        keys.append(style.key("measured", marker="D", ms=5, mew=0, ls="none", color=style.MUTED))
    if any(row.zero for row in rows):
        keys.append(style.key("the reference", marker="s", ms=6, mfc="none", mec=style.MUTED, mew=1.2, ls="none"))
    if any(np.isfinite(row.published) for row in rows):
        keys.append(
            style.key("published difference", marker="o", ms=7.5, mfc="none", mec=style.INK, mew=1.1, ls="none")
        )
    if margin is not None:
        keys.append(Patch(color=style.MUTED, alpha=0.25, lw=0, label=f"±{margin:g}, the paper's gain over GLCIC"))
    return keys


def forest_of_contrasts(frames: Frames, data: str, *, level: float = 0.95) -> Figure:
    """The contrasts of ``contrast_table`` in PSNR of the hole, one row each.

    A row has the colour of its first method; a hollow ring is the published difference. ``level`` is the confidence of
    each interval. Raises NoDataError as ``contrast_table`` does, and if no contrast was measured.
    """
    table = contrast_table(frames, data, of=(("psnr", "hole"),), level=level)
    if not np.isfinite(table["difference"]).any():
        raise NoDataError(f"No two variants that the paper contrasts were scored on {data}.")
    rows = [
        Row(
            name=_against(titled(frames, row["a"]), titled(frames, row["b"])),
            difference=row["difference"],
            low=row["low"],
            high=row["high"],
            n=_n(row["seeds_a"], row["seeds_b"], row["paired"], row["images"], row["diverged_a"] + row["diverged_b"]),
            colour=style.colour(frames, row["a"]),
            published=row["published"],
        )
        for row in table.to_dict("records")
    ]
    named = metric_of("psnr")
    return draw_forest(
        rows,
        title=f"Is the first better than the second? Composites of {data}, {level:.0%} intervals",
        xlabel=style.axis_label("psnr", "hole", of="Difference in "),
        digits=named.digits + 1,
        margin=named.margin,
        keys=[],
    )


def _against(a: str, b: str) -> str:
    """Both names in one line if they fit, otherwise one below the other."""
    together = f"{a} − {b}"
    return together if len(together) <= 34 else f"{style.wrapped(a)}\n− {style.wrapped(b)}"


def _n(ours: int, theirs: int, paired: bool, images: int, diverged: int) -> str:
    seeds = f"{ours} paired seeds" if paired else f"{ours} and {theirs} seeds"
    lost = f", {diverged} diverged" if diverged else ""
    return f"{seeds}{lost}, {images:,} images"
