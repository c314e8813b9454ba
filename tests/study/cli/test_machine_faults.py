"""Full disks, folders that can only be read, limits, closed pipes: a sentence, an exit code, and nothing lost."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import inline
import pytest
import tiny
from commands import ROOT, command

from study.plan.graph import Plan
from study.store import Store

VARIANTS = {name: tiny.EVERY[name] for name in ("proposed", "mean")}
Said = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Store]:
    plan, store = tiny.planned(tmp_path_factory.mktemp("whole"), VARIANTS)
    return plan, tiny.recorded(plan, store)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A function that gives a disk of its own these options of mount, such as ``size=1m``."""
    place = tmp_path / "disk"
    place.mkdir()

    def mounted(options: str) -> Path:
        again = "remount," if os.path.ismount(place) else ""
        line = ["mount", "-t", "tmpfs", "-o", again + options, "tmpfs", str(place)]
        if not shutil.which("mount") or subprocess.run(line, capture_output=True, check=False).returncode:
            pytest.skip("this user may not mount a disk in memory")
        return place

    yield mounted
    if os.path.ismount(place):
        subprocess.run(["umount", "-l", str(place)], check=True)


@contextmanager
def limited(kind: int, most: int) -> Iterator[None]:
    """The block under another limit of the system, for this process."""
    before = resource.getrlimit(kind)
    resource.setrlimit(kind, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, before)


def refused(done: Said, *words: str) -> None:
    """Asserts that a command said what was wrong, and ended with an exit code that says so."""
    said = done.stdout + done.stderr
    assert done.returncode in (1, 2, 3), said
    assert "Traceback" not in said and "Error" not in said and "a file: " not in said, said
    assert any(word in said for word in words), said


def goes_on(file: Path, out: Path, whole: tuple[Plan, Store]) -> None:
    """Asserts that the same command then ends as if nothing had happened."""
    done = inline.run(file, out)
    assert done.returncode == 0 and "2 of 2 runs completed" in done.stdout, done
    plan, store = whole
    assert all(tiny.published(Store(out), key) == tiny.published(store, key) for key in plan.stages)


@pytest.mark.parametrize("kib", [32, 100, 300, 600])
def test_a_full_disk_loses_nothing(
    disk: Callable[[str], Path], tmp_path: Path, whole: tuple[Plan, Store], kib: int
) -> None:
    file, out = tiny.write(tmp_path, VARIANTS), disk(f"size={kib}k") / "out"
    refused(inline.run(file, out), "No space left on device; free some space there")
    disk("size=64m")
    goes_on(file, out, whole)


@pytest.mark.parametrize("kib", [4, 16, 64])
def test_a_limit_on_the_size_of_files_loses_nothing(tmp_path: Path, whole: tuple[Plan, Store], kib: int) -> None:
    file, out = tiny.write(tmp_path, VARIANTS), tmp_path / "out"
    with limited(resource.RLIMIT_FSIZE, 1024 * kib):
        refused(inline.run(file, out), "File too large; the system limits the size of files: see ulimit -f")
    goes_on(file, out, whole)


@pytest.mark.parametrize("free", [1, 3])
def test_too_many_open_files_lose_nothing(tmp_path: Path, whole: tuple[Plan, Store], free: int) -> None:
    file, out = tiny.write(tmp_path, VARIANTS), tmp_path / "out"
    last = max(int(entry.name) for entry in Path("/proc/self/fd").iterdir())
    with limited(resource.RLIMIT_NOFILE, last + 20):
        taken = []
        with pytest.raises(OSError, match="Too many open files"):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        try:
            for handle in taken[:free]:
                os.close(handle)
            refused(inline.run(file, out), "Too many open files; allow more open files: ulimit -n")
        finally:
            for handle in taken[free:]:
                os.close(handle)
    goes_on(file, out, whole)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        *((("status", "OUT", "--runs"), 0), (("claims", "OUT"), 0), (("diff", "OUT", "OUT"), 0), (("gc", "OUT"), 0)),
        *((("report", "OUT"), 2), (("run", "FILE", "--out", "OUT"), 2), (("work", "OUT"), 2), (("stop", "OUT"), 2)),
        *((("merge", "OUT", "WHOLE"), 2), (("export", "proposed", "OUT/model", "--out", "OUT"), 2)),
    ],
    ids=lambda words: words[0] if isinstance(words, tuple) else "",
)
def test_a_folder_that_can_only_be_read_is_read(
    disk: Callable[[str], Path], tmp_path: Path, whole: tuple[Plan, Store], words: tuple[str, ...], code: int
) -> None:
    out = disk("size=64m") / "out"
    shutil.copytree(whole[1].out, out)
    disk("ro")
    places = {"FILE": str(tiny.write(tmp_path, VARIANTS)), "WHOLE": str(whole[1].out), "OUT": str(out)}
    done = command(*(re.sub("FILE|WHOLE|OUT", lambda found: places[found[0]], word) for word in words))
    assert done.returncode == code, done
    if code:
        refused(done, "Read-only file system; choose a folder that can be written to")


def test_a_run_that_has_no_memory_has_failed(tmp_path: Path) -> None:
    own = "def fill(images, masks):\n    raise MemoryError\nFILLERS = {'own': fill}\n"
    own += "from models.method import Filler\nclass Own(Filler):\n    filler = 'own'\nMETHODS = {'own': Own}\n"
    (tmp_path / "own.py").write_text(own)
    file = tiny.write(tmp_path, {"own": {"method": "own"}}, plugins=["own.py"])
    refused(inline.run(file, tmp_path / "out"), "failed: own/faces/0: there is not enough memory; use fewer workers")


@pytest.mark.parametrize("words", [["docs", "plugins"], ["status", "OUT", "--runs"]], ids=lambda words: words[0])
def test_a_pipe_that_closes_ends_a_command_with_a_word_to_nobody(whole: tuple[Plan, Store], words: list[str]) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    line = [sys.executable, "-m", "study", *(word.replace("OUT", str(whole[1].out)) for word in words)]
    done = subprocess.run(line, cwd=ROOT, stdout=writes, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writes)
    assert done.returncode == 141 and done.stderr == "", done
