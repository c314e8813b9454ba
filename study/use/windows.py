"""Repairs images of any size with a model of one size, through square windows around the holes.

A window is two to three times as wide as its hole; in training, twice. It is scaled to the trained side, repaired and
scaled back. Where windows of one hole overlap, their predictions are blended. Only the hole is pasted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from models.blending import blend
from models.host import on_host
from models.masking import Box, bounding_box, center_box, composite, mask_of

LEAST, MOST = 2, 3
"""The width of a window, in lengths of its hole: 2 as in training, 3 if the image has room. 3 repairs better: on
portraits of 256 px with holes of 48 px, the demo's models gain 1.5 dB (proposed) and 3.6 dB (GLCIC)."""

SLENDER = 3
"""A hole longer than this many times its thickness is repaired in pieces. One window for all of it would shrink the
stroke to nothing."""

MULTIPLE = 4
"""Sides of windows are multiples of this, so that a window's central half lies on whole pixels."""

BATCH = 8
"""Windows per batch."""

TOUCHING = np.ones((3, 3), bool)
"""Pixels that touch at sides or corners belong to one hole."""

Repair = Callable[[Tensor, Tensor], Tensor]
"""Predicts images ``(B, 3, side, side)`` in 0..1 from images and masks ``(B, 1, side, side)``."""


@dataclass(frozen=True)
class Window:
    """A square of an image and the numbers of the holes that it repairs. ``box`` may reach beyond the image."""

    box: Box
    holes: frozenset[int]


class _Part(NamedTuple):
    """A hole or a piece of one, and the side of its window."""

    box: Box
    side: int
    holes: frozenset[int]


def inpaint(
    image: Tensor,
    mask: Tensor,
    repair: Repair,
    side: int,
    *,
    central_only: bool = False,
    blended: bool = True,
    least: int | None = None,
    device: torch.device | None = None,
) -> tuple[Tensor, list[Window]]:
    """The image with its holes repaired, ``(3, H, W)`` in 0..1, and the windows that were used.

    Args:
        image: (3, H, W) in 0..1, on the CPU; known pixels come back to the bit.
        mask: (1, H, W), 1 = hole.
        repair, side: the model and its trained side; the model takes and returns tensors on the CPU.
        central_only: the model always repairs the central square of its input, so that square is its mask.
        blended: remove the seam (``models.blending``) instead of pasting the prediction.
        least: side of the smallest windows, px; by default ``side``. An image's own side limits it.
        device: where blending runs.

    Raises ValueError if the mask is empty or full.
    """
    hole = mask[0].cpu().numpy() > 0.5
    if hole.all() or not hole.any():
        raise ValueError("mask: there is no hole" if not hole.any() else "mask: all of the image is hole")
    labels = ndimage.label(hole, TOUCHING)[0].astype(np.int32)  # the number of each pixel's hole; 0 where known
    slices = ndimage.find_objects(labels)
    windows = _windows(labels, slices, least or side, central_only)
    prediction = _predicted(image, labels, windows, repair, side, central_only)
    repaired = image.clone()
    for number, place in enumerate(slices, 1):
        rows, columns = (slice(max(axis.start - 1, 0), axis.stop + 1) for axis in place)
        inside = labels[None, rows, columns] == number
        own = torch.from_numpy(inside)[:, None].to(image)
        put = prediction[None, :, rows, columns]
        if blended:  # each hole with the pixels next to it; others have no influence
            crop = image[None, :, rows, columns]
            put = on_host(blend(put.to(device), crop.to(device), own.to(device), inside))
        repaired[:, rows, columns] = composite(put, repaired[None, :, rows, columns], own)[0]
    return repaired, windows


def _windows(
    labels: NDArray[np.int32], slices: list[tuple[slice, ...]], least: int, central_only: bool
) -> list[Window]:
    """Windows that together repair every hole. Small holes close together share one."""
    parts = [
        part for number, place in enumerate(slices, 1) for part in _parts(labels, number, place, least, central_only)
    ]
    groups: list[_Part] = []
    for part in sorted(parts, key=lambda part: -part.side):
        for place, group in enumerate(groups):
            top, left = min(group.box.top, part.box.top), min(group.box.left, part.box.left)
            height = max(group.box.bottom, part.box.bottom) - top
            width = max(group.box.right, part.box.right) - left
            if group.side <= 2 * part.side and max(height, width) <= group.side // 2:
                groups[place] = _Part(Box(top, left, height, width), group.side, group.holes | part.holes)
                break
        else:
            groups.append(part)
    windows = []
    for box, side, holes in groups:
        top = _start(box.top, box.bottom, side, labels.shape[0], central_only)
        left = _start(box.left, box.right, side, labels.shape[1], central_only)
        windows.append(Window(Box(top, left, side, side), holes))
    return windows


