"""The hyperparameter searches, and how much the tuned settings improve the results."""

import math
from collections.abc import Callable
from typing import Any

from reports import figures
from reports.analysis import tables
from reports.analysis.frames import Frames
from reports.analysis.naming import label, metric_of
from reports.document import (
    Block,
    Cell,
    FigureView,
    Heading,
    Note,
    Section,
    TableView,
    block_or_note,
    duration,
    number,
    text,
)
from reports.sections.common import each_data_set, intervals, ranged, records, slug, table_view

WHY = (
    "The paper sets the weights of eq. (8) by hand (section 5). A method may win by its idea or by such tuning, so "
    "each method's settings were searched by the PSNR of the hole in the validation images. The best trial is lucky: "
    "what tuning gained is measured by new runs with other seeds, on test images."
)
STATES = {"completed": "", "pruned": "pruned", "diverged": "diverged", "failed": "failed", "running": "under way"}


def search(frames: Frames) -> Section:
    """The searches, and the gain of the tuned variants."""
    blocks: list[Block] = []
    if frames.trials.empty:
        blocks.append(Note(tables.NO_SEARCH, "nothing"))
    else:
        blocks += [Note(WHY), block_or_note(searches, frames), *each_data_set(frames, bought)]
        for variant in tables.searched(frames):
            blocks += [Heading(label(variant)), Note(summary(frames, variant))]
            makes: list[Callable[[Frames, str], Block]] = [history, slices, options, importances, trials]
            if len(tables.options(frames, variant)) == 1:  # the importance of a single option says nothing
                makes.remove(importances)
            blocks += [block_or_note(make, frames, variant) for make in makes]
    return Section(id="search", title="Tuning", blocks=blocks, folded=True)


def searches(frames: Frames) -> TableView:
    """The table of searches, one per row."""
    table = tables.search_table(frames)
    digits = metric_of("psnr").digits
    return table_view(
        table,
        lambda row: [
            Cell(row["label"]),
            number(row["trials"]),
            *(number(row[state]) for state in ("completed", "pruned", "diverged")),
            number(row["usual"], digits),
            number(row["best"], digits),
            number(row["gain"], digits, sign="+"),
            Cell(duration(row["seconds"]), kind="number"),
        ],
        name="searches",
        caption="The searches: trials, and mean PSNR of the hole (dB) in the validation images with the study's own "
        "settings and the best found. Pruned: stopped early for a poor score.",
        headings=["Method", "Trials", "Completed", "Pruned", "Diverged", "Own setting", "Best", "Gain", "Time"],
    )


def bought(frames: Frames, data: str) -> TableView:
    """The table of untuned and tuned variants."""
    table = tables.bought_table(frames, data)
    digits = metric_of("psnr").digits

    def cells(row: dict[str, Any]) -> list[Cell]:
        n = f"{row['seeds_tuned']} and {row['seeds_untuned']} seeds, {'paired' if row['paired'] else 'not paired'}"
        return [
            Cell(row["label"]),
            ranged(row, "untuned", digits, of="untuned_"),
            ranged(row, "tuned", digits, of="tuned_"),
            ranged(row, "difference", digits + 1, "+"),
            Cell(n, below=f"{row['images']:,} images"),
            Cell(row["outcome"], below=row["why"], kind="said"),
        ]

    return table_view(
        table,
        cells,
        name=slug("tuned", data),
        caption=f"The gain from tuning on {data}: PSNR of the hole (dB, ↑) in the test images with 95% intervals (the "
        f"difference: {intervals(frames)}).",
        headings=["Method", "Untuned", "Tuned", "Difference", "n", "Outcome"],
    )


