"""The rule for few seeds, held by simulation and by closed forms."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from reports.analysis.frames import Frames
from reports.analysis.statistics import (
    OF_RUN,
    Direction,
    Floats,
    _wide,
    apart,
    compare,
    estimate,
    exact,
    mean_interval,
    select,
    share_above,
    shares,
    simultaneous,
    undetected,
    verdict,
)

SEEDS_SD, IMAGES_SD, BOTH_SD = 0.2, 0.5, 0.3
REPETITIONS = 1500


def draw(random: np.random.Generator, seeds: int, images: int, effect: float, paired: bool) -> tuple[Floats, Floats]:
    """Two variants, (seeds, images): the image's difficulty is shared, a seed's start where they are paired."""
    image = random.normal(0, 2, images)
    start = random.normal(0, 0.5, (seeds, 1)) if paired else 0

    def one(shift: float) -> Floats:
        own = random.normal(0, SEEDS_SD, (seeds, 1)) + random.normal(0, IMAGES_SD, images)
        return np.asarray(shift + image + start + own + random.normal(0, BOTH_SD, (seeds, images)))

    return one(effect), one(0)


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("seeds", [3, 5])
def test_the_interval_covers_the_truth_for_new_seeds_and_new_images(seeds: int, paired: bool) -> None:
    random = np.random.default_rng(seeds)
    hits = 0
    for _ in range(REPETITIONS):
        low, high = estimate(*draw(random, seeds, 30, 0.7, paired), paired=paired).interval()
        hits += low <= 0.7 <= high
    assert 0.94 < hits / REPETITIONS <= 0.995


def test_groups_of_alike_images_need_to_be_named() -> None:
    random = np.random.default_rng(7)
    groups = np.repeat(np.arange(12), 5)
    hits = {"named": 0, "ignored": 0}
    for _ in range(REPETITIONS):
        values = np.repeat(random.normal(0, 1, 12), 5) + random.normal(0, 0.05, (3, 60))
        for name, given in (("named", groups), ("ignored", None)):
            low, high = estimate(values, groups=given).interval()
            hits[name] += low <= 0 <= high
    assert hits["named"] / REPETITIONS > 0.92
    assert hits["ignored"] / REPETITIONS < 0.75


def study(values: dict[str, Floats], *, start: dict[str, str] | None = None, data: str = "faces") -> dict[str, Any]:
    """`runs` and `scores` of variants given as (seeds, images); a seed's start is shared unless named otherwise."""
    runs, scores = [], []
    for variant, table in values.items():
        for seed, row in enumerate(table):
            run = {"run": f"{variant}/{data}/{seed}", "variant": variant, "data": data, "seed": seed}
            key = (start or {}).get(variant, "pretrain")
            runs.append({**run, "status": "completed", "start": f"{key}{seed}" if key else ""})
            for image, value in enumerate(row):
                scored = {"image": f"i{image}", "region": "hole", "output": "composite", "value": value}
                scores += [{**run, **scored, "metric": metric} for metric in ("psnr", "l1")]
    return {"runs": pd.DataFrame(runs), "scores": pd.DataFrame(scores)}


def planted(effect: float, seeds: int = 5, paired: bool = True) -> dict[str, Floats]:
    a, b = draw(np.random.default_rng(3), seeds, 40, effect, paired)
    return {"a": a, "b": b}


def test_a_planted_effect_is_found_and_its_direction() -> None:
    assert compare(**study(planted(2.0)), a="a", b="b").outcome == "supported"
    assert compare(**study(planted(2.0)), a="b", b="a").outcome == "contradicted"
    assert compare(**study(planted(2.0)), a="a", b="b", metric="l1").outcome == "contradicted"  # less is better


def test_a_planted_null_is_not_found() -> None:
    random = np.random.default_rng(11)
    found = 0
    for _ in range(400):
        low, high = estimate(*draw(random, 3, 30, 0.0, True), paired=True).interval()
        found += not low <= 0 <= high
    assert found / 400 < 0.06
    null = compare(**study(planted(0.0)), a="a", b="b")
    assert null.outcome == "inconclusive"
    assert compare(**study(planted(0.0)), a="a", b="b", margin=5.0).outcome == "equivalent"
    assert null.margin == 0.16 and compare(**study(planted(0.0)), a="a", b="b", margin=None).margin is None


