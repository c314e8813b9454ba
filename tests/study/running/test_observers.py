"""Observers besides the files: their failures cost one wait, are told, and stop no run. PostgreSQL is a real server."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import tiny
from sacred.observers import RunObserver

from study.config import load
from study.errors import BadInput
from study.running import observers as guards
from study.running import record as records
from study.running.record import Diverged, Log, contact, guarded, record
from study.running.runs import make_run
from study.store import RunState

BINARIES = [Path("/usr/local/bin"), Path("/usr/bin"), *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
PLACE = "runs.yaml:3:13: observers.0"


def described(**options: Any) -> list[dict[str, Any]]:
    return [{"place": PLACE, "options": options}]


def fine(log: Log) -> dict[str, float]:
    log.scalar("loss", 0.5, 1)
    log.info(versions={"torch": "x"})
    return {"psnr hole composite": 18.5, "l1 hole raw": 0.1}


class Server:
    """A PostgreSQL server of Debian's package, in a folder and on a port of its own. It refuses root, so root lends it
    to nobody."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._user = folder, None if os.getuid() else "nobody"
        self.log = folder / "log"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        if self._user:
            os.chown(folder, pwd.getpwnam(self._user).pw_uid, -1)
        self._run("initdb", "--auth=trust", "--username=study", "--no-sync")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(next(place for place in BINARIES if (place / program).is_file()) / program)]
        command += ["-D", str(self.folder / "data"), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, user=self._user, cwd=self.folder)

    def start(self) -> None:
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        self._run("pg_ctl", "-w", "-l", str(self.log), "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-w", "-m", "immediate", "stop")

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://study:geheim@127.0.0.1:{self.port}/postgres"

    def rows(self) -> list[Any]:
        """Each run's status, result, configuration, info, output and trace, in order."""
        import psycopg

        ask = "select status, result, config, info, captured_out, fail_trace from run order by id"
        with psycopg.connect(self.url.replace("+psycopg", "")) as connection:
            return connection.execute(ask).fetchall()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    if not any((place / "initdb").is_file() for place in BINARIES):
        pytest.skip("there is no PostgreSQL server here: install Debian's package postgresql")
    pytest.importorskip("psycopg", reason="there is no PostgreSQL driver here: pip install 'psycopg[binary]'")
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    found = Server(folder)
    found.start()
    yield found
    found.stop()
    shutil.rmtree(folder)


