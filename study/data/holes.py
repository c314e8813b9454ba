"""Holes for training and for the test: drawn at random by their kind, or read from mask files and packed.

masks.npy    bool (N, side, side), True in the hole, in the order of the files' names
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import TypeAdapter
from torch import Tensor

from models.masks import Files, Holes, Mask
from study.data.files.image import SUFFIXES
from study.data.files.masks import SSIM_EDGE, Hole, fits_ssim, read_hole
from study.store import Store

Draw = Callable[[np.random.Generator, int], Holes]
"""Draws ``count`` holes, (count, side, side), from a random generator."""

SHOWN = 5  # faulty files in one message, at most


def drawn_holes(options: Mapping[str, Any], needs: Mapping[str, str], store: Store, side: int) -> Draw:
    """A function that draws the holes of a stage with these mask options.

    Args:
        needs: the stage's inputs; masks from files are the stage ``needs["masks"]``.
    """
    if key := needs.get("masks"):
        pool = np.load(store.verified(key) / "masks.npy", mmap_mode="r", allow_pickle=False)
        return lambda rng, count: pool[rng.integers(len(pool), size=count)]
    described = {key: value for key, value in options.items() if key != "version"}
    mask = TypeAdapter[Mask](Mask).validate_python(described)
    assert not isinstance(mask, Files), "masks from files are packed beforehand"
    return lambda rng, count: mask.draw(rng, count, side)


def as_mask(holes: Holes, device: torch.device) -> Tensor:
    """Holes as a mask: (B, 1, side, side) float, 1 in the hole."""
    return torch.from_numpy(np.array(holes)).to(device, torch.float32)[:, None]


def identity(files: Files, side: int) -> dict[str, Any]:
    """What identifies the packed masks: their polarity and a digest of names and holes.

    The digest is over the holes as they are read, so a change in how files are read changes the key by itself.

    Raises:
        ValueError: there is no mask, or files cannot be used as masks of this size; names each with its fault.
    """
    digest = hashlib.sha256()
    for name, hole in _read(files, side):
        digest.update(name.encode() + hole.tobytes())
    return {"kind": files.kind, "hole": files.hole, "content": digest.hexdigest(), "version": files.version}


def pack(files: Files, side: int, folder: Path) -> None:
    """Writes masks.npy into ``folder``. Raises ValueError as ``identity`` does."""
    np.save(folder / "masks.npy", np.stack([hole for _, hole in _read(files, side)]), allow_pickle=False)


def _read(files: Files, side: int) -> list[tuple[str, Hole]]:
    root = Path(files.root).expanduser()
    if not root.is_dir():
        raise ValueError(f"root: there is no folder {files.root}; name one that holds masks")
    names = sorted(file.name for file in root.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file())
    if not names:
        raise ValueError(f"root: no masks in {files.root}; looked for {', '.join(sorted(SUFFIXES))}")
    found, faults = [], []
    for name in names:
        try:
            hole, _ = read_hole((root / name).read_bytes(), files.hole, (side, side))
            if not fits_ssim(hole):
                raise ValueError(f"its hole lies within {SSIM_EDGE} px of the border, where no window of SSIM fits")
            found.append((name, hole))
        except (OSError, ValueError) as fault:
            faults.append(f"{name}: {fault}")
    if faults:
        more = f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        raise ValueError(f"root: {len(faults)} of {len(names)} masks cannot be used: {'; '.join(faults[:SHOWN])}{more}")
    return found
