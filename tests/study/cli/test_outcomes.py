"""What commands that show results print: the answer in short, and tables read at 80 columns and in pipes."""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np
import pandas as pd

from reports.analysis import claims
from study.cli.outcomes import in_short


def row(id: str, outcome: str, **more: Any) -> dict[str, Any]:
    usual = {"claim": f"Sentence {id}.", "adversarial_share": None, "link": "over CE", "unit": "dB", "p": 0.01}
    numbers = {"effect": 0.25, "low": 0.125, "high": 0.375, "holds_adjusted": True}
    return {"id": id, "outcome": outcome, **usual, **numbers, **more}


def said(*rows: dict[str, Any], scope: str = "other", profile: str | None = None) -> list[str]:
    results = mock.Mock(study={"profile": profile, "scope": scope})
    with mock.patch.object(claims, "claims_table", lambda results: pd.DataFrame(rows)):
        return in_short(results)


def test_the_answer_is_a_tally_and_the_three_claims_that_matter_most() -> None:
    exact = {"p": np.nan, "low": np.nan, "high": np.nan, "holds_adjusted": None}
    lines = said(
        row("C1", "inconclusive", holds_adjusted=None),
        row("C1-scaled", "contradicted", adversarial_share=0.5),
        row("C2", "supported", effect=4.0, unit="px", link="layers", **exact),
        row("C3", "supported", holds_adjusted=False),
        row("C4", "supported", unit=""),
        row("C5", "contradicted", holds_adjusted=False),
        row("C6", "not tested", effect=np.nan, **exact),
        profile="demo",
    )
    assert lines == [
        "claims of the paper: 3 supported, 1 contradicted, 1 inconclusive, 1 not tested; a demonstration, which cannot "
        "confirm or refute the paper",
        "  C1 inconclusive: Sentence C1 (over CE: +0.25 dB [+0.12, +0.38])",
        "  C5 contradicted: Sentence C5 (over CE: +0.25 dB [+0.12, +0.38]); not after adjustment for all claims",
        "  C4 supported: Sentence C4 (over CE: +0.250 [+0.125, +0.375])",
    ]


def test_the_answer_of_little_is_little() -> None:
    exact = {"p": np.nan, "low": np.nan, "high": np.nan, "holds_adjusted": None}
    lines = said(row("C1", "not tested"), row("C2", "supported", effect=4.0, unit="px", **exact), scope="paper")
    assert lines == ["claims of the paper: 1 supported, 1 not tested", "  C2 supported: Sentence C2 (over CE: +4 px)"]
    assert said(row("C1", "not tested")) == [
        "claims of the paper: 1 not tested; of this study alone: its data, size or schedule differ"
    ]
