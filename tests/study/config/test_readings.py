"""docs/readings.md lists each reading that is an option: its number, its key, and its values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel

from models.method import Recipe
from study.parts import registries

PAGE = Path(__file__).parents[3] / "docs" / "readings.md"
ROWS = {
    number: line
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if (found := re.match(r"\| (R\d+)", line)) and (number := found.group(1))
}


def values_of(annotation: Any) -> list[str]:
    """The words and switches that an option allows."""
    if annotation is bool:
        return ["true", "false"]
    if get_origin(annotation) is Literal:
        return [str(value) for value in get_args(annotation)]
    return [value for part in get_args(annotation) for value in values_of(part)]


def declared(kind: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str, tuple[str, ...]]]:
    for name, info in kind.model_fields.items():
        extra = info.json_schema_extra
        if isinstance(extra, dict) and "reading" in extra:
            values = ("center", "random_box", "free_form", "files") if name == "mask" else values_of(info.annotation)
            for number in str(extra["reading"]).split(", "):
                yield number, prefix + (info.alias or name), tuple(values)


READINGS = sorted(
    {row for kind in registries.METHODS.values() for row in declared(kind)} | set(declared(Recipe, "loss."))
)


@pytest.mark.parametrize(("number", "key", "values"), READINGS, ids=lambda value: str(value)[:30])
def test_the_page_names_each_reading(number: str, key: str, values: tuple[str, ...]) -> None:
    row = ROWS[number]
    last = key.rsplit(".", 1)[-1]
    assert re.search(rf"`[^`]*\b{last}\b", row), f"{key} is not in the row of {number}"
    missing = [value for value in values if not re.search(rf"`[^`]*\b{value}\b", row)]
    assert not missing, f"{key} may be {missing}, says the code"


def test_no_number_is_left_out() -> None:
    wanted = {f"R{number}" for number in range(1, 27)} - {"R5"}  # the reading list has no R5
    assert set(ROWS) == wanted
    assert {number for number, _, _ in READINGS} <= wanted


def test_the_papers_study_varies_those_that_are_marked() -> None:
    from study.config import load

    marked = {number for number, row in ROWS.items() if "**vary**" in row}
    assert marked == {"R6", "R7", "R8", "R11", "R12", "R22"}
    study = load(PAGE.parents[1] / "runs.yaml", profile="paper")
    (multiverse,) = study.multiverses.values()
    keys = {setting.reading.split(".")[0] for setting in multiverse.universes[0]}
    numbers = {number for number, key, _ in READINGS if key in keys}
    norms = study.ablations["norm_of_critics"].factors["loss.norm"]  # a baseline's recipe has its own norm
    assert norms == ["layer", "none", "batch"] and numbers | {"R8"} == marked
