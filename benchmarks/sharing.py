"""The demo study of one seed with shared stages, against the same study in which every run makes its own stages.

``study run`` with two workers, once on each side, because it takes minutes. The data are packed before: both sides
share them. All stages of all runs must have the same bytes.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.timing import Disagreement, Row, compared
from study.plan.graph import Plan
from study.store import Store, digests

ROOT = Path(__file__).resolve().parents[1]


def rows(file: Path = ROOT / "runs.yaml", jobs: int = 2, options: Sequence[str] = ("--seeds", "0")) -> Iterator[Row]:
    """Yields one row: seconds of the study."""
    with tempfile.TemporaryDirectory() as folder:
        ours, peer = (Path(folder) / name for name in ("shared", "unshared"))

        def run(out: Path, *more: str) -> None:
            command = [sys.executable, "-m", "study", "run", str(file), "--out", str(out), "--device", "cpu"]
            command += ["--jobs", str(jobs), *options, *more]
            subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)

        for out in (ours, peer):
            run(out, "--only", "mean")
        yield compared("the demo, one seed", lambda: run(ours), lambda: run(peer, "--no-share"), repeats=1, unit="s")
        shared, unshared = published(ours), published(peer)
        wrong = [name for name, digest in shared.items() if digest != unshared.get(name)]
        if wrong:
            raise Disagreement(f"{len(wrong)} of {len(shared)} stages have other bytes without sharing: {wrong[0]}")


def published(out: Path) -> dict[tuple[str, str], object]:
    """The checksums and the outcome of each run's stages, by run and role. Keys differ without sharing."""
    plan, store = Plan.read(out / "plan.json"), Store(out)
    assert plan is not None
    return {(run.name, role): digests(store.manifest(key)) for run in plan.runs for role, key in run.stages.items()}
