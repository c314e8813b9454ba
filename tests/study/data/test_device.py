"""Batches on their way to a device, and a training set that is kept there. ``meta`` stands for a card."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from study.data import device as devices
from study.data.batches import AHEAD, read_ahead

META, CPU = torch.device("meta"), torch.device("cpu")
IMAGES = np.random.default_rng(0).integers(0, 256, (10, 4, 4, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    devices._kept.clear()
    yield
    devices._kept.clear()


def test_a_training_set_is_copied_once_and_another_takes_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "free_memory", lambda _: 10 * IMAGES.nbytes)
    monkeypatch.setattr(devices, "CHUNK", 3)
    first = devices.kept_on(META, IMAGES, "faces")
    assert first is not None and first.shape == IMAGES.shape and first.dtype == torch.uint8
    assert devices.kept_on(META, IMAGES, "faces") is first
    assert devices.kept_on(META, IMAGES, "objects") is not first
    assert len(devices._kept) == 1


def test_the_copy_has_every_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "free_memory", lambda _: 10 * IMAGES.nbytes)
    monkeypatch.setattr(devices, "CHUNK", 3)
    kept = devices.kept_on(CPU, IMAGES, "faces")
    assert kept is not None and np.array_equal(kept.numpy(), IMAGES)


def test_a_training_set_that_needs_too_much_memory_stays_in_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    assert devices.kept_on(CPU, IMAGES, "faces") is None  # main memory holds the file's pages
    monkeypatch.setattr(devices, "free_memory", lambda _: IMAGES.nbytes)
    assert devices.kept_on(META, IMAGES, "faces") is None


@pytest.mark.parametrize("device", [CPU, META])
def test_batches_come_in_order_and_on_a_card_from_another_thread(device: torch.device) -> None:
    threads: set[int] = set()

    def batches(step: int) -> list[int]:
        threads.add(threading.get_ident())
        return [step, -step]

    found = list(read_ahead(batches, range(3, 9), device))  # type: ignore[arg-type]
    assert found == [(step, [step, -step]) for step in range(3, 9)]
    assert (threads == {threading.get_ident()}) == (device == CPU)


def test_no_more_batches_are_prepared_than_are_needed_soon() -> None:
    made: list[int] = []
    ahead = read_ahead(lambda step: made.append(step) or [], range(100), META)  # type: ignore[func-returns-value]
    assert next(ahead)[0] == 0
    time.sleep(0.05)
    assert made == list(range(AHEAD + 1))
    ahead.close()
    time.sleep(0.05)
    assert len(made) == AHEAD + 1


def test_what_a_batch_raises_reaches_the_training() -> None:
    def batches(step: int) -> list[int]:
        raise OSError(f"step {step}")

    with pytest.raises(OSError, match="step 0"):
        list(read_ahead(batches, range(5), META))  # type: ignore[arg-type]
