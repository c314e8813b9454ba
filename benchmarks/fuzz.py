"""Feeds damaged and invented input to what reads input: study files, ``--set``, lists, masks, outputs, checkpoints.

``python -m benchmarks.fuzz [--inputs 100000] [--seed 0] [--only KIND] [--json]``

It is a command of its own, because it counts faults and measures no speed. Each input is a function of the seed, its
kind and its number, so a fault is found again. An input must be taken, or refused with a sentence. A traceback is any
other exception; a hang, an input that takes longer than ``LIMIT_S``.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.training import CPU, ROOT, Quiet
from study.config import load
from study.data import splits
from study.data.files.masks import read_hole
from study.data.files.tree import opened
from study.errors import Interrupted, StudyError
from study.plan.graph import Plan
from study.plan.planner import make_plan
from study.running.make import make
from study.running.runs import make_run
from study.store import CHECKSUM, Store
from study.training.checkpoint import Watch, read_checkpoint

LIMIT_S = 60.0  # by the clock: a machine at work may need a while
INPUTS = 100_000
SHOWN = 10
"""Faults that are printed."""

SMALL: dict[str, Any] = {
    "study": "small",
    "seeds": [0, 1],
    "image_size": 32,
    "data": {"faces": {"kind": "faces", "seed": 1, "train": 12, "validation": 2, "test": 4}},
    "defaults": {"batch": 2, "steps": {"pretrain": 2, "critic": 2, "joint": 2}, "width": 0.0625, "log_every": 1},
    "recipes": {
        "wgan": {"kind": "wgan", "clip": 0.01, "critic_steps": 1, "norm": "none"}
        | {"optimizer": {"kind": "rmsprop", "lr": 5.0e-5}}
    },
    "variants": {
        "proposed": {"method": "proposed", "multiscale": 1, "loss": "wgan"},
        "single": {"extends": "proposed", "method": "single"},
        "mean": {"method": "mean"},
    },
    "ablations": {"scales": {"reference": "proposed", "factors": {"multiscale": [0, 1]}}},
    "profiles": {"big": {"image_size": 64, "seeds": [0, 1, 2]}},
    "protocol": {"pictures": 2, "mask": {"kind": "center"}},
}
VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 1, 2, 7, 2**31, 2**64, 10**400, 0.5, -0.0, 1e-320, 1e308, float("inf"), float("nan")),
    *("", " ", "0", "no", "1e3", "center", "wgan", "proposed", "faces", "../x", "/dev/zero", "[/data]"),
    *("\x00", "\ud800", "é" * 300, "x" * 5000),
    *([], {}, [[]], {"": {}}, [1, "a", None], {"kind": "wgan"}, {"kind": None}, list(range(300))),
)
WORDS = (
    *("{", "}", "[", "]", ":", ": ", ",", "- ", "\n", "\n  ", "\t", "#", "&a ", "*a", "<<: ", "!!python/object ", "? "),
    *("|\n", ">\n", "'", '"', "null", "~", "yes", ".inf", ".nan", "0x1f", "1_000", "2020-01-01", "%", "@", "---\n"),
    *("...\n", "\x00", "\ufeff", "\u2028", "\U0001f600", "\x85", "9" * 5000, "[" * 3000, "{a: " * 400),
)
REFUSED: tuple[type[Exception], ...] = (StudyError,)

Input = Callable[[random.Random, Path], None]
"""Makes one input in an empty folder and gives it to its reader."""


class Hang(BaseException):
    """An input took too long. No reader catches it."""


@dataclass
class Found:
    """What came of the inputs of a kind."""

    kind: str
    inputs: int = 0
    taken: int = 0
    refused: int = 0
    tracebacks: int = 0
    hangs: int = 0
    slowest_s: float = 0.0  # of processor time
    memory_mib: float = 0.0
    faults: list[str] = field(default_factory=list)


def damaged_text(rng: random.Random, text: str) -> str:
    """A text with a few edits: characters and words put in, lines lost, doubled and exchanged, the end cut off."""
    for _ in range(rng.choice((1, 1, 2, 4, 12))):
        at, lines = rng.randrange(len(text) + 1), text.splitlines(keepends=True) or [""]
        line, other = rng.randrange(len(lines)), rng.randrange(len(lines))
        edit = rng.randrange(7)
        if edit == 0:
            text = text[:at] + rng.choice(WORDS) + text[at:]
        elif edit == 1:
            text = text[:at] + chr(rng.randrange(1, 0x250)) + text[at + 1 :]
        elif edit == 2:
            text = text[:at] + text[at + rng.randrange(1, 20) :]
        elif edit == 3:
            lines[line] = ""
        elif edit == 4:
            lines[line] *= rng.choice((2, 2, 50))
        elif edit == 5:
            lines[line], lines[other] = lines[other], lines[line]
        elif rng.random() < 0.2:
            text = text[:at]
        text = "".join(lines) if edit in (3, 4, 5) else text
    return text


def damaged_bytes(rng: random.Random, content: bytes) -> bytes:
    """A file with a few edits: bits turned, bytes exchanged, parts lost, doubled or put in, the end cut off."""
    found = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 12))):
        at, size = rng.randrange(len(found) + 1), rng.choice((1, 1, 2, 4, 8, 100))
        edit = rng.randrange(7)
        if edit == 0 and at < len(found):
            found[at] ^= 1 << rng.randrange(8)
        elif edit == 1:
            found[at : at + size] = rng.randbytes(size)
        elif edit == 2:
            del found[at : at + size]
        elif edit == 3:
            found[at:at] = found[at : at + size]
        elif edit == 4:
            found[at : at + size] = rng.choice((b"\xff", b"\x00", b"\x7f")) * size
        elif edit == 5:
            found[: rng.randrange(64)] = b""
        elif rng.random() < 0.2:
            del found[at:]
    return bytes(found)


def damaged_value(rng: random.Random, value: Any) -> Any:
    """A value with one part replaced, lost, doubled, wrapped or renamed, at any depth."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        if (edit := rng.random()) < 0.08:
            return {name: entry for name, entry in value.items() if name != key}
        if edit < 0.14:
            return {(rng.choice(("", "x", "kind", key * 3)) if name == key else name): v for name, v in value.items()}
        return {**value, key: damaged_value(rng, value[key])}
    if isinstance(value, list) and value and rng.random() < 0.85:
        at = rng.randrange(len(value))
        if (edit := rng.random()) < 0.1:
            return value[:at] + value[at + 1 :]
        if edit < 0.2:
            return value + [value[at]] * rng.choice((1, 1, 100))
        return [*value[:at], damaged_value(rng, value[at]), *value[at + 1 :]]
    if (edit := rng.random()) < 0.1:
        return [value]
    if edit < 0.15:
        return nested(rng.choice((40, 400, 3000)))
    if edit < 0.3 and isinstance(value, int | float):
        return value * rng.choice((-1, 0, 1000, 0.5))
    return rng.choice(VALUES)


