"""GIICA's networks against their published sizes, and contextual attention against a slow reading of its definition."""

from itertools import product

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from baselines.contextual_attention import GiicaCritic, GiicaGenerator, attention_weights, contextual_attention
from models.layers import initialise
from models.losses import gradient_penalty
from models.masking import Box, center_box, composite, erase, known, mask_of, window_of

Array = NDArray[np.float64]


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def drawn(network: nn.Module, seed: int = 0) -> nn.Module:
    initialise(network, torch.Generator().manual_seed(seed), 0.1)
    return network


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def patch(maps: Array, top: int, left: int, side: int) -> Array:
    """A square of ``maps (C, h, w)``, 0 where it reaches beyond them."""
    around = np.pad(maps, ((0, 0), (side, side), (side, side)))
    return around[:, top + side : top + 2 * side, left + side : left + 2 * side]


def consistent(scores: Array, order: list[int]) -> Array:
    """Sums of neighbours along the diagonal, where ``order`` says which place follows which."""
    result = np.zeros_like(scores)
    for (i, here), (j, there), step in product(enumerate(order), enumerate(order), (-1, 0, 1)):
        if 0 <= i + step < len(order) and 0 <= j + step < len(order):
            result[here, there] += scores[order[i + step], order[j + step]]
    return result


