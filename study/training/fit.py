"""Methods that train themselves: one stage that calls the method's ``fit`` with the batches every method gets."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.host import on_host
from models.masking import erase
from models.method import Fitted
from study.data import Packed
from study.data.batches import Batch, read_ahead
from study.errors import Interrupted, StudyError
from study.parts import registries
from study.plan.graph import Stage
from study.seeds import seed_of
from study.store import Store
from study.training.checkpoint import Learner, TrainingState, Watch
from study.training.learners import build, first_weights
from study.training.loop import batches_of


class FitTraining:
    """The ``training`` that a method's ``fit`` gets (``models.method.Training``). It counts batches and logs terms."""

    def __init__(
        self,
        state: TrainingState,
        watch: Watch,
        images: NDArray[np.uint8],
        batches: Callable[[int], list[Batch]],
        device: torch.device,
    ) -> None:
        assert state.stage.seed is not None
        self.seed, self.images, self.image_size = state.stage.seed, images, images.shape[1]
        self._state, self._watch = state, watch
        self._ahead = read_ahead(batches, range(state.stage.steps), device)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        state = self._state
        while state.step < state.stage.steps and state.diverged is None:
            if self._watch.stopping:
                raise Interrupted
            _, (batch,) = next(self._ahead)
            yield batch.image, batch.mask, erase(batch.image, batch.mask, batch.fill)
            state.advance(self._watch)

    def log(self, **terms: Tensor | float) -> None:
        self._state.add({f"generator.{name}": torch.as_tensor(value).float() for name, value in terms.items()})


def fit(stage: Stage, store: Store, watch: Watch, device: torch.device) -> None:
    """Trains and publishes a fit stage. It always starts at step 0, as the harness cannot save a method's own state."""
    options = stage.options
    method = registries.METHODS[options["method"]].model_validate(options["described"])
    assert isinstance(method, Fitted) and stage.seed is not None
    network = build(registries.GENERATORS, options["generator"], device, options["numerics"])
    first_weights(network, stage.seed, "generator", None)
    learner = Learner("generator", network, torch.optim.SGD(network.parameters(), lr=0.0))
    state = TrainingState(stage, store, [learner])
    images = Packed(store.verified(stage.needs["data"])).part("train")
    training = FitTraining(state, watch, images, batches_of(stage, store, device), device)
    torch.manual_seed(seed_of(stage.seed, "fit") % 2**63)
    network.train()
    started = time.monotonic()
    method.fit(network, training)
    if state.step < stage.steps and state.diverged is None:
        raise StudyError(
            f"{options['method']}: its fit took {state.step} of {stage.steps} batches; take one a step from "
            "'for image, mask, masked_image in training', so that all methods have the same budget"
        )
    wrong = torch.stack([(~value.isfinite()).any() for value in network.state_dict().values()])
    if state.diverged is None and on_host(wrong).any():
        state.diverged = (state.step, "generator.weights")
    state.seconds = time.monotonic() - started
    state.publish(device)
