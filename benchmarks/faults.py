"""Kills, suspends and damages what makes a small study, and compares each published stage with an undisturbed run's.

``python -m benchmarks.faults [--share 1.0] [--seed 0] [--only FAULT] [--json]``

It is a command of its own, because it counts faults and measures no speed. The commands are those that users type, in
processes of their own, which are forked so that none has to import torch again. They write no report. Leases last
``LASTS_S``, and stages write as many checkpoints as they can. Each kind of fault is a function of the seed; when a
signal arrives is not.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import math
import multiprocessing
import multiprocessing.context
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from glob import glob
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

import study.store
from benchmarks.fuzz import SMALL, damaged_bytes, damaged_value, written
from study import cli, leases
from study.cli import studies, working
from study.plan.graph import Plan
from study.running import driver as driving
from study.running.executors import local
from study.running.states import complete
from study.search import trials, tune
from study.store import RunState, Store, read_facts
from study.training import loop

STUDY = SMALL | {
    "seeds": [0],
    "defaults": {**SMALL["defaults"], "steps": {"pretrain": 24, "critic": 12, "joint": 12}},
    "search": {"pruner": "none", "sampler": "random", "seeds": [1000]},
}
LASTS_S = 1.5
PATIENCE_S = 120.0
"""A command that takes longer is counted as a run that is lost."""
TRIALS = 4
OPERATIONS = 400
"""On files of stages, at one of which a machine stops."""
SHOWN = 10
"""Faults that are printed."""
TRACEBACK = "Traceback (most recent call last)"
PLACE = {"host": "elsewhere", "boot": "another", "space": "another"}


@dataclass
class Found:
    """What came of a fault."""

    fault: str
    times: int = 0
    runs_lost: int = 0
    bytes_differing: int = 0
    published_twice: int = 0
    tracebacks: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> int:
        return self.runs_lost + self.bytes_differing + self.published_twice + self.tracebacks


# ---- Commands in processes of their own


class Command:
    """A command of this program in a process and a group of its own.

    Args:
        words: as on the command line, after ``study``.
        published: this file gets a line for each stage that it publishes.
        elsewhere: it is taken for one of another machine of this name.
        jumps: seeds the jumps of its clock, by hours, twice a second.
        halts: it stops, with all its processes, as one of them begins so many operations on files of stages.
        largest: bytes of the largest file that it may write.
    """

    def __init__(
        self,
        *words: object,
        published: Path,
        elsewhere: str = "",
        jumps: str = "",
        halts: int = 0,
        largest: int | None = None,
    ) -> None:
        self.words, self.code, self.text = [*map(str, words)], None, ""
        self._pipe, end = os.pipe()
        fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, 2**20)
        os.set_blocking(self._pipe, False)
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            os.dup2(end, 1)
            os.dup2(end, 2)
            sys.stdout, sys.stderr = (open(number, "w", closefd=False) for number in (1, 2))  # noqa: SIM115
            os.close(end)
            os.close(self._pipe)
            _begin(self.words, published, elsewhere, jumps, halts, largest)
        os.close(end)

    code: int | None
    """The exit code; None while it runs. A killed process has a negative one."""

    @property
    def ended(self) -> bool:
        """True once it has ended. Its text is what it and its workers printed."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        with suppress(OSError):
            while self._pipe >= 0 and (part := os.read(self._pipe, 2**16)):
                self.text += part.decode(errors="replace")
        return self.code is not None

    @property
    def stopped(self) -> bool:
        """True while it is suspended."""
        with suppress(OSError, IndexError):
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
        return False

    def children(self) -> list[int]:
        """The ids of its worker processes."""
        with suppress(OSError):
            return [*map(int, Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split())]
        return []

    def kill(self, number: int = signal.SIGKILL, *, group: bool = True) -> None:
        with suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self.pid, number)

    def closed(self) -> bool:
        """Waits until its whole group has ended. False if a process of it stays: that is killed."""
        for _ in range(500):
            try:
                os.killpg(self.pid, 0)
            except ProcessLookupError:
                break
            time.sleep(0.02)
        else:
            self.kill()
            return False
        assert self.ended
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1
        return True


