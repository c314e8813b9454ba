"""GIICA, Yu 2018 ("DeepFill v1"): a coarse prediction, and a refined one that copies from what is known.

The layers are those of the released code (JiahuiYu/generative_inpainting, branch v1.0.0).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.critics import PUBLISHED_SIDE, look, tower, view_side
from models.layers import Activation, block, channels, halvings
from models.masking import Box, composite, known

MULTIPLE = 8
"""Of which image sides are multiples: two layers of stride 2, and attention at half of what they leave."""

TOWERS = {"local": (64, 128, 256, 512), "global": (64, 128, 256, 256)}
"""Outputs of each critic's 5x5 convolutions of stride 2 by its view, for images of 256 px."""


class Layer(NamedTuple):
    """A convolution of the generator at width 1; with ``up``, of maps whose side is doubled before."""

    outputs: int
    kernel: int = 3
    stride: int = 1
    dilation: int = 1
    up: bool = False
    activation: Activation = "elu"


DILATED = tuple(Layer(128, dilation=dilation) for dilation in (2, 4, 8, 16))
DECODER = (Layer(128), Layer(128), Layer(64, up=True), Layer(64), Layer(32, up=True), Layer(16))
COARSE = (
    *(Layer(32, kernel=5), Layer(64, stride=2), Layer(64), Layer(128, stride=2), Layer(128), Layer(128)),
    *(*DILATED, *DECODER),
)
REFINED = (
    *(Layer(32, kernel=5), Layer(32, stride=2), Layer(64), Layer(64, stride=2), Layer(128), Layer(128)),
    *DILATED,
)
MATCHED = (
    *(Layer(32, kernel=5), Layer(32, stride=2), Layer(64), Layer(128, stride=2), Layer(128)),
    Layer(128, activation="relu"),
)
PASTED = (Layer(128), Layer(128))


class GiicaGenerator(nn.Module):
    """Two generators in a row; of the second, one of two branches repairs by contextual attention.

    ELU and no norm. ``image_side`` is only checked: the network takes images of any size that is a multiple
    of 8. Raises ValueError if it is not.
    """

    version = 1
    windowed = False

    def __init__(self, image_side: int, *, width: float = 1.0) -> None:
        super().__init__()
        if image_side < MULTIPLE or image_side % MULTIPLE:
            raise ValueError(f"image_side: {image_side} is not a multiple of {MULTIPLE}")
        maps = channels(128, width)
        self.coarse = nn.Sequential(*_layers(5, COARSE, width), _to_image(width))
        self.convolved = nn.Sequential(*_layers(5, REFINED, width))
        self.matched = nn.Sequential(*_layers(5, MATCHED, width))
        self.pasted = nn.Sequential(*_layers(maps, PASTED, width))
        self.decoder = nn.Sequential(*_layers(2 * maps, DECODER, width), _to_image(width))

    def forward(self, masked_image: Tensor, mask: Tensor, window: Box | None = None) -> tuple[Tensor, Tensor]:
        """The coarse and the refined prediction of a masked image, each ``(B, 3, H, W)`` in 0..1.

        The refined one starts from the coarse one's composite; ``mask (B, 1, H, W)``. The window is not
        read: attention sees the whole image.
        """
        image = 2 * masked_image - 1
        constant = [torch.ones_like(mask), mask]
        coarse = self.coarse(torch.cat([image, *constant], 1)).clamp(-1, 1)
        filled = torch.cat([composite(coarse, image, mask), *constant], 1)
        matched = self.matched(filled)
        pasted = self.pasted(contextual_attention(matched, matched, mask))
        refined = self.decoder(torch.cat([self.convolved(filled), pasted], 1)).clamp(-1, 1)
        return (coarse + 1) / 2, (refined + 1) / 2


def _layers(inputs: int, table: Sequence[Layer], width: float) -> list[nn.Module]:
    """The layers of a table, the first of which takes ``inputs`` maps."""
    parts: list[nn.Module] = []
    for layer in table:
        outputs = channels(layer.outputs, width)
        if layer.up:
            parts.append(nn.Upsample(scale_factor=2))
        parts.append(
            block(
                inputs,
                outputs,
                layer.kernel,
                stride=layer.stride,
                dilation=layer.dilation,
                activation=layer.activation,
            )
        )
        inputs = outputs
    return parts


def _to_image(width: float) -> nn.Sequential:
    """The layer after ``DECODER``: its maps to a prediction in -1..1, once clipped."""
    return block(channels(DECODER[-1].outputs, width), 3, 3, activation="none")


def contextual_attention(foreground, background, mask, *, scale: float = 10.0) -> Tensor:
    weights = attention(foreground, background, mask, scale=scale)
    patches = F.unfold(background, 4, stride=2, padding=1)
    return F.fold(patches @ weights.mT, foreground.shape[-2:], 4, stride=2, padding=1) / 4


def attention(foreground, background, mask, *, scale: float = 10.0) -> Tensor:
    foreground, background = foreground[..., ::2, ::2], background[..., ::2, ::2]
    sides = (*foreground.shape[-2:], *background.shape[-2:])
    sought, offered = F.unfold(foreground, 3, padding=1), F.unfold(background, 3, padding=1)
    offered = offered / torch.linalg.vector_norm(offered, dim=1, keepdim=True).clamp(min=1e-4)
    scores = _fused(sought.mT @ offered)
    scores = _exchanged(_fused(_exchanged(scores, *sides)), sides[1], sides[0], sides[3], sides[2])
    cell = mask.shape[-1] // sides[-1]
    touched = F.max_pool2d(F.max_pool2d(mask, cell), 3, stride=1, padding=1)
    seen = known(touched).flatten(2)
    return (scores * (scale * seen)).softmax(2) * seen


def _fused(scores):
    padded = F.pad(scores, (1, 1, 1, 1))
    return padded[:, :-2, :-2] + scores + padded[:, 2:, 2:]


def _exchanged(scores, a, b, c, d):
    return scores.reshape(-1, a, b, c, d).permute(0, 2, 1, 4, 3).reshape(scores.shape)


class GiicaCritic(nn.Module):
    """One of GIICA's two critics: its view, 5x5 convolutions of stride 2, a linear head.

    At 256 / 2^k px the last k layers are dropped, so that the last maps keep the paper's size, 8x8 for the
    local view and 16x16 for the global one. Raises ValueError where the view has no critic at this size.
    """

    version = 1
    normalises_batch = False

    def __init__(self, image_side: int, *, view: Literal["local", "global"], width: float = 1.0) -> None:
        super().__init__()
        if view not in TOWERS:
            raise ValueError(f"view: {view!r} is unknown; choose {', '.join(TOWERS)}")
        dropped = halvings(PUBLISHED_SIDE) - halvings(image_side)
        outputs = [channels(n, width) for n in TOWERS[view][: len(TOWERS[view]) - dropped]]
        if not outputs:
            raise ValueError(f"view: {view!r} leaves no critic at {image_side} px; choose a larger image")
        last_side = view_side(view, image_side) >> len(outputs)
        self.views = (view,)
        self.tower = tower(outputs, "none")
        self.head = nn.Linear(outputs[-1] * last_side**2, 1)

    def forward(self, image: Tensor, windows: Sequence[Box]) -> Tensor:
        """Unbounded scores ``(B,)`` of images ``(B, 3, H, W)`` in 0..1, by what the critic's view shows."""
        maps = self.tower(2 * look(image, self.views[0], windows) - 1)
        return self.head(maps.flatten(1)).squeeze(1)
