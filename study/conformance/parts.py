"""Checks of options, losses, fillers, masks, metrics and data sets."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, TypeAdapter, ValidationError
from torch import Tensor

from models.masking import Box, center_box, erase, mask_of
from models.masks import Mask
from study.conformance.expectation import CLOSE, Fault, NotChecked, Part, expect, finite, images, shape, unchanged
from study.data import Packed
from study.data.files.masks import MOST_USUAL, SSIM_EDGE

IMAGES = {"train": 6, "validation": 2, "test": 3}
DETAIL = {"artefact", "sharpness"}
"""Metrics of the output's own detail: noise raises sharpness, and is an artefact where the truth has less detail."""


def first_error(error: ValidationError) -> str:
    fault = error.errors()[0]
    return f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"


def defaulted(kind: type[BaseModel]) -> Any:
    """Options with their defaults. Raises NotChecked if an option has none."""
    try:
        return kind()
    except ValidationError as error:
        required = [str(fault["loc"][-1]) for fault in error.errors() if fault["type"] == "missing"]
        if not required:
            raise Fault(f"its defaults are not valid: {first_error(error)}") from error
        raise NotChecked(f"it has options without a default: {', '.join(required)}") from error


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
            got = f"{function} gives {shape(good)} for scores {size}"
            scalar = isinstance(good, Tensor) and good.shape == bad.shape == ()
            expect(scalar, f"{got}; expected a scalar: take the mean")
            got = f"{function} is {float(good):.3g} for good scores and {float(bad):.3g} for bad ones"
            expect(good < bad, f"{got}; it is minimised: is its sign wrong?")


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
            where = f"{function} or its gradient is not finite at scores of -{size:g} and {size:g}"
            expect(finite(value, *gradients), f"{where}; use softplus instead of a logarithm")
            used = size > 1 or all(bool(gradient.any()) for gradient in gradients)
            expect(used, f"{function} does not depend on all of its scores")


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
    expect(finite(first), "its output is not finite")
    expect(torch.equal(first, again), "its output differs the second time for the same images")
    expect((first[:1] - alone).abs().max() < CLOSE, "its output for an image depends on the other images of the batch")
    expect((first - other).abs().max() < CLOSE, "it reads pixels in the hole; pixels are known where the mask is 0")


def draws_holes(part: Part) -> str | None:
    """draw(rng, count, side) gives booleans that depend on rng alone; each has known pixels and a hole for SSIM."""
    mask, note = defaulted(part.entry), None
    for side, count in ((32, 40), (128, 10)):
        first, second = (mask.draw(np.random.default_rng(7), count, side) for _ in range(2))
        got = f"{getattr(first, 'dtype', type(first).__name__)} {getattr(first, 'shape', '')}"
        wanted = (count, side, side)
        expect(
            isinstance(first, np.ndarray) and first.shape == wanted and first.dtype == np.bool_,
            f"draw(rng, {count}, {side}) gives {got}; expected booleans, true in the hole, {wanted}",
        )
        expect(np.array_equal(first, second), "the same rng draws different holes: draw random numbers from rng alone")
        inner = first[:, SSIM_EDGE:-SSIM_EDGE, SSIM_EDGE:-SSIM_EDGE]
        why = f"a hole is empty, or within {SSIM_EDGE} px of the border, where SSIM has no window"
        expect(inner.any((1, 2)).all(), f"at {side} px {why}")
        expect(not first.all((1, 2)).any(), "a hole covers the whole image; leave some pixels known")
        got = f"its holes cover {first.mean():.0%} of an image on average"
        expect(first.mean() <= MOST_USUAL, f"{got}, over half; true is the hole: is it the other way round?")
        if not np.array_equal(mask.draw(np.random.default_rng(7), 1, side), first[:1]):
            note = "an image's hole depends on the number of images drawn together: another batch size changes it."
    return note


def measures(part: Part) -> None:
    """Called with output, image and mask, it gives (B,) float64 for each of its regions, independent of the batch."""
    metric = part.entry
    image, mask = images(3, 32).double(), _three_holes()
    output = _noisy(image, 0.1)
    with unchanged(output=output, image=image, mask=mask):
        result = metric(output, image, mask)
    expect(isinstance(result, dict), f"it gives a {type(result).__name__}; expected a dictionary of values by region")
    expect(set(result) == set(metric.regions), f"it gives {sorted(result)}; its regions are {sorted(metric.regions)}")
    for region, values in result.items():
        one_each = isinstance(values, Tensor) and values.shape == (3,)
        got = f"{region}: it gives {shape(values)} for three images"
        expect(one_each, f"{got}; expected (3,), one value per image")
        expect(values.dtype == torch.float64, f"{region}: it gives {values.dtype}; expected float64, like its images")
        expect(finite(values), f"{region}: its values are not finite")
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
        for size, (less, more) in zip(sizes[1:], pairwise(row[region] for row in rows), strict=True):
            worse = more < less if metric.better == "higher" else more > less
            change = f"it goes from {float(less[0]):.4g} to {float(more[0]):.4g}"
            why = f"noise of {size:g} does not make it worse: {change}; is better = '{metric.better}' right?"
            expect(worse.all(), f"{region}: {why}")


def _three_holes() -> Tensor:
    return mask_of([center_box(32), Box(6, 8, 12, 10), Box(3, 12, 14, 15)], 32).double()


def _noisy(image: Tensor, size: float) -> Tensor:
    noise = torch.rand(image.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64) - 0.5
    return (image + size * noise).clamp(0, 1)


def packs(part: Part) -> None:
    """identity() is JSON and stable; pack() writes uint8 images of the requested size, the same bytes twice."""
    identities, contents = [], []
    for _ in range(2):
        data = small(part.entry)
        try:
            identities.append(json.loads(json.dumps(data.identity(), allow_nan=False)))
        except TypeError as error:
            sentence = f"identity() is not JSON: {error}; return numbers, text, lists and dictionaries"
            raise Fault(sentence) from error
        with tempfile.TemporaryDirectory() as place:
            data.pack(16, Path(place), lambda done, total: None)
            _check_packed(Path(place), data.identity())
            contents.append({file.name: file.read_bytes() for file in Path(place).iterdir()})
    expect(identities[0] == identities[1], "identity() differs between two calls; it identifies the data set")
    different = sorted(name for name, content in contents[0].items() if contents[1].get(name) != content)
    expect(contents[0] == contents[1], f"pack writes different bytes the second time: {', '.join(different)}")


def _check_packed(folder: Path, identity: Mapping[str, Any]) -> None:
    missing = [name for name in ("images.npy", "data.json") if not (folder / name).is_file()]
    expect(not missing, f"pack does not write {', '.join(missing)}; call study.data.packed.write")
    packed = Packed(folder)
    expect(packed.image_size == 16, f"pack writes images of {packed.image_size} px; 16 px were requested")
    for part in IMAGES:
        images = packed.part(part)
        fits = images.dtype == np.uint8 and images.shape[1:] == (16, 16, 3) and len(images)
        got = f"its part {part} is {images.dtype} {images.shape}"
        expect(fits, f"{got}; expected one or more images, uint8 (N, 16, 16, 3)")
        count = identity.get(part)
        counted = not isinstance(count, int) or count == len(images)
        expect(counted, f"identity() gives {count} {part} images, pack writes {len(images)}")


def small(kind: type[BaseModel]) -> Any:
    """A data set of few images, if its options give their number; otherwise its default."""
    try:
        return kind.model_validate({"kind": kind.model_fields["kind"].default, **IMAGES})
    except ValidationError:
        return defaulted(kind)
