"""The critics of Tables 2 to 5, their views, and one more critic that continues the series to x8."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from models.layers import Activation, Downsample, Norm, block, channels, downsample, halvings, in_fp32
from models.masking import Box

TABLES = {
    "local": (64, 128, 256, 512, 512, 512),  # Table 2, D_l
    "global": (64, 128, 256, 512, 512),  # Table 3, D_g
    "half": (64, 128, 256, 512, 512),  # Table 4, D_m1
    "quarter": (64, 128, 256, 512),  # Table 5, D_m2
    "eighth": (64, 128, 256),  # not in the paper: READING R10
}
"""Outputs of the 5x5 convolutions of stride 2 of each view's critic, for images of 256 px."""

PUBLISHED_SIDE = 256
FACTORS = {"global": 1, "half": 2, "quarter": 4, "eighth": 8}
VIEWS = tuple(TABLES)


def view_side(view: str, image_side: int) -> int:
    """The side of a view, in pixels, of an image of ``image_side`` pixels."""
    return image_side // 2 if view == "local" else image_side // FACTORS[view]


def look(image: Tensor, view: str, windows: Sequence[Box], kind: Downsample = "avgpool3") -> Tensor:
    """The view of an image: ``image (B, 3, H, W)`` to ``(B, 3, S, S)``, where S is ``view_side``.

    ``windows``: one window per image, all of one size (``masking.window_of``). Only the local view reads them.
    ``kind``: how the multi-scale views are down-sampled (READING R9).
    """
    if view == "global":
        return image
    if view != "local":
        return downsample(image, FACTORS[view], kind)
    first = windows[0]
    if all(window == first for window in windows):
        return image[..., *first.slices]
    return torch.stack([one[:, *window.slices] for one, window in zip(image, windows, strict=True)])


def layers_of(view: str, image_side: int, tables: Literal["printed", "exchanged"] = "printed") -> tuple[int, ...]:
    """Outputs of the convolutions of the critic with this view, for images of ``image_side`` pixels.

    At 256 / 2^k pixels the last k layers are left out, so that the last map keeps the paper's size. ``exchanged`` swaps
    the captions of Tables 2 and 3 (READING R6). Raises ValueError if there is no such critic.
    """
    if view not in TABLES:
        raise ValueError(f"view: {view!r} is unknown; choose {', '.join(VIEWS)}")
    dropped = halvings(PUBLISHED_SIDE) - halvings(image_side)
    swap = {"local": "global", "global": "local"} if tables == "exchanged" else {}
    table = TABLES[swap.get(view, view)]
    layers = table[: max(len(table) - dropped, 0)]
    if not layers or view_side(view, image_side) < 2 ** len(layers):
        raise ValueError(f"view: {view!r} leaves no critic at {image_side} px; choose a larger image or another view")
    return layers


def tower(outputs: Sequence[int], norm: Norm, activation: Activation = "leaky_relu") -> nn.Sequential:
    """n 5x5 convolutions of stride 2: ``(B, 3, S, S)`` to ``(B, outputs[-1], S / 2^n, S / 2^n)``."""
    return nn.Sequential(
        *(
            block(before, after, 5, stride=2, norm=norm, activation=activation)
            for before, after in pairwise([3, *outputs])
        )
    )


class Critic(nn.Module):
    """One of the paper's critics: a view, the convolutions of its table, and a head that makes scores.

    ``head`` (READING R7): ``mean``, a 1x1 convolution to one map, averaged; ``linear``, one unit on the last maps;
    ``patch``, one score for each position of the map. Raises ValueError if the view has no critic at this size.
    """

    version = 1

    def __init__(
        self,
        image_side: int,
        *,
        view: str,
        width: float = 1.0,
        tables: Literal["printed", "exchanged"] = "printed",
        head: Literal["mean", "linear", "patch"] = "mean",
        norm: Literal["none", "batch", "layer"] = "none",
        downsample: Downsample = "avgpool3",
    ) -> None:
        super().__init__()
        outputs = [channels(n, width) for n in layers_of(view, image_side, tables)]
        seen = image_side if downsample == "none" and view in FACTORS else view_side(view, image_side)
        last_side = seen >> len(outputs)
        self.views = (view,)
        self.normalises_batch = norm == "batch"
        self.head_kind, self.downsample = head, downsample
        self.tower = tower(outputs, norm)
        self.head: nn.Module
        if head == "linear":
            self.head = nn.Linear(outputs[-1] * last_side**2, 1)
        else:
            self.head = nn.Conv2d(outputs[-1], 1, 1)

    def forward(self, image: Tensor, windows: Sequence[Box]) -> Tensor:
        """Unbounded scores of images ``(B, 3, H, W)`` in 0..1: ``(B,)``, or ``(B, P)`` with head ``patch``."""
        maps = self.tower(look(image, self.views[0], windows, self.downsample))
        scores = in_fp32(self.head, maps.flatten(1) if self.head_kind == "linear" else maps).flatten(1)
        return scores if self.head_kind == "patch" else scores.mean(1)
