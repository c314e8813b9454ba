"""Duplicates between the parts of a packed data set: images of training that come again in the test.

Exact: every packed pixel is equal. Near: the same picture in another size, compression, brightness, contrast or tint,
or with a narrow border cut off. Two pictures are near if both hold:

- their 64-bit difference hashes, of which pixels of a 9 x 8 grey thumbnail are brighter than their left neighbours,
  differ in ``NEAR_BITS`` bits at most;
- their 8 x 8 colour thumbnails correlate with ``ALIKE`` or more, over all pixels and colours.

The hash alone takes pictures of one layout, such as aligned faces, for each other; thumbnails alone take plain skies.
``tests/study/data/test_duplicates.py`` measures both on photographs and on the drawn portraits. Not found: a mirrored
picture, a grey copy of a coloured one, text or a frame laid over, more than about a twentieth cut off.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from study.data.packed import PARTS, Packed
from study.data.sets.images import processors

NEAR_BITS = 12
ALIKE = 0.97
COMPARED = (("train", "test"), ("validation", "test"))
PAIRS_SHOWN = 5
CHUNK = 128  # images between two calls of ``heard``

MEANING = (
    "Exact: every packed pixel is equal. Near: the same picture in another size, compression, brightness or tint, or a "
    f"little cropped: 64-bit difference hashes that differ in {NEAR_BITS} bits at most, and 8 x 8 colour thumbnails "
    f"with a correlation of {ALIKE:g} or more."
)

Bits = NDArray[np.uint64]
Heard = Callable[[int, int], None]


class Marks(NamedTuple):
    """What n images are compared by.

    exact: the first 64 bits of the SHA-256 of each image's pixels, (n,). bits: the difference hashes, (n,). colours:
    the colour thumbnails less their mean and of length 1, (n, 192); zeros where an image has one grey.
    """

    exact: Bits
    bits: Bits
    colours: NDArray[np.float16]


def found(folder: Path, heard: Heard = lambda done, total: None) -> list[dict[str, Any]]:
    """The duplicates of a packed data set's test images in each other part: ``parts``, and as ``pairs`` gives them.

    ``heard`` is told now and then how many images are read. It may raise, which ends the search.
    """
    packed = Packed(folder)
    names = {part: packed.names(part) for part in PARTS}
    every, marks, first = marks_of(packed.images, heard), dict[str, Marks](), 0
    for part in PARTS:
        own = slice(first, first + len(names[part]))
        marks[part] = Marks(every.exact[own], every.bits[own], every.colours[own])
        first = own.stop
    return [{"parts": [a, b], **pairs(marks[a], marks[b], names[a], names[b])} for a, b in COMPARED]


def counts(duplicates: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How many test images have a duplicate, by its kind and part: ``{"exact": {"train": 0, ...}, "near": ...}``."""
    return {kind: {entry["parts"][0]: entry[kind]["images"] for entry in duplicates} for kind in ("exact", "near")}


def marks_of(images: NDArray[np.uint8], heard: Heard = lambda done, total: None) -> Marks:
    """The marks of images (n, H, W, 3)."""

    def marks(pixels: NDArray[np.uint8]) -> tuple[int, int, NDArray[np.float32]]:
        exact = int.from_bytes(hashlib.sha256(pixels.tobytes()).digest()[:8], "big")
        return exact, difference_hash(pixels), colour_thumbnail(pixels)

    rows: list[tuple[int, int, NDArray[np.float32]]] = []
    with ThreadPoolExecutor(processors()) as pool:
        for start in range(0, len(images), CHUNK):
            rows += pool.map(marks, images[start : start + CHUNK])
            heard(len(rows), len(images))
    exact, bits, colours = zip(*rows, strict=True)
    return Marks(np.array(exact, np.uint64), np.array(bits, np.uint64), np.stack(colours).astype(np.float16))


def difference_hash(pixels: NDArray[np.uint8]) -> int:
    """64 bits of an image (H, W, 3): is a pixel of its 9 x 8 grey thumbnail brighter than its left neighbour?"""
    grey = Image.fromarray(pixels).convert("L").resize((9, 8), Image.Resampling.BOX)
    values = np.asarray(grey, np.int16)
    return int.from_bytes(np.packbits(values[:, 1:] > values[:, :-1]).tobytes(), "big")


def colour_thumbnail(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The 8 x 8 thumbnail of an image (H, W, 3), less its mean and of length 1, (192,); zeros if it has one grey."""
    small = np.asarray(Image.fromarray(pixels).resize((8, 8), Image.Resampling.BOX), np.float32).ravel()
    small -= small.mean()
    length = np.linalg.norm(small)
    return small / length if length else small


def pairs(a: Marks, b: Marks, names_a: Sequence[str], names_b: Sequence[str]) -> dict[str, Any]:
    """Exact and near duplicates between two parts: the number of pairs, and the names of the first.

    ``images`` in the result is the number of images of ``b`` in such pairs.
    """
    number, images = Counter[str](), defaultdict[str, set[int]](set)
    first: dict[str, list[list[str]]] = {"exact": [], "near": []}
    for j, (exact, bits, colours) in enumerate(zip(*b, strict=True)):
        equal = a.exact == exact
        close = np.flatnonzero(equal | (distance(a.bits, bits) <= NEAR_BITS))
        alike = a.colours[close].astype(np.float32) @ colours.astype(np.float32) >= ALIKE
        for i in close[equal[close] | alike].tolist():
            kind = "exact" if equal[i] else "near"
            number[kind] += 1
            images[kind].add(j)
            if len(first[kind]) < PAIRS_SHOWN:
                first[kind].append([names_a[i], names_b[j]])
    return {kind: {"pairs": number[kind], "images": len(images[kind]), "first": first[kind]} for kind in first}


def distance(a: Bits, b: Bits) -> NDArray[np.uint8]:
    """The number of bits in which numbers differ."""
    differ = a ^ b
    if hasattr(np, "bitwise_count"):
        return np.asarray(np.bitwise_count(differ), np.uint8)
    bits = np.unpackbits(differ[..., None].view(np.uint8), axis=-1)
    return np.asarray(bits.sum(-1, dtype=np.uint8))
