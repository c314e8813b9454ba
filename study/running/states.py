"""The states of runs: whether they are complete, and what killed processes left."""

from __future__ import annotations

from pathlib import Path

from study.plan.graph import Plan, Run
from study.running.record import FOLDER, settle_record
from study.running.workers import workers
from study.store import RunState, Store


def complete(run: Run, plan: Plan, store: Store) -> bool:
    """Returns True if a run has its record and its own stages."""
    state = RunState.of(store.out, run.name).read()
    done = state.get("status") in ("completed", "diverged") and state.get("stage") == run.stages["evaluate"]
    return done and all(store.has(key) for key in plan.own(run))


def settle(out: Path, run: str, why: str = "its process was killed") -> None:
    """Marks a run, and its record, as interrupted if they say running. The run's process must have ended."""
    state = RunState.of(out, run)
    facts = state.read()
    if facts.get("status") == "running":
        settle_record(out, facts.get("record", ""))
        state.write(**{**facts, "status": "interrupted", "why": why})


def settle_all(out: Path) -> None:
    """Settles every run of an output that nobody makes; and every record, if this is the only process at work."""
    leases = Store(out).leases
    for file in sorted((out / "runs").glob("*.json")):
        if (name := RunState(file).read().get("run")) and leases.holder(file.stem) is None:
            settle(out, name)
    if len(workers(out)) > 1:
        return
    for file in sorted((out / FOLDER).glob("*/run.json")):  # a run killed before its state was written
        settle_record(out, file.parent.name)