def _begin(words: Sequence[str], published: Path, elsewhere: str, jumps: str, halts: int, largest: int | None) -> None:
    """Runs a command in the process that was just forked, and ends it."""
    code: object = 1
    try:
        publish = study.store.publish

        def counted(files: Path, folder: Path, outcome: Any, key: str = "") -> bool:
            replaced = publish(files, folder, outcome, key)
            with log.open("ab", buffering=0) as stream:
                stream.write(f"{folder.name}\n".encode())
            return replaced

        log = published.absolute()
        study.store.publish = counted
        if elsewhere:
            setattr(leases, "_place", lambda: {**PLACE, "host": elsewhere})  # noqa: B010
        if jumps:
            now = time.time
            time.time = lambda: now() + 3600 * random.Random(f"{jumps} {int(2 * time.monotonic())}").uniform(-48, 48)
        if halts:
            _halt_at(halts, log)
        if largest is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
        sys.argv = ["study", *words]
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


def _halt_at(operation: int, log: Path) -> None:
    """Stops this group of processes, once, as one of them begins so many operations on files of stages."""
    left = operation

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event in ("open", "os.rename", "os.mkdir", "os.remove", "shutil.rmtree", "os.utime", "os.link"):
            place = str(arguments[0])
            if ("/making/" in place or "/stages/" in place) and os.getpid() != os.getpgrp():
                left -= 1
                if not left and not (once := log.with_name("halted")).exists():
                    once.touch()
                    os.killpg(os.getpgrp(), signal.SIGSTOP)

    sys.addaudithook(watch)


def _prepare() -> None:
    """What all commands have from this process."""
    multiprocessing.get_context = lambda method=None: multiprocessing.context.ForkContext()  # type: ignore[assignment]
    assert loop.train.__kwdefaults__ is not None
    loop.train.__kwdefaults__["checkpoint_s"] = 0.0
    leases.LASTS_S = LASTS_S
    working.LOOK_S, tune.POLL_S, driving.POLL_S = 0.2, 0.1, 0.1
    studies._report = lambda out: (out / "report", [])
    for module in (cli, local):
        setattr(module, "refuse_sudden_ends", lambda: None)  # noqa: B010 - it is how a forked worker ends


# ---- The scene: outputs, commands, and what is counted


class Scene:
    """A study with the bytes of its stages, and a fault that is tried on outputs of it."""

    def __init__(self, folder: Path, say: Callable[[str], object]) -> None:
        self.folder, self.say = folder, say
        self.file, self.whole = folder / "study.yaml", folder / "whole"
        self.file.write_text(json.dumps(STUDY))
        self.found, self.outs = Found(""), 0
        self.commands: list[Command] = []
        self.wanted: dict[str, dict[str, bytes]] = {}
        first = self.start("run", self.whole)
        assert self.wait(first) == 0, (first.code, first.text)
        plan = Plan.of(self.whole)
        self.plan, self.wanted = plan, {key: stage_files(self.whole, key) for key in plan.stages}

    def begin(self, *, finished: bool = False) -> Path:
        """A new output: finished, or with its plan alone."""
        self.outs += 1
        out = self.folder / f"{self.outs}" / "out"
        if finished:
            shutil.copytree(self.whole, out)
        else:
            self.plan.save(out)
        return out

    def start(self, verb: str, out: Path, *more: str, **how: Any) -> Command:
        """Starts a command on an output."""
        words: list[object] = [verb, out, *more]
        if verb == "work":
            words += ["--jobs", 1]
        if verb == "run":
            words = ["run", self.file, "--out", out, "--jobs", 1, "--report-every", "never", "--no-rehearsal"]
        if verb == "tune":
            words = ["tune", self.file, "--variant", "proposed", "--out", out, "--jobs", 1]
            words += ["--trials", how.pop("trials")]
        out.parent.mkdir(exist_ok=True)
        self.commands.append(Command(*words, published=out.parent / "published", **how))
        return self.commands[-1]

    def wait(self, command: Command, timeout_s: float = PATIENCE_S) -> int | None:
        """The exit code of a command, once it has ended; None if it takes too long."""
        deadline = time.monotonic() + timeout_s
        while not command.ended:
            if time.monotonic() > deadline:
                return None
            time.sleep(0.01)
        return command.code

    def repeat(self, verb: str, out: Path, **how: Any) -> Command:
        """Repeats a command until it ends well, as a user does."""
        for _ in range(5):
            if self.wait(command := self.start(verb, out, **how)) == 0:
                break
        return command

    def end(self, out: Path) -> None:
        """Waits for all commands, counts what is wrong in an output, and removes it."""
        for command in self.commands:
            if self.wait(command) is None:
                self.wrong("runs_lost", f"it does not end: {' '.join(command.words)}")
                command.kill()
            if not command.closed():
                self.wrong("runs_lost", f"a process stays: {' '.join(command.words)}")
            if TRACEBACK in command.text:
                self.wrong("tracebacks", command.text[command.text.index(TRACEBACK) :][-1500:])
        store, said = Store(out), self.commands[-1].text[-600:] if self.commands else ""
        for run in self.plan.runs:
            if not complete(run, self.plan, store):
                self.wrong("runs_lost", f"{run.name}: {RunState.of(out, run.name).read()}: {said}")
        for key, files in self.wanted.items():
            if stage_files(out, key) != files:
                self.wrong("bytes_differing", key)
        log = out.parent / "published"
        counts = Counter(log.read_text().split()) if log.exists() else Counter[str]()
        for key, count in counts.items():
            if count > 1 and not (out / "damaged" / key).exists():
                self.wrong("published_twice", key)
        self.clear(out)

    def clear(self, out: Path) -> None:
        self.commands = []
        shutil.rmtree(out.parent, ignore_errors=True)

    def noted(self, out: Path) -> None:
        """Counts the tracebacks of failures that are written down now. The next attempt removes them."""
        for file in (out / "failures").glob("*.txt"):
            with suppress(OSError):
                text = file.read_text()
                if TRACEBACK in text:
                    self.wrong("tracebacks", text[-1500:])
                    file.unlink()

    def wrong(self, what: str, text: str) -> None:
        setattr(self.found, what, getattr(self.found, what) + 1)
        self.found.faults.append(f"{what}: {text}")
        if len(self.found.faults) <= SHOWN:
            self.say(f"{self.found.fault}: {what}: {text}")


