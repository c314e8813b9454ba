"""The state of a stage in training: networks with their optimisers, logged series, checkpoints.

A stage that is resumed from a checkpoint ends with the same bytes as one that was never interrupted.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from study.plan.graph import Stage
from study.store import Damaged, Store, read_facts, write_atomically

MachineFacts = Callable[[], Mapping[str, Any]]
"""Gives what to record about the machine, called when a stage is finished."""

VANISHED, EXPLODED = 1e-4, 1e4  # bounds of the mean size of a critic's scores, outside of which a warning is logged


class Watch(Protocol):
    """Receives the progress of a stage, and can ask it to stop."""

    @property
    def stopping(self) -> bool:
        """True to stop after the next checkpoint."""

    def progress(self, key: str, done: int, total: int) -> None:
        """Receives the number of steps or images that are done."""

    def logged(self, key: str, step: int, terms: Mapping[str, float]) -> None:
        """Receives the means of a stage's terms over the log interval that ends at ``step``. May do nothing."""
        return


@dataclass(eq=False)
class Learner:
    """A network with its optimiser."""

    name: str
    network: nn.Module
    optimizer: torch.optim.Optimizer

    def tensors(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Weights and buffers, and the optimiser's state by ``parameter/entry``: contiguous tensors on the CPU."""
        state = {
            f"{name}/{entry}": value
            for name, parameter in self.network.named_parameters()
            for entry, value in self.optimizer.state.get(parameter, {}).items()
        }
        return _on_cpu(self.network.state_dict()), _on_cpu(state)

    def interval_terms(self) -> dict[str, Tensor]:
        """Terms that are logged once per interval instead of at every step."""
        return {}

    def load(self, weights: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
        """Copies weights and optimiser state. Nothing is shared with the source."""
        self.network.load_state_dict(weights)
        parameters = dict(self.network.named_parameters())
        self.optimizer.state.clear()
        for key, value in state.items():
            name, entry = key.rsplit("/", 1)
            parameter = parameters[name]
            if value.dim():  # on the parameter's device, in its memory format; step counts stay on the CPU
                value = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
            self.optimizer.state[parameter][entry] = value.clone()


@dataclass
class Series:
    """The logged terms: means over ``every`` steps. Values are read from the device once per interval."""

    every: int
    steps: list[int] = field(default_factory=list)
    rows: list[dict[str, float]] = field(default_factory=list)
    pending: dict[str, list[Tensor]] = field(default_factory=dict)

    def add(self, terms: Mapping[str, Tensor]) -> None:
        """Adds the terms of one step without reading them from the device."""
        for name, value in terms.items():
            self.pending.setdefault(name, []).append(value.detach())

    def flush(self, step: int) -> tuple[dict[str, float], tuple[int, str] | None]:
        """Returns the means of the pending values, and the first step and term that are not finite, if any."""
        first: tuple[int, str] | None = None
        means = {}
        for name, values in self.pending.items():
            column = torch.stack(values).float().cpu()
            means[name] = column.mean().item()
            wrong = (~column.isfinite()).nonzero().flatten().tolist()
            if wrong and (first is None or step - len(values) + wrong[0] < first[0]):
                first = (step - len(values) + wrong[0], name)
        self.pending = {}
        if first is None:
            self.steps.append(step)
            self.rows.append(means)
        return means, first

    def text(self) -> str:
        """The content of ``series.json``: ``{"step": [...], "terms": {name: [...]}}``."""
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        terms = {name: [row.get(name) for row in self.rows] for name in names}
        return json.dumps({"step": self.steps, "terms": terms}, sort_keys=True) + "\n"


@dataclass(eq=False)
class TrainingState:
    """One stage in training: its learners, its series, and its next step (from 0).

    ``diverged``: the step and the term of the first value that was not finite. ``seconds``: the time spent so far.
    """

    stage: Stage
    store: Store
    learners: list[Learner]
    series: Series
    step: int = 0
    seconds: float = 0.0
    diverged: tuple[int, str] | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def checkpoint(self) -> Path:
        return self.store.workspace(self.stage.key) / "checkpoint.safetensors"

    def save(self, seconds: float = 0.0) -> None:
        """Writes a checkpoint, to a second file that is then renamed, so that a kill leaves the old or the new one.

        ``seconds``: time since the last checkpoint. A stage that diverged keeps its last checkpoint.
        """
        self.seconds += seconds
        if self.diverged is not None:
            return
        tensors = {f"pending:{name}": torch.stack(values).cpu() for name, values in self.series.pending.items()}
        for learner in self.learners:
            for part, values in zip(("weights", "state"), learner.tensors(), strict=True):
                tensors |= {f"{learner.name}:{part}:{name}": value for name, value in values.items()}
        facts = {"step": self.step, "steps": self.series.steps, "rows": self.series.rows}
        facts |= {"seconds": self.seconds, "warnings": self.warnings, "pending": list(self.series.pending)}
        aside = self.checkpoint.with_suffix(".aside")
        save_file(tensors, aside, metadata={"facts": json.dumps(facts)})
        with aside.open("rb+") as stream:
            os.fsync(stream.fileno())
        aside.replace(self.checkpoint)

    def resume(self) -> None:
        """Continues from the checkpoint if there is a readable one, otherwise from a shorter published stage."""
        try:
            with safe_open(self.checkpoint, framework="pt") as opened:
                facts = json.loads((opened.metadata() or {}).get("facts", ""))
            tensors = load_file(self.checkpoint)
        except (OSError, SafetensorError, ValueError):
            self._extend()
            return
        for learner in self.learners:
            learner.load(_under(tensors, f"{learner.name}:weights:"), _under(tensors, f"{learner.name}:state:"))
        pending = _under(tensors, "pending:")  # unordered; the order decides which term a divergence names
        self.series.pending = {name: list(pending[name]) for name in facts["pending"]}
        self.series.steps, self.series.rows = facts["steps"], facts["rows"]
        self.step, self.seconds, self.warnings = facts["step"], facts["seconds"], facts["warnings"]

    def _extend(self) -> None:
        """Continues from the longest published stage that differs only in its number of steps."""
        if self.stage.lineage is None:
            return
        made = map(read_facts, (self.store.out / "made").glob(f"{self.stage.kind}-*.json"))
        shorter = [
            (facts["steps"], facts["key"])
            for facts in made
            if facts.get("lineage") == self.stage.lineage
            and facts["steps"] < self.stage.steps
            and self.store.outcome(facts["key"]).get("status") == "finished"
        ]
        for steps, key in sorted(shorter, reverse=True):
            with contextlib.suppress(Damaged):  # try the next shorter one
                self._load_published(key, steps)
                return

    def _load_published(self, key: str, steps: int) -> None:
        """Loads a published stage of so many steps. Raises Damaged before it changes anything."""
        folder = self.store.verified(key)
        for learner in self.learners:
            learner.load(*read_learner(folder, learner.name))
        series = json.loads((folder / "series.json").read_text())
        self.series.steps = series["step"]
        self.series.rows = [
            {name: values[i] for name, values in series["terms"].items() if values[i] is not None}
            for i in range(len(series["step"]))
        ]
        self.warnings = list(self.store.outcome(key).get("warnings", []))
        self.seconds = self.store.made(key).get("seconds", 0.0)
        self.step = steps

    def advance(self, watch: Watch) -> None:
        """Counts a step. Logs at the end of an interval."""
        self.step += 1
        if self.step % self.series.every == 0 or self.step == self.stage.steps:
            for learner in self.learners:
                self.series.add(learner.interval_terms())
            self._log(watch)
        watch.progress(self.stage.key, self.step, self.stage.steps)

    def _log(self, watch: Watch) -> None:
        """Logs the means since the last call, and notes a divergence or critics whose scores vanish or explode."""
        means, self.diverged = self.series.flush(self.step)
        if self.diverged is not None:
            return
        for name, value in means.items():
            if name.endswith(".score_size") and not VANISHED <= value <= EXPLODED:
                what = "vanish" if value < VANISHED else "explode"
                warning = f"{name.removesuffix('.score_size')}: its scores {what}"
                if not any(known.startswith(warning) for known in self.warnings):
                    self.warnings.append(f"{warning} (mean size {value:.1e} at step {self.step})")
        watch.logged(self.stage.key, self.step, means)

    def publish(self, machine_facts: Mapping[str, Any]) -> None:
        """Publishes weights, optimiser states and series; only the series if the stage diverged."""
        folder = self.store.workspace(self.stage.key) / "files"
        write_atomically(folder / "series.json", self.series.text())
        outcome: dict[str, Any] = {"status": "finished"}
        if self.diverged is not None:
            outcome = {"status": "diverged", "step": self.diverged[0], "term": self.diverged[1]}
        else:
            for learner in self.learners:
                weights, state = learner.tensors()
                save_file(weights, folder / f"{learner.name}.safetensors")
                save_file(state, folder / f"{learner.name}.optimizer.safetensors")
        if self.warnings:
            outcome["warnings"] = self.warnings
        facts = {"key": self.stage.key, "lineage": self.stage.lineage, "steps": self.stage.steps}
        self.store.publish(self.stage.key, outcome, {**facts, "seconds": round(self.seconds, 3), **machine_facts})


def read_learner(folder: Path, name: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The weights and the optimiser's state of a published network."""
    return load_file(folder / f"{name}.safetensors"), load_file(folder / f"{name}.optimizer.safetensors")


def _on_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
