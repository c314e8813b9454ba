"""A graphics card on any machine: watches the operations of a dry run on torch's device ``meta``.

Tensors on ``meta`` have a shape, a type and a device, but no values. So nothing is computed, and all that a card would
refuse is still seen: tensors of two devices in one operation, and operations without a deterministic kernel. Where the
program waits for a value, the dry run goes on with zeros.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from study.conformance.expectation import Fault

META = torch.device("meta")


class Unsteady(NamedTuple):
    """An operation that raises on CUDA cards under deterministic algorithms, and what to use instead."""

    title: str
    instead: str
    when: Callable[[Sequence[Any]], bool] = lambda arguments: True


def _is_float(arguments: Sequence[Any]) -> bool:
    tensor: Tensor = arguments[0]
    return tensor.is_floating_point() or tensor.is_complex()


_RESIZED = "mode='nearest', mode='bilinear' without antialias, or a transposed convolution"
_PADDED = "padding with zeros or 'replicate'"
UNSTEADY: Mapping[str, Unsteady] = {
    "upsample_linear1d_backward": Unsteady("interpolate(mode='linear')", _RESIZED),
    "upsample_bicubic2d_backward": Unsteady("interpolate(mode='bicubic')", _RESIZED),
    "_upsample_bicubic2d_aa_backward": Unsteady("interpolate(mode='bicubic', antialias=True)", _RESIZED),
    "_upsample_bilinear2d_aa_backward": Unsteady("interpolate(mode='bilinear', antialias=True)", _RESIZED),
    "reflection_pad1d_backward": Unsteady("reflection padding", _PADDED),
    "reflection_pad2d_backward": Unsteady("reflection padding", _PADDED),
    "reflection_pad3d_backward": Unsteady("reflection padding", _PADDED),
    "grid_sampler_2d_backward": Unsteady("grid_sample", "indexing, or a product with a matrix of weights"),
    "grid_sampler_3d_backward": Unsteady("grid_sample", "indexing, or a product with a matrix of weights"),
    "_adaptive_avg_pool2d_backward": Unsteady(
        "adaptive_avg_pool2d, and interpolate(mode='area')",
        "avg_pool2d with a fixed kernel, or mean((2, 3)) for one value",
    ),
    "_adaptive_avg_pool3d_backward": Unsteady("adaptive_avg_pool3d", "mean over the axes"),
    "adaptive_max_pool2d_backward": Unsteady("adaptive_max_pool2d", "max_pool2d with a fixed kernel, or amax((2, 3))"),
    "avg_pool3d_backward": Unsteady("avg_pool3d", "a convolution with equal weights"),
    "fractional_max_pool2d_backward": Unsteady("fractional_max_pool2d", "max_pool2d"),
    "fractional_max_pool3d_backward": Unsteady("fractional_max_pool3d", "max_pool3d"),
    "max_unpool2d": Unsteady(
        "max_unpool1d and max_unpool2d", "mode='nearest' of interpolate, or a transposed convolution"
    ),
    "max_unpool3d": Unsteady("max_unpool3d", "mode='nearest' of interpolate, or a transposed convolution"),
    "nll_loss2d_forward": Unsteady("nll_loss and cross_entropy of maps", "log_softmax times one_hot, and a sum"),
    "_ctc_loss_backward": Unsteady("ctc_loss", "another loss"),
    "_embedding_bag_dense_backward": Unsteady(
        "embedding_bag(mode='max')", "mode='sum' or 'mean'", lambda arguments: arguments[7] == 2
    ),
    "put": Unsteady("put_", "index_put_"),
    "histc": Unsteady("histc", "bucketize and one_hot, and a sum", _is_float),
    "bincount": Unsteady("bincount with weights", "one_hot times the weights, and a sum", lambda given: len(given) > 1),
    "median": Unsteady("median along an axis", "sort, and the middle place", lambda arguments: len(arguments) > 1),
    "nanmedian": Unsteady("nanmedian along an axis", "sort, and the middle place", lambda given: len(given) > 1),
    "cumsum": Unsteady("cumsum of floats", "a product with a triangular matrix of ones", _is_float),
    "scatter_reduce": Unsteady("scatter_reduce('prod')", "logarithms and 'sum'", lambda given: given[4] == "prod"),
}
"""By torch's inner names: what the docstring of ``torch.use_deterministic_algorithms`` lists as raising.

Bilinear and trilinear interpolation are not here: on a card ``interpolate`` replaces them by deterministic operations.
"""

_UPLOADS = ("copy_", "_to_copy", "_foreach_copy_")
_INDEXED = ("index", "_unsafe_index", "index_put", "_index_put_impl", "_unsafe_index_put")
_WAITS = {
    "_local_scalar_dense": "item(), float(), bool() or an 'if' on a tensor",
    "_to_copy": "cpu() or to('cpu')",
    "copy_": "a copy to the CPU",
    "equal": "torch.equal",
    "index": "indexing with a mask",
}
"""How a wait was written, by torch's inner name of the operation."""
_BY_VALUES = {torch.Tag.dynamic_output_shape, torch.Tag.data_dependent_output}


