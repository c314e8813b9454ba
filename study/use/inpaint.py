"""``study inpaint``: images of any size and kind, repaired by a run's generator.

Known pixels are written as they were read, to the bit, and so is their transparency. The hole comes out opaque.
"""

from __future__ import annotations

import io
import os
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from PIL import Image

from models.host import with_float64
from study.data.files.image import Raster, read
from study.data.files.masks import Hole, doubt, read_hole
from study.data.files.source import Source, is_archive, is_image, stem
from study.data.files.tree import opened
from study.errors import BadInput, prefixed
from study.files import read_file
from study.store import write_atomically
from study.training.machine import prepare
from study.use import windows
from study.use.finished import Finished, Repairer

WRITTEN: dict[str, dict[str, Any]] = {
    ".png": {"format": "PNG"},
    ".webp": {"format": "WEBP", "lossless": True, "exact": True},
    ".tif": {"format": "TIFF", "compression": "tiff_deflate"},
    ".tiff": {"format": "TIFF", "compression": "tiff_deflate"},
    ".jpg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    ".jpeg": {"format": "JPEG", "quality": 95, "subsampling": 0},
}
"""Pillow's options to write an image, by suffix; all but JPEG are lossless."""

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""The weights of red, green and blue in grey: ITU-R BT.601, as in Pillow."""

MOST_HOLE = 0.9
"""The largest share of an image that may be hole. Less known context than a tenth gives no useful repair."""


class HoleSource:
    """Where the holes are, from the command's options. Raises BadInput.

    mask: a file; or a folder, a zip or a tar with a file for each image's name. hole: which of its two colours is the
    hole. resize: 'nearest' takes masks of another size. box: 'x,y,w,h', px. With neither, the hole is the part of the
    image that is not opaque.
    """

    def __init__(self, mask: Path | None, box: str | None, hole: str | None, resize: str | None = None) -> None:
        if mask is not None and box is not None:
            raise BadInput("--mask and --box: both say where the hole is; choose one")
        if hole is not None and hole not in ("white", "black"):
            raise BadInput(f"--hole {hole}: choose white or black")
        if hole is not None and mask is None:
            raise BadInput("--hole: it says which colour of a --mask is the hole; there is no --mask")
        if resize not in (None, "nearest"):
            raise BadInput(f"--resize {resize}: choose nearest, or leave it out")
        numbers = re.findall(r"-?\d{1,9}", box or "")
        if box is not None and (len(numbers) != 4 or ",".join(numbers) != box.replace(" ", "")):
            raise BadInput(f"--box {box}: write x,y,w,h in pixels from the upper left corner, such as 40,60,128,128")
        self.mask, self.box, self.hole, self.resize = mask, [int(number) for number in numbers], hole or "white", resize
        self._masks: Source | None = None
        if mask is not None and (mask.is_dir() or is_archive(mask.name)):
            try:
                self._masks = opened(str(mask))
            except ValueError as fault:
                raise BadInput(f"--mask {mask}: {str(fault).removeprefix('root: ')}") from fault

    def mask_of(self, image: Path) -> Path | None:
        """The mask of an image: ``mask`` itself, or the file of the image's name below it. Raises ValueError."""
        if self.mask is None or self._masks is None:
            return self.mask
        found = [name for name in self._masks.images if PurePosixPath(stem(name)).name == image.stem]
        whole = f"/{image.with_suffix('').as_posix()}"
        if len(found) > 1:  # below folders, as their images are
            found = [name for name in found if whole.endswith(f"/{stem(name)}")] or found
        if len(found) == 1:
            return self.mask / found[0]
        if not found:
            raise ValueError(f"{image}: {self.mask} holds no mask of its name, such as {image.stem}.png")
        names = " and ".join(found)
        raise ValueError(f"{image}: {self.mask} holds {len(found)} masks of its name, {names}; leave one")

    def read(self, mask: Path, image: Raster) -> tuple[Hole, str]:
        """The hole of a mask for an image, and a note. Raises ValueError."""
        if self.mask is None or self._masks is None:
            content = _content(mask)
        else:
            with self._masks.open(mask.relative_to(self.mask).as_posix()) as file:
                content = file.read()
        return read_hole(content, self.hole, image.size, resize=self.resize, orientation=image.orientation)


@dataclass(frozen=True)
class Job:
    """One image, its mask file if it has one, and the file to write."""

    image: Path
    mask: Path | None
    to: Path


