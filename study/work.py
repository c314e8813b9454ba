"""What a network costs, counted on the network itself: parameters and multiply-accumulates."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from models.masking import Box, center_box
from models.method import Part
from study import catalog


def parameters(network: nn.Module) -> int:
    """The number of trained values."""
    return sum(parameter.numel() for parameter in network.parameters())


def count_macs(network: nn.Module, *inputs: Any) -> int:
    """Multiply-accumulates of the convolutions and linear layers in one forward pass of these inputs."""
    total = 0

    def count(module: nn.Module, _: Any, output: Tensor) -> None:
        nonlocal total
        weight = module.weight
        assert isinstance(weight, Tensor)
        if isinstance(module, nn.ConvTranspose2d):  # each input value meets the whole kernel
            source = _[0]
            total += source.numel() // source.shape[1] * weight.numel()
        elif isinstance(module, nn.Conv2d):
            total += output.numel() // output.shape[1] * weight.numel()
        else:
            total += output.numel() // output.shape[-1] * weight.numel()

    kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, kinds)]
    with torch.no_grad():
        network(*inputs)
    for hook in hooks:
        hook.remove()
    return total


@cache
def _generator(part: str, side: int, window: Box | None) -> tuple[int, int]:
    with torch.device("meta"):
        network = catalog.build(catalog.GENERATORS, json.loads(part)).eval()
        macs = count_macs(network, torch.empty(1, 3, side, side), torch.empty(1, 1, side, side), window)
    return parameters(network), macs


@cache
def _critic(part: str, side: int) -> tuple[int, int]:
    with torch.device("meta"):
        network = catalog.build(catalog.CRITICS, json.loads(part)).eval()
        macs = count_macs(network, torch.empty(1, 3, side, side), [center_box(side)])
    return parameters(network), macs


def generator_cost(part: Part, side: int, window: Box | None = None) -> tuple[int, int]:
    """Parameters, and multiply-accumulates an image, of a generator (of its window alone, where one is named)."""
    return _generator(json.dumps(part, sort_keys=True), side, window)


def critic_cost(part: Part, side: int) -> tuple[int, int]:
    """Parameters, and multiply-accumulates an image, of a critic."""
    return _critic(json.dumps(part, sort_keys=True), side)
