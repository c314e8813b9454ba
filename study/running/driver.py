"""The driver owns the graph: it submits what is ready, notes what became of it, and stops nothing for one failure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from study.errors import Interrupted
from study.plan.graph import Plan
from study.running.executors import Event, Executor, Task
from study.running.record import settle, settle_all
from study.running.runs import complete
from study.store import Damaged, RunState, Store, write_atomically

TRIES = 2
"""How often a task is begun whose process dies: a kill from outside is forgiven once."""

POLL_S = 0.5

RANKS = {"data": 0, "pretrain": 1, "critic": 2, "joint": 3, "fit": 3, "evaluate": 4}


@dataclass
class Summary:
    """What a drive came to. ``failed``: run -> why."""

    made: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False


def settle_stale(out: Path) -> None:
    """Settles what killed processes left: their records say RUNNING for ever otherwise. Needs the output's lock."""
    settle_all(out)
    for file in sorted((out / "runs").glob("*.json")):
        state = RunState(file)
        facts = state.read()
        if facts.get("status") == "running":
            state.write(**{**facts, "status": "interrupted", "why": "its process was killed"})


def check(plan: Plan, store: Store) -> list[str]:
    """Reads what is there against its checksums; what is damaged is set aside and named."""
    damaged = []
    for key in plan.stages:
        if store.has(key):
            store.clear(key)
            try:
                store.verified(key)
            except Damaged as error:
                store.set_aside(key)
                damaged.append(str(error))
    return damaged


def tasks(plan: Plan, store: Store) -> list[Task]:
    """What is to be made, in the order in which it is best begun: what others wait for first, then the longest."""
    own = {key for run in plan.runs for key in plan.own(run)}
    missing = [[key for key in keys if not store.has(key)] for keys in plan.passes()]
    found = [_stage_task(plan, keys) for keys in missing if keys]
    found += [
        _stage_task(plan, [key])
        for key, stage in plan.stages.items()
        if stage.kind != "critic" and key not in own and not store.has(key)
    ]
    for run in plan.runs:
        if not complete(run, plan, store):
            keys = plan.own(run)
            needs = {need for key in keys for need in plan.stages[key].needs.values()} | set(run.stages.values())
            work = sum(plan.stages[key].work for key in keys if not store.has(key))
            rank = RANKS["joint" if work else "evaluate"]
            found.append(Task(tuple(keys), tuple(sorted(needs - set(keys))), run=run.name, work=work, rank=rank))
    return sorted(found, key=lambda task: (task.rank, -task.work))


def _stage_task(plan: Plan, keys: list[str]) -> Task:
    stages = [plan.stages[key] for key in keys]
    needs = sorted({need for stage in stages for need in stage.needs.values()})
    work = sum(stage.work for stage in stages) + stages[0].forward
    return Task(tuple(keys), tuple(needs), work=work, rank=RANKS[stages[0].kind])


def drive(
    plan: Plan,
    store: Store,
    executor: Executor,
    waiting: Iterable[Task],
    *,
    told: Callable[[Event], None],
    tick: Callable[[list[Task]], None] = lambda running: None,
    more: Callable[[], Iterable[Task]] = tuple,
) -> Summary:
    """Makes tasks as they become ready. ``told`` hears every event, ``tick`` what is running, twice a second.

    ``more`` is asked before each round for tasks that have come up since; what they name has to be in the plan by then.

    An interrupt (KeyboardInterrupt or Interrupted) ends it at once with what is under way written down.
    """
    summary = Summary()
    queue = list(waiting)
    running: list[Task] = []
    tries: dict[Task, int] = {}
    try:
        while True:
            queue += more()
            if not (queue or running):
                break
            for task in list(queue):
                if executor.free <= 0:
                    break
                if all(store.has(need) for need in task.needs):
                    queue.remove(task)
                    running.append(task)
                    tries[task] = tries.get(task, 0) + 1
                    executor.submit(task)
            if not running:
                stuck = ", ".join(task.run or task.keys[0] for task in queue)
                raise AssertionError(f"nothing is ready, yet these wait: {stuck}")
            for event in executor.poll(POLL_S):
                if event.kind != "progress":
                    running.remove(event.task)
                if event.kind == "done" and not event.task.why:
                    summary.made += 1
                elif event.kind == "died" and tries[event.task] < TRIES:
                    _settle(plan, store, event.task)
                    queue.insert(0, event.task)
                elif event.kind in ("failed", "died", "interrupted"):
                    _settle(plan, store, event.task)
                    why = event.text or "its process was told to stop"
                    _note_failure(store.out, event, why)
                    queue = _without_dependants(plan, event.task, why, queue, summary)
                told(event)
            tick(running)
    except (KeyboardInterrupt, Interrupted):
        summary.interrupted = True
    finally:
        executor.close()
        if summary.interrupted:
            for task in running:
                _settle(plan, store, task)
    return summary


def _settle(plan: Plan, store: Store, task: Task) -> None:
    """A run whose process is gone does not stay RUNNING in its record."""
    run = next((run for run in plan.runs if run.name == task.run), None)
    if run is None:
        return
    state = RunState.of(store.out, run.name)
    facts = state.read()
    if facts.get("status") == "running":
        settle(store.out, facts["record"])
        state.write(**{**facts, "status": "interrupted", "why": "its process ended"})


def _note_failure(out: Path, event: Event, why: str) -> None:
    name = event.task.run or event.task.keys[0]
    file = out / "failures" / f"{name.replace('/', '-').replace(':', '-')}.txt"
    write_atomically(file, f"{name}\n{why}\n\n{event.trace}")


def _without_dependants(plan: Plan, task: Task, why: str, queue: list[Task], summary: Summary) -> list[Task]:
    """The queue after a failure: runs that wait for what cannot be made become short FAILED records."""
    if task.run:
        summary.failed[task.run] = why
        return queue
    lost = set(task.keys)
    kept: list[Task] = []
    for other in sorted(queue, key=lambda other: other.rank):
        if not lost.intersection(other.needs) or other.why:
            kept.append(other)
            continue
        lost.update(other.keys)
        if other.run:
            reason = f"{plan.stages[task.keys[0]].kind} {task.keys[0]} failed: {why}"
            summary.failed[other.run] = reason
            kept.append(replace(other, keys=(), needs=(), why=reason))
    return kept
