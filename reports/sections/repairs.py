"""Repaired images: Figures 4 to 6, before and after blending, and the worst."""

from typing import Any

from reports import figures, pictures
from reports.analysis import tables
from reports.analysis.frames import Frames
from reports.analysis.naming import label, metric_of
from reports.analysis.published import counterpart
from reports.document import (
    Block,
    Cell,
    FigureView,
    Heading,
    Note,
    Section,
    TableView,
    block_or_note,
    folded,
    interval,
    number,
    text,
)
from reports.sections.common import each_data_set, records, slug, table_view

FIGURES = {"CelebA": "Figure 4", "ImageNet": "Figure 5", "Places2": "Figure 6"}
OTHER = ("ImageNet", "Places2")
BLAMED = "The text on the paper's Figure 4 (c) says that “the proposed method” is inconsistent. It must mean GIICA."


def repairs(frames: Frames) -> Section:
    """The repairs of the data sets like CelebA, as in Figure 4, and of those that stand beside none of the paper's."""
    data_sets = [data for data in frames.data_sets() if counterpart(frames, data) not in OTHER]
    blocks: list[Block] = [Note(BLAMED)]
    for data in data_sets:
        blocks += [Heading(data)] if len(data_sets) > 1 else []
        blocks.append(block_or_note(grid, frames, data))
    if not data_sets:
        blocks.append(Note("The study has no data set like CelebA, which the paper's Figure 4 shows.", "nothing"))
    return Section(id="repairs", title="Repaired images (the paper's Figure 4)", blocks=blocks)


def other_data(frames: Frames) -> Section:
    """The repairs of the other data sets, as in Figures 5 and 6."""
    blocks: list[Block] = []
    for theirs in OTHER:
        data_sets = [data for data in frames.data_sets() if counterpart(frames, data) == theirs]
        blocks += [block_or_note(grid, frames, data) for data in data_sets]
        if not data_sets:
            blocks.append(
                Note(f"The study has no data set like {theirs}, which the paper's {FIGURES[theirs]} shows.", "nothing")
            )
    return Section(id="other-data", title="Other data (the paper's Figures 5 and 6)", blocks=blocks, folded=True)


def blending(frames: Frames) -> Section:
    """The effect of Poisson blending."""
    return Section(id="blending", title="Poisson blending", blocks=each_data_set(frames, blended), folded=True)


def worst(frames: Frames) -> Section:
    """The worst repairs, selected automatically."""
    return Section(
        id="worst", title="The worst repairs", blocks=each_data_set(frames, worst_grid, worst_values), folded=True
    )


def grid(frames: Frames, data: str) -> FigureView:
    """The grid of pictures as in Figure 4."""
    beside = counterpart(frames, data)
    like = f" (as the paper's {FIGURES[beside]})" if beside else ""
    protocol = frames.study.get("protocol") or {}
    drawn_by = f" with seed {protocol['seed']}" if "seed" in protocol else ""
    shown = pictures.sample(frames, data)
    return FigureView(
        name=slug("repairs", data),
        drawn=figures.repairs(frames, data=data),
        alt="Grid of test images: the original, the image with its hole, and each method's repair of it.",
        caption=f"Repairs of {data}{like}. All methods repair the same test images, drawn at random{drawn_by}.",
        pictures=shown,
    )


def blended(frames: Frames, data: str) -> TableView:
    """The table of scores before and after Poisson blending."""
    table = tables.blending_table(frames, data)

    def cells(row: dict[str, Any]) -> list[Cell]:
        changes = []
        for metric in tables.BLENDED:
            digits = metric_of(metric).digits
            before, after = (number(row[name], digits).text for name in (metric, f"{metric}_blended"))
            change = number(row[f"{metric}_change"], digits, sign="+").text
            bounds = interval(row[f"{metric}_low"], row[f"{metric}_high"], digits, "+")
            changes.append(Cell(f"{before} → {after}", below=f"{change} {bounds}", kind="number"))
        raw = number(row["seam_raw"], metric_of("seam").digits)
        return [Cell(row["label"]), *changes, raw, number(row["seeds"]), number(row["images"])]

    whole = table_view(
        table,
        cells,
        name=slug("blending", data),
        caption=f"Before and after Poisson blending on {data} (reading R25): PSNR (dB, ↑) and sharpness of the hole, "
        "seam error (↓) at its boundary. Below: the change with its 95% interval.",
        headings=["Method", *(metric_of(metric).label for metric in tables.BLENDED), "Seam, raw", "Seeds", "Images"],
        groups=table["group"].tolist(),
    )
    return folded(whole, f"Blending on {data}")


def worst_grid(frames: Frames, data: str) -> FigureView:
    """The pictures of the reference's worst repairs."""
    shown = pictures.worst(frames, data)
    return FigureView(
        name=slug("worst", data),
        drawn=figures.worst(frames, data=data),
        alt="The worst repairs of the proposed model: the original, the image with its hole, the repair.",
        caption=f"The worst repairs of {data} by the proposed model: the test images with the lowest PSNR of the hole "
        "at the first seed, selected automatically.",
        pictures=shown,
    )


def worst_values(frames: Frames, data: str) -> TableView:
    """The images on which the proposed model is furthest behind a filler that is not trained."""
    table = tables.worst_table(frames, data)
    digits = metric_of("psnr").digits
    first = next(records(table))
    filler = label(first["filler_variant"])
    return table_view(
        table,
        lambda row: [
            text(row["image"]),
            number(row["reference"], digits),
            number(row["filler"], digits),
            number(row["difference"], digits, sign="+"),
            Cell(f"{row['seeds_worse']} of {row['seeds']} seeds"),
        ],
        name=slug("worst", data),
        caption=tables.worst_words(table),
        headings=["Image", "Proposed", filler, "Difference", "Worse in"],
    )
