"""The injection of faults, a few of each kind: nothing is lost; and what would be lost is found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny

from benchmarks import faults
from study.store import write_atomically

ROOT = Path(__file__).parents[2]
HOW = ("benchmarks.faults", "--share", "0.01", "--json")
QUICK = ("driver", "swapped", "disk")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs fork, and /proc")
def test_nothing_is_lost() -> None:
    only = [word for name in QUICK for word in ("--only", name)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}  # a process that has trained cannot fork others that train
    done = subprocess.run([sys.executable, "-m", *HOW, *only], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert len(rows) == len(QUICK) and all(row["times"] > 0 and row["faults"] == [] for row in rows)


def test_what_is_lost_is_found(tmp_path: Path) -> None:
    plan, store = tiny.planned(tmp_path, {"mean": tiny.EVERY["mean"]})
    tiny.recorded(plan, store)
    told: list[str] = []
    scene = faults.Scene.__new__(faults.Scene)
    scene.say, scene.plan, scene.commands, scene.found = told.append, plan, [], faults.Found("a fault")
    scene.wanted = {key: tiny.published(store, key) for key in plan.stages}
    key = tiny.run_of(plan, "mean").stages["evaluate"]
    (store.folder(key) / "added").touch()
    (state,) = (store.out / "runs").glob("*.json")
    state.unlink()
    (tmp_path / "published").write_text(f"{key}\n{key}\n")
    write_atomically(store.out / "failures" / "x.txt", faults.TRACEBACK)
    scene.noted(store.out)
    scene.end(store.out)
    found = scene.found
    assert (found.runs_lost, found.bytes_differing, found.published_twice, found.tracebacks) == (1, 1, 1, 1) and told
