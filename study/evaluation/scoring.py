"""Scores of repaired images under a protocol, gathered a batch at a time, with the images that figures need.

The images may come from a model (``study.evaluation.evaluate``) or from files (``study.external.score``):

scores.safetensors     "scores" float64 (images, columns)
evaluation.json        columns [output, region, metric], names of the images, of the pictures and of the worst; and
                       where a study asks for perceptual distances, those of the whole set and what is lacking
pictures.safetensors   uint8 (pictures, H, W, 3): truth, masked, raw, composite, blended
worst.safetensors      the same of the images whose hole has the least PSNR in the composite, the worst first
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file
from torch import Tensor

from models.blending import blend
from models.masking import composite
from models.masks import Holes
from study import metrics
from study.data.holes import Draw
from study.metrics.perceptual import Gathering
from study.seeds import numpy_rng
from study.store import write_atomically

PICTURES = ("truth", "masked", "raw", "composite", "blended")
JUDGED = ("composite", "hole", "psnr")
"""By which score a repair is the worst."""

Shown = dict[str, NDArray[np.uint8]]


class Scoring:
    """Every output of every image in one wide array of scores.

    Args:
        protocol: its ``seed`` draws which images are shown, ``pictures`` many; ``worst``: how many of the worst are.
        names: of all images of the part; ``chosen`` are the places of those to be scored, in order.
        limit: how many are scored, drawn by the same seed; all, where nothing is said.
        perceptual: what gathers the distances that need weights of their own, where they are asked for.
    """

    def __init__(
        self,
        protocol: Mapping[str, Any],
        names: Sequence[str],
        limit: int | None = None,
        perceptual: Gathering | None = None,
    ) -> None:
        order = numpy_rng(protocol["seed"], "sample").permutation(len(names))
        self.names = names
        self.chosen: NDArray[np.int64] = np.sort(order[: limit or len(names)])
        self._shown = [int(index) for index in order[: protocol["pictures"]]]
        self._keep = int(protocol["worst"])
        self._perceptual = perceptual
        self._columns: list[tuple[str, str, str]] = []
        self._rows: list[NDArray[np.float64]] = []
        self._pictures: dict[int, Shown] = {}
        self._worst: list[tuple[float, int, Shown]] = []

    def add(self, indices: NDArray[np.int64], image: Tensor, mask: Tensor, masked_image: Tensor, raw: Tensor) -> None:
        """Scores the next chosen images: (B, 3, H, W) in 0..1, mask (B, 1, H, W); ``raw``: as it was predicted."""
        outputs = {"composite": composite(raw, image, mask), "raw": raw, "blended": blend(raw, image, mask)}
        scores = {
            (output, region, metric): values
            for output, result in outputs.items()
            for (region, metric), values in metrics.score(result, image, mask).items()
        }
        if self._perceptual is not None:
            scores |= self._perceptual.add(indices, image, outputs)
        self._columns = list(scores)
        self._rows.append(np.stack([values.double().cpu().numpy() for values in scores.values()], axis=1))
        tensors = {"truth": image, "masked": masked_image, **outputs}
        judged = scores[JUDGED].tolist()
        last = sorted([psnr for psnr, *_ in self._worst] + judged)[: self._keep]
        for place, (index, psnr) in enumerate(zip(indices.tolist(), judged, strict=True)):
            if index in self._shown or psnr in last:
                each = {kind: _pixels(tensor[place]) for kind, tensor in tensors.items()}
                if index in self._shown:
                    self._pictures[index] = each
                self._worst.append((psnr, index, each))
        self._worst = sorted(self._worst, key=lambda one: one[:2])[: self._keep]

    def warnings(self) -> list[str]:
        """The scores that are no number, of some images or all: means are over the others."""
        lacking = np.isnan(np.concatenate(self._rows)).sum(axis=0).tolist()
        return [
            f"{metric} of {region}, {output}: no number (for {count} of {len(self.chosen)} images)"
            for (output, region, metric), count in zip(self._columns, lacking, strict=True)
            if count
        ]

    def write(self, folder: Path) -> None:
        """Writes what was gathered into ``folder``."""
        shown = [index for index in self._shown if index in self._pictures]
        save_file({"scores": np.concatenate(self._rows)}, folder / "scores.safetensors")
        pictures, worst = [self._pictures[index] for index in shown], [each for *_, each in self._worst]
        for name, kept in (("pictures", pictures), ("worst", worst)):
            if kept:
                stacked = {kind: np.stack([each[kind] for each in kept]) for kind in PICTURES}
                save_file(stacked, folder / f"{name}.safetensors")
        facts = {
            "columns": self._columns,
            "images": [self.names[index] for index in self.chosen],
            "of": len(self.names),
            "pictures": [self.names[index] for index in shown],
            "worst": [self.names[index] for _, index, _ in self._worst],
        }
        if self._perceptual is not None:
            facts["distances"] = self._perceptual.distances()
        write_atomically(folder / "evaluation.json", json.dumps(facts, sort_keys=True) + "\n")


def holes_of(draw: Draw, seed: int, indices: NDArray[np.int64], part: str = "test") -> Holes:
    """The holes of a part's images with these indices: each a function of the protocol and the image alone."""
    return np.concatenate([draw(numpy_rng(seed, f"{part} holes", index), 1) for index in indices.tolist()])


def _pixels(image: Tensor) -> NDArray[np.uint8]:
    """(3, H, W) in 0..1 to (H, W, 3) uint8."""
    pixels: NDArray[np.uint8] = (image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    return np.ascontiguousarray(pixels)
