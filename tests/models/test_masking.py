import pytest
import torch

from models.masking import Box, center_box, composite, erase, known, mask_of, window_of


def test_center_box_is_the_papers_hole() -> None:
    assert center_box(256) == Box(64, 64, 128, 128)


def test_mask_is_one_in_each_images_own_hole() -> None:
    mask = mask_of([Box(0, 1, 2, 3), Box(5, 4, 3, 4)], 8)
    assert mask.shape == (2, 1, 8, 8)
    assert mask.sum((1, 2, 3)).tolist() == [6, 12]
    assert mask[0, 0, :2, 1:4].all() and mask[1, 0, 5:, 4:].all()
    assert torch.equal(known(mask) + mask, torch.ones(2, 1, 8, 8))


@pytest.mark.parametrize("fill", [0.25, torch.tensor([0.1, 0.2, 0.3])[:, None, None], torch.rand(2, 3, 8, 8)])
def test_erase_puts_the_fill_in_the_hole_only(fill: float | torch.Tensor) -> None:
    image = torch.rand(2, 3, 8, 8)
    mask = mask_of([center_box(8)] * 2, 8)
    masked = erase(image, mask, fill)
    assert masked.dtype == image.dtype
    hole = mask.bool().expand_as(image)
    assert torch.equal(masked[hole], torch.as_tensor(fill).expand_as(image)[hole])
    assert torch.equal(masked[~hole], image[~hole])


def test_composite_is_the_image_to_the_bit_and_sends_no_gradient_outside_the_hole() -> None:
    image = torch.rand(2, 3, 8, 8)
    prediction = torch.full_like(image, 3e38).requires_grad_()
    mask = mask_of([Box(1, 2, 3, 4), Box(4, 0, 4, 4)], 8)
    whole = composite(prediction, image, mask)
    hole = mask.bool().expand_as(image)
    assert torch.equal(whole[~hole], image[~hole])
    assert torch.equal(whole[hole], prediction[hole])
    whole.sum().backward()
    assert prediction.grad is not None
    assert torch.equal(prediction.grad, mask.expand_as(image))


@pytest.mark.parametrize("side", [32, 64, 256])
def test_window_of_the_central_hole_is_the_hole(side: int) -> None:
    assert window_of(center_box(side), side) == center_box(side)


@pytest.mark.parametrize(
    "box, window",
    [
        (Box(0, 0, 8, 8), Box(0, 0, 16, 16)),
        (Box(24, 20, 8, 12), Box(16, 16, 16, 16)),
        (Box(10, 13, 8, 10), Box(6, 10, 16, 16)),
    ],
)
def test_window_covers_the_hole_and_stays_inside(box: Box, window: Box) -> None:
    assert window_of(box, 32) == window
    assert window.top <= box.top and window.left <= box.left
    assert box.bottom <= window.bottom <= 32 and box.right <= window.right <= 32
