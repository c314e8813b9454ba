"""Who works in an output folder: one driver, or several searches."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from study.errors import StudyError
from study.store import read_facts, write_json

WORKERS = Path("search", "workers")  # in the output: one file per searching process, locked while the process lives
BEGIN_S = 10.0  # how long a starting search waits for another one that starts


@contextmanager
def output_lock(out: Path, *, searches: bool = False) -> Iterator[None]:
    """Held by the one driver that works in an output folder. No search may work there.

    ``searches``: for a search that starts. It waits for another one that starts; other searches may work in the folder.
    """
    out.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out / "driver.lock")
    try:
        lock.acquire(timeout=BEGIN_S if searches else 0)
    except Timeout:
        pid = read_facts(out / "driver.json").get("pid", "unknown")
        raise StudyError(
            f"{out}: another run works in this folder (process {pid}); "
            f"see its progress with: python -m study status {out}"
        ) from None
    try:
        if not searches and workers(out):
            raise StudyError(
                f"{out}: a search works in this folder; wait until it ends, or stop it with Ctrl-C, which loses "
                f"nothing; see its progress with: python -m study status {out}"
            )
        write_json(out / "driver.json", {"pid": os.getpid()})
        yield
    finally:
        lock.release()


@contextmanager
def searching(out: Path) -> Iterator[str]:
    """Registers this process as searching in an output, in which no driver may work. Yields the process's name."""
    name = f"{os.uname().nodename}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    file = out / WORKERS / f"{name}.lock"
    with ExitStack() as stack:
        with output_lock(out, searches=True):
            file.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(FileLock(file))
        yield name
    with suppress(OSError):
        file.unlink()


def lives(out: Path, name: str) -> bool | None:
    """Returns True if a process that searched here is still alive; None if this output does not know it."""
    file = out / WORKERS / f"{name}.lock"
    if not file.exists():
        return None
    try:
        with FileLock(file, timeout=0):
            return False
    except Timeout:
        return True


def workers(out: Path) -> list[str]:
    """The processes that are searching in an output."""
    return [file.stem for file in (out / WORKERS).glob("*.lock") if lives(out, file.stem)]
