"""Runs docs/plugins.md: from an empty folder to a row in the report, and again after an edit."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import inline
import pandas as pd
import pytest
from commands import command
from inline import Inline
from ruamel.yaml import YAML

from study.parts import plugins, registries
from study.results import load
from study.running.executors import EXECUTORS

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", TEXT, re.DOTALL))
COMMANDS = re.findall(r"<!-- run -->\n```sh\n(.*?)```", TEXT, re.DOTALL)[0].splitlines()


def run(line: str, folder: Path) -> str:
    """Runs a command of the page and returns its output."""
    python, module, name, *words = line.split()
    assert (python, module, name) == ("python", "-m", "study")
    with mock.patch.dict(EXECUTORS, local=Inline):
        done = command(*words, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(autouse=True)
def _none_is_left_registered() -> Iterator[None]:
    yield
    plugins.use([])


def made(folder: Path) -> set[str]:
    return {stage.name for stage in (folder / "out" / "stages").iterdir()}


def stages_of(folder: Path, variant: str) -> set[str]:
    plan = json.loads((folder / "out" / "plan.json").read_text())
    return {key for run in plan["runs"] if run["variant"] == variant for key in run["stages"].values()}


@pytest.mark.slow
def test_the_worked_example(tmp_path: Path) -> None:
    for name, content in FILES.items():
        (tmp_path / name).write_text(content)
    for line in COMMANDS:
        run(line, tmp_path)
    report = tmp_path / "out" / "report"
    table = pd.read_csv(report / "tables" / "results-psnr-faces.csv").set_index("variant")
    assert table.loc["my_method", "seeds"] == 2 and table.loc["my_method", "hole"] > 0
    assert "my_method" in (report / "report.html").read_text()

    before, theirs = made(tmp_path), stages_of(tmp_path, "reconstruction_only")
    mine = stages_of(tmp_path, "my_method") - theirs
    edited = FILES["my_method.py"].replace("torch.relu(block(maps))", "torch.tanh(block(maps))")
    (tmp_path / "my_method.py").write_text(edited)
    told = run("python -m study plan study.yaml --out out", tmp_path)
    assert f"to be made: {len(mine)} of {len(before)} stages" in told
    done = inline.run(tmp_path / "study.yaml", tmp_path / "out")
    assert done.returncode == 0, done.stdout + done.stderr
    assert stages_of(tmp_path, "reconstruction_only") == theirs
    assert not stages_of(tmp_path, "my_method") & mine
    assert len(made(tmp_path) - before) == len(mine)

    study = FILES["study.yaml"].replace("[my_method.py]", "[my_method.py, my_report.py]")
    (tmp_path / "study.yaml").write_text(study)
    before = made(tmp_path)
    run("python -m study run study.yaml --out out", tmp_path)
    assert made(tmp_path) == before  # a claim and a section train nothing
    row = load(tmp_path / "out").claims.set_index("id").loc["M1"]
    assert row["outcome"] == "inconclusive" and "fewer than 3 seeds" in row["why"]  # two seeds decide nothing
    assert [link["name"] for link in row["links"]] == ["in PSNR", "in SSIM"] and len(row["controls"]) == 1
    assert '<section id="own-hard-images"' in (report / "report.html").read_text()
    plugins.use([])  # as in another process
    (tmp_path / "my_report.py").write_text(FILES["my_report.py"] + "# edited\n")
    run("python -m study report out", tmp_path)
    page = html.unescape((report / "report.html").read_text())
    assert "This section of a plugin is left out: " in page and "it has changed since the study was planned" in page


PARTS = sorted(set(FILES) - {"study.yaml", "my_method.py"})  # the worked example checks that one


def test_each_kind_of_part_has_an_example() -> None:
    declared = set(re.findall(r"^([A-Z]+) = \{", "\n".join(FILES.values()), re.MULTILINE))
    assert declared == set(registries.REGISTRIES)


@pytest.mark.slow
@pytest.mark.parametrize("name", PARTS)
def test_a_file_of_the_page_conforms(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(FILES[name])
    said = run(f"python -m study check {name}", tmp_path)
    assert " 0 faults, 0 not checked" in said


@pytest.mark.slow
def test_the_parts_of_the_page_make_a_study(tmp_path: Path) -> None:
    for name in PARTS:
        (tmp_path / name).write_text(FILES[name])
    loss = {"kind": "soft_hinge", "optimizer": {"kind": "adam", "lr": 1e-4}}
    variants = {
        "my_fit": {"method": "my_fit"},
        "mirrored": {"method": "mirrored", "loss": loss},
        "own_mean": {"method": "own_mean"},
        "reconstruction_only": {"method": "reconstruction_only"},
        "mean": {"method": "mean"},
    }
    study = YAML(typ="safe").load(FILES["study.yaml"]) | {"plugins": PARTS, "variants": variants, "seeds": [0]}
    study |= {"data": {"boards": {"kind": "boards", "test": 4}}, "protocol": {"mask": {"kind": "bar"}}}
    (tmp_path / "study.yaml").write_text(json.dumps(study))
    run("python -m study run study.yaml --out out", tmp_path)
    report = tmp_path / "out" / "report"
    own = pd.read_csv(report / "tables" / "own-metrics-boards.csv")
    assert set(own["variant"]) == set(variants) and (own["metric"] == "rmse").all()
    page = (report / "report.html").read_text()
    assert "Metrics of plugins" in page and '<section id="own-hard-images"' in page
    assert len(pd.read_csv(report / "tables" / "hard-images.csv")) == 4
    table = pd.read_csv(report / "tables" / "claims.csv").set_index("id")
    assert table.loc["M1", "outcome"] == "not tested" and "no run of my_method on boards" in table.loc["M1", "why"]
