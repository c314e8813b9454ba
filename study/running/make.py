"""Making stages by their keys."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

import torch

from models.masks import Files
from study.data import DATASETS, duplicates, holes
from study.errors import Interrupted, StudyError, at_file
from study.evaluation.evaluate import evaluate
from study.parts import registries
from study.plan.graph import Plan, Stage
from study.store import Store
from study.training.checkpoint import Watch
from study.training.fit import fit
from study.training.loop import train
from study.training.machine import machine, set_precision


def make(keys: Sequence[str], plan: Plan, store: Store, watch: Watch, device: torch.device) -> None:
    """Makes the stages that are missing: one stage, or the critics of one pass. Their inputs must be published.

    The caller, or the driver that sent this worker, has claimed the stages (``Store.claim``).
    """
    stages = [plan.stages[key] for key in keys if not store.has(key)]
    if not stages:
        return
    kind = stages[0].kind
    if numerics := stages[0].options.get("numerics"):
        set_precision(numerics)
    diverged = [need for need in stages[0].needs.values() if store.outcome(need).get("status") == "diverged"]
    if diverged:  # then what needs it has diverged too
        outcome = {**store.outcome(diverged[0]), "stands_on": diverged[0].split("-")[0]}
        for stage in stages:
            made = {"key": stage.key, "lineage": None, "steps": stage.steps, "seconds": 0.0}
            store.publish(stage.key, outcome, made)
        return
    with at_file(store.out / "making" / stages[0].key):
        if kind == "data":
            _pack(stages[0], store, watch)
        elif kind == "fit":
            fit(stages[0], store, watch, device)
        elif kind == "evaluate":
            evaluate(stages[0], store, watch, device)
        else:
            train(stages, store, watch, device)


def _pack(stage: Stage, store: Store, watch: Watch) -> None:
    """Packs a data set's images or the masks of a folder, and publishes them."""
    started = time.monotonic()
    options = stage.hints["options"]
    folder, side = store.files(stage.key), stage.options["image_size"]

    def report(done: int, total: int) -> None:
        watch.progress(stage.key, done, total)
        if watch.stopping:
            raise Interrupted

    if "masks" in stage.options:
        files = Files.model_validate(options)
        what, planned, found = "masks", stage.options["masks"], holes.identity(files, side)
        pack = partial(holes.pack, files, side, folder)
    else:
        dataset = DATASETS[options["kind"]].model_validate(options)
        what, planned = "images", stage.options["dataset"]
        found = {**dataset.identity(), "version": registries.version("DATASETS", options["kind"])}
        pack = partial(dataset.pack, side, folder, report)
    if found != planned:
        raise StudyError(f"its {what} have changed since the study was planned; run the same command again")
    pack()
    counts = {"duplicates": duplicates.counts(duplicates.found(folder, report))} if what == "images" else {}
    seconds = round(time.monotonic() - started, 3)
    made = {"key": stage.key, "seconds": seconds, **machine(torch.device("cpu")), **counts}
    store.publish(stage.key, {"status": "finished"}, made)
