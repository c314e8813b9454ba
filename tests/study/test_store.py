"""The store: a stage is there whole or not at all, whatever is killed when, and a damaged one is noticed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from study import leases
from study.leases import Lease
from study.store import MANIFEST, Damaged, RunState, Store, file_digest, read_json, write_atomically, write_json

ROOT = Path(__file__).parents[2]
KEY = "joint-0123456789abcdef"
FILES = {"generator.safetensors": bytes(range(256)) * 8, "series.json": b'{"step": [1]}', "parts/a.bin": b"", "b": b"x"}
OUTCOME = {"status": "finished", "step": 8}
NAMES = st.from_regex(r"[a-z]{1,4}(/[a-z]{1,4})?", fullmatch=True)
CONTENTS = st.dictionaries(NAMES, st.binary(max_size=40), min_size=1, max_size=4).filter(
    lambda files: not any(f"{name}/" in other for name in files for other in files)
)
QUICK = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def make(store: Store, files: Mapping[str, bytes] = FILES, pid: int = 1) -> None:
    """Makes and publishes a stage, as ``study.running.make`` does: nothing where it is there."""
    if store.has(KEY):
        return
    place = store.files(KEY)
    (place.parent / "checkpoint.safetensors").write_bytes(b"state")
    for name, content in files.items():
        write_atomically(place / name, content)
    store.publish(KEY, OUTCOME, {"seconds": 1.5, "key": KEY, "pid": pid})


def content(store: Store) -> dict[str, bytes]:
    """The files of the published stage, but for its manifest."""
    folder = store.folder(KEY)
    files = {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    del files[MANIFEST]
    return files


class Killed(BaseException):
    """Stands for kill -9: nothing that touches a file happens any more."""


class Killer:
    """Ends everything at the n-th operation on files below a folder, and at each one after it."""

    def __init__(self) -> None:
        self.folder, self.left, self.count = "", -1, 0
        sys.addaudithook(self.heard)

    def heard(self, event: str, args: tuple[object, ...]) -> None:
        watched = ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree")
        if self.folder and event in watched and (event != "open" or self.writes(args)):
            self.step()

    def writes(self, args: tuple[object, ...]) -> bool:
        path, _, flags = args
        return (
            isinstance(path, str) and path.startswith(self.folder) and bool(int(str(flags)) & (os.O_WRONLY | os.O_RDWR))
        )

    def step(self) -> None:
        self.count += 1
        if self.left == 0:
            raise Killed
        self.left -= 1

    @contextmanager
    def after(self, operations: int, folder: Path) -> Iterator[None]:
        """Kills what stands in it after so many operations; never with -1."""
        self.folder, self.left, self.count = str(folder), operations, 0
        try:
            yield
        except Killed:
            pass
        finally:
            self.folder = ""


KILLER = Killer()


@pytest.fixture
def killer(monkeypatch: pytest.MonkeyPatch) -> Killer:
    """The killer, which also stops before a flush to the disk."""
    flush = os.fsync

    def fsync(number: int) -> None:
        if KILLER.folder:
            KILLER.step()
        flush(number)

    monkeypatch.setattr(os, "fsync", fsync)
    return KILLER


def as_process(monkeypatch: pytest.MonkeyPatch, pid: int) -> None:
    monkeypatch.setattr(os, "getpid", lambda: pid)


def test_a_making_that_is_killed_at_any_moment(killer: Killer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with killer.after(-1, tmp_path):
        make(Store(tmp_path / "whole"))
    operations = killer.count
    assert operations > 15
    expected = (tmp_path / "whole" / "stages" / KEY / MANIFEST).read_bytes()
    seen = set()
    for moment in range(operations):
        out = tmp_path / str(moment)
        as_process(monkeypatch, 1)
        with killer.after(moment, tmp_path):
            make(Store(out))
        assert killer.count > moment, "it was not killed"
        store = Store(out)
        seen.add(store.has(KEY))
        if store.has(KEY):  # whole, at once
            store.verified(KEY)
        as_process(monkeypatch, 2)
        make(store)
        assert content(store) == FILES
        assert (store.verified(KEY) / MANIFEST).read_bytes() == expected
        assert store.outcome(KEY) == OUTCOME
    assert seen == {False, True}


@QUICK
@given(CONTENTS, st.lists(st.integers(0, 40), max_size=4))
def test_makings_that_are_killed_again_and_again(
    killer: Killer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
    files: dict[str, bytes],
    moments: list[int],
) -> None:
    out = tmp_path_factory.mktemp("out")
    for number, moment in enumerate(moments):
        as_process(monkeypatch, number + 1)
        with killer.after(moment, out):
            make(Store(out), files)
    as_process(monkeypatch, 99)
    store = Store(out)
    make(store, files)
    store.verified(KEY)
    assert content(store) == files


@QUICK
@given(st.binary(max_size=20), st.binary(max_size=20), st.integers(0, 6))
def test_a_file_is_old_or_new_and_whole(
    killer: Killer, tmp_path_factory: pytest.TempPathFactory, old: bytes, new: bytes, moment: int
) -> None:
    folder = tmp_path_factory.mktemp("file")
    file = folder / "deep" / "file.json"
    write_atomically(file, old)
    with killer.after(moment, folder):
        write_atomically(file, new)
    done = killer.count <= moment
    assert file.read_bytes() == (new if done else old)
    assert [entry.name for entry in file.parent.iterdir() if not entry.name.startswith(".")] == ["file.json"]
    write_atomically(file, new)
    assert [entry.name for entry in file.parent.iterdir()] == ["file.json"]
    assert file.read_bytes() == new


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    write_atomically(file, "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(file, "new")
    assert file.read_text() == "old"


def test_what_is_half_deleted_is_made_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    make(store)
    (store.folder(KEY) / MANIFEST).unlink()  # rm -r gets here, and is interrupted
    (store.folder(KEY) / "b").write_bytes(b"other")
    store = Store(tmp_path)
    assert not store.has(KEY)
    make(store)
    assert content(store) == FILES
    store.verified(KEY)


def test_a_published_stage(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert not store.has(KEY)
    assert (store.manifest(KEY), store.outcome(KEY), store.made(KEY)) == ({}, {}, {})
    make(store)
    assert store.has(KEY)
    assert store.outcome(KEY) == OUTCOME
    assert store.made(KEY)["seconds"] == 1.5
    assert store.verified(KEY) == store.folder(KEY)
    assert store.manifest(KEY)["files"] == {name: file_digest(store.folder(KEY) / name) for name in FILES}
    assert not (tmp_path / "making" / KEY).exists()


def test_what_is_stored_holds_no_key_time_or_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = Store(tmp_path / "one"), Store(tmp_path / "other")
    make(one, pid=1)
    as_process(monkeypatch, 77)
    for name, body in reversed(FILES.items()):
        write_atomically(other.files("another") / name, body)
    other.publish("another", dict(reversed(OUTCOME.items())), {"seconds": 99, "made": "later"})
    manifests = [one.manifest(KEY), other.manifest("another")]
    assert [manifest.pop("key") for manifest in manifests] == [KEY, "another"]  # of the manifest alone
    assert manifests[0] == manifests[1]
    text = str(manifests[0])
    assert KEY not in text and str(tmp_path) not in text and "1.5" not in text


def test_the_second_of_two_makers_changes_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    make(store)
    (store.files(KEY) / "b").write_bytes(b"other")
    store.publish(KEY, {"status": "diverged"}, {})
    assert content(store) == FILES
    assert store.outcome(KEY) == OUTCOME


def test_a_workspace_keeps_what_an_earlier_making_left(tmp_path: Path) -> None:
    Store(tmp_path).files(KEY).joinpath("half").write_bytes(b"state")
    assert Store(tmp_path).files(KEY).joinpath("half").read_bytes() == b"state"


@QUICK
@given(st.data(), st.sampled_from([*FILES, MANIFEST]), st.integers(1, 255))
def test_any_flipped_byte_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, name: str, flip: int
) -> None:
    store = Store(tmp_path_factory.mktemp("out"))
    make(store)
    file = store.folder(KEY) / name
    body, manifest = bytearray(file.read_bytes()), store.manifest(KEY)
    if not body:
        return
    place = data.draw(st.integers(0, len(body) - 1))
    body[place] ^= flip
    file.write_bytes(body)
    try:
        store.verified(KEY)
    except Damaged as damage:
        assert str(store.folder(KEY)) in str(damage)
    else:  # white space in the manifest, or the name of its own checksum
        assert name == MANIFEST
        now = store.manifest(KEY)
        assert {key: now[key] for key in ("files", "outcome")} == {key: manifest[key] for key in ("files", "outcome")}


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
@pytest.mark.parametrize("how", ["missing", "half", "longer", "folder"])
def test_damaged_files_are_noticed(name: str, how: str, tmp_path: Path) -> None:
    store = Store(tmp_path)
    make(store)
    file = store.folder(KEY) / name
    body = file.read_bytes()
    file.unlink()
    if how == "half" and body:
        file.write_bytes(body[: len(body) // 2])
    elif how == "longer":
        file.write_bytes(body + b"}")
    elif how == "folder":
        file.mkdir()
    with pytest.raises(Damaged, match=r"manifest|is not what was published"):
        store.verified(KEY)


def test_a_damaged_stage_is_set_aside_and_made_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for _ in range(2):  # the second time over what was set aside before
        make(store)
        (store.folder(KEY) / "b").write_bytes(b"other")
        with pytest.raises(Damaged, match="b: the file is not what was published"):
            store.verified(KEY)
        store.set_aside(KEY)
        assert not store.has(KEY)
        assert (tmp_path / "damaged" / KEY / "b").read_bytes() == b"other"
    make(store)
    assert content(Store(tmp_path)) == FILES
    store.verified(KEY)


def test_a_stage_that_was_verified_is_verified_anew_once_it_was_set_aside(tmp_path: Path) -> None:
    store = Store(tmp_path)
    make(store)
    store.verified(KEY)
    store.set_aside(KEY)
    with pytest.raises(Damaged):
        store.verified(KEY)


HOLDS = """
import sys
from pathlib import Path
from study.store import Store
assert Store(Path(sys.argv[1])).claim(sys.argv[2])
print("held", flush=True)
sys.stdin.read()
"""


def test_a_stage_is_claimed_by_one_process_and_free_when_it_is_killed(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", HOLDS, str(tmp_path), KEY]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        store = Store(tmp_path)
        assert store.claim(KEY) is None
        assert store.claim("another") is not None
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        lease = store.claim(KEY)
        assert lease is not None and lease.deaths == 1


ELSEWHERE = {"host": "elsewhere", "boot": "b", "space": "s", "pid": 1, "started": "1"}


def believed_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Store, Lease, Store, Lease]:
    """A store whose stage is half made, on a machine that is silent; and one that has taken its lease over."""
    monkeypatch.setattr(leases._KEEPER, "keep", lambda lease: None)
    first, second = Store(tmp_path), Store(tmp_path)
    held = first.claim(KEY)
    assert held is not None
    facts = json.loads(held.file.read_text())
    held.file.write_text(json.dumps({**facts, "owner": ELSEWHERE, "lasts_s": 0.0}))
    write_atomically(first.files(KEY) / "b", FILES["b"])
    while (taken := second.claim(KEY)) is None:
        time.sleep(0.01)
    assert not taken.after_end
    return first, held, second, taken


def test_a_process_that_was_believed_dead_keeps_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever takes the lease over may give it back at once, and a third one makes the stage."""
    first, _, _, taken = believed_dead(tmp_path, monkeypatch)
    taken.release()
    third = Store(tmp_path)
    lease = third.claim(KEY)
    assert lease is not None and lease.number == 3 and not list(third.files(KEY).iterdir())
    make(first)
    assert content(first) == FILES


