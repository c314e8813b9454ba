"""``study init`` writes study files that can be planned, and ``study docs`` shows pages."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from commands import command
from PIL import Image

from study.cli.starting import KINDS, shipped

ROOT = Path(__file__).parents[3]


def test_the_demo_is_the_file_of_a_clone(tmp_path: Path) -> None:
    done = command("init", "mine", cwd=tmp_path)
    assert done.returncode == 0 and "study plan mine/runs.yaml" in done.stdout
    assert (tmp_path / "mine" / "runs.yaml").read_bytes() == (ROOT / "runs.yaml").read_bytes()


@pytest.mark.parametrize(("kind", "place"), [("photographs", "path/to/my/photos"), ("paper", "path/to/CelebA")])
def test_one_line_is_to_fill_in(kind: str, place: str, tmp_path: Path) -> None:
    told = command("init", "--kind", kind, cwd=tmp_path).stdout
    number, line = re.findall(r"fill in:  runs\.yaml, line (\d+): (.*)", told)[0]
    written = (tmp_path / "runs.yaml").read_text()
    assert place in line and written.splitlines()[int(number) - 1].strip() == line
    unfilled = command("plan", "runs.yaml", cwd=tmp_path)
    assert unfilled.returncode == 2 and unfilled.stderr.startswith(f"runs.yaml:{number}:")


def test_filled_in_it_can_be_planned(tmp_path: Path) -> None:
    command("init", "--kind", "photographs", cwd=tmp_path)
    (tmp_path / "photos").mkdir()
    for number in range(10):
        Image.fromarray(np.full((40, 50, 3), number, np.uint8)).save(tmp_path / "photos" / f"{number}.png")
    file = tmp_path / "runs.yaml"
    file.write_text(file.read_text().replace("path/to/my/photos", "photos"))
    for more in ((), ("--profile", "gpu")):
        planned = command("plan", "runs.yaml", *more, cwd=tmp_path)
        assert planned.returncode == 0, planned.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_every_profile_of_a_kind_is_valid_but_for_the_data(kind: str, tmp_path: Path) -> None:
    """A study file is checked as a whole, so its only fault is the line to fill in."""
    command("init", "--kind", kind, cwd=tmp_path)
    for profile in re.findall(r"(?m)^  (\w+):$", (tmp_path / "runs.yaml").read_text().partition("\nprofiles:")[2]):
        faults = command("plan", "runs.yaml", "--profile", profile, cwd=tmp_path).stderr.splitlines()
        assert all("there is no folder path/to/" in fault for fault in faults)


def test_nothing_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "runs.yaml").write_text("mine")
    done = command("init", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "runs.yaml: it is there already, and is not replaced; name another folder\n"
    assert (tmp_path / "runs.yaml").read_text() == "mine"


def test_an_unknown_kind_is_bad_input(tmp_path: Path) -> None:
    done = command("init", "--kind", "photo", cwd=tmp_path)
    assert done.returncode == 2 and "did you mean 'photographs'?" in done.stderr
    assert not (tmp_path / "runs.yaml").exists()


@pytest.mark.parametrize("name", ["readings", "readings.md", "docs/readings.md"])
def test_a_page_is_shown_by_the_name_that_messages_use(name: str) -> None:
    assert command("docs", name).stdout == (ROOT / "docs" / "readings.md").read_text(encoding="utf-8")


def test_pages_are_listed_and_a_wrong_one_is_bad_input() -> None:
    listed = command("docs").stdout
    assert all(page.stem in listed for page in (ROOT / "docs").glob("*.md"))
    assert "did you mean 'readings'?" in command("docs", "reading").stderr


def test_every_page_that_the_code_names_is_shipped() -> None:
    files = [file for room in ("study", "models", "baselines", "reports") for file in (ROOT / room).rglob("*")]
    sources = [file for file in (*files, ROOT / "runs.yaml") if file.suffix in (".py", ".yaml", ".jinja")]
    texts = [file.read_text(encoding="utf-8") for file in sources]
    named = {name for text in texts for name in re.findall(r"docs/(?!NAME)[\w-]+\.md", text)}
    assert named and all(shipped(name).is_file() for name in named)
