"""Executors make what they are told by name, somewhere; the results do not depend on them."""

from study.running.executors.base import Event, Executor, Task
from study.running.executors.kept import Kept
from study.running.executors.local import Local

__all__ = ["Event", "Executor", "Kept", "Local", "Task"]
