"""Shared by the networks: the convolution block, first weights, down-sampling."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Norm = Literal["none", "batch", "instance", "layer"]
Activation = Literal["none", "relu", "leaky_relu", "elu"]
Downsample = Literal["avgpool3", "area", "bilinear", "none"]


def no_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Leaves autocast, if the device has it."""
    return nullcontext() if device.type == "meta" else torch.autocast(device.type, enabled=False)


class LayerNorm(nn.GroupNorm):
    """Layer norm over the channels and positions of an image's maps, ``(B, C, H, W)``.

    Under autocast, maps in bf16 stay bf16, with statistics in fp32. Torch's own turns them to fp32 and back, which
    moves several times the memory.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(1, channels)

    def forward(self, input: Tensor) -> Tensor:
        if input.dtype == self.weight.dtype:
            return super().forward(input)
        with no_autocast(input.device):
            return F.group_norm(input, 1, self.weight.to(input), self.bias.to(input), self.eps)


NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "instance": lambda channels: nn.InstanceNorm2d(channels, affine=True),
    "layer": LayerNorm,
}
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": lambda: nn.ReLU(inplace=True),
    "leaky_relu": lambda: nn.LeakyReLU(0.2, inplace=True),
    "elu": lambda: nn.ELU(inplace=True),
}


def halvings(image_side: int) -> int:
    """How many halvings take ``image_side`` to 4: six for the paper's 256 px.

    Raises ValueError unless it is a power of two from 16 to 256, which networks that end in maps of a fixed size need.
    """
    if image_side.bit_count() != 1 or not 16 <= image_side <= 256:
        raise ValueError(f"image_side: {image_side} is not a power of two from 16 to 256")
    return image_side.bit_length() - 3


def channels(published: int, width: float) -> int:
    """The number of maps of a layer that has ``published`` maps at width 1; at least 4."""
    return max(4, round(published * width))


def block(
    inputs: int,
    outputs: int,
    kernel: int,
    *,
    stride: int = 1,
    dilation: int = 1,
    padding: int | None = None,
    norm: Norm = "none",
    activation: Activation = "relu",
    transposed: bool = False,
    bias: bool = True,
) -> nn.Sequential:
    """A convolution, its norm, its activation, in this order (READING R4).

    ``(B, inputs, H, W)`` to ``(B, outputs, H / stride, W / stride)``, or times ``stride`` if transposed.
    The default ``padding`` gives these sizes. The convolution is item 0.
    """
    if padding is None:
        padding = (kernel - stride + 1) // 2 if transposed else dilation * (kernel - 1) // 2
    conv: nn.Conv2d | nn.ConvTranspose2d
    if transposed:
        conv = nn.ConvTranspose2d(inputs, outputs, kernel, stride, padding, bias=bias)
    else:
        conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, bias=bias)
    parts: list[nn.Module] = [conv]
    if norm != "none":
        parts.append(NORMS[norm](outputs))
    if activation != "none":
        parts.append(ACTIVATIONS[activation]())
    return nn.Sequential(*parts)


def rest_idle_biases(network: nn.Module) -> None:
    """Stops training biases that batch or instance norm removes again, so that no time goes into their gradients."""
    for part in network.modules():
        for layer, after in pairwise(part if isinstance(part, nn.Sequential) else ()):
            removed = isinstance(after, nn.BatchNorm2d | nn.InstanceNorm2d)
            if removed and isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and layer.bias is not None:
                layer.bias.requires_grad_(False)


def in_fp32(head: nn.Module, maps: Tensor) -> Tensor:
    """``head(maps)`` in fp32 or more, also under autocast: bf16 would round scores to 0.4% of their size."""
    with no_autocast(maps.device):
        return head(maps.to(torch.promote_types(maps.dtype, torch.float32)))  # type: ignore[no-any-return]


@torch.no_grad()
def initialise(module: nn.Module, generator: torch.Generator, std: float | None = None) -> None:
    """Draws all first weights of ``module`` from ``generator``, in the order of registration.

    Convolutions and linear layers: N(0, std). Without ``std``, N(0, 2 / fan_in) for every activation (He 2015, eq. 10).
    The fan-in of a transposed convolution is the number of terms in one of its outputs: inputs x kernel area / stride
    area. Biases are 0; norms have weight 1 and bias 0.

    Raises TypeError if ``module`` contains a layer of another type with weights.
    """
    for part in module.modules():
        own = dict(part.named_parameters(recurse=False))
        if isinstance(part, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            deviation = math.sqrt(2 / _fan_in(part)) if std is None else std
            draw = torch.randn(part.weight.shape, generator=generator, device=generator.device)
            part.weight.copy_(draw * deviation)
        elif isinstance(part, (nn.BatchNorm2d, nn.InstanceNorm2d, nn.GroupNorm)):
            part.weight.fill_(1)
        elif own:
            raise TypeError(f"initialise does not know the weights of {type(part).__name__}")
        if "bias" in own:
            own["bias"].zero_()


def _fan_in(part: nn.Conv2d | nn.ConvTranspose2d | nn.Linear) -> float:
    """The number of products in the sum of one output."""
    if isinstance(part, nn.Linear):
        return part.in_features
    terms = part.in_channels // part.groups * math.prod(part.kernel_size)
    return terms / math.prod(part.stride) if isinstance(part, nn.ConvTranspose2d) else terms


def downsample(image: Tensor, factor: int, kind: Downsample) -> Tensor:
    """``image (B, C, H, W)`` down to ``(B, C, H / factor, W / factor)``; ``factor`` is a power of two.

    READING R9. ``avgpool3``: pix2pixHD's 3x3 average pool of stride 2, padding not counted, once per halving. ``area``:
    the mean of each square. ``bilinear``: the triangle filter of ``F.interpolate(antialias=True)``, written as a matrix
    product because torch's own gradient is not deterministic on CUDA. ``none``: no change.
    """
    if kind == "none":
        return image
    if kind == "area":
        return F.avg_pool2d(image, factor)
    if kind == "bilinear":
        rows, columns = (_triangle(side, factor, image.dtype, image.device) for side in image.shape[-2:])
        return rows @ image @ columns.T
    for _ in range(factor.bit_length() - 1):
        image = F.avg_pool2d(image, 3, stride=2, padding=1, count_include_pad=False)
    return image


@cache
def _triangle(side: int, factor: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The filter from ``side`` samples to ``side / factor``: ``(side / factor, side)``, rows sum to 1."""
    inputs = (torch.arange(side) + 0.5) / factor
    outputs = torch.arange(side // factor) + 0.5
    weights = (1 - (inputs - outputs[:, None]).abs()).clamp_(min=0)
    return (weights / weights.sum(1, keepdim=True)).to(device, dtype)
