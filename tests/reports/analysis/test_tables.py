"""Tables say what the frames say, in the order that a reader expects."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from models.proposed import Proposed, ReconstructionOnly
from reports.analysis import tables
from reports.analysis.frames import COLUMNS, Frames, NoDataError
from reports.analysis.naming import group, level_label, ordered
from reports.analysis.published import counterpart, paper, published, published_values
from reports.analysis.statistics import compare
from study.data import DATASETS
from study.inspection.describe import describe


def test_the_paper_s_numbers_are_the_paper_s() -> None:
    table = published()
    values = {tuple(row[:3]): row[3] for row in table[["table", "data", "variant", "value"]].itertuples(index=False)}
    assert values[6, "CelebA", "ce"] == 18.61
    assert values[6, "CelebA", "glcic"] == 19.45
    assert values[6, "CelebA", "proposed"] == 19.61
    assert [values[7, "CelebA", name] for name in ("ce", "glcic", "proposed")] == [0.773, 0.799, 0.805]
    assert table[table["table"] == 8]["value"].tolist() == [0.7483, 18.55, 0.7869, 19.21]


def test_a_data_set_stands_beside_its_like(study_of: Callable[..., Frames]) -> None:
    def beside(**entry: Any) -> str | None:
        return counterpart(study_of([0], entry["name"], data=[entry]), entry["name"])

    for name in ("faces", "my_faces_folder", "CelebA", "celeba", "scenes", "objects", "tiles"):  # a name says nothing
        assert beside(name=name, kind="folder") is None
        assert beside(name=name, kind="folder", like=None) is None
        assert beside(name=name, kind="folder", like="Places2") == "Places2"
        assert beside(name=name, kind="faces_of_a_plugin") is None
        assert beside(name=name) is None
    kinds = {"faces": "CelebA", "celeba": "CelebA", "imagenet": "ImageNet", "places2": "Places2"}
    assert {kind: beside(name="x", kind=kind) for kind in kinds} == kinds
    assert beside(name="x", kind="celeba", like="ImageNet") == "ImageNet"
    assert counterpart(study_of([0]), "unknown") is None
    scenes = study_of([0], "x", data=[{"name": "x", "kind": "places2"}])
    assert published_values(scenes, "x", "psnr") == {"proposed": 19.21}


def test_every_kind_that_stands_beside_the_paper_s_data_exists() -> None:
    kinds = [kind for known in paper()["data"].values() for kind in known["kinds"]]
    assert {*kinds, "folder"} == {*DATASETS}


@pytest.mark.parametrize(("make", "metric"), [(tables.table_6, "psnr"), (tables.table_7, "ssim")])
def test_results_equal_the_frame(frames: Frames, make: Callable[..., pd.DataFrame], metric: str) -> None:
    table = make(frames, "faces").set_index("variant")
    scores = frames.scores[frames.scores["metric"] == metric]
    for region in ("whole", "hole"):
        own = scores[scores["region"] == region]
        expected = own.groupby("variant")["value"].mean()
        assert table[region].to_dict() == pytest.approx(expected.to_dict())
        seeds = own[own["variant"] == "glcic"].groupby("seed")["value"].mean()
        assert table.loc["glcic", f"{region}_seeds"] == pytest.approx(tuple(seeds))
        assert (table[f"{region}_low"] < table[region]).all()


def test_results_are_ordered_and_say_what_is_missing(frames: Frames) -> None:
    table = tables.table_6(frames, "faces")
    assert table["variant"].tolist()[:7] == [
        "ce", "glcic", "proposed", "reconstruction_only", "single", "mean", "biharmonic",
    ]  # fmt: skip
    notes = table.set_index("variant")["notes"]
    assert notes["single"] == "1 of 3 failed (seed 1)"
    assert notes["multiscale=0,loss=js"] == "1 of 3 diverged (seed 2)"
    assert notes["biharmonic"] == "a sample of 5 of 12 images; not trained: all seeds are alike"
    alone = replace(frames, runs=frames.runs[frames.runs["variant"] == "proposed"])
    table = tables.table_6(alone, "faces")
    assert table["variant"].tolist() == ["ce", "glcic", "proposed"]
    assert table["notes"].tolist() == ["not in this study", "not in this study", ""]
    assert table["published"].tolist() == [18.61, 19.45, 19.61]


def test_the_reference_may_have_another_name(frames: Frames) -> None:
    renamed = replace(frames, study={**frames.study, "reference": "multiscale=3,loss=wgan"})
    table = tables.table_6(renamed, "faces").set_index("variant")
    assert table.loc["multiscale=3,loss=wgan", "published"] == 19.61
    assert np.isnan(table.loc["proposed", "published"])


def test_contrasts_stand_beside_the_paper_s(frames: Frames) -> None:
    table = tables.contrast_table(frames, "faces").query("metric == 'psnr'").set_index(["a", "b"])
    assert table.loc[("proposed", "glcic"), "published"] == pytest.approx(0.16)
    assert table.loc[("glcic", "ce"), "published"] == pytest.approx(0.84)
    assert table.loc[("proposed", "glcic"), "paired"]
    assert not table.loc[("glcic", "ce"), "paired"]
    assert table.loc[("proposed", "reconstruction_only"), "outcome"] == "contradicted"
    assert table.loc[("proposed", "single"), "outcome"] == "inconclusive"  # a seed failed
    with pytest.raises(NoDataError, match="No two variants"):
        tables.contrast_table(replace(frames, runs=frames.runs[frames.runs["variant"] == "ce"]), "faces")


def blend(frames: Frames) -> Frames:
    """With blended outputs that gain 0.1 dB and half the seam, and raw ones."""
    blended = frames.scores.assign(output="blended")
    gain = blended["metric"].map({"psnr": 0.1, "seam": 0.0}).fillna(0.0)
    half = blended["metric"].map({"seam": 0.5}).fillna(1.0)
    blended["value"] = blended["value"] * half + gain
    return replace(frames, scores=pd.concat([frames.scores, blended, frames.scores.assign(output="raw")]))


def test_blending_is_a_change_with_its_interval(frames: Frames) -> None:
    table = tables.blending_table(blend(frames), "faces").set_index("variant")
    plain = tables.table_6(frames, "faces").set_index("variant")
    assert table.index.tolist() == plain.index.tolist()
    assert table["psnr"].to_dict() == pytest.approx(plain["hole"].to_dict())
    assert table["psnr_change"].to_list() == pytest.approx([0.1] * len(table))
    assert table["psnr_low"].to_list() == pytest.approx([0.1] * len(table))  # each image and seed gains as much
    assert table["seam_blended"].to_list() == pytest.approx(list(table["seam"] / 2))
    assert (table["seam_low"] < table["seam_change"]).all() and (table["seam_high"] < 0).all()
    assert table["seam_raw"].to_dict() == pytest.approx(table["seam"].to_dict())
    assert table["sharpness"].isna().all()
    assert table.loc["single", ["seeds", "images"]].tolist() == [2, 12]
    with pytest.raises(NoDataError, match=r"^No blended output was scored on faces\.$"):
        tables.blending_table(frames, "faces")


def test_departures_are_of_the_paper_s_methods(frames: Frames) -> None:
    steps = pd.DataFrame(
        [("giica", "loss.critic_steps", "1", "R14", "updates of the critics to one of the generator", True, "")],
        columns=frames.readings.columns,
    )
    known = replace(frames, readings=pd.concat([steps, frames.readings], ignore_index=True))
    table = tables.departures_table(known)
    assert table["variant"].tolist() == ["ce", "glcic", "giica", "proposed"]
    assert table.loc[2, ["label", "reading", "key", "value"]].tolist() == ["GIICA", "R14", "loss.critic_steps", "1"]
    assert tables.readings_table(known).loc[1, ["key", "departs", "variants"]].tolist() == [
        "loss.critic_steps",
        True,
        "giica",
    ]
    assert tables.departures_table(replace(frames, readings=frames.readings.assign(departs=False))).empty
    with pytest.raises(NoDataError, match="No reading"):
        tables.departures_table(replace(frames, readings=frames.readings.iloc[:0]))


def test_where_methods_were_treated_unlike_is_said_once_a_setting(frames: Frames) -> None:
    sentence = "The critics' optimizer: adam for ce; adadelta for glcic."
    unlike = frames.readings.assign(unlike=frames.readings["key"].map({"critic_head": sentence}).fillna(""))
    table = tables.unlike_table(replace(frames, readings=unlike))
    assert table.to_numpy().tolist() == [["critic_head", "R7", sentence]]
    with pytest.raises(NoDataError, match="no two of the methods that it compares are known to differ"):
        tables.unlike_table(frames)


def test_what_the_command_left_out_is_named(frames: Frames) -> None:
    runs = frames.runs[~frames.runs["variant"].isin(["ce", "glcic"])]
    lacking = replace(frames, runs=runs, study={**frames.study, "left_out": {"glcic": {}}})
    notes = tables.table_6(lacking, "faces").set_index("variant")["notes"]
    assert (notes["glcic"], notes["ce"]) == ("left out: add --only glcic", "not in this study")
    by_claims = replace(lacking, study={**frames.study, "left_out": {"glcic": {"by": "--claims"}}})
    assert tables.table_6(by_claims, "faces").set_index("variant")["notes"]["glcic"] == "left out by --claims"


def test_giica_is_one_of_the_paper_s(frames: Frames) -> None:
    assert ordered(frames, ["mean", "proposed", "giica", "single", "glcic", "ce"]) == [
        "ce", "glcic", "giica", "proposed", "single", "mean",
    ]  # fmt: skip
    assert group(frames, "giica") == "paper"


@pytest.mark.parametrize(
    ("level", "text"),
    [
        ("mean", "mean"), ("0.004", "0.004"), ("true", "yes"), ("js", "JS"), ("null", "not set"), ("{", "{"),
        ("{}", "{}"),
        ('{"kind": "center"}', "center"), ('{"kind": "free_form", "strokes": 4}', "free_form, strokes 4"),
        ('{"local": 0.1, "global": 0.2}', "local 0.1, global 0.2"),
    ],
)  # fmt: skip
def test_levels_are_read_as_a_reader_writes_them(level: str, text: str) -> None:
    assert level_label(level) == text


def test_an_ablation_widens_its_intervals(frames: Frames) -> None:
    table = tables.ablation_table(frames, "critics_and_loss", "faces").set_index("variant")
    alone = tables.table_6(frames, "faces").set_index("variant")
    assert list(table.columns[:2]) == ["multiscale", "loss"]
    assert len(table) == 8
    assert table.loc["proposed", "low"] < alone.loc["proposed", "hole_low"]
    assert np.isnan(table.loc["proposed", "difference"])
    assert table.loc["multiscale=0,loss=js", "diverged"] == 1
    with pytest.raises(NoDataError, match="no ablation nothing"):
        tables.ablation_table(frames, "nothing", "faces")


def test_one_variant_may_stand_in_two_cells(frames: Frames) -> None:
    cells = pd.DataFrame(
        [("x", v, f, level) for v, level in (("ce", "0"), ("ce", "1"), ("proposed", "2")) for f in ("n", "m")],
        columns=["ablation", "variant", "factor", "level"],
    )
    table = tables.ablation_table(replace(frames, factors=cells), "x", "faces")
    assert table[["variant", "n", "m"]].to_numpy().tolist() == [
        ["ce", "0", "0"],
        ["ce", "1", "1"],
        ["proposed", "2", "2"],
    ]


def test_cost_and_sharing(frames: Frames) -> None:
    cost = tables.cost_table(frames)
    assert "mean" not in cost["variant"].tolist()
    assert cost.set_index("variant").loc["proposed", "seconds"] == 143.0
    stages = tables.stage_table(frames).set_index("kind")
    assert stages.loc["pretrain", ["stages", "uses", "seconds", "seconds_unshared"]].tolist() == [1, 11, 25.0, 275.0]


def test_readings_that_depart_come_first_and_are_told_once(frames: Frames) -> None:
    table = tables.readings_table(frames)
    assert table["reading"].tolist() == ["R11", "R1", "R7"]
    assert table["variants"].tolist() == ["all"] * 3
    other = (frames.readings["variant"] == "ce") & (frames.readings["reading"] == "R7")
    mixed = replace(frames, readings=frames.readings.assign(value=frames.readings["value"].mask(other, "linear")))
    heads = tables.readings_table(mixed).query("reading == 'R7'").set_index("value")["variants"]
    assert heads.to_dict() == {"mean": "all but ce", "linear": "ce"}


def test_frames_name_missing_columns() -> None:
    with pytest.raises(ValueError, match=r"frames\.runs: columns \['critic_parameters', .* are missing"):
        Frames(study={}, runs=pd.DataFrame({"run": []}))


def test_table_8_has_ours_and_what_is_not_trained_beside_the_paper_s(study_of: Callable[..., Frames]) -> None:
    scenes = study_of([0, 1, 2], "scenes", data=[{"name": "scenes", "kind": "folder", "like": "Places2"}])
    table = tables.table_8(scenes)
    assert table[["data", "counterpart", "variant", "metric"]].to_numpy().tolist() == [
        ["", "ImageNet", "proposed", "psnr"],
        ["", "ImageNet", "proposed", "ssim"],
        *(["scenes", "Places2", v, m] for m in ("psnr", "ssim") for v in ("proposed", "mean", "biharmonic")),
    ]
    assert table["published"].dropna().tolist() == [18.55, 0.7483, 19.21, 0.7869]
    assert table.loc[0, ["seeds", "images", "hole_seeds"]].tolist() == [0, 0, ()] and np.isnan(table.loc[0, "whole"])
    assert table.loc[0, "notes"] == "no data set of this study stands beside ImageNet"
    means = scenes.scores.groupby(["variant", "metric", "region"])["value"].mean()
    for row in table.iloc[2:].itertuples():
        assert row.hole == pytest.approx(means[row.variant, row.metric, "hole"])
        assert row.whole_low < row.whole < row.whole_high
        assert len(row.hole_seeds) == row.seeds == 3
    apart = scenes.scores.query("variant == 'proposed' and metric == 'ssim' and region == 'hole'")
    assert table.loc[5, "hole_seeds"] == pytest.approx(tuple(apart.groupby("seed")["value"].mean()))


def test_table_8_stands_alone_where_the_study_has_faces(frames: Frames) -> None:
    assert tables.table_8(frames)["data"].tolist() == [""] * 4
    unnamed = tables.table_8(replace(frames, study={**frames.study, "reference": "multiscale=1,loss=js"}))
    assert set(unnamed["variant"]) == {"multiscale=1,loss=js"}


def strong(frames: Frames, metric: str = "psnr") -> dict[str, list[str]]:
    table = tables.results_table(frames, metric=metric, data="faces")
    return {region: table.loc[table[f"strong_{region}"], "variant"].tolist() for region in ("whole", "hole")}


def scored(frames: Frames, change: Callable[[pd.DataFrame], Any]) -> Frames:
    """With other values, made of the rows."""
    return replace(frames, scores=frames.scores.assign(value=change))


def test_only_a_best_that_is_resolved_is_strong(frames: Frames, study_of: Callable[..., Frames]) -> None:
    second = compare(frames.runs, frames.scores, "reconstruction_only", "proposed", data="faces")
    assert second.low > 0
    assert strong(frames) == {"whole": ["reconstruction_only"], "hole": ["reconstruction_only"]}
    level = scored(frames, lambda t: t["value"] - 0.7 * (t["variant"] == "reconstruction_only"))
    assert strong(level) == {"whole": [], "hole": []}
    assert strong(study_of([0, 1])) == {"whole": [], "hole": []}
    alone = replace(frames, runs=frames.runs[~frames.runs["variant"].isin(["ce", "glcic", "proposed", "single"])])
    assert strong(alone) == {"whole": [], "hole": []}  # nothing to be better than
    four = study_of([0, 1, 2, 3])
    assert strong(four)["hole"] == ["reconstruction_only"]
    lost = four.runs["run"] == "reconstruction_only/faces/3"
    diverged = replace(four, runs=four.runs.assign(status=four.runs["status"].mask(lost, "diverged")))
    assert strong(diverged) == {"whole": [], "hole": []}  # its mean is of the seeds that were left


def test_fillers_and_the_other_variants_are_never_strong(frames: Frames) -> None:
    high = ["mean", "multiscale=3,loss=wgan"]
    above = scored(frames, lambda t: t["value"] + 9.0 * t["variant"].isin(high))
    assert strong(above) == {"whole": ["reconstruction_only"], "hole": ["reconstruction_only"]}


def test_of_an_error_the_least_is_strong(frames: Frames) -> None:
    errors = replace(frames, scores=frames.scores[frames.scores["metric"] == "psnr"].assign(metric="l1"))
    errors = scored(errors, lambda t: 10 ** (-t["value"] / 20))
    assert strong(errors, "l1") == {"whole": ["reconstruction_only"], "hole": ["reconstruction_only"]}
    assert strong(scored(errors, lambda t: 1 - t["value"]), "l1") == {"whole": [], "hole": []}  # now ce leads by little


ADAM = {"kind": "adam", "lr": 2e-4, "betas": [0.5, 0.999]}
COMMON = {"batch": 16, "steps": {"pretrain": 200, "critic": 100, "joint": 700}, "optimizer": ADAM}
WGAN = {"kind": "wgan", "form": None, "norm": "none", "clip": 0.035, "penalty": None, "critic_steps": 2,
        "optimizer": {"kind": "rmsprop", "lr": 5e-5, "betas": None}}  # fmt: skip
RATES = {"pretrain": {"lr": 4e-3, "drop_after": 0.6, "drop_to": 0.3}, "joint": {"lr": 6e-4, "drop_after": 1.0}}
WEIGHTS = {"local": 0.001, "global": 0.001}
CONFIGS = {
    "proposed": {**COMMON, "loss": WGAN, "rates": RATES, "weights": WEIGHTS, "total_weight": None},
    "glcic": {**COMMON, "loss": {**WGAN, "kind": "js", "clip": None}, "weight": 4e-4},
    "ce": {**COMMON, "loss": {**WGAN, "kind": "js", "form": "saturating", "clip": None}, "weight": 0.002},
    "reconstruction_only": {**COMMON, "rates": RATES},
    "single": {**COMMON, "loss": WGAN, "weights": {**WEIGHTS, "local": 0.5}, "total_weight": None},
    "multiscale=0,loss=wgan": {**COMMON, "loss": WGAN, "weights": WEIGHTS, "total_weight": 0.004},
    "mean": {"images": None},
}


def configured(frames: Frames) -> Frames:
    """With options; the stages of the first key know what they are, those of the others are told by their keys."""
    starts = frames.runs["start"].mask(frames.runs["start"].str.startswith("own"), "joint-1")
    starts = starts.str.replace("pretrain0", "a1").str.replace(r"pretrain(\d)", r"pretrain-\1", regex=True)
    configs = {name: {"method": name, "options": options} for name, options in CONFIGS.items()}
    return replace(frames, runs=frames.runs.assign(start=starts), study={**frames.study, "configs": configs})


def test_the_schedule_stands_under_the_paper_s(frames: Frames) -> None:
    table = tables.schedule_table(configured(frames)).set_index("variant")
    assert table.index.tolist() == [
        "", "ce", "glcic", "proposed", "reconstruction_only", "single", "multiscale=0,loss=wgan",
    ]  # fmt: skip
    stages = ["pretrain", "critic", "joint", "updates", "batch"]
    assert table.loc["", stages].tolist() == [20_000, 10_000, 70_000, 90_000, 32]
    assert table.loc["proposed", stages].tolist() == [200, 100, 700, 900, 16]
    assert table.loc["ce", stages].tolist() == [0, 0, 900, 900, 16]
    assert table.loc["reconstruction_only", stages].tolist() == [200, 0, 700, 900, 16]
    assert table.loc["ce", "note"] == "joint from the start, for as many updates of the generator"
    assert "are not said" in table.loc["", "note"]


def test_the_schedule_tells_losses_optimisers_and_rates(frames: Frames) -> None:
    table = tables.schedule_table(configured(frames)).set_index("variant")
    told = ["loss", "form", "norm", "weights", "optimizer", "betas", "critic_optimizer", "critic_betas"]
    assert table.loc["", told].tolist() == ["wgan", "", "", "0.001 each", "", "", "", ""]
    assert table.loc["ce", told].tolist() == [
        "js", "saturating", "none", "0.002 each", "adam", "0.5, 0.999", "rmsprop", "",
    ]  # fmt: skip
    assert table.loc["reconstruction_only", told].tolist() == ["", "", "", "", "adam", "0.5, 0.999", "", ""]
    assert table.loc["single", "weights"] == "local 0.5, global 0.001"
    assert table.loc["multiscale=0,loss=wgan", "weights"] == "0.004 in all"
    assert table.loc["proposed", ["clip", "critic_steps", "critic_rate"]].tolist() == [0.035, 2, 5e-5]
    assert table.loc["proposed", ["rate_pretrain", "rate_joint"]].tolist() == [4e-3, 6e-4]
    assert table.loc["proposed", "drop"] == "pretrain: times 0.3 after 60% of its steps"
    assert table.loc["glcic", ["rate_pretrain", "rate_joint", "drop"]].tolist() == [2e-4, 2e-4, ""]
    assert table.loc["", ["clip", "critic_rate", "rate_joint"]].isna().all()
    assert np.isnan(table.loc["ce", "rate_pretrain"]) and table.loc["", "critic_steps"] == 1
    with pytest.raises(NoDataError, match="No trained variant's options"):
        tables.schedule_table(frames)


def watched(frames: Frames) -> Frames:
    """With two critics' series of ten steps, each the step times a number, and a sharpness by variant and seed."""
    rows: list[dict[str, Any]] = []
    shared = ["run", "variant", "data", "seed"]
    for run in frames.runs[frames.runs["variant"].isin(["proposed", "ce", "multiscale=0,loss=js"])].to_dict("records"):
        of = {name: run[name] for name in shared}
        series = {("generator", "ratio"): 1.0, ("generator", "gradient_norm"): 900.0, ("local", "gap"): 2.0}
        series |= {("global", "gap"): 4.0, ("local", "at_bound"): 0.001, ("global", "gradient_norm"): 7.0}
        for (network, term), scale in series.items():
            for stage, times in (("critic", 99), ("joint", 1 + run["seed"])):
                facts = {**of, "stage": stage, "network": network, "term": term}
                rows += [{**facts, "step": step, "value": step * scale * times} for step in range(10, 101, 10)]
    sharp = frames.scores.query("metric == 'psnr' and region == 'hole'").assign(metric="sharpness")
    sharp["value"] = 0.5 + 0.1 * (sharp["variant"] == "proposed") + 0.01 * sharp["seed"]
    scores = pd.concat([frames.scores, sharp], ignore_index=True)
    return replace(frames, scores=scores, curves=pd.DataFrame(rows)[list(COLUMNS["curves"])])


