"""Sacred records: one Sacred run per run, complete in itself. This is the only module that imports sacred.

It works around problems of Sacred 0.8.7: files are half written when a process dies; metrics are rewritten at each
heartbeat; runs stay RUNNING after a kill; an exception loses captured output; NumPy results are stored as objects; one
bad artifact silently ends the metrics; observers fail silently; a result is announced before the last metrics.
"""

from __future__ import annotations

import json
import logging
import mimetypes
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from study.errors import StudyError, hidden
from study.parts import observers as named_observers
from study.running.observers import BEGIN_S, FILE, Guarded
from study.running.output import captured, tidy
from study.store import read_facts, write_atomically, write_json

with warnings.catch_warnings(action="ignore"):  # sacred imports pkg_resources, which is deprecated
    from sacred import SETTINGS, Experiment
    from sacred.metrics_logger import ScalarMetricLogEntry
    from sacred.observers import FileStorageObserver, MongoObserver, SqlObserver
    from sacred.serializer import flatten
    from sacred.utils import SacredInterrupt

SETTINGS["CAPTURE_MODE"] = "no"
SETTINGS["DISCOVER_SOURCES"] = "none"
SETTINGS["DISCOVER_DEPENDENCIES"] = "none"  # ``info`` holds the versions

METRICS_EVERY_S = 60.0
PYTHON_S = 60.0  # how long another's observer may take to begin: it may log in somewhere
FOLDER = "sacred"
NOT_STORED = {
    "sql": "Sacred's tables hold no series, and one number for a run's results (psnr hole composite)",
}
"""What an observer does not store, by its kind."""


class Diverged(SacredInterrupt):
    """Ends a run whose training diverged. This is a result, with its own status."""

    STATUS = "DIVERGED"


class FileObserver(FileStorageObserver):
    """Sacred's file storage, with atomic writes and with metrics kept in memory between writes."""

    ended = False  # whether the final status is written: Sacred hides errors in it

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, copy_sources=False)
        self._series: dict[str, dict[str, list[Any]]] = {}
        self._written = 0.0

    def save_json(self, obj: Any, filename: str) -> None:
        ends = filename == "run.json" and obj["status"] != "RUNNING"
        if ends:
            self.write_metrics()
        write_atomically(Path(str(self.dir)) / filename, json.dumps(flatten(obj), sort_keys=True, indent=2))
        self.ended |= ends

    def save_cout(self) -> None:
        """Does nothing: the run prints into the file itself."""

    def failed_event(self, fail_time: Any, fail_trace: Sequence[str]) -> None:
        super().failed_event(fail_time, hidden(fail_trace))  # type: ignore[no-untyped-call]

    def log_metrics(self, metrics_by_name: Mapping[str, Any], info: Any) -> None:
        for name, points in metrics_by_name.items():
            series = self._series.setdefault(name, {"values": [], "steps": [], "timestamps": []})
            series["values"] += points["values"]
            series["steps"] += points["steps"]
            series["timestamps"] += [stamp.isoformat() for stamp in points["timestamps"]]
        if metrics_by_name and time.monotonic() - self._written > METRICS_EVERY_S:
            self.write_metrics()

    def write_metrics(self) -> None:
        if self._series:
            self.save_json(self._series, "metrics.json")
        self._written = time.monotonic()


class Mongo(MongoObserver):
    """Sacred's observer for MongoDB. It tries once, writes no pickles of records that it lost, and prints nothing."""

    def contact(self) -> None:
        """Asks the server whether it is there. Raises an error of pymongo's."""
        self._client.admin.command("ping")

    def final_save(self, attempts: int) -> None:
        entry: Any = self.run_entry
        self.runs.update_one({"_id": entry["_id"]}, {"$set": entry}, upsert=True)

    @staticmethod
    def _try_to_detect_content_type(filename: str) -> str | None:
        return mimetypes.guess_type(filename)[0]

    def join(self) -> None:
        self._client.close()


