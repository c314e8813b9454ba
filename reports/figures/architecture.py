"""The networks as they are built: the generator layer by layer, as Table 1; and all of them at work, as Figure 3."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyBboxPatch, Polygon, Rectangle
from matplotlib.textpath import TextPath
from numpy.typing import NDArray

from reports.figures import style
from reports.figures.contrasts import WIDTH
from reports.figures.curves import LOSSES
from reports.frames import Frames, NoDataError
from reports.naming import label

Layer = Mapping[str, Any]
"""A layer as `study describe` tells it."""
Picture = NDArray[np.uint8]
"""`(H, W, 3)`."""

KINDS = {  # colour, the word under a block, the word in the legend
    "conv": (style.LEVELS[0], "conv", "convolution"),
    "d-conv": (style.LEVELS[1], "d-conv", "dilated convolution"),
    "deconv": (style.LEVELS[2], "deconv", "transposed convolution"),
    "upsample": (style.LEVELS[5], "up", "up-sampling"),
    "attention": (style.LEVELS[4], "attend", "attention"),
    "linear": (style.LEVELS[3], "linear", "fully connected"),
    "pool": (style.MUTED, "pool", "pooling"),
}
WEIGHTED = ("conv", "d-conv", "deconv", "linear")
"""The kinds that count as layers where layers are counted."""
MOST = 22
"""How many places a row of blocks has at most."""
SMALL, PLAIN = 6.5, 7.2
"""Sizes of text, points."""


def generator(frames: Frames, variant: str | None = None) -> Figure:
    """The generator of a variant (by default of the study's reference), a block a layer, with Table 1 below it.

    Heights go by the root of the maps' side, thicknesses by the root of the number of outputs. What has no maps, as
    attention, is as high as what stands before it. Below: what a position sees of the image, px along a side, as
    numbers and as a line beside the image's own side, where what sees the whole image is at the top. A network of
    several parts (GIICA's) takes several rows; that a layer reads a part other than the one before it is told by the
    receptive fields and by the number of its inputs, and shown by a dashed copy of what it reads. Raises NoDataError
    where no network is recorded.
    """
    name, described = _described(frames, variant)
    network = described["networks"][0]
    side = int(described["image_size"])
    rows = _rows(_columns(network["layers"], side))
    widest = max(map(len, rows))
    pitch = min(44.0, (WIDTH * 72 - _Row.gutter - 6) / widest)
    width = max(_Row.gutter + 6 + pitch * widest, 390)
    with style.styled():
        title = _title(name, f"generator, {_totals(network)}", side, width)
        keys = _keys(rows)
        legend = _lines_of(keys, width)
        tall = 48.0 if len(rows) > 1 else 66.0
        step = tall + _Row.below + 26
        height = 22 + step * len(rows) + 12 * len(legend)
        drawn, axes = _sheet(width, height)
        _text(axes, 6, height - 13, title, 9, ha="left")
        greatest = max(column.layer["outputs"] for row in rows for column in row)
        sees = [_sees(column.layer) for row in rows for column in row]
        top = max([side, *(field for field in sees if np.isfinite(field))])
        for place, row in enumerate(rows):
            foot = height - 22 - step * (place + 1) + _Row.below
            _Row(axes, row, foot, pitch, tall, side, greatest, top).draw()
        _legend(axes, legend)
    return drawn


def network(frames: Frames, variant: str | None = None) -> Figure:
    """All networks of a variant (by default of the study's reference) at work, from the masked image to the losses.

    The generator repairs the masked image, told of the mask where it has inputs for that; each critic looks at its view
    of the repaired and of real images; its loss stands at the right with its weight, below them the reconstruction
    loss. Small blocks are layers as in `generator`, receptive fields are in pixels of the image, layers are those with
    weights. What a critic looks at is read from its first layers. The pictures are the variant's first that are stored;
    without any, plain squares stand for them. Raises NoDataError where no network is recorded.
    """
    name, described = _described(frames, variant)
    built, *critics = described["networks"]
    side = int(described["image_size"])
    config = (frames.study["configs"] or {}).get(name) or {}
    options: Mapping[str, Any] = config.get("options") or {}
    raw = options.get("critic_input") == "raw"
    with style.styled():
        losses = _adversarial(options, [str(critic["name"]) for critic in critics])
        sheet = _Sheet(_pictures(frames, name, "raw" if raw else "composite"), side, raw)
        return sheet.draw(name, built, critics, losses, _reconstruction(options))


# -- what is recorded -------------------------------------------------------------------------------------------------


def _described(frames: Frames, variant: str | None) -> tuple[str, Mapping[str, Any]]:
    """A variant's name and its networks, as recorded. Raises NoDataError where there are none."""
    chosen = variant if variant is not None else frames.study["reference"]
    if chosen is None:
        raise NoDataError("The study names no reference, so that no networks of it can be drawn.")
    described = (frames.study["networks"] or {}).get(chosen)
    if not described or not described.get("networks"):
        raise NoDataError(f"No networks of {label(str(chosen))} are recorded.")
    return str(chosen), described


def _sees(layer: Layer) -> float:
    """A layer's receptive field in pixels; of the whole image or window: infinite."""
    field = layer["receptive_field"]
    return np.inf if isinstance(field, str) else float(field)


def _inputs(layer: Layer) -> int | None:
    """How many maps a convolution reads, by its weights; None where that cannot be told (a bias may be one more)."""
    kernel = layer["kernel"] or 1
    return layer["parameters"] // (layer["outputs"] * kernel**2) if kernel > 1 and layer["parameters"] else None


def _totals(network: Mapping[str, Any]) -> str:
    field = network["receptive_field"]
    layers = sum(layer["kind"] in WEIGHTED for layer in network["layers"])
    sees = f"{field} px" if isinstance(field, int) else str(field)
    return f"{layers} layer{'s' * (layers != 1)}, {network['parameters']:,} parameters, receptive field: {sees}"


def _title(name: str, told: str, side: int, width: float) -> str:
    """Who it is and what is told of it, in one line of `width` points; a long name is cut."""
    told = f": {told}; images of {side} px"
    return _fitted(label(name), width - 12 - _wide(told, 9), 9) + told


# -- the generator's rows ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Column:
    """A place in a row: a layer, the input or the output.

    `copy`: once more what was made elsewhere, which the next layer reads, alone or `beside` what stands before it.
    """

    layer: Layer
    part: str
    copy: Literal["", "alone", "beside"] = ""

    @property
    def outside(self) -> bool:
        """Whether this is no layer of the network."""
        return self.layer["kind"] in ("input", "output")

    @property
    def word(self) -> str:
        """What it is called below its block: the kind of a layer; of what is a copy, the part that made it."""
        if self.outside:
            return str(self.layer["kind"])
        return self.part if self.copy and "." in self.layer["name"] else _look(self.layer["kind"])[1]


def _columns(layers: Sequence[Layer], side: int) -> list[_Column]:
    """The input, the layers in the order in which they run, and the output, with copies of what is read from afar.

    A part begins, or an operation runs, that sees less than what ran before: so it reads something earlier, the end of
    the part that sees most of those that see no more, or the input. What was left behind is read by the first attention
    after it, or by the first convolution that has as many inputs more.
    """
    blank = dict.fromkeys(("kernel", "dilation", "stride", "parameters"))
    first = {**blank, "name": "input", "kind": "input", "outputs": _inputs(layers[0]) or 0, "size": side}
    before = _Column({**first, "receptive_field": 1}, "input")
    columns, ends, left = [before], [before], list[_Column]()
    for layer in layers:
        named = "." in str(layer["name"])  # an operation without weights belongs to the part that runs
        part = str(layer["name"]).partition(".")[0] if named or len(columns) == 1 else before.part
        if part != before.part and before not in ends:
            ends.append(before)
        if _sees(layer) < _sees(before.layer) and (part != before.part or not layer["parameters"]):
            left.append(before)
            before = max((end for end in ends if _sees(end.layer) <= _sees(layer)), key=lambda end: _sees(end.layer))
            part = part if named else columns[-1].part
            columns.append(_Column(before.layer, before.part, copy="alone"))
        if left and _joins(layer, before.layer, left[-1].layer):
            behind = left.pop()
            columns.append(_Column(behind.layer, behind.part, copy="beside"))
        before = _Column(layer, part)
        columns.append(before)
    return [*columns, _Column({**before.layer, "kind": "output"}, before.part)]


def _joins(layer: Layer, before: Layer, left: Layer) -> bool:
    """Whether a layer reads what was left behind, too."""
    return layer["kind"] == "attention" or _inputs(layer) == before["outputs"] + left["outputs"]


def _rows(columns: list[_Column]) -> list[list[_Column]]:
    """The columns in rows of at most `MOST`, broken between parts where it can be; a row begins with what it reads."""
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
    """One row of blocks, its table and its line, in points. `foot`: where the blocks stand; `tall`: their most.

    `greatest`: the most outputs that a layer has; `top`: the widest receptive field, in pixels.
    """

    axes: Axes
    columns: list[_Column]
    foot: float
    pitch: float
    tall: float
    side: int
    greatest: int
    top: float

    gutter = 50.0
    line = 9.2
    strip = 22.0
    below = 7 * line + strip + 24

    def draw(self) -> None:
        self._parts()
        self._blocks()
        self._table()
        self._fields(self.foot - self.below + 12)

    def _middle(self, place: float) -> float:
        return self.gutter + self.pitch * (place + 0.5)

    def _parts(self) -> None:
        """Above the blocks, which layers are of which part."""
        y = self.foot + self.tall + 14
        for part, first, last in _runs(self.columns):
            start, stop = self._middle(first) - 0.42 * self.pitch, self._middle(last) + 0.42 * self.pitch
            _line(self.axes, [(start, y - 4), (start, y), (stop, y), (stop, y - 4)])
            _text(self.axes, (start + stop) / 2, y + 6, _fitted(part, stop - start, PLAIN), PLAIN)

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
                _text(self.axes, (start + stop) / 2, middle, "+", 8)
            elif not column.copy:
                _line(self.axes, [(stop + 1, middle), (start - 1, middle)])

    def _table(self) -> None:
        cells = [_cells(column) for column in self.columns]
        size = PLAIN if self.pitch > 34 else SMALL
        headings = ("layer", "kernel", "dilation", "stride", "outputs", "side, px", "sees, px")
        for number, heading in enumerate(headings):
            y = self.foot - 10 - self.line * number
            _text(self.axes, 6, y, heading, size, ha="left")
            for place, column in enumerate(cells):
                told = _fitted(column[number], self.pitch - 2, size)
                _text(
                    self.axes,
                    self._middle(place),
                    y,
                    told,
                    size,
                    color=style.MUTED if self.columns[place].copy else style.INK,
                )

    def _fields(self, foot: float) -> None:
        """The line of receptive fields, broken where the next block does not read the one before it."""
        level = foot + self.strip * self.side / self.top
        stop = self._middle(len(self.columns) - 0.5)
        self.axes.plot([self.gutter, stop], [level, level], color=style.MUTED, lw=0.7, ls=(0, (3, 2)))
        _text(self.axes, 6, level, f"image {self.side}", SMALL, ha="left")
        part: list[tuple[float, float]] = []
        for place, column in enumerate(self.columns):
            share = min(_sees(column.layer), self.top) / self.top
            if column.copy and part:
                _line(self.axes, part, style.INK, 0.9)
                part = []
            part.append((self._middle(place), foot + self.strip * share))
            if not column.copy and not column.outside:
                self.axes.plot(*part[-1], marker="o", ms=2.6, mew=0, color=_look(column.layer["kind"])[0])
        _line(self.axes, part, style.INK, 0.9)


def _runs(columns: list[_Column]) -> Iterator[tuple[str, int, int]]:
    """Each part with its first and last place in a row; copies and the input are of none."""
    found: tuple[str, int, int] | None = None
    for place, column in enumerate(columns):
        if column.copy or column.outside:
            continue
        if found and found[0] == column.part:
            found = (found[0], found[1], place)
            continue
        if found:
            yield found
        found = (column.part, place, place)
    if found:
        yield found


def _cells(column: _Column) -> list[str]:
    """What stands below a block: kind, kernel, dilation, stride, outputs, side, receptive field."""
    layer = column.layer
    own = {"outputs": f"{layer['outputs'] or ''}", "size": f"{layer['size'] or ''}"}
    if column.copy or column.outside:
        return [column.word, "", "", "", *own.values(), ""]
    kernel, stride = layer["kernel"], layer["stride"]
    paces = "" if stride is None else f"{stride:g}" if stride >= 1 else f"1/{round(1 / stride)}"
    sees = f"{_sees(layer):.0f}" if np.isfinite(_sees(layer)) else "whole"
    square = f"{kernel}×{kernel}" if kernel else ""
    return [column.word, square, f"{layer['dilation'] or ''}", paces, *own.values(), sees]


def _look(kind: str) -> tuple[str, str, str]:
    return KINDS.get(kind, (style.MUTED, kind, kind))


def _block(axes: Axes, left: float, low: float, thick: float, high: float, back: float, column: _Column) -> None:
    """A box seen from a little above: its face, its top, its side."""
    layer, rise = column.layer, 0.6 * back
    shade = _look(layer["kind"])[0]
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


def _colours(layers: Iterable[Layer]) -> Iterator[tuple[str | None, str]]:
    """The colour and the word of each kind that occurs."""
    kinds = dict.fromkeys(str(layer["kind"]) for layer in layers)
    for kind in [*(kind for kind in KINDS if kind in kinds), *(kind for kind in kinds if kind not in KINDS)]:
        yield _look(kind)[0], _look(kind)[2]


def _keys(rows: list[list[_Column]]) -> list[tuple[str | None, str]]:
    """The colours that occur with their meaning, then, without a colour, what sizes mean."""
    columns = [column for row in rows for column in row]
    keys = [*_colours(column.layer for column in columns if not column.outside)]
    keys += [(None, "height: √side"), (None, "thickness: √outputs")]
    if any(column.copy for column in columns):
        keys.append((None, "dashed: made elsewhere, read here"))
    return keys


def _lines_of(keys: list[tuple[str | None, str]], width: float) -> list[list[tuple[float, str | None, str]]]:
    """The legend's entries in lines that keep within `width` points, each with where it begins."""
    lines: list[list[tuple[float, str | None, str]]] = [[]]
    x = 6.0
    for shade, told in keys:
        room = _wide(told, PLAIN) + (26 if shade else 14)
        if lines[-1] and x + room > width:
            lines.append([])
            x = 6.0
        lines[-1].append((x, shade, told))
        x += room
    return lines


def _legend(axes: Axes, lines: list[list[tuple[float, str | None, str]]]) -> None:
    """The legend at the foot of a figure."""
    y = 12 * len(lines) - 2
    for number, line in enumerate(lines):
        for x, shade, told in line:
            if shade:
                look: dict[str, Any] = {"facecolor": (shade, 0.45), "edgecolor": shade, "linewidth": 0.8}
                axes.add_patch(Rectangle((x, y - 12 * number - 3.2), 8, 6.4, **look))
            _text(axes, x + (12 if shade else 0), y - 12 * number, told, PLAIN, ha="left")


# -- the whole network ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _View:
    """A part of the image, or the image made smaller, that a critic looks at: its side in pixels, and which it is."""

    side: int
    kind: Literal["window", "image", "smaller"]

    def told(self, whole: int) -> str:
        if self.kind == "smaller":
            return f"image at 1/{whole // self.side}, {self.side} px"
        return f"{'window of the hole' if self.kind == 'window' else 'whole image'}, {self.side} px"


def _views(critic: Mapping[str, Any], side: int) -> list[_View]:
    """What a critic looks at, by the layers that read the image: they see no more than their own kernel.

    Pools that come first make the image smaller; else what is smaller than the image is a window of it.
    """
    layers = critic["layers"]
    starts = [place for place, layer in enumerate(layers) if place == 0 or _begins(layer)]
    found = []
    for start, stop in pairwise([*starts, len(layers)]):
        first = layers[start]
        enters = round(first["size"] * first["stride"]) if first["size"] and first["stride"] else side
        seen = enters
        for layer in layers[start:stop]:
            if layer["kind"] != "pool":
                break
            seen = layer["size"]
        found.append(_View(seen, "smaller" if seen < enters else "window" if seen < side else "image"))
    return found


def _begins(layer: Layer) -> bool:
    kernel = layer["kernel"]
    return bool(kernel) and _sees(layer) == (kernel - 1) * (layer["dilation"] or 1) + 1


def _adversarial(options: Mapping[str, Any], names: list[str]) -> list[list[str]]:
    """Each critic's loss: its weight in the sum, its kind, and what bounds the critic."""
    recipe = options.get("loss") or {}
    recipe = recipe if isinstance(recipe, Mapping) else {"kind": recipe}
    kind = str(recipe.get("kind") or "adversarial loss")
    words = {"clip": "clipped at ±{:g}", "penalty": "gradient penalty {:g}"}
    bounds = [told.format(recipe[key]) for key, told in words.items() if recipe.get(key) is not None]
    own = options.get("weights") or {}
    weights: list[Any] = [own.get(name, options.get("weight")) for name in names]
    if (total := options.get("total_weight")) is not None and None not in weights:
        weights = [total * weight / sum(weights) for weight in weights]
    told = LOSSES.get(kind, kind)
    return [[told if weight is None else f"{weight:.3g} × {told}", *bounds] for weight in weights]


def _reconstruction(options: Mapping[str, Any]) -> list[str]:
    """The reconstruction loss, and what of it is an option."""
    told = ["reconstruction"]
    if reduction := options.get("reduction"):
        told.append(f"{reduction} over the hole")
    if (discount := options.get("discount")) is not None:
        told.append(f"× {discount:g} a pixel inward")
    if options.get("edge"):
        told.append("more at the edge")
    return told


def _pictures(frames: Frames, variant: str, output: str) -> dict[str, Picture]:
    """The variant's first stored image: `truth`, `masked` and `repaired`; empty where one of them is missing."""
    pictures = frames.pictures[frames.pictures["variant"] == variant]
    for _, own in pictures.groupby(["run", "image"], sort=False, observed=True):
        found = dict(zip(own["output"], own["pixels"], strict=True))
        if {"truth", "masked", output} <= set(found) and (found["truth"] != found["masked"]).any():
            return {"truth": found["truth"], "masked": found["masked"], "repaired": found[output]}
    return {}


class _Sheet:
    """Figure 3: columns from left to right, rows of critics, all in points.

    `pictures`: as `_pictures` finds them. `side`: the image's, px. `raw`: the critics see the prediction as it is.
    """

    thumb = 58.0
    view = 44.0
    row = 70.0
    box = 58.0
    edge = 6.0

    def __init__(self, pictures: dict[str, Picture], side: int, raw: bool) -> None:
        self.pictures = pictures
        self.side = side
        self.raw = raw
        hole = (pictures["truth"] != pictures["masked"]).any(axis=2) if pictures else np.zeros((4, 4), dtype=bool)
        if not pictures:
            hole[1:3, 1:3] = True
        self.hole = hole

    def draw(
        self,
        name: str,
        built: Mapping[str, Any],
        critics: Sequence[Mapping[str, Any]],
        losses: list[list[str]],
        reconstruction: list[str],
    ) -> Figure:
        """The figure; `losses`: each critic's, in lines; `reconstruction`: the other one's."""
        # columns: masked image, generator, repaired image, and with critics their views, themselves; the losses
        given, works = self.edge, self.edge + self.thumb + 14
        makes = works + 116 + 16
        bus = makes + self.thumb + 11
        looks = bus + 13
        judges = looks + self.view + 12
        tells = judges + 202 + 14 if critics else looks
        width = max(tells + 92 + self.edge, 440)
        room = max(self.row * len(critics) + (44 if critics else 0), 2 * self.thumb + 48)
        legend = _lines_of([*_colours(layer for one in (built, *critics) for layer in one["layers"])], width)
        height = room + 58 + 12 * len(legend)
        top = height - 46
        self.figure, self.axes = _sheet(width, height)

        _legend(self.axes, legend)
        _text(self.axes, self.edge, height - 13, self._named(name, critics, width), 9, ha="left")
        headings = [
            (works + 58, "generator"),
            (tells + 46, "generator's loss, a sum" if critics else "generator's loss"),
        ]
        if critics:
            headings += [(looks + self.view / 2, "view"), (judges + 101, "critic")]
        for x, heading in headings:
            _text(self.axes, x, top + 12, heading, PLAIN, color=style.MUTED)

        middle = top - room / 2
        upper, lower = middle + self.thumb / 2 + 9, middle - self.thumb / 2 - 9
        told = (_inputs(built["layers"][0]) or 0) > 3  # of the mask, besides the masked image
        self._thumb("masked", given, upper if told else middle, "masked image")
        if told:
            self._thumb("mask", given, lower, "mask")
        self._thumb("repaired", makes, upper, "prediction" if self.raw else "repaired image")
        self._thumb("truth", makes, lower, "real image")
        self._generator(built, works, middle)
        for y in (upper, lower) if told else (middle,):
            self._arrow(given + self.thumb, works, y)
        self._arrow(works + 116, makes, upper)

        ys = [top - self.row * (place + 0.5) for place in range(len(critics))]
        last = ys[-1] - self.row / 2 - 22 if ys else middle
        reach = [*ys, last, upper, lower]
        _line(self.axes, [(bus, max(reach)), (bus, min(reach))], style.INK, 0.9)
        for y in (upper, lower):
            _line(self.axes, [(makes + self.thumb + 1, y), (bus, y)], style.INK, 0.9)
        for y, critic, loss in zip(ys, critics, losses, strict=True):
            margin = (self.view - self._views(_views(critic, self.side), looks, y)) / 2
            _line(self.axes, [(bus, y), (looks + margin, y)], style.INK, 0.9)
            self._arrow(looks + self.view - margin, judges, y)
            self._critic(critic, judges, y)
            self._arrow(judges + 202, tells, y)
            self._loss(loss, tells, y)
        self._arrow(bus, tells, last)
        self._loss(reconstruction, tells, last)
        for above, below in pairwise([*ys, last]):
            _text(self.axes, tells + 46, (above + below) / 2, "+", 9)
        return self.figure

    def _named(self, name: str, critics: Sequence[Mapping[str, Any]], width: float) -> str:
        count = f"{len(critics)} critic{'s' * (len(critics) != 1)}" if critics else "no critic"
        return _title(name, count, self.side, width)

    def _generator(self, built: Mapping[str, Any], x: float, middle: float) -> None:
        high = 2 * self.thumb + 30
        self._box(x, middle - high / 2, 116, high)
        layers, parameters, field = _totals(built).split(", ", 2)
        _tower(self.axes, built["layers"], self.side, x + 8, middle + 18, 100, 66)
        for place, told in enumerate((layers, parameters, field)):
            _text(self.axes, x + 58, middle - high / 2 + 39 - 12 * place, _fitted(told, 112, PLAIN), PLAIN)

    def _critic(self, critic: Mapping[str, Any], x: float, middle: float) -> None:
        self._box(x, middle - self.box / 2, 202, self.box)
        _tower(self.axes, critic["layers"], self.side, x + 6, middle, 50, 44)
        layers, parameters, field = _totals(critic).split(", ", 2)
        name = f"{critic['name']} ({critic['paper']})" if critic.get("paper") else str(critic["name"])
        views = [view.told(self.side) for view in _views(critic, self.side)]
        lines = [name, *views, f"{layers}, {parameters}", field]
        pace = min(13.0, 44 / (len(lines) - 1))
        for place, told in enumerate(lines):
            size = PLAIN if place else 8.0
            y = middle + pace * ((len(lines) - 1) / 2 - place)
            _text(self.axes, x + 62, y, _fitted(told, 136, size), size, ha="left")

    def _loss(self, lines: list[str], x: float, middle: float) -> None:
        high = 12 + 10.5 * len(lines)
        self._box(x, middle - high / 2, 92, high, style.LEVELS[4])
        for place, told in enumerate(lines):
            y = middle + 10.5 * ((len(lines) - 1) / 2 - place)
            _text(self.axes, x + 46, y, _fitted(told, 88, PLAIN), PLAIN)

    def _views(self, views: list[_View], x: float, middle: float) -> float:
        """What a critic sees of the repaired image, to scale; several share the room. How wide they are."""
        gap = 4.0 * (len(views) - 1)
        scale = self.view / max(self.side, sum(view.side for view in views))
        up = middle + (scale * sum(view.side for view in views) + gap) / 2
        for view in views:
            side = scale * view.side
            self._picture("repaired", view, x + (self.view - side) / 2, up - side, side)
            up -= side + 4
        return scale * max(view.side for view in views)

    def _thumb(self, which: str, x: float, middle: float, told: str) -> None:
        self._picture(which, _View(self.side, "image"), x, middle - self.thumb / 2, self.thumb)
        _text(self.axes, x + self.thumb / 2, middle - self.thumb / 2 - 6, told, PLAIN)

    def _picture(self, which: str, view: _View, x: float, y: float, side: float) -> None:
        """A picture, or without one a square in which the hole is another; framed."""
        pixels = self._seen(which, view)
        if pixels is not None:
            self.axes.imshow(
                pixels, extent=(x, x + side, y, y + side), interpolation="nearest", aspect="auto", zorder=2
            )
        frame: dict[str, Any] = {"linewidth": 0.7, "edgecolor": style.INK, "zorder": 3}
        fills: dict[str, Any] = {"masked": "none", "mask": style.INK, "repaired": (style.LEVELS[0], 0.45)}
        window = view.kind == "window"
        plain = "none" if which == "mask" or self.pictures else fills[which] if window else (style.MUTED, 0.2)
        self.axes.add_patch(Rectangle((x, y), side, side, facecolor=plain, **frame))
        if pixels is None and not window and which != "truth":
            frame |= {"facecolor": fills[which], "linestyle": "--" if which == "masked" else "-"}
            self.axes.add_patch(Rectangle((x + side / 4, y + side / 4), side / 2, side / 2, **frame))

    def _seen(self, which: str, view: _View) -> Picture | None:
        """The pixels of a picture in a view, `(h, w, 3)`; None without pictures."""
        if not self.pictures:
            return None
        if which == "mask":
            return np.repeat(255 * self.hole[:, :, None].astype(np.uint8), 3, axis=2)
        pixels = self.pictures[which]
        whole = len(pixels)
        side = max(whole * view.side // self.side, 1)
        if view.kind == "window":
            rows, columns = (np.flatnonzero(self.hole.any(axis)) for axis in (1, 0))
            top, left = (int(np.clip((a[0] + a[-1] + 1 - side) // 2, 0, whole - side)) for a in (rows, columns))
            return pixels[top : top + side, left : left + side]
        if view.kind == "smaller" and whole % side == 0:
            factor = whole // side
            return pixels.reshape(side, factor, side, factor, 3).mean(axis=(1, 3)).round().astype(np.uint8)
        return pixels

    def _box(self, x: float, y: float, wide: float, high: float, shade: str = style.MUTED) -> None:
        look: dict[str, Any] = {"facecolor": (shade, 0.12), "edgecolor": shade, "linewidth": 0.8}
        self.axes.add_patch(FancyBboxPatch((x + 3, y + 3), wide - 6, high - 6, boxstyle="round,pad=3", **look))

    def _arrow(self, start: float, stop: float, y: float) -> None:
        _line(self.axes, [(start, y), (stop - 3, y)], style.INK, 0.9)
        tip = [(stop - 1, y), (stop - 6, y + 2.2), (stop - 6, y - 2.2)]
        self.axes.add_patch(Polygon(tip, closed=True, color=style.INK, lw=0))


def _tower(axes: Axes, layers: Sequence[Layer], side: int, x: float, middle: float, wide: float, high: float) -> None:
    """A network's layers as flat blocks, heights by the root of the maps' side, as in `generator`."""
    pitch = min(wide / len(layers), 9.0)
    start = x + (wide - pitch * len(layers)) / 2
    size = side
    for place, layer in enumerate(layers):
        size = layer["size"] or (size if layer["kind"] == "attention" else 1)
        tall = max(high * min((size / side) ** 0.5, 1), 3)
        shade = _look(layer["kind"])[0]
        look: dict[str, Any] = {"facecolor": (shade, 0.45), "edgecolor": shade, "linewidth": 0.6, "label": "layer"}
        axes.add_patch(Rectangle((start + pitch * place, middle - tall / 2), 0.72 * pitch, tall, **look))


# -- drawing ----------------------------------------------------------------------------------------------------------


def _sheet(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of that many points, and axes all over it whose unit is the point."""
    drawn = style.figure(width / 72, height / 72)
    drawn.set_layout_engine("none")  # all is placed by hand
    axes = drawn.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set(xlim=(0, width), ylim=(0, height), autoscale_on=False)
    axes.set_axis_off()
    return drawn, axes


def _text(
    axes: Axes, x: float, y: float, told: str, size: float, *, ha: str = "center", color: str = style.INK
) -> None:
    if told:
        axes.text(x, y, told, fontsize=size, ha=ha, va="center", color=color)


def _line(axes: Axes, points: list[tuple[float, float]], shade: str = style.MUTED, lw: float = 0.7) -> None:
    xs, ys = zip(*points, strict=True)
    axes.plot(xs, ys, color=shade, lw=lw, solid_capstyle="butt", solid_joinstyle="miter", zorder=1)


def _wide(told: str, size: float) -> float:
    """How wide a text is, in points, with some room for how a screen or another typeface rounds it."""
    if not told.strip():
        return 0.0
    return 1.06 * float(TextPath((0, 0), told, size=size, prop=FontProperties()).get_extents().width)


def _fitted(told: str, width: float, size: float) -> str:
    """A text in one line of at most `width` points; "…" ends what is cut."""
    told = " ".join(told.split())
    if _wide(told, size) <= width:
        return told
    most = bisect_right(range(len(told)), width, key=lambda signs: _wide(f"{told[:signs]}…", size))
    return f"{told[: max(most - 1, 0)].rstrip()}…"
