"""The contract of each registered executor, and of several ``study work`` on one folder.

Each stage is made once, with the bytes that one process makes; failures are reported; it stops with checkpoints, and
goes on; if all workers are lost, it says why; bad settings are answered in a sentence.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import elsewhere
import pytest
import tiny
from commands import command
from safetensors import safe_open

from study.cli.options import executor_of
from study.config import load
from study.errors import BadInput
from study.plan.planner import make_plan
from study.running import driver
from study.running.executors import EXECUTORS, Event, Executor, Task
from study.store import Store

WORKERS = ["work" if name == "manual" else name for name in EXECUTORS]  # manual: whose workers are started by hand
LOST = {
    "local": "its process was killed by SIGKILL",
    "slurm": r"all 1 jobs have ended, but something is left to make: 1 FAILED \(exit code 9:0, on n1\); the last log",
    "ray": r"all 1 workers have ended, but something is left to make: .*a worker ended with exit code 137",
    "work": r"they ended with exit codes \[-9\]",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WORKERS)
def test_workers_stop_with_checkpoints_and_go_on(
    name: str, start: Callable[..., Any], tmp_path: Path, made_here: dict[str, dict[str, bytes]]
) -> None:
    one = start(name, 1)
    one.trains()
    one.stop()
    assert one.end().interrupted
    assert list(one.store.out.glob("making/critic-*/checkpoint.safetensors")) and not one.store.leases.held()
    elsewhere.go(tmp_path)
    again = start(name, 2)
    assert (again.end().failed, again.error) == (elsewhere.FAILURES, "")
    assert elsewhere.stages(one.plan, one.store) == made_here
    assert elsewhere.calls(tmp_path) == elsewhere.ALL_CALLS, "no step was made twice"
    assert f"FOUND {one.store.out}" not in (doctor := command("doctor", one.store.out).stdout), doctor


@pytest.mark.slow
@pytest.mark.parametrize("name", WORKERS)
def test_all_workers_are_lost(name: str, start: Callable[..., Any]) -> None:
    one = start(name, 1)
    one.trains()
    while not one.ended:  # some are started again
        elsewhere.kill_workers(one.store.out)
        time.sleep(0.2)
    summary = one.end()
    text = one.error or summary.failed["proposed/faces/0"]
    assert re.search(LOST[name], text, re.DOTALL), text
    assert "Traceback" not in text and not summary.interrupted


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("local --set-executor time=4h", "--set-executor time: the executor 'local' has no settings; leave it out"),
        ("slurm", "--device auto: say which device the workers have: cpu, cuda"),
        ("slurm --device cpu --set-executor partion=gpu", "partion: sbatch has no such option; see sbatch --help"),
        ("slurm --device cpu --set-executor array=0-3", "array: study sets this option of sbatch itself; leave it out"),
        (
            "slurm --device cpu --set-executor partition=gpu",
            "sbatch refuses the jobs: invalid partition specified: gpu",
        ),
        ("ray --device cpu --set-executor adress=10.0.0.1:6379", "--set-executor adress: 'adress' is unknown; choose"),
        ("ray --device cpu --set-executor num_cpus=two", "--set-executor num_cpus=two: write a number, processors of"),
        ("ray --device cpu --set-executor address=127.0.0.1:1", "address=127.0.0.1:1: no Ray answers there"),
        ("ray --device cpu --detach", "--detach: only with an executor whose workers stay"),
    ],
)
def test_bad_settings(words: str, message: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    name = words.partition(" ")[0]
    if name == "slurm":
        request.getfixturevalue("slurm_here")
    if name == "ray":
        pytest.importorskip("ray", reason="Ray is not installed: pip install 'mo-zhou-study[ray]'")
    done = command("run", tiny.write(tmp_path), "--out", tmp_path / "out", "--executor", *words.split())
    assert done.returncode == 2 and message in done.stderr, done
    assert not (tmp_path / "out" / "crews").exists()


def next_event(executor: Executor, *kinds: str) -> Event:
    """The first event of these kinds; any other end of a task is a failure."""
    for _ in range(240):
        for event in executor.poll(0.5):
            assert event.kind in (*kinds, "progress"), event.trace or event.text
            if event.kind in kinds:
                return event
    raise AssertionError(f"no {kinds} within two minutes")


@pytest.mark.parametrize("name", [name for name, kind in EXECUTORS.items() if not kind.elsewhere])
def test_an_executor_takes_tasks(name: str, tmp_path: Path) -> None:
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

        executor.cancel(pretrain)
        assert next_event(executor, "interrupted").task == pretrain
        while not executor.free:  # who was told to stop gets nothing more
            executor.poll(0.5)
        executor.submit(pretrain)
        next_event(executor, "progress")
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
