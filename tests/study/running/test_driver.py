"""The driver submits what is ready, and a failure stops only what depends on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny
from at_once import AtOnce

from study.errors import Interrupted
from study.plan.graph import Plan
from study.running import driver
from study.running.executors import Event, Task
from study.store import Store


def tasks(plan: Plan, store: Store) -> list[Task]:
    return driver.tasks(plan, store, store.out / "plan.json")


def drive(plan: Plan, store: Store, executor: AtOnce) -> tuple[driver.Summary, list[Event]]:
    told: list[Event] = []
    return driver.drive(store, executor, tasks(plan, store), on_event=told.append), told


VARIANTS = {name: tiny.EVERY[name] for name in ("proposed", "single", "ce", "mean")}


def test_everything_is_made_once_and_its_inputs_first(tmp_path: Path) -> None:
    plan, store = tiny.planned(tmp_path, VARIANTS, seeds=[0, 1])
    executor = AtOnce(store)
    summary, told = drive(plan, store, executor)
    assert summary.failed == {} and not summary.interrupted and not executor.stopped
    assert sorted(executor.keys) == sorted(plan.stages)
    assert [event.kind for event in told] == ["done"] * len(executor.tasks)
    assert tasks(plan, store) == []


def test_the_first_seed_of_the_variants_comes_first_and_cells_of_ablations_last(tmp_path: Path) -> None:
    factors = {"multiscale": [0, 1], "loss": ["wgan", "js"]}
    ablations = {"critics": {"reference": "proposed", "factors": factors}}
    plan, store = tiny.planned(tmp_path, VARIANTS, seeds=[5, 3], ablations=ablations)
    executor = AtOnce(store)
    drive(plan, store, executor)
    made = [task.run for task in executor.tasks if task.run]
    assert {run.name for run in driver.first_runs(plan)} == set(made[:4]) == {f"{name}/faces/5" for name in VARIANTS}
    assert set(made[4:8]) == {f"{name}/faces/3" for name in VARIANTS}
    assert len(made) > 8 and all(":" in name for name in made[8:])
    passes = [task.keys for task in executor.tasks if task.keys[:1] and task.keys[0].startswith("critic-")]
    assert sorted(map(sorted, passes)) == sorted(map(sorted, plan.passes())), (
        "a pass is not split: it shares its forward"
    )


def test_a_shared_stage_that_fails_is_named_though_its_runs_are_complete(tmp_path: Path) -> None:
    plan, store = tiny.planned(tmp_path, VARIANTS)
    drive(plan, store, AtOnce(store))
    store.set_aside(tiny.run_of(plan, "proposed").stages["pretrain"])
    (lost,) = tasks(plan, store)
    summary, told = drive(plan, store, AtOnce(store, fate=lambda task: Event("failed", task, text="no")))
    assert summary.failed == {lost.title: "no"} and [event.kind for event in told] == ["failed"]


def test_a_failure_does_not_change_the_order(tmp_path: Path) -> None:
    plan, store = tiny.planned(tmp_path, VARIANTS, seeds=[0, 1])
    bad = tiny.run_of(plan, "ce").stages["joint"]
    executor = AtOnce(store, fate=lambda task: Event("failed", task, text="no") if bad in task.keys else None)
    drive(plan, store, executor)
    made = [task.run for task in executor.tasks if task.run]
    assert all(name.endswith("/0") for name in made[:4]) and all(name.endswith("/1") for name in made[4:])


def test_only_what_is_missing_is_asked_for(tmp_path: Path) -> None:
    plan, store = tiny.planned(tmp_path, VARIANTS)
    drive(plan, store, AtOnce(store))
    key = tiny.run_of(plan, "proposed").stages["pretrain"]
    store.set_aside(key)
    assert [task.keys for task in tasks(plan, store)] == [(key,)]


def test_a_failure_takes_what_stands_on_it_alone(tmp_path: Path) -> None:
    plan, store = tiny.planned(tmp_path, VARIANTS)
    bad = tiny.run_of(plan, "proposed").stages["pretrain"]

    def fate(task: Task) -> Event | None:
        return Event("failed", task, text="no memory", trace="the trace") if bad in task.keys else None

    summary, _ = drive(plan, store, AtOnce(store, fate=fate))
    assert set(summary.failed) == {"proposed/faces/0", "single/faces/0"}
    assert all(why == "pretrain, seed 0 failed: no memory" for why in summary.failed.values())
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

    summary, told = drive(plan, store, AtOnce(store, fate=fate))
    kinds = [event.kind for event in told if bad in event.task.keys]
    assert kinds == ["died", "done" if deaths == 1 else "failed"]
    expected = {} if deaths == 1 else {"proposed/faces/0": "its process was killed by SIGKILL"}
    assert summary.failed == expected
    assert store.has(bad) == (deaths == 1)


def test_what_another_took_over_is_no_death(tmp_path: Path) -> None:
    """This machine was suspended, and another had the lease meanwhile. Its worker ends as it is told."""
    plan, store = tiny.planned(tmp_path, {"mean": tiny.EVERY["mean"]})
    left = [5]

    def fate(task: Task) -> Event | None:
        if not left[0]:
            return None
        left[0] -= 1
        for key in task.keys:
            number = store.leases.number(key)
            (store.leases.folder / key / f"{number + 1}.json").write_text(
                json.dumps({"owner": {}, "lasts_s": 60.0, "deaths": 0, "mark": "", "ended": True})
            )
        return Event("died", task, text="its process ended with exit code 0")

    summary, told = drive(plan, store, AtOnce(store, fate=fate))
    assert summary.failed == {} and {event.kind for event in told} == {"done"} and not left[0]
    assert all(store.has(key) for key in plan.stages)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, Interrupted])
def test_an_interrupt_stops_the_executor(tmp_path: Path, stop: type[BaseException]) -> None:
    plan, store = tiny.planned(tmp_path, VARIANTS)

    def fate(task: Task) -> Event | None:
        if task.run:
            raise stop
        return None

    executor = AtOnce(store, fate=fate)
    summary, _ = drive(plan, store, executor)
    assert summary.interrupted and executor.stopped and summary.failed == {}


def test_a_task_that_waits_is_not_taken_twice(tmp_path: Path) -> None:
    plan, store = tiny.planned(tmp_path, {"mean": tiny.EVERY["mean"]})
    executor, offered = AtOnce(store), tasks(plan, store)
    offers = [offered]
    driver.drive(store, executor, offered, on_event=lambda event: None, more=lambda: offers.pop() if offers else [])
    assert len(executor.tasks) == len(offered)


def test_damage_is_found_before_anything_stands_on_it(tmp_path: Path) -> None:
    plan, store = tiny.planned(tmp_path, VARIANTS)
    drive(plan, store, AtOnce(store))
    key = tiny.run_of(plan, "ce").stages["joint"]
    (store.folder(key) / "series.json").write_text("{}")
    again = Store(store.out)
    (damage,) = driver.check(plan, again)
    assert "series.json: the file is not what was published" in damage
    assert not again.has(key) and (store.out / "damaged" / key).is_dir()
    drive(plan, again, AtOnce(again))
    assert all(again.has(key) for key in plan.stages)
