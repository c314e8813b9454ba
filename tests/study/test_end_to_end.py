"""A small study as a user runs it: made, made again, interrupted, killed and damaged, it ends with the same bytes."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import inline
import pytest
import tiny
from commands import command
from gate import PATIENCE_S, Gate, wait_for
from inline import Inline
from PIL import Image

import study
from study.config import load
from study.plan.graph import Plan
from study.plan.planner import make_plan
from study.running.executors import Task
from study.store import Store

ROOT = Path(study.__file__).parents[1]
VARIANTS = {name: tiny.EVERY[name] for name in ("proposed", "single", "mean")}
STEPS = {"pretrain": 6, "critic": 3, "joint": 4}
pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="signals as Unix has them")]


def start(file: Path, out: Path, *more: str, gate: Gate | None = None) -> subprocess.Popen[str]:
    """Starts ``run`` in its own process group, so that a test can signal all its processes at once."""
    arguments = [sys.executable, "-m", "study", "run", str(file), "--out", str(out), "--jobs", "2", *more]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", "COLUMNS": "200"}
    environment |= gate.environment if gate else {}
    return subprocess.Popen(
        arguments,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    try:
        text, _ = process.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return process.returncode, text


def run(file: Path, out: Path, executor: type[Inline] = Inline) -> tuple[int, str]:
    """``run`` in this process, without a report."""
    done = inline.run(file, out, executor)
    return done.returncode, done.stdout + done.stderr


def status(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(command("status", out, "--json").stdout)
    return found


def stages(out: Path) -> dict[str, bytes]:
    """All published bytes of an output."""
    files = sorted((out / "stages").rglob("*"))
    return {file.relative_to(out).as_posix(): file.read_bytes() for file in files if file.is_file()}


def times(out: Path) -> dict[str, int]:
    return {folder.name: (folder / "manifest.json").stat().st_mtime_ns for folder in (out / "stages").iterdir()}


def records(out: Path) -> list[str]:
    return [json.loads(file.read_text())["status"] for file in sorted((out / "sacred").glob("*/run.json"))]


@pytest.fixture(scope="module")
def file(made_once: Callable[..., Path]) -> Path:
    """The study's file; beside it, in ``whole``, what a run made of it that nothing interrupted."""

    def make(folder: Path) -> None:
        file = tiny.write(folder, VARIANTS, defaults={"steps": STEPS, "log_every": 2})
        code, text = ended(start(file, folder / "whole"))
        assert code == 0, text
        assert "3 of 3 runs completed, 0 diverged, 0 failed" in text

    return made_once("end-to-end", make) / "tiny.yaml"


@pytest.fixture(scope="module")
def whole(file: Path) -> Path:
    return file.parent / "whole"


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "out"))


def plan_of(out: Path) -> Plan:
    plan = Plan.read(out / "plan.json")
    assert plan is not None
    return plan


def test_it_is_made_whole(whole: Path) -> None:
    plan, store = plan_of(whole), Store(whole)
    assert all(store.has(key) and store.verified(key) for key in plan.stages)
    assert set(times(whole)) == set(plan.stages)
    assert records(whole) == ["COMPLETED"] * 3
    assert "proposed" in (whole / "report" / "report.html").read_text()
    assert not any((whole / "making").glob("*"))
    found = status(whole)
    assert not found["running"] and found["runs"] == {"completed": 3} and found["failed"] == {}
    assert found["stages"] == [len(plan.stages)] * 2


def test_what_is_stored_holds_no_key_path_or_time(whole: Path) -> None:
    keys = list(plan_of(whole).stages)
    for name, content in stages(whole).items():
        assert not any(key.encode() in content for key in keys), name
        assert b"end-to-end" not in content, name  # a part of its path
        assert not re.search(rb"20\d\d-\d\d-\d\dT\d\d", content), name


def test_it_is_what_is_made_in_process(whole: Path, file: Path, tmp_path: Path) -> None:
    """Workers, their number and their order change nothing."""
    plan = plan_of(whole)
    store = tiny.made(plan, Store(tmp_path / "out"))
    assert stages(store.out) == stages(whole)


