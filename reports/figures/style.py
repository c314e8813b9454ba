"""What all figures share: colours, text, legends, and SVG that follows the page's theme."""

import io
import re
import zlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from reports.analysis.frames import Frames
from reports.analysis.naming import metric_of, ordered, role

INK = "#1d2126"
"""The colour of text and axes. On the page, ``inline`` replaces it with the page's own text colour."""

MUTED = "#59626b"

LEVELS = ("#1f94ff", "#b26d00", "#007858", "#7b32a1", "#60004f", "#8b0011")
"""Six colours: of methods, and of a factor's levels in order.

On white each has a contrast of at least 3:1. Their lightness is 8 apart, so they differ in greyscale. They were found
by a random search for the greatest least distance under any colour vision (Machado et al. 2009).
"""
DARK = {
    MUTED: "#a4acb4",
    **dict(zip(LEVELS, ("#adceff", "#f4a637", "#01a060", "#b28bff", "#ca3d9e", "#ffdad4"), strict=True)),
}
"""Each colour on the page's dark theme, with the same properties there."""

WIDTH = 6.69
"""The maximum width of a figure in inches: the width of a page of the PDF, where it is placed without scaling."""
SMALLEST = 7.0
"""The smallest type, in points."""
REGIONS = {"hole": " of the hole", "whole": " of the whole image", "boundary": " at the hole's boundary"}


@dataclass(frozen=True)
class Look:
    """How a method is drawn in every figure: a colour, and without colour a marker and the dashes of its line."""

    colour: str
    marker: Any
    dashes: Any


_BLUE, _ORANGE, _GREEN, _VIOLET, _PLUM, _RED = LEVELS
LOOKS = {
    "proposed": Look(_BLUE, "o", "-"),
    "glcic": Look(_ORANGE, "s", (0, (7, 2))),
    "ce": Look(_GREEN, "^", (0, (4, 1.5, 1, 1.5))),
    "giica": Look(_VIOLET, "D", (0, (1, 1.2))),
    "contextual_attention": Look(_VIOLET, "D", (0, (1, 1.2))),
    "single": Look(_PLUM, "P", (0, (7, 2, 1, 2, 1, 2))),
    "reconstruction_only": Look(_RED, "X", (0, (3, 1.5))),
    "glcic_same_optimizer": Look(_ORANGE, ">", (0, (2, 1))),
    "ce_same_optimizer": Look(_GREEN, "v", (0, (10, 1.5, 1, 1.5))),
    "mean": Look(MUTED, "p", (0, (1, 3))),
    "biharmonic": Look(MUTED, "h", (0, (10, 3))),
}
_MARKERS = ("*", "d", "<", (4, 1, 0), "1", "2", "+")
_DASHES = ((0, (5, 1, 1, 1, 1, 1, 1, 1)), (0, (5, 4)), (0, (1, 2)), (0, (12, 2)), (0, (3, 3, 1, 3)))
"""Looks of other variants, in turn."""

_ROUNDED = re.compile(r"-?\d+\.\d{3,}")
_SETTINGS = {
    "font.family": "sans-serif",
    "font.size": 8.0,
    "text.parse_math": False,  # a name may contain a dollar sign
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 8.0,
    "xtick.labelsize": SMALLEST,
    "ytick.labelsize": SMALLEST,
    "legend.fontsize": SMALLEST,
    "legend.handlelength": 2.8,  # room for the dashes
    "axes.titlelocation": "left",
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.use_mathtext": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "grid.color": MUTED,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.5,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "svg.fonttype": "none",  # keep text as text, so that it can be searched and read aloud and follows the theme
    "svg.hashsalt": "mo-zhou-2020",
    "pdf.fonttype": 42,  # TrueType: journals refuse Matplotlib's default, Type 3
    "image.composite_image": False,
}


def styled() -> AbstractContextManager[None]:
    """A context manager with the matplotlib settings for drawing and saving figures."""
    return matplotlib.rc_context(_SETTINGS)  # type: ignore[arg-type]


def look(frames: Frames, variant: str) -> Look:
    """A variant's look, the same in every figure. Variants without a known role take the next free ones in turn."""
    known = LOOKS.get(role(frames, variant))
    if known:
        return known
    others = frames.once("looks", lambda: _without_role(frames))
    place = others.index(variant) if variant in others else zlib.crc32(variant.encode())
    return Look(LEVELS[place % len(LEVELS)], _MARKERS[place % len(_MARKERS)], _DASHES[place % len(_DASHES)])


def _without_role(frames: Frames) -> list[str]:
    named = ordered(frames, frames.runs["variant"].unique().tolist())
    return [variant for variant in named if role(frames, variant) not in LOOKS]


def colour(frames: Frames, variant: str) -> str:
    """The colour of a variant's look."""
    return look(frames, variant).colour


def line(look: Look) -> dict[str, Any]:
    """A look as the options of a line with markers."""
    return {"color": look.colour, "ls": look.dashes, "marker": look.marker, "mec": look.colour, "mew": 0.6}