def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Observers are asked again at once."""
    monkeypatch.setattr(guards, "PATIENCE", 0)


def test_postgresql_has_a_whole_record(server: Server, tmp_path: Path) -> None:
    """Also where names are longer than its columns, and where text has what they do not take."""
    out = tmp_path / ("long" * 30)
    contact(described(kind="sql", url=server.url), out)

    def body(log: Log) -> dict[str, float]:
        print("a zero: \0, a heart: ♥, an address: ftp://me:geheim@x")
        return fine(log)

    others = guarded(described(kind="sql", url=server.url), out)
    record("a variant with a long name/and a data set/0", {"seed": 1, "x": "ä"}, body, out=out, observers=others)
    assert [other.lost for other in others] == [""]
    status, result, config, info, output, trace = server.rows()[-1]
    assert (status, result, trace) == ("COMPLETED", 18.5, None) and json.loads(config)["x"] == "ä"
    assert json.loads(info)["versions"] and output == "a zero: , a heart: ♥, an address: ftp://me:***@x\n"


@pytest.mark.parametrize("error, word", [(Diverged, "INTERRUPTED"), (ValueError, "FAILED"), (KeyboardInterrupt,) * 2])
def test_postgresql_has_every_end(server: Server, tmp_path: Path, error: Any, word: Any) -> None:
    contact(described(kind="sql", url=server.url), tmp_path)
    others = guarded(described(kind="sql", url=server.url), tmp_path)

    def body(log: Log) -> dict[str, float]:
        raise error("a zero \0 at ftp://me:geheim@x")

    if error is Diverged:
        assert record("run", {}, body, out=tmp_path, observers=others).status == "diverged"
    else:
        with pytest.raises(error):
            record("run", {}, body, out=tmp_path, observers=others)
    status, *_, trace = server.rows()[-1]
    assert status == (word if isinstance(word, str) else "INTERRUPTED") and others[0].lost == ""
    assert "geheim" not in str(trace)


def test_two_workers_at_once(server: Server, tmp_path: Path) -> None:
    """Sacred counts the records of a database, so two workers took one number, and one record was lost."""
    contact(described(kind="sql", url=server.url), tmp_path)
    before = len(server.rows())
    program = (
        "import sys; from pathlib import Path; from study.running.record import guarded, record\n"
        f"out, observers = Path(sys.argv[1]), {described(kind='sql', url=server.url)}\n"
        "for _ in range(4): record('run', {}, lambda log: {}, out=out, observers=guarded(observers, out))\n"
    )
    both = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path)]) for _ in range(2)]
    assert [one.wait() for one in both] == [0, 0]
    assert [row[0] for row in server.rows()[before:]] == ["COMPLETED"] * 8


def test_a_database_that_is_stopped_and_started(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once(monkeypatch)
    observers = described(kind="sql", url=server.url)
    assert "no series" in contact(observers, tmp_path)[0]
    before = len(server.rows())

    def run(body: Callable[[Log], Mapping[str, float]]) -> guards.Guarded:
        others = guarded(observers, tmp_path)
        assert record("run", {}, body, out=tmp_path, observers=others).status == "completed"
        return others[0]

    def stops(log: Log) -> dict[str, float]:
        server.stop()
        return fine(log)

    assert run(fine).lost == ""
    try:
        there = run(stops)
        assert there.lost and there.news == f"{there.name}: it does not record: {there.lost}; runs go on without it"
        there = run(fine)
        assert there.lost and there.news == ""  # told once
        said, password = contact(observers, tmp_path)
        assert password.endswith(
            f"its password is in {tmp_path / 'plan.json'}; to keep it out, write ${{NAME}} and export NAME"
        )
        assert said.startswith(f"{there.name}: it does not answer: ") and "geheim" not in said
    finally:
        server.start()
    there = run(fine)
    assert there.lost == "" and there.news == f"{there.name}: it records again"
    assert run(fine).news == ""
    assert len(server.rows()) == before + 4
    assert len(list((tmp_path / "sacred").glob("*/run.json"))) == 5


class Silent(RunObserver):  # type: ignore[misc]
    """An observer behind a network that swallows everything."""

    def started_event(self, *_: Any, **__: Any) -> None:
        threading.Event().wait()


def test_an_observer_that_does_not_answer_costs_one_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "_made", lambda options: Silent())
    monkeypatch.setattr(guards, "BEGIN_S", 0.5)
    monkeypatch.setattr(records, "BEGIN_S", 0.5)
    started = time.monotonic()
    for number in range(3):
        others = guarded(described(kind="mongo", url="mongodb://x"), tmp_path)
        record("run", {}, fine, out=tmp_path, observers=others)
        assert others[0].lost == "no answer within 0.5 s" and bool(others[0].news) == (number == 0)
    assert 0.5 <= time.monotonic() - started < 1.5


def test_a_study_ends_with_what_was_not_recorded(tmp_path: Path) -> None:
    nowhere = "postgresql+psycopg://me:geheim@127.0.0.1:1/x"
    pytest.importorskip("psycopg", reason="there is no PostgreSQL driver here: pip install 'psycopg[binary]'")
    plan, store = tiny.planned(tmp_path, {"mean": {"method": "mean"}}, observers=[{"kind": "sql", "url": nowhere}])
    tiny.made(plan, store, [key for key in plan.stages if key.startswith("data")])
    (run,) = plan.runs
    watch = tiny.Onlooker()
    make_run(run, plan, store, watch, tiny.CPU)
    state = RunState.of(store.out, run.name).read()
    ((name, why),) = state["lost"].items()
    place = f"{tmp_path / 'tiny.yaml'}:"
    assert name.startswith(place) and name.endswith("observers.0 (postgresql+psycopg://me:***@127.0.0.1:1/x)")
    assert "refused" in why and watch.notes == [f"{name}: it does not record: {why}; runs go on without it"]
    assert state["status"] == "completed"
    for file in (store.out / "sacred").rglob("*"):
        assert not file.is_file() or b"geheim" not in file.read_bytes(), file


@pytest.mark.parametrize(
    "observer, why",
    [
        ({"kind": "redis"}, "'redis' is unknown; choose mongo, python, sql"),
        ({"kind": "sql", "url": "geheim"}, "got geheim; write an address such as sqlite:///records.db or "),
        ({"kind": "sql", "url": "postgresql+no://me:geheim@x/y"}, "got postgresql+no://me:***@x/y; write an address"),
        ({"kind": "sql", "url": "mysql+pymysql://x/y"}, "it needs the package pymysql: pip install pymysql"),
        ({"kind": "sql", "url": "sqlite://", "database": "x"}, "'database' is an unknown key; choose kind, url"),
        ({"kind": "sql", "url": "sqlite:///${NO_SUCH}"}, "the environment has no variable NO_SUCH: export it first"),
        ({"kind": "python", "class": "Name"}, "got 'Name'; write a class's path, such as package.module.Name"),
        (
            {"kind": "python", "class": "no.such.Name"},
            "no.such.Name cannot be imported: ModuleNotFoundError: No module",
        ),
        ({"kind": "python", "class": "json.Name"}, "json.Name: json has no class Name"),
        ({"kind": "python", "class": "json.JSONDecoder"}, "is not a Sacred observer: it has no started_event"),
        ({"kind": "python", "class": "breaking.Name"}, "breaking.Name cannot be imported: SystemExit: 3"),
        ({"kind": "python", "class": "sacred.observers.SlackObserver"}, "missing a required argument: 'webhook_url'"),
        (
            {"kind": "python", "class": "sacred.observers.SlackObserver", "webhook_url": "x", "icn": "y"},
            "got an unexpected keyword argument 'icn'",
        ),
    ],
)
def test_a_wrong_observer_is_told_with_its_place(
    observer: dict[str, Any], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "breaking.py").write_text("raise SystemExit(3)")
    monkeypatch.syspath_prepend(tmp_path)
    file = tiny.write(tmp_path, observers=[observer])
    with pytest.raises(BadInput) as error:
        load(file)
    (fault,) = error.value.faults
    assert fault.startswith(f"{file}:") and "observers.0" in fault and why in fault, fault
    assert "me:geheim" not in fault


def test_any_observer_of_sacreds_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets the options, with the environment's variables filled in, which no file of the output has."""
    monkeypatch.setenv("PLACE", str(tmp_path / "geheim"))
    observer = {"kind": "python", "class": "sacred.observers.FileStorageObserver", "basedir": "${PLACE}"}
    plan, store = tiny.planned(tmp_path, {"mean": {"method": "mean"}}, observers=[{**observer, "copy_sources": False}])
    assert contact(plan.study.observers, store.out) == []
    tiny.recorded(plan, store)
    assert json.loads((tmp_path / "geheim" / "1" / "run.json").read_text())["status"] == "COMPLETED"
    assert "geheim" not in (store.out / "plan.json").read_text()


