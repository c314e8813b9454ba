"""The driver claims the tasks of a plan as they become ready, and submits them.

A failure stops only what depends on it.

Several drivers may work on one output, on one machine or several: each task is made by the one that claims it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from study.errors import StudyError
from study.leases import Lease
from study.plan.graph import Plan, Run
from study.running.executors import Event, Executor, Task
from study.running.states import complete, settle
from study.running.titles import Titles
from study.store import Damaged, RunState, Store, write_atomically

TRIES = 2  # how often in a row a driver starts a task whose process dies without a new checkpoint
DEATHS = 3  # of drivers in a row, without a new checkpoint, after which a task is taken for failed
POLL_S = 0.5
IDLE = 20  # rounds in which nothing is ready, running or made by others, before that is taken for a fault

FAILURES = "failures"  # in an output: why tasks failed

RANKS = {"data": 0, "pretrain": 1, "critic": 2, "joint": 3, "fit": 3, "evaluate": 4}


@dataclass
class Summary:
    """The outcome of ``drive``. ``failed``: the reason by run; by title for a stage that no waiting run needs."""

    failed: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False


def check(plan: Plan, store: Store) -> list[str]:
    """Checks the published stages against their checksums, moves damaged ones aside, and describes the damage."""
    damaged = []
    for key in filter(store.has, plan.stages):
        if store.leases.holder(key) is None:
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
    stopping: Callable[[], bool] = lambda: False,
    again: bool = True,
) -> Summary:
    """Makes tasks as they become ready. An interrupt (KeyboardInterrupt) stops the executor.

    Each task is claimed first. What another driver makes meanwhile is waited for.

    Args:
        waiting: the tasks.
        on_event: called with every event. A task ends with one event: ``done`` or ``failed``.
        on_tick: called with the running tasks, twice a second.
        more: called before each round for further tasks; those already waiting or running are ignored.
        stopping: asked before each round; True is an interrupt.
        again: True to try again what failed, or killed its drivers, before this one began.
    """
    driving = _Driving(store, executor, on_event, again)
    try:
        executor.start()
        driving.add(waiting)
        while True:
            if stopping():
                raise KeyboardInterrupt
            driving.add(more())
            driving.take_in()
            if not (driving.queue or driving.running):
                break
            driving.submit()
            driving.poll()
            driving.look_idle()
            on_tick(list(driving.running))
    except KeyboardInterrupt:
        driving.summary.interrupted = True
        executor.stop()
        for task in driving.running:
            _settle(store, task)
    finally:
        for leases in driving.running.values():
            _release(leases)
    return driving.summary


class _Driving:
    """What waits and what runs in one call of ``drive``."""

    def __init__(self, store: Store, executor: Executor, on_event: Callable[[Event], None], again: bool) -> None:
        self.summary = Summary()
        self.queue: list[Task] = []
        self.running: dict[Task, list[Lease]] = {}
        self._store, self._executor, self._on_event, self._again = store, executor, on_event, again
        self._tries: Counter[Task] = Counter()
        self._idle = 0

    def add(self, tasks: Iterable[Task]) -> None:
        """Takes tasks that are new."""
        for task in tasks:
            if (task.keys, task.run) not in {(other.keys, other.run) for other in (*self.queue, *self.running)}:
                self.queue.append(task)
                if self._again:
                    forget_failure(self._store.out, task)

    def take_in(self) -> None:
        """Takes what other drivers made, or failed at, from the queue."""
        for event in _of_others(self._store, self.queue):
            self.queue.remove(event.task)
            if event.kind == "failed":
                self._after_failure(event, record=not self._executor.elsewhere)
            self._on_event(event)
            self._idle = 0

    def submit(self) -> None:
        """Submits the tasks that are ready and can be claimed, as far as the executor has room."""
        for task in list(self.queue):
            if self._executor.free <= 0:
                break
            if not all(self._store.has(need) for need in task.needs):
                continue
            if (leases := _claim(self._store, task)) is None:
                continue
            self.queue.remove(task)
            if not self._again and not self._tries[task] and min(lease.deaths for lease in leases) >= DEATHS:
                _release(leases)
                self._failed(Event("failed", task, text=f"its process died {DEATHS} times"))
                continue
            self.running[task] = leases
            self._tries[task] += 1
            numbers = {lease.folder.name: lease.number for lease in leases}
            self._executor.submit(replace(task, leases=tuple(numbers.get(key, 0) for key in task.keys)))

    def poll(self) -> None:
        """Waits for events, and cancels what another driver has taken over."""
        for event in self._executor.poll(POLL_S):
            task = event.task
            if event.ends:
                leases = self.running.pop(task)
                _release(leases, done=event.kind == "done")
                if any(lease.lost for lease in leases) and event.kind != "done":
                    self._tries[task] -= 1
                    self.queue.append(task)  # the other one makes it
                    continue
            if event.kind not in ("failed", "died", "interrupted"):
                self._on_event(event)
                continue
            _settle(self._store, task)
            if any(self._store.mark(lease.folder.name) != lease.mark for lease in leases):
                self._tries[task] = 1
            if event.kind == "died" and self._tries[task] < TRIES:
                self.queue.insert(0, task)
                self._on_event(event)
            else:
                self._failed(replace(event, kind="failed", text=event.text or "its process was told to stop"))
        for task, leases in self.running.items():
            if any(lease.lost for lease in leases):
                self._executor.cancel(task)

    def look_idle(self) -> None:
        """Raises StudyError if nothing has been ready, running or made by others for a while."""
        busy = self.running or self._executor.elsewhere or self._store.leases.held()
        self._idle = 0 if busy else self._idle + 1
        if self._idle > IDLE:
            titles = ", ".join(task.title or task.name for task in self.queue)
            raise StudyError(
                f"{self._store.out}: nobody makes what these wait for: {titles}; run the same command again"
            )

    def _failed(self, failure: Event) -> None:
        note_failure(self._store.out, failure)
        self._after_failure(failure)
        self._on_event(failure)

    def _after_failure(self, failure: Event, *, record: bool = True) -> None:
        """Takes from the queue what needs a task that failed. Runs stay, to be recorded as failed, if ``record``."""
        task = failure.task
        if task.run:
            self.summary.failed[task.run] = failure.text
            return
        reason = f"{task.title or task.name} failed: {failure.text}"
        lost, before = set(task.keys), len(self.summary.failed)
        remaining: list[Task] = []
        for other in sorted(self.queue, key=lambda other: other.rank):
            if not lost.intersection(other.needs) or other.why:
                remaining.append(other)
                continue
            lost.update(other.keys)
            if other.run:
                self.summary.failed[other.run] = reason
                if record:
                    remaining.append(replace(other, keys=(), needs=(), why=reason))
        if len(self.summary.failed) == before and not task.why:  # its runs were recorded before it was lost
            self.summary.failed[task.title or task.name] = failure.text
        self.queue = remaining


def _claim(store: Store, task: Task) -> list[Lease] | None:
    """The leases of a task: of its run and of the stages that are missing. None if another driver has one of them."""
    leases: list[Lease] = []
    claims = [*([partial(store.leases.claim, RunState.of(store.out, task.run).name)] if task.run else [])]
    claims += [partial(store.claim, key) for key in sorted(task.keys) if not store.has(key)]
    for claim in claims:
        if (lease := claim()) is None:
            _release(leases)
            return None
        leases.append(lease)
    if _made(store, task):  # while it was claimed
        _release(leases, done=True)
        return None
    _settle(store, task, "its process was killed")
    return leases


def _release(leases: Iterable[Lease], *, done: bool = False) -> None:
    for lease in leases:
        lease.release(done=done)


def _made(store: Store, task: Task) -> bool:
    """True if a task is done, by whatever process."""
    if task.why or not all(store.has(key) for key in (*task.keys, *task.needs)):
        return False
    state = RunState.of(store.out, task.run).read() if task.run else {}
    return not task.run or (
        state.get("status") in ("completed", "diverged") and state.get("stage") in (*task.keys, *task.needs)
    )


def _of_others(store: Store, queue: list[Task]) -> Iterator[Event]:
    """The ends of waiting tasks that other drivers made."""
    there, notes = store.published(), {file.stem for file in (store.out / FAILURES).glob("*.txt")}
    for task in list(queue):
        if there.issuperset((*task.keys, *task.needs)) and _made(store, task):
            yield Event("done", task, by_others=True)
        elif not task.why and (named := notes.intersection(_notes(store.out, task))):
            try:
                text = (store.out / FAILURES / f"{min(named)}.txt").read_text()
            except FileNotFoundError:  # another driver tries it again
                continue
            yield Event("failed", task, text=text.partition("\n\n")[0].partition("\n")[2], by_others=True)


def _settle(store: Store, task: Task, why: str = "its process ended") -> None:
    if task.run:
        settle(store.out, task.run, why)


def _notes(out: Path, task: Task) -> list[str]:
    """The names of the files that say why a task failed: of its run, or of each of its stages."""
    return [RunState.of(out, task.run).name] if task.run else list(task.keys)


def note_failure(out: Path, failure: Event) -> None:
    """Writes down why a task failed, for people and for other drivers."""
    for name in _notes(out, failure.task):
        text = f"{failure.task.name}\n{failure.text}\n\n{failure.trace}"
        write_atomically(out / FAILURES / f"{name}.txt", text)


def forget_failure(out: Path, task: Task) -> None:
    """Lets drivers try a task again that failed."""
    for name in _notes(out, task):
        (out / FAILURES / f"{name}.txt").unlink(missing_ok=True)
