"""Structural similarity (Wang 2004), in Gaussian windows and in one window over the whole image."""

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from study.metrics.base import Metric

WINDOW, SIGMA = 11, 1.5
C1, C2 = 0.01**2, 0.03**2  # for values in 0..1


_CURVE = torch.exp(-((torch.arange(WINDOW) - WINDOW // 2).double() ** 2) / (2 * SIGMA**2))
WEIGHTS: list[float] = (_CURVE / _CURVE.sum()).tolist()


def _blur(image: Tensor) -> Tensor:
    """The Gaussian mean around each pixel whose window fits: (B, C, H - 10, W - 10). Sums of slices are fast."""
    for axis in (2, 3):
        length = image.shape[axis] - WINDOW + 1
        blurred = torch.zeros_like(image.narrow(axis, 0, length))
        for place, weight in enumerate(WEIGHTS):
            blurred.add_(image.narrow(axis, place, length), alpha=weight)
        image = blurred
    return image


def _similarity(a: Tensor, b: Tensor, mean: Callable[[Tensor], Tensor]) -> Tensor:
    """Eq. (11) in each window, with the factor 2 of the covariance that the paper leaves out (READING R24)."""
    mean_a, mean_b = mean(a), mean(b)
    ab = mean(a * b) - mean_a * mean_b
    aa, bb = mean(a * a) - mean_a.square(), mean(b * b) - mean_b.square()
    both = 2 * mean_a * mean_b + C1
    spread = mean_a.square() + mean_b.square() + C1
    return both * (2 * ab + C2) / (spread * (aa + bb + C2))


class SSIM(Metric):
    """SSIM (Wang 2004): Gaussian 11x11, sigma 1.5, per channel; hole: windows with their centre in it (READING R24)."""

    name, title, unit = "ssim", "SSIM", ""
    better: ClassVar = "higher"
    regions = ("hole", "whole")

    def __call__(self, output: Tensor, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        values = _similarity(output, image, _blur).mean(1, keepdim=True)
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
        return {"whole": _similarity(output.flatten(2), image.flatten(2), lambda x: x.mean(2)).mean(1)}
