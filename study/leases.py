"""Leases: who makes what, among all processes and machines that share a folder.

A lease is a folder of numbered files. Whoever creates the next number owns it. Creating a file is atomic on every file
system, so no lock of the operating system is needed. The owner renews the file's time. An owner on this machine is
known to be alive or dead by its process. Any other has died if the file has not been renewed for a while, by the clock
of the folder's own file system, so machines whose clocks differ agree.

out/leases/NAME/NUMBER.json    the owner, and how the lease ended if it has
"""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

LASTS_S = 60.0  # an owner elsewhere that has not renewed its lease for so long is taken for dead
RENEWALS = 6  # in that time
RETRY_S = 0.2

FACTS = {"owner": dict, "lasts_s": float, "deaths": int, "mark": str}  # of a lease's file
Owner = dict[str, Any]
"""A process: ``host``, ``boot``, ``space`` (of process ids), ``pid``, ``started``."""


@cache
def _place() -> dict[str, str]:
    """This machine since it was started: here, a process id says whether its process lives."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    space = Path("/proc/self/ns/pid")
    return {
        "host": os.uname().nodename,
        "boot": boot.read_text().strip() if boot.exists() else "",
        "space": str(space.readlink()) if space.is_symlink() else "",
    }


def this_process() -> Owner:
    """This process as an owner of leases."""
    return {**_place(), "pid": os.getpid(), "started": _started(os.getpid())}


def _started(pid: int) -> str:
    """When a process of this machine was started, in a unit of the system; empty if it is gone or unknown."""
    with suppress(OSError, IndexError):
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if state in "ZX" else rest[18]
    return ""


def lives(owner: Owner) -> bool | None:
    """Whether a process lives; None if it cannot be known from here: it is of another machine."""
    if any(owner.get(name) != value for name, value in _place().items()):
        return None
    if Path("/proc/self/stat").exists():
        return bool(_started(owner.get("pid", 0)) == owner.get("started") != "")
    try:
        os.kill(int(owner.get("pid", 0)), 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


@dataclass(eq=False)
class Lease:
    """A lease that this process holds.

    ``after_end``: True if the owner before is known to have ended, so that what it left can be taken over. ``deaths``:
    how many owners in a row have died before, with ``mark`` as it is now.
    """

    folder: Path
    number: int
    after_end: bool = True
    deaths: int = 0
    mark: str = ""
    lost: bool = field(default=False, init=False)  # True once another process has taken it for dead

    @property
    def file(self) -> Path:
        return self.folder / f"{self.number}.json"

    def renew(self) -> None:
        """Says that the owner lives. Notices if another process has taken the lease."""
        try:
            os.utime(self.file)  # the time of the file's own machine
        except FileNotFoundError:
            self.lost = True
        except OSError:
            return  # the file system may come back
        owner = _read(self.file).get("owner", this_process())
        self.lost = self.lost or _numbers(self.folder)[-1:] != [self.number] or owner != this_process()

    def release(self, *, done: bool = False) -> None:
        """Ends the lease. ``done``: what it was for is there, so its folder is not needed any more."""
        _KEEPER.leave(self)
        self.renew()  # this process may have been suspended for hours
        if self.lost:
            return
        try:
            if not done:
                _write(self.file, {**_read(self.file), "ended": True})
                return
        except OSError:
            pass  # the disk is full, but what is there can be removed
        shutil.rmtree(self.folder, ignore_errors=True)


class Leases:
    """The leases of a folder, by name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._seen: dict[str, tuple[tuple[int, int], float]] = {}  # by name: number and time of the file, since when

    def claim(self, name: str, mark: str = "") -> Lease | None:
        """Takes a lease; None if another owner, or this process, holds it.

        ``mark``: what changes when work goes on, such as the time of a checkpoint.
        """
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        number = self.number(name)
        before: dict[str, Any] = _read(folder / f"{number}.json") if number else {"ended": True}
        ended = bool(before.get("ended"))
        if not ended and not self._dead(name, number, before):
            return None
        dies = not ended and before.get("mark", "") == mark
        deaths = (before.get("deaths", 0) + 1 if dies else 1) if not ended else 0
        known = ended or lives(before.get("owner", {})) is False
        lease = Lease(folder, number + 1, known, deaths, mark)
        facts = {"owner": this_process(), "lasts_s": LASTS_S, "deaths": deaths, "mark": mark}
        if not _create(lease.file, facts):
            return None
        for old in _numbers(folder):
            if old < lease.number:
                with suppress(OSError):
                    (folder / f"{old}.json").unlink()
        if _numbers(folder)[-1:] != [lease.number]:  # the folder was removed meanwhile, and begun anew
            return None
        _KEEPER.keep(lease)
        return lease

    def lock(self, name: str, timeout_s: float | None = None) -> Lock:
        """A lease that is waited for, at most this long."""
        return Lock(self, name, timeout_s)

    def number(self, name: str) -> int:
        """The number of the latest lease of a name; 0 if there is none."""
        return max(_numbers(self.folder / name), default=0)

    def holder(self, name: str) -> Owner | None:
        """The owner that holds a lease, as far as it is known at once; None if nobody does."""
        folder = self.folder / name
        number = self.number(name)
        facts: dict[str, Any] = _read(folder / f"{number}.json") if number else {"ended": True}
        if facts.get("ended"):
            return None
        owner: Owner = facts.get("owner", {})
        here = lives(owner)
        if here is None:
            here = self._age_s(folder / f"{number}.json") < facts.get("lasts_s", LASTS_S)
        return owner if here else None

    def held(self) -> dict[str, Owner]:
        """The leases that are held, with their owners."""
        names = sorted(folder.name for folder in self.folder.iterdir()) if self.folder.is_dir() else []
        return {name: owner for name in names if (owner := self.holder(name)) is not None}

    def _dead(self, name: str, number: int, facts: dict[str, Any]) -> bool:
        """Whether the owner of a lease has died.

        One elsewhere is watched for a while even if its file is old: the clock of the file system may have jumped.
        """
        here = lives(facts.get("owner", {}))
        if here is not None:
            return not here
        file, lasts_s = self.folder / name / f"{number}.json", facts.get("lasts_s", LASTS_S)
        try:
            state = number, file.stat().st_mtime_ns
        except OSError:
            return False  # it was just released or taken
        now = time.monotonic()
        before, since = self._seen.get(name, (None, now))
        if before != state:
            self._seen[name] = state, now
            return False
        old = self._age_s(file) > lasts_s
        patience: float = 2 * lasts_s / RENEWALS if old else lasts_s
        return now - since > patience

    def _age_s(self, file: Path) -> float:
        """Seconds since a lease was renewed, by the clock of the file system."""
        probe = self.folder / f".clock-{uuid.uuid4().hex}"
        try:
            try:
                probe.touch()
                now = probe.stat().st_mtime
            except OSError:  # the folder can only be read
                now = time.time()
            return now - file.stat().st_mtime
        except OSError:
            return 0.0
        finally:
            with suppress(OSError):
                probe.unlink()