def repair_files(
    finished: Finished,
    images: Sequence[Path],
    to: Path,
    source: HoleSource,
    *,
    device: str,
    print_line: Callable[[str], None],
    blended: bool = True,
    least: int | None = None,
) -> None:
    """Repairs images and writes them to the file ``to``, or into that folder.

    Reads every input before it repairs the first.

    Args:
        device: its kind, such as 'cpu' or 'cuda'.
        print_line: called with each line for the user.
        blended, least: as in ``study.use.windows.inpaint``.

    Raises:
        BadInput: with every fault of every input; then nothing is written.
    """
    jobs = checked(images, to, source)
    place = prepare(device)  # numerics as in training: one thread, which is as fast for small images
    for job in jobs:
        started = time.monotonic()
        picture, hole, notes = _read(job, source)
        for note in notes:
            print_line(note)
        repairer = Repairer(finished, place)  # a new one: results do not depend on earlier images
        repaired, used = _repaired(picture, hole, repairer, blended, least)
        _write(repaired, job.to)
        sides = [window.box.height for window in used]
        least_side = f"{min(sides)} to " if min(sides) < max(sides) else ""
        count = f"{len(used)} window{'s' * (len(used) > 1)} of {least_side}{max(sides)} px"
        took = f"in {time.monotonic() - started:.1f} s"
        print_line(f"{job.image}: {count}; {job.to}, {took}; {hole.mean():.1%} of the image was hole")


def checked(images: Sequence[Path], to: Path, source: HoleSource) -> list[Job]:
    """Reads every input. Raises BadInput with every fault."""
    jobs, faults = _jobs(images, to, source)
    for job in jobs:
        try:
            _read(job, source)
        except ValueError as fault:
            faults.append(str(fault))
    if faults:
        raise BadInput(faults)
    return jobs


def _repaired(
    picture: Raster, hole: Hole, repairer: Repairer, blended: bool, least: int | None
) -> tuple[Raster, list[windows.Window]]:
    """The image with its hole repaired and opaque, and the windows that were used. All else stays to the bit."""
    predicted, used = windows.inpaint(
        torch.from_numpy(picture.unit()),
        torch.from_numpy(hole)[None].float(),
        repairer,
        repairer.side,
        central_only=repairer.central_only,
        blended=blended,
        least=least,
        device=with_float64(repairer.device),
    )
    inside = predicted.permute(1, 2, 0).numpy()[hole]
    pixels = picture.pixels.copy()
    pixels[hole] = ((inside if pixels.ndim == 3 else inside @ LUMA) * 255).round().clip(0, 255).astype(np.uint8)
    alpha = None if picture.alpha is None else np.where(hole, np.uint8(255), picture.alpha)
    return replace(picture, pixels=pixels, alpha=alpha), used


def _jobs(images: Sequence[Path], to: Path, source: HoleSource) -> tuple[list[Job], list[str]]:
    """The jobs, and the faults of single jobs. Raises BadInput if ``to`` does not fit, or all images are folders."""
    if all(image.is_dir() for image in images):
        raise BadInput([f"{image}: {_folder(image)}" for image in images])
    folder = to.is_dir() or len(images) > 1
    if folder and to.exists() and not to.is_dir():
        raise BadInput(f"-o {to}: this is a file, and there are {len(images)} images; name a folder")
    if folder and not to.exists() and to.suffix.lower() in WRITTEN:
        raise BadInput(f"-o {to}: there are {len(images)} images; name a folder, without {to.suffix}")
    if not folder and to.suffix.lower() not in WRITTEN:
        choice = ", ".join(WRITTEN)
        raise BadInput(f"-o {to}: its suffix does not say how to write it; choose {choice}, or a folder that exists")
    jobs, faults = [], []
    for image in images:
        try:
            jobs.append(Job(image, source.mask_of(image), to / f"{image.stem}.png" if folder else to))
        except ValueError as fault:
            faults.append(str(fault))
    return jobs, [*faults, *_output_faults(jobs)]


