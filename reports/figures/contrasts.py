"""Forest plots: one row per difference, with its interval, its value as text, and its n."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from reports.analysis.frames import Frames, NoDataError
from reports.analysis.naming import metric_of, titled
from reports.analysis.tables import contrast_table
from reports.figures import style

_SIGN, _LINE, _ROW = 0.055, 0.13, 0.21
"""Inches: the width of a character at the right, the height of a further line, the height of a row of one line."""
NAMES = 34
"""The maximum length of a line of a row's name, in characters."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of a forest plot.

    Args:
        name: The label, with its line breaks.
        difference: In the metric's unit; NaN if unknown. ``low`` and ``high`` bound its interval.
        n: The text at the right: what the difference is based on.
        look: The colour and marker of the difference.
        published: The paper's difference, or NaN.
        seeds: The differences of single seeds.
        value: The text beside the plot, by default the difference with its interval.
        heading: The row is a heading alone.
    """

    name: str
    difference: float = np.nan
    low: float = np.nan
    high: float = np.nan
    n: str = ""
    look: style.Look = style.Look(style.LEVELS[0], "D", "-")
    published: float = np.nan
    seeds: tuple[float, ...] = ()
    value: str = ""
    heading: bool = False

    @property
    def height(self) -> float:
        """The height of the row in inches."""
        return _ROW + _LINE * max(self.name.count("\n"), style.wrapped(self.n, 26).count("\n"))


def draw_forest(
    rows: Sequence[Row], *, title: str, xlabel: str, digits: int, margin: float | None, keys: Sequence[Line2D] = ()
) -> Figure:
    """Draws a forest plot: names at the left, then differences with intervals, then their values and n as text.

    ``margin`` is half the width of the band around zero, None for none. ``keys`` explain the caller's looks in the
    legend.
    """
    names = [row.name for row in rows]
    values = ["" if row.heading else row.value or _value(row, digits) for row in rows]
    ns = [style.wrapped(row.n, 26) for row in rows]
    heights = np.array([row.height for row in rows])
    tall = float(heights.sum())
    middles = np.cumsum(heights) - heights / 2
    columns = [_SIGN * max(len(line) for line in "\n".join(column).split("\n")) + 0.08 for column in (values, ns)]
    named = _SIGN * max(len(line) for line in "\n".join(names).split("\n"))

    with style.styled():
        fig = style.figure(style.WIDTH, tall + 1.15)
        fig.get_layout_engine().set(wspace=0.01)  # type: ignore[union-attr, call-arg]
        widths = [max(style.WIDTH - 0.2 - named - sum(columns), 1.4), *columns]
        plot, *beside = fig.subplots(1, 3, sharey=True, width_ratios=widths)
        if margin is not None:
            plot.axvspan(-margin, margin, facecolor=(style.MUTED, 0.2), edgecolor=style.MUTED, lw=0.5)
        plot.axvline(0, color=style.INK, lw=0.8)
        for y, row in zip(middles, rows, strict=True):
            if row.seeds:
                dots = {"s": 7, "color": style.MUTED, "marker": "|", "lw": 0.8, "zorder": 1}
                plot.scatter(row.seeds, [y + 0.055] * len(row.seeds), **dots)
            if np.isfinite(row.low):
                plot.errorbar(
                    row.difference, y, xerr=[[row.difference - row.low], [row.high - row.difference]],
                    color=row.look.colour, capsize=2, lw=1.1,
                )  # fmt: skip
            if np.isfinite(row.difference):
                plot.plot(row.difference, y, marker=row.look.marker, ms=4, color=row.look.colour, mew=0)
            if np.isfinite(row.published):
                plot.plot(row.published, y, marker="o", ms=6.5, mfc="none", mec=style.INK, mew=1.0, zorder=4)
        plot.set_ylim(tall, 0)
        plot.set_yticks(middles, names)
        for tick, row in zip(plot.get_yticklabels(), rows, strict=True):
            tick.set_fontweight("bold" if row.heading else "normal")
        plot.tick_params(axis="y", left=False)
        plot.grid(axis="x")
        plot.spines["left"].set_visible(False)
        plot.set_xlabel(style.wrapped(xlabel, 60))
        plot.xaxis.set_major_locator(MaxNLocator(5))
        plot.margins(x=0.06)
        for axes, heading, column in zip(beside, ("difference [interval]", "n"), (values, ns), strict=True):
            for y, words in zip(middles, column, strict=True):
                if words:
                    axes.text(0, y, words, fontsize=style.SMALLEST, va="center")
            axes.set_title(heading, fontsize=style.SMALLEST)
            axes.set_xlim(0, 1)
            axes.tick_params(left=False, bottom=False, labelleft=False, labelbottom=False)
            axes.spines[:].set_visible(False)
        style.title(fig, title)
        style.legend(fig, [*keys, *_marks(rows, margin)])
    return fig


def _value(row: Row, digits: int) -> str:
    if not np.isfinite(row.difference):
        return "no result"
    interval = f"[{row.low:+.{digits}f}, {row.high:+.{digits}f}]" if np.isfinite(row.low) else "(no interval)"
    return f"{row.difference:+.{digits}f} {interval}".replace("-", "−")


def _marks(rows: Sequence[Row], margin: float | None) -> list[Line2D | Patch]:
    """Legend entries for the marks that occur."""
    keys: list[Line2D | Patch] = []
    bounded = any(np.isfinite(row.low) for row in rows)
    if bounded:
        keys.append(style.key("measured, interval", marker="D", ms=4, mew=0, color=style.MUTED, lw=1.1))
    elif any(np.isfinite(row.difference) for row in rows):
        keys.append(style.key("measured", marker="D", ms=4, mew=0, color=style.MUTED, ls="none"))
    if any(row.seeds for row in rows):
        keys.append(style.key("one seed", marker="|", ms=4, ls="none", color=style.MUTED))
    if any(np.isfinite(row.published) for row in rows):
        keys.append(style.key("published", marker="o", ms=6.5, mfc="none", mec=style.INK, mew=1.0, ls="none"))
    if margin is not None:
        words = f"±{margin:g}, the paper's gain over GLCIC"
        keys.append(Patch(facecolor=(style.MUTED, 0.2), edgecolor=style.MUTED, lw=0.5, label=words))
    return keys


def forest_of_contrasts(frames: Frames, data: str, *, level: float = 0.95) -> Figure:
    """The contrasts of ``contrast_table`` in PSNR of the hole, one row each.

    A row has the look of its first method; a hollow ring is the published difference. ``level`` is the confidence of
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
            look=style.look(frames, row["a"]),
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
    )


def _against(a: str, b: str) -> str:
    """Both names in one line if they fit, otherwise one below the other."""
    together = f"{a} − {b}"
    return together if len(together) <= NAMES else f"{style.wrapped(a, NAMES)}\n− {style.wrapped(b, NAMES)}"


def _n(ours: int, theirs: int, paired: bool, images: int, diverged: int) -> str:
    seeds = f"{ours} paired seeds" if paired else f"{ours} and {theirs} seeds"
    lost = f", {diverged} diverged" if diverged else ""
    return f"{seeds}{lost}, {images:,} images"
