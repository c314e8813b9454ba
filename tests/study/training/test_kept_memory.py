"""A process that trains keeps its memory: large tensors are not new pages in each step."""

import platform
import resource

import pytest
import torch

from study.training import machine

SIZE = 2**24  # elements: 64 MiB, above the size that glibc gives back at once


def faults() -> int:
    """The page faults of filling a large tensor, which is then freed."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(SIZE)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told to keep memory")
def test_a_freed_tensor_is_used_again() -> None:
    machine.keep_memory()
    faults()
    assert faults() < SIZE * 4 / resource.getpagesize() / 10


def test_another_system_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(machine.ctypes, "CDLL", lambda name: pytest.fail("called"))
    machine.keep_memory()
