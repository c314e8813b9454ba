"""A search's journal after a crash: a record that was cut short is taken out, and all complete ones are kept."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from study.leases import Lock
from study.store import write_atomically

BEGIN = b'{"op_code"'  # of every record
CHUNK = 4096


class JournalLock:
    """A lock for Optuna's journal. Its holder finds a journal that ends with a complete record, so it can append."""

    def __init__(self, journal: Path, lock: Lock) -> None:
        self._journal, self._lock = journal, lock

    def acquire(self) -> bool:
        """Waits for the lock, and takes out a record at the end that was cut short."""
        self._lock.acquire()
        cut_off(self._journal)
        return True

    def release(self) -> None:
        """Gives the lock to the next process."""
        self._lock.release()


def cut_off(journal: Path) -> bytes:
    """Removes a record without its end from the end of a journal. Needs the journal's lock. Returns what it removed."""
    if not journal.exists():
        return b""
    with journal.open("r+b") as file:
        size = end = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - CHUNK)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
        file.seek(end)
        torn = file.read(size - end)
        if torn:
            file.truncate(end)
            file.flush()
            os.fsync(file.fileno())
    return torn


def mended(journal: Path) -> str:
    """Takes records out of a journal that a crash or a full disk cut short. Needs its lock.

    Returns a sentence on them, or nothing.

    What is taken out is appended to ``NAME.journal.damaged``. A record that another process appended to one that was
    cut short is kept.

    Raises:
        ValueError: a line is damaged in another way, so what follows it may not mean what it says.
    """
    if not journal.exists():
        return ""
    torn = [cut_off(journal)]
    lines = journal.read_bytes().splitlines(keepends=True)
    whole = []
    for number, line in enumerate(lines, 1):
        record = line if _parses(line) else line[line.rfind(BEGIN) :] if BEGIN in line else b""
        last = number == len(lines)
        if not _parses(record) and not (last and record == b""):
            if not last:
                raise ValueError(f"line {number} is damaged")
            record = b""
        torn.append(line[: len(line) - len(record)])
        whole.append(record)
    lost = [part for part in torn if part]
    if not lost:
        return ""
    damaged = journal.with_suffix(".journal.damaged")
    before = damaged.read_bytes() if damaged.exists() else b""
    write_atomically(damaged, before + b"\n".join(lost) + b"\n")
    if whole != lines:
        write_atomically(journal, b"".join(whole))
    what = f"{len(lost)} records were" if len(lost) > 1 else "a record was"
    return f"{journal}: {what} cut short, by a crash or a full disk; moved to {damaged.name}, all others are kept"


def _parses(line: bytes) -> bool:
    try:
        value: Any = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and "op_code" in value
