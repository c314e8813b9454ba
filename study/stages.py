"""Making what a plan names: stages by their keys, and runs, whose last stages are recorded as they are made."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import Timeout
from PIL import Image
from safetensors.numpy import load_file

from models.masks import Files
from study import catalog
from study.configuration import Observer
from study.data import holes
from study.errors import Interrupted, StudyError
from study.evaluate import evaluate
from study.fitting import fit
from study.making import Watch
from study.plan import Plan, Run, Stage
from study.record import Diverged, Log, Recorded, record
from study.scoring import PICTURES
from study.store import RunState, Store, read_json
from study.train import train

LOCK_WAIT_S = 0.5


def prepare(device_kind: str, place: int = 0) -> torch.device:
    """Sets this process's numerics as the keys name them, and gives its device: the CPU, or the GPU at ``place``."""
    torch.set_num_threads(1)
    if device_kind == "cpu":
        return torch.device("cpu")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # costly, never read
    torch.backends.cudnn.allow_tf32 = False  # fp32 means fp32
    return torch.device("cuda", place % torch.cuda.device_count())


def make(keys: Sequence[str], plan: Plan, store: Store, watch: Watch, device: torch.device) -> None:
    """Makes those of these stages that are not there yet; their inputs must be. One stage, or critics of one pass.

    Each is locked meanwhile, so that another process on the same output waits and then finds it made.
    """
    with ExitStack() as locks:
        for key in sorted(keys):
            lock = store.lock(key)
            while True:
                try:
                    locks.enter_context(lock.acquire(timeout=LOCK_WAIT_S))
                    break
                except Timeout:
                    if watch.stopping:
                        raise Interrupted from None
        stages = [plan.stages[key] for key in keys if not store.has(key)]
        if not stages:
            return
        kind = stages[0].kind
        if kind == "data":
            for stage in stages:
                _pack(stage, store, watch)
        elif kind in ("evaluate", "fit"):
            for stage in stages:
                (evaluate if kind == "evaluate" else fit)(
                    stage, store, watch, device=device, made=lambda: machine(device)
                )
        else:
            train(stages, store, watch, device=device, made=lambda: machine(device))


def _pack(stage: Stage, store: Store, watch: Watch) -> None:
    started = datetime.now(UTC)
    options = stage.hints["options"]
    folder, side = store.workspace(stage.key) / "files", stage.options["image_size"]
    if "masks" in stage.options:
        files = Files.model_validate(options)
        _unchanged(holes.identity(files, side) == stage.options["masks"], "masks")
        holes.pack(files, side, folder)
        _publish_data(stage, store, started)
        return
    dataset = catalog.DATASETS[options["kind"]].model_validate(options)
    identity = {**dataset.identity(), "version": catalog.version("DATASETS", options["kind"])}
    _unchanged(identity == stage.options["dataset"], "images")

    def report(done: int, total: int) -> None:
        watch.progress(stage.key, done, total)
        if watch.stopping:
            raise Interrupted

    dataset.pack(side, folder, report)
    _publish_data(stage, store, started)


def _unchanged(same: bool, what: str) -> None:
    if not same:
        raise StudyError(f"its {what} have changed since the study was planned; run the same command again")


def _publish_data(stage: Stage, store: Store, started: datetime) -> None:
    seconds = (datetime.now(UTC) - started).total_seconds()
    facts = {"key": stage.key, "seconds": round(seconds, 3), **machine(torch.device("cpu"))}
    store.publish(stage.key, {"status": "finished"}, facts)


def machine(device: torch.device) -> dict[str, Any]:
    """What a stage is made on: device, threads, versions, memory. Never part of a key."""
    facts: dict[str, Any] = {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else _processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "peak_memory_mib": round(peak_memory(device) / 2**20),
    }
    return facts


def peak_memory(device: torch.device) -> int:
    """Bytes: the most that this process has held of the device's memory, or of the machine's."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    import resource  # not on every system

    scale = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def _processor() -> str:
    try:
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found.group(1).strip() if found else platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """The versions of what decides the numbers, and of the record's own writer."""
    names = ("torch", "numpy", "scikit-image", "sacred", "safetensors", "pillow")
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in names}}


# -- runs --------------------------------------------------------------------------------------------------


