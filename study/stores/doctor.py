"""What is wrong with an output folder, what to do about it, and repairs that lose nothing."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from study.errors import BadInput
from study.external import entries
from study.leases import lives
from study.plan.graph import KINDS, PLAN, Plan
from study.running import workers
from study.running.driver import FAILURES
from study.running.executors import EXECUTORS
from study.running.observers import FILE as OBSERVERS
from study.running.record import FOLDER as RECORDS
from study.running.record import settle_record
from study.running.states import settle
from study.search import trials
from study.search.journal import mended
from study.search.trials import FOLDER as SEARCHES
from study.store import MANIFEST, Damaged, RunState, Store, read_facts, verify
from study.training.checkpoint import read_checkpoint

KEY = re.compile(rf"({'|'.join(KINDS)})-[0-9a-f]{{16}}")
TEMPORARY = re.compile(r"\.doctor\..+|\..+\.\d+(\.\d+|\.old)?|\.(clock-)?[0-9a-f]{32}|tmp[a-z0-9_]{8}")
"""Names of temporary files and folders: of ``study.store``, of leases, of a report, of this check."""
STALE_S = 3600.0  # a temporary file is never written for so long
BELONGS = {
    *("stages", "making", "made", "leases", "damaged", "runs", "plans", "report", "holes", "data", "locks", PLAN),
    *(SEARCHES, RECORDS, FAILURES, entries.FOLDER, workers.FOLDER, workers.CREWS, workers.STOP, OBSERVERS),
    *EXECUTORS,
    *("driver.lock", "driver.json", "progress.json"),  # of earlier versions
}
"""What is in an output folder."""


@dataclass(frozen=True)
class Finding:
    """Something wrong: ``where``, ``what``, and what to do (``advice``). ``repair``: does it, if that is safe."""

    where: str
    what: str
    advice: str
    repair: Callable[[], object] | None = None


def findings(out: Path, heard: Callable[[str, int, int], None] = lambda *_: None) -> Iterator[Finding]:
    """All that is wrong in an output folder. What a live process holds is passed over.

    ``heard``: called with a label, and how many stages of how many are checked.
    """
    one = _Output(out)
    yield from one.plans()
    yield from one.stages(heard)
    yield from one.half_made()
    yield from one.runs()
    yield from one.searches()
    yield from one.external()
    yield from one.left_over()


class _Output:
    def __init__(self, out: Path) -> None:
        self.out, self.store = out, Store(out)
        self.held = self.store.leases.held()
        self.alone = not self.held
        self.study: Plan | None = None

    def plans(self) -> Iterator[Finding]:
        if (self.out / PLAN).exists():
            try:
                self.study = Plan.of(self.out)
            except BadInput as fault:
                what, _, advice = str(fault).partition("; ")
                yield Finding(str(self.out / PLAN), what.partition(": ")[2], advice)
        elif any((self.out / "stages").glob("*")) and not any((self.out / SEARCHES).glob("*.json")):
            yield Finding(str(self.out / PLAN), "there is none", "run the study's command again; nothing is made twice")
        for file in sorted((self.out / "plans").glob("*.json")):
            if not read_facts(file) and self.alone:
                yield Finding(str(file), "it cannot be read", "remove it", _remover(file))

    def stages(self, heard: Callable[[str, int, int], None]) -> Iterator[Finding]:
        folders = sorted((self.out / "stages").glob("*"))
        for done, folder in enumerate(folders):
            heard("stages", done, len(folders))
            key = folder.name
            if not KEY.fullmatch(key) or not folder.is_dir():
                if not TEMPORARY.fullmatch(key):
                    yield self.stranger(folder)
                continue
            try:
                verify(folder)
            except (Damaged, OSError) as error:
                what = _after(folder, error)
                again = "it is set aside and made again: run the study again, or copy it with: study merge"
                yield Finding(str(folder), what, again, lambda key=key: self.set_aside(key))  # type: ignore[misc]
                continue
            named = read_facts(folder / MANIFEST)["files"].keys() | {MANIFEST}
            for file in sorted(folder.rglob("*")):
                if file.is_file() and file.relative_to(folder).as_posix() not in named:
                    yield self.stranger(file)
            made = self.out / "made" / f"{key}.json"
            if not self.store.made(key) and made.exists():
                what = "it is damaged" if read_facts(made).get("key", key) == key else "it is of another stage"
                yield Finding(str(made), what, "remove it: the hours and machine of this stage are unknown")
            elif not self.store.made(key):
                advice = "its results are sound, its hours and machine are unknown; study merge copies them if known"
                yield Finding(str(folder), f"there is no record of where it was made (made/{key}.json)", advice)
        for file in sorted((self.out / "made").glob("*.json")):
            if not self.store.folder(file.stem).exists() and file.stem not in self.held:
                what = "its stage is not there" if KEY.fullmatch(file.stem) else "it is of no stage"
                yield Finding(str(file), what, "remove it; it is written again with the stage", _remover(file))

    def half_made(self) -> Iterator[Finding]:
        """Stages that were being made. One that will be continued is as it should be."""
        for folder in sorted((self.out / "making").glob("*")):
            key = folder.name
            if key in self.held or TEMPORARY.fullmatch(key):
                continue
            if not KEY.fullmatch(key):
                yield self.stranger(folder)
            elif self.store.has(key):
                yield Finding(str(folder), "it is left over: the stage is made", "remove it", _remover(folder))
            else:
                try:
                    read_checkpoint(self.store.checkpoint(key), key)
                except FileNotFoundError:
                    continue
                except Damaged as error:
                    what = str(error).removeprefix(f"{self.store.checkpoint(key)}: ")
                    aside = lambda key=key: self.store.set_checkpoint_aside(key)  # noqa: E731
                    advice = "it is set aside, and the stage starts from its beginning"
                    yield Finding(str(self.store.checkpoint(key)), what, advice, aside)

    def runs(self) -> Iterator[Finding]:
        records = {folder.name: folder for folder in sorted((self.out / RECORDS).glob("[0-9]*"))}
        live = set()
        for file in sorted((self.out / "runs").glob("*.json")):
            state = RunState(file).read()
            if not (run := state.get("run", "")):
                yield Finding(str(file), "it is damaged, or of another run", "remove it; the run is recorded again")
                continue
            record = str(state.get("record") or "")
            if file.stem in self.held:
                live.add(record)
            elif state.get("status") == "running":
                live.add(record)
                what = f"{run} is said to be running, and no process makes it"
                mend = lambda run=run: settle(self.out, run)  # noqa: E731
                yield Finding(str(file), what, "mark it as interrupted; run the study again to go on", mend)
            if record and not (self.out / RECORDS / record / "run.json").exists():
                what = f"{run} has no record {record} in {RECORDS}"
                yield Finding(str(file), what, "its scores and curves are in its stages; Sacred's tools do not show it")
        for name, folder in records.items():
            entry = read_facts(folder / "run.json")
            if name in live or not (entry or self.alone):
                continue
            if not entry:
                advice = "it is moved to damaged: its process was killed as it began, or the file was damaged"
                aside = partial(self.store.to_damaged, folder, f"{RECORDS}-{name}")
                yield Finding(str(folder), "this record has no readable run.json", advice, aside)
            elif entry.get("status") == "RUNNING" and self.alone:
                mend = lambda name=name: settle_record(self.out, name)  # noqa: E731
                yield Finding(str(folder), "this record says RUNNING, and no process writes it", "mark it", mend)

    def searches(self) -> Iterator[Finding]:
        for file in sorted((self.out / SEARCHES).glob("*.json")):
            if not trials.read(file):
                yield Finding(str(file), "it is damaged", "run study tune again: it is written from the journal")
        for file in sorted((self.out / SEARCHES).glob("*.journal")):
            if self.alone and (damage := _journal(file)):
                mend = None if "in the middle" in damage else lambda file=file: mended(file)
                advice = "the record is taken out, all others are kept" if mend else "restore it from a copy"
                yield Finding(str(file), damage, advice, mend)

    def external(self) -> Iterator[Finding]:
        for manifest in sorted((self.out / entries.FOLDER).glob(f"[!.]*/[!.]*/[!.]*/{MANIFEST}")):
            try:
                verify(manifest.parent)
            except (Damaged, OSError) as error:
                advice = "score its images again with study score --into"
                yield Finding(str(manifest.parent), _after(manifest.parent, error), advice)

    def left_over(self) -> Iterator[Finding]:
        """Leases of processes that ended without a word, temporary files, and what is no part of an output."""
        for folder in sorted((self.out / "leases").glob("[!.]*")):
            files = sorted(folder.glob("*.json"), key=lambda file: int(file.stem) if file.stem.isdigit() else 0)
            facts = read_facts(files[-1]) if files else {"ended": True}
            if folder.name not in self.held and not facts.get("ended") and (_here(facts) or stale(files[-1])):
                what = "its owner has ended without releasing it"
                yield Finding(str(folder), what, "remove it; the next process would take it over", _remover(folder))
        for file in temporaries(self.out):
            yield Finding(str(file), "a temporary file of a process that was killed", "remove it", _remover(file))
        for file in sorted(self.out.glob("*")):
            if file.name not in BELONGS and not TEMPORARY.fullmatch(file.name):
                yield self.stranger(file)

    def set_aside(self, key: str) -> None:
        self.store.set_aside(key)
        (self.out / "made" / f"{key}.json").unlink(missing_ok=True)

    def stranger(self, file: Path) -> Finding:
        return Finding(str(file), "it does not belong to an output", "nothing reads it: move it elsewhere")


def _after(folder: Path, error: Exception) -> str:
    """An error's text without the folder that it is about."""
    return str(error).removeprefix(f"{folder}: ").removeprefix(f"{folder}/")


