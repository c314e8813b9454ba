"""Runs docs/plugins.md: from an empty folder to a row in the report, and again after an edit."""

from __future__ import annotations

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

from study.parts import plugins
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


@pytest.mark.slow
def test_the_other_files_of_the_page_conform(tmp_path: Path) -> None:
    for name in ("my_fit.py", "my_metric.py"):
        (tmp_path / name).write_text(FILES[name])
        run(f"python -m study check {name}", tmp_path)
    study = FILES["study.yaml"].replace("[my_method.py]", "[my_fit.py, my_metric.py]").replace("my_method", "my_fit")
    (tmp_path / "study.yaml").write_text(study)
    run("python -m study run study.yaml --out out", tmp_path)
    own = pd.read_csv(tmp_path / "out" / "report" / "tables" / "own-metrics-faces.csv")
    assert set(own["variant"]) == {"my_fit", "reconstruction_only", "mean"} and (own["metric"] == "rmse").all()
    assert "Metrics of plugins" in (tmp_path / "out" / "report" / "report.html").read_text()
