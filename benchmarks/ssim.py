"""SSIM of our metrics against scikit-image on the same arrays, one thread.

Images of 256 px in a batch of 16: noise everywhere, and composites, which equal the truth outside of the hole. The
means over the whole image must agree to TOLERANCE.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from skimage.metrics import structural_similarity

from benchmarks.timing import REPEATS, Disagreement, Row, compared
from models.masking import center_box, composite, mask_of
from study.metrics.structure import SIGMA, SSIM

TOLERANCE = 1e-6


def rows(side: int = 256, batch: int = 16, repeats: int = REPEATS) -> Iterator[Row]:
    """Yields a row for each kind of output: milliseconds an image."""
    torch.set_num_threads(1)
    random = torch.Generator().manual_seed(0)
    image = torch.rand(batch, 3, side, side, generator=random)
    prediction = (image + 0.1 * torch.randn(image.shape, generator=random)).clamp(0, 1)
    mask = mask_of([center_box(side)] * batch, side)
    for name, output in (("prediction", prediction), ("composite", composite(prediction, image, mask))):
        pairs = list(zip(output.numpy(), image.numpy(), strict=True))
        ours, peer = SSIM()(output, image, mask)["whole"], torch.tensor([_reference(*pair) for pair in pairs])
        error = float((ours - peer).abs().max())
        if not error <= TOLERANCE:
            raise Disagreement(f"{name}: SSIM differs by {error:.1e} from scikit-image's")
        yield compared(
            name,
            lambda output=output: SSIM()(output, image, mask),  # type: ignore[misc]
            lambda pairs=pairs: [_reference(*pair) for pair in pairs],  # type: ignore[misc]
            repeats=repeats,
            items=batch,
        )


def _reference(output: object, image: object) -> float:
    return float(
        structural_similarity(  # type: ignore[no-untyped-call]
            output,
            image,
            channel_axis=0,
            data_range=1.0,
            gaussian_weights=True,
            sigma=SIGMA,
            use_sample_covariance=False,
        )
    )
