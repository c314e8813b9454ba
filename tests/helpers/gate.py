"""Holds the processes of a command half-way, so that a test interrupts, kills or looks at them when it wants to."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PATIENCE_S = 300.0
"""Longer than anything takes on a machine that does much else: it is reached where something is broken."""


class Gate:
    """A point at which processes wait. ``held/sitecustomize.py`` lists the kinds of points."""

    def __init__(self, folder: Path, point: str) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.environment = {
            "GATE_FOLDER": str(folder),
            "GATE_POINT": point,
            "PYTHONPATH": os.pathsep.join([str(HERE / "held"), str(ROOT)]),
        }

    def wait(self, process: subprocess.Popen[str], count: int = 1) -> None:
        """Waits until so many of the command's processes stand at the gate."""
        wait_for(lambda: len(list(self.folder.iterdir())) >= count, process)

    def open(self) -> None:
        """Lets all go on, and those that come later."""
        (self.folder / "open").touch()


def wait_for(what: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Waits until ``what`` is true. Fails if the process ends before that."""
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "it did not come to this point"
        time.sleep(0.02)
