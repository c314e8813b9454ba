"""What a process prints while it makes a run, kept with the run's record."""

from __future__ import annotations

import ctypes
import fcntl
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path

from study.errors import hidden
from study.store import write_atomically

KEPT, CHUNK = 2**20, 2**16
"""Bytes of a run's output that are kept, the last ones, and that are passed on at once."""


@contextmanager
def captured(file: Path) -> Iterator[Callable[[], str]]:
    """Sends stdout and stderr of this process to a file, also those of C code and of the programs that it starts.

    Nothing waits for a reader, as a pipe would: what is printed is in the file at once, also if the process is killed.
    Yields a function that returns the text so far. Each call, and the end, passes what is new on to where stderr went.
    """
    _flush()
    before: dict[int, int] = {}
    for stream in (1, 2):
        with suppress(OSError):  # a process without a terminal may have closed it
            before[stream] = fcntl.fcntl(stream, fcntl.F_DUPFD_CLOEXEC, 3)  # above the streams, whichever are closed
    target = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for stream in before:
        os.dup2(target, stream)
    passed, lock = 0, threading.Lock()  # Sacred's heartbeat is a thread

    def text() -> str:
        nonlocal passed
        _flush()
        with lock, file.open("rb") as content, suppress(OSError):
            left = os.fstat(content.fileno()).st_size - passed  # never what is added meanwhile
            content.seek(passed)
            while 2 in before and left > 0 and (new := content.read(min(left, CHUNK))):
                done = os.write(before[2], new)
                passed, left = passed + done, left - done
                content.seek(passed)
        return tidied(file)

    try:
        with os.fdopen(target, "w", encoding="utf-8", errors="backslashreplace", buffering=1) as ours:
            with redirect_stdout(ours), redirect_stderr(ours):
                yield text
            _flush()
    finally:
        for stream, old in before.items():
            os.dup2(old, stream)
        text()
        tidy(file)
        for old in before.values():
            os.close(old)


def tidy(file: Path) -> None:
    """Leaves in a file only what ``tidied`` gives."""
    if (text := tidied(file).encode()) != file.read_bytes():
        write_atomically(file, text)


def tidied(file: Path) -> str:
    """The last part of an output, without passwords, and without zeros, which databases do not take."""
    with file.open("rb") as content:
        left_out = max(0, file.stat().st_size - KEPT)
        content.seek(left_out)
        text = hidden(content.read().decode(errors="replace").replace("\0", ""))
    return f"[{left_out} bytes before this are left out]\n{text}" if left_out else text


def _flush() -> None:
    """Writes what Python and C keep in their buffers."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError, OSError):
            stream.flush()
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).fflush(None)
