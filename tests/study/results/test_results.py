"""A study in pandas: tidy frames, whatever of it is there, and a comparison that can be checked by hand."""

from __future__ import annotations

import dataclasses
import html
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rule
import tiny
from PIL import Image

import study
from reports.analysis.frames import COLUMNS
from reports.sections import document
from study import config
from study.errors import BadInput
from study.evaluation.shares import hole_shares
from study.plan.graph import Plan
from study.plan.planner import make_plan
from study.results.frames import Results, frames_of
from study.store import RunState, Store, read_facts

VARIANTS = {name: tiny.EVERY[name] for name in ("proposed", "single", "glcic", "reconstruction_only", "mean")}
WILD = {**tiny.PROPOSED, "optimizer": {"kind": "adam", "lr": 1.0e30}, "norm": "none"}


@pytest.fixture(scope="module")
def made(made_once: Callable[..., Path]) -> tuple[Plan, Store]:
    ablations = {
        "critics": {"reference": "proposed", "factors": {"multiscale": [0, 1], "loss": ["wgan", "js"]}},
        "weight": {"reference": "proposed", "factors": {"total_weight": [None, 0.003]}},  # what it is anyway
    }
    vary = {"loss": ["wgan", "js"], "total_weight": [0.003], "fill": ["zero"]}
    multiverses = {"readings": {"base": ["proposed", "mean"], "vary": vary}}
    study = {"seeds": [0, 1, 2], "ablations": ablations, "multiverses": multiverses}
    variants = {**VARIANTS, "wild": WILD}
    out = made_once("results", lambda folder: tiny.recorded(*tiny.planned(folder, variants, **study))) / "out"
    plan = Plan.read(out / "plan.json")
    assert plan is not None
    return plan, Store(out)


@pytest.fixture(scope="module")
def results(made: tuple[Plan, Store]) -> Results:
    return study.load(made[1].out)


def test_every_frame_has_its_columns(results: Results) -> None:
    for name, columns in COLUMNS.items():
        frame = getattr(results, name)
        empty = ("trials", "distances", "running")  # nobody asked, and nothing runs
        assert isinstance(frame, pd.DataFrame) and (len(frame) or name in empty)
        assert list(frame.columns) == list(columns), name


def test_runs(results: Results, made: tuple[Plan, Store]) -> None:
    runs = results.runs.set_index("run")
    assert len(runs) == len(made[0].runs)
    proposed = runs.loc["proposed/faces/1"]
    assert (proposed["status"], proposed["updates"], proposed["seed"], proposed["method"]) == (
        "completed",
        7,
        1,
        "proposed",
    )
    assert proposed["parameters"] > 0 and proposed["critic_parameters"] > 0 and proposed["seconds"] > 0
    assert proposed["start"] == runs.loc["single/faces/1", "start"] != runs.loc["glcic/faces/1", "start"]
    assert runs.loc["mean/faces/0", "start"] == "" and runs.loc["mean/faces/0", "updates"] == 0
    trained = results.runs[results.runs["method"] != "mean"]
    assert set(trained["updates"]) == {7}
    wild = runs.loc["wild/faces/0"]
    assert wild["status"] == "diverged" and wild["diverged_at"] >= 1 and "at step" in wild["why"]


def test_scores_are_what_was_stored(results: Results, made: tuple[Plan, Store]) -> None:
    plan, store = made
    scores = results.scores
    assert not scores.duplicated(["run", "image", "region", "output", "metric"]).any()
    assert "wild" not in set(scores["variant"])
    one = scores.query("run == 'glcic/faces/2' and output == 'raw' and region == 'hole' and metric == 'psnr'")
    key = tiny.run_of(plan, "glcic", 2).stages["evaluate"]
    facts = json.loads((store.folder(key) / "evaluation.json").read_text())
    from safetensors.numpy import load_file

    wide = load_file(store.folder(key) / "scores.safetensors")["scores"]
    column = facts["columns"].index(["raw", "hole", "psnr"])
    assert one.set_index("image")["value"].to_dict() == dict(zip(facts["images"], wide[:, column], strict=True))


