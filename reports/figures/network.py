"""Draws all networks and their losses, as in Figures 2 and 3: what each critic sees, and the loss it gives."""

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
"""``(H, W, 3)``."""


def network(frames: Frames, variant: str | None = None) -> Figure:
    """All networks of a variant (default: the study's reference), from the masked image to the losses.

    The generator repairs the masked image, and reads the mask if it has inputs for it. Each critic looks at its view of
    repaired and real images; its loss is at the right, with its weight, and the reconstruction loss is below. Small
    blocks are layers, as in ``generator``. Receptive fields are in pixels of the image; only layers with weights count.
    A critic's view follows from its first layers. The pictures are the variant's first stored ones, or plain squares if
    none is stored. Raises NoDataError if no network is recorded.
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
    """What a critic looks at: a window of the image, the whole image or a smaller copy; ``side`` in pixels."""

    side: int
    kind: Literal["window", "image", "smaller"]

    def described(self, whole: int) -> str:
        """The view as text; ``whole`` is the image's side in pixels."""
        if self.kind == "smaller":
            return f"image at 1/{whole // self.side}, {self.side} px"
        return f"{'window of the hole' if self.kind == 'window' else 'whole image'}, {self.side} px"


def _views(critic: Mapping[str, Any], side: int) -> list[_View]:
    """What a critic looks at, found from the layers that read the image: they see no more than their own kernel.

    Pooling layers that come first shrink the image. Any other input smaller than the image is a window of it.
    """
    layers = critic["layers"]
    starts = [place for place, layer in enumerate(layers) if place == 0 or _begins(layer)]
    views = []
    for start, stop in pairwise([*starts, len(layers)]):
        first = layers[start]
        enters = round(first["size"] * first["stride"]) if first["size"] and first["stride"] else side
        seen = enters
        for layer in layers[start:stop]:
            if layer["kind"] != "pool":
                break
            seen = layer["size"]
        views.append(_View(seen, "smaller" if seen < enters else "window" if seen < side else "image"))
    return views


def _begins(layer: Layer) -> bool:
    """Returns True if the layer reads the image directly: its receptive field is that of its own kernel."""
    kernel = layer["kernel"]
    return bool(kernel) and sees_of(layer) == (kernel - 1) * (layer["dilation"] or 1) + 1


def _adversarial(options: Mapping[str, Any], names: list[str]) -> list[list[str]]:
    """The lines of text for each critic's loss: its weight and kind, and what bounds the critic."""
    recipe = options.get("loss") or {}
    recipe = recipe if isinstance(recipe, Mapping) else {"kind": recipe}
    kind = str(recipe.get("kind") or "adversarial loss")
    words = {"clip": "clipped at ±{:g}", "penalty": "gradient penalty {:g}"}
    bounds = [text.format(recipe[key]) for key, text in words.items() if recipe.get(key) is not None]
    own = options.get("weights") or {}
    weights: list[Any] = [own.get(name, options.get("weight")) for name in names]
    if (total := options.get("total_weight")) is not None and None not in weights:
        weights = [total * weight / sum(weights) for weight in weights]
    loss = LOSSES.get(kind, kind)
    return [[loss if weight is None else f"{weight:.3g} × {loss}", *bounds] for weight in weights]


def _reconstruction(options: Mapping[str, Any]) -> list[str]:
    """The lines of text for the reconstruction loss and its options."""
    lines = ["reconstruction"]
    if reduction := options.get("reduction"):
        lines.append(f"{reduction} over the hole")
    if (discount := options.get("discount")) is not None:
        lines.append(f"× {discount:g} a pixel inward")
    if options.get("edge"):
        lines.append("more at the edge")
    return lines


def _pictures(frames: Frames, variant: str, output: str) -> dict[str, Picture]:
    """The variant's first stored image as "truth", "masked" and "repaired"; empty if no image has all three."""
    pictures = frames.pictures[frames.pictures["variant"] == variant]
    for _, own in pictures.groupby(["run", "image"], sort=False, observed=True):
        stored = dict(zip(own["output"], own["pixels"], strict=True))
        if {"truth", "masked", output} <= set(stored) and (stored["truth"] != stored["masked"]).any():
            return {"truth": stored["truth"], "masked": stored["masked"], "repaired": stored[output]}
    return {}