class Telling(RunObserver):  # type: ignore[misc]
    """An observer whose error has the key that it was made with."""

    def __init__(self, key: str) -> None:
        raise RuntimeError(f"wrong key {key}")


def test_a_variables_value_is_in_no_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "geheim")
    others = guarded(described(**{"kind": "python", "class": f"{__name__}.Telling", "key": "${KEY}"}), tmp_path)
    record("run", {}, fine, out=tmp_path, observers=others)
    assert others[0].lost == "wrong key ***"


def test_wandb_offline(tmp_path: Path) -> None:
    """Weights & Biases' own observer: one run of theirs for each of ours."""
    pytest.importorskip("wandb", reason="Weights & Biases is not installed here: pip install wandb")
    program = (
        "import sys; from pathlib import Path; from study.running.record import guarded, record\n"
        "out, options = Path(sys.argv[1]), {'kind': 'python', 'class': 'wandb.integration.sacred.WandbObserver'}\n"
        "options |= {'mode': 'offline', 'dir': str(out), 'reinit': 'finish_previous', 'settings': {'silent': True}}\n"
        "for name in 'ab':\n"
        "    others = guarded([{'place': 'here', 'options': options}], out)\n"
        "    record(name, {}, lambda log: log.scalar('loss', 1, 1) or {'psnr': 2.0}, out=out, observers=others)\n"
        "    assert others[0].lost == '', others[0].lost\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)
    assert len(list((tmp_path / "wandb").glob("offline-run-*/run-*.wandb"))) == 2


def test_a_real_mongodb(tmp_path: Path) -> None:
    """Only where there is one: no imitation shows what its server takes."""
    if not (url := os.environ.get("STUDY_TEST_MONGO")):
        pytest.skip("there is no MongoDB here: STUDY_TEST_MONGO=mongodb://host names one")
    import pymongo

    observers = described(kind="mongo", url=url, database="study_test")
    assert contact(observers, tmp_path) == []
    others = guarded(observers, tmp_path)
    record("run", {"seed": 1}, fine, out=tmp_path, observers=others)
    assert others[0].lost == ""
    database = pymongo.MongoClient(url)["study_test"]
    entry = database.runs.find_one(sort=[("_id", -1)])
    assert entry["status"] == "COMPLETED" and entry["result"]["psnr hole composite"] == 18.5
    assert database.metrics.find_one({"run_id": entry["_id"]})["values"] == [0.5]


def test_a_mongodb_that_is_not_there(tmp_path: Path) -> None:
    pytest.importorskip("pymongo", reason="there is no MongoDB client here: pip install pymongo")
    started = time.monotonic()
    (said,) = contact(described(kind="mongo", url="mongodb://me:geheim@127.0.0.1:1/?authSource=x"), tmp_path)[:1]
    assert "it does not answer" in said and "refused" in said and "geheim" not in said
    assert time.monotonic() - started < 5
