"""Every metric: in closed form, against scikit-image, and in its direction."""

from __future__ import annotations

import math

import numpy as np
import pytest
import references
import torch
from scipy import ndimage
from skimage.metrics import peak_signal_noise_ratio

from models.masking import Box, center_box, composite, mask_of
from models.masks import FreeForm
from study import metrics
from study.data.portraits.faces import portrait
from study.metrics import METRICS, REGIONS
from study.metrics.artefact import FLOOR, TOLERANCE
from study.metrics.structure import similarities

SIDE, HOLES = 64, [Box(20, 12, 30, 25), Box(5, 30, 17, 29), center_box(64)]
MASK = mask_of(HOLES, SIDE)


def images(count: int = len(HOLES)) -> torch.Tensor:
    stack = np.stack([portrait(0, "test", i, SIDE) for i in range(count)])
    return torch.from_numpy(stack).permute(0, 3, 1, 2).double() / 255


def noisy(image: torch.Tensor, size: float, seed: int = 0) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return (image + size * torch.randn(image.shape, generator=rng, dtype=image.dtype)).clamp(0, 1)


def score(output: torch.Tensor, image: torch.Tensor, mask: torch.Tensor = MASK) -> dict[tuple[str, str], torch.Tensor]:
    return metrics.score(output, image, mask)


def channels_last(image: torch.Tensor) -> np.ndarray:
    return image.permute(1, 2, 0).numpy()


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_has_its_name_a_title_and_known_regions(name: str) -> None:
    metric = METRICS[name]
    assert metric.name == name and metric.title and set(metric.regions) <= set(REGIONS)


BEST = {"psnr": math.inf, "ssim": 1.0, "ssim_global": 1.0, "l1": 0.0, "seam": 0.0}
"""Of every metric but sharpness and artefact, which have their own tests below."""


@pytest.mark.parametrize("name", BEST)
def test_the_truth_is_best(name: str) -> None:
    image = images()
    for values in METRICS[name](image, image, MASK.double()).values():
        assert values.tolist() == pytest.approx([BEST[name]] * len(image))


@pytest.mark.parametrize("name", METRICS)
def test_an_image_is_scored_for_itself(name: str) -> None:
    image = images()
    output = noisy(image, 0.1)
    together = METRICS[name](output, image, MASK.double())
    for i in range(len(image)):
        alone = METRICS[name](output[i : i + 1], image[i : i + 1], MASK[i : i + 1].double())
        for region, values in alone.items():
            assert values.item() == pytest.approx(together[region][i].item(), rel=1e-12)


@pytest.mark.parametrize("name", ["psnr", "l1", "seam", "ssim", "sharpness", "artefact"])
def test_what_is_outside_of_the_hole_does_not_count_in_it(name: str) -> None:
    image = images()
    output = noisy(image, 0.1)
    far = torch.nn.functional.max_pool2d(MASK.double(), 11, 1, 5) < 0.5  # beyond every window
    changed = torch.where(far, 1 - output, output)
    region = "boundary" if name == "seam" else "hole"
    before, after = (METRICS[name](x, image, MASK.double())[region] for x in (output, changed))
    torch.testing.assert_close(before, after)


def test_a_constant_offset() -> None:
    image = images() * 0.8
    found = score(image + 0.1, image)
    for region in ("hole", "whole"):
        assert found[region, "psnr"].tolist() == pytest.approx([20.0] * 3, abs=1e-9)
        assert found[region, "l1"].tolist() == pytest.approx([0.1] * 3, abs=1e-12)
    assert found["boundary", "seam"].tolist() == pytest.approx([0.0] * 3, abs=1e-12)


def test_a_composite_with_an_offset_in_the_hole() -> None:
    image = images() * 0.8
    found = score(composite(image + 0.1, image, MASK), image)
    assert found["boundary", "seam"].tolist() == pytest.approx([0.1] * 3, abs=1e-12)
    assert found["hole", "l1"].tolist() == pytest.approx([0.1] * 3, abs=1e-12)
    shares = MASK.mean((1, 2, 3)).double()
    assert found["whole", "l1"].tolist() == pytest.approx((0.1 * shares).tolist())


