"""The ablations: all seeds, the interaction of the factors, and the differences from the reference."""

from typing import Any

from reports import figures
from reports.analysis import tables
from reports.analysis.frames import Frames
from reports.analysis.naming import label, level_label, metric_of, option_label
from reports.document import (
    NONE,
    Block,
    Cell,
    FigureView,
    Heading,
    Note,
    Section,
    TableView,
    block_or_note,
    each,
    number,
    text,
)
from reports.sections.common import NO_DATA_SET, of_what_ran, ranged, slug, table_view

WHY = (
    "Each ablation changes stated options of the proposed model and nothing else. The intervals of one ablation hold "
    "together at 95% (Bonferroni)."
)


def ablations(frames: Frames) -> Section:
    """All ablations of each data set in one figure and one table."""
    data_sets = frames.data_sets()
    blocks: list[Block] = [Note(WHY)]
    if frames.factors.empty or not data_sets:
        lacking = Note(f"The study has no ablation{of_what_ran(frames)}.", "nothing")
        blocks.append(lacking if data_sets else NO_DATA_SET)
    for data in data_sets if not frames.factors.empty else ():
        blocks += [Heading(data)] if len(data_sets) > 1 else []
        blocks += [forest(frames, data, part) for part in range(figures.ablation_parts(frames, data))]
        blocks.append(block_or_note(all_values, frames, data))
    return Section(id="ablations", title="Ablations", blocks=blocks)


def one_by_one(frames: Frames) -> Section:
    """The table of each ablation on each data set, with every seed."""
    blocks: list[Block] = []
    several = len(frames.data_sets()) > 1
    for name in dict.fromkeys(frames.factors["ablation"].astype(str)):
        for data in _run_on(frames, name):
            blocks.append(Heading(f"{ablation_label(name)}, {data}" if several else ablation_label(name)))
            blocks.append(block_or_note(values, frames, name, data))
    blocks = blocks or [Note(f"The study has no ablation{of_what_ran(frames)}.", "nothing")]
    return Section(id="ablations-each", title="Ablations, seed by seed", blocks=blocks, folded=True)


def ablation_label(name: str) -> str:
    """The name of an ablation as a heading."""
    return name[:1].upper() + name[1:].replace("_", " ")


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
        alt="A row for each variant of each ablation: its difference from the proposed model with its interval and its "
        "seeds, and zero. The tables list the values.",
        caption=f"Differences from the proposed model in PSNR of the hole on {data}{', continued' if part else ''}. "
        "Strokes are single seeds.",
    )


def all_values(frames: Frames, data: str) -> TableView:
    """The table of all ablations' values."""
    table = tables.all_ablations(frames, data)
    digits = metric_of("psnr").digits
    return table_view(
        table,
        lambda row: [
            Cell(label(row["variant"]), below=ablation_label(row["ablation"])),
            ranged(row, "mean", digits),
            ranged(row, "difference", digits + 1, "+", of="difference_"),
            Cell("paired" if row["paired"] else NONE),
            number(row["seeds"]),
            number(row["diverged"]),
        ],
        name=slug("ablations", data),
        caption=f"All ablations on {data}: PSNR of the hole (dB, ↑), and the difference from the proposed model.",
        headings=["Variant", "Mean", "Difference", "Seeds are", "Seeds", "Diverged"],
        groups=table["ablation"].tolist(),
        folded=True,
    )


def values(frames: Frames, ablation: str, data: str) -> TableView:
    """The table of an ablation's values."""
    table = tables.ablation_table(frames, ablation, data)
    factors = [str(name) for name in tables.levels(frames, ablation).columns[1:]]
    digits = metric_of("psnr").digits

    def cells(row: dict[str, Any]) -> list[Cell]:
        return [
            Cell(label(row["variant"])),
            *(text(level_label(str(row[factor]))) for factor in factors),
            ranged(row, "mean", digits),
            each(row["by_seed"], digits),
            ranged(row, "difference", digits + 1, "+", of="difference_"),
            number(row["seeds"]),
            number(row["diverged"]),
        ]

    return table_view(
        table,
        cells,
        name=slug("ablation", ablation, data),
        caption=f"{ablation_label(ablation)} on {data}: PSNR of the hole (dB, ↑).",
        headings=[
            "Variant",
            *map(option_label, factors),
            "Mean",
            "each seed",
            "Difference from the reference",
            "Seeds",
            "Diverged",
        ],
    )
