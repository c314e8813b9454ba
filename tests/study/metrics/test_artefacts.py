"""The metric ``artefact`` finds planted artefacts and passes clean repairs, as docs/statistics.md says."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch

from reports.analysis.links import claims
from reports.analysis.statistics import exact

DOCS = Path(__file__).parents[3] / "docs"
STRENGTH = 0.2
FOUND = {"checkerboard": 0.95, "noise": 0.95, "ghost edges": 0.85, "stripes": 0.6}
"""At least this share of each kind at that strength."""


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


@pytest.mark.parametrize("kind", FOUND)
def test_planted_artefacts_are_found(script: Any, kind: str, values: dict[tuple[str, float], torch.Tensor]) -> None:
    planted = values[kind, STRENGTH]
    assert script.above(planted) >= FOUND[kind]
    assert script.area(script.joined(values), planted) > 0.9


def test_the_claim_is_held_against_the_rate_of_false_alarms(script: Any) -> None:
    """No false alarm in as many clean repairs as docs/statistics.md has of portraits would keep the margin."""
    (link,) = next(claim for claim in claims() if claim.id == "C15").links
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
