"""``study doctor``: a healthy output has no findings; each kind of damage is named, and what is safe is repaired."""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import inline
import pytest
import tiny
from commands import command
from tiny import CPU, PROPOSED, Onlooker, planned, recorded, stopped_at

from reports.files import write
from study.leases import Leases
from study.plan.graph import Plan
from study.running.runs import make_run
from study.store import MANIFEST, RunState, publish, read_facts, write_json
from study.stores import machine
from study.stores.doctor import TEMPORARY, findings
from study.stores.gc import remove, unneeded
from study.stores.merge import merge


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a finished study."""
    plan, store = planned(tmp_path_factory.mktemp("healthy"), {"proposed": PROPOSED})
    recorded(plan, store)
    return store.out


@pytest.fixture
def out(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "out")
    return tmp_path / "out"


def joint(out: Path) -> str:
    return Plan.of(out).runs[0].stages["joint"]


def old(file: Path, content: str = "") -> None:
    file.write_text(content)
    os.utime(file, (1, 1))


def state(out: Path, **changes: str) -> None:
    one = RunState.of(out, "proposed/faces/0")
    one.write(**{**one.read(), **changes})


def stage(out: Path, name: str = "series.json") -> Path:
    return out / "stages" / joint(out) / name


def swap(out: Path) -> None:
    shutil.copytree(out / "stages" / joint(out), out / "stages" / "joint-0123456789abcdef")
    shutil.copy(out / "made" / f"{joint(out)}.json", out / "made" / "joint-0123456789abcdef.json")


def half(out: Path, key: str, content: bytes) -> None:
    (out / "making" / key).mkdir(parents=True)
    (out / "making" / key / "checkpoint.safetensors").write_bytes(content)


def lease(out: Path) -> None:
    gone = {"owner": {"host": "elsewhere", "pid": 1}, "lasts_s": 60.0}
    write_json(out / "leases" / "joint-0123456789abcdef" / "3.json", gone)
    os.utime(out / "leases" / "joint-0123456789abcdef" / "3.json", (1, 1))


def search(out: Path, name: str, content: str) -> None:
    (out / "search").mkdir(exist_ok=True)
    (out / "search" / name).write_text(content)


def external(out: Path) -> None:
    files = out.parent / "files"
    files.mkdir()
    (files / "scores.safetensors").write_text("1")
    publish(files, out / "external" / "theirs" / "faces" / "0", {})
    (out / "external" / "theirs" / "faces" / "0" / "scores.safetensors").write_text("2")


def record(out: Path, **facts: str) -> None:
    file = out / "sacred" / "1" / "run.json"
    write_json(file, {**read_facts(file), **facts})


DAMAGE: dict[str, tuple[Callable[[Path], object], str, bool]] = {
    "a changed file": (lambda out: stage(out).write_text("{}"), "the file is not what was published", True),
    "a lost file": (lambda out: stage(out).unlink(), "the file is not what was published", True),
    "a damaged manifest": (lambda out: stage(out, MANIFEST).write_text("{"), "no readable manifest", True),
    "a half deleted stage": (lambda out: stage(out, MANIFEST).unlink(), "no readable manifest", True),
    "a stage under another key": (swap, "under another name", True),
    "a file in a stage": (lambda out: stage(out, "notes.txt").touch(), "does not belong", False),
    "a folder among stages": (lambda out: (out / "stages" / "old").mkdir(), "does not belong", False),
    "a file in the output": (lambda out: (out / "notes.txt").touch(), "does not belong", False),
    "no made": (lambda out: (out / "made" / f"{joint(out)}.json").unlink(), "no record of where it was made", False),
    "made without its stage": (
        lambda out: (out / "made" / "joint-0123456789abcdef.json").write_text("{}"),
        "its stage is not there",
        True,
    ),
    "left of a made stage": (lambda out: half(out, joint(out), b""), "the stage is made", True),
    "a damaged checkpoint": (
        lambda out: half(out, "joint-0123456789abcdef", b"\0" * 40),
        "this checkpoint cannot be read",
        True,
    ),
    "a damaged plan": (lambda out: (out / "plan.json").write_text("{"), "this file is damaged", False),
    "no plan": (lambda out: (out / "plan.json").unlink(), "there is none", False),
    "a damaged saved plan": (lambda out: (out / "plans" / "0.json").write_text("{"), "cannot be read", True),
    "a run left running": (lambda out: state(out, status="running"), "no process makes it", True),
    "a damaged state": (lambda out: (out / "runs" / "a.json").write_text("{"), "damaged, or of another run", False),
    "a state without a record": (lambda out: state(out, record="99"), "has no record 99", False),
    "a record left running": (lambda out: record(out, status="RUNNING"), "this record says RUNNING", True),
    "a record without its file": (lambda out: (out / "sacred" / "2").mkdir(), "no readable run.json", True),
    "a torn journal": (
        lambda out: search(out, "a.journal", '{"op_code": 0}\n{"op_code": 1}\n{"op_co'),
        "line 3 of 3 is cut short",
        True,
    ),
    "a damaged journal": (
        lambda out: search(out, "a.journal", '{"op_code": 0}\nxyz\n{"op_code": 1}\n'),
        "line 2 is damaged, in the middle",
        False,
    ),
    "a damaged search": (lambda out: search(out, "a.json", "{"), "it is damaged", False),
    "damaged external rows": (external, "the file is not what was published", False),
    "a stale lease": (lease, "its owner has ended", True),
    "a temporary file": (lambda out: old(out / "runs" / ".a.json.12.34"), "a temporary file", True),
    "a temporary folder": (
        lambda out: ((out / ".merging.12").mkdir(), os.utime(out / ".merging.12", (1, 1))),
        "a temporary file",
        True,
    ),
}


def test_a_healthy_output_has_no_findings(out: Path) -> None:
    result = command("doctor", out)
    assert result.returncode == 0 and "nothing is wrong" in result.stdout, result.stdout
    assert not list(out.glob(".doctor*"))


@pytest.mark.parametrize("kind", DAMAGE)
def test_each_damage_is_found_and_what_is_safe_is_repaired(out: Path, kind: str) -> None:
    damage, what, safe = DAMAGE[kind]
    damage(out)
    found = [one for one in findings(out) if what in one.what]
    assert len(found) == 1 and found[0].where.startswith(str(out)) and found[0].advice, list(findings(out))
    assert bool(found[0].repair) == safe
    before = {file for file in out.rglob("*") if file.is_file()}
    result = command("doctor", out, "--repair")
    assert what in result.stdout and "Traceback" not in result.stderr
    if safe:
        assert f"REPAIRED {found[0].where}" in result.stdout
        assert not list(findings(out))
    else:
        assert result.returncode == 1 and {file for file in out.rglob("*") if file.is_file()} == before


def test_without_repair_nothing_is_changed(out: Path) -> None:
    DAMAGE["a changed file"][0](out)
    DAMAGE["a stale lease"][0](out)
    before = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    result = command("doctor", out, "--json")
    facts = json.loads(result.stdout)
    assert result.returncode == 1 and len(facts["findings"]) == 2
    assert all(row["safe"] and not row["repaired"] and row["do"] for row in facts["findings"])
    assert {file: file.read_bytes() for file in out.rglob("*") if file.is_file()} == before


def test_a_lease_of_a_machine_that_is_silent_for_minutes_stays(out: Path) -> None:
    """The machine may only be suspended, and would not notice that another has its number."""
    DAMAGE["a stale lease"][0](out)
    file = next(out.glob("leases/joint-0123456789abcdef/3.json"))
    os.utime(file, (time.time() - 600,) * 2)
    assert Leases(out / "leases").held() == {} and list(findings(out)) == []


def test_a_stage_that_will_be_continued_is_as_it_should_be(tmp_path: Path) -> None:
    plan, store = planned(tmp_path)
    run = plan.runs[0]
    data, pretrain = run.stages["data"], run.stages["pretrain"]
    stopped_at(10_000, [data], plan, store)
    assert stopped_at(2, [pretrain], plan, store) and store.checkpoint(pretrain).exists()
    assert not list(findings(store.out))


def test_what_a_live_process_makes_is_passed_over(out: Path) -> None:
    for damage in ("a run left running", "a damaged checkpoint", "a record left running"):
        DAMAGE[damage][0](out)
    held = {"joint-0123456789abcdef": {}, RunState.of(out, "proposed/faces/0").name: {}}
    with mock.patch("study.leases.Leases.held", lambda self: held):
        assert not list(findings(out))


def test_repaired_it_runs_again_to_the_same_bytes(out: Path, made: Path) -> None:
    stage(out).write_text("{}")
    command("doctor", out, "--repair")
    plan, store = Plan.of(out), planned(out.parent, {"proposed": PROPOSED})[1]
    make_run(plan.runs[0], plan, store, Onlooker(), CPU)
    assert stage(out).read_bytes() == stage(made).read_bytes()


def test_a_machine_that_does_not_fit_is_described(tmp_path: Path) -> None:
    with (
        mock.patch.object(machine, "_processors", lambda: (64, 2.0)),
        mock.patch.object(machine, "_memory_gib", lambda: 3.0),
        mock.patch.dict(os.environ, CUBLAS_WORKSPACE_CONFIG=":0:0"),
        mock.patch.object(machine.importlib.metadata, "version", lambda name: "0.0.1"),
    ):
        _, found = machine.machine()
    advice = {one.where: one.advice for one in found}
    assert advice["processors"] == "run with --jobs 2" and advice["memory"] == "run with --jobs 6"
    assert "unset it" in advice["CUBLAS_WORKSPACE_CONFIG"] and advice["torch"].startswith("pip install 'torch")


def test_a_file_system_that_lacks_something_is_named(tmp_path: Path) -> None:
    with mock.patch.object(machine, "_tried", lambda made: (["atomic rename", "link"], -400.0)):
        _, found = machine.folder(tmp_path)
    assert ["atomic rename" in one.what for one in found] == [True, False] and "differs" in found[1].what


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    result = command("doctor", tmp_path / "none")
    assert result.returncode == 2 and "there is no such folder" in result.stderr


MADE: list[str] = []
"""Every path that this process has opened for writing, made, linked or renamed to, while it is watched."""
WATCHED = [""]


def heard(event: str, given: tuple[object, ...]) -> None:
    """An audit hook: it cannot be removed, so it looks at ``WATCHED``."""
    if not WATCHED[0]:
        return
    if event == "open" and isinstance(given[2], int) and given[2] & (os.O_WRONLY | os.O_RDWR):
        MADE.append(str(given[0]))
    elif event in ("os.mkdir", "os.rename", "os.link"):
        MADE.append(str(given[0] if event == "os.mkdir" else given[1]))


def test_every_temporary_name_of_this_program_is_known(tmp_path: Path) -> None:
    """What is made in an output and is gone at the end would stay if its process was killed: doctor and gc know it."""
    file, out = tiny.write(tmp_path, {name: tiny.EVERY[name] for name in ("proposed", "mean")}), tmp_path / "out"
    sys.addaudithook(heard)
    WATCHED[0] = str(out)
    try:
        assert inline.run(file, out).returncode == 0
        other = shutil.copytree(out, tmp_path / "other")
        shutil.rmtree(out / "stages" / joint(out))
        merge(out, [other])
        remove(out, unneeded(out))
        list(findings(out))
        machine.folder(out)
        Leases(out / "leases")._age_s(out / "plan.json")
        write(out / "report" / "report.html", "")
    finally:
        WATCHED[0] = ""
    names = {Path(path).relative_to(out) for path in MADE if path.startswith(f"{out}/")}
    gone = [path for path in names if not (out / path).exists()]
    assert len(gone) > 20
    places = ("making", "leases", "workers")  # whose own names say what is left there
    unknown = [path for path in gone if not any(map(TEMPORARY.fullmatch, path.parts)) and path.parts[0] not in places]
    assert unknown == []
    dots = {part for path in names for part in path.parts if part.startswith((".", "tmp"))}
    assert dots and all(map(TEMPORARY.fullmatch, dots)), dots
