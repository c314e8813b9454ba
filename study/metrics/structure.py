"""Structural similarity (Wang 2004), in Gaussian windows and in one window over the whole image."""

from collections.abc import Iterator
from functools import reduce
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from study.metrics.base import Metric

WINDOW, SIGMA = 11, 1.5
C1, C2 = 0.01**2, 0.03**2  # for values in 0..1
CACHED, LEAST_ROWS, WORTH = 24_000, 24, 0.9
"""Of the parts of a map that are computed at a time: the most pixels, the fewest rows, and what a split must save."""


_CURVE = torch.exp(-((torch.arange(WINDOW) - WINDOW // 2).double() ** 2) / (2 * SIGMA**2))
WEIGHTS: list[float] = (_CURVE / _CURVE.sum()).tolist()


def _blur(images: Tensor) -> Tensor:
    """The Gaussian mean around each pixel whose window fits: (..., H - 10, W - 10). Sums of slices are fast."""
    for axis in (-2, -1):
        length = images.shape[axis] - WINDOW + 1
        blurred = images.narrow(axis, 0, length) * WEIGHTS[0]
        for place, weight in enumerate(WEIGHTS[1:], start=1):
            blurred.add_(images.narrow(axis, place, length), alpha=weight)
        images = blurred
    return images


def _similarity(mean_a: Tensor, mean_b: Tensor, aa: Tensor, bb: Tensor, ab: Tensor) -> Tensor:
    """Eq. (11) in each window, with the factor 2 of the covariance that the paper leaves out (READING R24).

    Takes the means of two images, their squares and their product, and overwrites them: on a CPU, memory takes longer
    than the arithmetic.
    """
    means = mean_a * mean_b
    mean_a.square_()
    mean_b.square_()
    both = ab.sub_(means).mul_(2).add_(C2).mul_(means.mul_(2).add_(C1))
    spread = aa.sub_(mean_a).add_(bb.sub_(mean_b)).add_(C2)
    return both.div_(mean_a.add_(mean_b).add_(C1).mul_(spread))


def _in_windows(a: Tensor, b: Tensor) -> Tensor:
    """SSIM in each window that fits, averaged over the channels: (..., 1, H - 10, W - 10)."""
    parts = a.new_empty(5, *a.shape)
    parts[0], parts[1] = a, b
    a, b, aa, bb, ab = parts
    torch.mul(a, a, out=aa)
    torch.mul(b, b, out=bb)
    torch.mul(a, b, out=ab)
    return _similarity(*_blur(parts)).mean(-3, keepdim=True)


def similarities(output: Tensor, image: Tensor) -> Tensor:
    """The mean SSIM over the channels in each window that fits: (B, 1, H - 10, W - 10).

    It is exactly 1 where a window sees equal pixels alone, as in a composite outside of its hole. A CPU computes the
    rest, a few rows of one image at a time, which its cache holds. Another device would have to wait for what differs.
    """
    if output.device.type != "cpu":
        return _in_windows(output, image)
    height, width = (length - WINDOW + 1 for length in output.shape[2:])
    values = output.new_ones(len(output), 1, height, width)
    for one, other, plane in zip(output, image, values, strict=True):
        differs = reduce(np.logical_or, (one != other).numpy())  # any(0) is slow for channels last
        for rows, columns in _differing(differs, 0, height):
            seen = slice(None), *(slice(each.start, each.stop + WINDOW - 1) for each in (rows, columns))
            plane[:, rows, columns] = _in_windows(one[seen], other[seen])
    return values


def _differing(differs: NDArray[np.bool_], top: int, bottom: int) -> Iterator[tuple[slice, slice]]:
    """Boxes of windows (rows, columns) that together hold every window, from row ``top`` on, that sees a difference.

    A box is halved while its halves are smaller, or it is too large for the cache.
    """
    seen = differs[top : bottom + WINDOW - 1]
    rows, columns = (np.flatnonzero(seen.any(axis)) for axis in (1, 0))
    if not len(rows):
        return
    top, bottom = max(top, top + int(rows[0]) - WINDOW + 1), min(bottom, top + int(rows[-1]) + 1)
    left, right = max(0, int(columns[0]) - WINDOW + 1), min(differs.shape[1] - WINDOW + 1, int(columns[-1]) + 1)
    halves: list[tuple[slice, slice]] = []
    if bottom - top >= 2 * LEAST_ROWS:
        middle = (top + bottom) // 2
        halves = [*_differing(differs, top, middle), *_differing(differs, middle, bottom)]
    size = (bottom - top) * (right - left)
    if halves and (size > CACHED or sum(_size(*half) for half in halves) < WORTH * size):
        yield from halves
    else:
        yield slice(top, bottom), slice(left, right)


def _size(rows: slice, columns: slice) -> int:
    return int((rows.stop - rows.start) * (columns.stop - columns.start))


class SSIM(Metric):
    """SSIM (Wang 2004): Gaussian 11x11, sigma 1.5, per channel; hole: windows with their centre in it (READING R24)."""

    name, title, unit = "ssim", "SSIM", ""
    better: ClassVar = "higher"
    regions = ("hole", "whole")

    def __call__(self, output: Tensor, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        values = similarities(output, image)
        edge = WINDOW // 2
        inner = mask[..., edge:-edge, edge:-edge]
        hole = (values * inner).sum((1, 2, 3)) / inner.sum((1, 2, 3))
        return {"hole": hole, "whole": values.mean((1, 2, 3))}


class GlobalSSIM(Metric):
    """Eq. (11) read literally, with its missing 2: one window over the image, per channel."""

    name, title, unit = "ssim_global", "SSIM, one window", ""
    better: ClassVar = "higher"
    regions = ("whole",)

    def __call__(self, output: Tensor, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        a, b = output.flatten(2), image.flatten(2)
        return {"whole": _similarity(*(values.mean(2) for values in (a, b, a * a, b * b, a * b))).mean(1)}
