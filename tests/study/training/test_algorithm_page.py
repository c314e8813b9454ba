"""docs/algorithm-1.md quotes the code as it is, and every line of the algorithm."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TABLE = (ROOT / "docs" / "algorithm-1.md").read_text(encoding="utf-8").partition("## What differs")[0]
LINES = [line for line in TABLE.splitlines() if line.startswith("| ")][1:]
ROWS = [[cell.strip() for cell in line.split("|")[1:-1]] for line in LINES]
QUOTES = [(quote, file.strip("`")) for *_, code, file in ROWS for quote in re.findall("`([^`]+)`", code)]


def test_every_line_is_there() -> None:
    assert ", ".join(row[0] for row in ROWS if row[0]) == ", ".join(map(str, range(1, 15)))
    assert {file for _, file in QUOTES} >= {"study/training/step.py", "study/training/loop.py"}


@pytest.mark.parametrize(("quote", "file"), QUOTES)
def test_the_quoted_code_is_in_the_file(quote: str, file: str) -> None:
    assert quote in (ROOT / file).read_text(encoding="utf-8")
