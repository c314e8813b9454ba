"""``study gc``: what no study names is shown and removed; what a study, a search or a live process needs stays."""

import json
import os
import shutil
from pathlib import Path
from unittest import mock

import pytest
from commands import command
from tiny import PROPOSED, planned, recorded

from study.plan.graph import Plan
from study.results.frames import load
from study.store import RunState, Store, verify, write_json
from study.stores.doctor import findings
from study.stores.gc import unneeded
from study.stores.merge import merge

OLD = "joint-0123456789abcdef"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output with a finished study of 'mean' and 'proposed'; an earlier one had a variant more."""
    folder = tmp_path_factory.mktemp("studies")
    variants = {"proposed": PROPOSED, "mean": {"method": "mean"}}
    longer = {**PROPOSED, "steps": {"joint": 4}}
    recorded(*planned(folder, {**variants, "longer": longer}))
    recorded(*planned(folder, variants))
    return folder / "out"


@pytest.fixture
def out(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "out")
    return tmp_path / "out"


def earlier(out: Path) -> set[str]:
    return {folder.name for folder in (out / "stages").iterdir()} - Plan.of(out).stages.keys()


def test_an_earlier_study_goes_and_the_last_one_stays(out: Path) -> None:
    keys, scores = earlier(out), len(load(out).scores)
    assert len(keys) == 2  # its joint and evaluate stages
    shown = command("gc", out, "--each")
    assert shown.returncode == 0 and "2 stages that no study names" in shown.stdout and "--yes" in shown.stdout
    assert all(str(out / "stages" / key) in shown.stdout for key in keys)
    listed = json.loads(command("gc", out, "--json").stdout)
    assert {str(out / "stages" / key) for key in keys} < {one["path"] for one in listed} and earlier(out) == keys
    assert command("gc", out, "--yes").returncode == 0
    assert not earlier(out) and len(load(out).scores) == scores and len(list((out / "plans").iterdir())) == 1
    assert {file.stem for file in (out / "made").iterdir()} == Plan.of(out).stages.keys()
    assert not list(findings(out)) and "nothing to remove" in command("gc", out).stdout


def test_what_is_recent_stays(out: Path) -> None:
    assert not unneeded(out, keep_days=1)


def test_what_a_process_needs_stays(out: Path) -> None:
    (out / "making" / OLD).mkdir(parents=True)
    with mock.patch("study.leases.Leases.held", lambda self: {OLD: {}}):
        kinds = {one.what for one in unneeded(out)}  # what the saved plans name stays, too
    assert kinds == {"records of earlier attempts at runs"}


def test_what_a_search_needs_stays(out: Path) -> None:
    record = RunState.of(out, "longer/faces/0").read()["record"]
    RunState.of(out, "proposed@0/faces/0").write(run="proposed@0/faces/0", record=record, stage="evaluate-0")
    write_json(out / "search" / "proposed.json", {"variant": "proposed", "space": [], "of": 0, "trials": []})
    assert not [one for one in unneeded(out) if one.path.parent.name == "stages"]


def test_leftovers_go(out: Path) -> None:
    paths = [out / "making" / OLD / "checkpoint.safetensors", out / "made" / f"{OLD}.json", out / "damaged" / "x"]
    paths += [out / "failures" / f"{OLD}.txt", out / "runs" / ".a.json.12.34", out / "locks" / "x.lock"]
    paths += [out / "driver.lock", out / "leases" / OLD / "1.json"]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('{"ended": true}')
        os.utime(path, (1, 1))
    run = RunState.of(out, "mean/faces/0").read()
    shutil.copytree(out / "sacred" / run["record"], out / "sacred" / "99")
    RunState.of(out, run["run"]).write(**{**run, "record": "99"})
    command("gc", out, "--yes")
    assert not [path for path in paths if path.exists()]
    assert not (out / "sacred" / run["record"]).exists() and (out / "sacred" / "99").exists()


def test_optimiser_states_go_on_request_and_the_manifest_stays_true(out: Path, made: Path) -> None:
    key = Plan.of(out).runs[0].stages["joint"]
    assert command("gc", out, "--optimizer-states", "--yes").returncode == 0
    assert not list((out / "stages" / key).glob("*.optimizer.*"))
    assert list((out / "stages" / Plan.of(out).runs[0].stages["pretrain"]).glob("*.optimizer.*"))
    for stage in Plan.of(out).stages:
        verify(out / "stages" / stage)
    assert not list(findings(out)) and not merge(out, [made]).conflicts
    recorded(*planned(out.parent, {"more": {**PROPOSED, "steps": {"joint": 4}}}))  # trains on without them
    assert Store(out).outcome(Plan.of(out).runs[0].stages["joint"])["status"] == "finished"


def test_optimiser_states_of_an_unfinished_study_stay(out: Path) -> None:
    RunState.of(out, "mean/faces/0").write(run="mean/faces/0", status="failed")
    result = command("gc", out, "--optimizer-states", "--yes")
    assert result.returncode == 2 and "is not finished" in result.stderr


def test_without_a_readable_plan_nothing_is_removed(out: Path, tmp_path: Path) -> None:
    (out / "plan.json").write_text("{")
    for folder in (out, tmp_path):
        assert command("gc", folder, "--yes").returncode == 2
    assert len(list((out / "stages").iterdir())) > 2
