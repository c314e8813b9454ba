"""The state of a stage in training: networks with their optimisers, logged terms, checkpoints.

A stage that is resumed from a checkpoint ends with the same bytes as one that was never interrupted.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save, save_file
from torch import Tensor, nn

from models.host import on_host
from study.files import open_file
from study.plan.graph import Stage
from study.store import Damaged, Store, write_atomically
from study.training.machine import machine

VANISHED, EXPLODED = 1e-4, 1e4  # bounds of the mean size of a critic's scores, outside of which a warning is logged
KEPT = ("step", "seconds", "steps", "terms", "warnings", "scale")  # kept by a checkpoint, besides tensors
FIRST_LOG = 10  # stages with critics also log here, so that their growth has a beginning whatever ``log_every`` is
CHECKPOINT_S = 10.0  # the least time between two checkpoints
CHECKPOINT_SHARE = 0.01  # the most of a stage's time that they take
EVERY_STEP = ("generator.adversarial_gradient",)  # terms that are also stored for each step


class Watch(Protocol):
    """Receives the progress of a stage, and can ask it to stop."""

    @property
    def stopping(self) -> bool:
        """True to stop after the next checkpoint."""

    def progress(self, key: str, done: int, total: int) -> None:
        """Receives the number of steps or images that are done."""

    def note(self, text: str) -> None:
        """Receives a sentence for the user. May do nothing."""
        return

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


@dataclass(eq=False)
class TrainingState:
    """One stage in training: its learners, what it logged, and its next step (from 0)."""

    stage: Stage
    store: Store
    learners: list[Learner]
    step: int = 0
    seconds: float = 0.0  # spent so far
    steps: list[int] = field(default_factory=list)  # at which a log interval ended
    terms: dict[str, list[float | None]] = field(default_factory=dict)  # the mean of each term over each interval
    pending: dict[str, list[Tensor]] = field(default_factory=dict)  # the terms since then, on the device
    diverged: tuple[int, str] | None = None  # step and term of the first value that was not finite
    warnings: list[str] = field(default_factory=list)
    every_step: dict[str, Tensor] = field(default_factory=dict)  # of the terms EVERY_STEP: (steps,) float32, on the CPU
    scale: float | None = None  # of the critics' weights, if they are a share of L_r's gradient

    @property
    def checkpoint(self) -> Path:
        return self.store.checkpoint(self.stage.key)

    def copy(self) -> bytes:
        """The content of a checkpoint: a copy of all that the stage carries from step to step, and its digest."""
        tensors = {f"pending:{name}": on_host(torch.stack(values)) for name, values in self.pending.items()}
        tensors |= {f"every_step:{name}": values for name, values in self.every_step.items()}
        for learner in self.learners:
            for part, values in zip(("weights", "state"), learner.tensors(), strict=True):
                tensors |= {f"{learner.name}:{part}:{name}": value for name, value in values.items()}
        facts = {name: getattr(self, name) for name in KEPT} | {"pending": list(self.pending), "key": self.stage.key}
        text = json.dumps(facts)
        return save(tensors, {"facts": text, "digest": _digest(text, tensors)})

    def resume(self, watch: Watch) -> None:
        """Continues from the checkpoint if there is one, otherwise from a shorter published stage.

        A checkpoint that is not exactly what this stage saved is moved to ``out/damaged``.
        """
        try:
            facts, tensors = read_checkpoint(self.checkpoint, self.stage.key)
        except FileNotFoundError:
            self._extend()
            return
        except Damaged as damage:
            place = self.store.set_checkpoint_aside(self.stage.key)
            watch.note(f"damaged: {damage}; it is set aside in {place}, and the stage starts without it")
            self._extend()
            return
        for learner in self.learners:
            learner.load(_under(tensors, f"{learner.name}:weights:"), _under(tensors, f"{learner.name}:state:"))
        pending = _under(tensors, "pending:")  # unordered; the order decides which term a divergence names
        device = next(self.learners[0].network.parameters()).device
        self.pending = {name: list(pending[name].to(device)) for name in facts["pending"]}
        self.every_step = _under(tensors, "every_step:")
        vars(self).update({name: facts[name] for name in KEPT})

    def _extend(self) -> None:
        """Continues from the longest published stage that differs only in its number of steps."""
        if self.stage.lineage is None:
            return
        keys = [file.stem for file in (self.store.out / "made").glob(f"{self.stage.kind}-*.json")]
        shorter = [
            (facts.get("steps", 0), key)
            for key, facts in zip(keys, map(self.store.made, keys), strict=True)
            if facts.get("lineage") == self.stage.lineage
            and facts.get("steps", 0) < self.stage.steps
            and self.store.outcome(key).get("status") == "finished"
            and not self.store.manifest(key).get("removed")  # its optimiser states
        ]
        for steps, key in sorted(shorter, reverse=True):
            try:
                folder = self.store.verified(key)
            except Damaged:
                continue
            series = json.loads((folder / "series.json").read_text())
            if series["step"][-1:] != [steps]:
                continue  # the record of how it was made is damaged
            for learner in self.learners:
                learner.load(*read_learner(folder, learner.name))
            self.step, self.steps, self.terms = steps, series["step"], series["terms"]
            if (every_step := folder / "every_step.safetensors").exists():
                self.every_step = load_file(every_step)
            outcome = self.store.outcome(key)
            self.warnings, self.scale = outcome.get("warnings", []), outcome.get("adversarial_scale")
            self.seconds = self.store.made(key).get("seconds", 0.0)
            return

    def advance(self, watch: Watch) -> None:
        """Counts a step. Logs at the end of an interval."""
        self.step += 1
        first = self.step == FIRST_LOG and self.stage.kind in ("critic", "joint")
        if first or self.step % self.stage.options["log_every"] == 0 or self.step == self.stage.steps:
            for learner in self.learners:
                self.add(learner.interval_terms())
            self._log(watch)
        watch.progress(self.stage.key, self.step, self.stage.steps)

    def add(self, terms: Mapping[str, Tensor]) -> None:
        """Adds the terms of one step. They are read from the device at the end of the interval."""
        for name, value in terms.items():
            self.pending.setdefault(name, []).append(value.detach())

    def _log(self, watch: Watch) -> None:
        """Logs the means of the interval, and notes a divergence or critics whose scores vanish or explode."""
        means = {}
        for name, values in self.pending.items():
            column = on_host(torch.stack(values).float())
            means[name] = column.mean().item()
            if name in EVERY_STEP:
                self.every_step[name] = torch.cat([self.every_step.get(name, column[:0]), column])
            wrong = (~column.isfinite()).nonzero().flatten().tolist()
            if wrong and (self.diverged is None or self.step - len(values) + wrong[0] < self.diverged[0]):
                self.diverged = (self.step - len(values) + wrong[0], name)
        self.pending = {}
        if self.diverged is not None:
            return
        for name in self.terms | means:
            self.terms.setdefault(name, [None] * len(self.steps)).append(means.get(name))
        self.steps.append(self.step)
        for name, value in means.items():
            if name.endswith(".score_size") and not VANISHED <= value <= EXPLODED:
                what = "vanish" if value < VANISHED else "explode"
                warning = f"{name.removesuffix('.score_size')}: its scores {what}"
                if not any(known.startswith(warning) for known in self.warnings):
                    self.warnings.append(f"{warning} (mean size {value:.1e} at step {self.step})")
        watch.logged(self.stage.key, self.step, means)

    def publish(self, device: torch.device) -> None:
        """Publishes weights, optimiser states and series; only the series if the stage diverged."""
        folder = self.store.files(self.stage.key)
        series = {"step": self.steps, "terms": self.terms}
        write_atomically(folder / "series.json", json.dumps(series, sort_keys=True) + "\n")
        if self.every_step:
            save_file(self.every_step, folder / "every_step.safetensors")
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
        if self.scale is not None:
            outcome["adversarial_scale"] = self.scale
        facts = {"key": self.stage.key, "lineage": self.stage.lineage, "steps": self.stage.steps}
        self.store.publish(self.stage.key, outcome, {**facts, "seconds": round(self.seconds, 3), **machine(device)})


class Checkpoints:
    """Writes checkpoints beside the training, one at a time, and so seldom that they take at most 1% of its time.

    A context manager: leaving it waits until the last one is written. ``every_s``: the least time between two; 0 for as
    many as can be written.
    """

    def __init__(self, every_s: float = CHECKPOINT_S) -> None:
        self._every_s, self._due = every_s, time.monotonic() + every_s
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._writing: Future[None] | None = None

    @property
    def due(self) -> bool:
        """True if it is time for the next one."""
        return time.monotonic() >= self._due

    def write(self, states: Sequence[TrainingState]) -> None:
        """Copies the states now, and writes the copies while training goes on. Raises what the last writing raised.

        A stage that has diverged keeps its last checkpoint.
        """
        self._wait()
        started, self._due = time.monotonic(), math.inf
        copies = [(state.checkpoint, state.copy()) for state in states if state.diverged is None]
        self._writing = self._pool.submit(self._write, copies, started)

    def _write(self, copies: Sequence[tuple[Path, bytes]], started: float) -> None:
        for file, content in copies:
            write_atomically(file, content)
        now = time.monotonic()
        pause = (now - started) / CHECKPOINT_SHARE if self._every_s else 0.0
        self._due = now + max(self._every_s, pause)

    def _wait(self) -> None:
        if self._writing is not None:
            self._writing.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()
        self._wait()


def read_checkpoint(file: Path, key: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The facts and the tensors of a checkpoint.

    Raises:
        FileNotFoundError: there is none.
        Damaged: it is not exactly what the stage with this key saved.
    """
    try:
        open_file(file).close()  # safe_open would wait for a pipe
        with safe_open(file, framework="pt") as opened:
            written = opened.metadata() or {}
        tensors = load_file(file)
    except FileNotFoundError:
        raise
    except (OSError, SafetensorError, ValueError) as error:
        raise Damaged(f"{file}: this checkpoint cannot be read ({error})") from None
    if written.get("digest") != _digest(written.get("facts", ""), tensors):
        raise Damaged(f"{file}: this checkpoint is not what was saved")
    facts: dict[str, Any] = json.loads(written["facts"])
    if facts["key"] != key:
        raise Damaged(f"{file}: this checkpoint is one of {facts['key']}")
    return facts, tensors


def _digest(facts: str, tensors: Mapping[str, Tensor]) -> str:
    """The SHA-256 of the facts and of every tensor: its name, type, shape and bytes."""
    digest = hashlib.sha256(facts.encode())
    for name, value in sorted(tensors.items()):
        digest.update(json.dumps([name, str(value.dtype), list(value.shape)]).encode())
        digest.update(value.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def read_learner(folder: Path, name: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The weights and the optimiser's state of a published network."""
    return load_file(folder / f"{name}.safetensors"), load_file(folder / f"{name}.optimizer.safetensors")


def _on_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: on_host(value.detach()).contiguous() for name, value in tensors.items()}


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
