"""Reports while a study runs: when they are made, by whom, and what a page then says."""

from __future__ import annotations

import io
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import inline
import numpy as np
import pandas as pd
import pytest
import tiny
from commands import command
from rich.console import Console
from safetensors.numpy import save

from reports.analysis.frames import COLUMNS
from reports.document import Cell, Document, TableView
from reports.page import page
from reports.sections import document, training
from reports.sections import progress as sections
from study.cli import live
from study.errors import BadInput
from study.plan.graph import Plan
from study.results.frames import load
from study.running import driver, progress
from study.running.executors import Event, Task
from study.running.workers import Worker, working
from study.store import Store

STATE = {"done": 0.34, "left_s": 300, "running": ["pretrain, seed 1"], "at": 1.8e9}


class Clocked:
    """A renewal whose reports are recorded instead of made. Each lasts until ``end``."""

    def __init__(self, every: str = "5m", first: tuple[str, ...] = ("a", "b")) -> None:
        self.now, self.lines, self.begun = 0.0, list[str](), list[float]()
        self.process = mock.Mock(poll=lambda: self.process.returncode, returncode=None)
        with mock.patch.object(time, "monotonic", lambda: self.now):
            self.renewal = live.Renewal(Path("out"), live.every_s_of(every), self.lines.append)
        self.renewal.wait_for(first)

    def popen(self, *words: Any, **options: Any) -> Any:
        self.begun.append(self.now)
        self.process.returncode = None
        return self.process

    def at(self, now: float, *done: str) -> list[float]:
        """When reports were begun, after runs are done."""
        self.now = now
        for run in done:
            self.renewal.on_event(Event("done", Task((), (), run)))
        with mock.patch.object(time, "monotonic", lambda: self.now), mock.patch.object(subprocess, "Popen", self.popen):
            self.renewal.on_tick()
        return self.begun

    def end(self, code: int = 0) -> None:
        self.process.returncode = code


def test_the_first_report_comes_with_the_first_seed_and_then_every_so_often() -> None:
    clock = Clocked()
    assert clock.at(40) == [] and clock.at(60, "a") == [] and clock.at(90, "b") == [90]
    clock.at(500)
    assert clock.begun == [90], "one at a time"
    clock.end()
    assert clock.at(501) == [90, 501] and clock.lines == [
        f"report of what is done so far: {Path('out/report/report.html')}; it is renewed"
    ]
    clock.end()
    assert clock.at(800) == [90, 501] and clock.at(801) == [90, 501, 801]
    assert len(clock.lines) == 1, "said once"


def test_it_comes_within_three_minutes_where_the_first_seed_takes_longer() -> None:
    clock = Clocked()
    assert clock.at(149, "a") == [] and clock.at(150) == [150]
    clock.end()
    assert clock.at(200) == [150] and clock.at(220, "b") == [150, 220], "the whole first seed gets one of its own"


def test_a_short_study_gets_none_before_its_end_and_never_means_never() -> None:
    assert Clocked().at(29, "a", "b") == []
    assert Clocked("never").at(9999, "a", "b") == []
    assert Clocked("20s").at(20) == [20]
    with pytest.raises(BadInput, match=r"--report-every soon: write a time above zero, such as .* 2d, or never"):
        live.every_s_of("soon")


def test_a_report_that_fails_is_told_and_one_that_is_unfinished_is_stopped() -> None:
    clock = Clocked()
    clock.at(60, "a", "b")
    clock.end(1)
    clock.at(61)
    assert clock.lines == ["the report could not be renewed: its process was ended"]
    clock.at(400)
    clock.renewal.close()
    clock.process.terminate.assert_called_once()
    clock.renewal.close()  # again: nothing


@pytest.fixture
def out(tmp_path: Path) -> Path:
    plan, store = tiny.planned(tmp_path, {"mean": tiny.EVERY["mean"]}, seeds=[0, 1])
    tiny.made(plan, store)
    return store.out


def test_a_watch_ends_with_the_study(out: Path) -> None:
    lines, made = list[str](), list[bool]()
    running = ExitStack()
    running.enter_context(working(out, "run")).tell(**STATE)

    def report(out: Path) -> tuple[Path, list[str]]:
        made.append(bool(progress.live(out)))
        running.close()
        return out / "page", ["the answer"]

    live.watch(out, report, lines.append)
    assert made == [True, False], "the last one is of the study that has ended"
    assert "34% of the work is done, 0:05:00 left" in lines[0] and lines[1] == "the answer"
    assert "no run is going on" in lines[2]
    live.watch(out, report, lines.append)
    assert len(made) == 3


def test_a_page_says_how_far_a_running_study_is_and_a_finished_one_nothing(out: Path) -> None:
    before = load(out)
    assert before.study["progress"] is None and sections.sentence(before) == ""
    with working(out, "run") as worker:
        worker.tell(**STATE)
        assert sections.sentence(load(out)) == (
            "This study is still running: 0 of 2 runs are done, 34% of the work, about 5 min left (2027-01-15 08:00 "
            "UTC). Now: pretrain, seed 1. Results may still change."
        )
    worker.tell(**STATE)  # it was killed
    assert sections.sentence(load(out)) == ""


