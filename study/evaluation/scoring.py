"""Scores repaired images under a protocol, batch by batch, and keeps the pictures that figures need.

The images come from a model (``study.evaluation.evaluate``) or from files (``study.external``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from models.blending import blend
from models.host import on_host
from models.masking import composite
from models.masks import Holes
from study import metrics
from study.data.holes import Draw
from study.evaluation.evaluation import HOLE_PSNR, Column, Evaluation, Pictures
from study.metrics.perceptual import Gathering
from study.seeds import numpy_rng


class Scoring:
    """Collects the scores of all outputs of all images.

    Args:
        protocol: ``seed`` draws the images to show, ``pictures`` of them; ``worst`` is how many of the worst to keep.
        names: The names of all images of the part. ``chosen`` holds the indices of those to score, in order.
        limit: How many images to score, drawn by the same seed. None for all.
        perceptual: Collects the perceptual distances, if the study asks for them.
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
        self._columns: list[Column] = []
        self._rows: list[NDArray[np.float64]] = []
        self._pictures: dict[int, Pictures] = {}
        self._worst: list[tuple[float, int, Pictures]] = []

    def add(
        self,
        indices: NDArray[np.int64],
        holes: Holes,
        image: Tensor,
        mask: Tensor,
        masked_image: Tensor,
        raw: Tensor,
    ) -> None:
        """Scores the next chosen images: (B, 3, H, W) in 0..1, mask (B, 1, H, W). ``raw`` is the prediction.

        ``holes``: the mask as booleans on the CPU, (B, H, W).
        """
        outputs = {"composite": composite(raw, image, mask), "raw": raw, "blended": blend(raw, image, mask, holes)}
        scores = scores_of(outputs, image, mask)
        if self._perceptual is not None:
            scores |= self._perceptual.add(indices, image, outputs)
        self._columns = list(scores)
        rows = np.stack([on_host(values.double()).numpy() for values in scores.values()], axis=1)
        self._rows.append(rows)
        tensors = {"truth": image, "masked": masked_image, **outputs}
        psnrs = rows[:, self._columns.index(HOLE_PSNR)].tolist()
        last = sorted([psnr for psnr, *_ in self._worst] + psnrs)[: self._keep]
        for place, (index, psnr) in enumerate(zip(indices.tolist(), psnrs, strict=True)):
            if index in self._shown or psnr in last:
                each = {kind: _pixels(tensor[place]) for kind, tensor in tensors.items()}
                if index in self._shown:
                    self._pictures[index] = each
                self._worst.append((psnr, index, each))
        self._worst = sorted(self._worst, key=lambda one: one[:2])[: self._keep]

    def warnings(self) -> list[str]:
        """One warning for each column with NaN scores, which means leave out."""
        missing = np.isnan(np.concatenate(self._rows)).sum(axis=0).tolist()
        return [
            f"{metric} of {region}, {output}: no number (for {count} of {len(self.chosen)} images)"
            for (output, region, metric), count in zip(self._columns, missing, strict=True)
            if count
        ]

    def write(self, folder: Path) -> None:
        """Writes the evaluation into ``folder`` (``study.evaluation.evaluation``)."""
        shown = [index for index in self._shown if index in self._pictures]
        Evaluation(
            columns=self._columns,
            images=[self.names[index] for index in self.chosen],
            scores=np.concatenate(self._rows),
            of=len(self.names),
            pictures=[self.names[index] for index in shown],
            worst=[self.names[index] for _, index, _ in self._worst],
            distances=None if self._perceptual is None else self._perceptual.distances(),
        ).write(folder, [self._pictures[index] for index in shown], [each for *_, each in self._worst])


def scores_of(outputs: Mapping[str, Tensor], image: Tensor, mask: Tensor) -> dict[Column, Tensor]:
    """All scores of a batch's outputs, each (B,) float64, by output, region and metric."""
    return {
        (output, region, metric): values
        for output, result in outputs.items()
        for (region, metric), values in metrics.score(result, image, mask).items()
    }


def holes_of(draw: Draw, seed: int, indices: NDArray[np.int64], part: str = "test") -> Holes:
    """The holes of a part's images with these indices. Each depends on the protocol and the image only."""
    return np.concatenate(
        [draw(numpy_rng(seed, f"{part} holes", index), np.array([index])) for index in indices.tolist()]
    )


def _pixels(image: Tensor) -> NDArray[np.uint8]:
    """Converts (3, H, W) in 0..1 to (H, W, 3) uint8."""
    pixels: NDArray[np.uint8] = on_host((image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0)).numpy()
    return np.ascontiguousarray(pixels)
