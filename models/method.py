"""Descriptions of methods: networks, losses, weights, optimisers and training stages.

A description is plain data (pydantic models that convert to JSON and back), so the key of a training stage can name all
that it depends on. ``study.training`` builds the networks from it and trains them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError
from torch import Tensor, nn

from models.losses import LOSSES
from models.masks import Center, Mask
from models.options import Options, Positive, Share, reading

Part = dict[str, Any]
"""A part is a name and its options: ``{"kind": "mo_zhou", "view": "local", "head": "mean"}``."""

StageName = Literal["pretrain", "critic", "joint", "fit"]

STAGES: tuple[StageName, ...] = ("pretrain", "critic", "joint")
"""The three parts of the paper's training (section 4), in order. A method that trains itself has one, ``fit``."""


class Optimizer(Options):
    """An optimiser by its torch name, with torch's defaults. ``betas`` are Adam's."""

    kind: Literal["adam", "rmsprop", "adadelta"]
    lr: Positive
    betas: Annotated[list[Share], Field(min_length=2, max_length=2)] | None = None

    @model_validator(mode="after")
    def _betas_are_adams(self) -> Optimizer:
        if self.betas is not None and self.kind != "adam":
            raise ValueError(f"'betas' belong to adam, not to {self.kind}")
        return self


class Rate(Options):
    """A stage's learning rate: ``lr``, and ``drop_to`` times ``lr`` after the share ``drop_after`` of its steps.

    ``then``: further rates, each from a share of the steps on, in order: pairs of share and rate.
    """

    lr: Positive
    drop_after: Share = 1.0
    drop_to: Positive = 1.0
    then: list[Annotated[list[Positive], Field(min_length=2, max_length=2)]] | None = None

    def at(self, step: int, steps: int) -> float:
        """The rate at ``step`` (from 0) of ``steps``."""
        return [lr for share, lr in self.changes() if step >= share * steps - 1e-6][-1]  # a share may be rounded

    def changes(self) -> list[tuple[float, float]]:
        """The rates with the share of the steps from which each holds, the first from 0."""
        drop = [(self.drop_after, self.lr * self.drop_to)] if self.drop_after < 1 else []
        return [(0.0, self.lr), *drop, *((share, lr) for share, lr in self.then or ())]

    @property
    def constant(self) -> bool:
        """True if the rate does not depend on the stage's number of steps."""
        return len({lr for _, lr in self.changes()}) == 1


class Recipe(Options):
    """A loss with the norm, optimiser and clipping bound that were proposed with it (READING R8, R14, R15)."""

    kind: str = reading(..., "R15", "the adversarial loss, by its name in models.losses.LOSSES", paper="wgan")
    form: Literal["non_saturating", "saturating"] | None = reading(
        None, "R15", "what the generator minimises under the JS loss (default: non_saturating)"
    )
    norm: Literal["none", "batch", "layer"] = reading("none", "R8", "normalisation inside the critics")
    optimizer: Optimizer = reading(..., "R14, R16", "the critics' optimiser")
    clip: Positive | None = reading(None, "R14", "the bound that a critic's weights are clipped to")
    penalty: Positive | None = reading(None, "R14", "the weight of the penalty on a critic's gradient, under wgan_gp")
    critic_steps: Annotated[int, Field(ge=1, le=100)] = reading(
        1, "R14", "updates of the critics to one of the generator"
    )

    @field_validator("kind")
    @classmethod
    def _is_a_loss(cls, kind: str) -> str:
        if kind not in LOSSES:  # not a Literal: plugins add losses
            expected = ", ".join(f"'{name}'" for name in LOSSES)
            raise PydanticCustomError("literal_error", "Input should be {expected}", {"expected": expected})
        return kind

    @model_validator(mode="after")
    def _belongs_together(self) -> Recipe:
        if self.kind != "js" and self.form is not None:
            raise ValueError(f"'form' belongs to the js loss; {self.kind} has one form only")
        if self.kind == "wgan" and self.clip is None:
            raise ValueError("wgan needs 'clip': the paper bounds its critics by clipping their weights")
        if self.kind == "wgan_gp" and self.penalty is None:
            raise ValueError("wgan_gp needs 'penalty', the weight of its gradient penalty; its paper has 10")
        if self.kind == "wgan_gp" and self.clip is not None:
            raise ValueError("wgan_gp penalises the gradient in place of 'clip'; set clip to null")
        if self.kind == "wgan_gp" and self.norm == "batch":
            raise ValueError(
                "wgan_gp penalises each image's gradient, which batch norm mixes; choose norm none or layer"
            )
        if self.kind != "wgan_gp" and self.penalty is not None:
            raise ValueError(f"'penalty' belongs to wgan_gp, not to {self.kind}")
        return self


class Steps(Options):
    """Updates in each stage: of G, of every critic while G is frozen, of all networks."""

    pretrain: Annotated[int, Field(ge=1)] = 20_000
    critic: Annotated[int, Field(ge=1)] = 10_000
    joint: Annotated[int, Field(ge=1)] = 70_000

    @property
    def generator(self) -> int:
        """Updates of G in all stages. Every trained method gets this budget."""
        return self.pretrain + self.joint


