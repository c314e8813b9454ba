"""The kinds of holes (READING R22): the central square, random boxes, free-form strokes, masks from files.

A kind is a set of options that draws holes from a random generator: the same generator gives the same holes. Holes are
``(count, side, side)`` booleans, true in the hole.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Discriminator, Field, ModelWrapValidatorHandler, SerializeAsAny, Tag, model_validator

from models.masking import center_box
from models.options import Options, Positive, Share

Holes = NDArray[np.bool_]
Points = NDArray[np.float64]
Count = Annotated[int, Field(ge=1, le=64)]
CLOSE = 1e-6
"""Pixels this close to the edge of a stroke are decided by their distance, px. It is far more than rounding errors."""


class Center(Options):
    """The paper's hole: the central square of half the side."""

    version: ClassVar[int] = 1
    kind: Literal["center"] = "center"

    def draw(self, rng: np.random.Generator, count: int, side: int) -> Holes:
        """Returns the same read-only array every time."""
        return _central(count, side)


class RandomBox(Options):
    """One box per image at a random place. Its sides are random between ``smallest`` and ``largest`` of the image's."""

    version: ClassVar[int] = 2
    kind: Literal["random_box"] = "random_box"
    smallest: Annotated[Share, Field(gt=0)] = 0.25
    largest: Annotated[float, Field(gt=0, lt=1)] = 0.5

    @model_validator(mode="after")
    def _in_order(self) -> RandomBox:
        if self.smallest > self.largest:
            raise ValueError(f"smallest: {self.smallest:g} is more than largest, {self.largest:g}")
        return self

    def draw(self, rng: np.random.Generator, count: int, side: int) -> Holes:
        """Draws boxes like GLCIC (Iizuka 2017, section 3.3), by default of 1/4 to 1/2 of the side."""
        least, most = max(1, round(self.smallest * side)), max(1, round(self.largest * side))
        holes = np.zeros((count, side, side), bool)
        for hole in holes:
            height, width = rng.integers(least, most, size=2, endpoint=True)
            top, left = rng.integers(0, [side - height, side - width], endpoint=True)
            hole[top : top + height, left : left + width] = True
        return holes


class FreeForm(Options):
    """Brush strokes that turn at random, as in later work (Yu 2019, appendix). All lengths are shares of the side.

    Strokes are added until the hole covers ``smallest`` of the image. One that would exceed ``largest`` is skipped.
    """

    version: ClassVar[int] = 1
    kind: Literal["free_form"] = "free_form"
    smallest: Annotated[float, Field(ge=0.05, lt=1)] = 0.15
    largest: Annotated[float, Field(gt=0, lt=1)] = 0.35
    turns: Count = 6
    length: Positive = 0.25
    brush: Annotated[float, Field(gt=0, le=0.25)] = 0.08

    @model_validator(mode="after")
    def _room_for_a_stroke(self) -> FreeForm:
        if round(self.largest - self.smallest, 6) < 0.1:
            raise ValueError(
                f"largest: {self.largest:g} is too near smallest, {self.smallest:g}; keep 0.1 between them"
            )
        return self

    def draw(self, rng: np.random.Generator, count: int, side: int) -> Holes:
        """Draws holes one by one."""
        return np.stack([self._hole(rng, side) for _ in range(count)])

    def _hole(self, rng: np.random.Generator, side: int) -> Holes:
        hole = np.zeros((side, side), bool)
        covered, turns = 0, self.turns
        while covered / hole.size < self.smallest:
            place, stroke = _stroke(self._corners(rng, side, turns), max(self.brush * side / 2, 0.5), side)
            joined = covered + int(np.count_nonzero(stroke > hole[place]))
            if joined / hole.size <= self.largest:
                hole[place] |= stroke
                covered = joined
            else:
                turns = max(turns - 1, 0)  # shorter each time, down to a single brush mark
        return hole

    def _corners(self, rng: np.random.Generator, side: int, turns: int) -> Points:
        """The corners of a line inside the image, with at most ``turns`` turns."""
        row, column = rng.uniform(0, side - 1, size=2).tolist()
        corners = [(row, column)]
        for _ in range(int(rng.integers(0, turns, endpoint=True))):
            angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(0, self.length * side)
            row = min(max(row + length * np.sin(angle), 0.0), side - 1.0)
            column = min(max(column + length * np.cos(angle), 0.0), side - 1.0)
            corners.append((row, column))
        return np.array(corners)


class Files(Options):
    """Masks from files below ``root``: a folder, a zip or a tar. ``study.data.holes`` packs and draws them.

    ``hole``: which of a file's two values is the hole.
    ``pairing``: which mask an image gets. 'by_name': the one of its name; 'drawn': any, uniformly at random; 'cycled':
    the masks in the order of their names, again and again. By default by name where all images have a mask of their
    name, otherwise drawn.
    ``resize``: 'nearest' takes masks of another size than the images', resized to the nearest neighbour.
    """

    version: ClassVar[int] = 1
    kind: Literal["files"] = "files"
    root: str
    hole: Literal["white", "black"]
    pairing: Literal["by_name", "drawn", "cycled"] | None = None
    resize: Literal["nearest"] | None = None


