"""How far a study is: the facts that ``study status`` shows."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from study.external import entries
from study.plan.graph import PLAN, Plan
from study.running import progress
from study.running.executors import EXECUTORS
from study.running.workers import workers
from study.search.trials import brief, states
from study.store import RunState, Store


def status(out: Path) -> tuple[dict[str, Any], list[tuple[str, str, str, str]] | None]:
    """What ``study status --json`` prints, and rows of name, status, reason and Sacred id of each run.

    In place of the rows, None where there are searches but no study has run. Raises BadInput where the folder holds
    neither a study nor a search.
    """
    searches = {state["variant"]: brief(state) for state in states(out)}
    search_facts = {"searching": len(workers(out, "tune")), "searches": searches}
    if searches and not (out / PLAN).is_file():
        return {"running": False, **search_facts}, None
    plan, store, live = Plan.of(out), Store(out), progress.live(out)
    running = bool(live)
    records = {run.name: RunState.of(out, run.name).read() for run in plan.runs}
    words = {
        run.name: RunState.word(records[run.name], store.has(run.stages["evaluate"]), running) for run in plan.runs
    }
    external = entries.found(out, plan)
    rows = [
        (name, words[name], record.get("why", ""), record.get("record", "")) for name, record in records.items()
    ] + [(one.run, "missing" if one.why else "completed", one.why or "scored from files", "") for one in external]
    facts = {
        "running": running,
        "stages": [sum(store.has(key) for key in plan.stages), len(plan.stages)],
        "runs": Counter(words.values()),
        "done": live.get("done"),
        "left_s": live.get("left_s"),
        "now": live.get("running", []),
        "waiting": [line for executor in EXECUTORS.values() for line in executor.waiting(out)],
        **{
            word: {name: record.get("why", "") for name, record in records.items() if record.get("status") == word}
            for word in ("failed", "diverged")
        },
        "external": {one.run: one.why or "completed" for one in external},
        **search_facts,
    }
    return facts, rows
