"""Searches as they lie in an output, for who knows neither Optuna nor torch: their trials, and who works at them.

out/search/NAME.json         the trials so far and what was searched
out/search/NAME.journal      Optuna's own (``study.search.tune``)
out/search/NAME_tuned.yaml   the best setting as a variant, to be included in a study file
out/search/workers/          a file for each process that searches, locked while it lives
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from study.store import read_json

FOLDER = "search"
TOLD = frozenset({"variant", "space", "of", "trials"})
"""What the state of every search tells."""

ENDED = ("completed", "pruned", "diverged")
"""The states of trials that count."""


def trial_name(variant: str, number: int) -> str:
    """A trial's name as a variant, by its Optuna number."""
    return f"{variant}@{number}"


def tuned_name(variant: str) -> str:
    """The name of a variant once it is tuned."""
    return f"{variant}_tuned"


def states(out: Path) -> list[dict[str, Any]]:
    """What is known of an output's searches, by the names of what was searched."""
    found = (read_json(file) for file in sorted((out / FOLDER).glob("*.json")))
    return [state for state in found if isinstance(state, dict) and state.keys() >= TOLD]


def best_of(state: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The best completed trial of a search's state, the first of equals; None where there is none yet."""
    done = [row for row in state["trials"] if row["state"] == "completed"]
    return max(done, key=lambda row: (row["value"], -row["number"])) if done else None


def brief(state: Mapping[str, Any]) -> dict[str, Any]:
    """A search in a few facts: ``of`` how many trials how many ended and how, and the best."""
    counts = Counter(row["state"] for row in state["trials"])
    best = best_of(state)
    return {
        "of": state["of"],
        "ended": sum(counts[word] for word in ENDED),
        **{word: counts[word] for word in (*ENDED, "running", "failed")},
        "best": None if best is None else {"trial": best["number"], "validation_psnr_db": best["value"]},
    }
