"""The check that a tiny study with a part runs, and gives the same bytes twice."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from study import config
from study.conformance.expectation import Part
from study.conformance.networks import SIDES, side_of
from study.conformance.parts import IMAGES, defaulted, small
from study.errors import BadInput, Interrupted, StudyError
from study.parts import plugins
from study.plan import planner
from study.plan.graph import Plan
from study.running import make
from study.store import Store

DEFAULTS = {"batch": 2, "steps": {"pretrain": 2, "critic": 2, "joint": 2}, "width": 1 / 16, "log_every": 2}
REQUIRED = {"wgan": {"clip": 0.01}, "wgan_gp": {"penalty": 10.0}}
"""Options that our losses require."""


def joins_a_study(part: Part) -> None:
    """A study of one run with the part runs, and a second time with the same bytes.

    The second time a ``fit`` is interrupted first, and then starts over.
    """
    with tempfile.TemporaryDirectory() as place:
        plan = plan_with(part, Path(place))
        first, second = Store(Path(place) / "first"), Store(Path(place) / "second")
        make_all(plan, first)
        try:
            make_all(plan, second, batches=1)
        except Interrupted:
            make_all(plan, second)
        except StudyError as error:  # it took fewer batches than the first time
            if "fit" not in plan.runs[0].stages:
                raise
            why = "its fit does not stop when asked to; do not catch what 'for ... in training' raises"
            raise StudyError(why) from error
        different = [stage.kind for key, stage in plan.stages.items() if first.manifest(key) != second.manifest(key)]
    if different:
        how = "draw random numbers from torch, which is seeded, or from numpy.random.default_rng(training.seed)"
        raise StudyError(f"a second run gives different bytes in {', '.join(different)}; {how}")


def plan_with(part: Part, place: Path) -> Plan:
    """The plan of a study of one run with the part. Its file is written into the folder ``place``."""
    file = place / "study.yaml"
    file.write_text(json.dumps(_study(part)), encoding="utf-8")
    try:
        return planner.make_plan(config.load(file))
    except BadInput as error:
        raise BadInput([fault.replace(f"{place}/", "") for fault in error.faults]) from error


def _study(part: Part) -> dict[str, Any]:
    """A study of one variant that uses the part."""
    side, data, protocol = SIDES[0], {"kind": "faces", **IMAGES}, {}
    variant: dict[str, Any] = {"method": "mean"}
    if part.registry in ("METHODS", "MASKS"):
        defaulted(part.entry)  # raises if an option has no default
    if part.registry == "METHODS":
        side, variant = side_of(part.entry), {"method": part.name}
    elif part.registry == "LOSSES":
        recipe = {"kind": part.name, "optimizer": {"kind": "adam", "lr": 1e-4}, **REQUIRED.get(part.name, {})}
        variant = {"method": "proposed", "multiscale": 0, "loss": recipe}
    elif part.registry == "MASKS":
        protocol = {"mask": {"kind": part.name}}
        variant = {"method": "reconstruction_only", **protocol}
    elif part.registry == "DATASETS":
        data = small(part.entry).model_dump(mode="json", exclude_none=True)
    return {
        "plugins": [str(plugin.file) for plugin in plugins.used()],
        "seeds": [0],
        "defaults": DEFAULTS,
        "image_size": side,
        "data": {"data": data},
        "protocol": protocol,
        "variants": {"checked": variant},
    }


def make_all(plan: Plan, store: Store, batches: float = math.inf) -> None:
    """Makes the missing stages of a plan of one run; a ``fit`` stops after some batches."""
    (run,) = plan.runs
    for role, key in run.stages.items():
        make.make([key], plan, store, StopsAfter(batches if role == "fit" else math.inf), torch.device("cpu"))
        outcome = store.outcome(key)
        if outcome.get("status") == "diverged":
            raise StudyError(f"it diverged: {outcome['term']} is not finite at step {outcome['step']}")


class StopsAfter:
    """A silent watch that asks to stop after some steps."""

    def __init__(self, steps: float = math.inf) -> None:
        self._left = steps

    @property
    def stopping(self) -> bool:
        return self._left <= 0

    def progress(self, key: str, done: int, total: int) -> None:
        self._left -= 1

    def note(self, text: str) -> None:
        pass

    def logged(self, key: str, step: int, terms: Mapping[str, float]) -> None:
        pass
