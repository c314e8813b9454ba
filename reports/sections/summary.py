"""The summary: scope, data and budget, the outcome of each claim, and failed runs."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pandas as pd

from reports.analysis import tables
from reports.analysis.claims import claims_table, links_table
from reports.analysis.frames import EXTERNAL, Frames, NoDataError
from reports.analysis.looks import looks_in_words
from reports.analysis.naming import label, metric_of
from reports.analysis.published import paper
from reports.analysis.statistics import OUTCOMES, p_in_words
from reports.document import (
    NONE,
    NOT_RECORDED,
    Block,
    Cell,
    Facts,
    Note,
    Section,
    TableView,
    block_or_note,
    duration,
    interval,
    number,
    text,
    words,
)
from reports.sections.common import intervals, records, table_view, unit

RULE = (
    " ".join(f"{outcome.capitalize()}: {meaning}" for outcome, meaning in OUTCOMES.items())
    + " The margin is the paper's own gain over GLCIC. What is computed from the networks is exact. A claim needs all "
    "of its links; the effect shown is of the named contrast, which decides."
)

ADJUSTED = (
    "Each claim is tested on its own, and of many such tests some err. The adjusted p value counts all claims that "
    "were tested by chance (Holm's method). At 0.05 or less the outcome stands."
)


def summary(frames: Frames) -> Section:
    """The report's first section."""
    blocks: list[Block] = [Note(scope(frames), "scope")]
    blocks += [Note(text, "scope") for text in (answered_twice(frames), mixed(frames)) if text]
    blocks += [
        Facts(facts(frames)),
        block_or_note(claims, frames),
        Note(" ".join(filter(None, [RULE, ADJUSTED, looks_in_words(frames)]))),
        block_or_note(detectable, frames),
        block_or_note(trouble, frames),
    ]
    return Section(id="summary", title="Which claims held up", blocks=blocks)


def scope(frames: Frames) -> str:
    """What the study's outcomes apply to, in a sentence."""
    study = frames.study
    if "demo" in (study["profile"], study["scope"]):
        entries = study["data"] or []
        named = sorted({"procedural faces" if each.get("kind") == "faces" else str(each["name"]) for each in entries})
        return (
            f"This is a demonstration on {words(named)}: small images and a short schedule in place of the paper's "
            f"photographs and {paper()['cost']}. It shows how the paper is put to the test. It neither confirms nor "
            "refutes the paper."
        )
    if study["scope"] == "paper":
        return "Scope: paper. The data, the image size and the schedule are the paper's own."
    return (
        f"Scope: {words(study['scope'])}. The data, the image size or the schedule are not the paper's. An outcome "
        "below speaks of this study alone; the paper's numbers stand beside ours for orientation."
    )


def answered_twice(frames: Frames) -> str:
    """Which of a claim's two outcomes is of what; otherwise ""."""
    twice = claims_table(frames).dropna(subset="adversarial_share")
    if twice.empty:
        return ""
    ids = [str(name).removesuffix("-scaled") for name in twice["id"]]
    return (
        f"{', '.join(ids[:-1])} and {ids[-1]} are answered twice: with the weights of the critics as the paper prints "
        f"them, and ({twice['id'].iloc[0]}, ...) where the critics matter, with weights scaled once so that their "
        f"gradient is {twice['adversarial_share'].iloc[0]:.0%} of the reconstruction loss's. All other outcomes are of "
        "the printed weights."
    )


def mixed(frames: Frames) -> str:
    """A warning if stages were made on different devices or with different versions of torch; otherwise ""."""
    parts = []
    for column, name in (("device", "devices"), ("torch", "versions of torch")):
        values = [str(each) for each in frames.stages[column].dropna().unique()]
        if len(values) > 1:
            parts.append(f"{name} ({', '.join(values)})")
    return f"The stages were made on different {' and '.join(parts)}; bits are promised on one alone." if parts else ""


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
        *([("Scored from files", f"{files}; external: not made here")] if files else []),
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


def claims(frames: Frames) -> TableView:
    """The table of the paper's claims with their outcomes, and a collapsed table of the links behind each."""
    table = claims_table(frames)
    rows = []
    for row in records(table):
        heading = Cell(f"{row['id']}. {row['claim']}", below=row["where"], kind="said")
        outcome = Cell(row["outcome"], below=f"scope: {row['scope']}")
        rows.append(
            [
                heading,
                outcome,
                Cell(row["contrast"] or NONE, below=row["link"]),
                _effect(row),
                Cell(row["counts"] or NONE),
                _adjusted(row),
            ]
        )
    links = links_table(frames)
    return TableView(
        name="claims",
        caption="What the paper claims, and what this study says of it: the outcome, and the contrast that decides it "
        f"with its effect ({intervals(frames)}). Each outcome speaks within its scope.",
        headings=["Claim", "Outcome", "Contrast", "Effect", "n", "Adjusted p"],
        rows=rows,
        frame=table.drop(columns=["links", "controls"]),
        more=TableView(
            name="links",
            caption="The links of each claim, each with an outcome of its own, and the controls, which decide nothing.",
            headings=["Link", "Contrast", "Effect", "Outcome", "In words"],
            rows=[
                [
                    Cell(f"{row['id']}: {row['name']}", below="control" if row["role"] == "control" else ""),
                    Cell(row["contrast"] or NONE),
                    _effect(row),
                    Cell(row["outcome"] if row["role"] == "link" else NONE),
                    Cell(row["why"], kind="said"),
                ]
                for row in records(links)
            ],
            frame=links,
            groups=links["id"].tolist(),
        ),
    )


def _effect(row: dict[str, Any]) -> Cell:
    """The effect with its unit and interval."""
    digits = 3 if row["unit"] == "" else 2
    bounds = interval(row["low"], row["high"], digits, "+") if pd.notna(row["low"]) else ""
    effect = number(row["effect"], digits, bounds, "+")
    return replace(effect, text=f"{effect.text} {row['unit']}".rstrip() if effect.value is not None else NONE)


def _adjusted(row: dict[str, Any]) -> Cell:
    """The p value after Holm's adjustment, and whether the outcome stands."""
    if pd.isna(row["p_holm"]):
        return Cell(NONE, kind="number")
    stands = "" if row["holds_adjusted"] is None else "stands" if row["holds_adjusted"] else "does not stand"
    return replace(number(row["p_holm"], 3, stands), text=p_in_words(row["p_holm"]))


def detectable(frames: Frames) -> TableView:
    """The minimum detectable effect of each contrast, compared with the paper's own gain."""
    parts = []
    for data in frames.data_sets():
        try:
            parts.append(tables.detectable_table(frames, data).assign(data=data))
        except NoDataError:
            continue
    if not parts:
        raise NoDataError("No two variants that the paper contrasts ran, so that nothing could be detected.")
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
        caption="The minimum detectable effect (80% power) of this many seeds and images, beside the paper's own "
        "gain over GLCIC on CelebA. A smaller effect is mostly missed here.",
        headings=["Contrast", "Data", "Metric", "The paper's gain", "Detectable here", "n"],
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
        caption="Runs that did not complete, and what completed ones warn of. What did not complete enters no mean; "
        "a run that diverged blocks its variant's claims.",
        headings=["Run", "What", "at step", "Why"],
    )
