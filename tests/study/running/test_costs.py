"""What a study's missing stages cost, from the seconds of those that were made."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny

from study.plan.graph import Plan, Run
from study.running import costs, driver
from study.store import Store

VARIANTS = {name: tiny.EVERY[name] for name in ("proposed", "single", "reconstruction_only", "glcic", "mean")}
SECONDS = {"data": 1.0, "pretrain": 10.0, "critic": 100.0, "joint": 1000.0, "evaluate": 10000.0}


@pytest.fixture
def made(tmp_path: Path) -> tuple[Plan, Store]:
    """A study of which seeds 0 and 1 of all variants but glcic are there; those of seed 1 took three times as long."""
    plan, store = tiny.planned(tmp_path, VARIANTS, seeds=[0, 1, 2])
    for run in plan.runs:
        if run.seed < 2 and run.variant != "glcic":
            for role, key in run.stages.items():
                seconds = SECONDS[role.partition(".")[0]] * (1 if run.seed == 0 or role == "data" else 3)
                if not store.has(key):
                    store.publish(key, {"status": "finished"}, {"key": key, "seconds": seconds})
    return plan, store


def part(plan: Plan, *variants: str, seed: int = 2) -> Plan:
    return plan.only(lambda run: run.variant in variants and run.seed == seed)


def test_stages_of_one_place_cost_their_mean(made: tuple[Plan, Store]) -> None:
    known = costs.measured(*made)
    assert known["proposed", "faces", "joint"] == 2000.0 and known["single", "faces", "critic.local"] == 200.0
    assert known["mean", "faces", "evaluate"] == 10000.0 and known["mean", "faces", "data"] == 1.0
    assert not [place for place in known if place[0] == "glcic" and place[2] != "data"]


def test_a_missing_stage_is_paid_once(made: tuple[Plan, Store]) -> None:
    plan, store = made
    known = costs.measured(plan, store)

    def expected(part: Plan, workers: int = 1) -> float:
        return costs.expected_s(part, store, known, workers)

    assert expected(plan.only(lambda run: run.seed < 2 and run.variant != "glcic")) == 0.0  # all there
    assert expected(part(plan, "reconstruction_only")) == 20 + 2000 + 20000
    assert expected(part(plan, "reconstruction_only", "single")) == 20 + 200 + 2 * 22000  # one pretraining
    assert expected(part(plan, "glcic")) == 0.0  # nobody knows
    assert expected(part(plan, "reconstruction_only", "glcic")) == expected(part(plan, "reconstruction_only"))


def test_workers_share_the_work_but_no_run(made: tuple[Plan, Store]) -> None:
    plan, store = made
    known = costs.measured(plan, store)
    both = part(plan, "reconstruction_only", "single")
    total = costs.expected_s(both, store, known, 1)
    longest = 20 + 200 + 22000
    assert costs.expected_s(both, store, known, 1000) == longest
    assert costs.expected_s(both, store, known, 2) == max(total / 2, longest)


def test_a_seed_of_several_variants_shares_what_they_share(made: tuple[Plan, Store]) -> None:
    plan, store = made
    known = costs.measured(plan, store)
    assert costs.seed_s(plan, known, ["reconstruction_only"], ["faces"]) == 20 + 2000 + 20000
    assert costs.seed_s(plan, known, ["reconstruction_only", "single"], ["faces"]) == 20 + 200 + 2 * 22000
    assert costs.seed_s(plan, known, ["single"], ["scenes"]) == 0.0


def test_an_unreadable_time_is_not_known(made: tuple[Plan, Store]) -> None:
    plan, store = made
    run: Run = tiny.run_of(plan, "single", 0)
    (store.out / "made" / f"{run.stages['joint']}.json").write_text('{"seconds": "long"}')
    assert costs.measured(plan, store)["single", "faces", "joint"] == 3000.0


def test_makespan_is_the_chain_of_one_run_and_the_sum_on_one_worker(tmp_path: Path) -> None:
    plan, store = tiny.planned(tmp_path, {name: tiny.EVERY[name] for name in ("proposed", "glcic", "mean")})
    tasks = driver.tasks(plan, store)
    seconds = {key: SECONDS[stage.kind] for key, stage in plan.stages.items()}
    total = sum(seconds.values())
    assert costs.makespan_s(tasks, seconds, 1) == pytest.approx(total)
    longest = max(sum(seconds[key] for key in run.stages.values()) for run in plan.runs)
    many = costs.makespan_s(tasks, seconds, 8)
    assert longest <= many < total and costs.makespan_s(tasks, seconds, 2) >= total / 2
    for key in plan.stages:
        store.publish(key, {"status": "finished"}, {"key": key})
    done = [task for task in driver.tasks(plan, store) if not all(map(store.has, task.keys))]
    assert costs.makespan_s(done, seconds, 2) == 0.0
