"""Sacred's records: each run stands on its own, with the right status, and nothing of it is lost in silence."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from PIL import Image
from sacred.observers import RunObserver

from study.errors import Interrupted, StudyError, hidden
from study.plan.revision import revision
from study.running import make
from study.running import record as records
from study.running.record import Diverged, Log, record, settle_record
from study.running.runs import make_run
from study.running.states import settle_all
from study.store import RunState, write_json

CONFIG = {"variant": "proposed", "options": {"norm": "batch", "a.b=c": 1, "$d": [{"e.f": 2}]}}


def entry(out: Path, record_id: str = "1", file: str = "run.json") -> Any:
    return json.loads((out / "sacred" / record_id / file).read_text())


def statuses(out: Path) -> list[str]:
    return [json.loads(f.read_text())["status"] for f in sorted((out / "sacred").glob("*/run.json"))]


def fine(log: Log) -> dict[str, float]:
    log.scalar("loss", 0.5, 1)
    log.info(versions={"torch": "x"})
    return {"psnr": 20.0}


def no_space(*_: Any, **__: Any) -> None:
    raise OSError("no space left")


def test_a_run_that_is_completed(tmp_path: Path) -> None:
    ids: list[str] = []

    def body(log: Log) -> dict[str, float]:
        ids.append(log.id)
        return fine(log)

    found = record("run", CONFIG, body, out=tmp_path)
    assert (found.id, found.status, found.result) == ("1", "completed", {"psnr": 20.0}) and ids == ["1"]
    assert entry(tmp_path)["status"] == "COMPLETED"
    assert entry(tmp_path, file="metrics.json")["loss"]["values"] == [0.5]
    config = entry(tmp_path, file="config.json")
    assert config["variant"] == "proposed" and config["options"]["a_b_c"] == 1
    assert config["options"]["d"] == [{"e_f": 2}]
    assert entry(tmp_path)["host"] and entry(tmp_path, file="info.json")["versions"] == {"torch": "x"}


def test_a_run_that_fails_keeps_its_trace_and_metrics(tmp_path: Path) -> None:
    def body(log: Log) -> dict[str, float]:
        log.scalar("loss", 0.5, 1)
        raise RuntimeError("out of luck")

    with pytest.raises(RuntimeError, match="out of luck"):
        record("run", CONFIG, body, out=tmp_path)
    assert entry(tmp_path)["status"] == "FAILED"
    assert "out of luck" in "".join(entry(tmp_path)["fail_trace"])
    assert entry(tmp_path, file="metrics.json")["loss"]["values"] == [0.5]


@pytest.mark.parametrize("stop", [Interrupted, KeyboardInterrupt])
def test_a_run_that_is_interrupted(tmp_path: Path, stop: type[BaseException]) -> None:
    def body(log: Log) -> dict[str, float]:
        log.scalar("loss", 0.5, 1)
        raise stop

    with pytest.raises(stop):
        record("run", CONFIG, body, out=tmp_path)
    assert entry(tmp_path)["status"] == "INTERRUPTED"
    assert entry(tmp_path, file="metrics.json")["loss"]["values"] == [0.5]


def test_a_run_that_diverges_is_a_result(tmp_path: Path) -> None:
    def body(log: Log) -> dict[str, float]:
        log.scalar("loss", math.inf, 1)
        raise Diverged

    assert record("run", CONFIG, body, out=tmp_path).status == "diverged"
    assert entry(tmp_path)["status"] == "DIVERGED"


def test_results_are_plain_floats(tmp_path: Path) -> None:
    values = {"numpy": np.float32(0.5), "torch": torch.tensor(0.25), "int": 2}
    found = record("run", CONFIG, lambda log: values, out=tmp_path)  # type: ignore[arg-type,return-value]
    assert all(type(value) is float for value in found.result.values())
    assert entry(tmp_path)["result"] == {"numpy": 0.5, "torch": 0.25, "int": 2.0}


def test_ids_count_on(tmp_path: Path) -> None:
    assert [record("run", CONFIG, fine, out=tmp_path).id for _ in range(3)] == ["1", "2", "3"]


def test_a_missing_artifact_is_an_error_and_not_silence(tmp_path: Path) -> None:
    def body(log: Log) -> dict[str, float]:
        log.artifact(tmp_path / "none.png")
        return {}

    with pytest.raises(FileNotFoundError, match=r"none\.png"):
        record("run", CONFIG, body, out=tmp_path)
    assert entry(tmp_path)["status"] == "FAILED"


def test_the_global_generators_are_not_relied_on(tmp_path: Path) -> None:
    """Sacred reseeds them; the log's own numbers come from the study's streams."""
    assert "seed" in json.loads(
        (tmp_path / "sacred" / record("r", {}, fine, out=tmp_path).id / "config.json").read_text()
    )


def test_files_are_whole_or_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record("run", CONFIG, fine, out=tmp_path)
    files = records.FileObserver(tmp_path / "sacred")
    files.dir = str(tmp_path / "sacred" / "1")
    before = (tmp_path / "sacred" / "1" / "metrics.json").read_bytes()

    monkeypatch.setattr(Path, "replace", no_space)
    with pytest.raises(OSError, match="no space left"):
        files.save_json({"loss": list(range(10_000))}, "metrics.json")
    assert (tmp_path / "sacred" / "1" / "metrics.json").read_bytes() == before


@pytest.mark.parametrize("event", ["log_metrics", "heartbeat_event", "completed_event", "write_metrics"])
def test_a_record_that_cannot_be_written_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, event: str
) -> None:
    monkeypatch.setattr(records.FileObserver, event, no_space)
    with pytest.raises(StudyError, match=r"sacred/1 could not be written"):
        record("run", CONFIG, fine, out=tmp_path)


def test_a_divergence_that_cannot_be_written_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def body(log: Log) -> dict[str, float]:
        raise Diverged

    monkeypatch.setattr(records.FileObserver, "interrupted_event", no_space)
    with pytest.raises(StudyError, match="could not be written"):
        record("run", CONFIG, body, out=tmp_path)


MONGO = {"place": "runs.yaml:1:1: observers.0", "options": {"kind": "mongo", "url": "mongodb://me:secret@x"}}
NAME = "runs.yaml:1:1: observers.0 (mongodb://me:***@x)"


class Lost(RunObserver):  # type: ignore[misc]
    """A database that goes away after the start."""

    def started_event(self, *_: Any, **__: Any) -> None:
        return None

    def log_metrics(self, *_: Any, **__: Any) -> None:
        raise ConnectionError

    def heartbeat_event(self, *_: Any, **__: Any) -> None:
        """Nothing."""

    def completed_event(self, *_: Any, **__: Any) -> None:
        """Nothing."""


def test_another_observer_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "_made", lambda options: Lost())
    others = records.guarded([MONGO], tmp_path)
    found = record("run", CONFIG, fine, out=tmp_path, observers=others)
    assert found.status == "completed" and [(other.name, other.lost) for other in others] == [(NAME, "ConnectionError")]
    assert entry(tmp_path)["status"] == "COMPLETED"


def test_a_database_that_is_not_there_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(observer: object) -> RunObserver:
        raise ConnectionError("no server at x")

    monkeypatch.setattr(records, "_made", absent)
    others = records.guarded([MONGO], tmp_path)
    found = record("run", CONFIG, fine, out=tmp_path, observers=others)
    assert found.status == "completed" and [other.lost for other in others] == ["no server at x"]


def test_a_database_numbers_its_records_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    class Numbering(RunObserver):  # type: ignore[misc]
        def started_event(self, *_: Any, _id: Any = 0, **__: Any) -> int:
            asked.append(_id)
            return 1

    monkeypatch.setattr(records, "_made", lambda options: Numbering())
    every = [records.guarded([MONGO], tmp_path) for _ in range(2)]
    ids = [record("run", CONFIG, fine, out=tmp_path, observers=others).id for others in every]
    assert ids == ["1", "2"] and asked == [None, None]


def test_long_series_are_not_rewritten_at_every_beat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    save = records.FileObserver.save_json

    def noted(files: records.FileObserver, obj: Any, filename: str) -> None:
        written.append(filename)
        save(files, obj, filename)

    def body(log: Log) -> dict[str, float]:
        for step in range(50):
            log.scalar("loss", step, step)
            log._run._emit_heartbeat()
        return {}

    monkeypatch.setattr(records.FileObserver, "save_json", noted)
    record("run", CONFIG, body, out=tmp_path)
    assert written.count("metrics.json") <= 2
    assert entry(tmp_path, file="metrics.json")["loss"]["steps"] == list(range(50))


def test_a_run_stands_on_its_own(tmp_path: Path) -> None:
    plan, store = tiny.planned(tmp_path, {name: tiny.EVERY[name] for name in ("proposed", "single", "mean")})
    tiny.recorded(plan, store)
    for variant in ("proposed", "single"):
        run = tiny.run_of(plan, variant)
        state = RunState.of(store.out, run.name).read()
        assert state["status"] == "completed" and entry(store.out, state["record"])["status"] == "COMPLETED"
        metrics = entry(store.out, state["record"], "metrics.json")
        assert metrics["pretrain.generator.reconstruction"]["steps"] == [2, 4]
        assert metrics["critic.local.local.gap"]["steps"] == [2, 3]
        assert metrics["joint.generator.ratio"]["steps"] == [2, 3]
        assert all(math.isfinite(value) for series in metrics.values() for value in series["values"])
        config = entry(store.out, state["record"], "config.json")
        assert config["variant"] == variant and config["seed"] == 0 and config["data"] == "faces"
        assert config["options"]["steps"] == {"pretrain": 4, "critic": 3, "joint": 3}
        assert config["protocol"] and config["numerics"]["threads"] == 1 and config["dataset"]["kind"] == "faces"
        info = entry(store.out, state["record"], "info.json")
        for role, key in run.stages.items():
            assert info[f"stage {role}"]["key"] == key
        assert info["stage pretrain"]["shared"] and not info["stage joint"]["shared"]
        assert info["stage joint"]["device"] and info["versions"]["torch"] == version("torch")
        results = entry(store.out, state["record"])["result"]
        assert results == state["results"] and math.isfinite(results["psnr hole composite"])
        with Image.open(store.out / "sacred" / state["record"] / "samples.png") as samples:
            assert samples.size == (64, 160)  # two images, five outputs
    assert statuses(store.out) == ["COMPLETED"] * 3


def test_a_divergence_is_recorded_as_such(tmp_path: Path) -> None:
    optimizer = {"kind": "adam", "lr": 1.0e30}
    plan, store = tiny.planned(tmp_path, {"proposed": {**tiny.PROPOSED, "optimizer": optimizer, "norm": "none"}})
    tiny.recorded(plan, store)
    assert statuses(store.out) == ["DIVERGED"]
    state = RunState.of(store.out, "proposed/faces/0").read()
    assert state["status"] == "diverged" and "at step" in state["why"]
    assert entry(store.out, "1", "info.json")["diverged"]["status"] == "diverged"


def test_an_interrupted_run_goes_on_in_a_record_that_names_the_old_one(tmp_path: Path) -> None:
    plan, store = tiny.planned(tmp_path)
    run = tiny.run_of(plan, "proposed")
    tiny.made(plan, store, set(plan.stages) - set(plan.own(run)))
    with pytest.raises(Interrupted):
        make_run(run, plan, store, tiny.Onlooker(stop_after=2), tiny.CPU)
    state = RunState.of(store.out, run.name).read()
    assert state["status"] == "interrupted" and state["record"] == "1"
    make_run(run, plan, store, tiny.Onlooker(), tiny.CPU)
    assert statuses(store.out) == ["INTERRUPTED", "COMPLETED"]
    info = entry(store.out, "2", "info.json")
    assert info["follows"] == "1" and info["followed_status"] == "interrupted"
    assert entry(store.out, "2", "metrics.json")["joint.generator.ratio"]["steps"] == [2, 3]


def test_a_failed_run_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, store = tiny.planned(tmp_path)
    run = tiny.run_of(plan, "proposed")
    tiny.made(plan, store, set(plan.stages) - set(plan.own(run)))

    def broken(*_: Any, **__: Any) -> None:
        raise ValueError("a broken part")

    monkeypatch.setattr(make, "evaluate", broken)
    with pytest.raises(ValueError, match="a broken part"):
        make_run(run, plan, store, tiny.Onlooker(), tiny.CPU)
    state = RunState.of(store.out, run.name).read()
    assert (state["status"], state["why"], state["record"]) == ("failed", "a broken part", "1")
    assert statuses(store.out) == ["FAILED"]


def test_a_short_record_of_a_run_that_could_not_begin(tmp_path: Path) -> None:
    plan, store = tiny.planned(tmp_path)
    run, why = tiny.run_of(plan, "proposed"), "pretrain-1 failed: no memory"
    make_run(run, plan, store, tiny.Onlooker(), tiny.CPU, why)
    state = RunState.of(store.out, run.name).read()
    assert (state["status"], state["why"]) == ("failed", why)
    assert entry(store.out, state["record"])["status"] == "FAILED"
    assert entry(store.out, state["record"], "info.json")["why"] == why


def left_running(out: Path) -> None:
    record("run", CONFIG, fine, out=out)
    value = entry(out)
    value |= {"status": "RUNNING", "stop_time": None}
    write_json(out / "sacred" / "1" / "run.json", value)


def test_a_record_of_a_killed_process_is_settled(tmp_path: Path) -> None:
    left_running(tmp_path)
    settle_record(tmp_path, "1")
    assert entry(tmp_path)["status"] == "INTERRUPTED" and entry(tmp_path)["stop_time"]
    settle_record(tmp_path, "2")  # of a record that is gone: nothing


def test_a_record_that_has_ended_is_left_alone(tmp_path: Path) -> None:
    record("run", CONFIG, fine, out=tmp_path)
    before = entry(tmp_path)
    settle_record(tmp_path, "1")
    assert entry(tmp_path) == before


@pytest.mark.parametrize("known", [True, False])
def test_the_next_start_settles_all_that_is_left_running(tmp_path: Path, known: bool) -> None:
    """Also of a run that was killed between Sacred's first word and ours."""
    left_running(tmp_path)
    if known:
        RunState.of(tmp_path, "run").write(run="run", status="running", record="1", stage="x", pid=1)
    settle_all(tmp_path)
    assert statuses(tmp_path) == ["INTERRUPTED"]
    if known:
        assert RunState.of(tmp_path, "run").read()["status"] == "interrupted"


