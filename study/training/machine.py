"""This machine: numeric settings, and the facts that are recorded with a stage."""

from __future__ import annotations

import ctypes
import importlib.metadata
import mmap
import os
import platform
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h
KEPT = 2**31 - 1  # bytes of freed memory that a process keeps for its next tensors: the most that mallopt takes
OFFLOADED = 2**16  # elements of the smallest tensor that ``offload`` moves


def prepare(device_kind: str, place: int = 0) -> torch.device:
    """Sets this process's numerics as the keys state them. Returns the CPU, or device number ``place`` of its kind.

    ``device_kind``: cpu, cuda, mps, xpu; or meta, where stages run dry, without values.
    """
    torch.set_num_threads(1)
    keep_memory()
    if device_kind == "cpu":
        return torch.device("cpu")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # slow, and never read
    if device_kind == "meta":
        return torch.device("meta")
    return torch.device(device_kind, place % torch.get_device_module(device_kind).device_count())


def set_precision(numerics: Mapping[str, Any]) -> None:
    """Makes fp32 mean fp32 on a CUDA card, or TF32 if the numerics say so. A later call replaces an earlier one."""
    tf32 = numerics["precision"] == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32


def keep_memory() -> None:
    """Makes this process keep the memory that it frees, up to 2 GiB, for its next tensors. glibc on Linux only.

    By default glibc gives tensors of 32 MiB and more back to the system at once. Each step then gets them as new pages,
    which takes up to a fifth of its time on a CPU. Pages of 2 MiB, where Linux has them, save 3% more. No result
    changes.
    """
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(M_MMAP_MAX, 0)
    libc.mallopt(M_TRIM_THRESHOLD, KEPT)
    libc.malloc.argtypes, libc.malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
    libc.madvise.argtypes, libc.free.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int], [ctypes.c_void_p]
    size = KEPT // 2  # less than what free gives back at once
    if heap := libc.malloc(size):  # addresses, not yet memory
        start = -(-heap // mmap.PAGESIZE) * mmap.PAGESIZE
        libc.madvise(start, heap + size - start, mmap.MADV_HUGEPAGE)
        libc.free(heap)


@contextmanager
def forward_pass(numerics: Mapping[str, Any], device: torch.device, *, offload: bool = False) -> Iterator[None]:
    """A network's forward pass in training: under autocast for ``bf16``.

    ``offload`` keeps what the backward pass needs in main memory, so that a smaller card is enough. It is slower, and
    changes no bit.
    """
    with ExitStack() as stack:
        if numerics["precision"] == "bf16" and device.type != "meta":
            stack.enter_context(torch.autocast(device.type, torch.bfloat16))
        if offload and device.type != "meta":
            stack.enter_context(torch.autograd.graph.saved_tensors_hooks(partial(_to_host, device), _from_host))
        yield


def _to_host(device: torch.device, tensor: Tensor) -> tuple[torch.device, Tensor]:
    if tensor.is_leaf or tensor.numel() < OFFLOADED:  # weights stay
        return tensor.device, tensor
    host = torch.empty_like(tensor, device="cpu", pin_memory=device.type == "cuda")  # in the same memory format
    return tensor.device, host.copy_(tensor)


def _from_host(packed: tuple[torch.device, Tensor]) -> Tensor:
    device, tensor = packed
    return tensor.to(device, non_blocking=True)


def machine(device: torch.device) -> dict[str, Any]:
    """Where a stage is made: device, threads, versions, memory. Never part of a key."""
    return {
        "device": _name(device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "peak_memory_mib": round(peak_memory(device) / 2**20),
    }


def peak_memory(device: torch.device) -> int:
    """This process's peak use of the device's memory, in bytes; of main memory where the device has no other."""
    if device.type in ("cuda", "xpu"):
        return int(torch.get_device_module(device).max_memory_allocated(device))
    import resource  # not available on every system

    scale = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def _name(device: torch.device) -> str:
    if device.type in ("cuda", "xpu"):
        return str(torch.get_device_module(device).get_device_name(device))
    return _processor() if device.type == "cpu" else f"{device.type} of {_processor()}"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")  # of Linux only
    name = re.search(r"model name\s*:\s*(.+)", cpuinfo.read_text()) if cpuinfo.exists() else None
    return name.group(1).strip() if name else platform.processor() or platform.machine()


@cache
def versions() -> dict[str, str]:
    """The versions of Python and of every installed package, by their names."""
    found = {one.name: one.version for one in reversed([*importlib.metadata.distributions()])}
    found["torch"] = torch.__version__  # with its build, such as +cu130, which pip leaves out
    return {"python": platform.python_version(), **dict(sorted(found.items()))}
