"""Draws the generator as built, layer by layer, with the columns of the paper's Table 1."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle

from reports.analysis.frames import Frames
from reports.figures import style
from reports.figures.layers import (
    PLAIN,
    Layer,
    colours_of,
    description_of,
    draw_legend,
    fitted,
    inputs_of,
    lines_of,
    look_of,
    polyline,
    sees_of,
    sheet_of,
    title_of,
    totals_of,
    width_of,
    written,
)

MOST = 17
"""The maximum number of columns in a row of blocks."""


def generator(frames: Frames, variant: str | None = None) -> Figure:
    """The generator of a variant (default: the study's reference), one block per layer, with Table 1 below it.

    A block's height is the square root of the side of its feature maps, its thickness the square root of the number of
    outputs. A layer without maps, such as attention, is as high as the one before it. Below are the receptive fields in
    pixels, as numbers and as a line next to the image's own side; a layer that sees the whole image is at the top. A
    network of several parts (GIICA's) takes several rows. A layer that does not read the layer before it is recognised
    by its receptive field and number of inputs; what it reads is drawn again, dashed. Raises NoDataError if no network
    is recorded.
    """
    name, described = description_of(frames, variant)
    network = described["networks"][0]
    side = int(described["image_size"])
    rows = _rows(_columns(network["layers"], side))
    widest = max(map(len, rows))
    pitch = min(44.0, (style.WIDTH * 72 - _Row.gutter - 6) / widest)
    width = max(_Row.gutter + 6 + pitch * widest, 390)
    with style.styled():
        title = title_of(name, f"generator, {totals_of(network)}", side, width)
        keys = _keys(rows)
        legend = lines_of(keys, width)
        tall = 48.0 if len(rows) > 1 else 66.0
        step = tall + _Row.below + 26
        height = 22 + step * len(rows) + 12 * len(legend)
        fig, axes = sheet_of(width, height)
        written(axes, 4, height - 13, title, 8, ha="left")
        greatest = max(column.layer["outputs"] for row in rows for column in row)
        sees = [sees_of(column.layer) for row in rows for column in row]
        top = max([side, *(field for field in sees if np.isfinite(field))])
        for place, row in enumerate(rows):
            foot = height - 22 - step * (place + 1) + _Row.below
            _Row(axes, row, foot, pitch, tall, side, greatest, top).draw()
        draw_legend(axes, legend)
    return fig


@dataclass(frozen=True)
class _Column:
    """A column of a row: a layer, the input or the output.

    ``copy``: a repetition of an earlier column that the next layer reads, "alone" or "beside" the column before it.
    """

    layer: Layer
    part: str
    copy: Literal["", "alone", "beside"] = ""

    @property
    def outside(self) -> bool:
        """Returns True for the input and the output, which are no layers."""
        return self.layer["kind"] in ("input", "output")

    @property
    def word(self) -> str:
        """The word below the block: the kind of a layer, or the part that a copy comes from."""
        if self.outside:
            return str(self.layer["kind"])
        return self.part if self.copy and "." in self.layer["name"] else look_of(self.layer["kind"])[1]


def _columns(layers: Sequence[Layer], side: int) -> list[_Column]:
    """The input, the layers in execution order and the output, with copies of columns that are read again later.

    If a part or an operation has a smaller receptive field than the layer before it, it reads something earlier: the
    input or the end of a part, whichever has the largest receptive field that is not larger than its own. The columns
    skipped in this way are read by the next attention, or by the next convolution with that many more inputs.
    """
    blank = dict.fromkeys(("kernel", "dilation", "stride", "parameters"))
    first = {**blank, "name": "input", "kind": "input", "outputs": inputs_of(layers[0]) or 0, "size": side}
    before = _Column({**first, "receptive_field": 1}, "input")
    columns, ends, left = [before], [before], list[_Column]()
    for layer in layers:
        named = "." in str(layer["name"])  # an operation without weights belongs to the current part
        part = str(layer["name"]).partition(".")[0] if named or len(columns) == 1 else before.part
        if part != before.part and before not in ends:
            ends.append(before)
        if sees_of(layer) < sees_of(before.layer) and (part != before.part or not layer["parameters"]):
            left.append(before)
            before = max(
                (end for end in ends if sees_of(end.layer) <= sees_of(layer)), key=lambda end: sees_of(end.layer)
            )
            part = part if named else columns[-1].part
            columns.append(_Column(before.layer, before.part, copy="alone"))
        if left and _joins(layer, before.layer, left[-1].layer):
            behind = left.pop()
            columns.append(_Column(behind.layer, behind.part, copy="beside"))
        before = _Column(layer, part)
        columns.append(before)
    return [*columns, _Column({**before.layer, "kind": "output"}, before.part)]


def _joins(layer: Layer, before: Layer, left: Layer) -> bool:
    """Returns True if ``layer`` reads ``left`` in addition to ``before``."""
    return bool(layer["kind"] == "attention" or inputs_of(layer) == before["outputs"] + left["outputs"])


def _rows(columns: list[_Column]) -> list[list[_Column]]:
    """Splits the columns into rows of at most ``MOST``, between parts if possible; a row starts with what it reads."""
    groups: list[list[_Column]] = []
    for column in columns:
        last = next((c.part for c in reversed(groups[-1]) if not c.copy), "") if groups else ""
        opens = bool(column.copy) and not groups[-1][-1].copy
        if not groups or (column.part != last and not groups[-1][-1].copy) or opens:
            groups.append([])
        groups[-1].append(column)
    rows: list[list[_Column]] = [[]]
    for group in groups:
        pieces = -(-len(group) // (MOST - 1))
        for piece in np.array_split(np.arange(len(group)), pieces):
            if rows[-1] and len(rows[-1]) + len(piece) > MOST:
                end = rows[-1][-1]
                rows.append([] if group[piece[0]].copy == "alone" else [_Column(end.layer, end.part, copy="alone")])
            rows[-1] += [group[i] for i in piece]
    return rows


@dataclass(frozen=True)
class _Row:
    """One row of blocks with its table and its line of receptive fields; lengths in points.

    Args:
        foot: The y position of the blocks' base.
        pitch: The width of a column.
        tall: The maximum height of a block.
        side: The image's side, in pixels.
        greatest: The largest number of outputs of a layer.
        top: The largest receptive field, in pixels.
    """

    axes: Axes
    columns: list[_Column]
    foot: float
    pitch: float
    tall: float
    side: int
    greatest: int
    top: float

    gutter = 42.0
    line = 9.0
    strip = 22.0
    word = 27.0
    below = word + 6 * line + strip + 24

    def draw(self) -> None:
        self._parts()
        self._blocks()
        self._table()
        self._fields(self.foot - self.below + 12)

    def _middle(self, place: float) -> float:
        return self.gutter + self.pitch * (place + 0.5)

    def _parts(self) -> None:
        """Draws the names of the parts above the blocks."""
        y = self.foot + self.tall + 14
        for part, first, last in _runs(self.columns):
            start, stop = self._middle(first) - 0.42 * self.pitch, self._middle(last) + 0.42 * self.pitch
            polyline(self.axes, [(start, y - 4), (start, y), (stop, y), (stop, y - 4)])
            written(self.axes, (start + stop) / 2, y + 6, fitted(part, stop - start, PLAIN), PLAIN)

    def _blocks(self) -> None:
        size = self.side
        edges: list[tuple[float, float]] = []
        middle = self.foot + self.tall / 2
        for place, column in enumerate(self.columns):
            size = column.layer["size"] or size
            high = self.tall * 0.88 * min((size / self.side) ** 0.5, 1)
            thick = max(0.5 * self.pitch * (column.layer["outputs"] / self.greatest) ** 0.5, 1.6)
            back = 0.12 * high
            left = self._middle(place) - (thick + back) / 2
            _block(self.axes, left, middle - high / 2, thick, high, back, column)
            edges.append((left, left + thick + back))
        for column, (_, stop), (start, _) in zip(self.columns[1:], edges, edges[1:], strict=False):
            if column.copy == "beside":
                written(self.axes, (start + stop) / 2, middle, "+", 8)
            elif not column.copy:
                polyline(self.axes, [(stop + 1, middle), (start - 1, middle)])

    def _table(self) -> None:
        cells = [_cells(column) for column in self.columns]
        headings = ("layer", "kernel", "dilation", "stride", "outputs", "side, px", "sees, px")
        for number, heading in enumerate(headings):
            # the word of a layer stands upright in a narrow column
            y = self.foot - (self.word / 2 + 4 if number == 0 else self.word + 2 + self.line * number)
            upright = number == 0 and any(width_of(column[0], PLAIN) > self.pitch - 2 for column in cells)
            written(self.axes, 4, y, heading, PLAIN, ha="left")
            for place, column in enumerate(cells):
                shade = style.MUTED if self.columns[place].copy else style.INK
                text = fitted(column[number], self.word if upright else self.pitch - 2, PLAIN)
                written(self.axes, self._middle(place), y, text, PLAIN, color=shade, turn=90 if upright else 0)

    def _fields(self, foot: float) -> None:
        """Draws the line of receptive fields, interrupted where a block does not read the one before it."""
        level = foot + self.strip * self.side / self.top
        stop = self._middle(len(self.columns) - 0.5)
        self.axes.plot([self.gutter, stop], [level, level], color=style.MUTED, lw=0.7, ls=(0, (3, 2)))
        written(self.axes, 4, level, f"image {self.side}", PLAIN, ha="left")
        part: list[tuple[float, float]] = []
        for place, column in enumerate(self.columns):
            share = min(sees_of(column.layer), self.top) / self.top
            if column.copy and part:
                polyline(self.axes, part, style.INK, 0.9)
                part = []
            part.append((self._middle(place), foot + self.strip * share))
            if not column.copy and not column.outside:
                self.axes.plot(*part[-1], marker="o", ms=2.6, mew=0, color=look_of(column.layer["kind"])[0])
        polyline(self.axes, part, style.INK, 0.9)


def _runs(columns: list[_Column]) -> Iterator[tuple[str, int, int]]:
    """Each part with its first and last place in a row, without copies, input and output."""
    layers = [(place, column.part) for place, column in enumerate(columns) if not column.copy and not column.outside]
    for part, group in itertools.groupby(layers, key=lambda layer: layer[1]):
        places = [place for place, _ in group]
        yield part, places[0], places[-1]


def _cells(column: _Column) -> list[str]:
    """The table cells below a block: kind, kernel, dilation, stride, outputs, side, receptive field."""
    layer = column.layer
    own = {"outputs": f"{layer['outputs'] or ''}", "size": f"{layer['size'] or ''}"}
    if column.copy or column.outside:
        return [column.word, "", "", "", *own.values(), ""]
    kernel, stride = layer["kernel"], layer["stride"]
    step = "" if stride is None else f"{stride:g}" if stride >= 1 else f"1/{round(1 / stride)}"
    sees = f"{sees_of(layer):.0f}" if np.isfinite(sees_of(layer)) else "whole"
    square = f"{kernel}×{kernel}" if kernel else ""
    return [column.word, square, f"{layer['dilation'] or ''}", step, *own.values(), sees]


def _block(axes: Axes, left: float, low: float, thick: float, high: float, back: float, column: _Column) -> None:
    """Draws a box seen from slightly above: its front, top and side."""
    layer, rise = column.layer, 0.6 * back
    shade = look_of(layer["kind"])[0]
    name = "copy" if column.copy else layer["kind"] if column.outside else "layer"
    look: dict[str, Any] = {"edgecolor": shade, "linewidth": 0.8}
    if column.copy:
        look |= {"linestyle": (0, (2, 1.2))}
    right, up = left + thick, low + high
    top = [(left, up), (left + back, up + rise), (right + back, up + rise), (right, up)]
    flank = [(right, low), (right + back, low + rise), (right + back, up + rise), (right, up)]
    alphas = (0.0, 0.0, 0.0) if column.copy else (0.45, 0.2, 0.7)
    for corners, alpha in ((top, alphas[1]), (flank, alphas[2])):
        axes.add_patch(Polygon(corners, closed=True, facecolor=(shade, alpha), **look))
    axes.add_patch(Rectangle((left, low), thick, high, facecolor=(shade, alphas[0]), label=name, **look))


def _keys(rows: list[list[_Column]]) -> list[tuple[str | None, str]]:
    """The legend's entries: the colours that occur, then (without a colour) what the sizes mean."""
    columns = [column for row in rows for column in row]
    keys = [*colours_of(column.layer for column in columns if not column.outside)]
    keys += [(None, "height: √side"), (None, "thickness: √outputs")]
    if any(column.copy for column in columns):
        keys.append((None, "dashed: made elsewhere, read here"))
    return keys
