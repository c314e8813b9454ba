"""A method with a training of its own: one stage, in which its ``fit`` is given what every method is given."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.masking import erase
from models.method import Fitted
from study.data import Packed
from study.errors import Interrupted, StudyError
from study.parts import registries
from study.plan.graph import Stage
from study.seeds import seed_of
from study.store import Store
from study.training.checkpoint import Learner, Making, Series, Watch
from study.training.learners import build, first_weights
from study.training.loop import draws


class Batches:
    """The batches of one fit, counted and logged: a ``models.method.Training``."""

    def __init__(self, making: Making, watch: Watch, images: NDArray[np.uint8], draw: Callable[[int], Any]) -> None:
        assert making.stage.seed is not None
        self.seed, self.images, self.image_size = making.stage.seed, images, images.shape[1]
        self._making, self._watch, self._draw = making, watch, draw

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        making = self._making
        while making.step < making.stage.steps and making.diverged is None:
            if self._watch.stopping:
                raise Interrupted
            (batch,) = self._draw(making.step)
            yield batch.image, batch.mask, erase(batch.image, batch.mask, batch.fill)
            making.advance(self._watch)

    def log(self, **terms: Tensor | float) -> None:
        self._making.series.add({f"generator.{name}": torch.as_tensor(value).float() for name, value in terms.items()})


def fit(
    stage: Stage, store: Store, watch: Watch, *, device: torch.device, made: Callable[[], Mapping[str, Any]] = dict
) -> None:
    """Makes a fit stage, from its first step: what a method of its own carries along, only it could take up again."""
    options = stage.options
    method = registries.METHODS[options["method"]].model_validate(options["described"])
    assert isinstance(method, Fitted) and stage.seed is not None
    network = build(registries.GENERATORS, options["generator"], device, options["numerics"])
    first_weights(network, stage.seed, "generator", None)
    learner = Learner("generator", network, torch.optim.SGD(network.parameters(), lr=0.0))
    making = Making(stage, store, [learner], Series(options["log_every"]))
    images = Packed(store.verified(stage.needs["data"])).part("train")
    training = Batches(making, watch, images, draws(stage, store, device))
    torch.manual_seed(seed_of(stage.seed, "fit") % 2**63)
    network.train()
    started = time.monotonic()
    method.fit(network, training)
    if making.step < stage.steps and making.diverged is None:
        raise StudyError(
            f"{options['method']}: its fit took {making.step} of {stage.steps} batches; take one a step from "
            "'for image, mask, masked_image in training', so that all methods have the same budget"
        )
    if making.diverged is None and not all(bool(value.isfinite().all()) for value in network.state_dict().values()):
        making.diverged = (making.step, "generator.weights")
    making.seconds = time.monotonic() - started
    making.publish(made())