def test_the_paired_interval_is_the_rule_s_formula() -> None:
    values = planted(1.0, seeds=3)
    found = compare(**study(values), a="a", b="b")
    difference = values["a"] - values["b"]
    seeds = difference.mean(axis=1).var(ddof=1) / 3
    images = difference.mean(axis=0).var(ddof=1) / 40
    half = np.sqrt(stats.t.ppf(0.975, 2) ** 2 * seeds + stats.t.ppf(0.975, 39) ** 2 * images)
    assert found.paired
    assert found.difference == pytest.approx(difference.mean())
    assert (found.high - found.low) / 2 == pytest.approx(half)
    assert found.low < found.low90 < found.high90 < found.high


def test_variants_of_unlike_starts_are_compared_as_welch_does() -> None:
    values = planted(1.0, seeds=4, paired=False)
    found = compare(**study(values, start={"b": "own"}), a="a", b="b")
    means = [values[name].mean(axis=1) for name in "ab"]
    welch = stats.ttest_ind(*means, equal_var=False)
    bare = estimate(values["a"], values["b"])
    assert not found.paired
    assert bare.degrees == pytest.approx(welch.df)
    assert bare.seeds_variance == pytest.approx(sum(each.var(ddof=1) / 4 for each in means))
    assert found.low == pytest.approx(bare.interval()[0])


def test_a_filler_adds_no_chance_of_seeds_and_needs_none() -> None:
    values = planted(3.0)
    values["b"] = np.repeat(values["b"][:1], 5, axis=0)
    found = compare(**study(values, start={"b": ""}), a="a", b="b")
    assert found.outcome == "supported"
    assert estimate(values["a"], values["b"], fixed=(False, True)).degrees == pytest.approx(4)
    once = study({**values, "b": values["b"][:1]}, start={"b": ""})
    assert compare(**once, a="a", b="b").low == pytest.approx(found.low)
    fillers = compare(**study({"a": values["b"] + 1, "b": values["b"]}, start={"a": "", "b": ""}), a="a", b="b")
    assert fillers.low == pytest.approx(1)  # nothing is left to chance


@pytest.mark.parametrize(("seeds", "has_interval"), [(2, True), (1, False)])
def test_under_three_seeds_nothing_is_resolved(seeds: int, has_interval: bool) -> None:
    found = compare(**study(planted(50.0, seeds=seeds)), a="a", b="b", margin=1e6)
    assert found.outcome == "inconclusive"
    assert "fewer than 3 seeds" in found.why
    assert found.difference == pytest.approx(50, abs=2)
    assert np.isfinite(found.low) == has_interval


def test_a_diverged_seed_of_the_winner_blocks_support() -> None:
    frames = study(planted(2.0))
    lost = frames["runs"]["run"] == "a/faces/4"
    frames["runs"].loc[lost, "status"] = "diverged"
    found = compare(**frames, a="a", b="b")
    assert (found.outcome, found.diverged, found.n_seeds) == ("inconclusive", (1, 0), (4, 4))
    assert "diverged" in found.why
    assert compare(**frames, a="b", b="a").outcome == "contradicted"


def test_only_images_that_both_have_and_finite_values_enter() -> None:
    frames = study(planted(2.0))
    scores = frames["scores"]
    scores.loc[(scores["variant"] == "a") & (scores["image"] == "i0") & (scores["seed"] == 1), "value"] = np.inf
    frames["scores"] = scores[~((scores["variant"] == "b") & (scores["image"] == "i1"))]
    found = compare(**frames, a="a", b="b")
    assert (found.n_images, found.images_left_out) == (38, 2)
    assert np.isfinite(found.low)


def test_groups_come_from_the_scores() -> None:
    frames = study(planted(2.0))
    frames["scores"]["group"] = frames["scores"]["image"].str[-1]
    found = compare(**frames, a="a", b="b")
    assert (found.n_images, found.n_groups) == (40, 10)


