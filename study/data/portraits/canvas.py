"""Flat shapes with antialiased edges, painted onto a pixel grid of any size.

A shape is a signed distance: negative inside, in the units of its frame. Edges are one pixel wide at every size. The
pixels use + - * / sqrt min max alone, which IEEE 754 rounds exactly, so the bytes are the same on every machine.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]
Colour = NDArray[np.float32]  # (3,), 0..1


class Shape(NamedTuple):
    """A signed distance, and the box (left, top, right, bottom) outside which it is positive."""

    distance: Callable[[Plane, Plane], Plane]
    box: tuple[float, float, float, float] = (-math.inf, -math.inf, math.inf, math.inf)

    def __and__(self, other: "Shape") -> "Shape":
        a, b = self.box, other.box
        box = (max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]))
        return Shape(lambda u, v: np.maximum(self.distance(u, v), other.distance(u, v)), box)

    def __or__(self, other: "Shape") -> "Shape":
        a, b = self.box, other.box
        box = (min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3]))
        return Shape(lambda u, v: np.minimum(self.distance(u, v), other.distance(u, v)), box)

    def __sub__(self, other: "Shape") -> "Shape":
        return Shape(lambda u, v: np.maximum(self.distance(u, v), -other.distance(u, v)), self.box)

    def outline(self, width: float) -> "Shape":
        """The band of this width along the edge, half of it on either side."""
        left, top, right, bottom = self.box
        box = (left - width / 2, top - width / 2, right + width / 2, bottom + width / 2)
        return Shape(lambda u, v: np.abs(self.distance(u, v)) - np.float32(width / 2), box)


def ellipse(x: float, y: float, rx: float, ry: float) -> Shape:
    """An ellipse around (x, y). Its distance is a first-order approximation at the edge."""

    def distance(u: Plane, v: Plane) -> Plane:
        p, q = (u - x) / rx, (v - y) / ry
        gradient = 2 * np.sqrt((p / rx) ** 2 + (q / ry) ** 2)
        signed: Plane = (p**2 + q**2 - 1) / np.maximum(gradient, np.float32(1e-6))
        return signed

    return Shape(distance, (x - rx, y - ry, x + rx, y + ry))


def box(x: float, y: float, rx: float, ry: float, round_: float = 0.0) -> Shape:
    """A rectangle around (x, y) with half-sides rx and ry, and corners of radius ``round_``."""

    def distance(u: Plane, v: Plane) -> Plane:
        p, q = np.abs(u - x) - (rx - round_), np.abs(v - y) - (ry - round_)
        outside = np.sqrt(np.maximum(p, 0) ** 2 + np.maximum(q, 0) ** 2)
        signed: Plane = outside + np.minimum(np.maximum(p, q), 0) - round_
        return signed

    return Shape(distance, (x - rx, y - ry, x + rx, y + ry))


def arc(x: float, y: float, half: float, width: float, bend: float) -> Shape:
    """A stroke around (x, y), ``half`` long to either side, whose ends are lower by ``bend``."""

    def distance(u: Plane, v: Plane) -> Plane:
        along = np.abs(u - x)
        p = np.maximum(along - half, 0)
        q = v - y - bend * (np.minimum(along, half) / half) ** 2
        signed: Plane = np.sqrt(p**2 + q**2) - width / 2
        return signed

    top, bottom = min(0.0, bend) - width / 2, max(0.0, bend) + width / 2
    return Shape(distance, (x - half - width / 2, y + top, x + half + width / 2, y + bottom))


def half_plane(x: float, y: float, angle: float) -> Shape:
    """The half plane behind (x, y), seen in direction ``angle`` (0 is right, a quarter turn is down)."""
    c, s = math.cos(angle), math.sin(angle)
    return Shape(lambda u, v: (u - x) * c + (v - y) * s)


class Frame(NamedTuple):
    """Local coordinates: origin, angle in radians, scale. The image spans -1..1 on both axes, y points down."""

    x: float = 0.0
    y: float = 0.0
    angle: float = 0.0
    scale: float = 1.0


class Canvas:
    """An image being painted: ``pixels`` is float32 (size, size, 3), 0..1."""

    def __init__(self, size: int, colour: Colour) -> None:
        self.pixels = np.empty((size, size, 3), np.float32)
        self.pixels[:] = colour
        self._size = size
        self._axis = ((np.arange(size) + 0.5) * 2 / size - 1).astype(np.float32)

    def paint(self, frame: Frame, shape: Shape, colour: Colour, opacity: float = 1.0, soft: float = 0.0) -> None:
        """Paints ``shape``, in the coordinates of ``frame``. ``soft`` widens its edge, in units of ``frame``."""
        edge = 2 / (self._size * frame.scale) + soft
        rows, columns = self._window(frame, shape, edge)
        target = self.pixels[rows, columns]
        if not target.size:
            return
        c, s = math.cos(frame.angle) / frame.scale, math.sin(frame.angle) / frame.scale
        x, y = self._axis[columns] - frame.x, (self._axis[rows] - frame.y)[:, None]
        distance = shape.distance(x * c + y * s, y * c - x * s)
        cover = np.maximum(np.minimum(distance * (-1 / edge) + 0.5, 1), 0)
        if opacity < 1:
            cover *= opacity
        target += cover[..., None] * (colour - target)

    def _window(self, frame: Frame, shape: Shape, edge: float) -> tuple[slice, slice]:
        """The rows and columns that ``shape`` can touch."""
        left, top, right, bottom = shape.box
        if not all(map(math.isfinite, shape.box)):
            return slice(None), slice(None)
        c, s = math.cos(frame.angle) * frame.scale, math.sin(frame.angle) * frame.scale
        middle_u, middle_v = (left + right) / 2, (top + bottom) / 2
        reach_u, reach_v = (right - left + edge) / 2, (bottom - top + edge) / 2
        x, reach_x = frame.x + middle_u * c - middle_v * s, reach_u * abs(c) + reach_v * abs(s)
        y, reach_y = frame.y + middle_u * s + middle_v * c, reach_u * abs(s) + reach_v * abs(c)
        return self._span(y, reach_y), self._span(x, reach_x)

    def _span(self, middle: float, reach: float) -> slice:
        first = math.floor((middle - reach + 1) * self._size / 2)
        last = math.ceil((middle + reach + 1) * self._size / 2)
        return slice(max(first, 0), max(last, 0))

    def finish(self) -> NDArray[np.uint8]:
        """The image, uint8 (size, size, 3)."""
        return (np.maximum(np.minimum(self.pixels, 1), 0) * 255 + 0.5).astype(np.uint8)
