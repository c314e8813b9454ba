"""The contract of each registered executor: it makes tasks, reports failures, and stops with a checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny
from safetensors import safe_open

from study.cli.options import executor_of
from study.config import load
from study.errors import BadInput
from study.plan.planner import make_plan
from study.running import driver
from study.running.executors import EXECUTORS, Event, Executor, Task
from study.store import Store


def next_event(executor: Executor, *kinds: str) -> Event:
    """The first event of these kinds; any other end of a task is a failure."""
    for _ in range(240):
        for event in executor.poll(0.5):
            assert event.kind in (*kinds, "progress"), event.trace or event.text
            if event.kind in kinds:
                return event
    raise AssertionError(f"no {kinds} within two minutes")


@pytest.mark.parametrize("name", [name for name, kind in EXECUTORS.items() if not kind.elsewhere])
def test_the_contract(name: str, tmp_path: Path) -> None:
    defaults = {"steps": {"pretrain": 1_000_000, "critic": 3, "joint": 3}}
    plan, store = make_plan(load(tiny.write(tmp_path, defaults=defaults))), Store(tmp_path / "out")
    file = plan.save(store.out)
    data, pretrain, *_ = driver.tasks(plan, store, file)
    with EXECUTORS[name](store.out, jobs=1, device="cpu", settings={}) as executor:
        assert executor.free == 1
        executor.submit(data)
        assert executor.free == 0
        assert next_event(executor, "done").task == data
        assert executor.free == 1 and store.has(data.keys[0])

        executor.submit(Task(("pretrain-unknown",), (), plan=str(file)))
        failed = next_event(executor, "failed")
        assert failed.text == "KeyError: 'pretrain-unknown'" and "Traceback" in failed.trace

        executor.submit(pretrain)
        progress = next_event(executor, "progress")
        assert progress.key == pretrain.keys[0] and progress.total == 1_000_000
    with safe_open(store.checkpoint(pretrain.keys[0]), framework="pt") as checkpoint:
        facts = json.loads(checkpoint.metadata()["facts"])
    assert facts["step"] >= progress.done > 0 and not store.has(pretrain.keys[0])
    assert executor.free == 1
    executor.stop()  # again: nothing


def test_an_unknown_executor(tmp_path: Path) -> None:
    with pytest.raises(
        BadInput, match=r"--executor: 'locale' is unknown; choose local, manual, ray, slurm \(did you mean 'local'\?\)"
    ):
        executor_of("locale", tmp_path, jobs=1, device="cpu")
