"""Sacred, and nothing else that knows it: each run is one Sacred run that stands on its own.

Sacred's traps that are closed here (measured with 0.8.7): files that are half written when a process dies, metrics that
are rewritten whole at each heartbeat, runs that stay RUNNING after a kill, captured output that is lost with an
exception, NumPy results stored as objects, one bad artifact that silently ends the metrics, observers that fail in
silence, and a result that is announced before the last metrics are written.
"""

from __future__ import annotations

import contextlib
import json
import logging
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from study.config.schema import Observer
from study.errors import Interrupted, StudyError
from study.store import read_json, write_atomically, write_json

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # sacred imports pkg_resources, which warns of its own end
    from sacred import SETTINGS, Experiment
    from sacred.observers import FileStorageObserver, MongoObserver, RunObserver, SqlObserver
    from sacred.serializer import flatten
    from sacred.utils import SacredInterrupt

SETTINGS["CAPTURE_MODE"] = "no"
SETTINGS["DISCOVER_SOURCES"] = "none"
SETTINGS["DISCOVER_DEPENDENCIES"] = "none"  # the versions are in info, without importing pkg_resources' whole set

METRICS_EVERY_S = 60.0
FOLDER = "sacred"


class Diverged(SacredInterrupt):
    """Ends a run whose training diverged: a result, with a status of its own."""

    STATUS = "DIVERGED"


class _Stopped(SacredInterrupt):
    STATUS = "INTERRUPTED"


class Files(FileStorageObserver):
    """Sacred's file storage with whole files: written aside and renamed; metrics kept in memory between writes."""

    ended = False
    """Whether the last event is written: what goes wrong in it Sacred swallows."""

    def started_event(self, *arguments: Any, **named: Any) -> Any:
        self._series: dict[str, dict[str, list[Any]]] = {}
        self._written = 0.0
        return super().started_event(*arguments, **named)

    def save_json(self, obj: Any, filename: str) -> None:
        write_atomically(Path(str(self.dir)) / filename, json.dumps(flatten(obj), sort_keys=True, indent=2))

    def log_metrics(self, metrics_by_name: Mapping[str, Any], info: Any) -> None:
        for name, points in metrics_by_name.items():
            series = self._series.setdefault(name, {"values": [], "steps": [], "timestamps": []})
            series["values"] += points["values"]
            series["steps"] += points["steps"]
            series["timestamps"] += [stamp.isoformat() for stamp in points["timestamps"]]
        if metrics_by_name and time.monotonic() - self._written > METRICS_EVERY_S:
            self.write_metrics()

    def write_metrics(self) -> None:
        """Writes what has been heard so far."""
        if self._series:
            self.save_json(self._series, "metrics.json")
        self._written = time.monotonic()

    def completed_event(self, stop_time: Any, result: Any) -> None:
        self.write_metrics()
        super().completed_event(stop_time, result)
        self.ended = True

    def interrupted_event(self, interrupt_time: Any, status: str) -> None:
        self.write_metrics()
        super().interrupted_event(interrupt_time, status)
        self.ended = True

    def failed_event(self, fail_time: Any, fail_trace: Any) -> None:
        self.write_metrics()
        super().failed_event(fail_time, fail_trace)
        self.ended = True


class Beside(RunObserver):
    """A database observer beside the files: it numbers its records itself, and what fails in it stops nothing."""

    priority = -1  # after the files, whose number is the run's

    def __init__(self, observer: Observer) -> None:
        self.lost = ""
        """Why the run is not recorded there; empty where it is."""
        self._described = observer
        self._inner: RunObserver | None = None

    def _call(self, event: str, *arguments: Any, **named: Any) -> None:
        if self.lost:
            return
        if self._described.kind == "sql" and isinstance(named.get("result"), Mapping):
            named["result"] = named["result"].get("psnr hole composite")  # Sacred's tables hold one number
        try:
            if self._inner is None:
                self._inner = _observer(self._described)
            getattr(self._inner, event)(*arguments, **named)
        except Exception as error:
            self.lost = f"{self._described.kind}: {' '.join(str(error).split())[:200] or type(error).__name__}"

    def started_event(self, *arguments: Any, **named: Any) -> None:
        self._call("started_event", *arguments, **{**named, "_id": None})

    def heartbeat_event(self, *arguments: Any, **named: Any) -> None:
        self._call("heartbeat_event", *arguments, **named)

    def completed_event(self, *arguments: Any, **named: Any) -> None:
        self._call("completed_event", *arguments, **named)

    def interrupted_event(self, *arguments: Any, **named: Any) -> None:
        self._call("interrupted_event", *arguments, **named)

    def failed_event(self, *arguments: Any, **named: Any) -> None:
        self._call("failed_event", *arguments, **named)

    def artifact_event(self, *arguments: Any, **named: Any) -> None:
        self._call("artifact_event", *arguments, **named)

    def log_metrics(self, *arguments: Any, **named: Any) -> None:
        self._call("log_metrics", *arguments, **named)

    def join(self) -> None:
        self._call("join")