def stage_files(out: Path, key: str) -> dict[str, bytes]:
    """The bytes of a published stage by file, with its manifest; empty without one."""
    folder = out / "stages" / key
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


Fault = Callable[[Scene, int, random.Random], None]
"""Injects a fault so many times."""


# ---- Processes that are killed or suspended


def killed(victim: Callable[[Scene, Path, Command, Command, random.Random], Command | int | None]) -> Fault:
    """Kills, at random moments, while a driver and a worker on this or another machine make a study."""

    def fault(scene: Scene, times: int, rng: random.Random) -> None:
        while scene.found.times < times:
            out = scene.begin()
            elsewhere = rng.choice(("", "elsewhere"))
            driver, node = scene.start("run", out), scene.start("work", out, elsewhere=elsewhere)
            deadline = time.monotonic() + 5 * PATIENCE_S
            while time.monotonic() < deadline and driver.code != 0:
                time.sleep(rng.uniform(0.02, 1.0))
                scene.noted(out)
                if scene.found.times < times and not (driver.ended and driver.code == 0):
                    one = victim(scene, out, driver, node, rng)
                    if isinstance(one, Command):
                        one.kill(group=one is node)
                    elif one is not None:
                        with suppress(ProcessLookupError):
                            os.kill(one, signal.SIGKILL)
                    scene.found.times += one is not None
                if driver.ended and driver.code != 0:
                    driver = scene.start("run", out)
                if node.ended and not driver.ended:
                    node = scene.start("work", out, elsewhere=elsewhere)
            scene.end(out)

    return fault


def the_driver(scene: Scene, out: Path, driver: Command, node: Command, rng: random.Random) -> Command | None:
    return None if driver.ended else driver


def a_worker(scene: Scene, out: Path, driver: Command, node: Command, rng: random.Random) -> int | None:
    found = [*driver.children(), *node.children()]
    return rng.choice(found) if found else None


def the_node(scene: Scene, out: Path, driver: Command, node: Command, rng: random.Random) -> Command | None:
    return None if node.ended else node


def a_holder(scene: Scene, out: Path, driver: Command, node: Command, rng: random.Random) -> int | None:
    """The process that takes the next lease, as soon as it has it."""
    before = set(held(out))
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline and not (driver.ended and node.ended):
        for file in set(held(out)) - before:
            owner = read_facts(file).get("owner", {}).get("pid")
            for command in (driver, node):
                if command.pid == owner:
                    return command.pid
    return None