class Sql(SqlObserver):
    """Sacred's observer for SQL. It fits a record into Sacred's tables, whose limits PostgreSQL holds to.

    They have no series, one number for a result, short names, and no status for a divergence.
    """

    def contact(self) -> None:
        """Creates Sacred's tables if they are missing. Raises an error of SQLAlchemy's."""
        from sacred.observers.sql_bases import Base

        Base.metadata.create_all(self.engine)

    def started_event(  # type: ignore[no-untyped-def]
        self, ex_info, command, host_info, start_time, config, meta_info, _id
    ):
        ex_info = {**ex_info, "name": ex_info["name"][:32], "base_dir": ex_info["base_dir"][-64:], "dependencies": []}
        system, release = host_info["os"]
        host_info = {
            **host_info,
            "os": (system[:16], release[:64]),
            **{
                key: str(host_info[key])[:most] for key, most in (("hostname", 64), ("cpu", 64), ("python_version", 16))
            },
        }
        unique = uuid.uuid4().hex[:24]  # Sacred counts, and two workers would take the same number
        return super().started_event(ex_info, command, host_info, start_time, config, meta_info, unique)  # type: ignore[no-untyped-call]

    def heartbeat_event(self, info: Any, captured_out: str, beat_time: Any, result: Any) -> None:
        super().heartbeat_event(info, captured_out, beat_time, _one_number(result))  # type: ignore[no-untyped-call]

    def completed_event(self, stop_time: Any, result: Any) -> None:
        super().completed_event(stop_time, _one_number(result))  # type: ignore[no-untyped-call]

    def interrupted_event(self, interrupt_time: Any, status: str) -> None:
        super().interrupted_event(interrupt_time, "INTERRUPTED")  # type: ignore[no-untyped-call]

    def failed_event(self, fail_time: Any, fail_trace: Sequence[str]) -> None:
        super().failed_event(fail_time, [line.replace("\0", "") for line in fail_trace])  # type: ignore[no-untyped-call]

    def join(self) -> None:
        self.session.remove()
        self.engine.dispose()


def _one_number(result: Any) -> float | None:
    return result.get("psnr hole composite") if isinstance(result, Mapping) else None


class Log:
    """Writes into a run's record while the run is made. ``id``: Sacred's."""

    def __init__(self, run: Any) -> None:
        self._run, self.id = run, str(run._id)

    def scalar(self, name: str, value: float, step: int) -> None:
        """Adds a point to a series."""
        self._run.log_scalar(name, float(value), int(step))

    def series(self, stage: str, series: Mapping[str, Any], made: Mapping[str, Any]) -> None:
        """Adds a published stage's series, ``{"step": [...], "terms": {name: [...]}}``.

        Its points get times between the stage's start and end, in proportion to their steps. ``made``: when it ended
        (``made``, ISO 8601) and how long it took (``seconds``), as ``Store.made`` has them; without them, the time now.
        """
        last = series["step"][-1] if series["step"] else 1
        ended = datetime.fromisoformat(made["made"]) if "made" in made else datetime.now(UTC)
        took = timedelta(seconds=made.get("seconds", 0.0))
        for name, values in series["terms"].items():
            for step, value in zip(series["step"], values, strict=True):
                if value is not None:
                    at = (ended - took * (1 - step / last)).astimezone(UTC).replace(tzinfo=None)  # as Sacred has times
                    entry = ScalarMetricLogEntry(f"{stage}.{name}", int(step), at, float(value))
                    self._run._metrics._logged_metrics.put(entry)

    def info(self, **facts: Any) -> None:
        """Adds facts, plain values only, to the record's info."""
        self._run.info.update(hidden(facts))

    def artifact(self, file: Path) -> None:
        """Adds a file to the record. Raises FileNotFoundError if there is none: Sacred would lose later metrics."""
        if not file.is_file():
            raise FileNotFoundError(file)
        self._run.add_artifact(str(file), name=file.name)

    def text(self, name: str, content: str) -> None:
        """Adds a text to the record, as a file of this name."""
        with tempfile.TemporaryDirectory() as place:
            file = Path(place) / name
            file.write_text(content, encoding="utf-8")
            self.artifact(file)


@dataclass(frozen=True)
class Recorded:
    """How a run ended."""

    id: str  # Sacred's, in the output
    status: str  # completed or diverged
    result: dict[str, float]


