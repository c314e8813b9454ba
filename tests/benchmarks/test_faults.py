"""The injection of faults, a few of each kind: nothing is lost; and what would be lost is found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOW = ("benchmarks.faults", "--share", "0.01", "--json")
QUICK = ("driver", "worker", "search", "manifest", "swapped", "run-state", "plan", "journal", "disk")


def injected(*words: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: one that has trained cannot fork others that train."""
    only = [word for name in words for word in ("--only", name)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-m", *HOW, *only], env=environment, capture_output=True, text=True)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_nothing_is_lost() -> None:
    done = injected(*QUICK)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert len(rows) == len(QUICK) and all(row["times"] > 0 and row["faults"] == [] for row in rows)