def complete(run: Run, plan: Plan, store: Store) -> bool:
    """Whether a run has its record and the stages that are its own."""
    state = RunState.of(store.out, run.name).read()
    done = state.get("status") in ("completed", "diverged") and state.get("stage") == run.stages["evaluate"]
    return done and all(store.has(key) for key in plan.own(run))


def make_run(run: Run, plan: Plan, store: Store, watch: Watch, device: torch.device) -> Recorded:
    """Makes a run's own stages inside its Sacred record, and writes the shared stages' series into it too."""
    state = RunState.of(store.out, run.name)
    before = state.read()
    own = plan.own(run)
    last = run.stages["evaluate"]
    observers = [Observer.model_validate(observer) for observer in plan.study["observers"]]

    def opened(record_id: str) -> None:
        state.write(run=run.name, status="running", record=record_id, stage=last, pid=os.getpid())

    def body(log: Log) -> Mapping[str, float]:
        if before.get("record"):
            log.info(follows=before["record"], followed_status=before.get("status", "unknown"))
        log.info(versions=versions())
        for role, key in run.stages.items():
            if store.has(key):
                _log_series(log, role, key, store)
            else:
                make([key], plan, store, _Recording(watch, log, role), device)
            made = {"shared": key not in own, **store.made(key), **store.outcome(key)}
            log.info(**{f"stage {role}": {**made, "key": key, "kind": plan.stages[key].kind}})
        outcome = store.outcome(last)
        if outcome.get("status") == "diverged":
            log.info(diverged=outcome)
            raise Diverged
        return _results(log, store.verified(last))

    config = {
        "run": run.name,
        "variant": run.variant,
        "method": run.method,
        "data": run.data,
        "seed": run.seed,
        "options": run.config,
        **{key: plan.study[key] for key in ("name", "profile", "image_size", "protocol", "numerics")},
        "dataset": plan.study["data"][run.data],
        "plugins": plan.study["plugins"],
    }
    if "trial" in plan.study:  # of a search: its Optuna number and what it set
        config["trial"] = plan.study["trial"]
    try:
        recorded = record(run.name, config, body, out=store.out, observers=observers, opened=opened)
    except (Exception, Interrupted) as error:
        status = "interrupted" if isinstance(error, Interrupted) else "failed"
        state.write(**{**state.read(), "run": run.name, "status": status, "why": str(error), "stage": last})
        raise
    outcome = store.outcome(last)
    why = f"{outcome['term']} at step {outcome['step']}" if recorded.status == "diverged" else ""
    if recorded.lost:
        why = "; ".join(filter(None, [why, f"not recorded by {', '.join(recorded.lost)}"]))
    state.write(
        run=run.name,
        status=recorded.status,
        record=recorded.id,
        stage=last,
        results=recorded.result,
        why=why,
    )
    return recorded


class _Recording:
    """A watch that also writes what it sees into the run's record."""

    def __init__(self, watch: Watch, log: Log, role: str) -> None:
        self._watch, self._log, self._role = watch, log, role

    @property
    def stopping(self) -> bool:
        return self._watch.stopping

    def progress(self, key: str, done: int, total: int) -> None:
        self._watch.progress(key, done, total)

    def logged(self, key: str, step: int, terms: Mapping[str, float]) -> None:
        self._watch.logged(key, step, terms)
        for name, value in terms.items():
            self._log.scalar(f"{self._role}.{name}", value, step)


def _log_series(log: Log, role: str, key: str, store: Store) -> None:
    series = read_json(store.folder(key) / "series.json")
    if series:
        log.series(role, series)


def _results(log: Log, folder: Path) -> dict[str, float]:
    """The mean of each score, and a strip of sample images for the record."""
    facts = json.loads((folder / "evaluation.json").read_text())
    scores = load_file(folder / "scores.safetensors")["scores"]
    if facts["pictures"]:
        pictures = load_file(folder / "pictures.safetensors")
        strip = np.concatenate([np.concatenate(list(pictures[kind]), axis=1) for kind in PICTURES])
        with tempfile.TemporaryDirectory() as place:
            file = Path(place) / "samples.png"
            Image.fromarray(strip).save(file)
            log.artifact(file)
    means = np.where(np.isfinite(scores), scores, np.nan)
    return {
        f"{metric} {region} {output}": float(np.nanmean(means[:, place]))
        for place, (output, region, metric) in enumerate(facts["columns"])
        if not np.isnan(means[:, place]).all()
    }
