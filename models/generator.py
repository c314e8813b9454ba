"""The generator of Table 1: the generator of GLCIC without two of its convolutions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.layers import Norm, block, channels
from models.masking import Box


class Row(NamedTuple):
    """A layer as printed in Table 1. The stride of an up-sampling layer is 1/2."""

    kind: Literal["conv", "d-conv", "deconv"]
    kernel: int
    dilation: int
    stride: float
    outputs: int


TABLE_1 = (
    Row("conv", 5, 1, 1, 64),
    Row("conv", 3, 1, 2, 128),
    Row("conv", 3, 1, 1, 128),
    Row("conv", 3, 1, 2, 256),
    Row("conv", 3, 1, 1, 256),
    Row("d-conv", 3, 2, 1, 256),
    Row("d-conv", 3, 4, 1, 256),
    Row("d-conv", 3, 8, 1, 256),
    Row("d-conv", 3, 16, 1, 256),
    Row("conv", 3, 1, 1, 256),
    Row("deconv", 4, 1, 1 / 2, 128),
    Row("conv", 3, 1, 1, 128),
    Row("deconv", 4, 1, 1 / 2, 64),
    Row("conv", 3, 1, 1, 32),
    Row("deconv", 3, 1, 1, 3),
)


class Generator(nn.Module):
    """A network built from a table of layers: norm and ReLU after every layer except the last (READING R1, R3, R4).

    ``image_side`` is only checked: the network takes images of any size that is a multiple of ``multiple``.
    ``dilations`` replace those of the table's d-conv rows. Raises ValueError if either does not fit.
    """

    version = 1

    def __init__(
        self,
        image_side: int | None = None,
        *,
        width: float = 1.0,
        norm: Norm = "none",
        mask_channel: bool = True,
        output: Literal["sigmoid", "tanh"] = "sigmoid",
        dilations: Sequence[int] | None = None,
        table: Sequence[Row] = TABLE_1,
    ) -> None:
        super().__init__()
        self.norm, self.mask_channel, self.output = norm, mask_channel, output
        self.multiple = round(math.prod(max(row.stride, 1) for row in table))
        if image_side is not None and image_side % self.multiple:
            raise ValueError(f"image_side: {image_side} is not a multiple of {self.multiple}")
        dilated = [place for place, row in enumerate(table) if row.kind == "d-conv"]
        if dilations is None:
            dilations = [table[place].dilation for place in dilated]
        if len(dilations) != len(dilated):
            raise ValueError(f"dilations: {len(dilations)} given, the table has {len(dilated)} dilated layers")
        dilation_at = dict(zip(dilated, dilations, strict=True))

        layers: list[nn.Sequential] = []
        inputs = 4 if mask_channel else 3
        for place, row in enumerate(table):
            last = place == len(table) - 1
            outputs = row.outputs if last else channels(row.outputs, width)
            layers.append(
                block(
                    inputs,
                    outputs,
                    row.kernel,
                    stride=round(max(row.stride, 1 / row.stride)),
                    dilation=dilation_at.get(place, row.dilation),
                    norm="none" if last else norm,
                    activation="none" if last else "relu",
                    transposed=row.kind == "deconv",
                )
            )
            inputs = outputs
        split = dilated[-1] + 1
        self.encoder = nn.Sequential(*layers[:split])
        self.decoder = nn.Sequential(*layers[split:])

    @property
    def windowed(self) -> bool:
        """True if ``forward`` can compute only a window: no norm takes statistics over the map."""
        return self.norm == "none" or (self.norm == "batch" and not self.training)

    def forward(self, masked_image: Tensor, mask: Tensor, window: Box | None = None) -> Tensor:
        """Predicts an image ``(B, 3, H, W)`` in 0..1 from a masked image of the same shape and a mask ``(B, 1, H, W)``.

        With ``window``, and if ``windowed``, the layers after the last dilated one are computed only for that box, with
        the same values there; pixels outside are 0. Otherwise the whole prediction is computed.
        """
        features = torch.cat([masked_image, mask], 1) if self.mask_channel else masked_image
        features = self.encoder(features)
        if window is None or not self.windowed:
            return self._image(self.decoder(features))
        height, width = masked_image.shape[-2:]
        pads = (window.left, width - window.right, window.top, height - window.bottom)
        return F.pad(self._image(self._decode(features, window)), pads)

    def _image(self, features: Tensor) -> Tensor:
        """Converts the last maps to an image in 0..1."""
        return features.sigmoid() if self.output == "sigmoid" else (features.tanh() + 1) / 2

    def _decode(self, features: Tensor, window: Box) -> Tensor:
        """The decoder's maps in ``window``: ``(B, 3, window.height, window.width)``.

        Every layer gets the part of its input that the window needs and pads it with zeros. If the padding is not the
        image's border, it makes the outermost outputs wrong. The next crop removes exactly these.
        """
        wanted = [window]
        for layer in reversed(self.decoder):
            wanted.append(needed(wanted[-1], layer[0]))  # type: ignore[index]
        have = Box(0, 0, features.shape[-2], features.shape[-1])
        for layer, want in zip(self.decoder, reversed(wanted[1:]), strict=True):
            features, have = _crop(features, have, want)
            features = layer(features)
            scale = features.shape[-2] // have.height
            have = Box(*(scale * edge for edge in have))
        return _crop(features, have, window)[0]


def needed(window: Box, layer: nn.Conv2d | nn.ConvTranspose2d) -> Box:
    """The box of a layer's input that ``window`` of its output depends on. It may include padding.

    The layer is a convolution of stride 1 or a transposed convolution of any stride.
    """
    top, bottom = _needed(window.top, window.bottom, layer)
    left, right = _needed(window.left, window.right, layer)
    return Box(top, left, bottom - top, right - left)


def _needed(start: int, stop: int, layer: nn.Conv2d | nn.ConvTranspose2d) -> tuple[int, int]:
    """``needed`` along one axis of square kernels: ``[start, stop)`` of the output to that of the input."""
    stride, padding = layer.stride[0], int(layer.padding[0])
    reach = layer.dilation[0] * (layer.kernel_size[0] - 1)
    if isinstance(layer, nn.ConvTranspose2d):
        # input i feeds the outputs stride * i - padding + (0..reach)
        return -((reach - padding - start) // stride), (stop - 1 + padding) // stride + 1
    assert stride == 1, "a strided convolution cannot be computed in a window"
    return start - padding, stop - padding + reach


def _crop(features: Tensor, have: Box, want: Box) -> tuple[Tensor, Box]:
    """Crops features that cover box ``have`` to the part of ``want`` in them. Returns them and their box."""
    top, left = max(have.top, want.top), max(have.left, want.left)
    height = min(have.bottom, want.bottom) - top
    width = min(have.right, want.right) - left
    inside = Box(top - have.top, left - have.left, height, width)
    return features[..., *inside.slices], Box(top, left, height, width)
