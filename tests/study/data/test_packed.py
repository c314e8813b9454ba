"""Packing: what is written, what an old folder lacks, and that neither a kill nor a power cut changes a byte."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import layouts
import numpy as np
import pytest

from study.data import Faces, Folder, Packed, packed
from study.data.packed import PARTS, LeftOut, Picture
from study.errors import Interrupted, StudyError
from study.processes import processors

ROOT = Path(__file__).parents[3]
NAMES = {"train": ["a", "b", "c", "d"], "validation": ["e"], "test": ["f", "g"]}


def read(name: str) -> Picture | LeftOut:
    """Every image is its letter; 'b' and 'g' cannot be used."""
    if name in ("b", "g"):
        return LeftOut(name, "it is damaged")
    return Picture(name, np.full((4, 4, 3), ord(name), np.uint8), (ord(name), 200))


def test_the_facts_are_of_what_is_packed(tmp_path: Path) -> None:
    packed.write(
        tmp_path,
        4,
        NAMES,
        read,
        layouts.silent,
        groups={"a": "x", "b": "y", "c": "x", "f": "x"},
        left_out=[LeftOut("link", "it is a link to nothing")],
        notes=["something"],
    )
    found = Packed(tmp_path)
    assert [found.names(part) for part in PARTS] == [["a", "c", "d"], ["e"], ["f"]]
    assert [found.groups(part) for part in PARTS] == [["x", "x", "d"], ["e"], ["x"]]
    assert [found.part(part)[:, 0, 0, 0].tolist() for part in PARTS] == [[97, 99, 100], [101], [102]]
    assert [entry.name for entry in found.left_out] == ["link", "b", "g"] and found.notes == ["something"]
    assert found.mean == pytest.approx([(97 + 99 + 100) / 3 / 255] * 3)
    assert found.short_sides == {97: 1, 99: 1, 100: 1, 101: 1, 102: 1} and found.enlarged == 0
    data = json.loads((tmp_path / "data.json").read_text())
    assert "enlarged" in data and data["groups"] == ["x", "x", "d", "e", "x"]


def test_smaller_images_are_counted_as_enlarged(tmp_path: Path) -> None:
    root = layouts.as_folder(tmp_path / "photos", {f"{i}.png": layouts.image(i, (10 + i, 12 + i)) for i in range(10)})
    found = layouts.packed(Folder(root=str(root)), tmp_path / "packed", size=14)
    assert found.enlarged == 4 and min(found.short_sides) == 10  # 10 to 13 px


def test_a_folder_that_was_packed_before_all_this_still_opens(tmp_path: Path) -> None:
    packed.write(tmp_path, 4, NAMES, read, layouts.silent)
    data = json.loads((tmp_path / "data.json").read_text())
    for key in ("groups", "notes", "short_sides", "enlarged"):
        data.pop(key, None)
    (tmp_path / "data.json").write_text(json.dumps(data))
    for part in PARTS:
        (tmp_path / f"{part}.txt").unlink()
    found = Packed(tmp_path)
    assert found.groups("train") is None and found.enlarged is None and found.short_sides == {} and found.notes == []
    assert found.names("test") == ["f"]


def test_the_written_splits_are_split_files(tmp_path: Path) -> None:
    names = ["#1.jpg", " 2.jpg", *(f"{i}.jpg" for i in range(3, 20))]
    root = layouts.as_folder(tmp_path / "photos", layouts.images(names))
    first = layouts.packed(Folder(root=str(root)), tmp_path / "first")
    files = {part: str(tmp_path / "first" / f"{part}.txt") for part in PARTS}
    again = layouts.packed(Folder(root=str(root), **files), tmp_path / "again")  # type: ignore[arg-type]
    for part in PARTS:
        assert {name.removeprefix("./") for name in again.names(part)} == set(first.names(part))


def test_a_name_with_a_line_break_is_left_out(tmp_path: Path) -> None:
    root = layouts.as_folder(tmp_path / "photos", layouts.images(["a\nb.jpg", *(f"{i}.jpg" for i in range(9))]))
    (entry,) = layouts.packed(Folder(root=str(root)), tmp_path / "packed").left_out
    assert entry == ("a\\nb.jpg", "its name has a line break")


def stopped_after(count: int, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A packing that is interrupted after so many images."""
    monkeypatch.setattr(packed, "REPORT_EVERY", 1)

    def stop(done: int, total: int) -> None:
        if done == count:
            raise Interrupted

    with pytest.raises(Interrupted):
        packed.write(place, 4, NAMES, read, stop)


