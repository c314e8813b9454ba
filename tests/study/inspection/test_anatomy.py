"""What the tracer says of a network is what the network does: by hand, by gradients, by torch's own counter."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import models
from baselines.context_encoder import ContextEncoder, HoleCritic
from baselines.glcic import GlcicGenerator, JoinedCritic
from models.critics import Critic
from models.generator import Generator
from models.masking import center_box
from study.inspection.anatomy import Anatomy, Field, of_generator, trace

GENERATORS = models.GENERATORS | {"context_encoder": ContextEncoder, "glcic": GlcicGenerator}
CRITICS = models.CRITICS | {"context_encoder": HoleCritic, "glcic": JoinedCritic}
NORMS = (nn.BatchNorm2d, nn.InstanceNorm2d, nn.GroupNorm)


class Does(nn.Module):
    """A function as a network."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Any) -> Any:
        return self.function(*inputs)


class Triangle(nn.Module):
    """The multi-scale critics' bilinear down-sampling by four."""

    def forward(self, image: Tensor) -> Tensor:
        return models.layers.downsample(image, 4, "bilinear")


def conv(kernel: int, stride: int = 1, dilation: int = 1, padding: int | None = None) -> nn.Conv2d:
    same = dilation * (kernel - 1) // 2
    return nn.Conv2d(1, 1, kernel, stride, same if padding is None else padding, dilation)


def deconv(kernel: int, stride: int, padding: int = 0) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(1, 1, kernel, stride, padding)


def up(factor: int, mode: str = "nearest") -> nn.Upsample:
    return nn.Upsample(scale_factor=factor, mode=mode)


def evened(network: nn.Module) -> nn.Module:
    """In double precision with means for weights: no gradient of a network of ReLUs vanishes on an image of ones."""
    network = network.double().eval()
    for part in network.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.constant_(part.weight, 1 / part.weight[0].numel())
            if part.bias is not None:
                nn.init.zeros_(part.bias)
    return network


def reach(network: nn.Module, side: int, *more: Any, channels: int = 1, around: int = 8) -> int:
    """Pixels along the height that one position of the output depends on, the most of ``around`` in the middle."""
    image = torch.ones(1, channels, side, side, dtype=torch.double, requires_grad=True)
    output = evened(network)(image, *more)
    middle = output.shape[-2] // 2
    counts = []
    for place in range(max(middle - around // 2, 0), min(middle + around // 2, output.shape[-2])):
        gradient = torch.autograd.grad(output[..., place, output.shape[-1] // 2].sum(), image, retain_graph=True)[0]
        rows = gradient.ne(0).any(-1).any(1).flatten().nonzero()
        assert rows[0] > 0 and rows[-1] < side - 1, "the field reaches the border; take a larger image"
        counts.append(int(rows[-1] - rows[0]) + 1)
    return max(counts)


def seen(network: nn.Module, side: int = 64, channels: int = 1) -> Anatomy:
    return trace(network, torch.zeros(1, channels, side, side))


@pytest.mark.parametrize(
    "parts, width",
    [
        ([conv(5)], 5),
        ([conv(3, 2), conv(3, 2)], 7),  # 3, and two more at a distance of two
        ([conv(3, dilation=4)], 9),
        ([conv(3, 2), conv(3, dilation=2), conv(3)], 15),
        ([conv(4, 2, padding=1), conv(1)], 4),
        ([conv(3, 2), deconv(4, 2, 1)], 5),  # of the coarse maps, each output reads two
        ([conv(3, 2), deconv(4, 2, 1), conv(3)], 7),
        # as the generator: an output reads 5 before the last two layers, so 4, 6 and at a quarter of the side 5, or 4
        ([conv(3, 2), conv(3, 2), deconv(4, 2, 1), conv(3), deconv(4, 2, 1), conv(3), deconv(3, 1, 1)], 23),
        ([conv(4, 4, padding=0), deconv(3, 2)], 8),  # even outputs read two, odd ones one
        ([conv(4, 4, padding=0), deconv(3, 1)], 12),
        ([conv(2, 2, padding=0), up(2), conv(3)], 4),
        ([conv(2, 2, padding=0), up(2), conv(3), conv(3)], 6),
        ([conv(2, 2, padding=0), up(2), conv(2, padding=0)], 4),  # every other output reads over an edge
        ([conv(2, 2, padding=0), up(2, "bilinear")], 4),
        ([up(2), conv(3, 2)], 2),
        ([nn.AvgPool2d(3, 2, 1), conv(5, 2)], 11),
        ([nn.MaxPool2d(2), conv(3)], 6),
        ([nn.AvgPool2d(2), nn.AvgPool2d(2), conv(3)], 12),
        ([Triangle(), conv(3)], 16),  # eight, and one more of four to each side
        ([Does(lambda x: x[..., 8:48, 8:48]), conv(3)], 3),
        ([Does(lambda x: x[..., ::2, ::2]), conv(3)], 5),
        ([Does(lambda x: F.interpolate(x, scale_factor=0.5, mode="area")), conv(3)], 6),
        ([Does(lambda x: 2 * F.pad(x, (1, 1, 1, 1)) - 1), conv(3), nn.BatchNorm2d(1), nn.ELU(inplace=True)], 3),
    ],
)
def test_the_field_is_the_hand_count_and_what_gradients_reach(parts: list[nn.Module], width: int) -> None:
    network = nn.Sequential(*parts)
    assert seen(network).receptive_field == width
    if not any(isinstance(part, nn.MaxPool2d) for part in parts):  # which hands its gradient to one of equals
        assert reach(network, 64) == width


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.mean((2, 3)),
        lambda x: x.flatten(1).mean(1),
        lambda x: x.mean(),
        lambda x: x.flatten(2).softmax(2),
        lambda x: x.flatten(2).transpose(1, 2) @ x.flatten(2),
        lambda x: F.conv2d(x, x[..., 2:5, 2:5]),
        lambda x: F.conv_transpose2d(x, x[..., 2:5, 2:5]),
        lambda x: F.linear(x.flatten(1), x.new_ones(1, 64)),
        lambda x: F.conv2d(x.reshape(1, 64, 1, 1), x.new_ones(64, 64, 1, 1)).reshape(1, 1, 8, 8),
        lambda x: F.conv2d(x, x.new_ones(1, 1, 8, 8)),  # one position remains, which reads all
    ],
)
def test_what_mixes_positions_sees_the_whole_image(function: Any) -> None:
    assert seen(Does(function), 8).receptive_field == math.inf


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.softmax(1),
        lambda x: x.mean(1, keepdim=True),
        lambda x: x.new_ones(8, 8).to(x) * x,
        lambda x: x.reshape(1, 1, 1, 8, 8),
        lambda x: torch.maximum(x, x.abs()).squeeze(1),
    ],
)
def test_what_works_at_each_position_sees_one_pixel(function: Any) -> None:
    assert seen(Does(function), 8).receptive_field == 1


