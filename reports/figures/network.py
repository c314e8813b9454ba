"""All networks at work, as Figures 2 and 3: what each critic sees, and the losses that come of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Polygon, Rectangle
from numpy.typing import NDArray

from reports.analysis.frames import Frames
from reports.figures import style
from reports.figures.curves import LOSSES
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
    written,
)

Picture = NDArray[np.uint8]
"""`(H, W, 3)`."""


def network(frames: Frames, variant: str | None = None) -> Figure:
    """All networks of a variant (by default of the study's reference) at work, from the masked image to the losses.

    The generator repairs the masked image, told of the mask where it has inputs for that; each critic looks at its view
    of the repaired and of real images; its loss stands at the right with its weight, below them the reconstruction
    loss. Small blocks are layers as in `generator`, receptive fields are in pixels of the image, layers are those with
    weights. What a critic looks at is read from its first layers. The pictures are the variant's first that are stored;
    without any, plain squares stand for them. Raises NoDataError where no network is recorded.
    """
    name, described = description_of(frames, variant)
    built, *critics = described["networks"]
    side = int(described["image_size"])
    config = (frames.study["configs"] or {}).get(name) or {}
    options: Mapping[str, Any] = config.get("options") or {}
    raw = options.get("critic_input") == "raw"
    with style.styled():
        losses = _adversarial(options, [str(critic["name"]) for critic in critics])
        sheet = _Sheet(_pictures(frames, name, "raw" if raw else "composite"), side, raw)
        return sheet.draw(name, built, critics, losses, _reconstruction(options))


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
    return bool(kernel) and sees_of(layer) == (kernel - 1) * (layer["dilation"] or 1) + 1


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
        legend = lines_of([*colours_of(layer for one in (built, *critics) for layer in one["layers"])], width)
        height = room + 58 + 12 * len(legend)
        top = height - 46
        self.figure, self.axes = sheet_of(width, height)

        draw_legend(self.axes, legend)
        written(self.axes, self.edge, height - 13, self._named(name, critics, width), 9, ha="left")
        headings = [
            (works + 58, "generator"),
            (tells + 46, "generator's loss, a sum" if critics else "generator's loss"),
        ]
        if critics:
            headings += [(looks + self.view / 2, "view"), (judges + 101, "critic")]
        for x, heading in headings:
            written(self.axes, x, top + 12, heading, PLAIN, color=style.MUTED)

        middle = top - room / 2
        upper, lower = middle + self.thumb / 2 + 9, middle - self.thumb / 2 - 9
        told = (inputs_of(built["layers"][0]) or 0) > 3  # of the mask, besides the masked image
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
        polyline(self.axes, [(bus, max(reach)), (bus, min(reach))], style.INK, 0.9)
        for y in (upper, lower):
            polyline(self.axes, [(makes + self.thumb + 1, y), (bus, y)], style.INK, 0.9)
        for y, critic, loss in zip(ys, critics, losses, strict=True):
            margin = (self.view - self._views(_views(critic, self.side), looks, y)) / 2
            polyline(self.axes, [(bus, y), (looks + margin, y)], style.INK, 0.9)
            self._arrow(looks + self.view - margin, judges, y)
            self._critic(critic, judges, y)
            self._arrow(judges + 202, tells, y)
            self._loss(loss, tells, y)
        self._arrow(bus, tells, last)
        self._loss(reconstruction, tells, last)
        for above, below in pairwise([*ys, last]):
            written(self.axes, tells + 46, (above + below) / 2, "+", 9)
        return self.figure

    def _named(self, name: str, critics: Sequence[Mapping[str, Any]], width: float) -> str:
        count = f"{len(critics)} critic{'s' * (len(critics) != 1)}" if critics else "no critic"
        return title_of(name, count, self.side, width)

    def _generator(self, built: Mapping[str, Any], x: float, middle: float) -> None:
        high = 2 * self.thumb + 30
        self._box(x, middle - high / 2, 116, high)
        layers, parameters, field = totals_of(built).split(", ", 2)
        _tower(self.axes, built["layers"], self.side, x + 8, middle + 18, 100, 66)
        for place, told in enumerate((layers, parameters, field)):
            written(self.axes, x + 58, middle - high / 2 + 39 - 12 * place, fitted(told, 112, PLAIN), PLAIN)

    def _critic(self, critic: Mapping[str, Any], x: float, middle: float) -> None:
        self._box(x, middle - self.box / 2, 202, self.box)
        _tower(self.axes, critic["layers"], self.side, x + 6, middle, 50, 44)
        layers, parameters, field = totals_of(critic).split(", ", 2)
        name = f"{critic['name']} ({critic['paper']})" if critic.get("paper") else str(critic["name"])
        views = [view.told(self.side) for view in _views(critic, self.side)]
        lines = [name, *views, f"{layers}, {parameters}", field]
        pace = min(13.0, 44 / (len(lines) - 1))
        for place, told in enumerate(lines):
            size = PLAIN if place else 8.0
            y = middle + pace * ((len(lines) - 1) / 2 - place)
            written(self.axes, x + 62, y, fitted(told, 136, size), size, ha="left")

    def _loss(self, lines: list[str], x: float, middle: float) -> None:
        high = 12 + 10.5 * len(lines)
        self._box(x, middle - high / 2, 92, high, style.LEVELS[4])
        for place, told in enumerate(lines):
            y = middle + 10.5 * ((len(lines) - 1) / 2 - place)
            written(self.axes, x + 46, y, fitted(told, 88, PLAIN), PLAIN)

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
        written(self.axes, x + self.thumb / 2, middle - self.thumb / 2 - 6, told, PLAIN)

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
        polyline(self.axes, [(start, y), (stop - 3, y)], style.INK, 0.9)
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
        shade = look_of(layer["kind"])[0]
        look: dict[str, Any] = {"facecolor": (shade, 0.45), "edgecolor": shade, "linewidth": 0.6, "label": "layer"}
        axes.add_patch(Rectangle((start + pitch * place, middle - tall / 2), 0.72 * pitch, tall, **look))
