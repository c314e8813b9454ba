import math

import pytest
import torch

from models.losses import (
    JS,
    LSGAN,
    WGAN,
    clip_,
    discounted,
    gradient_penalty,
    reconstruction,
    share_at_bound,
)
from models.masking import Box, mask_of


def test_reconstruction_in_closed_form() -> None:
    image = torch.rand(2, 3, 8, 8)
    prediction = image + 0.1
    mask = mask_of([Box(0, 0, 4, 4), Box(2, 2, 4, 4)], 8)
    assert reconstruction(prediction, image, mask).item() == pytest.approx(0.01, rel=1e-4)
    assert reconstruction(prediction, image, mask, "sum").item() == pytest.approx(0.01 * 48, rel=1e-4)
    twice = torch.full_like(mask, 2)
    assert reconstruction(prediction, image, mask, "mean", twice).item() == pytest.approx(0.02, rel=1e-4)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_reconstruction_sees_the_hole_only(reduction: str) -> None:
    image = torch.rand(1, 3, 8, 8)
    mask = mask_of([Box(1, 2, 3, 4)], 8)
    prediction = torch.rand(1, 3, 8, 8, requires_grad=True)
    reconstruction(prediction, image, mask, reduction).backward()  # type: ignore[arg-type]
    assert prediction.grad is not None
    assert torch.equal(prediction.grad != 0, mask.bool().expand_as(image))


def test_js_in_closed_form() -> None:
    real, fake = torch.tensor([2.0, 0.0]), torch.tensor([-1.0, 1.0])

    def sigmoid(score: float) -> float:
        return 1 / (1 + math.exp(-score))

    critic = -(math.log(sigmoid(2)) + math.log(sigmoid(0))) / 2
    critic -= (math.log(1 - sigmoid(-1)) + math.log(1 - sigmoid(1))) / 2
    assert JS().critic(real, fake).item() == pytest.approx(critic)
    non_saturating = -(math.log(sigmoid(-1)) + math.log(sigmoid(1))) / 2
    assert JS().generator(fake).item() == pytest.approx(non_saturating)
    saturating = (math.log(1 - sigmoid(-1)) + math.log(1 - sigmoid(1))) / 2
    assert JS("saturating").generator(fake).item() == pytest.approx(saturating)


def test_js_stays_finite() -> None:
    far = torch.tensor([1e4, -1e4])
    assert all(torch.isfinite(JS(form).generator(far)) for form in ("non_saturating", "saturating"))
    assert torch.isfinite(JS().critic(far, far))


def test_wgan_in_closed_form() -> None:
    real, fake = torch.tensor([2.0, 0.0]), torch.tensor([-1.0, 4.0])
    assert WGAN().critic(real, fake) == 0.5
    assert WGAN().generator(fake) == -1.5


def test_clip_is_in_place_and_its_share_is_counted() -> None:
    parameters = [torch.nn.Parameter(torch.tensor([-1.0, -0.005, 0.02])), torch.nn.Parameter(torch.zeros(5))]
    before = [parameter.data_ptr() for parameter in parameters]
    clip_(parameters, 0.01)
    assert torch.equal(parameters[0].data, torch.tensor([-0.01, -0.005, 0.01]))
    assert before == [parameter.data_ptr() for parameter in parameters]
    assert share_at_bound(parameters, 0.01).item() == 2 / 8
    assert share_at_bound(iter(parameters), 0.02).item() == 0


def test_absolute_errors_in_closed_form() -> None:
    image = torch.rand(2, 3, 8, 8)
    mask = mask_of([Box(0, 0, 4, 4), Box(2, 2, 4, 4)], 8)
    assert reconstruction(image - 0.1, image, mask, norm="l1").item() == pytest.approx(0.1, rel=1e-4)


def test_a_discount_counts_rings_from_the_edge() -> None:
    mask = mask_of([Box(1, 1, 5, 5), Box(0, 0, 3, 8)], 8)
    weights = discounted(mask, 0.5)[:, 0]
    assert weights[0, 3].tolist() == [1, 0.5, 0.25, 0.125, 0.25, 0.5, 1, 1]
    assert weights[0, 1].tolist() == [1, 0.5, 0.5, 0.5, 0.5, 0.5, 1, 1]
    assert weights[1, :, 4].tolist() == [0.125, 0.25, 0.5, 1, 1, 1, 1, 1]  # nothing is known beyond the image
    assert torch.equal(discounted(torch.zeros(1, 1, 4, 4), 0.5), torch.ones(1, 1, 4, 4))
    assert torch.isfinite(discounted(torch.ones(1, 1, 4, 4), 0.5)).all()


def test_least_squares_in_closed_form() -> None:
    real, fake = torch.tensor([2.0, 0.0]), torch.tensor([-1.0, 1.0])
    assert LSGAN().critic(real, fake).item() == pytest.approx((1 + 1) / 2 / 2 + (1 + 1) / 2 / 2)
    assert LSGAN().generator(fake).item() == pytest.approx((4 + 0) / 2 / 2)


def test_a_gradient_penalty_in_closed_form() -> None:
    """A linear critic's slope is its weights, wherever it is taken: in the hole alone they count."""
    weights = torch.randn(1, 3, 4, 4, dtype=torch.float64)
    real, fake = torch.rand(2, 2, 3, 4, 4, dtype=torch.float64)
    mask = mask_of([Box(0, 0, 2, 2), Box(0, 0, 4, 4)], 4).double()

    def score(image: torch.Tensor) -> torch.Tensor:
        return (image * weights).sum((1, 2, 3))

    sizes = [weights[..., :2, :2].norm(), weights.norm()]
    expected = sum((size - 1) ** 2 for size in sizes) / 2
    found = gradient_penalty(score, real, fake, torch.tensor([0.2, 0.9], dtype=torch.float64), mask)
    assert found.item() == pytest.approx(float(expected))
    several = gradient_penalty(lambda x: torch.stack([score(x)] * 3, 1), real, fake, torch.rand(2).double(), mask)
    assert several.item() == pytest.approx(float(expected))


def test_a_gradient_penalty_is_taken_between_the_two_and_reaches_the_critic() -> None:
    seen: list[torch.Tensor] = []
    bend = torch.tensor(1.5, requires_grad=True)

    def score(image: torch.Tensor) -> torch.Tensor:
        seen.append(image.detach())
        return bend * image.square().sum((1, 2, 3))

    real, fake = torch.ones(2, 3, 4, 4), torch.zeros(2, 3, 4, 4)
    gradient_penalty(score, real, fake, torch.tensor([0.25, 1.0]), torch.ones(2, 1, 4, 4)).backward()
    assert [float(image.mean()) for image in seen[0]] == [0.25, 1.0]
    assert bend.grad is not None and bend.grad != 0


def test_a_critic_without_slope_has_a_finite_gradient() -> None:
    flat = torch.zeros(3, requires_grad=True)
    image = torch.rand(1, 3, 4, 4)
    penalty = gradient_penalty(
        lambda x: (x.mean((2, 3)) * flat).sum(1), image, image, torch.ones(1), torch.ones(1, 1, 4, 4)
    )
    penalty.backward()
    assert flat.grad is not None and torch.isfinite(flat.grad).all()