def _parts(
    labels: NDArray[np.int32], number: int, place: tuple[slice, ...], least: int, central_only: bool
) -> Iterator[_Part]:
    """The parts of a hole, each for one window: the whole hole, or pieces of a slender one.

    place: the hole's bounding box. least: the smallest window, px, in an image that large.
    """
    own = labels[place] == number
    room = min(labels.shape)  # px; a window is larger only if the hole needs it
    height, width = own.shape
    thickness = 2 * float(ndimage.distance_transform_edt(np.pad(own, 1)).max())
    need = min(max(height, width), math.ceil(SLENDER * thickness))
    liked = min(max(least, 0 if central_only else MOST * need), room)
    side = max(MULTIPLE * math.ceil(LEAST * need / MULTIPLE), liked // MULTIPLE * MULTIPLE)
    if max(height, width) <= side // 2:
        yield _Part(Box(place[0].start, place[1].start, height, width), side, frozenset([number]))
        return
    piece = max(side // (4 if central_only else 2), 1)  # half of what a window predicts, so windows overlap
    for rows in _cut(height, piece):
        for columns in _cut(width, piece):
            if own[rows, columns].any():
                top, left, *size = bounding_box(own[rows, columns])
                top, left = top + rows.start + place[0].start, left + columns.start + place[1].start
                yield _Part(Box(top, left, *size), side, frozenset([number]))


def _cut(length: int, piece: int) -> list[slice]:
    """``length`` pixels as pieces of nearly equal length, none longer than ``piece``."""
    edges = np.linspace(0, length, math.ceil(length / piece) + 1).round().astype(int).tolist()
    return [slice(start, stop) for start, stop in pairwise(edges)]


def _start(first: int, stop: int, side: int, length: int, central_only: bool) -> int:
    """Where a window begins along one axis: centred on its part, then moved inside the image as far as possible."""
    start = (first + stop - side) // 2
    start = min(max(start, min(0, length - side)), max(0, length - side))
    if central_only:  # the part lies in the central half, even if the window has to reach beyond the image
        start = min(max(start, stop - 3 * side // 4), first - side // 4)
    return start


def _predicted(
    image: Tensor, labels: NDArray[np.int32], windows: list[Window], repair: Repair, side: int, central_only: bool
) -> Tensor:
    """The windows' predictions at the image's own size: (3, H, W) in 0..1; undefined outside the holes."""
    filled = _with_nearest(image, labels > 0)
    total, weight = torch.zeros_like(image), torch.zeros_like(image[:1])
    for start in range(0, len(windows), BATCH):
        batch = windows[start : start + BATCH]
        seen = [_seen(filled, labels, window.box, side, central_only) for window in batch]
        images, masks = (torch.cat(each) for each in zip(*seen, strict=True))
        for window, prediction, mask in zip(batch, repair(images, masks).clamp(0, 1), masks, strict=True):
            own = _with_nearest(prediction, mask[0].numpy() < 0.5)
            _add(total, weight, labels, window, own, central_only)
    return total / torch.where(weight > 0, weight, 1)


def _with_nearest(image: Tensor, unfit: NDArray[np.bool_]) -> Tensor:
    """The image, (3, H, W), where each ``unfit`` pixel, (H, W), has the colour of the nearest other pixel.

    Scaling mixes pixels across the edge of a hole. This keeps the hole out of the known pixels and, on the way back,
    known pixels out of the prediction, where they would be a step that blending preserves.
    """
    rows, columns = ndimage.distance_transform_edt(unfit, return_distances=False, return_indices=True)
    return image[:, torch.from_numpy(rows), torch.from_numpy(columns)]


def _seen(filled: Tensor, labels: NDArray[np.int32], box: Box, side: int, central_only: bool) -> tuple[Tensor, Tensor]:
    """The model's input for a window: (1, 3, side, side) and its mask, (1, 1, side, side).

    The image is mirrored beyond its border. A scaled pixel is hole if any part of it is.
    """
    rows, columns = _mirrored(box.top, box.height, labels.shape[0]), _mirrored(box.left, box.width, labels.shape[1])
    image = _scaled(filled[:, rows[:, None], columns][None], side)
    if central_only:
        return image, mask_of([center_box(side)], side, filled.device)
    hole = torch.from_numpy(labels[rows[:, None], columns] > 0)[None, None].to(filled)
    return image, (F.interpolate(hole, (side, side), mode="area") > 0).to(filled)


def _mirrored(start: int, count: int, length: int) -> NDArray[np.int64]:
    """The indices of ``count`` pixels from ``start``, on an axis of ``length`` that is mirrored at both ends."""
    places = np.arange(start, start + count) % (2 * length)
    return np.minimum(places, 2 * length - 1 - places)


def _scaled(image: Tensor, side: int) -> Tensor:
    """An image (B, 3, H, W) in 0..1 at another size, (B, 3, side, side)."""
    if image.shape[-2:] == (side, side):
        return image
    return F.interpolate(image, (side, side), mode="bicubic", antialias=True).clamp(0, 1)


def _add(
    total: Tensor, weight: Tensor, labels: NDArray[np.int32], window: Window, prediction: Tensor, central_only: bool
) -> None:
    """Adds a window's prediction, (3, side, side), to the holes that it repairs, with most weight in its middle."""
    box = window.box
    rows = slice(max(box.top, 0), min(box.bottom, labels.shape[0]))
    columns = slice(max(box.left, 0), min(box.right, labels.shape[1]))
    here = slice(rows.start - box.top, rows.stop - box.top), slice(columns.start - box.left, columns.stop - box.left)
    # 1 in the middle, falling to 0 at the ends of what the model predicts
    reach = box.height // 2 if central_only else box.height
    tent = (1 - (torch.arange(box.height) + 0.5 - box.height / 2).abs() / (reach / 2)).clamp(min=0).to(total)
    own = np.isin(labels[rows, columns], list(window.holes))
    share = tent[here[0], None] * tent[here[1]] * torch.from_numpy(own).to(total)
    total[:, rows, columns] += share * _scaled(prediction[None], box.height)[0][:, *here]
    weight[:, rows, columns] += share
