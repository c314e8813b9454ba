"""What is expected of losses, fillers, masks and metrics."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from models.masking import Box, center_box, erase, mask_of
from study.conformance.expectation import CLOSE, NotChecked, defaulted, expect, images, shape, unchanged
from study.data.holes import SSIM_EDGE
from study.metrics import REGIONS
from study.parts import registries

DETAIL = {"sharpness"}
"""Metrics of the output's own detail, which noise raises."""


def tells_real_from_repaired(name: str) -> str | None:
    """critic(real, fake) falls as real scores rise above fake ones; generator(fake) falls as fake scores rise."""
    loss = registries.LOSSES[name]()
    for size in ((4,), (4, 9)):
        high, low = torch.full(size, 0.9), torch.full(size, 0.1)
        for what, wanted, other in (
            ("critic(real, fake)", loss.critic(high, low), loss.critic(low, high)),
            ("critic(real, fake)", loss.critic(high, low), loss.critic(low, low)),
            ("generator(fake)", loss.generator(high), loss.generator(low)),
        ):
            expect(
                isinstance(wanted, Tensor) and wanted.shape == other.shape == (),
                f"{what} gives {shape(wanted)} of scores {size}; expected a scalar: take the mean",
            )
            expect(
                wanted < other,
                f"{what} is {float(wanted):.3g} where scores are as it wants them, and {float(other):.3g} where they "
                "are not; it is minimised: has it the wrong sign?",
            )
    return None


def pulls_with_finite_force(name: str) -> str | None:
    """Both have a gradient, finite at any score that a critic may give."""
    loss = registries.LOSSES[name]()
    for size in (0.5, 30.0):
        real, fake = (torch.tensor([-size, size], requires_grad=True) for _ in range(2))
        for what, value, scores in (
            ("critic(real, fake)", loss.critic(real, fake), [real, fake]),
            ("generator(fake)", loss.generator(fake), [fake]),
        ):
            expect(value.requires_grad, f"{what} has no gradient: is something detached?")
            pulls = torch.autograd.grad(value, scores)
            expect(
                value.isfinite() and all(bool(pull.isfinite().all()) for pull in pulls),
                f"{what} or its gradient is not finite at scores of -{size:g} and {size:g}; "
                "of a logarithm take softplus",
            )
            if size < 1:
                expect(all(bool(pull.any()) for pull in pulls), f"{what} does not depend on all of its scores")
    return None


def fills(name: str) -> str | None:
    """It gives (B, 3, H, W), finite, the same twice, each image for itself, and reads nothing of the hole."""
    image, mask, filler = images(2, 32), mask_of([center_box(32)] * 2, 32), registries.FILLERS[name]

    def filled(count: int, colour: float) -> Tensor:
        masked_image, holes = erase(image[:count], mask[:count], colour), mask[:count].clone()
        with unchanged(masked_image=masked_image, mask=holes):
            return filler(masked_image, holes)

    first, again, alone, other = (filled(*given) for given in ((2, 0.0), (2, 0.0), (1, 0.0), (2, 0.7)))
    expect(shape(first) == shape(image), f"it gives {shape(first)} of two images of 32 px; expected {shape(image)}")
    expect(first.isfinite().all(), "what it gives is not finite")
    expect(torch.equal(first, again), "the same images are filled otherwise the second time")
    expect((first[:1] - alone).abs().max() < CLOSE, "an image beside another is filled otherwise")
    expect(
        (first - other).abs().max() < CLOSE, "it reads what stands in the hole; what is known is where the mask is 0"
    )
    return None


def draws_holes(name: str) -> str | None:
    """draw(rng, count, side) gives booleans that rng decides, each with a hole that SSIM can see and known pixels."""
    mask = defaulted(registries.MASKS[name])
    note = None
    for side, count in ((32, 40), (128, 10)):
        first, second = (mask.draw(np.random.default_rng(7), count, side) for _ in range(2))
        expect(
            isinstance(first, np.ndarray) and first.shape == (count, side, side) and first.dtype == np.bool_,
            f"draw(rng, {count}, {side}) gives {getattr(first, 'dtype', type(first).__name__)} "
            f"{getattr(first, 'shape', '')}; expected booleans, true in the hole, ({count}, {side}, {side})",
        )
        expect(np.array_equal(first, second), "the same generator draws other holes: take all chance from rng")
        inner = first[:, SSIM_EDGE:-SSIM_EDGE, SSIM_EDGE:-SSIM_EDGE]
        expect(
            inner.any((1, 2)).all(),
            f"at {side} px a hole is empty, or within {SSIM_EDGE} px of the border, where no window of SSIM fits",
        )
        expect(not first.all((1, 2)).any(), "a hole is the whole image; nothing is known to repair it from")
        one = mask.draw(np.random.default_rng(7), 1, side)
        if not np.array_equal(one, first[:1]):
            note = "an image's hole depends on how many are drawn at once, so that another batch has other holes."
    return note


def measures(name: str) -> str | None:
    """Called with output, image and mask it gives (B,) float64 of each of its regions, each image's for itself."""
    metric = registries.METRICS[name]
    expect(set(metric.regions) <= set(REGIONS), f"its regions are {metric.regions}; there are {', '.join(REGIONS)}")
    image, mask = images(3, 32).double(), _three_holes()
    output = _noisy(image, 0.1)
    with unchanged(output=output, image=image, mask=mask):
        found = metric(output, image, mask)
    expect(isinstance(found, dict), f"it gives a {type(found).__name__}; expected a dictionary of values by region")
    expect(set(found) == set(metric.regions), f"it gives {sorted(found)}; its regions are {sorted(metric.regions)}")
    for region, values in found.items():
        expect(
            isinstance(values, Tensor) and values.shape == (3,),
            f"{region}: it gives {shape(values)} for three images; expected (3,), one value an image",
        )
        expect(values.dtype == torch.float64, f"{region}: it gives {values.dtype}; expected float64, as its images are")
        expect(values.isfinite().all(), f"{region}: its values are not finite")
        alone = metric(output[1:2], image[1:2], mask[1:2])[region]
        expect(torch.allclose(alone, values[1:2]), f"{region}: an image beside others has another value")
    return None


def worsens_with_noise(name: str) -> str | None:
    """Equal images have the best value, and it worsens as noise grows, as ``better`` says."""
    metric, image, mask = registries.METRICS[name], images(3, 32).double(), _three_holes()
    if name in DETAIL:
        raise NotChecked("noise has detail of its own")
    sizes = (0.0, 0.02, 0.1, 0.4)
    rows = [metric(_noisy(image, size), image, mask) for size in sizes]
    for region in metric.regions:
        for size, (less, more) in zip(sizes[1:], pairwise(rows), strict=True):
            worse = more[region] < less[region] if metric.better == "higher" else more[region] > less[region]
            expect(
                worse.all(),
                f"{region}: noise of {size:g} does not make it worse, from {less[region].tolist()[0]:.4g} to "
                f"{more[region].tolist()[0]:.4g}; is better = '{metric.better}' meant?",
            )
    return None


def _three_holes() -> Tensor:
    return mask_of([center_box(32), Box(6, 8, 12, 10), Box(3, 12, 14, 15)], 32).double()


def _noisy(image: Tensor, size: float) -> Tensor:
    noise = torch.rand(image.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64) - 0.5
    return (image + size * noise).clamp(0, 1)