def test_the_mechanism_is_of_the_last_fifth_of_the_joint_stage(frames: Frames) -> None:
    table = tables.mechanism_table(watched(frames), "faces").set_index("variant")
    assert "reconstruction_only" not in table.index and "mean" not in table.index
    own = table.loc["proposed"]
    assert own[["ratio", "ratio_least", "ratio_greatest"]].tolist() == pytest.approx([95 * 2, 95, 95 * 3])
    assert own[["gap", "gap_least", "gap_greatest"]].tolist() == pytest.approx([95 * 3 * 2, 95 * 3, 95 * 9])
    assert own["at_bound"] == pytest.approx(0.001 * 95 * 2)
    assert own["gradient_norm"] == pytest.approx(7 * 95 * 2)  # of the critics, not of G
    assert np.isnan(own["score_size"]) and own["critics"] == "local, global"
    assert own[["seeds", "diverged"]].tolist() == [3, 0]
    assert table.loc["multiscale=0,loss=js", ["seeds", "diverged"]].tolist() == [2, 1]
    assert table.loc["multiscale=0,loss=js", "ratio_greatest"] == pytest.approx(95 * 2)  # the diverged seed is not in
    assert np.isnan(table.loc["glcic", "gap"])


def test_the_mechanism_says_what_came_of_it(frames: Frames) -> None:
    table = tables.mechanism_table(watched(frames), "faces").set_index("variant")
    difference = ["sharpness_difference", "sharpness_difference_low", "sharpness_difference_high"]
    assert table.loc["proposed", "sharpness"] == pytest.approx(0.61)
    assert table.loc["proposed", difference].tolist() == pytest.approx([0.1] * 3)
    assert table.loc["proposed", "paired"] and not table.loc["ce", "paired"]
    seams = frames.scores.query("metric == 'seam'").groupby("variant")["value"].mean()
    assert table["seam"].to_dict() == pytest.approx({name: seams[name] for name in table.index})
    assert (table["seam_low"] < table["seam"]).all()
    alone = tables.mechanism_table(replace(frames, study={**frames.study, "control": None}), "faces")
    assert alone["sharpness_difference"].isna().all() and alone["sharpness"].isna().all()
    with pytest.raises(NoDataError, match=r"^No method with critics was trained on tiles\.$"):
        tables.mechanism_table(frames, "tiles")


