"""Two outputs compared: what is the same is said to be, what is not is named, and effects follow the rule by hand."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from commands import command
from PIL import Image
from rich.console import Console
from rule import half_width, paired, values, welch

import study
from reports.analysis.claims import claims_table
from study.errors import BadInput
from study.plan import planner
from study.plan.graph import Plan
from study.results.diff import diff
from study.results.show_diff import show
from study.store import read_facts, read_json, write_json

ROOT = Path(study.__file__).parents[1]
VARIANTS = {name: tiny.EVERY[name] for name in ("proposed", "glcic", "mean")}
SEEDS = [0, 1, 2]


def made(folder: Path, variants: dict[str, Any] = VARIANTS, **changes: Any) -> Path:
    plan, store = tiny.planned(folder, variants, **{"seeds": SEEDS, **changes})
    return tiny.recorded(plan, store).out


@pytest.fixture(scope="module")
def out(made_once: Callable[..., Path]) -> Path:
    return made_once("diff", made) / "out"


@pytest.fixture(scope="module")
def heavy(made_once: Callable[..., Path]) -> Path:
    """The local critic weighs ten times as much; one variant more, and the fillers' seeds are what they were."""
    proposed = {**tiny.PROPOSED, "weights": {"local": 0.01}}
    variants = {**VARIANTS, "proposed": proposed, "biharmonic": tiny.EVERY["biharmonic"]}
    return made_once("diff-heavy", lambda folder: made(folder, variants)) / "out"


@pytest.fixture
def copy(out: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(out, tmp_path / "out"))


def text(found: dict[str, Any], width: int = 120) -> str:
    stream = StringIO()
    show(found, Console(file=stream, width=width))
    return stream.getvalue()


def effect(found: dict[str, Any], variant: str, metric: str = "psnr") -> dict[str, Any]:
    (row,) = (row for row in found["effects"] if (row["variant"], row["metric"]) == (variant, metric))
    return row


def test_an_output_is_the_same_as_itself(out: Path) -> None:
    found = diff(out, out)
    assert found["configuration"]["changed"] == [] and found["configuration"]["readings"] == []
    assert not any(names for sides in found["configuration"]["only"].values() for names in sides.values())
    assert found["code"]["parts"] == found["code"]["machine"] == found["code"]["stages"] == []
    assert found["code"]["same_parts"] > 5 and found["code"]["same_machine"]["torch"] == [torch.__version__]
    assert [row["same"] for row in found["data"]] == [True] and found["data"][0]["a"]
    assert found["stages"]["other"] == []
    assert all(row["common"] == row["same"] > 0 for row in found["stages"]["kinds"])
    assert [row["variant"] for row in found["effects"]] == ["glcic", "proposed", "mean"] * 2
    assert all(row["difference"] == 0 and row["same_bits"] and not row["apart"] for row in found["effects"])
    assert all(row["paired"] and row["low"] == row["high"] == 0 for row in found["effects"] if row["variant"] != "mean")
    assert len(found["claims"]) == 15 and not any(row["changed"] for row in found["claims"])
    told = text(found)
    for sentence in (
        "no difference in configuration",
        "no difference in code",
        "no difference in machine",
        "faces: the same (",
        "no difference in stages",
        "no effect, identical scores: all variants",
        "no difference in claims",
    ):
        assert sentence in told


def test_an_option_is_named_with_its_variant_and_both_values(out: Path, heavy: Path) -> None:
    found = diff(out, heavy)["configuration"]
    (row,) = found["changed"]
    assert row == {
        "key": "weights.local",
        "a": 0.001,
        "b": 0.01,
        "variants": ["proposed"],
        "having": 1,
        "reading": None,
    }
    assert found["only"]["variants"] == {"a": [], "b": ["biharmonic"]}
    assert found["only"]["seeds"] == {"a": [], "b": []}
    told = text(diff(out, heavy))
    assert any(line.split() == ["variants.proposed.weights.local", "0.001", "0.01"] for line in told.splitlines())
    assert "variants only in b: biharmonic" in told


def test_stages_that_do_not_depend_on_it_are_the_same_bits(out: Path, heavy: Path) -> None:
    rows = {row["kind"]: row for row in diff(out, heavy)["stages"]["kinds"]}
    assert rows["data"]["same"] == 1
    assert rows["pretrain"]["same"] == rows["pretrain"]["common"] == 6 and rows["pretrain"]["only_a"] == 0
    assert rows["critic"]["only_a"] == rows["critic"]["only_b"] == 0
    assert (rows["joint"]["common"], rows["joint"]["only_a"], rows["joint"]["only_b"]) == (3, 3, 3)
    assert rows["evaluate"]["same"] == 4 and rows["evaluate"]["only_b"] == 4  # and one of biharmonic


