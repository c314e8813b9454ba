"""The driver submits what is ready, and a failure stops only what depends on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import tiny

from study.errors import Interrupted, StudyError
from study.plan.graph import Plan
from study.running import driver
from study.running.executors import Event, Executor, Task
from study.running.locks import output_lock
from study.running.make import make
from study.running.runs import make_run
from study.store import Store


class Inline(Executor):
    """Makes tasks at once, in this process; ``fate`` may decide otherwise."""

    def __init__(self, plan: Plan, store: Store, fate: Callable[[Task], Event | None] = lambda task: None) -> None:
        self.plan, self.store, self.fate = plan, store, fate
        self.events: list[Event] = []
        self.tasks: list[Task] = []
        self.stopped = False

    @property
    def free(self) -> int:
        return 1 - len(self.events)

    def submit(self, task: Task) -> None:
        self.tasks.append(task)
        event = None if task.why else self.fate(task)
        if event is None and not task.why:
            if task.run:
                run = next(run for run in self.plan.runs if run.name == task.run)
                make_run(run, self.plan, self.store, tiny.Onlooker(), tiny.CPU)
            else:
                make(task.keys, self.plan, self.store, tiny.Onlooker(), tiny.CPU)
        self.events.append(event or Event("done", task))

    def poll(self, timeout_s: float) -> list[Event]:
        found, self.events = self.events, []
        return found

    def stop(self) -> None:
        self.stopped = True


def drive(plan: Plan, store: Store, executor: Inline) -> tuple[driver.Summary, list[Event]]:
    told: list[Event] = []
    return driver.drive(store, executor, driver.tasks(plan, store), on_event=told.append), told


VARIANTS = {name: tiny.EVERY[name] for name in ("proposed", "single", "ce", "mean")}


def test_everything_is_made_once_and_its_inputs_first(tmp_path: Path) -> None:
    plan, store = tiny.planned(tmp_path, VARIANTS, seeds=[0, 1])
    executor = Inline(plan, store)
    summary, told = drive(plan, store, executor)
    assert summary.failed == {} and not summary.interrupted and not executor.stopped
    keys = [key for task in executor.tasks for key in task.keys]
    assert sorted(keys) == sorted(plan.stages)
    assert [event.kind for event in told] == ["done"] * len(executor.tasks)
    assert driver.tasks(plan, store) == []


def test_only_what_is_missing_is_asked_for(tmp_path: Path) -> None:
    plan, store = tiny.planned(tmp_path, VARIANTS)
    drive(plan, store, Inline(plan, store))
    key = tiny.run_of(plan, "proposed").stages["pretrain"]
    store.set_aside(key)
    assert [task.keys for task in driver.tasks(plan, store)] == [(key,)]


def test_a_failure_takes_what_stands_on_it_alone(tmp_path: Path) -> None:
    plan, store = tiny.planned(tmp_path, VARIANTS)
    bad = tiny.run_of(plan, "proposed").stages["pretrain"]

    def fate(task: Task) -> Event | None:
        return Event("failed", task, text="no memory", trace="the trace") if bad in task.keys else None

    summary, _ = drive(plan, store, Inline(plan, store, fate))
    assert set(summary.failed) == {"proposed/faces/0", "single/faces/0"}
    assert all(why == f"pretrain {bad} failed: no memory" for why in summary.failed.values())
    for variant in ("ce", "mean"):
        assert all(store.has(key) for key in tiny.run_of(plan, variant).stages.values())
    (note,) = (store.out / "failures").iterdir()
    assert "no memory" in note.read_text() and "the trace" in note.read_text()


@pytest.mark.parametrize("deaths", [1, 2])
def test_a_process_that_dies_is_forgiven_once(tmp_path: Path, deaths: int) -> None:
    plan, store = tiny.planned(tmp_path, VARIANTS)
    bad, left = tiny.run_of(plan, "proposed").stages["joint"], [deaths]

    def fate(task: Task) -> Event | None:
        if bad not in task.keys or not left[0]:
            return None
        left[0] -= 1
        return Event("died", task, text="its process was killed by SIGKILL")

    summary, told = drive(plan, store, Inline(plan, store, fate))
    kinds = [event.kind for event in told if bad in event.task.keys]
    assert kinds == ["died", "done" if deaths == 1 else "failed"]
    expected = {} if deaths == 1 else {"proposed/faces/0": "its process was killed by SIGKILL"}
    assert summary.failed == expected
    assert store.has(bad) == (deaths == 1)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, Interrupted])
def test_an_interrupt_stops_the_executor(tmp_path: Path, stop: type[BaseException]) -> None:
    plan, store = tiny.planned(tmp_path, VARIANTS)

    def fate(task: Task) -> Event | None:
        if task.run:
            raise stop
        return None

    executor = Inline(plan, store, fate)
    summary, _ = drive(plan, store, executor)
    assert summary.interrupted and executor.stopped and summary.failed == {}


def test_one_driver_an_output(tmp_path: Path) -> None:
    with (
        output_lock(tmp_path),
        pytest.raises(StudyError, match="another run works in this folder"),
        output_lock(tmp_path),
    ):
        raise AssertionError
    with output_lock(tmp_path):
        """Free again."""


def test_a_task_that_waits_is_not_taken_twice(tmp_path: Path) -> None:
    plan, store = tiny.planned(tmp_path, {"mean": tiny.EVERY["mean"]})
    executor, tasks = Inline(plan, store), driver.tasks(plan, store)
    offers = [tasks]
    driver.drive(store, executor, tasks, on_event=lambda event: None, more=lambda: offers.pop() if offers else [])
    assert len(executor.tasks) == len(tasks)


def test_damage_is_found_before_anything_stands_on_it(tmp_path: Path) -> None:
    plan, store = tiny.planned(tmp_path, VARIANTS)
    drive(plan, store, Inline(plan, store))
    key = tiny.run_of(plan, "ce").stages["joint"]
    (store.folder(key) / "series.json").write_text("{}")
    again = Store(store.out)
    (damage,) = driver.check(plan, again)
    assert "series.json: the file is not what was published" in damage
    assert not again.has(key) and (store.out / "damaged" / key).is_dir()
    drive(plan, again, Inline(plan, again))
    assert all(again.has(key) for key in plan.stages)