def _with_a_stage_in_training(folder: Path) -> tuple[Plan, Store, str]:
    """A finished method beside two whose shared pretraining stopped at step 4 of 6, after a checkpoint."""
    steps = {"pretrain": 6, "critic": 3, "joint": 3}
    alone = {"method": "reconstruction_only"}
    variants = {"mean": tiny.EVERY["mean"], "reconstruction_only": alone, "longer": {**alone, "steps": {"joint": 4}}}
    plan, store = tiny.planned(folder, variants, defaults={"steps": steps, "log_every": 2})
    tiny.recorded(plan.only(lambda run: run.variant == "mean"), store)
    key = tiny.stage_of(plan, "pretrain", "reconstruction_only").key
    assert key == tiny.stage_of(plan, "pretrain", "longer").key
    assert tiny.stopped_at(4, [key], plan, store) and store.checkpoint(key).is_file()
    return plan, store, key


def test_a_running_study_shows_the_curves_of_stages_in_training_and_counts_them_nowhere(tmp_path: Path) -> None:
    plan, store, _ = _with_a_stage_in_training(tmp_path)
    before = load(store.out)
    assert before.running.empty, "nothing runs: it was interrupted"
    with working(store.out, "run") as worker:
        worker.tell(**STATE)
        during = load(store.out)
    rows = during.running.query("term == 'reconstruction'")
    assert rows["step"].tolist() == [2, 4] and (rows["value"] > 0).all()
    assert set(rows["run"]) == {tiny.run_of(plan, "reconstruction_only").name} and set(rows["stage"]) == {"pretrain"}
    pd.testing.assert_frame_equal(during.curves, before.curves)
    pd.testing.assert_frame_equal(during.claims, before.claims)

    shown, without = document(during), document(replace(during, running=before.running))
    assert list(map(_cells, shown.tables())) == list(map(_cells, without.tables()))
    assert [training.curves(frames).folded for frames in (during, before)] == [False, True]
    (figure,) = [figure for figure in shown.figures() if figure.name == "curves-faces"]
    assert "thin lines are seeds still in training" in figure.caption
    assert [text.get_text() for text in figure.drawn.legends[0].get_texts()] == ["Reconstruction only (running)"]
    (line,) = [line for axes in figure.drawn.axes for line in axes.lines]
    assert line.get_ydata().tolist() == rows["value"].tolist() and line.get_linewidth() < 1
    assert not [figure for figure in without.figures() if figure.name == "curves-faces"]


def _cells(table: TableView) -> tuple[str, list[list[Cell]], str]:
    return table.name, table.rows, table.caption


def _says(facts: object) -> bytes:
    return save({"weights": np.zeros(2)}, {"facts": json.dumps(facts)})


DAMAGED = {
    "empty": lambda whole: b"",
    "half written": lambda whole: whole[: len(whole) // 2],
    "no checkpoint": lambda whole: b"\xff" * len(whole),
    "no series": lambda whole: save({"weights": np.zeros(2)}),
    "another thing": lambda whole: _says([1, 2]),
    "text for numbers": lambda whole: _says({"steps": [2], "terms": {"generator.reconstruction": ["high"]}}),
    "unlike lengths": lambda whole: _says({"steps": [2, 4], "terms": {"generator.reconstruction": [0.1]}}),
    "no step of it": lambda whole: _says({"steps": [2, 10**30], "terms": {"generator.reconstruction": [0.1, 0.2]}}),
    "no list": lambda whole: _says({"steps": 2, "terms": {"generator.reconstruction": 0.1}}),
}


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Worker]:
    with working(tmp_path / "out", "run") as worker:
        yield worker


def test_a_damaged_checkpoint_has_no_curves_and_the_rest_is_there(tmp_path: Path, running: Worker) -> None:
    _, store, key = _with_a_stage_in_training(tmp_path)
    running.tell(**STATE)
    whole, before = store.checkpoint(key).read_bytes(), load(store.out)
    assert len(before.running)
    for harm, damaged in DAMAGED.items():
        store.checkpoint(key).write_bytes(damaged(whole))
        found = load(store.out)
        assert found.running.empty and list(found.running.columns) == list(COLUMNS["running"]), harm
        pd.testing.assert_frame_equal(found.runs, before.runs)
    store.checkpoint(key).unlink()
    assert load(store.out).running.empty


def test_only_the_page_of_a_running_study_has_the_line() -> None:
    content = Document(title="t", question="q", citation="c", doi="d", made="", sections=[], progress="<b>12 of 78")
    assert '<p class="scope" id="progress">&lt;b&gt;12 of 78 The page renews itself.</p>' in page(content, {}, {})
    assert 'id="progress"' not in page(replace(content, progress=""), {}, {})


def test_a_study_runs_for_readers_until_its_command_ends(tmp_path: Path) -> None:
    """Also between the looks of ``--until-resolved``, which are plans of their own."""
    plan, store = tiny.planned(tmp_path, {"mean": tiny.EVERY["mean"]})
    with working(store.out, "run") as worker:
        for _ in range(2):
            with progress.Display(plan, store, driver.tasks(plan, store), Console(file=io.StringIO()), worker):
                pass
            assert progress.live(store.out)
    assert not progress.live(store.out)


@pytest.mark.slow
def test_run_and_report_take_the_options(tmp_path: Path) -> None:
    file = tiny.write(tmp_path, {"mean": tiny.EVERY["mean"]})
    done = inline.run(file, tmp_path / "out", inline.Inline, "--report-every", "2h")
    assert done.returncode == 0 and not progress.live(tmp_path / "out"), done.stderr
    assert inline.run(file, tmp_path / "out", inline.Inline, "--report-every", "0m").returncode == 2
    with mock.patch("study.cli.studies._report", lambda out: (out / "page", ["the answer"])):
        watched = command("report", tmp_path / "out", "--watch")
    assert watched.returncode == 0 and "the answer\nreport: " in watched.stdout