def suspended(scene: Scene, times: int, rng: random.Random) -> None:
    """Stops a machine, or the process on it that renews its leases, until another has taken them, and lets it go on.

    The machine stops as it begins an operation on a file; the process, at a random moment while its worker goes on.
    """

    def suspend() -> None:
        out, whole = scene.begin(), rng.random() < 0.7
        first = scene.start("work", out, elsewhere="elsewhere", halts=rng.randrange(1, OPERATIONS) if whole else 0)
        if whole:
            _until(lambda: first.ended or first.stopped)
        else:
            _until(lambda: held(out, "[!w]*"))
            time.sleep(rng.uniform(0, 1))
            first.kill(signal.SIGSTOP, group=False)
        before = set(held(out, "[!w]*"))
        second = scene.start("run", out)
        _until(lambda: second.ended or before - set(held(out, "[!w]*")))
        time.sleep(rng.choice((0.0, rng.uniform(0, 0.3), rng.uniform(0, 3))))
        scene.found.times += not first.ended
        first.kill(signal.SIGCONT)
        scene.wait(second)
        scene.noted(out)
        scene.end(out)

    while scene.found.times < times:
        suspend()


def held(out: Path, names: str = "*") -> list[Path]:
    """The files of an output's leases. ``[!w]*``: those of stages and runs, not of the processes at work."""
    return there(f"{out}/leases/{names}/*.json")


def there(pattern: str) -> list[Path]:
    """The files of a pattern that are there now. A folder may disappear meanwhile, unlike with ``Path.glob``."""
    return [*map(Path, glob(pattern))]  # noqa: PTH207


