"""The devices that ``--device`` takes, and the sentence where there is none."""

from __future__ import annotations

import pytest
import torch

from study.cli import options
from study.errors import BadInput

KINDS = ("cuda", "mps", "xpu")


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How many devices of each kind torch finds; none, until a test changes it."""
    counts = dict.fromkeys(KINDS, 0)
    for kind in KINDS:
        monkeypatch.setattr(torch.get_device_module(kind), "device_count", lambda kind=kind: counts[kind])
    return counts


def refusal(kind: str) -> str:
    with pytest.raises(BadInput) as error:
        options.device_of(kind)
    (sentence,) = error.value.faults
    return sentence


def test_a_cpu_is_always_there(found: dict[str, int]) -> None:
    assert options.device_of("cpu") == options.device_of("auto") == "cpu"


@pytest.mark.parametrize("kind", KINDS)
def test_a_device_that_torch_finds_is_taken(
    kind: str, found: dict[str, int], capsys: pytest.CaptureFixture[str]
) -> None:
    found[kind] = 3
    assert options.device_of(kind) == kind and options.jobs_of(kind) == 3
    note = capsys.readouterr()
    assert note.out == "" and ("not promised" in note.err) == (kind != "cuda")  # bits are promised on CUDA cards


@pytest.mark.parametrize("kind", KINDS)
def test_auto_takes_only_a_device_on_which_bits_are_promised(kind: str, found: dict[str, int]) -> None:
    found[kind] = 1
    assert options.device_of("auto") == ("cuda" if kind == "cuda" else "cpu")


def test_another_name_is_refused() -> None:
    assert refusal("gpu") == "--device gpu: choose cpu, cuda, mps, xpu or auto"
    assert refusal("meta").endswith("choose cpu, cuda, mps, xpu or auto")


@pytest.mark.parametrize("kind", ["mps", "xpu"])
def test_no_device_of_another_kind(kind: str, found: dict[str, int]) -> None:
    expected = f"torch {torch.__version__} finds no {kind.upper()} device here; choose cpu"
    assert refusal(kind) == f"--device {kind}: {expected}"


def test_a_build_of_torch_for_cpus(found: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(torch.version, "hip", None)
    sentence = refusal("cuda")
    assert f"torch {torch.__version__} is built for CPUs only; choose cpu" in sentence


def test_a_driver_that_is_too_old(found: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses() -> None:
        raise RuntimeError(
            "The NVIDIA driver on your system is too old (found version 11040). Please update your GPU driver by ..."
        )

    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch.cuda, "init", refuses)
    sentence = refusal("cuda")
    assert "built for CUDA 12.8 and finds no card that it can use" in sentence
    assert "(The NVIDIA driver on your system is too old (found version 11040))" in sentence
    assert "update the card's driver" in sentence and "choose cpu" in sentence


def test_cuda_without_a_card(found: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch.cuda, "init", lambda: None)
    assert "finds no card that it can use (no CUDA device)" in refusal("cuda")