def test_sacred_works_without_find_loader() -> None:
    """Python 3.14 has no pkgutil.find_loader, which sacred calls when it is imported."""
    program = (
        "import pkgutil; vars(pkgutil).pop('find_loader', None)\n"
        "from study.running import record; from sacred.utils import module_exists\n"
        "print(module_exists('sacred'), module_exists('no_such_module'))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]


def commit(folder: Path) -> str:
    """Makes a folder a git repository with one commit, and returns its name."""
    git = ["git", "-C", str(folder), "-c", "user.name=x", "-c", "user.email=x@x"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"], ["rev-parse", "HEAD"]):
        done = subprocess.run([*git, *command], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git here")
def test_a_record_holds_what_the_run_was_made_with(tmp_path: Path) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text("def black(images, masks):\n    return images * 0\n\nFILLERS = {'black': black}\n")
    changes = {"plugins": ["mine.py"], "observers": [{"kind": "sql", "url": "sqlite://?password=geheim"}]}
    tiny.write(tmp_path, {"mean": {"method": "mean"}}, **changes)
    name = commit(tmp_path)
    plan, store = tiny.planned(tmp_path, {"mean": {"method": "mean"}}, **changes)
    tiny.recorded(plan, store)
    info = entry(store.out, "1", "info.json")
    assert info["git"] == {"revision": name, "changed": False}
    assert info["versions"]["python"] and {"torch", "sacred", "pillow"} <= {name.lower() for name in info["versions"]}
    assert info["machine"]["device"] and info["machine"]["torch"]
    folder = store.out / "sacred" / "1"
    study = json.loads((folder / "resolved.json").read_text())
    assert (
        study["variants"] == {"mean": {"method": "mean"}} and study["observers"][0]["url"] == "sqlite://?password=***"
    )
    (source,) = folder.glob("*-mine.py")
    assert source.read_text() == plugin.read_text()
    assert not any(b"geheim" in file.read_bytes() for file in folder.iterdir())


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git here")
def test_a_revision_with_changes(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    assert revision(tmp_path) is None
    name = commit(tmp_path)
    (tmp_path / "new").write_text("x")
    (tmp_path / "below").mkdir()
    assert revision(tmp_path / "below") == {"revision": name, "changed": False}
    (tmp_path / "x").write_text("y")
    assert revision(tmp_path) == {"revision": name, "changed": True}


def test_shared_series_have_the_times_at_which_they_were_made(tmp_path: Path) -> None:
    """Not those of copying them into the record, which may be days later."""
    series = {"step": [10, 20, 40], "terms": {"loss": [3.0, None, 1.0]}}
    made = {"made": "2026-01-02T04:00:40+01:00", "seconds": 40.0}
    record("run", {}, lambda log: log.series("pretrain", series, made) or {}, out=tmp_path)  # type: ignore[func-returns-value]
    (found,) = entry(tmp_path, file="metrics.json").values()
    assert found["values"] == [3.0, 1.0] and found["steps"] == [10, 40]
    assert found["timestamps"] == ["2026-01-02T03:00:10", "2026-01-02T03:00:40"]


@pytest.mark.parametrize(
    "secret, shown",
    [
        ("postgresql://me:pa:ss@w@host:5/db?x=1", "postgresql://me:***@host:5/db?x=1"),
        ("mongodb://me:p@a:1,b:2/?authSource=x&password=p", "mongodb://me:***@a:1,b:2/?authSource=x&password=***"),
        ("redis://:p@host", "redis://:***@host"),
        ("mongodb://me:p/w@host", "mongodb://me:***@host"),
        ("see https://host/a?api_key=1 and https://host:80/b", "see https://host/a?api_key=*** and https://host:80/b"),
        ({"password": "p", "api_key": "k", "url": "ftp://a:b@c", "n": 1}, {"password": "***", "api_key": "***"}
         | {"url": "ftp://a:***@c", "n": 1}),
        (["ftp://a:b@c", None], ["ftp://a:***@c", None]),
    ],
)  # fmt: skip
def test_passwords_are_hidden(secret: Any, shown: Any) -> None:
    assert hidden(secret) == shown


def test_a_process_that_was_believed_dead_changes_no_state_of_the_one_that_replaced_it(tmp_path: Path) -> None:
    plan, store = tiny.planned(tmp_path)
    (run,) = plan.runs
    state = RunState.of(store.out, run.name)
    tiny.made(plan, store, set(plan.stages) - set(plan.own(run)))

    class Replaced(tiny.Onlooker):
        """Another process completes the run while this one trains, and this one is told to stop."""

        @property
        def stopping(self) -> bool:
            state.write(run=run.name, stage=run.stages["evaluate"], status="completed", record="99")
            return True

    with pytest.raises(Interrupted):
        make_run(run, plan, store, Replaced(), tiny.CPU)
    assert state.read()["status"] == "completed" and statuses(store.out) == ["INTERRUPTED"]
