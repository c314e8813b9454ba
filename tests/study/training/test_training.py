"""The loop keeps its promises: critics made alone or together, runs stopped anywhere, eq. (8) and nothing else."""

from __future__ import annotations

import json
import math
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from safetensors.torch import load_file
from scipy.ndimage import distance_transform_cdt
from torch import nn

from models.losses import LOSSES
from models.masking import Box, center_box, composite, erase, known, mask_of
from models.method import Critic, Method, Optimizer, Rate, Recipe, Reconstruction, Trained
from models.proposed import Proposed
from study.data.batches import Batch, Batches
from study.parts import registries
from study.plan.graph import Plan
from study.running.make import make
from study.store import Store
from study.training import learners
from study.training import loop as training
from study.training import step as algorithm
from study.training.checkpoint import TrainingState, Watch

GOLDEN = Path(__file__).parents[2] / "golden" / "training.json"
TOLERANCE = 1e-3
"""Of the golden numbers, relative: another processor sums in another order, and ten steps carry that on."""


def begun(plan: Plan, store: Store, role: str, variant: str = "proposed") -> Any:
    """The networks of a stage, its batches and its states, before its first step."""
    stage = tiny.stage_of(plan, role, variant)
    generator, critics, states = training.set_up([stage], store, tiny.Onlooker(), tiny.CPU)
    draw = training.batches_of(stage, store, tiny.CPU)
    return stage, generator, critics, states, draw


def repaired(generator: Any, batch: Any) -> tuple[torch.Tensor, torch.Tensor]:
    prediction = generator.network(erase(batch.image, batch.mask, batch.fill), batch.mask, None)
    return prediction, composite(prediction, batch.image, batch.mask)


def gradients(network: torch.nn.Module) -> list[torch.Tensor | None]:
    return [None if p.grad is None else p.grad.clone() for p in network.parameters()]


def same(a: list[Any], b: list[Any]) -> bool:
    return all(
        x is y is None or (x is not None and y is not None and torch.equal(x, y)) for x, y in zip(a, b, strict=True)
    )


@pytest.mark.parametrize("variant", ["proposed", "proposed_js"])
def test_a_critic_made_alone_is_the_critic_made_beside_others(tmp_path: Path, variant: str) -> None:
    variants = {name: tiny.EVERY[name] for name in ("proposed", variant)}
    plan, together = tiny.planned(tmp_path / "together", variants)
    alone = Store(tmp_path / "alone")
    tiny.made(plan, together)
    critics = [key for role, key in tiny.run_of(plan, variant).stages.items() if role.startswith("critic")]
    assert len(critics) == 3
    passes = plan.passes()
    assert any(set(critics) <= set(group) for group in passes)
    tiny.made(plan, alone, [key for key, stage in plan.stages.items() if stage.kind in ("data", "pretrain")])
    for key in critics:
        make([key], plan, alone, tiny.Onlooker(), tiny.CPU)
        assert tiny.published(alone, key) == tiny.published(together, key)


@pytest.mark.slow
def test_sharing_changes_no_byte(tmp_path: Path) -> None:
    found = []
    for share in (True, False):
        plan, store = tiny.planned(tmp_path / str(share), tiny.EVERY, share=share)
        found.append((plan, tiny.by_role(plan, tiny.made(plan, store))))
    (shared, with_sharing), (unshared, without) = found
    assert len(unshared.stages) > len(shared.stages)
    assert with_sharing == without
    assert all(entry["outcome"]["status"] == "finished" for entry in without.values())


def test_the_generator_starts_from_its_stream_whatever_the_variant_is_called(tmp_path: Path) -> None:
    variants = {"one": tiny.PROPOSED, "another": {**tiny.PROPOSED, "head": "patch"}}
    plan, store = tiny.planned(tmp_path, variants, share=False)
    tiny.made(plan, store)
    manifests = tiny.by_role(plan, store)
    assert manifests["one/faces/0", "pretrain"] == manifests["another/faces/0", "pretrain"]
    assert manifests["one/faces/0", "critic.local"] != manifests["another/faces/0", "critic.local"]


STAGES = [
    ("proposed", "pretrain"),
    ("proposed", "joint"),
    ("proposed_js", "critic.half"),
    ("proposed_js", "joint"),
    ("glcic", "joint"),
]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Store]:
    torch.set_num_threads(1)
    variants = {name: tiny.EVERY[name] for name in ("proposed", "proposed_js", "glcic")}
    plan, store = tiny.planned(tmp_path_factory.mktemp("undisturbed"), variants)
    return plan, tiny.made(plan, store)


def checkpoints(store: Store) -> list[Path]:
    return sorted((store.out / "making").glob("*/checkpoint.safetensors"))


def keys_of(plan: Plan, variant: str, role: str) -> list[str]:
    """A stage, or all critics of its pass."""
    key = tiny.run_of(plan, variant).stages[role]
    return next((group for group in plan.passes() if key in group), [key])


def check_resumed(n: int, key: str, plan: Plan, made: Store, folder: Path) -> None:
    """Stopped after ``n`` steps and begun again, a stage ends with the same bytes."""
    store = tiny.inputs_of(plan, made, [key], folder)
    assert tiny.stopped_at(n, [key], plan, store)
    make([key], plan, store, tiny.Onlooker(), tiny.CPU)
    assert tiny.published(store, key) == tiny.published(made, key)


