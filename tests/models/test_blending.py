from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import lil_matrix
from scipy.sparse.linalg import spsolve
from torch import Tensor

from models import blending
from models.blending import blend, membrane
from models.masking import Box, center_box, composite, known, mask_of

LEVEL = 1 / 255
WHOLE = slice(None)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def direct(prediction: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    """What `blend` is to return, float64: the normal equations, pair by pair, and a sparse direct solve."""
    result = image.double()
    height, width = mask.shape[-2:]
    for drawn, truth, solved, plane in zip(prediction.double(), image.double(), result, mask, strict=True):
        hole = [(y, x) for y, x in plane[0].nonzero().tolist()]
        number = {pixel: n for n, pixel in enumerate(hole)}
        matrix, right = lil_matrix((len(hole), len(hole))), np.zeros((len(hole), len(truth)))
        for (y, x), n in number.items():
            for other in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                if not (0 <= other[0] < height and 0 <= other[1] < width):
                    continue
                matrix[n, n] += 1
                if other in number:
                    matrix[n, number[other]] -= 1
                    right[n] += (drawn[:, y, x] - drawn[:, *other]).numpy()
                else:
                    right[n] += truth[:, *other].numpy()
        if hole:
            rows, columns = zip(*hole, strict=True)
            solution = spsolve(matrix.tocsc(), right).reshape(right.shape)
            solved[:, rows, columns] = torch.from_numpy(solution.T.clip(0, 1))
    return result


def noise(seed: int, mask: Tensor) -> tuple[Tensor, Tensor]:
    """A prediction and an image for ``mask``, nothing alike."""
    generator = torch.Generator().manual_seed(seed)
    prediction, image = torch.rand(2, len(mask), 3, *mask.shape[-2:], generator=generator)
    return prediction, image


def painted(*parts: tuple[slice | int, slice | int], size: tuple[int, int] = (18, 23)) -> Tensor:
    """The mask of all ``parts``, each rows and columns: (1, 1, *size)."""
    mask = torch.zeros(1, 1, *size)
    for rows, columns in parts:
        mask[0, 0, rows, columns] = 1
    return mask


def boxed(*boxes: Box) -> Tensor:
    """The mask of one box an image, 20 x 24 px."""
    return torch.cat([painted(box.slices, size=(20, 24)) for box in boxes])


def strokes(seed: int, size: tuple[int, int]) -> Tensor:
    """Walks of four brushes, two of them one pixel thin."""
    rng = np.random.default_rng(seed)
    mask = torch.zeros(1, 1, *size)
    for brush in (1, 1, 3, 6):
        places = (rng.integers(0, size) + rng.integers(-2, 3, (25, 2)).cumsum(0)).clip(0, np.array(size) - 1)
        for y, x in places.tolist():
            mask[..., y : y + brush, x : x + brush] = 1
    return mask


BOXES = {
    "inside": Box(5, 6, 9, 11),
    "top": Box(0, 6, 9, 11),
    "bottom": Box(11, 6, 9, 11),
    "left": Box(5, 0, 9, 11),
    "right": Box(5, 13, 9, 11),
    "a corner": Box(11, 13, 9, 11),
    "top and bottom": Box(0, 6, 20, 11),
    "left and right": Box(7, 0, 4, 24),
    "three sides": Box(0, 0, 20, 11),
    "all but a row": Box(0, 0, 19, 24),
    "one pixel": Box(7, 7, 1, 1),
    "a line": Box(19, 3, 1, 15),
}
HOLES = {
    "strokes": strokes(0, (40, 33)),
    "other strokes": strokes(1, (40, 33)),
    "wide strokes": strokes(2, (17, 60)),
    "pixels at random": (torch.rand(1, 1, 25, 31, generator=torch.Generator().manual_seed(0)) < 0.6).float(),
    "two boxes": painted((slice(2, 9), slice(3, 9)), (slice(12, 15), slice(14, 20))),
    "two corners": painted((slice(0, 6), slice(0, 4)), (slice(10, 18), slice(15, 23))),
    "single pixels": painted((0, 0), (17, 22), (5, 5), (9, 14)),
    "a cross": painted((9, WHOLE), (WHOLE, 11)),
    "a ring": painted((3, slice(3, 9)), (9, slice(3, 9)), (slice(3, 10), 3), (slice(3, 10), 9)),
    "a comb": painted((slice(None, None, 2), WHOLE), (WHOLE, 0)),
    "around a box": known(boxed(BOXES["inside"])),
    "all but the first pixel": known(painted((0, 0))),
    "all but one pixel": known(painted((11, 6))),
}


@pytest.mark.parametrize("name", BOXES)
def test_a_box_is_the_direct_solution(name: str) -> None:
    mask = boxed(BOXES[name])
    prediction, image = noise(0, mask)
    expected = direct(prediction, image, mask)
    assert (blend(prediction, image, mask) - expected).abs().max() < 2e-6
    exact = blend(prediction.double(), image.double(), mask)
    assert exact.dtype == torch.float64
    assert (exact - expected).abs().max() < 1e-12


@pytest.mark.parametrize("name", HOLES)
def test_any_hole_is_the_direct_solution(name: str) -> None:
    mask = HOLES[name]
    prediction, image = noise(0, mask)
    expected = direct(prediction, image, mask)
    assert (blend(prediction, image, mask) - expected).abs().max() < 1e-4 * LEVEL
    exact = blend(prediction.double(), image.double(), mask)
    assert exact.dtype == torch.float64
    assert (exact - expected).abs().max() < 1e-12
    assert (by_gradients(prediction, image, mask) - expected).abs().max() < 1e-4 * LEVEL


def by_gradients(prediction: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    """What `blend` makes of holes that are no box on another device than a CPU, float64."""
    correction, _ = membrane(prediction, image, mask)
    return composite((prediction + correction).clamp(0, 1), image.double(), mask)


@st.composite
def small_holes(draw: st.DrawFn) -> Tensor:
    """The mask of one to three images of up to 9 x 9 px, each with a known pixel."""
    height, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    pixels = st.lists(st.booleans(), min_size=height * width, max_size=height * width)
    drawn = draw(st.lists(pixels.filter(lambda hole: not all(hole)), min_size=1, max_size=3))
    return torch.tensor(drawn).float().reshape(-1, 1, height, width)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(mask=small_holes(), seed=st.integers(0, 99))
def test_all_small_holes_are_the_direct_solution(mask: Tensor, seed: int) -> None:
    prediction, image = noise(seed, mask)
    blended = blend(prediction, image, mask)
    assert torch.equal(blended, composite(blended, image, mask))
    assert (blended - direct(prediction, image, mask)).abs().max() < 1e-6


@settings(max_examples=20, deadline=None, derandomize=True)
@given(mask=small_holes(), seed=st.integers(0, 99))
def test_conjugate_gradients_solve_all_small_holes(mask: Tensor, seed: int) -> None:
    prediction, image = noise(seed, mask)
    expected = direct(prediction, image, mask)
    assert (by_gradients(prediction, image, mask) - expected).abs().max() < 1e-3 * LEVEL


@pytest.mark.parametrize("mask", [boxed(BOXES["inside"]), HOLES["strokes"]], ids=["box", "strokes"])
def test_known_pixels_stay_to_the_bit_and_nothing_else_is_read(mask: Tensor) -> None:
    prediction, image = noise(1, mask)
    hole = mask.bool().expand_as(image)
    image[~hole] *= 3  # known values are not clamped either
    blended = blend(prediction, image, mask)
    assert torch.equal(blended[~hole], image[~hole])
    assert blended[hole].min() >= 0 and blended[hole].max() <= 1
    unread = blend(prediction.masked_fill(~hole, torch.nan), image.masked_fill(hole, torch.nan), mask)
    assert torch.equal(unread, blended)


@pytest.mark.parametrize("name", [*BOXES, *HOLES])
def test_flat_surroundings_and_a_flat_prediction_give_the_surroundings(name: str) -> None:
    mask = boxed(BOXES[name]) if name in BOXES else HOLES[name]
    image = torch.full((1, 3, *mask.shape[-2:]), 0.25)
    assert (blend(torch.full_like(image, 0.9), image, mask) - image).abs().max() < 1e-3 * LEVEL


@pytest.mark.parametrize("other", [None, Box(0, 0, 1, 1)], ids=["box", "any hole"])
def test_a_flat_prediction_goes_on_with_a_ramp(other: Box | None) -> None:
    """A ramp is harmonic; a free side across it, at the top, leaves it one."""
    mask = boxed(Box(0, 5, 12, 9))
    if other is not None:
        mask[..., *other.slices] = 1
    image = torch.linspace(0, 1, 24).expand(1, 3, 20, 24)
    blended = blend(torch.zeros_like(image), image, mask)
    inside = Box(0, 5, 12, 9).slices
    assert (blended - image)[..., *inside].abs().max() < 1e-6


@pytest.mark.parametrize("mask", [boxed(BOXES["inside"]), HOLES["two boxes"]], ids=["box", "any hole"])
def test_an_offset_is_taken_away(mask: Tensor) -> None:
    """No pair crosses the rim with a step in this image, so the prediction's gradients are the image's own."""
    image = torch.full((1, 3, *mask.shape[-2:]), 0.5)
    deep = mask * (torch.nn.functional.avg_pool2d(mask, 3, 1, 1) == 1)
    image = composite(noise(2, mask)[0], image, deep)
    blended = blend(composite(image + 0.3, image, mask), image, mask)
    assert (blended - image).abs().max() < 1e-3 * LEVEL


def seam(picture: Tensor, box: Box) -> float:
    """The mean step from the row above the box to its first row."""
    rows = picture[..., box.top - 1 : box.top + 1, box.left : box.right]
    return float(rows.diff(dim=-2).abs().mean())


def test_blending_lowers_the_seam_of_an_offset_and_keeps_the_texture() -> None:
    box = center_box(64)
    mask = mask_of([box], 64)
    place = torch.arange(64.0)
    image = (0.5 + 0.2 * torch.sin(place / 5) * torch.cos(place[:, None] / 7)).expand(1, 3, 64, 64)
    raw = composite(image + 0.2, image, mask)
    blended = blend(raw, image, mask)
    assert seam(blended, box) < 0.3 * seam(raw, box)
    assert (blended - image).abs().max() < 0.1


def test_a_batch_is_its_images_one_by_one() -> None:
    masks = [boxed(box) for box in BOXES.values()] + [boxed(BOXES["inside"]), torch.zeros(1, 1, 20, 24)]
    masks += [strokes(seed, (20, 24)) for seed in range(3)]
    mask = torch.cat(masks)[torch.randperm(len(masks), generator=torch.Generator().manual_seed(0))]
    prediction, image = noise(3, mask)
    blended = blend(prediction, image, mask)
    alone = [blend(*each) for each in zip(prediction.split(1), image.split(1), mask.split(1), strict=True)]
    assert (blended - torch.cat(alone)).abs().max() < 5e-7
    assert torch.equal(blended, blend(prediction, image, mask))
    empty = mask.sum((1, 2, 3)) == 0
    assert torch.equal(blended[empty], image[empty])


def test_more_holes_than_are_solved_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    mask = torch.cat([strokes(seed, (20, 24)) for seed in range(5)])
    prediction, image = noise(4, mask)
    whole = blend(prediction, image, mask)
    monkeypatch.setattr(blending, "PART", 2)
    assert (blend(prediction, image, mask) - whole).abs().max() < 5e-7


@pytest.mark.parametrize("name", BOXES)
def test_both_methods_agree_on_a_box(name: str) -> None:
    mask = boxed(BOXES[name])
    prediction, image = noise(5, mask)
    assert (blend(prediction, image, mask) - by_gradients(prediction, image, mask)).abs().max() < 1e-3 * LEVEL


def test_iterations_stay_few_as_images_grow() -> None:
    counts = []
    for side in (32, 64, 128):
        mask = known(painted((0, 0), size=(side, side)))
        counts.append(membrane(*noise(6, mask), mask)[1])
    assert max(counts) <= 40, counts


def test_no_gradient_is_recorded() -> None:
    mask = HOLES["strokes"]
    prediction, image = noise(7, mask)
    assert not blend(prediction.requires_grad_(), image, mask).requires_grad


def test_a_full_mask_is_refused() -> None:
    mask = torch.cat([boxed(BOXES["inside"]), torch.ones(1, 1, 20, 24)])
    with pytest.raises(ValueError, match="mask: all of image 1 is hole; blending needs at least one known pixel"):
        blend(*noise(8, mask), mask)


def test_a_huge_hole_is_solved_by_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    mask = torch.cat([HOLES["strokes"], HOLES["other strokes"]])
    prediction, image = noise(9, mask)
    sizes = mask.sum((1, 2, 3)).tolist()
    assert sizes[0] != sizes[1]
    monkeypatch.setattr(blending, "DIRECT", int(min(sizes)))
    blended, gradients = blend(prediction, image, mask), by_gradients(prediction, image, mask).float()
    assert [torch.equal(*pair) for pair in zip(blended, gradients, strict=True)] == [
        size > min(sizes) for size in sizes
    ]


def test_too_many_iterations_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blending, "CAP", 9)
    mask = HOLES["strokes"]
    with pytest.raises(AssertionError, match="did not converge in 9 iterations"):
        membrane(*noise(9, mask), mask)


def test_iterations_after_convergence_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    mask = torch.cat([HOLES["strokes"], painted((5, 5), size=(40, 33))])
    corrections = []
    for count in (1, 8, 40):
        monkeypatch.setattr(blending, "ROUND", count)
        corrections.append(membrane(*noise(9, mask), mask)[0])
    assert all(torch.equal(each, corrections[0]) for each in corrections)


@pytest.mark.parametrize("hole", [HOLES["strokes"], painted((slice(0, 9), slice(5, 20)), size=(40, 33))])
def test_known_holes_on_another_device_are_not_read_from_it(hole: Tensor) -> None:
    """Tensors on meta have no values, and raise where one is asked for."""
    mask = torch.cat([hole, HOLES["other strokes"], hole])
    prediction, image = (each.to("meta") for each in noise(10, mask))
    assert blend(prediction, image, mask.to("meta"), mask[:, 0].numpy() > 0.5).shape == image.shape
