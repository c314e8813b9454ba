"""Finished runs, opened for use: which run is meant, and the model that it made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.masking import erase
from models.method import Fill
from study.data import Packed
from study.errors import BadInput, near
from study.evaluation.evaluate import repairer
from study.parts import plugins, registries
from study.plan.graph import Plan, Run, Stage
from study.seeds import numpy_rng
from study.store import RunState, Store
from study.training.checkpoint import read_learner

NAMED = 12
"""Runs that a message names at most."""


@dataclass(frozen=True)
class Finished:
    """A completed run of an output folder."""

    store: Store
    plan: Plan
    run: Run

    @classmethod
    def find(cls, out: Path, named: str) -> Finished:
        """The run that ``named`` means: VARIANT, VARIANT/DATA, VARIANT/SEED or VARIANT/DATA/SEED.

        What it leaves open: the study's first data set, and the lowest seed whose run is completed. The parts that the
        study's plugins bring are listed then.

        Raises BadInput where there is no study, no such run, or none that is completed.
        """
        store, plan = Store(out), Plan.of(out)
        order = list(plan.study.data)
        meant = [run for run in plan.runs if named in _names(run)]
        if not meant:
            raise BadInput(f"{named}: no run of {out} has this name; {_choice(named, plan, store)}")
        words = {run.name: _word(run, store) for run in meant}
        there = [run for run in meant if words[run.name] == "completed"]
        if not there:
            states = "; ".join(f"{run.name} is {words[run.name]}" for run in meant[:NAMED])
            raise BadInput(f"{named}: none of its runs is completed: {states}; {_choice(named, plan, store)}")
        plugins.use_planned(plan.study.digests, plan.study.command)
        return cls(store, plan, min(there, key=lambda run: (order.index(run.data), run.seed)))

    @property
    def evaluation(self) -> Stage:
        """The run's last stage, which says what was evaluated."""
        return self.plan.stages[self.run.stages["evaluate"]]

    @property
    def image_size(self) -> int:
        """The side of the images that it was trained with, px."""
        return self.plan.study.image_size

    @property
    def filler(self) -> str | None:
        """The filler that the run evaluated, if it is a run of one: nothing was trained."""
        return self.evaluation.options.get("filler")

    @property
    def central_only(self) -> bool:
        """Whether it repairs the central square alone."""
        return bool(getattr(registries.METHODS[self.run.method], "central_only", False))

    @property
    def fill(self) -> Fill:
        """What stands in the holes that the generator is given."""
        fill: Fill = self.evaluation.options.get("fill", "zero")
        return fill

    @property
    def colour(self) -> list[float] | None:
        """The colour that stands there, 0..1; None where it is noise. Raises Damaged where it is the mean of packed
        images that are gone."""
        fill = self.fill
        if fill == "mean":
            return list(Packed(self.store.verified(self.run.stages["data"])).mean)
        return {"zero": [0.0, 0.0, 0.0], "noise": None}[fill] if isinstance(fill, str) else fill

    def weights(self) -> dict[str, Tensor]:
        """The generator's weights and buffers. Raises Damaged."""
        return read_learner(self.store.verified(self.evaluation.needs["model"]), "generator")[0]


class Repairer:
    """What a run made, as a function of images ``(B, 3, side, side)`` in 0..1 and masks ``(B, 1, side, side)``.

    It takes CPU tensors, and returns a prediction of the images' shape, in 0..1, on the CPU. Noise, where the run fills
    holes with it, is a function of ``seed`` and of how many images went before.
    """

    def __init__(self, finished: Finished, device: torch.device, *, seed: int = 0) -> None:
        self.side, self.central_only, self.device = finished.image_size, finished.central_only, device
        self._colour = finished.colour
        self._seed, self._before = seed, 0
        self._repair = repairer(finished.evaluation, finished.store, device)

    def __call__(self, image: Tensor, mask: Tensor) -> Tensor:
        masked_image = erase(image, mask, self._filling(image))
        with torch.inference_mode():
            return self._repair(masked_image.to(self.device), mask.clone().to(self.device)).to(image.device)

    def _filling(self, image: Tensor) -> Tensor:
        if self._colour is not None:
            return torch.tensor(self._colour)[:, None, None]
        numbers = range(self._before, self._before + len(image))
        self._before += len(image)
        planes = [numpy_rng(self._seed, "inpaint noise", n).random(image.shape[1:], dtype=np.float32) for n in numbers]
        return torch.from_numpy(np.stack(planes))


def _names(run: Run) -> Iterator[str]:
    """All that a run can be called, under its own variant's name and its other ones."""
    for variant in (run.variant, *run.aliases):
        for more in ("", f"/{run.data}", f"/{run.seed}", f"/{run.data}/{run.seed}"):
            yield f"{variant}{more}"


def _word(run: Run, store: Store) -> str:
    """A run's status: 'completed', or what it is instead, and why where that is known."""
    state: dict[str, Any] = RunState.of(store.out, run.name).read()
    word = RunState.word(state, store.has(run.stages["evaluate"]), alive=True)
    why = str(state.get("why", ""))
    return f"{word} ({why})" if why and word != "completed" else word


def _choice(named: str, plan: Plan, store: Store) -> str:
    """What can be named instead: the variants that have a completed run."""
    done = [run for run in plan.runs if _word(run, store) == "completed"]
    if not done:
        return "no run of this study is completed yet"
    variants = list(dict.fromkeys(name for run in done for name in (run.variant, *run.aliases)))
    names = [name for run in done for name in _names(run)]
    more = f" and {len(variants) - NAMED} more, which python -m study status {store.out} lists"
    listed = f"{', '.join(variants[:NAMED])}{more if len(variants) > NAMED else ''}"
    example = done[0].name
    return f"completed are runs of {listed}; name one as in {example}{near(named, names)}"