def test_a_note_of_other_images_is_not_gone_on_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped_after(3, tmp_path, monkeypatch)
    assert len(json.loads((tmp_path / packed.NOTE).read_text())["seen"]) == 3
    other = {**NAMES, "test": ["h"]}
    packed.write(tmp_path, 4, other, read, layouts.silent)
    assert Packed(tmp_path).names("test") == ["h"] and Packed(tmp_path).part("train")[0, 0, 0, 0] == 97


def test_a_note_that_promises_more_than_there_is_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped_after(4, tmp_path, monkeypatch)
    (tmp_path / "images.npy").write_bytes(b"")
    packed.write(tmp_path, 4, NAMES, read, layouts.silent)
    assert Packed(tmp_path).part("train")[:, 0, 0, 0].tolist() == [97, 99, 100]


def test_an_image_that_fails_the_disk_leaves_a_note(tmp_path: Path) -> None:
    def failing(name: str) -> Picture | LeftOut:
        if name == "d":
            raise OSError(5, "Input/output error")
        return read(name)

    for threads in (1, 4):
        with pytest.raises(OSError, match="Input/output error"):
            packed.write(tmp_path, 4, NAMES, failing, layouts.silent, threads=threads)
        assert len(json.loads((tmp_path / packed.NOTE).read_text())["seen"]) == 3


def test_few_images_are_read_ahead(tmp_path: Path) -> None:
    begun: list[str] = []
    written: list[int] = []

    def slow(name: str) -> Picture | LeftOut:
        begun.append(name)
        return Picture(name, np.zeros((4, 4, 3), np.uint8))

    def report(done: int, total: int) -> None:
        written.append(len(begun) - done)

    names = {"train": [f"{i}" for i in range(400)], "validation": ["v"], "test": ["t"]}
    packed.write(tmp_path, 4, names, slow, report, threads=3)
    assert max(written) <= 3 * packed.AHEAD + 1


PEOPLE = Faces(train=60, validation=2, test=3)


