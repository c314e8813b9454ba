"""What a network costs, counted on the network itself: parameters and multiply-accumulates."""

from __future__ import annotations

from torch import nn

from models.masking import Box
from models.method import Part
from study import anatomy


def parameters(network: nn.Module) -> int:
    """The number of trained values."""
    return sum(parameter.numel() for parameter in network.parameters())


def generator_cost(part: Part, side: int, window: Box | None = None) -> tuple[int, int]:
    """Parameters, and multiply-accumulates an image, of a generator (of its window alone, where one is named)."""
    found = anatomy.of_generator(part, side, window)
    return found.parameters, found.macs


def critic_cost(part: Part, side: int) -> tuple[int, int]:
    """Parameters, and multiply-accumulates an image, of a critic."""
    found = anatomy.of_critic(part, side)
    return found.parameters, found.macs
