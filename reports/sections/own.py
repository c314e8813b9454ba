"""The metrics of a study's plugins, if it has any: a part of the results."""

from typing import Any

from reports.analysis import tables
from reports.analysis.frames import Frames
from reports.document import Block, Cell, Heading, TableView, block_or_note, each, number
from reports.sections.common import ranged, slug, table_view

ARROWS = {"higher": "↑", "lower": "↓"}
DIGITS = 4


def own_metrics(frames: Frames) -> list[Block]:
    """One table per data set; no blocks if no plugin defines a metric."""
    if not tables.own_metrics(frames):
        return []
    return [Heading("Metrics of plugins"), *(block_or_note(values, frames, data) for data in frames.data_sets())]


def values(frames: Frames, data: str) -> TableView:
    """The table of each variant's means."""
    table = tables.own_metrics_table(frames, data)

    def cells(row: dict[str, Any]) -> list[Cell]:
        unit = f" ({row['unit']})" if row["unit"] else ""
        return [
            Cell(f"{row['title']}{unit}, {row['region']} {ARROWS[row['better']]}"),
            Cell(row["label"]),
            ranged(row, "mean", DIGITS),
            each(row["by_seed"], DIGITS),
            number(row["seeds"]),
            number(row["images"]),
        ]

    return table_view(
        table,
        cells,
        name=slug("own-metrics", data),
        caption=f"Metrics of plugins on {data}, with 95% intervals.",
        headings=["Metric", "Method", "Mean", "each seed", "Seeds", "Images"],
        groups=table["metric"].tolist(),
    )