def test_an_effect_of_runs_with_one_start_is_paired(out: Path, heavy: Path) -> None:
    found = diff(out, heavy)
    row = effect(found, "proposed")
    a, b = values(study.load(out), "proposed"), values(study.load(heavy), "proposed")
    assert row["paired"] and row["n_seeds"] == [3, 3] and row["n_images"] == 4 and not row["same_bits"]
    assert (row["a"], row["b"]) == pytest.approx((a.mean(), b.mean()))
    assert row["difference"] == pytest.approx((b - a).mean(), abs=1e-9) and row["difference"] != 0
    half = paired(a, b)
    assert (row["low"], row["high"]) == pytest.approx((row["difference"] - half, row["difference"] + half), abs=1e-9)
    assert effect(found, "glcic")["same_bits"] and effect(found, "mean")["same_bits"]
    told = text(found)
    assert "no effect, identical scores: glcic, mean" in told and "3 paired seeds, 4 images" in told


def test_the_means_are_of_the_seeds_that_entered(out: Path, copy: Path) -> None:
    plan = Plan.read(copy / "plan.json")
    assert plan is not None
    shutil.rmtree(copy / "stages" / tiny.run_of(plan, "proposed", 1).stages["evaluate"])
    found = diff(out, copy)
    row = effect(found, "proposed")
    assert row["why"] == "2 paired seeds, 4 images, b: 1 missing" and row["difference"] == 0 and not row["same_bits"]
    assert row["a"] == row["b"] == pytest.approx(values(study.load(out), "proposed")[[0, 2]].mean())
    assert {r["kind"]: r["not_made"] for r in found["stages"]["kinds"]}["evaluate"] == 1
    assert "+0.00 (+0.00 to +0.00)" in text(found)


def test_an_effect_of_runs_with_other_starts_is_welchs(out: Path, tmp_path: Path) -> None:
    longer = made(tmp_path, defaults={"steps": {"pretrain": 6, "critic": 3, "joint": 3}})
    found = diff(out, longer)
    (row,) = found["configuration"]["changed"]
    assert (row["key"], row["a"], row["b"]) == ("steps.pretrain", 4, 6)
    assert row["variants"] == ["proposed", "glcic"] and row["having"] == 2
    assert "every variant that has it (2)" in text(found) and "variants.*.steps.pretrain" in text(found)
    measured = effect(found, "proposed")
    a, b = values(study.load(out), "proposed"), values(study.load(longer), "proposed")
    assert not measured["paired"] and measured["n_images"] == 4
    assert measured["difference"] == pytest.approx(b.mean() - a.mean())
    assert measured["high"] - measured["difference"] == pytest.approx(welch(a, b))
    assert "3 and 3 seeds, 4 images" in text(found)


def test_other_images_of_the_same_name_are_not_paired(out: Path, tmp_path: Path) -> None:
    data = {"faces": {"kind": "faces", "seed": 2, "train": 12, "validation": 2, "test": 4}}
    other = made(tmp_path, {"mean": tiny.EVERY["mean"], "proposed": tiny.PROPOSED}, data=data)
    found = diff(out, other)
    (row,) = found["data"]
    assert row["same"] is False and row["a"] != row["b"]
    changed = found["configuration"]["changed"]
    assert [(row["key"], row["a"], row["b"]) for row in changed] == [("data.faces.seed", 1, 2)]
    measured = effect(found, "mean")
    a, b = values(study.load(out), "mean")[0], values(study.load(other), "mean")[0]
    assert not measured["same_data"] and measured["n_images"] == 8 and not measured["same_bits"]
    parts = [one.var(ddof=1) / 4 for one in (a, b)]
    half = half_width(0, np.inf, sum(parts), sum(parts) ** 2 / sum(part**2 / 3 for part in parts))
    assert measured["difference"] == pytest.approx(b.mean() - a.mean())
    assert measured["high"] - measured["difference"] == pytest.approx(half)
    told = text(found)
    assert "images cannot be paired; compared as different data" in told and "8 images, not the same" in told


