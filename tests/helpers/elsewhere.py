"""A tiny study that workers make anywhere. Its loss counts its calls, and takes its time until it may go on."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import tiny
from commands import ROOT, command

from study.errors import StudyError
from study.plan.graph import Plan
from study.running import driver
from study.running.executors import EXECUTORS, Event
from study.store import Store

PLUGIN = """
import time
from pathlib import Path
import torch
from models.method import Filler

HERE = Path(__file__).parent

class Counted:
    def critic(self, real, fake):
        with (HERE / "calls").open("ab", buffering=0) as calls:
            calls.write(b".")
        if not (HERE / "go").exists():
            time.sleep(0.3)
        return torch.nn.functional.softplus(fake - real).mean()

    def generator(self, fake):
        return torch.nn.functional.softplus(-fake).mean()

class Broken(Filler):
    filler = "broken"

def broken(masked_image, mask):
    raise ValueError("broken on purpose")

LOSSES = {"counted": Counted}
METHODS = {"broken": Broken}
FILLERS = {"broken": broken}
"""
RECIPE = {"kind": "counted", "norm": "none", "optimizer": {"kind": "adam", "lr": 1.0e-4, "betas": [0.5, 0.9]}}
STEPS = 60
ALL_CALLS = 2 * 3 * (STEPS + 3)
"""Of two seeds with three critics each, if no step is made twice."""
VARIANTS = {"proposed": tiny.PROPOSED | {"loss": "counted"}, "broken": {"method": "broken"}}
FAILURES = {f"broken/faces/{seed}": "evaluate, all seeds failed: ValueError: broken on purpose" for seed in (0, 1)}


def planned(folder: Path) -> tuple[Plan, Store]:
    """The plan of the study, saved in ``folder / "out"``, and its store."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "counted.py").write_text(PLUGIN)
    steps = {"pretrain": 4, "critic": STEPS, "joint": 3}
    return tiny.planned(
        folder, VARIANTS, plugins=["counted.py"], seeds=[0, 1], recipes={"counted": RECIPE}, defaults={"steps": steps}
    )


def made_here(folder: Path) -> dict[str, dict[str, bytes]]:
    """The bytes of the study's stages, made in this process."""
    plan, store = planned(folder)
    go(folder)
    tiny.made(plan, store, _whole(plan))
    return stages(plan, store)


def stages(plan: Plan, store: Store) -> dict[str, dict[str, bytes]]:
    return {key: tiny.published(store, key) for key in _whole(plan)}


def _whole(plan: Plan) -> set[str]:
    """The stages that do not fail."""
    return {key for run in plan.runs if run.variant != "broken" for key in run.stages.values()}


def go(folder: Path) -> None:
    """From now on, the loss takes no time."""
    (folder / "go").touch()


def calls(folder: Path) -> int:
    """How often the loss was called, in all processes."""
    return (folder / "calls").stat().st_size if (folder / "calls").exists() else 0


def until(true: Callable[[], object], timeout_s: float = 120) -> None:
    """Waits until something is true."""
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, "it does not become true"
        time.sleep(0.1)


class Start:
    """The study in a folder, which an executor makes while a thread drives it."""

    def __init__(self, folder: Path, name: str, jobs: int, **settings: str) -> None:
        self.folder = folder
        self.plan, self.store = planned(folder)
        self.executor = EXECUTORS[name](self.store.out, jobs=jobs, device="cpu", settings=settings)
        self.told: list[Event] = []
        self.summary, self.error = driver.Summary(), ""
        self._stopping = False
        self._thread = threading.Thread(target=self._drive)
        self._thread.start()

    def _drive(self) -> None:
        tasks = driver.tasks(self.plan, self.store, self.plan.save(self.store.out))
        try:
            with self.executor:
                self.summary = driver.drive(
                    self.store, self.executor, tasks, on_event=self.told.append, stopping=lambda: self._stopping
                )
        except StudyError as error:
            self.error = str(error)

    def trains(self) -> None:
        """Waits until training goes on."""
        before = calls(self.folder)
        until(lambda: calls(self.folder) > before + 3)

    def stop(self) -> None:
        """What Ctrl-C does."""
        self._stopping = True

    @property
    def ended(self) -> bool:
        return not self._thread.is_alive()

    def end(self) -> driver.Summary:
        """Waits until the study is made, stopped, or given up: ``error``."""
        self._thread.join(180)
        assert self.ended
        return self.summary


class Work:
    """The study in a folder, which several ``study work`` make, without a driver."""

    def __init__(self, folder: Path, jobs: int) -> None:
        self.folder = folder
        self.plan, self.store = planned(folder)
        self.error = ""
        line = [sys.executable, "-m", "study", "work", str(self.store.out), "--jobs", "1"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        pipe = subprocess.PIPE
        self._processes = [subprocess.Popen(line, env=environment, stdout=pipe, text=True) for _ in range(jobs)]

    trains = Start.trains

    def stop(self) -> None:
        command("stop", self.store.out)

    @property
    def ended(self) -> bool:
        return all(process.poll() is not None for process in self._processes)

    def end(self) -> driver.Summary:
        said = [process.communicate(timeout=180)[0] for process in self._processes]
        if codes := [process.returncode for process in self._processes if process.returncode]:
            self.error = f"they ended with exit codes {codes}"
        failed = dict(re.findall(r"^failed: (\S+): (.+) \(see ", "\n".join(said), re.MULTILINE))
        return driver.Summary(failed, interrupted=any("stopped; nothing is lost" in text for text in said))


def kill_workers(out: Path) -> None:
    """Kills the processes that train for an output: those of this process, and ``study work`` of any other."""
    for child in multiprocessing.active_children():
        child.kill()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (process / "cmdline").read_text(errors="replace").split("\0")
            if "work" in words and str(out) in words:
                os.kill(int(process.name), signal.SIGKILL)
