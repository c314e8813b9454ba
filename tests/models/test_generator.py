import pytest
import torch
from torch import nn

from models.generator import TABLE_1, Generator, needed
from models.layers import Norm, initialise
from models.masking import Box, center_box, mask_of


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def small(norm: Norm = "none", **options: object) -> Generator:
    """A narrow generator in double precision."""
    network = Generator(width=1 / 16, norm=norm, **options)  # type: ignore[arg-type]
    initialise(network, torch.Generator().manual_seed(0))
    return network.double()


@pytest.mark.parametrize("side", [32, 64, 128, 256])
@pytest.mark.parametrize("mask_channel", [True, False])
def test_shapes(side: int, mask_channel: bool) -> None:
    with torch.device("meta"):
        network = Generator(side, mask_channel=mask_channel)
        prediction = network(torch.zeros(2, 3, side, side), torch.zeros(2, 1, side, side))
    assert prediction.shape == (2, 3, side, side)
    assert len(network.encoder) + len(network.decoder) == len(TABLE_1) == 15


WINDOWS = [
    lambda side: center_box(side),
    lambda side: Box(0, 0, side // 2, side // 2),
    lambda side: Box(side // 2, side // 2, side // 2, side // 2),
    lambda side: Box(3, side // 2 - 1, side // 2, side // 2),
    lambda side: Box(7, 1, 5, 9),
    lambda side: Box(side - 1, side - 1, 1, 1),
    lambda side: Box(0, 0, side, side),
]


@pytest.mark.parametrize("side", [32, 64, 128])
@pytest.mark.parametrize("place", range(len(WINDOWS)))
@torch.no_grad()
def test_window_equals_the_whole(side: int, place: int) -> None:
    window = WINDOWS[place](side)
    network = small()
    image = torch.rand(1, 3, side, side, dtype=torch.float64)
    mask = mask_of([window], side).double()
    whole, part = network(image, mask), network(image, mask, window)
    assert part.shape == whole.shape
    assert (part - whole)[..., *window.slices].abs().max() < 1e-12
    part[..., *window.slices] = 0
    assert not part.any()


def test_window_has_the_gradients_of_the_whole() -> None:
    side, window = 32, center_box(32)
    network = small()
    image = torch.rand(1, 3, side, side, dtype=torch.float64)
    mask = mask_of([window], side).double()
    gradients = []
    for prediction in (network(image, mask), network(image, mask, window)):
        loss = prediction[..., *window.slices].square().mean()
        gradients.append(torch.autograd.grad(loss, list(network.parameters())))
    for whole, part in zip(*gradients, strict=True):
        assert torch.allclose(whole, part, rtol=1e-9, atol=1e-14)


def test_window_computes_less() -> None:
    network = small()
    seen: list[int] = []
    for layer in network.decoder:
        layer.register_forward_hook(lambda _, inputs, output: seen.append(inputs[0].shape[-1]))
    network(torch.zeros(1, 3, 128, 128).double(), torch.zeros(1, 1, 128, 128).double(), center_box(128))
    assert seen == [22, 20, 38, 36, 68, 66]


def test_needed_is_what_the_output_depends_on() -> None:
    layers: list[nn.Conv2d | nn.ConvTranspose2d] = [
        nn.Conv2d(1, 1, 3, padding=1),
        nn.Conv2d(1, 1, 5, padding=4, dilation=2),
        nn.ConvTranspose2d(1, 1, 3, padding=1),
        nn.ConvTranspose2d(1, 1, 4, stride=2, padding=1),
        nn.ConvTranspose2d(1, 1, 7, stride=3, padding=2),
    ]
    for layer in layers:
        nn.init.ones_(layer.weight)
        for window in (Box(20, 21, 1, 1), Box(19, 22, 4, 5), Box(21, 20, 3, 2)):
            image = torch.zeros(1, 1, 40, 40, requires_grad=True)
            layer(image)[..., *window.slices].sum().backward()
            assert image.grad is not None
            rows, columns = image.grad[0, 0].nonzero().T
            top, left = int(rows.min()), int(columns.min())
            used = Box(top, left, int(rows.max()) + 1 - top, int(columns.max()) + 1 - left)
            assert needed(window, layer) == used


def test_a_norm_over_the_map_is_never_windowed() -> None:
    assert small("none").windowed
    assert not small("instance").eval().windowed
    batch = small("batch")
    assert not batch.windowed
    image = torch.rand(2, 3, 32, 32, dtype=torch.float64)
    mask = mask_of([center_box(32)] * 2, 32).double()
    assert torch.equal(batch(image, mask), batch(image, mask, center_box(32)))
    batch.eval()
    assert batch.windowed
    difference = batch(image, mask) - batch(image, mask, center_box(32))
    assert difference[..., *center_box(32).slices].abs().max() < 1e-12


@pytest.mark.parametrize("output", ["sigmoid", "tanh"])
def test_prediction_is_in_0_1(output: str) -> None:
    prediction = small(output=output)(torch.rand(1, 3, 32, 32).double() * 50, torch.zeros(1, 1, 32, 32).double())
    assert 0 <= prediction.min() < prediction.max() <= 1


def test_channels_last_gives_the_same_values() -> None:
    network, window = small(), center_box(32)
    image, mask = torch.rand(2, 3, 32, 32).double(), mask_of([window] * 2, 32).double()
    plain = network(image, mask, window)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    last = network(image.to(memory_format=torch.channels_last), mask, window)
    assert torch.allclose(plain, last, atol=1e-12)
    assert last.is_contiguous(memory_format=torch.channels_last)


def test_dilations_replace_those_of_the_table() -> None:
    network = small(dilations=[1, 1, 2, 2])
    dilated = [part.dilation[0] for part in network.encoder.modules() if isinstance(part, nn.Conv2d)][5:]
    assert dilated == [1, 1, 2, 2]
    assert parameters(network) == parameters(small())
    with pytest.raises(ValueError, match="dilations: 3 given, the table has 4 dilated layers"):
        small(dilations=(2, 4, 8))


def test_a_side_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="image_side: 66 is not a multiple of 4"):
        Generator(66)
