"""The networks of a stage, built from what the stage says of them: the generator and its critics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from models.layers import initialise
from models.losses import clip_, discounted, gradient_penalty, reconstruction, share_at_bound
from models.masking import Box, known
from models.method import Critic, Optimizer, Rate, Reconstruction
from study.data.batches import Batch
from study.parts import registries
from study.plan.graph import Stage
from study.seeds import seed_of
from study.store import Store
from study.training.checkpoint import Learner, Making, Series, Watch, read_learner


def predict(network: nn.Module, masked_image: Tensor, mask: Tensor, window: Box | None = None) -> tuple[Tensor, ...]:
    """What a generator makes of the holes, each (B, 3, H, W) float32: its prediction last, before it coarser ones."""
    made = network(masked_image, mask, window)
    return tuple(one.float() for one in (made if isinstance(made, tuple) else (made,)))


@dataclass(eq=False)
class Generator(Learner):
    """G, its loss and its rate."""

    rate: Rate
    reconstruction: Reconstruction

    def losses(self, predictions: Sequence[Tensor], batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """L_r, a scalar, weighted; and its terms, unweighted. By default eq. (1) alone."""
        described, weights = self.reconstruction, self.weights(batch)
        terms = {"reconstruction": self._error(predictions[-1], batch.image, batch.mask, weights)}
        total = terms["reconstruction"]
        if described.known is not None:
            terms["known"] = self._error(predictions[-1], batch.image, known(batch.mask))
            total = total + described.known * terms["known"]
        if described.coarse is not None:
            terms["coarse"] = self._error(predictions[0], batch.image, batch.mask, weights)
            coarse = terms["coarse"]
            if described.known is not None:
                terms["coarse_known"] = self._error(predictions[0], batch.image, known(batch.mask))
                coarse = coarse + described.known * terms["coarse_known"]
            total = total + described.coarse * coarse
        return described.weight * total, terms

    def _error(self, prediction: Tensor, image: Tensor, mask: Tensor, weights: Tensor | None = None) -> Tensor:
        return reconstruction(prediction, image, mask, self.reconstruction.reduction, weights, self.reconstruction.norm)

    def weights(self, batch: Batch) -> Tensor | None:
        """The weight of each pixel's error in the hole, (B, 1, H, W), where they are not all the same."""
        described = self.reconstruction
        if described.discount is not None:
            return discounted(batch.mask, described.discount)
        if not described.edge:
            return None
        near_edge = nn.functional.max_pool2d(known(batch.mask), 2 * described.edge + 1, 1, described.edge)
        return 1 + (described.edge_weight - 1) * near_edge * batch.mask


@dataclass(eq=False)
class Adversary(Learner):
    """A critic as it is described: its recipe, its weight in eq. (8), what it sees."""

    described: Critic
    loss: Any

    def fake(self, prediction: Tensor, repaired: Tensor) -> Tensor:
        """Which of G's outputs, the raw prediction or the repaired image, this critic sees (READING R11)."""
        return repaired if self.described.sees == "composite" else prediction

    def verdict(self, batch: Batch, fake: Tensor) -> Tensor:
        """What G minimises to please this critic, a scalar, unweighted."""
        term: Tensor = self.loss.generator(self.network(fake, batch.windows))
        return term

    def update(self, batch: Batch, fake: Tensor) -> dict[str, Tensor]:
        """One update (Algorithm 1, line 9): raises the scores of real images above those of repaired ones."""
        real_windows = batch.elsewhere if self.described.real_window == "independent" else batch.windows
        if getattr(self.network, "normalises_batch", True):  # the statistics of real and repaired images do not mix
            real_scores, fake_scores = self.network(batch.image, real_windows), self.network(fake, batch.windows)
        else:
            both = self.network(torch.cat([batch.image, fake]), [*real_windows, *batch.windows])
            real_scores, fake_scores = both.chunk(2)
        loss = self.loss.critic(real_scores, fake_scores)
        terms = {f"{self.name}.loss": loss}
        if self.described.recipe.penalty is not None:
            terms[f"{self.name}.penalty"] = penalty = self.penalty(batch, fake)
            loss = loss + self.described.recipe.penalty * penalty
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = gradient_norm(self.network)
        self.optimizer.step()
        if self.described.recipe.clip is not None:
            clip_(self.network.parameters(), self.described.recipe.clip)
        return terms | {
            f"{self.name}.gap": real_scores.mean() - fake_scores.mean(),
            f"{self.name}.score_size": (real_scores.abs().mean() + fake_scores.abs().mean()) / 2,
            f"{self.name}.gradient_norm": norm,
        }

    def penalty(self, batch: Batch, fake: Tensor) -> Tensor:
        """How far the critic's slope is from 1, a scalar: in the hole, or everywhere if it sees G's raw output."""
        seen = batch.mask if self.described.sees == "composite" else torch.ones_like(batch.mask)
        return gradient_penalty(
            lambda between: self.network(between, batch.windows), batch.image, fake, batch.mix, seen
        )

    def now_and_then(self) -> dict[str, Tensor]:
        """The share of weights that stand at the clip's bound."""
        if self.described.recipe.clip is None:
            return {}
        share = share_at_bound(self.network.parameters(), self.described.recipe.clip)
        return {f"{self.name}.at_bound": share}


