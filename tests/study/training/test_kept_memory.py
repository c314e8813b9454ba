"""A process that trains keeps its memory: large tensors are not new pages in each step."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from study.training import machine

PROGRAM = """
import resource, statistics, torch
from study.training import machine

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(2**24)  # 64 MiB, above the size that glibc gives back at once
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def often():
    return statistics.median([faults() for _ in range(40)][20:])  # the heap finds room for it in the first ones

torch.set_num_threads(1)  # as in every process that trains
usual = often()
machine.prepare("cpu")
print(int(usual), int(often()))
"""
"""Prints the page faults of filling a large tensor again and again, as usual and with kept memory."""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told to keep memory")
def test_a_freed_tensor_is_used_again() -> None:
    """In a process of its own, because the setting stays, and the heap of another one may be in pieces."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    usual, kept = map(int, done.stdout.split())
    assert kept < usual / 10 or usual < 100  # some systems use pages so large that nothing is gained


def test_another_system_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(machine.ctypes, "CDLL", lambda name: pytest.fail("called"))
    machine.keep_memory()


HUGE = Path("/sys/kernel/mm/transparent_hugepage/enabled")


@pytest.mark.skipif(not HUGE.exists() or "[never]" in HUGE.read_text(), reason="this system has no huge pages")
def test_large_tensors_have_large_pages() -> None:
    program = """
import torch
from study.training import machine
machine.prepare("cpu")
kept = torch.ones(2**24)
print(*(line.split()[1] for line in open("/proc/self/smaps_rollup") if line.startswith("AnonHugePages")))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 2**15  # KiB: half of the tensor
