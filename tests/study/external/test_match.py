"""Patterns of other people's names: how they are written, what they match, and which one is hinted at."""

from __future__ import annotations

import pytest

from study.errors import BadInput
from study.external.names import hint, match, patterns


@pytest.mark.parametrize(
    ("pattern", "path", "name"),
    [
        ("{name}", "a/b", "a/b"),
        ("{name}_raw", "a/b_raw", "a/b"),
        ("raw-{name}", "a/raw-b", "a/b"),
        ("x{name}y", "xay", "a"),
        ("{name}_raw", "a/_raw", None),
        ("{name}_raw", "a/b_mask", None),
        ("raw-{name}", "raw-a/b", None),
    ],
)
def test_a_pattern_names_the_image(pattern: str, path: str, name: str | None) -> None:
    assert match(pattern, path) == name


def test_patterns_are_written_for_each_role() -> None:
    assert patterns(None, "truth", "output") == {"truth": "{name}", "output": "{name}"}
    assert patterns("{name}_gt, {name}", "truth", "output") == {"truth": "{name}_gt", "output": "{name}"}
    with pytest.raises(BadInput, match=r"write a pattern for output, each with one \{name\}: '\{name\}_output'"):
        patterns("{name}_gt,{name}", "output")


def test_names_that_are_known_and_outputs_that_are_named_otherwise() -> None:
    assert hint({"output": ("o", ["a_out", "b_out"])}, ["a", "b", "c"]) == "--match '{name}_out' pairs 2 of them"
    assert hint({"output": ("o", ["a", "b"])}, ["a", "b", "c"]) == ""
    assert hint({"output": ("o", [])}, ["a"]) == "" == hint({"truth": ("t", ["x"]), "output": ("o", ["y"])})
