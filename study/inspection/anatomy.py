"""What a network is made of, seen in one forward pass of the network itself: its layers, their cost, what they see.

A *field* is the receptive field of Luo 2016, section 2: the pixels of the network's input image that can reach one
position, padding counted as if the image went on. It is followed along the height, for all of ours is square.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from models.masking import Box, center_box
from models.method import Part
from study.parts import registries

Kind = Literal["conv", "d-conv", "deconv", "linear", "pool", "upsample", "attention"]
Span = tuple[float, float]


@dataclass(frozen=True)
class Field:
    """What each position of some maps sees: its first and its last pixel along a side.

    After up-sampling, neighbours see differently much, in a pattern that repeats: ``spans`` are those of one period,
    and ``shift`` is by how many pixels the next period's lie further on. ``folded``: positions stand in the channels,
    so that whatever mixes channels sees all of them.
    """

    spans: tuple[Span, ...] = ((0, 0),)
    shift: int = 1
    folded: bool = False

    @property
    def width(self) -> float:
        """Pixels along a side, of the position that sees most; infinite where it is the whole image."""
        return max(last - first + 1 for first, last in self.spans)

    def at(self, place: int) -> Span:
        """The span of one position, which may lie outside of the maps."""
        turns, phase = divmod(place, len(self.spans))
        first, last = self.spans[phase]
        return first + turns * self.shift, last + turns * self.shift

    def through(self, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> Field:
        """The field after a convolution or a pool: output o reads stride * o - padding + (0..reach)."""
        reach = (kernel - 1) * dilation
        period = len(self.spans) // math.gcd(len(self.spans), stride)
        starts = [stride * place - padding for place in range(period)]
        spans = tuple((self.at(start)[0], self.at(start + reach)[1]) for start in starts)
        return Field(spans, self.shift * stride * period // len(self.spans))

    def up(self, kernel: int, stride: int, padding: int = 0, dilation: int = 1) -> Field:
        """The field after a transposed convolution: input i feeds stride * i - padding + (0..reach)."""
        reach = (kernel - 1) * dilation
        ends = [place + padding for place in range(len(self.spans) * stride)]
        spans = tuple((self.at(-((reach - end) // stride))[0], self.at(end // stride)[1]) for end in ends)
        return Field(spans, self.shift)


WHOLE = Field(((-math.inf, math.inf),))
"""What sees every pixel."""

NOTHING = Field(((0, -1),))
"""What sees none: a constant."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer as it ran. What a kind does not have is None.

    ``name``: the module's qualified name, of a layer without weights the operation's. ``stride``: 1/2 of a layer that
    doubles the side. ``size``: the side of its maps. ``parameters``: those of its weights and biases, where it is the
    first to use them. ``macs``: multiply-accumulates an image. ``receptive_field``: in pixels, or infinite.
    """

    name: str
    kind: Kind
    kernel: int | None = None
    dilation: int | None = None
    stride: float | None = None
    outputs: int
    size: int | None = None
    parameters: int = 0
    macs: int = 0
    receptive_field: float


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """A network's layers in the order in which they ran, and its totals.

    ``receptive_field`` is that of the output, of several the last. A norm's own reach is not in it: in training batch
    norm reads the batch, and instance and layer norm always read the whole map.
    """

    layers: tuple[Layer, ...]
    parameters: int
    receptive_field: float

    @property
    def norm_parameters(self) -> int:
        """Parameters of no layer: those of the norms."""
        return self.parameters - sum(layer.parameters for layer in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-accumulates an image of convolutions, linear layers and attention."""
        return sum(layer.macs for layer in self.layers)

    @property
    def maps_receptive_field(self) -> float:
        """The field of a position in a critic's last maps: its widest convolution's, heads of one output aside."""
        convs = [layer for layer in self.layers if layer.kind in ("conv", "d-conv") and layer.outputs > 1]
        return max((layer.receptive_field for layer in convs), default=1)


