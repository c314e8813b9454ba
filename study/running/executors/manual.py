"""Workers that the user or a scheduler starts: ``study work OUT``, on any machine, before or after."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from study.errors import BadInput
from study.running.executors.base import Elsewhere, Event


class Manual(Elsewhere):
    """Starts nothing, and stops nothing."""

    outlives: ClassVar[bool] = True

    def __init__(self, out: Path, *, jobs: int, device: str, settings: Mapping[str, str]) -> None:
        if settings:
            raise BadInput(
                f"--set-executor {next(iter(settings))}: the executor 'manual' has no settings; leave it out"
            )

    def start(self) -> str:
        return "start the workers by hand"

    def poll(self, timeout_s: float) -> list[Event]:
        time.sleep(timeout_s)
        return []

    def stop(self) -> None:
        """Does nothing: ``study stop`` does it."""