def test_what_one_of_them_lacks_is_told_by_name_alone(out: Path, tmp_path: Path) -> None:
    """A study of which nothing is made yet has a configuration, and no effects."""
    faces = {"kind": "faces", "seed": 1, "train": 12, "validation": 2, "test": 4}
    ablations = {"loss": {"reference": "proposed", "factors": {"loss": ["wgan", "js"]}}}
    _, store = tiny.planned(
        tmp_path,
        {"proposed": tiny.PROPOSED, "mean": tiny.EVERY["mean"]},
        seeds=[1, 2, 3],
        data={"faces": faces, "more": {**faces, "seed": 5}},
        ablations=ablations,
    )
    found = diff(out, store.out)
    assert found["configuration"]["changed"] == []
    assert found["configuration"]["only"] == {
        "variants": {"a": ["glcic"], "b": ["proposed:loss=js"]},
        "data": {"a": [], "b": ["more"]},
        "seeds": {"a": [0], "b": [3]},
        "ablations": {"a": [], "b": ["loss"]},
        "multiverses": {"a": [], "b": []},
    }
    assert found["data"][0]["same"] is True  # by its key: it is not packed there
    row = effect(found, "proposed")
    assert row["difference"] is None and row["b"] is None and row["a"] is not None
    assert row["why"] == "3 and 0 seeds, 0 images, b: 3 missing"
    told = text(found)
    assert "seeds only in a: 0; only in b: 3" in told and "not scored by both" in told and "b: 3 missing" in told


def test_ablations_and_multiverses_of_both_are_compared(tmp_path: Path) -> None:
    outs = []
    for name, levels, losses in (("a", [0, 1], ["wgan"]), ("b", [0, 1, 2], ["wgan", "js"])):
        _, store = tiny.planned(
            tmp_path / name,
            {"proposed": tiny.PROPOSED},
            ablations={"critics": {"reference": "proposed", "factors": {"multiscale": levels}}},
            multiverses={"readings": {"base": ["proposed"], "vary": {"loss": losses}}},
        )
        outs.append(store.out)
    changed = {row["key"]: (row["a"], row["b"]) for row in diff(*outs)["configuration"]["changed"]}
    assert changed == {
        "ablations.critics.factors.multiscale": (["0", "1"], ["0", "1", "2"]),
        "multiverses.readings.vary.loss": (["wgan"], ["wgan", "js"]),
    }


def test_a_key_of_a_base_and_its_cells_is_told_once(tmp_path: Path) -> None:
    outs = []
    for name, head in (("a", "mean"), ("b", "linear")):
        _, store = tiny.planned(
            tmp_path / name,
            {"proposed": {**tiny.PROPOSED, "head": head}, "glcic": VARIANTS["glcic"]},
            ablations={"critics": {"reference": "proposed", "factors": {"multiscale": [0, 1]}}},
        )
        outs.append(store.out)
    found = diff(*outs)
    (row,) = found["configuration"]["changed"]
    assert (row["key"], row["a"], row["b"], row["reading"]) == ("head", "mean", "linear", "R7")
    assert row["variants"] == ["proposed", "proposed:multiscale=0"]
    assert "variants.proposed.head" in text(found)


def test_a_run_under_two_names_in_one_alone(tmp_path: Path) -> None:
    ablations = {"weight": {"reference": "proposed", "factors": {"total_weight": [None, 0.003]}}}  # what it is anyway
    outs = [
        tiny.planned(tmp_path / name, {"proposed": tiny.PROPOSED}, share=share, ablations=ablations)[1].out
        for name, share in (("a", True), ("b", False))
    ]
    found = diff(*outs)
    rows = [(row["key"], row["a"], row["b"], row["variants"]) for row in found["configuration"]["changed"]]
    assert rows == [
        ("shared", True, False, None),
        ("run", "the run of proposed", "a run of its own", ["proposed:total_weight=0.003"]),
    ]
    assert [row["variant"] for row in found["effects"][:2]] == ["proposed", "proposed:total_weight=0.003"]


def test_masks_from_files_are_data_too(tmp_path: Path) -> None:
    outs = []
    for name, first in (("a", 4), ("b", 8)):
        hole = np.zeros((32, 32), np.uint8)
        hole[first:20, 8:20] = 255
        (tmp_path / name / "masks").mkdir(parents=True)
        Image.fromarray(hole).save(tmp_path / name / "masks" / "0.png")
        mask = {"kind": "files", "root": str(tmp_path / name / "masks"), "hole": "white"}
        _, store = tiny.planned(tmp_path / name, {"mean": VARIANTS["mean"]}, protocol={"mask": mask})
        outs.append(store.out)
    found = diff(*outs)
    (_, masks) = found["data"]
    assert masks["kind"] == "masks" and masks["same"] is False and masks["a"] != masks["b"]
    assert "masks of the test: not the same" in text(found) and "effects include this difference" in text(found)


