"""What outputs are scored by: every metric over every region that it has, a batch at once, on the images' device."""

import torch
from torch import Tensor

from study.metrics.base import REGIONS, Metric
from study.metrics.pixels import L1, PSNR, Seam, Sharpness
from study.metrics.structure import SSIM, GlobalSSIM

METRICS: dict[str, Metric] = {
    metric.name: metric for metric in (PSNR(), SSIM(), GlobalSSIM(), L1(), Seam(), Sharpness())
}

__all__ = ["METRICS", "REGIONS", "Metric", "score"]


def score(output: Tensor, image: Tensor, mask: Tensor) -> dict[tuple[str, str], Tensor]:
    """All metrics by (region, metric), each (B,) float64.

    Args:
        output: (B, 3, H, W) in 0..1, the composite, the raw prediction or the blended.
        image: (B, 3, H, W) in 0..1, the truth.
        mask: (B, 1, H, W), 1 = hole.
    """
    with torch.inference_mode():
        given = output.double(), image.double(), mask.double()
        return {
            (region, name): values
            for name, metric in METRICS.items()
            for region, values in metric(*(tensor.clone() for tensor in given)).items()  # one may write into its own
        }
