"""A plan for people (tables) and for programs (JSON), with what its stages cost on this machine if measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from rich.console import Console
from rich.table import Table

from study.plan.graph import KINDS, Plan
from study.store import Store


@dataclass(frozen=True)
class Cost:
    """What a stage costs: seconds per step (its share of the pass), peak memory and size of its files in bytes."""

    step_s: float
    memory: int
    disk: int


def as_json(plan: Plan, store: Store, measured: Mapping[str, Cost] | None) -> dict[str, Any]:
    """``runs``, ``stages`` (key, kind, needs, runs, exists, ...) and ``work`` in multiply-accumulates."""
    users = plan.users()
    stages: list[dict[str, Any]] = [
        {
            "key": key,
            "kind": stage.kind,
            "needs": sorted(stage.needs.values()),
            "runs": users[key],
            "exists": store.has(key),
            "steps": stage.steps,
            "work": stage.work,
        }
        for key, stage in plan.stages.items()
    ]
    fields = ("name", "variant", "data", "seed", "aliases", "stages")
    runs = [{name: getattr(run, name) for name in fields} for run in plan.runs]
    value: dict[str, Any] = {"runs": runs, "stages": stages, "work": plan.work()}
    if measured is not None:
        for entry in stages:
            if cost := measured.get(entry["key"]):
                entry |= {"step_s": cost.step_s, "peak_memory_bytes": cost.memory, "disk_bytes": cost.disk}
        value["expected_s"] = _expected_s(plan, store, measured)
    return value


def print_plan(plan: Plan, store: Store, measured: Mapping[str, Cost] | None, console: Console) -> None:
    """Prints the stages and the runs that need them, then the counts of runs and stages and the work."""
    say = partial(console.print, highlight=False)
    console.print(_table(plan, store, measured))
    console.print()
    kinds = Counter(stage.kind for stage in plan.stages.values())
    counts = ", ".join(f"{kinds[kind]} {kind}" for kind in KINDS if kinds[kind])
    say(f"{len(plan.runs)} runs of {len({run.variant for run in plan.runs})} variants; stages: {counts}")
    for run in plan.runs:
        if run.aliases and run.seed == plan.runs[0].seed:
            say(f"{run.variant} is also {', '.join(run.aliases)}: one run under several names")
    missing = [stage for key, stage in plan.stages.items() if not store.has(key)]
    passes = [keys for keys in plan.passes() if not all(map(store.has, keys))]
    forwards = sum(plan.stages[keys[0]].forward for keys in passes)  # the same for all critics of a pass
    to_make = sum(stage.work for stage in missing) + forwards
    say(f"to be made: {len(missing)} of {len(plan.stages)} stages, {to_make / 1e12:,.2f} TMAC")
    shared, unshared = plan.work().values()
    say(
        f"work: {shared / 1e12:,.2f} TMAC shared, {unshared / 1e12:,.2f} TMAC without sharing"
        + (f" ({unshared / shared:.2f} times)" if shared else "")
    )
    if measured is not None:
        left = timedelta(seconds=round(_expected_s(plan, store, measured)))
        disk = sum(cost.disk for cost in measured.values())
        say(f"expected: {left} on one worker for the missing stages; {disk / 2**20:,.0f} MiB of disk for all stages")


def _table(plan: Plan, store: Store, measured: Mapping[str, Cost] | None) -> Table:
    users = plan.users()
    table = Table(title="Stages", box=None, title_justify="left", pad_edge=False)
    table.add_column("stage", no_wrap=True)
    costs = ("ms per step", "MiB memory", "MiB disk") if measured is not None else ()
    for name in ("exists", "steps", "GMAC", *costs):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("runs", overflow="fold")
    for stage in sorted(plan.stages.values(), key=lambda stage: KINDS.index(stage.kind)):
        row = [stage.key, "yes" if store.has(stage.key) else "no", str(stage.steps or ""), f"{stage.work / 1e9:,.0f}"]
        if cost := (measured or {}).get(stage.key):
            row += [f"{1000 * cost.step_s:.1f}", f"{cost.memory / 2**20:.0f}", f"{cost.disk / 2**20:.1f}"]
        else:
            row += [""] * len(costs)
        names = users[stage.key]
        table.add_row(*row, ", ".join(names) if len(names) <= 2 else f"{names[0]} and {len(names) - 1} more")
    return table


def _expected_s(plan: Plan, store: Store, measured: Mapping[str, Cost]) -> float:
    """Seconds that one worker needs for the trained stages that do not exist yet."""
    return sum(cost.step_s * plan.stages[key].steps for key, cost in measured.items() if not store.has(key))
