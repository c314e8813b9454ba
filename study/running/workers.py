"""The processes that work in an output folder: drivers and searches, on this machine or another."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from study.leases import Leases, Owner
from study.store import Shape, read_facts, write_json

FOLDER = "workers"  # in the output: what each of them is doing
STOP = "stop.json"  # in the output: the workers that were asked to stop
CREWS = "crews"  # in the output: workers that were started elsewhere, a file for each start
PREFIX = "worker-"


class _Told(Shape):
    """What a worker says that it does."""

    kind: str = ""
    crew: str = ""
    plans: list[str] = Field([])
    at: float = 0.0  # when it was written, in seconds since 1970
    done: float = 0.0  # the share of its work, 0 to 1
    left_s: float | None = None
    running: list[str] = Field([])  # titles of tasks


class _Asked(Shape):
    workers: list[str] = Field([])
    crews: list[str] = Field([])


@dataclass(frozen=True)
class Worker:
    """This process at work in an output. ``crew``: the start of several workers that it belongs to."""

    out: Path
    name: str
    crew: str = ""

    @property
    def file(self) -> Path:
        return self.out / FOLDER / f"{self.name}.json"

    def tell(self, **facts: Any) -> None:
        """Says what it does, for others to read. Earlier facts of other names stay."""
        write_json(self.file, {**read_facts(self.file), **facts})

    @property
    def stopped(self) -> bool:
        """True once this worker, or its crew, was asked to stop (``stop``)."""
        asked = read_facts(self.out / STOP, _Asked)
        return self.name in asked.get("workers", ()) or bool(self.crew and self.crew in asked.get("crews", ()))


@contextmanager
def working(out: Path, kind: str, crew: str = "") -> Iterator[Worker]:
    """Registers this process as working in an output while it is entered. ``kind``: run, work, tune, ..."""
    out.mkdir(parents=True, exist_ok=True)
    worker = Worker(out, f"{PREFIX}{kind}-{os.uname().nodename}-{os.getpid()}-{uuid.uuid4().hex[:8]}", crew)
    lease = Leases(out / "leases").claim(worker.name)
    assert lease is not None  # the name is new
    worker.tell(kind=kind, crew=crew)
    try:
        yield worker
    finally:
        with suppress(OSError):
            worker.file.unlink()
        lease.release(done=True)


def lives(out: Path, name: str) -> bool:
    """Returns True if a worker of this output is still at work."""
    return Leases(out / "leases").holder(name) is not None


def workers(out: Path, kind: str = "") -> dict[str, Owner]:
    """The processes at work in an output, of one kind or of all, by name."""
    held = Leases(out / "leases").held()
    return {name: owner for name, owner in held.items() if name.startswith(f"{PREFIX}{kind}")}


def told(out: Path) -> dict[str, dict[str, Any]]:
    """What the workers of an output say that they do, by name."""
    if not any((out / FOLDER).glob("*.json")):
        return {}
    return {name: read_facts(out / FOLDER / f"{name}.json", _Told) for name in workers(out)}


def stop(out: Path, names: Sequence[str], crews: Sequence[str] = ()) -> None:
    """Asks workers to stop, and crews, of which some may not have begun."""
    before = read_facts(out / STOP, _Asked)
    write_json(
        out / STOP,
        {
            "workers": sorted({*before.get("workers", ()), *names}),
            "crews": sorted({*before.get("crews", ()), *crews}),
        },
    )
