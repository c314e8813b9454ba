"""Executors run tasks somewhere. The results do not depend on which one is used."""

from study.running.executors.base import Event, Executor, Task
from study.running.executors.local import Local
from study.running.executors.manual import Manual
from study.running.executors.ray import Ray
from study.running.executors.slurm import Slurm

EXECUTORS: dict[str, type[Executor]] = {"local": Local, "slurm": Slurm, "ray": Ray, "manual": Manual}

__all__ = ["EXECUTORS", "Event", "Executor", "Local", "Task"]
