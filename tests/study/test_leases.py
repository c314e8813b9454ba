"""Leases: one owner at a time, known by its process here and by the file system's clock elsewhere."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from study import leases
from study.leases import Lease, Leases

ELSEWHERE = {"host": "elsewhere", "boot": "b", "space": "s", "pid": 1, "started": "1"}


class Clock:
    """A monotonic clock that tests move."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return time.time()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(leases, "time", clock)
    monkeypatch.setattr(leases._KEEPER, "keep", lambda lease: None)  # renewed by hand
    return clock


@pytest.fixture
def elsewhere(tmp_path: Path) -> Callable[[str], Lease]:
    """Claims a lease as a process of another machine does."""

    def claim(name: str) -> Lease:
        lease = Leases(tmp_path).claim(name)
        assert lease is not None
        lease.file.write_text(json.dumps({**json.loads(lease.file.read_text()), "owner": ELSEWHERE}))
        return lease

    return claim


def older(lease: Lease, seconds: float) -> None:
    """The file as it is seconds after it was renewed, by the file system's clock."""
    state = lease.file.stat()
    os.utime(lease.file, (state.st_atime - seconds, state.st_mtime - seconds))


def test_of_many_that_claim_at_once_one_owns(tmp_path: Path) -> None:
    for round_ in range(30):
        barrier = Barrier(8)

        def claim(_: int, name: str = str(round_), barrier: Barrier = barrier) -> Lease | None:
            barrier.wait()
            return Leases(tmp_path).claim(name)

        with ThreadPoolExecutor(8) as pool:
            owners = [lease for lease in pool.map(claim, range(8)) if lease is not None]
        assert len(owners) == 1
        owners[0].release()
        assert Leases(tmp_path).claim(str(round_)) is not None


def test_it_is_free_after_its_release(tmp_path: Path) -> None:
    first = Leases(tmp_path).claim("key")
    assert first is not None and Leases(tmp_path).claim("key") is None
    assert Leases(tmp_path).holder("key") == leases.this_process() and list(Leases(tmp_path).held()) == ["key"]
    first.release()
    assert Leases(tmp_path).held() == {}
    second = Leases(tmp_path).claim("key")
    assert second is not None and second.number == 2 and second.after_end and second.deaths == 0
    second.release(done=True)
    assert not (tmp_path / "key").exists()


def test_an_owner_elsewhere_is_dead_once_it_is_silent(
    clock: Clock, tmp_path: Path, elsewhere: Callable[[str], Lease]
) -> None:
    lease = elsewhere("key")
    mine = Leases(tmp_path)
    assert mine.claim("key") is None and mine.holder("key") == ELSEWHERE
    for _ in range(10):  # it is renewed
        clock.now += 30
        lease.renew()
        assert mine.claim("key") is None
    older(lease, 100)
    assert mine.holder("key") is None, "as far as is known at once"
    assert mine.claim("key") is None, "it is watched for a while"
    clock.now += 25
    taken = mine.claim("key")
    assert taken is not None and not taken.after_end and taken.deaths == 1
    lease.renew()
    assert lease.lost, "its first owner notices, if it lives after all"
    lease.release()
    assert Leases(tmp_path).claim("key") is None, "and takes nothing back"


def test_an_owner_that_was_suspended_ends_no_lease_but_its_own(
    clock: Clock, tmp_path: Path, elsewhere: Callable[[str], Lease]
) -> None:
    lease = elsewhere("key")
    older(lease, 100)
    mine = Leases(tmp_path)
    assert mine.claim("key") is None
    clock.now += 25
    taken = mine.claim("key")
    assert taken is not None
    lease.release(done=True)  # before it was renewed
    assert lease.lost and mine.holder("key") == leases.this_process() and taken.file.exists()


def test_a_number_that_was_given_anew_is_another_lease(tmp_path: Path, elsewhere: Callable[[str], Lease]) -> None:
    """The folder was removed meanwhile."""
    lease = Leases(tmp_path).claim("key")
    assert lease is not None
    lease.renew()
    assert not lease.lost
    lease.file.unlink()
    assert elsewhere("key").number == lease.number
    lease.renew()
    assert lease.lost


@pytest.mark.parametrize("jump_s", [-1e6, 1e6])
def test_a_jump_of_the_clock_takes_no_lease_from_an_owner_that_lives(
    clock: Clock, tmp_path: Path, elsewhere: Callable[[str], Lease], jump_s: float
) -> None:
    lease, mine = elsewhere("key"), Leases(tmp_path)
    older(lease, jump_s)
    for _ in range(20):
        assert mine.claim("key") is None
        clock.now += 10
        lease.renew()
        older(lease, jump_s)
    taken = None
    for _ in range(9):
        clock.now += 10
        taken = taken or mine.claim("key")
    assert taken is not None, "but from one that is silent"


def test_a_process_here_is_known_by_its_id_and_start(tmp_path: Path) -> None:
    lease = Leases(tmp_path).claim("key")
    assert lease is not None
    older(lease, 1e6)
    assert Leases(tmp_path).claim("key") is None, "it lives, however silent"
    facts = json.loads(lease.file.read_text())
    facts["owner"]["started"] = "0"  # another process has its id now
    lease.file.write_text(json.dumps(facts))
    taken = Leases(tmp_path).claim("key")
    assert taken is not None and taken.after_end and taken.deaths == 1


def test_deaths_count_as_long_as_nothing_goes_on(tmp_path: Path) -> None:
    found = []
    for mark in ("", "", "", "checkpoint", "checkpoint"):
        lease = Leases(tmp_path).claim("key", mark)
        assert lease is not None
        found.append(lease.deaths)
        facts = json.loads(lease.file.read_text())
        lease.file.write_text(json.dumps({**facts, "owner": {**facts["owner"], "started": "0"}}))
    assert found == [0, 1, 2, 1, 2]


@pytest.mark.parametrize("content", ["", "[]", "{]", '{"owner": 3}', '{"lasts_s": "x"}'])
def test_a_damaged_lease_blocks_nobody_for_long(clock: Clock, tmp_path: Path, content: str) -> None:
    (tmp_path / "key").mkdir()
    (tmp_path / "key" / "7.json").write_text(content)
    mine = Leases(tmp_path)
    assert mine.claim("key") is None
    clock.now += 61
    lease = mine.claim("key")
    assert lease is not None and lease.number == 8


def test_without_links_files_are_created_exclusively(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refused)
    lease = Leases(tmp_path).claim("key")
    assert lease is not None and Leases(tmp_path).claim("key") is None
    assert json.loads(lease.file.read_text())["owner"] == leases.this_process()


def test_a_lock_is_waited_for_and_entered_again(tmp_path: Path) -> None:
    lock, other = Leases(tmp_path).lock("key"), Leases(tmp_path).lock("key", timeout_s=0.05)
    with (
        lock,
        lock,
        pytest.raises(TimeoutError, match=rf"key is held by process {os.getpid()} on .*; wait until that has ended"),
    ):
        other.acquire()
    with other:
        pass
