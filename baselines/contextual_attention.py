"""The networks of GIICA, Yu 2018 (DeepFill v1): a coarse generator and one that copies from known pixels.

The layers are those of the released code (JiahuiYu/generative_inpainting, branch v1.0.0) for images of 256 px.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.critics import PUBLISHED_SIDE, look, tower, view_side
from models.layers import Activation, block, channels, halvings, in_fp32
from models.masking import Box, composite, known

COARSE = (32, 64, 64, 128, 128, 128)
CONVOLVED = (32, 32, 64, 64, 128, 128)
MATCHED = (32, 32, 64, 128, 128, 128)
"""Outputs at width 1 of the three encoders: the coarse generator's, and those of the two branches that refine."""

DILATIONS = (2, 4, 8, 16)
MULTIPLE = 8
"""The smallest side, px: an encoder divides the side by 4, and attention compares every second position."""

TOWERS = {"local": (64, 128, 256, 512), "global": (64, 128, 256, 256)}
"""Outputs of each critic's 5x5 convolutions of stride 2 by its view, for images of 256 px."""


class GiicaGenerator(nn.Module):
    """Two generators in sequence. One of the second's two branches repairs the hole by contextual attention.

    ELU and no norm. ``image_side`` is only checked: the network takes images of any size that is a multiple of 8.
    Raises ValueError if it is not one.
    """

    version = 1
    windowed = False

    def __init__(self, image_side: int, *, width: float = 1.0) -> None:
        super().__init__()
        if image_side < MULTIPLE or image_side % MULTIPLE:
            raise ValueError(f"image_side: {image_side} is not a multiple of {MULTIPLE}")
        maps = channels(128, width)
        self.coarse = nn.Sequential(_encoder(COARSE, width), _dilated(width), _decoder(maps, width))
        self.convolved = nn.Sequential(_encoder(CONVOLVED, width), _dilated(width))
        self.matched = _encoder(MATCHED, width, last="relu")
        self.pasted = _convolutions(maps, (128, 128), width)
        self.decoder = _decoder(2 * maps, width)

    def forward(self, masked_image: Tensor, mask: Tensor, window: Box | None = None) -> tuple[Tensor, Tensor]:
        """Returns the coarse and the refined prediction of a masked image, each ``(B, 3, H, W)`` in 0..1.

        ``mask (B, 1, H, W)``. The second generator sees the coarse prediction only in the hole. The window is not read,
        because attention needs the whole image. Predictions are clipped; a clipped value has no gradient.
        """
        rest = torch.cat([torch.ones_like(mask), mask], 1)
        image = 2 * masked_image - 1
        coarse = self.coarse(torch.cat([image, rest], 1)).clamp(-1, 1)
        filled = torch.cat([composite(coarse, image, mask), rest], 1)
        matched = self.matched(filled)
        pasted = self.pasted(contextual_attention(matched, matched, mask))
        refined = self.decoder(torch.cat([self.convolved(filled), pasted], 1)).clamp(-1, 1)
        return (coarse + 1) / 2, (refined + 1) / 2


def _encoder(table: Sequence[int], width: float, last: Activation = "elu") -> nn.Sequential:
    """Image, ones and mask ``(B, 5, H, W)`` to ``(B, C, H / 4, W / 4)``. ``last``: the last activation."""
    sizes = pairwise([5, *(channels(n, width) for n in table)])
    kernels, strides = (5, 3, 3, 3, 3, 3), (1, 2, 1, 2, 1, 1)
    activations: tuple[Activation, ...] = ("elu", "elu", "elu", "elu", "elu", last)
    return nn.Sequential(
        *(
            block(before, after, kernel, stride=stride, activation=activation)
            for (before, after), kernel, stride, activation in zip(sizes, kernels, strides, activations, strict=True)
        )
    )


def _convolutions(
    inputs: int, table: Sequence[int], width: float, dilations: Sequence[int] | None = None
) -> nn.Sequential:
    """3x3 convolutions with ELU: ``(B, inputs, h, w)`` to ``(B, C, h, w)``."""
    sizes = pairwise([inputs, *(channels(n, width) for n in table)])
    return nn.Sequential(
        *(
            block(before, after, 3, dilation=dilation, activation="elu")
            for (before, after), dilation in zip(sizes, dilations or [1] * len(table), strict=True)
        )
    )


def _dilated(width: float) -> nn.Sequential:
    """The dilated convolutions: ``(B, C, h, w)`` to the same shape."""
    return _convolutions(channels(128, width), [128] * len(DILATIONS), width, DILATIONS)


def _decoder(inputs: int, width: float) -> nn.Sequential:
    """``(B, inputs, H / 4, W / 4)`` to ``(B, 3, H, W)``, an image in -1..1 after clipping."""
    return nn.Sequential(
        _convolutions(inputs, (128, 128), width),
        nn.Upsample(scale_factor=2),
        _convolutions(channels(128, width), (64, 64), width),
        nn.Upsample(scale_factor=2),
        _convolutions(channels(64, width), (32, 16), width),
        block(channels(16, width), 3, 3, activation="none"),
    )


