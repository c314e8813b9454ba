"""Making stages by their keys."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime

import torch
from filelock import Timeout

from models.masks import Files
from study.data import DATASETS, holes
from study.errors import Interrupted, StudyError
from study.evaluation.evaluate import evaluate
from study.parts import registries
from study.plan.graph import Plan, Stage
from study.running.machine import machine
from study.store import Store
from study.training.checkpoint import Watch
from study.training.fit import fit
from study.training.loop import train

LOCK_WAIT_S = 0.5


def make(keys: Sequence[str], plan: Plan, store: Store, watch: Watch, device: torch.device) -> None:
    """Makes the stages that are missing: one stage, or the critics of one pass. Their inputs must be published.

    Each stage is locked meanwhile. Another process that works in the same output waits, and then finds it published.
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
                    stage, store, watch, device=device, machine_facts=lambda: machine(device)
                )
        else:
            train(stages, store, watch, device=device, machine_facts=lambda: machine(device))


def _pack(stage: Stage, store: Store, watch: Watch) -> None:
    """Packs a data set's images or the masks of a folder, and publishes them."""
    started = datetime.now(UTC)
    options = stage.hints["options"]
    folder, side = store.workspace(stage.key) / "files", stage.options["image_size"]

    def report(done: int, total: int) -> None:
        watch.progress(stage.key, done, total)
        if watch.stopping:
            raise Interrupted

    if "masks" in stage.options:
        files = Files.model_validate(options)
        _check_unchanged(holes.identity(files, side) == stage.options["masks"], "masks")
        holes.pack(files, side, folder)
    else:
        dataset = DATASETS[options["kind"]].model_validate(options)
        identity = {**dataset.identity(), "version": registries.version("DATASETS", options["kind"])}
        _check_unchanged(identity == stage.options["dataset"], "images")
        dataset.pack(side, folder, report)
    seconds = (datetime.now(UTC) - started).total_seconds()
    facts = {"key": stage.key, "seconds": round(seconds, 3), **machine(torch.device("cpu"))}
    store.publish(stage.key, {"status": "finished"}, facts)


def _check_unchanged(same: bool, what: str) -> None:
    if not same:
        raise StudyError(f"its {what} have changed since the study was planned; run the same command again")
