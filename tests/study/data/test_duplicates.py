"""Which pictures count as duplicates: the kinds of copies that are found, and look-alikes that are not."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter

from study.data import Faces, duplicates
from study.data.portraits.faces import portrait

Picture = Image.Image


def broad(seed: int, side: int = 96) -> Picture:
    """A picture of few broad shapes with fine ones over them."""
    rng = np.random.default_rng(seed)
    layers = [Image.fromarray(rng.integers(0, 256, (n, n, 3), np.uint8)).resize((side, side)) for n in (5, 24)]
    return Image.blend(*layers, 0.15)


PHOTOGRAPHS = [
    Image.fromarray(photograph()).resize((192, 192))
    for photograph in (skimage.data.astronaut, skimage.data.chelsea, skimage.data.coffee, skimage.data.rocket)
]


def recompressed(picture: Picture) -> Picture:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=20)
    return Image.open(stream).convert("RGB")


def tinted(picture: Picture) -> Picture:
    return Image.fromarray((np.asarray(picture) * np.array([1.0, 0.97, 0.9])).astype(np.uint8))


def cropped(picture: Picture) -> Picture:
    edge = round(0.015 * picture.width)
    return picture.crop((edge, edge, picture.width - edge, picture.height - edge))


COPIES: dict[str, Callable[[Picture], Picture]] = {
    "smaller": lambda picture: picture.resize((40, 40), Image.Resampling.LANCZOS),
    "larger": lambda picture: picture.resize((250, 250)),
    "recompressed": recompressed,
    "darker": lambda picture: ImageEnhance.Brightness(picture).enhance(0.7),
    "brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.1),
    "less contrast": lambda picture: ImageEnhance.Contrast(picture).enhance(0.6),
    "more colour": lambda picture: ImageEnhance.Color(picture).enhance(1.2),
    "tinted": tinted,
    "blurred": lambda picture: picture.filter(ImageFilter.GaussianBlur(1)),
    "cropped": cropped,
}


def marks(*pictures: Picture | NDArray[np.uint8]) -> duplicates.Marks:
    """The marks of pictures as they would be packed at 64 px."""
    return duplicates.marks_of(
        np.stack([np.asarray(Image.fromarray(np.asarray(p)).resize((64, 64))) for p in pictures])
    )


def near(a: duplicates.Marks, b: duplicates.Marks) -> int:
    """The number of near pairs."""
    names = [list(map(str, range(len(one.bits)))) for one in (a, b)]
    number: int = duplicates.pairs(a, b, *names)["near"]["pairs"]
    return number


@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_is_found(kind: str) -> None:
    pictures = [*map(broad, range(8)), *PHOTOGRAPHS]
    copies = [COPIES[kind](picture) for picture in pictures]
    assert near(marks(*pictures), marks(*copies)) == 12  # each with its own alone


def test_other_pictures_are_not_taken_for_copies() -> None:
    assert near(marks(*map(broad, range(60))), marks(*map(broad, range(60, 120)))) == 0


def test_plain_pictures_are_duplicates_only_if_they_are_equal() -> None:
    sky = np.linspace(0, 80, 64)[:, None, None] + np.array([60, 90, 150]) + np.zeros((1, 64, 1))
    dusk = np.linspace(0, 60, 64)[:, None, None] + np.array([150, 90, 60]) + np.zeros((1, 64, 1))
    plain = [np.full((64, 64, 3), grey, np.uint8) for grey in (0, 90, 91)]
    pictures = marks(*plain, sky.astype(np.uint8), dusk.astype(np.uint8))
    names = list("abcde")
    found = duplicates.pairs(pictures, pictures, names, names)
    assert found["exact"] == {"pairs": 5, "images": 5, "first": [[name, name] for name in names]}
    assert found["near"]["pairs"] == 0


def test_portraits_of_one_layout_are_told_apart() -> None:
    """Their hashes alone are near in many pairs: the same hair and light, but another face, clothes and background."""
    train, test = (
        duplicates.marks_of(np.stack([portrait(Faces().seed, part, i, 32) for i in range(count)]))
        for part, count in (("train", 400), ("test", 60))
    )
    assert (duplicates.distance(test.bits[:, None], train.bits[None]) <= 4).sum() > 5
    assert near(train, test) == 0


def test_the_distance_is_counted_alike_with_an_older_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = np.random.default_rng(0).integers(0, 2**64, 60, np.uint64, endpoint=False)
    found = duplicates.distance(numbers[:, None], numbers[None])
    assert found[3, 7] == (int(numbers[3]) ^ int(numbers[7])).bit_count()
    monkeypatch.delattr(np, "bitwise_count", raising=False)
    assert (duplicates.distance(numbers[:, None], numbers[None]) == found).all()


def test_all_pairs_are_looked_at_in_seconds() -> None:
    rng = np.random.default_rng(0)

    def unlike(count: int) -> duplicates.Marks:
        exact, bits = rng.integers(0, 2**64, (2, count), np.uint64, endpoint=False)
        colours = rng.normal(size=(count, 192))
        return duplicates.Marks(exact, bits, (colours / np.linalg.norm(colours, axis=1)[:, None]).astype(np.float16))

    a, b = unlike(8000), unlike(2000)
    b.bits[1777], b.colours[1777] = a.bits[7000] ^ np.uint64(0b1011), a.colours[7000]
    started = time.process_time()
    found = duplicates.pairs(a, b, list(map(str, range(8000))), list(map(str, range(2000))))
    assert time.process_time() - started < 5
    assert found == {
        "exact": {"pairs": 0, "images": 0, "first": []},
        "near": {"pairs": 1, "images": 1, "first": [["7000", "1777"]]},
    }


def test_the_search_says_how_far_it_is_and_can_be_ended(tmp_path: Path) -> None:
    Faces(train=20, validation=2, test=3).pack(16, tmp_path, lambda done, total: None)
    heard: list[tuple[int, int]] = []
    assert duplicates.counts(duplicates.found(tmp_path, lambda *at: heard.append(at))) == {
        "exact": {"train": 0, "validation": 0},
        "near": {"train": 0, "validation": 0},
    }
    assert heard == [(25, 25)]

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        duplicates.found(tmp_path, stop)
