"""The paper's method: the generator of Table 1, the critics of Tables 2 to 5, WGAN, three stages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from models.generator import TABLE_1
from models.layers import Downsample
from models.method import (
    STAGES,
    Critic,
    Fill,
    Method,
    Optimizer,
    Rate,
    Recipe,
    Reconstruction,
    StageName,
    Trained,
    one_stage,
)
from models.options import Options, Positive, reading

MULTISCALE = ("half", "quarter", "eighth")
"""The views of D_m1, D_m2 and the third one that section 5 mentions, in the order in which they are added."""

ADAM = Optimizer(kind="adam", lr=2e-4, betas=[0.5, 0.999])
WGAN = Recipe(kind="wgan", clip=0.01, optimizer=Optimizer(kind="rmsprop", lr=5e-5))


class Weights(Options):
    """The weights of eq. (8) by view: lambda_1 to lambda_4, and one for a third multi-scale critic."""

    local: Positive = 0.001
    global_: Positive = Field(default=0.001, alias="global")
    half: Positive = 0.001
    quarter: Positive = 0.001
    eighth: Positive = 0.001

    def of(self, view: str) -> float:
        """The weight of the critic with this view."""
        return float(self.model_dump(by_alias=True)[view])


class GeneratorOptions(Trained):
    """Options of the paper's generator and its reconstruction loss."""

    norm: Literal["none", "batch", "instance"] = reading("batch", "R4", "normalisation inside the generator")
    output: Literal["sigmoid", "tanh"] = reading("sigmoid", "R4", "the generator's last activation")
    mask_channel: bool = reading(True, "R1", "the generator sees the mask as well as the masked image")
    fill: Fill = reading("zero", "R2", "what fills the hole in the generator's input", paper="zero")
    reduction: Literal["mean", "sum"] = reading(
        "mean", "R12", "L_r over the hole as a mean or, as eq. (1) is written, as a sum", paper="sum"
    )
    optimizer: Optimizer = reading(ADAM, "R16", "the generator's optimiser")
    dilated: bool = Field(
        default=True, description="the d-conv rows of Table 1 have dilation 2, 4, 8, 16 (section 3.1); if false, 1"
    )
    rates: dict[Literal["pretrain", "joint"], Rate] = reading(
        {}, "R16", "the generator's learning rate by stage, if it is not the optimiser's"
    )

    def described(self, image_size: int, critics: dict[str, Critic], stages: list[StageName]) -> Method:
        """Describes the paper's generator with these critics and stages."""
        generator: dict[str, Any] = {
            "kind": "mo_zhou",
            "image_side": image_size,
            "width": self.width,
            "norm": self.norm,
            "output": self.output,
            "mask_channel": self.mask_channel,
        }
        if not self.dilated:
            generator["dilations"] = [1] * sum(row.kind == "d-conv" for row in TABLE_1)
        return Method.model_validate(
            {
                "generator": generator,
                "optimizer": self.optimizer,
                "rates": self.rates_in(stages),
                "reconstruction": Reconstruction(reduction=self.reduction),
                "fill": self.fill,
                "critics": critics,
                "stages": stages,
            }
        )

    def rates_in(self, stages: Sequence[StageName]) -> dict[str, Rate]:
        """The rates by stage. In one stage, each update has the rate that it has in three."""
        if stages != ["joint"]:
            return dict(self.rates.items())
        usual = Rate(lr=self.optimizer.lr)
        return one_stage({"pretrain": usual, "joint": usual, **self.rates}, self.optimizer, self.steps)


