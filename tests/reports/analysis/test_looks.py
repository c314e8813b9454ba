"""Looks at a study whose seeds grow: levels, open links, seeds that an answer costs, and Holm's adjustment."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from commands import command
from scipy import stats
from test_claims import built, made

from reports.analysis.claims import claim_p, claims_table, findings, links_table
from reports.analysis.frames import Frames
from reports.analysis.links import claims
from reports.analysis.looks import (
    LOOKS,
    Open,
    looks_in_words,
    looks_until,
    power_table,
    reach,
    undecided,
)
from reports.analysis.statistics import OF_RUN, Comparison, compare, estimate, holm, level_at, percent, verdict
from reports.document import Note
from reports.sections import claims as claims_section

Values = dict[str, list[float]]


def runs_of(values: Values, *, start: str = "pretrain") -> dict[str, Any]:
    """`runs` and `scores` of values that belong to runs: variant -> a value per seed."""
    rows = [
        {"run": f"{variant}/faces/{seed}", "variant": variant, "data": "faces", "seed": seed, "value": value}
        for variant, own in values.items()
        for seed, value in enumerate(own)
    ]
    own_start = [row["variant"] if start == "own" else start for row in rows]
    runs = [
        {**row, "status": "completed", "start": f"{own}{row['seed']}"} for row, own in zip(rows, own_start, strict=True)
    ]
    scores = [{**row, "image": OF_RUN, "region": "hole", "output": "composite", "metric": "psnr"} for row in rows]
    return {"runs": pd.DataFrame(runs), "scores": pd.DataFrame(scores)}


def drawn(effect: float, seeds: int = 6, number: int = 1) -> Values:
    random = np.random.default_rng(number)
    return {"a": list(random.normal(effect, 1, seeds)), "b": list(random.normal(0, 1, seeds))}


# Levels


@pytest.mark.parametrize("most", range(3, 60))
def test_the_looks_spend_five_percent_in_all_and_more_at_each(most: int) -> None:
    looks = looks_until(most)
    seeds, spent = list(looks), list(looks.values())
    assert seeds == sorted(set(seeds)) and seeds[0] == 3 and seeds[-1] == most
    assert sum(spent) == pytest.approx(0.05, abs=1e-8) and spent == sorted(spent)


def test_the_looks_of_twelve_seeds_are_the_stated_ones() -> None:
    assert LOOKS == looks_until(12) == {3: 0.002, 5: 0.008, 8: 0.015, 12: 0.025}
    with pytest.raises(ValueError, match="2 seeds decide nothing; at least 3 do"):
        looks_until(2)


def test_a_number_of_seeds_has_the_level_of_the_look_that_it_reached() -> None:
    levels = {n: level_at(LOOKS, n) for n in (0, 2, 3, 4, 5, 7, 8, 11, 12, 40)}
    assert [round(1 - level, 6) for level in levels.values()] == [0.002] * 4 + [0.008] * 2 + [0.015] * 2 + [0.025] * 2


@pytest.mark.parametrize("seeds", [3, 4, 5, 8, 12])
def test_a_comparison_is_decided_at_the_level_of_its_own_seeds(seeds: int) -> None:
    frames = runs_of(drawn(1.5, seeds))
    found = compare(**frames, a="a", b="b", level=LOOKS)
    plain = compare(**frames, a="a", b="b", level=level_at(LOOKS, seeds))
    assert found == plain and found.level == level_at(LOOKS, seeds)
    wider = compare(**frames, a="a", b="b", level=2 * found.level - 1)
    assert (found.low90, found.high90) == pytest.approx((wider.low, wider.high))
    assert found.detectable > compare(**frames, a="a", b="b").detectable


def test_levels_are_said_as_they_are() -> None:
    assert [percent(level) for level in (0.95, 2 * 0.95 - 1, 0.998, 1 - 0.05 * 2 / 90)] == [
        "95%", "90%", "99.8%", "99.89%"
    ]  # fmt: skip
    found = estimate(np.array([0.01, 0.0, -0.01, 0.005, -0.005]))
    assert verdict(found, "equal", margin=1.0, level=0.992)[1] == "the 98.4% interval lies within 1"


# p values and Holm's adjustment


@pytest.mark.parametrize("effect", [0.0, 0.5, 2.0, -2.0])
def test_the_p_value_is_the_t_test_s(effect: float) -> None:
    values = drawn(effect)
    paired = compare(**runs_of(values), a="a", b="b", margin=None)
    assert paired.p == pytest.approx(stats.ttest_rel(values["a"], values["b"]).pvalue, rel=1e-4)
    welch = compare(**runs_of(values, start="own"), a="a", b="b", margin=None)
    assert welch.p == pytest.approx(stats.ttest_ind(values["a"], values["b"], equal_var=False).pvalue, rel=1e-4)


def test_the_p_value_of_an_equivalence_is_that_of_two_one_sided_tests() -> None:
    values = drawn(0.0, 20)
    difference = np.subtract(values["a"], values["b"])
    found = compare(**runs_of(values), a="a", b="b", direction="equal", margin=1.5)
    sides = (stats.ttest_1samp(difference, bound, alternative=side).pvalue for bound, side in SIDES)
    assert found.p == pytest.approx(max(sides), rel=1e-4)
    assert compare(**runs_of(values), a="a", b="b", margin=1.5).p == pytest.approx(found.p)  # more, but equivalent


SIDES: Any = ((-1.5, "greater"), (1.5, "less"))


@pytest.mark.parametrize("direction", ["more", "less", "no more", "no less", "equal"])
@pytest.mark.parametrize("number", range(6))
def test_an_outcome_stands_exactly_where_its_p_value_is_within_the_error(direction: Any, number: int) -> None:
    random = np.random.default_rng(number)
    values = random.normal(number - 2.5, 1, (2, 4, 30))
    rows = [
        {"run": f"{v}/{s}", "variant": v, "data": "faces", "seed": s, "image": f"i{i}", "value": values[k, s, i]}
        for k, v in enumerate("ab")
        for s in range(4)
        for i in range(30)
    ]
    scores = pd.DataFrame(rows).assign(metric="psnr", region="hole", output="composite")
    runs = scores.drop_duplicates("run").assign(status="completed", start="own")
    runs["value"] = runs["run"]
    for level in (0.8, 0.95, 0.998):
        found = compare(runs, scores, "a", "b", direction=direction, margin=0.4, level=level)
        assert (found.outcome != "inconclusive") == (found.p <= 1 - level), found


def test_holm_s_adjustment() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([np.nan, 0.02, np.nan, 0.6]) == pytest.approx([np.nan, 0.04, np.nan, 0.6], nan_ok=True)
    assert holm([0.9, 0.8]) == pytest.approx([1, 1]) and holm([]).size == 0


def test_holm_keeps_the_share_of_studies_with_any_false_finding() -> None:
    p = np.random.default_rng(5).random((2000, 12))
    assert (p <= 0.05).any(axis=1).mean() > 0.4
    assert np.mean([(holm(each) <= 0.05).any() for each in p]) <= 0.06


def test_the_table_of_claims_adjusts_all_that_were_tested_by_chance() -> None:
    table = claims_table(made(noise=8)).set_index("id")
    computed = table["evidence"] == "computed"
    assert table.loc[computed, "p"].isna().all() and table.loc["C14", "outcome"] == "not tested"
    assert list(table.index[table["p"].isna()]) == [*table.index[computed], "C14"]
    assert table["p_holm"].to_numpy() == pytest.approx(holm(table["p"]), nan_ok=True)
    decided = table["outcome"].isin(["supported", "contradicted", "equivalent", "partly tested"]) & table["p"].notna()
    assert [value is not None for value in table["holds_adjusted"]] == decided.tolist()
    stands = table.loc[decided, "holds_adjusted"]
    assert stands.tolist() == (table.loc[decided, "p_holm"] <= 0.05).tolist()
    assert {True, False} <= set(stands)  # the study shows both


def test_each_link_s_p_value_agrees_with_its_outcome() -> None:
    links = links_table(made(noise=8))
    links = links[(links["role"] == "link") & links["p"].notna()]
    decided = links["outcome"].isin(["supported", "contradicted", "equivalent", "partly tested"])
    assert (decided == (links["p"] <= 0.05)).all() and decided.any() and not decided.all()


@pytest.mark.parametrize(
    ("study", "claim"),
    [
        ({"lost": {"proposed/faces/0": "diverged"}, "seeds": 5}, "C1"),
        ({"levels": {"two critics": {"psnr": 20.0, "ssim": 0.8}}, "ratio": {"two critics": 0.005}}, "C3"),
        ({"seeds": 2, "noise": 0.1}, "C1"),
    ],
)
def test_a_blocked_outcome_has_the_p_value_of_none(study: dict[str, Any], claim: str) -> None:
    row = claims_table(made(**study)).set_index("id").loc[claim]
    assert row["outcome"] == "inconclusive" and row["p"] == row["p_holm"] == 1 and row["holds_adjusted"] is None


def test_a_claim_s_p_value_is_that_of_what_it_needs() -> None:
    found = {link.name: each for _, link, each in findings(made(), ["C13"])}
    links = list(found.values())
    values = [link.p for link in links if link.p is not None]
    assert len(values) == 6
    assert claim_p("supported", links) == max(values)
    contradicted = made({"js": {"sharpness": 0.95}, "js pair": {"sharpness": 0.95}})
    row = claims_table(contradicted).set_index("id").loc["C13"]
    against = [link["p"] for link in row["links"] if link["outcome"] == "contradicted"]
    assert row["outcome"] == "contradicted" and row["p"] == pytest.approx(min(1, 6 * min(against)))


def test_an_exact_contradiction_has_no_p_value() -> None:
    alike = dict.fromkeys(("proposed", "undilated"), built("proposed"))
    row = claims_table(made(networks=alike)).set_index("id").loc["C9"]
    assert row["outcome"] == "contradicted" and np.isnan(row["p"]) and row["holds_adjusted"] is None
    assert [link["p"] is not None for link in row["links"]] == [False, False, False, True]


def test_the_p_value_of_diverged_seeds_is_exact() -> None:
    lost = {f"proposed/faces/{seed}": "diverged" for seed in range(8)}
    for frames in (made(seeds=24), made(seeds=8, lost=lost)):
        link = next(found for _, link, found in findings(frames, ["C5"]) if link.metric == "diverged")
        assert link.outcome in ("supported", "contradicted") and link.p is not None and 0 < link.p <= 0.05


C5 = next(claim for claim in claims() if claim.id == "C5")


# A study with looks


def test_a_study_with_looks_decides_each_link_at_the_level_of_its_seeds() -> None:
    written = json.loads(json.dumps(LOOKS))  # its keys are text
    plain, looked = links_table(made(noise=6, seeds=5)), links_table(made(noise=6, seeds=5, looks=written))
    measured = plain["level"].notna()
    assert (plain.loc[measured, "level"] == 0.95).all() and looked.loc[measured, "level"].unique() == [1 - 0.008]
    assert (looked["high"] - looked["low"] >= plain["high"] - plain["low"])[measured].all()
    by_t = measured & (plain["metric"] != "diverged")
    assert looked.loc[by_t, "why"].str.contains("99.2% interval").any()
    assert not looked["why"].str.contains("95% interval").any()
    ratio = (plain["p"] * 0.05 / 0.008).clip(upper=1)  # outcomes may differ, and with them the test
    same = measured & (plain["outcome"] == looked["outcome"])
    assert looked.loc[same, "p"].to_numpy() == pytest.approx(ratio[same].to_numpy(), rel=1e-4)
    decided = looked["outcome"].isin(["supported", "contradicted", "equivalent"]) & by_t
    assert (looked.loc[decided, "p"] <= 0.05).all()


def test_seeds_added_to_one_side_of_a_link_change_nothing_of_it() -> None:
    """Of all kinds of link: paired, unpaired, and shares of diverged seeds; a seed of both sides diverged."""
    whole = made(noise=6, seeds=8, lost={"glcic/faces/1": "diverged", "wgan js/faces/2": "diverged"}, looks=LOOKS)

    def cut(frames: Frames, but: str | None) -> pd.DataFrame:
        few = {
            name: (own := getattr(frames, name))[(own["seed"] < 5) | (own["variant"] == but)]
            for name in ("runs", "scores", "curves")
        }
        found = links_table(replace(frames, **few))
        own = (found["a"] == "proposed") & ~found["b"].isin(["proposed", "mean", "biharmonic", "0", "1", ""])
        return found.loc[own, ["id", "name", "outcome", "effect", "low", "high", "n", "level"]]

    before, after = cut(whole, None), cut(whole, "proposed")
    assert {"C1", "C2", "C3", "C5", "C13"} <= set(before["id"])
    pd.testing.assert_frame_equal(before, after)
    plain = replace(whole, study={**whole.study, "looks": None})
    assert not cut(plain, None).equals(cut(plain, "proposed"))  # there, every seed counts


def test_looks_are_said_and_a_study_without_looks_says_nothing() -> None:
    assert looks_in_words(made()) == ""
    said = looks_in_words(made(looks=LOOKS))
    assert "0.2% at 3, 0.8% at 5, 1.5% at 8, 2.5% at 12 seeds" in said and "5%" in said
    assert said.endswith("at 3 the 99.8% interval in place of 95%, and 99.6% in place of 90%.")
    assert "at 3 the 99.89% interval" in looks_in_words(made(looks=looks_until(20)))


def test_the_claims_of_a_study_without_looks_are_at_95_percent() -> None:
    frames = made()
    assert frames.level == 0.95 and frames.study["looks"] is None
    assert links_table(frames)["why"].str.contains("95% interval").any()


def test_the_command_and_the_report_say_what_stands_and_how_it_was_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = made(noise=8, looks=LOOKS)
    table = claims_table(frames).set_index("id")
    monkeypatch.setattr("study.results.frames.load", lambda out: frames)
    text = " ".join(command("claims", "somewhere", "--evidence").stdout.split())
    assert looks_in_words(frames) in text
    stands, falls = (int((table["holds_adjusted"] == value).sum()) for value in (True, False))
    assert text.count(f"adjusted for {table['p'].count()} claims: p ") == stands + falls > 0
    rows = json.loads(command("claims", "somewhere", "--json").stdout)
    assert [row["holds_adjusted"] for row in rows] == table["holds_adjusted"].tolist()
    assert rows[7]["p"] is rows[7]["p_holm"] is rows[7]["level"] is None and rows[0]["level"] == 0.998
    view = claims_section.claims_view(frames)
    assert view.headings[-1] == "Adjusted p" and "intervals at the level of each look" in view.caption
    assert [row[-1].below for row in view.rows].count("stands") == stands
    notes = [block.text for block in claims_section.claims(frames).blocks if isinstance(block, Note)]
    assert any(looks_in_words(frames) in note for note in notes)
    assert "95% intervals" in claims_section.claims_view(made()).caption


# Links without an answer


def open_links(frames: Frames, *, most: int = 12, claims: list[str] | None = None) -> dict[tuple[str, str], Open]:
    return {(each.claim, each.link): each for each in undecided(frames, claims, most)}


def test_the_open_links_are_the_inconclusive_ones() -> None:
    frames = made(noise=30, looks=LOOKS)
    links = links_table(frames)
    links = links[(links["role"] == "link") & (links["outcome"] == "inconclusive")]
    found = undecided(frames, None, 12)
    assert [(each.claim, each.link) for each in found] == list(zip(links["id"], links["name"], strict=True))
    assert [each.n for each in found] == links["n"].tolist()
    some = undecided(frames, ["C1", "C10"], 12)
    assert some == [each for each in found if each.claim in ("C1", "C10")] and some
    assert all(each.why for each in found)


def test_an_open_link_names_the_variants_whose_seeds_it_needs() -> None:
    found = open_links(made({"biharmonic": {"psnr": 20.0}}, noise=40, looks=LOOKS))
    assert found["C1", "over GLCIC"].variants == ("proposed", "glcic")
    assert found["C10", "no worse repair"].variants == ("proposed",)  # one variant, two outputs
    assert found["C12", "over a trivial filler"].variants == ("proposed",)  # a filler needs no seeds


def test_what_was_not_tested_is_not_open() -> None:
    found = open_links(made(noise=40, without=("glcic",), looks=LOOKS))
    assert ("C1", "over GLCIC") not in found and ("C14", "PSNR") not in found and ("C1", "over CE") in found


def test_more_seeds_are_worth_it_only_where_they_could_decide() -> None:
    few = open_links(made({"ce": {"psnr": 19.94}}, noise=3, looks=LOOKS))["C1", "over CE"]
    assert few.possible and few.n == 3 and few.why == "the interval includes zero"
    at_last = open_links(made({"ce": {"psnr": 20.0}}, noise=40, looks=looks_until(3)), most=3)["C1", "over CE"]
    assert not at_last.possible and at_last.why == "likely to need more than 3 seeds"


def test_a_noisy_link_is_left_to_more_seeds_than_it_may_have() -> None:
    found = {seeds: open_links(made({"glcic": {"psnr": 20.0}}, noise=60, seeds=seeds, looks=LOOKS)) for seeds in (3, 8)}
    links = [each["C1", "over GLCIC"] for each in found.values() if ("C1", "over GLCIC") in each]
    assert links and not links[-1].possible and "12 seeds" in links[-1].why


@pytest.mark.parametrize(
    ("study", "claim", "link", "why"),
    [
        ({"levels": {"two critics": {"psnr": 20.0}}, "ratio": {"two critics": 0.005}, "seeds": 8},
         "C3", "two multi-scale critics over none, PSNR", "critics were inert"),
        ({"lost": {"proposed/faces/0": "diverged"}, "seeds": 8}, "C1", "over GLCIC", "1 seed diverged"),
        ({"lost": {"ce/faces/0": "diverged"}, "levels": {"ce": {"psnr": 20.0}}, "seeds": 8},
         "C1", "over CE", "1 seed diverged"),
    ],
)  # fmt: skip
def test_seeds_do_not_help_against_inert_critics_and_diverged_seeds(
    study: dict[str, Any], claim: str, link: str, why: str
) -> None:
    found = open_links(made(**study, looks=LOOKS))[claim, link]
    assert not found.possible and why in found.why


def test_seeds_do_not_help_against_few_groups_of_images() -> None:
    frames = made()
    grouped = Frames(
        study=frames.study, runs=frames.runs, curves=frames.curves,
        scores=frames.scores.assign(group=frames.scores["image"].str[-1].map(int).mod(4).astype(str)),
    )  # fmt: skip
    found = open_links(grouped)["C1", "over GLCIC"]
    assert not found.possible and found.why == "fewer than 8 independent groups of images"


def test_seeds_do_not_help_where_the_images_alone_leave_it_open() -> None:
    random = np.random.default_rng(2)
    now = estimate(random.normal(0, 3, 20) + random.normal(0, 0.001, (5, 20)))
    assert not reach(now, 5, 12, "more", level=0.975, margin=0.1)
    assert not reach(now, 5, np.inf, "more", level=0.975, margin=0.1)
    assert reach(now, 5, 12, "more", level=0.975, margin=5.0) == {"equivalent"}
    assert reach(now, 5, 12, "less", level=0.975, diverged=(1, 1)) == set()


def test_seeds_do_not_narrow_the_exact_interval_of_the_images_with_an_artefact() -> None:
    (found,) = undecided(made(looks=LOOKS), ["C15"], 12)
    assert found.n == 3 and not found.possible and "more seeds do not narrow it" in found.why


def test_under_three_seeds_nothing_is_futile() -> None:
    found = undecided(made(seeds=2), None, 12)
    assert found and all(each.possible or each.claim == "C5" for each in found)


def test_no_divergence_is_shown_by_twelve_seeds_and_is_by_more() -> None:
    link = "divergence, matched pair"
    frames = made(seeds=3, looks=LOOKS)
    assert not open_links(frames)["C5", link].possible
    assert open_links(frames, most=40)["C5", link].possible
    seeds = power_table(frames).set_index("link").loc[link, "seeds_for_margin"]
    assert seeds == 20


# The seeds that an answer costs


def test_the_table_of_power_has_a_row_per_tested_link_between_runs() -> None:
    frames = made(noise=8)
    table = power_table(frames)
    links = links_table(frames).query("role == 'link'")
    tested = links[links["level"].notna()]
    assert list(zip(table["id"], table["link"], strict=True)) == list(zip(tested["id"], tested["name"], strict=True))
    assert table["effect"].to_numpy() == pytest.approx(tested["effect"].to_numpy())
    assert table.loc[table["id"] == "C1", "published"].round(2).tolist() == [0.16, 1.0]
    assert (table.filter(like="seeds_for").stack().dropna() >= 3).all()
    assert table.loc[0, "variants"] == ["proposed", "glcic"]


def test_the_cost_is_the_least_number_of_seeds_that_is_enough() -> None:
    frames = made(noise=6)
    costs = power_table(frames).iloc[0]
    link = findings(frames, ["C1"])[0][2]
    assert link.comparison is not None and link.published is not None and link.margin is not None
    now, n = link.comparison.estimate, link.n
    for seeds, asked, size in (
        (costs["seeds_for_published"], "detectable", link.published),
        (costs["seeds_for_margin"], "provable", link.margin),
    ):
        here, fewer = (getattr(now.with_seeds(seeds - less, n), asked)() for less in (0, 1))
        assert here <= size < fewer


def test_without_two_seeds_the_cost_is_unknown() -> None:
    table = power_table(made(seeds=1))
    table = table[~table["link"].str.startswith("divergence")]
    assert table.filter(like="seeds_for").isna().all(axis=None)


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize(("asked", "size"), [("detectable", 1.2), ("detectable", 0.6), ("provable", 1.0)])
def test_so_many_seeds_find_it_in_four_studies_of_five(asked: str, size: float, paired: bool) -> None:
    """The least number of seeds for a planted spread, found from many seeds of that spread, has a power of 80%."""
    random = np.random.default_rng([paired, len(asked), int(10 * size)])

    def draw(seeds: int, effect: float) -> Any:
        a, b = random.normal(effect, 0.5**0.5, seeds), random.normal(0, 0.5**0.5, seeds)
        return estimate(a, b, paired=paired)

    spread = estimate(np.resize([-1.0, 1.0], 1000) * 0.999**0.5, None)  # a standard deviation of 1
    degrees = {True: 1.0, False: 2.0}[paired]
    known = type(spread)(**{**vars(spread), "degrees": degrees * spread.degrees, "images_degrees": np.inf})
    seeds = next(n for n in range(3, 200) if getattr(known.with_seeds(n, 1000), asked)() <= size)
    effect, right = (size, "supported") if asked == "detectable" else (0.0, "equivalent")
    margin = size if asked == "provable" else None
    found = [verdict(draw(seeds, effect), "more", margin=margin)[0] == right for _ in range(1500)]
    fewer = [verdict(draw(seeds - 2, effect), "more", margin=margin)[0] == right for _ in range(1500)]
    assert 0.77 <= np.mean(found) <= 0.88 and np.mean(fewer) < np.mean(found)


def test_a_comparison_keeps_what_decided_it() -> None:
    found = compare(**runs_of(drawn(1.0)), a="a", b="b")
    assert isinstance(found, Comparison) and found.estimate.mean == found.difference and found.direction == "more"
    assert "estimate" not in repr(found)
