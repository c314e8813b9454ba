"""The searches of an output, for readers that use neither Optuna nor torch.

out/search/NAME.json         the search's state: its space and its trials so far
out/search/NAME.journal      Optuna's storage (``study.search.tune``)
out/search/NAME_tuned.yaml   the best setting as a variant, to include in a study file
out/search/workers/          one file per searching process, locked while it lives
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from study.store import Shape, read_facts

FOLDER = "search"
ENDED = ("completed", "pruned", "diverged")  # the states of trials that count


def trial_name(variant: str, number: int) -> str:
    """The name of a trial's variant. ``number``: Optuna's."""
    return f"{variant}@{number}"


class _Trial(Shape):
    number: int
    state: str
    value: float | None
    seconds: float = 0.0
    settings: dict[str, Any]
    usual: bool = False
    record: str = ""
    why: str = ""


class _Option(Shape):
    key: str


class _Search(Shape):
    variant: str
    profile: str | None = None
    of: int
    space: list[_Option]
    importance: dict[str, float] = Field({})
    trials: list[_Trial]


def read(file: Path) -> dict[str, Any]:
    """The state of a search; empty if the file is damaged, or is of another search."""
    state = read_facts(file, _Search)
    return state if state.get("variant") == file.stem else {}


def states(out: Path) -> list[dict[str, Any]]:
    """The states of an output's searches, ordered by variant."""
    return list(filter(None, map(read, sorted((out / FOLDER).glob("*.json")))))


def best_of(state: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The best completed trial of a search's state, the first if several are equal; None if none is completed."""
    done = [row for row in state["trials"] if row["state"] == "completed"]
    return max(done, key=lambda row: (row["value"], -row["number"])) if done else None


def brief(state: Mapping[str, Any]) -> dict[str, Any]:
    """A summary of a search: the number of trials planned (``of``), ended, and by state; and the best one."""
    counts = Counter(row["state"] for row in state["trials"])
    best = best_of(state)
    return {
        "of": state["of"],
        "ended": sum(counts[name] for name in ENDED),
        **{name: counts[name] for name in (*ENDED, "running", "failed")},
        "best": None if best is None else {"trial": best["number"], "validation_psnr_db": best["value"]},
    }
