"""The files of an evaluation: what is written is read, with or without an output; means are over finite scores."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from study.evaluation.evaluation import HOLE_PSNR, PICTURES, Column, Evaluation

COLUMNS: list[Column] = [HOLE_PSNR, ("raw", "hole", "psnr"), ("raw", "whole", "lpips")]
SCORES = np.array([[20.0, 10.0, np.nan], [np.inf, 12.0, np.nan], [22.0, 17.0, np.nan]])


def test_what_is_written_is_read(tmp_path: Path) -> None:
    distances = [{"output": output, "metric": "fid", "value": 1.0} for output in ("raw", "composite")]
    written = Evaluation(COLUMNS, ["a", "b", "c"], SCORES, 5, ["b"], ["a", "c"], distances)
    shown = [{kind: np.full((4, 4, 3), level, np.uint8) for kind in PICTURES} for level in (1, 2, 3)]
    written.write(tmp_path, shown[:1], shown[1:])
    read = Evaluation.read(tmp_path)
    assert np.array_equal(read.scores, SCORES, equal_nan=True)
    assert {**vars(read), "scores": None} == {**vars(written), "scores": None}
    assert load_file(tmp_path / "worst.safetensors")["raw"][:, 0, 0, 0].tolist() == [2, 3]
    composites = Evaluation.read(tmp_path, without="raw")
    assert composites.columns == [HOLE_PSNR] and composites.scores.shape == (3, 1)
    assert composites.distances == distances[1:]


def test_files_without_content_are_not_written(tmp_path: Path) -> None:
    Evaluation(COLUMNS, ["a", "b", "c"], SCORES).write(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["evaluation.json", "scores.safetensors"]
    assert "distances" not in json.loads((tmp_path / "evaluation.json").read_text())


def test_means_are_over_finite_scores() -> None:
    means = Evaluation(COLUMNS, ["a", "b", "c"], SCORES).means()
    assert means == {HOLE_PSNR: pytest.approx(21.0), ("raw", "hole", "psnr"): pytest.approx(13.0)}
