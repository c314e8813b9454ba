"""Commands that show results: ``status``, ``claims``, ``diff``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from study.cli import options
from study.cli.terminal import print_json, wide
from study.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd

    from study.results.frames import Results

IMPORTANT = 3
"""Claims that are named at the end of a run."""
Folder = Annotated[Path, typer.Argument(help="the output folder", metavar="OUT")]
CLAIMS_LEGEND = (
    "A claim needs all of its links. An effect is the first minus the second. Minimum detectable effect: the true "
    "effect that this n tells from zero in four studies of five. Adjusted: the p value after Holm's adjustment for all "
    "claims that were tested by chance; at 0.05 or less the outcome stands. Unless the scope is paper, an outcome "
    "holds for this study only."
)


def status(
    out: Folder = Path("out"),
    each: Annotated[bool, typer.Option("--runs", help="List every run, with the number of its Sacred record.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Show the progress of a study, from another terminal or later."""
    from study.results.status import status as read_status

    facts, runs = read_status(out)
    if as_json:
        print_json(facts)
        return
    console = wide()
    if runs is not None:
        _show_runs(console, facts, runs, each)
    if facts["searches"]:
        _show_searches(console, facts["searches"], facts["searching"])


def claims(
    out: Folder = Path("out"),
    ids: Annotated[
        list[str] | None, typer.Argument(help="claims to show the evidence of, such as C3", metavar="CLAIM")
    ] = None,
    evidence: Annotated[bool, typer.Option("--evidence", help="Show the evidence of all claims.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Show the outcome of each claim of the paper. For the claims that are named, also all of their evidence."""
    from reports.analysis.claims import claims_table
    from reports.analysis.looks import looks_in_words
    from reports.analysis.statistics import OUTCOMES
    from study.results.frames import load

    results = load(out)
    table = claims_table(results)
    if ids:
        chosen = {name.upper() for name in ids}
        known = table["id"].str.upper()
        if unknown_ids := sorted(chosen - set(known)):
            raise BadInput(f"{' and '.join(unknown_ids)}: not a claim here; choose {', '.join(table['id'])}")
        table = table[known.isin(chosen)]
    if as_json:
        print_json(table.astype(object).where(table.notna(), None).to_dict("records"))
        return
    console, study = wide(), results.study
    scopes = {*table["scope"]}
    scope = f", scope {min(scopes)}" if len(scopes) == 1 else ""
    console.print(Text(f"{study['name']}, profile {study['profile'] or 'none'}, {study['image_size']} px{scope}"))
    full = evidence or bool(ids)
    shown = Table("", "outcome", "claim and evidence" if full else "claim, and what decides", box=None, pad_edge=False)
    tested = int(claims_table(results)["p"].count())
    for row in _rows(table):
        said = Text.assemble((row["claim"], "bold"))
        said.append_text(_evidence(row, tested) if full else Text(f"\n{_decides(row)}" if _known(row) else ""))
        own = "" if scope else f"\n{row['scope']}"
        shown.add_row(row["id"], Text.assemble(row["outcome"], (own, "dim")), said)
    console.print(shown)
    meanings = (f"{outcome}: {meaning}" for outcome, meaning in OUTCOMES.items())
    more = None if full else "The evidence of a claim, such as the first: add its id, C1."
    legend = [*meanings, CLAIMS_LEGEND, looks_in_words(results), more]
    console.print(Text("\n".join(filter(None, legend)), style="dim"))


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _evidence(row: Mapping[str, Any], tested: int) -> Text:
    """The sentences on the links and controls of a claim. ``tested``: how many claims have a p value."""
    from reports.analysis.statistics import p_in_words

    lines = [(link["name"], f"{link['outcome']}: ", link["why"]) for link in row["links"]]
    lines += [(control["name"], "control: ", control["why"]) for control in row["controls"]]
    text = Text()
    for name, outcome, why in lines:
        text.append_text(Text.assemble(f"\n{name}: ", (outcome, "italic"), why))
    if row["holds_adjusted"] is not None:
        stands = "stands" if row["holds_adjusted"] else "does not stand"
        text.append(f"\nadjusted for {tested} claims: p {p_in_words(row['p_holm'])}; {stands}")
    return text


def _known(row: Mapping[str, Any]) -> bool:
    """True if a claim has an effect."""
    return bool(row["effect"] == row["effect"] and row["effect"] is not None)


def _decides(row: Mapping[str, Any]) -> str:
    """The link that decides a claim, with its effect and n."""
    falls = "; not after adjustment for all claims" if row["holds_adjusted"] is False else ""
    return f"{row['link']}: {_effect(row)}, {row['counts']}{falls}"


def in_short(results: Results) -> list[str]:
    """The tally of the outcomes, and the three claims that matter most, a line each.

    These are the paper's first claim, which is its main one, the first that is contradicted, and the first that is
    supported. What stands after adjustment goes first, and what was measured before what the networks alone decide.
    """
    from reports.analysis.claims import as_printed
    from reports.analysis.statistics import OUTCOMES

    table = as_printed(results)
    counts = table["outcome"].value_counts()
    tally = ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES if outcome in counts)
    rows = _rows(table[table["outcome"] != "not tested"])
    named, others = rows[:1], rows[1:]
    others.sort(key=lambda row: (row["p"] != row["p"], row["holds_adjusted"] is False))
    for outcomes in (("contradicted", "equivalent"), ("supported", "partly tested")):
        named += [row for row in others if row["outcome"] in outcomes][:1]
    named += [row for row in others if row not in named]
    return [f"claims of the paper: {tally}{_speaks_of(results)}", *map(_claim_line, named[:IMPORTANT])]


def _claim_line(row: Mapping[str, Any]) -> str:
    """A claim with its outcome, and the effect that decides it."""
    effect = f" ({row['link']}: {_effect(row)})" if _known(row) else ""
    falls = "; not after adjustment for all claims" if row["holds_adjusted"] is False else ""
    return f"  {row['id']} {row['outcome']}: {row['claim'].rstrip('.')}{effect}{falls}"


def _speaks_of(results: Results) -> str:
    """What the outcomes cannot say."""
    if "demo" in (results.study["profile"], results.study["scope"]):
        return "; a demonstration, which cannot confirm or refute the paper"
    return "" if results.study["scope"] == "paper" else "; of this study alone: its data, size or schedule differ"


def _effect(row: Mapping[str, Any]) -> str:
    """A claim's effect with its unit and interval."""
    from reports.analysis.naming import shown_digits

    digits = shown_digits(row["effect"], row["low"], row["high"])
    bounds = "" if row["low"] != row["low"] else f" [{row['low']:+z.{digits}f}, {row['high']:+z.{digits}f}]"
    unit = f" {row['unit']}" if row["unit"] else ""
    return f"{row['effect']:+z,.{digits}f}{unit}{bounds}"


def diff(
    a: Annotated[Path, typer.Argument(help="an output folder", metavar="OUT-A")],
    b: Annotated[Path, typer.Argument(help="the output folder to compare with it", metavar="OUT-B")],
    as_json: options.AsJson = False,
) -> None:
    """Show what changed from one output to another. Configuration, code, data, stages, effects and claims."""
    from study.results import diff, show_diff

    found = diff.diff(a, b)
    if as_json:
        print_json(found)
    else:
        show_diff.show(found, wide())


def _show_runs(console: Console, facts: Mapping[str, Any], runs: list[tuple[str, str, str, str]], each: bool) -> None:
    """A line per variant, or per run, then what there is to know of single runs, the totals, and what is running."""
    from study.running import progress

    table = Table(box=None, pad_edge=False)
    if each:
        for column in ("run", "status", "record", "why"):
            table.add_column(column, overflow="fold", no_wrap=column in ("status", "record"))
        for name, word, why, record in runs:
            table.add_row(Text(name), word, record, Text(why))
    else:
        table.add_column("variant", overflow="fold")
        table.add_column("runs", overflow="fold")
        counts: dict[str, Counter[str]] = {}
        for name, word, _, _ in runs:
            counts.setdefault(name.rpartition("/")[0], Counter())[word] += 1
        alone = len({name.rpartition("/")[2] for name in counts}) == 1  # then the data set's name says nothing
        for name, words in counts.items():
            table.add_row(Text(name.rpartition("/")[0] if alone else name), _counted(words))
    console.print(table)
    made, stages = facts["stages"]
    lines = [] if each else [f"{word}: {name}: {why}" for name, word, why, _ in runs if why and word != "missing"]
    lines.append(f"{made}/{stages} stages; runs: {_counted(facts['runs'])}")
    if facts["running"]:
        lines.append(f"running: {facts['done']:.0%} of this start's work, {progress.left(facts['left_s'])}")
        lines += [f"  {name}" for name in facts["now"]]
    else:
        lines.append("nothing is running here")
    lines += facts["waiting"]
    for line in lines:
        console.print(Text(line), soft_wrap=True)


def _counted(words: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {word}" for word, count in sorted(words.items()))


def _show_searches(console: Console, searches: Mapping[str, Mapping[str, Any]], searching: int) -> None:
    """A line per search."""
    for name, facts in searches.items():
        best = facts["best"]
        text = f"best {best['validation_psnr_db']:.2f} dB, trial {best['trial']}" if best else "none completed yet"
        counts = ", ".join(f"{facts[word]} {word}" for word in ("pruned", "diverged", "running", "failed"))
        line = f"search of {name}: {facts['ended']} of {facts['of']} trials ({counts}); {text}"
        console.print(line, soft_wrap=True)
    console.print(f"processes that search here: {searching or 'none'}")