class _Sheet:
    """The drawing: columns from left to right, one row per critic; lengths in points.

    Args:
        pictures: From ``_pictures``.
        side: The image's side, in pixels.
        raw: The critics see the prediction itself, not the composite.
    """

    thumb = 44.0
    built = 88.0
    view = 34.0
    critic = 138.0
    loss = 82.0
    row = 58.0
    box = 50.0
    edge = 4.0

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
        """Draws the figure. ``losses`` holds each critic's lines of text, ``reconstruction`` those of its loss."""
        # the x positions of the columns
        masked, generator = self.edge, self.edge + self.thumb + 9
        repaired = generator + self.built + 8
        bus = repaired + self.thumb + 5
        views = bus + 5
        judges = views + self.view + 8
        sums = judges + self.critic + 7 if critics else views + 6
        width = max(sums + self.loss + self.edge, 400)
        room = max(self.row * len(critics) + (44 if critics else 0), 2 * self.thumb + 48)
        legend = lines_of([*colours_of(layer for one in (built, *critics) for layer in one["layers"])], width)
        height = room + 58 + 12 * len(legend)
        top = height - 46
        self.figure, self.axes = sheet_of(width, height)

        draw_legend(self.axes, legend)
        count = f"{len(critics)} critic{'s' * (len(critics) != 1)}" if critics else "no critic"
        written(self.axes, self.edge, height - 13, title_of(name, count, self.side, width), 8, ha="left")
        headings = [
            (generator + self.built / 2, "generator"),
            (sums + self.loss / 2, "loss, a sum" if critics else "loss"),
        ]
        if critics:
            headings += [(views + self.view / 2, "view"), (judges + self.critic / 2, "critic")]
        for x, heading in headings:
            written(self.axes, x, top + 12, heading, PLAIN, color=style.MUTED)

        middle = top - room / 2
        upper, lower = middle + self.thumb / 2 + 9, middle - self.thumb / 2 - 9
        reads_mask = (inputs_of(built["layers"][0]) or 0) > 3
        self._thumb("masked", masked, upper if reads_mask else middle, "masked")
        if reads_mask:
            self._thumb("mask", masked, lower, "mask")
        self._thumb("repaired", repaired, upper, "prediction" if self.raw else "repaired")
        self._thumb("truth", repaired, lower, "real")
        self._generator(built, generator, middle)
        for y in (upper, lower) if reads_mask else (middle,):
            self._arrow(masked + self.thumb, generator, y)
        self._arrow(generator + self.built, repaired, upper)

        ys = [top - self.row * (place + 0.5) for place in range(len(critics))]
        last = ys[-1] - self.row / 2 - 22 if ys else middle
        reach = [*ys, last, upper, lower]
        polyline(self.axes, [(bus, max(reach)), (bus, min(reach))], style.INK, 0.9)
        for y in (upper, lower):
            polyline(self.axes, [(repaired + self.thumb + 1, y), (bus, y)], style.INK, 0.9)
        for y, critic, loss in zip(ys, critics, losses, strict=True):
            margin = (self.view - self._views(_views(critic, self.side), views, y)) / 2
            polyline(self.axes, [(bus, y), (views + margin, y)], style.INK, 0.9)
            self._arrow(views + self.view - margin, judges, y)
            self._critic(critic, judges, y)
            self._arrow(judges + self.critic, sums, y)
            self._loss(loss, sums, y)
        self._arrow(bus, sums, last)
        self._loss(reconstruction, sums, last)
        for above, below in pairwise([*ys, last]):
            written(self.axes, sums + self.loss / 2, (above + below) / 2, "+", 9)
        return self.figure

    def _generator(self, built: Mapping[str, Any], x: float, middle: float) -> None:
        high = 2 * self.thumb + 30
        self._box(x, middle - high / 2, self.built, high)
        layers, parameters, field = totals_of(built).split(", ", 2)
        _tower(self.axes, built["layers"], self.side, x + 6, middle + 12, self.built - 12, 56)
        foot = middle - high / 2
        for y, text in ((foot + 20, layers), (foot + 9, parameters), (foot - 8, field)):
            written(self.axes, x + self.built / 2, y, fitted(text, self.built + 26, PLAIN), PLAIN)

    def _critic(self, critic: Mapping[str, Any], x: float, middle: float) -> None:
        self._box(x, middle - self.box / 2, self.critic, self.box)
        _tower(self.axes, critic["layers"], self.side, x + 3, middle, 28, 38)
        layers, parameters, field = totals_of(critic).split(", ", 2)
        name = f"{critic['name']} ({critic['paper']})" if critic.get("paper") else str(critic["name"])
        views = [view.described(self.side) for view in _views(critic, self.side)]
        lines = [f"{name}, {layers}", *views, parameters, field]
        step = min(11.0, 38 / (len(lines) - 1))
        for place, text in enumerate(lines):
            y = middle + step * ((len(lines) - 1) / 2 - place)
            written(self.axes, x + 34, y, fitted(text, self.critic - 35, PLAIN), PLAIN, ha="left")

    def _loss(self, lines: list[str], x: float, middle: float) -> None:
        high = 12 + 10.5 * len(lines)
        self._box(x, middle - high / 2, self.loss, high, style.LEVELS[1])
        for place, text in enumerate(lines):
            y = middle + 10.5 * ((len(lines) - 1) / 2 - place)
            written(self.axes, x + self.loss / 2, y, fitted(text, self.loss - 2, PLAIN), PLAIN)

    def _views(self, views: list[_View], x: float, middle: float) -> float:
        """Draws a critic's views of the repaired image to scale, one below the other. Returns their maximum width."""
        gap = 4.0 * (len(views) - 1)
        scale = self.view / max(self.side, sum(view.side for view in views))
        up = middle + (scale * sum(view.side for view in views) + gap) / 2
        for view in views:
            side = scale * view.side
            self._picture("repaired", view, x + (self.view - side) / 2, up - side, side)
            up -= side + 4
        return scale * max(view.side for view in views)

    def _thumb(self, which: str, x: float, middle: float, text: str) -> None:
        self._picture(which, _View(self.side, "image"), x, middle - self.thumb / 2, self.thumb)
        written(self.axes, x + self.thumb / 2, middle - self.thumb / 2 - 6, text, PLAIN)

    def _picture(self, which: str, view: _View, x: float, y: float, side: float) -> None:
        """Draws a picture with a frame; if none is stored, a square with a smaller one for the hole."""
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
        """The pixels of a picture in a view, ``(h, w, 3)``; None if no picture is stored."""
        if not self.pictures:
            return None
        if which == "mask":
            return np.where(self.hole[:, :, None], np.uint8(255), np.zeros(3, np.uint8))
        pixels: Picture = self.pictures[which]
        whole = len(pixels)
        side = max(whole * view.side // self.side, 1)
        if view.kind == "window":
            rows, columns = (np.flatnonzero(self.hole.any(axis)) for axis in (1, 0))
            top, left = (int(np.clip((a[0] + a[-1] + 1 - side) // 2, 0, whole - side)) for a in (rows, columns))
            return pixels[top : top + side, left : left + side]
        if view.kind == "smaller" and whole % side == 0:
            factor = whole // side
            shrunk: Picture = pixels.reshape(side, factor, side, factor, 3).mean(axis=(1, 3)).round().astype(np.uint8)
            return shrunk
        return pixels

    def _box(self, x: float, y: float, wide: float, high: float, shade: str = style.MUTED) -> None:
        look: dict[str, Any] = {"facecolor": (shade, 0.12), "edgecolor": shade, "linewidth": 0.8}
        self.axes.add_patch(FancyBboxPatch((x + 3, y + 3), wide - 6, high - 6, boxstyle="round,pad=3", **look))

    def _arrow(self, start: float, stop: float, y: float) -> None:
        polyline(self.axes, [(start, y), (stop - 3, y)], style.INK, 0.9)
        tip = [(stop - 1, y), (stop - 6, y + 2.2), (stop - 6, y - 2.2)]
        self.axes.add_patch(Polygon(tip, closed=True, color=style.INK, lw=0))


def _tower(axes: Axes, layers: Sequence[Layer], side: int, x: float, middle: float, wide: float, high: float) -> None:
    """Draws a network's layers as flat blocks; a height is the square root of the maps' side, as in ``generator``."""
    pitch = min(wide / len(layers), 9.0)
    start = x + (wide - pitch * len(layers)) / 2
    size = side
    for place, layer in enumerate(layers):
        size = layer["size"] or (size if layer["kind"] == "attention" else 1)
        tall = max(high * min((size / side) ** 0.5, 1), 3)
        shade = look_of(layer["kind"])[0]
        look: dict[str, Any] = {"facecolor": (shade, 0.45), "edgecolor": shade, "linewidth": 0.6, "label": "layer"}
        axes.add_patch(Rectangle((start + pitch * place, middle - tall / 2), 0.72 * pitch, tall, **look))