def test_costs_are_counted_timed_and_summed(frames: Frames) -> None:
    bare = tables.cost_table(frames).set_index("variant")
    assert bare[["macs", "critic_macs"]].isna().all(axis=None)
    assert bare.loc["proposed", "device_hours"] == pytest.approx((140 + 143 + 146) / 3600)
    assert bare.loc["single", ["runs", "device_hours"]].tolist() == pytest.approx([2, 429 / 3600])  # one run failed
    built = [{"name": name, "macs": macs} for name, macs in (("generator", 1000), ("local", 20), ("global", 3))]
    known = replace(
        frames,
        study={**frames.study, "networks": {"proposed": {"networks": built}, "ce": {"networks": built[:1]}}},
        runs=frames.runs.assign(step_ms=[5.0, 9.0, 6.0] * 14, memory_mib=[300.0, 310.0, None] * 14),
    )
    table = tables.cost_table(known).set_index("variant")
    columns = ["macs", "critic_macs", "step_ms", "memory_mib"]
    assert table.loc["proposed", columns].tolist() == [1000, 23, 6.0, 310.0]
    assert table.loc["ce", columns].tolist() == [1000, 0, 6.0, 310.0]
    assert np.isnan(table.loc["glcic", "macs"])
    assert table.loc["single", columns[2:]].tolist() == [5.5, 300.0]  # the run in between failed