def nested(depth: int) -> Any:
    """A list in a list, so many times."""
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


def written(value: Any) -> str:
    """A value as JSON, however deep."""
    try:
        return json.dumps(value, indent=1)
    except RecursionError:
        return "[" * 100_000


def study_files(out: Path) -> Input:
    """The study files that come with this project and a small one, as text and as values."""
    texts = [(ROOT / "docs" / "studies" / "photographs.yaml").read_text(), json.dumps(SMALL, indent=1)]
    texts += [texts[1]] * 6  # the small one is read fastest

    def one(rng: random.Random, folder: Path) -> None:
        text = written(damaged_value(rng, SMALL)) if rng.random() < 0.5 else damaged_text(rng, rng.choice(texts))
        file = folder / "study.yaml"
        file.write_bytes(text.encode("utf-8", "surrogatepass"))
        load(file, profile=rng.choice((None, None, None, "big")))

    return one


def settings(out: Path) -> Input:
    """``--set``: every path of a small study, and others, with any value."""
    file = out.parent / "settings.yaml"
    file.write_text(json.dumps(SMALL))
    paths = list(_paths(SMALL))

    def one(rng: random.Random, folder: Path) -> None:
        path = ".".join(rng.choice(paths)) if rng.random() < 0.7 else damaged_text(rng, ".".join(rng.choice(paths)))
        value = rng.choice(VALUES) if rng.random() < 0.6 else damaged_value(rng, {"kind": "wgan", "a": [1, {"b": 2}]})
        text = written(value) if rng.random() < 0.6 else damaged_text(rng, written(value)[:200])
        load(file, settings=[f"{path}={text}"])

    return one


