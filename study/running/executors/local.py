"""Worker processes on this machine: one thread each on CPUs, one process a GPU.

A worker imports torch once and lives as long as the study. It ends itself when its driver dies, so that nothing is
left behind by a kill.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Mapping
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from study.errors import Interrupted, StudyError
from study.running.executors.base import Event, Executor, Task

STOP_S = 30.0
PROGRESS_EVERY_S = 0.25


class Local(Executor):
    """Worker processes of this machine."""

    def __init__(self, out: Path, plan: Path, *, jobs: int, device: str) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._start = (str(out), str(plan), device)
        self._workers: list[_Worker] = []
        self._jobs = jobs

    @property
    def free(self) -> int:
        return self._jobs - sum(worker.task is not None for worker in self._workers)

    def submit(self, task: Task) -> None:
        worker = next((worker for worker in self._workers if worker.task is None), None)
        if worker is None:
            taken = {worker.place for worker in self._workers}
            place = next(place for place in range(self._jobs) if place not in taken)
            worker = _Worker(self._context, self._start, place)
            self._workers.append(worker)
        worker.submit(task)

    def poll(self, timeout_s: float) -> list[Event]:
        waits: list[Any] = [worker.pipe for worker in self._workers]
        waits += [worker.process.sentinel for worker in self._workers]
        if waits:
            wait(waits, timeout_s)
        else:
            time.sleep(timeout_s)
        events: list[Event] = []
        for worker in list(self._workers):
            events += worker.events()
            if not worker.process.is_alive():
                self._workers.remove(worker)
                if worker.task is not None:
                    events.append(Event("died", worker.task, text=_exit(worker.process.exitcode)))
        return events

    def close(self) -> None:
        for worker in self._workers:
            worker.stop()
        deadline = time.monotonic() + STOP_S
        for worker in self._workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self._workers = []


class _Worker:
    """The driver's end of one worker."""

    def __init__(self, context: Any, start: tuple[str, str, str], place: int) -> None:
        self.place = place
        self.task: Task | None = None
        self.pipe, theirs = context.Pipe()
        with _environment(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", CUBLAS_WORKSPACE_CONFIG=":4096:8"):
            self.process = context.Process(target=work, args=(theirs, *start, place), name=f"study-worker-{place}")
            self.process.start()
        theirs.close()

    def submit(self, task: Task) -> None:
        self.task = task
        with contextlib.suppress(OSError):  # a worker that has just died is found dead at the next poll
            self.pipe.send(task)

    def events(self) -> list[Event]:
        found: list[Event] = []
        with contextlib.suppress(EOFError, OSError):
            while self.pipe.poll():
                event: Event = self.pipe.recv()
                found.append(event)
                if event.kind != "progress":
                    self.task = None
        return found

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self.pipe.send(None)
        if self.task is not None:
            self.process.terminate()  # SIGTERM: it writes its checkpoint and stops


@contextlib.contextmanager
def _environment(**values: str) -> Any:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _exit(code: int | None) -> str:
    if code is not None and code < 0:
        return f"its process was killed by {signal.Signals(-code).name}"
    return f"its process ended with exit code {code}"


# -- in the worker -----------------------------------------------------------------------------------------


class _Report:
    """The watch of a worker: tells the driver how far a stage is, and knows whether SIGTERM has come."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe, self._task, self._told = pipe, Task((), ()), 0.0
        self.stopping = False

    def begin(self, task: Task) -> None:
        self._task = task

    def progress(self, key: str, done: int, total: int) -> None:
        now = time.monotonic()
        if done >= total or now - self._told > PROGRESS_EVERY_S:
            self._told = now
            self._pipe.send(Event("progress", self._task, key=key, done=done, total=total))

    def logged(self, key: str, step: int, terms: Mapping[str, float]) -> None:
        """Nothing: series are read from the stage."""


def work(pipe: Connection, out: str, plan_file: str, device_kind: str, place: int) -> None:
    """A worker's life: tasks come through the pipe until None does."""
    report = _Report(pipe)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's; it sends SIGTERM
    signal.signal(signal.SIGTERM, lambda *_: setattr(report, "stopping", True))
    threading.Thread(target=_end_with_driver, daemon=True).start()

    import torch  # once in a worker's life, and not in the driver's way

    from study.config.schema import Observer
    from study.parts import plugins
    from study.plan.graph import Plan
    from study.running import record
    from study.running.machine import prepare
    from study.running.make import make
    from study.running.runs import make_run
    from study.store import RunState, Store

    torch.set_num_interop_threads(1)
    device = prepare(device_kind, place)
    store, read = Store(Path(out)), ""

    while True:
        try:
            task = pipe.recv()
        except (EOFError, OSError):
            return
        if task is None or report.stopping:
            return
        report.begin(task)
        try:
            if read != (task.plan or plan_file):
                read = task.plan or plan_file
                found = Plan.read(Path(read))
                assert found is not None, f"{read}: there is no plan"
                plan = found
                plugins.use_planned(plan.study.digests, plan.study.command)
                runs = {run.name: run for run in plan.runs}
                observers = [Observer.model_validate(observer) for observer in plan.study.observers]
            if task.why:
                run = runs[task.run]
                config = {"run": run.name, "options": run.config}
                record_id = record.failed(run.name, config, task.why, out=store.out, observers=observers)
                RunState.of(store.out, run.name).write(run=run.name, status="failed", record=record_id, why=task.why)
            elif task.run:
                make_run(runs[task.run], plan, store, report, device)
            else:
                make(task.keys, plan, store, report, device)
            pipe.send(Event("done", task))
        except Interrupted:
            pipe.send(Event("interrupted", task))
            if report.stopping:
                return
        except StudyError as error:
            pipe.send(Event("failed", task, text=str(error), trace=traceback.format_exc()))
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            pipe.send(Event("failed", task, text=text, trace=traceback.format_exc()))


def _end_with_driver() -> None:
    """Ends the worker, whatever it does, as soon as its driver is gone."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
