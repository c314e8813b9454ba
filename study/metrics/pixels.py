"""Metrics of pixels and pairs of neighbours: PSNR, L1, seam error, sharpness."""

from typing import ClassVar

import torch
from torch import Tensor

from study.metrics.base import Metric


def _means(values: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """The means of (B, C, H, W) over all channels, in the hole and in the whole image: (B,)."""
    hole = (values * mask).sum((1, 2, 3)) / (values.shape[1] * mask.sum((1, 2, 3)))
    return {"hole": hole, "whole": values.mean((1, 2, 3))}


def _steps(image: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """The weighted sum of the absolute steps down (B, 1, H - 1, W) and right (B, 1, H, W - 1): (B,)."""
    return (image.diff(dim=2).abs() * down).sum((1, 2, 3)) + (image.diff(dim=3).abs() * right).sum((1, 2, 3))


class PSNR(Metric):
    """Peak signal-to-noise ratio, eqs. (9), (10), over all channels (READING R23); infinite for equal images."""

    name, title, unit = "psnr", "PSNR", "dB"
    better: ClassVar = "higher"
    regions = ("hole", "whole")

    def __call__(self, output: Tensor, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        means = _means((output - image).square(), mask)
        return {region: -10 * mean.log10() for region, mean in means.items()}


class L1(Metric):
    """Mean absolute error, in 0..1."""

    name, title, unit = "l1", "L1", ""
    better: ClassVar = "lower"
    regions = ("hole", "whole")

    def __call__(self, output: Tensor, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        return _means((output - image).abs(), mask)


class Seam(Metric):
    """The error of the steps across the hole's boundary, in 0..1.

    The mean of |(inside - outside) of the output - (inside - outside) of the truth| over all channels of all pairs of
    neighbours with one pixel in the hole.
    """

    name, title, unit = "seam", "seam error", ""
    better: ClassVar = "lower"
    regions = ("boundary",)

    def __call__(self, output: Tensor, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        crosses = mask.diff(dim=2).abs(), mask.diff(dim=3).abs()
        pairs = image.shape[1] * sum(each.sum((1, 2, 3)) for each in crosses)
        return {"boundary": _steps(output - image, *crosses) / pairs}


class Sharpness(Metric):
    """The sharpness of the hole relative to the truth: 1 is as sharp, 0 has no detail, noise is above 1.

    The mean absolute step between neighbours in the hole, over all channels, of the output divided by that of the
    truth. If the truth has no steps: 1 if the output has none either, otherwise infinite.
    """

    name, title, unit = "sharpness", "sharpness", ""
    better: ClassVar = "higher"
    regions = ("hole",)

    def __call__(self, output: Tensor, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        both = mask.unfold(2, 2, 1).amin(-1), mask.unfold(3, 2, 1).amin(-1)
        ours, truth = _steps(output, *both), _steps(image, *both)
        return {"hole": torch.where((ours == 0) & (truth == 0), 1, ours / truth)}
