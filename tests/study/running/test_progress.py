"""What a person reads while a study runs: titles of its work, never keys; and what fits beside a bar."""

from __future__ import annotations

import io
import re
from pathlib import Path
from unittest import mock

import pytest
import tiny
from at_once import AtOnce
from rich.console import Console

from study.running import driver, progress
from study.running.executors import Event, Task
from study.running.workers import working

KEY = re.compile(r"[0-9a-f]{16}")
VARIANTS = {name: tiny.EVERY[name] for name in ("proposed", "single", "glcic", "mean")}
FACES = {"kind": "faces", "train": 12, "validation": 2, "test": 4}


def test_titles_are_what_a_person_knows(tmp_path: Path) -> None:
    plan, store = tiny.planned(tmp_path, VARIANTS, seeds=[0, 1])
    titles = [task.title for task in driver.tasks(plan, store)]
    assert titles[0] == "data faces" and len({*titles}) == len(titles)
    assert {"pretrain of proposed, seed 0", "pretrain of glcic, seed 1", "3 critics of proposed, seed 0"} <= {*titles}
    assert "critic 'joined' of glcic, seed 1" in titles and {
        "proposed, seed 0",
        "mean, seed 1",
        "evaluate, all seeds",
    } <= {*titles}
    assert not any(KEY.search(title) for title in titles)


def test_one_pretraining_needs_no_variant_and_several_data_sets_are_named(tmp_path: Path) -> None:
    plan, store = tiny.planned(tmp_path, {"proposed": tiny.PROPOSED}, data={"a": FACES, "b": {**FACES, "seed": 2}})
    titles = {task.title for task in driver.tasks(plan, store)}
    assert titles == {
        *("data a", "data b", "pretrain, a, seed 0", "pretrain, b, seed 0"),
        *("3 critics, a, seed 0", "3 critics, b, seed 0", "proposed, a, seed 0", "proposed, b, seed 0"),
    }


@pytest.mark.parametrize("terminal", [False, True])
def test_a_log_names_no_key_and_a_terminal_of_80_columns_cuts_nothing(tmp_path: Path, terminal: bool) -> None:
    plan, store = tiny.planned(tmp_path, VARIANTS)
    waiting = driver.tasks(plan, store, store.out / "plan.json")
    bad = tiny.run_of(plan, "glcic").stages["pretrain"]
    fate = lambda task: Event("failed", task, text="[red]no[/] room") if bad in task.keys else None  # noqa: E731
    file, seen = io.StringIO(), set[str]()
    console = Console(file=file, width=80, force_terminal=terminal, color_system=None)

    def tick(running: list[Task]) -> None:
        seen.update(progress.live(store.out).get("running", []))
        display.on_tick(waiting[1:4])

    with (
        mock.patch.object(progress, "LINE_EVERY_S", -1.0),
        working(store.out, "run") as worker,
        progress.Display(plan, store, waiting, console, worker) as display,
    ):
        driver.drive(store, AtOnce(store, fate=fate), waiting, on_event=display.on_event, on_tick=tick)
    text = file.getvalue()
    assert "failed pretrain of glcic, seed 0: [red]no[/] room" in text, "foreign text is not markup"
    assert not KEY.search(text) and not any(map(KEY.search, seen)) and seen
    assert ("made 3 critics of proposed, seed 0" in text) is not terminal
    assert "…" not in text
    if not terminal:
        assert "made proposed, seed 0" in text and "\x1b" not in text and " now: " in text


def test_titles_that_do_not_fit_are_counted() -> None:
    assert progress._fitting([]) == ""
    assert progress._fitting(["glcic, seed 1", "ce, seed 0"]) == "glcic, seed 1; ce, seed 0"
    assert progress._fitting(["glcic, seed 1", "ce, seed 0", "x" * 30]) == "glcic, seed 1; ce, seed 0; 1 more"
    assert progress._fitting(["x" * 60, "y" * 60]) == "2 at once"
