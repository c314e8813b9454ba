"""Artefacts: fine detail in the repair that the truth has nowhere near."""

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import pad

from study.metrics.base import Metric

WINDOW = 5
"""The side of the window in which detail is averaged, px."""

NEAR = 20
"""Near is within one part in so many of the image's side: 5%."""

FLOOR = 3 * 0.02**2
"""Detail that is just visible on a plain colour: that of noise with a standard deviation of 0.02 in three channels."""

TOLERANCE = 1.1
"""Chosen so that at most 1% of clean repairs of any kind in docs/artefacts.py have a value above 1."""


class Artefact(Metric):
    """The strongest fine detail of the repair, relative to the truth's near it: a value above 1 is an artefact.

    Detail is the mean, in a window of 5 x 5 pixels, of squared second differences, summed over channels. There are two
    kinds: down and across, which answer to stripes and lines, and down of across, which answers to checkerboards and
    noise. Noise of variance 1 has detail 1 in each channel. The repair's detail is taken from pixels of the hole alone.

    The value is the largest sqrt(repair / (near + FLOOR)) / TOLERANCE over kinds and windows. ``near`` is the most
    detail that the truth has within 5% of the image's side, so small displacements are no artefact. Blur, a wrong
    brightness and smooth blobs of a wrong colour are none either. docs/artefacts.md shows what is found.
    """

    name, title, unit = "artefact", "artefact", ""
    better: ClassVar = "lower"
    regions = ("hole",)

    def __call__(self, output: Tensor, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        inside = mask.unfold(2, 3, 1).amin(-1).unfold(3, 3, 1).amin(-1)
        near = _slide(_windows(_detail(image)), image.shape[-1] // NEAR, torch.maximum)
        ratio = _windows(_detail(output) * inside) / (near + FLOOR)
        return {"hole": ratio.amax((1, 2, 3)).sqrt() / TOLERANCE}


def _detail(image: Tensor) -> Tensor:
    """Both kinds of squared second differences, summed over the image's channels: (B, 2, H - 2, W - 2)."""
    image = image.contiguous()  # twice as fast as channels last
    down, across = image.diff(n=2, dim=2), image.diff(n=2, dim=3)
    mixed = down.diff(n=2, dim=3).square_().sum(1)
    plain = down.square_().sum(1)[..., 1:-1] + across.square_().sum(1)[:, 1:-1]
    return torch.stack([plain / 12, mixed / 36], dim=1)


def _windows(detail: Tensor) -> Tensor:
    """The mean in the window around each pixel; there is no detail outside the image."""
    return _slide(detail, WINDOW // 2, torch.add) / WINDOW**2


def _slide(values: Tensor, reach: int, join: Callable[..., Tensor]) -> Tensor:
    """Joins the values within ``reach`` pixels; there is 0 outside the image. Slices are faster than pooling."""
    values = pad(values, (reach,) * 4)
    for axis in (2, 3):
        length = values.shape[axis] - 2 * reach
        joined = values.narrow(axis, 0, length).clone()
        for place in range(1, 2 * reach + 1):
            join(joined, values.narrow(axis, place, length), out=joined)
        values = joined
    return values
