"""What a computation asks of a device: kernels, FLOPs by type, bytes, memory, copies to it.

It is counted on ``meta`` tensors, which have shapes and no values, so neither the device nor the time is needed.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.flop_counter import flop_registry

ALLOCATIONS = {"empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided", "_unsafe_view"}
"""Operations that start no kernel, beside views."""

LOWERED = {"conv1d", "conv2d", "conv_transpose2d", "linear", "matmul", "bmm", "mm", "addmm", "baddbmm", "__matmul__"}
FULL = {"group_norm", "layer_norm", "softmax", "log_softmax", "norm", "l1_loss", "mse_loss", "exp", "log", "pow", "sum"}
"""Autocast's lists for CUDA (https://docs.pytorch.org/docs/stable/amp.html), as far as our networks use them."""


class Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's __init_subclass__
    """Counts the operations on tensors of one kind of device while it is entered, as a GPU would execute them.

    ``kernels``: launches; one for each gradient of a convolution, and one for a list of tensors (``foreach``).
    ``flops``: floating-point operations of matrix products and convolutions, by the name of their type.
    ``moved``, ``written``: bytes that the kernels read and write, if nothing stays in a cache, and those they write.
    ``peak``: the most bytes that were alive at a time of the tensors made meanwhile.
    ``uploads``, ``waits``: copies to the device and from it.
    """

    def __init__(self, kind: str = "meta") -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kind = kind
        self.flops: Counter[str] = Counter()
        self.kernels = self.moved = self.written = self.live = self.peak = self.uploads = self.waits = 0
        self._storages: dict[int, tuple[weakref.ref[Any], int]] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:  # torch would import its compiler, for a second, to keep it out of here
        return False

    @property
    def total_flops(self) -> int:
        """The FLOPs of all types."""
        return self.flops.total()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        packet = func._overloadpacket
        name = packet.__name__
        if name == "_local_scalar_dense" and args[0].is_meta:
            self.waits += 1
            return 0  # there is no value
        output = func(*args, **(kwargs or {}))
        made = [tensor for tensor in tensors(output) if tensor.device.type == self.kind]
        read = list(tensors([args, kwargs]))
        if name == "_to_copy" or name == "copy_":
            kinds = {tensor.device.type for tensor in (*read, *tensors(output))}
            self.uploads += bool(made) and len(kinds) > 1
            self.waits += not made and self.kind in kinds
        if not made and not any(tensor.device.type == self.kind for tensor in read):
            return output  # on the host
        for tensor in made:
            self._alive(tensor)
        if name in ALLOCATIONS or any(one.alias_info and not one.alias_info.is_write for one in func._schema.returns):
            return output
        self.kernels += len(made) if name.endswith("convolution_backward") else 1
        self.written += (written := sum(map(_bytes, made)))
        self.moved += written + sum(map(_bytes, read))
        if (count := flop_registry.get(packet)) is not None:
            flops = count(*args, **(kwargs or {}), out_val=output)
            self.flops[str(read[0].dtype).removeprefix("torch.")] += flops
        return output

    def _alive(self, tensor: Tensor) -> None:
        """Counts the tensor's memory from now until it is freed."""
        storage = tensor.untyped_storage()
        place = id(storage)
        if place in self._storages:
            return
        size = storage.nbytes()

        def freed(_: Any) -> None:
            self.live -= self._storages.pop(place)[1]

        self._storages[place] = (weakref.ref(storage, freed), size)
        self.live += size
        self.peak = max(self.peak, self.live)


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


class Lowered(TorchFunctionMode):
    """Autocast to bf16 for tensors on ``meta``, which torch's own does not know: the same functions, the same casts."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name in LOWERED or name in FULL:
            to = torch.bfloat16 if name in LOWERED else torch.float32
            args, kwargs = tree_map_only(
                Tensor, lambda one: one.to(to) if one.dtype in (torch.float32, torch.bfloat16) else one, (args, kwargs)
            )
        return func(*args, **(kwargs or {}))


def tensors(value: Any) -> Iterator[Tensor]:
    """The tensors in a value of nested tuples, lists and dictionaries."""
    return (leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor))
