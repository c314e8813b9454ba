"""Precision, memory and compilation of the networks' forward passes: what changes, and what must not."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from models.host import on_host
from models.layers import LayerNorm, rest_idle_biases
from models.losses import LOSSES
from models.masking import center_box
from study.cli import options
from study.errors import BadInput
from study.parts import registries
from study.plan import planner
from study.running.make import make
from study.training import machine
from study.training.checkpoint import read_learner
from study.training.machine import forward_pass, set_precision

BF16 = {"precision": "bf16"}
METHODS = ["proposed", "single", "ce", "glcic", "giica"]


def dtypes(network: nn.Module, seen: set[torch.dtype]) -> None:
    """Collects the dtypes of the outputs of all convolutions and linear layers, and of their weights."""
    for part in network.modules():
        if isinstance(part, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            part.register_forward_hook(lambda part, _, output: seen.update({output.dtype, part.weight.dtype}))


@pytest.mark.parametrize("method", METHODS)
def test_in_bf16_generator_and_critics_train_and_all_that_is_kept_is_fp32(
    tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, store = tiny.planned(tmp_path, {"proposed": tiny.PROPOSED, method: tiny.EVERY[method]}, numerics=BF16)
    seen: dict[str, set[torch.dtype]] = {}
    build = registries.build

    def watched(registry: dict[str, Any], part: dict[str, Any]) -> nn.Module:
        network = build(registry, part)
        dtypes(network, seen.setdefault("G" if registry is registries.GENERATORS else "D", set()))
        return network

    monkeypatch.setattr(registries, "build", watched)
    run = tiny.run_of(plan, method)
    losses: list[Tensor] = []
    for loss in set(LOSSES.values()):
        own = loss.critic
        monkeypatch.setattr(loss, "critic", lambda self, *scores, own=own: losses.extend(scores) or own(self, *scores))
    keys = [key for role, key in run.stages.items() if role != "evaluate"]
    seen.clear()
    tiny.made(plan, store, keys)
    assert {torch.bfloat16, torch.float32} == seen["D"]  # the head, and the weights, are fp32
    assert torch.bfloat16 in seen["G"]
    assert losses and all(scores.dtype == torch.float32 for scores in losses)
    for key in keys:
        for file in store.folder(key).glob("*.safetensors"):
            assert {tensor.dtype for tensor in load_file(file).values()} <= {torch.float32, torch.int64}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("side", [64, 128, 256])
def test_no_convolution_that_torch_computes_wrongly_in_bf16(method: str, side: int) -> None:
    """Torch 2.13 on a CPU: the weight gradient of a 5x5 convolution of stride 2 is garbage for maps of 1x1."""
    described = registries.METHODS[method]().method(side)
    sides: list[int] = []
    for registry, part in registries.networks(described)[1:]:
        with torch.device("meta"):
            network = registries.build(registries.REGISTRIES[registry], {**part, "width": 1 / 16})
            for layer in network.modules():
                if isinstance(layer, nn.Conv2d) and layer.kernel_size != (1, 1):
                    layer.register_forward_hook(lambda _, inputs, __: sides.append(inputs[0].shape[-1]))
            network(torch.empty(2, 3, side, side), [center_box(side)] * 2)
    assert sides and min(sides) >= 4


def test_offloaded_activations_change_no_byte_and_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("study.training.machine.OFFLOADED", 1)
    moved: list[int] = []
    back = machine._from_host
    monkeypatch.setattr(machine, "_from_host", lambda packed: moved.append(packed[1].numel()) or back(packed))
    variants = {name: tiny.EVERY[name] for name in ("proposed", "giica")}
    plan, usual = tiny.planned(tmp_path / "usual", variants)
    other, offloaded = tiny.planned(tmp_path / "offloaded", variants, numerics={"offload": True})
    assert list(plan.stages) == list(other.stages)
    tiny.made(plan, usual)
    assert not moved
    tiny.made(other, offloaded)
    assert moved
    assert all(usual.manifest(key) == offloaded.manifest(key) for key in plan.stages)


def test_fp32_means_fp32_whatever_the_environment_says() -> None:
    program = (
        "from study.training.machine import set_precision, torch; products = torch.backends.cuda.matmul\n"
        "print(products.allow_tf32); set_precision({'precision': 'fp32'}); print(products.allow_tf32)"
    )
    override = {**os.environ, "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1"}
    found = subprocess.run([sys.executable, "-c", program], env=override, capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["True", "False"]


def test_tf32_is_for_the_stages_that_ask_for_it(tmp_path: Path) -> None:
    flags = []

    class Watch(tiny.Onlooker):
        def progress(self, key: str, done: int, total: int) -> None:
            flags.append((torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32))

    for precision in ("tf32", "fp32"):
        plan, store = tiny.planned(tmp_path / precision, {"proposed": tiny.PROPOSED}, numerics={"precision": precision})
        stages = tiny.run_of(plan, "proposed").stages
        tiny.made(plan, store, [stages["data"]])
        make([stages["pretrain"]], plan, store, Watch(), tiny.CPU)
    assert flags == [(True, True)] * 4 + [(False, False)] * 4


def test_a_precision_that_the_device_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    options.check_precision("bf16", "cpu")
    with pytest.raises(BadInput, match="tf32: only CUDA cards have it; on cpu, choose"):
        options.check_precision("tf32", "cpu")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (7, 5))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA GeForce RTX 2080 Ti")
    options.check_precision("fp32", "cuda")
    for precision in ("tf32", "bf16"):
        with pytest.raises(BadInput, match=r"RTX 2080 Ti does not have it \(compute capability 7.5, 8.0 is needed\)"):
            options.check_precision(precision, "cuda")


def test_the_host_gets_values_and_zeros_from_meta() -> None:
    values = torch.arange(4.0)
    assert torch.equal(on_host(values), values)
    found = on_host(torch.empty(2, 3, device="meta", dtype=torch.int64))
    assert found.device.type == "cpu" and torch.equal(found, torch.zeros(2, 3, dtype=torch.int64))


def test_compiled_networks_have_a_key_of_their_own_and_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[nn.Module] = []
    compile_ = nn.Module.compile
    monkeypatch.setattr(planner, "COMPILED_FROM", 1)
    monkeypatch.setattr(nn.Module, "compile", lambda self: compiled.append(self) or compile_(self, backend="eager"))
    keys, weights = [], []
    for name, numerics in (("eager", {}), ("compiled", {"compile": True})):
        plan, store = tiny.planned(tmp_path / name, {"proposed": tiny.PROPOSED}, numerics=numerics)
        stages = tiny.run_of(plan, "proposed").stages
        tiny.made(plan, store, [stages["data"], stages["pretrain"]])
        keys.append(stages["pretrain"])
        weights.append(read_learner(store.folder(keys[-1]), "generator")[0])
    assert keys[0] != keys[1] and len(compiled) == 1
    for name, value in weights[0].items():
        assert torch.allclose(value.float(), weights[1][name].float(), atol=1e-5), name


def test_layer_norm_keeps_bf16_and_normalises_in_fp32() -> None:
    """Values around 1000 with a spread of 8: in bf16 their steps are 4, so only the input is rounded."""
    norm, maps = LayerNorm(16), 1000 + 8 * torch.randn(4, 16, 9, 9, generator=torch.Generator().manual_seed(0))
    rounded = maps.bfloat16()
    expected = norm(rounded.float())
    with forward_pass(BF16, tiny.CPU):
        found = norm(rounded)
    assert found.dtype == torch.bfloat16
    assert torch.allclose(found.float(), expected, atol=0.02)


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_biases_that_a_norm_removes_rest_and_all_else_trains_the_same(norm: str) -> None:
    part = {"kind": "mo_zhou", "width": 0.0625, "norm": norm}
    networks = [registries.build(registries.GENERATORS, part) for _ in range(2)]
    networks[1].load_state_dict(networks[0].state_dict())
    rest_idle_biases(networks[1])
    masked, mask = torch.rand(2, 3, 32, 32), torch.ones(2, 1, 32, 32)
    for network in networks:
        network(masked, mask).square().sum().backward()
    resting = [name for name, weight in networks[1].named_parameters() if not weight.requires_grad]
    assert len(resting) == 14 and all(name.endswith(".0.bias") for name in resting)  # all layers but the last
    for (name, one), other in zip(networks[0].named_parameters(), networks[1].parameters(), strict=True):
        assert one.grad is not None
        if name in resting:
            assert other.grad is None and one.grad.abs().max() < 1e-3
        else:
            assert other.grad is not None and torch.equal(one.grad, other.grad)


def test_the_forward_pass_can_be_entered_again() -> None:
    conv = nn.Conv2d(3, 4, 3)
    outputs = []
    for _ in range(2):
        with forward_pass(BF16, tiny.CPU):
            outputs.append(conv(torch.ones(1, 3, 8, 8)))
    assert all(output.dtype == torch.bfloat16 for output in outputs)
    assert all(torch.equal(a, b) for a, b in pairwise(outputs))
    set_precision({"precision": "fp32"})
