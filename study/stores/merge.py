"""Joins outputs: copies what one of them lacks from others, each stage only if it matches its checksums.

What is copied becomes visible in one rename, and a copy that is there already is found again. So a merge that was
killed ends right when it is repeated.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from study.errors import BadInput, few
from study.external import entries
from study.plan.graph import PLAN, Plan, json_digest
from study.running.record import FOLDER as RECORDS
from study.search.trials import FOLDER as SEARCHES
from study.search.trials import read as read_search
from study.store import (
    MANIFEST,
    Damaged,
    RunState,
    Store,
    digests,
    read_facts,
    sealed,
    verify,
    write_atomically,
    write_json,
)
from study.stores import union

ENDED = ("completed", "diverged")
SETTLED = (*ENDED, "failed", "interrupted")  # a run that is still running is not copied


@dataclass
class Merged:
    """The outcome of a merge.

    Args:
        copied: counts by what was copied, such as stages.
        skipped: counts by what was there already.
        damaged: what is left out, as it is not what was published.
        conflicts: what both have with other bytes. That of the output is kept.
        notes: what else the user should know.
    """

    copied: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    damaged: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def merge(out: Path, others: list[Path], heard: Callable[[str, int, int], None] = lambda *_: None) -> Merged:
    """Copies what ``out`` lacks from other outputs, and joins their plans if they are of one study.

    ``heard``: called with a label, and how many stages of how many are done.

    Raises BadInput, before anything is copied, if one of the folders is no output.
    """
    for n, other in enumerate(others):
        if not ((other / "stages").is_dir() or (other / PLAN).is_file() or (other / SEARCHES).is_dir()):
            raise BadInput(f"{other}: there is no output here; name the folder that --out named when it was made")
        if any(other.resolve() == one.resolve() for one in (out, *others[:n])):
            raise BadInput(f"{other}: this folder is named twice; name outputs that differ")
    if out.exists() and not out.is_dir():
        raise BadInput(f"{out}: this is a file; name a folder")
    merged = Merged()
    for other in others:
        _Merge(out, other, merged).all(heard)
    return merged


class _Merge:
    """Copies from one output into another."""

    def __init__(self, out: Path, other: Path, merged: Merged) -> None:
        self.out, self.other, self.merged = out, other, merged
        self.store, self.source = Store(out), Store(other)
        self.place = out / f".merging.{os.getpid()}"  # on the same file system, so that a rename publishes

    def all(self, heard: Callable[[str, int, int], None]) -> None:
        self.place.mkdir(parents=True, exist_ok=True)
        try:
            keys = sorted(key for key in _names(self.other / "stages") if not key.startswith("."))
            for done, key in enumerate(keys):
                heard(f"stages of {self.other}", done, len(keys))
                self.stage(key)
            self.external()
            searches = self.searches()
            self.runs(searches)
            for name in searches:
                self.search(name)
            self.plan()
        finally:
            shutil.rmtree(self.place, ignore_errors=True)

    # stages and rows

    def stage(self, key: str) -> None:
        made, known = self.source.made(key), self.store.made(key) if self.store.has(key) else {}

        def add_made() -> None:
            if made and not known:
                self.store.write_made(key, made)

        if self.published("stages", self.source.folder(key), self.store.folder(key), add_made):
            add_made()

    def same(self, key: str) -> bool:
        """True if both have a stage, with the same bytes."""
        theirs = digests(read_facts(self.source.folder(key) / MANIFEST))
        return bool(theirs) and theirs == digests(self.store.manifest(key))

    def published(self, what: str, theirs: Path, ours: Path, before: Callable[[], None] = lambda: None) -> bool:
        """Copies a published folder that is missing. True if it was there. ``before``: called before the copy shows."""
        if (ours / MANIFEST).is_file():
            if digests(read_facts(ours / MANIFEST)) == digests(read_facts(theirs / MANIFEST)) != {}:
                self.merged.skipped[what] += 1
                return True
            if not self.differs(what, theirs, ours):
                return False
        if not self.sound(theirs):
            return False
        copy = _copied(theirs, self.place / theirs.name)
        before()
        ours.parent.mkdir(parents=True, exist_ok=True)
        if not (ours / MANIFEST).is_file():  # what is left of a folder that was being removed
            shutil.rmtree(ours, ignore_errors=True)
        try:
            copy.rename(ours)
        except OSError:
            if not ours.exists():
                raise
            self.merged.skipped[what] += 1  # another process was first
            return True
        self.merged.copied[what] += 1
        return False

    def sound(self, theirs: Path) -> bool:
        """True if a folder matches its checksums. Notes the damage if it does not."""
        try:
            verify(theirs)
        except (Damaged, OSError) as error:
            self.merged.damaged.append(f"{error}; it is left out")
            return False
        return True

    def differs(self, what: str, theirs: Path, ours: Path) -> bool:
        """Notes why two folders of one name differ. True if ours is damaged, and is set aside for theirs."""
        if not self.sound(theirs):
            return False
        try:
            verify(ours)
        except Damaged as error:
            self.merged.damaged.append(f"{error}; it is replaced by that of {self.other}")
            if what == "stages":
                self.store.set_aside(ours.name)
            else:
                shutil.rmtree(ours)
            return True
        mine, other = digests(read_facts(ours / MANIFEST)), digests(read_facts(theirs / MANIFEST))
        names = sorted(name for name in {**mine, **other} if mine.get(name) != other.get(name))
        self.merged.conflicts.append(f"{ours} and {theirs}: not the same {', '.join(names) or 'outcome'}")
        return False

    def external(self) -> None:
        for theirs in sorted((self.other / entries.FOLDER).glob("[!.]*/[!.]*/[!.]*")):
            if (theirs / MANIFEST).is_file():
                self.published("external rows", theirs, self.out / theirs.relative_to(self.other))

    # runs

    def runs(self, searches: list[str]) -> None:
        """Copies the states of runs, and their records under new numbers. ``searches``: whose trials are copied."""
        known = {_identity(folder): folder.name for folder in _records(self.out)}
        self.ids = dict[str, str]()  # of the records, by what they are called in the other output
        records: dict[str, list[Path]] = {}
        left_out: dict[str, list[str]] = defaultdict(list)
        for folder in _records(self.other):
            if new := known.get(_identity(folder)):
                self.ids[folder.name] = new
            run = read_facts(folder / "config.json").get("run")
            records.setdefault(str(run), []).append(folder)
        for file in sorted((self.other / "runs").glob("*.json")):
            theirs = RunState(file).read()
            run, status = theirs.get("run"), theirs.get("status")
            search, trial, _ = str(run).partition("/")[0].rpartition("@")
            if not run or (trial and search not in searches):
                continue
            ours = RunState.of(self.out, run).read()
            if status not in SETTLED:
                left_out["it is running there, or was killed"].append(run)
                continue
            if ours.get("status") in ENDED or (ours and status not in ENDED):
                self.merged.skipped["runs"] += 1
                continue
            if status in ENDED and not self.same(theirs.get("stage", "")):
                left_out["its last stage is not copied"].append(run)
                continue
            for folder in records.get(run, []):
                if folder.name not in self.ids:
                    self.ids[folder.name] = self.record(folder)
            number = self.ids.get(str(theirs.get("record")), "")
            RunState.of(self.out, run).write(**{**theirs, "record": number})
            self.merged.copied["runs"] += 1
        for why, names in left_out.items():
            self.merged.notes.append(f"{self.other}: {few(names, 3)}: not copied: {why}")

    def record(self, folder: Path) -> str:
        """Copies a record, and returns its new number. Like Sacred, it takes a number by making its folder."""
        root = self.out / RECORDS
        root.mkdir(parents=True, exist_ok=True)
        number = max((int(name) for name in _names(root) if name.isdigit()), default=0) + 1
        while True:
            try:
                (root / str(number)).mkdir()
                break
            except FileExistsError:
                number += 1
        copy = self.place / "record"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy)
        info = read_facts(copy / "info.json")
        if info.get("follows") in self.ids:
            write_json(copy / "info.json", {**info, "follows": self.ids[info["follows"]]})
        _flush(copy)
        for file in sorted(copy.iterdir(), key=lambda file: file.name == "run.json"):  # last: it says what is there
            file.rename(root / str(number) / file.name)
        self.merged.copied["records"] += 1
        return str(number)

    # searches and the plan

    def searches(self) -> list[str]:
        """The names of the searches that are to be copied: of those that the output has no search with this name."""
        names = {file.stem for end in ("json", "journal") for file in (self.other / SEARCHES).glob(f"*.{end}")}
        for name in sorted(names):
            last = f"{name}.journal" if (self.other / SEARCHES / f"{name}.journal").exists() else f"{name}.json"
            if (self.out / SEARCHES / last).exists():
                self.merged.skipped["searches"] += 1
                names.remove(name)
        return sorted(names)

    def search(self, name: str) -> None:
        """Copies a search, with the new numbers of its records. Its journal comes last: then it is there."""
        theirs, ours = self.other / SEARCHES, self.out / SEARCHES
        if tuned := _read_text(theirs / f"{name}_tuned.yaml"):
            write_atomically(ours / f"{name}_tuned.yaml", tuned)
        if state := read_search(theirs / f"{name}.json"):
            rows = [{**row, "record": self.renumbered(row.get("record", ""))} for row in state["trials"]]
            write_json(ours / f"{name}.json", sealed({**state, "trials": rows}))
        if journal := _read_text(theirs / f"{name}.journal"):
            write_atomically(ours / f"{name}.journal", "".join(map(self.entry, journal.splitlines(keepends=True))))
        self.merged.copied["searches"] += 1

    def renumbered(self, records: str) -> str:
        return ", ".join(self.ids.get(one, one) for one in records.split(", "))

    def entry(self, line: str) -> str:
        """A line of a journal, with the new numbers of records. One that is damaged stays as it is."""
        try:
            value = json.loads(line)
            records = value["user_attr"]["records"]
        except (ValueError, KeyError, TypeError):
            return line
        value["user_attr"]["records"] = [self.ids.get(one, one) for one in records]
        return json.dumps(value, separators=(",", ":")) + "\n"

    def plan(self) -> None:
        """Joins the plans, or says why they cannot be joined."""
        if not (self.other / PLAN).is_file():
            return
        try:
            theirs = Plan.of(self.other)
            ours = Plan.of(self.out) if (self.out / PLAN).is_file() else None
        except BadInput as fault:
            self.merged.notes.append(f"{fault}. The plan of {self.out} stays as it is")
            return
        if ours is None:
            theirs.save(self.out)
            return
        if found := union.differences(ours, theirs):
            again = theirs.study.command or "its own command"
            self.merged.notes.append(
                f"{self.other}: another study than that of {self.out}, whose plan stays: {few(found, 5, '; ')}. "
                f"To see its results here, run it with --out {self.out} (nothing is trained again): {again}"
            )
            return
        joined = union.union(ours, theirs)
        if len(joined.runs) > len(ours.runs):
            joined.save(self.out)
            seeds = ",".join(map(str, joined.study.seeds))
            self.merged.notes.append(
                f"the study in {self.out} has {len(joined.runs)} runs now, {len(joined.runs) - len(ours.runs)} of them "
                f"from {self.other}; seeds {seeds}. A later run of its own command shows its own runs alone"
            )


def _names(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir()] if folder.is_dir() else []


def _records(out: Path) -> Iterator[Path]:
    """The folders of an output's records that can be read, in the order of their numbers."""
    for name in sorted((name for name in _names(out / RECORDS) if name.isdigit()), key=int):
        if read_facts(out / RECORDS / name / "run.json"):
            yield out / RECORDS / name


def _identity(record: Path) -> str:
    """A digest that a record keeps under another number: of the run, and of when and where it was made."""
    entry = read_facts(record / "run.json")
    return json_digest([read_facts(record / "config.json"), entry.get("start_time"), entry.get("host")])


def _read_text(file: Path) -> str:
    """The text of a file; empty if there is none."""
    return file.read_text() if file.is_file() else ""


def _copied(published: Path, copy: Path) -> Path:
    """Copies the files that a manifest names, and checks the copy. Raises Damaged."""
    shutil.rmtree(copy, ignore_errors=True)
    for name in [*read_facts(published / MANIFEST)["files"], MANIFEST]:
        if not (copy / name).resolve().is_relative_to(copy.resolve()):
            raise Damaged(f"{published / MANIFEST}: {name} is not in this folder")
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(published / name, copy / name)
    verify(copy)
    _flush(copy)
    return copy


def _flush(folder: Path) -> None:
    """Flushes the files of a folder to disk."""
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