def test_what_was_not_run_is_not_tested_and_what_is_unclear_is_refused() -> None:
    frames = study(planted(2.0))
    absent = compare(**frames, a="a", b="nobody")
    assert (absent.outcome, absent.n_seeds, absent.n_images) == ("not tested", (5, 0), 0)
    assert absent.why == "no scores of nobody"
    assert np.isnan(absent.difference)
    with pytest.raises(ValueError, match="'fid' is unknown; choose psnr"):
        compare(**frames, a="a", b="b", metric="fid")
    other = study(planted(2.0), data="scenes")
    both = {name: pd.concat([frames[name], other[name]]) for name in frames}
    with pytest.raises(ValueError, match="several data sets"):
        compare(**both, a="a", b="b")
    assert compare(**both, a="a", b="b", data="scenes").data == "scenes"


def test_a_mean_has_both_sources_and_each_seed(frames: Frames) -> None:
    found = mean_interval(frames.runs, frames.scores, "proposed", data="faces")
    one = frames.scores.query("variant == 'proposed' and metric == 'psnr' and region == 'hole'")
    assert found.mean == pytest.approx(one["value"].mean())
    assert found.by_seed == pytest.approx(one.groupby("seed")["value"].mean().to_dict())
    assert found.low < found.mean < found.high
    assert mean_interval(frames.runs, frames.scores, "multiscale=0,loss=js", data="faces").diverged == 1


def test_several_intervals_hold_together() -> None:
    assert simultaneous(0.95, 8) == pytest.approx(1 - 0.05 / 8)
    assert simultaneous(0.95, 0) == pytest.approx(0.95)


# Runs without images, data sets apart, numbers


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("seeds", [3, 5])
def test_a_statistic_of_runs_has_the_seeds_chance_alone(seeds: int, paired: bool) -> None:
    random = np.random.default_rng(100 + seeds)
    hits = 0
    for _ in range(REPETITIONS):
        start = random.normal(0, 1, seeds) if paired else 0
        a, b = (np.asarray(shift + start + random.normal(0, 0.3, seeds)) for shift in (0.5, 0))
        low, high = estimate(a, b, paired=paired).interval()
        hits += low <= 0.5 <= high
    assert 0.93 < hits / REPETITIONS <= 0.99
    assert estimate(a, b).images_variance == 0
    assert np.isnan(estimate(a[:, None], b[:, None]).images_variance)  # one image is no statistic of a run


@pytest.mark.parametrize("seeds", [3, 5])
def test_on_two_data_sets_images_and_seeds_are_both_apart(seeds: int) -> None:
    random = np.random.default_rng(200 + seeds)
    hits = 0
    for _ in range(REPETITIONS):
        faces, _ = draw(random, seeds, 40, 0.7, False)
        scenes, _ = draw(random, seeds + 1, 25, 0.0, False)
        low, high = apart(estimate(faces), estimate(scenes)).interval()
        hits += low <= 0.7 <= high
    assert 0.93 < hits / REPETITIONS <= 0.99


def test_data_sets_are_compared_by_the_rule_s_formula() -> None:
    values = planted(1.0, seeds=4)
    sets = study({"a": values["a"]}), study({"a": values["b"][:3, :30]}, data="scenes")
    both = {name: pd.concat([each[name] for each in sets]) for name in sets[0]}
    found = compare(**both, a="a", b="a", data=("faces", "scenes"), direction="more")
    own = [estimate(values["a"]), estimate(values["b"][:3, :30])]
    assert (found.n_seeds, found.n_images, found.paired, found.data) == ((4, 3), 70, False, ("faces", "scenes"))
    assert found.difference == pytest.approx(own[0].mean - own[1].mean)
    assert (found.low, found.high) == pytest.approx(apart(*own).interval())
    both["runs"].loc[both["runs"]["run"] == "a/scenes/2", "status"] = "diverged"
    assert compare(**both, a="a", b="a", data=("faces", "scenes")).why.startswith("fewer than 3 seeds completed for a")


