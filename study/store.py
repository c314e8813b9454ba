"""The store: published stages under their keys, complete or not at all, with checksums.

out/stages/KEY/      a stage's files, and manifest.json: the checksum of each file, and the stage's outcome.
                     The files hold no key, time or path, so two outputs can be compared; the manifest names the key.
out/making/KEY/      a stage being made: its checkpoint, and the files that are not yet published
out/leases/NAME/     who makes a stage or a run (study.leases)
out/made/KEY.json    where and when it was made: device, versions, seconds
out/runs/NAME.json   a run's status, and the id of its Sacred record
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from study.errors import StudyError, at_file
from study.files import open_file
from study.leases import Lease, Leases

MANIFEST = "manifest.json"
CHECKSUM = "checksum"  # in a JSON object: of all else that is in it


class Damaged(StudyError):
    """A published stage whose files do not match its manifest."""


class Shape(BaseModel):
    """What a JSON object of an output may hold: its fields with their types, and any others."""

    model_config = ConfigDict(extra="allow", strict=True)


def write_atomically(file: Path, content: bytes | str) -> None:
    """Writes a temporary file, flushes it to disk and renames it: readers see the old or the new file, complete."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        with at_file(file), temporary.open("wb") as stream:
            stream.write(content.encode() if isinstance(content, str) else content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def write_json(file: Path, value: Any) -> None:
    """Writes JSON atomically. Keys are sorted, so equal values give equal bytes."""
    write_atomically(file, json.dumps(value, sort_keys=True, indent=1) + "\n")


def read_json(file: Path) -> Any:
    """Reads JSON; None if the file is missing or damaged, nested too deeply, or no regular file."""
    try:
        with open_file(file) as stream:
            return json.loads(stream.read())
    except (OSError, ValueError, RecursionError):
        return None


def sealed(facts: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object with its checksum, which ``read_facts`` holds it to. Plain values, as they are read again."""
    plain: dict[str, Any] = json.loads(json.dumps(facts))
    return {**plain, CHECKSUM: _digest(plain)}


def read_facts(file: Path, shape: type[Shape] = Shape) -> dict[str, Any]:
    """Reads a JSON object; empty if the file is missing, damaged, or holds something else.

    What has a checksum must match it. Older versions of this program wrote none.
    """
    value = read_json(file)
    if not isinstance(value, dict):
        return {}
    checksum = value.pop(CHECKSUM, None)
    if checksum is not None and checksum != _digest(value):
        return {}
    try:
        shape.model_validate(value)
    except ValidationError:
        return {}
    return value


def file_digest(file: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def publish(files: Path, folder: Path, outcome: Mapping[str, Any], key: str = "") -> bool:
    """Writes the manifest of a folder of files and renames it to ``folder``, whole. Returns True if it replaced one.

    ``key``: of a stage. Such a folder is never replaced: raises FileExistsError if there is one.
    """
    digests = {}
    for file in sorted(files.rglob("*")):
        if file.is_file() and file.name.startswith("."):
            file.unlink()  # a temporary file of a process that was killed
        elif file.is_file() and file.name != MANIFEST:
            with at_file(file), file.open("rb") as stream:
                os.fsync(stream.fileno())
            digests[file.relative_to(files).as_posix()] = file_digest(file)
    facts = {"files": digests, "outcome": dict(outcome)}
    named = {"key": key} if key else {}
    write_json(files / MANIFEST, {**facts, **named, "digest": _manifest_digest(facts)})
    folder.parent.mkdir(parents=True, exist_ok=True)
    if key:
        _rename(files, folder)
        return False
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    replaced = folder.exists()
    if replaced:
        folder.rename(old)
    files.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
    return replaced


def _rename(files: Path, folder: Path) -> None:
    """Renames files to a stage, unless there is one. Half a stage, of which the rest was deleted, gives way."""
    try:
        files.rename(folder)
    except OSError as error:
        if (folder / MANIFEST).exists() or not folder.exists():
            raise FileExistsError(folder) if folder.exists() else error from None
        half = folder.with_name(f".{folder.name}.{os.getpid()}.old")
        folder.rename(half)
        shutil.rmtree(half, ignore_errors=True)
        _rename(files, folder)


def verify(folder: Path) -> None:
    """Reads every file of a published folder against its checksum. Raises Damaged."""
    manifest = read_facts(folder / MANIFEST)
    files = manifest.get("files")
    if files is None or manifest.get("digest") != _manifest_digest(manifest):
        raise Damaged(f"{folder}: the stage has no readable manifest")
    if manifest.get("key", folder.name) != folder.name:
        raise Damaged(f"{folder}: this is the stage {manifest['key']}, under another name")
    for name, digest in files.items():
        if not (folder / name).is_file() or file_digest(folder / name) != digest:
            raise Damaged(f"{folder / name}: the file is not what was published")


def digests(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The checksum of each file that a stage was published with, by name, and its outcome; empty without a manifest.

    Includes the files that were removed since (``study.stores.gc``).
    """
    if not isinstance(manifest.get("files"), dict):
        return {}
    return {**manifest["files"], **manifest.get("removed", {}), "outcome": manifest.get("outcome")}


def without(folder: Path, names: Iterable[str]) -> None:
    """Removes files of a published folder. Its manifest keeps their checksums as ``removed``, and stays true."""
    manifest = read_facts(folder / MANIFEST)
    gone = {name: manifest["files"][name] for name in names if name in manifest["files"]}
    facts = {
        "files": {name: digest for name, digest in manifest["files"].items() if name not in gone},
        "outcome": manifest["outcome"],
    }
    removed = {**manifest.get("removed", {}), **gone}
    write_json(folder / MANIFEST, {**manifest, **facts, "removed": removed, "digest": _manifest_digest(facts)})
    for name in removed:
        (folder / name).unlink(missing_ok=True)


def _manifest_digest(manifest: Mapping[str, Any]) -> str:
    return _digest([manifest.get("files"), manifest.get("outcome")])


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


class Made(Shape):
    """Where and when a stage was made."""

    key: str = ""
    device: str = ""
    torch: str = ""
    python: str = ""
    made: str = ""  # when it ended, ISO 8601
    seconds: float = 0.0
    threads: int = 0
    peak_memory_mib: float = 0.0
    steps: int = 0
    lineage: str | None = None


class Store:
    """The stages of one output folder."""

    def __init__(self, out: Path) -> None:
        self.out, self.leases = out, Leases(out / "leases")
        self._verified: set[str] = set()
        self._held: dict[str, int] = {}

    def folder(self, key: str) -> Path:
        """The folder of a published stage."""
        return self.out / "stages" / key

    def has(self, key: str) -> bool:
        """Returns True if a stage is published."""
        return (self.folder(key) / MANIFEST).is_file()

    def published(self) -> set[str]:
        """The keys of all published stages."""
        folder = self.out / "stages"
        return {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()

    def manifest(self, key: str) -> dict[str, Any]:
        """``files``: checksum by name; ``outcome``. Empty if the manifest is missing or damaged."""
        return read_facts(self.folder(key) / MANIFEST)

    def outcome(self, key: str) -> dict[str, Any]:
        """The outcome of a published stage: ``{"status": "finished"}``, or ``diverged`` with the step and the term."""
        outcome = self.manifest(key).get("outcome")
        return outcome if isinstance(outcome, dict) else {}

    def verified(self, key: str) -> Path:
        """The folder of a stage, after checking every file's checksum (once per process).

        Raises:
            Damaged: a file is missing or changed, or there is no readable manifest.
        """
        folder = self.folder(key)
        if key not in self._verified:
            verify(folder)
            self._verified.add(key)
        return folder

    def intact(self, key: str, name: str) -> bool:
        """Returns True if this one file of a stage matches the manifest, and the manifest is readable."""
        file, manifest = self.folder(key) / name, self.manifest(key)
        if not file.is_file() or manifest.get("digest") != _manifest_digest(manifest):
            return False
        return bool(file_digest(file) == manifest.get("files", {}).get(name))

    def recorded(self, key: str, name: str) -> dict[str, Any]:
        """A JSON object among a stage's files; empty if it is damaged, or there is none."""
        return read_facts(self.folder(key) / name) if self.intact(key, name) else {}

    def set_aside(self, key: str) -> None:
        """Moves a damaged stage to ``out/damaged``. It will be made again."""
        with suppress(FileNotFoundError):  # another process was first
            self.to_damaged(self.folder(key), key)
        self._verified.discard(key)

    def to_damaged(self, path: Path, name: str) -> Path:
        """Moves a file or folder to ``out/damaged``, under a name, and returns its new path."""
        place = self.out / "damaged" / name
        shutil.rmtree(place, ignore_errors=True)
        place.parent.mkdir(parents=True, exist_ok=True)
        return path.replace(place)

    def claim(self, key: str) -> Lease | None:
        """The lease of a stage, needed to make it; None if another process makes it, on any machine.

        What the owner before left can be gone on with if it has ended. One that is only believed dead may still be
        writing: it keeps its files, and only its checkpoint is taken over.
        """
        lease = self.leases.claim(key, self.mark(key))
        if lease is not None:
            self.hold({key: lease.number})
            before = self._files(key, lease.number - 1)
            if lease.after_end and before.exists():
                before.rename(self._files(key, lease.number))
        return lease

    def mark(self, key: str) -> str:
        """What changes as the making of a stage goes on: the time of its checkpoint."""
        try:
            return str(self.checkpoint(key).stat().st_mtime_ns)
        except OSError:
            return ""

    def hold(self, held: Mapping[str, int]) -> None:
        """Says which stages this process makes, with the numbers of their leases."""
        self._held |= held

    def _files(self, key: str, number: int) -> Path:
        return self.out / "making" / key / f"files-{number}"

    def files(self, key: str) -> Path:
        """The folder for the files of a stage that is being made. It keeps what an interrupted attempt left."""
        folder = self._files(key, self._held.get(key, 0))
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def checkpoint(self, key: str) -> Path:
        """The checkpoint of a stage that is being made, whether or not there is one."""
        return self.out / "making" / key / "checkpoint.safetensors"

    def set_checkpoint_aside(self, key: str) -> Path:
        """Moves a damaged checkpoint to ``out/damaged``, and returns its new path."""
        return self.to_damaged(self.checkpoint(key), f"{key}.checkpoint.safetensors")

    def publish(self, key: str, outcome: Mapping[str, Any], made: Mapping[str, Any]) -> None:
        """Publishes the files of a stage in one rename, and removes what else was left of making it.

        If another process was first, on a machine that was believed dead, its files stay. If another makes the stage
        now, because it believes this one dead, what it writes stays.
        """
        files = self.files(key)
        if not self.has(key):
            self.write_made(key, made)
            with suppress(FileExistsError):
                publish(files, self.folder(key), outcome, key)
        if self.leases.number(key) > self._held.get(key, 0):
            shutil.rmtree(files, ignore_errors=True)
        else:
            self.clear(key)

    def clear(self, key: str) -> None:
        """Removes what is left of making a stage, if there is anything."""
        shutil.rmtree(self.out / "making" / key, ignore_errors=True)

    def made(self, key: str) -> dict[str, Any]:
        """Where and when a stage was made: device, versions, seconds; empty if unknown, or of another stage."""
        facts = read_facts(self.out / "made" / f"{key}.json", Made)
        return facts if facts.get("key", key) == key else {}

    def write_made(self, key: str, made: Mapping[str, Any]) -> None:
        """Writes where and when a stage was made."""
        write_json(self.out / "made" / f"{key}.json", sealed(made))


class _Run(Shape):
    run: str = ""
    status: str = ""
    record: str = ""
    stage: str = ""
    why: str = ""
    results: dict[str, float] = {}
    lost: dict[str, str] = {}


@dataclass(frozen=True)
class RunState:
    """The state of a run, in a file of its own, so that readers need not search Sacred's records."""

    file: Path

    @classmethod
    def of(cls, out: Path, run: str) -> RunState:
        """The state of a run by the run's name. The file name is readable and unique."""
        readable = re.sub(r"[^A-Za-z0-9_.-]+", "-", run)[:80]
        return cls(out / "runs" / f"{readable}-{hashlib.sha256(run.encode()).hexdigest()[:8]}.json")

    @property
    def name(self) -> str:
        """The run's name as a file name: of its lease, and of the note on its failure."""
        return self.file.stem

    def read(self) -> dict[str, Any]:
        """``run``, ``status``, ``record``, ``stage``, ``why``, ``results``.

        Empty if the run has not started, or if the file is damaged or is of another run.
        """
        facts = read_facts(self.file, _Run)
        named = self.of(self.file.parent.parent, facts["run"]) if "run" in facts else self
        return facts if named == self else {}

    def write(self, **facts: Any) -> None:
        """Replaces the state."""
        write_json(self.file, sealed(facts))

    @staticmethod
    def word(state: Mapping[str, Any], there: bool, alive: bool) -> str:
        """A run's status. ``there``: its evaluation is published. ``alive``: a driver is running."""
        status = str(state.get("status", "missing"))
        if status in ("completed", "diverged") and not there:
            return "missing"
        return "interrupted" if status == "running" and not alive else status
