"""How far a study is: live on a terminal, as plain lines elsewhere, and in a file for ``study status``."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from study.executors import Event, Task
from study.plan import KINDS, Plan
from study.store import Store, read_json, write_json

LINE_EVERY_S = 30.0
FILE = "progress.json"
SMALL = 0.002
"""What a stage without counted work (packing, evaluation) weighs, as a share of all."""


class Display:
    """Counts the work of a plan's stages and tells how far they are; the same facts go to ``out/progress.json``."""

    def __init__(self, plan: Plan, store: Store, waiting: Iterable[Task], console: Console) -> None:
        self._plan, self._store, self._console = plan, store, console
        self._waiting = list(waiting)
        self._todo = {key for task in self._waiting for key in task.keys if not store.has(key)}
        total = sum(stage.work + stage.forward for stage in plan.stages.values()) or 1
        self._weight = {key: self._work(key) / total + SMALL for key in self._todo}
        self._share: dict[str, float] = {}
        self._runs_total = len(plan.runs)
        self._runs_done = self._runs_total - sum(task.run is not None for task in self._waiting)
        self._started = self._printed = time.monotonic()
        self._live: Progress | None = None
        self._rows: dict[str, TaskID] = {}

    def _work(self, key: str) -> int:
        stage = self._plan.stages[key]
        return stage.work + stage.forward // max(
            sum(other.forward == stage.forward and other.needs == stage.needs for other in self._plan.stages.values()),
            1,
        )

    def __enter__(self) -> Display:
        if self._console.is_terminal:
            self._live = Progress(
                TextColumn("{task.description:<9}"),
                BarColumn(bar_width=32),
                MofNCompleteColumn(),
                TextColumn("{task.fields[left]}"),
                TimeElapsedColumn(),
                console=self._console,
            )
            for kind in KINDS:
                count = self._counts()[kind]
                if count[1]:
                    self._rows[kind] = self._live.add_task(kind, total=count[1], left="")
            self._rows["all"] = self._live.add_task("[bold]all", total=100, left="")
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._write([], over=True)
        if self._live is not None:
            self._refresh([])
            self._live.stop()

    # -- what happens ---------------------------------------------------------------------------------------

    def told(self, event: Event) -> None:
        """Hears an event of the driver's, and says it where it matters."""
        if event.kind == "progress":
            self._share[event.key] = event.done / max(event.total, 1)
            return
        name = event.task.run or ", ".join(event.task.keys)
        if event.kind == "done":
            for key in event.task.keys:
                self._share[key] = 1.0
            if event.task.run and not event.task.why:
                self._runs_done += 1
                outcome = self._store.outcome(
                    next(run.stages["evaluate"] for run in self._plan.runs if run.name == event.task.run)
                )
                if outcome.get("status") == "diverged":
                    self._say(f"[yellow]diverged[/] {name}: {outcome['term']} at step {outcome['step']}")
                    return
            if not event.task.why and self._live is None:
                self._say(f"made {name}")
        elif event.kind == "died":
            self._say(f"[yellow]died[/] {name}: {event.text}")
        elif event.kind == "failed":
            self._say(f"[red]failed[/] {name}: {event.text}")

    def tick(self, running: list[Task]) -> None:
        """Shows and writes down how far it is."""
        self._write(running)
        if self._live is not None:
            self._refresh(running)
        elif time.monotonic() - self._printed > LINE_EVERY_S:
            self._printed = time.monotonic()
            self._say(self.line(running))

    def line(self, running: list[Task]) -> str:
        """One line: how much is done, how many runs, how long it will take, what is being made."""
        names = ", ".join(_short(task) for task in running)
        return f"{self.done():4.0%}  {self._runs_done}/{self._runs_total} runs  {left(self.left_s())}  {names}"

    def done(self) -> float:
        """The share of the work that is done, 0 to 1."""
        total = sum(self._weight.values())
        return sum(self._weight[key] * self._share.get(key, 0) for key in self._weight) / total if total else 1.0

    def left_s(self) -> float | None:
        """Seconds left, from the pace so far; None while nothing can be said."""
        done = self.done()
        elapsed = time.monotonic() - self._started
        return elapsed * (1 - done) / done if done > 0.01 and elapsed > 3 else None

    def _counts(self) -> dict[str, tuple[int, int]]:
        total: Counter[str] = Counter(stage.kind for stage in self._plan.stages.values())
        missing: Counter[str] = Counter(
            self._plan.stages[key].kind for key in self._todo if self._share.get(key, 0) < 1
        )
        return {kind: (total[kind] - missing[kind], total[kind]) for kind in KINDS}

    def _refresh(self, running: list[Task]) -> None:
        assert self._live is not None
        for kind, (done, _) in self._counts().items():
            if kind in self._rows:
                now = [
                    task
                    for task in running
                    if self._plan.stages.get((task.keys or ("",))[0]) and self._plan.stages[task.keys[0]].kind == kind
                ]
                self._live.update(self._rows[kind], completed=done, left=", ".join(map(_short, now))[:60])
        text = f"{self._runs_done}/{self._runs_total} runs, {left(self.left_s())}"
        self._live.update(self._rows["all"], completed=round(100 * self.done()), left=text)

    def _write(self, running: list[Task], over: bool = False) -> None:
        write_json(
            self._store.out / FILE,
            {
                "pid": os.getpid(),
                "time": time.time(),
                "over": over,
                "done": round(self.done(), 4),
                "left_s": None if over or self.left_s() is None else round(self.left_s() or 0),
                "runs": [self._runs_done, self._runs_total],
                "stages": {kind: list(count) for kind, count in self._counts().items()},
                "running": [_short(task) for task in running],
            },
        )

    def _say(self, text: str) -> None:
        (self._live.console if self._live is not None else self._console).print(text, highlight=False, soft_wrap=True)


def read(out: Path) -> dict[str, Any]:
    """What a running or ended drive last wrote; empty where none has been."""
    return read_json(out / FILE) or {}


def _short(task: Task) -> str:
    if task.run:
        return task.run
    return task.keys[0] if len(task.keys) == 1 else f"{len(task.keys)} critics of one pass"


def left(seconds: float | None) -> str:
    return "time left unknown" if seconds is None else f"{timedelta(seconds=round(seconds))} left"
