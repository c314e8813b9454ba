"""The processors that this process may use, and helpers that leave no process behind."""

from __future__ import annotations

import multiprocessing
import os
import threading
from multiprocessing.connection import wait
from os import _exit as end_at_once
from typing import NoReturn


def processors() -> int:
    """How many processors this process may use: those of its cpuset, where the system has such a thing."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def end_with_parent() -> None:
    """Ends this process, from now on, as soon as the one that started it has ended, however that ends."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    if parent := multiprocessing.parent_process():
        wait([parent.sentinel])
        end_at_once(1)


def refuse_sudden_ends() -> None:
    """From now on ``os._exit`` raises SystemExit: a plugin that calls it would end a command as if all were well.

    A process that is forked from this one ends as usual, and so does whoever took the function before.
    """
    here = os.getpid()

    def end(status: int) -> NoReturn:
        if os.getpid() != here:
            end_at_once(status)
        raise SystemExit(status)

    os._exit = end
