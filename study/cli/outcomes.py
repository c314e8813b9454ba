"""Commands that show results: ``status``, ``claims``, ``diff``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from study.cli import options
from study.cli.terminal import print_json, wide

if TYPE_CHECKING:
    from study.results.frames import Results

IMPORTANT = 3
"""Claims that are named at the end of a run."""
Folder = Annotated[Path, typer.Argument(help="the output folder")]
CLAIMS_LEGEND = (
    "A claim needs all of its links. An effect is the first minus the second. Minimum detectable effect: the true "
    "effect that this n tells from zero in four studies of five. Adjusted: the p value after Holm's adjustment for all "
    "claims that were tested by chance; at 0.05 or less the outcome stands. Below each outcome is its scope. Unless "
    "that is paper, the outcome holds for this study only."
)


def status(out: Folder = Path("out"), as_json: options.AsJson = False) -> None:
    """Show the progress of a study, from another terminal or later."""
    from study.results.status import status as read_status

    facts, runs = read_status(out)
    if as_json:
        print_json(facts)
        return
    console = Console()
    if runs is not None:
        _show_runs(console, facts, runs)
    if facts["searches"]:
        _show_searches(console, facts["searches"], facts["searching"])


def claims(out: Folder = Path("out"), as_json: options.AsJson = False) -> None:
    """Show the outcome of each of the paper's claims, and the evidence for it."""
    from reports.analysis.claims import claims_table
    from reports.analysis.looks import looks_in_words
    from reports.analysis.statistics import OUTCOMES, p_in_words
    from study.results.frames import load

    results = load(out)
    table = claims_table(results)
    if as_json:
        print_json(table.astype(object).where(table.notna(), None).to_dict("records"))
        return
    shown = Table("", "outcome", "claim and evidence", box=None)
    for row in table.to_dict("records"):
        lines = [(link["name"], f"{link['outcome']}: ", link["why"]) for link in row["links"]]
        lines += [(control["name"], "control: ", control["why"]) for control in row["controls"]]
        evidence = Text.assemble((row["claim"], "bold"))
        for name, outcome, why in lines:
            evidence.append_text(Text.assemble(f"\n{name}: ", (outcome, "italic"), why))
        if row["holds_adjusted"] is not None:
            stands = "stands" if row["holds_adjusted"] else "does not stand"
            evidence.append(f"\nadjusted for {table['p'].count()} claims: p {p_in_words(row['p_holm'])}; {stands}")
        shown.add_row(row["id"], Text.assemble(row["outcome"], (f"\n{row['scope']}", "dim")), evidence)
    console, study = wide(100), results.study
    console.print(Text(f"{study['name']}, profile {study['profile'] or 'none'}, {study['image_size']} px"))
    console.print(shown)
    meanings = (f"{outcome}: {meaning}" for outcome, meaning in OUTCOMES.items())
    legend = [*meanings, CLAIMS_LEGEND, looks_in_words(results)]
    console.print(Text("\n".join(filter(None, legend)), style="dim"))


def in_short(results: Results) -> list[str]:
    """The tally of the outcomes, and the three claims that matter most, a line each.

    These are the paper's first claim, which is its main one, the first that is contradicted, and the first that is
    supported. What stands after adjustment goes first, and what was measured before what the networks alone decide.
    """
    from reports.analysis.claims import claims_table
    from reports.analysis.statistics import OUTCOMES

    table = claims_table(results)
    table = table[table["adversarial_share"].isna()]  # the others ask the same again, with scaled weights
    counts = table["outcome"].value_counts()
    tally = ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES if outcome in counts)
    tested = table[table["outcome"] != "not tested"].to_dict("records")
    rows = [{str(name): value for name, value in row.items()} for row in tested]
    named, others = rows[:1], rows[1:]
    others.sort(key=lambda row: (row["p"] != row["p"], row["holds_adjusted"] is False))
    for outcomes in (("contradicted", "equivalent"), ("supported", "partly tested")):
        named += [row for row in others if row["outcome"] in outcomes][:1]
    named += [row for row in others if row not in named]
    return [f"claims of the paper: {tally}{_speaks_of(results)}", *map(_claim_line, named[:IMPORTANT])]


def _claim_line(row: Mapping[str, Any]) -> str:
    """A claim with its outcome, and the effect that decides it."""
    effect = f" ({row['link']}: {_effect(row)})" if row["effect"] == row["effect"] else ""
    falls = "; not after adjustment for all claims" if row["holds_adjusted"] is False else ""
    return f"  {row['id']} {row['outcome']}: {row['claim'].rstrip('.')}{effect}{falls}"


def _speaks_of(results: Results) -> str:
    """What the outcomes cannot say."""
    if "demo" in (results.study["profile"], results.study["scope"]):
        return "; a demonstration, which cannot confirm or refute the paper"
    return "" if results.study["scope"] == "paper" else "; of this study alone: its data, size or schedule differ"


def _effect(row: Mapping[str, Any]) -> str:
    """A claim's effect with its unit and interval."""
    digits = 0 if row["effect"] == round(row["effect"]) else 2 if row["unit"] else 3
    bounds = "" if row["low"] != row["low"] else f" [{row['low']:+.{digits}f}, {row['high']:+.{digits}f}]"
    unit = f" {row['unit']}" if row["unit"] else ""
    return f"{row['effect']:+,.{digits}f}{unit}{bounds}"


def diff(
    a: Annotated[Path, typer.Argument(help="an output folder", metavar="OUT-A")],
    b: Annotated[Path, typer.Argument(help="the output folder to compare with it", metavar="OUT-B")],
    as_json: options.AsJson = False,
) -> None:
    """Show what changed from one output to another: configuration, code, data, stages, effects and claims."""
    from study.results import diff, show_diff

    found = diff.diff(a, b)
    if as_json:
        print_json(found)
    else:
        show_diff.show(found, wide())


def _show_runs(console: Console, facts: Mapping[str, Any], runs: list[tuple[str, str, str, str]]) -> None:
    """A row per run, then the totals and what is running."""
    from study.running import progress

    table = Table("run", "status", "why", "record", box=None)
    for row in runs:
        table.add_row(*row)
    console.print(table)
    made, stages = facts["stages"]
    counts = ", ".join(f"{count} {word}" for word, count in sorted(facts["runs"].items()))
    lines = [f"{made}/{stages} stages; runs: {counts}"]
    if facts["running"]:
        lines.append(f"running: {facts['done']:.0%} of this start's work, {progress.left(facts['left_s'])}")
        lines += [f"  {name}" for name in facts["now"]]
    else:
        lines.append("nothing is running here")
    for line in lines:
        console.print(line, highlight=False)


def _show_searches(console: Console, searches: Mapping[str, Mapping[str, Any]], searching: int) -> None:
    """A line per search."""
    for name, facts in searches.items():
        best = facts["best"]
        text = f"best {best['validation_psnr_db']:.2f} dB, trial {best['trial']}" if best else "none completed yet"
        counts = ", ".join(f"{facts[word]} {word}" for word in ("pruned", "diverged", "running", "failed"))
        line = f"search of {name}: {facts['ended']} of {facts['of']} trials ({counts}); {text}"
        console.print(line, highlight=False, soft_wrap=True)
    console.print(f"processes that search here: {searching or 'none'}", highlight=False)
