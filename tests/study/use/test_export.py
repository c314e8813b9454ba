"""What is handed on is whole: the weights to the bit, what they were made of, and an example that works elsewhere."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from commands import command
from PIL import Image
from ruamel.yaml import YAML
from safetensors.torch import load_file

import study
from study.errors import BadInput
from study.store import file_digest
from study.use import inpaint
from study.use.export import FILES, export
from study.use.finished import Finished

ROOT = Path(__file__).parents[3]
PLUGIN = """
from models.generator import Generator
from models.method import Fitted

class Ours(Generator):
    version = 1

class Plain(Fitted):
    def generator(self, image_size):
        return {"kind": "ours", "width": 0.0625}
    def fit(self, network, training):
        for image, mask, masked_image in training:
            pass

GENERATORS = {"ours": Ours}
METHODS = {"plain": Plain}
"""


def card_of(folder: Path) -> tuple[dict[str, object], str]:
    """The front matter and the text of a model card."""
    _, front, text = (folder / "README.md").read_text().split("---\n", 2)
    return YAML(typ="safe").load(front), text


@pytest.mark.slow
@pytest.mark.parametrize("variants", [("proposed", "mean_fill", "noise_fill"), ("ce", "giica")])
def test_the_examples_run_with_the_networks_alone(out: Path, tmp_path: Path, variants: tuple[str, ...]) -> None:
    """In a process that has no ``study``: they repair as ``study inpaint`` does."""
    for variant in variants:
        assert [file.name for file in export(Finished(out, variant), tmp_path / variant)] == list(FILES)
    packages = ("models", "baselines") if "ce" in variants else ("models",)
    for package in packages:
        shutil.copytree(ROOT / package, tmp_path / "code" / package)
    image, drawn = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8), np.zeros((32, 32), np.uint8)
    drawn[8:24, 8:24] = 255
    Image.fromarray(image).save(tmp_path / "i.png")
    Image.fromarray(drawn).save(tmp_path / "m.png")
    Image.fromarray(np.where(drawn, 1, 0).astype(np.uint8)).save(tmp_path / "ones.png")
    Image.fromarray(np.zeros_like(drawn)).save(tmp_path / "none.png")
    code = (
        "import runpy, sys\n"
        f"sys.path = [{str(tmp_path / 'code')!r}] + [path for path in sys.path if path not in ('', {str(ROOT)!r})]\n"
        "for line in sys.argv[1:]:\n"
        "    sys.argv = line.split()\n"
        "    try: runpy.run_path(sys.argv[0])\n"
        "    except SystemExit as stop: print('refused:', stop)\n"
        "assert not {'study', 'reports', 'sacred'} & set(sys.modules), sys.modules\n"
        f"assert sys.modules['models'].__file__.startswith({str(tmp_path / 'code')!r})\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    lines = [f"{v}/example.py i.png {v}.png" + ("" if v == "ce" else " m.png") for v in variants]
    lines += [f"{v}/example.py i.png square.png" for v in variants]
    if "ce" in variants:  # it knows only the central square
        lines += ["ce/example.py i.png refused.png m.png"]
        refusal = "python example.py image.png repaired.png. "
    else:
        exif = Image.Exif()
        exif[0x0112] = 6
        wide = np.random.default_rng(1).integers(0, 255, (70, 100, 3), np.uint8)
        Image.fromarray(wide).save(tmp_path / "wide.png", exif=exif)
        turned = np.rot90(wide, -1)
        painted = np.zeros((100, 70), np.uint8)
        painted[60:95, 10:40] = 255
        Image.fromarray(painted).save(tmp_path / "painted.png")
        lines += [f"proposed/example.py wide.png {to}.png {mask}" for to, mask in (("w1", "painted.png"), ("w2", ""))]
        lines += ["proposed/example.py i.png again.png ones.png", "proposed/example.py i.png refused.png none.png"]
        refusal = "none.png: it has no hole; draw the hole white"
    line = [sys.executable, "-c", code, *lines]
    done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("refused:") == 1 and refusal in done.stdout, done.stdout
    assert not (tmp_path / "refused.png").exists()
    if "proposed" in variants:
        square = np.zeros((100, 70), np.uint8)
        square[32:67, 17:52] = 255
        for name, hole in (("w1", painted), ("w2", square)):  # upright, and of the picture's own size
            found = np.array(Image.open(tmp_path / f"{name}.png"))
            assert found.shape == turned.shape and (found[hole == 0] == turned[hole == 0]).all()
            assert (found[hole > 0] != turned[hole > 0]).any(1).mean() > 0.9
        assert (tmp_path / "again.png").read_bytes() == (tmp_path / "proposed.png").read_bytes()
    for variant in variants:
        found = np.array(Image.open(tmp_path / f"{variant}.png"))
        assert (found[drawn == 0] == image[drawn == 0]).all()
        if variant != "noise_fill":
            finished, where = Finished(out, variant), inpaint.HoleSource(tmp_path / "m.png", None, None)
            to = tmp_path / "o.png"
            inpaint.repair_files(finished, [tmp_path / "i.png"], to, where, device="cpu", print_line=lambda _: None)
            assert np.abs(found.astype(int) - np.array(Image.open(to))).max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["proposed", "ce", "giica"])
def test_the_page_s_lines_for_torch_export_and_onnx_work_as_they_stand_there(
    out: Path, tmp_path: Path, variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(Finished(out, variant), tmp_path / "my-model")
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "using.md").read_text(encoding="utf-8").partition("### torch.export and ONNX")[2]
    exporting, onnx = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(exporting, names)
    with torch.inference_mode():
        made = names["network"](names["masked_image"], names["mask"])
    wanted = made[-1] if isinstance(made, tuple) else made
    found = names["prediction"][-1] if isinstance(made, tuple) else names["prediction"]
    assert torch.allclose(found, wanted, atol=1e-6)
    one = names["program"].module()(names["masked_image"][:1], names["mask"][:1])
    assert torch.allclose(one[-1] if isinstance(made, tuple) else one, wanted[:1], atol=1e-5)
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(
            package, reason=f"{package} is not installed (extra onnx), so docs/using.md is tested without"
        )
    exec(onnx, names)
    assert np.abs(names["prediction"] - wanted.numpy()).max() < 1e-5


def test_the_weights_are_those_of_the_run_and_the_generators_alone(out: Path, tmp_path: Path) -> None:
    finished = Finished(out, "proposed/1")
    export(finished, tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    own = finished.weights()
    assert weights.keys() == own.keys() and all(torch.equal(weights[name], own[name]) for name in own)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["weights_sha256"] == file_digest(tmp_path / "model.safetensors")
    assert config["run"] == "proposed/faces/1" and config["image_size"] == 32
    assert config["generator"]["kind"] == "mo_zhou" and config["colour"] == [0, 0, 0]
    assert config["stages"]["model"] == finished.run.stages["joint"]


def test_the_same_run_is_exported_as_the_same_bytes(out: Path, tmp_path: Path) -> None:
    for name in "ab":
        export(Finished(out, "proposed"), tmp_path / name)
    for name in FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
        assert str(out).encode() not in (tmp_path / "a" / name).read_bytes()


def test_the_card_says_what_is_true(out: Path, tmp_path: Path) -> None:
    export(Finished(out, "again/1"), tmp_path)
    front, text = card_of(tmp_path)
    assert front["license"] == "mit" and "image-inpainting" in front["tags"]  # type: ignore[operator]
    results = study.load(out)
    digest = results.study["data"][0]["digest"]
    for wanted in (
        "The generator of `proposed/faces/1` of the study tiny",
        "12 for training, 2 for validation, 4 for the test",
        f"`{digest}`",
        "7, batch 2",
        "14, 0.00049% of the paper's 2,880,000",
        "Means over 4 test images, hole: the central square of half the side. This is seed 1; in brackets",
        "the variant's 2 completed seeds (0, 1)",
        "It is not a model of the paper's size and schedule.",
        "| `reduction` | mean | R12 |",
        "no evidence of what was there",
        "10.1080/00051144.2020.1821535",
    ):
        assert wanted in text, wanted
    licence = Finished(out, "proposed").plan.study.data["faces"].licence or "not stated"
    assert f"The data: {licence.rstrip('.')}." in text
    chosen = results.scores.query("metric == 'psnr' and region == 'hole' and variant == 'proposed' and data == 'faces'")
    means = chosen.groupby(["output", "seed"], observed=True)["value"].mean()
    row = "| PSNR, dB | hole |"
    for output in ("composite", "blended"):
        both = [means[output, 0], means[output, 1]]
        row += f" {both[1]:.2f} ({min(both):.2f} to {max(both):.2f}) |"
    assert row in text.splitlines()


def test_a_licence_that_is_not_stated_is_said_to_be_so(out: Path, tmp_path: Path) -> None:
    finished = Finished(out, "proposed")
    faces = finished.plan.study.data["faces"]
    finished.plan.study.data["faces"] = faces.model_copy(update={"licence": None})
    export(finished, tmp_path)
    assert "The data: not stated." in card_of(tmp_path)[1]


def test_a_card_of_one_seed_has_no_spread(tmp_path: Path) -> None:
    plan, store = tiny.planned(tmp_path)
    tiny.recorded(plan, store)
    export(Finished(store.out, "proposed"), tmp_path / "model")
    text = card_of(tmp_path / "model")[1]
    assert "This is seed 0.\n" in text and "brackets" not in text


def test_a_folder_of_other_things_is_left_alone(out: Path, tmp_path: Path) -> None:
    finished = Finished(out, "proposed")
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(BadInput, match="it is not empty and not an export; name an empty or new folder"):
        export(finished, tmp_path)
    with pytest.raises(BadInput, match="this is a file; name a folder"):
        export(finished, tmp_path / "notes.txt")
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


def test_an_export_is_replaced(out: Path, tmp_path: Path) -> None:
    export(Finished(out, "ce"), tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    export(Finished(out, "proposed"), tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["run"] == "proposed/faces/0"
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([*FILES, "notes.txt"])


def test_a_filler_has_nothing_to_export(out: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="mean/faces/0: mean is a filler, which trains nothing; nothing to export"):
        export(Finished(out, "mean"), tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_plugins_network_is_exported_without_an_example(tmp_path: Path) -> None:
    (tmp_path / "ours.py").write_text(PLUGIN)
    plan, store = tiny.planned(tmp_path, {"plain": {"method": "plain"}}, plugins=["ours.py"])
    tiny.recorded(plan, store)
    finished = Finished(store.out, "plain")
    export(finished, tmp_path / "model")
    assert not (tmp_path / "model" / "example.py").exists()
    digest = finished.plan.study.plugins[0].digest
    assert f"not part of this export: ours.py (digest {digest})" in card_of(tmp_path / "model")[1]
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(tmp_path / "i.png")
    where = inpaint.HoleSource(None, "4,4,10,10", None)
    inpaint.repair_files(
        finished, [tmp_path / "i.png"], tmp_path / "o.png", where, device="cpu", print_line=lambda _: None
    )
    assert (tmp_path / "o.png").is_file()


def test_the_command(out: Path, tmp_path: Path) -> None:
    for named, code in (("proposed", 0), ("mean", 2), ("nothing", 2)):
        done = command("export", named, tmp_path / named, "--out", out)
        assert done.returncode == code and "Traceback" not in done.stderr, done.stderr
        if code == 0:
            written = [f"written: {tmp_path / named / name}" for name in FILES]
            assert done.stdout.splitlines() == ["proposed/faces/0, 32 px", *written]
