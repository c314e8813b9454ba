"""What is drawn is a function of (seed, stream, number), and so the same for every variant."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.masking import center_box, mask_of, window_of
from models.masks import Center, FreeForm, RandomBox
from study.data.batches import Batch, Batches, colour
from study.data.holes import Draw
from study.training import loop as training

SIDE, COUNT = 16, 10
IMAGES = np.random.default_rng(0).integers(0, 256, size=(COUNT, SIDE, SIDE, 3), dtype=np.uint8)


def holes(mask: Center | RandomBox | FreeForm) -> Draw:
    return lambda rng, indices: mask.draw(rng, len(indices), SIDE)


def batches(**changes: Any) -> Batches:
    options: dict[str, Any] = {"seed": 1, "stream": "generator", "batch": 4, "flips": True, "holes": holes(Center())}
    options |= {"fill": "zero", "mean": (0.1, 0.2, 0.3), "device": torch.device("cpu")}
    return Batches(IMAGES, **(options | changes))


def equal(a: Batch, b: Batch) -> bool:
    fills = [torch.as_tensor(fill) for fill in (a.fill, b.fill)]
    same = all(torch.equal(getattr(a, name), getattr(b, name)) for name in ("image", "mask", "mix"))
    windows = list(a.windows) == list(b.windows) and list(a.elsewhere) == list(b.elsewhere)
    return same and torch.equal(*fills) and windows


RANDOM: dict[str, Any] = {"holes": holes(RandomBox()), "fill": "noise"}
STROKES: dict[str, Any] = {"holes": holes(FreeForm()), "fill": "noise"}


@given(order=st.permutations(range(8)), drawn=st.sampled_from([RANDOM, STROKES]))
@settings(max_examples=10, deadline=None)
def test_a_batch_does_not_depend_on_those_before_it(order: list[int], drawn: dict[str, Any]) -> None:
    one, other = batches(**drawn), batches(**drawn)
    kept = {number: one.at(number) for number in range(8)}
    assert all(equal(other.at(number), kept[number]) for number in order)


@pytest.mark.parametrize("change", [{"seed": 2}, {"stream": "critic"}])
def test_seeds_and_streams_differ(change: dict[str, Any]) -> None:
    one, other = batches(**RANDOM).at(0), batches(**RANDOM, **change).at(0)
    for name in ("image", "mask", "fill", "mix"):
        assert not torch.equal(getattr(one, name), getattr(other, name))
    assert one.elsewhere != other.elsewhere


def test_every_image_comes_once_an_epoch_in_a_new_order() -> None:
    drawn = batches(flips=False, batch=3)
    pixels = torch.cat([drawn.at(number).image for number in range(COUNT)])
    truth = torch.from_numpy(IMAGES).permute(0, 3, 1, 2).float() / 255
    found = [int((truth == image).flatten(1).all(1).nonzero().item()) for image in pixels]
    epochs = [found[i * COUNT : (i + 1) * COUNT] for i in range(3)]
    assert all(sorted(epoch) == list(range(COUNT)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_about_half_of_the_images_are_flipped() -> None:
    plain, flipped = batches(flips=False), batches()
    turned = 0
    for number in range(50):
        for a, b in zip(plain.at(number).image, flipped.at(number).image, strict=True):
            assert torch.equal(a, b) or torch.equal(a.flip(-1), b)
            turned += not torch.equal(a, b)
    assert 70 < turned < 130


def test_central_holes_and_their_windows() -> None:
    batch = batches().at(0)
    box = center_box(SIDE)
    assert torch.equal(batch.mask, mask_of([box] * 4, SIDE))
    assert list(batch.windows) == [box] * 4
    assert batch.fill == 0
    assert all(0 <= place.top <= SIDE // 2 and place.height == SIDE // 2 for place in batch.elsewhere)


def test_random_holes_are_a_quarter_to_half_of_the_side_and_inside() -> None:
    drawn = batches(**RANDOM)
    for number in range(40):
        batch = drawn.at(number)
        for mask, window in zip(batch.mask, batch.windows, strict=True):
            rows, columns = (mask[0].amax(axis).nonzero().flatten().tolist() for axis in (1, 0))
            height, width = len(rows), len(columns)
            assert SIDE // 4 <= height <= SIDE // 2 and SIDE // 4 <= width <= SIDE // 2
            assert mask.sum() == height * width
            assert 0 <= window.top <= rows[0] and rows[-1] < window.bottom <= SIDE
            assert 0 <= window.left <= columns[0] and columns[-1] < window.right <= SIDE
    assert all(window_of(box, SIDE).height == SIDE // 2 for box in batch.windows)


@pytest.mark.parametrize(("fill", "expected"), [("mean", [0.1, 0.2, 0.3]), ([0.5, 0.6, 0.7], [0.5, 0.6, 0.7])])
def test_a_fill_of_one_colour(fill: Any, expected: list[float]) -> None:
    found = batches(fill=fill).at(0).fill
    assert isinstance(found, torch.Tensor) and found.shape == (3, 1, 1)
    assert found.flatten().tolist() == pytest.approx(expected)
    assert colour("zero", (1, 1, 1), torch.device("cpu")) == 0


def test_noise_is_new_for_every_image_and_number() -> None:
    drawn = batches(fill="noise")
    one, other = (torch.as_tensor(drawn.at(number).fill) for number in range(2))
    assert one.shape == (4, 3, SIDE, SIDE) and 0 <= one.min() < one.max() < 1
    assert len({tuple(noise.flatten().tolist()) for noise in (*one, *other)}) == 8


def test_the_mix_lies_between_0_and_1_and_draws_on_no_other_stream() -> None:
    drawn = [batches(**RANDOM).at(number).mix for number in range(20)]
    assert all(mix.shape == (4,) and mix.dtype == torch.float32 for mix in drawn)
    values = torch.cat(drawn)
    assert 0 <= values.min() < 0.1 and 0.9 < values.max() < 1 and len(values.unique()) == len(values)
    assert torch.equal(batches().at(3).mix, drawn[3])  # whatever the holes and the fill are


def drawn(plan: Any, store: Any, role: str, variant: str, step: int) -> Batch:
    stage = tiny.stage_of(plan, role, variant)
    draw = training.batches_of(stage, store, torch.device("cpu"))
    return draw(step)[-1]


def test_batches_hold_a_training_set_no_longer_than_they_live() -> None:
    """Without waiting for the garbage collector, which may come after a second set was copied to the card."""
    drawn = batches()
    drawn.at(0)
    gone = weakref.ref(drawn)
    gc.disable()
    try:
        del drawn
        assert gone() is None
    finally:
        gc.enable()


def test_all_variants_of_a_seed_train_on_the_same_batches(tmp_path: Path) -> None:
    variants = {name: entry for name, entry in tiny.EVERY.items() if name not in ("mean", "biharmonic")}
    variants["patient"] = {**tiny.PROPOSED, "loss": {"extends": "wgan", "critic_steps": 3}}
    variants["at_once"] = {**tiny.PROPOSED, "three_stages": False}
    plan, store = tiny.planned(tmp_path, variants, seeds=[0, 1])
    tiny.made(plan, store, [key for key, stage in plan.stages.items() if stage.kind == "data"])
    reference = [drawn(plan, store, "pretrain", "proposed", step) for step in range(4)]
    reference += [drawn(plan, store, "joint", "proposed", step) for step in range(3)]
    for variant in variants:
        roles = tiny.run_of(plan, variant).stages
        steps = [("pretrain", step) for step in range(4)] if "pretrain" in roles else []
        steps += [("joint", step) for step in range(7 - len(steps))]
        found = [drawn(plan, store, role, variant, step) for role, step in steps]
        assert len(found) == 7
        for a, b in zip(found, reference, strict=True):
            assert torch.equal(a.image, b.image) and torch.equal(a.mask, b.mask)
            assert list(a.windows) == list(b.windows) and list(a.elsewhere) == list(b.elsewhere)
    critics = [drawn(plan, store, "critic.local", variant, 0) for variant in ("proposed", "single", "proposed_js")]
    assert all(torch.equal(batch.image, critics[0].image) for batch in critics)
    assert not torch.equal(critics[0].image, reference[0].image)

    stage = tiny.stage_of(plan, "pretrain", "proposed", seed=1)
    other = training.batches_of(stage, store, torch.device("cpu"))(0)[-1]
    assert not torch.equal(other.image, reference[0].image)