def built_as(frames: Frames, options: Proposed | ReconstructionOnly, side: int) -> Frames:
    """With the proposed model's networks as they are built for images of `side` pixels."""
    return replace(frames, study={**frames.study, "networks": {"proposed": describe(options, side)}})


def test_at_the_paper_s_size_every_printed_layer_agrees(frames: Frames) -> None:
    own = built_as(frames, Proposed(), 256)
    for entry in paper()["architecture"]:
        table = tables.architecture_table(own, entry["table"])
        printed = table[table["layer"].notna()]
        rows = [
            {k: v for k, v in row.items() if v is not None} for row in printed[list(tables.GEOMETRY)].to_dict("records")
        ]
        assert rows == entry["layers"]
        assert printed["agrees"].all() and (printed["differs"] == "").all() and (printed["why"] == "").all()
        rest = table[table["layer"].isna()]
        assert not rest["agrees"].any() and set(rest["differs"]) <= {"not printed"}
        built = next(
            n for n in own.study["networks"]["proposed"]["networks"] if n["paper"] == f"Table {entry['table']}"
        )
        assert table["macs"].sum() == built["macs"]
        assert table["parameters"].sum() == built["parameters"] - built["norm_parameters"]
    assert table["name"].tolist()[-1] == "head" and "R7" in table["why"].iloc[-1]


