"""What the drawings of networks share: layers and their looks, text that fits, legends."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from matplotlib.textpath import TextPath

from reports.analysis.frames import Frames, NoDataError
from reports.analysis.naming import label
from reports.figures import style

Layer = Mapping[str, Any]
"""A layer as ``study describe`` prints it."""
KINDS = {  # colour, word below a block, word in the legend
    "conv": (style.LEVELS[0], "conv", "convolution"),
    "d-conv": (style.LEVELS[1], "d-conv", "dilated convolution"),
    "deconv": (style.LEVELS[2], "deconv", "transposed convolution"),
    "upsample": (style.LEVELS[5], "up", "up-sampling"),
    "attention": (style.LEVELS[4], "attend", "attention"),
    "linear": (style.LEVELS[3], "linear", "fully connected"),
    "pool": (style.MUTED, "pool", "pooling"),
}
WEIGHTED = ("conv", "d-conv", "deconv", "linear")
"""The kinds that count when layers are counted."""
PLAIN = style.SMALLEST
"""The size of most text, in points."""


def description_of(frames: Frames, variant: str | None) -> tuple[str, Mapping[str, Any]]:
    """The variant (default: the study's reference) and its recorded networks. Raises NoDataError if there are none."""
    chosen = variant if variant is not None else frames.study["reference"]
    if chosen is None:
        raise NoDataError("The study names no reference, so that no networks of it can be drawn.")
    described = (frames.study["networks"] or {}).get(chosen)
    if not described or not described.get("networks"):
        raise NoDataError(f"No networks of {label(str(chosen))} are recorded.")
    return str(chosen), described


def sees_of(layer: Layer) -> float:
    """A layer's receptive field in pixels; infinite if the layer sees the whole image or window."""
    field = layer["receptive_field"]
    return np.inf if isinstance(field, str) else float(field)


def inputs_of(layer: Layer) -> int | None:
    """The number of input maps of a convolution, from its number of weights.

    None if unknown: with a 1×1 kernel, a bias would count as another map.
    """
    kernel = layer["kernel"] or 1
    return layer["parameters"] // (layer["outputs"] * kernel**2) if kernel > 1 and layer["parameters"] else None


def totals_of(network: Mapping[str, Any]) -> str:
    """A network's number of layers, parameters and receptive field, as text separated by commas."""
    field = network["receptive_field"]
    layers = sum(layer["kind"] in WEIGHTED for layer in network["layers"])
    sees = f"{field} px" if isinstance(field, int) else str(field)
    return f"{layers} layer{'s' * (layers != 1)}, {network['parameters']:,} parameters, receptive field: {sees}"


def title_of(name: str, summary: str, side: int, width: float) -> str:
    """A variant's name with a summary, in one line of ``width`` points; a long name is cut."""
    rest = f": {summary}; images of {side} px"
    return fitted(label(name), width - 8 - width_of(rest, 8), 8) + rest


def look_of(kind: str) -> tuple[str, str, str]:
    """A kind's entry of ``KINDS``; other kinds are muted."""
    return KINDS.get(kind, (style.MUTED, kind, kind))


def colours_of(layers: Iterable[Layer]) -> Iterator[tuple[str | None, str]]:
    """The colour and legend text of each kind that occurs."""
    kinds = dict.fromkeys(str(layer["kind"]) for layer in layers)
    for kind in [*(kind for kind in KINDS if kind in kinds), *(kind for kind in kinds if kind not in KINDS)]:
        yield look_of(kind)[0], look_of(kind)[2]


def lines_of(keys: list[tuple[str | None, str]], width: float) -> list[list[tuple[float, str | None, str]]]:
    """Breaks the legend's entries into lines of at most ``width`` points; each entry gets its x position."""
    lines: list[list[tuple[float, str | None, str]]] = [[]]
    x = 6.0
    for shade, text in keys:
        room = width_of(text, PLAIN) + (26 if shade else 14)
        if lines[-1] and x + room > width:
            lines.append([])
            x = 6.0
        lines[-1].append((x, shade, text))
        x += room
    return lines


def draw_legend(axes: Axes, lines: list[list[tuple[float, str | None, str]]]) -> None:
    """Draws the legend at the bottom of a figure."""
    y = 12 * len(lines) - 2
    for number, line in enumerate(lines):
        for x, shade, text in line:
            if shade:
                look: dict[str, Any] = {"facecolor": (shade, 0.45), "edgecolor": shade, "linewidth": 0.8}
                axes.add_patch(Rectangle((x, y - 12 * number - 3.2), 8, 6.4, **look))
            written(axes, x + (12 if shade else 0), y - 12 * number, text, PLAIN, ha="left")


def sheet_of(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of this size in points, with axes that cover it and whose unit is the point."""
    fig = style.figure(width / 72, height / 72)
    fig.set_layout_engine("none")  # everything has a fixed position
    axes = fig.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set(xlim=(0, width), ylim=(0, height), autoscale_on=False)
    axes.set_axis_off()
    return fig, axes


def written(
    axes: Axes, x: float, y: float, text: str, size: float, *, ha: str = "center", color: str = style.INK, turn: int = 0
) -> None:
    """Writes text, if there is any, vertically centred at ``y``; ``turn`` in degrees."""
    if text:
        axes.text(x, y, text, fontsize=size, ha=ha, va="center", color=color, rotation=turn)


def polyline(axes: Axes, points: list[tuple[float, float]], shade: str = style.MUTED, lw: float = 0.7) -> None:
    xs, ys = zip(*points, strict=True)
    axes.plot(xs, ys, color=shade, lw=lw, solid_capstyle="butt", solid_joinstyle="miter", zorder=1)


@lru_cache(10_000)  # the same words and numbers recur
def width_of(text: str, size: float) -> float:
    """The width of a text in points, with some margin for other fonts and rounding."""
    if not text.strip():
        return 0.0
    return 1.06 * float(TextPath((0, 0), text, size=size, prop=FontProperties()).get_extents().width)


def fitted(text: str, width: float, size: float) -> str:
    """A text in one line of at most ``width`` points; "…" marks a cut."""
    text = " ".join(text.split())
    if width_of(text, size) <= width:
        return text
    most = bisect_right(range(len(text)), width, key=lambda length: width_of(f"{text[:length]}…", size))
    return f"{text[: max(most - 1, 0)].rstrip()}…"
