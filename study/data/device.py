"""Arrays on the device that trains: batches on their way to it, and a training set that stays there."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SHARE = 0.5  # of a device's free memory; a larger training set stays in its file
CHUNK = 1024  # images that are copied at a time

_kept: dict[tuple[str, torch.device], Tensor] = {}  # this process's last training set


def upload(array: NDArray[np.generic], device: torch.device) -> Tensor:
    """The array on the device. Copies to a CUDA card start from pinned memory: nothing waits for them."""
    tensor = torch.from_numpy(array)
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def free_memory(device: torch.device) -> int | None:
    """The free memory of an accelerator, in bytes; None where torch cannot tell, or main memory is used."""
    if device.type in ("cpu", "meta"):
        return None
    module = torch.get_device_module(device)
    module.empty_cache()  # what torch keeps for itself does not count as free otherwise
    return int(module.mem_get_info(device)[0]) if hasattr(module, "mem_get_info") else None


def kept_on(device: torch.device, images: NDArray[np.uint8], name: str) -> Tensor | None:
    """The images on the accelerator, copied once a process; None on a CPU, and if they need too much of its memory.

    ``name``: of the images, such as their file. The images of another name take their place.
    """
    if (kept := _kept.get((name, device))) is not None:
        return kept
    _kept.clear()
    if (free := free_memory(device)) is None or images.nbytes > SHARE * free:
        return None
    kept = torch.empty(images.shape, dtype=torch.uint8, device=device)
    for start in range(0, len(images), CHUNK):
        kept[start : start + CHUNK].copy_(torch.from_numpy(np.array(images[start : start + CHUNK])))
    _kept[name, device] = kept
    return kept