def record(
    name: str,
    config: Mapping[str, Any],
    body: Callable[[Log], Mapping[str, float]],
    *,
    out: Path,
    observers: Sequence[Guarded] = (),
) -> Recorded:
    """Makes the run called ``name`` inside a Sacred run, in the output folder ``out``.

    Args:
        body: gets the log and returns the run's results by name.
        observers: others that also get the record. Whether they got it is in ``lost`` of each.

    Raises:
        StudyError: the record could not be written.
        Exception: any exception of ``body``, once it is recorded, except Diverged, which is a result.
    """
    experiment = Experiment(name, base_dir=str(out), save_git_info=False)
    experiment.logger = logger = logging.getLogger("study.running.record")  # type: ignore[assignment]
    logger.setLevel(logging.CRITICAL)
    experiment.sources.clear()  # databases check paths that an output does not have
    files = FileObserver(out / FOLDER)
    experiment.observers.extend([files, *observers])
    experiment.add_config(_plain(hidden(config)))

    def main(_run: Any) -> dict[str, float]:
        with captured(Path(str(files.dir)) / "cout.txt") as output:
            _run._get_captured_output = lambda: setattr(_run, "captured_out", output())
            try:
                return {key: float(value) for key, value in body(Log(_run)).items()}
            finally:
                _run._get_captured_output()
                _run._get_captured_output = lambda: None

    experiment.main(main)
    status, result = "completed", dict[str, float]()
    try:
        result = experiment.run(options={"--loglevel": "CRITICAL"}).result or {}
    except Diverged:
        status = "diverged"
    finally:
        for observer in observers:
            observer.close()
    run: Any = experiment.current_run
    if run._heartbeat is not None and run._heartbeat.is_alive():  # Sacred itself waits only two seconds
        run._heartbeat.join()
        files.write_metrics()
    if files in run._failed_observers or not files.ended:
        raise StudyError(f"the record {files.dir} could not be written; is the disk full?")
    return Recorded(Path(str(files.dir)).name, status, result)


def guarded(observers: Sequence[Mapping[str, Any]], out: Path) -> list[Guarded]:
    """The observers of a study, for one run. ``observers``: ``place`` in the study file, and ``options``."""
    return [
        Guarded(one, partial(_made, one["options"]), out, PYTHON_S if one["options"]["kind"] == "python" else BEGIN_S)
        for one in observers
    ]


def contact(observers: Sequence[Mapping[str, Any]], out: Path) -> list[str]:
    """Asks each database once whether it answers. Returns sentences on those that do not, and on what is not stored.

    Workers leave an observer that does not answer alone for a while. One of Python is not asked: to make it may begin
    a run elsewhere.
    """
    (out / FILE).unlink(missing_ok=True)
    said = []
    for described, one in zip(observers, guarded(observers, out), strict=True):
        kind = described["options"]["kind"]
        if kind != "python":
            one.contact()
            one.close()
        if one.lost:
            said.append(
                f"{one.name}: it does not answer: {one.lost}; runs go on, and are recorded in {out / FOLDER} alone"
            )
        elif kind in NOT_STORED:
            said.append(f"{one.name}: {NOT_STORED[kind]}; {out / FOLDER} has them")
        if hidden(options := described["options"]) != options and "${" not in str(options):
            said.append(
                f"{one.name}: its password is in {out / 'plan.json'}; to keep it out, write ${{NAME}} and export NAME"
            )
    return said


def _made(options: Mapping[str, Any]) -> Any:
    """A Sacred observer by its options in a study file."""
    options = named_observers.filled(options)
    if options["kind"] == "mongo":
        database = options.get("database") or "sacred"
        return Mongo(url=options["url"], db_name=database, serverSelectionTimeoutMS=round(1000 * BEGIN_S / 2))
    if options["kind"] == "sql":
        return Sql(options["url"])  # type: ignore[no-untyped-call]
    own = {name: value for name, value in options.items() if name not in ("kind", "class")}
    return named_observers.load(options["class"])(**own)


def _plain(value: Any) -> Any:
    """Configuration that Sacred accepts: no '.', '=' or leading '$' in keys."""
    if isinstance(value, Mapping):
        return {str(k).replace(".", "_").replace("=", "_").lstrip("$"): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value


def settle_record(out: Path, record_id: str) -> None:
    """Marks a record as INTERRUPTED if a killed process left it RUNNING."""
    file = out / FOLDER / record_id / "run.json"
    entry = read_facts(file)
    output = file.with_name("cout.txt")
    if entry.get("status") == "RUNNING":
        entry["status"] = "INTERRUPTED"
        entry["stop_time"] = entry.get("heartbeat") or datetime.now(UTC).replace(tzinfo=None).isoformat()
        write_json(file, entry)
        if output.is_file():
            tidy(output)
