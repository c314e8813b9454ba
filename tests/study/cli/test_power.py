"""``plan --power``: the seeds of each link, and their hours."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny
from commands import command

from reports.analysis import looks
from study.plan.graph import Plan
from study.results import load
from study.running import costs
from study.store import Store

VARIANTS = {name: tiny.EVERY[name] for name in ("proposed", "ce", "mean")}
DATA = {"faces": {"kind": "faces", "seed": 1, "train": 4, "validation": 1, "test": 8}}
STEPS = {"steps": {"pretrain": 1, "critic": 1, "joint": 1}, "log_every": 1}


@pytest.fixture(scope="module")
def folder(made_once: Callable[..., Path]) -> Path:
    """Beside the study's file, ``out`` with the runs of two seeds."""
    return made_once(
        "power",
        lambda folder: tiny.recorded(*tiny.planned(folder, VARIANTS, data=DATA, defaults=STEPS, seeds=[0, 1])),
    )


def test_each_link_has_its_seeds_and_their_hours(folder: Path) -> None:
    out = folder / "out"
    done = command("plan", folder / "tiny.yaml", "--out", out, "--power", "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    table = looks.power_table(load(out))
    assert [(row["id"], row["link"], row["n"]) for row in rows] == list(
        table[["id", "link", "n"]].itertuples(index=False, name=None)
    )
    plan, store = Plan.of(out), Store(out)
    known = costs.measured(plan, store)
    for row, found in zip(rows, table.to_dict("records"), strict=True):
        seed_s = costs.seed_s(plan, known, row["variants"], ["faces"])
        assert seed_s > 0 and set(row["variants"]) <= {"proposed", "ce"}
        for question in ("published", "measured", "margin"):
            seeds, hours = row[f"seeds_for_{question}"], row[f"hours_for_{question}"]
            if isinstance(seeds, float):
                assert seeds == found[f"seeds_for_{question}"]
                assert hours == pytest.approx(max(0, seeds - row["n"]) * seed_s / 3600)
            else:
                assert seeds == hours and seeds in (None, "never")


def test_people_read_it_in_columns(folder: Path) -> None:
    done = command("plan", folder / "tiny.yaml", "--out", folder / "out", "--power")
    assert done.returncode == 0 and "for published" in done.stdout and "Proposed − CE" in done.stdout, done.stderr
    assert "nan" not in done.stdout and "inf" not in done.stdout and "Never:" in done.stdout


def test_runs_of_other_settings_are_left_out_and_named(folder: Path, tmp_path: Path) -> None:
    variants = {**VARIANTS, "proposed": {**tiny.PROPOSED, "loss": "js"}}
    other = tiny.write(tmp_path, variants, data=DATA, defaults=STEPS)
    found = command("plan", other, "--out", folder / "out", "--power", "--json")
    assert found.returncode == 2 and "no link has two completed seeds" in found.stderr
    assert found.stderr.startswith("left out, because they are not in this study or have other settings in")
    assert found.stderr.splitlines()[0].endswith(": proposed")


def test_without_results_it_says_what_to_run_first(folder: Path, tmp_path: Path) -> None:
    none = command("plan", folder / "tiny.yaml", "--out", tmp_path / "none", "--power", "--json")
    other = tiny.write(tmp_path / "other", VARIANTS, data=DATA, defaults={**STEPS, "batch": 3})
    another = command("plan", other, "--out", folder / "out", "--only", "ce", "--power")
    for found, out in ((none, tmp_path / "none"), (another, folder / "out")):
        assert found.returncode == 2 and found.stdout == ""
        assert found.stderr.startswith(f"--power: {out} holds no results of this study; run it first: ")
        assert "python -m study run " in found.stderr  # python as this shell finds it, such as .venv/bin/python
        assert found.stderr.count("\n") == 1 and "--power" not in found.stderr.partition("run it first")[2]
    assert "--only ce" in another.stderr

    alone, _ = tiny.planned(tmp_path / "one", {"mean": tiny.EVERY["mean"]}, data=DATA)
    tiny.recorded(alone, Store(tmp_path / "one" / "out"))
    found = command("plan", tmp_path / "one" / "tiny.yaml", "--out", tmp_path / "one" / "out", "--power")
    assert found.returncode == 2 and "no link has two completed seeds; run more of them first: " in found.stderr


@pytest.mark.parametrize(
    "modes", ["--measure --power", "--measure --rehearse", "--power --rehearse", "--measure --power --rehearse"]
)
def test_only_one_table_at_a_time(folder: Path, modes: str) -> None:
    done = command("plan", folder / "tiny.yaml", "--out", folder / "out", *modes.split())
    names = " and ".join(modes.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"{names}: each prints a table of its own; give one of them\n"