def trace(network: nn.Module, *inputs: Any) -> Anatomy:
    """The anatomy of a network at work on one image; the tensors among ``inputs`` are what its fields are of.

    The network computes as it stands: in evaluation mode, and where time and memory count on the meta device.
    """
    seen = _Trace(network, [value for value in inputs if isinstance(value, Tensor)])
    with torch.no_grad(), seen, seen.counter:
        output = network(*inputs)
    final = output if isinstance(output, Tensor) else output[-1]
    return Anatomy(
        layers=tuple(seen.layers),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        receptive_field=seen.widest(final).width,
    )


def of_generator(part: Part, side: int, window: Box | None = None, training: bool = False) -> Anatomy:
    """The anatomy of the generator that a part describes, on images of ``side`` pixels.

    Where a ``window`` is named, of its window alone; in ``training`` only if its norms then read no more than that.
    """
    version = registries.version("GENERATORS", part["kind"])
    return _of_generator(json.dumps(part, sort_keys=True), version, side, window, training)


def of_critic(part: Part, side: int) -> Anatomy:
    """The anatomy of the critic that a part describes, on images of ``side`` pixels with the central hole."""
    return _of_critic(json.dumps(part, sort_keys=True), registries.version("CRITICS", part["kind"]), side)


@cache
def _of_generator(part: str, version: int | str, side: int, window: Box | None, training: bool) -> Anatomy:
    with torch.device("meta"):
        network = registries.build(registries.GENERATORS, json.loads(part)).train()
        if training and not getattr(network, "windowed", False):
            window = None
        return trace(network.eval(), torch.empty(1, 3, side, side), torch.empty(1, 1, side, side), window)


@cache
def _of_critic(part: str, version: int | str, side: int) -> Anatomy:
    with torch.device("meta"):
        network = registries.build(registries.CRITICS, json.loads(part)).eval()
        return trace(network, torch.empty(1, 3, side, side), [center_box(side)])


class _Trace(TorchFunctionMode):
    """Watches a forward pass: every function that torch is asked for, before it falls apart into smaller ones.

    An operation that no rule names works position by position, and has the widest field of its inputs.
    """

    operation = ""
    """The name of the function that runs."""

    macs = 0
    """Its multiply-accumulates: half of the floating-point operations that torch counts."""

    def __init__(self, network: nn.Module, inputs: list[Tensor]) -> None:
        super().__init__()
        self.counter = FlopCounterMode(display=False)
        self.layers: list[Layer] = []
        self.uncounted = {id(weight): weight.numel() for weight in network.parameters()}
        self.names = {id(weight): name.rpartition(".")[0] for name, weight in network.named_parameters()}
        self.fields: dict[int, tuple[Tensor, Field]] = {}  # with the tensor, so that its id is not used again
        for tensor in inputs:
            self.sees(tensor, Field())

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Runs a function of torch, and notes what it makes of what the image reaches."""
        kwargs = kwargs or {}
        before = self.counter.get_total_flops()
        output = func(*args, **kwargs)
        if any(self.tracked(tensor) for tensor in _tensors([args, kwargs])):
            self.operation = func.__name__
            self.macs = (self.counter.get_total_flops() - before) // 2
            rule = RULES.get(self.operation)
            field = rule(self, output, *args, **kwargs) if rule else self.widest(args, kwargs)
            if field is not None:
                for tensor in _tensors(output):
                    self.sees(tensor, field)
        return output

    def sees(self, tensor: Tensor, field: Field) -> None:
        """Notes a tensor's field."""
        self.fields[id(tensor)] = (tensor, field)

    def tracked(self, value: Any) -> bool:
        """Whether the image reaches this value."""
        return id(value) in self.fields

    def widest(self, *values: Any) -> Field:
        """The widest field among the tensors of ``values``; if the image reaches none of them, one of no pixel."""
        fields = [self.fields[id(tensor)][1] for tensor in _tensors(values) if self.tracked(tensor)]
        return max(fields, key=lambda field: (field.width, field.folded), default=NOTHING)

    def mixed(self, *values: Any) -> Field:
        """The field of what mixes all channels of ``values``: the widest, or if positions stand in them, all."""
        field = self.widest(*values)
        return WHOLE if field.folded else field

    def layer(self, kind: Kind, output: Tensor, field: Field, *weights: Tensor | None, **more: Any) -> Field:
        """Adds a layer, and hands its field on. ``weights``: its own; the first one's module names it."""
        parameters = sum(self.uncounted.pop(id(weight), 0) for weight in weights)
        name = next((self.names[id(weight)] for weight in weights if id(weight) in self.names), self.operation)
        outputs, size = (output.shape[1], output.shape[-2]) if output.ndim == 4 else (output.shape[-1], None)
        macs = 0 if kind == "pool" else self.macs  # the filter of ``models.layers.downsample`` counts for nothing
        more |= {"parameters": parameters, "receptive_field": field.width, "macs": macs}
        self.layers.append(Layer(name=name, kind=kind, outputs=outputs, size=size, **more))
        return field


