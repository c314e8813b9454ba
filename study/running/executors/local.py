"""Worker processes on this machine: one thread each on CPUs, one process per GPU.

A worker imports torch once and lives as long as the executor. It also ends when the driver's process dies, so a killed
driver leaves no processes behind.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Iterator, Mapping
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from study.errors import BadInput, Interrupted, in_words
from study.processes import end_with_parent, refuse_sudden_ends
from study.running.executors.base import Event, Executor, Task

STOP_S = 30.0
PROGRESS_EVERY_S = 0.25
DRIVERS = (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""Signals for the driver, which sends its workers SIGTERM."""


class Local(Executor):
    """Worker processes on this machine."""

    def __init__(self, out: Path, *, jobs: int, device: str, settings: Mapping[str, str]) -> None:
        if settings:
            raise BadInput(f"--set-executor {next(iter(settings))}: the executor 'local' has no settings; leave it out")
        self._context = multiprocessing.get_context("spawn")
        self._arguments = (str(out), device)
        self._workers: list[_Worker] = []
        self._jobs = jobs

    @property
    def free(self) -> int:
        return self._jobs - sum(worker.task is not None or worker.ending for worker in self._workers)

    def submit(self, task: Task) -> None:
        worker = next((worker for worker in self._workers if worker.task is None and not worker.ending), None)
        if worker is None:
            taken = {worker.place for worker in self._workers}
            place = next(place for place in range(self._jobs) if place not in taken)
            worker = _Worker(self._context, self._arguments, place)
            self._workers.append(worker)
        worker.submit(task)

    def poll(self, timeout_s: float) -> list[Event]:
        if self._workers:
            wait([end for worker in self._workers for end in (worker.pipe, worker.process.sentinel)], timeout_s)
        else:
            time.sleep(timeout_s)
        events: list[Event] = []
        for worker in list(self._workers):
            events += worker.events()
            if not worker.process.is_alive():
                self._workers.remove(worker)
                if worker.task is not None:
                    events.append(Event("died", worker.task, text=_exit_reason(worker.process.exitcode)))
        return events

    def cancel(self, task: Task) -> None:
        for worker in self._workers:
            if worker.task == task:
                worker.process.terminate()
                worker.ending = True

    def stop(self) -> None:
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

    def __init__(self, context: Any, arguments: tuple[str, str], place: int) -> None:
        self.place = place
        self.task: Task | None = None
        self.ending = False  # True once it was told to stop
        self.pipe, other_end = context.Pipe()
        self.process = context.Process(target=work, args=(other_end, *arguments, place), name=f"study-worker-{place}")
        with _undisturbed():
            self.process.start()
        other_end.close()

    def submit(self, task: Task) -> None:
        self.task = task
        with contextlib.suppress(OSError):  # the next poll finds a worker that has just died
            self.pipe.send(task)

    def events(self) -> list[Event]:
        events: list[Event] = []
        with contextlib.suppress(EOFError, OSError):
            while self.pipe.poll():
                events.append(self.pipe.recv())
                if events[-1].ends:
                    self.task = None
        return events

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self.pipe.send(None)
        if self.task is not None:
            self.process.terminate()  # SIGTERM: it writes its checkpoint and stops


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Starts a process that Ctrl-C and a terminal that closes do not reach, not even before it says so itself.

    They are for the driver, which gets those that come meanwhile afterwards.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, DRIVERS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _exit_reason(code: int | None) -> str:
    if code is not None and code < 0:
        return f"its process was killed by {signal.Signals(-code).name}"
    return f"its process ended with exit code {code}"


class _Watch:
    """A worker's ``study.training.checkpoint.Watch``: reports progress to the driver, and stops after SIGTERM."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe, self.task, self._sent = pipe, Task((), ()), 0.0
        self.stopping = False

    def progress(self, key: str, done: int, total: int) -> None:
        now = time.monotonic()
        if done >= total or now - self._sent > PROGRESS_EVERY_S:
            self._sent = now
            self._pipe.send(Event("progress", self.task, key=key, done=done, total=total))

    def note(self, text: str) -> None:
        self._pipe.send(Event("note", self.task, text=text))

    def logged(self, key: str, step: int, terms: Mapping[str, float]) -> None:
        """Does nothing: the published stage holds its series."""


def work(pipe: Connection, out: str, device_kind: str, place: int) -> None:
    """Runs the tasks that come through the pipe until None comes."""
    watch = _Watch(pipe)
    for number in DRIVERS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, DRIVERS)
    signal.signal(signal.SIGTERM, lambda *_: setattr(watch, "stopping", True))
    end_with_parent()
    refuse_sudden_ends()
    for name in ("TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "NVIDIA_TF32_OVERRIDE"):  # the study's precision decides
        os.environ.pop(name, None)
    os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}

    import torch  # once per worker, and never in the driver

    from study.parts import plugins
    from study.plan.graph import Plan
    from study.running.make import make
    from study.running.runs import make_run
    from study.store import Store
    from study.training.machine import prepare

    torch.set_num_interop_threads(1)
    device = prepare(device_kind, place)
    store, plan_file = Store(Path(out)), ""

    while not watch.stopping:
        try:
            task = pipe.recv()
        except (EOFError, OSError):
            task = None
        if task is None:
            return
        watch.task = task
        store.hold(dict(zip(task.keys, task.leases, strict=False)))
        try:
            if plan_file != task.plan:
                saved = Plan.read(Path(task.plan))
                assert saved is not None, f"{task.plan}: there is no plan"
                plan, plan_file = saved, task.plan
                plugins.use_planned(plan.study.digests, plan.study.command)
                runs = {run.name: run for run in plan.runs}
            if task.run:
                make_run(runs[task.run], plan, store, watch, device, task.why)
            else:
                make(task.keys, plan, store, watch, device)
            event = Event("done", task)
        except Interrupted:
            event = Event("interrupted", task)
        except (Exception, SystemExit) as error:  # SystemExit is that of a plugin
            event = Event("failed", task, text=in_words(error), trace=traceback.format_exc())
        try:
            pipe.send(event)
        except OSError:  # the driver has ended
            return
