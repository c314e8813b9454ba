"""Checks of options, losses, fillers, masks and metrics."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from models.masking import Box, center_box, erase, mask_of
from models.masks import Mask
from study.conformance.expectation import (
    CLOSE,
    Fault,
    NotChecked,
    Part,
    defaulted,
    expect,
    first_error,
    images,
    shape,
    unchanged,
)
from study.data.files.masks import SSIM_EDGE
from study.metrics import REGIONS

DETAIL = {"sharpness"}
"""Metrics of the output's own detail, which noise raises."""


def keeps_its_options(part: Part) -> None:
    """Options are frozen, have valid defaults, and survive a round trip through JSON."""
    options = defaulted(part.entry)
    expect(options.model_config.get("frozen"), "its options can be changed; keep models.options.Options' 'frozen'")
    plain = json.loads(json.dumps(options.model_dump(mode="json", by_alias=True)))
    try:
        again = TypeAdapter[Any](Mask if part.registry == "MASKS" else part.entry).validate_python(plain)
    except ValidationError as error:
        raise Fault(f"its options cannot be read back from JSON, which stores them: {first_error(error)}") from error
    expect(again == options, "its options change when they are stored as JSON and read back")


def tells_real_from_repaired(part: Part) -> None:
    """critic(real, fake) falls as real scores rise above fake ones; generator(fake) falls as fake scores rise."""
    loss = part.entry()
    for size in ((4,), (4, 9)):
        high, low = torch.full(size, 0.9), torch.full(size, 0.1)
        for function, good, bad in (
            ("critic(real, fake)", loss.critic(high, low), loss.critic(low, high)),
            ("critic(real, fake)", loss.critic(high, low), loss.critic(low, low)),
            ("generator(fake)", loss.generator(high), loss.generator(low)),
        ):
            expect(
                isinstance(good, Tensor) and good.shape == bad.shape == (),
                f"{function} gives {shape(good)} for scores {size}; expected a scalar: take the mean",
            )
            expect(
                good < bad,
                f"{function} is {float(good):.3g} for good scores and {float(bad):.3g} for bad ones; it is minimised: "
                "is its sign wrong?",
            )


def has_finite_gradients(part: Part) -> None:
    """Both functions have a gradient, finite at any score that a critic may give."""
    loss = part.entry()
    for size in (0.5, 30.0):
        real, fake = (torch.tensor([-size, size], requires_grad=True) for _ in range(2))
        for function, value, scores in (
            ("critic(real, fake)", loss.critic(real, fake), [real, fake]),
            ("generator(fake)", loss.generator(fake), [fake]),
        ):
            expect(value.requires_grad, f"{function} has no gradient: is something detached?")
            gradients = torch.autograd.grad(value, scores)
            expect(
                value.isfinite() and all(bool(gradient.isfinite().all()) for gradient in gradients),
                f"{function} or its gradient is not finite at scores of -{size:g} and {size:g}; "
                "use softplus instead of a logarithm",
            )
            if size < 1:
                independent = not all(bool(gradient.any()) for gradient in gradients)
                expect(not independent, f"{function} does not depend on all of its scores")


def fills(part: Part) -> None:
    """The output is (B, 3, H, W), finite, the same twice, independent of the batch and of the pixels in the hole."""
    image, mask = images(2, 32), mask_of([center_box(32)] * 2, 32)

    def filled(count: int, color: float) -> Tensor:
        masked_image, holes = erase(image[:count], mask[:count], color), mask[:count].clone()
        with unchanged(masked_image=masked_image, mask=holes):
            output: Tensor = part.entry(masked_image, holes)
            return output

    first, again, alone, other = (filled(*case) for case in ((2, 0.0), (2, 0.0), (1, 0.0), (2, 0.7)))
    expect(shape(first) == shape(image), f"it gives {shape(first)} for two images of 32 px; expected {shape(image)}")
    expect(first.isfinite().all(), "its output is not finite")
    expect(torch.equal(first, again), "its output differs the second time for the same images")
    expect((first[:1] - alone).abs().max() < CLOSE, "its output for an image depends on the other images of the batch")
    expect((first - other).abs().max() < CLOSE, "it reads pixels in the hole; pixels are known where the mask is 0")