class Card(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Watches what runs inside ``with Card() as card`` on ``META``, with deterministic algorithms as on a card.

    Raises Fault at an operation on tensors of two devices.

    Args:
        files: what the paths of our files begin with, whose lines are named.

    Attributes:
        waits: where the program waited for a value.
        refused: operations that a CUDA card would refuse.
    """

    def __init__(self, files: Sequence[str] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._files = tuple(files)
        self._called: dict[str, list[str]] = {}  # the lines that call an operation, by its name
        self.waits: list[str] = []
        self.refused: list[str] = []

    def __enter__(self) -> Self:
        self._deterministic = torch.are_deterministic_algorithms_enabled()
        torch.use_deterministic_algorithms(True)
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        torch.use_deterministic_algorithms(self._deterministic)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func.name().partition("::")[2].partition(".")[0]
        plain = name.rstrip("_")
        tensors = _tensors([*args, *kwargs.values()])
        here = any(tensor.is_meta for tensor in tensors)
        line = self._line()
        if line and here:
            _add(self._called.setdefault(plain, []), line)
        if here and name not in _UPLOADS and _mixed(plain, args, tensors):
            raise Fault(_mix(plain, line))
        if here and (kind := UNSTEADY.get(plain)) and kind.when(args):
            forward = self._called.get(plain.removesuffix("_backward"))
            for one in forward or [line]:
                what = f"{kind.title}{one} has no deterministic kernel for CUDA cards and raises there"
                _add(self.refused, f"{what}; use {kind.instead}")
            torch.use_deterministic_algorithms(False)  # some raise on meta, too
            try:
                return func(*args, **kwargs)
            finally:
                torch.use_deterministic_algorithms(True)
        if here and _reads(name, args, kwargs):
            return self._waited(name, line, func, args, kwargs)
        try:
            return func(*args, **kwargs)
        except NotImplementedError:  # its result depends on values, or torch knows nothing of it without them
            if not here:
                raise
            return self._waited(name, line, func, args, kwargs)
        except RuntimeError as error:
            if "is not on the expected device" in str(error):  # scalars, where a card takes none from the CPU
                raise Fault(_mix(plain, line)) from error
            raise

    def _waited(self, name: str, line: str, func: Any, args: Any, kwargs: Any) -> Any:
        """Notes a wait, if it is one. Returns what the operation gives for zeros and for masks that are all true."""
        if name in _WAITS or _BY_VALUES & set(func.tags):
            _add(self.waits, f"{_WAITS.get(name, name.strip('_'))}{line}")
        args, kwargs = tree_map_only(Tensor, _on_cpu, (args, kwargs))
        result = func(*args, **kwargs)
        return result if name in _WAITS and name != "index" else tree_map_only(Tensor, lambda one: one.to(META), result)

    def _line(self) -> str:
        """`` (line N of FILE)`` of the innermost frame in our files; '' if there is none."""
        frame = sys._getframe(2) if self._files else None
        while frame is not None:
            if frame.f_code.co_filename.startswith(self._files):
                return f" (line {frame.f_lineno} of {Path(frame.f_code.co_filename).name})"
            frame = frame.f_back
        return ""


def _add(found: list[str], text: str) -> None:
    found += [] if text in found else [text]


def _mix(operation: str, line: str) -> str:
    what = f"{operation} gets tensors of two devices, which raises on every card{line}"
    return f"{what}; make tensors on the device of the others: device=image.device, or register_buffer in a network"


def _mixed(name: str, args: Sequence[Any], tensors: list[Tensor]) -> bool:
    """Returns True if a card would refuse the devices of an operation. Scalars and indices may come from the CPU."""
    if name in _INDEXED and args[0].is_meta:
        tensors = _tensors([args[0], *args[2:]])
    return any(tensor.device.type == "cpu" and tensor.dim() > 0 for tensor in tensors)


def _reads(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Returns True if an operation brings values to the CPU."""
    if name == "_to_copy":
        device = kwargs.get("device")
        return bool(args[0].is_meta and device is not None and torch.device(device).type == "cpu")
    if name == "copy_":
        return bool(args[1].is_meta and not args[0].is_meta)
    return name in ("_local_scalar_dense", "equal")


def _tensors(values: Any) -> list[Tensor]:
    """The tensors among an operation's arguments, which are values and lists of them."""
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


def _on_cpu(tensor: Tensor) -> Tensor:
    """A tensor on the CPU for one on ``META``: zeros, and true for masks."""
    if not tensor.is_meta:
        return tensor
    full = torch.ones_like if tensor.dtype == torch.bool and tensor.dim() else torch.zeros_like
    return full(tensor, device="cpu")
