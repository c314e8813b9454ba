"""Executors make what they are told by name, somewhere; the results do not depend on them."""

from study.executors.base import Event, Executor, Task
from study.executors.local import Local

EXECUTORS: dict[str, type[Executor]] = {"local": Local}

__all__ = ["EXECUTORS", "Event", "Executor", "Local", "Task"]
