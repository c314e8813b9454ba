"""Paths and links in the documentation exist."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [page for page in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")) if page.name != "CHANGELOG.md"]
PATH = re.compile(r"`((?:study|models|baselines|reports|tests|docs|benchmarks)/[\w./-]*)`")
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[\w-]*)?\)")
NAME = re.compile(r"`((?:study|models|baselines|reports)(?:\.(?!yaml)\w+)+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_paths_links_and_names_of_a_page_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    missing = [path for path in PATH.findall(text) if "NAME" not in path and not (ROOT / path).exists()]
    missing += [link for link in LINK.findall(text) if not (page.parent / link).exists()]
    missing += [name for name in NAME.findall(text) if not exists(name)]
    assert not missing


def exists(name: str) -> bool:
    """Returns True if a dotted name is a module, or an attribute of one."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


def script(name: str) -> Any:
    """A module of ``docs/``."""
    specification = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_the_readme_has_the_answers_of_the_results_page() -> None:
    """``python docs/readme.py`` copies them."""
    answers = script("readme").answers((ROOT / "docs" / "results.md").read_text(encoding="utf-8"))
    assert answers.count("| C") > 10 and answers in (ROOT / "README.md").read_text(encoding="utf-8"), (
        "run: python docs/readme.py"
    )


def test_the_numbers_of_the_readme_s_summary_are_of_the_results_page() -> None:
    readme, page = (
        " ".join((ROOT / name).read_text(encoding="utf-8").split()) for name in ("README.md", "docs/results.md")
    )
    numbers = re.findall(r"[+−][\d.]+ dB \[[^\]]+\]", readme.partition("<!-- answers -->")[0].replace("\\", ""))
    numbers += re.findall(r"[\d.]+ machine hours", readme)
    assert len(numbers) == 2 and all(number in page for number in numbers)


def test_the_page_on_performance_has_every_benchmark() -> None:
    from benchmarks.__main__ import NAMES

    assert sorted(script("performance").ORDER) == sorted(NAMES)
