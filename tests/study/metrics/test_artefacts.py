"""The metric ``artefact`` finds planted artefacts and passes clean repairs, as docs/artefacts.md says."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch

from reports.analysis.links import claims
from reports.analysis.statistics import exact

DOCS = Path(__file__).parents[3] / "docs"
STRENGTH = 0.2
FOUND = {"checkerboard", "noise", "ghost edges", "stripes"}
SLACK = 0.2
"""About three standard errors of a share of 24 repairs, less those of one that is near 1."""


def documented() -> dict[str, float]:
    """The shares above 1 of planted artefacts at that strength, in the page's table of portraits."""
    portraits = (DOCS / "artefacts.md").read_text(encoding="utf-8").split("### Photographs")[0]
    rows = [line.strip("| ").split(" | ") for line in portraits.splitlines() if f" | {STRENGTH} | " in line]
    return {row[0]: float(row[-1].rstrip("%")) / 100 for row in rows}


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location("artefacts", DOCS / "artefacts.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def values(script: Any) -> dict[tuple[str, float], torch.Tensor]:
    """Of six portraits at 64 pixels."""
    found = script.measured([script.portraits(64, 6)], {"fine detail": script.fine_detail}, strengths=[STRENGTH])
    return dict(found["fine detail"])


def test_clean_repairs_have_no_artefact(script: Any, values: dict[tuple[str, float], torch.Tensor]) -> None:
    clean = script.joined(values)
    assert len(clean) == 9 * 6 and clean.max() < 1


def test_planted_artefacts_are_found_as_often_as_the_page_says(
    script: Any, values: dict[tuple[str, float], torch.Tensor]
) -> None:
    told = documented()
    assert told.keys() == script.PLANTED.keys()
    for kind, share in told.items():
        assert script.above(values[kind, STRENGTH]) == pytest.approx(share, abs=SLACK), kind
    assert all(script.area(script.joined(values), values[kind, STRENGTH]) > 0.9 for kind in FOUND)


def test_invented_content_is_flagged_where_it_is_sharp(script: Any) -> None:
    found = script.measured_inventions([script.portraits(64, 6)])
    assert {kind: script.above(each) > 0.5 for kind, each in found.items()} == {
        kind: "blurred" not in kind for kind in found
    }


def test_the_claim_is_held_against_the_rate_of_false_alarms(script: Any) -> None:
    """No false alarm in as many clean repairs as docs/artefacts.md has of portraits would keep the margin."""
    (link,) = next(claim for claim in claims() if claim.id == "C15").links
    assert link.margin is not None
    repairs = 9 * script.IMAGES * len(script.SIDES)
    assert exact(0, repairs)[1] < link.margin


def test_the_area_under_the_curve_and_its_points(script: Any) -> None:
    negative = torch.tensor([0.0, 1.0, 2.0, 3.0])
    assert script.area(negative, torch.tensor([4.0, 5.0])) == 1
    assert script.area(negative, torch.tensor([1.0])) == pytest.approx(1.5 / 4)
    assert script.found(negative, torch.tensor([1.0, 2.9, 3.1, 4.0]), 0.01) == 0.5


def test_a_folder_without_photographs_is_named(script: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        script.photographs(tmp_path, 64)
    assert stop.value.code == 2
    assert capsys.readouterr().err == f"{tmp_path}: no .jpg, .jpeg or .png file; name a folder of photographs\n"
