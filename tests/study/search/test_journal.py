"""A journal that a crash or a full disk cut short: no finished trial is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from study.leases import Leases
from study.search.journal import JournalLock, mended

TRIALS = 6


def opened(journal: Path) -> optuna.Study:
    lock: Any = JournalLock(journal, Leases(journal.parent / "leases").lock("journal"))
    storage = JournalStorage(JournalFileBackend(str(journal), lock_obj=lock))
    return optuna.create_study(storage=storage, study_name="toy", load_if_exists=True)


def finished(journal: Path) -> list[tuple[int, float | None]]:
    trials = opened(journal).get_trials(states=[optuna.trial.TrialState.COMPLETE])
    return [(trial.number, trial.value) for trial in trials]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    journal = tmp_path_factory.mktemp("journal") / "toy.journal"
    search = opened(journal)
    for number in range(TRIALS):
        trial = search.ask()
        trial.suggest_float("x", 0, 1)
        search.tell(trial, float(number))
    return journal.read_bytes()


def complete_in(content: bytes) -> list[tuple[int, float]]:
    """The finished trials of the complete records."""
    records = [json.loads(line) for line in content.splitlines(keepends=True) if line.endswith(b"\n")]
    told = [record for record in records if record.get("values") is not None]
    return [(record["trial_id"], record["values"][0]) for record in told]


def test_torn_at_every_byte_of_its_last_three_lines(whole: bytes, tmp_path: Path) -> None:
    journal, start = tmp_path / "toy.journal", len(whole) - sum(map(len, whole.splitlines(keepends=True)[-3:]))
    for end in range(start, len(whole) + 1):
        journal.write_bytes(whole[:end])
        said = mended(journal)
        assert bool(said) == (not whole[:end].endswith(b"\n")), said
        assert finished(journal) == complete_in(whole[:end])
        search = opened(journal)
        search.tell(search.ask(), 9.0)
        assert finished(journal)[-1][1] == 9.0
    assert len(finished(journal)) == TRIALS + 1


def test_a_torn_record_does_not_spoil_the_next_one(whole: bytes, tmp_path: Path) -> None:
    """Another process was killed while it wrote, after this one had opened the journal."""
    journal = tmp_path / "toy.journal"
    journal.write_bytes(whole)
    search = opened(journal)
    with journal.open("ab") as file:
        file.write(b'{"op_code":4,"worker_id":"x","st')
    search.tell(search.ask(), 9.0)
    assert finished(journal)[-1] == (TRIALS, 9.0) and mended(journal) == ""


def test_a_record_that_was_appended_to_a_torn_one_is_kept(whole: bytes, tmp_path: Path) -> None:
    journal = tmp_path / "toy.journal"
    lines = whole.splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:-1]) + b'{"op_code":5,"wor' + lines[-1])
    why = "a record was cut short, by a crash or a full disk; moved to toy.journal.damaged, all others are kept"
    assert mended(journal) == f"{journal}: {why}"
    assert journal.read_bytes() == whole
    assert (tmp_path / "toy.journal.damaged").read_bytes() == b'{"op_code":5,"wor\n'
    assert len(finished(journal)) == TRIALS


@pytest.mark.parametrize("tail", [b"\0" * 700, b"\0" * 700 + b"\n", b"{]\n"])
def test_what_a_power_cut_leaves_at_the_end_is_taken_out(whole: bytes, tmp_path: Path, tail: bytes) -> None:
    journal = tmp_path / "toy.journal"
    journal.write_bytes(whole + tail)
    assert "a record was cut short" in mended(journal)
    assert journal.read_bytes() == whole


def test_a_damaged_record_in_the_middle_is_not_passed_over(whole: bytes, tmp_path: Path) -> None:
    """Optuna numbers trials by their records, so the ones after it would mean others."""
    journal = tmp_path / "toy.journal"
    lines = whole.splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:4], b"{]\n", *lines[5:]]))
    with pytest.raises(ValueError, match="line 5 is damaged"):
        mended(journal)