def test_the_whole_of_a_composite_is_its_hole_and_602_decibels() -> None:
    """Eq. (9) over the image against the hole: 10 log10(4) more where the hole is a quarter of the image."""
    image, mask = images(), mask_of([center_box(SIDE)] * 3, SIDE)
    found = score(composite(noisy(image, 0.1), image, mask), image, mask)
    difference = found["whole", "psnr"] - found["hole", "psnr"]
    assert difference.tolist() == pytest.approx([10 * math.log10(4)] * 3, abs=1e-9)


def test_constant_images_by_hand() -> None:
    """Without variance SSIM is its term of means: (2ab + C1) / (a^2 + b^2 + C1)."""
    a, b = torch.full((1, 3, 32, 32), 0.4).double(), torch.full((1, 3, 32, 32), 0.6).double()
    mask = mask_of([center_box(32)], 32)
    expected = (2 * 0.4 * 0.6 + 1e-4) / (0.4**2 + 0.6**2 + 1e-4)
    found = metrics.score(a, b, mask)
    for key in (("hole", "ssim"), ("whole", "ssim"), ("whole", "ssim_global")):
        assert found[key].item() == pytest.approx(expected, rel=1e-6)


def test_the_seam_of_one_row_of_neighbours() -> None:
    """A hole at the image's upper edge has no pairs above it."""
    image = torch.zeros(1, 3, 16, 16).double()
    output = image.clone()
    output[..., 4, 4:8] = 0.5  # the last row of the hole alone is off
    mask = mask_of([Box(0, 4, 5, 4)], 16)
    pairs = 5 + 5 + 4  # left, right, below
    assert score_seam(output, image, mask) == pytest.approx((4 + 2) * 0.5 / pairs)


def score_seam(output: torch.Tensor, image: torch.Tensor, mask: torch.Tensor) -> float:
    return METRICS["seam"](output, image, mask.double())["boundary"].item()


def sharpness(output: torch.Tensor, image: torch.Tensor, mask: torch.Tensor = MASK) -> list[float]:
    return METRICS["sharpness"](output.double(), image.double(), mask.double())["hole"].tolist()


def blurred(image: torch.Tensor, radius: int) -> torch.Tensor:
    return torch.nn.functional.avg_pool2d(image, 2 * radius + 1, 1, radius, count_include_pad=False)


def test_the_truth_is_as_sharp_as_itself_and_stays_so_with_another_colour_or_mirrored() -> None:
    image = images()
    assert sharpness(image, image) == [1.0] * 3
    assert sharpness(0.5 * image + 0.2, image) == pytest.approx([0.5] * 3)
    assert sharpness(1 - image, image) == pytest.approx([1.0] * 3)
    assert sharpness(composite(image + 0.1, image, MASK), image) == pytest.approx([1.0] * 3)  # the seam is not its


def test_sharpness_falls_as_the_output_is_blurred_and_rises_with_noise() -> None:
    image = images()
    blurs = torch.tensor([sharpness(blurred(image, radius), image) for radius in (0, 1, 2, 4, 8)])
    assert (blurs[0] == 1).all() and (blurs.diff(dim=0) < 0).all() and (blurs > 0).all()
    noise = torch.tensor([sharpness(noisy(image, size), image) for size in (0.0, 0.03, 0.1)])
    assert (noise.diff(dim=0) > 0).all()


def test_sharpness_is_the_ratio_of_the_mean_steps_within_the_hole() -> None:
    """Slopes of 2/64 and 1/64 across; NumPy's differences of each hole; one colour has no detail."""
    ramp = (torch.arange(SIDE) / SIDE).expand(3, 3, SIDE, SIDE)
    assert sharpness(ramp / 2, ramp) == pytest.approx([0.5] * 3)
    assert sharpness(ramp.transpose(2, 3), ramp) == pytest.approx(
        [(box.height - 1) * box.width / ((box.width - 1) * box.height) for box in HOLES]
    )
    image, output = images(), noisy(images(), 0.05)
    for i, box in enumerate(HOLES):
        steps = [
            sum(np.abs(np.diff(channels_last(each[i])[box.slices], axis=axis)).sum() for axis in (0, 1))
            for each in (output, image)
        ]
        assert sharpness(output, image)[i] == pytest.approx(steps[0] / steps[1])
    assert sharpness(torch.full_like(image, 0.4), image) == [0.0] * 3
    assert sharpness(image, torch.full_like(image, 0.4)) == [math.inf] * 3


