"""What ``study.results.diff`` found, in a terminal: tables with sentences; what is equal in a few words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from reports.analysis.naming import metric_of
from study.results.diff import TEST_MASKS

FEW_NAMES, FEW_KEYS, MOST_DIGITS = 6, 10, 6
OF_THE_TEST = ("image_size", "protocol.mask.", "protocol.seed")
"""Keys of the study that say how all are tested, images apart."""

LEGEND = (
    "An effect is b less a of the repaired image, with its 95% interval over seeds and images "
    "(reports.analysis.statistics); each interval holds by itself. * it does not hold zero. Paired: "
    "every seed of both begins at the same start; else the interval is Welch's."
)


def show(found: Mapping[str, Any], console: Console) -> None:
    """What ``diff`` found, as tables with sentences; what is equal in a few words."""

    for name in ("a", "b"):
        side = found[name]
        profile = f"profile {side['profile'] or 'none'}, {side['image_size']} px"
        told = f"{side['name']}, {profile}, {side['completed']} of {side['runs']} runs completed"
        console.print(Text(f"{name}: {side['out']}: {told}"), soft_wrap=True)
    for title, lines in (
        ("Configuration", _show_configuration(found["configuration"])),
        ("Code and machine", _show_code(found["code"])),
        ("Data", _show_data(found)),
        ("Stages", _show_stages(found)),
        ("Effects", _show_effects(found["effects"])),
        ("Claims", _show_claims(found["claims"])),
    ):
        console.print()
        console.print(Text(title, style="bold"))
        for line in lines:
            console.print(line if isinstance(line, Table) else Text(line))


Lines = Iterator[Table | str]


def _table(*columns: str, right: Sequence[str] = (), whole: Sequence[str] = ()) -> Table:
    """A plain table; the columns ``whole`` are not wrapped."""
    table = Table(box=None, pad_edge=False)
    for column in columns:
        justify: Any = "right" if column in right else "left"
        table.add_column(column, justify=justify, no_wrap=column in whole, overflow="fold")
    return table


def _show_configuration(found: Mapping[str, Any]) -> Lines:
    only = {what: sides for what, sides in found["only"].items() if sides["a"] or sides["b"]}
    if not found["changed"] and not found["readings"] and not only:
        yield "no difference in configuration"
        return
    for title, rows in (("", found["changed"]), ("reading, and whether it departs from the text", found["readings"])):
        if rows:
            table = _table(title, "a", "b", "where")
            for row in rows:
                where = "; ".join(filter(None, [_where(row), row.get("reading")]))
                table.add_row(*map(Text, (_key(row), _plain(row["a"]), _plain(row["b"]), where)))
            yield table
    for what, sides in only.items():
        told = [f"only in {name}: {_listed(sides[name], len(sides[name]))}" for name in ("a", "b") if sides[name]]
        yield f"{what} {'; '.join(told)}"
    same = [what for what in found["only"] if what not in only]
    if same:
        yield f"the same by name: {', '.join(same)}"


def _key(row: Mapping[str, Any]) -> str:
    """``variants.proposed.weights.local``; with a star where it is so in several that no one base stands for."""
    bases = _bases(row["variants"] or [])
    if not bases:
        return str(row["key"])
    return f"variants.{bases[0] if len(bases) == 1 else '*'}.{row['key']}"


def _where(row: Mapping[str, Any]) -> str:
    """The variants that a key with a star or a base stands for."""
    variants = row["variants"] or []
    if len(variants) < 2:
        return ""
    if len(variants) == row.get("having"):
        return f"every variant that has it ({len(variants)})"
    bases = _bases(variants)
    cells = f"with {len(variants) - len(bases)} cells" if len(bases) < len(variants) else ""
    return ", ".join(filter(None, [_listed(bases) if len(bases) > 1 else "", cells]))


def _bases(variants: Sequence[str]) -> list[str]:
    """The variants without the cells of ablations and multiverses whose base is among them, as it follows for these."""
    return [name for name in variants if ":" not in name or name.partition(":")[0] not in variants]


def _listed(names: Sequence[Any], most: int = FEW_NAMES) -> str:
    more = len(names) - most
    return ", ".join(map(str, names[:most])) + (f" and {more} more" if more > 0 else "")


def _plain(value: Any) -> str:
    if value is None:
        return "not set"
    return value if isinstance(value, str) else json.dumps(value)


def _show_code(found: Mapping[str, Any]) -> Lines:
    if not found["parts"] and not found["stages"]:
        yield f"no difference in code: {found['same_parts']} parts that both use have the same versions"
    for row in found["parts"]:
        yield f"{row['name']}: version {row['a']} -> {row['b']}"
    if found["stages"]:
        yield f"another version of what makes these kinds of stage: {', '.join(found['stages'])}"
    for name, parts in found["only"].items():
        if parts:
            yield f"parts used by {name} alone: {_listed(list(parts), len(parts))}"
    for row in found["machine"]:
        yield f"{row['name']}: {_values(row['a'])} -> {_values(row['b'])}"
    same = [f"{name} {_values(values)}" for name, values in found["same_machine"].items() if values]
    if same:
        yield f"{'no difference in machine' if not found['machine'] else 'the same'}: {', '.join(same)}"


def _values(values: Sequence[str]) -> str:
    return " and ".join(values) or "not known"


def _show_data(found: Mapping[str, Any]) -> Lines:
    if not any(row["kind"] == "images" for row in found["data"]):
        yield "no data set is in both"
    for row in found["data"]:
        if row["same"]:
            yield f"{row['name']}: the same" + (f" ({row['a'][:12]})" if row["a"] else "")
        elif row["same"] is None:
            yield f"{row['name']}: not packed in both, so that nobody knows; compared as different data"
        else:
            told = " -> ".join((row[side] or "none")[:12] for side in ("a", "b"))
            apart = ", so that images cannot be paired; compared as different data" if row["kind"] == "images" else ""
            yield f"{row['name']}: not the same ({told}){apart}"
    test = [row["key"] for row in found["configuration"]["changed"] if row["key"].startswith(OF_THE_TEST)]
    test += [row["name"] for row in found["data"] if row["name"] == TEST_MASKS and not row["same"]]
    if test:
        yield f"the test is not the same ({', '.join(test)}): an effect is of that, too"


def _show_stages(found: Mapping[str, Any]) -> Lines:
    stages = found["stages"]
    counts = ("common", "same", "other", "not_made", "only_a", "only_b")
    total = {name: sum(row[name] for row in stages["kinds"]) for name in counts}
    if total["common"] == total["same"] and not total["only_a"] + total["only_b"]:
        yield f"no difference in stages: all {total['same']} are the same bits, by their checksums"
        return
    heads = ("key in both", "same bits", "other bits", "not made", "only in a", "only in b")
    table = _table("", *heads, right=heads)
    for row in stages["kinds"]:
        table.add_row(row["kind"], *(str(row[name]) for name in counts))
    yield table
    if stages["other"]:
        differ = [row["name"] for row in found["code"]["machine"]]
        why = f"what made them differs in {', '.join(differ)}" if differ else "nothing that is recorded explains it"
        yield (
            f"{total['other']} have the same key but other bits, which must not be; {why}: "
            f"{_listed(stages['other'], FEW_KEYS)}"
        )


def _show_effects(effects: Sequence[Mapping[str, Any]]) -> Lines:
    if not effects:
        yield "no variant ran on a data set of both"
        return
    places = list(dict.fromkeys((row["data"], row["variant"]) for row in effects))
    rows = {place: [row for row in effects if (row["data"], row["variant"]) == place] for place in places}
    same = [place for place in places if all(row["same_bits"] for row in rows[place])]
    several = len({data for data, _ in places}) > 1
    if same:
        told = [f"{variant} on {data}" if several else variant for data, variant in same]
        every = "all variants" if len(same) == len(places) else ", ".join(told)
        yield f"the same to the last bit, so that the effect is nil: {every}"
    if len(same) == len(places):
        return
    shown = [row for place in places if place not in same for row in rows[place]]
    (usual, _), *others = Counter(row["why"] for row in shown).most_common()
    columns = ("variant", "", "a", "b", "b - a", *(["rests on"] if others else []))
    table = _table(*columns, right=("a", "b"), whole=("", "a", "b", "b - a"))
    last, said = None, usual
    for row in shown:
        place = (row["data"], row["variant"])
        metric = metric_of(row["metric"])
        basis = "" if row["why"] == usual else "the same" if place == last and row["why"] == said else row["why"]
        table.add_row(
            Text("" if place == last else f"{row['variant']} on {row['data']}" if several else row["variant"]),
            f"{metric.label} ({row['region']}{', ' if metric.unit else ''}{metric.unit})",
            *(_rounded(row[side], metric.digits) for side in ("a", "b")),
            Text(_in_words(row, metric.digits), style="bold" if row["apart"] else ""),
            *([Text(basis)] if others else []),
        )
        last, said = place, row["why"]
    yield table
    yield f"{'where nothing else is said, an effect' if others else 'each effect'} rests on {usual}"
    yield LEGEND


def _rounded(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _in_words(row: Mapping[str, Any], digits: int) -> str:
    """``+0.03 (-0.01 to +0.07)``, with a star where the interval does not hold zero; more digits if small."""
    if row["difference"] is None:
        return "not scored by both"
    if row["low"] is None:
        return f"{row['difference']:+.{digits}f} (no interval)"
    half = (row["high"] - row["low"]) / 2
    while half and digits < MOST_DIGITS and (round(half, digits) == 0 or (row["apart"] and 0 in _ends(row, digits))):
        digits += 1
    effect = f"{row['difference']:+.{digits}f}"
    return f"{effect} ({row['low']:+.{digits}f} to {row['high']:+.{digits}f}){' *' if row['apart'] else ''}"


def _ends(row: Mapping[str, Any], digits: int) -> tuple[float, float]:
    return round(row["low"], digits), round(row["high"], digits)


def _show_claims(claims: Sequence[Mapping[str, Any]]) -> Lines:
    changed = [row for row in claims if row["changed"]]
    if not changed:
        yield "no difference in claims"
    else:
        table = _table("", "a", "b", "claim", whole=("", "a", "b"))
        for row in changed:
            outcomes = [f"{row[side]} ({row[f'scope_{side}']})" for side in ("a", "b")]
            table.add_row(row["id"], *outcomes, row["claim"])
        yield table
    same: dict[str, list[str]] = {}
    for row in claims:
        if not row["changed"]:
            same.setdefault(row["a"], []).append(row["id"])
    if same:
        yield "the same: " + "; ".join(f"{outcome} {', '.join(ids)}" for outcome, ids in same.items())
