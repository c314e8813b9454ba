"""Measures what the stages of a plan cost on this machine: data, training, evaluation, memory, disk."""

from __future__ import annotations

import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import torch

from study.data import Faces
from study.data.device import SHARE, free_memory
from study.errors import Interrupted
from study.evaluation.evaluate import BATCH
from study.plan.graph import KINDS, Plan, Stage, json_digest
from study.plan.hours import images_of
from study.plan.overview import Cost
from study.running.make import make
from study.store import Store
from study.training.checkpoint import Watch
from study.training.machine import peak_memory, prepare

STEPS, WARM_UP = 8, 2
TESTED = 2 * BATCH  # test images that are evaluated, at most
PACKED_S = 4.0  # after which the packing of a data set is stopped


@dataclass
class _Clock(Watch):
    """Records when each step of each stage ends, on the device. Stops the packing of a data set after some seconds."""

    ends: dict[str, list[float]] = field(default_factory=dict)
    done: tuple[int, int] = (0, 1)  # of the last report
    stop_at: float = float("inf")

    @property
    def stopping(self) -> bool:
        return time.monotonic() > self.stop_at

    def progress(self, key: str, done: int, total: int) -> None:
        if torch.accelerator.is_available():
            torch.accelerator.synchronize()
        self.ends.setdefault(key, []).append(time.monotonic())
        self.done = done, total


def measure(plan: Plan, device_kind: str) -> dict[str, Cost]:
    """Runs a few steps of each distinct stage. Returns the cost of every stage by key.

    The stages are made in a temporary folder. They train on drawn portraits of the study's size instead of its data,
    of which only some seconds of packing are measured.
    """
    device = prepare(device_kind)
    short = replace(plan, stages={key: _short(plan, stage) for key, stage in plan.stages.items()})
    needed = {need for stage in plan.stages.values() for need in stage.needs.values()}
    groups = [[key] for key, stage in plan.stages.items() if stage.kind != "critic"] + plan.passes()
    groups.sort(key=lambda keys: KINDS.index(plan.stages[keys[0]].kind))  # inputs first
    measured: dict[str, Cost] = {}  # of each distinct group
    costs: dict[str, Cost] = {}
    with tempfile.TemporaryDirectory() as folder:
        store, packing = Store(Path(folder) / "short"), Store(Path(folder) / "whole")
        for keys in groups:
            stages = [plan.stages[key] for key in keys]
            name = json_digest([_cost_group(stage) for stage in stages])
            if name not in measured or needed.intersection(keys):
                _reset_peak(device)
                clock, started = _Clock(), time.monotonic()
                make(keys, short, store, clock, device)
                ended = time.monotonic()
                size = sum(file.stat().st_size for key in keys for file in store.folder(key).rglob("*")) // len(keys)
                cost = Cost(0.0, ended - started, peak_memory(device), size)
                if stages[0].kind == "data":
                    measured[name] = _packing(keys[0], plan, packing, cost)
                elif stages[0].kind == "evaluate":
                    measured[name] = _evaluating(plan, stages[0], clock.ends.get(keys[0], []), cost)
                else:
                    measured[name] = _training(plan, stages, clock.ends.get(keys[-1], []), cost, device)
            costs |= dict.fromkeys(keys, measured[name])
    return costs


def _training(plan: Plan, stages: list[Stage], ends: list[float], short: Cost, device: torch.device) -> Cost:
    """The cost of a trained stage, or of each critic of a pass, from that of a few steps."""
    steps = [after - before for before, after in pairwise(ends)][WARM_UP:]
    step_s = median(steps) if steps else 0.0
    total_s = short.total_s + (stages[0].steps - STEPS) * step_s
    dataset = plan.stages[stages[0].needs["data"]].options["dataset"]
    images = images_of(dataset, "train") * 3 * plan.study.image_size**2
    free = free_memory(device)  # None on a CPU, which reads them from their file
    memory = short.memory + (images if free is not None and images <= SHARE * free else 0)
    return Cost(step_s / len(stages), max(0.0, total_s) / len(stages), memory, short.disk)


def _evaluating(plan: Plan, stage: Stage, starts: list[float], short: Cost) -> Cost:
    """The cost of an evaluation, from that of a part of the images."""
    wanted = stage.options.get("images") or images_of(plan.stages[stage.needs["data"]].options["dataset"], "test")
    batch_s = median([after - before for before, after in pairwise(starts)] or [0.0])
    return replace(short, total_s=short.total_s + batch_s * max(0, wanted - TESTED) / BATCH)


def _packing(key: str, plan: Plan, store: Store, short: Cost) -> Cost:
    """The cost of packing a data set, or masks, from that of its first images."""
    started = time.monotonic()
    clock = _Clock(stop_at=started + PACKED_S)
    with suppress(Interrupted):
        make([key], plan, store, clock, torch.device("cpu"))
    done, total = clock.done
    pixels = 3 * plan.study.image_size**2 * total
    return replace(short, total_s=(time.monotonic() - started) * total / max(1, done), disk=max(short.disk, pixels))


def _cost_group(stage: Stage) -> list[Any]:
    """Equal for stages whose steps cost the same: the options that do not count steps."""
    uncounted = () if stage.kind == "data" else ("first_update", "log_every")
    return [stage.kind, {key: value for key, value in stage.options.items() if key not in uncounted}]


def _short(plan: Plan, stage: Stage) -> Stage:
    """A stage that costs little, and as much for each step or image."""
    if stage.kind == "evaluate":
        return stage
    if stage.kind != "data":
        return replace(stage, options={**stage.options, "steps": STEPS, "log_every": STEPS})
    if "masks" in stage.options:
        return stage
    tested = min(TESTED, images_of(stage.options["dataset"], "test") or TESTED)
    drawn = Faces(kind="faces", train=64, validation=1, test=tested)
    dataset = {**drawn.identity(), "version": drawn.version}
    options = {**stage.options, "dataset": dataset}
    return replace(stage, options=options, hints={"options": drawn.model_dump(mode="json")})


def _reset_peak(device: torch.device) -> None:
    if device.type in ("cuda", "xpu"):
        torch.get_device_module(device).reset_peak_memory_stats(device)
    else:
        with suppress(OSError):  # on other systems the peak is that of the whole process
            Path("/proc/self/clear_refs").write_text("5")