MASKS: dict[str, dict[str, object]] = {
    "center": {"kind": "center"},
    "random_box": {"kind": "random_box", "smallest": 0.2, "largest": 0.7},
    "free_form": {"kind": "free_form"},
    "by_name": {"kind": "files", "hole": "white"},
    "drawn": {"kind": "files", "hole": "white", "pairing": "drawn"},
}


@pytest.mark.parametrize("kind", MASKS)
def test_each_image_s_share_of_hole_is_that_of_the_hole_it_was_scored_with(kind: str, tmp_path: Path) -> None:
    mask = MASKS[kind] | ({"root": str(tmp_path / "masks")} if MASKS[kind]["kind"] == "files" else {})
    (tmp_path / "masks").mkdir()
    for number in range(4):
        drawn = np.zeros((32, 32), np.uint8)
        drawn[4 : 10 + 5 * number, 4:28] = 255
        Image.fromarray(drawn).save(tmp_path / "masks" / f"test-{number:06d}.png")
    plan, store = tiny.planned(tmp_path, {"mean": tiny.EVERY["mean"]}, protocol={"mask": mask, "pictures": 4})
    tiny.recorded(plan, store)
    before = {file: file.read_bytes() for file in (store.out / "stages").rglob("*.*")}
    for _ in range(2):  # drawn, then read
        results = study.load(store.out)
        shares = results.scores.astype({"image": str}).groupby("image")["hole_share"].unique()
        assert set(map(len, shares)) == {1} and len(shares) == 4
        shown = results.pictures[results.pictures["output"] == "masked"]
        for image, pixels in zip(shown["image"], shown["pixels"], strict=True):
            holes = (np.asarray(pixels) == 0).all(2)
            assert shares[image][0] == pytest.approx(holes.mean(), abs=0.01)
    assert before == {file: file.read_bytes() for file in (store.out / "stages").rglob("*.*")}
    assert (store.out / "holes").exists() is (kind != "center")
    if kind != "center":
        (file,) = (store.out / "holes").iterdir()
        file.write_bytes(b"damaged")
        assert study.load(store.out).scores["hole_share"].equals(results.scores["hole_share"])


def test_holes_of_a_plugin_that_is_not_loaded_have_no_known_share(tmp_path: Path) -> None:
    """No stranger's code runs because an output is read."""
    plan, store = tiny.planned(tmp_path, {"mean": tiny.EVERY["mean"]}, protocol={"mask": {"kind": "random_box"}})
    tiny.recorded(plan, store)
    for key, stage in plan.stages.items():
        if stage.kind == "evaluate":
            stage.options["protocol"]["mask"] = {"kind": "theirs", "version": 1}
            assert hole_shares(stage, store, 4) is None, key


def test_curves(results: Results) -> None:
    curve = results.curves.query(
        "run == 'proposed/faces/0' and stage == 'critic' and network == 'half' and term == 'gap'"
    )
    assert curve["step"].tolist() == [2, 3] and curve["value"].notna().all()
    assert set(results.curves["stage"]) == {"pretrain", "critic", "joint"}


def test_factors_and_readings(results: Results) -> None:
    factors = results.factors.query("ablation == 'critics'")
    cells = factors.pivot(index="variant", columns="factor", values="level")
    assert sorted(map(tuple, cells.to_numpy().tolist())) == [("js", "0"), ("js", "1"), ("wgan", "0"), ("wgan", "1")]
    assert set(cells.index) <= set(results.runs["variant"])
    readings = results.readings.query("variant == 'proposed'").set_index("key")
    assert readings.loc["critic_input", "departs"] and not readings.loc["fill", "departs"]


def test_where_the_compared_methods_were_treated_unlike_is_said_in_a_sentence(results: Results) -> None:
    unlike = results.readings[results.readings["unlike"] != ""]
    assert set(unlike["variant"]) == {"proposed", "glcic"}
    sentences = unlike.drop_duplicates("key").set_index("key")["unlike"]
    assert sentences["optimizer"] == (
        "The generator's optimizer: adam at 0.0002, betas 0.5 and 0.999 for proposed (chosen here); adadelta at 1 for "
        "glcic (as in its own paper)."
    )
    assert (unlike.groupby("key")["unlike"].nunique() == 1).all()
    assert not {"batch", "rates", "flips"} & {*sentences.index}  # treated alike