def _until(true: Callable[[], object], timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while not true() and time.monotonic() < deadline:
        time.sleep(0.01)


def machine_clock(scene: Scene, times: int, rng: random.Random) -> None:
    """Three machines whose clocks differ from the store's, and jump by hours, forwards and back."""
    while scene.found.times < times:
        out = scene.begin()
        began = time.monotonic()
        driver = scene.start("run", out, elsewhere="a", jumps=str(rng.random()))
        for name in "bc":
            scene.start("work", out, elsewhere=name, jumps=str(rng.random()))
        scene.wait(driver)
        scene.noted(out)
        scene.found.times += int((time.monotonic() - began) * 2) * 3
        scene.end(out)


def store_clock(scene: Scene, times: int, rng: random.Random) -> None:
    """The clock of the file system jumps: the times of all leases are hours away."""
    while scene.found.times < times:
        out = scene.begin()
        driver = scene.start("run", out, elsewhere="a")
        for name in "bc":
            scene.start("work", out, elsewhere=name)
        while not driver.ended:
            time.sleep(rng.uniform(0, 0.5))
            by_s = rng.uniform(-1, 1) * 48 * 3600
            for file in held(out):
                with suppress(OSError):
                    os.utime(file, (time.time() + by_s,) * 2)
            scene.found.times += 1
        scene.noted(out)
        scene.end(out)


def meanwhile(scene: Scene, times: int, rng: random.Random) -> None:
    """Other commands look at an output, clean and mend it, at random moments while it is made."""
    while scene.found.times < times:
        out = scene.begin()
        driver, node = scene.start("run", out), scene.start("work", out, elsewhere="elsewhere")
        while not (driver.ended and node.ended):
            verb, *more = rng.choice((("doctor", "--repair"), ("gc", "--yes"), ("status",), ("claims",)))
            other = scene.start(verb, out, *more)
            if scene.wait(other) != 0:
                scene.wrong("runs_lost", f"{other.words} ended with {other.code}: {other.text[-600:]}")
            scene.found.times += 1
        scene.end(out)


# ---- Damage


def damage(file: Path, other: Path | None, rng: random.Random) -> None:
    """Damages a file in one of many ways; ``other`` is one that it may be replaced with."""
    content = file.read_bytes()
    way = rng.randrange(10)
    if way < 3:
        new = damaged_bytes(rng, content)
    elif way < 5:
        new = content[: rng.randrange(len(content))]
    elif way == 5:
        new = b""
    elif way == 6:
        start = rng.randrange(len(content))
        new = content[:start] + bytes(len(content) - start)
    elif way == 7:
        new = other.read_bytes() if other else rng.randbytes(len(content))
    else:
        new = content
        if file.suffix == ".json":
            with suppress(ValueError):
                new = written(damaged_value(rng, json.loads(content))).encode("utf-8", "surrogatepass")
    if new != content:
        file.write_bytes(new)
        return
    file.unlink()
    if way == 8:
        file.mkdir()
    elif way == 9:
        file.symlink_to(file)


def damaged(chosen: Callable[[Scene, Path, random.Random], object]) -> Fault:
    """Damages something in a finished output and runs the study again."""

    def fault(scene: Scene, times: int, rng: random.Random) -> None:
        for _ in range(times):
            out = scene.begin(finished=True)
            chosen(scene, out, rng)
            scene.found.times += 1
            scene.repeat("run", out)
            scene.noted(out)
            scene.end(out)

    return fault


def one_of(*patterns: str) -> Callable[[Scene, Path, random.Random], object]:
    """Damages one of an output's files."""

    def chosen(scene: Scene, out: Path, rng: random.Random) -> None:
        files = [file for pattern in patterns for file in sorted(out.glob(pattern)) if file.is_file()]
        damage(rng.choice(files), rng.choice(files), rng)

    return chosen


def a_stage_file(scene: Scene, out: Path, rng: random.Random) -> None:
    files = [file for file in sorted(out.glob("stages/*/*")) if file.name != study.store.MANIFEST]
    file = rng.choice(files)
    damage(file, rng.choice([other for other in files if other.suffix == file.suffix]), rng)


def two_stages(scene: Scene, out: Path, rng: random.Random) -> None:
    kind = rng.choice(("critic", "joint", "evaluate"))
    one, other = rng.sample(sorted((out / "stages").glob(f"{kind}-*")), 2)
    one.rename(out / "between")
    other.rename(one)
    (out / "between").rename(other)


def checkpoints(scene: Scene, times: int, rng: random.Random) -> None:
    """Damages checkpoints of every kind of stage, and lets the study go on."""
    saved = _saved(scene, rng)
    for number in range(times):
        out = scene.begin(finished=True)
        key = rng.choice(sorted(saved))
        shutil.rmtree(out / "stages" / key)
        file = Store(out).checkpoint(key)
        file.parent.mkdir(parents=True)
        file.write_bytes(saved[key])
        ways = list(CHECKPOINTS.values())
        ways[number % len(ways)](file, saved[rng.choice(sorted(saved))], rng)
        scene.found.times += 1
        scene.repeat("run", out)
        scene.noted(out)
        scene.end(out)


def _saved(scene: Scene, rng: random.Random) -> dict[str, bytes]:
    """Checkpoints by stage, as killed processes leave them."""
    saved: dict[str, bytes] = {}
    kinds = {"pretrain", "critic", "joint"}
    while {key.partition("-")[0] for key in saved} < kinds:
        out = scene.begin()
        command = scene.start("run", out)
        while not command.ended:
            for file in there(f"{out}/making/*/checkpoint.safetensors"):
                with suppress(OSError):
                    saved[file.parent.name] = file.read_bytes()
            time.sleep(0.05)
        scene.end(out)
    return saved


def _any(file: Path, other: bytes, rng: random.Random) -> None:
    damage(file, None, rng)


def _another(file: Path, other: bytes, rng: random.Random) -> None:
    file.write_bytes(other)


def _header(file: Path, other: bytes, rng: random.Random) -> None:
    content = file.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = damaged_value(rng, json.loads(content[8 : 8 + length]))
    text = written(header).encode("utf-8", "surrogatepass")
    file.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])


def rewritten(change: Callable[[dict[str, Tensor], dict[str, Any], str], object]) -> Callable[..., None]:
    """A damage that leaves a valid file: its tensors or its facts are changed, its digest is kept."""

    def way(file: Path, other: bytes, rng: random.Random) -> None:
        tensors = load_file(file)
        with safe_open(file, framework="pt") as opened:
            said = opened.metadata()
        facts = json.loads(said["facts"])
        change(tensors, facts, rng.choice(sorted(name for name in tensors if tensors[name].numel())))
        save_file(tensors, file, {**said, "facts": json.dumps(facts)})

    return way


