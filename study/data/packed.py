"""A packed data set: one array file that can be memory-mapped, and a JSON file about it.

    images.npy   uint8 (N, H, W, 3): the training part, then validation, then test
    data.json    parts (first and last + 1), names, images left out, mean colour, digest, image size

The same images give the same bytes: there are no times and no absolute paths in them.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from study.data.base import Report

PARTS = ("train", "validation", "test")
REPORT_EVERY = 32  # images
Pixels = NDArray[np.uint8]


class Picture(NamedTuple):
    """One image to pack: its name, and its pixels (H, W, 3)."""

    name: str
    pixels: Pixels


class LeftOut(NamedTuple):
    """An image that could not be packed, and why."""

    name: str
    why: str


class Packed:
    """A packed data set, opened from its folder; the pixels stay on disk until they are read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data: dict[str, Any] = json.loads((folder / "data.json").read_text(encoding="utf-8"))
        self.image_size: int = self._data["image_size"]
        self.digest: str = self._data["digest"]  # sha256 of the pixels, hex
        red, green, blue = self._data["mean"]
        self.mean: tuple[float, float, float] = (red, green, blue)  # of the training part, 0..1
        self.left_out = [LeftOut(**entry) for entry in self._data["left_out"]]

    @cached_property
    def _images(self) -> Pixels:
        return np.load(self._folder / "images.npy", mmap_mode="r", allow_pickle=False)

    def part(self, name: str) -> Pixels:
        """The images of one of `PARTS`: a read-only view (n, H, W, 3) of the file."""
        return self._images[slice(*self._data["parts"][name])]

    def names(self, name: str) -> list[str]:
        """The names of the images of one of `PARTS`, in the order of `part`."""
        return self._data["names"][slice(*self._data["parts"][name])]


def write(
    folder: Path,
    image_size: int,
    parts: Mapping[str, Iterable[Picture | LeftOut]],
    total: int,
    report: Report,
) -> None:
    """Packs `parts`, which holds each of `PARTS`, into `folder`, in one pass and with one image in memory.

    Args:
        image_size: side of every picture, px.
        total: how many pictures there are in all, for `report`.

    Raises:
        ValueError: a part is left without an image.
    """
    bounds: dict[str, list[int]] = {}
    names: list[str] = []
    left_out: list[LeftOut] = []
    digest = hashlib.sha256()
    sums = np.zeros(3, np.uint64)  # of the training part; exact, so that the mean is
    with (folder / "images.npy").open("wb") as file:
        start = _write_header(file, (0, image_size, image_size, 3))
        for part in PARTS:
            first = len(names)
            for item in parts[part]:
                if (len(names) + len(left_out)) % REPORT_EVERY == 0:
                    report(len(names) + len(left_out), total)
                if isinstance(item, LeftOut):
                    left_out.append(item)
                    continue
                assert item.pixels.shape == (image_size, image_size, 3) and item.pixels.dtype == np.uint8
                content = item.pixels.tobytes()
                file.write(content)
                digest.update(content)
                names.append(item.name)
                if part == "train":
                    sums += item.pixels.sum(axis=(0, 1), dtype=np.uint64)
            bounds[part] = [first, len(names)]
            if first == len(names):
                raise ValueError(f"the {part} part is empty: {_why_empty(left_out)}")
        file.seek(0)
        # NumPy pads its headers so that the first axis can grow in place.
        assert _write_header(file, (len(names), image_size, image_size, 3)) == start
    report(total, total)

    pixels = bounds["train"][1] * image_size**2
    data = {
        "image_size": image_size,
        "parts": bounds,
        "mean": [int(value) / (255 * pixels) for value in sums],
        "digest": digest.hexdigest(),
        "left_out": [entry._asdict() for entry in left_out],
        "names": names,
    }
    text = json.dumps(data, indent=1, ensure_ascii=False) + "\n"
    (folder / "data.json").write_text(text, encoding="utf-8", newline="\n")


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> int:
    """Writes the header of a uint8 array file; returns where its data begin, in bytes."""
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.tell()


def _why_empty(left_out: list[LeftOut]) -> str:
    if not left_out:
        return "no image was given for it; ask for more images"
    name, why = left_out[0]
    return f"{len(left_out)} images could not be used, the first of them {name} ({why}); replace them"
