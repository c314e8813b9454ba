"""What a study needs of a machine and of a folder's file system."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from packaging.requirements import Requirement

from study.stores.doctor import Finding

PACKAGE = "mo-zhou-study"
GIB = 2**30
LEAST_GIB = {"memory": 0.5, "space": 1.0}  # of memory for each worker; free on the file system of an output
CLOCK_S = 60.0  # the most that a file system's clock may differ from this machine's
DETERMINISTIC = (":4096:8", ":16:8")  # the settings of cuBLAS under which a matrix product has the same bits each time


def machine() -> tuple[dict[str, Any], list[Finding]]:
    """The facts of this machine, and what is wrong with it."""
    found = [*_packages(), *_cuda(), *_temporary()]
    workers, quota = _processors()
    memory = _memory_gib()
    if quota is not None and workers > quota + 0.5:
        what = f"this process may use {workers} cores, but gets the time of {quota:g} (its cgroup's limit)"
        found.append(Finding("processors", what, f"run with --jobs {max(1, int(quota))}"))
    if memory is not None and memory < LEAST_GIB["memory"] * workers:
        jobs = max(1, int(memory / LEAST_GIB["memory"]))
        found.append(Finding("memory", f"{memory:.1f} GiB are free for {workers} workers", f"run with --jobs {jobs}"))
    facts = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "built for CUDA": torch.version.cuda or "no",
        "devices": _cards() or ["cpu"],
        "cores": os.cpu_count(),
        "cores that this process may use": workers,
        "cores' worth of time": "no limit" if quota is None else quota,
        "free memory, GiB": memory if memory is None else round(memory, 1),
    }
    return facts, found


def folder(place: Path) -> tuple[dict[str, Any], list[Finding]]:
    """The facts of the file system of a folder, and what it cannot do. Writes and removes a few small files."""
    found: list[Finding] = []
    free = shutil.disk_usage(place).free / GIB
    if free < LEAST_GIB["space"]:
        what = f"{free:.2f} GiB are free"
        found.append(Finding(str(place), what, "make room: study gc removes what no study needs; or use another disk"))
    facts: dict[str, Any] = {"file system": _kind(place), "free, GiB": round(free, 1)}
    try:
        with tempfile.TemporaryDirectory(dir=place, prefix=".doctor.") as made:
            cannot, facts["its clock is ahead by, s"] = _tried(Path(made))
    except OSError as error:
        advice = "make it writable, or use another folder"
        return facts, [*found, Finding(str(place), f"no file can be written here ({error.strerror})", advice)]
    facts["it lacks"] = cannot
    for what in cannot:
        if what == "link":  # leases do without
            continue
        advice = "use a folder on another file system: several processes would damage each other's work here"
        found.append(Finding(str(place), f"this file system ({facts['file system']}) has no {what}", advice))
    if abs(facts["its clock is ahead by, s"]) > CLOCK_S:
        what = f"its file system's clock differs from this machine's by {facts['its clock is ahead by, s']:.0f} s"
        found.append(Finding(str(place), what, "set this machine's clock: the times in records would be wrong"))
    return facts, found


def _packages() -> Iterator[Finding]:
    """Packages that are missing, or in versions that were not tried."""
    try:
        metadata = importlib.metadata.metadata(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        yield Finding("packages", f"{PACKAGE} is not installed", "install it: pip install -e . in its folder")
        return
    if (python := metadata["Requires-Python"]) and platform.python_version() not in Requirement(f"x{python}").specifier:
        yield Finding("Python", f"this is {platform.python_version()}, {python} is needed", "use another Python")
    for text in importlib.metadata.requires(PACKAGE) or []:
        asked = Requirement(text)
        if asked.marker is not None and not asked.marker.evaluate({"extra": ""}):
            continue
        try:
            there = importlib.metadata.version(asked.name)
        except importlib.metadata.PackageNotFoundError:
            yield Finding(asked.name, "it is not installed", f"pip install '{asked}'")
            continue
        if not asked.specifier.contains(there, prereleases=True):
            yield Finding(asked.name, f"version {there}, {asked.specifier} is asked for", f"pip install '{asked}'")


def _cuda() -> Iterator[Finding]:
    setting = os.environ.get("CUBLAS_WORKSPACE_CONFIG")
    if setting is not None and setting not in DETERMINISTIC:
        what = f"it is {setting}: the same stage may get other bits on a CUDA card"
        yield Finding("CUBLAS_WORKSPACE_CONFIG", what, f"unset it, or set it to {' or '.join(DETERMINISTIC)}")
    if torch.version.cuda and not torch.cuda.is_available() and Path("/dev/nvidiactl").exists():
        what = f"torch {torch.__version__} finds no card that it can use"
        yield Finding("CUDA", what, "update the card's driver, or install a build of torch for an older one")


def _cards() -> list[str]:
    if not torch.cuda.is_available():
        return []
    cards = map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
    return [f"{card.name}, {card.total_memory / GIB:.0f} GiB, {card.major}.{card.minor}" for card in cards]


def _temporary() -> Iterator[Finding]:
    try:
        place = tempfile.gettempdir()
    except OSError as error:
        yield Finding("temporary folder", str(error), "set TMPDIR to a folder that can be written to")
        return
    if (free := shutil.disk_usage(place).free / GIB) < 0.1:
        what = f"{place} has {free:.2f} GiB free"
        yield Finding("temporary folder", what, "make room, or set TMPDIR to another folder")


def _processors() -> tuple[int, float | None]:
    """How many cores this process may use, and how much of their time its cgroup gives it, in cores; None: all."""
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for file in _cgroup("cpu.max"):
        with suppress(OSError, ValueError):
            most, period = file.read_text().split()
            return workers, None if most == "max" else int(most) / int(period)
    return workers, None


def _memory_gib() -> float | None:
    """How much memory this process may still use; None where it is not known."""
    free = []
    with suppress(OSError, ValueError, IndexError):
        text = Path("/proc/meminfo").read_text()
        free.append(int(text.split("MemAvailable:")[1].split()[0]) * 1024 / GIB)
    for file in _cgroup("memory.max"):
        with suppress(OSError, ValueError):
            free.append((int(file.read_text()) - int(file.with_name("memory.current").read_text())) / GIB)
    return min(free, default=None)


def _cgroup(name: str) -> list[Path]:
    """The files of this process's cgroup (version 2) and of those above it, from the inside."""
    with suppress(OSError):
        own = Path("/proc/self/cgroup").read_text().splitlines()[-1].rpartition(":")[2].strip("/")
        root = Path("/sys/fs/cgroup")
        place = root / own
        return [each / name for each in (place, *place.parents) if each.is_relative_to(root) and (each / name).exists()]
    return []