def test_a_constant_of_an_images_shape_is_not_the_image() -> None:
    assert seen(Does(lambda x: torch.zeros_like(x) + x.new_zeros(1)), 8).receptive_field == 0


def test_the_widest_of_several_inputs_counts() -> None:
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.narrow, self.wide, self.last = conv(3), conv(7), nn.Conv2d(2, 1, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(torch.cat([self.narrow(x), self.wide(x)], 1)) + x

    assert seen(Branches()).receptive_field == reach(Branches(), 32) == 9


def test_a_part_that_is_written_into_an_image_widens_it() -> None:
    def write(x: Tensor) -> Tensor:
        canvas = x.clone()
        canvas[..., 8:16, 8:16] = F.avg_pool2d(x, 3, 1, 1)[..., 8:16, 8:16]
        return canvas

    assert seen(Does(write), 32).receptive_field == 3


def test_of_several_outputs_the_last_is_the_networks() -> None:
    network = Does(lambda x: (F.avg_pool2d(x, 5, 1, 2), F.avg_pool2d(x, 3, 1, 1)))
    assert seen(network).receptive_field == 3


def test_a_field_repeats_after_its_period() -> None:
    field = Field().through(3, 2, 1).up(4, 2, 1)
    assert field == Field(((-3, 1), (-1, 3)), 2)
    assert [field.at(place) for place in (-1, 0, 1, 2)] == [(-3, 1), (-3, 1), (-1, 3), (-1, 3)]


@pytest.mark.parametrize("kind, side, width", [(Generator, 320, 287), (GlcicGenerator, 336, 303)])
def test_a_generators_field_is_what_its_gradients_reach(kind: type[nn.Module], side: int, width: int) -> None:
    network = kind(width=1 / 16, norm="none")  # type: ignore[call-arg]
    blank = torch.zeros(1, 1, side, side)
    assert trace(network, torch.zeros(1, 3, side, side), blank).receptive_field == width
    assert reach(network, side, blank.double(), channels=3) == width


@pytest.mark.parametrize(
    "view, options, width",
    [
        ("local", {}, 61),
        ("global", {}, 29),
        ("half", {}, 59),
        ("half", {"downsample": "area"}, 58),
        ("half", {"downsample": "bilinear"}, 60),
        ("half", {"downsample": "none"}, 29),
        ("quarter", {}, 55),
        ("quarter", {"downsample": "bilinear"}, 56),
        ("eighth", {}, 47),
        ("local", {"tables": "exchanged"}, 29),
        ("global", {"tables": "exchanged"}, 61),
    ],
)
def test_a_critics_field_is_what_its_gradients_reach(view: str, options: dict[str, Any], width: int) -> None:
    image = 256  # larger than it is built for, so that no field reaches the border
    windows = [center_box(image)]

    class AsMaps(Critic):
        """Its scores where they stand: (B, 1, H, W)."""

        def forward(self, image: Tensor, windows: Any) -> Tensor:
            scores = super().forward(image, windows)
            return scores.unflatten(1, (1, math.isqrt(scores.shape[1]), -1))

    options |= {"view": view, "width": 1 / 16, "head": "patch"}
    network = AsMaps(64, **options)
    found = trace(Critic(64, **options), torch.zeros(1, 3, image, image), windows)
    assert found.receptive_field == found.maps_receptive_field == width
    assert reach(network, image, windows, channels=3, around=2) == width


def test_layers_are_counted_as_by_hand() -> None:
    class Small(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(
                nn.Conv2d(3, 4, 3, stride=2, padding=1),
                nn.BatchNorm2d(4),
                nn.Conv2d(4, 6, 3, padding=2, dilation=2, groups=2, bias=False),
                nn.ConvTranspose2d(6, 2, 4, 2, 1),
                nn.AvgPool2d(2),
                nn.Upsample(scale_factor=2),
            )
            self.out = nn.Linear(128, 5)

        def forward(self, x: Tensor) -> Tensor:
            maps = self.body(x).flatten(2)
            return self.out((maps.transpose(1, 2) @ maps).flatten(1)[:, :128])

    found = seen(Small(), 8, 3)
    got = [
        (layer.name, layer.kind, layer.kernel, layer.dilation, layer.stride, layer.outputs, layer.size)
        for layer in found.layers
    ]
    assert got == [
        ("body.0", "conv", 3, 1, 2, 4, 4),
        ("body.2", "d-conv", 3, 2, 1, 6, 4),
        ("body.3", "deconv", 4, 1, 0.5, 2, 8),
        ("avg_pool2d", "pool", 2, None, 2, 2, 4),
        ("interpolate", "upsample", None, None, 0.5, 2, 8),
        ("matmul", "attention", None, None, None, 64, None),
        ("out", "linear", None, None, None, 5, None),
    ]
    assert [layer.parameters for layer in found.layers] == [4 * 27 + 4, 6 * 18, 6 * 2 * 16 + 2, 0, 0, 0, 128 * 5 + 5]
    assert [layer.macs for layer in found.layers] == [
        4 * 4 * 4 * 27,
        4 * 4 * 6 * 18,
        4 * 4 * 6 * 2 * 16,
        0,
        0,
        64 * 64 * 2,
        128 * 5,
    ]
    assert (found.norm_parameters, found.parameters) == (8, 112 + 108 + 194 + 645 + 8)


def test_a_layer_that_runs_twice_has_its_parameters_once() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = conv(3)

        def forward(self, x: Tensor) -> Tensor:
            return self.one(self.one(x))

    found = seen(Twice(), 8)
    assert [(layer.name, layer.parameters, layer.macs) for layer in found.layers] == [("one", 10, 576), ("one", 0, 576)]
    assert found.norm_parameters == 0 and found.receptive_field == 5


def built() -> list[Any]:
    """Every listed network, with each choice of its parts that changes what runs."""
    cases = [(kind, 64, {}, True) for kind in GENERATORS]
    cases += [(kind, 64, {"view": "half"} if kind == "mo_zhou" else {}, False) for kind in CRITICS]
    cases += [("mo_zhou", 64, {"norm": norm}, True) for norm in ("batch", "instance")]
    cases += [("context_encoder", 64, {"bottleneck": "channelwise"}, True)]
    cases += [("mo_zhou", 64, {"view": "local", "head": head, "norm": "layer"}, False) for head in ("linear", "patch")]
    return cases


@pytest.mark.parametrize("kind, side, options, generator", built())
def test_totals_are_those_of_the_network_and_of_torchs_own_counter(
    kind: str, side: int, options: dict[str, Any], generator: bool
) -> None:
    with torch.device("meta"):
        network = (GENERATORS if generator else CRITICS)[kind](side, **options).eval()
        image = torch.empty(1, 3, side, side)
        inputs = (image, torch.empty(1, 1, side, side)) if generator else (image, [center_box(side)])
        found = trace(network, *inputs)
        with FlopCounterMode(display=False) as counter:
            network(*inputs)
    norms = [part for part in network.modules() if isinstance(part, NORMS)]
    assert found.parameters == sum(p.numel() for p in network.parameters())
    assert found.norm_parameters == sum(p.numel() for norm in norms for p in norm.parameters())
    assert 2 * found.macs == counter.get_total_flops()
    names = dict(network.named_modules())
    assert all(layer.name in names for layer in found.layers if layer.parameters)


@pytest.mark.parametrize("kind", ["mo_zhou", "glcic"])
def test_a_window_costs_less_than_the_image(kind: str) -> None:
    part = {"kind": kind, "image_side": 64, "width": 1 / 16}
    whole, window = of_generator(part, 64), of_generator(part, 64, center_box(64))
    assert whole.parameters == window.parameters and 0 < window.macs < whole.macs


def test_only_torchs_functions_are_watched_while_it_traces() -> None:
    before = torch.ones(1, 1, 8, 8, requires_grad=True)
    network = conv(3)
    trace(network, before)
    assert network(before).requires_grad and network.training