def test_a_narrow_network_says_where_and_why_it_is_not_as_printed(frames: Frames) -> None:
    own = built_as(frames, Proposed(width=0.125), 64)
    generator = tables.architecture_table(own, 1)
    first, last = generator.iloc[0], generator.iloc[-1]
    assert first[["outputs", "built_outputs", "differs"]].tolist() == [64, 8, "outputs 8, not 64"]
    assert first["why"] == "Width 0.125: outputs are not the published ones."
    assert last["agrees"] and generator["agrees"].sum() == 1  # three channels are three channels
    assert generator["receptive_field"].tolist()[:3] == [5, 7, 11]
    critic = tables.architecture_table(own, 5)
    assert critic["layer"].tolist() == [None, None, "conv", "conv", "conv", "conv", None]
    assert critic["differs"].tolist()[4:] == ["not built", "not built", "not printed"]
    assert critic.loc[4, ["built_outputs", "size", "macs"]].tolist() == [None] * 3


def test_what_architecture_is_not_there_is_said(frames: Frames) -> None:
    with pytest.raises(NoDataError, match=r"^What was built is not recorded\.$"):
        tables.architecture_table(frames, 1)
    with pytest.raises(NoDataError, match=r"no network of Table 4"):
        tables.architecture_table(built_as(frames, Proposed(multiscale=0), 64), 4)
    with pytest.raises(ValueError, match=r"^table: 6 is none of the paper's tables of networks; choose 1, 2, 3, 4, 5$"):
        tables.architecture_table(frames, 6)


