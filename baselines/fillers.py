"""Classical fillers, without training or seed. A trained method has to beat them."""

from __future__ import annotations

from typing import ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor

from models.host import on_host
from models.masking import known
from models.method import Filler


class Fill(Protocol):
    """Repairs masked images ``(B, 3, H, W)`` in 0..1 under masks ``(B, 1, H, W)``: a prediction of the same shape."""

    version: int

    def __call__(self, masked_image: Tensor, mask: Tensor) -> Tensor: ...


class _MeanColour:
    version = 1

    def __call__(self, masked_image: Tensor, mask: Tensor) -> Tensor:
        """Each image's mean colour over its known pixels, everywhere."""
        seen = known(mask)
        mean = (masked_image * seen).sum((2, 3), keepdim=True) / seen.sum((2, 3), keepdim=True)
        return mean.expand_as(masked_image)


class _Biharmonic:
    version = 1

    def __call__(self, masked_image: Tensor, mask: Tensor) -> Tensor:
        """The smoothest surface through the known pixels, by scikit-image: Damelin & Hoang 2018."""
        from skimage.restoration import inpaint_biharmonic  # imported here because it imports scipy

        repaired = [
            inpaint_biharmonic(image.transpose(1, 2, 0), hole[0] > 0.5, channel_axis=-1).transpose(2, 0, 1)
            for image, hole in zip(on_host(masked_image.double()).numpy(), on_host(mask).numpy(), strict=True)
        ]
        return torch.from_numpy(np.stack(repaired)).to(masked_image).clamp(0, 1)


class MeanColour(Filler):
    """The mean colour of the known pixels."""

    filler: ClassVar[str] = "mean"


class Biharmonic(Filler):
    """Scikit-image's biharmonic inpainting."""

    filler: ClassVar[str] = "biharmonic"


FILLERS: dict[str, Fill] = {"mean": _MeanColour(), "biharmonic": _Biharmonic()}
