"""A plan for people (tables) and for programs (JSON): what it trains, its hours on several devices, what is shared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from rich.console import Console
from rich.table import Table

from study.plan import hours
from study.plan.devices import CARDS, Device
from study.plan.graph import KINDS, Plan
from study.store import Store

HOUR_S = 3600
NAMED = 4  # columns that a number takes at most
SHOWN = 24  # variants: the most expensive ones


@dataclass(frozen=True)
class Here:
    """This machine: its device, None if the table of devices lacks it, and how many workers train on it at once."""

    name: str
    device: Device | None
    workers: int = 1


@dataclass(frozen=True)
class Cost:
    """What a stage costs, measured: seconds of a step (its share of the pass) and of all, memory and files in bytes.

    ``memory``: the peak of the device's; of the process on a CPU.
    """

    step_s: float
    total_s: float
    memory: int
    disk: int


@dataclass(frozen=True)
class Measured:
    """The costs of all stages by key, and the seconds from the first to the last of the missing ones, made in order."""

    stages: Mapping[str, Cost]
    expected_s: float


@dataclass(frozen=True)
class Column:
    """Hours on a device: seconds of each missing stage, or the reason why there are none."""

    name: str
    stages: Mapping[str, float] | None
    why: str = ""
    workers: int = 1

    @property
    def total_s(self) -> float:
        """The seconds of all, by all workers; 0 if they are not known."""
        return sum((self.stages or {}).values()) / self.workers


def columns(plan: Plan, store: Store, here: Here, measured: Measured | None) -> list[Column]:
    """The hours of the stages that do not exist yet: on this machine, then on the cards of the table."""
    works = hours.works(plan)
    precision = plan.study.numerics["precision"]

    def column(name: str, device: Device | None, workers: int = 1) -> Column:
        if device is None:
            return Column(name, None, "unknown")
        found = hours.seconds(plan, device, works, lambda key: not store.has(key))
        return Column(name, found, "" if found is not None else f"no {precision}", workers)

    if measured is not None:
        stages = {key: cost.total_s for key, cost in measured.stages.items() if not store.has(key)}
        return [Column(f"{here.name}, measured", stages, workers=here.workers)]
    others = [card for card in CARDS if card != here.device]
    return [column(here.name, here.device, here.workers), *(column(card.name, card) for card in others)]


def as_json(plan: Plan, store: Store, here: Here, measured: Measured | None) -> dict[str, Any]:
    """``runs``, ``stages`` (key, kind, needs, runs, exists, ...) and ``work`` in multiply-accumulates.

    Of what is missing also ``eflop``, and ``hours`` by device: of all, by kind of stage and by variant, or None with
    the reason.
    """
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
    flops = _flops(plan, store)
    value["eflop"] = sum(flops.values()) / 1e18
    found = columns(plan, store, here, measured)
    value["hours"] = [
        {"device": one.name, "workers": one.workers, "hours": None, "why": one.why}
        if one.stages is None
        else {"device": one.name, "workers": one.workers, **_hours(plan, one.stages, one.workers)}
        for one in found
    ]
    if measured is not None:
        for entry in stages:
            if cost := measured.stages.get(entry["key"]):
                entry |= {"step_s": cost.step_s, "total_s": cost.total_s}
                entry |= {"peak_memory_bytes": cost.memory, "disk_bytes": cost.disk}
        value["expected_s"] = measured.expected_s
    return value


def _hours(plan: Plan, stages: Mapping[str, float], workers: int) -> dict[str, Any]:
    def scaled(sums: Mapping[str, float]) -> dict[str, float]:
        return {name: seconds / HOUR_S / workers for name, seconds in sums.items()}

    return {
        "hours": sum(stages.values()) / HOUR_S / workers,
        "kinds": scaled(hours.by_kind(plan, stages)),
        "variants": scaled(hours.by_variant(plan, stages)),
    }


def _flops(plan: Plan, store: Store) -> dict[str, float]:
    """The FLOPs of each missing stage; those of a pass's forward pass are split evenly between its critics."""
    flops = {key: 2.0 * stage.work for key, stage in plan.stages.items() if not store.has(key)}
    for keys in plan.passes():
        missing = [key for key in keys if key in flops]
        for key in missing:
            flops[key] += 2 * plan.stages[key].forward / len(missing)
    return flops


def print_plan(
    plan: Plan, store: Store, here: Here, measured: Measured | None, console: Console, *, stages: bool = False
) -> None:
    """Prints a screen: counts, EFLOP, and the hours by kind of stage and by variant. With ``stages`` each of them."""
    say = partial(console.print, highlight=False)
    if stages:
        console.print(_stages(plan, store, measured))
        for run in plan.runs:
            if run.aliases and run.seed == plan.runs[0].seed:
                say(f"{run.variant} is also {', '.join(run.aliases)}: one run under several names")
        console.print()
    shared, unshared = plan.work().values()
    say(
        f"{len(plan.runs)} runs of {len({run.variant for run in plan.runs})} variants, {_flop_text(2 * shared)}"
        + (f"; without sharing {_flop_text(2 * unshared)}, {unshared / shared:.2f} times" if shared else "")
    )
    missing = sum(not store.has(key) for key in plan.stages)
    flops, found = _flops(plan, store), columns(plan, store, here, measured)
    say(f"to be made: {missing} of {len(plan.stages)} stages, {_flop_text(sum(flops.values()))}")
    console.print(_hours_table(plan, store, flops, found, stages))
    for line in _remarks(plan, here, measured, found):
        say(line)


