"""``study inpaint``: pictures in files, of any size and kind, repaired by what a run trained.

What is known of a picture is written as it was read, to the bit; so is its transparency, but for the hole, which comes
out opaque.
"""

from __future__ import annotations

import io
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from study.data.files.image import FORMATS, SUFFIXES, Unfit, eight_bits
from study.errors import BadInput
from study.running.machine import prepare
from study.store import write_atomically
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
"""How a picture is written, by its suffix; without loss but for JPEG."""

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""What each of red, green and blue counts in grey: ITU-R BT.601, as Pillow has it."""

MOST_HOLE = 0.9
"""The share of an image that may be hole: of less than a tenth nothing is repaired that would belong to the image."""

COLOURED = 32
"""A mask whose channels differ by more, of 255, is drawn in colour; by less, it was saved as JPEG."""

Pixels = NDArray[np.uint8]
Hole = NDArray[np.bool_]
BoxText = tuple[int, int, int, int]


@dataclass(frozen=True)
class Picture:
    """An image as it was read: what is to be kept of it, and what the user should know.

    pixels: (H, W, 3), or (H, W) if it is grey. alpha: (H, W), 255 is opaque; None where there is no transparency.
    """

    pixels: Pixels
    alpha: Pixels | None = None
    profile: bytes | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, px."""
        return self.pixels.shape[1], self.pixels.shape[0]


@dataclass(frozen=True)
class Asked:
    """Where the holes are, as it was asked for.

    mask: a file, or a folder of files named as the images are; hole: which of its two colours is the hole. box: x, y,
    width and height, px. Neither: the hole is what is not opaque.
    """

    mask: Path | None = None
    box: BoxText | None = None
    hole: str = "white"


@dataclass(frozen=True)
class Job:
    """One image, its mask if that is a file, and where the result goes."""

    image: Path
    mask: Path | None
    to: Path


def where(mask: Path | None, box: str | None, hole: str | None) -> Asked:
    """The options of the command as they were written. Raises BadInput."""
    if mask is not None and box is not None:
        raise BadInput("--mask and --box: both say where the hole is; choose one")
    if hole is not None and hole not in ("white", "black"):
        raise BadInput(f"--hole {hole}: choose white or black")
    if hole is not None and mask is None:
        raise BadInput("--hole: it says which colour of a --mask is the hole; there is no --mask")
    if box is None:
        return Asked(mask, None, hole or "white")
    numbers = re.findall(r"-?\d{1,9}", box)
    if len(numbers) != 4 or ",".join(numbers) != box.replace(" ", ""):
        raise BadInput(f"--box {box}: write x,y,w,h in pixels from the upper left corner, such as 40,60,128,128")
    x, y, width, height = map(int, numbers)
    return Asked(None, (x, y, width, height))


def repair_files(
    finished: Finished,
    images: Sequence[Path],
    to: Path,
    asked: Asked,
    *,
    device: str,
    told: Callable[[str], None],
    blended: bool = True,
    least: int | None = None,
) -> None:
    """Repairs images and writes them: to the file ``to``, or into that folder. Says through ``told`` what it does.

    device: 'cpu' or 'cuda'. blended, least: as in ``study.use.windows.inpaint``. Every input is read before the
    first is repaired.

    Raises BadInput: with every fault of every input. Then nothing is written.
    """
    jobs, faults = _jobs(images, to, asked)
    for job in jobs:
        try:
            _read(job, asked)
        except ValueError as fault:
            faults.append(str(fault))
    if faults:
        raise BadInput(faults)
    place = prepare(device)  # numerics as in training: one thread, which is as quick where images are small
    for job in jobs:
        started = time.monotonic()
        picture, hole = _read(job, asked, told)
        repairer = Repairer(finished, place)  # anew: a result does not depend on the images before it
        repaired, used = _repaired(picture, hole, repairer, blended, least)
        _write(repaired, job.to)
        told(f"{job.image}: {_counted(used)}; {job.to}, in {time.monotonic() - started:.1f} s")


def _repaired(
    picture: Picture, hole: Hole, repairer: Repairer, blended: bool, least: int | None
) -> tuple[Picture, list[windows.Window]]:
    """The picture with its hole repaired and opaque, all else to the bit; and the windows that were used."""
    colours = picture.pixels if picture.pixels.ndim == 3 else np.repeat(picture.pixels[..., None], 3, axis=2)
    image = torch.from_numpy(colours.astype(np.float32) / 255).permute(2, 0, 1).contiguous()
    mask = torch.from_numpy(hole)[None].float()
    side, central_only = repairer.side, repairer.central_only
    made, used = windows.inpaint(
        image,
        mask,
        repairer,
        side,
        central_only=central_only,
        blended=blended,
        least=least,
        device=repairer.device,
    )
    found = made.permute(1, 2, 0).numpy()[hole]
    pixels, alpha = picture.pixels.copy(), None
    pixels[hole] = ((found if pixels.ndim == 3 else found @ LUMA) * 255).round().clip(0, 255).astype(np.uint8)
    if picture.alpha is not None:
        alpha = np.where(hole, np.uint8(255), picture.alpha)
    return Picture(pixels, alpha, picture.profile), used


