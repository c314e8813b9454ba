"""A search whose score is known in closed form: stages are published at once, and nothing is trained."""

from __future__ import annotations

import json
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from at_once import AtOnce
from safetensors.numpy import save_file

from study.config import load
from study.plan.graph import Plan, Stage
from study.running import workers
from study.running.executors import Task
from study.search import tune
from study.store import RunState, Store

BEST = {"local": 1e-2, "global": 1e-4}
TOP = 30.0


def score(weights: dict[str, float], steps: int = 8, seed: int = 1000) -> float:
    """The planted PSNR: best at ``BEST``, better after more steps, and another at each seed."""
    return TOP - sum(np.log10(weights[name] / best) ** 2 for name, best in BEST.items()) + steps / 8 + seed % 7


class Planted(AtOnce):
    """Publishes what it is told to make; an evaluation holds the score of its joint stage's weights.

    ``wild``: whether a trial with these weights diverges.
    """

    def __init__(
        self, store: Store, *, wild: Callable[[dict[str, float]], bool] = lambda weights: False, **more: Any
    ) -> None:
        super().__init__(store, **more)
        self.wild = wild
        self.made: list[str] = []

    def make(self, plan: Plan, task: Task) -> None:
        for key in task.keys:
            if not self.store.has(key):
                self.publish(plan, plan.stages[key])
        if task.run:
            run = next(run for run in plan.runs if run.name == task.run)
            last = run.stages["evaluate"]
            status = "diverged" if self.store.outcome(last)["status"] == "diverged" else "completed"
            RunState.of(self.store.out, run.name).write(run=run.name, status=status, record="7", stage=last)

    def publish(self, plan: Plan, stage: Stage) -> None:
        """One stage, as a worker leaves it."""
        self.made.append(stage.key)
        outcome: dict[str, Any] = {"status": "finished"}
        folder = self.store.files(stage.key)
        if stage.kind in ("joint", "evaluate"):
            joint = stage if stage.kind == "joint" else plan.stages[stage.needs["model"]]
            weights = {name: critic["weight"] for name, critic in joint.options["critics"].items()}
            if self.wild(weights):
                outcome = {"status": "diverged", "step": 1, "term": "generator.reconstruction"}
            elif stage.kind == "evaluate":
                assert stage.options["part"] == "validation"
                value = score(weights, joint.steps, joint.seed or 0)
                save_file({"scores": np.array([[value - 1], [value + 1]])}, folder / "scores.safetensors")
                facts = {"columns": [["composite", "hole", "psnr"]], "images": ["a", "b"], "pictures": []}
                (folder / "evaluation.json").write_text(json.dumps(facts))
        self.store.publish(stage.key, outcome, {"key": stage.key, "steps": stage.steps, "lineage": stage.lineage})


def share(file: Path, out: Path, trials: int, pipe: Connection) -> None:
    """One of several processes that share a search: it says when its first trial is half-way, and waits for an answer.

    After that it sends the number of each trial that it tells.
    """
    study, store = load(file), Store(out)
    with workers.working(out, "tune") as worker:
        tuner = tune.Tuner(study, study.variants["toy"], store, worker=worker, device="cpu", trials=trials)
        tuner.on_trial = lambda trial, state: pipe.send(trial["number"])
        waited: list[Task] = []

        def fate(task: Task) -> None:
            if task.run and not waited:  # its own: what trials share is made by one of them
                pipe.send("half-way")
                pipe.recv()
                waited.append(task)

        tuner.run(Planted(store, fate=fate))
    pipe.send(None)
