"""Where stages lie: whole or not at all, under their keys, with checksums.

out/stages/KEY/      what a stage made, and manifest.json: the checksum of each file and how the stage ended.
                     Holds no key, time or path, so the bytes of two outputs can be compared.
out/making/KEY/      a stage being made: its checkpoint, and the files that are not yet published
out/made/KEY.json    who made it: device, versions, seconds
out/runs/NAME.json   how a run ended, and where its Sacred record is
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from study.errors import StudyError

MANIFEST = "manifest.json"


class Damaged(StudyError):
    """A published stage whose files are not what its manifest says."""


def write_atomically(file: Path, content: bytes | str) -> None:
    """Writes a file aside, flushes it to disk and renames it into place: readers see the old or the new, whole."""
    file.parent.mkdir(parents=True, exist_ok=True)
    aside = file.with_name(f".{file.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        with aside.open("wb") as stream:
            stream.write(content.encode() if isinstance(content, str) else content)
            stream.flush()
            os.fsync(stream.fileno())
        aside.replace(file)
    except OSError:
        aside.unlink(missing_ok=True)
        raise


def write_json(file: Path, value: Any) -> None:
    """The same for JSON, keys sorted, so that equal values are equal bytes."""
    write_atomically(file, json.dumps(value, sort_keys=True, indent=1) + "\n")


def read_json(file: Path) -> Any:
    """Reads JSON; None where there is no such file or it is damaged."""
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError):
        return None


def read_facts(file: Path) -> dict[str, Any]:
    """Reads JSON that is facts by name; empty where there is no such file, or it is damaged or holds anything else."""
    found = read_json(file)
    return found if isinstance(found, dict) else {}


def file_digest(file: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _digest_of_facts(manifest: Mapping[str, Any]) -> str:
    facts = [manifest.get("files"), manifest.get("outcome")]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


class Store:
    """The stages of one output folder."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self._verified: set[str] = set()

    def folder(self, key: str) -> Path:
        """Where a stage lies once it is published."""
        return self.out / "stages" / key

    def has(self, key: str) -> bool:
        """Whether a stage is published."""
        return (self.folder(key) / MANIFEST).is_file()

    def manifest(self, key: str) -> dict[str, Any]:
        """``files``: checksum by name; ``outcome``: how the stage ended. Empty where there is none that can be read."""
        return read_facts(self.folder(key) / MANIFEST)

    def outcome(self, key: str) -> dict[str, Any]:
        """How a published stage ended: ``{"status": "finished"}`` or ``diverged``, with the step."""
        outcome = self.manifest(key).get("outcome")
        return outcome if isinstance(outcome, dict) else {}

    def verified(self, key: str) -> Path:
        """The folder of a stage whose every file has been read against its checksum (once in a process).

        Raises Damaged.
        """
        folder = self.folder(key)
        if key not in self._verified:
            manifest = self.manifest(key)
            files = manifest.get("files")
            if files is None or manifest.get("digest") != _digest_of_facts(manifest):
                raise Damaged(f"{folder}: the stage has no readable manifest")
            for name, digest in files.items():
                if not (folder / name).is_file() or file_digest(folder / name) != digest:
                    raise Damaged(f"{folder / name}: the file is not what was published")
            self._verified.add(key)
        return folder

    def intact(self, key: str, name: str) -> bool:
        """Whether this one file of a stage is what was published."""
        manifest, file = self.manifest(key), self.folder(key) / name
        sound = manifest.get("digest") == _digest_of_facts(manifest)
        return sound and file.is_file() and file_digest(file) == (manifest.get("files") or {}).get(name)

    def set_aside(self, key: str) -> None:
        """Moves a damaged stage out of the way, to be looked at; it will be made again."""
        place = self.out / "damaged" / key
        shutil.rmtree(place, ignore_errors=True)
        place.parent.mkdir(parents=True, exist_ok=True)
        self.folder(key).rename(place)
        self._verified.discard(key)

    def lock(self, key: str) -> FileLock:
        """Held while a stage is made, by one process on all machines that share the folder."""
        folder = self.out / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / f"{key}.lock")

    def workspace(self, key: str) -> Path:
        """The folder in which a stage is made; what an earlier, interrupted making left is still there."""
        folder = self.out / "making" / key
        (folder / "files").mkdir(parents=True, exist_ok=True)
        return folder

    def publish(self, key: str, outcome: Mapping[str, Any], made: Mapping[str, Any]) -> None:
        """Publishes the files of a stage's workspace in one rename, and clears the workspace."""
        workspace = self.workspace(key)
        files = workspace / "files"
        digests = {}
        for file in sorted(files.rglob("*")):
            if file.is_file() and file.name.startswith("."):
                file.unlink()  # left aside by a process that was killed as it wrote
            elif file.is_file() and file.name != MANIFEST:
                with file.open("rb") as stream:
                    os.fsync(stream.fileno())
                digests[file.relative_to(files).as_posix()] = file_digest(file)
        write_json(self.out / "made" / f"{key}.json", dict(made))
        facts = {"files": digests, "outcome": dict(outcome)}
        write_json(files / MANIFEST, {**facts, "digest": _digest_of_facts(facts)})
        self.folder(key).parent.mkdir(parents=True, exist_ok=True)
        if not self.has(key):
            shutil.rmtree(self.folder(key), ignore_errors=True)  # without a manifest: half deleted
            files.rename(self.folder(key))
        self.clear(key)

    def clear(self, key: str) -> None:
        """Removes a stage's workspace, if there is one."""
        shutil.rmtree(self.out / "making" / key, ignore_errors=True)

    def made(self, key: str) -> dict[str, Any]:
        """Who made a stage: device, versions, seconds; empty where that is not known."""
        return read_facts(self.out / "made" / f"{key}.json")


@dataclass(frozen=True)
class RunState:
    """What is known of a run in an output: kept beside the stages, so that nobody has to search Sacred's records."""

    file: Path

    @classmethod
    def of(cls, out: Path, run: str) -> RunState:
        """The state of a run by its name; the file's name is readable, and unique."""
        readable = re.sub(r"[^A-Za-z0-9_.-]+", "-", run)[:80]
        return cls(out / "runs" / f"{readable}-{hashlib.sha256(run.encode()).hexdigest()[:8]}.json")

    def read(self) -> dict[str, Any]:
        """``run``, ``status``, ``record``, ``stage``, ``why``, ``results``; empty where the run has not begun."""
        return read_facts(self.file)

    def write(self, **facts: Any) -> None:
        """Replaces the state, whole."""
        write_json(self.file, facts)

    @staticmethod
    def word(state: Mapping[str, Any], there: bool, alive: bool) -> str:
        """A run's status from its state: ``there``, its evaluation is in the store; ``alive``, something runs."""
        word = str(state.get("status", "missing"))
        if word in ("completed", "diverged") and not there:
            return "missing"
        return "interrupted" if word == "running" and not alive else word
