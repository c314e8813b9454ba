"""What came of a study, and what is known of it meanwhile: status, claims, diff."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from study.cli.app import app
from study.cli.options import AsJson

CLAIMS_LEGEND = (
    "A claim needs all of its links; the one that decides stands first. supported: the interval lies beyond zero as "
    "claimed; opposed: on the other side; negligible: the 90% interval lies within the margin; else unresolved, and "
    "under three seeds always. An effect is the first less the second; resolvable: the least that this n would tell "
    "from none. Below an outcome stands its scope: but for 'paper' it speaks of this study alone."
)


@app.command()
def status(
    out: Annotated[Path, typer.Argument(help="the output folder")] = Path("out"), as_json: AsJson = False
) -> None:
    """Tell how far a study is, from another terminal or later."""
    from study.external import entries
    from study.plan.graph import Plan
    from study.running import progress
    from study.running.locks import workers
    from study.search.trials import brief, states
    from study.store import RunState, Store

    searches = {state["variant"]: brief(state) for state in states(out)}
    searching = len(workers(out))
    if searches and not (out / "plan.json").is_file():
        if as_json:
            print(json.dumps({"running": False, "searching": searching, "searches": searches}, indent=1))
        else:
            _show_searches(Console(), searches, searching)
        return
    plan = Plan.of(out)
    store, live = Store(out), progress.read(out)
    known = {run.name: RunState.of(out, run.name).read() for run in plan.runs}
    running = bool(live) and not live["over"] and _alive(live["pid"])
    words = {run.name: RunState.word(known[run.name], store.has(run.stages["evaluate"]), running) for run in plan.runs}
    counts = Counter(words.values())
    made = sum(store.has(key) for key in plan.stages)
    others = entries.found(out, plan)
    facts = {
        "running": running,
        "stages": [made, len(plan.stages)],
        "runs": counts,
        "done": live.get("done") if running else None,
        "left_s": live.get("left_s") if running else None,
        "now": live.get("running", []) if running else [],
        "failed": {name: state.get("why", "") for name, state in known.items() if state.get("status") == "failed"},
        "diverged": {name: state.get("why", "") for name, state in known.items() if state.get("status") == "diverged"},
        "external": {one.run: one.why or "completed" for one in others},
        "searching": searching,
        "searches": searches,
    }
    if as_json:
        print(json.dumps(facts, indent=1))
        return
    console = Console()
    table = Table("run", "status", "why", "record", box=None)
    for name, state in known.items():
        table.add_row(name, words[name], state.get("why", ""), state.get("record", ""))
    for one in others:
        table.add_row(one.run, "missing" if one.why else "completed", one.why or "scored from files", "")
    console.print(table)
    text = ", ".join(f"{count} {word}" for word, count in sorted(counts.items()))
    console.print(f"{made}/{len(plan.stages)} stages; runs: {text}", highlight=False)
    if running:
        console.print(
            f"running: {live['done']:.0%} of this start's work, {progress.left(live['left_s'])}", highlight=False
        )
        for name in live["running"]:
            console.print(f"  {name}", highlight=False)
    else:
        console.print("nothing is running here", highlight=False)
    if searches:
        _show_searches(console, searches, searching)


@app.command()
def claims(
    out: Annotated[Path, typer.Argument(help="the output folder")] = Path("out"), as_json: AsJson = False
) -> None:
    """Tell what came of each of the paper's claims, and on what that rests."""
    from reports.analysis.claims import claims_table
    from study.results.frames import load

    results = load(out)
    table = claims_table(results)
    if as_json:
        rows = table.astype(object).where(table.notna(), None).to_dict("records")
        print(json.dumps(rows, indent=1, allow_nan=False))
        return
    _show_claims(table.to_dict("records"), results.study)


@app.command("diff")
def show_diff(
    a: Annotated[Path, typer.Argument(help="an output folder", metavar="OUT-A")],
    b: Annotated[Path, typer.Argument(help="the one that it is compared with", metavar="OUT-B")],
    as_json: AsJson = False,
) -> None:
    """Tell what changed from one output to another: configuration, code, data, stages, effects and claims."""
    from study.results import diff, show_diff

    found = diff.diff(a, b)
    if as_json:
        print(json.dumps(found, indent=1, allow_nan=False))
    else:
        show_diff.show(found, Console(width=None if sys.stdout.isatty() else 120))


def _show_searches(console: Console, searches: Mapping[str, Mapping[str, Any]], searching: int) -> None:
    """Each search in a line."""
    for name, facts in searches.items():
        best = facts["best"]
        told = f"best {best['validation_psnr_db']:.2f} dB, trial {best['trial']}" if best else "none completed yet"
        states = ", ".join(f"{facts[word]} {word}" for word in ("pruned", "diverged", "running", "failed"))
        text = f"search of {name}: {facts['ended']} of {facts['of']} trials ({states}); {told}"
        console.print(text, highlight=False, soft_wrap=True)
    console.print(f"processes that search here: {searching or 'none'}", highlight=False)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _show_claims(rows: list[dict[Any, Any]], study: Mapping[str, Any]) -> None:
    """The claims as a table: the sentence that decides, then what else was looked at. Names are text, not markup."""
    shown = Table("", "outcome", "claim, and what it rests on", box=None)
    for row in rows:
        told = Text.assemble((row["claim"], "bold"), *(f"\n{line}" for line in [row["why"], *row["beside"]]))
        shown.add_row(row["id"], Text.assemble(row["outcome"], (f"\n{row['scope']}", "dim")), told)
    console = Console(width=None if sys.stdout.isatty() else 100)
    console.print(Text(f"{study['name']}, profile {study['profile'] or 'none'}, {study['image_size']} px"))
    console.print(shown)
    console.print(Text(CLAIMS_LEGEND, style="dim"))