def test_the_worst_repairs_are_furthest_below_the_filler(frames: Frames) -> None:
    own = frames.scores.query("metric == 'psnr' and region == 'hole'").pivot(
        index="image", columns=["variant", "seed"], values="value"
    )
    near = scored(frames, lambda t: t["value"] - 4.1 * (t["variant"] == "proposed"))
    ours, theirs = own["proposed"] - 4.1, own["biharmonic"].mean(axis=1).dropna()
    ours = ours.loc[theirs.index]
    difference = (ours.mean(axis=1) - theirs).sort_values()
    table = tables.worst_table(near, "faces")
    assert table["image"].tolist() == difference.index.tolist() and len(table) == 5  # the filler repaired so many
    assert table["difference"].tolist() == pytest.approx(difference.tolist())
    assert table["reference"].tolist() == pytest.approx(ours.mean(axis=1)[difference.index].tolist())
    assert table["filler"].tolist() == pytest.approx(theirs[difference.index].tolist())
    worse = ours.lt(theirs, axis=0)
    assert 0 < worse.to_numpy().sum() < worse.size
    assert table["seeds_worse"].tolist() == worse.sum(axis=1)[difference.index].tolist()
    assert table["share"].tolist() == pytest.approx([worse.to_numpy().mean()] * 5)
    assert table.loc[0, ["filler_variant", "images", "seeds"]].tolist() == ["biharmonic", 5, 3]
    assert tables.worst_words(table) == (
        "Of 5 test images those 5 on which the PSNR of the hole lies furthest below, or least above, that of the "
        f"biharmonic filler, in means over seeds. {worse.to_numpy().mean():.1%} of all repairs, each image at each "
        "seed, are worse than the filler's."
    )


