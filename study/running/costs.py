"""What stages cost, from the measured seconds of those that were made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import mean

from study.plan.graph import Plan
from study.running.executors import Task
from study.store import Store

Place = tuple[str, str, str]
"""The variant, data set and role of a stage: over seeds, the stages of one place cost about the same."""


def measured(plan: Plan, store: Store) -> dict[Place, float]:
    """The mean seconds of the plan's stages that were made, by place."""
    found: dict[Place, list[float]] = {}
    for run in plan.runs:
        for role, key in run.stages.items():
            seconds = store.made(key).get("seconds")
            if store.has(key) and isinstance(seconds, int | float):
                found.setdefault((run.variant, run.data, role), []).append(seconds)
    return {place: mean(seconds) for place, seconds in found.items()}


def makespan_s(tasks: Sequence[Task], seconds: Mapping[str, float], workers: int) -> float:
    """The seconds until workers have made these tasks in their order, each as soon as what it needs is there.

    Args:
        tasks: ``study.running.driver.tasks``.
        seconds: of each stage by key.
    """
    free = [0.0] * workers
    ready: dict[str, float] = {}  # when a stage is there
    waiting, missing = list(tasks), {key for task in tasks for key in task.keys}
    while waiting:
        able = [task for task in waiting if all(need in ready or need not in missing for need in task.needs)]
        free.sort()
        starts = [max([free[0], *(ready.get(need, 0.0) for need in task.needs)]) for task in able]
        start = min(starts)
        task = able[starts.index(start)]
        waiting.remove(task)
        free[0] = start + sum(seconds.get(key, 0.0) for key in task.keys)
        ready |= dict.fromkeys(task.keys, free[0])
    return max(free)


def expected_s(plan: Plan, store: Store, known: Mapping[Place, float], workers: int) -> float:
    """The seconds that workers need at least for the plan's missing stages.

    That is an equal part of the work for each, or the longest run, whose stages follow one another. What was never
    measured counts nothing.
    """
    missing: dict[str, float] = {}
    longest = 0.0
    for run in plan.runs:
        places = {key: (run.variant, run.data, role) for role, key in run.stages.items() if not store.has(key)}
        chain = {key: known[place] for key, place in places.items() if place in known}
        longest = max(longest, sum(chain.values()))
        missing |= chain
    return max(sum(missing.values()) / workers, longest)


def seed_s(plan: Plan, known: Mapping[Place, float], variants: Iterable[str], data: Iterable[str]) -> float:
    """The seconds of one more seed of these variants on these data sets, on one worker; what they share counts once."""
    wanted, sets = set(variants), set(data)
    seed = plan.runs[0].seed
    stages = {
        key: known.get((run.variant, run.data, role), 0.0)
        for run in plan.runs
        if run.variant in wanted and run.data in sets and run.seed == seed
        for role, key in run.stages.items()
        if not role.startswith("data")
    }
    return sum(stages.values())
