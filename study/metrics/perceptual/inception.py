"""The Inception-v3 of FID and KID: Szegedy 2016, as in TensorFlow's graph of 2015-12-05, up to its pooled features.

Modules have torchvision's names, so the files of pytorch-fid and torch-fidelity can be read directly. As in the graph
and unlike torchvision, average pooling leaves padding out of its mean, and the last block uses max pooling.

Images are resized as in pytorch-fid: bilinear, in 0..1, without antialiasing, corners not aligned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial, reduce

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 299  # px, to which images are resized
Size = int | tuple[int, int]
Chains = Mapping[str, Sequence[tuple[int, Size] | tuple[int, Size, int]]]
"""Convolutions in a row, by name: the channels, the size and, where it is not 1, the stride of each."""


class Convolution(nn.Module):
    """Convolution, batch normalisation, ReLU. ``padding``: a stride of 1 keeps the size."""

    def __init__(self, inputs: int, outputs: int, size: Size, stride: int = 1, *, padding: bool = True) -> None:
        super().__init__()
        height, width = (size, size) if isinstance(size, int) else size
        around = (height // 2, width // 2) if padding and stride == 1 else (0, 0)
        self.conv = nn.Conv2d(inputs, outputs, (height, width), stride=stride, padding=around, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H', W')."""
        return F.relu(self.bn(self.conv(x)))


_mean = partial(F.avg_pool2d, kernel_size=3, stride=1, padding=1, count_include_pad=False)


class Block(nn.Module):
    """Chains of convolutions and a pooling side by side, joined by channel.

    ``pooled``: the channels of the convolution after a pooling by mean; None for the largest values with stride 2.
    """

    def __init__(self, inputs: int, pooled: int | None, chains: Chains) -> None:
        super().__init__()
        self.chains = list[list[str]]()
        for name, chain in chains.items():
            modules = [f"{name}_{number}" for number in range(1, len(chain) + 1)] if len(chain) > 1 else [name]
            channels = inputs
            for module, layer in zip(modules, chain, strict=True):
                self.add_module(module, Convolution(channels, *layer))
                channels = layer[0]
            self.chains.append(modules)
        self.branch_pool = Convolution(inputs, pooled, 1) if pooled else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H', W')."""
        parts = [reduce(lambda part, module: self.get_submodule(module)(part), chain, x) for chain in self.chains]
        pooled = self.branch_pool(_mean(x)) if self.branch_pool else F.max_pool2d(x, 3, stride=2)
        return torch.cat([*parts, pooled], 1)


BLOCK_A: Chains = {"branch1x1": [(64, 1)], "branch5x5": [(48, 1), (64, 5)], "branch3x3dbl": [(64, 1), (96, 3), (96, 3)]}
BLOCK_B: Chains = {"branch3x3": [(384, 3, 2)], "branch3x3dbl": [(64, 1), (96, 3), (96, 3, 2)]}
BLOCK_D: Chains = {
    "branch3x3": [(192, 1), (320, 3, 2)],
    "branch7x7x3": [(192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3, 2)],
}


def _block_c(inner: int) -> Chains:
    row, column = (inner, (1, 7)), (inner, (7, 1))
    return {
        "branch1x1": [(192, 1)],
        "branch7x7": [(inner, 1), row, (192, (7, 1))],
        "branch7x7dbl": [(inner, 1), column, row, column, (192, (1, 7))],
    }


class BlockE(nn.Module):
    """Mixed_7b and Mixed_7c, at 8 x 8; ``largest``: max pooling, as in the graph's last block."""

    def __init__(self, inputs: int, *, largest: bool) -> None:
        super().__init__()
        self.largest = largest
        self.branch1x1 = Convolution(inputs, 320, 1)
        self.branch3x3_1 = Convolution(inputs, 384, 1)
        self.branch3x3_2a = Convolution(384, 384, (1, 3))
        self.branch3x3_2b = Convolution(384, 384, (3, 1))
        self.branch3x3dbl_1 = Convolution(inputs, 448, 1)
        self.branch3x3dbl_2 = Convolution(448, 384, 3)
        self.branch3x3dbl_3a = Convolution(384, 384, (1, 3))
        self.branch3x3dbl_3b = Convolution(384, 384, (3, 1))
        self.branch_pool = Convolution(inputs, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, 2048, H, W)."""
        once = self.branch3x3_1(x)
        twice = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        parts = [self.branch1x1(x), self.branch3x3_2a(once), self.branch3x3_2b(once)]
        parts += [self.branch3x3dbl_3a(twice), self.branch3x3dbl_3b(twice)]
        pooled = F.max_pool2d(x, 3, stride=1, padding=1) if self.largest else _mean(x)
        return torch.cat([*parts, self.branch_pool(pooled)], 1)


class Inception(nn.Module):
    """The network, from images to 2048 features."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Convolution(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = Convolution(32, 32, 3, padding=False)
        self.Conv2d_2b_3x3 = Convolution(32, 64, 3)
        self.Conv2d_3b_1x1 = Convolution(64, 80, 1)
        self.Conv2d_4a_3x3 = Convolution(80, 192, 3, padding=False)
        self.Mixed_5b = Block(192, 32, BLOCK_A)
        self.Mixed_5c = Block(256, 64, BLOCK_A)
        self.Mixed_5d = Block(288, 64, BLOCK_A)
        self.Mixed_6a = Block(288, None, BLOCK_B)
        self.Mixed_6b = Block(768, 192, _block_c(128))
        self.Mixed_6c = Block(768, 192, _block_c(160))
        self.Mixed_6d = Block(768, 192, _block_c(160))
        self.Mixed_6e = Block(768, 192, _block_c(192))
        self.Mixed_7a = Block(768, None, BLOCK_D)
        self.Mixed_7b = BlockE(1280, largest=False)
        self.Mixed_7c = BlockE(2048, largest=True)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) in 0..1 to (B, 2048)."""
        x = 2 * F.interpolate(image, (SIDE, SIDE), mode="bilinear", align_corners=False) - 1
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = F.max_pool2d(x, 3, stride=2)
        x = F.max_pool2d(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)), 3, stride=2)
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        return torch.mean(x, (2, 3))
