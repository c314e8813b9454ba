"""The progress of a study: bars on a terminal, lines elsewhere, and a file for ``study status``."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from study.plan.graph import KINDS, Plan
from study.running.executors import Event, Task
from study.running.workers import Worker, told
from study.store import Store

LINE_EVERY_S = 30.0
BAR = 16  # columns
TEXT = 38  # columns that are left for text on a terminal of 80
SMALL = 0.002  # the weight of a stage without counted work (packing, evaluation), as a share of all work
CHECKPOINTED = 0.02  # a stage that first reports a larger share than this continues from a checkpoint


def bars(console: Console, *columns: ProgressColumn) -> Progress:
    """Progress bars with further columns, shown on a terminal only."""
    first = (TextColumn("{task.description:<9}", markup=False), BarColumn(bar_width=BAR), MofNCompleteColumn())
    return Progress(*first, *columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal)


def live(out: Path) -> dict[str, Any]:
    """How far a running study is; empty if none is running.

    ``done``: the share of this start's work, 0 to 1. ``left_s``: seconds, or None. ``running``: the titles of what is
    being made, by all processes and machines that make it. ``at``: when this was written, in seconds since 1970.
    """
    shown = [facts for facts in told(out).values() if "done" in facts]
    if not shown:
        return {}
    first = max(shown, key=lambda facts: facts["done"])
    return {**first, "running": [title for facts in shown for title in facts.get("running", ())]}


class Display:
    """Counts the work of a plan's stages, and shows how much is done. ``worker`` tells it to others.

    Tasks of other plans, such as a search's, are only named.
    """

    def __init__(
        self, plan: Plan, store: Store, waiting: list[Task], console: Console, worker: Worker | None = None
    ) -> None:
        self._plan, self._store, self._worker = plan, store, worker
        self._print = partial(console.print, soft_wrap=True)
        passes = {key: len(keys) for keys in plan.passes() for key in keys}
        work = {key: stage.work + stage.forward / passes.get(key, 1) for key, stage in plan.stages.items()}
        total = sum(work.values()) or 1
        missing = {key for task in waiting for key in task.keys if not store.has(key)}
        weight = {key: work[key] / total + SMALL for key in missing}
        self._weight = {key: value / sum(weight.values()) for key, value in weight.items()}  # of all that is missing
        self._share = {key: 1.0 for key in plan.stages if key not in missing}  # how much of each stage is done, 0 to 1
        self._before = 0.0  # the part of the work that checkpoints held at the start
        self._runs_done = len(plan.runs) - sum(task.run is not None for task in waiting)
        self._started = self._printed = time.monotonic()
        self._bars = bars(console, TextColumn("{task.fields[text]}", markup=False))
        counts = Counter(stage.kind for stage in plan.stages.values())
        self._rows = {kind: self._bars.add_task(kind, total=counts[kind], text="") for kind in KINDS if counts[kind]}
        self._all = self._bars.add_task("all", total=100, text="")

    def __enter__(self) -> Display:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._write([])
        self._bars.stop()

    def on_event(self, event: Event) -> None:
        """Counts an event of the driver's, and prints failures and divergences."""
        task, name = event.task, event.task.title
        if event.kind == "progress":
            if event.key not in self._plan.stages:
                return
            share = event.done / max(event.total, 1)
            if event.key not in self._share and share > CHECKPOINTED:
                self._before += self._weight[event.key] * share
            self._share[event.key] = share
        elif event.kind == "note":
            self._print(Text(f"{name}: {event.text}"))
        elif event.kind == "died":
            self._print(Text.assemble(("died", "yellow"), f" {name}: {event.text}; it starts again"))
        elif event.kind == "failed":
            self._print(Text.assemble(("failed", "red"), f" {name}: {event.text}"))
        elif not task.why:
            self._share |= {key: 1.0 for key in task.keys if key in self._plan.stages}
            outcome: dict[str, Any] = {}
            if run := next((run for run in self._plan.runs if run.name == task.run), None):
                self._runs_done += 1
                outcome = self._store.outcome(run.stages["evaluate"])
            if outcome.get("status") == "diverged":
                why = f" {name}: {outcome['term']} at step {outcome['step']}"
                self._print(Text.assemble(("diverged", "yellow"), why))
            elif self._bars.disable:
                self._print(f"made {name}{' (by another process)' if event.by_others else ''}")

    def on_tick(self, running: list[Task]) -> None:
        """Shows and writes the progress."""
        self._write(running)
        if self._bars.disable and time.monotonic() - self._printed > LINE_EVERY_S:
            self._printed = time.monotonic()
            titles = [task.title for task in running] or live(self._store.out).get("running", [])  # elsewhere
            now = f"  now: {'; '.join(titles)}" if titles else ""
            self._print(f"{self.done():4.0%}  {self._summary()}{now}")

    def done(self) -> float:
        """The share of the work that is done, 0 to 1."""
        return sum(self._weight[key] * self._share.get(key, 0) for key in self._weight) if self._weight else 1.0

    def left_s(self) -> float | None:
        """Seconds left at the pace so far; None if it is too early to say."""
        elapsed = time.monotonic() - self._started
        made = self.done() - self._before
        return elapsed * (1 - self.done()) / made if elapsed >= 3 and made > 0.01 else None

    def _summary(self) -> str:
        return f"{self._runs_done}/{len(self._plan.runs)} runs  {left(self.left_s())}"

    def _kind(self, task: Task) -> str | None:
        """The kind of stage that a task is making: the first of its stages that is not done."""
        stages = (self._plan.stages[key] for key in task.keys if key in self._plan.stages)
        return next((stage.kind for stage in stages if self._share.get(stage.key, 0) < 1), None)

    def _write(self, running: list[Task]) -> None:
        """Updates the bars and the file."""
        done, seconds = self.done(), self.left_s()
        counts = Counter(self._plan.stages[key].kind for key, share in self._share.items() if share >= 1)
        for kind, row in self._rows.items():
            text = _fitting([task.title for task in running if self._kind(task) == kind])
            self._bars.update(row, completed=counts[kind], text=text)
        self._bars.update(self._all, completed=round(100 * done), text=self._summary())
        if self._worker:
            left_s = None if seconds is None else round(seconds)
            titles = [task.title for task in running]
            self._worker.tell(at=round(time.time()), done=round(done, 4), left_s=left_s, running=titles)


def _fitting(titles: Sequence[str]) -> str:
    """As many of the titles as fit beside a bar, and how many more there are."""
    for shown in range(len(titles), 0, -1):
        text = "; ".join([*titles[:shown], *([f"{len(titles) - shown} more"] if shown < len(titles) else [])])
        if len(text) <= TEXT:
            return text
    return f"{len(titles)} at once" if len(titles) > 1 else "".join(titles)


def left(seconds: float | None) -> str:
    """The time left, in words."""
    return "time left unknown" if seconds is None else f"{timedelta(seconds=round(seconds))} left"
