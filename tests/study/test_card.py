"""Every kind of stage on a graphics card: ``pytest -m gpu``. The same tests run on a CPU, for a few kinds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import kinds
import pytest
import tiny
import torch
from safetensors.torch import load_file

from study.conformance.dry_run import make_interrupted
from study.plan.graph import Plan
from study.store import Store
from study.training import loop
from study.training.machine import prepare

FEW = ("raw", "plugin, fit")
"""Kinds that prove these tests on a CPU."""

LOSSES = ("reconstruction", "known", "coarse", "coarse_known", "loss", "penalty", "adversarial")
TERMS, SMALL, SCORES_DB = 0.02, 1e-3, 0.05
"""How far fp32 on a card may be from a CPU after the few steps of a kind: each loss by a share, or by ``SMALL``; the
PSNR of each image in dB. A CPU that sums in another order (memory format contiguous) stays within half of each. Other
terms are left out: where a gradient is almost 0, the first steps of Adam and RMSprop take its sign."""

PLACES = [
    *(("cpu", name) for name in FEW),
    *(pytest.param("cuda", name, marks=pytest.mark.gpu, id=f"card-{name}") for name in kinds.KINDS),
]
on_each = pytest.mark.parametrize(("device", "name"), PLACES)


def made(folder: Path, name: str, device: str) -> tuple[Plan, Store]:
    """All stages of a kind, made without an interruption."""
    plan, store = kinds.planned(folder, name, device)
    return plan, tiny.made(plan, store, device=prepare(device))


@on_each
def test_a_stage_that_is_interrupted_and_a_second_run_give_the_same_bytes(
    device: str, name: str, tmp_path: Path
) -> None:
    plan, store = made(tmp_path / "first", name, device)
    _, again = made(tmp_path / "second", name, device)
    _, resumed = kinds.planned(tmp_path / "third", name, device)
    make_interrupted(plan, resumed, prepare(device))
    for key, stage in plan.stages.items():
        assert store.outcome(key)["status"] == "finished", stage.kind
        assert again.manifest(key) == store.manifest(key), f"{stage.kind}: a second run"
        assert resumed.manifest(key) == store.manifest(key), f"{stage.kind}: interrupted and resumed"


@on_each
def test_fp32_on_a_card_is_near_a_cpu(device: str, name: str, tmp_path: Path) -> None:
    if kinds.KINDS[name].get("numerics"):
        pytest.skip("of another precision or memory format")
    ours, theirs = made(tmp_path / "here", name, device), made(tmp_path / "cpu", name, "cpu")
    for role in ours[0].runs[0].stages:
        for term, (here, there) in logged(role, ours, theirs).items():
            if term.rpartition(".")[2] in LOSSES:
                assert here == pytest.approx(there, rel=TERMS, abs=SMALL), f"{role}: {term}"
    assert psnrs(*ours) == pytest.approx(psnrs(*theirs), abs=SCORES_DB)


@on_each
def test_no_training_step_waits(device: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step, steps = loop.training_step, []

    def watched(*args: Any, **options: Any) -> Any:
        steps.append(args[0])
        with refused_waits(device):
            return step(*args, **options)

    monkeypatch.setattr(loop, "training_step", watched)
    plan, _ = made(tmp_path, name, device)
    trained = {stage.kind for stage in plan.stages.values()} - {"data", "fit", "evaluate"}
    assert set(steps) == trained


@contextmanager
def refused_waits(device: str) -> Iterator[None]:
    """Raises RuntimeError where the program waits for a card. A CPU never waits for itself."""
    if device == "cpu":
        yield
        return
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def logged(role: str, *made: tuple[Plan, Store]) -> dict[str, tuple[Any, ...]]:
    """The terms that a stage logged, by name, of each place where it was made."""
    found = []
    for plan, store in made:
        place = store.folder(plan.runs[0].stages[role]) / "series.json"
        found.append(json.loads(place.read_text())["terms"] if place.exists() else {})
    assert all(each.keys() == found[0].keys() for each in found)
    return {term: tuple(each[term] for each in found) for term in found[0]}


def psnrs(plan: Plan, store: Store) -> list[float]:
    """The PSNR of each image's composite in its hole, dB."""
    folder = store.folder(plan.runs[0].stages["evaluate"])
    column = json.loads((folder / "evaluation.json").read_text())["columns"].index(["composite", "hole", "psnr"])
    scores: list[float] = load_file(folder / "scores.safetensors")["scores"][:, column].tolist()
    return scores
