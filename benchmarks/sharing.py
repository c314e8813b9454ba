"""The time that sharing stages saves in the demo study of one seed, and a check that it changes no byte.

    python benchmarks/sharing.py [--seeds 0] [--jobs 2]

Runs ``study run`` twice in temporary folders, with and without sharing. The data are packed before, because both share
them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from study.plan.graph import Plan
from study.store import Store

ROOT = Path(__file__).resolve().parents[1]


def timed(out: Path, *options: str) -> float:
    """The seconds of one ``study run``."""
    command = [sys.executable, "-m", "study", "run", "runs.yaml", "--out", str(out), "--device", "cpu", *options]
    started = time.monotonic()
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - started


def digests(out: Path) -> dict[tuple[str, str], object]:
    """The manifests of each run's stages, by run and role."""
    plan, store = Plan.read(out / "plan.json"), Store(out)
    assert plan is not None
    return {(run.name, role): store.manifest(key) for run in plan.runs for role, key in run.stages.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--jobs", default="2")
    options = parser.parse_args()
    more = ["--seeds", options.seeds, "--jobs", options.jobs]
    with tempfile.TemporaryDirectory() as folder:
        outs = {name: Path(folder) / name for name in ("shared", "unshared")}
        for out in outs.values():
            timed(out, *more, "--only", "mean")
        shared = timed(outs["shared"], *more)
        unshared = timed(outs["unshared"], *more, "--no-share")
        ours, theirs = digests(outs["shared"]), digests(outs["unshared"])
    same = sum(ours[name] == theirs.get(name) for name in ours)
    print(f"with sharing {shared:.0f} s, without {unshared:.0f} s: {unshared / shared:.2f} times")
    print(f"stages of all runs with the same bytes: {same} of {len(ours)}")
    sys.exit(0 if same == len(ours) else 1)


if __name__ == "__main__":
    main()
