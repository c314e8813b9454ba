"""The ablations: all seeds, the interaction of the factors, and the differences from the reference."""

from typing import Any

from reports import figures
from reports.analysis import tables
from reports.analysis.frames import Frames
from reports.analysis.naming import label, level_label, metric_of
from reports.document import (
    Block,
    Cell,
    FigureView,
    Heading,
    Note,
    Section,
    TableView,
    block_or_note,
    each,
    interval,
    number,
    text,
)
from reports.sections.common import NO_DATA_SET, of_what_ran, slug, table_view

WHY = (
    "Each ablation changes stated factors of the proposed model and nothing else. Its intervals hold together at 95% "
    "(Bonferroni), so they are wider than those of the tables above; a grid gets no verdicts."
)


def ablations(frames: Frames) -> Section:
    """Each ablation on each data set."""
    blocks: list[Block] = [Note(WHY)]
    data_sets = frames.data_sets()
    names = [str(name) for name in frames.factors["ablation"].unique()]
    blocks += [forest(frames, data, part) for data in data_sets for part in range(figures.ablation_parts(frames, data))]
    for name in names:
        for data in _run_on(frames, name):
            blocks.append(Heading(f"{name}, {data}" if len(data_sets) > 1 else name))
            blocks.append(block_or_note(values, frames, name, data))
    if not data_sets:
        blocks.append(NO_DATA_SET)
    elif not names:
        blocks.append(Note(f"The study has no ablation{of_what_ran(frames)}.", "nothing"))
    return Section(id="ablations", title="Ablations", blocks=blocks)


def _run_on(frames: Frames, name: str) -> list[str]:
    """The data sets on which at least two cells of an ablation were run; all data sets if there is none."""
    cells = frames.factors.loc[frames.factors["ablation"] == name, "variant"].unique()
    ran = frames.runs[frames.runs["variant"].isin(cells)].groupby("data", observed=True)["variant"].nunique()
    return [data for data in frames.data_sets() if ran.get(data, 0) > 1] or frames.data_sets()


def forest(frames: Frames, data: str, part: int = 0) -> FigureView:
    """The figure of all ablations' differences from the reference, or a part of it."""
    return FigureView(
        name=slug("ablations", data, *([part + 1] if part else [])),
        drawn=figures.ablations(frames, data, part),
        alt="A row a variant: its difference from the reference with its interval and its seeds, beside zero; the "
        "tables hold the values.",
        caption=f"The ablations on {data}{', continued' if part else ''}: differences from the reference in PSNR of "
        "the hole, with intervals that hold together at 95% in each ablation. Strokes are single seeds.",
    )


def values(frames: Frames, ablation: str, data: str) -> TableView:
    """The table of an ablation's values."""
    table = tables.ablation_table(frames, ablation, data)
    factors = [str(name) for name in tables.levels(frames, ablation).columns[1:]]
    digits = metric_of("psnr").digits

    def cells(row: dict[str, Any]) -> list[Cell]:
        difference = interval(row["difference_low"], row["difference_high"], digits + 1, "+")
        return [
            Cell(label(row["variant"])),
            *(text(level_label(str(row[factor]))) for factor in factors),
            number(row["mean"], digits, interval(row["low"], row["high"], digits)),
            each(row["by_seed"], digits),
            number(row["difference"], digits + 1, difference, "+"),
            number(row["seeds"]),
            number(row["diverged"]),
        ]

    return table_view(
        table,
        cells,
        name=slug("ablation", ablation, data),
        caption=f"Ablation {ablation} on {data}: PSNR of the hole (dB, ↑). The intervals hold together at 95%.",
        headings=["Variant", *factors, "Mean", "each seed", "Difference from the reference", "Seeds", "Diverged"],
    )