def _output_faults(jobs: Sequence[Job]) -> Iterator[str]:
    """Results that would replace each other or an input, and those that cannot be written, as far as can be checked."""
    by_result: dict[Path, list[str]] = defaultdict(list)
    for job in jobs:
        by_result[job.to].append(str(job.image))
    inputs = {file.resolve() for job in jobs for file in (job.image, job.mask) if file is not None}
    for to, names in by_result.items():
        if len(names) > 1:
            yield f"{', '.join(names)}: all would be written to {to}; repair them one by one"
        if to.resolve() in inputs:
            yield f"-o {to}: this is one of the inputs, which are never replaced; name another place"
        there = next(place for place in to.absolute().parents if place.exists())
        if to.is_dir():
            yield f"-o {to}: there is a folder of this name"
        elif not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
            yield f"-o {to}: {there} is no folder that can be written to"


def _read(job: Job, source: HoleSource) -> tuple[Raster, Hole, list[str]]:
    """The image of a job, its hole, (H, W), and notes for the user. Raises ValueError that names the file."""
    with prefixed(job.image):
        picture = read(_content(job.image))
    changes = {
        "16 bits a channel are reduced to 8": picture.reduced,
        f"the first of its {picture.frames} pictures is read": picture.frames > 1,
        f"it is converted from {picture.converted} to RGB": picture.converted,
        "it uses less than a sixteenth of its 16 bits, as 12 bits do, and is nearly black": picture.faint,
    }
    notes = [f"{job.image}: {note}" for note, happened in changes.items() if happened]
    jpeg = WRITTEN[job.to.suffix.lower()]["format"] == "JPEG"
    if job.mask is not None:
        with prefixed(job.mask):
            hole, note = source.read(job.mask, picture)
        notes += [
            f"{job.mask}: {each}" for each in (note, doubt(float(hole.mean()), source.hole, "say --hole")) if each
        ]
    elif source.box:
        hole = _boxed(job.image, source.box, picture.size)
    elif picture.alpha is not None and (picture.alpha < 255).any():
        hole = picture.alpha < 255
        if not np.isin(picture.alpha, (0, 255)).all():
            notes.append(f"{job.image}: what is half transparent is repaired too")
    else:
        why = "has no transparency" if picture.alpha is None else "is opaque everywhere"
        raise ValueError(f"{job.image}: where is the hole? say --mask FILE or --box x,y,w,h; the image {why}")
    if hole.mean() > MOST_HOLE:
        other = f"; if the hole is the other colour of {job.mask}, say so with --hole" if job.mask else ""
        share = f"{hole.mean():.0%} of it" if not hole.all() else "all of it"
        raise ValueError(f"{job.image}: {share} is hole; at least a tenth must be known{other}")
    if picture.alpha is not None and jpeg and (picture.alpha[~hole] < 255).any():
        raise ValueError(f"-o {job.to}: JPEG has no transparency, and {job.image} has; choose .png")
    if jpeg:
        notes.append(f"{job.to}: JPEG changes the known pixels too, a little; .png would not")
    return picture, hole, notes


def _content(file: Path) -> bytes:
    if file.is_dir():
        raise ValueError(_folder(file))
    try:
        return read_file(file)
    except FileNotFoundError:
        raise ValueError("there is no such file") from None
    except OSError as error:
        raise ValueError(f"it cannot be read ({error.strerror})") from error


def _folder(folder: Path) -> str:
    """What to do with a folder that is given as an image: its images by their most common suffix."""
    suffixes = Counter(file.suffix for file in folder.iterdir() if is_image(file.name))
    (suffix, _), *_ = suffixes.most_common(1) or [(".png", 0)]
    return f"this is a folder; name images, such as {folder}/*{suffix}"


def _boxed(image: Path, box: Sequence[int], size: tuple[int, int]) -> Hole:
    """The hole of a box, (H, W). Raises ValueError if it reaches beyond the image."""
    x, y, width, height = box
    if x < 0 or y < 0 or width < 1 or height < 1 or x + width > size[0] or y + height > size[1]:
        raise ValueError(
            f"{image}: the box {x},{y},{width},{height} is not inside its {size[0]} x {size[1]} px; "
            "write x,y,w,h from the upper left corner"
        )
    hole = np.zeros(size[::-1], bool)
    hole[y : y + height, x : x + width] = True
    return hole


def _write(picture: Raster, to: Path) -> None:
    """Writes an image as its suffix says."""
    pixels, options = picture.pixels, dict(WRITTEN[to.suffix.lower()])
    if picture.alpha is not None and options["format"] != "JPEG":
        pixels = np.dstack([pixels, picture.alpha])
    if picture.profile:
        options["icc_profile"] = picture.profile
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, **options)
    write_atomically(to, content.getvalue())
