"""What a method that cannot be run here made of a study's test images: handed out, scored, and shown as what it is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny
from commands import command
from PIL import Image

import study
from reports.analysis import tables
from reports.analysis.claims import claims_table
from reports.analysis.statistics import compare
from reports.page import page
from reports.sections import document
from study.errors import BadInput
from study.external import entries
from study.external.join import hand_out, score_into
from study.external.score import Request, Scored
from study.plan.graph import Plan
from study.results.diff import diff
from study.results.frames import Results
from study.store import Store

VARIANTS = {name: tiny.EVERY[name] for name in ("proposed", "glcic", "reconstruction_only", "mean")}
FACES = {"kind": "faces", "seed": 1, "train": 12, "validation": 2, "test": 6}


@pytest.fixture(scope="module")
def made(made_once: Callable[..., Path]) -> Path:
    def make(folder: Path) -> None:
        plan, store = tiny.planned(folder, VARIANTS, seeds=[0, 1, 2], data={"faces": FACES})
        tiny.recorded(plan, store)
        hand_out(store.out, folder / "hand", None)

    return made_once("external", make)


@pytest.fixture
def out(made: Path, tmp_path: Path) -> Path:
    """The output of a small study, to be changed at will; beside it what was handed out."""
    shutil.copytree(made / "hand", tmp_path / "hand")
    return Path(shutil.copytree(made / "out", tmp_path / "out"))


def repaired(out: Path, name: str = "repaired", *, seed: int = 0, pasted: bool = True) -> Path:
    """What a stranger makes of what was handed out: noise in the hole, or everywhere."""
    rng = np.random.default_rng(seed)
    hand, folder = out.parent / "hand", out.parent / name
    folder.mkdir()
    for file in sorted((hand / "masked").iterdir()):
        image = np.asarray(Image.open(file)).astype(int)
        hole = np.asarray(Image.open(hand / "mask" / file.name)) > 0
        made = np.where(hole[..., None], 128, image) + rng.integers(-20 - seed, 21 + seed, image.shape)
        made = np.where(hole[..., None] | (not pasted), made, image)
        Image.fromarray(np.clip(made, 0, 255).astype(np.uint8)).save(folder / file.name)
    return folder


def join(out: Path, folder: Path, name: str = "theirs", seed: int | None = 0, **asked: object) -> Scored:
    return score_into(Request(folder, **asked), out, name, seed)  # type: ignore[arg-type]


def refused(out: Path, folder: Path, *joining: object, **asked: object) -> str:
    with pytest.raises(BadInput) as caught:
        join(out, folder, *joining, **asked)  # type: ignore[arg-type]
    return str(caught.value)


def three_seeds(out: Path) -> Results:
    for seed in range(3):
        join(out, repaired(out, f"repaired{seed}", seed=seed), seed=seed)
    return study.load(out)


def test_what_is_handed_out(out: Path) -> None:
    hand = out.parent / "hand"
    names = {part: sorted(file.name for file in (hand / part).iterdir()) for part in ("truth", "mask", "masked")}
    assert names["truth"] == names["mask"] == names["masked"] == [f"test-{place:06d}.png" for place in range(6)]
    hole = np.asarray(Image.open(hand / "mask" / "test-000000.png"))
    assert set(np.unique(hole)) == {0, 255} and (hole[8:24, 8:24] == 255).all() and (hole == 255).mean() == 0.25
    truth, masked = (np.asarray(Image.open(hand / part / "test-000001.png")) for part in ("truth", "masked"))
    assert np.array_equal(truth[hole == 0], masked[hole == 0]) and not masked[hole > 0].any()
    pictures = study.load(out).pictures
    shown = pictures[pictures["output"] == "truth"].iloc[0]
    assert np.array_equal(np.asarray(Image.open(hand / "truth" / f"{shown['image']}.png")), shown["pixels"])


def test_a_folder_that_is_not_empty_is_left_alone(out: Path) -> None:
    with pytest.raises(BadInput, match="there is something there already"):
        hand_out(out, out.parent / "hand", None)


def test_a_study_that_is_not_there_or_not_packed(out: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is no study here"):
        hand_out(tmp_path / "none", tmp_path / "new", None)
    with pytest.raises(BadInput, match="not a data set of this study; choose faces"):
        hand_out(out, tmp_path / "new", "celeba")
    for stage in (out / "stages").glob("data-*"):
        shutil.rmtree(stage)
    with pytest.raises(BadInput, match="the images of faces are not packed yet"):
        hand_out(out, tmp_path / "new", None)


def test_rows_join_as_the_study_s_own(out: Path) -> None:
    before = study.load(out)
    found = join(out, repaired(out))
    results = study.load(out)
    run = results.runs.set_index("run").loc["theirs/faces/0"]
    assert (run["variant"], run["method"], run["status"], run["why"]) == ("theirs", "external", "completed", "")
    assert run["updates"] == 0 and run["record"] == "" and run["start"].startswith("external-")
    own = results.scores[results.scores["variant"] == "theirs"]
    stored = [column for column in found.columns if column[0] != "raw"]  # the files hold the known pixels
    assert {region for output, region, _ in found.columns if output == "raw"} == {"whole"}
    assert len(own) == len(stored) * len(found.names) and set(own["image"]) == set(before.scores["image"])
    assert set(own["output"]) == {"composite", "blended"}  # the files hold the known pixels
    psnr = own.query("output == 'composite' and region == 'hole' and metric == 'psnr'").set_index("image")["value"]
    column = list(found.columns).index(("composite", "hole", "psnr"))
    assert psnr.to_dict() == dict(zip(found.names, found.values[:, column], strict=True))
    pictures = results.pictures[results.pictures["variant"] == "theirs"]
    assert set(pictures["output"]) == {"truth", "masked", "composite", "blended"}
    assert set(pictures["image"]) == set(before.pictures["image"])
    assert len(results.worst[results.worst["variant"] == "theirs"])
    pd.testing.assert_frame_equal(before.runs, results.runs[results.runs["method"] != "external"], check_dtype=False)
    (told,) = results.study["external"]
    assert (told["name"], told["images"], told["of"], told["kind"]) == ("theirs", 6, 6, "composite")


def test_a_study_s_own_pictures_are_scored_as_it_scored_them(out: Path) -> None:
    results = study.load(out)
    own = results.pictures.query("run == 'proposed/faces/0' and output == 'composite'")
    folder = out.parent / "own"
    folder.mkdir()
    for image, pixels in zip(own["image"], own["pixels"], strict=True):
        Image.fromarray(np.asarray(pixels)).save(folder / f"{image}.png")
    found = join(out, folder, partial=True)
    assert found.found.unpaired["truth"] and "4 of 6 images" in found.found.notes[0]
    both = study.load(out).scores.query("region == 'hole' and output == 'composite' and metric == 'psnr'")
    values = both.set_index(["run", "image"])["value"]
    for image in own["image"]:  # but for 8 bits
        ours, theirs = (values.loc[run, image] for run in ("proposed/faces/0", "theirs/faces/0"))
        assert theirs == pytest.approx(ours, abs=0.05)


def test_raw_predictions_keep_their_raw_scores(out: Path) -> None:
    join(out, repaired(out, pasted=False))
    results = study.load(out)
    own = results.scores[results.scores["variant"] == "theirs"]
    assert set(own["output"]) == {"composite", "raw", "blended"}
    whole = own.query("region == 'whole' and metric == 'psnr'").groupby("output", observed=True)["value"].mean()
    assert whole["composite"] > whole["raw"]
    assert results.study["external"][0]["kind"] == "raw"


def test_another_scoring_replaces_the_one_before(out: Path) -> None:
    first = join(out, repaired(out))
    second = join(out, repaired(out, "better", seed=1))
    assert not first.about["replaced"] and second.about["replaced"]
    assert not np.array_equal(first.values, second.values)
    assert (study.load(out).runs["variant"] == "theirs").sum() == 1
    assert [file.name for file in (out / "external" / "theirs" / "faces").iterdir()] == ["0"]


def test_the_same_files_are_not_several_trainings(out: Path) -> None:
    join(out, repaired(out))
    with pytest.raises(BadInput, match="--seed 1: these files are scored as --seed 0 already; a seed is a training of"):
        join(out, repaired(out, "copied"), seed=1)


def test_compare_and_its_seeds(out: Path) -> None:
    results = three_seeds(out)
    found = results.compare("proposed", "theirs")
    assert found.n_seeds == (3, 3) and not found.paired and np.isfinite(found.low)
    means = results.select("psnr", "hole", "composite", "faces").groupby("variant", observed=True)["value"].mean()
    assert found.difference == pytest.approx(means["proposed"] - means["theirs"])
    join(out, repaired(out, "one"), name="single_seed", seed=5)
    few = study.load(out).compare("proposed", "single_seed")
    assert few.outcome == "inconclusive" and "fewer than 3 seeds completed for single_seed" in few.why


def test_without_a_seed_files_stand_for_themselves(out: Path) -> None:
    found = join(out, repaired(out), name="released", seed=None)
    assert any("no seed is given" in note for note in found.found.notes)
    results = study.load(out)
    run = results.runs.set_index("run").loc["released/faces/0"]
    assert run["start"] == ""
    alone = results.compare("released", "mean")
    assert np.isfinite(alone.low) and alone.n_seeds == (1, 3)  # over images, as of a filler
    assert "and one name has seeds or has none" in refused(out, repaired(out, "more"), "released", 1)
    join(out, out.parent / "more", name="other", seed=1)
    assert "it was scored on faces with --seed 1" in refused(out, out.parent / "more", "other", None)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("glcic", "a variant of the study has this name; choose another, such as glcic_theirs"),
        ("single", "the report speaks of a method by this name, as it is trained here"),
        ("proposed_tuned", "the report speaks of a method by this name"),
        ("a/b", "a name has letters, digits and _.-"),
        ("../b", "a name has letters, digits and _.-"),
    ],
)
def test_names_that_cannot_be_taken(out: Path, name: str, told: str) -> None:
    assert told in refused(out, repaired(out), name)
    assert not (out / "external").exists()


def test_what_cannot_be_scored_leaves_nothing(out: Path) -> None:
    folder = repaired(out)
    (folder / "test-000003.png").unlink()
    told = refused(out, folder)
    assert "1 of 6 images of the test part of faces have no output: test-000003; --partial scores the 5" in told
    Image.new("RGB", (64, 64)).save(folder / "test-000003.png")
    assert "the truth is 32 x 32 px, the output 64 x 64 px, which is 2 times the size" in refused(out, folder)
    assert "leave out --mask, --center, --hole and --resize" in refused(out, folder, center=True)
    assert not (out / "external").exists()


def test_a_method_that_was_given_the_masks_reversed(out: Path) -> None:
    hand, folder = out.parent / "hand", out.parent / "reversed"
    folder.mkdir()
    for file in (hand / "truth").iterdir():
        image, hole = np.asarray(Image.open(file)).copy(), np.asarray(Image.open(hand / "mask" / file.name)) > 0
        image[~hole] = 0
        Image.fromarray(image).save(folder / file.name)
    told = refused(out, folder)
    assert "the masks are the other way round: 6 of 6" in told and "hands out are white in the hole" in told


def test_a_truth_has_to_be_the_study_s(out: Path) -> None:
    folder, hand = repaired(out), out.parent / "hand"
    assert join(out, folder, truth=hand / "truth").values.size
    told = refused(out, folder, truth=hand / "masked")
    assert "these are not the study's test images at 32 px" in told and "test-000000.png has other pixels" in told
    Image.new("RGB", (64, 64)).save(hand / "truth" / "test-000000.png")
    assert "test-000000.png is 64 x 64 px" in refused(out, folder, truth=hand / "truth")


@pytest.fixture
def stale(out: Path) -> Iterator[Path]:
    join(out, repaired(out))
    yield out


def lost(out: Path) -> str:
    """Why the scores from files are not shown; they are in no frame but `runs`."""
    results = study.load(out)
    run = results.runs.set_index("run").loc["theirs/faces/0"]
    assert run["status"] == "missing"
    for frame in (results.scores, results.pictures, results.worst):
        assert "theirs" not in set(frame["variant"])
    return str(run["why"])


def test_another_protocol(stale: Path) -> None:
    tiny.planned(stale.parent, VARIANTS, seeds=[0], data={"faces": FACES}, protocol={"seed": 7, "pictures": 2})
    told = lost(stale)
    assert told.startswith("it was scored under another protocol: its seed was 2020 and is 7; score its files again")
    assert f"study score --output DIR --into {stale} --as theirs --seed 0 --data faces" in told
    join(stale, stale.parent / "repaired")
    assert study.load(stale).runs.set_index("run").loc["theirs/faces/0", "status"] == "completed"


def test_more_pictures_are_the_same_protocol(stale: Path) -> None:
    tiny.planned(stale.parent, VARIANTS, seeds=[0], data={"faces": FACES}, protocol={"pictures": 3})
    assert study.load(stale).runs.set_index("run").loc["theirs/faces/0", "status"] == "completed"


def test_other_images(stale: Path) -> None:
    tiny.planned(stale.parent, VARIANTS, seeds=[0], data={"faces": {**FACES, "seed": 2}})
    assert "its images were different, or packed differently" in lost(stale)


def test_other_holes(stale: Path) -> None:
    protocol = {"mask": {"kind": "random_box"}, "pictures": 2}
    variants = {name: VARIANTS[name] for name in ("proposed", "mean")}
    tiny.planned(stale.parent, variants, seeds=[0], data={"faces": FACES}, protocol=protocol)
    assert "its holes were center and are random_box" in lost(stale)


@pytest.mark.parametrize("name", ["scores.safetensors", "evaluation.json", "manifest.json", "pictures.safetensors"])
def test_damage(stale: Path, name: str) -> None:
    file = stale / "external" / "theirs" / "faces" / "0" / name
    file.write_bytes(file.read_bytes()[:-3] + b"xyz")
    assert "are damaged; score its files again" in lost(stale)
    if name == "manifest.json":
        file.write_text('{"files": [1], "outcome": 2}')
        assert "are damaged" in lost(stale)
    file.unlink()
    assert "are damaged" in lost(stale)


def test_scores_of_an_earlier_version(stale: Path) -> None:
    folder = stale / "external" / "theirs" / "faces" / "0"
    (folder / "manifest.json").rename(folder / "external.json")
    told = lost(stale)
    assert told.startswith(
        "it was scored by an earlier version of this program; score its files again: python -m study"
    )
    assert join(stale, stale.parent / "repaired").about["replaced"]
    assert study.load(stale).runs.set_index("run").loc["theirs/faces/0", "status"] == "completed"


def test_a_data_set_that_left_the_study(stale: Path) -> None:
    tiny.planned(stale.parent, VARIANTS, seeds=[0], data={"others": FACES})
    results = study.load(stale)
    assert "theirs" not in set(results.runs["variant"])
    (told,) = results.study["external"]
    assert told["why"] == "the study has no run on faces now" and not told["joins"]
    assert tables.external_table(results)["why"].tolist() == [told["why"]]


def test_a_variant_that_took_the_name(stale: Path) -> None:
    tiny.planned(stale.parent, {**VARIANTS, "theirs": {"method": "ce"}}, seeds=[0], data={"faces": FACES})
    results = study.load(stale)
    assert results.runs.query("variant == 'theirs'")["method"].tolist() == ["ce"]
    assert "a variant of the study is called theirs now" in results.study["external"][0]["why"]


def test_the_report_marks_it(out: Path) -> None:
    before, results = claims_table(study.load(out)), three_seeds(out)
    assert claims_table(results).equals(before)
    row = tables.results_table(results, metric="psnr", data="faces").set_index("variant").loc["theirs"]
    assert (row["label"], row["group"], row["seeds"]) == ("theirs (external)", "external", 3)
    assert row["notes"] == "scored from files" and not row["strong_hole"]
    assert "theirs" not in set(tables.cost_table(results)["variant"])
    assert "theirs" not in set(tables.schedule_table(results)["variant"])
    assert "theirs" not in set(tables.mechanism_table(results, "faces")["variant"])
    pairs = tables.contrast_table(results, "faces")[["a", "b"]].drop_duplicates()
    assert ["proposed", "theirs"] in pairs.to_numpy().tolist()
    content = document(results)
    shown = page(content, dict.fromkeys((figure.name for figure in content.figures()), "<svg/>"), {})
    assert "theirs (external)" in shown and "Scored from files" in shown
    (view,) = (view for view in content.tables() if view.name == "results-psnr-faces")
    assert "theirs (external)" in view.frame.to_csv()


def test_diff_and_status_know_of_it(out: Path, made: Path) -> None:
    join(out, repaired(out))
    found = diff(out, made / "out")
    assert found["configuration"]["only"]["external"] == {"a": ["theirs"], "b": []}
    assert "theirs" not in {row["variant"] for row in found["effects"]}
    same = diff(out, out)["effects"]
    own = next(row for row in same if row["variant"] == "theirs")
    assert own["same_bits"] and own["difference"] == 0
    done = command("status", out, "--json")
    assert json.loads(done.stdout)["external"] == {"theirs/faces/0": "completed"}


def grouped(out: Path, names: list[str]) -> Results:
    """The study as it would be if its test images belonged to these groups."""
    plan, store = Plan.read(out / "plan.json"), Store(out)
    assert plan is not None
    key = plan.study.data["faces"].stage
    facts = json.loads((store.folder(key) / "data.json").read_text())
    first = facts["parts"]["test"][0]
    facts["groups"] = [*facts["names"][:first], *names]
    store.files(key).joinpath("images.npy").write_bytes((store.folder(key) / "images.npy").read_bytes())
    store.files(key).joinpath("data.json").write_text(json.dumps(facts))
    shutil.rmtree(store.folder(key))
    store.publish(key, {"status": "finished"}, {})
    return study.load(out)


def test_groups_join_the_scores_and_widen_intervals(out: Path) -> None:
    alone = study.load(out)
    assert "group" not in alone.scores
    results = grouped(out, ["ann", "ann", "bob", "bob", "test-000004", "test-000005"])
    join(out, repaired(out))
    results = study.load(out)
    assert isinstance(results.scores["group"].dtype, pd.CategoricalDtype)
    groups = results.scores.drop_duplicates(["run", "image"]).set_index(["run", "image"])["group"]
    for run in ("proposed/faces/0", "theirs/faces/0"):
        assert groups.loc[run].tolist() == ["ann", "ann", "bob", "bob", "test-000004", "test-000005"]
    pairs = [each.compare("proposed", "mean") for each in (alone, results)]
    assert [found.n_groups for found in pairs] == [6, 4]
    assert pairs[0].difference == pairs[1].difference
    twins = results.scores.assign(group=lambda rows: rows["image"])  # each image its own group: as without
    same = compare(results.runs, twins, "proposed", "mean", region="hole")
    assert same.low == pytest.approx(pairs[0].low) and pairs[1].low != pytest.approx(pairs[0].low)


def test_an_interval_widens_where_images_of_a_group_are_alike(out: Path) -> None:
    results = grouped(out, ["ann", "ann", "ann", "bob", "bob", "bob"])
    per_image = results.scores["image"].astype(str).str[-1].astype(int) // 3  # what is alike within a group
    alike = results.scores.assign(value=np.where(results.scores["variant"] == "mean", 10.0 + per_image, 10.0))
    apart = [
        compare(results.runs, scores, "proposed", "mean", region="hole")
        for scores in (alike.drop(columns="group"), alike)
    ]
    assert apart[1].high - apart[1].low > 1.3 * (apart[0].high - apart[0].low)


def test_groups_widen_the_intervals_of_a_diff(out: Path, tmp_path: Path) -> None:
    join(out, repaired(out), seed=None)
    other = Path(shutil.copytree(out, tmp_path / "other"))
    join(other, repaired(out, "better", seed=1), seed=None)

    def effect() -> dict[str, float]:
        rows = [row for row in diff(out, other)["effects"] if (row["variant"], row["metric"]) == ("theirs", "psnr")]
        return rows[0]

    alone = effect()
    for folder in (out, other):
        grouped(folder, ["ann", "ann", "ann", "bob", "bob", "bob"])
    together = effect()
    assert together["difference"] == pytest.approx(alone["difference"]) and together["n_images"] == 6
    assert together["low"] != pytest.approx(alone["low"])


def test_the_commands(out: Path, tmp_path: Path) -> None:
    folder = tmp_path / "given"
    done = command("data", "write", out, folder)
    assert done.returncode == 0 and "6 test images of faces" in done.stdout, done.stderr
    assert f"study score --output REPAIRED --into {out} --as NAME --seed 0 --data faces" in done.stdout
    assert command("data", "write", out, folder).returncode == 2
    done = command("score", "--output", folder / "masked", "--into", out, "--as", "black", "--seed", 0)
    assert done.returncode == 0 and f"joined: black/faces/0 in {out}" in done.stdout, done.stderr
    assert "PSNR (dB, ↑)" in done.stdout and "blended" in done.stdout
    done = command("score", "--output", folder / "masked", "--into", out, "--as", "black", "--seed", 0)
    assert f"replaced: black/faces/0 in {out}" in done.stdout
    done = command("score", "--output", folder / "masked", "--into", out)
    assert done.returncode == 2 and "--as NAME" in done.stderr


def test_names_of_the_store_cannot_leave_it(stale: Path) -> None:
    plan = Plan.read(stale / "plan.json")
    assert plan is not None
    (stale / "external" / "stray.txt").write_text("not a folder of scores")
    (stale / "external" / "theirs" / "faces" / "notes").mkdir()
    (one,) = entries.found(stale, plan)
    assert one.run == "theirs/faces/0" and not one.why
    assert entries.found(stale, replace(plan, runs=[]))[0].why
