"""The status of an output: its runs and stages, and what is running."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import tiny

from study.errors import BadInput
from study.results.status import status
from study.running import progress
from study.store import RunState, write_json


def test_a_study_that_has_begun(tmp_path: Path) -> None:
    plan, store = tiny.planned(tmp_path, {"mean": tiny.EVERY["mean"]}, seeds=[0, 1])
    names = [run.name for run in plan.runs]
    RunState.of(store.out, names[0]).write(run=names[0], status="failed", why="no memory", record="3")
    live = {"pid": os.getpid(), "over": False, "done": 0.5, "left_s": 60, "running": [names[1]]}
    write_json(store.out / progress.FILE, live)
    facts, runs = status(store.out)
    assert runs == [(names[0], "failed", "no memory", "3"), (names[1], "missing", "", "")]
    assert facts["stages"] == [0, len(plan.stages)] and facts["runs"] == {"failed": 1, "missing": 1}
    assert (facts["running"], facts["done"], facts["left_s"], facts["now"]) == (True, 0.5, 60, [names[1]])
    assert facts["failed"] == {names[0]: "no memory"} and facts["diverged"] == {}
    write_json(store.out / progress.FILE, {**live, "over": True})
    facts, _ = status(store.out)
    assert (facts["running"], facts["done"], facts["now"]) == (False, None, [])


def test_a_folder_without_a_study(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is no study here"):
        status(tmp_path)
