"""Forests: a row a difference, its interval beside zero, in words what it comes to and what it rests on."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from reports.analysis.frames import Frames, NoDataError
from reports.analysis.naming import metric_of, titled
from reports.analysis.published import published
from reports.analysis.tables import contrast_table
from reports.figures import style

WIDTH = 9.2
"""The most that a figure is wide, in inches."""
REGIONS = {"hole": " of the hole", "whole": " of the whole image", "boundary": " at the hole's boundary"}
_SIGN, _LINE, _ROW = 0.066, 0.16, 0.3
"""Inches: a sign of the words at the right, a line of a name, a row of one line."""


def axis_label(metric: str, region: str = "", *, of: str = "") -> str:
    """A metric with its unit and direction: "PSNR of the hole (dB) ↑ more is better".

    Sharpness is best at the truth's, so it says that in place of a direction; a difference (`of` says which:
    "Difference in ") has its sign's direction in any case. Raises ValueError where the metric is unknown.
    """
    named = metric_of(metric)
    name = named.label if named.label.isupper() or not of else named.label[:1].lower() + named.label[1:]
    unit = f" ({named.unit})" if named.unit else ""
    if metric == "sharpness":
        direction = "↑ more is sharper" if of else "(1 = the truth's)"
    else:
        direction = "↑ more is better" if named.better > 0 else "↓ less is better"
    return f"{of}{name}{REGIONS.get(region, f' of {region}' if region else '')}{unit} {direction}"


def wrapped(text: str, width: int = 34, lines: int = 2) -> str:
    """A name in at most so many lines of at most so many signs, broken after spaces and marks; "…" ends what is cut."""
    pieces = re.findall(r"[^\s,:;=/_−-]*[\s,:;=/_−-]?", text)
    found = [""]
    for piece in (part[start : start + width] for part in pieces for start in range(0, len(part), width)):
        if found[-1] and len((found[-1] + piece).rstrip()) > width:
            found.append("")
        found[-1] += piece
    if len(found) > lines:
        found = [*found[: lines - 1], "".join(found[lines - 1 :])[: width - 1] + "…"]
    return "\n".join(line.strip() for line in found)


def margin_of(metric: str) -> float:
    """The paper's own gain over GLCIC on CelebA, in the metric's unit; NaN where it prints none."""
    table = published()
    own = table[(table["data"] == "CelebA") & (table["metric"] == metric)].set_index("variant")["value"]
    return round(float(own.get("proposed", np.nan) - own.get("glcic", np.nan)), 9)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of a forest: a difference in the metric's unit, NaN where there is none, and what it rests on.

    `name`: in lines, as it is shown. `n`: in words, at the right. `published`: the paper's difference, or NaN.
    `zero`: it is the reference itself.
    """

    name: str
    difference: float
    low: float
    high: float
    n: str
    colour: str
    published: float = np.nan
    zero: bool = False


def draw_forest(rows: list[Row], *, title: str, xlabel: str, digits: int, margin: float, keys: list[Line2D]) -> Figure:
    """Left the names, then the differences with intervals, right each in words and its n.

    `margin`: half the width of the band about zero, NaN for none. `keys`: what the caller's colours mean, for the
    legend beside the marks that occur.
    """
    names = [row.name for row in rows]
    told = [_in_words(row, digits) for row in rows]
    ns = [wrapped(row.n, 30) for row in rows]
    heights = np.array([_ROW + _LINE * max(name.count("\n"), n.count("\n")) for name, n in zip(names, ns, strict=True)])
    tall = float(heights.sum())
    middles = np.cumsum(heights) - heights / 2
    columns = [_SIGN * max(len(line) for line in "\n".join(column).split("\n")) + 0.1 for column in (told, ns)]
    named = _SIGN * max(len(line) for line in "\n".join(names).split("\n"))

    with style.styled():
        drawn = style.figure(WIDTH, tall + 1.55)
        drawn.get_layout_engine().set(wspace=0.02)  # type: ignore[union-attr, call-arg]
        widths = [max(WIDTH - 0.2 - named - sum(columns), 2.0), *columns]
        plot, *beside = drawn.subplots(1, 3, sharey=True, width_ratios=widths)
        if np.isfinite(margin):
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
        for axes, heading, column in zip(beside, ("difference [interval]", "n"), (told, ns), strict=True):
            for y, words in zip(middles, column, strict=True):
                axes.text(0, y, words, fontsize=8, va="center")
            axes.set_title(heading, fontsize=8)
            axes.set_xlim(0, 1)
            axes.tick_params(left=False, bottom=False, labelleft=False, labelbottom=False)
            axes.spines[:].set_visible(False)
        drawn.suptitle(title, x=0.01, ha="left", fontsize=9)
        legend(drawn, [*keys, *_marks(rows, margin)])
    return drawn


