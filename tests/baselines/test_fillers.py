"""The classical fillers: they see what is known, and nothing of what was erased."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.restoration import inpaint_biharmonic

from baselines import FILLERS, METHODS
from models.masking import center_box, erase, mask_of
from models.method import Filler

SIDE = 16
MASK = mask_of([center_box(SIDE)] * 2, SIDE)


def smooth() -> torch.Tensor:
    """Planes: what a biharmonic surface continues exactly."""
    rows, columns = torch.meshgrid(torch.linspace(0, 1, SIDE), torch.linspace(0, 1, SIDE), indexing="ij")
    return torch.stack([torch.stack([rows, columns, (rows + columns) / 2]), torch.stack([columns, 1 - rows, rows])])


@pytest.mark.parametrize("name", FILLERS)
def test_a_filler_conforms(name: str) -> None:
    image = smooth()
    found = FILLERS[name](erase(image, MASK, 0.0), MASK)
    assert found.shape == image.shape and found.dtype == image.dtype
    assert found.isfinite().all() and 0 <= found.min() <= found.max() <= 1
    assert isinstance(FILLERS[name].version, int)
    assert {method.filler for method in METHODS.values() if issubclass(method, Filler)} == set(FILLERS)


def test_the_mean_colour_is_each_images_own() -> None:
    image = smooth()
    found = FILLERS["mean"](erase(image, MASK, 0.0), MASK)
    for i in range(2):
        outside = image[i][:, MASK[i, 0] < 0.5].mean(1)
        assert torch.allclose(found[i], outside[:, None, None].expand_as(found[i]), atol=1e-6)


def test_a_plane_is_continued() -> None:
    image = smooth()
    found = FILLERS["biharmonic"](erase(image, MASK, 0.0), MASK)
    torch.testing.assert_close(found, image, atol=1e-4, rtol=0)


def test_it_is_scikit_images() -> None:
    image = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    masked = erase(image, MASK[:1], 0.0)
    hole = MASK[0, 0].numpy() > 0.5
    expected = inpaint_biharmonic(masked[0].permute(1, 2, 0).double().numpy(), hole, channel_axis=-1).clip(0, 1)
    np.testing.assert_allclose(FILLERS["biharmonic"](masked, MASK[:1])[0].permute(1, 2, 0).numpy(), expected, atol=1e-6)
