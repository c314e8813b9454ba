"""The first screen: the answer in a sentence, the tally of outcomes, and the paper's main numbers beside ours."""

from typing import Any

import pandas as pd

from reports import figures
from reports.analysis import tables
from reports.analysis.claims import as_printed
from reports.analysis.frames import Frames, NoDataError
from reports.analysis.naming import METRICS
from reports.analysis.published import counterpart, paper
from reports.analysis.statistics import OUTCOMES
from reports.document import (
    NOT_RECORDED,
    Block,
    Cell,
    FigureView,
    Note,
    Section,
    TableView,
    Tally,
    block_or_note,
    interval,
    number,
    words,
)
from reports.sections.common import difference, records, slug, table_view, unit

MAIN = (("psnr", "hole"), ("ssim", "whole"))
"""Metric and region of the numbers on the first screen: those that decide C1 and C2."""

HELD, FAILED = ("supported", "partly tested"), ("contradicted", "equivalent")


def answer(frames: Frames) -> Section:
    """The report's first section."""
    blocks: list[Block] = [Note(headline(frames), "headline"), Note(main_claim(frames)), tally(frames)]
    blocks.append(Note(scope(frames), "scope"))
    for data in main_data(frames):
        blocks += [block_or_note(main_figure, frames, data), block_or_note(main_table, frames, data)]
    return Section(id="answer", title="Did the paper hold up?", blocks=blocks)


def tally(frames: Frames) -> Tally:
    """How many claims have each outcome."""
    counts = as_printed(frames)["outcome"].value_counts()
    return Tally([(outcome, int(counts[outcome])) for outcome in OUTCOMES if outcome in counts])


def is_demo(frames: Frames) -> bool:
    """True for a demonstration, which cannot speak of the paper."""
    return "demo" in (frames.study["profile"], frames.study["scope"])


def headline(frames: Frames) -> str:
    """The answer in one sentence."""
    outcomes = as_printed(frames)["outcome"]
    held, failed = (int(outcomes.isin(group).sum()) for group in (HELD, FAILED))
    counted = f"{held} held up, {failed} did not, and {len(outcomes) - held - failed} stay open"
    if is_demo(frames):
        return f"A demonstration: it cannot confirm or refute the paper. Of {len(outcomes)} claims, {counted} here."
    return f"Of the paper's {len(outcomes)} claims, {counted}."


def main_claim(frames: Frames) -> str:
    """What came out for the paper's main claim."""
    row = next(records(as_printed(frames)))
    published = next((link["published"] for link in row["links"] if link["name"] == row["link"]), None)
    text = f"{row['claim'].rstrip('.')} ({row['id']}): {row['outcome']}."
    if pd.isna(row["effect"]):
        return text
    effect = " ".join(filter(None, difference(row)))
    theirs = f"; the paper's difference is {published:+.2f} {row['unit']}" if pd.notna(published) else ""
    return f"{text} {row['contrast']} is {effect}{theirs}."


def scope(frames: Frames) -> str:
    """What the outcomes apply to."""
    study, given = frames.study, paper()
    updates = given["steps"]["pretrain"] + given["steps"]["joint"]
    size = (
        f"{words(study['image_size'])} px (the paper: {given['image_size']}), {words(study['generator_updates'])} "
        f"updates of the generator ({updates:,}), batch {words(study['batch'])} ({given['batch']}), "
        f"seeds {words(study['seeds'])}"
    )
    entries = study["data"] or []
    named = words(sorted({"drawn portraits" if each.get("kind") == "faces" else str(each["name"]) for each in entries}))
    if is_demo(frames):
        return f"Demonstration on {named}: {size}. It shows how each claim is tested."
    if study["scope"] == "paper":
        return f"Scope: paper. Data, image size and schedule are the paper's own: {size}."
    return (
        f"Scope: {words(study['scope'])}. Data, image size or schedule are not the paper's: {size}. The outcomes speak "
        "of this study alone."
    )


def main_data(frames: Frames) -> list[str]:
    """The data set whose numbers stand first: the one like CelebA, otherwise the first."""
    names = frames.data_sets()
    return sorted(names, key=lambda data: counterpart(frames, data) != "CelebA")[:1]


def main_values(frames: Frames, data: str) -> pd.DataFrame:
    """A row per method of Tables 6 and 7, and one for the model without critics.

    Columns: variant, label, and for psnr and ssim published, value, low, high. Raises NoDataError as ``results_table``.
    """
    found: pd.DataFrame | None = None
    for metric, region in MAIN:
        table = tables.results_table(frames, metric=metric, data=data)
        control = (table["variant"] == frames.study["control"]) & table[region].notna()
        table = table[((table["group"] == "paper") & (table["published"].notna() | table[region].notna())) | control]
        own = table.rename(columns={region: "value", f"{region}_low": "low", f"{region}_high": "high"})
        own = own[["variant", "label", "published", "value", "low", "high"]].set_index(["variant", "label"])
        own.columns = pd.Index([f"{metric}_{column}" for column in own.columns])
        found = own if found is None else found.join(own)
    assert isinstance(found, pd.DataFrame)
    if found.empty:
        raise NoDataError(f"None of the paper's methods ran on {data}.")
    return found.reset_index()


def main_table(frames: Frames, data: str) -> TableView:
    """The paper's main numbers beside ours."""
    beside = counterpart(frames, data)

    def cells(row: dict[str, Any]) -> list[Cell]:
        found = [Cell(row["label"])]
        for metric, _ in MAIN:
            digits = METRICS[metric].digits
            found += [number(row[f"{metric}_published"], digits)] if beside else []
            found.append(number(row[f"{metric}_value"], digits))
            found.append(Cell(interval(row[f"{metric}_low"], row[f"{metric}_high"], digits), kind="each"))
        return found

    headings = [
        heading
        for metric, region in MAIN
        for heading in [
            *([f"{METRICS[metric].label}, published"] if beside else []),
            unit(metric, region),
            "95% interval",
        ]
    ]
    theirs = f" Published numbers are for {beside}." if beside else ""
    return table_view(
        main_values(frames, data),
        cells,
        name=slug("answer", data),
        caption=f"The paper's main numbers, and ours on {data}.{theirs}",
        headings=["Method", *headings],
    )


def main_figure(frames: Frames, data: str) -> FigureView:
    """The same as a plot."""
    return FigureView(
        name=slug("answer", data),
        drawn=figures.published_and_measured(main_values(frames, data), MAIN),
        alt="PSNR and SSIM of each method: published, and measured with its interval. The next table holds the values.",
        caption=f"Published (ring) and measured (dot, 95% interval) on {data}." if data else NOT_RECORDED,
    )
