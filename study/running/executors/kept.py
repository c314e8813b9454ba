"""An executor that several drives use, one after another."""

from __future__ import annotations

from study.running.executors.base import Event, Executor, Task


class Kept(Executor):
    """An executor that outlives a drive in which all went well, so that one search after another has its workers."""

    def __init__(self, inner: Executor, jobs: int) -> None:
        self._inner, self._jobs = inner, jobs

    @property
    def free(self) -> int:
        return self._inner.free

    def submit(self, task: Task) -> None:
        self._inner.submit(task)

    def poll(self, timeout_s: float) -> list[Event]:
        return self._inner.poll(timeout_s)

    def close(self) -> None:
        if self._inner.free < self._jobs:  # interrupted: what is under way is written down
            self._inner.close()

    def end(self) -> None:
        """Ends all its processes."""
        self._inner.close()
