"""What a network costs, counted on the network itself: parameters and multiply-accumulates."""

from __future__ import annotations

import torch
from torch import nn

from models.masking import Box
from models.method import Part
from study.inspection import anatomy
from study.parts import registries


def parameters(network: nn.Module) -> int:
    """The number of trained values."""
    return sum(parameter.numel() for parameter in network.parameters())


def generator_cost(part: Part, side: int, window: Box | None = None, training: bool = False) -> tuple[int, int]:
    """Parameters, and multiply-accumulates an image, of a generator.

    Of its ``window`` alone, where one is named, unless in ``training`` a norm takes statistics over the whole map.
    """
    found = anatomy.of_generator(part, side, None if training and not _windowed_in_training(part) else window)
    return found.parameters, found.macs


def _windowed_in_training(part: Part) -> bool:
    with torch.device("meta"):
        return bool(getattr(registries.build(registries.GENERATORS, part).train(), "windowed", False))


def critic_cost(part: Part, side: int) -> tuple[int, int]:
    """Parameters, and multiply-accumulates an image, of a critic."""
    found = anatomy.of_critic(part, side)
    return found.parameters, found.macs