def test_the_second_time_makes_nothing(copy: Path, file: Path) -> None:
    before, kept = times(copy), records(copy)
    code, text = run(file, copy)
    assert code == 0 and "made" not in text.replace("made again", "")
    assert times(copy) == before and records(copy) == kept


def test_what_is_deleted_or_damaged_is_made_again_and_nothing_else(copy: Path, whole: Path, file: Path) -> None:
    roles = tiny.run_of(plan_of(copy), "proposed").stages
    deleted = {roles["critic.half"], roles["joint"], roles["evaluate"]}
    for key in deleted:
        shutil.rmtree(copy / "stages" / key)
    roles = tiny.run_of(plan_of(copy), "single").stages
    damaged = {roles[role] for role in ("joint", "critic.local", "data")}
    weights = copy / "stages" / roles["joint"] / "generator.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x55")
    (copy / "stages" / roles["critic.local"] / "series.json").unlink()
    (copy / "stages" / roles["data"] / "manifest.json").write_text("{")
    before = times(copy)
    code, text = run(file, copy)
    assert code == 0, text
    assert stages(copy) == stages(whole)
    assert {key for key, stamp in times(copy).items() if before.get(key) != stamp} == deleted | damaged
    for key in damaged:
        assert key in text and (copy / "damaged" / key).is_dir()
    assert text.count("is set aside") == 3


def test_without_sharing_the_bytes_are_the_same(whole: Path, file: Path, tmp_path: Path) -> None:
    done = command("plan", file, "--out", tmp_path / "out", "--no-share", "--device", "cpu", "--json")
    shared, alone = plan_of(whole), make_plan(load(file), share=False)
    assert [stage["key"] for stage in json.loads(done.stdout)["stages"]] == list(alone.stages)
    assert len(alone.stages) > len(shared.stages)
    assert tiny.by_role(alone, tiny.made(alone, Store(tmp_path / "out"))) == tiny.by_role(shared, Store(whole))


def test_killed_again_and_again_it_ends_with_the_same_bytes(whole: Path, file: Path, tmp_path: Path) -> None:
    """While it trains, and while it publishes a stage of a run that is open in its record."""
    out = tmp_path / "out"
    for point in ("step 5", "os.rename */stages/joint*"):
        gate = Gate(tmp_path / point[:4], point)
        process = start(file, out, "--jobs", "1", gate=gate)
        gate.wait(process)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert "RUNNING" in records(out)
    code, text = run(file, out)
    assert code == 0, text
    assert stages(out) == stages(whole)
    assert "RUNNING" not in records(out) and records(out).count("COMPLETED") == 3


@pytest.fixture
def long(tmp_path: Path) -> tuple[Path, Path]:
    """A study that takes minutes if nothing stops it."""
    defaults = {"steps": {"pretrain": 10, "critic": 4, "joint": 20_000}, "log_every": 10}
    variants = {name: VARIANTS[name] for name in ("proposed", "single")}
    return tiny.write(tmp_path, variants, defaults=defaults), tmp_path / "out"


JOINT = "step 200"
"""In ``long`` this is a step of the joint stage: a worker makes fewer than 100 optimizer steps before it."""


def test_an_interrupt_loses_nothing_and_says_how_to_go_on(long: tuple[Path, Path], tmp_path: Path) -> None:
    file, out = long
    gate = Gate(tmp_path / "gate", JOINT)
    process = start(file, out, gate=gate)
    gate.wait(process, 2)
    assert records(out) == ["RUNNING"] * 2
    wait_for(lambda: status(out)["now"], process)
    found = status(out)
    assert found["running"] and found["now"] and 0 < found["done"] < 1
    os.killpg(process.pid, signal.SIGINT)  # a terminal signals all processes
    gate.open()
    interrupted(process, out)
    assert len(list((out / "making").glob("joint-*/checkpoint.safetensors"))) == 2
    found = status(out)
    assert not found["running"] and found["runs"]["interrupted"] == 2

    # It goes on: the new record names the old one.
    process = start(file, out, "--jobs", "1")
    wait_for(lambda: len(records(out)) == 3, process)
    process.send_signal(signal.SIGTERM)  # a batch system signals the driver
    interrupted(process, out)
    follows = json.loads((out / "sacred" / "3" / "info.json").read_text())["follows"]
    runs = [json.loads((out / "sacred" / n / "config.json").read_text())["run"] for n in ("3", follows)]
    assert runs[0] == runs[1]


