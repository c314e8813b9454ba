"""Tables 6 to 8, published and measured, and the contrasts that the paper draws from them."""

from collections.abc import Callable
from typing import Any

from reports import figures
from reports.analysis import tables
from reports.analysis.frames import Frames
from reports.analysis.naming import metric_of, titled
from reports.analysis.published import counterpart, paper
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
    folded,
    number,
)
from reports.sections.common import each_data_set, intervals, protocol, ranged, slug, table_view, unit
from reports.sections.holes import by_hole
from reports.sections.own import own_metrics
from reports.sections.perceptual import perceptual

REGIONS_WHY = (
    "The paper does not say whether its numbers are of the whole image or of the hole (reading R23), so both are "
    "given. Intervals include both sources of chance: the seeds and the test images. Bold: the best trained method, "
    "if it is better than the next beyond chance."
)
MEASURED = ("Whole image", "each seed", "Hole", "each seed", "Seeds", "Images", "Notes")
CONTRASTS_WHY = (
    "First the paper's own comparisons. Then the proposed model against controls: the same generator without critics, "
    "with a single critic, and the baselines with its optimizer."
)


def results(frames: Frames) -> Section:
    """Tables 6 to 8, perceptual distances and plugins' metrics."""
    blocks: list[Block] = [Note(REGIONS_WHY)]
    blocks += each_data_set(frames, _results("psnr"), _results("ssim"), before=beside)
    blocks += [
        Heading("Other data (the paper's Table 8)"),
        block_or_note(table_8, frames),
        *by_hole(frames),
        *perceptual(frames),
        *own_metrics(frames),
    ]
    return Section(id="results", title="Published and measured (the paper's Tables 6 to 8)", blocks=blocks)


def contrasts(frames: Frames) -> Section:
    """The contrasts that the paper's claims need, and the controls."""
    blocks = each_data_set(frames, contrast_figure, contrast_values)
    return Section(id="contrasts", title="Comparisons", blocks=[Note(CONTRASTS_WHY), *blocks])


def beside(frames: Frames, data: str) -> Note:
    """A note on the data behind the published numbers."""
    theirs = counterpart(frames, data)
    if theirs is None:
        return Note(
            f"{data} is not compared with a data set of the paper, so there are no published numbers. If its images "
            f"resemble one, say so in {frames.study['file'] or 'the study file'} (like: CelebA, ImageNet or Places2)."
        )
    images = paper()["data"][theirs]["images"]
    return Note(
        f"Published numbers are for {theirs} ({images}, {paper()['image_size']} px), ours for {data}. They are "
        "comparable only if data, split and region are the same."
    )


def _results(metric: str) -> Callable[[Frames, str], TableView]:
    return lambda frames, data: results_view(frames, data, metric)


def results_view(frames: Frames, data: str, metric: str) -> TableView:
    """Table 6 or 7: published and measured."""
    table = tables.results_table(frames, metric=metric, data=data)
    named = metric_of(metric)
    beside = counterpart(frames, data)
    theirs = {"psnr": 6, "ssim": 7}[metric] if beside == "CelebA" else 8
    like = f" (the paper's Table {theirs})" if beside else ""

    def cells(row: dict[str, Any]) -> list[Cell]:
        measured = []
        for region in tables.REGIONS:
            strong = bool(row[f"strong_{region}"])
            measured += [
                ranged(row, region, named.digits, of=f"{region}_", strong=strong),
                each(row[f"{region}_seeds"], named.digits),
            ]
        counts = [number(row["seeds"]), number(row["images"])]
        published = [number(row["published"], named.digits)] if beside else []
        return [Cell(row["label"]), *published, *measured, *counts, Cell(row["notes"], kind="notes")]

    what = f"{unit(metric)} on {data}"
    whole = table_view(
        table,
        cells,
        name=slug("results", metric, data),
        caption=f"{what}{like}: {'published, and ' if beside else ''}ours with 95% intervals. {protocol(frames, data)}",
        headings=["Method", *(["Published"] if beside else []), *MEASURED],
        groups=table["group"].tolist(),
    )
    return folded(whole, what)


def table_8(frames: Frames) -> TableView:
    """Table 8: published and measured."""
    table = tables.table_8(frames)

    def cells(row: dict[str, Any]) -> list[Cell]:
        digits = metric_of(row["metric"]).digits
        return [
            Cell(row["counterpart"]),
            Cell(row["data"] or "not in this study"),
            Cell(unit(row["metric"])),
            Cell(row["label"]),
            number(row["published"], digits),
            *(ranged(row, region, digits, of=f"{region}_") for region in tables.REGIONS),
            number(row["seeds"] or None),
            number(row["images"] or None),
        ]

    return table_view(
        table,
        cells,
        name="table-8",
        caption="PSNR and SSIM on other data (the paper's Table 8): published, and ours with 95% intervals.",
        headings=["The paper's", "Ours", "Metric", "Method", "Published", "Whole image", "Hole", "Seeds", "Images"],
        groups=(table["counterpart"] + "\0" + table["metric"]).tolist(),
        folded=not table["data"].astype(bool).any(),
    )


def contrast_figure(frames: Frames, data: str) -> FigureView:
    """The figure of the contrasts' differences with their intervals."""
    return FigureView(
        name=slug("contrasts", data),
        drawn=figures.forest_of_contrasts(frames, data),
        alt="A row for each comparison: the difference in PSNR of the hole with its interval, zero, and the published "
        "difference. The next table lists the values.",
        caption=f"Differences in PSNR of the hole on {data}, with 95% intervals.",
    )


def contrast_values(frames: Frames, data: str) -> TableView:
    """The table of the contrasts with their outcomes."""
    table = tables.contrast_table(frames, data)
    beside = counterpart(frames, data)

    def cells(row: dict[str, Any]) -> list[Cell]:
        named = metric_of(row["metric"])
        digits = named.digits + 1  # differences are small
        n = f"{row['seeds_a']} and {row['seeds_b']} seeds, {'paired' if row['paired'] else 'not paired'}"
        return [
            Cell(f"{titled(frames, row['a'])} − {titled(frames, row['b'])}"),
            Cell(unit(row["metric"], row["region"])),
            *([number(row["published"], named.digits, sign="+")] if beside else []),
            ranged(row, "difference", digits, "+"),
            number(row["detectable"], digits),
            Cell(n, below=f"{row['images']:,} images"),
            Cell(row["outcome"], below=row["why"], kind="said"),
        ]

    return table_view(
        table,
        cells,
        name=slug("contrasts", data),
        caption=f"Comparisons on {data}: is the first better than the second? Differences with {intervals(frames)}.",
        folded=True,
        headings=["Comparison", "Metric", *(["Published"] if beside else []), "Measured", "Detectable", "n", "Outcome"],
        groups=(table["a"] + "\0" + table["b"]).tolist(),
    )