def test_one_that_publishes_after_all_leaves_the_others_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, held, second, taken = believed_dead(tmp_path, monkeypatch)
    write_atomically(second.files(KEY) / "b", FILES["b"])
    make(first)
    held.release(done=True)
    assert content(first) == FILES and held.lost
    assert [file.name for file in second.files(KEY).iterdir()] == ["b"]
    assert second.claim(KEY) is None, "its lease is still there"
    second.publish(KEY, OUTCOME, {})
    taken.release(done=True)
    assert content(first) == FILES and not (tmp_path / "making" / KEY).exists() and second.leases.held() == {}


def test_one_that_is_too_late_by_a_moment_replaces_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is suspended after it has looked whether the stage is there."""
    first, _, second, _ = believed_dead(tmp_path, monkeypatch)
    make(second)
    there = (second.folder(KEY) / MANIFEST).stat().st_ino
    monkeypatch.setattr(first, "has", lambda key: False)
    make(first)
    assert (second.folder(KEY) / MANIFEST).stat().st_ino == there and content(second) == FILES


def test_half_a_stage_gives_way(tmp_path: Path) -> None:
    """Its manifest is gone: somebody was deleting it."""
    store = Store(tmp_path)
    make(store)
    (store.folder(KEY) / MANIFEST).unlink()
    make(store)
    assert content(store) == FILES and [folder.name for folder in (tmp_path / "stages").iterdir()] == [KEY]


MAKES = """
import sys
from pathlib import Path
from study.store import Store
store = Store(Path(sys.argv[1]))
print("ready", flush=True); sys.stdin.readline()
if store.claim("key"):
    if not store.has("key"):
        (store.files("key") / "who").write_text(sys.argv[2])
        store.publish("key", {"status": "finished"}, {"who": sys.argv[2]})
        print("made")