def interrupted(process: subprocess.Popen[str], out: Path) -> None:
    code, text = ended(process)
    assert code == 130, text
    assert "nothing is lost. Go on with:  " in text and "python -m study run" in text and "Traceback" not in text
    assert set(records(out)) == {"INTERRUPTED"}


def test_an_interrupt_while_workers_start_is_an_interrupt(long: tuple[Path, Path], tmp_path: Path) -> None:
    file, out = long
    gate = Gate(tmp_path / "gate", "import torch")
    process = start(file, out, "--jobs", "1", gate=gate)
    gate.wait(process)
    os.killpg(process.pid, signal.SIGINT)
    gate.open()
    code, text = ended(process)
    assert code == 130 and "Traceback" not in text, text


def test_one_failure_stops_nothing_else(tmp_path: Path) -> None:
    """A folder whose images vanish between the plan and the packing."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for i in range(6):
        Image.new("RGB", (32, 32), (40 * i, 100, 100)).save(photos / f"{i}.png")
    data = {
        "photos": {"kind": "folder", "root": str(photos)},
        "faces": {"kind": "faces", "train": 12, "validation": 2, "test": 4},
    }
    variants = {"single": {**tiny.PROPOSED, "method": "single"}, "mean": {"method": "mean"}}
    del variants["single"]["multiscale"]
    file, out = tiny.write(tmp_path, variants, data=data), tmp_path / "out"

    class Moved(Inline):
        def submit(self, task: Task) -> None:
            for name in ("0.png", "1.png"):
                if (photos / name).exists():
                    (photos / name).rename(tmp_path / name)
            super().submit(task)

    code, text = run(file, out, Moved)
    assert code == 3, text
    assert "failed: single/photos/0" in text and "have changed since the study was planned" in text
    assert "2 of 4 runs completed, 0 diverged, 2 failed" in text and "Traceback" not in text
    assert sorted(records(out)) == ["COMPLETED", "COMPLETED", "FAILED", "FAILED"]
    assert (out / "report" / "report.html").is_file()
    assert "Traceback" in "".join(note.read_text() for note in (out / "failures").iterdir())
    found = status(out)
    assert set(found["failed"]) == {"single/photos/0", "mean/photos/0"}

    for image in tmp_path.glob("*.png"):
        image.rename(photos / image.name)
    code, text = run(file, out)
    assert code == 0 and "4 of 4 runs completed" in text, text


def test_divergence_is_a_result(tmp_path: Path) -> None:
    wild = {**tiny.PROPOSED, "optimizer": {"kind": "adam", "lr": 1.0e30}, "norm": "none"}
    variants = {"wild": wild, "mean": {"method": "mean"}}
    file, out = tiny.write(tmp_path, variants), tmp_path / "out"
    code, text = run(file, out)
    assert code == 0, text
    assert re.search(r"diverged: wild/faces/0: \S+ at step 1", text)
    assert sorted(records(out)) == ["COMPLETED", "DIVERGED"]
    assert list(status(out)["diverged"]) == ["wild/faces/0"]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["run", "none.yaml"], 2, "none.yaml: cannot be read"),
        (["status", "nowhere"], 2, "nowhere: there is no study here"),
        (["report", "nowhere"], 2, "nowhere: there is no study here"),
        (["run", "runs.yaml", "--device", "tpu"], 2, "--device tpu: choose cpu, cuda, mps, xpu or auto"),
        (["run", "runs.yaml", "--jobs", "0"], 2, "--jobs"),
        (["run", "runs.yaml", "--out", "runs.yaml"], 2, "this is a file; name a folder"),
    ],
)
def test_bad_input_is_a_sentence_and_two(arguments: list[str], code: int, sentence: str) -> None:
    found = command(*arguments)
    assert found.returncode == code and sentence in found.stderr + found.stdout, found.stderr
    assert "Traceback" not in found.stderr


def test_bad_input_ends_the_process_with_two() -> None:
    line = [sys.executable, "-m", "study", "run", "none.yaml"]
    found = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 2 and "none.yaml: cannot be read" in found.stderr and "Traceback" not in found.stderr
