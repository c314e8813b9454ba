"""The files of an evaluation, written and read here only. Needs numpy and safetensors, no torch.

scores.safetensors     "scores" float64 (images, columns)
evaluation.json        the other fields of ``Evaluation``; ``distances`` only if the study asks for them
pictures.safetensors   uint8 (pictures, H, W, 3) for each of ``PICTURES``
worst.safetensors      the same, of the images with the least ``HOLE_PSNR``, the worst first
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from study.store import write_atomically

Column = tuple[str, str, str]
"""Output, region and metric."""

PICTURES = ("truth", "masked", "raw", "composite", "blended")

Pictures = dict[str, NDArray[np.uint8]]
"""The pictures of one image by their kind in ``PICTURES``, each uint8 (H, W, 3)."""

HOLE_PSNR: Column = ("composite", "hole", "psnr")
"""The score that selects the worst images, and that a search maximises."""


@dataclass(frozen=True)
class Evaluation:
    """The scores of an evaluation.

    Args:
        columns: What each column of ``scores`` holds.
        images: The names of the images in the rows of ``scores``.
        scores: float64 (images, columns).
        of: The number of images that could have been scored.
        pictures: The names of the images in ``pictures.safetensors``.
        worst: The names of the images in ``worst.safetensors``.
        distances: Rows of perceptual distances of the whole set. None if the study asks for none.
    """

    columns: Sequence[Column]
    images: Sequence[str]
    scores: NDArray[np.float64]
    of: int = 0
    pictures: Sequence[str] = ()
    worst: Sequence[str] = ()
    distances: Sequence[dict[str, Any]] | None = None

    @classmethod
    def read(cls, folder: Path, *, without: str = "") -> Evaluation:
        """Reads an evaluation from a verified folder, ``without`` one of its outputs."""
        facts = json.loads((folder / "evaluation.json").read_text())
        scores = load_file(folder / "scores.safetensors")["scores"]
        columns = [tuple(column) for column in facts.pop("columns")]
        if without:
            keep = [place for place, (output, *_) in enumerate(columns) if output != without]
            columns, scores = [columns[place] for place in keep], scores[:, keep]
            if distances := facts.get("distances"):
                facts["distances"] = [row for row in distances if row["output"] != without]
        return cls(columns, scores=scores, **facts)

    def write(self, folder: Path, pictures: Sequence[Pictures] = (), worst: Sequence[Pictures] = ()) -> None:
        """Writes all files of the evaluation; those of pictures only if there are any."""
        save_file({"scores": self.scores}, folder / "scores.safetensors")
        for name, shown in (("pictures", pictures), ("worst", worst)):
            if shown:
                stacks = {kind: np.stack([each[kind] for each in shown]) for kind in PICTURES}
                save_file(stacks, folder / f"{name}.safetensors")
        facts = {name: value for name, value in vars(self).items() if name != "scores" and value is not None}
        write_atomically(folder / "evaluation.json", json.dumps(facts, sort_keys=True) + "\n")

    def means(self) -> dict[Column, float]:
        """The mean of each column over its finite scores; columns that have none are left out."""
        finite = [values[np.isfinite(values)] for values in self.scores.T]
        return {
            column: float(values.mean()) for column, values in zip(self.columns, finite, strict=True) if len(values)
        }
