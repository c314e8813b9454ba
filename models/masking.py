"""Masks, holes and windows. One polarity: a mask is ``(B, 1, H, W)`` and 1 is the hole.

Masks from outside are converted when they are read. ``1 - mask`` is written in this file only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Box(NamedTuple):
    """A rectangle of pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def bottom(self) -> int:
        """The first row below the box."""
        return self.top + self.height

    @property
    def right(self) -> int:
        """The first column to the right of the box."""
        return self.left + self.width

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns: ``image[..., *box.slices]``."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


def center_box(side: int) -> Box:
    """The paper's hole: a central square of half the image's side (section 4: 128 of 256 px)."""
    half = side // 2
    return Box((side - half) // 2, (side - half) // 2, half, half)


def window_of(box: Box, side: int) -> Box:
    """The local critic's window: a square of half the side, centred on the hole and moved inside the image.

    READING R22. The window of the central hole is the hole itself. ``box`` is the bounding box of a hole of any shape.
    """
    half = side // 2
    top = min(max(box.top + (box.height - half) // 2, 0), side - half)
    left = min(max(box.left + (box.width - half) // 2, 0), side - half)
    return Box(top, left, half, half)


def bounding_box(hole: NDArray[np.bool_]) -> Box:
    """The bounding box of a hole, ``(H, W)`` booleans. Raises ValueError if the hole is empty."""
    rows, columns = (np.flatnonzero(hole.any(axis)) for axis in (1, 0))
    if not len(rows):
        raise ValueError("the hole is empty")
    top, left = int(rows[0]), int(columns[0])
    return Box(top, left, int(rows[-1]) + 1 - top, int(columns[-1]) + 1 - left)


def mask_of(boxes: Sequence[Box], side: int, device: torch.device | str | None = None) -> Tensor:
    """The mask of one rectangular hole per image: ``(B, 1, side, side)``, 1 in the hole, 0 elsewhere."""
    mask = torch.zeros(len(boxes), 1, side, side)
    for plane, box in zip(mask, boxes, strict=True):
        plane[:, *box.slices] = 1
    return mask.to(device)


def known(mask: Tensor) -> Tensor:
    """1 where the image is known, 0 in the hole. Same shape as ``mask``."""
    return 1 - mask


def erase(image: Tensor, mask: Tensor, fill: float | Tensor) -> Tensor:
    """The masked image: ``image (B, 3, H, W)`` with ``fill`` in the hole of ``mask (B, 1, H, W)``.

    ``fill``: a number, or a tensor that broadcasts to the image's shape (a colour ``(3, 1, 1)``, noise).
    READING R2.
    """
    return torch.where(mask > 0.5, fill, image)


def composite(prediction: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    """``prediction`` in the hole, exactly ``image`` elsewhere: ``(B, 3, H, W)``, mask ``(B, 1, H, W)``.

    No gradient reaches the prediction's known pixels.
    """
    return torch.where(mask > 0.5, prediction, image)