# -- the rules: what an operation does to the field. Their arguments are those of torch's function -------------------


def _conv2d(
    seen: _Trace,
    output: Tensor,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Field:
    before, after, kernel = input.shape[-2], output.shape[-2], weight.shape[-2]
    stride, dilation = _one(stride), _one(dilation)
    same = dilation * (kernel - 1) // 2
    padding = {"same": same, "valid": 0}[padding] if isinstance(padding, str) else _one(padding)
    field = seen.mixed(input).through(kernel, stride, padding, dilation)
    kind: Kind = "conv" if dilation == 1 else "d-conv"
    if after == 1 < before <= dilation * (kernel - 1) + 1 - padding:  # one position, which reads all the others
        field = WHOLE
    if seen.tracked(weight):  # patches of the maps as kernels: contextual attention
        kind, field = "attention", WHOLE
    geometry = {"kernel": kernel, "dilation": dilation, "stride": stride}
    return seen.layer(kind, output, field, weight, bias, **geometry)


def _conv_transpose2d(
    seen: _Trace,
    output: Tensor,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Field:
    kernel, stride, dilation = weight.shape[-2], _one(stride), _one(dilation)
    field = seen.mixed(input).up(kernel, stride, _one(padding), dilation)
    kind: Kind = "deconv"
    if seen.tracked(weight):
        kind, field = "attention", WHOLE
    geometry = {"kernel": kernel, "dilation": dilation, "stride": 1 / stride}
    return seen.layer(kind, output, field, weight, bias, **geometry)


def _linear(seen: _Trace, output: Tensor, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Field:
    return seen.layer("linear", output, seen.mixed(input), weight, bias)


def _matmul(seen: _Trace, output: Tensor, input: Tensor, other: Tensor) -> Field:
    """Attention, where the image reaches both; else ``models.layers.downsample``'s filter, rows then columns."""
    if seen.tracked(input) and seen.tracked(other):
        return seen.layer("attention", output, WHOLE)
    if seen.tracked(input):  # along the width
        return seen.mixed(input)
    factor, rest = divmod(other.shape[-2], output.shape[-2])
    if rest or factor == 1:  # no such filter
        return WHOLE
    field = seen.mixed(other).through(2 * factor, factor, factor // 2)  # a triangle of two strides
    return seen.layer("pool", output, field, kernel=2 * factor, stride=factor)


def _pool(
    seen: _Trace,
    output: Tensor,
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    *more: Any,
    **named: Any,
) -> Field:
    kernel = _one(kernel_size)
    stride = _one(stride) if stride else kernel
    field = seen.widest(input).through(kernel, stride, _one(padding))
    return seen.layer("pool", output, field, kernel=kernel, stride=stride)


def _interpolate(
    seen: _Trace,
    output: Tensor,
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Field:
    """By whole factors, as a transposed convolution of so many strides; any other might read the whole image."""
    before, after = input.shape[-2], output.shape[-2]
    factor, rest = divmod(max(before, after), min(before, after))
    samples = {"nearest": 1, "nearest-exact": 1, "area": 1, "bilinear": 2, "bicubic": 4}[mode]
    regular = not (rest or align_corners)
    field = seen.widest(input)
    if after > before:
        kernel = samples * factor
        field = field.up(kernel, factor, (kernel - factor) // 2) if regular else WHOLE
        return seen.layer("upsample", output, field, stride=1 / factor)
    kernel = samples * factor if antialias or mode == "area" else samples
    field = field.through(kernel, factor, max(kernel - factor, 0) // 2) if regular else WHOLE
    return seen.layer("pool", output, field, kernel=kernel, stride=factor)


def _reduce(seen: _Trace, output: Any, input: Tensor, dim: Any = None, *more: Any, **named: Any) -> Field:
    """A mean, a sum, a softmax and the like over ``dim``: the whole image if positions lie along it."""
    if isinstance(dim, Tensor):  # the larger of two tensors, position by position
        return seen.widest(input, dim)
    field, axes = seen.widest(input), range(input.ndim)
    positions = axes[1:] if field.folded else axes[-2:] if input.ndim > 2 else ()
    over = axes if dim is None else (dim,) if isinstance(dim, int) else dim
    return WHOLE if any(axes[axis] in positions for axis in over) else field


def _reshape(seen: _Trace, output: Tensor, input: Tensor, *more: Any, **named: Any) -> Field:
    """Maps that stay maps keep their field; else positions have come to stand where channels are."""
    field = seen.widest(input)
    kept = input.shape[-2:] == output.shape[-2:] or input.shape[-2:].numel() == 1
    return field if kept else Field(field.spans, field.shift, folded=True)


def _index(seen: _Trace, output: Tensor, input: Tensor, index: Any) -> Field:
    """A window keeps the field; so does every second position, and so on, as a pool of one."""
    field = seen.widest(input)
    steps = [part.step or 1 for part in (index if isinstance(index, tuple) else (index,)) if isinstance(part, slice)]
    fewer = output.ndim == input.ndim > 2 and output.shape[-2] < input.shape[-2]
    return field.through(1, max(steps)) if steps and fewer else field


def _set_index(seen: _Trace, output: None, input: Tensor, index: Any, value: Any) -> Field:
    field = seen.widest(input, value)
    seen.sees(input, field)
    return field


def _like(seen: _Trace, output: Tensor, input: Tensor, *more: Any, **named: Any) -> Field | None:
    """What has the values of its first argument, and of the others no more than type or shape."""
    return seen.widest(input) if seen.tracked(input) else None


def _constant(seen: _Trace, output: Tensor, *more: Any, **named: Any) -> None:
    """What has a tensor's shape, and nothing of its values."""


RULES: dict[str, Callable[..., Field | None]] = {
    "conv2d": _conv2d,
    "conv_transpose2d": _conv_transpose2d,
    "linear": _linear,
    **dict.fromkeys(("matmul", "bmm", "mm"), _matmul),
    **dict.fromkeys(("avg_pool2d", "max_pool2d"), _pool),
    "interpolate": _interpolate,
    **dict.fromkeys(("mean", "sum", "amax", "amin", "max", "min", "var", "std", "softmax", "log_softmax"), _reduce),
    **dict.fromkeys(("flatten", "unflatten", "reshape", "view", "permute", "transpose", "unfold"), _reshape),
    **dict.fromkeys(("to", "type_as", "expand_as"), _like),
    **dict.fromkeys(("zeros_like", "ones_like", "empty_like", "new_zeros", "new_ones"), _constant),
    "__getitem__": _index,
    "__setitem__": _set_index,
}


def _tensors(value: Any) -> Iterator[Tensor]:
    """The tensors in a value, however deep in tuples, lists and dictionaries."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        yield from _tensors(tuple(value.values()))
    elif isinstance(value, tuple | list):
        for entry in value:
            yield from _tensors(entry)


def _one(value: Any) -> int:
    """The first of a pair, or the number that stands for both."""
    return int(value[0] if isinstance(value, tuple | list) else value)
