"""Removes from an output what no study of it names. The studies of an output are its plan and its searches."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from study.errors import BadInput
from study.plan.graph import PLAN, Plan
from study.running.driver import FAILURES
from study.running.record import FOLDER as RECORDS
from study.running.states import complete
from study.search.trials import FOLDER as SEARCHES
from study.search.trials import brief, states
from study.store import Damaged, RunState, Store, read_facts, verify, without
from study.stores.doctor import KEY, stale, temporaries

DAY_S = 86400.0


@dataclass(frozen=True)
class Unneeded:
    """A file or folder that no study names. ``what``: its kind, in words. ``size``: in bytes."""

    path: Path
    what: str
    size: int
    names: tuple[str, ...] = ()  # the files of a stage to remove; empty for all of it


def unneeded(out: Path, keep_days: float = 0.0, optimizer_states: bool = False) -> list[Unneeded]:
    """What can be removed. What a live process holds, or was made or used within ``keep_days``, is not.

    Raises BadInput if there is no study, or its plan cannot be read: then nothing is known to be unneeded.
    """
    one = _Output(out, keep_days)
    found = [*one.stages(), *one.plans(), *one.records(), *one.left_over()]
    return [*found, *(one.optimizer_states() if optimizer_states else ())]


def remove(out: Path, chosen: list[Unneeded]) -> None:
    """Removes each. A folder disappears in one rename, so that no half of it is ever taken for the whole."""
    bin_ = out / f".removed.{os.getpid()}"
    bin_.mkdir(exist_ok=True)
    for n, one in enumerate(chosen):
        if one.names:
            without(one.path, one.names)
            continue
        with suppress(FileNotFoundError):
            one.path.rename(bin_ / str(n))
    shutil.rmtree(bin_, ignore_errors=True)


class _Output:
    def __init__(self, out: Path, keep_days: float) -> None:
        self.out, self.store, self.keep_s = out, Store(out), keep_days * DAY_S
        self.held = self.store.leases.held()
        self.searches = {state["variant"]: brief(state) for state in states(out)}
        if not (out / PLAN).is_file() and not self.searches:
            raise BadInput(f"{out}: there is no study here, so nothing says what is needed; name an output folder")
        self.study = Plan.of(out) if (out / PLAN).is_file() else None
        self.saved = {file: self.read(file) for file in sorted((out / "plans").glob("*.json"))}
        self.named = set(self.study.stages if self.study else ()) | self.held.keys() | set(self.of_trials())
        for file, plan in self.saved.items():
            if plan and self.keeps(file, plan):
                self.named |= plan.stages.keys()

    def read(self, file: Path) -> Plan | None:
        try:
            return Plan.read(file)
        except (KeyError, TypeError, AttributeError, ValueError):
            return None

    def keeps(self, file: Path, plan: Plan) -> bool:
        """True if a saved plan is in use: by a process, within the days to keep, or by a search that goes on."""
        search = self.searches.get((plan.study.trial or {}).get("search", ""))
        goes_on = search is not None and search["ended"] < search["of"]
        return bool(self.held) or goes_on or self.recent(file) or self.current(file)

    def current(self, file: Path) -> bool:
        return self.study is not None and file.read_bytes() == (self.out / PLAN).read_bytes()

    def of_trials(self) -> Iterator[str]:
        """The stages of the trials of searches, as their records name them."""
        for state in map(read_facts, (self.out / "runs").glob("*.json")):
            if str(state.get("run")).partition("/")[0].rpartition("@")[0] in self.searches:
                yield from self.recorded(state)

    def recorded(self, state: dict[str, Any]) -> Iterator[str]:
        info = read_facts(self.out / RECORDS / str(state.get("record")) / "info.json")
        yield str(state.get("stage"))
        yield from (str(fact["key"]) for fact in info.values() if isinstance(fact, dict) and "key" in fact)

    def recent(self, path: Path) -> bool:
        with suppress(OSError):
            return time.time() - path.lstat().st_mtime < self.keep_s
        return True

    def item(self, path: Path, what: str) -> Iterator[Unneeded]:
        if not self.recent(path):
            yield Unneeded(path, what, _size(path))

    def stages(self) -> Iterator[Unneeded]:
        gone = set()
        for folder in sorted((self.out / "stages").glob("*")):
            if KEY.fullmatch(folder.name) and folder.name not in self.named and not self.recent(folder):
                gone.add(folder.name)
                yield from self.item(folder, "stages that no study names")
        for folder in sorted((self.out / "making").glob("*")):
            key = folder.name
            if KEY.fullmatch(key) and (key not in self.named or (self.store.has(key) and key not in self.held)):
                yield from self.item(folder, "stages in the making that no study names")
        for file in sorted((self.out / "made").glob("*.json")):
            if file.stem not in self.named and (file.stem in gone or not self.store.has(file.stem)):
                yield from self.item(file, "records of where such stages were made")

    def plans(self) -> Iterator[Unneeded]:
        for file, plan in self.saved.items():
            if not self.held and (plan is None or not self.keeps(file, plan)):
                yield from self.item(file, "saved plans of earlier studies and trials")
        runs = {RunState.of(self.out, run.name).name for run in self.study.runs} if self.study else set[str]()
        for file in sorted((self.out / FAILURES).glob("*.txt")):
            if file.stem not in self.named | runs:
                yield from self.item(file, "failures of what no study names")

    def records(self) -> Iterator[Unneeded]:
        """The records of attempts that a later attempt at the same run has replaced."""
        last = {state.get("run"): str(state.get("record")) for state in map(read_facts, self.out.glob("runs/*.json"))}
        for folder in sorted((self.out / RECORDS).glob("[0-9]*")):
            kept = last.get(read_facts(folder / "config.json").get("run"), "")
            if kept.isdigit() and folder.name.isdigit() and int(folder.name) < int(kept):
                yield from self.item(folder, "records of earlier attempts at runs")

    def left_over(self) -> Iterator[Unneeded]:
        for path in sorted((self.out / "damaged").glob("*")):
            yield from self.item(path, "what was set aside as damaged")
        for path in temporaries(self.out):
            if not path.is_relative_to(self.out / "damaged"):
                yield from self.item(path, "temporary files of processes that were killed")
        for folder in sorted((self.out / "leases").glob("[!.]*")):
            if folder.name not in self.held and all(map(stale, folder.iterdir())):
                yield from self.item(folder, "leases of processes that have ended")
        old = [self.out / name for name in ("driver.lock", "driver.json", "progress.json")]
        old += [*self.out.glob("locks/*.lock"), *(self.out / SEARCHES).rglob("*.lock")]
        for path in old:
            if path.exists() and not self.held and stale(path):
                yield from self.item(path, "locks of earlier versions of this program")

    def optimizer_states(self) -> Iterator[Unneeded]:
        """Those of the last stages of a finished study: nothing starts from them but more steps of the same stage."""
        if self.study is None or self.held or not all(complete(run, self.study, self.store) for run in self.study.runs):
            raise BadInput(f"{self.out}: --optimizer-states: the study is not finished, and may still need them")
        for key, stage in self.study.stages.items():
            folder = self.store.folder(key)
            names = tuple(file.name for file in sorted(folder.glob("*.optimizer.safetensors")))
            if stage.kind != "joint" or not names or self.recent(folder):
                continue
            with suppress(Damaged):
                verify(folder)
                size = sum(_size(folder / name) for name in names)
                yield Unneeded(folder, "stages whose optimiser states are removed", size, names)


def _size(path: Path) -> int:
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size
    return sum(file.lstat().st_size for file in path.rglob("*") if not file.is_dir())
