"""``plan --power``: how many seeds each link of a claim would take, and what they would cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from study.errors import BadInput, few
from study.plan.graph import PLAN, Plan, Run, json_digest
from study.running import costs
from study.store import Store

HOUR_S = 3600
MANY = 1000
SHOWN = 5
QUESTIONS = ("published", "measured", "margin")
LEGEND = (
    "Seeds of each variant: to tell the published or the measured effect from zero, and to show a true difference of "
    "zero to be within the margin. In brackets: hours on one worker for the seeds that are missing, from the measured "
    "time of the stages. Never: the images' part of the interval alone is too wide; it takes more test images. A dash: "
    "there is no such effect or margin, or fewer than two seeds ran. The numbers assume that the seeds vary as those "
    "that ran."
)


def power(plan: Plan, store: Store, *, again: str, warn: Callable[[str], None]) -> pd.DataFrame:
    """A row per link that was run: ``reports.analysis.looks.power_table``, and the hours of the seeds that it lacks.

    Columns beside those: hours_for_published, hours_for_measured and hours_for_margin, on one worker; NaN or infinite
    as the seeds are. The runs are those of the output's most recent study that have the plan's settings, of any seed.

    Args:
        again: the command that runs the study.
        warn: prints what is left out.

    Raises:
        BadInput: the output holds no results of this study.
    """
    from reports.analysis.looks import power_table
    from study.results.frames import frames_of

    there = Plan.of(store.out) if (store.out / PLAN).is_file() else plan.only(lambda run: False)
    ours = {(run.variant, run.data): _settings(plan, run) for run in plan.runs}
    ran = there.only(lambda run: ours.get((run.variant, run.data)) == _settings(there, run))
    if not ran.runs:
        raise BadInput(f"--power: {store.out} holds no results of this study; run it first: {again}")
    if others := list(dict.fromkeys(run.variant for run in there.runs if run not in ran.runs)):
        names = few(others, SHOWN)
        warn(f"left out, because they are not in this study or have other settings in {store.out}: {names}")
    frames = frames_of(ran, store.out)
    table = power_table(frames)
    if table[[f"seeds_for_{question}" for question in QUESTIONS]].isna().all(axis=None):
        raise BadInput(f"--power: no link has two completed seeds; run more of them first: {again} --seeds 0-2")
    known = costs.measured(ran, store)
    seed_s = [
        costs.seed_s(ran, known, variants, str(data).split(" and "))
        for variants, data in zip(table["variants"], table["data"], strict=True)
    ]
    for question in QUESTIONS:
        missing = (table[f"seeds_for_{question}"] - table["n"]).clip(lower=0)
        table[f"hours_for_{question}"] = missing * np.array(seed_s) / HOUR_S
    return table


def _settings(plan: Plan, run: Run) -> str:
    """A digest of all that decides a run's result, except its seed."""
    return json_digest([[role, plan.stages[key].options] for role, key in run.stages.items()])


def as_json(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as JSON; null where a number is unknown, and "never" where no number of seeds is enough."""
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return [{str(name): "never" if value == np.inf else value for name, value in row.items()} for row in rows]


def show(table: pd.DataFrame, console: Console) -> None:
    """Prints a row per link."""
    shown = Table(box=None, title="Seeds for an answer (95% level, 80% power)", title_justify="left", pad_edge=False)
    shown.add_column("", no_wrap=True)
    shown.add_column("link, and its contrast", overflow="fold")
    for name in ("n", "effect", *(f"for {question}" for question in QUESTIONS)):
        shown.add_column(name, justify="right", no_wrap=True)
    for row in table.to_dict("records"):
        seeds = [_cell(row[f"seeds_for_{question}"], row[f"hours_for_{question}"]) for question in QUESTIONS]
        link = Text.assemble(row["link"], (f"\n{row['contrast']}", "dim"))
        shown.add_row(row["id"], link, str(row["n"]), f"{row['effect']:+.2g}", *seeds)
    console.print(shown)
    console.print(Text(LEGEND, style="dim"))


def _cell(seeds: float, hours: float) -> str:
    """A number of seeds, and the hours of those that are missing."""
    if np.isnan(seeds):
        return "–"
    if np.isinf(seeds):
        return "never"
    text = f"{seeds:.0f}" if seeds <= MANY else f"more than {MANY:,}"
    return f"{text} ({hours:.2g} h)" if hours else f"{text} (done)"