def _kind(place: Path) -> str:
    """The kind of a folder's file system, such as ext4 or nfs4."""
    kind, longest = "unknown", -1
    with suppress(OSError):
        for line in Path("/proc/self/mounts").read_text().splitlines():
            _, mount, name, *_ = line.split()
            if place.resolve().is_relative_to(mount) and len(mount) >= longest:
                kind, longest = name, len(mount)
    return kind


def _tried(made: Path) -> tuple[list[str], float]:
    """What a file system cannot do, and by how many seconds its clock is ahead of this machine's."""
    cannot = []
    file, other = made / "a", made / "b"
    before = time.time()
    file.write_text("a")
    written = file.stat().st_mtime
    ahead = min((written - moment for moment in (before, time.time())), key=abs)
    other.write_text("b")
    try:
        other.replace(file)
        (made / "folder").mkdir()
        (made / "folder").rename(made / "renamed")
        if file.read_text() != "b":
            cannot.append("atomic rename")
    except OSError:
        cannot.append("atomic rename")
    try:
        with file.open("x"):
            cannot.append("exclusive creation of files")
    except FileExistsError:
        pass
    try:
        os.link(file, made / "linked")
    except OSError:
        cannot.append("link")
    os.utime(file, (1, 1))
    os.utime(file)
    if abs(file.stat().st_mtime - written) > CLOCK_S:
        cannot.append("renewal of a file's time")
    return cannot, round(ahead, 1) + 0.0  # never -0.0