def _paths(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, entry in value.items() if isinstance(value, dict) else ():
        yield (*path, key)
        yield from _paths(entry, (*path, key))


def lists(out: Path) -> Input:
    """Split lists and files of groups, of a folder with 30 images in two folders."""
    root = out.parent / "images"
    names = [f"{'ab'[number % 2]}/{number}{'.png' if number % 3 else '.JPG'}" for number in range(30)]
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    source = opened(str(root))
    listed = "# list\n" + "".join(f"{name}\n" for name in names[:20])
    grouped = "image,group\n" + "".join(f"{name},g{number % 7}\n" for number, name in enumerate(names))

    def one(rng: random.Random, folder: Path) -> None:
        groups = rng.random() < 0.4
        text = damaged_text(rng, grouped if groups else listed)
        content = text.encode(rng.choice(("utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1")), "replace")
        content = damaged_bytes(rng, content) if rng.random() < 0.3 else content
        if groups:
            splits.grouped(content, "groups.csv", source)
        else:
            (folder / "list.txt").write_bytes(content)
            splits.listed(folder / "list.txt", "list.txt", source)

    return one


def masks(out: Path) -> Input:
    """Mask files in eight formats and several modes."""
    hole = np.zeros((24, 32), np.uint8)
    hole[6:15, 8:20] = 255
    files = []
    for suffix in ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "PPM", "JPEG2000"):
        for mode in ("L", "RGB", "1", "P", "RGBA", "I;16", "CMYK"):
            content = io.BytesIO()
            try:
                Image.fromarray(hole).convert(mode).save(content, suffix)
            except (OSError, ValueError):  # a format without this mode
                continue
            files.append(content.getvalue())

    def one(rng: random.Random, folder: Path) -> None:
        content = damaged_bytes(rng, rng.choice(files))
        size = rng.choice(((32, 24), (24, 32), (64, 48)))
        resize = rng.choice((None, "nearest"))
        read_hole(content, rng.choice(("white", "black")), size, resize=resize, orientation=rng.randrange(1, 9))

    return one


def outputs(out: Path) -> Input:
    """The JSON files of a finished output, one of them damaged, for each command that reads them."""
    from reports.analysis.claims import claims_table
    from study.external.join import hand_out
    from study.results.diff import diff
    from study.results.frames import load as frames
    from study.results.status import status
    from study.running import driver
    from study.running.states import settle_all
    from study.use.finished import Finished

    plan, store = Plan.of(out), Store(out)
    readers: list[Callable[[], object]] = [
        lambda: status(out),
        lambda: claims_table(frames(out)),
        lambda: diff(out, out),
        lambda: Finished(out, "mean"),
        lambda: (driver.check(plan, store), driver.tasks(plan, store)),
        lambda: settle_all(out),
        lambda: hand_out(out, out.parent / "handed out", None),
    ]
    files = {file: file.read_bytes() for file in sorted(out.rglob("*.json"))}
    folders = sorted(out.rglob("*"))

    def one(rng: random.Random, folder: Path) -> None:
        file = rng.choice(list(files))
        content = files[file]
        if rng.random() < 0.7:
            try:
                value = json.loads(content)
                if rng.random() < 0.9 and isinstance(value, dict):
                    value.pop(CHECKSUM, None)  # as in the outputs of older versions: only its shape is checked
                new = written(damaged_value(rng, value)).encode("utf-8", "surrogatepass")
            except ValueError:
                new = b"1" * 5000
        else:
            new = (
                damaged_bytes(rng, content) if rng.random() < 0.7 else rng.choice((b"[" * 100_000, b"", b"NaN", b"[]"))
            )
        file.write_bytes(new)
        try:
            for reader in rng.sample(readers, 2):
                try:
                    reader()
                except REFUSED:
                    if reader is readers[-1]:
                        continue
                    raise
        finally:
            _restored(out, files, folders)

    return one


def _restored(out: Path, files: dict[Path, bytes], folders: Sequence[Path]) -> None:
    """Puts an output back as it was."""
    shutil.rmtree(out.parent / "handed out", ignore_errors=True)
    for place in sorted((out / "damaged").glob("*")):
        target = out / "stages" / place.name
        if not target.exists():
            place.rename(target)
    shutil.rmtree(out / "damaged", ignore_errors=True)
    for file, content in files.items():
        if not file.is_file() or file.read_bytes() != content:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)


def saved(out: Path) -> Input:
    """A checkpoint, with damage anywhere, and with another header over the same tensors."""
    content = (out.parent / "checkpoint.safetensors").read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    key = json.loads(header["__metadata__"]["facts"])["key"]

    def one(rng: random.Random, folder: Path) -> None:
        if rng.random() < 0.4:
            text = written(damaged_value(rng, header)).encode("utf-8", "surrogatepass")
            new = len(text).to_bytes(8, "little") + text + content[8 + length :]
        elif rng.random() < 0.3:
            new = damaged_bytes(rng, content[: 8 + length]) + content[8 + length :]
        else:
            new = damaged_bytes(rng, content)
        file = folder / "checkpoint.safetensors"
        file.write_bytes(new)
        read_checkpoint(file, key)

    return one


@dataclass(frozen=True)
class Kind:
    """A kind of input. ``share``: of all inputs. ``refused``: the errors with which it may be refused."""

    title: str
    share: float
    made: Callable[[Path], Input]
    refused: tuple[type[Exception], ...] = REFUSED


KINDS = {
    "study": Kind("study files", 0.22, study_files),
    "set": Kind("--set", 0.2, settings),
    "lists": Kind("split lists and groups", 0.23, lists, (ValueError,)),
    "masks": Kind("mask files", 0.2, masks, (ValueError,)),
    "outputs": Kind("JSON of an output", 0.03, outputs),
    "checkpoints": Kind("checkpoints", 0.12, saved),
}


