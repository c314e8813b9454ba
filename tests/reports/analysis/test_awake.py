"""Whether critics are awake: the states by their rule, and the spread about a trend."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_claims import CHANGED, OPTIONS, VARIANTS, made

from reports.analysis.claims import claims_table
from reports.analysis.critics import critics_table, inert, spread
from reports.analysis.frames import Frames


def joint(accuracy: float = 0.9, ratio: float = 0.1, norms: tuple[float, float] = (1.0, 2.0)) -> Frames:
    """One run with a critic 'local' of these values beside a sound one 'global', in the second half of joint."""
    rows: list[dict[str, Any]] = []
    for network, values in (("local", (accuracy, ratio, norms)), ("global", (0.9, 0.1, (1.0, 2.0)))):
        told, pull, (first, last) = values
        rows.append({"network": network, "stage": "critic", "step": 5, "term": "gradient_norm", "value": first})
        for step in (10, 20):  # the first half counts for nothing
            late = step == 20
            of_step = {"accuracy": told if late else 0.5, "gradient_ratio": pull if late else 9, "gradient_norm": last}
            rows += [
                {"network": network, "stage": "joint", "step": step, "term": t, "value": v} for t, v in of_step.items()
            ]
    rows += [{"network": "generator", "stage": "joint", "step": 20, "term": "ratio", "value": 0.2}]
    run = {"run": "p/faces/0", "variant": "p", "data": "faces", "seed": 0}
    return Frames(study={}, curves=pd.DataFrame([{**run, **row} for row in rows]))


@pytest.mark.parametrize(
    ("values", "state", "why"),
    [
        ({}, "awake", ""),
        ({"accuracy": 0.59}, "asleep", "in 59% of pairs, and guessing gives 50%"),
        ({"accuracy": 0.0}, "asleep", "in 0% of pairs"),  # turned around is not awake
        ({"accuracy": float("nan")}, "asleep", ""),
        ({"ratio": 0.001}, "asleep", "1.0% of the critics' gradients"),
        ({"norms": (0.1, 110.0)}, "exploded", "grew 110 times"),
        ({"norms": (2.0, 300.0)}, "exploded", "grew 150 times"),
        ({"norms": (0.001, 90.0)}, "awake", ""),  # it woke up
    ],
)
def test_a_critic_is_awake_asleep_or_exploded(values: dict[str, Any], state: str, why: str) -> None:
    table = critics_table(joint(**values)).set_index("network")
    assert table.loc["local", "state"] == state and why in table.loc["local", "why"]
    assert table.loc["global", "state"] == "awake"
    assert table["share"].sum() == pytest.approx(1)
    reason = inert(joint(**values), "p", "faces")
    assert bool(reason) == (state == "asleep") and ("the local critic was asleep" in reason) == (state == "asleep")


def test_an_exploded_critic_can_be_asleep_too() -> None:
    frames = joint(accuracy=0.5, norms=(0.1, 110.0))
    assert set(critics_table(frames)["state"]) == {"awake", "exploded"}
    assert "the local critic was asleep: it told real" in inert(frames, "p", "faces")


def test_critics_without_any_gradient_have_no_share_of_it() -> None:
    curves = joint(ratio=0.0).curves
    alone = Frames(study={}, curves=curves[curves["network"] != "global"])
    assert critics_table(alone)["why"].tolist() == ["it has 0.0% of the critics' gradients"]


@pytest.mark.parametrize("logged", [["ratio"], ["ratio", "gradient_norm"]])  # the second is what 0.1.0 logged
def test_an_output_without_these_series_shows_no_critic_and_is_inert(logged: list[str]) -> None:
    older = joint()
    bare = Frames(study={}, curves=older.curves[older.curves["term"].isin(logged)])
    assert critics_table(bare).empty and critics_table(Frames(study={})).empty
    assert "the scores of the critics of p are not recorded" in inert(bare, "p", "faces")


def test_the_spread_is_about_the_trend() -> None:
    rng = np.random.default_rng(0)
    smooth = np.logspace(-3, 1, 1000)  # a gradient that grows four decades while critics wake up
    noise = 10 ** rng.normal(0, 0.1, 1000)
    assert spread(smooth) < 0.05
    expected = 2 * 1.645 * 0.1  # from the 5th to the 95th percentile of a normal distribution
    assert spread(noise) == pytest.approx(expected, rel=0.1)
    assert spread(smooth * noise) == pytest.approx(expected, rel=0.1)
    assert spread(5 * noise) == pytest.approx(spread(noise))
    assert np.isfinite(spread(np.zeros(20))) and np.isnan(spread(np.zeros(0)))


def test_claims_about_critics_are_answered_twice_where_the_study_has_both(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = {"C3", "C5", "C6", "C7", "C13"}
    once = claims_table(made())
    assert not any("scaled" in name for name in once["id"]) and once["adversarial_share"].isna().all()
    scaled = {f"{name} scaled": method for name, method in VARIANTS.items() if method in ("proposed", "single")}
    changed = {f"{name} scaled": {**CHANGED.get(name, {}), "adversarial_share": 0.5} for name in VARIANTS}
    monkeypatch.setitem(OPTIONS, "adversarial_share", None)
    for name, method in scaled.items():
        monkeypatch.setitem(VARIANTS, name, method)
        monkeypatch.setitem(CHANGED, name, changed[name])
    levels = {"proposed scaled": {"psnr": 17.0}, "two critics scaled": {"psnr": 19.0}}
    table = claims_table(made(levels)).set_index("id")
    assert {name.removesuffix("-scaled") for name in table.index if name.endswith("-scaled")} == twice
    assert set(table["adversarial_share"].dropna()) == {0.5}
    assert (table.loc["C3", "outcome"], table.loc["C3-scaled", "outcome"]) == ("supported", "contradicted")
    assert table.loc["C3-scaled", "contrast"] == "proposed scaled − two critics scaled"
    assert table.loc["C7-scaled", "contrast"].endswith("− single scaled")
    assert table.loc["C3-scaled", "claim"].endswith("improve the repair, where the critics matter.")