class Log:
    """What a run writes into its record while it is made."""

    def __init__(self, run: Any) -> None:
        self._run = run

    def scalar(self, name: str, value: float, step: int) -> None:
        """One point of a series."""
        self._run.log_scalar(name, float(value), int(step))

    def series(self, stage: str, series: Mapping[str, Any]) -> None:
        """A published stage's series, ``{"step": [...], "terms": {name: [...]}}``."""
        for name, values in series["terms"].items():
            for step, value in zip(series["step"], values, strict=True):
                if value is not None:
                    self.scalar(f"{stage}.{name}", value, step)

    def info(self, **facts: Any) -> None:
        """Facts for the record's info, plain values only."""
        self._run.info.update(facts)

    def artifact(self, file: Path) -> None:
        """A file to keep with the record. Raises FileNotFoundError where there is none: Sacred would go silent."""
        if not file.is_file():
            raise FileNotFoundError(file)
        self._run.add_artifact(str(file), name=file.name)


@dataclass(frozen=True)
class Recorded:
    """How a run ended: ``completed`` or ``diverged``, its Sacred id in the output, and why other observers failed."""

    id: str
    status: str
    result: dict[str, float]
    lost: Sequence[str] = ()


def record(
    name: str,
    config: Mapping[str, Any],
    body: Callable[[Log], Mapping[str, float]],
    *,
    out: Path,
    observers: Sequence[Observer] = (),
    opened: Callable[[str], None] = lambda _id: None,
) -> Recorded:
    """Makes a run inside a Sacred run: ``body`` gets the log and returns the run's results by name.

    ``opened`` is told the id as soon as there is one. Raises what ``body`` raises, once it is recorded (Diverged is
    not raised: it is a result), and StudyError where the record itself could not be written.
    """
    logging.getLogger("study.running.record").setLevel(logging.CRITICAL)
    experiment = Experiment(name, base_dir=str(out), save_git_info=False)
    experiment.logger = logging.getLogger("study.running.record")  # type: ignore[assignment]
    experiment.sources.clear()  # the versions are in info; databases check paths that an output does not have
    files = Files(out / FOLDER, copy_sources=False)
    beside = [Beside(observer) for observer in observers]
    experiment.observers.extend([files, *beside])
    experiment.add_config(_plain(config))

    @experiment.main
    def main(_run: Any) -> dict[str, float]:
        opened(str(_run._id))
        try:
            return {key: float(value) for key, value in body(Log(_run)).items()}
        except Interrupted as stop:
            raise _Stopped from stop

    status = "completed"
    result: dict[str, float] = {}
    run: Any = None
    try:
        run = experiment.run(options={"--loglevel": "CRITICAL"})
        result = run.result
    except Diverged:
        status = "diverged"
    except _Stopped as stop:
        raise Interrupted from stop
    run = run or experiment.current_run
    if run is not None:
        if run._heartbeat is not None and run._heartbeat.is_alive():  # Sacred waits for two seconds only
            run._heartbeat.join()
            files.write_metrics()
        if files in run._failed_observers or not files.ended:
            raise StudyError(f"the record {files.dir} could not be written; is the disk full?")
    return Recorded(Path(str(files.dir)).name, status, result, [one.lost for one in beside if one.lost])


def _observer(observer: Observer) -> RunObserver:
    if observer.kind == "mongo":
        return MongoObserver(url=observer.url, db_name=observer.database or "sacred")
    return SqlObserver(observer.url)


def _plain(value: Any) -> Any:
    """Configuration as Sacred can hold it: no '.', '=' or leading '$' in keys."""
    if isinstance(value, Mapping):
        return {str(k).replace(".", "_").replace("=", "_").lstrip("$"): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value


def failed(name: str, config: Mapping[str, Any], why: str, *, out: Path, observers: Sequence[Observer] = ()) -> str:
    """A short FAILED record of a run whose shared stages could not be made; returns its id."""

    class SharedStageFailed(StudyError):
        pass

    ids: list[str] = []

    def body(log: Log) -> Mapping[str, float]:
        log.info(why=why)
        raise SharedStageFailed(why)

    with contextlib.suppress(SharedStageFailed):
        record(name, config, body, out=out, observers=observers, opened=ids.append)
    return ids[0]


def settle(out: Path, record_id: str) -> None:
    """Marks a record as INTERRUPTED that a killed process left RUNNING."""
    file = out / FOLDER / record_id / "run.json"
    entry = read_json(file)
    if entry and entry.get("status") == "RUNNING":
        entry["status"] = "INTERRUPTED"
        entry["stop_time"] = entry.get("heartbeat") or datetime.now(UTC).replace(tzinfo=None).isoformat()
        write_json(file, entry)


def settle_all(out: Path) -> None:
    """The same for every record of an output in which nothing runs."""
    for file in sorted((out / FOLDER).glob("*/run.json")):
        settle(out, file.parent.name)
