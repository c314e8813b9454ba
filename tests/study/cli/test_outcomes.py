"""What commands that show results print: the answer in short, and tables read at 80 columns and in pipes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import tiny
from commands import command

from reports.analysis import claims
from study.cli.outcomes import in_short
from study.store import RunState


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
        "  C4 supported: Sentence C4 (over CE: +0.25 [+0.12, +0.38])",
    ]


def test_the_answer_of_little_is_little() -> None:
    exact = {"p": np.nan, "low": np.nan, "high": np.nan, "holds_adjusted": None}
    lines = said(row("C1", "not tested"), row("C2", "supported", effect=4.0, unit="px", **exact), scope="paper")
    assert lines == ["claims of the paper: 1 supported, 1 not tested", "  C2 supported: Sentence C2 (over CE: +4 px)"]
    assert said(row("C1", "not tested")) == [
        "claims of the paper: 1 not tested; of this study alone: its data, size or schedule differ"
    ]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of several states."""
    variants = {name: tiny.EVERY[name] for name in ("mean", "biharmonic")}
    plan, store = tiny.planned(tmp_path_factory.mktemp("outcomes"), variants, seeds=[0, 1])
    tiny.recorded(plan.only(lambda run: run.variant == "mean"), store)
    failed = tiny.run_of(plan, "biharmonic").name
    RunState.of(store.out, failed).write(run=failed, status="failed", why="[bold]no memory", record="3")
    return store.out


def lines_of(*words: object) -> list[str]:
    done = command(*words, columns=80)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout and "…" not in done.stdout
    return [line.rstrip() for line in done.stdout.splitlines()]


def test_status_is_a_line_per_variant_or_per_run(out: Path) -> None:
    assert lines_of("status", out) == [
        "variant     runs",
        "mean        2 completed",
        "biharmonic  1 failed, 1 missing",
        "failed: biharmonic/faces/0: [bold]no memory",
        "2/3 stages; runs: 2 completed, 1 failed, 1 missing",
        "nothing is running here",
    ]
    each = lines_of("status", out, "--runs")
    assert each[0].split() == ["run", "status", "record", "why"] and each[3].endswith("[bold]no memory")
    assert sum(line.startswith(("mean/faces/", "biharmonic/faces/")) for line in each) == 4


def test_claims_are_short_and_the_evidence_is_of_those_that_are_named(out: Path) -> None:
    short, long = lines_of("claims", out), lines_of("claims", out, "c12")
    ids = [line.split()[0] for line in short if line.startswith("C") and line.split()[0][1:].isdigit()]
    assert ids == [f"C{number}" for number in range(1, 16)]
    assert max(map(len, short)) <= 80 and not any("to have one" in line for line in short)
    assert sum(line.startswith("C12 ") for line in long) == 1 and not any(line.startswith("C1 ") for line in long)
    assert "over a trivial filler: not tested: " in " ".join(" ".join(long).split())
    done = command("claims", out, "C12", "C99")
    assert done.returncode == 2 and "C99: not a claim here; choose C1, C2," in done.stderr
    assert [row["id"] for row in json.loads(command("claims", out, "C12", "--json").stdout)] == ["C12"]


@pytest.mark.parametrize(
    "words",
    [
        ("plan", "runs.yaml"),
        ("plan", "runs.yaml", "--profile", "paper"),
        ("describe", "proposed"),
        ("describe", "giica", "--profile", "paper"),
        ("diff", "OUT", "OUT"),
    ],
)
def test_tables_fit_80_columns_and_no_cell_is_cut(words: tuple[str, ...], out: Path, tmp_path: Path) -> None:
    given = [out if word == "OUT" else word for word in words]
    lines = lines_of(*given, *(("--out", tmp_path) if words[0] == "plan" else ()))
    assert max(map(len, lines)) <= 80 or words[0] == "diff"  # which names folders
    if words[0] == "plan":
        assert lines[2].split()[-4:] == ["Ti", "A100", "H100", "H200"]
        assert any(line.startswith("all ") and len(line.split()) >= 7 for line in lines)
    if words[0] == "describe":
        heads = [line.split() for line in lines if line.startswith("layer ")]
        assert heads and all(head[:3] == ["layer", "kind", "kernel"] for head in heads)