"""


def test_of_several_processes_one_makes_a_stage(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    makers = [
        subprocess.Popen(
            [sys.executable, "-c", MAKES, str(tmp_path), str(number)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    for maker in makers:
        assert maker.stdout is not None
        assert maker.stdout.readline() == "ready\n"
    said = []
    for maker in makers:
        assert maker.stdin is not None
        maker.stdin.write("\n")
        maker.stdin.flush()
    for maker in makers:
        said.append(maker.communicate(timeout=600)[0])
        assert maker.returncode == 0
    assert sorted(said) == ["", "", "made\n"]
    store = Store(tmp_path)
    assert (store.verified("key") / "who").read_text() == str(said.index("made\n")) == store.made("key")["who"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@QUICK
@given(JSON)
def test_json_is_read_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    file = tmp_path_factory.mktemp("json") / "file.json"
    write_json(file, value)
    assert read_json(file) == value == json.loads(file.read_text(encoding="utf-8"))


@QUICK
@given(st.dictionaries(st.text(max_size=3), st.integers(), max_size=4))
def test_equal_values_are_equal_bytes(tmp_path_factory: pytest.TempPathFactory, value: dict[str, int]) -> None:
    folder = tmp_path_factory.mktemp("json")
    write_json(folder / "a", value)
    write_json(folder / "b", dict(reversed(value.items())))
    assert (folder / "a").read_bytes() == (folder / "b").read_bytes()


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b'{"a": 1}}'])
def test_json_that_is_none(body: bytes, tmp_path: Path) -> None:
    (tmp_path / "file.json").write_bytes(body)
    assert read_json(tmp_path / "file.json") is None
    assert read_json(tmp_path / "none.json") is None
    assert read_json(tmp_path) is None


def test_the_state_of_a_run_has_a_file_of_its_own(tmp_path: Path) -> None:
    names = ["a/faces/0", "a-faces-0", "a:b=1/faces/0", "a:b,1/faces/0", "x" * 300 + "/f/0", "x" * 300 + "/f/1", "../a"]
    states = [RunState.of(tmp_path, name) for name in names]
    assert len({state.file for state in states}) == len(names)
    assert all(state.read() == {} for state in states)
    for name, state in zip(names, states, strict=True):
        state.write(run=name, status="running")
    assert [RunState.of(tmp_path, name).read()["run"] for name in names] == names
    assert {state.file.parent for state in states} == {tmp_path / "runs"}
