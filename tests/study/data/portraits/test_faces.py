"""Portraits: any size and number, a function of (seed, part, index), varied, and packed the same each time."""

from __future__ import annotations

import json
from pathlib import Path

import layouts
import numpy as np
import pytest

from models.masking import center_box
from study.data import Packed
from study.data.portraits.faces import Faces, portrait

FACES = Faces(seed=3, train=6, validation=2, test=3)


def packed(folder: Path, faces: Faces = FACES) -> Packed:
    return layouts.packed(faces, folder, 32)


@pytest.mark.parametrize("size", [16, 40, 64])
def test_any_size(size: int) -> None:
    image = portrait(0, "train", 0, size)
    assert image.shape == (size, size, 3) and image.dtype == np.uint8


def test_the_person_does_not_depend_on_the_size() -> None:
    for index in range(4):
        large, small = portrait(0, "test", index, 64), portrait(0, "test", index, 32)
        halved = large.reshape(32, 2, 32, 2, 3).astype(float).mean((1, 3))
        assert np.abs(halved - small).mean() < 6


def test_a_longer_set_begins_with_the_shorter_one(tmp_path: Path) -> None:
    short = packed(tmp_path / "short")
    longer = packed(tmp_path / "long", faces=Faces(seed=3, train=9, validation=2, test=5))
    for part in ("train", "validation", "test"):
        count = len(short.part(part))
        assert np.array_equal(short.part(part), longer.part(part)[:count])
        assert short.names(part) == longer.names(part)[:count]


def test_parts_and_seeds_have_other_people() -> None:
    pictures = [portrait(seed, part, i, 24) for seed in (0, 1) for part in ("train", "test") for i in range(20)]
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)


def test_a_packed_set_has_no_person_in_two_parts(tmp_path: Path) -> None:
    data = packed(tmp_path / "set")
    whole = np.concatenate([data.part(part) for part in ("train", "validation", "test")])
    assert len(np.unique(whole, axis=0)) == len(whole) == 11
    names = [name for part in ("train", "validation", "test") for name in data.names(part)]
    assert len(set(names)) == 11 and names[0] == "train-000000"
    assert np.array_equal(data.part("train")[0], portrait(FACES.seed, "train", 0, 32))


def test_the_hole_has_contrast_and_people_vary() -> None:
    pictures = np.stack([portrait(0, "test", i, 32) for i in range(30)]).astype(float)
    middle = pictures[:, *center_box(32).slices]
    assert np.median(middle.std((1, 2)).mean(-1)) > 15  # within each hole
    assert middle.mean((1, 2)).std(0).min() > 15  # over people


def test_packing_tells_how_far_it_is(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    FACES.pack(32, tmp_path, lambda done, total: told.append((done, total)))
    assert told[-1] == (11, 11)


def test_the_mean_colour_is_that_of_the_training_part(tmp_path: Path) -> None:
    data = packed(tmp_path / "faces")
    assert data.mean == pytest.approx(data.part("train").mean((0, 1, 2)) / 255)
    assert [len(data.part(part)) for part in ("train", "validation", "test")] == [6, 2, 3]


def test_all_that_decides_the_bytes_is_in_the_identity() -> None:
    changes = [{"seed": 4}, {"train": 7}, {"validation": 3}, {"test": 4}]
    texts = {json.dumps((FACES.model_copy(update=change)).identity()) for change in changes}
    assert len(texts) == 4 and json.dumps(FACES.identity()) not in texts