def draws_holes(part: Part) -> str | None:
    """draw(rng, count, side) gives booleans that depend on rng alone; each has known pixels and a hole for SSIM."""
    mask = defaulted(part.entry)
    note = None
    for side, count in ((32, 40), (128, 10)):
        first, second = (mask.draw(np.random.default_rng(7), count, side) for _ in range(2))
        expect(
            isinstance(first, np.ndarray) and first.shape == (count, side, side) and first.dtype == np.bool_,
            f"draw(rng, {count}, {side}) gives {getattr(first, 'dtype', type(first).__name__)} "
            f"{getattr(first, 'shape', '')}; expected booleans, true in the hole, ({count}, {side}, {side})",
        )
        expect(np.array_equal(first, second), "the same rng draws different holes: draw random numbers from rng alone")
        inner = first[:, SSIM_EDGE:-SSIM_EDGE, SSIM_EDGE:-SSIM_EDGE]
        expect(
            inner.any((1, 2)).all(),
            f"at {side} px a hole is empty, or within {SSIM_EDGE} px of the border, where SSIM has no window",
        )
        expect(not first.all((1, 2)).any(), "a hole covers the whole image; leave some pixels known")
        one = mask.draw(np.random.default_rng(7), 1, side)
        if not np.array_equal(one, first[:1]):
            note = "an image's hole depends on the number of images drawn together: another batch size changes it."
    return note


def measures(part: Part) -> None:
    """Called with output, image and mask, it gives (B,) float64 for each of its regions, independent of the batch."""
    metric = part.entry
    expect(set(metric.regions) <= set(REGIONS), f"its regions are {metric.regions}; choose {', '.join(REGIONS)}")
    image, mask = images(3, 32).double(), _three_holes()
    output = _noisy(image, 0.1)
    with unchanged(output=output, image=image, mask=mask):
        result = metric(output, image, mask)
    expect(isinstance(result, dict), f"it gives a {type(result).__name__}; expected a dictionary of values by region")
    expect(set(result) == set(metric.regions), f"it gives {sorted(result)}; its regions are {sorted(metric.regions)}")
    for region, values in result.items():
        expect(
            isinstance(values, Tensor) and values.shape == (3,),
            f"{region}: it gives {shape(values)} for three images; expected (3,), one value per image",
        )
        expect(values.dtype == torch.float64, f"{region}: it gives {values.dtype}; expected float64, like its images")
        expect(values.isfinite().all(), f"{region}: its values are not finite")
        alone = metric(output[1:2], image[1:2], mask[1:2])[region]
        expect(torch.allclose(alone, values[1:2]), f"{region}: an image's value depends on the others of its batch")


def worsens_with_noise(part: Part) -> None:
    """The value is best for equal images and worsens with noise, in the direction that ``better`` gives."""
    metric, image, mask = part.entry, images(3, 32).double(), _three_holes()
    if part.name in DETAIL:
        raise NotChecked("it measures detail, and noise has detail of its own")
    sizes = (0.0, 0.02, 0.1, 0.4)
    rows = [metric(_noisy(image, size), image, mask) for size in sizes]
    for region in metric.regions:
        for size, (less, more) in zip(sizes[1:], pairwise(rows), strict=True):
            worse = more[region] < less[region] if metric.better == "higher" else more[region] > less[region]
            expect(
                worse.all(),
                f"{region}: noise of {size:g} does not make it worse: it goes from {less[region].tolist()[0]:.4g} to "
                f"{more[region].tolist()[0]:.4g}; is better = '{metric.better}' right?",
            )


def _three_holes() -> Tensor:
    return mask_of([center_box(32), Box(6, 8, 12, 10), Box(3, 12, 14, 15)], 32).double()


def _noisy(image: Tensor, size: float) -> Tensor:
    noise = torch.rand(image.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64) - 0.5
    return (image + size * noise).clamp(0, 1)