class Lock:
    """A lease that is waited for. A context manager; the process that holds it may enter it again."""

    def __init__(self, leases: Leases, name: str, timeout_s: float | None) -> None:
        self._leases, self._name, self._timeout_s = leases, name, timeout_s
        self._lease: Lease | None = None
        self._entered = 0

    def acquire(self) -> bool:
        """Waits for the lease. Raises TimeoutError."""
        begun, pause = time.monotonic(), RETRY_S / 20
        while self._lease is None and (lease := self._leases.claim(self._name)) is None:
            if self._timeout_s is not None and time.monotonic() - begun > self._timeout_s:
                holder = self._leases.holder(self._name) or {}
                who = f"process {holder.get('pid')} on {holder.get('host')}"
                raise TimeoutError(f"{self._leases.folder / self._name} is held by {who}; wait until that has ended")
            time.sleep(pause)
            pause = min(2 * pause, RETRY_S)
        self._lease = self._lease or lease
        self._entered += 1
        return True

    def release(self) -> None:
        """Lets others have it."""
        self._entered -= 1
        if not self._entered and self._lease is not None:
            self._lease.release()
            self._lease = None

    def __enter__(self) -> Lock:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class _Keeper:
    """Renews the leases of this process, in a thread."""

    def __init__(self) -> None:
        self._held: dict[Lease, float] = {}  # when the next renewal is due
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def keep(self, lease: Lease) -> None:
        with self._changed:
            self._held[lease] = time.monotonic() + LASTS_S / RENEWALS
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
                self._thread.start()
            self._changed.notify()

    def leave(self, lease: Lease) -> None:
        with self._changed:
            self._held.pop(lease, None)

    def _run(self) -> None:
        while True:
            with self._changed:
                due = min(self._held.values(), default=time.monotonic() + 60)
                self._changed.wait(max(0.0, due - time.monotonic()))
                now = time.monotonic()
                ready = [lease for lease, at in self._held.items() if at <= now]
            for lease in ready:
                lease.renew()
                with self._changed:
                    if lease in self._held:
                        self._held[lease] = time.monotonic() + LASTS_S / RENEWALS

    def forget(self) -> None:
        """Forgets the leases of the process that this one was forked from."""
        self.__init__()  # type: ignore[misc]


_KEEPER = _Keeper()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_KEEPER.forget)


def _numbers(folder: Path) -> list[int]:
    try:
        names = [Path(name).stem for name in os.listdir(folder) if name.endswith(".json")]  # noqa: PTH208 - one call
    except OSError:
        return []
    return sorted(int(name) for name in names if name.isdigit())


def _read(file: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError, KeyError, RecursionError):
        facts = json.loads(file.read_text())
        if isinstance(facts, dict) and all(isinstance(facts[name], kind) for name, kind in FACTS.items()):
            return facts
    return {}


def _create(file: Path, facts: dict[str, Any]) -> bool:
    """Creates a file with its content. False if there is one."""
    temporary = file.with_name(f".{uuid.uuid4().hex}")
    try:
        temporary.write_text(json.dumps(facts))
        try:
            os.link(temporary, file)  # unlike a rename, this fails if another process was first
        except (FileExistsError, FileNotFoundError):
            raise
        except OSError:  # no links on this file system
            with file.open("x") as stream:
                stream.write(json.dumps(facts))
        return True
    except (FileExistsError, FileNotFoundError):  # not found: the folder was removed, as what it was for is there
        return False
    finally:
        with suppress(OSError):
            temporary.unlink()


def _write(file: Path, facts: dict[str, Any]) -> None:
    temporary = file.with_name(f".{uuid.uuid4().hex}")
    temporary.write_text(json.dumps(facts))
    temporary.replace(file)
