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

from study.plan.graph import KINDS, Plan
from study.running.executors import Event, Task
from study.store import Store, read_json, write_json

LINE_EVERY_S = 30.0
FILE = "progress.json"
SMALL = 0.002
"""What a stage without counted work (packing, evaluation) weighs, as a share of all."""

CHECKPOINTED = 0.02
"""A stage whose first word is of a larger share than this goes on from a checkpoint."""


class Display:
    """Counts the work of a plan's stages and tells how far they are; the same facts go to ``out/progress.json``."""

    def __init__(self, plan: Plan, store: Store, waiting: Iterable[Task], console: Console) -> None:
        self._plan, self._store, self._console = plan, store, console
        waiting = list(waiting)
        todo = {key for task in waiting for key in task.keys if not store.has(key)}
        passes = {key: len(keys) for keys in plan.passes() for key in keys}
        work = {key: stage.work + stage.forward / passes.get(key, 1) for key, stage in plan.stages.items()}
        total = sum(work.values()) or 1
        self._weight = {key: work[key] / total + SMALL for key in todo}
        self._share: dict[str, float] = {}
        self._found: dict[str, float] = {}  # what a checkpoint had of a stage already
        self._runs_total = len(plan.runs)
        self._runs_done = self._runs_total - sum(task.run is not None for task in waiting)
        self._started = self._printed = time.monotonic()
        self._live: Progress | None = None
        self._rows: dict[str, TaskID] = {}

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
            share = event.done / max(event.total, 1)
            if event.key not in self._share and share > CHECKPOINTED:
                self._found[event.key] = share
            self._share[event.key] = share
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

    def left_s(self, kind: str | None = None) -> float | None:
        """Seconds left, in all or for the stages of a kind, from the pace so far; None while nothing can be said."""
        elapsed = time.monotonic() - self._started
        made = sum(weight * (self._share.get(key, 0) - self._found.get(key, 0)) for key, weight in self._weight.items())
        if elapsed < 3 or made <= 0.01 * sum(self._weight.values()):
            return None
        remaining = sum(
            weight * (1 - self._share.get(key, 0))
            for key, weight in self._weight.items()
            if kind in (None, self._plan.stages[key].kind)
        )
        return elapsed * remaining / made

    def _counts(self) -> dict[str, tuple[int, int]]:
        total: Counter[str] = Counter(stage.kind for stage in self._plan.stages.values())
        missing = Counter(self._plan.stages[key].kind for key in self._weight if self._share.get(key, 0) < 1)
        return {kind: (total[kind] - missing[kind], total[kind]) for kind in KINDS}

    def _refresh(self, running: list[Task]) -> None:
        assert self._live is not None
        now = {kind: [_short(task) for task in running if self._kind(task) == kind] for kind in KINDS}
        for kind, (done, total) in self._counts().items():
            if kind in self._rows:
                text = "" if done == total else "  ".join([left(self.left_s(kind)), ", ".join(now[kind])[:48]])
                self._live.update(self._rows[kind], completed=done, left=text)
        text = f"{left(self.left_s())}  {self._runs_done}/{self._runs_total} runs"
        self._live.update(self._rows["all"], completed=round(100 * self.done()), left=text)

    def _kind(self, task: Task) -> str | None:
        """The kind of stage that a task is at: the first of its stages that is not yet made."""
        unmade = [key for key in task.keys if self._share.get(key, 0) < 1]
        return self._plan.stages[unmade[0]].kind if unmade else None

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
