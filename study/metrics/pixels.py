"""Metrics of pixels and their neighbours: PSNR, L1, the step along the hole's boundary, sharpness."""

from typing import ClassVar

import torch
from torch import Tensor

from models.masking import known
from study.metrics.base import Metric


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """The mean of (B, C, H, W) over the pixels where the weight (B, 1, H, W) is 1, and all channels: (B,)."""
    return (values * weight).sum((1, 2, 3)) / (values.shape[1] * weight.sum((1, 2, 3)))


class PSNR(Metric):
    """Peak signal-to-noise ratio, eqs. (9), (10), over all channels (READING R23); infinite for equal images."""

    name, title, unit = "psnr", "PSNR", "dB"
    better: ClassVar = "higher"
    regions = ("hole", "whole")

    def __call__(self, output: Tensor, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        error = (output - image).square()
        means = {"hole": _mean(error, mask), "whole": error.mean((1, 2, 3))}
        return {region: -10 * mean.log10() for region, mean in means.items()}


class L1(Metric):
    """Mean absolute error, of 0..1."""

    name, title, unit = "l1", "L1", ""
    better: ClassVar = "lower"
    regions = ("hole", "whole")

    def __call__(self, output: Tensor, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        error = (output - image).abs()
        return {"hole": _mean(error, mask), "whole": error.mean((1, 2, 3))}


class Seam(Metric):
    """How far the steps across the hole's boundary are from the truth's.

    Over all pairs of neighbours of which one is in the hole, and all channels: the mean of
    |(inside - outside) of the output - the same of the truth|, of 0..1.
    """

    name, title, unit = "seam", "seam error", ""
    better: ClassVar = "lower"
    regions = ("boundary",)

    def __call__(self, output: Tensor, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        error = output - image
        total = torch.zeros(len(image), dtype=image.dtype, device=image.device)
        pairs = torch.zeros_like(total)
        for axis in (2, 3):
            length = image.shape[axis] - 1
            first, second = mask.narrow(axis, 0, length), mask.narrow(axis, 1, length)
            crosses = first * known(second) + known(first) * second
            step = (error.narrow(axis, 0, length) - error.narrow(axis, 1, length)).abs()
            total += (step * crosses).sum((1, 2, 3))
            pairs += image.shape[1] * crosses.sum((1, 2, 3))
        return {"boundary": total / pairs}


class Sharpness(Metric):
    """How sharp the hole is, as a share of the truth: 1 is as sharp, 0 has no detail at all; noise goes beyond 1.

    The mean absolute step between neighbours that are both in the hole, over all channels, of the output over the
    truth's. Where the truth has no step at all: 1 if the output has none either, else infinite.
    """

    name, title, unit = "sharpness", "sharpness", ""
    better: ClassVar = "higher"
    regions = ("hole",)

    def __call__(self, output: Tensor, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        ours, truth = _steps(output, mask), _steps(image, mask)
        return {"hole": torch.where((ours == 0) & (truth == 0), 1, ours / truth)}


def _steps(image: Tensor, mask: Tensor) -> Tensor:
    """The sum of the steps between neighbours that are both in the hole: (B,)."""
    total = torch.zeros(len(image), dtype=image.dtype, device=image.device)
    for axis in (2, 3):
        length = image.shape[axis] - 1
        both = mask.narrow(axis, 0, length) * mask.narrow(axis, 1, length)
        step = (image.narrow(axis, 0, length) - image.narrow(axis, 1, length)).abs()
        total += (step * both).sum((1, 2, 3))
    return total
