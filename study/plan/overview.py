"""A plan as people and programs read it, and what its stages cost on this machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.table import Table

from study.plan.graph import KINDS, Plan
from study.store import Store


def as_json(plan: Plan, store: Store, measured: Mapping[str, Cost] | None) -> dict[str, Any]:
    """``runs``, ``stages`` (key, kind, needs, runs, exists) and ``work`` in multiply-accumulates."""
    users = plan.users()
    stages = []
    for key, stage in plan.stages.items():
        entry = {
            "key": key,
            "kind": stage.kind,
            "needs": sorted(stage.needs.values()),
            "runs": users[key],
            "exists": store.has(key),
            "steps": stage.steps,
            "work": stage.work,
        }
        if measured is not None and key in measured:
            cost = measured[key]
            entry |= {"step_s": cost.step_s, "peak_memory_bytes": cost.memory, "disk_bytes": cost.disk}
        stages.append(entry)
    runs = [
        {"name": r.name, "variant": r.variant, "data": r.data, "seed": r.seed, "aliases": r.aliases, "stages": r.stages}
        for r in plan.runs
    ]
    found: dict[str, Any] = {"runs": runs, "stages": stages, "work": plan.work()}
    if measured is not None:
        found["expected_s"] = expected_s(plan, store, measured)
    return found


def show(plan: Plan, store: Store, measured: Mapping[str, Cost] | None, console: Console) -> None:
    """The plan as tables: stages with who shares them, then runs and work."""
    users = plan.users()
    table = Table(title="Stages", box=None, title_justify="left", pad_edge=False)
    for name in ("stage", "there", "steps", "GMAC"):
        table.add_column(name, justify="left" if name == "stage" else "right", no_wrap=True)
    for name in ("ms a step", "MiB memory", "MiB disk") if measured is not None else ():
        table.add_column(name, justify="right")
    table.add_column("made for", overflow="fold")
    for kind in KINDS:
        for key, stage in plan.stages.items():
            if stage.kind != kind:
                continue
            row = [key, "yes" if store.has(key) else "no", str(stage.steps or ""), f"{stage.work / 1e9:,.0f}"]
            if measured is not None:
                cost = measured.get(key)
                row += (
                    [f"{1000 * cost.step_s:.1f}", f"{cost.memory / 2**20:.0f}", f"{cost.disk / 2**20:.1f}"]
                    if cost
                    else ["", "", ""]
                )
            table.add_row(*row, _users(users[key]))
    console.print(table)
    console.print()
    kinds = Counter(stage.kind for stage in plan.stages.values())
    counts = {kind: kinds[kind] for kind in KINDS if kinds[kind]}
    console.print(
        f"{len(plan.runs)} runs of {len({run.variant for run in plan.runs})} variants; stages: "
        + ", ".join(f"{count} {kind}" for kind, count in counts.items()),
        highlight=False,
    )
    for run in plan.runs:
        if run.aliases and run.seed == plan.runs[0].seed:
            console.print(
                f"{run.variant} is also {', '.join(run.aliases)}: one run under several names", highlight=False
            )
    missing = [stage for key, stage in plan.stages.items() if not store.has(key)]
    forwards = sum(
        max(plan.stages[key].forward for key in keys) for keys in plan.passes() if not all(map(store.has, keys))
    )
    to_make = sum(stage.work for stage in missing) + forwards
    console.print(
        f"to be made: {len(missing)} of {len(plan.stages)} stages, {to_make / 1e12:,.2f} TMAC", highlight=False
    )
    work = plan.work()
    console.print(
        f"work: {work['shared'] / 1e12:,.2f} TMAC shared, {work['unshared'] / 1e12:,.2f} TMAC without sharing"
        + (f" ({work['unshared'] / work['shared']:.2f} times)" if work["shared"] else ""),
        highlight=False,
    )
    if measured is not None:
        left = timedelta(seconds=round(expected_s(plan, store, measured)))
        disk = sum(cost.disk for cost in measured.values())
        console.print(
            f"expected: {left} of one worker for what is not there yet; {disk / 2**20:,.0f} MiB of disk for all",
            highlight=False,
        )


def _users(names: list[str]) -> str:
    if len(names) <= 2:
        return ", ".join(names)
    return f"{names[0]} and {len(names) - 1} more"


def expected_s(plan: Plan, store: Store, measured: Mapping[str, Cost]) -> float:
    """Seconds of one worker for the trained stages that are not there yet."""
    missing = [key for key in measured if not store.has(key)]
    return sum(measured[key].step_s * plan.stages[key].steps for key in missing)


@dataclass(frozen=True)
class Cost:
    """What a stage takes here: seconds a step (its part of the pass), peak memory, its files' size (bytes)."""

    step_s: float
    memory: int
    disk: int
