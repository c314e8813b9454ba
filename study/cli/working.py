"""The commands for several processes or machines on one output: ``work`` and ``stop``."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from study.cli import options
from study.cli.terminal import Screen, heed_signals, printer
from study.errors import BadInput

if TYPE_CHECKING:
    from study.plan.graph import Plan
    from study.running.executors import Task
    from study.running.workers import Worker
    from study.store import Store

STOP_BEFORE_S = 90.0
"""A worker whose time ends stops so much earlier, to write its checkpoints; or a tenth of its time, if that is less."""
LOOK_S = 2.0


def work(
    out: Annotated[Path, typer.Argument(help="Output folder of a study that was started somewhere.")] = Path("out"),
    jobs: options.Jobs = None,
    limit: Annotated[
        str | None, typer.Option("--time", metavar="TIME", help="Stop with checkpoints in time: 90s, 45m, 4h or 2d.")
    ] = None,
    crew: Annotated[str, typer.Option("--crew", hidden=True)] = "",
) -> None:
    """Help to make the study in a folder, on this machine or another. Any number may work on one folder."""
    from study.cli.studies import make
    from study.running import driver
    from study.running.record import contact
    from study.running.states import settle_all
    from study.running.workers import working

    heed_signals(signal.SIGUSR1, signal.SIGUSR2)  # schedulers send these
    begun, store, console = time.monotonic(), options.store_of(out), Screen()
    say, plan = printer(console), _plan_of(out)
    whole = options.seconds_of(limit, "--time") if limit else float("inf")
    ends = begun + whole - min(STOP_BEFORE_S, whole / 10) if limit else float("inf")
    kind = options.device_of(device_of(plan))
    options.check_precision(plan.study.numerics["precision"], kind)
    executor = options.executor_of("local", out, jobs=jobs, device=kind)
    with working(out, "work", crew) as worker, executor:

        def stopping() -> bool:
            return worker.stopped or time.monotonic() > ends

        settle_all(out)
        for line in contact(plan.study.observers, out):
            say(line)
        others, failed = _Others(store, worker, kind), dict[str, str]()
        say(f"{plan.study.name}, on {kind}: {len(driver.tasks(plan, store))} tasks are left")
        while True:
            summary = make(
                plan,
                store=store,
                executor=executor,
                console=console,
                worker=worker,
                more=others.tasks,
                stopping=stopping,
                helping=True,
            )
            failed |= summary.failed
            if summary.interrupted or stopping() or not others.wait(stopping):
                break
            plan = _plan_of(out)
        for name, why in failed.items():
            say(f"failed: {name}: {why} (see {store.out / driver.FAILURES}); study run tries it again")
        if summary.interrupted:
            say("stopped; nothing is lost")


def device_of(plan: Plan) -> str:
    """The kind of device that a plan's keys name."""
    return next(
        (stage.options["numerics"]["device"] for stage in plan.stages.values() if "numerics" in stage.options), "cpu"
    )


def _plan_of(out: Path) -> Plan:
    """The plan of the most recent study. Where only a search works, that of one of its trials, which is waited for.

    Raises BadInput if there is neither.
    """
    from study.plan.graph import PLAN, Plan
    from study.running.workers import told

    while not (out / PLAN).is_file():
        searches = [facts for facts in told(out).values() if facts.get("kind") == "tune"]
        for file in {file for facts in searches for file in facts.get("plans", ())}:
            if (plan := Plan.read(out / "plans" / file)) is not None:
                return plan
        if not searches:
            break
        time.sleep(LOOK_S)
    return Plan.of(out)


class _Others:
    """What the drivers and searches of an output want to be made, besides its most recent study."""

    def __init__(self, store: Store, worker: Worker, device: str) -> None:
        self._store, self._worker, self._device = store, worker, device
        self._seen: set[str] = set()
        self._next = 0.0

    def tasks(self) -> Iterator[Task]:
        """The tasks of their plans that are new."""
        from study.plan.graph import Plan
        from study.running import driver
        from study.running.workers import told

        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + LOOK_S
        others = [facts for name, facts in told(self._store.out).items() if name != self._worker.name]
        wanted = {file for facts in others for file in facts.get("plans", ())}
        for file in sorted(wanted - self._seen):
            self._seen.add(file)
            plan = Plan.read(self._store.out / "plans" / file)
            if plan is not None and device_of(plan) == self._device:
                yield from driver.tasks(plan, self._store, self._store.out / "plans" / file)

    def wait(self, stopping: Callable[[], bool]) -> bool:
        """Waits while a driver or a search may want more. True if one does; False if all have ended."""
        from study.running.workers import told

        while not stopping():
            drivers = [facts for facts in told(self._store.out).values() if facts.get("kind") in ("run", "tune")]
            if not drivers:
                return False
            if {file for facts in drivers for file in facts.get("plans", ())} - self._seen:
                return True
            time.sleep(LOOK_S)
        return False


def stop(
    out: Annotated[Path, typer.Argument(help="Output folder.")] = Path("out"),
) -> None:
    """Stop all that works in a folder, on whatever machine. Checkpoints are written; nothing is lost."""
    from study.running import workers
    from study.running.executors import EXECUTORS
    from study.store import read_facts

    say = printer()
    if not out.is_dir():
        raise BadInput(f"{out}: there is no such folder; name the one that --out named")
    options.store_of(out)
    found = workers.workers(out)
    crews = {facts.get("crew", "") for facts in workers.told(out).values()} - {""}
    submitted = [read_facts(file) for file in sorted((out / workers.CREWS).glob("*.json"))]
    crews |= {facts["crew"] for facts in submitted if "crew" in facts}
    workers.stop(out, list(found), sorted(crews))
    for name, owner in found.items():
        say(f"asked to stop: {name} (process {owner.get('pid')} on {owner.get('host')})")
    withdrawn = [line for executor in EXECUTORS.values() for line in executor.withdraw(out)]
    for line in withdrawn:
        say(line)
    if not (found or withdrawn):
        say(f"{out}: nobody works here")
