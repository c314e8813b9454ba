"""Shows the result of ``study.results.diff`` in a terminal: tables with sentences. What is equal takes few words."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from reports.analysis.naming import metric_of
from study.errors import few
from study.results.diff import TEST_MASKS

FEW_NAMES, FEW_KEYS, MOST_DIGITS = 6, 10, 6
TEST_KEYS = ("image_size", "protocol.mask.", "protocol.seed")
"""Keys of the study that decide how all variants are tested, apart from the images."""

LEGEND = (
    "An effect is b minus a of the repaired image, with its 95% interval over seeds and images "
    "(reports.analysis.statistics); each interval holds on its own. * the interval excludes zero. Paired: "
    "all common seeds have the same start; otherwise the interval is Welch's."
)

Lines = Iterator[Table | str]
Names = Sequence[str]


def show(diff: Mapping[str, Any], console: Console) -> None:
    """Prints what ``diff`` returns."""
    for name in ("a", "b"):
        side = diff[name]
        facts = f"profile {side['profile'] or 'none'}, {side['image_size']} px"
        facts += f", {side['completed']} of {side['runs']} runs completed"
        console.print(Text(f"{name}: {side['out']}: {side['name']}, {facts}"), soft_wrap=True)
    for title, lines in (
        ("Configuration", _configuration(diff["configuration"])),
        ("Code and machine", _code(diff["code"])),
        ("Data", _data(diff)),
        ("Stages", _stages(diff)),
        ("Effects", _effects(diff["effects"])),
        ("Claims", _claims(diff["claims"])),
    ):
        console.print()
        console.print(Text(title, style="bold"))
        for line in lines:
            console.print(line if isinstance(line, Table) else Text(line))


def _table(columns: Names, rows: Iterable[Sequence[str | Text]], *, right: Names = (), whole: Names = ()) -> Table:
    """A plain table of text, not markup. Columns ``right`` are aligned to the right, ``whole`` are not wrapped."""
    table = Table(box=None, pad_edge=False)
    for column in columns:
        justify: Any = "right" if column in right else "left"
        table.add_column(column, justify=justify, no_wrap=column in whole, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    return table


def _listed(names: Names, most: int | None = None) -> str:
    return few(names, most or len(names))


def _configuration(configuration: Mapping[str, Any]) -> Lines:
    only = {what: sides for what, sides in configuration["only"].items() if sides["a"] or sides["b"]}
    changed, readings = configuration["changed"], configuration["readings"]
    if not (changed or readings or only):
        yield "no difference in configuration"
        return
    for title, rows in (("", changed), ("reading, and whether it departs from the text", readings)):
        if rows:
            yield _table((title, "a", "b", "where"), [_change(row) for row in rows])
    for what, sides in only.items():
        yield f"{what} " + "; ".join(f"only in {name}: {_listed(sides[name])}" for name in ("a", "b") if sides[name])
    if same := [what for what in configuration["only"] if what not in only]:
        yield f"the same by name: {_listed(same)}"


def _change(row: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """Key, a, b and where of a row. A star stands for several variants that are not one base with its cells."""
    variants, key, where = row["variants"] or [], row["key"], []
    # the cells of ablations and multiverses follow their base
    bases = [name for name in variants if ":" not in name or name.partition(":")[0] not in variants]
    if variants:
        key = f"variants.{bases[0] if len(bases) == 1 else '*'}.{key}"
    if len(variants) > 1 and len(variants) == row.get("having"):
        where = [f"every variant that has it ({len(variants)})"]
    elif len(variants) > 1:
        where = [_listed(bases, FEW_NAMES)] if len(bases) > 1 else []
        where += [f"with {len(variants) - len(bases)} cells"] if len(bases) < len(variants) else []
    a, b = ("not set" if v is None else v if isinstance(v, str) else json.dumps(v) for v in (row["a"], row["b"]))
    return key, a, b, "; ".join(filter(None, [", ".join(where), row.get("reading")]))


def _code(code: Mapping[str, Any]) -> Lines:
    if not code["parts"] and not code["stages"]:
        yield f"no difference in code: {code['same_parts']} parts that both use have the same versions"
    for row in code["parts"]:
        yield f"{row['name']}: version {row['a']} -> {row['b']}"
    if code["stages"]:
        yield f"another version of the code for these kinds of stage: {_listed(code['stages'])}"
    for name, parts in code["only"].items():
        if parts:
            yield f"parts used by {name} alone: {_listed(list(parts))}"
    for row in code["machine"]:
        a, b = (" and ".join(row[side]) or "unknown" for side in ("a", "b"))
        yield f"{row['name']}: {a} -> {b}"
    if same := [f"{name} {' and '.join(values)}" for name, values in code["same_machine"].items() if values]:
        yield f"{'the same' if code['machine'] else 'no difference in machine'}: {_listed(same)}"


def _data(diff: Mapping[str, Any]) -> Lines:
    if not any(row["kind"] == "images" for row in diff["data"]):
        yield "no data set is in both"
    for row in diff["data"]:
        if row["same"]:
            yield f"{row['name']}: the same" + (f" ({row['a'][:12]})" if row["a"] else "")
        elif row["same"] is None:
            yield f"{row['name']}: unknown whether it is the same (not packed in both); compared as different data"
        else:
            digests = " -> ".join((row[side] or "none")[:12] for side in ("a", "b"))
            apart = ", so images cannot be paired; compared as different data" if row["kind"] == "images" else ""
            yield f"{row['name']}: not the same ({digests}){apart}"
    test = [row["key"] for row in diff["configuration"]["changed"] if row["key"].startswith(TEST_KEYS)]
    test += [row["name"] for row in diff["data"] if row["name"] == TEST_MASKS and not row["same"]]
    if test:
        yield f"the test is not the same ({_listed(test)}): effects include this difference"


def _stages(diff: Mapping[str, Any]) -> Lines:
    stages = diff["stages"]
    counts = ("common", "same", "other", "not_made", "only_a", "only_b")
    total = {name: sum(row[name] for row in stages["kinds"]) for name in counts}
    if total["common"] == total["same"] and not total["only_a"] + total["only_b"]:
        yield f"no difference in stages: all {total['same']} have the same files, by their checksums"
        return
    heads = ("key in both", "same files", "other files", "not made", "only in a", "only in b")
    rows = [[row["kind"], *(str(row[name]) for name in counts)] for row in stages["kinds"]]
    yield _table(("", *heads), rows, right=heads)
    if stages["other"]:
        machine = [row["name"] for row in diff["code"]["machine"]]
        why = f"the machines differ in {_listed(machine)}" if machine else "nothing that is recorded explains it"
        listed = _listed(stages["other"], FEW_KEYS)
        yield f"{total['other']} have the same key but other files, which is an error; {why}: {listed}"


def _effects(effects: Sequence[Mapping[str, Any]]) -> Lines:
    if not effects:
        yield "no variant ran on a data set of both"
        return
    several = len({row["data"] for row in effects}) > 1
    places: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in effects:
        places[f"{row['variant']} on {row['data']}" if several else row["variant"]].append(row)
    same = [place for place, rows in places.items() if all(row["same_bits"] for row in rows)]
    shown = [_cells(place, row) for place, rows in places.items() if place not in same for row in rows]
    if same:
        yield f"no effect, identical scores: {_listed(same) if shown else 'all variants'}"
    if shown:
        columns = ("variant", "", "a", "b", "b - a", "seeds and images")
        yield _table(columns, shown, right=("a", "b"), whole=("", "a", "b", "b - a"))
        yield LEGEND


def _cells(place: str, row: Mapping[str, Any]) -> list[str | Text]:
    metric = metric_of(row["metric"])
    means = ["-" if row[side] is None else f"{row[side]:.{metric.digits}f}" for side in ("a", "b")]
    label = f"{metric.label} ({row['region']}{', ' if metric.unit else ''}{metric.unit})"
    effect = Text(_effect(row, metric.digits), style="bold" if row["apart"] else "")
    return [place, label, *means, effect, row["why"]]


def _effect(row: Mapping[str, Any], digits: int) -> str:
    """``+0.03 (-0.01 to +0.07)``, with a star where the interval excludes zero, and more digits where it is small."""
    if row["difference"] is None:
        return "not scored by both"
    if row["low"] is None:
        return f"{row['difference']:+.{digits}f} (no interval)"
    half = (row["high"] - row["low"]) / 2
    visible = [half, row["low"], row["high"]] if row["apart"] else [half]
    while half and digits < MOST_DIGITS and not all(round(value, digits) for value in visible):
        digits += 1
    effect, low, high = (f"{row[name]:+.{digits}f}" for name in ("difference", "low", "high"))
    return f"{effect} ({low} to {high}){' *' if row['apart'] else ''}"


def _claims(claims: Sequence[Mapping[str, Any]]) -> Lines:
    changed, same = [], defaultdict(list)
    for row in claims:
        if row["changed"]:
            outcomes = (f"{row[side]} ({row[f'scope_{side}']})" for side in ("a", "b"))
            changed.append((row["id"], *outcomes, row["claim"]))
        else:
            same[row["a"]].append(row["id"])
    yield _table(("", "a", "b", "claim"), changed, whole=("", "a", "b")) if changed else "no difference in claims"
    if same:
        yield "the same: " + "; ".join(f"{outcome} {_listed(ids)}" for outcome, ids in same.items())
