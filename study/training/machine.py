"""This machine: numeric settings, and the facts that are recorded with a stage."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch


def prepare(device_kind: str, place: int = 0) -> torch.device:
    """Sets this process's numerics as the keys state them. Returns the device: the CPU, or GPU number ``place``."""
    torch.set_num_threads(1)
    if device_kind == "cpu":
        return torch.device("cpu")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # slow, and never read
    torch.backends.cudnn.allow_tf32 = False  # fp32 means fp32
    return torch.device("cuda", place % torch.cuda.device_count())


def machine(device: torch.device) -> dict[str, Any]:
    """Where a stage is made: device, threads, versions, memory. Never part of a key."""
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else _processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "peak_memory_mib": round(peak_memory(device) / 2**20),
    }


def peak_memory(device: torch.device) -> int:
    """This process's peak use of the device's memory, or of main memory on a CPU, in bytes."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    import resource  # not available on every system

    scale = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")  # of Linux only
    name = re.search(r"model name\s*:\s*(.+)", cpuinfo.read_text()) if cpuinfo.exists() else None
    return name.group(1).strip() if name else platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that a record depends on."""
    names = ("torch", "numpy", "scikit-image", "sacred", "safetensors", "pillow")
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in names}}
