"""The driver submits the tasks of a plan as they become ready. A failure stops only what depends on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from study.plan.graph import Plan, Run
from study.running.executors import Event, Executor, Task
from study.running.runs import complete, settle
from study.running.titles import Titles
from study.store import Damaged, Store, write_atomically

TRIES = 2  # how often a task is started whose process dies
POLL_S = 0.5

RANKS = {"data": 0, "pretrain": 1, "critic": 2, "joint": 3, "fit": 3, "evaluate": 4}


@dataclass
class Summary:
    """The outcome of ``drive``. ``failed``: the reason by run."""

    failed: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False


def check(plan: Plan, store: Store) -> list[str]:
    """Checks the published stages against their checksums, moves damaged ones aside, and describes the damage."""
    damaged = []
    for key in filter(store.has, plan.stages):
        store.clear(key)
        try:
            store.verified(key)
        except Damaged as error:
            store.set_aside(key)
            damaged.append(str(error))
    return damaged


def tasks(plan: Plan, store: Store, file: Path | str = "") -> list[Task]:
    """The tasks that make what is missing, in the order to start them.

    The first seed of the study's own variants comes first, so that there is something to report soon; then their other
    seeds, then the cells of ablations and multiverses. Within these: by kind of stage, then the longest first.

    ``file``: the saved plan.
    """
    turns, titles = _turns(plan), Titles(plan)
    own = {key for run in plan.runs for key in plan.own(run)}
    shared = [[key] for key, stage in plan.stages.items() if stage.kind != "critic" and key not in own]
    missing: list[Task] = []
    for group in [*plan.passes(), *shared]:
        if stages := [plan.stages[key] for key in group if not store.has(key)]:
            keys = tuple(stage.key for stage in stages)
            needs = tuple(sorted({need for stage in stages for need in stage.needs.values()}))
            work = sum(stage.work for stage in stages) + stages[0].forward
            rank = min(turns[key] for key in keys), RANKS[stages[0].kind]
            missing.append(Task(keys, needs, work=work, rank=rank, plan=str(file), title=titles.stages(keys)))
    for run in plan.runs:
        if not complete(run, plan, store):
            keys = tuple(plan.own(run))
            needs = tuple(sorted(set(run.stages.values()).difference(keys)))
            work = sum(plan.stages[key].work for key in keys if not store.has(key))
            rank = turns[run.stages["evaluate"]], RANKS["joint" if work else "evaluate"]
            title = titles.run(run)
            missing.append(Task(keys, needs, run.name, work=work, rank=rank, plan=str(file), title=title))
    return sorted(missing, key=lambda task: (task.rank, -task.work))


def first_runs(plan: Plan) -> list[Run]:
    """The runs that are made first: the first seed of the study's own variants, without the cells of ablations."""
    return [run for run in plan.runs if run.seed == plan.runs[0].seed and not run.cell]


def _turns(plan: Plan) -> dict[str, int]:
    """When each stage is made: 0 for what the first runs need, 1 for other runs of their variants, 2 for the rest."""
    first, turns = {run.name for run in first_runs(plan)}, dict.fromkeys(plan.stages, 2)
    for run in plan.runs:
        turn = 0 if run.name in first else 2 if run.cell else 1
        turns |= {key: min(turn, turns[key]) for key in run.stages.values()}
    return turns


def drive(
    store: Store,
    executor: Executor,
    waiting: Iterable[Task],
    *,
    on_event: Callable[[Event], None],
    on_tick: Callable[[list[Task]], None] = lambda running: None,
    more: Callable[[], Iterable[Task]] = tuple,
) -> Summary:
    """Runs tasks as they become ready. An interrupt (KeyboardInterrupt) stops the executor.

    Args:
        waiting: the tasks.
        on_event: called with every event. A task ends with one event: ``done`` or ``failed``.
        on_tick: called with the running tasks, twice a second.
        more: called before each round for further tasks; those already waiting or running are ignored.
    """
    summary = Summary()
    queue = list(waiting)
    running: list[Task] = []
    tries: dict[Task, int] = {}
    try:
        while True:
            for task in more():
                if (task.keys, task.run) not in {(other.keys, other.run) for other in (*queue, *running)}:
                    queue.append(task)
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
            assert running, f"no task is ready, yet these wait: {', '.join(task.title for task in queue)}"
            for event in executor.poll(POLL_S):
                task = event.task
                if event.ends:
                    running.remove(task)
                if event.kind in ("failed", "died", "interrupted"):
                    _settle(store, task)
                    if event.kind == "died" and tries[task] < TRIES:
                        queue.insert(0, task)
                    else:
                        event = replace(event, kind="failed", text=event.text or "its process was told to stop")
                        queue = _after_failure(store.out, event, queue, summary)
                on_event(event)
            on_tick(running)
    except KeyboardInterrupt:
        summary.interrupted = True
        executor.stop()
        for task in running:
            _settle(store, task)
    return summary


def _settle(store: Store, task: Task) -> None:
    if task.run:
        settle(store.out, task.run, "its process ended")


def _after_failure(out: Path, failure: Event, queue: list[Task], summary: Summary) -> list[Task]:
    """The queue after a failure, which is written down: runs that need what failed are only recorded as failed."""
    task, name = failure.task, failure.task.run or failure.task.keys[0]
    file = out / "failures" / f"{name.replace('/', '-').replace(':', '-')}.txt"
    write_atomically(file, f"{name}\n{failure.text}\n\n{failure.trace}")
    if task.run:
        summary.failed[task.run] = failure.text
        return queue
    reason = f"{task.title or name} failed: {failure.text}"
    lost = set(task.keys)
    remaining: list[Task] = []
    for other in sorted(queue, key=lambda other: other.rank):
        if not lost.intersection(other.needs) or other.why:
            remaining.append(other)
            continue
        lost.update(other.keys)
        if other.run:
            summary.failed[other.run] = reason
            remaining.append(replace(other, keys=(), needs=(), why=reason))
    return remaining
