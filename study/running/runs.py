"""Runs: their own stages are made inside a Sacred record."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.numpy import load_file

from study.errors import Interrupted, StudyError, hidden
from study.evaluation.evaluation import PICTURES, Evaluation
from study.parts import plugins
from study.plan.graph import Plan, Run
from study.running.make import make
from study.running.observers import Guarded
from study.running.record import Diverged, Log, guarded, record
from study.store import RunState, Store
from study.training.checkpoint import Watch
from study.training.machine import machine, versions


class SharedStageFailed(StudyError):
    """Ends a run whose shared stages could not be made."""


def make_run(run: Run, plan: Plan, store: Store, watch: Watch, device: torch.device, why: str = "") -> None:
    """Makes a run's own stages inside its Sacred record, which also gets the series of the shared stages.

    ``why``: the reason, if its shared stages could not be made. Then the run is only recorded as failed.
    """
    state = RunState.of(store.out, run.name)
    before, own, last = state.read(), plan.own(run), run.stages["evaluate"]
    write = partial(state.write, run=run.name, stage=last)
    records = {None, before.get("record")}

    def body(log: Log) -> Mapping[str, float]:
        records.add(log.id)
        write(status="running", record=log.id, pid=os.getpid())
        if before.get("record"):
            log.info(follows=before["record"], followed_status=before.get("status", "unknown"))
        log.info(versions=versions(), machine=machine(device), git=plan.study.git)
        log.text("resolved.json", json.dumps(hidden(plan.study.resolved), indent=1))
        for plugin in plugins.used():
            log.text(f"{plugin.digest}-{plugin.file.name}", plugin.source.decode(errors="replace"))
        if why:
            log.info(why=why)
            raise SharedStageFailed(why)
        for role, key in run.stages.items():
            if store.has(key):
                if series := store.recorded(key, "series.json"):
                    log.series(role, series, store.made(key))
            else:
                make([key], plan, store, _Recording(watch, log, role), device)
            made = {"shared": key not in own, **store.made(key), **store.outcome(key)}
            log.info(**{f"stage {role}": {**made, "key": key, "kind": plan.stages[key].kind}})
        outcome = store.outcome(last)
        if outcome.get("status") == "diverged":
            log.info(diverged=outcome)
            raise Diverged
        return _results(log, store.verified(last))

    facts = plan.study.model_dump()
    config = {
        "run": run.name,
        "options": run.config,
        **{key: getattr(run, key) for key in ("variant", "method", "data", "seed")},
        **{key: facts[key] for key in ("name", "profile", "image_size", "protocol", "numerics", "plugins")},
        "dataset": facts["data"][run.data],
    }
    if plan.study.trial is not None:  # of a search
        config["trial"] = plan.study.trial
    observers = guarded(plan.study.observers, store.out)
    try:
        recorded = record(run.name, config, body, out=store.out, observers=observers)
    except (Exception, Interrupted) as error:
        status = "interrupted" if isinstance(error, Interrupted) else "failed"
        found = state.read()
        if found.get("record") in records:  # else another process makes the run: it believed this one dead
            facts = {"run": run.name, "stage": last, "status": status, "why": hidden(str(error))}
            write(**found | facts | lost(observers))
        if isinstance(error, SharedStageFailed):
            return
        raise
    finally:
        for observer in observers:
            if observer.news:
                watch.note(observer.news)
    outcome = store.outcome(last)
    notes = [f"{outcome['term']} at step {outcome['step']}"] if recorded.status == "diverged" else []
    why = "; ".join(notes)
    write(status=recorded.status, record=recorded.id, results=recorded.result, why=why, **lost(observers))


def lost(observers: Sequence[Guarded]) -> dict[str, dict[str, str]]:
    """``lost``: why observers do not have a run, by their names; empty if all have it."""
    found = {observer.name: observer.lost for observer in observers if observer.lost}
    return {"lost": found} if found else {}


class _Recording(Watch):
    """A watch that also writes a stage's terms into the run's record."""

    def __init__(self, watch: Watch, log: Log, role: str) -> None:
        self._watch, self._log, self._role = watch, log, role

    @property
    def stopping(self) -> bool:
        return self._watch.stopping

    def progress(self, key: str, done: int, total: int) -> None:
        self._watch.progress(key, done, total)

    def note(self, text: str) -> None:
        self._watch.note(text)

    def logged(self, key: str, step: int, terms: Mapping[str, float]) -> None:
        self._watch.logged(key, step, terms)
        for name, value in terms.items():
            self._log.scalar(f"{self._role}.{name}", value, step)


def _results(log: Log, folder: Path) -> dict[str, float]:
    """The mean of each score. The record also gets a strip of sample images."""
    evaluation = Evaluation.read(folder)
    if evaluation.pictures:
        pictures = load_file(folder / "pictures.safetensors")
        strip = np.vstack([np.hstack(list(pictures[kind])) for kind in PICTURES])  # each kind: (N, H, W, 3)
        with tempfile.TemporaryDirectory() as place:
            file = Path(place) / "samples.png"
            Image.fromarray(strip).save(file)
            log.artifact(file)
    return {f"{metric} {region} {output}": mean for (output, region, metric), mean in evaluation.means().items()}
