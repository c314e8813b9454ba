"""Checkpoints are written beside the training: one at a time, seldom, and none is lost in silence."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from study.training import checkpoint
from study.training.checkpoint import Checkpoints


def state(folder: Path, content: bytes = b"state", diverged: Any = None) -> Any:
    return SimpleNamespace(checkpoint=folder / "checkpoint", copy=lambda: content, diverged=diverged)


def test_the_last_one_is_on_disk_when_the_training_leaves(tmp_path: Path) -> None:
    with Checkpoints() as checkpoints:
        checkpoints.write([state(tmp_path)])
    assert (tmp_path / "checkpoint").read_bytes() == b"state"


def test_a_diverged_stage_keeps_its_last_one(tmp_path: Path) -> None:
    with Checkpoints() as checkpoints:
        checkpoints.write([state(tmp_path)])
        checkpoints.write([state(tmp_path, b"nan", diverged=(3, "loss"))])
    assert (tmp_path / "checkpoint").read_bytes() == b"state"


def test_never_two_at_once_and_at_most_one_percent_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writing of 20 ms with an interval of 10 ms: the next one is due after 2 s, and not after every step."""
    running: list[int] = []

    def slow(file: Path, content: bytes) -> None:
        running.append(threading.active_count())
        time.sleep(0.02)

    monkeypatch.setattr(checkpoint, "write_atomically", slow)
    with Checkpoints(0.01) as checkpoints:
        assert not checkpoints.due
        time.sleep(0.012)
        assert checkpoints.due
        checkpoints.write([state(tmp_path)])
        assert not checkpoints.due  # it is being written
        until = time.monotonic() + 0.2
        while time.monotonic() < until:
            if checkpoints.due:
                checkpoints.write([state(tmp_path)])
            time.sleep(0.001)
        assert len(running) == 1
        assert checkpoints._due - time.monotonic() > 1.5


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "write_atomically", full)
    with pytest.raises(OSError, match="No space left"), Checkpoints() as checkpoints:
        checkpoints.write([state(tmp_path)])
