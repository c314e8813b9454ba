"""A packed data set: one array file that can be memory-mapped, and a JSON file with its facts.

    images.npy   uint8 (N, H, W, 3): the training part, then validation, then test
    data.json    parts (first and last + 1), names, images left out, mean colour, digest, image size; if known also
                 groups, the images' original sizes, how many were enlarged, and notes
    train.txt, validation.txt, test.txt    the names of each part, one a line, usable as split files

The same images give the same bytes: the files hold no times and no absolute paths.
"""

import hashlib
import json
import os
import posixpath
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from functools import cached_property
from pathlib import Path
from time import monotonic
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from study.data.base import Report
from study.data.files.image import Pixels
from study.data.files.source import LeftOut

PARTS = ("train", "validation", "test")
REPORT_EVERY = 32  # images
NOTE_EVERY_S = 5.0  # between notes of the progress: the most work that a crash can lose
NOTE = ".packing.json"
ASIDE = f"{NOTE}.new"
AHEAD = 4  # images that each thread may read ahead
CHUNK = 2**22  # bytes read at a time


class Picture(NamedTuple):
    """One image to pack: name, pixels (H, W, 3), and the file's own width and height, if there is a file."""

    name: str
    pixels: Pixels
    size: tuple[int, int] | None = None


Read = Callable[[str], Picture | LeftOut]
"""Reads the image of a name. ``write`` may call it from several threads at once."""


class Packed:
    """A packed data set, opened from its folder. The pixels stay on disk until they are used."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data: dict[str, Any] = json.loads((folder / "data.json").read_text(encoding="utf-8"))
        self.image_size: int = self._data["image_size"]
        self.digest: str = self._data["digest"]  # sha256 of the pixels, hex
        red, green, blue = self._data["mean"]
        self.mean: tuple[float, float, float] = (red, green, blue)  # of the training part, 0..1
        self.left_out = [LeftOut(**entry) for entry in self._data["left_out"]]
        self.notes: list[str] = self._data.get("notes", [])
        self.enlarged: int | None = self._data.get("enlarged")  # images; None if sizes are unknown
        sides = self._data.get("short_sides", {})  # number of images by original short side, px
        self.short_sides: dict[int, int] = {int(side): count for side, count in sides.items()}

    @cached_property
    def _images(self) -> Pixels:
        images: Pixels = np.load(self._folder / "images.npy", mmap_mode="r", allow_pickle=False)
        return images

    def part(self, name: str) -> Pixels:
        """The images of one of ``PARTS``: a read-only view (n, H, W, 3) of the file."""
        return self._images[slice(*self._data["parts"][name])]

    def names(self, name: str) -> list[str]:
        """The names of the images of one of ``PARTS``, in the order of ``part``."""
        return list(self._data["names"][slice(*self._data["parts"][name])])

    def groups(self, name: str) -> list[str] | None:
        """The group of each image of one of ``PARTS``, in the order of ``part``; None if no groups are known.

        An image without a group is a group of its own, under its own name.
        """
        groups = self._data.get("groups")
        return None if groups is None else groups[slice(*self._data["parts"][name])]


def write(
    folder: Path,
    image_size: int,
    parts: Mapping[str, Sequence[str]],
    read: Read,
    report: Report,
    *,
    threads: int = 1,
    groups: Mapping[str, str] | None = None,
    left_out: Sequence[LeftOut] = (),
    notes: Sequence[str] = (),
) -> None:
    """Packs images into ``folder``, in one pass and with few of them in memory.

    An interrupted packing leaves a note in ``folder``, and the next one resumes from it. Neither that nor the number of
    threads changes a byte.

    Args:
        image_size: side of every image, px.
        parts: the names of the images of each of ``PARTS``.
        groups: the group of each image, by name, where known.
        left_out: files that could not be chosen; listed together with those that ``read`` leaves out.

    Raises:
        ValueError: a part has no image, or pixels are not uint8 of that size.
    """
    names = [name for part in PARTS for name in parts[part]]
    plan = hashlib.sha256(json.dumps([image_size, [list(parts[part]) for part in PARTS]]).encode()).hexdigest()
    facts, noted = _resumed(folder, plan, 3 * image_size**2), monotonic()
    with (folder / "images.npy").open("r+b" if facts.packed else "wb") as file:
        start = _write_header(file, (0, image_size, image_size, 3))
        digest = _read_again(file, facts.packed * 3 * image_size**2)
        with closing(_in_order(read, names[facts.done :], threads)) as items:
            try:
                for item in items:
                    if facts.done % REPORT_EVERY == 0:
                        report(facts.done, len(names))
                    if isinstance(item, Picture):
                        got, wanted = item.pixels, (image_size, image_size, 3)
                        if got.shape != wanted or got.dtype != np.uint8:
                            fault = f"its pixels are {got.dtype} {got.shape}; expected uint8 {wanted}"
                            raise ValueError(f"{item.name}: {fault}")
                        content = got.tobytes()
                        file.write(content)
                        digest.update(content)
                    # An interrupt may come anywhere: this one assignment counts the image.
                    facts = facts.plus(item, training=facts.done < len(parts["train"]))
                    if monotonic() - noted > NOTE_EVERY_S:
                        _note(folder, plan, facts, file)
                        noted = monotonic()
            except BaseException:
                _note(folder, plan, facts, file)
                raise
        file.seek(0)
        # NumPy pads its headers so that the first axis can grow in place.
        assert _write_header(file, (facts.packed, image_size, image_size, 3)) == start
    report(len(names), len(names))
    try:
        _write_facts(folder, image_size, facts, parts, digest.hexdigest(), groups, left_out, notes)
    except ValueError:
        _forget(folder)  # start again: the user may repair the files
        raise
    _forget(folder)


def _in_order(read: Read, names: Sequence[str], threads: int) -> Generator[Picture | LeftOut, None, None]:
    """The images of these names, in order, read by several threads."""
    if threads == 1:
        yield from map(read, names)
        return
    ahead: deque[Future[Picture | LeftOut]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="packing") as pool:
        try:
            for name in names:
                ahead.append(pool.submit(read, name))
                if len(ahead) == AHEAD * threads:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


class _Facts(NamedTuple):
    """The facts of the first ``done`` images.

    left_out: images that cannot be used, by index. sums: of the training part's pixels in each channel, as exact
    integers. short_sides: the number of images by original short side, px.
    """

    done: int
    left_out: Mapping[int, LeftOut]
    sums: Sequence[int]
    short_sides: Mapping[int, int]

    @property
    def packed(self) -> int:
        """The number of images in the file."""
        return self.done - len(self.left_out)

    def plus(self, item: Picture | LeftOut, *, training: bool) -> "_Facts":
        """The facts with one more image."""
        if isinstance(item, LeftOut):
            return self._replace(done=self.done + 1, left_out={**self.left_out, self.done: item})
        sums, sides = self.sums, self.short_sides
        if training:
            own = item.pixels.sum(axis=(0, 1), dtype=np.uint64).tolist()
            sums = [total + value for total, value in zip(sums, own, strict=True)]
        if item.size is not None:
            sides = {**sides, min(item.size): sides.get(min(item.size), 0) + 1}
        return _Facts(self.done + 1, self.left_out, sums, sides)


def _resumed(folder: Path, plan: str, image_bytes: int) -> _Facts:
    """What an earlier packing of the same plan noted, if its images are still there; otherwise no images."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
        left_out = {int(place): LeftOut(*entry) for place, entry in note["left_out"].items()}
        sides = {int(side): count for side, count in note["short_sides"].items()}
        facts = _Facts(note["done"], left_out, note["sums"], sides)
        if note["plan"] == plan and (folder / "images.npy").stat().st_size >= facts.packed * image_bytes:
            return facts
    return _Facts(0, {}, [0, 0, 0], {})


