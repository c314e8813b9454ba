"""An executor that makes each task at once, in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import tiny

from study.plan.graph import Plan
from study.running.executors import Event, Executor, Task
from study.running.make import make
from study.running.runs import make_run
from study.store import Store


class AtOnce(Executor):
    """``fate`` may make something else of a task."""

    def __init__(
        self, store: Store, *, fate: Callable[[Task], Event | None] = lambda task: None, slots: int = 1
    ) -> None:
        self.store, self.fate, self.slots = store, fate, slots
        self.events: list[Event] = []
        self.tasks: list[Task] = []
        self.stopped = False

    @property
    def free(self) -> int:
        return self.slots - len(self.events)

    @property
    def keys(self) -> list[str]:
        """The stages of all tasks."""
        return [key for task in self.tasks for key in task.keys]

    def submit(self, task: Task) -> None:
        self.tasks.append(task)
        event = Event("done", task) if task.why else self.fate(task)
        if event is None:
            plan = Plan.read(Path(task.plan))
            assert plan is not None
            self.make(plan, task)
        self.events.append(event or Event("done", task))

    def make(self, plan: Plan, task: Task) -> None:
        if task.run:
            run = next(run for run in plan.runs if run.name == task.run)
            make_run(run, plan, self.store, tiny.Onlooker(), tiny.CPU)
        else:
            make(task.keys, plan, self.store, tiny.Onlooker(), tiny.CPU)

    def poll(self, timeout_s: float) -> list[Event]:
        found, self.events = self.events, []
        return found

    def stop(self) -> None:
        self.events, self.stopped = [], True