MASKS: dict[str, type[Options]] = {"center": Center, "random_box": RandomBox, "free_form": FreeForm, "files": Files}
_OURS = frozenset(MASKS)


class PluginMask(Options):
    """Base of a kind that a plugin adds to ``MASKS``: options with their own ``kind`` and ``draw``."""

    version: ClassVar[int] = 1
    registry: ClassVar[dict[str, type[Options]]] = MASKS
    kind: str

    def draw(self, rng: np.random.Generator, count: int, side: int) -> Holes:
        """Draws holes, ``(count, side, side)``. Each has hole pixels and known pixels."""
        raise AssertionError(f"{type(self).__name__} does not say how it draws")

    @model_validator(mode="wrap")
    @classmethod
    def _as_its_kind(cls, value: Any, handler: ModelWrapValidatorHandler[Any]) -> Any:
        return handler(value) if cls is not PluginMask else MASKS[value["kind"]].model_validate(value)


def _tag(value: Any) -> str | None:
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    if not isinstance(kind, str):
        return None
    return "plugin" if kind in MASKS and kind not in _OURS else kind


Mask = SerializeAsAny[
    Annotated[
        Annotated[Center, Tag("center")]
        | Annotated[RandomBox, Tag("random_box")]
        | Annotated[FreeForm, Tag("free_form")]
        | Annotated[Files, Tag("files")]
        | Annotated[PluginMask, Tag("plugin")],
        Discriminator(_tag),
    ]
]


@lru_cache(maxsize=4)
def _central(count: int, side: int) -> Holes:
    holes = np.zeros((count, side, side), bool)
    holes[:, *center_box(side).slices] = True
    holes.flags.writeable = False
    return holes


def _stroke(corners: Points, radius: float, side: int) -> tuple[tuple[slice, slice], Holes]:
    """The pixels within ``radius`` of the line through ``corners``: its bounding box in the image, and they in it.

    A row crosses the brush marks of a straight piece in one interval. Pixels within CLOSE of the edge are decided one
    by one, so the result is to the bit as if the distance were computed for every pixel.
    """
    low, high = (corners.min(0) - radius).tolist(), (corners.max(0) + radius).tolist()
    top, edge = (max(math.floor(each), 0) for each in low)
    bottom, end = (min(math.ceil(each), side - 1) + 1 for each in high)
    rows, columns = np.arange(top, bottom, dtype=np.int32), np.arange(edge, end, dtype=np.int32)
    starts, stops = corners, np.concatenate([corners[1:], corners[-1:]])
    radii = np.array([radius - CLOSE, radius + CLOSE])
    left, right = _crossed(starts, stops, radii, rows).clip(-1, side)
    left, right = np.ceil(left).astype(np.int32), np.floor(right).astype(np.int32)
    stroke: Holes = ((columns >= left[0, ..., None]) & (columns <= right[0, ..., None])).any(0)
    for piece, row in np.argwhere((left[0] != left[1]) | (right[0] != right[1])).tolist():
        near = columns[max(left[1, piece, row] - edge, 0) : max(right[1, piece, row] + 1 - edge, 0)]
        stroke[row, near - edge] |= _distance(starts[piece], stops[piece], rows[row], near) <= radius
    return (slice(top, bottom), slice(edge, end)), stroke


def _crossed(starts: Points, stops: Points, radii: NDArray[np.float64], rows: NDArray[np.int32]) -> Points:
    """Where rows cross the brush marks of n straight pieces: left and right ends, (2, radii, n, rows).

    An end belongs to the mark that reaches furthest to its side in that row: one that touches the edge of the piece
    there, or the mark at the piece's start or stop. Where a row crosses none, the left end is inf, the right one -inf.
    """
    down, along = (stops - starts).T[:, :, None]
    down = np.where(np.abs(down) < 1e-9, 1e-9, down)
    below = rows - starts[:, :1]
    radii = radii[:, None, None]
    touching = radii * (along * np.sign(down) / np.hypot(down, along))  # rows below the mark's centre
    share = ((below - np.stack([touching, -touching])) / down).clip(0, 1)
    squared = radii**2 - (below - share * down) ** 2
    reach = np.where(squared < 0, -np.inf, np.sqrt(np.abs(squared)))
    reach[0] *= -1
    ends: Points = starts[:, 1:] + share * along + reach
    return ends


def _distance(
    start: NDArray[np.float64], stop: NDArray[np.float64], row: np.int32, columns: NDArray[np.int32]
) -> NDArray[np.float64]:
    """The distances of a row's pixels to the line from ``start`` to ``stop`` (row, column)."""
    along = stop - start
    below, right = row - start[0], columns - start[1]
    share = ((below * along[0] + right * along[1]) / max(along @ along, 1e-12)).clip(0, 1)
    distances: NDArray[np.float64] = np.hypot(below - share * along[0], right - share * along[1])
    return distances