def _counted(used: Sequence[windows.Window]) -> str:
    """``3 windows of 64 to 256 px``."""
    sides = sorted({window.box.height for window in used})
    extent = f"{sides[0]} px" if len(sides) == 1 else f"{sides[0]} to {sides[-1]} px"
    return f"{len(used)} {'window' if len(used) == 1 else 'windows'} of {extent}"


# -- which files -------------------------------------------------------------------------------------------


def _jobs(images: Sequence[Path], to: Path, asked: Asked) -> tuple[list[Job], list[str]]:
    """What is to be done, and what is wrong with how it was asked. Raises BadInput where it cannot be told what."""
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
            jobs.append(Job(image, _mask_of(image, asked.mask), to / f"{image.stem}.png" if folder else to))
        except ValueError as fault:
            faults.append(str(fault))
    return jobs, faults + _clashes(jobs) + list(filter(None, (_unwritable(job.to) for job in jobs)))


def _unwritable(to: Path) -> str:
    """Why a file cannot be written, as far as that can be told beforehand."""
    if to.is_dir():
        return f"-o {to}: there is a folder of this name"
    there = next(place for place in to.absolute().parents if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return f"-o {to}: {there} is no folder that can be written to"
    return ""


def _mask_of(image: Path, mask: Path | None) -> Path | None:
    """The mask file of an image: the one that was named, or of a folder the one of the image's name."""
    if mask is None or not mask.is_dir():
        return mask
    found = sorted(file for file in mask.glob("*") if file.stem == image.stem and file.suffix.lower() in SUFFIXES)
    if len(found) == 1:
        return found[0]
    if not found:
        raise ValueError(f"{image}: {mask} holds no mask of its name, such as {image.stem}.png")
    names = " and ".join(file.name for file in found)
    raise ValueError(f"{image}: {mask} holds {len(found)} masks of its name, {names}; leave one")


def _clashes(jobs: Sequence[Job]) -> list[str]:
    """Results that would replace each other, or what they are made from."""
    counts = Counter(job.to for job in jobs)
    doubled = {to: ", ".join(str(job.image) for job in jobs if job.to == to) for to, n in counts.items() if n > 1}
    faults = [f"{names}: all would be written to {to}; repair them one by one" for to, names in doubled.items()]
    inputs = {file.resolve() for job in jobs for file in (job.image, job.mask) if file is not None}
    return faults + [
        f"-o {to}: this is one of the inputs, which are never replaced; name another place"
        for to in counts
        if to.resolve() in inputs
    ]


# -- what is in them ---------------------------------------------------------------------------------------


def _read(job: Job, asked: Asked, told: Callable[[str], None] = lambda _: None) -> tuple[Picture, Hole]:
    """The picture of a job and its hole, (H, W). Raises ValueError with a sentence that names the file."""
    picture = _picture(job.image)
    notes = [f"{job.image}: {note}" for note in picture.notes]
    if job.mask is not None:
        hole, note = _masked(job.mask, picture.size, asked.hole)
        notes += [f"{job.mask}: {note}"] if note else []
    elif asked.box is not None:
        hole = _boxed(job.image, asked.box, picture.size)
    elif picture.alpha is not None and (picture.alpha < 255).any():
        hole = picture.alpha < 255
        if not np.isin(picture.alpha, (0, 255)).all():
            notes.append(f"{job.image}: what is half transparent is repaired too")
    else:
        why = "has no transparency" if picture.alpha is None else "is opaque everywhere"
        raise ValueError(f"{job.image}: where is the hole? say --mask FILE or --box x,y,w,h; the image {why}")
    if not hole.any():
        other = "black" if asked.hole == "white" else "white"
        raise ValueError(f"{job.mask}: there is no hole in it; if the hole is {other}, say --hole {other}")
    if hole.mean() > MOST_HOLE:
        other = f"; if the hole is the other colour of {job.mask}, say so with --hole" if job.mask else ""
        share = f"{hole.mean():.0%} of it" if not hole.all() else "all of it"
        raise ValueError(f"{job.image}: {share} is hole; a tenth at least has to be known to repair it from{other}")
    if picture.alpha is not None and job.to.suffix.lower() in (".jpg", ".jpeg") and (picture.alpha[~hole] < 255).any():
        raise ValueError(f"-o {job.to}: JPEG has no transparency, and {job.image} has; choose .png")
    if job.to.suffix.lower() in (".jpg", ".jpeg"):
        notes.append(f"{job.to}: JPEG changes the known pixels too, a little; .png would not")
    for note in notes:
        told(note)
    return picture, hole


def _opened(file: Path) -> tuple[Image.Image, list[str]]:
    """An image file, upright and decoded; and what was not taken from it. Raises ValueError."""
    if file.is_dir():
        raise ValueError(f"{file}: this is a folder; name images, such as {file}/*.png")
    notes = []
    try:
        with Image.open(file, formats=FORMATS) as opened:
            if any(";16" in str(tile[3]) for tile in opened.tile) and not opened.mode.startswith("I"):
                notes.append("16 bits a channel are reduced to 8")
            if (frames := getattr(opened, "n_frames", 1)) > 1:
                notes.append(f"the first of its {frames} pictures is read")
            image = ImageOps.exif_transpose(opened)
    except FileNotFoundError:
        raise ValueError(f"{file}: there is no such file") from None
    except UnidentifiedImageError:
        raise ValueError(f"{file}: it is no image, or of a format that is not read; save it as PNG") from None
    except Exception as error:  # whatever a damaged file makes the decoder raise
        raise ValueError(f"{file}: it cannot be read ({' '.join(str(error).split())})") from error
    try:
        shown = eight_bits(image)
    except Unfit as fault:
        raise ValueError(f"{file}: {fault}; save it with 8 a channel") from None
    if shown is not image:
        notes.append("16 bits a channel are reduced to 8")
    return shown, notes


def _picture(file: Path) -> Picture:
    """A picture as it is to be repaired. Raises ValueError."""
    image, notes = _opened(file)
    profile = image.info.get("icc_profile")
    if image.mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBA"):
        notes.append(f"it is converted from {image.mode} to RGB")
        profile = None  # it is of the other colours
    transparent = image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info
    colours = "L" if image.mode in ("1", "L", "LA", "La") else "RGB"
    pixels = np.array(image.convert(colours + "A" if transparent else colours))
    if not transparent:
        return Picture(pixels, None, profile, notes)
    shown = pixels[..., 0] if colours == "L" else pixels[..., :3]
    return Picture(np.ascontiguousarray(shown), np.ascontiguousarray(pixels[..., -1]), profile, notes)


def _masked(file: Path, size: tuple[int, int], hole: str) -> tuple[Hole, str]:
    """The hole that a mask file shows, (H, W), and what had to be decided. Raises ValueError."""
    image, _ = _opened(file)
    if image.size != size:
        raise ValueError(
            f"{file}: it is {image.width} x {image.height} px, its image {size[0]} x {size[1]}; "
            "a mask has the size of its image"
        )
    if image.mode in ("PA", "RGBA", "LA", "La", "RGBa") or "transparency" in image.info:  # drawn on nothing
        ground = "black" if hole == "white" else "white"
        image = Image.alpha_composite(Image.new("RGBA", image.size, ground), image.convert("RGBA"))
    values = np.asarray(image if image.mode in ("1", "L") else image.convert("RGB"))
    if values.ndim == 3:
        if int(np.ptp(values.astype(np.int16), axis=2).max()) > COLOURED:
            raise ValueError(f"{file}: it is drawn in colour; a mask is black and white")
        values = values[..., 1]
    found, least, most = np.unique(values), int(values.min()), int(values.max())
    middle = (least + most) / 2 if least < most else 0
    white = values > middle
    note = f"it has {len(found)} values; what is above {middle:g} is taken for white" if len(found) > 2 else ""
    return white if hole == "white" else np.logical_not(white), note


def _boxed(image: Path, box: BoxText, size: tuple[int, int]) -> Hole:
    """The hole that a box is, (H, W). Raises ValueError where it reaches beyond the image."""
    x, y, width, height = box
    if x < 0 or y < 0 or width < 1 or height < 1 or x + width > size[0] or y + height > size[1]:
        raise ValueError(
            f"{image}: the box {x},{y},{width},{height} is not inside its {size[0]} x {size[1]} px; "
            "write x,y,w,h from the upper left corner"
        )
    hole = np.zeros(size[::-1], bool)
    hole[y : y + height, x : x + width] = True
    return hole


def _write(picture: Picture, to: Path) -> None:
    """Writes a picture as its suffix says."""
    pixels = picture.pixels if picture.pixels.ndim == 3 else picture.pixels[..., None]
    options = dict(WRITTEN[to.suffix.lower()])
    if picture.alpha is not None and options["format"] != "JPEG":
        pixels = np.concatenate([pixels, picture.alpha[..., None]], axis=2)
    content = io.BytesIO()
    if picture.profile:
        options["icc_profile"] = picture.profile
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(content, **options)
    write_atomically(to, content.getvalue())
