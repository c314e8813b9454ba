"""Scores by the size of the hole, where a study's holes differ: a part of the results."""

from typing import Any

from reports import figures
from reports.analysis import tables
from reports.analysis.frames import Frames
from reports.analysis.naming import metric_of
from reports.document import Block, Cell, FigureView, Heading, Note, TableView, block_or_note
from reports.sections.common import ranged, slug, table_view, unit

METRICS = (("psnr", "hole"), ("psnr", "whole"), ("ssim", "whole"))
WHY = (
    "A large hole is harder to fill, so a mean over holes of several sizes says little without these sizes. The bins "
    "are tenths of the image, as in LaMa (Suvorov 2022) and after Liu 2018: a bin begins at its first share and ends "
    "below its second."
)


def by_hole(frames: Frames) -> list[Block]:
    """A figure and tables for each data set whose holes differ in size; no blocks if none has any."""
    differing = [data for data in frames.data_sets() if tables.holes_differ(frames, data)]
    if not differing:
        return []
    blocks: list[Block] = [Heading("By size of the hole"), Note(WHY)]
    for data in differing:
        blocks.append(block_or_note(figure, frames, data))
        blocks += [block_or_note(values, frames, data, metric, region) for metric, region in METRICS]
    return blocks


def figure(frames: Frames, data: str) -> FigureView:
    """The figure of PSNR in the hole by its size."""
    return FigureView(
        name=slug("by-hole", data),
        drawn=figures.by_hole(frames, data),
        alt="A line a method: its PSNR of the hole over the size of the hole, with intervals; the next table holds the "
        "values.",
        caption=f"PSNR of the hole by the size of the hole on {data}.",
    )


def values(frames: Frames, data: str, metric: str, region: str) -> TableView:
    """The table of a metric's means: a row per method, a column per bin."""
    table = tables.by_hole_table(frames, data, metric=metric, region=region)
    digits, bins = metric_of(metric).digits, [str(one) for one in table["bin"].unique()]
    images = table.groupby("bin", sort=False)["images"].max()
    keys = ["variant", "label"]
    wide = table.pivot(index=keys, columns="bin", values=["mean", "low", "high"])
    wide = wide.reindex(table.drop_duplicates("variant").set_index(keys).index)
    wide = wide.set_axis([f"{column[1]} {column[0]}" for column in wide.columns], axis=1).reset_index()

    def cells(row: dict[str, Any]) -> list[Cell]:
        return [Cell(row["label"]), *(ranged(row, f"{one} mean", digits, of=f"{one} ") for one in bins)]

    sizes = tables.hole_sizes(frames, data)
    return table_view(
        wide,
        cells,
        name=slug("by-hole", metric, region, data),
        caption=f"{unit(metric, region)} by the size of the hole on {data}, of the composite, with 95% intervals over "
        f"seeds and images. The holes are {sizes.min():.0%} to {sizes.max():.0%} of an image; n counts images.",
        headings=["Method", *(f"{one} (n = {images[one]})" for one in bins)],
    )
