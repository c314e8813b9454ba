"""Sacred records: one Sacred run per run, complete in itself. This is the only module that imports sacred.

It works around problems of Sacred 0.8.7: files are half written when a process dies; metrics are rewritten at each
heartbeat; runs stay RUNNING after a kill; an exception loses captured output; NumPy results are stored as objects; one
bad artifact silently ends the metrics; observers fail silently; a result is announced before the last metrics.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import pkgutil
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from study.errors import StudyError
from study.store import read_json, write_atomically, write_json

if not hasattr(pkgutil, "find_loader"):  # Python 3.14 removed it; sacred asks whether it gives None
    pkgutil.find_loader = importlib.util.find_spec  # type: ignore[assignment]

with warnings.catch_warnings(action="ignore"):  # sacred imports pkg_resources, which is deprecated
    from sacred import SETTINGS, Experiment
    from sacred.observers import FileStorageObserver, MongoObserver, RunObserver, SqlObserver
    from sacred.serializer import flatten
    from sacred.utils import SacredInterrupt

SETTINGS["CAPTURE_MODE"] = "no"
SETTINGS["DISCOVER_SOURCES"] = "none"
SETTINGS["DISCOVER_DEPENDENCIES"] = "none"  # ``info`` holds the versions

METRICS_EVERY_S = 60.0
FOLDER = "sacred"


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


class DatabaseObserver:
    """A database that also gets the record. It numbers records itself, and its failures do not stop the run."""

    priority = -1  # after the files, which number the run

    def __init__(self, observer: Mapping[str, Any]) -> None:
        self.lost = ""  # why the run is not recorded there; empty if it is
        self._described = observer
        self._inner: RunObserver | None = None

    def __getattr__(self, event: str) -> Callable[..., None]:
        """The method that Sacred calls with an event."""
        return partial(self._call, event)

    def _call(self, event: str, **named: Any) -> None:
        if self.lost:
            return
        if event == "started_event":
            named["_id"] = None
        if self._described["kind"] == "sql" and isinstance(named.get("result"), Mapping):
            named["result"] = named["result"].get("psnr hole composite")  # Sacred's tables hold one number
        try:
            if self._inner is None:
                self._inner = _observer(self._described)
            getattr(self._inner, event)(**named)
        except Exception as error:
            self.lost = f"{self._described['kind']}: {' '.join(str(error).split())[:200] or type(error).__name__}"


class Log:
    """Writes into a run's record while the run is made. ``id``: Sacred's."""

    def __init__(self, run: Any) -> None:
        self._run, self.id = run, str(run._id)

    def scalar(self, name: str, value: float, step: int) -> None:
        """Adds a point to a series."""
        self._run.log_scalar(name, float(value), int(step))

    def series(self, stage: str, series: Mapping[str, Any]) -> None:
        """Adds a published stage's series, ``{"step": [...], "terms": {name: [...]}}``."""
        for name, values in series["terms"].items():
            for step, value in zip(series["step"], values, strict=True):
                if value is not None:
                    self.scalar(f"{stage}.{name}", value, step)

    def info(self, **facts: Any) -> None:
        """Adds facts, plain values only, to the record's info."""
        self._run.info.update(facts)

    def artifact(self, file: Path) -> None:
        """Adds a file to the record. Raises FileNotFoundError if there is none: Sacred would lose later metrics."""
        if not file.is_file():
            raise FileNotFoundError(file)
        self._run.add_artifact(str(file), name=file.name)


@dataclass(frozen=True)
class Recorded:
    """How a run ended."""

    id: str  # Sacred's, in the output
    status: str  # completed or diverged
    result: dict[str, float]
    lost: Sequence[str] = ()  # why databases have no record


def record(
    name: str,
    config: Mapping[str, Any],
    body: Callable[[Log], Mapping[str, float]],
    *,
    out: Path,
    observers: Sequence[Mapping[str, Any]] = (),
) -> Recorded:
    """Makes the run called ``name`` inside a Sacred run, in the output folder ``out``.

    Args:
        body: gets the log and returns the run's results by name.
        observers: databases that also get the record (``study.config.schema.Observer``, as plain values).

    Raises:
        StudyError: the record could not be written.
        Exception: any exception of ``body``, once it is recorded, except Diverged, which is a result.
    """
    experiment = Experiment(name, base_dir=str(out), save_git_info=False)
    experiment.logger = logger = logging.getLogger("study.running.record")  # type: ignore[assignment]
    logger.setLevel(logging.CRITICAL)
    experiment.sources.clear()  # databases check paths that an output does not have
    files = FileObserver(out / FOLDER)
    databases = [DatabaseObserver(observer) for observer in observers]
    experiment.observers.extend([files, *databases])
    experiment.add_config(_plain(config))

    def main(_run: Any) -> dict[str, float]:
        return {key: float(value) for key, value in body(Log(_run)).items()}

    experiment.main(main)
    status, result = "completed", dict[str, float]()
    try:
        result = experiment.run(options={"--loglevel": "CRITICAL"}).result or {}
    except Diverged:
        status = "diverged"
    run: Any = experiment.current_run
    if run._heartbeat is not None and run._heartbeat.is_alive():  # Sacred itself waits only two seconds
        run._heartbeat.join()
        files.write_metrics()
    if files in run._failed_observers or not files.ended:
        raise StudyError(f"the record {files.dir} could not be written; is the disk full?")
    lost = [database.lost for database in databases if database.lost]
    return Recorded(Path(str(files.dir)).name, status, result, lost)


def _observer(observer: Mapping[str, Any]) -> RunObserver:
    if observer["kind"] == "mongo":
        return MongoObserver(url=observer["url"], db_name=observer.get("database") or "sacred")
    return SqlObserver(observer["url"])


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
    entry = read_json(file)
    if entry and entry.get("status") == "RUNNING":
        entry["status"] = "INTERRUPTED"
        entry["stop_time"] = entry.get("heartbeat") or datetime.now(UTC).replace(tzinfo=None).isoformat()
        write_json(file, entry)
