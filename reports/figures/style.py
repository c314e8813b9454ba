"""One style for all figures: colours by method, plain text, SVG that follows the page's theme."""

import io
import re
import zlib
from contextlib import AbstractContextManager
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from reports.analysis.frames import Frames
from reports.analysis.naming import role

INK = "#1d2126"
"""The colour of text and axes; `svg` turns it into the page's own, light or dark."""

MUTED = "#7d848c"

# Okabe and Ito's palette (safe for colour-blind readers), less its yellow, which is lost on white.
COLOURS = {
    "proposed": "#0072b2",
    "glcic": "#e69f00",
    "ce": "#009e73",
    "single": "#cc79a7",
    "giica": "#56b4e9",
    "contextual_attention": "#56b4e9",
    "reconstruction_only": "#d55e00",
    "mean": MUTED,
    "biharmonic": MUTED,
}
LEVELS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Colours of a factor's levels, in order."""

_SETTINGS = {
    "font.family": "sans-serif",
    "font.size": 9.0,
    "text.parse_math": False,  # a name may hold a dollar
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 9.0,
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
    "svg.fonttype": "none",  # text stays text: it can be searched, read aloud and follows the theme
    "svg.hashsalt": "mo-zhou-2020",
    "image.composite_image": False,
}


def styled() -> AbstractContextManager[None]:
    """The settings under which a figure is made and saved; they are put back afterwards."""
    return matplotlib.rc_context(_SETTINGS)  # type: ignore[arg-type]


def colour(frames: Frames, variant: str) -> str:
    """A variant's colour, the same in every figure; of an unknown one by its name alone."""
    known = role(frames, variant)
    return COLOURS.get(known) or LEVELS[zlib.crc32(variant.encode()) % len(LEVELS)]


def figure(width: float, height: float) -> Figure:
    """An empty figure, inches."""
    return Figure(figsize=(width, height), layout="constrained")


def svg(drawn: Figure) -> str:
    """The figure as an SVG file that stands alone: the same bytes each time, its text text, its pictures in it."""
    buffer = io.StringIO()
    nothing: dict[str, Any] = {"Creator": None, "Date": None, "Format": None, "Type": None}
    with styled():
        drawn.savefig(buffer, format="svg", metadata=nothing)
    return re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", " ", buffer.getvalue())  # a name may hold what XML may not


def inline(drawing: str, name: str) -> str:
    """Such an SVG as an element of a page: its ids begin with `name`, and its ink is the page's."""
    element = drawing[drawing.index("<svg") :]
    element = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", element)
    return element.replace(INK, "currentColor")


def png(drawn: Figure, dots: int = 160) -> bytes:
    """The figure as a PNG on white, `dots` to the inch."""
    buffer = io.BytesIO()
    with styled():
        drawn.savefig(buffer, format="png", dpi=dots, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()
