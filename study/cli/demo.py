"""The demo's proposed model, for ``inpaint --demo``: found where it is, or trained once for all later calls."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import typer
from platformdirs import user_cache_path

from study.cli import options, studies
from study.cli.starting import shipped
from study.cli.terminal import Screen, heed_signals
from study.errors import BadInput, StudyError
from study.plan.graph import Plan, Run
from study.running.states import settle_all
from study.running.workers import working
from study.store import Store


def model(out: Path, device: str, say: Callable[[str], None]) -> tuple[Path, str]:
    """The output folder and the name of a completed run of the demo's proposed model, seed 0.

    Looks in ``out`` and in the user's cache folder, and otherwise trains it into the latter. ``say`` hears which.
    """
    plan, kind = studies.planned(shipped("runs.yaml"), "demo", ["proposed"], "0", None, device, False)[1:]
    home = Path(os.environ.get("XDG_CACHE_HOME") or user_cache_path()) / "mo-zhou-study" / "demo"
    about = f"the demo's model, {plan.study.image_size} px, trained on drawn portraits"
    for folder in (out, home):
        if found := _same(plan.runs[0], folder):
            say(f"{about}: found in {folder}")
            return folder, found
    say(f"{about}: it is trained once, in a minute or two, into {home}")
    heed_signals()
    with working(home, "run"), options.executor_of("local", home, jobs=None, device=kind) as executor:
        settle_all(home)
        summary = studies.make(plan, store=Store(home), executor=executor, console=Screen())
    if summary.interrupted:
        raise typer.Exit(130)
    found = _same(plan.runs[0], home)
    if found is None:
        raise StudyError(f"{home}: the demo's model could not be trained: {'; '.join(summary.failed.values())}")
    return home, found


def _same(run: Run, out: Path) -> str | None:
    """The name of the run with the same stages in an output folder, if it is completed there."""
    with suppress(BadInput):
        for other in Plan.of(out).runs:
            if other.stages == run.stages and Store(out).has(run.stages["evaluate"]):
                return other.name
    return None
