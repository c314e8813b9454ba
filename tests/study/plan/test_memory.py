"""Memory of a card: what fits, how many workers, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import tiny

from study import config
from study.cli import cards as here
from study.errors import BadInput
from study.plan import hours, memory
from study.plan.devices import A100, GIB, H200, RTX_2080_TI
from study.plan.graph import Plan
from study.plan.memory import Cards
from study.plan.planner import make_plan
from study.store import Store

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def paper() -> Plan:
    """One seed of the proposed method at the paper's size, in bf16."""
    return make_plan(config.load(ROOT / "runs.yaml", profile="paper", only=["proposed"], seeds=[0]), device="cuda")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return tiny.planned(tmp_path_factory.mktemp("memory"), tiny.EVERY)[0]


def in_fp32(plan: Plan) -> Plan:
    numerics = {**plan.study.numerics, "precision": "fp32"}
    stages = {
        key: replace(one, options={**one.options, "numerics": {**one.options["numerics"], "precision": "fp32"}})
        if one.steps
        else one
        for key, one in plan.stages.items()
    }
    return replace(plan, study=plan.study.model_copy(update={"numerics": numerics}), stages=stages)


def test_the_papers_profile_needs_what_was_counted(paper: Plan) -> None:
    """A step was counted at 4.9 GB beside 0.8 GB of weights and states; the images are 15.7 GB."""
    works = hours.works(paper)
    assert 5 < memory.needed(paper, works, 11 * GIB) / 1e9 < 8.5  # the images stay in their file
    assert 20 < memory.needed(paper, works, 80 * GIB) / 1e9 < 24.5
    assert memory.needed(in_fp32(paper), hours.works(in_fp32(paper)), 11 * GIB) > memory.needed(paper, works, 11 * GIB)


@pytest.mark.parametrize(
    ("free", "device", "remedy"),
    [
        (9, A100, "add --set numerics.precision=bf16"),
        (9, RTX_2080_TI, "add --set numerics.offload=true"),
        (2, A100, "take a larger card, or a smaller defaults.batch or image_size"),
    ],
)
def test_too_little_memory_names_the_setting_that_fits(paper: Plan, free: float, device: Any, remedy: str) -> None:
    plan = in_fp32(paper)
    cards = Cards(f"a {device.name}", 1, int(free * GIB))
    with pytest.raises(BadInput) as refused:
        memory.check(plan, hours.works(plan), cards, device)
    text = str(refused.value)
    assert text.startswith("--device: the joint stage of proposed needs about ")
    assert f"and a {device.name} has {free:.1f} GiB free; " in text and text.endswith(remedy)
    memory.check(plan, hours.works(plan), replace(cards, free=None), device)  # torch cannot tell
    memory.check(plan, hours.works(plan), replace(cards, free=80 * GIB), device)
    memory.check(plan, [], cards, device)  # nothing is missing


def test_more_jobs_than_fit_are_refused(paper: Plan) -> None:
    cards = Cards("H200", 2, 80 * GIB)
    works = hours.works(paper)
    fit = 2 * int(80 * GIB // memory.needed(paper, works, 80 * GIB))
    assert memory.jobs(paper, works, cards, H200, fit, 8) == fit
    with pytest.raises(BadInput, match=rf"^--jobs {fit + 1}: {fit} fit on 2 H200 .*; choose --jobs {fit}$"):
        memory.jobs(paper, works, cards, H200, fit + 1, 8)


def test_one_worker_a_card_where_arithmetic_counts_and_several_where_launches_do(paper: Plan, small: Plan) -> None:
    cards = Cards("H200", 2, 80 * GIB)
    assert memory.jobs(paper, hours.works(paper), cards, H200, None, 64) == 2
    assert memory.jobs(small, hours.works(small), cards, H200, None, 64) == 2 * memory.MOST_A_CARD
    assert memory.jobs(small, hours.works(small), cards, H200, None, 4) == 4  # as many as there are cores
    assert memory.jobs(small, hours.works(small), cards, H200, None, 1) == 2
    tight = replace(cards, free=2 * GIB)
    assert memory.jobs(small, hours.works(small), tight, H200, None, 64) < 2 * memory.MOST_A_CARD
    assert memory.jobs(small, hours.works(small), replace(cards, free=None), H200, None, 64) == 8


@pytest.fixture
def on_cards(monkeypatch: pytest.MonkeyPatch) -> Callable[[Cards, int], None]:
    def pretend(cards: Cards, cores: int) -> None:
        monkeypatch.setattr(here, "cards_of", lambda kind: cards)
        monkeypatch.setattr(here.options, "jobs_of", lambda kind: cores)

    return pretend


def test_run_warns_where_a_gpu_is_slower(
    small: Plan, paper: Plan, tmp_path: Path, on_cards: Callable[[Cards, int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    on_cards(Cards("NVIDIA H200", 1, 80 * GIB), 2)
    assert here.checked_jobs(paper, Store(tmp_path), "cuda", None) == 1
    assert capsys.readouterr().err == ""
    on_cards(Cards("NVIDIA H200", 1, 80 * GIB), 2000)
    assert here.checked_jobs(small, Store(tmp_path), "cuda", 1) == 1
    warned = capsys.readouterr().err
    assert warned.startswith("warning: this study's kernels are too small for a GPU: about ")
    assert "on NVIDIA H200" in warned and warned.endswith("on 2000 CPU cores; add --device cpu\n")
    on_cards(Cards("Some Card", 3), 2)
    assert here.here_of(small, "cuda", None).device is None
    assert here.checked_jobs(small, Store(tmp_path), "cuda", 5) == 5


def test_a_cpu_is_not_compared(small: Plan, tmp_path: Path) -> None:
    with mock.patch.object(here, "cards_of", side_effect=AssertionError):
        assert here.checked_jobs(small, Store(tmp_path), "cpu", 3) == 3
        assert here.here_of(small, "cpu", 1).name == "1 CPU core"
        assert here.here_of(small, "cpu", 4).name == "4 CPU cores"
