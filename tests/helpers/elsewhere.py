"""A tiny study for workers elsewhere. Its loss counts its calls, and takes its time until it may go on."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import tiny

from study.plan.graph import Plan
from study.store import Store

PLACE = "STUDY_TEST_PLACE"  # the environment variable with the folder of the two files
PLUGIN = f"""
import os, time
from pathlib import Path
import torch

PLACE = Path(os.environ.get("{PLACE}", "."))

class Counted:
    def critic(self, real, fake):
        with (PLACE / "calls").open("ab", buffering=0) as calls:
            calls.write(b".")
        if not (PLACE / "go").exists():
            time.sleep(0.3)
        return torch.nn.functional.softplus(fake - real).mean()

    def generator(self, fake):
        return torch.nn.functional.softplus(-fake).mean()

LOSSES = {{"counted": Counted}}
"""
RECIPE = {"kind": "counted", "norm": "none", "optimizer": {"kind": "adam", "lr": 1.0e-4, "betas": [0.5, 0.9]}}
STEPS = 60


def planned(folder: Path) -> tuple[Plan, Store]:
    """The plan of the study, saved in ``folder / "out"``, and its store."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "counted.py").write_text(PLUGIN)
    variants = {"proposed": tiny.PROPOSED | {"loss": "counted"}}
    steps = {"pretrain": 4, "critic": STEPS, "joint": 3}
    return tiny.planned(
        folder, variants, plugins=["counted.py"], seeds=[0, 1], recipes={"counted": RECIPE}, defaults={"steps": steps}
    )


def made_here(folder: Path) -> dict[str, dict[str, bytes]]:
    """The bytes of the study's stages, made in this process."""
    with mock.patch.dict(os.environ, {PLACE: str(folder)}):
        plan, store = planned(folder)
        go(folder)
        tiny.made(plan, store)
    return stages(plan, store)


def stages(plan: Plan, store: Store) -> dict[str, dict[str, bytes]]:
    return {key: tiny.published(store, key) for key in plan.stages}


def go(folder: Path) -> None:
    """From now on, the loss takes no time."""
    (folder / "go").touch()


def calls(folder: Path) -> int:
    """How often the loss was called, in all processes."""
    return (folder / "calls").stat().st_size if (folder / "calls").exists() else 0


def until(true: Callable[[], object], timeout_s: float = 120) -> None:
    """Waits until something is true."""
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, "it does not become true"
        time.sleep(0.2)
