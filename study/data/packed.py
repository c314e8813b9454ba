"""A packed data set: one array file that can be memory-mapped, and a JSON file with its facts.

    images.npy   uint8 (N, H, W, 3): the training part, then validation, then test
    data.json    parts (first and last + 1), names, images left out, mean colour, digest, image size; if known also
                 groups, the images' original sizes, how many were enlarged, and notes
    train.txt, validation.txt, test.txt    the names of each part, one a line, usable as split files

The same images give the same bytes: the files hold no times and no absolute paths.
"""

import hashlib
import json
import multiprocessing
import os
import posixpath
import signal
from collections import Counter, deque
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, suppress
from functools import cached_property
from pathlib import Path
from time import monotonic
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from study.data.base import Report
from study.data.files.image import Pixels
from study.data.files.source import LeftOut
from study.errors import StudyError, at_file
from study.processes import end_with_parent
from study.store import write_atomically

PARTS = ("train", "validation", "test")
REPORT_EVERY = 32  # images
NOTE_EVERY_S = 5.0  # between notes of the progress: the most reading of images that a crash can lose
NOTE = ".packing.json"
AHEAD = 4  # tasks that each thread or process may do ahead
TOGETHER = 8  # images of a process's task
WORTH_A_PROCESS = 1000  # images: to start a process takes as long as to draw some hundreds of small ones
CHUNK = 32  # images whose digest and mean are computed at a time
FAINT = 20  # of 255: a sixteenth of the range, 16, and what resizing overshoots
DARK = (
    f"no pixel of any image is above {FAINT} of 255, as with 12 bits in files of 16, or labels in place of images; "
    f"save them with the full range of their files"
)


class Picture(NamedTuple):
    """One image to pack: name, pixels (H, W, 3), and the file's own width and height, if there is a file."""

    name: str
    pixels: Pixels
    size: tuple[int, int] | None = None


Read = Callable[[str], Picture | LeftOut]
"""Reads the image of a name. ``write`` may call it from several threads at once, or send it to processes."""

Seen = list[LeftOut | int | None]
"""For each image so far: why it is left out, or its file's short side, px; None if there is no file."""


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
    def images(self) -> Pixels:
        """The images of all parts, in their order: a read-only view (n, H, W, 3) of the file."""
        images: Pixels = np.load(self._folder / "images.npy", mmap_mode="r", allow_pickle=False)
        return images

    def part(self, name: str) -> Pixels:
        """The images of one of ``PARTS``: a read-only view (n, H, W, 3) of the file."""
        return self.images[slice(*self._data["parts"][name])]

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
    processes: int = 1,
    groups: Mapping[str, str] | None = None,
    left_out: Sequence[LeftOut] = (),
    notes: Sequence[str] = (),
) -> None:
    """Packs images into ``folder``, with few of them in memory.

    An interrupted packing leaves a note in ``folder``, and the next one resumes from it. Neither that nor the number of
    threads or processes changes a byte.

    Args:
        image_size: side of every image, px.
        parts: the names of the images of each of ``PARTS``.
        threads: how many read at once. For files: decoders leave Python's lock.
        processes: how many may read at once instead, if there are images enough. For images that are drawn in Python:
            ``read`` must be a function of a module, or a ``partial`` of one.
        groups: the group of each image, by name, where known.
        left_out: files that could not be chosen; listed together with those that ``read`` leaves out.

    Raises:
        ValueError: a part has no image, or pixels are not uint8 of that size.
        StudyError: one of the processes was killed.
    """
    names = [name for part in PARTS for name in parts[part]]
    plan = hashlib.sha256(json.dumps([image_size, [list(parts[part]) for part in PARTS]]).encode()).hexdigest()
    seen, noted = _resumed(folder, plan, 3 * image_size**2), monotonic()
    packed = _packed(seen)
    images = folder / "images.npy"
    with at_file(images), images.open("r+b" if packed else "wb") as file:
        start = _write_header(file, (0, image_size, image_size, 3))
        file.seek(start + packed * 3 * image_size**2)
        file.truncate()
        with closing(_in_order(read, names[len(seen) :], threads, processes)) as items:
            try:
                for item in items:
                    if len(seen) % REPORT_EVERY == 0:
                        report(len(seen), len(names))
                    if isinstance(item, Picture):
                        got, wanted = item.pixels, (image_size, image_size, 3)
                        if got.shape != wanted or got.dtype != np.uint8:
                            fault = f"its pixels are {got.dtype} {got.shape}; expected uint8 {wanted}"
                            raise ValueError(f"{item.name}: {fault}")
                        file.write(got.tobytes())
                    # An interrupt may come anywhere: this one statement counts the image.
                    seen.append(item if isinstance(item, LeftOut) else item.size and min(item.size))
                    if monotonic() - noted > NOTE_EVERY_S:
                        _note(folder, plan, seen, file)
                        noted = monotonic()
            except BaseException:
                _note(folder, plan, seen, file)
                raise
        file.seek(0)
        # NumPy pads its headers so that the first axis can grow in place.
        assert _write_header(file, (_packed(seen), image_size, image_size, 3)) == start
    try:
        _write_facts(folder, image_size, seen, parts, groups, left_out, notes, report)
    except ValueError:
        _forget(folder)  # start again: the user may repair the files
        raise
    _forget(folder)


