"""``plan --rehearse``, and the rehearsal before a long ``run``: which critics sleep or explode."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pandas as pd
import typer
from rich.console import Console
from rich.table import Table

from study.cli import options
from study.cli.terminal import Screen
from study.config import Study
from study.errors import BadInput, StudyError
from study.plan.graph import Plan, json_digest
from study.store import Store, read_facts, write_json

FILE = "rehearsal.json"
"""In an output: the rehearsal that its study passed."""

REMEDY = "try norm: layer, a smaller clip or a smaller rate in its recipe"
NUMBERS = ("accuracy", "gradient_ratio", "share", "growth")


def short_plan(study: Study, plan: Plan, device: str, chosen: list[str] | None = None) -> Plan:
    """The plan of the rehearsal: of the chosen variants, by default of the first of the proposed method or, without
    one, the first with critics.

    Raises BadInput if none of them has critics.
    """
    from study.parts import registries
    from study.plan.planner import make_plan
    from study.running.rehearse import shortened

    critical = {run.variant: run.method for run in plan.runs if run.critic_parameters}
    first = sorted(critical, key=lambda name: critical[name] != "proposed")[:1]
    variants = [name for name in critical if name in (chosen or first)]
    if not variants:
        trained = {name: one.method for name, one in plan.study.left_out.items() if one.method in registries.METHODS}
        named = min(trained, key=lambda name: trained[name] != "proposed", default="")
        how = f"name one with --only, such as --only {named}" if named else "the study has none"
        raise BadInput(f"--rehearse: no variant with critics is chosen; {how}")
    return make_plan(shortened(study, device, variants), device=device)


def rehearse(short: Plan, device: str, jobs: int) -> pd.DataFrame:
    """Trains a short plan in a temporary folder. Returns ``reports.analysis.critics.critics_table``.

    A variant whose training diverged has one row more: all of its critics have exploded.
    """
    from reports.analysis.critics import critics_table
    from study.results.frames import load
    from study.running import driver
    from study.running.progress import Display

    with tempfile.TemporaryDirectory() as folder:
        store, console = Store(Path(folder)), Screen(stderr=True)
        waiting = driver.tasks(short, store, short.save(store.out))
        executor = options.executor_of("local", store.out, jobs=jobs, device=device)
        with Display(short, store, waiting, console) as display, executor:
            summary = driver.drive(store, executor, waiting, on_event=display.on_event, on_tick=display.on_tick)
        if summary.interrupted:
            raise typer.Exit(130)
        if summary.failed:
            raise StudyError(f"the rehearsal failed: {next(iter(summary.failed.values()))}")
        results = load(store.out)
    lost = results.runs[results.runs["status"] == "diverged"].assign(network="all", state="exploded")
    return pd.concat([critics_table(results), lost[["variant", "network", "state", "why"]]], ignore_index=True)


def before_run(study: Study, plan: Plan, store: Store, device: str, jobs: int, console: Console) -> None:
    """Rehearses a study that is long, once. Raises BadInput if a critic explodes; sleeping ones are only reported."""
    from study.running.rehearse import LONG_H, is_long

    if not any(run.critic_parameters for run in plan.runs) or not is_long(plan, store, device, jobs):
        return
    short = short_plan(study, plan, device)
    digest = json_digest(sorted(short.stages))
    if read_facts(store.out / FILE).get("plan") == digest:
        return
    console.print(f"This study takes more than {LONG_H:g} hours. First a rehearsal, of minutes:")
    table = rehearse(short, device, jobs)
    show(table, console)
    if (table["state"] == "exploded").any():
        raise BadInput("its critics explode in the rehearsal (see above); to run it all the same, add --no-rehearsal")
    write_json(store.out / FILE, {"plan": digest, "critics": sentences(table)})


def show(table: pd.DataFrame, console: Console) -> None:
    """Prints a row per critic, then a sentence for each that is not awake."""
    shown = Table(title="Critics in the rehearsal", box=None, title_justify="left", pad_edge=False)
    for name in ("variant", "critic", "state"):
        shown.add_column(name, overflow="fold")
    for name in NUMBERS:
        shown.add_column(name.replace("_", " "), justify="right")
    for row in table.to_dict("records"):
        texts = [str(row[name]) for name in ("variant", "network", "state")]
        shown.add_row(*texts, *(f"{row[name]:.3g}" for name in NUMBERS))
    console.print(shown)
    for sentence in sentences(table):
        console.print(sentence, soft_wrap=True)


def sentences(table: pd.DataFrame) -> list[str]:
    """A sentence for each critic that is not awake, with what to do; one that all are awake if so."""
    found = [
        f"{row['variant']}, critic {row['network']}: {row['state']}; {row['why']}; {REMEDY}"
        for row in table[table["state"] != "awake"].to_dict("records")
    ]
    return found or ["Every critic was awake."]