def networks(
    stages: Sequence[Stage], store: Store, watch: Watch, device: torch.device
) -> tuple[Generator, list[Adversary], list[Making]]:
    """The networks of a pass, with the weights and the optimiser states that their stages start from."""
    stage, options = stages[0], stages[0].options
    generator = _generator(stage, store, device)
    critics: list[Adversary] = []
    if stage.kind == "critic":
        makings = []
        for one in stages:
            critic = _adversary(
                one.options["role"], {**one.options["critic"], "weight": 1.0}, stage.seed, options, device
            )
            makings.append(Making(one, store, [critic], Series(options["log_every"])))
            critics.append(critic)
    else:
        for role, described in options.get("critics", {}).items():
            critic = _adversary(role, described, stage.seed, options, device)
            if key := stage.needs.get(f"critic.{role}"):
                critic.load(*read_learner(store.verified(key), role))
            critics.append(critic)
        makings = [Making(stage, store, [generator, *critics], Series(options["log_every"]))]
    for making in makings:
        making.resume()
        for step, means in zip(making.series.steps, making.series.rows, strict=True):
            watch.logged(making.stage.key, step, means)
    return generator, critics, makings


def _generator(stage: Stage, store: Store, device: torch.device) -> Generator:
    options = stage.options
    network = build(registries.GENERATORS, options["generator"], device, options["numerics"])
    if stage.kind == "critic":  # frozen: its optimiser is not used
        optimizer = Optimizer(kind="adam", lr=1.0)
        rate, loss = Rate(lr=1.0), Reconstruction()
    else:
        optimizer = Optimizer.model_validate(options["optimizer"])
        rate = Rate.model_validate(options["rate"])
        loss = Reconstruction.model_validate(options["reconstruction"])
    generator = Generator("generator", network, make_optimizer(optimizer, network), rate, loss)
    if key := stage.needs.get("generator"):
        generator.load(*read_learner(store.verified(key), "generator"))
    else:
        first_weights(network, stage.seed, "generator", options.get("init_std"))
    return generator


def _adversary(
    role: str, described: dict[str, Any], seed: int | None, options: dict[str, Any], device: torch.device
) -> Adversary:
    critic = Critic.model_validate(described)
    network = build(registries.CRITICS, critic.network, device, options["numerics"])
    first_weights(network, seed, role, critic.init_std)
    form = {"form": critic.recipe.form} if critic.recipe.form else {}
    loss = registries.LOSSES[critic.recipe.kind](**form)
    return Adversary(role, network, make_optimizer(critic.recipe.optimizer, network), critic, loss)


def build(
    registry: dict[str, Any], part: dict[str, Any], device: torch.device, numerics: Mapping[str, Any]
) -> nn.Module:
    """A part's network on the device, in the memory format of the numerics."""
    network = registries.build(registry, part).to(device)
    if numerics["memory_format"] == "channels_last":
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def first_weights(network: nn.Module, seed: int | None, role: str, std: float | None) -> None:
    """Draws first weights from the stream (seed, role), on the CPU, whatever the device is."""
    assert seed is not None
    cpu = torch.Generator().manual_seed(seed_of(seed, "weights", role) % 2**63)
    initialise(network, cpu, std)


def make_optimizer(described: Optimizer, network: nn.Module) -> torch.optim.Optimizer:
    """The optimiser that is described, with torch's defaults for what is not said."""
    kinds: dict[str, Any] = {
        "adam": torch.optim.Adam,
        "rmsprop": torch.optim.RMSprop,
        "adadelta": torch.optim.Adadelta,
    }
    more = {"betas": tuple(described.betas)} if described.betas else {}
    optimizer: torch.optim.Optimizer = kinds[described.kind](
        network.parameters(), lr=described.lr, foreach=True, **more
    )
    return optimizer


def gradient_norm(network: nn.Module) -> Tensor:
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    return torch.stack(torch._foreach_norm(gradients)).norm()
