"""GLCIC, Iizuka 2017: globally and locally consistent image completion, the base of the paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from models.critics import look, tower
from models.generator import TABLE_1, Generator, Row
from models.layers import Norm, channels, halvings, in_fp32
from models.masking import Box
from models.method import STAGES, Critic, Fill, Method, Optimizer, Rate, Recipe, Reconstruction, Trained
from models.options import Positive, reading

_CONV = Row("conv", 3, 1, 1, 256)
LAYERS = (*TABLE_1[:5], _CONV, *TABLE_1[5:9], _CONV, *TABLE_1[9:])
"""GLCIC's table 1: the paper's with one more convolution on each side of the dilated ones (READING R3)."""

TOWER = (64, 128, 256, 512, 512, 512)
"""GLCIC's table 2 (a): outputs of the global convolutions at 256 px. The local ones lack the last."""

UNITS = 1024


class GlcicGenerator(Generator):
    """GLCIC's generator: 17 layers, batch norm and ReLU after all except the last. It sees the mask."""

    version = 1

    def __init__(self, image_side: int | None = None, *, width: float = 1.0, norm: Norm = "batch") -> None:
        super().__init__(image_side, width=width, norm=norm, table=LAYERS)


class JoinedCritic(nn.Module):
    """GLCIC's critic: a tower for the hole's window and one for the image, joined by a fully connected layer.

    5x5 convolutions of stride 2 to 4x4 maps: at 256 px six for the image and five for the window, one fewer of each
    when the side is halved. Raises ValueError if ``image_side`` is not a power of two from 16 to 256.
    """

    version = 1
    views = ("local", "global")

    def __init__(
        self, image_side: int, *, width: float = 1.0, norm: Literal["none", "batch", "layer"] = "batch"
    ) -> None:
        super().__init__()
        outputs = [channels(n, width) for n in TOWER[: halvings(image_side)]]
        units = channels(UNITS, width)
        self.normalises_batch = norm == "batch"
        self.local = _side(outputs[:-1], units, norm)
        self.global_ = _side(outputs, units, norm)
        self.head = nn.Linear(2 * units, 1)

    def forward(self, image: Tensor, windows: Sequence[Box]) -> Tensor:
        """Unbounded scores ``(B,)`` of images ``(B, 3, H, W)`` in 0..1 and their windows."""
        seen = [self.local(look(image, "local", windows)), self.global_(image)]
        return in_fp32(self.head, torch.cat(seen, 1)).squeeze(1)


def _side(outputs: Sequence[int], units: int, norm: Norm) -> nn.Sequential:
    """One side of the critic: ``(B, 3, S, S)`` to ``(B, units)``."""
    convolutions = tower(outputs, norm, "relu")
    return nn.Sequential(convolutions, nn.Flatten(), nn.Linear(16 * outputs[-1], units), nn.ReLU(inplace=True))


ADADELTA = Optimizer(kind="adadelta", lr=1.0)
JS = Recipe(kind="js", norm="batch", optimizer=ADADELTA)


class GlcicOptions(Trained):
    """GLCIC as in its paper: generator, one joined critic, Adadelta, weight, three phases."""

    as_published: ClassVar[bool] = True

    norm: Literal["none", "batch", "instance"] = reading("batch", "R4", "normalisation inside the generator")
    fill: Fill = reading("mean", "R2", "what fills the hole in the generator's input")
    optimizer: Optimizer = reading(ADADELTA, "R26", "the generator's optimiser")
    rates: dict[Literal["pretrain", "joint"], Rate] = reading(
        {}, "R26", "the generator's learning rate by stage, if it is not the optimiser's"
    )
    loss: Recipe = Field(default=JS, description="a recipe: loss, norm, optimiser and clip that belong together")
    real_window: Literal["same", "independent"] = reading(
        "independent", "R19", "where the critic's local branch looks in real images"
    )
    weight: Positive = reading(4e-4, "R26", "the weight of the adversarial loss")

    def method(self, image_size: int) -> Method:
        """Iizuka 2017, section 3.3, with the study's own steps."""
        network = {"kind": "glcic", "image_side": image_size, "width": self.width}
        critic = Critic(
            network={**network, "norm": self.loss.norm},
            recipe=self.loss,
            weight=self.weight,
            real_window=self.real_window,
        )
        return Method(
            generator={**network, "norm": self.norm},
            optimizer=self.optimizer,
            rates=dict(self.rates.items()),
            reconstruction=Reconstruction(),
            fill=self.fill,
            critics={"joined": critic},
            stages=[*STAGES],
        )
