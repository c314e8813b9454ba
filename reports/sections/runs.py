"""What was run: data, budget, seeds and runs beside the paper's, what they could detect, and what went wrong."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from reports.analysis import tables
from reports.analysis.frames import EXTERNAL, Frames, NoDataError
from reports.analysis.naming import label, metric_of
from reports.analysis.published import paper
from reports.document import (
    NOT_RECORDED,
    Cell,
    Facts,
    Section,
    TableView,
    block_or_note,
    duration,
    number,
    text,
    words,
)
from reports.sections.common import table_view, unit


def runs(frames: Frames) -> Section:
    """What was run, what it could have detected, and what went wrong."""
    blocks = [Facts(facts(frames)), block_or_note(trouble, frames), block_or_note(detectable, frames)]
    return Section(id="run", title="What was run", blocks=blocks, folded=True)


def mixed(frames: Frames) -> str:
    """A warning if stages were made on different devices or with different versions of torch; otherwise ""."""
    parts = []
    for column, name in (("device", "devices"), ("torch", "versions of torch")):
        values = [str(each) for each in frames.stages[column].dropna().unique()]
        if len(values) > 1:
            parts.append(f"{name} ({', '.join(values)})")
    return (
        f"The stages were trained on different {' and '.join(parts)}, so results may differ in their last digits."
        if parts
        else ""
    )


def facts(frames: Frames) -> list[tuple[str, str]]:
    """The data, image size, budget, seeds and runs of the study, compared with the paper's."""
    study, runs = frames.study, frames.runs
    given = paper()
    size = study["image_size"]
    data = [
        f"{entry['name']} ({words(entry.get('kind'))}): {words(entry.get('train'))} train, "
        f"{words(entry.get('validation'))} validation, {words(entry.get('test'))} test"
        for entry in study["data"] or []
    ]
    others = runs[runs["method"] == EXTERNAL]
    runs = runs[runs["method"] != EXTERNAL]
    counts = [f"{int(n):,} {status}" for status, n in runs["status"].value_counts().items()]
    files = ", ".join(_files(others))
    left_out = list(_left_out(frames))
    return [
        ("Data", "; ".join(data) or NOT_RECORDED),
        ("Image size", f"{size} px (the paper: {given['image_size']})" if size else NOT_RECORDED),
        (
            "Budget",
            f"{words(study['generator_updates'])} updates of the generator, batch {words(study['batch'])} "
            f"(the paper: {given['steps']['pretrain'] + given['steps']['joint']:,}, batch {given['batch']})",
        ),
        ("Seeds", words(study["seeds"])),
        ("Runs", f"{len(runs):,} of {runs['variant'].nunique()} variants: {', '.join(counts) or 'none'}"),
        *([("Scored from files", f"{files}; external: not trained here")] if files else []),
        *([("Left out", "; ".join(left_out))] if left_out else []),
        ("Profile and scope", f"{words(study['profile'])}, {words(study['scope'])}"),
        ("Machine time", duration(study["seconds"])),
        ("Made", words(study["made"]).replace("T", " ").replace("+00:00", " UTC")),
    ]


def _left_out(frames: Frames) -> Iterator[str]:
    """What the command left out of the study file; the cells of its ablations and readings are counted."""
    variants, seeds = frames.study["left_out"] or {}, frames.study["left_out_seeds"]
    ran = set(frames.runs["variant"])
    for option in ("--only", "--claims"):
        own = {name: entry.get("data") for name, entry in variants.items() if entry.get("by", "--only") == option}
        parts = {name: f" on {words(sets)}" if sets and name in ran else "" for name, sets in own.items()}
        named = [name + part for name, part in parts.items() if ":" not in name]
        cells = len(own) - len(named)
        if own:
            yield words([*named, *([f"{cells} of ablations and readings"] if cells else [])]) + f" (by {option})"
    if seeds:
        yield f"seed {words(seeds)} (by --seeds)"


def _files(others: pd.DataFrame) -> Iterator[str]:
    """The variants scored from files, with their numbers of seeds."""
    for variant, own in others.groupby("variant", sort=False):
        seeds = "no seeds" if (own["start"] == "").all() else f"{len(own)} seed{'s' * (len(own) > 1)}"
        yield f"{variant} ({seeds})"


def detectable(frames: Frames) -> TableView:
    """The minimum detectable effect of each contrast, compared with the paper's own gain."""
    parts = []
    for data in frames.data_sets():
        try:
            parts.append(tables.detectable_table(frames, data).assign(data=data))
        except NoDataError:
            continue
    if not parts:
        raise NoDataError("No two variants that the paper compares ran.")
    table = pd.concat(parts, ignore_index=True)

    def cells(row: dict[str, Any]) -> list[Cell]:
        digits = metric_of(row["metric"]).digits
        return [
            Cell(f"{label(row['a'])} − {label(row['b'])}"),
            text(row["data"]),
            Cell(unit(row["metric"], row["region"])),
            number(row["published"], digits, sign="+"),
            number(row["detectable"], digits + 1),
            Cell(f"{row['seeds_a']} and {row['seeds_b']} seeds", below=f"{row['images']:,} images"),
        ]

    return table_view(
        table,
        cells,
        name="detectable",
        caption="The minimum detectable effect (80% power) with these seeds and images, and the paper's own gain. "
        "Smaller effects are mostly missed.",
        headings=["Comparison", "Data", "Metric", "The paper's gain", "Detectable here", "n"],
    )


def trouble(frames: Frames) -> TableView:
    """The table of runs that did not complete, and of warnings."""
    table = tables.trouble_table(frames)
    if frames.runs.empty:
        raise NoDataError("No run is recorded.")
    if table.empty:
        raise NoDataError("Every run completed, without a warning.")
    return table_view(
        table,
        lambda row: [Cell(row["run"]), Cell(row["status"]), number(row["diverged_at"]), text(row["why"])],
        name="trouble",
        caption="Runs that did not complete, and warnings. Runs that did not complete are in no mean; a diverged run "
        "blocks its variant's claims.",
        headings=["Run", "Status", "At step", "Why"],
    )
