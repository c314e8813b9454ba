"""A tiny study, made twice in a few steps, to see whether it can be made and whether its bytes are the same."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from study import config
from study.errors import BadInput, Interrupted, StudyError
from study.plan import planner
from study.plan.graph import Plan
from study.running import make
from study.store import Store

STEPS = 2
DEFAULTS = {
    "batch": 2,
    "steps": {"pretrain": STEPS, "critic": STEPS, "joint": STEPS},
    "width": 1 / 16,
    "log_every": 1,
}


def rehearse(study: Mapping[str, Any], plugins: Sequence[Path]) -> None:
    """Makes a study of one run twice; a training of its own is interrupted the second time, and begins again.

    Raises StudyError where it diverges, does not stop when it is asked to, or ends with other bytes the second time;
    BadInput where it cannot be planned; and whatever its parts raise.
    """
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "study.yaml"
        tiny = {"plugins": [str(plugin) for plugin in plugins], "seeds": [0], "defaults": DEFAULTS, **study}
        file.write_text(json.dumps(tiny), encoding="utf-8")
        try:
            plan = planner.make_plan(config.load(file))
        except BadInput as error:
            raise BadInput([fault.replace(f"{place}/", "") for fault in error.faults]) from error
        first, second = Store(Path(place) / "first"), Store(Path(place) / "second")
        _make(plan, first)
        _interrupt(plan, second)
        _make(plan, second)
        other = [stage.kind for key, stage in plan.stages.items() if first.manifest(key) != second.manifest(key)]
    if other:
        raise StudyError(
            f"made twice, {', '.join(other)} has other bytes the second time; take all chance from torch, which is "
            "seeded, or from numpy.random.default_rng(training.seed)"
        )


def _make(plan: Plan, store: Store) -> None:
    """Makes what is not there yet of a plan of one run. Raises StudyError where it diverges."""
    (run,) = plan.runs
    for key in run.stages.values():
        make.make([key], plan, store, _Watch(), torch.device("cpu"))
        outcome = store.outcome(key)
        if outcome.get("status") == "diverged":
            raise StudyError(f"it diverged: {outcome['term']} is not finite at step {outcome['step']}")


def _interrupt(plan: Plan, store: Store) -> None:
    """Asks a method's own training to stop after its first batch. Raises StudyError where it does not."""
    (run,) = plan.runs
    if "fit" not in run.stages:
        return
    for role, key in run.stages.items():
        watch = _Watch(stop_after=1 if role == "fit" else None)
        try:
            make.make([key], plan, store, watch, torch.device("cpu"))
        except Interrupted:
            return
        except StudyError as error:  # it took fewer batches than it was given, which it did not the first time
            told = "its fit did not end when it was asked to stop; let what 'for ... in training' raises pass"
            raise StudyError(told) from error


class _Watch:
    """A watch that says nothing, and asks to stop after so many steps."""

    def __init__(self, stop_after: int | None = None) -> None:
        self._steps, self._stop_after = 0, stop_after

    @property
    def stopping(self) -> bool:
        return self._stop_after is not None and self._steps >= self._stop_after

    def progress(self, key: str, done: int, total: int) -> None:
        self._steps += 1

    def logged(self, key: str, step: int, terms: Mapping[str, float]) -> None:
        pass