def test_a_setting_that_is_no_reading_is_listed_where_methods_were_treated_unlike(tmp_path: Path) -> None:
    variants = {"proposed": tiny.PROPOSED, "glcic": {"method": "glcic", "batch": 3}, "ce": {"method": "ce"}}
    _, store = tiny.planned(tmp_path, variants)
    rows = study.load(store.out).readings.query("key == 'batch'")
    assert rows["variant"].tolist() == ["proposed", "glcic", "ce"] and not rows["departs"].any()
    (sentence,) = rows["unlike"].unique()
    assert sentence.startswith("The batch size: 2 for proposed (chosen here); 3 for glcic (chosen here)")


def test_factors_and_universes_name_the_run_that_has_several_names(results: Results) -> None:
    """0.003 in all is what three critics weigh: two levels, one run; both stand under the name that was run."""
    assert results.study["aliases"] == {"proposed:total_weight=0.003": "proposed"}
    weight = results.factors.query("ablation == 'weight'")
    assert weight[["variant", "level"]].to_numpy().tolist() == [["proposed", "null"], ["proposed", "0.003"]]
    assert results.compare("proposed:total_weight=0.003", "proposed").difference == 0
    universes = results.universes
    assert set(universes["multiverse"]) == {"readings"} and universes["universe"].nunique() == 3
    own, js, weighed = (universes.query(f"universe == {n} and base == 'proposed'") for n in range(3))
    assert set(own["variant"]) == set(weighed["variant"]) == {"proposed"} and own["usual"].all()
    assert set(js["variant"]) == {"proposed:loss=js"} <= set(results.runs["variant"])
    assert dict(zip(js["reading"], js["level"], strict=True)) == {"loss": "js", "total_weight": "null", "fill": "zero"}
    assert dict(zip(js["reading"], js["usual"], strict=True)) == {"loss": False, "total_weight": True, "fill": True}
    mean = universes.query("base == 'mean'")
    assert set(mean["variant"]) == {"mean"} and mean["usual"].all() and not mean["applies"].any()


DAMAGE = {
    ("proposed", 0): ("evaluate/scores.safetensors", "missing", "is damaged; run the study again to remake it"),
    ("single", 0): ("evaluate/pictures.safetensors", "missing", "is damaged; run the study again to remake it"),
    ("single", 1): ("evaluate/evaluation.json", "missing", "is damaged; run the study again to remake it"),
    ("glcic", 0): ("joint/series.json", "completed", "is damaged; its curves are left out"),
    ("reconstruction_only", 0): ("joint/manifest.json", "completed", "joint-"),
    ("glcic", 1): ("made", "completed", "the machine and time of its stage"),
    ("glcic", 2): ("state", "missing", "its outcome is not recorded; run the study again to record it"),
}


