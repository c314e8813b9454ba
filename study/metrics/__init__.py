"""The metrics: PSNR, SSIM and others by name, and the perceptual distances.

``score`` computes all of them for a batch, on the device of the images.
"""

import torch
from torch import Tensor

from study.metrics.artefact import Artefact
from study.metrics.base import REGIONS, Metric
from study.metrics.pixels import L1, PSNR, Seam, Sharpness
from study.metrics.structure import SSIM, GlobalSSIM

METRICS: dict[str, Metric] = {
    metric.name: metric for metric in (PSNR(), SSIM(), GlobalSSIM(), L1(), Seam(), Sharpness(), Artefact())
}

__all__ = ["METRICS", "REGIONS", "Metric", "score"]


def score(output: Tensor, image: Tensor, mask: Tensor) -> dict[tuple[str, str], Tensor]:
    """Computes all metrics in all their regions.

    Args:
        output: (B, 3, H, W) in 0..1: the composite, the raw prediction or the blended composite.
        image: (B, 3, H, W) in 0..1: the truth.
        mask: (B, 1, H, W), 1 = hole.

    Returns:
        Each metric, (B,) float64, by (region, metric).
    """
    with torch.inference_mode():
        inputs = output.double(), image.double(), mask.double()
        return {
            (region, name): values
            for name, metric in METRICS.items()
            for region, values in metric(*(tensor.clone() for tensor in inputs)).items()  # a metric may write into them
        }
