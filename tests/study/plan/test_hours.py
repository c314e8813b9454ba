"""Hours of a plan: devices, precisions, sums by kind and by variant, and what a screen shows."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
from rich.console import Console

from study import config
from study.plan import hours, overview
from study.plan.devices import A100, CARDS, CORE, H200, RTX_2080_TI, Device, card
from study.plan.graph import Plan
from study.plan.planner import make_plan
from study.store import Store

ROOT = Path(__file__).parents[3]
HERE = overview.Here("2 CPU cores", CORE, 2)


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return tiny.planned(tmp_path_factory.mktemp("hours"), tiny.EVERY, seeds=[0, 1])[0]


def in_precision(plan: Plan, precision: str) -> Plan:
    return replace(
        plan, study=plan.study.model_copy(update={"numerics": {**plan.study.numerics, "precision": precision}})
    )


def printed(plan: Plan, store: Store, **options: bool) -> list[str]:
    out = io.StringIO()
    overview.print_plan(plan, store, HERE, None, Console(file=out, width=100), **options)
    return out.getvalue().splitlines()


def test_seconds_are_arithmetic_then_memory_or_the_launches() -> None:
    card = Device(name="x", tflops={"fp32": 2.0}, tb_s=1.0, launch_s=1e-5, matrix_share=0.5, copy_share=1)
    assert card.seconds("fp32", flops=3e12, kernels=10, moved=2e12) == pytest.approx(3 + 2)
    assert card.seconds("fp32", flops=1e6, kernels=1e6, moved=0) == pytest.approx(10)
    assert card.seconds("fp32", flops=1e6, kernels=1e6, moved=0, workers=4) == pytest.approx(2.5)
    core = replace(card, queues=False)  # a CPU computes what it starts
    assert core.seconds("fp32", flops=3e12, kernels=1e5, moved=0) == pytest.approx(3 + 1)


@pytest.mark.parametrize("one", [*CARDS, CORE])
def test_every_device_is_complete(one: Device) -> None:
    assert one.has("fp32") and one.tb_s > 0 and all(rate > 0 for rate in one.tflops.values())
    assert not one.has("fp16")
    if one.queues:
        assert one.memory > 0 and card(f"NVIDIA GeForce RTX {one.known_as[0]} 80GB") == one


def test_a_better_precision_is_faster_where_there_is_arithmetic() -> None:
    times = [H200.seconds(one, flops=1e15, kernels=0, moved=0) for one in ("fp32", "tf32", "bf16")]
    assert times == sorted(times, reverse=True)
    assert 1e15 / times[-1] == pytest.approx(788e12)  # as measured
    assert card("some other card") is None


def test_sums_by_kind_and_by_variant_are_the_total(plan: Plan) -> None:
    found = hours.seconds(plan, A100, hours.works(plan), lambda key: True)
    assert found is not None and set(found) == set(plan.stages) and all(value >= 0 for value in found.values())
    total = sum(found.values())
    assert sum(hours.by_kind(plan, found).values()) == pytest.approx(total)
    by_variant = hours.by_variant(plan, found)
    assert sum(by_variant.values()) == pytest.approx(total)
    assert set(by_variant) == {run.variant for run in plan.runs}
    assert by_variant["mean"] < by_variant["reconstruction_only"] < by_variant["proposed"]


def test_a_device_without_the_precision_says_so(plan: Plan, tmp_path: Path) -> None:
    lower = in_precision(plan, "bf16")
    assert hours.seconds(lower, RTX_2080_TI, hours.works(lower), lambda key: True) is None
    lines = printed(lower, Store(tmp_path))
    assert any(line.split()[0] == "all" and "no bf16" in line for line in lines)
    assert lines[-1] == "No bf16 on 2080 Ti: choose --set numerics.precision=fp32 there."
    json = overview.as_json(lower, Store(tmp_path), HERE, None)["hours"]
    assert {one["device"]: one.get("why") for one in json}["2080 Ti"] == "no bf16"
    assert not any("no " in line for line in printed(plan, Store(tmp_path)))


def test_a_device_that_is_not_in_the_table_says_so(plan: Plan, tmp_path: Path) -> None:
    out = io.StringIO()
    overview.print_plan(plan, Store(tmp_path), overview.Here("Some Card", None), None, Console(file=out, width=100))
    assert "The rates of Some Card are not known: use --measure." in out.getvalue()


def test_what_is_there_costs_nothing_more(plan: Plan, tmp_path: Path) -> None:
    store = Store(tmp_path)
    before = overview.as_json(plan, store, HERE, None)
    for key, stage in plan.stages.items():
        if stage.kind in ("data", "pretrain", "critic"):
            store.publish(key, {"status": "finished"}, {"key": key})
    after = overview.as_json(plan, store, HERE, None)
    assert after["eflop"] < before["eflop"] and after["hours"][0]["hours"] < before["hours"][0]["hours"]
    assert after["hours"][0]["kinds"]["pretrain"] == 0 == after["hours"][0]["kinds"]["critic"]
    assert after["hours"][0]["kinds"]["joint"] == before["hours"][0]["kinds"]["joint"] > 0


@pytest.mark.parametrize("profile", ["paper", "demo"])
def test_a_plan_fits_a_screen(profile: str, tmp_path: Path) -> None:
    plan = make_plan(config.load(ROOT / "runs.yaml", profile=profile, seeds=[0]))
    lines = printed(plan, Store(tmp_path))
    assert len(lines) <= 40 and max(map(len, lines)) <= 100
    assert not any(key in line for key in plan.stages for line in lines)
    everything = "\n".join(printed(plan, Store(tmp_path), stages=True))
    assert all(run.variant in everything for run in plan.runs) and all(key in everything for key in plan.stages)
    shown = overview.as_json(plan, Store(tmp_path), HERE, None)
    assert len(shown["hours"]) == 1 + len(CARDS)
    assert sum(shown["hours"][0]["variants"].values()) == pytest.approx(shown["hours"][0]["hours"])
