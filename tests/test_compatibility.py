"""docs/compatibility.md says what happens to files as people have them; it is made here, from what does happen.

Each module in ``tests/compatibility`` is a section: ``TITLE``, ``TEXT`` and ``CASES``. To write the page anew:

    python tests/test_compatibility.py
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "helpers")]

from cases import section  # noqa: E402

PAGE = ROOT / "docs" / "compatibility.md"
MODULES = sorted((ROOT / "tests" / "compatibility").glob("[!_]*.py"))
HEAD = """# Files as people have them

What happens to a file or in a situation, in each of the commands that read it. A test makes this page from what the
commands do and say: `python tests/test_compatibility.py` writes it. "Read" means without a word unless words follow.
"""


def of(file: Path) -> ModuleType:
    """The module of a section, by its file."""
    spec = importlib.util.spec_from_file_location(f"compatibility_{file.stem}", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    spec.loader.exec_module(module)
    return module


def made(file: Path, folder: Path) -> str:
    module = of(file)
    return section(module.TITLE, module.TEXT, module.CASES, folder)


@pytest.mark.parametrize("file", MODULES, ids=lambda file: file.stem)
def test_a_section_says_what_happens(file: Path, tmp_path: Path) -> None:
    wanted = made(file, tmp_path).splitlines()
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    start = lines.index(wanted[0])
    found = lines[start : start + len(wanted)]
    assert found == wanted, "write the page anew: python tests/test_compatibility.py"


def test_the_page_holds_these_sections_alone() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.startswith(HEAD)
    headings = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    assert headings == [of(file).TITLE for file in MODULES]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        sections = [made(file, Path(place) / file.stem) for file in MODULES]
    PAGE.write_text("\n".join([HEAD, *sections]), encoding="utf-8")
