"""LPIPS (Zhang 2018, version 0.1): the distance of two images in the features of a network trained on ImageNet.

Layers have torchvision's numbers and linear heads the names of the package lpips, so their files of weights can be read
directly.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

import torch
from torch import Tensor, nn

SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # of each channel, for images in -1..1
EPSILON = 1e-10
Units = list[Tensor]  # the features of each layer, (B, C, H, W), scaled to length 1 at each position


def _alexnet() -> Iterator[nn.Module]:
    """AlexNet's convolutions, Krizhevsky 2014, up to the last ReLU."""
    yield from (nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2))
    yield from (nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2))
    for inputs, outputs in ((192, 384), (384, 256), (256, 256)):
        yield from (nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU())


def _vgg16() -> Iterator[nn.Module]:
    """VGG-16's convolutions, Simonyan 2015, configuration D, up to the last ReLU."""
    inputs = 3
    for block, (outputs, convolutions) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))):
        if block:
            yield nn.MaxPool2d(2)
        for _ in range(convolutions):
            yield from (nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU())
            inputs = outputs


LAYERS = {"alex": _alexnet, "vgg": _vgg16}
# The layers whose features are compared, with their numbers of channels.
READ = {"alex": {1: 64, 4: 192, 7: 384, 9: 256, 11: 256}, "vgg": {3: 64, 8: 128, 15: 256, 22: 512, 29: 512}}
LEAST_SIDE = {"alex": 31, "vgg": 16}  # px, for which every layer has a feature


class Features(nn.Module):
    """The layers of a network, some of which are compared."""

    def __init__(self, net: str) -> None:
        super().__init__()
        self.features = nn.Sequential(*LAYERS[net]())
        self.read = READ[net]

    def forward(self, image: Tensor) -> Units:
        """The units of images (B, 3, H, W) in -1..1."""
        shift, scale = (image.new_tensor(values)[:, None, None] for values in (SHIFT, SCALE))
        found, units = (image - shift) / scale, []
        for place, layer in enumerate(self.features):
            found = layer(found)
            if place in self.read:
                units.append(found / (found.square().sum(1, keepdim=True).sqrt() + EPSILON))
        return units


class Heads(nn.Module):
    """The weights of each layer's channels, fitted to human judgements."""

    def __init__(self, net: str) -> None:
        super().__init__()
        for layer, channels in enumerate(READ[net].values()):
            # The dropout of the training stays, for the numbers in the names of the weights.
            model = nn.Sequential(nn.Dropout(), nn.Conv2d(channels, 1, 1, bias=False))
            self.add_module(f"lin{layer}", nn.Sequential(OrderedDict(model=model)))

    def forward(self, a: Units, b: Units) -> Tensor:
        """The distance of each pair, (B,)."""
        layers = zip(self.children(), a, b, strict=True)
        each = [head((one - other).square()).mean((1, 2, 3)) for head, one, other in layers]
        return torch.stack(each).sum(0)


class LPIPS(nn.Module):
    """The distance of images from their truths."""

    def __init__(self, features: nn.Module, heads: nn.Module) -> None:
        super().__init__()
        self.features, self.heads = features, heads

    def units(self, image: Tensor) -> Units:
        """The units of images (B, 3, H, W) in 0..1. Compute those of a truth once for all its outputs."""
        found: Units = self.features(2 * image - 1)
        return found

    def forward(self, output: Tensor, truth: Units) -> Tensor:
        """The distance of each output (B, 3, H, W) in 0..1 from the truth of these units: (B,), 0 if equal."""
        found: Tensor = self.heads(self.units(output), truth)
        return found
