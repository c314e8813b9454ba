"""``study merge``: what one output lacks is copied from others, whole and sound; what differs is said."""

import contextlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from commands import command
from tiny import PROPOSED, planned, published, recorded

from study.external.entries import place
from study.plan.graph import Plan
from study.results.frames import load
from study.store import MANIFEST, RunState, Store, publish, read_facts, write_json
from study.stores import merge as merging
from study.stores.merge import merge

VARIANTS: dict[str, Any] = {"proposed": PROPOSED, "mean": {"method": "mean"}}
SPARSE = {"images": 2, "method": "biharmonic"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Outputs of one study: ``one`` with seed 0, ``two`` with seed 1 of other variants, ``both`` with all."""
    folder = tmp_path_factory.mktemp("outputs")
    for name, seed, variants in (
        ("one", 0, VARIANTS),
        ("two", 1, {**VARIANTS, "biharmonic": SPARSE}),
    ):
        plan, store = planned(folder / name, variants, seeds=[seed])
        recorded(plan, store)
    return folder


@pytest.fixture
def outputs(made: Path, tmp_path: Path) -> tuple[Path, Path]:
    for name in ("one", "two"):
        shutil.copytree(made / name / "out", tmp_path / name)
    return tmp_path / "one", tmp_path / "two"


def stages(out: Path) -> dict[str, dict[str, bytes]]:
    store = Store(out)
    return {folder.name: published(store, folder.name) for folder in (out / "stages").iterdir()}


def add_search(out: Path, record: str = "1") -> None:
    """A search with one trial, as ``study tune`` leaves it."""
    evaluated = next(folder.name for folder in (out / "stages").glob("evaluate-*"))
    run = "proposed@0/faces/0"
    shutil.copytree(out / "sacred" / "1", out / "sacred" / "77")
    write_json(out / "sacred" / "77" / "config.json", {"run": run})
    RunState.of(out, run).write(run=run, status="completed", record="77", stage=evaluated)
    trial = {"number": 0, "state": "completed", "value": 1.0, "record": "77", "usual": True, "settings": {}}
    write_json(out / "search" / "proposed.json", {"variant": "proposed", "space": [], "of": 1, "trials": [trial]})
    lines = [{"op_code": 8, "trial_id": 0, "user_attr": {"records": ["77"]}}, {"op_code": 0, "study_name": "proposed"}]
    (out / "search" / "proposed.journal").write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def test_all_of_another_output_is_copied(outputs: tuple[Path, Path]) -> None:
    one, two = outputs
    before, theirs = stages(one), stages(two)
    result = command("merge", one, two)
    assert result.returncode == 0, result.stderr
    assert f"copied into {one}: {len(theirs.keys() - before.keys())} stages, 3 records, 3 runs" in result.stdout
    assert stages(one) == before | theirs
    assert {file.name for file in (one / "made").iterdir()} == {f"{key}.json" for key in stages(one)}
    runs = {state["run"]: state for state in (read_facts(file) for file in (one / "runs").iterdir())}
    assert {state["status"] for state in runs.values()} == {"completed"} and len(runs) == 5
    records = [state["record"] for state in runs.values()]
    assert sorted(records) == ["1", "2", "3", "4", "5"]
    for name, state in runs.items():
        assert read_facts(one / "sacred" / state["record"] / "config.json")["run"] == name
        assert read_facts(one / "sacred" / state["record"] / "run.json")["status"] == "COMPLETED"
    assert not list(one.glob(".merging*"))


def test_plans_of_one_study_become_one_plan(outputs: tuple[Path, Path]) -> None:
    one, two = outputs
    merge(one, [two])
    plan = Plan.of(one)
    names = [run.name for run in plan.runs]
    assert names == [
        *("proposed/faces/0", "proposed/faces/1", "mean/faces/0", "mean/faces/1", "biharmonic/faces/1"),
    ]
    assert plan.study.seeds == [0, 1]
    results = load(one)
    assert list(results.runs["status"]) == ["completed"] * 5 and set(results.scores["run"]) == set(names)


def test_a_second_merge_copies_nothing(outputs: tuple[Path, Path]) -> None:
    one, two = outputs
    merge(one, [two])
    files = {file: file.read_bytes() for file in one.rglob("*") if file.is_file()}
    again = merge(one, [two])
    assert not again.copied and not again.notes and again.skipped["stages"] == len(stages(two))
    assert {file: file.read_bytes() for file in one.rglob("*") if file.is_file()} == files


def test_an_output_can_be_made_by_merging(outputs: tuple[Path, Path], tmp_path: Path) -> None:
    one, two = outputs
    merge(tmp_path / "all", [one, two])
    assert stages(tmp_path / "all") == stages(one) | stages(two)
    assert len(Plan.of(tmp_path / "all").runs) == 5 and len(load(tmp_path / "all").runs) == 5


class Killed(BaseException):
    pass


@pytest.mark.parametrize("step", ["_copied", "write_json", "_flush", "write_atomically"])
@pytest.mark.parametrize("after", [0, 2, 5])
def test_killed_anywhere_and_repeated_it_ends_the_same(
    outputs: tuple[Path, Path], tmp_path: Path, step: str, after: int
) -> None:
    one, two = outputs
    add_search(two)
    shutil.copytree(one, tmp_path / "whole")
    merge(tmp_path / "whole", [two])
    real, calls = getattr(merging, step), [0]

    def dies(*arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] > after:
            raise Killed
        return real(*arguments)

    with mock.patch.object(merging, step, dies), contextlib.suppress(Killed):
        merge(one, [two])
    merge(one, [two])
    assert stages(one) == stages(tmp_path / "whole")
    states = [
        {state["run"]: state["stage"] for state in map(read_facts, (out / "runs").iterdir())}
        for out in (one, tmp_path / "whole")
    ]
    assert states[0] == states[1]
    used = {read_facts(file)["record"] for file in (one / "runs").iterdir()}
    assert used == {file.parent.name for file in (one / "sacred").glob("*/run.json")}
    assert [run.name for run in Plan.of(one).runs] == [run.name for run in Plan.of(tmp_path / "whole").runs]
    assert (one / "search" / "proposed.journal").exists()


def test_damage_is_named_and_left_out(outputs: tuple[Path, Path]) -> None:
    one, two = outputs
    key = next(run.stages["joint"] for run in Plan.of(two).runs if "joint" in run.stages)
    (two / "stages" / key / "series.json").write_text("{}")
    result = command("merge", one, two)
    assert result.returncode == 1 and f"DAMAGED: {two / 'stages' / key / 'series.json'}" in result.stderr
    assert not (one / "stages" / key).exists() and not (one / "made" / f"{key}.json").exists()


def test_other_bytes_under_one_key_are_said_and_ours_stay(outputs: tuple[Path, Path]) -> None:
    one, two = outputs
    key = next(iter(stages(one).keys() & stages(two).keys()))
    name = next(iter(read_facts(two / "stages" / key / MANIFEST)["files"]))
    other = two.parent / key
    (two / "stages" / key).rename(other)
    (other / name).write_text("other")
    (other / MANIFEST).unlink()
    publish(other, two / "stages" / key, {"status": "finished"})
    before = stages(one)[key]
    result = command("merge", one, two)
    assert result.returncode == 1 and "DIFFERENT BYTES" in result.stderr and f"not the same {name}" in result.stderr
    assert stages(one)[key] == before


def test_a_damaged_stage_of_ours_is_replaced(outputs: tuple[Path, Path]) -> None:
    one, two = outputs
    key = next(iter(stages(one).keys() & stages(two).keys()))
    (one / "stages" / key / MANIFEST).write_text("{")
    merged = merge(one, [two])
    assert len(merged.damaged) == 1 and "it is replaced by that of" in merged.damaged[0]
    assert stages(one)[key] == stages(two)[key] and (one / "damaged" / key).is_dir()


def test_searches_come_with_their_records(outputs: tuple[Path, Path]) -> None:
    one, two = outputs
    add_search(two)
    merged = merge(one, [two])
    assert merged.copied["searches"] == 1
    (row,) = read_facts(one / "search" / "proposed.json")["trials"]
    record = read_facts(one / "sacred" / row["record"] / "config.json")
    assert record["run"] == "proposed@0/faces/0" and row["record"] != "77"
    first = (one / "search" / "proposed.journal").read_text().splitlines()[0]
    assert json.loads(first)["user_attr"]["records"] == [row["record"]]
    (two / "search" / "proposed.json").write_text("{}")
    assert merge(one, [two]).skipped["searches"] == 1  # ours stays
    assert read_facts(one / "search" / "proposed.json")["trials"] == [row]


def test_external_rows_are_copied_unless_there_are_some(outputs: tuple[Path, Path]) -> None:
    one, two = outputs
    for out, score in ((two, b"1"), (one, b"2")):
        files = out.parent / "scored"
        files.mkdir()
        (files / "scores.safetensors").write_bytes(score)
        publish(files, place(out, "theirs", "faces", None if out == one else 0), {"name": "theirs"})
    merged = merge(one, [two])
    assert merged.copied["external rows"] == 1 and not merged.conflicts
    shutil.rmtree(place(two, "theirs", "faces", 0))
    shutil.copytree(place(one, "theirs", "faces", 0), place(two, "theirs", "faces", None))
    assert len(merge(one, [two]).conflicts) == 1
    assert (place(one, "theirs", "faces", None) / "scores.safetensors").read_bytes() == b"2"


def test_a_run_that_goes_on_is_left_out_and_named(outputs: tuple[Path, Path]) -> None:
    one, two = outputs
    state = RunState.of(two, "mean/faces/1")
    state.write(**{**state.read(), "status": "running"})
    merged = merge(one, [two])
    assert merged.copied["runs"] == 2
    assert any("mean/faces/1: not copied: it is running there" in note for note in merged.notes)


CHANGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "name: 'tiny' here, 'other' there": lambda plan: plan["study"].update(name="other"),
    "protocol.seed": lambda plan: plan["study"]["protocol"].update(seed=99),
    "numerics.device: 'cpu' here, 'cuda' there": lambda plan: plan["study"]["numerics"].update(device="cuda"),
    "looks": lambda plan: plan["study"].update(looks={"3": 0.01}),
    "plugins: not the same files": lambda plan: plan["study"].update(plugins=[{"file": "a.py", "digest": "1"}]),
    "data.faces: not the same": lambda plan: plan["study"]["data"]["faces"].update(kind="folder"),
    "variants.proposed.proposed.batch: 2 here, 9 there": lambda plan: plan["runs"][0]["config"].update(batch=9),
}


@pytest.mark.parametrize("what", CHANGES)
def test_plans_of_two_studies_are_not_joined(outputs: tuple[Path, Path], what: str) -> None:
    one, two = outputs
    value = read_facts(two / "plan.json")
    CHANGES[what](value)
    (two / "plan.json").write_text(json.dumps(value))
    before = (one / "plan.json").read_text()
    (note,) = merge(one, [two]).notes
    assert what in note and f"run it with --out {one}" in note
    assert (one / "plan.json").read_text() == before


def test_one_configuration_under_two_names_is_not_joined(made: Path, tmp_path: Path) -> None:
    planned(tmp_path / "renamed", {"mine": PROPOSED})
    shutil.copytree(made / "one" / "out", tmp_path / "one")
    (note,) = merge(tmp_path / "one", [tmp_path / "renamed" / "out"]).notes
    assert "proposed/faces/0 here is mine/faces/0 there" in note


def test_what_cannot_be_merged_is_refused(outputs: tuple[Path, Path], tmp_path: Path) -> None:
    one, _ = outputs
    (tmp_path / "empty").mkdir()
    for other, why in ((tmp_path / "empty", "there is no output here"), (one, "this folder is named twice")):
        result = command("merge", one, other)
        assert result.returncode == 2 and why in result.stderr and str(other) in result.stderr