def artefact(output: torch.Tensor, image: torch.Tensor, mask: torch.Tensor = MASK) -> list[float]:
    return METRICS["artefact"](output.double(), image.double(), mask.double())["hole"].tolist()


def test_a_checkerboard_on_a_plain_colour_in_closed_form() -> None:
    """+-a has mixed second differences of 16 a and plain ones of 4 a; the truth has none, so only the floor counts."""
    plain = torch.full((3, 3, SIDE, SIDE), 0.5).double()
    down, right = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    for a in (0.01, 0.1):
        mixed = 3 * (16 * a) ** 2 / 36
        expected = math.sqrt(mixed / FLOOR) / TOLERANCE
        board = plain + a * (1 - 2 * ((down + right) % 2))
        assert artefact(board, plain) == pytest.approx([expected] * 3)
    lines = plain + 0.1 * (1 - 2 * (down % 2))  # along an axis: plain second differences of 4 a in one direction alone
    assert artefact(lines, plain) == pytest.approx([math.sqrt(3 * 0.4**2 / 12 / FLOOR) / TOLERANCE] * 3)
    assert artefact(plain + 0.3, plain) == pytest.approx([0] * 3, abs=1e-9)


def test_a_hole_of_one_pixel_has_no_detail() -> None:
    image = images()
    assert artefact(1 - image, image, mask_of([Box(9, 9, 1, 1)] * 3, SIDE)) == [0] * 3


def test_scipy_agrees_on_artefacts() -> None:
    image, output = images(), noisy(images(), 0.05)
    kernel = np.array([1, -2, 1])

    def detail(of: np.ndarray) -> list[np.ndarray]:
        down, across = (ndimage.convolve1d(of, kernel, axis=axis) for axis in (0, 1))
        mixed = ndimage.convolve1d(down, kernel, axis=1)
        return [((down**2 + across**2) / 12).sum(2), (mixed**2 / 36).sum(2)]

    def windows(of: np.ndarray, where: np.ndarray) -> np.ndarray:
        return ndimage.uniform_filter(np.where(where, of, 0), 5, mode="constant")

    fits = np.zeros((SIDE, SIDE), bool)
    fits[1:-1, 1:-1] = True
    for i, box in enumerate(HOLES):
        hole = np.zeros_like(fits)
        hole[box.slices] = True
        inside = ndimage.binary_erosion(hole, np.ones((3, 3)))
        ratios = [
            windows(own, inside) / (ndimage.maximum_filter(windows(truth, fits), 7, mode="constant") + FLOOR)
            for own, truth in zip(detail(channels_last(output[i])), detail(channels_last(image[i])), strict=True)
        ]
        assert artefact(output, image)[i] == pytest.approx(np.sqrt(np.max(ratios)) / TOLERANCE)


def test_artefacts_grow_with_noise_and_blur_and_small_displacements_have_none() -> None:
    image = images()
    sizes = torch.tensor([artefact(noisy(image, size), image) for size in (0.01, 0.05, 0.2, 0.4)])
    assert (sizes.diff(dim=0) > 0).all() and (sizes[-1] > 1).all()
    for clean in (image, *(blurred(image, radius) for radius in (1, 4)), image.roll((2, -3), (2, 3)), 0.8 * image):
        assert max(artefact(clean, image)) < 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [0.02, 0.2])