def one_stage(
    rates: Mapping[Literal["pretrain", "joint"], Rate], optimizer: Optimizer, steps: Steps
) -> dict[str, Rate]:
    """The rate of a method that trains in ``joint`` alone, from rates by stage: each update has its own stage's rate.

    The first updates, as many as others pretrain, have the rate of ``pretrain``. Without that, all have that of
    ``joint``.
    """
    then = rates.get("joint", Rate(lr=optimizer.lr))
    first = rates.get("pretrain", then)
    if "pretrain" not in rates or (first == then and first.constant):
        return {"joint": then} if rates else {}
    parts = ((0, steps.pretrain, first), (steps.pretrain, steps.joint, then))
    later = [
        [(start + share * own) / steps.generator, lr] for start, own, rate in parts for share, lr in rate.changes()
    ]
    return {"joint": Rate(lr=first.lr, then=later[1:])}


class Reconstruction(Options):
    """L_r, by default eq. (1). The other terms belong to the baselines and are off by default.

    ``edge``, ``edge_weight``: width (px) and weight of a band inside the hole's edge (Pathak 2016). ``discount``: an
    error counts ``discount`` to the power of its distance from the known pixels (Yu 2018). ``known``: the weight of the
    error outside of the hole. ``coarse``: the weight of the errors of a coarse prediction (Yu 2018).
    """

    norm: Literal["l2", "l1"] = "l2"
    reduction: Literal["mean", "sum"] = "mean"
    weight: Positive = 1.0
    edge: Annotated[int, Field(ge=0)] = 0
    edge_weight: Positive = 1.0
    discount: Share | None = None
    known: Positive | None = None
    coarse: Positive | None = None


Fill = Literal["zero", "mean", "noise"] | Annotated[list[Share], Field(min_length=3, max_length=3)]


class Critic(Options):
    """One critic of a method: its network (which includes its views), its recipe, and its weight in eq. (8)."""

    network: Part
    recipe: Recipe
    weight: Positive
    sees: Literal["composite", "raw"] = "composite"
    real_window: Literal["same", "independent"] = "same"
    init_std: Positive | None = None


class Method(Options):
    """A method's description, from which ``study.plan.planner`` makes stages and ``study.training`` trains.

    ``stages``: the stages of the method. ``joint`` also has the updates of G of the stages that are not listed.
    ``adversarial_share``: scale the critics' weights at the start of ``joint``, so that the norm of their gradient at
    G's output is this share of L_r's.
    """

    generator: Part
    optimizer: Optimizer
    rates: dict[str, Rate]
    reconstruction: Reconstruction
    fill: Fill
    critics: dict[str, Critic]
    stages: list[StageName]
    init_std: Positive | None = None
    adversarial_share: Positive | None = None


class Trained(Options):
    """Options of every trained method (section 4): budget, batch size, holes, flips."""

    trained: ClassVar[bool] = True
    central_only: ClassVar[bool] = False
    """True if the method can repair only the central square."""

    as_published: ClassVar[bool] = False
    """True if the defaults are those of the method's own paper, so that another value is a departure."""

    batch: Annotated[int, Field(ge=1)] = 32
    steps: Steps = Steps()
    flips: bool = reading(True, "R22", "training images are flipped left to right at random")
    mask: Mask = reading(Center(), "R22", "where the hole is in training", paper={"kind": "center"})
    width: Annotated[float, Field(gt=0, le=1)] = Field(
        default=1.0, description="every layer's number of outputs, as a share of the published one"
    )
    log_every: Annotated[int, Field(ge=1)] = 200

    def method(self, image_size: int) -> Method:
        """Describes the method for images of ``image_size`` pixels. Raises ValueError if options conflict."""
        raise AssertionError(f"{type(self).__name__} does not say what it trains")


class Training(Protocol):
    """The argument ``training`` of ``Fitted.fit``: the images, and the batches that every method gets."""

    seed: int
    image_size: int
    images: NDArray[np.uint8]
    """The training part, (N, H, W, 3)."""

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yields one batch per step, for as many steps as every method's generator has updates: images (B, 3, H, W) in
        0..1, masks (B, 1, H, W), 1 = hole, and masked images (B, 3, H, W), on the network's device."""

    def log(self, **terms: Tensor | float) -> None:
        """Logs a step's terms by name for the report's curves. A term that is not finite ends the run as diverged."""


class Fitted(Trained):
    """Base of a method that does not fit the three stages. It trains itself in ``fit``.

    ``generator`` gives the network to train: its name in ``GENERATORS`` as ``kind``, and its options.
    """

    version: ClassVar[int] = 1

    def generator(self, image_size: int) -> Part:
        """The network for images of ``image_size`` pixels. Raises ValueError if it cannot be built for this size."""
        raise AssertionError(f"{type(self).__name__} does not say what it trains")

    def fit(self, network: nn.Module, training: Training) -> None:
        """Trains the network. It has its first weights, and torch's random numbers are seeded."""
        raise AssertionError(f"{type(self).__name__} does not say how it trains")

    def method(self, image_size: int) -> Method:
        """Describes the network and one stage, ``fit``."""
        return Method(
            generator=self.generator(image_size),
            optimizer=Optimizer(kind="adam", lr=1.0),  # fit has its own
            rates={},
            reconstruction=Reconstruction(),
            fill="zero",
            critics={},
            stages=["fit"],
        )


class Filler(Options):
    """A classical method that is not trained. ``images``: how many test images it repairs (default: all)."""

    trained: ClassVar[bool] = False
    filler: ClassVar[str]

    images: Annotated[int, Field(ge=1)] | None = None