@pytest.mark.parametrize("harm", ["none", "truncated", "garbage", "removed"])
@pytest.mark.parametrize(("variant", "role"), STAGES)
def test_stopped_at_any_step_it_ends_with_the_same_bytes(
    undisturbed: tuple[Plan, Store], tmp_path: Path, variant: str, role: str, harm: str
) -> None:
    plan, made = undisturbed
    keys = keys_of(plan, variant, role)
    count = plan.stages[keys[0]].steps * len(keys)
    for n in range(1, count + 1) if harm == "none" else (count,):
        store = tiny.inputs_of(plan, made, keys, tmp_path / str(n))
        assert tiny.stopped_at(n, keys, plan, store)
        assert not any(store.has(key) for key in keys)
        for file in checkpoints(store):
            whole = file.read_bytes()
            if harm == "truncated":
                file.write_bytes(whole[: len(whole) * 2 // 3])
            elif harm == "garbage":
                file.write_bytes(b"\xff" * 4096)
            elif harm == "removed":
                file.unlink()
        make(keys, plan, store, tiny.Onlooker(), tiny.CPU)
        for key in keys:
            assert tiny.published(store, key) == tiny.published(made, key)
        assert not list((store.out / "making").iterdir())


def test_stopped_again_and_again_it_ends_with_the_same_bytes(undisturbed: tuple[Plan, Store], tmp_path: Path) -> None:
    plan, made = undisturbed
    for variant, role in STAGES:
        keys = keys_of(plan, variant, role)
        store = tiny.inputs_of(plan, made, keys, tmp_path / variant / role)
        starts = 0
        while not all(store.has(key) for key in keys):
            starts += 1
            tiny.stopped_at(1, keys, plan, store)
        assert starts > plan.stages[keys[0]].steps - 1
        assert all(tiny.published(store, key) == tiny.published(made, key) for key in keys)


def killed_at(operation: int) -> None:
    """Kills this process as it begins so many file operations."""
    left = operation

    def watch(event: str, _: object) -> None:
        nonlocal left
        if event in ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir"):
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize(("variant", "role"), [("proposed_js", "joint"), ("proposed_js", "critic.half")])
def test_killed_at_any_moment_it_ends_with_the_same_bytes(
    undisturbed: tuple[Plan, Store], tmp_path: Path, variant: str, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGKILL at file operations, with a checkpoint at every step: as one is written, as results are published."""
    plan, made = undisturbed
    keys = keys_of(plan, variant, role)
    store = tiny.inputs_of(plan, made, keys, tmp_path)
    assert training.train.__kwdefaults__ is not None
    monkeypatch.setitem(training.train.__kwdefaults__, "checkpoint_s", 0.0)
    kills = 0
    while not all(store.has(key) for key in keys):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                killed_at(1 + 3 * kills)
                make(keys, plan, Store(store.out), tiny.Onlooker(), tiny.CPU)
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        assert killed or os.waitstatus_to_exitcode(status) == 0
        kills += killed
    assert kills > 5
    assert all(tiny.published(store, key) == tiny.published(made, key) for key in keys)


def test_a_resumed_stage_tells_its_record_the_whole_series(undisturbed: tuple[Plan, Store], tmp_path: Path) -> None:
    plan, made = undisturbed
    (key,) = keys_of(plan, "proposed", "pretrain")
    store = tiny.inputs_of(plan, made, [key], tmp_path)
    assert tiny.stopped_at(3, [key], plan, store)
    watch = tiny.Onlooker()
    make([key], plan, store, watch, tiny.CPU)
    assert [step for _, step, _ in watch.rows] == [2, 4]


def test_a_pass_goes_on_where_one_of_its_critics_is_there_already(
    undisturbed: tuple[Plan, Store], tmp_path: Path
) -> None:
    plan, made = undisturbed
    keys = keys_of(plan, "proposed", "critic.local")
    store = tiny.inputs_of(plan, made, keys, tmp_path)
    make(keys[1:2], plan, store, tiny.Onlooker(), tiny.CPU)
    assert tiny.stopped_at(4, keys[:1], plan, store) is False
    make(keys, plan, store, tiny.Onlooker(), tiny.CPU)
    assert all(tiny.published(store, key) == tiny.published(made, key) for key in keys)


def steps(pretrain: int, critic: int, joint: int) -> dict[str, Any]:
    return {"defaults": {"steps": {"pretrain": pretrain, "critic": critic, "joint": joint}}}


@pytest.mark.slow
def test_a_longer_stage_goes_on_from_a_shorter_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    variants = {name: tiny.EVERY[name] for name in ("proposed", "proposed_js", "glcic")}
    begun_at: list[int] = []
    resume = TrainingState.resume

    def noted(state: TrainingState, watch: Watch) -> None:
        resume(state, watch)
        begun_at.append(state.step)

    monkeypatch.setattr(TrainingState, "resume", noted)
    found = []
    for name, rounds in {"grown": [(2, 2, 2), (4, 2, 2), (4, 4, 2), (4, 4, 6)], "at once": [(4, 4, 6)]}.items():
        for round_ in rounds:
            begun_at.clear()
            plan, store = tiny.planned(tmp_path / name, variants, **steps(*round_))
            tiny.made(plan, store)
        found.append(tiny.by_role(plan, store))
        assert set(begun_at) == ({2} if name == "grown" else {0})
    assert found[0] == found[1]


def test_a_damaged_shorter_stage_is_not_gone_on_from(tmp_path: Path) -> None:
    plan, store = tiny.planned(tmp_path / "grown", **steps(2, 2, 2))
    tiny.made(plan, store)
    key = tiny.run_of(plan, "proposed").stages["pretrain"]
    file = store.folder(key) / "generator.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x55")
    found = []
    for name in ("grown", "at once"):
        plan, store = tiny.planned(tmp_path / name, **steps(4, 2, 2))
        tiny.made(plan, store)
        found.append(tiny.by_role(plan, store))
    assert found[0] == found[1]


def test_a_stage_whose_rate_depends_on_its_end_starts_over(tmp_path: Path) -> None:
    rates = {"pretrain": {"lr": 1.0e-3, "drop_after": 0.5, "drop_to": 0.1}}
    plan, _ = tiny.planned(tmp_path, {"proposed": {**tiny.PROPOSED, "rates": rates}}, **steps(4, 2, 2))
    assert tiny.stage_of(plan, "pretrain").lineage is None
    assert tiny.stage_of(plan, "joint").lineage is not None


@pytest.mark.parametrize("variant", ["proposed", "proposed_js", "glcic"])
def test_no_gradient_leaks(undisturbed: tuple[Plan, Store], variant: str) -> None:
    plan, store = undisturbed
    _, generator, critics, _, draw = begun(plan, store, "joint", variant)
    (batch,) = draw(0)
    prediction, fake = repaired(generator, batch)

    before = gradients(generator.network)
    weights = [p.clone() for p in generator.network.parameters()]
    for critic in critics:
        others = [gradients(other.network) for other in critics if other is not critic]
        algorithm.update_critic(critic, batch, fake.detach())
        assert same(before, gradients(generator.network))
        now = [gradients(other.network) for other in critics if other is not critic]
        assert all(same(a, b) for a, b in zip(others, now, strict=True))
    assert same(weights, list(generator.network.parameters()))

    after = [gradients(critic.network) for critic in critics]
    held = [[p.clone() for p in critic.network.parameters()] for critic in critics]
    algorithm.update_generator(generator, critics, [prediction], batch, 1e-3)
    for critic, grads, values in zip(critics, after, held, strict=True):
        assert same(grads, gradients(critic.network))
        assert same(values, list(critic.network.parameters()))
    assert not same(weights, list(generator.network.parameters()))


@pytest.mark.parametrize("variant", ["proposed", "glcic"])
def test_the_frozen_generator_stays_as_it_is(
    undisturbed: tuple[Plan, Store], tmp_path: Path, variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, made = undisturbed
    kept: list[torch.nn.Module] = []
    set_up = training.set_up

    def noted(*arguments: Any) -> Any:
        found = set_up(*arguments)
        kept.append(found[0].network)
        return found

    monkeypatch.setattr(training, "set_up", noted)
    role = "critic.local" if variant == "proposed" else "critic.joined"
    keys = keys_of(plan, variant, role)
    store = tiny.inputs_of(plan, made, keys, tmp_path)
    make(keys, plan, store, tiny.Onlooker(), tiny.CPU)
    (network,) = kept
    published = load_file(store.folder(plan.stages[keys[0]].needs["generator"]) / "generator.safetensors")
    assert set(published) == set(network.state_dict())
    assert all(torch.equal(published[name], value) for name, value in network.state_dict().items())
    assert not network.training
    assert all(p.grad is None for p in network.parameters())


@pytest.mark.parametrize("head", ["mean", "patch"])
@pytest.mark.parametrize("loss", ["wgan", "js"])
@pytest.mark.parametrize("sees", ["composite", "raw"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_generators_gradient_is_that_of_eq_8(
    tmp_path: Path, loss: str, sees: str, head: str, reduction: str
) -> None:
    """L = L_r + sum of lambda_i L_adv_i, by one plain backward pass through everything."""
    weights = {"local": 0.5, "global": 0.25, "half": 2.0}
    variant = {**tiny.PROPOSED, "loss": loss, "critic_input": sees, "head": head, "reduction": reduction}
    plan, store = tiny.planned(tmp_path, {"proposed": {**variant, "weights": weights}})
    keys = [key for key, stage in plan.stages.items() if stage.kind in ("data", "pretrain", "critic")]
    _, generator, critics, _, draw = begun(plan, tiny.made(plan, store, keys), "joint")
    (batch,) = draw(0)
    state = [{k: v.clone() for k, v in c.network.state_dict().items()} for c in critics]

    prediction, fake = repaired(generator, batch)
    hole = batch.mask.expand_as(batch.image) > 0.5
    squares = (prediction - batch.image)[hole].square()
    total = squares.mean() if reduction == "mean" else squares.sum() / len(batch.image)
    for critic in critics:
        scores = critic.network(fake if sees == "composite" else prediction, batch.windows)
        term = -scores.mean() if loss == "wgan" else torch.nn.functional.softplus(-scores).mean()
        total = total + weights[critic.name] * term
    expected = torch.autograd.grad(total, list(generator.network.parameters()))

    for critic, values in zip(critics, state, strict=True):
        critic.network.load_state_dict(values)
    generator.optimizer = torch.optim.SGD(generator.network.parameters(), lr=0.0)
    prediction, _ = repaired(generator, batch)
    algorithm.update_generator(generator, critics, [prediction], batch, 0.0)
    largest = max(float(grad.abs().max()) for grad in expected)
    for parameter, grad in zip(generator.network.parameters(), expected, strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, grad, rtol=1e-4, atol=1e-5 * largest)


class TwoStage(nn.Module):
    """A toy: a coarse prediction, and a fine one that is made of it."""

    version = 1
    windowed = False

    def __init__(self) -> None:
        super().__init__()
        self.coarse, self.fine = nn.Conv2d(4, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)

    def forward(
        self, masked_image: torch.Tensor, mask: torch.Tensor, window: Box | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        coarse = self.coarse(torch.cat([masked_image, mask], 1)).sigmoid()
        return coarse, self.fine(composite(coarse, masked_image, mask)).sigmoid()


class TwoStageOptions(Trained):
    loss: Recipe
    reconstruction: Reconstruction
    critic_input: str = "composite"

    def method(self, image_size: int) -> Method:
        network = {"kind": "mo_zhou", "view": "global", "image_side": image_size, "width": self.width}
        critic = {"network": network, "recipe": self.loss, "weight": 0.5, "sees": self.critic_input}
        return Method(
            generator={"kind": "two_stage"},
            optimizer=Optimizer(kind="adam", lr=1e-3),
            rates={},
            reconstruction=self.reconstruction,
            fill="zero",
            critics={"global": Critic.model_validate(critic)},
            stages=["joint"],
        )


@pytest.fixture
def two_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registries.GENERATORS, "two_stage", TwoStage)
    monkeypatch.setitem(registries.METHODS, "two_stage", TwoStageOptions)


TERMS: dict[str, dict[str, Any]] = {
    "all": {"norm": "l1", "weight": 2.4, "discount": 0.9, "known": 0.7, "coarse": 1.2},
    "coarse": {"coarse": 0.3},
    "known": {"known": 0.3, "reduction": "sum"},
    "fine alone": {"discount": 0.5},
}


@pytest.mark.usefixtures("two_stage")
@pytest.mark.parametrize("sees", ["composite", "raw"])
@pytest.mark.parametrize("terms", TERMS)
def test_each_prediction_gets_its_part_of_the_gradient_once(tmp_path: Path, terms: str, sees: str) -> None:
    """As by one plain backward pass through both, whichever of them the losses are of."""
    told = TERMS[terms]
    variant = {"method": "two_stage", "loss": "wgan", "reconstruction": told, "critic_input": sees}
    plan, store = tiny.planned(tmp_path, {"toy": variant})
    tiny.made(plan, store, [tiny.run_of(plan, "toy").stages["data"]])
    _, generator, (critic,), _, draw = begun(plan, store, "joint", "toy")
    (batch,) = draw(0)
    rings = torch.stack([torch.from_numpy(distance_transform_cdt(hole[0] > 0.5)) for hole in batch.mask])[:, None]

    def error(prediction: torch.Tensor, where: torch.Tensor, weight: torch.Tensor | float = 1.0) -> torch.Tensor:
        difference = prediction - batch.image
        each = where * weight * (difference.abs() if told.get("norm") == "l1" else difference**2)
        return each.sum() / (len(batch.image) if told.get("reduction") == "sum" else 3 * where.sum())

    def both(prediction: torch.Tensor) -> torch.Tensor:
        inside = error(prediction, batch.mask, told.get("discount", 1.0) ** rings)
        return inside + told.get("known", 0.0) * error(prediction, known(batch.mask))

    coarse, fine = generator.network(erase(batch.image, batch.mask, batch.fill), batch.mask)
    total = told.get("weight", 1.0) * (both(fine) + told.get("coarse", 0.0) * both(coarse))
    fake = composite(fine, batch.image, batch.mask) if sees == "composite" else fine
    total = total - 0.5 * critic.network(fake, batch.windows).mean()
    expected = torch.autograd.grad(total, list(generator.network.parameters()))

    generator.optimizer = torch.optim.SGD(generator.network.parameters(), lr=0.0)
    predictions = learners.predict(generator.network, erase(batch.image, batch.mask, batch.fill), batch.mask)
    logged = algorithm.update_generator(generator, [critic], predictions, batch, 0.0)
    for parameter, grad in zip(generator.network.parameters(), expected, strict=True):
        assert parameter.grad is not None and float(grad.abs().max()) > 0
        torch.testing.assert_close(parameter.grad, grad, rtol=1e-4, atol=1e-6)
    named = {"reconstruction", *told.keys() & {"known", "coarse"}}
    named |= {"coarse_known"} if {"known", "coarse"} <= set(told) else set()
    of_losses = {"reconstruction", "known", "coarse", "coarse_known"}
    assert {name.removeprefix("generator.") for name in logged} & of_losses == named


@pytest.mark.usefixtures("two_stage")
@pytest.mark.parametrize("loss", ["wgan", "wgan_gp"])
def test_two_stages_train_resume_and_are_scored_by_the_last(tmp_path: Path, loss: str) -> None:
    variants = {"toy": {"method": "two_stage", "loss": loss, "reconstruction": TERMS["all"]}}
    plan, store = tiny.planned(tmp_path / "whole", variants)
    tiny.made(plan, store)
    key = tiny.run_of(plan, "toy").stages["joint"]
    series = json.loads(tiny.published(store, key)["series.json"])
    assert series["step"] == [2, 4, 6, 7] and {"generator.coarse", "generator.known"} <= set(series["terms"])
    for n in range(1, 8, 3):
        check_resumed(n, key, plan, store, tmp_path / str(n))
    evaluated = tiny.stage_of(plan, "evaluate", "toy").key
    pictures = load_file(store.folder(evaluated) / "pictures.safetensors")
    network = TwoStage()
    network.load_state_dict(load_file(store.folder(key) / "generator.safetensors"))
    masked = pictures["masked"].permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        fine = network(masked, mask_of([center_box(32)] * 2, 32))[-1]
    levels = (fine * 255).permute(0, 2, 3, 1)
    torch.testing.assert_close(pictures["raw"].float(), levels, rtol=0, atol=0.51)


def test_discount_known_and_coarse_weigh_as_they_say() -> None:
    """An offset of 0.1, of the coarse prediction 0.3, in a hole of 8 x 8: rings of 28, 20, 12 and 4 pixels."""
    mask = mask_of([center_box(16)], 16)
    image = torch.full((1, 3, 16, 16), 0.5)
    batch = Batch(image, mask, 0.0, [center_box(16)], [center_box(16)], torch.zeros(1))
    predictions = [image + 0.3, image - 0.1]

    def losses(**told: Any) -> tuple[float, dict[str, float]]:
        nothing = torch.optim.SGD([nn.Parameter(torch.zeros(1))])
        described = Reconstruction(**{"norm": "l1", **told})
        generator = learners.GeneratorLearner("generator", nn.Identity(), nothing, Rate(lr=1.0), described)
        total, terms = generator.losses(predictions, batch)
        return total.item(), {name: term.item() for name, term in terms.items()}

    share = (28 * 0.9 + 20 * 0.9**2 + 12 * 0.9**3 + 4 * 0.9**4) / 64
    assert losses() == (pytest.approx(0.1), {"reconstruction": pytest.approx(0.1)})
    assert losses(norm="l2", weight=3.0) == (pytest.approx(0.03), {"reconstruction": pytest.approx(0.01)})
    assert losses(discount=0.9)[0] == pytest.approx(0.1 * share)
    assert losses(known=0.25)[0] == pytest.approx(0.1 + 0.25 * 0.1)
    assert losses(coarse=0.25)[0] == pytest.approx(0.1 + 0.25 * 0.3)
    total, terms = losses(discount=0.9, known=0.5, coarse=1.2, weight=2.4)
    each = {"reconstruction": 0.1 * share, "known": 0.1, "coarse": 0.3 * share, "coarse_known": 0.3}
    assert terms == pytest.approx(each)
    assert total == pytest.approx(2.4 * (0.1 * share + 0.5 * 0.1 + 1.2 * (0.3 * share + 0.5 * 0.3)))


def test_the_whole_output_is_computed_where_something_reads_it() -> None:
    options: dict[str, Any] = {"mask": {"kind": "center"}, "reconstruction": {"known": None}}
    assert not training.needs_whole_output(options, [])
    assert training.needs_whole_output({**options, "reconstruction": {"known": 1.0}}, [])
    for kind in ("random_box", "free_form", "files"):
        assert training.needs_whole_output({**options, "mask": {"kind": kind}}, [])


@pytest.mark.parametrize(("sees", "head"), [("composite", "mean"), ("raw", "patch")])
def test_the_penalty_is_how_far_each_images_slope_is_from_1(tmp_path: Path, sees: str, head: str) -> None:
    """Image by image, with a mix that is given: in the hole alone where the critic sees the repaired image."""
    variant = {**tiny.PROPOSED, "loss": "wgan_gp", "critic_input": sees, "head": head}
    plan, store = tiny.planned(tmp_path, {"proposed": variant})
    keys = [key for key, stage in plan.stages.items() if stage.kind in ("data", "pretrain", "critic")]
    _, generator, critics, _, draw = begun(plan, tiny.made(plan, store, keys), "joint")
    batch = draw(0)[-1]._replace(mix=torch.tensor([0.25, 0.75]))
    assert len(draw(0)) == 2 and len(critics) == 3
    prediction, composed = (each.detach() for each in repaired(generator, batch))
    fake = composed if sees == "composite" else prediction
    for critic in critics:
        penalties = []
        for i, mix in enumerate((0.25, 0.75)):
            between = (mix * batch.image[i] + (1 - mix) * fake[i])[None].requires_grad_()
            (slope,) = torch.autograd.grad(critic.network(between, batch.windows[i : i + 1]).mean(), between)
            hole = batch.mask[i].expand_as(slope[0]) > 0.5
            penalties.append((slope[0][hole] if sees == "composite" else slope).norm() - 1)
        by_hand = torch.stack(penalties).square().mean()

        parameters = list(critic.network.parameters())
        loss = critic.network(fake, batch.windows).mean() - critic.network(batch.image, batch.windows).mean()
        total = loss + 10.0 * algorithm.slope_penalty(critic, batch, fake)
        expected = torch.autograd.grad(total, parameters, allow_unused=True, materialize_grads=True)
        critic.optimizer = torch.optim.SGD(parameters, lr=0.0)
        terms = algorithm.update_critic(critic, batch, fake)
        assert terms[f"{critic.name}.penalty"].item() == pytest.approx(by_hand.item(), rel=1e-4)
        assert terms[f"{critic.name}.loss"].item() == pytest.approx(loss.item(), abs=1e-6)
        for parameter, grad in zip(parameters, expected, strict=True):
            found = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            torch.testing.assert_close(found, grad, rtol=1e-4, atol=1e-5)


def test_the_penalty_is_logged_and_drawn_anew_at_each_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mixes: list[torch.Tensor] = []
    update = algorithm.update_critic

    def noted(critic: learners.CriticLearner, batch: Any, fake: torch.Tensor) -> dict[str, torch.Tensor]:
        if critic.name == "local":
            mixes.append(batch.mix)
        return update(critic, batch, fake)

    monkeypatch.setattr(algorithm, "update_critic", noted)
    plan, store = tiny.planned(tmp_path, {"proposed": {**tiny.PROPOSED, "loss": "wgan_gp"}})
    tiny.made(plan, store)
    assert len(mixes) == 2 * (3 + 3) and len(torch.cat(mixes).unique()) == 2 * len(mixes)
    for role, every in {"critic.local": ["local"], "joint": ["local", "global", "half"]}.items():
        series = json.loads(tiny.published(store, tiny.run_of(plan, "proposed").stages[role])["series.json"])["terms"]
        for view in every:
            assert all(0 < value < 2 for value in series[f"{view}.penalty"])
            assert f"{view}.at_bound" not in series


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_trains_every_methods_critics(tmp_path: Path, loss: str) -> None:
    assert loss in tiny.RECIPES
    variants = {
        "proposed": {**tiny.PROPOSED, "loss": loss},
        "glcic": {"method": "glcic", "loss": loss},
        "ce": {"method": "ce", "loss": loss},
        "giica": {"method": "giica", "loss": {"extends": loss, "norm": "none"}},  # whose critics have no norm
    }
    once = {"steps": {"pretrain": 1, "critic": 1, "joint": 1}, "log_every": 1}
    plan, store = tiny.planned(tmp_path, variants, defaults=once)
    tiny.made(plan, store)
    for variant in variants:
        key = tiny.run_of(plan, variant).stages["joint"]
        assert store.outcome(key)["status"] == "finished"
        series = json.loads(tiny.published(store, key)["series.json"])["terms"]
        _, _, critics, _, _ = begun(plan, store, "joint", variant)
        for critic in critics:
            assert math.isfinite(series[f"{critic.name}.loss"][-1])
            assert (f"{critic.name}.penalty" in series) == (loss == "wgan_gp")
            after = load_file(store.folder(key) / f"{critic.name}.safetensors")
            before = critic.network.state_dict()
            assert any(not torch.equal(before[name], value) for name, value in after.items())


def poisoned(monkeypatch: pytest.MonkeyPatch, name: str, step: int) -> None:
    """From update ``step`` (from 0) on, the loss of the critic ``name`` is NaN."""
    update = algorithm.update_critic
    seen: dict[int, int] = {}

    def wrong(critic: learners.CriticLearner, batch: Any, fake: torch.Tensor) -> dict[str, torch.Tensor]:
        terms = update(critic, batch, fake)
        n = seen.get(id(critic), 0)
        seen[id(critic)] = n + 1
        if critic.name == name and n >= step:
            terms[f"{name}.loss"] = terms[f"{name}.loss"] * math.nan
        return terms

    monkeypatch.setattr(algorithm, "update_critic", wrong)


@pytest.mark.parametrize("step", [0, 1, 2])
def test_a_critic_that_diverges_disturbs_no_sibling(
    undisturbed: tuple[Plan, Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    plan, made = undisturbed
    keys = keys_of(plan, "proposed", "critic.global")
    store = tiny.inputs_of(plan, made, keys, tmp_path)
    poisoned(monkeypatch, "global", step)
    make(keys, plan, store, tiny.Onlooker(), tiny.CPU)
    for key in keys:
        if plan.stages[key].options["role"] == "global" and plan.stages[key].options["critic"]["recipe"]["clip"]:
            assert store.outcome(key) == {"status": "diverged", "step": step, "term": "global.loss"}
            assert list(tiny.published(store, key)) == ["manifest.json", "series.json"]
            assert json.loads(tiny.published(store, key)["series.json"])["step"] == ([2] if step == 2 else [])
        elif plan.stages[key].options["role"] != "global":
            assert tiny.published(store, key) == tiny.published(made, key)


def test_what_stands_on_a_divergence_is_diverged_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, store = tiny.planned(tmp_path, {n: tiny.EVERY[n] for n in ("proposed", "single", "reconstruction_only")})
    poisoned(monkeypatch, "half", 1)
    tiny.made(plan, store)
    outcomes = {role: store.outcome(key) for role, key in tiny.run_of(plan, "proposed").stages.items()}
    assert outcomes["critic.half"] == {"status": "diverged", "step": 1, "term": "half.loss"}
    expected = {"status": "diverged", "step": 1, "term": "half.loss"}
    assert outcomes["joint"] == {**expected, "stands_on": "critic"}
    assert outcomes["evaluate"] == {**expected, "stands_on": "joint"}
    for variant in ("single", "reconstruction_only"):
        for key in tiny.run_of(plan, variant).stages.values():
            assert store.outcome(key)["status"] == "finished"


def test_a_rate_that_is_far_too_large_is_a_divergence_not_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest of the stage costs nothing: no more batches are drawn."""
    optimizer = {"kind": "adam", "lr": 1.0e30, "betas": [0.5, 0.999]}
    described = {**tiny.PROPOSED, "optimizer": optimizer, "norm": "none"}
    plan, store = tiny.planned(tmp_path, {"proposed": described}, **steps(100, 3, 3))
    drawn: list[int] = []
    at = Batches.at
    monkeypatch.setattr(Batches, "at", lambda self, number: drawn.append(number) or at(self, number))
    tiny.made(plan, store)
    assert max(drawn) < 10
    for role in ("pretrain", "critic.local", "joint", "evaluate"):
        assert store.outcome(tiny.run_of(plan, "proposed").stages[role])["status"] == "diverged"


def test_a_divergence_that_is_resumed_is_the_same_divergence(tmp_path: Path) -> None:
    """Several terms turn NaN in one step; which of them is named does not depend on where it was interrupted."""
    optimizer = {"kind": "adam", "lr": 1.0e30, "betas": [0.5, 0.999]}
    variants = {"proposed": {**tiny.PROPOSED, "optimizer": optimizer, "norm": "none"}}
    plan, store = tiny.planned(tmp_path / "whole", variants, defaults={"log_every": 4})
    (key,) = keys_of(plan, "proposed", "pretrain")
    tiny.made(plan, store, [tiny.run_of(plan, "proposed").stages["data"], key])
    for n in range(1, 4):
        check_resumed(n, key, plan, store, tmp_path / str(n))


def test_weights_are_within_the_bound_after_every_stage(undisturbed: tuple[Plan, Store]) -> None:
    plan, store = undisturbed
    bound = tiny.RECIPES["wgan"]["clip"]
    seen = 0
    for role, key in tiny.run_of(plan, "proposed").stages.items():
        if role.startswith("critic") or role == "joint":
            for view in ("local", "global", "half"):
                file = store.folder(key) / f"{view}.safetensors"
                if file.is_file():
                    assert all(float(value.abs().max()) <= bound for value in load_file(file).values())
                    seen += 1
    assert seen == 6


READINGS: dict[str, dict[str, Any]] = {
    "raw": {"critic_input": "raw"},
    "adversarial share": {"adversarial_share": 0.5},
    "linear": {"head": "linear"},
    "patch": {"head": "patch"},
    "noise": {"fill": "noise"},
    "mean": {"fill": "mean"},
    "colour": {"fill": [0.1, 0.2, 0.3]},
    "random_box": {"mask": {"kind": "random_box"}},
    "random_box raw": {"mask": {"kind": "random_box"}, "critic_input": "raw", "loss": "js"},
    "elsewhere": {"real_window": "independent"},
    "two critic steps": {"loss": {"extends": "wgan", "critic_steps": 2}},
    "saturating": {"loss": {"extends": "js", "form": "saturating"}},
    "layer norm": {"loss": {"extends": "wgan", "norm": "layer"}},
    "gradient penalty": {"loss": "wgan_gp"},
    "gradient penalty raw": {"loss": {"extends": "wgan_gp", "norm": "layer"}, "critic_input": "raw", "head": "patch"},
    "least squares": {"loss": "lsgan"},
    "free_form": {"mask": {"kind": "free_form"}},
    "not dilated": {"dilated": False},
    "one stage": {"three_stages": False},
    "left out": {"leave_out": "global", "total_weight": 0.1},
    "full size": {"downsample": "none", "head": "linear"},
    "sum": {"reduction": "sum"},
    "instance": {"norm": "instance"},
    "tanh": {"output": "tanh"},
    "no mask channel": {"mask_channel": False},
    "area": {"downsample": "area"},
    "exchanged": {"critic_tables": "exchanged"},
}


@pytest.mark.parametrize("reading", READINGS)
def test_every_reading_trains_and_resumes(tmp_path: Path, reading: str) -> None:
    variants = {"proposed": {**tiny.PROPOSED, **READINGS[reading]}}
    plan, store = tiny.planned(tmp_path / "whole", variants)
    tiny.made(plan, store)
    assert {store.outcome(key)["status"] for key in plan.stages} == {"finished"}
    key = tiny.run_of(plan, "proposed").stages["joint"]
    weights = [file for file in store.folder(key).glob("*.safetensors") if file.stem.isalpha()]
    assert len(weights) == 1 + len(plan.stages[key].options["critics"]) >= 3
    assert all(bool(value.isfinite().all()) for file in weights for value in load_file(file).values())
    check_resumed(2, key, plan, store, tmp_path / "resumed")


def test_two_critic_steps_are_two_updates_on_two_batches(tmp_path: Path) -> None:
    counts = []
    for loss in ("wgan", {"extends": "wgan", "critic_steps": 2}):
        plan, store = tiny.planned(tmp_path / str(len(counts)), {"proposed": {**tiny.PROPOSED, "loss": loss}})
        tiny.made(plan, store)
        for role, name in (("critic.half", "half"), ("joint", "half")):
            state = load_file(
                store.folder(tiny.run_of(plan, "proposed").stages[role]) / f"{name}.optimizer.safetensors"
            )
            counts.append({int(value) for entry, value in state.items() if entry.endswith("/step")})
    assert counts == [{3}, {6}, {6}, {12}]


@pytest.mark.parametrize(("kind", "side"), [("none", 32), ("avgpool3", 16), ("area", 16)])
def test_what_is_not_down_sampled_is_seen_at_full_size(tmp_path: Path, kind: str, side: int) -> None:
    plan, store = tiny.planned(tmp_path, {"proposed": {**tiny.PROPOSED, "downsample": kind, "three_stages": False}})
    tiny.made(plan, store, [tiny.run_of(plan, "proposed").stages["data"]])
    _, _, critics, _, draw = begun(plan, store, "joint")
    (batch,) = draw(0)
    seen: dict[str, torch.Size] = {}
    for critic in critics:
        critic.network.tower.register_forward_pre_hook(
            lambda _, inputs, name=critic.name: seen.__setitem__(name, inputs[0].shape)
        )
        critic.network(batch.image, batch.windows)
    assert {name: tuple(shape) for name, shape in seen.items()} == {
        "local": (2, 3, 16, 16),
        "global": (2, 3, 32, 32),
        "half": (2, 3, side, side),
    }


def test_all_that_is_promised_is_logged(undisturbed: tuple[Plan, Store]) -> None:
    plan, store = undisturbed
    terms = {
        role: set(json.loads(tiny.published(store, key)["series.json"])["terms"])
        for role, key in tiny.run_of(plan, "proposed").stages.items()
        if role in ("pretrain", "critic.local", "joint")
    }
    critic = {f"local.{term}" for term in ("loss", "gap", "accuracy", "score_size", "gradient_norm", "at_bound")}
    assert terms["pretrain"] == {"generator.reconstruction", "generator.gradient_norm"}
    assert terms["critic.local"] == critic
    assert terms["joint"] >= critic | terms["pretrain"] | {
        "generator.ratio",
        "generator.adversarial_gradient",
        "local.adversarial",
        "local.gradient_ratio",
    }


def test_the_adversarial_gradient_of_each_step_is_stored_and_is_the_sum_of_the_critics(
    undisturbed: tuple[Plan, Store],
) -> None:
    plan, store = undisturbed
    key = tiny.run_of(plan, "proposed").stages["joint"]
    files = tiny.published(store, key)
    (norms,) = load_file(store.folder(key) / "every_step.safetensors").values()
    series = json.loads(files["series.json"])
    assert len(norms) == plan.stages[key].steps
    every = plan.stages[key].options["log_every"]
    logged = series["terms"]["generator.adversarial_gradient"]
    assert logged == pytest.approx([part.mean().item() for part in norms.split(every)])
    ratios = {name: series["terms"][f"{name}.gradient_ratio"][-1] for name in plan.stages[key].options["critics"]}
    assert 0 < series["terms"]["generator.ratio"][-1] <= sum(ratios.values())  # the triangle inequality


def test_adversarial_share_scales_the_weights_once_to_a_share_of_the_gradient(tmp_path: Path) -> None:
    shares = {f"share_{share}": {**tiny.PROPOSED, "adversarial_share": share} for share in (0.1, 0.5)}
    plan, store = tiny.planned(tmp_path, {"proposed": tiny.PROPOSED, **shares})
    tiny.made(plan, store)
    joint = {name: tiny.run_of(plan, name).stages["joint"] for name in ("proposed", *shares)}
    assert len(set(joint.values())) == 3
    for name, share in zip(shares, (0.1, 0.5), strict=True):
        terms = json.loads(tiny.published(store, joint[name])["series.json"])["terms"]
        assert share / 3 < terms["generator.ratio"][0] < share * 3
    scales = {name: store.outcome(key).get("adversarial_scale") for name, key in joint.items()}
    assert scales["proposed"] is None
    assert scales["share_0.5"] == pytest.approx(5 * scales["share_0.1"])
    with pytest.raises(ValueError, match="scale the same weights"):
        Proposed(adversarial_share=0.1, total_weight=0.004)


def test_a_critic_that_does_nothing_is_warned_of(undisturbed: tuple[Plan, Store]) -> None:
    plan, store = undisturbed
    (warning,) = store.outcome(tiny.run_of(plan, "proposed").stages["critic.local"])["warnings"]
    assert warning.startswith("local: its scores vanish")


def test_a_loss_that_explodes_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    update = algorithm.update_critic

    def huge(critic: learners.CriticLearner, batch: Any, fake: torch.Tensor) -> dict[str, torch.Tensor]:
        terms = update(critic, batch, fake)
        terms[f"{critic.name}.score_size"] = torch.tensor(1e6)
        return terms

    monkeypatch.setattr(algorithm, "update_critic", huge)
    plan, store = tiny.planned(tmp_path)
    tiny.made(plan, store)
    (warning,) = store.outcome(tiny.run_of(plan, "proposed").stages["critic.half"])["warnings"]
    assert "explode" in warning


def golden_numbers(folder: Path) -> dict[str, dict[str, float]]:
    """A few numbers of every method's last stages, on one thread; and of other losses and holes."""
    plan, store = tiny.planned(folder, {**tiny.EVERY, **OTHER_PARTS})
    tiny.made(plan, store)
    found: dict[str, dict[str, float]] = {}
    for run in plan.runs:
        numbers: dict[str, float] = {}
        for role, key in run.stages.items():
            series = store.folder(key) / "series.json"
            if role in ("pretrain", "joint") and series.is_file():
                terms = json.loads(series.read_text())["terms"]
                numbers |= {f"{role} {name}": values[-1] for name, values in terms.items() if name in LOGGED}
        facts = json.loads((store.folder(run.stages["evaluate"]) / "evaluation.json").read_text())
        scores = load_file(store.folder(run.stages["evaluate"]) / "scores.safetensors")["scores"].mean(0)
        for place, (output, region, metric) in enumerate(facts["columns"]):
            if output == "composite" and region != "whole":
                numbers[f"evaluate {metric} {region}"] = float(scores[place])
            elif output == "blended" and metric == "seam":
                numbers["evaluate seam blended"] = float(scores[place])
        found[run.variant] = {name: float(f"{value:.6g}") for name, value in numbers.items()}
    return found


OTHER_PARTS = {
    "boxes": {**tiny.PROPOSED, "loss": "lsgan", "mask": {"kind": "random_box"}},
    "strokes": {**tiny.PROPOSED, "mask": {"kind": "free_form"}, "dilated": False, "downsample": "none"},
}
LOGGED = (
    *(f"generator.{term}" for term in ("reconstruction", "coarse", "gradient_norm")),
    *("local.gap", "local.penalty", "joined.loss", "hole.loss"),
)
RENEW = "python tests/golden/renew.py"


@pytest.mark.slow
def test_the_numbers_are_those_of_the_versions(tmp_path: Path) -> None:
    """Numbers that change need a raised ``version`` in the part (or in ``planner.VERSIONS``), then: RENEW."""
    golden, now = json.loads(GOLDEN.read_text())["numbers"], golden_numbers(tmp_path)
    assert set(now) == set(golden)
    for variant, numbers in golden.items():
        assert set(now[variant]) == set(numbers), f"other numbers are there now; raise a version, then: {RENEW}"
        for name, value in numbers.items():
            assert now[variant][name] == pytest.approx(value, rel=TOLERANCE, abs=1e-6), (
                f"{variant}, {name}: raise the version of the part that changed, then: {RENEW}"
            )
