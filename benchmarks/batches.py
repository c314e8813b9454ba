"""Batches from a packed data set against the loading of public code, one thread, warm cache.

Ours: batches of 32 images of 128 px from a memory-mapped file, with flips, holes and windows. The peer: JPEG files of
178x218 px (CelebA's size), decoded, cropped and resized by Pillow, flipped and stacked.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.timing import REPEATS, Row, least
from models.masks import Center
from study.data.batches import Batches

FILES = 64
FILE_WIDTH, FILE_HEIGHT = 178, 218


def rows(side: int = 128, batch: int = 32, images: int = 2048, repeats: int = 4 * REPEATS) -> Iterator[Row]:
    """Yields one row: images a second."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder) / "images.npy"
        np.save(packed, rng.integers(0, 256, (images, side, side, 3), dtype=np.uint8))
        files = [_photograph(rng, Path(folder) / f"{place}.jpg") for place in range(FILES)]
        stream = Batches(
            np.load(packed, mmap_mode="r"),
            seed=0,
            stream="benchmark",
            batch=batch,
            flips=True,
            holes=lambda rng, indices: Center().draw(rng, len(indices), side),
            fill="zero",
            mean=(0, 0, 0),
            device=torch.device("cpu"),
        )
        numbers, places = count(), count()
        works: dict[str, Callable[[], object]] = {
            "ours": lambda: stream.at(next(numbers)),
            "peer": lambda: torch.stack([_loaded(files[next(places) % FILES], side, rng) for _ in range(batch)]),
        }
        for _ in range(images // batch):  # warm the cache
            works["ours"]()
        best = least(works, repeats)
    ours, peer = batch / best["ours"], batch / best["peer"]
    yield Row(f"batches of {batch} at {side} px", ours, peer, "images/s", ours / peer)


def _photograph(rng: np.random.Generator, file: Path) -> Path:
    """Writes a smooth picture, which compresses like a photograph."""
    coarse = Image.fromarray(rng.integers(0, 256, (FILE_HEIGHT // 8, FILE_WIDTH // 8, 3), dtype=np.uint8))
    coarse.resize((FILE_WIDTH, FILE_HEIGHT), Image.Resampling.BICUBIC).save(file, quality=90)
    return file


def _loaded(file: Path, side: int, rng: np.random.Generator) -> torch.Tensor:
    """One image as public code loads it: (3, side, side) in 0..1."""
    top = (FILE_HEIGHT - FILE_WIDTH) // 2
    with Image.open(file) as opened:
        square = opened.convert("RGB").crop((0, top, FILE_WIDTH, top + FILE_WIDTH))
    pixels = np.asarray(square.resize((side, side), Image.Resampling.BILINEAR))
    pixels = pixels[:, ::-1] if rng.random() < 0.5 else pixels
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy()).float() / 255
