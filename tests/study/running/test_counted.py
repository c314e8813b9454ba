"""Steps of real stages counted on ``meta``, and the plan's estimates of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import tiny

from study.plan.graph import Plan, Stage
from study.plan.steps import step_of
from study.running.counted import count


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    folder = tmp_path_factory.mktemp("counted")
    return tiny.planned(folder, tiny.EVERY, image_size=64, defaults={"batch": 8, "width": 0.125})[0]


def groups(plan: Plan) -> list[list[Stage]]:
    """The trained stages, the critics of a pass together."""
    alone = [[stage] for stage in plan.stages.values() if stage.kind in ("pretrain", "joint")]
    return alone + [[plan.stages[key] for key in keys] for keys in plan.passes()]


def in_bf16(stages: list[Stage]) -> list[Stage]:
    return [
        replace(one, options={**one.options, "numerics": {**one.options["numerics"], "precision": "bf16"}})
        for one in stages
    ]


@pytest.mark.parametrize(
    ("variant", "role", "lower"),
    [
        ("proposed", "joint", False),
        ("proposed", "joint", True),
        ("proposed", "critic", False),
        ("glcic", "critic", False),
        ("giica", "joint", False),
        ("reconstruction_only", "joint", True),
    ],
)
def test_estimates_are_near_what_is_counted(plan: Plan, variant: str, role: str, lower: bool) -> None:
    run = next(run for run in plan.runs if run.variant == variant)
    stages = [plan.stages[key] for name, key in run.stages.items() if name.startswith(role)]
    stages = in_bf16(stages) if lower else stages
    estimate, counted = step_of(stages, 64), count(stages, 64)
    assert estimate.flops == pytest.approx(counted.total_flops, rel=0.05)
    assert estimate.kernels == pytest.approx(counted.kernels, rel=0.25)
    assert estimate.moved == pytest.approx(counted.moved, rel=0.35)
    assert counted.peak < 1.1 * estimate.memory  # never less than it takes


def test_a_step_does_not_wait_for_the_card(plan: Plan) -> None:
    joint = next(stage for stage in plan.stages.values() if stage.kind == "joint")
    counted = count([joint], 64)
    assert counted.waits == 0 and 0 < counted.uploads <= 4 * joint.options["critic_steps"]


def test_critics_are_lowered_with_the_generator(plan: Plan) -> None:
    stages = in_bf16(groups(plan)[-1])
    assert set(count(stages, 64).flops) == {"bfloat16"}
    assert set(count(stages, 64, critics_in_fp32=True).flops) == {"bfloat16", "float32"}


def test_nothing_is_written(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    count(groups(plan)[0], 64)
    assert not list(tmp_path.iterdir())
