"""Operations counted on ``meta``, against counts by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from study.inspection.operations import Lowered, Operations

META = torch.device("meta")


def test_a_convolution_and_its_gradients() -> None:
    image = torch.empty(2, 3, 8, 8, device=META, requires_grad=True)
    weight = torch.empty(5, 3, 3, 3, device=META, requires_grad=True)
    with Operations() as forward:
        output = nn.functional.conv2d(image, weight, padding=1)
    flops = 2 * (2 * 8 * 8) * 5 * (3 * 3 * 3)
    assert forward.flops == {"float32": flops} and forward.kernels == 1
    assert forward.written == 4 * output.numel()
    assert forward.moved == 4 * (image.numel() + weight.numel() + output.numel())
    with Operations() as backward:
        output.backward(torch.empty_like(output))
    assert backward.total_flops == 2 * flops and backward.kernels == 2  # of the image's gradient, and the weight's


def test_views_and_allocations_are_no_kernels() -> None:
    tensor = torch.empty(4, 4, device=META)
    with Operations() as operations:
        torch.empty(3, device=META)
        tensor.view(16).expand(2, 16)[0].detach()
        tensor.T.unsqueeze(0)
    assert operations.kernels == operations.moved == 0


def test_memory_is_what_is_alive_at_a_time() -> None:
    size = 4 * 1000
    with Operations() as operations:
        first = torch.ones(1000, device=META)
        second = first + 1
        del first
        third = second + 1
        assert operations.live == 2 * size
        del second, third
        assert operations.live == 0
        torch.ones(1000, device=META)
    assert operations.peak == 2 * size


def test_a_view_keeps_its_storage_alive() -> None:
    with Operations() as operations:
        part = torch.ones(1000, device=META)[:2]
        assert operations.live == 4000
        del part
    assert operations.live == 0


def test_copies_between_host_and_device() -> None:
    with Operations() as operations:
        there = torch.zeros(3).to(META)
        there.to(torch.float64)
    assert (operations.uploads, operations.waits) == (1, 0)
    with Operations() as operations:
        bool((there > 0).any())
    assert operations.waits == 1


def test_work_on_the_host_is_not_counted() -> None:
    with Operations() as operations:
        torch.ones(3) @ torch.ones(3)
    assert operations.kernels == operations.total_flops == 0
    with Operations("cpu") as operations:
        torch.ones(2, 3) @ torch.ones(3, 2)
    assert operations.total_flops == 2 * 2 * 3 * 2


@pytest.mark.parametrize("norm", [nn.GroupNorm(1, 4), nn.BatchNorm2d(4)])
def test_products_are_lowered_and_weights_keep_their_gradient(norm: nn.Module) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), norm, nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 1)).to(META)
    image = torch.empty(2, 3, 8, 8, device=META)
    with Operations() as operations:
        with Lowered():
            score = network(image)
        score.float().sum().backward()
    assert set(operations.flops) == {"bfloat16"}
    assert all(one.grad is not None and one.grad.dtype == torch.float32 for one in network.parameters())