def first_mark(look: Look, points: int) -> int:
    """The place of a line's first marker, so that the markers of lines that overlap lie apart."""
    return list(LOOKS.values()).index(look) * points // 44 if look in LOOKS.values() else 0


def figure(width: float, height: float) -> Figure:
    """An empty figure; ``width`` and ``height`` in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def _settle(fig: Figure) -> None:
    """Lays the figure out, once for all formats.

    The solver of Matplotlib's layout orders its variables by address, so the last digits of a place differ from run to
    run. Rounded, they are the same.
    """
    if isinstance(fig.get_layout_engine(), ConstrainedLayoutEngine):
        fig.draw_without_rendering()
        for axes in fig.axes:
            axes.set_position(np.round(axes.get_position(original=True).bounds, 5).tolist())
        fig.set_layout_engine("none")


def svg(fig: Figure) -> str:
    """The figure as a self-contained SVG file; the same figure gives the same bytes."""
    buffer = io.StringIO()
    with styled():
        _settle(fig)
        fig.savefig(buffer, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    return re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", " ", buffer.getvalue())  # characters that XML forbids


def inline(drawing: str, name: str) -> str:
    """An SVG from ``svg`` as an element of a page: ids are prefixed with ``name``; colours follow the page's theme.

    What the page does not need is left out, which saves half: ids that nothing names, comments, fonts, spaces between
    elements, and digits below a hundredth of a point. A style is stated once, as a class.
    """
    element = re.sub(r"<!--.*?-->", "", drawing[drawing.index("<svg") :], flags=re.DOTALL)
    named = set(re.findall(r'(?:href="#|url\(#)([^")]+)', element))

    def leaner(tag: re.Match[str]) -> str:
        text = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in named else "", tag[0])
        text = re.sub(
            r" (?:d|x|y)=\"[^\"]*\"", lambda found: _ROUNDED.sub(lambda n: f"{float(n[0]):.2f}", found[0]), text
        )
        text = re.sub(r" font-family: [^;\"]*;| transform=\"rotate\(-0 [^\"]*\"", "", text)
        return re.sub(r" style=\"[^\"]*\"", lambda found: re.sub("([:;]) ", r"\1", found[0]), text)

    element = re.sub(r"<\w[^>]*>", leaner, re.sub(r">\s+<", "><", element))
    element = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", element)
    for light, dark in DARK.items():
        element = element.replace(light, f"light-dark({light}, {dark})")
    element = element.replace(INK, "currentColor")
    styles: dict[str, str] = {}
    element = re.sub(
        r' style="([^"]*)"', lambda s: f' class="{styles.setdefault(s[1], f"{name}-{len(styles)}")}"', element
    )
    rules = "".join(f".{label}{{{look}}}" for look, label in styles.items())
    return element.replace(">", f"><style>{rules}</style>", 1)


def png(fig: Figure, dots: int = 160) -> bytes:
    """The figure as a PNG on white, at ``dots`` dots per inch."""
    buffer = io.BytesIO()
    with styled():
        _settle(fig)
        fig.savefig(buffer, format="png", dpi=dots, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()


def pdf(fig: Figure) -> bytes:
    """The figure as a PDF of one page; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    with styled():
        _settle(fig)
        fig.savefig(buffer, format="pdf", metadata=dict.fromkeys(("Creator", "Producer", "CreationDate")))
    return buffer.getvalue()


def axis_label(metric: str, region: str = "", *, of: str = "") -> str:
    """A metric with its unit and direction: "PSNR of the hole (dB) ↑ more is better".

    ``of`` is a prefix for differences: "Difference in ". Sharpness has no better direction, because the truth's is
    best: its label says so; only a difference in it has a direction. Raises ValueError if the metric is unknown.
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
    """Wraps text to at most ``lines`` lines of ``width`` characters, after spaces and punctuation; "…" marks a cut."""
    parts = re.findall(r"[^\s,:;=/_−-]*[\s,:;=/_−-]?", text)
    rows = [""]
    for piece in (part[start : start + width] for part in parts for start in range(0, len(part), width)):
        if rows[-1] and len((rows[-1] + piece).rstrip()) > width:
            rows.append("")
        rows[-1] += piece
    if len(rows) > lines:
        rows = [*rows[: lines - 1], "".join(rows[lines - 1 :])[: width - 1] + "…"]
    return "\n".join(row.strip() for row in rows)


def key(label: str, **look: Any) -> Line2D:
    """A legend entry with the look of a line or a mark."""
    return Line2D([], [], label=label, **look)


def title(fig: Figure, text: str) -> None:
    """Sets the title of a whole figure."""
    fig.suptitle(text, x=0.01, ha="left", fontsize=8)


def legend(fig: Figure, keys: Sequence[Line2D | Patch]) -> None:
    """Draws a legend below the figure, in as many columns as fit its width."""
    lengths = [len(str(key.get_label())) + 9 for key in keys]
    room = int(fig.get_figwidth() * 72 / 4.3)  # characters of 7 points
    columns = len(keys) if sum(lengths) <= room else max(1, room // max(lengths, default=1))
    fig.legend(handles=list(keys), loc="outside lower center", ncols=max(columns, 1))
