"""The status of an output: its runs and stages, and what is running."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny

from study.errors import BadInput
from study.results.status import status
from study.running.workers import working
from study.store import RunState


def test_a_study_that_has_begun(tmp_path: Path) -> None:
    plan, store = tiny.planned(tmp_path, {"mean": tiny.EVERY["mean"]}, seeds=[0, 1])
    names = [run.name for run in plan.runs]
    RunState.of(store.out, names[0]).write(run=names[0], status="failed", why="no memory", record="3")
    with working(store.out, "run") as worker:
        worker.tell(done=0.5, left_s=60, running=[names[1]])
        facts, runs = status(store.out)
    assert runs == [(names[0], "failed", "no memory", "3"), (names[1], "missing", "", "")]
    assert facts["stages"] == [0, len(plan.stages)] and facts["runs"] == {"failed": 1, "missing": 1}
    assert (facts["running"], facts["done"], facts["left_s"], facts["now"]) == (True, 0.5, 60, [names[1]])
    assert facts["failed"] == {names[0]: "no memory"} and facts["diverged"] == {}
    facts, _ = status(store.out)
    assert (facts["running"], facts["done"], facts["now"]) == (False, None, [])


def test_a_folder_without_a_study(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is no study here"):
        status(tmp_path)