def contextual_attention(foreground: Tensor, background: Tensor, mask: Tensor, *, scale: float = 10.0) -> Tensor:
    """Rebuilds the foreground from known patches of the background: Yu 2018, section 3.3.

    At every second position, a weighted sum of the background's 4x4 patches is pasted (``attention_weights``). A pixel
    is the mean of the four patches that cover it.

    Args:
        foreground: (B, C, h, w), h and w even.
        background: (B, C, h, w).
        mask: (B, 1, H, W), of the image, with the aspect ratio of the maps.
        scale: Factor of the scores in the softmax.

    Returns:
        (B, C, h, w), 0 for an image without known patches.
    """
    kind = foreground.device.type
    if kind != "meta" and torch.is_autocast_enabled(kind):
        with torch.autocast(kind, enabled=False):  # scores reach thousands, where bf16 steps by 8
            return contextual_attention(foreground.float(), background.float(), mask.float(), scale=scale)
    weights = attention_weights(foreground, background, mask, scale=scale)
    patches = F.unfold(background, 4, stride=2, padding=1)
    return F.fold(patches @ weights.mT, foreground.shape[-2:], 4, stride=2, padding=1) / 4


def attention_weights(foreground: Tensor, background: Tensor, mask: Tensor, *, scale: float = 10.0) -> Tensor:
    """The weight of each background position for each foreground position, ``(B, N, N)``, N = h / 2 * w / 2.

    A position is every second pixel, as in the port to torch (daa233). The released code, whose resize aligns corners,
    takes the odd pixels in the lower and right half. A score is the inner product of 3x3 patches, the background's
    normalised, summed along diagonals so that neighbours copy from neighbours. As released, patches that touch the hole
    take part in the softmax with a score of 0 and then get weight 0. So the weights of a position sum to at most 1.
    """
    foreground, background = foreground[..., ::2, ::2], background[..., ::2, ::2]
    sought, offered = F.unfold(foreground, 3, padding=1), F.unfold(background, 3, padding=1)
    offered = offered / torch.linalg.vector_norm(offered, dim=1, keepdim=True).clamp(min=1e-4)
    rows, columns = background.shape[-2:]
    scores = _fused(sought.mT @ offered)
    scores = _transposed(_fused(_transposed(scores, rows, columns)), columns, rows)
    usable = known(_touched(mask, rows)).flatten(2)
    return (scores * (scale * usable)).softmax(2) * usable


def _fused(scores: Tensor) -> Tensor:
    """The sum of each score of ``(B, N, N)`` and its two neighbours along the diagonal."""
    padded = F.pad(scores, (1, 1, 1, 1))
    return padded[:, :-2, :-2] + scores + padded[:, 2:, 2:]


def _transposed(scores: Tensor, rows: int, columns: int) -> Tensor:
    """Reorders scores ``(B, N, N)`` of positions from row by row to column by column."""
    return scores.view(-1, rows, columns, rows, columns).permute(0, 2, 1, 4, 3).reshape(scores.shape)


def _touched(mask: Tensor, rows: int) -> Tensor:
    """1 where a 3x3 patch touches the hole, at ``rows`` rows: ``(B, 1, rows, columns)``.

    A cell belongs to the hole if any of its pixels does. The released code looks at one pixel per cell, which is the
    same for the central square but misses most of a thin stroke.
    """
    return F.max_pool2d(F.max_pool2d(mask, mask.shape[-2] // rows), 3, stride=1, padding=1)


class GiicaCritic(nn.Module):
    """One of GIICA's two critics: a view, 5x5 convolutions of stride 2, one linear unit.

    At 256 / 2^k px its last k layers are left out, so that its last map keeps the paper's size: 8x8 for the local view,
    16x16 for the global one. Raises ValueError if no layer is left.
    """

    version = 1
    normalises_batch = False

    def __init__(self, image_side: int, *, view: Literal["local", "global"], width: float = 1.0) -> None:
        super().__init__()
        if view not in TOWERS:
            raise ValueError(f"view: {view!r} is unknown; choose {', '.join(TOWERS)}")
        depth = len(TOWERS[view]) - halvings(PUBLISHED_SIDE) + halvings(image_side)
        if depth < 1:
            raise ValueError(f"view: {view!r} leaves no critic at {image_side} px; choose a larger image")
        outputs = [channels(n, width) for n in TOWERS[view][:depth]]
        last_side = view_side(view, image_side) >> depth
        self.views = (view,)
        self.tower = tower(outputs, "none")
        self.head = nn.Linear(outputs[-1] * last_side**2, 1)

    def forward(self, image: Tensor, windows: Sequence[Box]) -> Tensor:
        """Unbounded scores ``(B,)`` of images ``(B, 3, H, W)`` in 0..1. Only the local view reads the windows."""
        maps = self.tower(2 * look(image, self.views[0], windows) - 1)
        return in_fp32(self.head, maps.flatten(1)).squeeze(1)
