import math

import pytest
import torch

from models.losses import ADVERSARIAL, JS, WGAN, clip_, reconstruction, share_at_bound
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


@pytest.mark.parametrize("kind", ADVERSARIAL)
@pytest.mark.parametrize("shape", [(4,), (4, 9)])
def test_better_scores_make_smaller_losses(kind: str, shape: tuple[int, ...]) -> None:
    loss = ADVERSARIAL[kind]()
    low, high = torch.zeros(shape), torch.ones(shape)
    assert loss.critic(high, low) < loss.critic(low, high)
    assert loss.generator(high) < loss.generator(low)
    assert loss.critic(high, low).shape == loss.generator(low).shape == ()


def test_clip_is_in_place_and_its_share_is_counted() -> None:
    parameters = [torch.nn.Parameter(torch.tensor([-1.0, -0.005, 0.02])), torch.nn.Parameter(torch.zeros(5))]
    before = [parameter.data_ptr() for parameter in parameters]
    clip_(parameters, 0.01)
    assert torch.equal(parameters[0].data, torch.tensor([-0.01, -0.005, 0.01]))
    assert before == [parameter.data_ptr() for parameter in parameters]
    assert share_at_bound(parameters, 0.01).item() == 2 / 8
    assert share_at_bound(iter(parameters), 0.02).item() == 0