CHECKPOINTS: dict[str, Callable[[Path, bytes, random.Random], None]] = {
    "any bytes": _any,
    "the header": _header,
    "of another stage": _another,
    "a tensor missing": rewritten(lambda tensors, facts, name: tensors.pop(name)),
    "another type": rewritten(lambda tensors, facts, name: tensors.update({name: tensors[name].half()})),
    "another shape": rewritten(
        lambda tensors, facts, name: tensors.update({name: tensors[name].flatten()[None, None]})
    ),
    "not a number": rewritten(lambda tensors, facts, name: tensors.update({name: tensors[name].float() * math.nan})),
    "another step": rewritten(lambda tensors, facts, name: facts.update(step=facts["step"] + 1)),
}


# ---- Full disks


def full_disk(scene: Scene, times: int, rng: random.Random) -> None:
    """The output is on a small disk, which later has room. Without the right to mount one, no file may be large."""
    files = [file.stat().st_size for file in scene.whole.rglob("*") if file.is_file()]
    for _ in range(times):
        out = scene.begin()
        shutil.rmtree(out)
        out.mkdir()
        small = mounted(out, f"size={int(sum(files) * rng.random())}")
        scene.wait(scene.start("run", out, largest=None if small else int(max(files) * rng.random() ** 3)))
        scene.found.times += 1
        if small:
            mounted(out, "remount,size=1g")
        scene.repeat("run", out)
        scene.end(out)
        if small:
            subprocess.run(["umount", out], check=True)
            scene.clear(out)


def mounted(folder: Path, options: str) -> bool:
    """Mounts a file system in memory. False if this is not permitted here."""
    line = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
    try:
        return subprocess.run(line, capture_output=True).returncode == 0
    except OSError:
        return False


# ---- Searches


def finished_trials(out: Path) -> dict[int, Any]:
    """The values of the finished trials by number, of the complete records of a search's journal."""
    journal = out / trials.FOLDER / "proposed.journal"
    lines = journal.read_bytes().splitlines(keepends=True) if journal.is_file() else []
    told: dict[int, Any] = {}
    for line in lines:
        with suppress(ValueError):
            entry = json.loads(line) if line.endswith(b"\n") else {}
            if isinstance(entry, dict) and entry.get("values"):
                told[entry["trial_id"]] = entry["values"]
    return told


def killed_searches(scene: Scene, times: int, rng: random.Random) -> None:
    """Kills a search, one of its workers, or both, at random moments."""
    while scene.found.times < times:
        out = scene.begin(finished=True)
        command, before = scene.start("tune", out, trials=TRIALS), dict[int, Any]()
        deadline = time.monotonic() + 5 * PATIENCE_S
        while time.monotonic() < deadline:
            time.sleep(rng.uniform(0.02, 1.0))
            before |= finished_trials(out)
            if command.ended and command.code == 0:
                break
            if scene.found.times < times and not command.ended:
                children = command.children()
                if children and rng.random() < 0.4:
                    with suppress(ProcessLookupError):
                        os.kill(children[0], signal.SIGKILL)
                else:
                    command.kill(group=rng.random() < 0.5)
                scene.found.times += 1
            if command.ended or scene.wait(command, 0.1) is not None:
                command = scene.start("tune", out, trials=TRIALS)
        _search_ended(scene, out, before, TRIALS)


def torn_journals(scene: Scene, times: int, rng: random.Random) -> None:
    """Tears a search's journal in its last three records, or appends what a crash leaves, and searches on."""
    whole = scene.begin(finished=True)
    scene.repeat("tune", whole, trials=TRIALS)
    for command in scene.commands:
        command.closed()
    commands, scene.commands = scene.commands, []
    for _ in range(times):
        out = scene.begin(finished=True)
        shutil.rmtree(out)
        shutil.copytree(whole, out)
        journal = out / trials.FOLDER / "proposed.journal"
        content = journal.read_bytes()
        last = sum(map(len, content.splitlines(keepends=True)[-3:]))
        end = len(content) - rng.randrange(last)
        journal.write_bytes(content[:end] + rng.choice((b"", b"", bytes(500), b"{]\n", content[-last:][:40])))
        before = finished_trials(out)
        scene.found.times += 1
        scene.repeat("tune", out, trials=TRIALS + 1)
        _search_ended(scene, out, before, TRIALS + 1)
    scene.commands = commands
    scene.clear(whole)


