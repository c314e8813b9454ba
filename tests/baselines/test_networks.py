"""The baselines' networks are held to their papers; to what the harness expects, by the conformance suite."""

from typing import Any

import pytest
import torch
from torch import nn

from baselines.context_encoder import ContextEncoder, HoleCritic
from baselines.glcic import JoinedCritic
from models.layers import initialise
from models.masking import center_box, mask_of

SIDES = [32, 64, 128, 256]


def made(network: type[nn.Module], side: int, **options: Any) -> nn.Module:
    """A narrow network whose first weights do not depend on the test that makes it."""
    module = network(side, width=1 / 16, **options)
    initialise(module, torch.Generator().manual_seed(0))
    return module


@pytest.mark.parametrize("bottleneck", ["conv4000", "channelwise"])
@pytest.mark.parametrize("side", SIDES)
def test_context_encoder_predicts_the_central_square(side: int, bottleneck: str) -> None:
    network = made(ContextEncoder, side, bottleneck=bottleneck)
    masked, mask = torch.rand(2, 3, side, side), mask_of([center_box(side)] * 2, side)
    prediction = network(masked, mask)
    changed = (prediction != masked).any(1, keepdim=True)
    assert torch.equal(changed, mask.bool())


def test_channelwise_layer_connects_each_map_with_itself_only() -> None:
    network = ContextEncoder(32, width=1 / 16, bottleneck="channelwise")
    maps = torch.rand(1, 8, 4, 4, requires_grad=True)
    network.bottleneck[:5](maps)[0, 2].sum().backward()
    assert maps.grad is not None
    assert maps.grad.flatten(2).ne(0).all(2).tolist() == [[place == 2 for place in range(8)]]


@pytest.mark.parametrize("side", SIDES)
def test_layers_of_stride_two_at_each_size(side: int) -> None:
    depth = {32: 3, 64: 4, 128: 5, 256: 6}[side]
    with torch.device("meta"):
        encoder, hole, joined = ContextEncoder(side), HoleCritic(side), JoinedCritic(side)
    assert len(encoder.encoder) == depth and len(encoder.decoder) == depth - 1
    assert len(hole.layers) == depth - 1 + 1
    assert (len(joined.global_[0]), len(joined.local[0])) == (depth, depth - 1)  # type: ignore[arg-type]


@pytest.mark.parametrize("network", [ContextEncoder, HoleCritic, JoinedCritic])
def test_a_side_that_does_not_fit_is_refused(network: type[nn.Module]) -> None:
    with pytest.raises(ValueError, match="image_side: 96 is not a power of two from 16 to 256"):
        network(96)
