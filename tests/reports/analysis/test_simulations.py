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


def documented() -> dict[tuple[str, int], list[float]]:
    """The shares in the table of the page, by truth and number of seeds."""
    rows = [
        line.strip("| ").split(" | ") for line in (DOCS / "statistics.md").read_text().splitlines() if "% |" in line
    ]
    return {(row[0], int(row[1])): [float(cell.rstrip("%")) / 100 for cell in row[2:]] for row in rows}


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
        assert coverage >= 0.94 and max(supported, contradicted) <= 0.03 and equivalent <= 0.05


def test_every_truth_of_the_simulation_and_every_outcome_is_on_the_page(simulation: Any) -> None:
    assert {truth for truth, _ in documented()} == set(simulation.TRUTHS)
    page = (DOCS / "statistics.md").read_text()
    assert all(f"| {outcome} | {meaning} |" in page for outcome, meaning in OUTCOMES.items())
