"""Masks from files: read, checked by name, packed, and drawn; each kind of hole as training and test draw it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from PIL import Image

from models.masks import Files
from study.config import load
from study.data import holes
from study.errors import BadInput
from study.plan.planner import make_plan
from study.training import loop as training

SIDE = 32


def bands(count: int = 3) -> list[np.ndarray[Any, Any]]:
    """Masks with a white band of growing height."""
    drawn = [np.zeros((SIDE, SIDE), np.uint8) for _ in range(count)]
    for number, mask in enumerate(drawn):
        mask[4 : 10 + number, 3:29] = 255
    return drawn


def written(folder: Path, masks: list[np.ndarray[Any, Any]] | None = None) -> Path:
    folder.mkdir(parents=True)
    for number, mask in enumerate(bands() if masks is None else masks):
        Image.fromarray(mask).save(folder / f"m{number}.png")
    return folder


def test_a_hole_where_ssim_has_no_window_is_refused_by_name(tmp_path: Path) -> None:
    rim = np.zeros((SIDE, SIDE), np.uint8)
    rim[:4] = 255
    root = written(tmp_path / "masks", [*bands(2), rim])
    with pytest.raises(ValueError, match=r"^root: 1 of 3 masks cannot be used: m2\.png: its hole lies within 5 px of"):
        holes.identity(Files(root=str(root), hole="white"), SIDE)


def test_a_damaged_file_and_an_empty_folder_are_named(tmp_path: Path) -> None:
    root = written(tmp_path / "masks")
    (root / "m1.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"1 of 3 masks cannot be used: m1\.png: it is no image, or of a format"):
        holes.identity(Files(root=str(root), hole="white"), SIDE)
    with pytest.raises(ValueError, match="there is no folder"):
        holes.identity(Files(root=str(tmp_path / "nowhere"), hole="white"), SIDE)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no masks in"):
        holes.identity(Files(root=str(tmp_path / "empty"), hole="white"), SIDE)


def test_the_study_names_mask_files_before_anything_is_trained(tmp_path: Path) -> None:
    root = written(tmp_path / "masks", [np.zeros((SIDE, SIDE), np.uint8)])
    file = tiny.write(tmp_path, protocol={"mask": {"kind": "files", "root": str(root), "hole": "white"}})
    with pytest.raises(BadInput, match=r"protocol\.mask\.root: 1 of 1 masks cannot be used: m0\.png: it is empty"):
        make_plan(load(file))


@pytest.mark.parametrize("kind", ["random_box", "free_form", "files"])
def test_a_study_with_such_holes(kind: str, tmp_path: Path) -> None:
    """Trained and tested under them, each with its own stream; the local critic's window follows the hole."""
    torch.set_num_threads(1)
    mask: dict[str, Any] = {"kind": kind}
    if kind == "files":
        mask |= {"root": str(written(tmp_path / "masks")), "hole": "white"}
    plan, store = tiny.planned(
        tmp_path, {"proposed": tiny.PROPOSED}, defaults={"mask": mask}, protocol={"pictures": 2, "mask": mask}
    )
    tiny.made(plan, store)
    stage = tiny.stage_of(plan, "joint")
    batch = training.batches_of(stage, store, tiny.CPU)(0)[-1]
    for hole, window in zip(batch.mask[:, 0].bool().numpy(), batch.windows, strict=True):
        rows, columns = np.nonzero(hole)
        middle = (rows.min() + rows.max() + 1) / 2, (columns.min() + columns.max() + 1) / 2
        assert window.height == window.width == SIDE // 2
        for place, start, length in zip(middle, window[:2], window[2:], strict=True):
            centred = abs(start + length / 2 - place) <= 1
            assert centred or start == 0 or start + length == SIDE
    if kind == "files":
        pool = [mask > 0 for mask in bands()]
        assert all(any(np.array_equal(hole, one) for one in pool) for hole in batch.mask[:, 0].bool().numpy())
        keys = {stage.needs["masks"], tiny.stage_of(plan, "evaluate").needs["masks"]}
        assert len(keys) == 1 and keys <= set(plan.stages)
    assert store.outcome(tiny.stage_of(plan, "evaluate").key) == {"status": "finished"}


def test_other_masks_are_another_stage_and_the_same_ones_elsewhere_are_not(tmp_path: Path) -> None:
    def key(root: Path) -> str:
        mask = {"kind": "files", "root": str(root), "hole": "white"}
        plan, _ = tiny.planned(tmp_path / root.name, protocol={"pictures": 2, "mask": mask})
        return tiny.stage_of(plan, "evaluate").key

    one, same, other = (written(tmp_path / name) for name in ("one", "same", "other"))
    Image.fromarray(bands(5)[4]).save(other / "m1.png")
    assert key(one) == key(same) != key(other)
