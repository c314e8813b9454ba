"""``plan --power``: how many seeds each link of a claim would take, and what they would cost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from study.errors import BadInput
from study.plan.graph import Plan
from study.running import costs
from study.store import Store

HOUR_S = 3600
QUESTIONS = ("published", "margin")


def power(plan: Plan, store: Store, command: str) -> pd.DataFrame:
    """A row per link that was run: ``reports.analysis.looks.power_table``, and the hours of the seeds that it lacks.

    Columns beside those: hours_for_published and hours_for_margin, on one worker (NaN or infinite as the seeds are).

    Args:
        plan: of the study file; the runs are those of the output.
        command: runs the study first.

    Raises:
        BadInput: the output holds no results of this study.
    """
    from reports.analysis.looks import power_table
    from study.results.frames import frames_of

    ran = Plan.of(store.out) if (store.out / "plan.json").is_file() else None
    if ran is None or not {run.stages["evaluate"] for run in ran.runs} & {run.stages["evaluate"] for run in plan.runs}:
        raise BadInput(f"--power: {store.out} holds no results of this study; run it first: {command}")
    frames = frames_of(ran, store.out)
    table = power_table(frames)
    if table["seeds_for_margin"].isna().all() and table["seeds_for_published"].isna().all():
        raise BadInput(f"--power: it takes two completed seeds at least; run the study first: {command}")
    known = costs.measured(ran, store)
    seed_s = [
        costs.seed_s(ran, known, variants, str(data).split(" and "))
        for variants, data in zip(table["variants"], table["data"], strict=True)
    ]
    for question in QUESTIONS:
        missing = (table[f"seeds_for_{question}"] - table["n"]).clip(lower=0)
        table[f"hours_for_{question}"] = missing * np.array(seed_s) / HOUR_S
    return table


def as_json(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as JSON; null where a number is unknown, and "never" where no number of seeds is enough."""
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return [{str(name): "never" if value == np.inf else value for name, value in row.items()} for row in rows]


def show(table: pd.DataFrame, console: Console) -> None:
    """Prints a row per link."""
    from reports.analysis.looks import seeds_in_words

    shown = Table(box=None, title="Seeds for an answer (95% level, 80% power)", title_justify="left", pad_edge=False)
    for name in ("", "link", "contrast"):
        shown.add_column(name, overflow="fold")
    for name in ("n", "effect", "seeds for published", "hours", "seeds for margin", "hours"):
        shown.add_column(name, justify="right", overflow="fold")
    for row in table.to_dict("records"):
        cells = [row["id"], row["link"], row["contrast"], str(row["n"]), f"{row['effect']:+.3g}"]
        for question in QUESTIONS:
            hours = row[f"hours_for_{question}"]
            cells += [seeds_in_words(row[f"seeds_for_{question}"]), f"{hours:.2g}" if np.isfinite(hours) else ""]
        shown.add_row(*cells)
    console.print(shown)
    console.print("Hours: of the seeds that are missing, on one worker, from the measured time of the stages.")