@pytest.mark.parametrize("harm", ["removed", "truncated", "garbage", "flipped"])
def test_what_is_damaged_is_named_and_all_else_is_there(made: tuple[Plan, Store], tmp_path: Path, harm: str) -> None:
    """Each file in another run; then the counts of the data, which all runs share."""
    plan, store = made
    out = Path(shutil.copytree(store.out, tmp_path / "out"))

    def damage(file: Path) -> None:
        content = file.read_bytes()
        if harm == "removed":
            file.unlink()
        elif harm == "flipped":
            file.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
        else:
            file.write_bytes(content[: len(content) // 2] if harm == "truncated" else b"\x00\xff{")

    expected: dict[str, tuple[str, str]] = {}
    for named, (place, status, why) in DAMAGE.items():
        if harm == "flipped" and place in ("made", "state"):
            continue  # they have no checksum
        run = tiny.run_of(plan, *named)
        role, _, name = place.partition("/")
        if role == "made":
            damage(out / "made" / f"{run.stages['joint']}.json")
        elif role == "state":
            damage(RunState.of(out, run.name).file)
        else:
            damage(out / "stages" / run.stages[role] / name)
        expected[run.name] = (status, why)
    found = study.load(out)
    for row in found.runs.query("variant != 'wild'").to_dict("records"):
        status, why = expected.get(row["run"], ("completed", ""))
        assert row["status"] == status and why in row["why"], row
    damage(out / "stages" / run.stages["data"] / "data.json")
    found = study.load(out)
    assert found.runs["why"].str.contains("is damaged; its image counts are left out").any()
    document(found)


OTHER = [b"5", b"[1]", b'{"files": 1, "outcome": [1], "status": 5}', b'{"seconds": "x", "steps": 3, "device": "cpu"}']


@pytest.mark.parametrize("content", OTHER)
def test_json_that_says_something_else_is_damaged(made: tuple[Plan, Store], tmp_path: Path, content: bytes) -> None:
    plan, store = made
    run = tiny.run_of(plan, "glcic", 0)
    joint, last, data = (run.stages[role] for role in ("joint", "evaluate", "data"))
    damages = {
        f"made/{joint}.json": f"the machine and time of its stage {joint} are not recorded",
        f"stages/{joint}/manifest.json": f"its stage {joint} is damaged; its curves are left out",
        f"stages/{last}/manifest.json": f"its stage {last} is damaged; run the study again to remake it",
        f"stages/{data}/data.json": f"its stage {data} is damaged; its image counts are left out",
        RunState.of(Path(), run.name).file.as_posix(): "its outcome is not recorded; run the study again to record it",
    }
    out = shutil.copytree(store.out, tmp_path / "out")
    for name, why in damages.items():
        whole = (out / name).read_bytes()
        (out / name).write_bytes(content)
        assert study.load(out).runs.set_index("run").loc[run.name, "why"] == why
        (out / name).write_bytes(whole)


def test_no_flipped_bit_hides_a_run_or_changes_it_in_silence(
    made: tuple[Plan, Store], results: Results, tmp_path: Path
) -> None:
    plan, store = made
    out, drawn = shutil.copytree(store.out, tmp_path / "out"), random.Random(0)
    places = ("plan.json", "made/*.json", "runs/*.json", "stages/*/*.json", "stages/*/*.safetensors")
    files = [sorted(out.glob(place)) for place in places]
    for number in range(20):
        file = drawn.choice(files[number % len(files)])
        whole = file.read_bytes()
        place = drawn.randrange(len(whole))
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << drawn.randrange(7)]) + whole[place + 1 :])
        try:
            found = study.load(out)
            assert len(found.runs) == len(plan.runs)
            _unchanged(found, results)
        except BadInput:
            assert file.name == "plan.json"
        file.write_bytes(whole)


def _unchanged(found: Results, sound: Results) -> None:
    """Asserts that each run whose ``why`` says no more than it did has its numbers."""
    now, before = found.runs.set_index("run"), sound.runs.set_index("run")
    same = now.index[now["why"] == before["why"]]
    pd.testing.assert_frame_equal(now.loc[same], before.loc[same], check_dtype=False)
    for name in ("scores", "curves"):
        of = [frame[frame["run"].isin(same)] for frame in (getattr(found, name), getattr(sound, name))]
        pd.testing.assert_frame_equal(*(one.reset_index(drop=True) for one in of), check_categorical=False)
    both = found.stages.merge(sound.stages, on="key")
    known = both["seconds_x"].notna()
    assert (both["seconds_x"] == both["seconds_y"])[known].all()


@pytest.mark.parametrize("name", ["made/*.json", "runs/*.json", "plan.json"])
def test_no_changed_value_is_taken_for_the_one_that_was_written(
    made: tuple[Plan, Store], results: Results, tmp_path: Path, name: str
) -> None:
    out = shutil.copytree(made[1].out, tmp_path / "out")
    file = sorted(out.glob(name))[0]
    facts = json.loads(file.read_text())
    for key, value in facts.items():
        other = {str: "other", float: 123.5, int: 7, list: [], dict: {}}.get(type(value), 1)
        file.write_text(json.dumps({**facts, key: other}))
        try:
            _unchanged(study.load(out), results)
        except BadInput:
            assert name == "plan.json"


def test_a_record_of_another_stage_or_run_is_not_taken(made: tuple[Plan, Store], tmp_path: Path) -> None:
    plan, store = made
    out, copy = shutil.copytree(store.out, tmp_path / "out"), Store(tmp_path / "out")
    joint = [key for key, stage in plan.stages.items() if stage.kind == "joint"][:2]
    shutil.copy(out / "made" / f"{joint[0]}.json", out / "made" / f"{joint[1]}.json")
    assert copy.made(joint[0]) and copy.made(joint[1]) == {}
    first, second = (RunState.of(out, run.name) for run in plan.runs[:2])
    shutil.copy(first.file, second.file)
    assert first.read() and second.read() == {}


