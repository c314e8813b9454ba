import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from models.layers import (
    ACTIVATIONS,
    NORMS,
    Activation,
    Downsample,
    Norm,
    block,
    channels,
    downsample,
    initialise,
)


def test_channels_has_a_floor() -> None:
    assert [channels(64, width) for width in (1, 0.25, 0.01)] == [64, 16, 4]


@pytest.mark.parametrize("kernel, dilation", [(5, 1), (3, 1), (3, 2), (3, 16)])
@pytest.mark.parametrize("stride", [1, 2])
def test_convolution_keeps_or_halves_the_side(kernel: int, dilation: int, stride: int) -> None:
    if stride == 1 or dilation == 1:
        layer = block(3, 5, kernel, stride=stride, dilation=dilation)
        assert layer(torch.zeros(1, 3, 32, 16)).shape == (1, 5, 32 // stride, 16 // stride)


@pytest.mark.parametrize("kernel, stride", [(4, 2), (3, 1)])
def test_transposed_convolution_keeps_or_doubles_the_side(kernel: int, stride: int) -> None:
    layer = block(3, 5, kernel, stride=stride, transposed=True)
    assert layer(torch.zeros(1, 3, 32, 16)).shape == (1, 5, 32 * stride, 16 * stride)


@pytest.mark.parametrize("norm", ["none", *NORMS])
@pytest.mark.parametrize("activation", ["none", *ACTIVATIONS])
def test_block_is_convolution_norm_activation(norm: Norm, activation: Activation) -> None:
    layer = block(3, 8, 3, norm=norm, activation=activation)
    assert isinstance(layer[0], nn.Conv2d)
    assert len(layer) == 1 + (norm != "none") + (activation != "none")
    layer(torch.rand(2, 3, 8, 8)).sum().backward()


def network() -> nn.Module:
    """A network with a layer of every kind that ``initialise`` knows."""
    return nn.Sequential(
        block(3, 64, 5, norm="batch"),
        block(64, 64, 4, stride=2, norm="layer", transposed=True),
        block(64, 64, 3, norm="instance"),
        nn.Flatten(),
        nn.Linear(64 * 16, 512),
    )


def test_first_weights_depend_on_the_generator_alone() -> None:
    weights = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        module = network()
        before = torch.get_rng_state()
        initialise(module, torch.Generator().manual_seed(7))
        assert torch.equal(before, torch.get_rng_state())
        weights.append(list(module.state_dict().values()))
    assert all(torch.equal(first, second) for first, second in zip(*weights, strict=True))
    initialise(module, torch.Generator().manual_seed(8))
    assert not torch.equal(module[0][0].weight, weights[0][0])  # type: ignore[index]


def test_first_weights_have_the_stated_spread() -> None:
    module = network()
    initialise(module, torch.Generator().manual_seed(7))
    fan_ins = {0: 3 * 25, 1: 64 * 16 / 4, 2: 64 * 9, 4: 64 * 16}
    for place, fan_in in fan_ins.items():
        part = module[place] if place == 4 else module[place][0]  # type: ignore[index]
        assert part.weight.std().item() == pytest.approx(math.sqrt(2 / fan_in), rel=0.05)
        assert not part.bias.any()
    assert all((module[place][1].weight == 1).all() for place in (0, 1, 2))  # type: ignore[index]
    initialise(module, torch.Generator().manual_seed(7), std=0.02)
    assert module[0][0].weight.std().item() == pytest.approx(0.02, rel=0.05)  # type: ignore[index]


def test_weights_of_an_unknown_type_are_refused() -> None:
    with pytest.raises(TypeError, match="PReLU"):
        initialise(nn.Sequential(nn.PReLU()), torch.Generator())


@pytest.mark.parametrize("kind", ["avgpool3", "area", "bilinear"])
@pytest.mark.parametrize("factor", [2, 4, 8])
def test_downsample_keeps_a_constant_image(kind: Downsample, factor: int) -> None:
    small = downsample(torch.full((2, 3, 32, 32), 0.3), factor, kind)
    assert small.shape == (2, 3, 32 // factor, 32 // factor)
    assert torch.allclose(small, torch.tensor(0.3))


def test_downsample_in_closed_form() -> None:
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert downsample(image, 2, "area").flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert downsample(image, 2, "avgpool3").flatten().tolist() == [2.5, 4.0, 8.5, 10.0]


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_bilinear_agrees_with_torch(factor: int) -> None:
    image = torch.rand(2, 3, 64, 32, dtype=torch.float64)
    theirs = F.interpolate(image, scale_factor=1 / factor, mode="bilinear", antialias=True)
    assert torch.allclose(downsample(image, factor, "bilinear"), theirs, atol=1e-6)