def _hours_table(
    plan: Plan, store: Store, flops: Mapping[str, float], found: Sequence[Column], every_variant: bool
) -> Table:
    unit, scale = ("EFLOP", 1e18) if sum(flops.values()) > 1e16 else ("TFLOP", 1e12)
    table = Table(box=None, pad_edge=False, header_style="")
    time, time_s = ("hours", HOUR_S) if max(one.total_s for one in found) > 10 * HOUR_S else ("minutes", 60)
    table.add_column(time, overflow="fold")  # the one that is narrow on a narrow terminal
    for name in (unit, *(one.name for one in found)):
        table.add_column(name, justify="right", no_wrap=name != found[0].name, min_width=NAMED)
    every = Counter(stage.kind for stage in plan.stages.values())
    there = Counter(stage.kind for key, stage in plan.stages.items() if store.has(key))
    kinds, variants = hours.by_kind(plan, flops), hours.by_variant(plan, flops)
    by_kind, by_variant = (
        [function(plan, one.stages or {}) for one in found] for function in (hours.by_kind, hours.by_variant)
    )

    def row(name: str, work: float, seconds: Sequence[float], unknown: bool = False) -> None:
        shown = [
            (one.why if unknown else "") if one.stages is None else _brief(value / time_s / one.workers)
            for one, value in zip(found, seconds, strict=True)
        ]
        table.add_row(name, _brief(work / scale), *shown)

    for kind, work in kinds.items():
        row(f"{kind}, {every[kind] - there[kind]} of {every[kind]}", work, [sums[kind] for sums in by_kind])
    row("all", sum(flops.values()), [sum(sums.values()) for sums in by_kind], unknown=True)
    table.add_section()
    table.add_row("by variant (shared work is split)")
    order = sorted(variants, key=lambda name: variants[name], reverse=True)
    shown, rest = (order, []) if every_variant or len(order) <= SHOWN + 1 else (order[:SHOWN], order[SHOWN:])
    for name in shown:
        row(name, variants[name], [sums[name] for sums in by_variant])
    if rest:
        sums = [sum(one[name] for name in rest) for one in by_variant]
        row(f"{len(rest)} more (--stages lists all)", sum(variants[name] for name in rest), sums)
    return table


def _remarks(plan: Plan, here: Here, measured: Measured | None, found: Sequence[Column]) -> list[str]:
    precision = plan.study.numerics["precision"]
    if measured is not None:
        disk, memory = (
            sum(cost.disk for cost in measured.stages.values()),
            max((cost.memory for cost in measured.stages.values()), default=0),
        )
        left = timedelta(seconds=round(measured.expected_s))
        return [
            f"Expected: {left} until all is made, {here.workers} at once; without the report.",
            f"{disk / 2**20:,.0f} MiB of disk; {memory / 2**20:,.0f} MiB of memory for the largest stage.",
        ]
    lines = [f"In {precision}, on one card, at the rates of study/plan/devices.py; --measure times this machine."]
    if lacking := [one.name for one in found if one.stages is None and one.why != "unknown"]:
        lines.append(f"No {precision} on {', '.join(lacking)}: choose --set numerics.precision=fp32 there.")
    if here.device is None:
        lines.append(f"The rates of {here.name} are not known: use --measure.")
    return lines


def _flop_text(flops: float) -> str:
    return f"{flops / 1e18:,.2f} EFLOP" if flops > 1e16 else f"{flops / 1e12:,.2f} TFLOP"


def _brief(value: float) -> str:
    """Three digits at most, such as 1,186, 84.3 or 0.07."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _stages(plan: Plan, store: Store, measured: Measured | None) -> Table:
    users = plan.users()
    table = Table(title="Stages", box=None, title_justify="left", pad_edge=False)
    table.add_column("stage", no_wrap=True)
    costs = ("ms per step", "MiB memory", "MiB disk") if measured is not None else ()
    for name in ("exists", "steps", "TFLOP", *costs):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("runs", overflow="fold")
    for stage in sorted(plan.stages.values(), key=lambda stage: KINDS.index(stage.kind)):
        row = [stage.key, "yes" if store.has(stage.key) else "no", str(stage.steps or ""), _brief(2e-12 * stage.work)]
        if cost := measured and measured.stages.get(stage.key):
            row += [f"{1000 * cost.step_s:.1f}", f"{cost.memory / 2**20:.0f}", f"{cost.disk / 2**20:.1f}"]
        else:
            row += [""] * len(costs)
        names = users[stage.key]
        table.add_row(*row, ", ".join(names) if len(names) <= 2 else f"{names[0]} and {len(names) - 1} more")
    return table