def reference(foreground: Array, background: Array, mask: Array) -> Array:
    """Yu 2018, section 3.3, with the released code's constants, for one image, place by place."""
    _, height, width = foreground.shape
    rows, columns = height // 2, width // 2
    places = list(product(range(rows), range(columns)))
    cells = mask.reshape(rows, len(mask) // rows, columns, -1).max((1, 3))[None]
    sought = [patch(foreground[:, ::2, ::2], i - 1, j - 1, 3) for i, j in places]
    offered = [patch(background[:, ::2, ::2], i - 1, j - 1, 3) for i, j in places]
    usable = np.array([patch(cells, i - 1, j - 1, 3).mean() == 0 for i, j in places])

    scores = np.array([[(f * b).sum() / max(np.sqrt((b**2).sum()), 1e-4) for b in offered] for f in sought])
    by_row = list(range(len(places)))
    by_column = [i * columns + j for j, i in product(range(columns), range(rows))]
    scores = consistent(consistent(scores, by_row), by_column)
    weights = np.exp(10 * scores * usable)
    weights = weights / weights.sum(1, keepdims=True) * usable

    canvas = np.zeros((len(foreground), height + 2, width + 2))  # a border for patches that reach beyond the maps
    for (k, n), column in zip(places, weights.T, strict=True):
        copied = patch(background, 2 * k - 1, 2 * n - 1, 4)
        for (i, j), weight in zip(places, column, strict=True):
            canvas[:, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4] += weight * copied
    return canvas[:, 1:-1, 1:-1] / 4


def freeform(height: int, width: int, seed: int) -> torch.Tensor:
    """A thin stroke: a mask ``(1, height, width)``."""
    rng = np.random.default_rng(seed)
    mask = torch.zeros(1, height, width)
    y, x = rng.integers(height), rng.integers(width)
    for down, right in rng.integers(-1, 2, (24, 2)):
        y, x = np.clip(y + down, 0, height - 1), np.clip(x + right, 0, width - 1)
        mask[0, y, x] = 1
    return mask


MASKS = {
    "central, and none": lambda s: torch.cat(
        [mask_of([center_box(s), Box(0, 0, 0, 0)], s), mask_of([center_box(s)], s)]
    ),
    "boxes": lambda s: mask_of([Box(3, 5, 9, 7), Box(s - 9, 1, 8, 20), Box(s // 2, s // 3, 5, s // 2)], s),
    "strokes": lambda s: torch.stack([freeform(s, s, seed) for seed in range(3)]),
    "everything": lambda s: torch.stack([torch.ones(1, s, s), freeform(s, s, 3), torch.ones(1, s, s)]),
}


@pytest.mark.parametrize("side", [32, 64])
@pytest.mark.parametrize("kind", MASKS)
def test_attention_follows_its_definition(kind: str, side: int) -> None:
    mask = MASKS[kind](side).double()
    foreground = 0.1 * random(3, 4, side // 4, side // 4)  # so small that the softmax is no maximum
    background = 0.1 * (random(3, 4, side // 4, side // 4, seed=1) - 0.3).relu()
    background[1, :, :6, :6] = 0  # a patch of no length
    result = contextual_attention(foreground, background, mask)
    expected = [
        reference(*(one.numpy() for one in (f, b, m[0]))) for f, b, m in zip(foreground, background, mask, strict=True)
    ]
    assert (result - torch.from_numpy(np.stack(expected))).abs().max() < 1e-10


def test_attention_over_maps_that_are_not_square() -> None:
    features = 0.1 * random(1, 3, 8, 12)
    mask = freeform(32, 48, 0)[None].double()
    expected = reference(features[0].numpy(), features[0].numpy(), mask[0, 0].numpy())
    assert (contextual_attention(features, features, mask)[0] - torch.from_numpy(expected)).abs().max() < 1e-10


def test_attention_gradients() -> None:
    mask = mask_of([Box(28, 28, 3, 3)], 32).double()
    foreground, background = ((0.3 * random(1, 2, 8, 8, seed=seed)).requires_grad_() for seed in (0, 1))
    assert torch.autograd.gradcheck(lambda f, b: contextual_attention(f, b, mask), (foreground, background))
    assert torch.autograd.gradcheck(lambda f: contextual_attention(f, f, mask), (foreground,))


@pytest.mark.parametrize("side", [8, 32])
def test_without_a_known_patch_nothing_is_pasted(side: int) -> None:
    features = random(2, 4, side // 4, side // 4).requires_grad_()
    pasted = contextual_attention(features, features, mask_of([center_box(side)] * 2, side).double())
    (gradient,) = torch.autograd.grad(pasted.sum(), features)
    assert not pasted.any() and not gradient.any()


def test_maps_of_nothing_have_finite_gradients() -> None:
    features = torch.zeros(1, 4, 16, 16, requires_grad=True)
    (gradient,) = torch.autograd.grad(
        contextual_attention(features, features, mask_of([center_box(64)], 64)).sum(), features
    )
    assert gradient.isfinite().all()


def test_a_texture_is_continued_into_the_hole() -> None:
    side, period = 32, 4  # of the maps: the hole is 16 to a side, the texture repeats at every second place
    texture = random(1, 8, period, period).tile(1, 1, side // period, side // period)
    mask = mask_of([center_box(4 * side)], 4 * side).double()
    hole = center_box(side)
    damaged = texture.clone()
    damaged[..., *hole.slices] = 9 * random(1, 8, hole.height, hole.width, seed=1)

    weights = attention_weights(texture / 2, damaged, mask)[0].unflatten(1, (16, 16)).unflatten(0, (16, 16))
    assert not weights[..., 3:13, 3:13].any()  # the hole, 4 to 11, and what touches it
    for i, j in product(range(4, 12), range(4, 12)):
        in_phase = weights[i, j, i % 2 :: 2, j % 2 :: 2].sum()
        assert in_phase > 0.999

    pasted = contextual_attention(texture / 2, damaged, mask)
    assert (pasted - texture)[..., *hole.slices].abs().max() < 1e-3


def test_bf16_training_attends_in_full_precision() -> None:
    features, mask = random(2, 4, 16, 16).float(), mask_of([center_box(64)] * 2, 64)
    with torch.autocast("cpu", torch.bfloat16):
        within = contextual_attention(features, features, mask)
    assert torch.equal(within, contextual_attention(features, features, mask))


def test_the_generator_has_its_released_size() -> None:
    with torch.device("meta"):
        network = GiicaGenerator(256)
        coarse, refined = network(torch.zeros(2, 3, 256, 256), torch.zeros(2, 1, 256, 256))
    assert (parameters(network.coarse), parameters(network)) == (1_448_227, 3_601_542)
    assert coarse.shape == refined.shape == (2, 3, 256, 256)


@pytest.mark.parametrize("side, width", [(8, 1 / 16), (24, 1 / 16), (64, 1 / 8), (128, 1 / 16)])
def test_predictions_are_images(side: int, width: float) -> None:
    network = drawn(GiicaGenerator(side, width=width))
    mask = mask_of([center_box(side)] * 2, side)
    image = erase(random(2, 3, side, side).float(), mask, 0.5)
    for prediction in network(image, mask, center_box(side)):
        assert prediction.shape == image.shape
        assert 0 <= prediction.min() < prediction.max() <= 1
    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            assert part.out_channels == 3 or part.out_channels >= max(4, 16 * width)


@pytest.mark.parametrize("side", [0, 4, 66, 100])
def test_a_side_that_does_not_fit_is_refused(side: int) -> None:
    with pytest.raises(ValueError, match=f"image_side: {side} is not a multiple of 8"):
        GiicaGenerator(side)


def small(seed: int = 0) -> tuple[GiicaGenerator, torch.Tensor, torch.Tensor]:
    """A narrow generator in double precision, three masked images and their masks, of which each is another."""
    network = GiicaGenerator(64, width=1 / 16).double()
    initialise(network, torch.Generator().manual_seed(seed), 0.15)
    mask = mask_of([center_box(64), Box(1, 30, 9, 20), Box(40, 3, 5, 6)], 64).double()
    return network, erase(random(3, 3, 64, 64), mask, 0.5), mask


def test_an_image_does_not_depend_on_its_neighbours() -> None:
    network, image, mask = small()
    together = network(image, mask)
    for i in range(3):
        for whole, alone in zip(together, network(image[i : i + 1], mask[i : i + 1]), strict=True):
            assert (whole[i] - alone[0]).abs().max() < 1e-12


def test_both_generators_see_an_image_ones_and_the_mask() -> None:
    network, image, mask = small()
    seen: list[torch.Tensor] = []
    for part in (network.coarse, network.convolved, network.matched):
        part.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    coarse, _ = network(image, mask)
    assert torch.equal(seen[0], torch.cat([2 * image - 1, torch.ones_like(mask), mask], 1))
    assert torch.equal(seen[1], seen[2]) and torch.equal(seen[1][:, 3:], seen[0][:, 3:])
    assert (seen[1][:, :3] - 2 * composite(coarse, image, mask) + 1).abs().max() < 1e-12


def test_only_what_is_matched_ends_in_relu() -> None:
    network, _, _ = small()
    activations = [type(part) for part in network.modules() if isinstance(part, nn.ELU | nn.ReLU)]
    assert (activations.count(nn.ELU), activations.count(nn.ReLU)) == (39, 1)
    assert isinstance(network.matched[-1][-1], nn.ReLU)  # type: ignore[index]


@pytest.mark.parametrize("bias, clipped", [(9, 1), (-9, 0)])
def test_predictions_are_clipped(bias: float, clipped: float) -> None:
    network, image, mask = small()
    for decoder in (network.coarse[-1], network.decoder):
        nn.init.constant_(decoder[-1][0].bias, bias)  # type: ignore[index]
    for prediction in network(image, mask):
        assert (prediction == clipped).all()


def test_the_refined_prediction_starts_from_the_coarse_ones_hole() -> None:
    network, image, mask = small()
    coarse, refined = network(image, mask)
    for place, changes in ((known(mask), False), (mask, True)):
        hook = network.coarse.register_forward_hook(lambda _, __, output, place=place: output + 0.1 * place)
        other_coarse, other_refined = network(image, mask)
        hook.remove()
        assert not torch.equal(other_coarse, coarse)
        assert torch.equal(other_refined, refined) != changes


def test_both_predictions_train_the_coarse_generator() -> None:
    network, image, mask = small()
    weights = list(network.coarse.parameters())
    for prediction in network(image, mask):
        assert all(gradient.any() for gradient in torch.autograd.grad(prediction.mean(), weights, retain_graph=True))


@pytest.mark.parametrize("width", [1 / 8, 1.0])
def test_small_first_weights_are_not_clipped(width: float) -> None:
    network = GiicaGenerator(64, width=width)
    initialise(network, torch.Generator().manual_seed(0), 0.04 / width**0.5)
    mask = mask_of([center_box(64)], 64)
    with torch.no_grad():
        for prediction in network(erase(random(1, 3, 64, 64).float(), mask, 0.5), mask):
            assert 0 < prediction.min() < prediction.max() < 1


@pytest.mark.parametrize("view, last_side, count", [("local", 8, 4_339_329), ("global", 16, 2_733_441)])
def test_critics_keep_the_size_of_their_last_map(view: str, last_side: int, count: int) -> None:
    for side, depth in ((256, 4), (128, 3), (64, 2), (32, 1)):
        with torch.device("meta"):
            critic = GiicaCritic(side, view=view)  # type: ignore[arg-type]
            assert critic(torch.zeros(2, 3, side, side), [center_box(side)] * 2).shape == (2,)
        last = critic.tower[-1][0].out_channels  # type: ignore[index]
        assert (len(critic.tower), critic.head.in_features) == (depth, last * last_side**2)
        assert side != 256 or parameters(critic) == count
    with pytest.raises(ValueError, match=f"view: '{view}' leaves no critic at 16 px"):
        GiicaCritic(16, view=view)  # type: ignore[arg-type]


def test_unknown_views_are_refused() -> None:
    with pytest.raises(ValueError, match="view: 'half' is unknown; choose local, global"):
        GiicaCritic(64, view="half")  # type: ignore[arg-type]


@pytest.mark.parametrize("view", ["local", "global"])
def test_critics_see_their_view(view: str) -> None:
    critic = drawn(GiicaCritic(64, view=view, width=1 / 16))  # type: ignore[arg-type]
    windows = [window_of(Box(edge, 2 * edge, 8, 8), 64) for edge in (0, 9, 20)]
    image = random(3, 3, 64, 64).float().requires_grad_()
    (slope,) = torch.autograd.grad(critic(image, windows).sum(), image)
    seen = slope.ne(0).any(1, keepdim=True)
    inside = mask_of(windows, 64).bool() if view == "local" else torch.ones(3, 1, 64, 64, dtype=torch.bool)
    assert torch.equal(seen, inside)


@pytest.mark.parametrize("view", ["local", "global"])
def test_critics_can_be_penalised_for_their_slope(view: str) -> None:
    critic = drawn(GiicaCritic(32, view=view, width=1 / 16)).double()  # type: ignore[arg-type]
    windows = [center_box(32)] * 2
    mask = mask_of(windows, 32).double()
    real, fake = random(2, 3, 32, 32), random(2, 3, 32, 32, seed=1)
    penalty = gradient_penalty(lambda image: critic(image, windows), real, fake, random(2), mask)
    *tower_, head, _ = torch.autograd.grad(penalty, list(critic.parameters()), materialize_grads=True)
    assert tower_[0].any() and head.any()
    assert torch.autograd.gradgradcheck(lambda image: critic(image, windows), real.requires_grad_(), fast_mode=True)