def _search_ended(scene: Scene, out: Path, before: dict[int, Any], count: int) -> None:
    """Counts finished trials that are lost or changed, or not made, as lost runs."""
    after = finished_trials(out)
    for number, values in before.items():
        if after.get(number) != values:
            scene.wrong("runs_lost", f"trial {number}: {values}, then {after.get(number)}")
    if len(after) < count:
        scene.wrong("runs_lost", f"{len(after)} of {count} trials have ended: {scene.commands[-1].text[-600:]}")
    scene.noted(out)
    scene.end(out)


@dataclass(frozen=True)
class Kind:
    """A kind of fault. ``times``: how often in the run of the docs."""

    title: str
    times: int
    inject: Fault


KINDS = {
    "driver": Kind("driver killed", 60, killed(the_driver)),
    "worker": Kind("worker process killed", 60, killed(a_worker)),
    "node": Kind("machine with a `study work` lost", 60, killed(the_node)),
    "holder": Kind("process killed as it takes a lease", 60, killed(a_holder)),
    "search": Kind("search killed", 40, killed_searches),
    "suspended": Kind("holder of leases suspended, replaced, resumed", 20, suspended),
    "machine-clock": Kind("clock of a machine jumps by hours", 100, machine_clock),
    "store-clock": Kind("clock of the file system jumps by hours", 100, store_clock),
    "meanwhile": Kind("doctor, gc, status, claims meanwhile", 100, meanwhile),
    "checkpoint": Kind("checkpoint damaged", 200, checkpoints),
    "stage": Kind("file of a stage damaged", 40, damaged(a_stage_file)),
    "manifest": Kind("manifest damaged", 40, damaged(one_of("stages/*/manifest.json"))),
    "swapped": Kind("two stages swapped", 10, damaged(two_stages)),
    "made": Kind("record of a stage's making damaged", 20, damaged(one_of("made/*.json"))),
    "run-state": Kind("state of a run damaged", 40, damaged(one_of("runs/*.json"))),
    "record": Kind("Sacred record damaged", 20, damaged(one_of("sacred/*/*.json"))),
    "plan": Kind("plan damaged", 40, damaged(one_of("plan.json", "plans/*.json"))),
    "journal": Kind("journal of a search torn", 40, torn_journals),
    "disk": Kind("disk full", 40, full_disk),
}


def table(rows: Sequence[Found]) -> str:
    """The table of ``docs/reliability.md``."""
    lines = ["| fault | times injected | runs lost | stages with other bytes | published twice | tracebacks |"]
    lines.append("|---|--:|--:|--:|--:|--:|")
    for row in rows:
        wrong = f"{row.runs_lost} | {row.bytes_differing} | {row.published_twice} | {row.tracebacks}"
        lines.append(f"| {row.fault} | {row.times} | {wrong} |")
    return "\n".join(lines)


def run(share: float, seed: int, only: Sequence[str] = (), say: Callable[[str], object] = print) -> list[Found]:
    """Injects all kinds of faults, or those named: this share of the times that are usual, at least once."""
    _prepare()
    torch.set_num_threads(1)
    rows = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        scene = Scene(Path(folder), say)
        for name in only or KINDS:
            kind, began = KINDS[name], time.monotonic()
            scene.found = Found(kind.title)
            kind.inject(scene, max(1, round(kind.times * share)), random.Random(f"{seed} {name}"))
            rows.append(scene.found)
            say(
                f"{kind.title}: {scene.found.times} times, {scene.found.wrong} faults, {time.monotonic() - began:.0f} s"
            )
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Injects faults, and prints a table or JSON. Returns the exit code: 0, or 1 if something was lost or wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=str(__doc__).partition("\n")[0])
    parser.add_argument("--share", type=float, default=1.0, help="of the usual times, such as 0.1")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", choices=KINDS, help="a kind; may be repeated")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    rows = run(options.share, options.seed, options.only or (), lambda text: print(text, file=sys.stderr, flush=True))
    print(json.dumps([asdict(row) for row in rows], indent=1) if options.json else table(rows))
    return int(any(row.wrong for row in rows))


if __name__ == "__main__":
    sys.exit(main())
