"""Reports of a study that is still running: ``run --report-every`` and ``report --watch``."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import IO

from study.cli.options import seconds_of
from study.running import progress
from study.running.executors import Event

EVERY = "5m"
NEVER = "never"
SOON_S, FIRST_S = 30.0, 150.0  # the first report is made between these ages of a run, once the first runs are done
WATCH_S, POLL_S = 60.0, 2.0


def every_s_of(text: str) -> float | None:
    """The seconds in ``--report-every 5m``; None for never. Raises BadInput."""
    return None if text.strip() == NEVER else seconds_of(text, "--report-every", f"or {NEVER}")


class Renewal:
    """Renews the report while runs go on, in a process of its own, so that no worker waits for it.

    The first report is made when the first seed of the study's own variants is done, or after 150 seconds if any run
    is. It reads only what is published, so it never sees half a stage.

    Args:
        every_s: between the beginnings of two reports; None for none at all.
        say: prints a line.

    Attributes:
        made: True once a report was begun.
    """

    def __init__(self, out: Path, every_s: float | None, say: Callable[[str], None]) -> None:
        self._out, self._every_s, self._say = out, every_s, say
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._begun = self._started = time.monotonic()
        self._first: set[str] | None = None  # runs that the first report waits for, as far as they are not done
        self._runs, self._whole, self._told = 0, False, False
        self.made = False

    def wait_for(self, first: Collection[str]) -> None:
        """Names the runs that the first report waits for. Later calls change nothing."""
        if self._first is None:
            self._first = {*first}

    def on_event(self, event: Event) -> None:
        """Counts the runs that are done."""
        if event.task.run and event.kind in ("done", "failed"):
            self._runs += 1
            if self._first is not None:
                self._first.discard(event.task.run)

    def on_tick(self) -> None:
        """Starts a report if one is due, and says what became of the last one."""
        if self._process is not None:
            if self._process.poll() is None:
                return
            self._ended()
        if self._every_s is not None and self._due(self._every_s):
            self._begun, self._whole, self.made = time.monotonic(), not self._first, True
            self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
            self._process = subprocess.Popen(
                [sys.executable, "-m", "study", "report", str(self._out)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )

    def close(self) -> None:
        """Stops a report that is being made: a newer one follows."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def _due(self, every_s: float) -> bool:
        now = time.monotonic()
        if now - self._begun >= every_s:
            return True
        age = now - self._started
        if not self._runs or age < SOON_S:
            return False
        return (not self._first and not self._whole) or (not self.made and age >= FIRST_S)

    def _ended(self) -> None:
        assert self._process is not None and self._errors is not None
        with self._errors:
            self._errors.seek(0)
            lines = self._errors.read().decode(errors="replace").strip().splitlines()
        if self._process.returncode:
            self._say(f"the report could not be renewed: {lines[-1] if lines else 'its process was ended'}")
        elif not self._told:
            self._told = True
            self._say(f"report of what is done so far: {self._out / 'report' / 'report.html'}; it is renewed")
        self._process = None


def watch(out: Path, report: Callable[[Path], tuple[Path, list[str]]], say: Callable[[str], None]) -> None:
    """Renews the report of a study that another process runs, until that has ended.

    Args:
        report: makes the report of an output. Returns its page, and the answer in a few lines.
        say: prints a line.
    """
    while facts := progress.live(out):
        begun = time.monotonic()
        page, _ = report(out)
        say(f"report: {page}; {facts['done']:.0%} of the work is done, {progress.left(facts['left_s'])}")
        while progress.live(out) and time.monotonic() - begun < WATCH_S:
            time.sleep(POLL_S)
    page, answer = report(out)
    for line in [*answer, f"report: {page}; no run is going on in {out}"]:
        say(line)
