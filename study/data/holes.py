"""Holes for training and for the test: drawn at random by their kind, or read from mask files and packed.

masks.npy    bool (N, side, side), True in the hole, in the order of the files' names
names.json   the files' names, only for masks that belong to images by name
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter
from torch import Tensor

from models.masks import Files, Holes, Mask
from study.data.files.census import census, why_none
from study.data.files.image import SUFFIXES
from study.data.files.masks import SSIM_EDGE, Hole, fits_ssim, read_hole
from study.data.files.source import Source, some, stem
from study.data.files.tree import opened
from study.data.packed import Packed
from study.errors import StudyError, few
from study.store import Store, write_atomically

Draw = Callable[[np.random.Generator, NDArray[np.int64]], Holes]
"""The holes of a part's images with these indices, (count, side, side), from a random generator."""

SHOWN = 5  # faulty files in one message, at most
NAMES = "names.json"


def drawn_holes(
    options: Mapping[str, Any], needs: Mapping[str, str], store: Store, side: int, part: str = "train"
) -> Draw:
    """A function that gives the holes of a part's images in a stage with these mask options.

    Args:
        needs: the stage's inputs; masks from files are the stage ``needs["masks"]``.

    Raises StudyError if masks belong to images by name, and an image has none.
    """
    if key := needs.get("masks"):
        folder = store.verified(key)
        pool = np.load(folder / "masks.npy", mmap_mode="r", allow_pickle=False)
        match options.get("pairing", "drawn"):
            case "by_name":
                order = _order(json.loads((folder / NAMES).read_text()), Packed(store.verified(needs["data"])), part)
                return lambda rng, indices: pool[order[indices]]
            case "cycled":
                return lambda rng, indices: pool[indices % len(pool)]
        return lambda rng, indices: pool[rng.integers(len(pool), size=len(indices))]
    described = {key: value for key, value in options.items() if key != "version"}
    mask = TypeAdapter[Mask](Mask).validate_python(described)
    assert not isinstance(mask, Files), "masks from files are packed beforehand"
    return lambda rng, indices: mask.draw(rng, len(indices), side)


def _order(masks: Sequence[str], packed: Packed, part: str) -> NDArray[np.int64]:
    """The place among ``masks`` of the mask of each of a part's images. Raises StudyError."""
    places = {stem(name): place for place, name in enumerate(masks)}
    images = packed.names(part)
    if lacking := [name for name in images if stem(name) not in places]:
        raise StudyError(f"pairing: by_name: {_lacking(lacking, len(images))}; add them, or choose drawn or cycled")
    return np.array([places[stem(name)] for name in images], np.int64)


def _lacking(names: Sequence[str], of: int) -> str:
    return f"{len(names)} of {of} images have no mask of their name: {some(names)}"


def as_mask(holes: Holes, device: torch.device) -> Tensor:
    """Holes as a mask: (B, 1, side, side) float, 1 in the hole."""
    return torch.from_numpy(np.array(holes)).to(device, torch.float32)[:, None]


@dataclass(frozen=True)
class Found:
    """What is in a set of mask files.

    identity: what identifies the packed masks. names: the files'. share: the part of an image that is hole, the mean
    over the masks. notes: sentences for the user.
    """

    identity: dict[str, Any]
    names: list[str]
    share: float
    notes: list[str]

    def paired(self, files: Files, images: Sequence[str] | None) -> tuple[str, str]:
        """Which mask an image gets, as in ``Files.pairing``, and a sentence about it.

        Args:
            images: the names of a part's images; None if they are not known yet.

        Raises ValueError if masks are to belong to images by name, and some do not.
        """
        shown = {
            "drawn": "a mask is drawn at random for each image",
            "cycled": "masks are used in turn, by their names",
        }
        if files.pairing in shown:
            return str(files.pairing), f"{shown[files.pairing]} (pairing: {files.pairing})"
        why = "the names of the images are not known before they are packed"
        if images is not None:
            masks = Counter(map(stem, self.names))
            lacking = [name for name in images if stem(name) not in masks]
            several = [name for name in images if masks[stem(name)] > 1]
            why = f"several masks have the name of an image: {some(several)}" if several else ""
            why = _lacking(lacking, len(images)) if lacking else why
        if files.pairing == "by_name" and images is not None and why:
            raise ValueError(f"pairing: {why}; add them, or choose drawn or cycled")
        if files.pairing is None and why:
            return "drawn", f"{shown['drawn']} (pairing: drawn), as {why}"
        idle = len(self.names) - len(set(images or ()))
        rest = f"; {idle} of {len(self.names)} masks belong to none of them" if images is not None and idle > 0 else ""
        return "by_name", f"each image has the mask of its name (pairing: by_name){rest}"


def found(files: Files, side: int) -> Found:
    """What is in a set of mask files, for images of ``side`` px.

    The digest is over the holes as they are read, so a change in how files are read changes the key by itself.

    Raises:
        ValueError: there is no mask, or files cannot be used as masks of this size; names each with its fault.
    """
    digest, names, shares, notes = hashlib.sha256(), [], [], []
    for name, hole, note in _read(files, side):
        digest.update(name.encode() + hole.tobytes())
        names.append(name)
        shares.append(float(hole.mean()))
        notes += [f"{name}: {note}"] if note else []
    identity = {"kind": files.kind, "hole": files.hole, "content": digest.hexdigest(), "version": files.version}
    identity |= {"pairing": files.pairing} if files.pairing == "by_name" else {}
    source = _opened(files.root)
    told = [f"{len(notes)} of {len(names)} masks had to be interpreted, the first: {notes[0]}"] if notes else []
    told += [f"{name} is left out: {why}" for name, why in source.left_out]
    told += census(source).sentences()
    return Found(identity, names, float(np.mean(shares)), told)


def identity(files: Files, side: int) -> dict[str, Any]:
    """What identifies the packed masks: their polarity, a digest of names and holes, and whether names are packed.

    Raises ValueError as ``found`` does.
    """
    return found(files, side).identity


def pack(files: Files, side: int, folder: Path) -> None:
    """Writes the masks into ``folder``. Raises ValueError as ``found`` does."""
    names, holes, _ = zip(*_read(files, side), strict=True)
    np.save(folder / "masks.npy", np.stack(holes), allow_pickle=False)
    if files.pairing == "by_name":
        write_atomically(folder / NAMES, json.dumps(names))


def _opened(root: str) -> Source:
    """The folder or archive of masks. Raises ValueError."""
    try:
        return opened(root)
    except ValueError as fault:
        raise ValueError(str(fault).replace("holds images", "holds masks")) from fault


def _read(files: Files, side: int) -> Iterator[tuple[str, Hole, str]]:
    """Name, hole and note of each mask, in the order of the names. Raises ValueError at the end, with all faults."""
    source, faults = _opened(files.root), []
    if not source.images:
        why = why_none(source) or f"it is empty; looked for {', '.join(sorted(SUFFIXES))}"
        raise ValueError(f"root: no masks in {files.root}; {why}")
    for name in source.images:
        try:
            with source.open(name) as file:
                hole, note = read_hole(file.read(), files.hole, (side, side), resize=files.resize)
            if not fits_ssim(hole):
                raise ValueError(f"its hole lies within {SSIM_EDGE} px of the border, where no window of SSIM fits")
            yield name, hole, note
        except (OSError, ValueError) as fault:
            faults.append(f"{name}: {fault}")
    if faults:
        counts = f"{len(faults)} of {len(source.images)}"
        raise ValueError(f"root: {counts} masks cannot be used: {few(faults, SHOWN, '; ')}")
