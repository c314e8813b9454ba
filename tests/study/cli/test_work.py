"""Several processes on one output: each stage is made once, with the bytes that one process makes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import tiny
from commands import command

from study.plan.graph import Plan
from study.running import driver, workers
from study.store import Store

ROOT = Path(__file__).parents[3]
VARIANTS = {name: tiny.EVERY[name] for name in ("proposed", "proposed_js", "ce", "mean")}


def started(out: Path, *options: str) -> subprocess.Popen[str]:
    return begun("work", out, "--jobs", "1", *options)


def begun(*words: object) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", "study", *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Store:
    plan, store = tiny.planned(tmp_path_factory.mktemp("whole"), VARIANTS)
    return tiny.made(plan, store)


def the_same(plan: Plan, store: Store, whole: Store) -> bool:
    return all(tiny.published(store, key) == tiny.published(whole, key) for key in plan.stages)


@pytest.mark.slow
def test_three_workers_and_a_run_make_each_stage_once(tmp_path: Path, whole: Store) -> None:
    plan, store = tiny.planned(tmp_path, VARIANTS)
    titles = [task.title for task in driver.tasks(plan, store)]
    three = [started(store.out) for _ in range(3)]
    run = command("run", tmp_path / "tiny.yaml", "--out", store.out, "--jobs", "1", "--report-every", "never")
    said = [worker.communicate(timeout=300)[0] for worker in three]
    assert run.returncode == 0 and [worker.returncode for worker in three] == [0, 0, 0], (run.stdout, said)
    made = re.findall(r"^made (.*)(?<!process\))$", "\n".join([*said, run.stdout]), re.MULTILINE)
    assert sorted(made) == sorted(titles)
    assert the_same(plan, store, whole)
    records = [json.loads(file.read_text()) for file in store.out.glob("sacred/*/run.json")]
    assert [record["status"] for record in records] == ["COMPLETED"] * len(plan.runs)
    assert workers.workers(store.out) == {} and store.leases.held() == {}
    assert not list((store.out / "workers").iterdir()) and not list((store.out / "making").iterdir())


@pytest.mark.slow
def test_a_worker_that_is_killed_is_replaced_by_the_others(tmp_path: Path, whole: Store) -> None:
    plan, store = tiny.planned(tmp_path, VARIANTS)
    first = started(store.out)
    assert first.stdout is not None
    for line in first.stdout:
        if line.startswith("made "):
            break
    first.send_signal(signal.SIGKILL)
    first.wait()
    second = started(store.out)
    said, _ = second.communicate(timeout=300)
    assert second.returncode == 0, said
    assert the_same(plan, store, whole)


MANUAL = ("--executor", "manual", "--device", "cpu")
LONG = {"defaults": {"steps": {"pretrain": 1_000_000, "critic": 3, "joint": 3}, "log_every": 1000}}


@pytest.mark.slow
@pytest.mark.parametrize("how", ["stop", "SIGTERM", "SIGUSR1", "SIGHUP", "time"])
def test_a_worker_stops_with_a_checkpoint(tmp_path: Path, how: str) -> None:
    plan, store = tiny.planned(tmp_path, {"reconstruction_only": {"method": "reconstruction_only"}}, **LONG)
    worker = started(store.out, *(["--time", "12s"] if how == "time" else []))
    key = tiny.run_of(plan, "reconstruction_only").stages["pretrain"]
    while not any(facts.get("running") == ["pretrain, seed 0"] for facts in workers.told(store.out).values()):
        assert worker.poll() is None
    if how == "stop":
        stopped = command("stop", store.out)
        assert stopped.returncode == 0 and stopped.stdout.startswith("asked to stop: worker-work-"), stopped
    elif how != "time":
        worker.send_signal(getattr(signal, how))
    said, _ = worker.communicate(timeout=120)
    assert worker.returncode == 0 and "stopped; nothing is lost" in said and "Traceback" not in said, said
    assert store.checkpoint(key).exists() and store.leases.held() == {}
    again = command("stop", store.out)
    assert again.stdout == f"{store.out}: nobody works here\n"


@pytest.mark.slow
def test_what_has_failed_is_left_to_run(tmp_path: Path) -> None:
    plan, store = tiny.planned(tmp_path, VARIANTS)
    key = tiny.run_of(plan, "proposed").stages["pretrain"]
    task = next(task for task in driver.tasks(plan, store) if task.keys == (key,))
    driver.note_failure(store.out, driver.Event("failed", task, text="no memory"))
    worker = started(store.out)
    said, _ = worker.communicate(timeout=300)
    assert worker.returncode == 0 and "failed: proposed/faces/0: pretrain, seed 0 failed: no memory" in said, said
    assert store.has(tiny.run_of(plan, "ce").stages["evaluate"]) and not store.has(key)
    run = command("run", tmp_path / "tiny.yaml", "--out", store.out, "--jobs", "1", "--report-every", "never")
    assert run.returncode == 0 and store.has(key), run.stdout


def test_a_folder_without_a_study(tmp_path: Path) -> None:
    done = command("work", tmp_path)
    assert done.returncode == 2 and "there is no study here" in done.stderr


def test_a_machine_without_the_plan_s_device_makes_nothing(tmp_path: Path) -> None:
    _, store = tiny.planned(tmp_path, VARIANTS, device="xpu")
    done = command("work", store.out)
    assert done.returncode == 2 and "--device xpu: " in done.stderr and not (store.out / driver.FAILURES).exists()


@pytest.mark.slow
def test_workers_that_are_started_by_hand(tmp_path: Path) -> None:
    file, out = tiny.write(tmp_path, variants={"mean": tiny.EVERY["mean"]}), tmp_path / "out"
    run = ("run", file, "--out", out, *MANUAL, "--report-every", "never")
    detached = command(*run, "--detach")
    assert detached.returncode == 0 and f"study work {out}" in detached.stdout, detached.stdout + detached.stderr
    worker = started(out)
    watching = command(*run)
    assert "1 of 1 runs completed" in watching.stdout, watching.stdout
    assert worker.wait(60) == 0


@pytest.mark.slow
@pytest.mark.parametrize("study", [True, False], ids=["beside a study", "alone"])
def test_workers_that_are_started_by_hand_make_a_search(tmp_path: Path, study: bool) -> None:
    toy, out = {"toy": {"method": "proposed", "multiscale": 0, "loss": "wgan"}}, tmp_path / "out"
    if study:
        tiny.recorded(*tiny.planned(tmp_path, {"mean": tiny.EVERY["mean"]}))
    search = begun("tune", tiny.write(tmp_path, toy), "--variant", "toy", "--trials", "1", "--out", out, *MANUAL)
    while not any(facts.get("plans") for facts in workers.told(out).values()):
        assert search.poll() is None
    worker = command("work", out, "--jobs", "1")
    assert worker.returncode == 0 and "made toy@0, seed 1000" in worker.stdout, worker
    said, _ = search.communicate(timeout=100)
    assert search.returncode == 0 and "trial 0, the study's own setting: completed" in said, said