def legend(drawn: Figure, keys: Sequence[Line2D | Patch]) -> None:
    """What the marks mean, below the figure, in as many columns as its width holds."""
    lengths = [len(str(key.get_label())) + 7 for key in keys]
    room = int(drawn.get_figwidth() * 72 / 4.9)  # signs of 8 points
    columns = len(keys) if sum(lengths) <= room else max(1, room // max(lengths, default=1))
    drawn.legend(handles=list(keys), loc="outside lower center", ncols=max(columns, 1), fontsize=8)


def _in_words(row: Row, digits: int) -> str:
    if row.zero:
        return "the reference"
    if not np.isfinite(row.difference):
        return "no result"
    told = f"{row.difference:+.{digits}f}"
    interval = f"[{row.low:+.{digits}f}, {row.high:+.{digits}f}]" if np.isfinite(row.low) else "(no interval)"
    return f"{told} {interval}".replace("-", "−")


def _marks(rows: list[Row], margin: float) -> list[Line2D | Patch]:
    """What the marks mean, of those that occur."""
    found: list[Line2D | Patch] = []
    if any(np.isfinite(row.low) for row in rows):
        found.append(Line2D([], [], marker="D", ms=5, mew=0, lw=1.3, color=style.MUTED, label="measured, interval"))
    if any(np.isfinite(row.difference) and not np.isfinite(row.low) for row in rows):
        found.append(Line2D([], [], marker="D", ms=5, mew=0, ls="none", color=style.MUTED, label="measured"))
    if any(row.zero for row in rows):
        found.append(
            Line2D([], [], marker="s", ms=6, mfc="none", mec=style.MUTED, mew=1.2, ls="none", label="the reference")
        )
    if any(np.isfinite(row.published) for row in rows):
        look = {"marker": "o", "ms": 7.5, "mfc": "none", "mec": style.INK, "mew": 1.1, "ls": "none"}
        found.append(Line2D([], [], label="published difference", **look))  # type: ignore[arg-type]
    if np.isfinite(margin):
        text = f"±{margin:g}, the paper's gain over GLCIC"
        found.append(Patch(color=style.MUTED, alpha=0.25, lw=0, label=text))
    return found


def forest_of_contrasts(frames: Frames, data: str, *, level: float = 0.95) -> Figure:
    """The contrasts of `contrast_table` in PSNR of the hole, a row each; the published difference is a hollow ring.

    A row has the colour of its first method. `level`: each interval's. Raises NoDataError as `contrast_table`, and
    where no contrast was measured.
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
        xlabel=axis_label("psnr", "hole", of="Difference in "),
        digits=named.digits + 1,
        margin=margin_of("psnr"),
        keys=[],
    )


def _against(a: str, b: str) -> str:
    """Two names in a line, or each in lines of its own."""
    together = f"{a} − {b}"
    return together if len(together) <= 34 else f"{wrapped(a)}\n− {wrapped(b)}"


def _n(ours: int, theirs: int, paired: bool, images: int, diverged: int) -> str:
    seeds = f"{ours} paired seeds" if paired else f"{ours} and {theirs} seeds"
    lost = f", {diverged} diverged" if diverged else ""
    return f"{seeds}{lost}, {images:,} images"
