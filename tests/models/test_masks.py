"""The kinds of holes: what they promise of size and place, and that a generator decides them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from models.masking import bounding_box, center_box
from models.masks import Center, FreeForm, Mask, RandomBox

KINDS: list[Any] = [Center(), RandomBox(), RandomBox(smallest=0.1, largest=0.9), FreeForm(), FreeForm(turns=1)]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@given(seed=st.integers(0, 2**32), side=st.sampled_from([16, 32, 48, 64]))
@settings(max_examples=15, deadline=None)
def test_holes_are_a_function_of_the_generator_and_leave_something_known(kind: Any, seed: int, side: int) -> None:
    holes = kind.draw(rng(seed), 3, side)
    assert holes.shape == (3, side, side) and holes.dtype == bool
    assert all(hole.any() and not hole.all() for hole in holes)
    assert np.array_equal(holes, kind.draw(rng(seed), 3, side))


@pytest.mark.parametrize("kind", KINDS[1:], ids=str)
def test_random_holes_differ(kind: Any) -> None:
    holes = kind.draw(rng(), 8, 32)
    assert len({hole.tobytes() for hole in holes}) == 8


def test_the_central_hole_is_the_papers() -> None:
    hole = Center().draw(rng(), 1, 256)[0]
    assert bounding_box(hole) == center_box(256) == (64, 64, 128, 128)
    assert hole.mean() == 0.25


@pytest.mark.parametrize(("smallest", "largest"), [(0.25, 0.5), (0.1, 0.2), (0.3, 0.3)])
def test_boxes_have_the_sizes_that_are_asked_for(smallest: float, largest: float) -> None:
    sizes = []
    for hole in RandomBox(smallest=smallest, largest=largest).draw(rng(), 300, 64):
        box = bounding_box(hole)
        assert hole.sum() == box.height * box.width
        sizes += [box.height, box.width]
    assert min(sizes) == round(smallest * 64) and max(sizes) == round(largest * 64)


@pytest.mark.parametrize(("smallest", "largest"), [(0.15, 0.35), (0.05, 0.15), (0.4, 0.6)])
def test_strokes_cover_what_is_asked_for(smallest: float, largest: float) -> None:
    shares = FreeForm(smallest=smallest, largest=largest).draw(rng(), 60, 64).mean((1, 2))
    assert smallest <= shares.min() and shares.max() <= largest
    assert shares.std() > 0


def pixel_by_pixel(kind: FreeForm, rng: np.random.Generator, side: int) -> np.ndarray:
    """A hole of strokes by each pixel's distance to each straight piece, over the whole image."""
    hole, turns = np.zeros((side, side), bool), kind.turns
    while hole.mean() < kind.smallest:
        corners = [rng.uniform(0, side - 1, size=2)]
        for _ in range(int(rng.integers(0, turns, endpoint=True))):
            angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(0, kind.length * side)
            step = length * np.array([np.sin(angle), np.cos(angle)])
            corners.append((corners[-1] + step).clip(0, side - 1))
        joined = hole.copy()
        for start, stop in zip(corners, [*corners[1:], corners[-1]], strict=True):
            rows, columns = np.mgrid[:side, :side] - start[:, None, None]
            along = stop - start
            share = ((rows * along[0] + columns * along[1]) / max(along @ along, 1e-12)).clip(0, 1)
            distances = np.hypot(rows - share * along[0], columns - share * along[1])
            joined |= distances <= max(kind.brush * side / 2, 0.5)
        if joined.mean() <= kind.largest:
            hole = joined
        else:
            turns = max(turns - 1, 0)
    return hole


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"turns": 1},
        {"brush": 0.0625},  # at 64 px a radius of 2 px: pieces along the border have whole rows exactly on their edge
        {"brush": 0.25, "length": 0.5},
        {"brush": 0.03, "smallest": 0.05, "largest": 0.2},
        {"brush": 0.125, "length": 3.0, "turns": 20},
        {"length": 1e-12},  # pieces that are points
        {"smallest": 0.4, "largest": 0.6},
    ],
    ids=str,
)
def test_strokes_are_those_of_every_pixels_distance(options: dict[str, Any]) -> None:
    kind = FreeForm(**options)
    for side in (16, 33, 64):
        for seed in range(4):
            ours, plain = rng(seed), rng(seed)
            assert np.array_equal(kind.draw(ours, 1, side)[0], pixel_by_pixel(kind, plain, side)), (side, seed)
            assert ours.bit_generator.state == plain.bit_generator.state


def test_strokes_are_no_boxes() -> None:
    holes = FreeForm().draw(rng(), 40, 64)
    boxes = [bounding_box(hole) for hole in holes]
    filled = [hole.sum() / (box.height * box.width) for hole, box in zip(holes, boxes, strict=True)]
    assert max(filled) < 0.9


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kind": "free_form", "smallest": 0.3}, "too near smallest, 0.3; keep 0.1 between them"),
        ({"kind": "files", "root": "masks", "hole": "red"}, "white"),
        ({"kind": "random_box", "largest": 1.0}, "less than 1"),
    ],
)
def test_what_cannot_be_meant(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        TypeAdapter(Mask).validate_python(options)


def test_a_bounding_box_needs_a_hole() -> None:
    with pytest.raises(ValueError, match="empty"):
        bounding_box(np.zeros((4, 4), bool))