def test_a_diverged_run_whose_end_is_damaged_is_missing(made: tuple[Plan, Store], tmp_path: Path) -> None:
    plan, store = made
    out = shutil.copytree(store.out, tmp_path / "out")
    key = tiny.run_of(plan, "wild").stages["evaluate"]
    file = out / "stages" / key / "manifest.json"
    content = json.loads(file.read_text())
    content["outcome"]["step"] += 1
    file.write_text(json.dumps(content))
    row = study.load(out).runs.set_index("run").loc["wild/faces/0"]
    assert row["status"] == "missing" and row["why"] == f"its stage {key} is damaged; run the study again to remake it"
    assert pd.isna(row["diverged_at"])


DAMAGED = [b"", b"{", b"[]", b"{}", b'{"study": {}}', b'{"study": 1, "runs": [2], "stages": []}']


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_plan_says_what_to_do(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "plan.json").write_bytes(content)
    with pytest.raises(BadInput, match=r"plan\.json: this file is damaged; write it anew.*study run STUDY --out"):
        study.load(tmp_path)


@pytest.mark.parametrize("lost", ["stage", "evaluate", "level"])
def test_a_plan_in_which_something_is_lost_is_damaged(made: tuple[Plan, Store], tmp_path: Path, lost: str) -> None:
    value = read_facts(made[1].out / "plan.json")
    if lost == "stage":
        del value["stages"][0]
    elif lost == "evaluate":
        del value["runs"][0]["stages"]["evaluate"]
    else:
        del value["study"]["ablations"]["critics"]["cells"]
    (tmp_path / "plan.json").write_text(json.dumps(value))
    with pytest.raises(BadInput, match=r"plan\.json: this file is damaged"):
        study.load(tmp_path)


def test_pictures(results: Results) -> None:
    one = results.pictures.query("run == 'mean/faces/0'")
    assert set(one["output"]) == {"truth", "masked", "raw", "composite", "blended"} and one["image"].nunique() == 2
    assert all(pixels.shape == (32, 32, 3) and pixels.dtype == np.uint8 for pixels in one["pixels"])


def test_worst_pictures_are_of_the_lowest_scores(results: Results) -> None:
    scores = results.select("psnr", "hole", "composite", "faces")
    assert set(results.worst["run"]) == set(scores["run"])
    for run, shown in results.worst.groupby("run"):
        lowest = scores[scores["run"] == run].sort_values("value")["image"].tolist()[:3]
        assert shown["image"].unique().tolist() == lowest
        assert set(shown["output"]) == {"truth", "masked", "raw", "composite", "blended"}


def test_an_output_without_worst_pictures_is_read(made: tuple[Plan, Store], tmp_path: Path) -> None:
    plan, store = made
    copy = Store(shutil.copytree(store.out, tmp_path / "out"))
    for key in {run.stages["evaluate"] for run in plan.runs if run.variant != "wild"}:
        outcome, by = copy.outcome(key), copy.made(key)
        files = copy.files(key)
        shutil.copytree(copy.folder(key), files, dirs_exist_ok=True)
        (files / "worst.safetensors").unlink()
        facts = json.loads((files / "evaluation.json").read_text())
        del facts["worst"]
        (files / "evaluation.json").write_text(json.dumps(facts))
        shutil.rmtree(copy.folder(key))
        copy.publish(key, outcome, by)
    found = study.load(copy.out)
    assert found.worst.empty and list(found.worst.columns) == list(COLUMNS["worst"])
    assert len(found.pictures) and set(found.runs["status"]) == {"completed", "diverged"}


def test_long_text_is_categories_and_values_are_whole(results: Results) -> None:
    text = [column for column in COLUMNS["scores"] if column not in ("seed", "value", "hole_share")]
    assert all(isinstance(results.scores[column].dtype, pd.CategoricalDtype) for column in text)
    assert (results.scores["seed"].dtype, results.scores["value"].dtype) == (np.int64, np.float64)
    assert isinstance(results.curves["term"].dtype, pd.CategoricalDtype)