def test_versions_of_parts(out: Path, copy: Path) -> None:
    text_of = json.dumps(read_facts(copy / "plan.json"))
    (copy / "plan.json").write_text(text_of.replace('"psnr": 1', '"psnr": 2').replace('"seam"', '"seem"'))
    found = diff(out, copy)["code"]
    assert found["parts"] == [{"name": "metric.psnr", "a": 1, "b": 2}]
    assert list(found["only"]["a"]) == ["metric.seam"] and list(found["only"]["b"]) == ["metric.seem"]
    told = text(diff(out, copy))
    assert "metric.psnr: version 1 -> 2" in told and "used by b alone: metric.seem" in told
    assert "no difference in code" not in told


def test_another_version_of_a_kind_of_stage(out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its number is in the key alone: the same options, inputs and seed under another key."""
    monkeypatch.setitem(planner.VERSIONS, "critic", 99)
    _, store = tiny.planned(tmp_path, VARIANTS, seeds=SEEDS)
    found = diff(out, store.out)
    assert found["code"]["stages"] == ["critic"] and found["configuration"]["changed"] == []
    assert "another version of the code for these kinds of stage: critic" in text(found)


def test_other_bits_under_one_key_are_told(out: Path, copy: Path) -> None:
    plan = Plan.read(copy / "plan.json")
    assert plan is not None
    key = tiny.stage_of(plan, "pretrain", "proposed", 1).key
    file = copy / "stages" / key / "manifest.json"
    manifest = read_json(file)
    write_json(file, {**manifest, "files": {**manifest["files"], "generator.safetensors": "0" * 64}})
    found = diff(out, copy)
    assert found["stages"]["other"] == [key]
    assert {row["kind"]: row["other"] for row in found["stages"]["kinds"]}["pretrain"] == 1
    told = " ".join(text(found).split())
    assert (
        f"1 have the same key but other files, which is an error; nothing that is recorded explains it: {key}" in told
    )

    made_by = copy / "made" / f"{key}.json"
    write_json(made_by, {**read_facts(made_by), "torch": "1.0"})
    found = diff(out, copy)
    assert found["code"]["machine"] == [{"name": "torch", "a": [torch.__version__], "b": ["1.0", torch.__version__]}]
    told = " ".join(text(found).split())
    assert f"torch: {torch.__version__} -> 1.0 and {torch.__version__}" in told
    assert "the machines differ in torch" in told


def test_claims_are_each_outputs_own(out: Path, heavy: Path, copy: Path) -> None:
    found = diff(out, heavy)["claims"]
    for side, place in (("a", out), ("b", heavy)):
        assert [row[side] for row in found] == claims_table(study.load(place))["outcome"].tolist()
    plan = read_facts(copy / "plan.json")
    plan["study"]["data"]["faces"]["like"] = "CelebA"
    (copy / "plan.json").write_text(json.dumps(plan))
    other = diff(out, copy)
    assert [row["key"] for row in other["configuration"]["changed"]] == ["data.faces.like"]
    changed = [row for row in other["claims"] if row["changed"]]
    assert changed and all((row["scope_a"], row["scope_b"]) == ("other", "reduced") for row in changed)
    told = text(other)
    assert f"{changed[0]['b']} (reduced)" in told and changed[0]["claim"][:20] in told


def test_the_command(out: Path, heavy: Path) -> None:
    found = command("diff", out, heavy)
    assert found.returncode == 0 and "variants.proposed.weights.local" in found.stdout, found.stderr
    found = command("diff", out, heavy, "--json")
    assert found.returncode == 0 and json.loads(found.stdout) == diff(out, heavy)


def test_bad_input_is_told_of_both_at_once(out: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        diff(tmp_path / "x", tmp_path / "y")
    assert len(caught.value.faults) == 2
    found = command("diff", out, tmp_path / "nowhere")
    assert found.returncode == 2 and "nowhere: there is no study here; name its folder, or make one" in found.stderr


def test_it_needs_no_torch(out: Path) -> None:
    code = (
        "import sys; sys.argv[1:] = ['diff', sys.argv[1], sys.argv[1]]; from study.cli import app; "
        "app(standalone_mode=False); print('torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code, str(out)], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize("width", [60, 200])
def test_names_are_text_and_not_markup(out: Path, heavy: Path, width: int) -> None:
    found = diff(out, heavy)
    found["configuration"]["changed"][0]["b"] = "[bold]x[/]"
    assert "[bold]x[/]" in text(found, width)
