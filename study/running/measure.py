"""Measures what the stages of a plan cost on this machine."""

from __future__ import annotations

import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import torch

from study.data import Faces
from study.plan.graph import KINDS, Plan, Stage, json_digest
from study.plan.overview import Cost
from study.running.make import make
from study.store import Store
from study.training.checkpoint import Watch
from study.training.machine import peak_memory, prepare

MEASURED_STEPS = 6
WARM_UP = 2


class _Clock(Watch):
    """Records the time at which each step of each stage ends."""

    stopping = False

    def __init__(self) -> None:
        self.ends: dict[str, list[float]] = {}

    def progress(self, key: str, done: int, total: int) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.ends.setdefault(key, []).append(time.monotonic())


def measure(plan: Plan, device_kind: str) -> dict[str, Cost]:
    """Runs a few steps of each distinct trained stage. Returns the cost of every trained stage by key.

    The stages are made in a temporary folder, on drawn portraits of the study's size instead of its data.
    """
    device = prepare(device_kind)
    measured: dict[str, Cost] = {}
    costs: dict[str, Cost] = {}
    short = replace(plan, stages={key: _short(stage) for key, stage in plan.stages.items()})
    needed = {need for stage in plan.stages.values() for need in stage.needs.values()}
    alone = [[key] for key, stage in plan.stages.items() if stage.kind not in ("critic", "evaluate")]
    groups = [*alone, *plan.passes()]  # the critics of one pass share G's forward pass
    groups.sort(key=lambda keys: KINDS.index(plan.stages[keys[0]].kind))  # inputs first
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        for keys in groups:
            name = json_digest([_cost_group(plan.stages[key]) for key in keys])
            clock = _Clock()
            if name not in measured or needed.intersection(keys):
                _reset_peak(device)
                make(keys, short, store, clock, device)
            if name not in measured:
                ends = clock.ends.get(keys[-1], [])
                steps = [after - before for before, after in pairwise(ends)][WARM_UP:]
                size = sum(file.stat().st_size for key in keys for file in store.folder(key).rglob("*"))
                step_s = median(steps) / len(keys) if plan.stages[keys[0]].steps else 0.0
                measured[name] = Cost(step_s, peak_memory(device), size // len(keys))
            costs |= {key: measured[name] for key in keys if plan.stages[key].steps}
    return costs


def _cost_group(stage: Stage) -> list[Any]:
    """Equal for stages whose steps cost the same: the options that do not count steps."""
    uncounted = ("steps", "first_update", "log_every", "dataset")
    return [stage.kind, {key: value for key, value in stage.options.items() if key not in uncounted}]


def _short(stage: Stage) -> Stage:
    if stage.kind == "data":
        drawn = Faces(kind="faces", train=64, validation=1, test=1)
        dataset = {**drawn.identity(), "version": drawn.version}
        options = {**stage.options, "dataset": dataset}
        return replace(stage, options=options, hints={"options": drawn.model_dump(mode="json")})
    return replace(stage, options={**stage.options, "steps": MEASURED_STEPS, "log_every": MEASURED_STEPS})


def _reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        with suppress(OSError):  # on other systems the peak is that of the whole process
            Path("/proc/self/clear_refs").write_text("5")