class CriticOptions(GeneratorOptions):
    """Options of the paper's generator and critics."""

    loss: Recipe = Field(default=WGAN, description="a recipe: loss, norm, optimiser and clip that belong together")
    weights: Weights = reading(Weights(), "R13", "the weights of eq. (8)")
    critic_tables: Literal["printed", "exchanged"] = reading(
        "printed", "R6", "Tables 2 and 3 as printed, or with their captions exchanged", paper="printed"
    )
    head: Literal["mean", "linear", "patch"] = reading("mean", "R7", "how a critic's last maps become a score")
    downsample: Downsample = reading(
        "avgpool3",
        "R9",
        "how images are down-sampled for the multi-scale critics; none, a control, keeps the full size",
    )
    critic_input: Literal["composite", "raw"] = reading(
        "composite", "R11", "the critics see the repaired image, or the generator's raw output", paper="raw"
    )
    real_window: Literal["same", "independent"] = reading("same", "R19", "where the local critic looks in real images")
    total_weight: Positive | None = Field(
        default=None, description="scale the weights of the critics in use to this sum; null keeps them"
    )
    adversarial_share: Positive | None = Field(
        default=None,
        description="scale the weights once, at the start of the joint stage, so that the critics' gradient at the "
        "generator's output is this share of L_r's; null keeps them (R13)",
    )
    three_stages: bool = Field(
        default=True,
        description="section 4's three stages; if false, joint from the start, with the same updates of G and rates",
    )

    @model_validator(mode="after")
    def _is_scaled_once(self) -> CriticOptions:
        if self.adversarial_share is not None and not self.three_stages:
            raise ValueError("adversarial_share is measured with trained critics; it needs three_stages: true")
        if self.total_weight is not None and self.adversarial_share is not None:
            raise ValueError("total_weight and adversarial_share scale the same weights; set one of them to null")
        return self

    def with_critics(self, views: Sequence[str], image_size: int) -> Method:
        """Describes the generator with critics of these views, in three stages or in ``joint`` only."""
        scale = 1.0
        if self.total_weight is not None:
            scale = self.total_weight / sum(self.weights.of(view) for view in views)
        critics = {view: self.critic(view, image_size, scale) for view in views}
        described = self.described(image_size, critics, list(STAGES) if self.three_stages else ["joint"])
        return described.model_copy(update={"adversarial_share": self.adversarial_share})

    def critic(self, view: str, image_size: int, scale: float) -> Critic:
        """Describes the critic of a view by only the options that it reads, so that variants can share it."""
        network = {
            "kind": "mo_zhou",
            "view": view,
            "image_side": image_size,
            "width": self.width,
            "head": self.head,
            "norm": self.loss.norm,
        }
        if view in ("local", "global"):  # Tables 2 and 3
            network["tables"] = self.critic_tables
        if view in MULTISCALE:
            network["downsample"] = self.downsample
        return Critic(
            network=network,
            recipe=self.loss,
            weight=scale * self.weights.of(view),
            sees=self.critic_input,
            real_window=self.real_window if view == "local" else "same",
        )


class Proposed(CriticOptions):
    """The proposed model: a local, a global and ``multiscale`` multi-scale critics. The paper has two of these."""

    multiscale: Annotated[int, Field(ge=0, le=3)] = Field(
        default=2, description="how many multi-scale critics: x2, x4 and, beyond the paper, x8 (READING R10)"
    )

    leave_out: Literal["none", "local", "global", "half", "quarter", "eighth"] = Field(
        default="none", description="the view of a critic to leave out"
    )

    @property
    def views(self) -> list[str]:
        """The views of the critics in use."""
        views = ("local", "global", *MULTISCALE[: self.multiscale])
        return [view for view in views if view != self.leave_out]

    @model_validator(mode="after")
    def _leaves_out_what_is_there(self) -> Proposed:
        if self.leave_out in MULTISCALE[self.multiscale :]:
            raise ValueError(f"leave_out: with multiscale {self.multiscale} there is no critic '{self.leave_out}'")
        return self

    def method(self, image_size: int) -> Method:
        """Describes the method of sections 3 and 4 with these readings."""
        return self.with_critics(self.views, image_size)


class ReconstructionOnly(GeneratorOptions):
    """A control that the paper lacks: its generator with L_r only, for as many updates, in the same two stages."""

    def method(self, image_size: int) -> Method:
        """Describes the paper's generator without critics."""
        return self.described(image_size, {}, ["pretrain", "joint"])
