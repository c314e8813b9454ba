"""What was trained at one size repairs images of any: every hole, in windows that hold it, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from scipy import ndimage
from torch import Tensor

from baselines.fillers import FILLERS
from models.blending import blend
from models.masking import Box, center_box, mask_of
from study.use import windows
from study.use.windows import Window, inpaint

SIDE = 32


def noise(height: int, width: int) -> Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(height * width))


def boxes(height: int, width: int, *holes: Box) -> Tensor:
    mask = torch.zeros(1, height, width)
    for hole in holes:
        mask[:, *hole.slices] = 1
    return mask


def stroke(height: int, width: int, thickness: int, *points: tuple[int, int]) -> Tensor:
    drawn = Image.new("L", (width, height))
    ImageDraw.Draw(drawn).line(points, fill=255, width=thickness)
    return (torch.from_numpy(np.array(drawn)) > 0)[None].float()


class Seen:
    """A repair that predicts one grey, and remembers what it was given."""

    def __init__(self, grey: float = 0.7) -> None:
        self.grey, self.images, self.masks = grey, list[Tensor](), list[Tensor]()

    def __call__(self, image: Tensor, mask: Tensor) -> Tensor:
        assert image.shape[1:] == (3, SIDE, SIDE) and mask.shape == (len(image), 1, SIDE, SIDE)
        assert image.min() >= 0 and image.max() <= 1 and set(mask.unique().tolist()) <= {0.0, 1.0}
        self.images += list(image)
        self.masks += list(mask)
        return torch.full_like(image, self.grey)


MASKS = {
    "a box": boxes(64, 96, Box(20, 30, 24, 24)),
    "a large box": boxes(64, 96, Box(5, 5, 50, 60)),
    "at the border": boxes(64, 96, Box(20, 0, 16, 10)),
    "in the corner": boxes(64, 96, Box(52, 84, 12, 12)),
    "across the image": boxes(64, 96, Box(0, 40, 64, 9)),
    "all but a frame": boxes(64, 96, Box(2, 2, 60, 92)),
    "two holes": boxes(64, 96, Box(4, 4, 10, 10), Box(40, 70, 20, 20)),
    "a ring with a hole in it": boxes(64, 96, Box(4, 4, 56, 56)) - boxes(64, 96, Box(14, 14, 36, 36))
    + boxes(64, 96, Box(28, 28, 6, 6)),
    "a stroke": stroke(64, 96, 3, (2, 2), (90, 60), (50, 5)),
    "small": boxes(37, 91, Box(10, 60, 5, 5)),
    "smaller than the trained side": boxes(9, 13, Box(3, 4, 4, 4)),
    "one pixel": boxes(8, 5, Box(7, 0, 1, 1)),
    "a line of pixels": boxes(3, 200, Box(1, 10, 1, 180)),
}  # fmt: skip


@pytest.mark.parametrize("central_only", [False, True])
@pytest.mark.parametrize("kind", MASKS)
def test_every_hole_is_repaired_and_nothing_else(kind: str, central_only: bool) -> None:
    mask = MASKS[kind]
    image = noise(*mask.shape[1:])
    repaired, used = inpaint(image, mask, Seen(), SIDE, central_only=central_only, blended=False)
    hole = mask[0] > 0.5
    assert torch.equal(repaired[:, ~hole], image[:, ~hole])
    assert torch.allclose(repaired[:, hole], torch.tensor(0.7), atol=1e-5)
    assert used
    blended, _ = inpaint(image, mask, Seen(), SIDE, central_only=central_only)
    assert torch.equal(blended[:, ~hole], image[:, ~hole])


@pytest.mark.parametrize("kind", MASKS)
def test_what_repairs_the_central_square_gets_the_hole_there(kind: str) -> None:
    mask, seen = MASKS[kind], Seen()
    _, used = inpaint(noise(*mask.shape[1:]), mask, seen, SIDE, central_only=True)
    assert all(torch.equal(each, mask_of([center_box(SIDE)], SIDE)[0]) for each in seen.masks)
    covered = torch.zeros_like(mask[0])
    for window in used:
        quarter = window.box.height // 4
        rows = slice(max(window.box.top + quarter, 0), window.box.top + 3 * quarter)
        columns = slice(max(window.box.left + quarter, 0), window.box.left + 3 * quarter)
        covered[rows, columns] = 1
    assert (covered >= mask[0]).all()


def test_the_hole_of_training_is_seen_as_in_training() -> None:
    image, mask = noise(SIDE, SIDE), mask_of([center_box(SIDE)], SIDE)[0]
    seen = Seen()
    repaired, used = inpaint(image, mask, seen, SIDE)
    assert used == [Window(Box(0, 0, SIDE, SIDE), frozenset([1]))]
    assert torch.equal(seen.masks[0], mask)
    known = mask.expand(3, -1, -1) < 0.5
    assert torch.equal(seen.images[0][known], image[known])
    predicted = torch.full_like(image, 0.7)
    assert torch.allclose(repaired, blend(predicted[None], image[None], mask[None])[0], atol=1e-6)


def test_what_stands_in_the_hole_is_never_seen() -> None:
    """However it is scaled: the hole's old content does not bleed into what is known."""
    mask = MASKS["a large box"]
    image = torch.full((3, 64, 96), 0.25)
    image[:, mask[0] > 0.5] = 1.0
    seen = Seen()
    inpaint(image, mask, seen, SIDE)
    assert torch.allclose(torch.stack(seen.images), torch.tensor(0.25), atol=1e-5)


