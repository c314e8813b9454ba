"""The rule for few seeds errs as seldom as docs/statistics.md says, for truths of several shapes."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from reports.analysis.statistics import OUTCOMES

DOCS = Path(__file__).parents[3] / "docs"
REPETITIONS = 600
SLACK = 0.025  # about three standard errors of a rate of 5% over so many repetitions


@pytest.fixture(scope="module")
def simulation() -> Any:
    spec = importlib.util.spec_from_file_location("simulation", DOCS / "simulations.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows(heading: str) -> list[list[str]]:
    """The cells of the rows with shares, in the section of the page with this heading."""
    section = (DOCS / "statistics.md").read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [line.strip("| ").split(" | ") for line in section.splitlines() if "% |" in line]


def number(cell: str) -> float:
    return float(cell.rstrip("%")) / (100 if cell.endswith("%") else 1)


def documented() -> dict[tuple[str, int], list[float]]:
    """The shares in the table of the page, by truth and number of seeds."""
    return {(row[0], int(row[1])): list(map(number, row[2:])) for row in rows("How often the rule errs")}


def growing() -> dict[tuple[str, bool], list[float]]:
    """The numbers of the table for seeds that are added, by truth and whether seeds are paired."""
    table = [row for row in rows("Seeds until there is an answer") if not row[0].isdigit()]
    return {(row[0], row[1] == "paired"): list(map(number, row[2:])) for row in table}


@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("truth", ["normal", "heavy-tailed", "skewed", "clustered images", "two states"])
def test_the_rates_are_those_of_the_page(simulation: Any, truth: str, seeds: int) -> None:
    *said, collapse = documented()[truth, seeds]
    found = simulation.rates(truth, seeds, REPETITIONS)
    for rate, told in zip(found.values(), said, strict=True):
        assert rate == pytest.approx(told, abs=0.05 if truth == "two states" else SLACK)
    assert collapse == pytest.approx(simulation.undetected(seeds), abs=0.005)
    if truth in ("normal", "heavy-tailed", "clustered images"):
        coverage, supported, contradicted, equivalent = said
        assert coverage >= 0.94 and max(supported, contradicted) <= 0.03 and equivalent <= 0.055  # 95%, 2.5%, 5%


def test_every_truth_of_the_simulation_and_every_outcome_is_on_the_page(simulation: Any) -> None:
    assert {truth for truth, _ in documented()} == set(simulation.TRUTHS)
    page = (DOCS / "statistics.md").read_text()
    assert all(f"| {outcome} | {meaning} |" in page for outcome, meaning in OUTCOMES.items())


GROWING = sorted({truth for truth, _ in growing()})


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("truth", GROWING)
def test_adding_seeds_errs_and_costs_as_the_page_says(simulation: Any, truth: str, paired: bool) -> None:
    told = growing()[truth, paired]
    found = simulation.until(truth, paired, REPETITIONS)
    right, false, left, seeds, at_once = found.values()
    assert [right, left, at_once] == pytest.approx([told[0], told[2], told[4]], abs=0.06)
    assert false == pytest.approx(told[1], abs=0.06 if "two states" in truth else SLACK)
    assert seeds == pytest.approx(told[3], abs=0.45)
    assert told[1] <= 0.05 or truth == "none, two states"


def test_all_truths_for_added_seeds_are_on_the_page(simulation: Any) -> None:
    assert set(growing()) == {(truth, paired) for truth in simulation.GROWING for paired in (True, False)}


def test_any_greatest_number_of_seeds_keeps_the_errors_within_five_percent(simulation: Any) -> None:
    table = {
        int(row[0]): list(map(number, row[1:])) for row in rows("Seeds until there is an answer") if row[0].isdigit()
    }
    assert list(table) == [3, 5, 6, 8, 10, 12, 20] and all(false <= 0.05 for false, *_ in table.values())
    for most in (3, 6, 20):
        found = simulation.until("none, margin out of reach", True, REPETITIONS, most)
        assert found["false"] == pytest.approx(table[most][0], abs=SLACK)
        assert found["seeds"] == pytest.approx(table[most][1], abs=0.1 * most)