def test_scikit_image_agrees(size: float, dtype: torch.dtype) -> None:
    image = images()
    output = noisy(image, size)
    found = score(output.to(dtype), image.to(dtype))
    for i, box in enumerate(HOLES):
        truth, result = channels_last(image[i]), channels_last(output[i])
        psnr = {
            "whole": peak_signal_noise_ratio(truth, result, data_range=1),
            "hole": peak_signal_noise_ratio(truth[box.slices], result[box.slices], data_range=1),
        }
        mean, full = references.ssim(truth, result, data_range=1, full=True)
        fits = np.zeros((SIDE, SIDE), bool)
        fits[5:-5, 5:-5] = True
        inside = np.zeros_like(fits)
        inside[box.slices] = True
        for region in ("whole", "hole"):
            assert found[region, "psnr"][i].item() == pytest.approx(psnr[region], abs=1e-5)
        assert found["whole", "ssim"][i].item() == pytest.approx(mean, abs=1e-5)
        assert found["hole", "ssim"][i].item() == pytest.approx(full[fits & inside].mean(), abs=1e-5)
        assert found["whole", "l1"][i].item() == pytest.approx(np.abs(truth - result).mean(), abs=1e-6)


def every_window(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """SSIM in all windows of a batch at once, (B, 1, H - 10, W - 10): eq. (11), term by term."""
    weights = torch.exp(-((torch.arange(11) - 5).double() ** 2) / (2 * 1.5**2))
    weights /= weights.sum()

    def mean(image: torch.Tensor) -> torch.Tensor:
        for axis in (2, 3):
            length = image.shape[axis] - 10
            blurred = torch.zeros_like(image.narrow(axis, 0, length))
            for place, weight in enumerate(weights.tolist()):
                blurred.add_(image.narrow(axis, place, length), alpha=weight)
            image = blurred
        return image

    mean_a, mean_b = mean(a), mean(b)
    ab = mean(a * b) - mean_a * mean_b
    aa, bb = mean(a * a) - mean_a.square(), mean(b * b) - mean_b.square()
    above = (2 * mean_a * mean_b + 0.01**2) * (2 * ab + 0.03**2)
    return (above / ((mean_a.square() + mean_b.square() + 0.01**2) * (aa + bb + 0.03**2))).mean(1, keepdim=True)


BOXES = [Box(0, 0, 1, 1), Box(63, 100, 1, 2), Box(40, 30, 70, 60), Box(0, 50, 130, 3), Box(129, 0, 1, 160)]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("what", ["boxes", "strokes", "whole", "nothing"])
def test_ssim_where_images_differ_is_ssim_in_every_window(what: str, layout: torch.memory_format) -> None:
    """To the bit: windows that see no difference are exactly 1, and the others do not depend on what is left out."""
    image, output = (torch.rand(5, 3, 130, 160, generator=torch.Generator().manual_seed(i)).double() for i in (0, 1))
    image, output = image.contiguous(memory_format=layout), output.contiguous(memory_format=layout)
    mask = torch.full((5, 1, 130, 160), float(what == "whole"))
    if what == "boxes":
        for plane, hole in zip(mask, BOXES, strict=True):
            plane[:, *hole.slices] = 1
    elif what == "strokes":
        mask[..., :130] = torch.from_numpy(FreeForm().draw(np.random.default_rng(0), 5, 130)).float()[:, None]
    output = composite(output, image, mask)
    assert torch.equal(similarities(output, image), every_window(output, image))


def test_one_window_is_the_literal_eq_11() -> None:
    image = images()
    output = noisy(image, 0.1)
    found = score(output, image)["whole", "ssim_global"]
    for i in range(len(image)):
        values = []
        for a, b in zip(output[i].numpy(), image[i].numpy(), strict=True):
            covariance = np.cov(a.ravel(), b.ravel(), ddof=0)
            above = (2 * a.mean() * b.mean() + 1e-4) * (2 * covariance[0, 1] + 9e-4)
            below = (a.mean() ** 2 + b.mean() ** 2 + 1e-4) * (covariance[0, 0] + covariance[1, 1] + 9e-4)
            values.append(above / below)
        assert found[i].item() == pytest.approx(np.mean(values), abs=1e-9)