def test_outputs_of_the_same_runs_are_paired() -> None:
    values = planted(1.0, seeds=3)
    frames, other = study({"a": values["a"]}), study({"a": values["b"]})
    blended = other["scores"].assign(output="blended")
    scores = pd.concat([frames["scores"], blended])
    found = compare(frames["runs"], scores, "a", "a", output=("composite", "blended"))
    assert found.paired and found.n_seeds == (3, 3) and found.outcome == "supported"
    assert found.difference == pytest.approx((values["a"] - values["b"]).mean())
    under_three = compare(**study({"a": values["a"][:2]}), a="a", b="a", direction="no less", margin=1.0)
    assert under_three.why == "fewer than 3 seeds completed for a"


def test_a_mean_is_held_against_a_number() -> None:
    values = {"a": planted(5.0)["a"]}
    found = compare(**study(values), a="a", b=3.0)
    alone = estimate(values["a"])
    assert found.outcome == "supported" and found.n_seeds == (5, 0) and found.b == 3.0
    assert (found.low, found.high) == pytest.approx(tuple(end - 3 for end in alone.interval()))
    assert compare(**study(values), a="a", b=8.0, direction="less").outcome == "supported"
    assert compare(**study(values), a="a", b=8.0).outcome == "contradicted"


def test_a_run_s_own_value_is_compared_without_images() -> None:
    frames = study({name: rows[:, :1] for name, rows in planted(2.0, seeds=3).items()})
    frames["scores"]["image"] = OF_RUN
    found = compare(**frames, a="a", b="b")
    values = frames["scores"].query("metric == 'psnr'").pivot(index="seed", columns="variant", values="value")
    difference = values["a"] - values["b"]
    half = stats.t.ppf(0.975, 2) * difference.std() / np.sqrt(3)
    assert (found.n_images, found.n_seeds, found.paired) == (0, (3, 3), True)
    assert (found.high - found.low) / 2 == pytest.approx(half)
    frames["scores"].loc[0, "value"] = np.inf
    assert compare(**frames, a="a", b="b").why == "too few finite scores to tell"


# The outcomes' error rates


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("seeds", [3, 5])
def test_outcomes_err_seldom_and_find_what_is_there(seeds: int, paired: bool) -> None:
    random = np.random.default_rng(17)
    nulls = [estimate(*draw(random, seeds, 60, 0.0, paired), paired=paired) for _ in range(300)]

    def rate(outcome: str, direction: Direction, effect: float, margin: float | None) -> float:
        """How often a claim comes out so, over studies of which the true effect is known."""
        found = [verdict(replace(null, mean=null.mean + effect), direction, margin=margin)[0] for null in nulls]
        return sum(each == outcome for each in found) / len(found)

    claims: list[tuple[Direction, float | None, float, float]] = [  # with a true effect at the bound, and one inside
        ("more", None, 0.0, 3.0),
        ("less", None, 0.0, -3.0),
        ("no less", 1.0, -1.0, 2.0),
        ("no more", 1.0, 1.0, -2.0),
        ("equal", 3.0, 3.0, 0.0),
    ]
    for direction, margin, bound, inside in claims:
        level = 0.05 if direction == "equal" else 0.025  # two one-sided claims at 5%, or a side of a 95% interval
        assert rate("supported", direction, bound, margin) <= level + 0.015, direction
        assert rate("contradicted", direction, bound, margin) <= 0.04, direction
        assert rate("supported", direction, inside, margin) > 0.9, direction
    assert rate("contradicted", "equal", 6.0, 3.0) > 0.8
    assert rate("supported", "equal", 6.0, 3.0) == 0
    assert rate("equivalent", "more", 0.0, 3.0) > 0.8
    assert rate("equivalent", "more", 3.0, 3.0) <= 0.05 + 0.015


