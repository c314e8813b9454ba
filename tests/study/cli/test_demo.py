"""``study inpaint --demo``: the demo's model without a study."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import tiny
from commands import command
from inline import Inline
from PIL import Image

from study.running.executors import EXECUTORS


def test_without_a_study_the_demos_model_is_offered(tmp_path: Path) -> None:
    told = command("inpaint", "proposed", "a.png", "--box", "1,1,8,8", "-o", "b.png", cwd=tmp_path)
    assert told.returncode == 2
    assert told.stderr.endswith("study inpaint --demo a.png --box 1,1,8,8 -o b.png\n")
    assert "name the images to repair" in command("inpaint", "proposed", "-o", "b.png", cwd=tmp_path).stderr


def test_the_demos_model_is_trained_once_and_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a tiny study in the place of the demo's."""
    study = json.loads(tiny.write(tmp_path / "shipped").read_text())
    (tmp_path / "shipped" / "runs.yaml").write_text(json.dumps(study | {"profiles": {"demo": {}}}))
    monkeypatch.setattr("study.cli.demo.shipped", lambda name: tmp_path / "shipped" / name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(EXECUTORS, "local", Inline)
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    words = ("inpaint", "--demo", "a.png", "--box", "10,10,12,12", "-o", "b.png")
    refused = command("inpaint", "--demo", "a.png", "--mask", "none.png", "-o", "b.png", cwd=tmp_path)
    assert refused.returncode == 2 and "none.png" in refused.stderr and not (tmp_path / "cache").exists()
    first, second = (command(*words, cwd=tmp_path) for _ in range(2))
    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    home = tmp_path / "cache" / "mo-zhou-study" / "demo"
    assert f"it is trained once, in a minute or two, into {home}" in first.stdout and (tmp_path / "b.png").exists()
    assert f"found in {home}" in second.stdout and "made" not in second.stdout
    shutil.copytree(home, tmp_path / "out")
    assert "found in out" in command(*words, cwd=tmp_path).stdout