class _Stops(Quiet):
    """Asks a stage to stop at once, so that it leaves a checkpoint."""

    stopping = True


def finished(folder: Path) -> Path:
    """Makes a small study in ``folder/out``, and keeps the checkpoint of a stage beside it. Returns the output."""
    file, out = folder / "small.yaml", folder / "out"
    file.write_text(json.dumps(SMALL | {"seeds": [0], "ablations": {}}))
    plan, store = make_plan(load(file, only=["proposed", "mean"])), Store(out)
    plan.save(out)
    own = {key for run in plan.runs for key in plan.own(run)}
    kept = False
    for group in [[key] for key, stage in plan.stages.items() if stage.kind != "critic"] + plan.passes():
        if not own.intersection(group):
            if not kept and plan.stages[group[0]].kind == "pretrain":
                _checkpoint(group[0], plan, store, folder)
                kept = True
            make(group, plan, store, Quiet(), CPU)
    for run in plan.runs:
        make_run(run, plan, store, Quiet(), CPU)
    return out


def _checkpoint(key: str, plan: Plan, store: Store, folder: Path) -> None:
    """Keeps the checkpoint of a stage that is stopped."""
    watch: Watch = _Stops()
    try:
        make([key], plan, store, watch, CPU)
    except Interrupted:
        (folder / "checkpoint.safetensors").write_bytes(store.checkpoint(key).read_bytes())


def _hang(number: int, frame: FrameType | None) -> None:
    raise Hang


def fuzz(name: str, inputs: int, seed: int, out: Path) -> Found:
    """Feeds so many inputs of a kind to its reader."""
    kind, found, seen = KINDS[name], Found(KINDS[name].title), Counter[str]()
    one = kind.made(out)
    before = signal.signal(signal.SIGALRM, _hang)
    try:
        with tempfile.TemporaryDirectory() as place:
            for number in range(inputs):
                began = time.process_time()
                signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
                try:
                    one(random.Random(f"{seed} {name} {number}"), Path(place))
                    found.taken += 1
                except Hang as error:
                    found.hangs += 1
                    _fault(found, seen, number, error)
                except Exception as error:
                    signal.setitimer(signal.ITIMER_REAL, 0)
                    if isinstance(error, kind.refused) and str(error).strip():
                        found.refused += 1
                    else:
                        found.tracebacks += 1
                        _fault(found, seen, number, error)
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
                found.inputs += 1
                found.slowest_s = max(found.slowest_s, round(time.process_time() - began, 3))
    finally:
        signal.signal(signal.SIGALRM, before)
    found.memory_mib = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return found


def _fault(found: Found, seen: Counter[str], number: int, error: BaseException) -> None:
    """Notes a fault once for each place in the code."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if frame.filename.startswith(str(ROOT)) and "fuzz.py" not in frame.filename]
    last = ours[-1] if ours else frames[-1]
    place = f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"
    seen[place] += 1
    if seen[place] == 1:
        found.faults.append(f"{place}, input {number}: {' '.join(str(error).split())[:150]!r}")


def table(rows: Sequence[Found]) -> str:
    """The table of ``docs/reliability.md``."""
    lines = ["| input | inputs | taken | refused in a sentence | tracebacks | hangs | slowest, s | memory, MiB |"]
    lines.append("|---|--:|--:|--:|--:|--:|--:|--:|")
    for row in rows:
        counts = f"{row.inputs:,} | {row.taken:,} | {row.refused:,} | {row.tracebacks} | {row.hangs}"
        lines.append(f"| {row.kind} | {counts} | {row.slowest_s:.2f} | {row.memory_mib:,.0f} |")
    return "\n".join(lines)


def run(inputs: int, seed: int, only: Sequence[str] = (), say: Callable[[str], object] = print) -> list[Found]:
    """Fuzzes all kinds, or those named, with so many inputs in all."""
    names = list(only or KINDS)
    whole = sum(KINDS[name].share for name in names)
    torch.set_num_threads(1)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        out = finished(Path(folder))
        for name in names:
            rows.append(fuzz(name, max(1, round(inputs * KINDS[name].share / whole)), seed, out))
            for fault in rows[-1].faults[:SHOWN]:
                say(f"{rows[-1].kind}: {fault}")
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzzes, and prints a table or JSON. Returns the exit code: 0, or 1 if there was a traceback or a hang."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=str(__doc__).partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=INPUTS, help="how many, of all kinds together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", choices=KINDS, help="a kind; may be repeated")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    rows = run(options.inputs, options.seed, options.only or (), lambda text: print(text, file=sys.stderr, flush=True))
    print(json.dumps([asdict(row) for row in rows], indent=1) if options.json else table(rows))
    return int(any(row.tracebacks or row.hangs for row in rows))


if __name__ == "__main__":
    sys.exit(main())
