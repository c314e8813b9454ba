"""The layers of a network with their receptive fields, parameters and cost, from one forward pass.

A *field* is a receptive field (Luo 2016, section 2): the pixels of the input image that one position depends on, with
padding counted as if the image continued. It is tracked along the height only: all kernels and images are square.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from models.masking import Box, center_box
from models.method import Part
from study.inspection.operations import Operations, tensors
from study.parts.registries import SOURCES, outlined, version

SMALL = 4e9
"""Parameters times pixels of a network that is traced on the CPU; its forward pass takes some milliseconds."""

Kind = Literal["conv", "d-conv", "deconv", "linear", "pool", "upsample", "attention"]
Span = tuple[float, float]


@dataclass(frozen=True)
class Field:
    """The first and last pixel that each position of some maps sees along a side.

    After up-sampling, neighbours have fields of different sizes, in a repeating pattern: ``spans`` has those of one
    period, and the next period is ``shift`` pixels on. If ``folded``, positions are stored in channels, so an operation
    that mixes channels sees all of them.
    """

    spans: tuple[Span, ...] = ((0, 0),)
    shift: int = 1
    folded: bool = False

    @property
    def width(self) -> float:
        """Pixels along a side of the largest field; infinite for the whole image."""
        return max(last - first + 1 for first, last in self.spans)

    def at(self, place: int) -> Span:
        """The span of one position, which may be outside of the maps."""
        turns, phase = divmod(place, len(self.spans))
        first, last = self.spans[phase]
        return first + turns * self.shift, last + turns * self.shift

    def through(self, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> Field:
        """The field after a convolution or pooling: output o reads stride * o - padding + (0..reach)."""
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


WHOLE = Field(((-math.inf, math.inf),))  # the field of every pixel
NOTHING = Field(((0, -1),))  # the field of a constant


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer. An attribute that its kind does not have is None."""

    name: str  # the module's qualified name, or the operation's for a layer without weights
    kind: Kind
    kernel: int | None = None
    dilation: int | None = None
    stride: float | None = None  # 1/2 for a layer that doubles the side
    outputs: int
    size: int | None = None  # the side of its maps
    parameters: int = 0  # of its weights and biases; 0 if an earlier layer uses the same ones
    macs: int = 0  # multiply-accumulates per image
    receptive_field: float  # in pixels, or infinite


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """A network's layers in execution order, and its totals.

    ``receptive_field`` is that of the (last) output. It leaves out the statistics of norms: batch norm reads the whole
    batch in training, and instance and layer norm always read the whole map.
    """

    layers: tuple[Layer, ...]
    parameters: int
    receptive_field: float
    kernels: int  # of a forward pass, and bytes of one image in fp32: read or written, and written
    moved: int
    written: int

    @property
    def norm_parameters(self) -> int:
        """Parameters that belong to no layer: those of the norms."""
        return self.parameters - sum(layer.parameters for layer in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-accumulates per image of convolutions, linear layers and attention."""
        return sum(layer.macs for layer in self.layers)

    @property
    def maps_receptive_field(self) -> float:
        """The field of a critic's last maps: the widest of its convolutions with more than one output."""
        convs = [layer for layer in self.layers if layer.kind in ("conv", "d-conv") and layer.outputs > 1]
        return max((layer.receptive_field for layer in convs), default=1)


def trace(network: nn.Module, *inputs: Any) -> Anatomy:
    """The anatomy of a network, from its forward pass on one image.

    Fields are those of the tensors among ``inputs``. Put the network into evaluation mode first, and on the meta device
    to save time and memory.
    """
    tracer = _Tracer(network, [value for value in inputs if isinstance(value, Tensor)])
    with torch.no_grad(), tracer, tracer.counter:
        output = network(*inputs)
    final = output if isinstance(output, Tensor) else output[-1]
    return Anatomy(
        layers=tuple(tracer.layers),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        receptive_field=tracer.widest(final).width,
        **{name: getattr(tracer.counter, name) for name in ("kernels", "moved", "written")},
    )


def of_generator(part: Part, side: int, window: Box | None = None, training: bool = False) -> Anatomy:
    """The anatomy of the generator that a part describes, on images of ``side`` pixels.

    With a ``window``, of computing the window only; in ``training`` only if the network's norms then read no more.
    """
    if window and training and not _windowed(outlined("GENERATORS", part)):
        window = None
    return _of_part("GENERATORS", json.dumps(part, sort_keys=True), version("GENERATORS", part["kind"]), side, window)


def of_critic(part: Part, side: int) -> Anatomy:
    """The anatomy of the critic that a part describes, on images of ``side`` pixels with the central hole."""
    return _of_part("CRITICS", json.dumps(part, sort_keys=True), version("CRITICS", part["kind"]), side, None)


@cache
def _windowed(network: nn.Module) -> bool:
    """Returns True if a network in training can compute a window alone."""
    return bool(getattr(network.train(), "windowed", False))


@cache
def _of_part(registry: str, part: str, version: int | str, side: int, window: Box | None) -> Anatomy:
    described = json.loads(part)
    network, device = outlined(registry, described), "meta"
    if sum(map(torch.numel, network.parameters())) * side**2 < SMALL and (registry, described["kind"]) not in SOURCES:
        device = "cpu"  # it is faster to compute: the first operation on meta imports torch's compiler, for a second
        network = outlined(registry, described, device)
    with torch.device(device):
        image, mask = torch.zeros(1, 3, side, side), torch.zeros(1, 1, side, side)
        return trace(network.eval(), image, *((mask, window) if registry == "GENERATORS" else ([center_box(side)],)))


class _Tracer(TorchFunctionMode):
    """Records the torch functions of a forward pass that depend on the image.

    An operation without a rule works position by position: it has the widest field of its inputs.
    """

    operation = ""  # the name of the current function
    macs = 0  # its multiply-accumulates: half of the floating-point operations that torch counts

    def __init__(self, network: nn.Module, inputs: list[Tensor]) -> None:
        super().__init__()
        self.counter = Operations(inputs[0].device.type)
        self.layers: list[Layer] = []
        self.uncounted = {id(weight): weight.numel() for weight in network.parameters()}
        self.names = {id(weight): name.rpartition(".")[0] for name, weight in network.named_parameters()}
        self.fields: dict[int, tuple[Tensor, Field]] = {}  # with the tensor, so that its id is not used again
        for tensor in inputs:
            self.set_field(tensor, Field())

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        before = self.counter.total_flops
        output = func(*args, **kwargs)
        if any(self.tracked(tensor) for tensor in tensors([args, kwargs])):
            self.operation = func.__name__
            self.macs = (self.counter.total_flops - before) // 2
            rule = RULES.get(self.operation)
            field = rule(self, output, *args, **kwargs) if rule else self.widest(args, kwargs)
            if field is not None:
                for tensor in tensors(output):
                    self.set_field(tensor, field)
        return output

    def set_field(self, tensor: Tensor, field: Field) -> None:
        self.fields[id(tensor)] = (tensor, field)

    def tracked(self, value: Any) -> bool:
        """Returns True if the value depends on the image."""
        return id(value) in self.fields

    def widest(self, *values: Any) -> Field:
        """The widest field among the tensors of ``values``; ``NOTHING`` if none depends on the image."""
        fields = [self.fields[id(tensor)][1] for tensor in tensors(values) if self.tracked(tensor)]
        return max(fields, key=lambda field: (field.width, field.folded), default=NOTHING)

    def mixed(self, *values: Any) -> Field:
        """The field of an operation that mixes the channels of ``values``."""
        field = self.widest(*values)
        return WHOLE if field.folded else field

    def layer(self, kind: Kind, output: Tensor, field: Field, *weights: Tensor | None, **more: Any) -> Field:
        """Adds a layer and returns its field. The module of the first of its ``weights`` gives its name."""
        parameters = sum(self.uncounted.pop(id(weight), 0) for weight in weights)
        name = next((self.names[id(weight)] for weight in weights if id(weight) in self.names), self.operation)
        outputs, size = (output.shape[1], output.shape[-2]) if output.ndim == 4 else (output.shape[-1], None)
        macs = 0 if kind == "pool" else self.macs  # not the filter of ``models.layers.downsample``
        more |= {"parameters": parameters, "receptive_field": field.width, "macs": macs}
        self.layers.append(Layer(name=name, kind=kind, outputs=outputs, size=size, **more))
        return field


# The rules: the field of an operation's output. Each takes the arguments of torch's function.


def _convolution(tracer: _Tracer, output: Tensor, *args: Any, names: tuple[str, ...], **named: Any) -> Field:
    """A convolution, or its transpose (deconv). ``names``: of the arguments of torch's function, in order."""
    call = dict(zip(names, args, strict=False)) | named
    input, weight, transposed = call["input"], call["weight"], "output_padding" in names
    kernel, stride, dilation = weight.shape[-2], _one(call.get("stride", 1)), _one(call.get("dilation", 1))
    same, padding = dilation * (kernel - 1) // 2, call.get("padding", 0)
    padding = {"same": same, "valid": 0}[padding] if isinstance(padding, str) else _one(padding)
    kind: Kind = "deconv" if transposed else "conv" if dilation == 1 else "d-conv"
    before, field = input.shape[-2], tracer.mixed(input)
    field = (field.up if transposed else field.through)(kernel, stride, padding, dilation)
    if not transposed and output.shape[-2] == 1 < before <= dilation * (kernel - 1) + 1 - padding:
        field = WHOLE  # the only position reads all inputs
    if tracer.tracked(weight):  # patches of the maps as kernels: contextual attention
        kind, field = "attention", WHOLE
    step = 1 / stride if transposed and stride > 1 else stride
    return tracer.layer(kind, output, field, weight, call.get("bias"), kernel=kernel, dilation=dilation, stride=step)


def _linear(tracer: _Tracer, output: Tensor, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Field:
    return tracer.layer("linear", output, tracer.mixed(input), weight, bias)


def _matmul(tracer: _Tracer, output: Tensor, input: Tensor, other: Tensor) -> Field:
    """Attention if both depend on the image; otherwise ``models.layers.downsample``, rows then columns."""
    if tracer.tracked(input) and tracer.tracked(other):
        return tracer.layer("attention", output, WHOLE)
    if tracer.tracked(input):  # along the width
        return tracer.mixed(input)
    factor, rest = divmod(other.shape[-2], output.shape[-2])
    if rest or factor == 1:  # no such filter
        return WHOLE
    field = tracer.mixed(other).through(2 * factor, factor, factor // 2)  # a triangle of two strides
    return tracer.layer("pool", output, field, kernel=2 * factor, stride=factor)


def _pool(
    tracer: _Tracer, output: Any, input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, *_: Any, **__: Any
) -> Field:
    kernel, stride = _one(kernel_size), _one(stride or kernel_size)
    field = tracer.widest(input).through(kernel, stride, _one(padding))
    return tracer.layer("pool", output, field, kernel=kernel, stride=stride)


def _interpolate(
    tracer: _Tracer, output: Tensor, input: Tensor, *, mode: str, align_corners: bool | None, antialias: bool, **_: Any
) -> Field:
    """By an integer factor, as a convolution or its transpose; by any other, the whole image.

    Torch hands on all options by name, with its defaults.
    """
    before, after = input.shape[-2], output.shape[-2]
    factor, rest = divmod(max(before, after), min(before, after))
    samples = {"nearest": 1, "nearest-exact": 1, "area": 1, "bilinear": 2, "bicubic": 4}[mode]
    regular = not (rest or align_corners)
    field = tracer.widest(input)
    if after > before:
        kernel = samples * factor
        field = field.up(kernel, factor, (kernel - factor) // 2) if regular else WHOLE
        return tracer.layer("upsample", output, field, stride=1 / factor if factor > 1 else 1)
    kernel = samples * factor if antialias or mode == "area" else samples
    field = field.through(kernel, factor, max(kernel - factor, 0) // 2) if regular else WHOLE
    return tracer.layer("pool", output, field, kernel=kernel, stride=factor)


def _reduce(tracer: _Tracer, output: Any, input: Tensor, dim: Any = None, *more: Any, **named: Any) -> Field:
    """A mean, sum, softmax, ... over ``dim``: the whole image if positions lie along it."""
    if isinstance(dim, Tensor):  # an element-wise maximum or minimum
        return tracer.widest(input, dim)
    field, axes = tracer.widest(input), range(input.ndim)
    positions = axes[1:] if field.folded else axes[-2:] if input.ndim > 2 else ()
    over = axes if dim is None else (dim,) if isinstance(dim, int) else dim
    return WHOLE if any(axes[axis] in positions for axis in over) else field


def _reshape(tracer: _Tracer, output: Tensor, input: Tensor, *more: Any, **named: Any) -> Field:
    """Maps that stay maps keep their field; otherwise positions are now stored in channels."""
    field = tracer.widest(input)
    kept = input.shape[-2:] == output.shape[-2:] or input.shape[-2:].numel() == 1
    return field if kept else Field(field.spans, field.shift, folded=True)


def _index(tracer: _Tracer, output: Tensor, input: Tensor, index: Any) -> Field:
    """A window keeps the field; a slice with a step works like pooling of size 1."""
    field = tracer.widest(input)
    steps = [part.step or 1 for part in (index if isinstance(index, tuple) else (index,)) if isinstance(part, slice)]
    fewer = output.ndim == input.ndim > 2 and output.shape[-2] < input.shape[-2]
    return field.through(1, max(steps)) if steps and fewer else field


def _set_index(tracer: _Tracer, output: None, input: Tensor, index: Any, value: Any) -> Field:
    field = tracer.widest(input, value)
    tracer.set_field(input, field)
    return field


def _like(tracer: _Tracer, output: Tensor, input: Tensor, *more: Any, **named: Any) -> Field | None:
    """An output with the values of the first argument; the others give only type or shape."""
    return tracer.widest(input) if tracer.tracked(input) else None


CONV = ("input", "weight", "bias", "stride", "padding")
RULES: dict[str, Callable[..., Field | None]] = {
    "conv2d": partial(_convolution, names=(*CONV, "dilation", "groups")),
    "conv_transpose2d": partial(_convolution, names=(*CONV, "output_padding", "groups", "dilation")),
    "linear": _linear,
    **dict.fromkeys(("matmul", "bmm", "mm"), _matmul),
    **dict.fromkeys(("avg_pool2d", "max_pool2d"), _pool),
    "interpolate": _interpolate,
    **dict.fromkeys(("mean", "sum", "amax", "amin", "max", "min", "var", "std", "softmax", "log_softmax"), _reduce),
    **dict.fromkeys(("flatten", "unflatten", "reshape", "view", "permute", "transpose", "unfold"), _reshape),
    **dict.fromkeys(("to", "type_as", "expand_as"), _like),
    **dict.fromkeys(("zeros_like", "ones_like", "empty_like", "new_zeros", "new_ones"), lambda *_, **__: None),
    "__getitem__": _index,
    "__setitem__": _set_index,
}


def _one(value: Any) -> int:
    """The first of a pair, or the number that is both."""
    return int(value[0] if isinstance(value, tuple | list) else value)
