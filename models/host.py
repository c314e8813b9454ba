"""The way of values from a device to the CPU."""

from __future__ import annotations

import torch
from torch import Tensor


def with_float64(device: torch.device) -> torch.device:
    """The device itself, or the CPU for one that has no float64, in which scores are computed: Apple's."""
    return torch.device("cpu") if device.type == "mps" else device


def on_host(tensor: Tensor) -> Tensor:
    """The tensor on the CPU: the only place where the program waits for a device.

    Tensors on ``meta``, where stages run dry, have no values: this gives zeros.
    """
    return torch.zeros_like(tensor, device="cpu") if tensor.is_meta else tensor.cpu()