def test_the_worst_repairs_need_the_proposed_model_and_a_filler(frames: Frames) -> None:
    near = scored(frames, lambda t: t["value"] - 4.1 * (t["variant"] == "proposed"))
    only_mean = replace(near, runs=near.runs[near.runs["variant"] != "biharmonic"])
    assert len(tables.worst_table(only_mean, "faces")) == tables.WORST_SHOWN
    untrained = frames.runs[frames.runs["variant"].isin(["mean", "biharmonic"])]
    with pytest.raises(NoDataError, match=r"^No run of the proposed model has been scored on faces\.$"):
        tables.worst_table(replace(frames, runs=untrained), "faces")
    with pytest.raises(NoDataError, match=r"^No run of a trivial filler has been scored on faces\.$"):
        tables.worst_table(replace(frames, runs=frames.runs.drop(untrained.index)), "faces")


def test_the_detectable_stands_beside_the_paper_s_gain(frames: Frames) -> None:
    table = tables.detectable_table(frames, "faces").set_index(["b", "metric"])
    assert table.index.tolist() == [(b, m) for b in ("glcic", "reconstruction_only") for m in ("psnr", "ssim")]
    assert table["published"].tolist() == pytest.approx([0.16, 0.006] * 2)
    for (b, metric), row in table.iterrows():
        region = {"psnr": "hole", "ssim": "whole"}[metric]
        found = compare(frames.runs, frames.scores, "proposed", b, metric=metric, region=region, data="faces")
        assert row["detectable"] == pytest.approx(found.detectable)
        assert row["enough"] == (row["detectable"] <= row["published"])
        assert row[["seeds_a", "images", "paired"]].tolist() == [3, 12, True]
    without = frames.runs[~frames.runs["variant"].isin(["glcic", "reconstruction_only"])]
    with pytest.raises(NoDataError, match="Neither GLCIC nor the control ran on faces"):
        tables.detectable_table(replace(frames, runs=without), "faces")


def test_on_other_data_the_gain_is_still_that_on_faces(study_of: Callable[..., Frames]) -> None:
    table = tables.detectable_table(study_of([0, 1, 2], "scenes", data=[{"name": "scenes"}]), "scenes")
    assert table["published"].tolist() == pytest.approx([0.16, 0.006] * 2)


def test_one_seed_resolves_nothing(study_of: Callable[..., Frames]) -> None:
    table = tables.detectable_table(study_of([0]), "faces")
    assert table["detectable"].isna().all() and not table["enough"].any()


def test_text_may_be_categories(frames: Frames, as_categories: Callable[[Frames], Frames]) -> None:
    plain = blend(watched(configured(frames)))
    other = as_categories(plain)
    made: list[Callable[[Frames], pd.DataFrame]] = [
        tables.table_8,
        tables.schedule_table,
        *(
            lambda each, make=make: make(each, "faces")
            for make in (
                tables.table_6, tables.table_7, tables.contrast_table, tables.blending_table, tables.mechanism_table,
                tables.worst_table, tables.detectable_table,
            )
        ),
        lambda each: tables.ablation_table(each, "critics_and_loss", "faces"),
    ]  # fmt: skip
    for make in made:
        pd.testing.assert_frame_equal(make(other), make(plain))
