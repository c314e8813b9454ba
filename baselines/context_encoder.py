"""The Context Encoder, Pathak 2016: an L2 and an adversarial loss. Only the hole is predicted.

The layers are those of the released code (pathak22/context-encoder, ``train.lua``) for images of 128 px.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from models.critics import look
from models.layers import Norm, block, channels, halvings, in_fp32
from models.masking import Box, center_box
from models.method import Critic as CriticDescription
from models.method import Method, Optimizer, Rate, Recipe, Reconstruction, Trained, one_stage
from models.options import Positive, reading

ENCODER = (64, 64, 128, 256, 512, 512)
DECODER = (512, 512, 256, 128, 64)
CRITIC = (64, 128, 256, 512, 512)
BOTTLENECK = 4000


class ContextEncoder(nn.Module):
    """Encoder to 4x4 maps, a bottleneck, and a decoder to the central square of half the side.

    At 128 px the encoder has five layers of stride 2 and the decoder four, as released. At 256 px they have six and
    five, at 64 px four and three, at 32 px three and two: layers next to the bottleneck are added or dropped.
    ``bottleneck``: ``conv4000``, the released 4x4 convolution to 4000 units; ``channelwise``, of section 3.1, a
    fully connected layer on each map and a 1x1 convolution across them. Batch norm replaces biases.

    Raises ValueError if ``image_side`` is not a power of two from 16 to 256.
    """

    version = 1
    windowed = False

    def __init__(
        self,
        image_side: int,
        *,
        width: float = 1.0,
        bottleneck: Literal["channelwise", "conv4000"] = "conv4000",
    ) -> None:
        super().__init__()
        depth = halvings(image_side)
        down = [channels(n, width) for n in ENCODER[:depth]]
        up = [channels(n, width) for n in DECODER[1 - depth :]]
        self.encoder = nn.Sequential(
            _down(3, down[0], norm="none"),
            *(_down(before, after) for before, after in pairwise(down)),
        )
        if bottleneck == "conv4000":
            units = channels(BOTTLENECK, width)
            self.bottleneck = nn.Sequential(
                block(down[-1], units, 4, padding=0, norm="batch", activation="leaky_relu", bias=False),
                block(units, up[0], 4, padding=0, norm="batch", transposed=True, bias=False),
            )
        else:
            self.bottleneck = nn.Sequential(
                nn.Flatten(),
                nn.Unflatten(1, (16 * down[-1], 1, 1)),
                nn.Conv2d(16 * down[-1], 16 * down[-1], 1, groups=down[-1]),
                nn.Flatten(),
                nn.Unflatten(1, (down[-1], 4, 4)),
                block(down[-1], up[0], 1, norm="batch", bias=False),
            )
        self.decoder = nn.Sequential(
            *(
                block(before, after, 4, stride=2, norm="batch", transposed=True, bias=False)
                for before, after in pairwise(up)
            ),
            block(up[-1], 3, 4, stride=2, activation="none", transposed=True, bias=False),
        )

    def forward(self, masked_image: Tensor, mask: Tensor, window: Box | None = None) -> Tensor:
        """Returns the masked image ``(B, 3, H, W)`` in 0..1 with its central square of half the side predicted.

        Mask and window are not read: the network repairs only one hole, ``masking.center_box``.
        """
        square = self.decoder(self.bottleneck(self.encoder(2 * masked_image - 1)))
        prediction = masked_image.clone()
        prediction[..., *center_box(masked_image.shape[-1]).slices] = (square.tanh() + 1) / 2
        return prediction


class HoleCritic(nn.Module):
    """The Context Encoder's critic of the hole: 4x4 convolutions of stride 2 to 4x4 maps, then one to a score.

    Four layers of stride 2 at 128 px, as released; five at 256 px, three at 64, two at 32.
    """

    version = 1
    views = ("local",)

    def __init__(
        self, image_side: int, *, width: float = 1.0, norm: Literal["none", "batch", "layer"] = "batch"
    ) -> None:
        super().__init__()
        self.normalises_batch = norm == "batch"
        outputs = [channels(n, width) for n in CRITIC[: halvings(image_side) - 1]]
        self.layers = nn.Sequential(
            _down(3, outputs[0], norm="none"),
            *(_down(before, after, norm) for before, after in pairwise(outputs)),
            nn.Conv2d(outputs[-1], 1, 4, bias=False),
        )

    def forward(self, image: Tensor, windows: Sequence[Box]) -> Tensor:
        """Unbounded scores ``(B,)`` of the windows of images ``(B, 3, H, W)`` in 0..1."""
        maps = self.layers[:-1](2 * look(image, "local", windows) - 1)
        return in_fp32(self.layers[-1], maps).flatten()


def _down(inputs: int, outputs: int, norm: Norm = "batch") -> nn.Sequential:
    """A 4x4 convolution with leaky ReLU: ``(B, inputs, S, S)`` to ``(B, outputs, S / 2, S / 2)``."""
    return block(inputs, outputs, 4, stride=2, norm=norm, activation="leaky_relu", bias=False)


JS = Recipe(kind="js", norm="batch", optimizer=Optimizer(kind="adam", lr=2e-4, betas=[0.5, 0.999]))


class ContextEncoderOptions(Trained):
    """The Context Encoder as in its paper and released code: trained jointly from the start."""

    central_only: ClassVar[bool] = True
    as_published: ClassVar[bool] = True

    bottleneck: Literal["channelwise", "conv4000"] = reading(
        "channelwise", "R26", "channel-wise fully connected, as its paper says, or convolutional, as released"
    )
    optimizer: Optimizer = reading(
        Optimizer(kind="adam", lr=2e-3, betas=[0.5, 0.999]), "R26", "the generator's optimiser"
    )
    rates: dict[Literal["pretrain", "joint"], Rate] = reading(
        {}, "R26", "the generator's learning rate by stage, if it is not the optimiser's"
    )
    loss: Recipe = Field(default=JS, description="a recipe: loss, norm, optimiser and clip that belong together")
    weight: Positive = reading(0.001, "R26", "the weight of the adversarial loss")
    edge: Annotated[int, Field(ge=0, le=32)] = reading(
        4, "R26", "the band inside the hole's edge that counts ten times, px of 128; released code 4, its paper 7"
    )

    def method(self, image_size: int) -> Method:
        """Pathak 2016, section 3, and ``train.lua``.

        The released weight of the loss, 0.999 for images in -1..1, is 3.996 for images in 0..1. The released network
        predicts a band of 4 of 128 px around the hole, which counts ten times. Here exactly the protocol's hole is
        predicted, so the band is just inside it.
        """
        network = {"kind": "context_encoder", "image_side": image_size, "width": self.width}
        critic = CriticDescription(
            network={**network, "norm": self.loss.norm}, recipe=self.loss, weight=self.weight, init_std=0.02
        )
        edge = max(self.edge * image_size // 128, 1) if self.edge else 0
        return Method(
            generator={**network, "bottleneck": self.bottleneck},
            optimizer=self.optimizer,
            rates=one_stage(self.rates, self.optimizer, self.steps),
            reconstruction=Reconstruction(weight=3.996, edge=edge, edge_weight=10.0),
            fill=[117 / 255, 104 / 255, 123 / 255],
            critics={"hole": critic},
            stages=["joint"],
            init_std=0.02,
        )
