"""``run`` without other processes: a worker's own loop runs each task in this process, at the next poll."""

from __future__ import annotations

import signal
import subprocess
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from unittest import mock

import torch
from commands import command

from study.running.executors import EXECUTORS, Event, Executor, Task, local


class Inline(Executor):
    def __init__(self, out: Path, *, jobs: int, device: str, settings: Mapping[str, str]) -> None:
        self.arguments, self.waiting = (str(out), device, 0), deque[Task | None]()
        self.events: list[Event] = []

    @property
    def free(self) -> int:
        return 1 - len(self.waiting)

    def submit(self, task: Task) -> None:
        self.waiting.append(task)

    def poll(self, timeout_s: float) -> list[Event]:
        self.events = []
        pipe = mock.Mock(recv=lambda: self.waiting.popleft() if self.waiting else None, send=self.events.append)
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            with mock.patch.object(torch, "set_num_interop_threads"):  # only once in a process
                local.work(pipe, *self.arguments)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        return self.events

    def stop(self) -> None:
        self.waiting.clear()


def run(file: Path, out: Path, executor: type[Executor] = Inline, *more: str) -> subprocess.CompletedProcess[str]:
    """``run``, with more options, and a report that is an empty page."""

    def page(out: Path) -> tuple[Path, list[str]]:
        (out / "report").mkdir(exist_ok=True)
        (out / "report" / "report.html").touch()
        return out / "report" / "report.html", []

    with mock.patch.dict(EXECUTORS, local=executor), mock.patch("study.cli.studies._report", page):
        return command("run", file, "--out", out, *more)
