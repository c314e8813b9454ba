import pytest
import torch

from models.critics import VIEWS, Critic, layers_of, look, view_side
from models.masking import Box, center_box


@pytest.mark.parametrize("side", [32, 64, 128, 256])
@pytest.mark.parametrize("tables", ["printed", "exchanged"])
def test_last_maps_keep_the_papers_size(side: int, tables: str) -> None:
    published = {"local": 2, "global": 8, "half": 4, "quarter": 4, "eighth": 4}
    if tables == "exchanged":
        published |= {"local": 4, "global": 4}
    for view, last in published.items():
        if (view, side) == ("eighth", 32):
            continue
        with torch.device("meta"):
            critic = Critic(side, view=view, tables=tables, head="patch")  # type: ignore[arg-type]
            scores = critic(torch.zeros(2, 3, side, side), [center_box(side)] * 2)
        assert scores.shape == (2, last**2)


def test_exchanged_swaps_the_local_and_the_global_layers_only() -> None:
    printed = {view: layers_of(view, 256) for view in VIEWS}
    exchanged = {view: layers_of(view, 256, "exchanged") for view in VIEWS}
    assert exchanged == printed | {"local": printed["global"], "global": printed["local"]}


@pytest.mark.parametrize("side, view", [(32, "eighth"), (16, "quarter")])
def test_no_critic_without_layers(side: int, view: str) -> None:
    with pytest.raises(ValueError, match=f"view: '{view}' leaves no critic at {side} px"):
        Critic(side, view=view)


def test_unknown_values_are_refused() -> None:
    with pytest.raises(ValueError, match="image_side: 96 is not a power of two from 16 to 256"):
        Critic(96, view="local")
    with pytest.raises(ValueError, match="view: 'loca' is unknown; choose local, global, half, quarter, eighth"):
        Critic(64, view="loca")


def test_local_view_is_each_images_own_window() -> None:
    image = torch.rand(3, 3, 16, 16)
    windows = [Box(0, 0, 8, 8), Box(8, 3, 8, 8), Box(5, 8, 8, 8)]
    seen = look(image, "local", windows)
    assert seen.shape == (3, 3, 8, 8)
    for one, window, whole in zip(seen, windows, image, strict=True):
        assert torch.equal(one, whole[:, *window.slices])
    assert torch.equal(look(image, "local", windows[1:2] * 3), image[..., 8:16, 3:11])


@pytest.mark.parametrize("view", VIEWS)
def test_look_has_the_side_that_is_said(view: str) -> None:
    seen = look(torch.rand(2, 3, 64, 64), view, [center_box(64)] * 2)
    assert seen.shape[-2:] == (view_side(view, 64),) * 2


@pytest.mark.parametrize("head", ["mean", "linear"])
def test_a_head_gives_one_score_an_image(head: str) -> None:
    critic = Critic(64, view="global", width=1 / 16, head=head)  # type: ignore[arg-type]
    assert critic(torch.rand(3, 3, 64, 64), [center_box(64)] * 3).shape == (3,)


def test_mean_is_the_mean_of_the_patches() -> None:
    mean, patch = (Critic(64, view="half", width=1 / 16, head=head) for head in ("mean", "patch"))
    patch.load_state_dict(mean.state_dict())
    image, windows = torch.rand(2, 3, 64, 64), [center_box(64)] * 2
    assert torch.allclose(mean(image, windows), patch(image, windows).mean(1))


def test_only_batch_norm_reads_the_batch() -> None:
    assert Critic(64, view="half", width=1 / 16, norm="batch").normalises_batch
    critic = Critic(64, view="half", width=1 / 16, norm="layer")
    assert not critic.normalises_batch
    image, windows = torch.rand(4, 3, 64, 64), [center_box(64)] * 4
    assert torch.allclose(critic(image, windows)[:2], critic(image[:2], windows[:2]), atol=1e-6)