@pytest.mark.parametrize("direction", ["more", "less"])
def test_an_effect_within_the_margin_neither_supports_nor_contradicts(direction: Direction) -> None:
    found = estimate(np.array([0.10, 0.11, 0.09, 0.10, 0.10]))
    why = "the 90% interval lies within 0.16, although the interval lies above zero"
    assert verdict(found, direction, margin=0.16) == ("equivalent", why)
    assert verdict(found, direction, margin=0.105)[0] == ("supported" if direction == "more" else "contradicted")
    assert verdict(found, direction)[0] == ("supported" if direction == "more" else "contradicted")
    blocked = verdict(found, direction, margin=0.16, diverged=(0, 1))
    assert blocked == ("inconclusive", f"{why}, but 1 seed diverged")


def test_a_claim_about_a_margin_has_one_and_diverged_seeds_block_it() -> None:
    values = planted(0.0)
    for direction in ("equal", "no less", "no more"):
        with pytest.raises(ValueError, match=f"margin: the claim '{direction}' needs one"):
            compare(**study(values), a="a", b="b", direction=direction, margin=None)  # type: ignore[arg-type]
    frames = study(values)
    equal = {"direction": "equal", "margin": 5.0}
    assert compare(**frames, a="a", b="b", **equal).outcome == "supported"
    frames["runs"].loc[frames["runs"]["run"] == "b/faces/4", "status"] = "diverged"
    blocked = compare(**frames, a="a", b="b", **equal)  # neither is the claimed winner
    assert (blocked.outcome, blocked.why) == ("inconclusive", "the 90% interval lies within 5, but 1 seed diverged")
    for direction in ("no less", "more"):
        other = compare(**frames, a="a", b="b", direction=direction, margin=5.0)  # type: ignore[arg-type]
        assert other.outcome == "inconclusive" and "but 1 seed diverged" in other.why


def test_shares_cover_the_truth_however_few_there_are() -> None:
    low, high = shares((0, 3), (0, 3))
    assert low == -high and high == pytest.approx(1 - ((1 - 0.95**0.5) / 2) ** (1 / 3))
    for n, p, q in ((3, 0.2, 0.2), (5, 0.5, 0.1), (10, 0.05, 0.3)):
        ends = {(a, b): shares((a, n), (b, n)) for a in range(n + 1) for b in range(n + 1)}
        likely = stats.binom.pmf(np.arange(n + 1), n, p)[:, None] * stats.binom.pmf(np.arange(n + 1), n, q)
        assert sum(likely[k] for k, (low, high) in ends.items() if low <= p - q <= high) >= 0.95


def test_a_share_of_images_has_the_exact_interval() -> None:
    for count, total in ((0, 7), (3, 7), (7, 7), (0, 400), (1, 400)):
        assert exact(count, total) == pytest.approx(stats.binomtest(count, total).proportion_ci(method="exact"))
    for n, p in ((8, 0.05), (20, 0.3), (100, 0.02)):
        likely = stats.binom.pmf(np.arange(n + 1), n, p)
        ends = [exact(k, n) for k in range(n + 1)]
        assert sum(each for each, (low, high) in zip(likely, ends, strict=True) if low <= p <= high) >= 0.95


