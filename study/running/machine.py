"""This machine: its numerics set as the keys name them, and the facts that are recorded with a stage."""

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
    """Sets this process's numerics as the keys name them, and gives its device: the CPU, or the GPU at ``place``."""
    torch.set_num_threads(1)
    if device_kind == "cpu":
        return torch.device("cpu")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # costly, never read
    torch.backends.cudnn.allow_tf32 = False  # fp32 means fp32
    return torch.device("cuda", place % torch.cuda.device_count())


def machine(device: torch.device) -> dict[str, Any]:
    """What a stage is made on: device, threads, versions, memory. Never part of a key."""
    facts: dict[str, Any] = {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else _processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "peak_memory_mib": round(peak_memory(device) / 2**20),
    }
    return facts


def peak_memory(device: torch.device) -> int:
    """Bytes: the most that this process has held of the device's memory, or of the machine's."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    import resource  # not on every system

    scale = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def _processor() -> str:
    try:
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found.group(1).strip() if found else platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """The versions of what decides the numbers, and of the record's own writer."""
    names = ("torch", "numpy", "scikit-image", "sacred", "safetensors", "pillow")
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in names}}