def with_helpers(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Even a small set is drawn by ``count`` processes."""
    monkeypatch.setattr(packed, "WORTH_A_PROCESS", 1)
    monkeypatch.setattr("study.data.portraits.faces.processors", lambda: count)


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["an interrupt", "a killed helper"])
def test_processes_change_no_byte_and_what_stops_them_neither(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layouts.packed(PEOPLE, tmp_path / "alone", 16)
    with_helpers(monkeypatch, 2)
    place = tmp_path / "helped"
    place.mkdir()

    def stop(done: int, total: int) -> None:
        if done and fault == "an interrupt":
            raise Interrupted
        for helper in multiprocessing.active_children():
            helper.kill()

    with pytest.raises((Interrupted, StudyError)) as raised:
        PEOPLE.pack(16, place, stop)
    if fault == "a killed helper":
        assert str(raised.value).endswith("was killed; run the same command again")
    assert not multiprocessing.active_children()
    assert (place / packed.NOTE).exists()
    with_helpers(monkeypatch, 1)
    PEOPLE.pack(16, place, layouts.silent)
    assert content(place) == content(tmp_path / "alone")


def test_a_small_set_starts_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("study.data.portraits.faces.processors", lambda: 64)
    monkeypatch.setattr(packed, "ProcessPoolExecutor", None)
    assert len(layouts.packed(PEOPLE, tmp_path, 16).part("train")) == 60


def test_only_processors_of_the_cpuset_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 5, 6}, raising=False)
    assert processors() == 3


ORPHANED = """
import multiprocessing, sys
from pathlib import Path
from study.data import Faces, packed
from study.data.portraits import faces

packed.WORTH_A_PROCESS = 1
faces.processors = lambda: 2


def report(done, total):
    print(*(helper.pid for helper in multiprocessing.active_children()), flush=True)
    sys.stdin.readline()


Faces(train=2000).pack(16, Path(sys.argv[1]), report)
"""


@pytest.mark.slow
def test_helpers_end_with_a_packing_that_is_killed(tmp_path: Path) -> None:
    command, pipe = [sys.executable, "-c", ORPHANED, str(tmp_path)], subprocess.PIPE
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        helpers = [int(each) for each in process.stdout.readline().split()]
        assert len(helpers) == 2 and all(map(alive, helpers))
        until(lambda: all(map(deaf, helpers)), "a helper listens to signals")
        process.kill()
    until(lambda: not any(map(alive, helpers)), "a helper outlives the packing")


def until(condition: Callable[[], bool], fault: str) -> None:
    """Waits for a condition, a minute at most."""
    ends = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < ends, fault
        time.sleep(0.05)


def deaf(process: int) -> bool:
    """Whether a process ignores Ctrl-C, which reaches the whole group, and SIGTERM. It does so once it has started."""
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
    return all(int(status["SigIgn"], 16) >> (number - 1) & 1 for number in (signal.SIGINT, signal.SIGTERM))


def alive(process: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        return " Z " not in Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False


KILLED = """
import sys
from pathlib import Path
from study.data import Folder, packed

packed.NOTE_EVERY_S = 0.0  # as if each image took so long


def report(done, total):
    print(done, flush=True)
    sys.stdin.readline()  # the test says when to go on


Folder(root=sys.argv[1]).pack(16, Path(sys.argv[2]), report)
"""


@pytest.mark.parametrize("after", [1, 3])
def test_a_killed_packing_goes_on_and_ends_with_the_same_bytes(after: int, tmp_path: Path) -> None:
    root = layouts.as_folder(tmp_path / "photos", layouts.images([f"{i:03}.jpg" for i in range(300)]))
    (root / "007.jpg").write_bytes(b"damaged")
    layouts.packed(Folder(root=str(root)), tmp_path / "whole")
    place = tmp_path / "killed"
    place.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", KILLED, str(root), str(place)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        for _ in range(after):
            process.stdout.readline()
            process.stdin.write("\n")
            process.stdin.flush()
        process.stdout.readline()
        process.kill()
    done = len(json.loads((place / packed.NOTE).read_text())["seen"])
    assert 0 < done < 300
    told: list[int] = []
    Folder(root=str(root)).pack(16, place, lambda count, total: told.append(count))
    assert min(told) >= done
    for file in (tmp_path / "whole").iterdir():
        assert (place / file.name).read_bytes() == file.read_bytes()
    assert {file.name for file in place.iterdir()} == {file.name for file in (tmp_path / "whole").iterdir()}


def test_a_note_that_a_kill_left_half_written_is_removed(tmp_path: Path) -> None:
    (tmp_path / f".{packed.NOTE}.1.1").write_text('{"plan": ')
    packed.write(tmp_path, 4, NAMES, read, layouts.silent)
    assert not list(tmp_path.glob("*packing*"))


def test_an_interrupt_at_any_line_changes_no_byte(tmp_path: Path) -> None:
    """Ctrl-C comes anywhere: at each line of the packing in turn, and the next one goes on."""
    (tmp_path / "whole").mkdir()
    packed.write(tmp_path / "whole", 4, NAMES, read, layouts.silent)
    whole = {file.name: file.read_bytes() for file in (tmp_path / "whole").iterdir()}
    line = 0
    while True:
        line += 3
        place = tmp_path / f"{line}"
        place.mkdir()
        try:
            with interrupted_at(line):
                packed.write(place, 4, NAMES, read, layouts.silent)
            break  # there are no more lines
        except KeyboardInterrupt:
            packed.write(place, 4, NAMES, read, layouts.silent)
        assert {file.name: file.read_bytes() for file in place.iterdir()} == whole, f"after line {line}"
    assert line > 100


@contextmanager
def interrupted_at(line: int) -> Iterator[None]:
    """Raises KeyboardInterrupt as this many lines of the packing have run."""
    left = [line]

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        if frame.f_code.co_filename != packed.__file__:
            return None
        if event == "line":
            left[0] -= 1
            if not left[0]:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)