def test_scores_are_sorted_out_once(results: Results) -> None:
    asked = ("psnr", "hole", "composite", "faces")
    one = results.select(*asked)
    assert one is results.select(*asked) and (one["metric"] == "psnr").all() and (one["region"] == "hole").all()
    none = results.select("psnr", "nowhere", "composite", "faces")
    assert none.empty and list(none.columns) == list(results.scores.columns)
    assert results.once("a key", list) is results.once("a key", list)
    half = dataclasses.replace(results, scores=results.scores[results.scores["seed"] == 0])
    assert set(half.select(*asked)["seed"]) == {0} and half.once("a key", list) is not results.once("a key", list)


def test_facts(results: Results) -> None:
    facts = results.study
    assert facts["name"] == "tiny" and facts["seeds"] == [0, 1, 2] and facts["generator_updates"] == 7
    assert facts["reference"] == "proposed" and facts["control"] == "reconstruction_only"
    assert facts["sharing"]["shared"] < facts["sharing"]["unshared"]
    (faces,) = facts["data"]
    assert (faces["train"], faces["validation"], faces["test"], faces["left_out"]) == (12, 2, 4, 0)
    none = {"train": 0, "validation": 0}
    assert faces["duplicates"] == {"exact": none, "near": none}
    assert facts["devices"] and facts["versions"]["torch"]
    assert facts["multiverses"] == {
        "readings": {"base": ["proposed", "mean"], "contrasts": [["proposed", "mean"]], "design": "one_at_a_time"}
    }
    assert set(facts["configs"]) == set(results.runs["variant"])
    assert facts["configs"]["glcic"]["method"] == "glcic" and facts["configs"]["glcic"]["options"]["weight"] == 4e-4
    parameters = results.runs.set_index("variant")["parameters"]
    assert facts["networks"]["glcic"]["networks"][0]["parameters"] == parameters.loc["glcic"].iloc[0]


@pytest.mark.parametrize(("b", "half_of"), [("single", rule.paired), ("glcic", rule.welch)])
def test_compare_is_the_rule(results: Results, b: str, half_of: Callable[..., float]) -> None:
    found = results.compare("proposed", b, metric="psnr")
    ours, theirs = (rule.values(results, variant) for variant in ("proposed", b))
    mean, half = (ours - theirs).mean(), half_of(ours, theirs)
    assert found.paired == (b == "single") and found.n_seeds == (3, 3) and found.n_images == 4
    assert found.difference == pytest.approx(mean)
    assert (found.low, found.high) == pytest.approx((mean - half, mean + half))


def test_compare_and_the_claims_use_the_level_of_a_study_s_look(results: Results) -> None:
    looked = dataclasses.replace(results, study={**results.study, "looks": {"3": 0.002, "5": 0.048}})
    found, plain = looked.compare("proposed", "single"), results.compare("proposed", "single")
    assert results.study["looks"] is None and plain.level == 0.95
    assert found.level == 0.998 and found.high - found.low > plain.high - plain.low
    assert looked.compare("proposed", "single", level=0.95) == plain
    assert set(looked.links["level"].dropna()) == {0.998} and set(results.links["level"].dropna()) == {0.95}


def test_compare_with_a_diverged_variant_claims_nothing(results: Results) -> None:
    found = results.compare("wild", "single")
    assert found.outcome == "not tested" and found.diverged == (3, 0) and np.isnan(found.difference)


