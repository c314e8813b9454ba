"""A rehearsal: the study cut short at its true width, what it says of the critics, and when a run begins with one."""

from __future__ import annotations

import json
from pathlib import Path
from unittest import mock

import inline
import pandas as pd
import pytest
import tiny
from commands import command
from inline import Inline

from models.method import Steps
from study.cli import rehearsal
from study.config import load
from study.plan.planner import make_plan
from study.running import rehearse
from study.running.executors import EXECUTORS

SHORT = Steps(pretrain=2, critic=4, joint=4)
VARIANTS = {
    "mean": {"method": "mean"},
    "proposed": tiny.PROPOSED,
    "single": {"extends": "proposed", "method": "single"},
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearse, "STEPS", SHORT)
    monkeypatch.setattr(rehearse, "LOG_EVERY", 2)
    monkeypatch.setitem(EXECUTORS, "local", Inline)


def critics(*states: str) -> pd.DataFrame:
    """A table of critics with these states."""
    numbers = dict.fromkeys(rehearsal.NUMBERS, 0.5)
    rows = [
        {"variant": "proposed", "network": f"critic{n}", "state": state, "why": f"it is {state}" * (state != "awake")}
        for n, state in enumerate(states)
    ]
    return pd.DataFrame([{**row, **numbers} for row in rows])


def test_it_is_the_study_at_its_width_with_one_seed_and_small_images_on_a_cpu(tmp_path: Path) -> None:
    big = {"batch": 32, "width": 1.0, "steps": {"pretrain": 100, "critic": 100, "joint": 100}}
    study = load(tiny.write(tmp_path, VARIANTS, image_size=256, seeds=[7, 8], defaults=big))
    short = rehearse.shortened(study, "cpu", ["proposed"])
    options = short.variants["proposed"].options
    assert (short.image_size, short.seeds, list(short.variants)) == (128, [7], ["proposed"])
    assert (options.batch, options.width, options.steps) == (4, 1.0, SHORT)  # type: ignore[union-attr]
    on_gpu = rehearse.shortened(study, "cuda", ["proposed"])
    assert (on_gpu.image_size, on_gpu.variants["proposed"].options.batch) == (256, 32)  # type: ignore[union-attr]
    assert study.variants["proposed"].options.batch == 32  # type: ignore[union-attr]


def test_the_command_says_of_each_critic_whether_it_is_awake(tmp_path: Path) -> None:
    file = tiny.write(tmp_path, VARIANTS)
    found = command("plan", file, "--rehearse", "--json")
    assert found.returncode == 0, found.stderr
    rows = json.loads(found.stdout)
    assert [(row["variant"], row["network"]) for row in rows] == [
        ("proposed", name) for name in ("local", "global", "half")
    ]
    assert all(row["state"] in ("awake", "asleep", "exploded") for row in rows)
    study = load(file)
    chosen = rehearsal.short_plan(study, make_plan(study), "cpu", ["single", "mean"])
    assert {run.variant for run in chosen.runs} == {"single"}
    alone = load(tiny.write(tmp_path, {name: tiny.EVERY[name] for name in ("mean", "glcic", "giica")}))
    assert {run.variant for run in rehearsal.short_plan(alone, make_plan(alone), "cpu").runs} == {"glcic"}
    none = command("plan", file, "--rehearse", "--only", "mean")
    assert none.returncode == 2 and "no variant with critics is chosen; name one with --only" in none.stderr


def test_training_that_diverges_has_exploded(tmp_path: Path) -> None:
    wild = {**tiny.PROPOSED, "optimizer": {"kind": "adam", "lr": 1.0e30}}
    study = load(tiny.write(tmp_path, {"proposed": wild}))
    short = rehearsal.short_plan(study, make_plan(study), "cpu")
    table = rehearsal.rehearse(short, "cpu", 1)
    assert "exploded" in set(table["state"])
    assert any(text.startswith("proposed, critic all: exploded; ") for text in rehearsal.sentences(table))


def test_the_words_name_the_critic_and_what_to_do() -> None:
    assert rehearsal.sentences(critics("awake", "awake")) == ["Every critic was awake."]
    (text,) = rehearsal.sentences(critics("awake", "exploded"))
    assert text == f"proposed, critic critic1: exploded; it is exploded; {rehearsal.REMEDY}"


def test_a_long_run_is_rehearsed_once_and_refused_if_its_critics_explode(tmp_path: Path) -> None:
    file, out = tiny.write(tmp_path, {"proposed": tiny.PROPOSED}), tmp_path / "out"
    with mock.patch.object(rehearse, "LONG_H", 0.0), mock.patch.object(rehearsal, "rehearse") as made:
        made.return_value = critics("awake", "exploded")
        refused = inline.run(file, out)
        assert refused.returncode == 2 and "add --no-rehearsal" in refused.stderr
        assert "critic1: exploded" in refused.stdout and not (out / "stages").exists()
        made.return_value = critics("awake", "asleep")
        assert inline.run(file, out).returncode == 0
        assert made.call_count == 2
        assert inline.run(file, out, Inline, "--set", "seeds=[0,1]").returncode == 0
    assert made.call_count == 2  # the same rehearsal: it is kept in the output
    with mock.patch.object(rehearsal, "rehearse") as made:  # a short study needs none
        assert inline.run(file, tmp_path / "other").returncode == 0
    assert not made.called