def test_a_window_sees_a_pixel_as_hole_if_any_of_it_is() -> None:
    mask = boxes(256, 256, Box(64, 64, 128, 128), Box(3, 3, 1, 1))
    seen = Seen()
    _, used = inpaint(noise(256, 256), mask, seen, SIDE)
    large = seen.masks[[window.box.height for window in used].index(256)]
    assert large[0, 0, 0] == 1 and large.sum() == 1 + 16**2


@pytest.mark.parametrize(
    ("hole", "size", "wanted"),
    [
        (Box(100, 100, 64, 64), (256, 512), Box(36, 36, 192, 192)),  # thrice the hole
        (Box(10, 100, 100, 100), (256, 512), Box(0, 22, 256, 256)),  # no more than there is
        (Box(64, 64, 128, 128), (200, 300), Box(0, 0, 256, 256)),  # but twice the hole at least
        (Box(100, 100, 4, 4), (256, 512), Box(86, 86, 32, 32)),  # the trained side at least
        (Box(0, 508, 4, 4), (256, 512), Box(0, 480, 32, 32)),  # moved inside
    ],
)
def test_where_a_window_lies(hole: Box, size: tuple[int, int], wanted: Box) -> None:
    _, (window,) = inpaint(noise(*size), boxes(*size, hole), Seen(), SIDE)
    assert window.box == wanted


def test_small_holes_that_lie_close_together_share_a_window() -> None:
    near = boxes(256, 256, Box(50, 50, 3, 3), Box(58, 60, 3, 3))
    assert len(inpaint(noise(256, 256), near, Seen(), SIDE)[1]) == 1
    apart = boxes(256, 256, Box(50, 50, 3, 3), Box(158, 60, 3, 3))
    assert len(inpaint(noise(256, 256), apart, Seen(), SIDE)[1]) == 2


def test_a_slender_hole_is_repaired_in_pieces_of_its_own_scale() -> None:
    mask = stroke(512, 512, 8, (20, 20), (480, 400))
    _, used = inpaint(noise(512, 512), mask, Seen(), SIDE)
    assert len(used) > 5 and max(window.box.height for window in used) < 128
    compact = boxes(512, 512, Box(100, 100, 100, 200))
    assert [window.box.height for window in inpaint(noise(512, 512), compact, Seen(), SIDE)[1]] == [512]


