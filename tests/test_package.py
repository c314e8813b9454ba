"""The wheel, in a folder without the clone: it starts, runs and exports a study."""

from __future__ import annotations

import email
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import tiny

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The content of the wheel."""
    pytest.importorskip("hatchling", reason="what builds the wheel is missing: pip install hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    words = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


def said(site: Path, cwd: Path, *words: str) -> str:
    """What the command prints, in a process that has the wheel alone."""
    environment = {**os.environ, "PYTHONPATH": str(site), "PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "study", *words], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_holds_our_packages_and_what_messages_name(site: Path) -> None:
    assert {path.name for path in site.iterdir() if path.suffix != ".dist-info"} == {
        "study",
        "models",
        "baselines",
        "reports",
    }
    shipped = site / "study" / "shipped"
    assert (shipped / "runs.yaml").read_bytes() == (ROOT / "runs.yaml").read_bytes()
    assert (shipped / "CITATION.cff").is_file() and (shipped / "docs" / "ablations.ipynb").is_file()
    for room in ("study", "models", "baselines", "reports"):
        there = {
            file.relative_to(ROOT)
            for file in (ROOT / room).rglob("*")
            if file.is_file() and "__pycache__" not in file.parts
        }
        assert not [file for file in there if not (site / file).is_file()]


def test_its_description_has_no_link_that_needs_the_clone(site: Path) -> None:
    (metadata,) = site.glob("*.dist-info/METADATA")
    text = email.message_from_string(metadata.read_text(encoding="utf-8")).get_payload()
    links = re.findall(r"\]\(([^)]*)\)", str(text))
    assert links and all(link.startswith(("https://", "http://", "#")) for link in links)


@pytest.mark.slow
def test_a_study_goes_from_init_to_an_export_without_the_clone(site: Path, tmp_path: Path) -> None:
    assert "written: runs.yaml" in said(site, tmp_path, "init")
    assert (tmp_path / "runs.yaml").is_file() and "# Data sets" in said(site, tmp_path, "docs", "data")
    tiny.write(tmp_path, {"reconstruction_only": {"method": "reconstruction_only"}, "mean": {"method": "mean"}})
    assert "2 of 2 runs completed" in said(site, tmp_path, "run", "tiny.yaml", "--jobs", "1")
    assert "example.py" in said(site, tmp_path, "export", "reconstruction_only", "exported")
    assert all((tmp_path / "out" / "report" / name).is_file() for name in ("report.html", "report.pdf"))