def _in_order(
    read: Read, names: Sequence[str], threads: int, processes: int
) -> Generator[Picture | LeftOut, None, None]:
    """The images of these names, in order, read by several threads or processes."""
    processes = min(processes, len(names) // WORTH_A_PROCESS)
    if processes > 1:
        spawn = multiprocessing.get_context("spawn")
        try:
            yield from _ahead(ProcessPoolExecutor(processes, spawn, _help), read, names, AHEAD * processes, TOGETHER)
        except BrokenProcessPool as error:
            raise StudyError("packing: a process that draws images was killed; run the same command again") from error
    elif threads > 1:
        pool = ThreadPoolExecutor(threads, thread_name_prefix="packing")
        yield from _ahead(pool, read, names, AHEAD * threads, 1)
    else:
        yield from map(read, names)


def _ahead(
    pool: Executor, read: Read, names: Sequence[str], tasks: int, together: int
) -> Generator[Picture | LeftOut, None, None]:
    """The images of these names, in order: so many tasks ahead, of so many images each."""
    ahead: deque[Future[list[Picture | LeftOut]]] = deque()
    with pool:
        try:
            for first in range(0, len(names), together):
                ahead.append(pool.submit(_read, read, names[first : first + together]))
                if len(ahead) == tasks:
                    yield from ahead.popleft().result()
            while ahead:
                yield from ahead.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _read(read: Read, names: Sequence[str]) -> list[Picture | LeftOut]:
    return [read(name) for name in names]


def _help() -> None:
    """Begins a process that reads: signals are for the process that packs, and it ends when that one has."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    end_with_parent()


def _packed(seen: Seen) -> int:
    """The number of images in the file."""
    return sum(not isinstance(each, LeftOut) for each in seen)


def _resumed(folder: Path, plan: str, image_bytes: int) -> Seen:
    """What an earlier packing of the same plan noted, if its images are still there; otherwise no images."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
        seen = [LeftOut(*each) if isinstance(each, list) else each for each in note["seen"]]
        if note["plan"] == plan and (folder / "images.npy").stat().st_size >= _packed(seen) * image_bytes:
            return seen
    return []


def _note(folder: Path, plan: str, seen: Seen, file: BinaryIO) -> None:
    """Writes the progress to the note, once the pixels are on disk."""
    file.flush()
    os.fsync(file.fileno())
    write_atomically(folder / NOTE, json.dumps({"plan": plan, "seen": seen}))


def _forget(folder: Path) -> None:
    """Removes the note, also one that a kill left half written."""
    for file in folder.glob(f"*{NOTE}*"):
        file.unlink()


def _write_facts(
    folder: Path,
    image_size: int,
    seen: Seen,
    parts: Mapping[str, Sequence[str]],
    groups: Mapping[str, str] | None,
    left_out: Sequence[LeftOut],
    notes: Sequence[str],
    report: Report,
) -> None:
    """Writes data.json and the split files. Raises ValueError if a part is empty."""
    bounds: dict[str, list[int]] = {}
    names: list[str] = []
    unusable = [each for each in seen if isinstance(each, LeftOut)]
    results = iter(seen)
    for part in PARTS:
        own = [name for name in parts[part] if not isinstance(next(results), LeftOut)]
        if not own:
            why = "no image was given for it; ask for more images"
            if unusable:
                example = f"{unusable[0].name} ({unusable[0].why})"
                why = f"{len(unusable)} images could not be used, the first of them {example}; replace them"
            raise ValueError(f"the {part} part is empty: {why}")
        bounds[part] = [len(names), len(names) + len(own)]
        names += own
        # './' escapes a name that a split file would read as a comment or strip.
        text = "".join(f"./{name}\n" if name[0] == "#" or name[0].isspace() else f"{name}\n" for name in own)
        (folder / f"{part}.txt").write_text(text, encoding="utf-8", newline="\n")
    images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False).reshape(len(names), -1)
    training = bounds["train"][1]
    digest, sums, greatest = hashlib.sha256(), np.zeros(3, np.uint64), 0
    for start in range(0, len(images), CHUNK):
        report(len(seen), len(seen))  # may stop the packing
        digest.update(images[start : start + CHUNK])
        if greatest <= FAINT:
            greatest = int(images[start : start + CHUNK].max())
        # many times faster than over all axes but the last, which is short
        sums += images[start : min(start + CHUNK, training)].sum(axis=0, dtype=np.uint64).reshape(-1, 3).sum(axis=0)
    sides = Counter(each for each in seen if isinstance(each, int))
    data: dict[str, Any] = {
        "image_size": image_size,
        "parts": bounds,
        "mean": [value / (255 * training * image_size**2) for value in sums.tolist()],
        "digest": digest.hexdigest(),
        "left_out": [entry._asdict() for entry in (*left_out, *unusable)],
    }
    if sides:
        data["short_sides"] = dict(sorted(sides.items()))
        data["enlarged"] = sum(count for side, count in sides.items() if side < image_size)
    if noted := [*notes, *([DARK] if greatest <= FAINT else [])]:
        data["notes"] = noted
    data["names"] = names
    if groups:
        data["groups"] = [groups.get(posixpath.normpath(name), name) for name in names]
    text = json.dumps(data, indent=1, ensure_ascii=False) + "\n"
    (folder / "data.json").write_text(text, encoding="utf-8", newline="\n")


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> int:
    """Writes the header of a uint8 array file. Returns where the data begin, in bytes."""
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return file.tell()
