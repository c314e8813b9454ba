"""What all tests share: one thread a process, as in a worker, and studies that only one process of the suite makes."""

from __future__ import annotations

import gc
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"  # before torch and NumPy are imported; commands that the tests start inherit it
# torch, Matplotlib and pandas make many objects: collecting garbage took a tenth of the time
gc.set_threshold(200_000, 20, 20)
os.fsync = lambda descriptor: None  # a power cut during the tests need not be survived; each call takes milliseconds
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background job: its processes would ignore it
    signal.signal(signal.SIGINT, signal.default_int_handler)


NO_CARD = (
    "gpu: torch finds no CUDA card on this machine, so nothing ran on one; python -m study run STUDY --device cuda"
)
"""Printed after ``pytest -m gpu`` on a machine without a card. The command says why there is none."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves tests of a card out, unless ``-m gpu`` asks for them and there is one. One of them says so if not."""
    of_card = [item for item in items if item.get_closest_marker("gpu")]
    if not of_card or ((asked := config.option.markexpr == "gpu") and _card()):
        return
    kept = of_card[:1] if asked else []
    for item in kept:
        item.add_marker(pytest.mark.skip(reason=NO_CARD))
    left_out = of_card[len(kept) :]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in set(left_out)]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.option.markexpr == "gpu" and not _card():
        terminalreporter.write_line(NO_CARD)


def _card() -> bool:
    import torch

    return torch.cuda.is_available()


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """Calls ``make(folder)`` in the first process that asks for ``name``. The other processes copy the folder."""

    def once(name: str, make: Callable[[Path], object]) -> Path:
        mine = tmp_path_factory.mktemp(name)
        if "PYTEST_XDIST_WORKER" not in os.environ:
            make(mine)
            return mine
        first = tmp_path_factory.getbasetemp().parent / f"made-once-{name}"
        with FileLock(f"{first}.lock"):
            if first.exists():
                shutil.copytree(first, mine, symlinks=True, dirs_exist_ok=True)
            else:
                make(mine)
                part = first.with_suffix(".part")
                shutil.copytree(mine, part, symlinks=True)
                part.rename(first)
        return mine

    return once