def test_clusters_of_alike_images_count_once_in_a_share() -> None:
    """Four of twelve clusters of five alike images: the interval is that of 4 in 12."""
    values = np.repeat((np.arange(12) < 4).astype(float), 5)
    frames = study({"a": np.tile(values, (3, 1))})
    frames["scores"]["group"] = (frames["scores"]["image"].str[1:].astype(int) // 5).astype(str)
    found = share_above(**frames, variant="a", limit=0.5, metric="psnr", data="faces")
    assert (found.low, found.high) == pytest.approx(exact(4, 12))
    assert (found.share, found.n_images, found.n_groups) == (pytest.approx(1 / 3), 60, 12)


def test_what_few_seeds_cannot_exclude() -> None:
    assert [round(undetected(n), 2) for n in (0, 1, 3, 5, 10)] == [1, 0.95, 0.63, 0.45, 0.26]
    assert (1 - undetected(3)) ** 3 == pytest.approx(0.05)


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("seeds", [3, 5])
def test_the_detectable_effect_is_found_in_four_studies_of_five(seeds: int, paired: bool) -> None:
    random, found, told = np.random.default_rng(seeds), 0, []
    for _ in range(REPETITIONS):
        told.append(estimate(*draw(random, seeds, 30, 0.0, paired), paired=paired).detectable() ** 2)
    effect = np.mean(told) ** 0.5
    for _ in range(REPETITIONS):
        found += estimate(*draw(random, seeds, 30, effect, paired), paired=paired).interval()[0] > 0
    assert 0.72 < found / REPETITIONS < 0.88


# Clusters of images


@pytest.mark.parametrize("sizes", [[6, 6], [4] * 5, [3] * 8, [2] * 20, [60, 20, 10, 5, 5], [20, *[2] * 10]], ids=str)
def test_few_clusters_are_covered_by_t(sizes: list[int]) -> None:
    random = np.random.default_rng(len(sizes))
    groups = np.repeat(np.arange(len(sizes)), sizes)
    hits = 0
    for _ in range(REPETITIONS):
        values = random.normal(0, 1, len(sizes))[groups] + random.normal(0, 0.05, (3, len(groups)))
        low, high = estimate(values, groups=groups).interval()
        hits += low <= 0 <= high
    assert hits / REPETITIONS > 0.93
    n = np.array(sizes)
    assert estimate(values, groups=groups).images_degrees == pytest.approx(n.sum() ** 2 / (n**2).sum() - 1)


def test_under_eight_groups_there_is_no_verdict() -> None:
    frames = study(planted(5.0))
    for groups, outcome in ((7, "inconclusive"), (8, "supported")):
        number = frames["scores"]["image"].str[1:].astype(int) % groups
        found = compare(frames["runs"], frames["scores"].assign(group=number.astype(str)), "a", "b")
        assert (found.n_groups, found.outcome) == (groups, outcome)
        assert (found.why == "fewer than 8 independent groups of images") == (groups == 7)


@pytest.mark.parametrize("kind", ["str", "category"])
def test_values_are_those_of_a_pivot_where_a_seed_lacks_an_image(kind: str) -> None:
    rows = study(planted(0.4))["scores"].query("variant == 'a' and metric == 'psnr'").sample(frac=0.7, random_state=3)
    wide = rows.pivot(index="seed", columns="image", values="value")
    assert wide.isna().any().any()
    found = _wide(rows["seed"], rows["image"].astype(kind), rows["value"])
    pd.testing.assert_frame_equal(found, wide, check_names=False, check_column_type=False)


def test_an_image_that_a_run_scored_twice_is_refused() -> None:
    frames = study(planted(0.4))
    twice = pd.concat([frames["scores"], frames["scores"].iloc[:1]])
    with pytest.raises(ValueError, match="two values of one image"):
        mean_interval(frames["runs"], twice, "a")


def test_text_may_be_categories(frames: Frames, as_categories: Callable[[Frames], Frames]) -> None:
    other = as_categories(frames)
    for variant in ("glcic", "single", "biharmonic"):
        found = [mean_interval(each.runs, each.scores, variant, data="faces") for each in (frames, other)]
        assert found[0].mean == pytest.approx(found[1].mean, rel=1e-12)
        assert found[0].by_seed == pytest.approx(found[1].by_seed, rel=1e-12)
        compared = [compare(each.runs, each.scores, "proposed", variant) for each in (frames, other)]
        assert (compared[0].low, compared[0].high) == pytest.approx((compared[1].low, compared[1].high), rel=1e-9)
        assert compared[0].n_images == compared[1].n_images and compared[0].paired == compared[1].paired


def test_a_selection_is_the_frames_own(frames: Frames) -> None:
    own = select(frames.scores, metric="ssim", region="hole", output="composite", data="faces")
    assert len(own) and set(own["metric"]) == {"ssim"} and set(own["region"]) == {"hole"}
    pd.testing.assert_frame_equal(own, frames.select("ssim", "hole", "composite", "faces"))
    assert select(frames.scores, metric="ssim", region="hole", output="composite").equals(own)
    assert frames.select("ssim", "hole", "raw", "faces").empty
