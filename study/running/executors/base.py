"""What an executor is: it takes tasks, which are names in a saved plan, and tells what became of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Task:
    """Something to make: shared stages by their keys, or a run by its name.

    ``why``: the run is not made but recorded as failed, because of this. ``needs``: stages that must be there first.
    ``plan``: the file of the plan that its names stand in, where that is not the executor's own.
    """

    keys: tuple[str, ...]
    needs: tuple[str, ...]
    run: str | None = None
    why: str = ""
    work: int = 0
    rank: int = 0
    plan: str = ""


@dataclass(frozen=True)
class Event:
    """What became of a task, or how far it is.

    ``died``: its process ended without a word. ``text``: why; ``trace``: the traceback, for who asks.
    """

    kind: Literal["progress", "done", "failed", "interrupted", "died"]
    task: Task
    key: str = ""
    done: int = 0
    total: int = 0
    text: str = ""
    trace: str = ""


class Executor(ABC):
    """Makes tasks of one plan, several at once."""

    @abstractmethod
    def __init__(self, out: Path, plan: Path, *, jobs: int, device: str) -> None:
        """``plan``: the saved plan that the tasks' names stand in. ``jobs``: how many at once."""

    @property
    @abstractmethod
    def free(self) -> int:
        """How many more tasks can be taken now."""

    @abstractmethod
    def submit(self, task: Task) -> None:
        """Starts a task."""

    @abstractmethod
    def poll(self, timeout_s: float) -> list[Event]:
        """What has happened since, waiting for something at most this long."""

    @abstractmethod
    def close(self) -> None:
        """Asks what is under way to write its checkpoint and stop, waits for that, and ends all processes."""
