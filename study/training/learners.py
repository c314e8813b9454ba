"""The networks that a stage trains, each with its optimiser, loss and first weights: a generator and its critics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from models.layers import initialise, rest_idle_biases
from models.losses import discounted, reconstruction, share_at_bound
from models.masking import Box, known
from models.method import Critic, Optimizer, Rate, Reconstruction
from study.data.batches import Batch
from study.parts import registries
from study.plan.graph import Stage
from study.seeds import seed_of
from study.store import Store
from study.training import machine
from study.training.checkpoint import Learner, TrainingState, Watch, read_learner

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "rmsprop": torch.optim.RMSprop,
    "adadelta": torch.optim.Adadelta,
}

ForwardPass = Callable[[], AbstractContextManager[None]]
"""What a forward pass runs under: ``study.training.machine.forward_pass``."""


def predict(network: nn.Module, masked_image: Tensor, mask: Tensor, window: Box | None = None) -> tuple[Tensor, ...]:
    """A generator's predictions, each (B, 3, H, W) float32. The final one is last; coarser ones come before it."""
    predictions = network(masked_image, mask, window)
    return tuple(one.float() for one in (predictions if isinstance(predictions, tuple) else (predictions,)))


@dataclass(eq=False)
class GeneratorLearner(Learner):
    """G with its learning rate, the options of its reconstruction loss L_r, and the precision of its forward pass."""

    rate: Rate
    options: Reconstruction
    forward_pass: ForwardPass = nullcontext
    _discounted: tuple[Tensor, Tensor] | None = None  # the last mask and its weights

    def predict(self, masked_image: Tensor, mask: Tensor, window: Box | None = None) -> tuple[Tensor, ...]:
        """G's predictions, as ``predict`` gives them, in the precision of the numerics."""
        with self.forward_pass():
            return predict(self.network, masked_image, mask, window)

    def losses(self, predictions: Sequence[Tensor], batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """L_r, a weighted scalar, and its unweighted terms. By default only eq. (1)."""
        total, terms = self._errors(predictions[-1], batch, "reconstruction", "known")
        if self.options.coarse is not None:
            coarse, coarse_terms = self._errors(predictions[0], batch, "coarse", "coarse_known")
            total, terms = total + self.options.coarse * coarse, terms | coarse_terms
        return self.options.weight * total, terms

    def _errors(self, prediction: Tensor, batch: Batch, hole: str, outside: str) -> tuple[Tensor, dict[str, Tensor]]:
        """The error of one prediction in the hole and, if it counts, outside of it, under these names."""
        options = self.options
        weights = self._weights(batch.mask)
        total = reconstruction(prediction, batch.image, batch.mask, options.reduction, weights, options.norm)
        terms = {hole: total}
        if options.known is not None:
            rest = known(batch.mask)
            terms[outside] = reconstruction(prediction, batch.image, rest, options.reduction, norm=options.norm)
            total = total + options.known * terms[outside]
        return total, terms

    def _weights(self, mask: Tensor) -> Tensor | None:
        """The weight of each pixel's error in the hole, (B, 1, H, W); None if all are 1."""
        options = self.options
        if options.discount is not None:
            if self._discounted is None or self._discounted[0] is not mask:  # most masks are the same every time
                self._discounted = mask, discounted(mask, options.discount)
            return self._discounted[1]
        if not options.edge:
            return None
        near_edge = nn.functional.max_pool2d(known(mask), 2 * options.edge + 1, 1, options.edge)
        return 1 + (options.edge_weight - 1) * near_edge * mask


@dataclass(eq=False)
class CriticLearner(Learner):
    """A critic with its adversarial loss, options (recipe, what it sees), weight in eq. (8) and precision."""

    options: Critic
    loss: Any
    weight: float
    forward_pass: ForwardPass = nullcontext

    def scores(self, image: Tensor, windows: Sequence[Box]) -> Tensor:
        """The critic's scores of images (B, 3, H, W), float32: (B,), or (B, P) for a patch critic."""
        with self.forward_pass():
            scores: Tensor = self.network(image, windows)
        return scores.float()

    def judged(self, prediction: Tensor, repaired: Tensor) -> Tensor:
        """The output of G that this critic judges, the raw prediction or the repaired image (READING R11)."""
        return repaired if self.options.sees == "composite" else prediction

    def interval_terms(self) -> dict[str, Tensor]:
        """The share of weights that are at the clipping bound."""
        if self.options.recipe.clip is None:
            return {}
        return {f"{self.name}.at_bound": share_at_bound(self.network.parameters(), self.options.recipe.clip)}


def set_up(
    stages: Sequence[Stage], store: Store, watch: Watch, device: torch.device
) -> tuple[GeneratorLearner, list[CriticLearner], list[TrainingState]]:
    """Builds the generator, the critics and the state of each stage, resumed from its checkpoint if there is one."""
    stage = stages[0]
    generator = _generator(stage, store, device)
    if stage.kind == "critic":  # the weight in eq. (8) plays no part yet
        critics = [
            _critic(one, one.options["role"], {**one.options["critic"], "weight": 1.0}, device) for one in stages
        ]
        learners: list[list[Learner]] = [[critic] for critic in critics]
    else:
        critics = [_critic(stage, role, options, device) for role, options in stage.options.get("critics", {}).items()]
        learners = [[generator, *critics]]
        for critic in critics:
            if key := stage.needs.get(f"critic.{critic.name}"):
                critic.load(*read_learner(store.verified(key), critic.name))
    states = []
    for one, own in zip(stages, learners, strict=True):
        state = TrainingState(one, store, own)
        state.resume(watch)
        for place, step in enumerate(state.steps):
            means = {name: values[place] for name, values in state.terms.items()}
            watch.logged(one.key, step, {name: mean for name, mean in means.items() if mean is not None})
        states.append(state)
    return generator, critics, states


def _generator(stage: Stage, store: Store, device: torch.device) -> GeneratorLearner:
    options = stage.options
    network = _trained(registries.GENERATORS, options["generator"], stage, device)
    if stage.kind == "critic":  # G is frozen: its optimiser, rate and loss are not used
        options = {**options, "optimizer": {"kind": "adam", "lr": 1.0}, "rate": {"lr": 1.0}, "reconstruction": {}}
    optimizer = make_optimizer(Optimizer.model_validate(options["optimizer"]), network)
    rate, loss = Rate.model_validate(options["rate"]), Reconstruction.model_validate(options["reconstruction"])
    generator = GeneratorLearner("generator", network, optimizer, rate, loss, _forward_pass(stage, device))
    if key := stage.needs.get("generator"):
        generator.load(*read_learner(store.verified(key), "generator"))
    else:
        first_weights(network, stage.seed, "generator", options.get("init_std"))
    return generator


def _critic(stage: Stage, role: str, described: dict[str, Any], device: torch.device) -> CriticLearner:
    options = Critic.model_validate(described)
    recipe = options.recipe
    network = _trained(registries.CRITICS, options.network, stage, device)
    first_weights(network, stage.seed, role, options.init_std)
    loss = registries.LOSSES[recipe.kind](**({"form": recipe.form} if recipe.form else {}))
    optimizer, forward_pass = make_optimizer(recipe.optimizer, network), _forward_pass(stage, device)
    return CriticLearner(role, network, optimizer, options, loss, options.weight, forward_pass)


def _forward_pass(stage: Stage, device: torch.device) -> ForwardPass:
    return partial(machine.forward_pass, stage.options["numerics"], device, offload=stage.hints.get("offload", False))


def _trained(registry: dict[str, Any], part: dict[str, Any], stage: Stage, device: torch.device) -> nn.Module:
    """Builds a network to train, compiled if the numerics say so."""
    network = build(registry, part, device, stage.options["numerics"])
    if device.type != "cpu":  # there, these biases take part in the last bits of published results
        rest_idle_biases(network)
    if stage.options["numerics"].get("compile") and device.type != "meta":
        network.compile()
    return network


def build(
    registry: dict[str, Any], part: dict[str, Any], device: torch.device, numerics: Mapping[str, Any]
) -> nn.Module:
    """Builds a part's network on the device, in the memory format of the numerics."""
    network = registries.build(registry, part).to(device)
    if numerics["memory_format"] == "channels_last":
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def first_weights(network: nn.Module, seed: int | None, role: str, std: float | None) -> None:
    """Draws first weights from the stream (seed, role), on the CPU for every device."""
    assert seed is not None
    cpu = torch.Generator().manual_seed(seed_of(seed, "weights", role) % 2**63)
    initialise(network, cpu, std)


def make_optimizer(options: Optimizer, network: nn.Module) -> torch.optim.Optimizer:
    """Builds an optimiser, with torch's defaults for what the options leave open."""
    betas = {"betas": tuple(options.betas)} if options.betas else {}
    return OPTIMIZERS[options.kind](network.parameters(), lr=options.lr, foreach=True, **betas)
