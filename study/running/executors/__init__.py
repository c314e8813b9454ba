"""Executors run tasks somewhere. The results do not depend on which one is used."""

from study.running.executors.base import Event, Executor, Task
from study.running.executors.local import Local

EXECUTORS: dict[str, type[Executor]] = {"local": Local}

__all__ = ["EXECUTORS", "Event", "Executor", "Local", "Task"]
