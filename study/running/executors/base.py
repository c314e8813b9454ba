"""The interface of an executor: it takes tasks, which name stages and runs of a saved plan, and reports events."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, NoReturn


@dataclass(frozen=True)
class Task:
    """Something to make: shared stages by their keys, or a run by its name."""

    keys: tuple[str, ...]  # the stages to make
    needs: tuple[str, ...]  # the stages that must be published first
    run: str | None = None  # the run whose own stages these are
    why: str = ""  # the reason, if the run is only recorded as failed
    work: int = 0  # multiply-accumulates
    rank: tuple[int, int] = (0, 0)  # tasks of a lower rank start first
    plan: str = ""  # the file of the saved plan that the names belong to
    title: str = ""  # what a person calls it, such as "23 critics, seed 0"
    leases: tuple[int, ...] = field(default=(), compare=False)  # the numbers of the keys' leases, once it is claimed

    @property
    def name(self) -> str:
        """The run, or else the stages."""
        return self.run or ", ".join(self.keys)


@dataclass(frozen=True)
class Event:
    """The end of a task, its progress, or a sentence for the user (``note``)."""

    # died: its process ended without a report
    kind: Literal["progress", "note", "done", "failed", "interrupted", "died"]
    task: Task
    key: str = ""
    done: int = 0
    total: int = 0
    text: str = ""  # the reason, or the sentence
    trace: str = ""  # the traceback
    by_others: bool = False  # another driver made it, on this machine or another

    @property
    def ends(self) -> bool:
        """True if the task has ended."""
        return self.kind not in ("progress", "note")


class Executor(AbstractContextManager["Executor"]):
    """Runs several tasks at once. It is a context manager: leaving it stops everything."""

    elsewhere: ClassVar[bool] = False  # True for ``Elsewhere``
    outlives: ClassVar[bool] = False  # True if its workers go on after this process has ended

    @abstractmethod
    def __init__(self, out: Path, *, jobs: int, device: str, settings: Mapping[str, str]) -> None:
        """``out``: the output folder. ``jobs``: how many tasks run at once. ``device``: its kind, such as cuda.

        ``settings``: of ``--set-executor``. Raises BadInput for those that it does not know.
        """

    def start(self) -> str:
        """Starts workers elsewhere, if it is of that kind, and says so."""
        return ""

    @property
    @abstractmethod
    def free(self) -> int:
        """How many more tasks it can take now."""

    @abstractmethod
    def submit(self, task: Task) -> None:
        """Starts a task."""

    @abstractmethod
    def poll(self, timeout_s: float) -> list[Event]:
        """Returns the events since the last call. Waits at most this long for one."""

    def cancel(self, task: Task) -> None:
        """Asks a task to stop. It then ends with an event."""
        return

    @abstractmethod
    def stop(self) -> None:
        """Stops all tasks and ends all processes. Returns once each task has written its checkpoint."""

    @classmethod
    def waiting(cls, out: Path) -> list[str]:
        """Sentences about the workers of an output that have not begun, from whatever process started them."""
        return []

    @classmethod
    def withdraw(cls, out: Path) -> list[str]:
        """Takes back the workers of an output that have not begun, from whatever process. Says so in sentences."""
        return []

    def __exit__(self, *_: object) -> None:
        self.stop()


class Elsewhere(Executor):
    """An executor of workers elsewhere, ``study work OUT``. It takes no tasks itself: the workers claim them."""

    elsewhere: ClassVar[bool] = True

    @property
    def free(self) -> int:
        return 0

    def submit(self, task: Task) -> NoReturn:
        raise AssertionError("the workers claim their tasks")
