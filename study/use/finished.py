"""Opens finished runs for use: finds the run and loads its model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from models.host import on_host
from models.masking import erase
from models.method import Fill
from study.data import Packed
from study.errors import BadInput, near
from study.evaluation.evaluate import filling, repairer
from study.parts import plugins, registries
from study.plan.graph import Plan, Run
from study.store import Damaged, RunState, Store
from study.training.checkpoint import read_learner

NAMED = 12
"""The most runs that a message names."""


class Finished:
    """A completed run of an output folder. Loads the study's plugins.

    Args:
        named: VARIANT, VARIANT/DATA, VARIANT/SEED or VARIANT/DATA/SEED. The defaults are the study's first data set and
            the lowest seed with a completed run.

    Attributes:
        evaluation: the run's last stage.
        image_size: the side of the training images, px.
        filler: the filler that the run evaluated without training; None for a trained run.
        central_only: True if the method can repair only the central square.
        fill: the content of the holes in the generator's input.

    Raises BadInput if there is no study, no such run, or no completed one; Damaged if a stage that it needs is missing
    or damaged.
    """

    def __init__(self, out: Path, named: str) -> None:
        store, plan = Store(out), Plan.of(out)
        order = list(plan.study.data)
        meant = [run for run in plan.runs if named in _names(run)]
        if not meant:
            raise BadInput(f"{named}: no run of {out} has this name; {_choice(named, plan, store)}")
        there = [run for run in meant if _word(run, store) == "completed"]
        if not there:
            states = "; ".join(f"{run.name} is {_word(run, store)}" for run in meant[:NAMED])
            raise BadInput(f"{named}: none of its runs is completed: {states}; {_choice(named, plan, store)}")
        plugins.use_planned(plan.study.digests, plan.study.command)
        self.store, self.plan = store, plan
        self.run = min(there, key=lambda run: (order.index(run.data), run.seed))
        self.evaluation = plan.stages[self.run.stages["evaluate"]]
        self.image_size = plan.study.image_size
        self.filler: str | None = self.evaluation.options.get("filler")
        self.central_only = bool(getattr(registries.METHODS[self.run.method], "central_only", False))
        self.fill: Fill = self.evaluation.options.get("fill", "zero")
        needed = [self.evaluation.needs.get("model"), self.run.stages["data"] if self.fill == "mean" else None]
        for key in filter(None, needed):
            try:
                store.verified(key)
            except Damaged as damage:
                what = f"damaged ({damage})" if store.has(key) else "missing"
                again = f"run the study again to remake it: {plan.study.command or 'study run'}"
                raise Damaged(f"{self.run.name}: its stage {key} is {what}; {again}") from damage

    @property
    def colour(self) -> list[float] | None:
        """The fill's colour, 0..1; None for noise. Raises Damaged if the fill is the mean of lost packed images."""
        fill = self.fill
        if fill == "mean":
            return list(Packed(self.store.verified(self.run.stages["data"])).mean)
        return {"zero": [0.0, 0.0, 0.0], "noise": None}[fill] if isinstance(fill, str) else fill

    def weights(self) -> dict[str, Tensor]:
        """The generator's weights and buffers. Raises Damaged."""
        return read_learner(self.store.verified(self.evaluation.needs["model"]), "generator")[0]


class Repairer:
    """A run's model, as a function of images ``(B, 3, side, side)`` in 0..1 and masks ``(B, 1, side, side)``.

    Takes CPU tensors and returns predictions of the same shape, in 0..1, on the CPU. Noise, for a run that fills holes
    with it, is a function of the number of earlier images.
    """

    def __init__(self, finished: Finished, device: torch.device) -> None:
        self.side, self.central_only, self.device = finished.image_size, finished.central_only, device
        self._fill: Fill = finished.colour or "noise"
        self._before = 0
        self._repair = repairer(finished.evaluation, finished.store, device)

    def __call__(self, image: Tensor, mask: Tensor) -> Tensor:
        numbers = range(self._before, self._before + len(image))
        self._before += len(image)
        fill = filling(self._fill, (), (0, "inpaint noise"), numbers, self.side, image.device)
        masked_image = erase(image, mask, fill)
        with torch.inference_mode():
            return on_host(self._repair(masked_image.to(self.device), mask.clone().to(self.device)))


def _names(run: Run) -> Iterator[str]:
    """Every name of a run, under its variant's name and aliases."""
    for variant in run.names:
        yield from (variant, f"{variant}/{run.data}", f"{variant}/{run.seed}", f"{variant}/{run.data}/{run.seed}")


def _word(run: Run, store: Store) -> str:
    """A run's status, and the reason if it is not 'completed'."""
    state = RunState.of(store.out, run.name).read()
    word = RunState.word(state, store.has(run.stages["evaluate"]), alive=True)
    why = str(state.get("why", ""))
    return f"{word} ({why})" if why and word != "completed" else word


def _choice(named: str, plan: Plan, store: Store) -> str:
    """The variants with a completed run, for a message."""
    done = [run for run in plan.runs if _word(run, store) == "completed"]
    if not done:
        return "no run of this study is completed yet"
    variants = list(dict.fromkeys(name for run in done for name in run.names))
    names = [name for run in done for name in _names(run)]
    more = f" and {len(variants) - NAMED} more, which python -m study status {store.out} lists"
    listed = f"{', '.join(variants[:NAMED])}{more if len(variants) > NAMED else ''}"
    example = done[0].name
    return f"completed are runs of {listed}; name one as in {example}{near(named, names)}"