def _remover(file: Path) -> Callable[[], object]:
    if file.is_dir() and not file.is_symlink():
        return partial(shutil.rmtree, file, ignore_errors=True)
    return partial(file.unlink, missing_ok=True)


def _here(lease: dict[str, Any]) -> bool:
    """True if a lease's owner was a process of this machine. One elsewhere may only be suspended."""
    owner = lease.get("owner")
    return isinstance(owner, dict) and lives(owner) is not None


def stale(path: Path) -> bool:
    """Returns True if a file or folder is there, and so old that nobody writes it any more."""
    with suppress(OSError):
        return time.time() - path.lstat().st_mtime > STALE_S
    return False


def temporaries(out: Path) -> Iterator[Path]:
    """The temporary files and folders of killed processes. What is in such a folder is not named."""
    for path in sorted(out.rglob("*")):
        if TEMPORARY.fullmatch(path.name) and not TEMPORARY.fullmatch(path.parent.name) and stale(path):
            yield path


def _journal(file: Path) -> str:
    """What is wrong with a journal; empty if nothing is."""
    lines = file.read_bytes().splitlines(keepends=True)
    for number, line in enumerate(lines, 1):
        try:
            value: Any = json.loads(line)
        except ValueError:
            value = None
        if not isinstance(value, dict) or not line.endswith(b"\n"):
            torn = number == len(lines) or b'{"op_code"' in line[1:]
            return f"line {number} of {len(lines)} is cut short" if torn else f"line {number} is damaged, in the middle"
    return ""