def _note(folder: Path, plan: str, facts: _Facts, file: BinaryIO) -> None:
    """Writes the progress to the note, once the pixels are on disk."""
    file.flush()
    os.fsync(file.fileno())
    aside = folder / ASIDE
    aside.write_text(json.dumps({"plan": plan, **facts._asdict()}), encoding="utf-8")
    aside.replace(folder / NOTE)


def _forget(folder: Path) -> None:
    """Removes the note, also one that a kill left half written."""
    for name in (ASIDE, NOTE):
        (folder / name).unlink(missing_ok=True)


def _write_facts(
    folder: Path,
    image_size: int,
    facts: _Facts,
    parts: Mapping[str, Sequence[str]],
    digest: str,
    groups: Mapping[str, str] | None,
    left_out: Sequence[LeftOut],
    notes: Sequence[str],
) -> None:
    """Writes data.json and the split files. Raises ValueError if a part is empty."""
    bounds: dict[str, list[int]] = {}
    names: list[str] = []
    first = 0
    for part in PARTS:
        own = [name for place, name in enumerate(parts[part], first) if place not in facts.left_out]
        if not own:
            why = "no image was given for it; ask for more images"
            if unusable := list(facts.left_out.values()):
                example = f"{unusable[0].name} ({unusable[0].why})"
                why = f"{len(unusable)} images could not be used, the first of them {example}; replace them"
            raise ValueError(f"the {part} part is empty: {why}")
        bounds[part] = [len(names), len(names) + len(own)]
        names += own
        first += len(parts[part])
        # './' escapes a name that a split file would read as a comment or strip.
        text = "".join(f"./{name}\n" if name[0] == "#" or name[0].isspace() else f"{name}\n" for name in own)
        (folder / f"{part}.txt").write_text(text, encoding="utf-8", newline="\n")
    pixels = bounds["train"][1] * image_size**2
    data: dict[str, Any] = {
        "image_size": image_size,
        "parts": bounds,
        "mean": [value / (255 * pixels) for value in facts.sums],
        "digest": digest,
        "left_out": [entry._asdict() for entry in (*left_out, *facts.left_out.values())],
    }
    if facts.short_sides:
        data["short_sides"] = {str(side): count for side, count in sorted(facts.short_sides.items())}
        data["enlarged"] = sum(count for side, count in facts.short_sides.items() if side < image_size)
    if notes:
        data["notes"] = list(notes)
    data["names"] = names
    if groups:
        data["groups"] = [groups.get(posixpath.normpath(name), name) for name in names]
    text = json.dumps(data, indent=1, ensure_ascii=False) + "\n"
    (folder / "data.json").write_text(text, encoding="utf-8", newline="\n")


def _read_again(file: BinaryIO, length: int) -> "hashlib._Hash":
    """The SHA-256 of the next ``length`` bytes. Truncates the file after them."""
    digest = hashlib.sha256()
    while length:
        content = file.read(min(length, CHUNK))
        assert content, "the packed images are shorter than their note says"
        digest.update(content)
        length -= len(content)
    file.seek(file.tell())  # required between reading and writing
    file.truncate()
    return digest


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> int:
    """Writes the header of a uint8 array file. Returns where the data begin, in bytes."""
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return file.tell()