def test_pieces_pass_into_each_other() -> None:
    """Windows whose predictions disagree leave no step in the hole."""
    count = iter(range(1000))

    def disagree(image: Tensor, mask: Tensor) -> Tensor:
        return torch.stack([torch.full_like(one, (next(count) % 2) * 1.0) for one in image])

    mask = boxes(40, 400, Box(18, 10, 4, 380))
    repaired, used = inpaint(noise(40, 400), mask, disagree, SIDE, blended=False)
    assert len(used) > 10
    line = repaired[0, 20, 10:390]
    assert line.max() > 0.9 and line.min() < 0.1 and line.diff().abs().max() < 0.3


def test_a_ramp_is_carried_on_at_every_scale() -> None:
    """By biharmonic filling, which knows ramps: so windows are cut, scaled and put back where they belong."""
    rows, columns = torch.meshgrid(torch.linspace(0.2, 0.5, 240), torch.linspace(0, 0.4, 320), indexing="ij")
    image = torch.stack([rows + columns, rows, 1 - columns])
    for hole in (Box(80, 100, 70, 60), Box(100, 120, 20, 16), Box(90, 60, 10, 150)):
        mask = boxes(240, 320, hole)
        for blended in (False, True):
            repaired, _ = inpaint(image, mask, FILLERS["biharmonic"], SIDE, blended=blended)
            assert (repaired - image).abs().max() < 0.01


@settings(max_examples=15, deadline=None)
@given(
    height=st.integers(2, 70),
    width=st.integers(2, 70),
    share=st.sampled_from([0.02, 0.3, 0.7]),
    central_only=st.booleans(),
    seed=st.integers(0, 99),
)
def test_any_hole_of_any_image(height: int, width: int, share: float, central_only: bool, seed: int) -> None:
    image = noise(height, width)
    rng = np.random.default_rng(seed)
    hole = rng.random((height, width)) < share
    hole[0, 0], hole[-1, -1] = False, True
    mask = torch.from_numpy(hole)[None].float()
    first, _ = inpaint(image, mask, Seen(), SIDE, central_only=central_only)
    again, _ = inpaint(image, mask, Seen(), SIDE, central_only=central_only)
    assert torch.equal(first, again) and first.isfinite().all() and first.min() >= 0 and first.max() <= 1
    assert torch.equal(first[:, ~torch.from_numpy(hole)], image[:, ~torch.from_numpy(hole)])


def test_holes_are_blended_one_by_one_as_all_at_once() -> None:
    image = noise(64, 96)
    for kind in ("two holes", "a stroke", "a ring with a hole in it"):
        mask = MASKS[kind]
        plain, _ = inpaint(image, mask, Seen(), SIDE, blended=False)
        found, _ = inpaint(image, mask, Seen(), SIDE)
        assert torch.allclose(found, blend(plain[None], image[None], mask[None])[0], atol=1e-4)


def test_no_hole_and_nothing_else_are_refused() -> None:
    with pytest.raises(ValueError, match="there is no hole"):
        inpaint(noise(8, 8), torch.zeros(1, 8, 8), Seen(), SIDE)
    with pytest.raises(ValueError, match="all of the image is hole"):
        inpaint(noise(8, 8), torch.ones(1, 8, 8), Seen(), SIDE)


def test_a_window_can_be_asked_to_be_larger() -> None:
    mask = boxes(200, 200, Box(100, 100, 8, 8))
    assert inpaint(noise(200, 200), mask, Seen(), SIDE, least=96)[1][0].box.height == 96
    assert inpaint(noise(200, 200), mask, Seen(), SIDE, least=1000)[1][0].box.height == 200


def test_many_specks_take_few_windows() -> None:
    rng = np.random.default_rng(0)
    mask = torch.from_numpy(rng.random((256, 256)) < 0.01)[None].float()
    used = inpaint(noise(256, 256), mask, Seen(), SIDE)[1]
    assert len(used) < 400 < ndimage.label(mask[0].numpy(), windows.TOUCHING)[1]