@pytest.mark.parametrize(
    ("a", "metric", "word"), [("propsed", "psnr", "propsed"), ("proposed", "psrn", "psrn"), ("proposed", "fid", "fid")]
)
def test_compare_refuses_what_is_not_there(results: Results, a: str, metric: str, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        results.compare(a, "single", metric=metric)


def test_a_summary_is_what_pandas_users_see_first(results: Results) -> None:
    name = "<b>a & b</b>"
    named = dataclasses.replace(results, study={**results.study, "name": name})
    shown = repr(named)
    assert name in shown and len(shown.splitlines()) == 7 and all(len(line) < 250 for line in shown.splitlines())
    counts = results.runs["status"].value_counts()
    assert all(f"{count} {status}" in shown for status, count in counts.items())
    outcomes = results.claims.set_index("id")["outcome"]
    summary = named.summary()
    assert summary["seeds"] == "0, 1, 2" and summary["data"] == "faces"
    assert summary["variants"].startswith(f"{results.runs['variant'].nunique()}: proposed, ")
    for outcome, ids in outcomes.groupby(outcomes).groups.items():
        assert f"{outcome}: {', '.join(ids)}" in summary["claims"]
    page = named._repr_html_()
    assert "&lt;b&gt;a &amp; b&lt;/b&gt;" in page and name not in page
    for entry in summary.values():
        assert html.escape(entry) in page


def test_the_package_lists_what_it_loads_on_first_use() -> None:
    assert {"load", "Results", "__version__"} <= {*dir(study)}


def test_no_study_is_bad_input(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "none"):
        with pytest.raises(BadInput, match="there is no study here; name its folder, or make one with"):
            study.load(place)


def test_a_study_that_has_not_begun(tmp_path: Path) -> None:
    plan, store = tiny.planned(tmp_path, VARIANTS)
    found = study.load(str(store.out))
    assert set(found.runs["status"]) == {"missing"} and len(found.runs) == len(plan.runs)
    assert found.scores.empty and found.curves.empty and found.pictures.empty and found.stages.empty
    assert all(list(getattr(found, name).columns) == list(columns) for name, columns in COLUMNS.items())


def test_no_other_variant_is_taken_for_a_proposed_model_that_is_left_out(tmp_path: Path) -> None:
    variants = {name: tiny.EVERY[name] for name in ("proposed", "proposed_js", "single", "ce")}
    study_file = config.load(tiny.write(tmp_path, variants), only=["proposed_js", "ce"])
    make_plan(study_file).save(tmp_path / "out")
    found = study.load(tmp_path / "out")
    assert found.study["reference"] == "proposed" and set(found.runs["variant"]) == {"proposed_js", "ce"}
    assert [*found.study["left_out"]] == ["proposed", "single"]
    (first, *_) = found.claims.set_index("id").loc["C1", "links"]
    assert first["outcome"] == "not tested" and "--only left it out: add --only proposed;" in first["why"]
    assert len(document(found).sections)


@pytest.mark.parametrize("harm", ["deleted", "no manifest"])
def test_stages_that_are_not_whole_are_named_and_the_rest_is_there(
    made: tuple[Plan, Store], tmp_path: Path, harm: str
) -> None:
    plan, store = made
    out = Path(shutil.copytree(store.out, tmp_path / "out"))
    run = tiny.run_of(plan, "single", 1)
    key = run.stages["evaluate"]
    folder = out / "stages" / key
    if harm == "deleted":
        shutil.rmtree(folder)
    else:
        (folder / "manifest.json").unlink()
    for file in (out / "stages" / run.stages["joint"]).glob("series.json"):
        file.write_text("{")
    found = study.load(out)
    row = found.runs.set_index("run").loc[run.name]
    assert row["status"] == "missing" and key in row["why"]
    assert run.name not in set(found.scores["run"])
    others = set(found.runs.query("status == 'completed'")["run"])
    assert set(found.scores["run"]) == others == {r.name for r in plan.runs if r.variant != "wild"} - {run.name}
    assert set(found.curves.query(f"run == '{run.name}'")["stage"]) == {"pretrain", "critic"}


def test_loading_needs_no_torch(made: tuple[Plan, Store]) -> None:
    code = "import sys, study; study.load(sys.argv[1]); print('torch' in sys.modules)"
    root = Path(study.__file__).parents[1]
    found = subprocess.run(
        [sys.executable, "-c", code, str(made[1].out)], cwd=root, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "False"


def test_hints_name_the_study_file_as_the_command_does(made: tuple[Plan, Store]) -> None:
    plan, store = made
    for command, file in (
        ("python -m study run 'my studies/tiny.yaml' --out out", "my studies/tiny.yaml"),
        ("python -m study run elsewhere/other.yaml", "tiny.yaml"),
        (None, "tiny.yaml"),
    ):
        found = frames_of(
            dataclasses.replace(plan, study=plan.study.model_copy(update={"command": command})), store.out
        )
        assert found.study["file"] == file
        assert f"under variants in {file}" in " ".join(found.links["why"])