def summary(frames: Frames, variant: str) -> str:
    """A search in a few sentences."""
    row = next(row for row in records(tables.search_table(frames)) if row["variant"] == variant)
    facts = (frames.study["searches"] or {}).get(variant) or {}
    failed = f", {row['failed']} failed and not counted" if row["failed"] else ""
    counts = ", ".join(
        f"{row[state]} {state}" for state in ("completed", "pruned", "diverged") if row[state] or state == "completed"
    )
    how = f"{row['trials']} trials of {row['seeds']} seed{'' if row['seeds'] == 1 else 's'} each ({counts}){failed}"
    by = f", sampled by {facts['sampler']}, pruned by {facts['pruner']}" if facts.get("sampler") else ""
    left = row["wanted"] - row["trials"]
    still = f" {left:.0f} are still to run." if left > 0 else ""
    searched = f" Searched: {', '.join(tables.options(frames, variant))}."
    if row["completed"] and row["gain"] == 0:
        best = " None scored better than the study's own settings."
    elif row["completed"]:
        best = f" The best is trial {row['number']}, {row['best']:.2f} dB."
    else:
        best = ""
    return f"{how}{by}.{still}{searched}{best}"


def history(frames: Frames, variant: str) -> FigureView:
    """The figure of the trials in order."""
    return FigureView(
        name=slug("search", variant),
        drawn=figures.history(frames, variant),
        alt="A dot a trial: its validation PSNR against its number, with the best so far as a line and the study's own "
        "setting marked; the table below holds the values.",
        caption=f"The search of {label(variant)}, trial by trial. The broken line is at the study's own setting.",
    )


def options(frames: Frames, variant: str) -> TableView:
    """The table of searched options: their range, own and best values, and correlation with the score."""
    table = tables.option_table(frames, variant)
    return table_view(
        table,
        lambda row: [
            Cell(row["option"]),
            *(_setting(row[column]) for column in ("low", "high", "own", "best")),
            number(row["correlation"], 2, sign="+"),
            number(row["trials"]),
        ],
        name=slug("options", variant),
        caption=f"What was searched of {label(variant)}: the study's own value and the best trial's, and the rank "
        "correlation of each option with the score over the completed trials (Spearman's; −1: the less the better).",
        headings=["Option", "From", "To", "Own", "Best", "Rank correlation", "Trials"],
    )


def importances(frames: Frames, variant: str) -> FigureView:
    """The figure of each option's importance."""
    return FigureView(
        name=slug("importance", variant),
        drawn=figures.importances(frames, variant),
        alt="A bar an option: its share in what sets the best trials apart.",
        caption=f"What mattered in the search of {label(variant)} (PED-ANOVA, Watanabe 2023): how far each option's "
        "values in the best tenth of the completed trials differ from those in all of them. Of few trials it is a hint "
        "at best.",
    )


def slices(frames: Frames, variant: str) -> FigureView:
    """The figure of each option against the score."""
    return FigureView(
        name=slug("slices", variant),
        drawn=figures.slices(frames, variant),
        alt="A panel an option: its value in each trial against the trial's validation PSNR; the table below holds "
        "them.",
        caption=f"The search of {label(variant)}, option by option; all others vary in each panel, too.",
    )


def trials(frames: Frames, variant: str) -> TableView:
    """The table of all trials."""
    table = tables.trials_table(frames, variant)
    keys = tables.options(frames, variant)
    digits = metric_of("psnr").digits

    def cells(row: dict[str, Any]) -> list[Cell]:
        mark = "the study's own setting" if row["usual"] else ""
        notes = ", ".join(filter(None, [STATES[row["state"]], mark, "the best" if row["best"] else ""]))
        return [
            Cell(str(row["number"])),
            number(row["value"], digits),
            *(_setting(row.get(key)) for key in keys),
            number(row["steps"]),
            Cell(duration(row["seconds"]), kind="number"),
            text(row["record"]),
            Cell(notes, below=row["why"], kind="notes"),
        ]

    return table_view(
        table,
        cells,
        name=slug("trials", variant),
        caption=f"Every trial of the search of {label(variant)}, the best first: validation PSNR of the hole (dB), the "
        "settings, the steps of joint training after which it was judged, and its Sacred records.",
        headings=["Trial", "PSNR", *keys, "Steps", "Time", "Record", "Notes"],
        folded=True,
    )


def _setting(value: object) -> Cell:
    if isinstance(value, float):
        return number(None) if math.isnan(value) else Cell(f"{value:.3g}", value, kind="number")
    return text(value)
