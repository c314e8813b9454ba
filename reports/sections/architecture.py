"""The networks as built, compared with Figures 2 and 3 and Tables 1 to 5, and the schedule as it ran."""

from typing import Any

import pandas as pd

from reports import figures
from reports.analysis import tables
from reports.analysis.frames import Frames
from reports.analysis.naming import group, label
from reports.analysis.published import paper
from reports.document import (
    NONE,
    Block,
    Cell,
    FigureView,
    Note,
    Section,
    TableView,
    block_or_note,
    folded,
    number,
    text,
)
from reports.sections.common import records, table_view

WHY = (
    "Read from the networks that were built, not from their settings. A layer agrees if every printed cell is as "
    "built. Narrower networks differ in the number of outputs only."
)
GEOMETRY = ("kernel", "dilation", "stride", "outputs")


def architecture(frames: Frames) -> Section:
    """Figures 2 and 3, Tables 1 to 5."""
    blocks: list[Block] = [Note(WHY), block_or_note(generator, frames), block_or_note(network, frames)]
    blocks += [block_or_note(layers, frames, table["table"]) for table in paper()["architecture"]]
    return Section(
        id="architecture", title="Networks (the paper's Figures 2 and 3, Tables 1 to 5)", blocks=blocks, folded=True
    )


def schedule(frames: Frames) -> Section:
    """The training schedule."""
    return Section(id="schedule", title="Training schedule", blocks=[block_or_note(schedules, frames)], folded=True)


def generator(frames: Frames) -> FigureView:
    """The figure of Table 1."""
    return FigureView(
        name="generator",
        drawn=figures.generator(frames),
        alt="The generator's layers from left to right, as high as their maps; the next table lists them.",
        caption=f"The generator of {_reference(frames)} as built (the paper's Table 1, drawn).",
    )


def network(frames: Frames) -> FigureView:
    """The figure of all networks, as Figures 2 and 3."""
    return FigureView(
        name="network",
        drawn=figures.network(frames),
        alt="The masked image goes through the generator; each critic looks at its view of the repaired image and "
        "gives its loss; the reconstruction loss stands beside them.",
        caption=f"The whole network of {_reference(frames)} as built (the paper's Figures 2 and 3).",
    )


def _reference(frames: Frames) -> str:
    return label(str(frames.study["reference"] or "the proposed model"))


def layers(frames: Frames, printed: int) -> TableView:
    """One of Tables 1 to 5: as printed and as built. ``printed`` is its number in the paper."""
    table = tables.architecture_table(frames, printed)
    entry = next(entry for entry in paper()["architecture"] if entry["table"] == printed)
    rows = []
    for row in records(table):
        cells = [Cell(row["layer"] or row["built_layer"], below="" if row["layer"] else f"{row['name']}: not printed")]
        for name in GEOMETRY:
            if name in entry["layers"][0]:
                paper_s, built = _plain(row[name]), _plain(row[f"built_{name}"])
                same = paper_s == built or row["layer"] is None
                cells.append(Cell(built if same else f"{paper_s} → {built}", kind="number"))
        size = row["size"]
        cells += [
            number(size) if isinstance(size, int) else text(size),
            number(row["parameters"]),
            number(row["macs"] / 1e6 if row["macs"] is not None else None, 2),
            number(row["receptive_field"]) if isinstance(row["receptive_field"], int) else text(row["receptive_field"]),
            Cell(_agreement(row)),
        ]
        rows.append(cells)
    agrees = all(row["agrees"] for row in records(table) if row["layer"] is not None)
    why = next((row["why"] for row in records(table) if row["why"]), "")
    agreement = "Every printed cell is as built." if agrees else f"Printed → built where they differ. {why}"
    return TableView(
        name=f"table-{printed}",
        caption=f"{entry['caption']} (the paper's Table {printed}), as built for images of "
        f"{frames.study['image_size']} px. {agreement.strip()} MMAC: million multiply-accumulates for one image. Sees: "
        "receptive field in pixels of the image.",
        headings=[
            "Layer", *(name.capitalize() for name in GEOMETRY if name in entry["layers"][0]), "Size", "Parameters",
            "MMAC", "Sees", "Agrees",
        ],
        rows=rows,
        frame=table,
        folded=printed > 1,
    )  # fmt: skip


def _agreement(row: dict[str, Any]) -> str:
    if row["layer"] is None:
        return NONE
    if row["agrees"]:
        return "yes"
    differing = [name for name in GEOMETRY if row[name] is not None and row[name] != row[f"built_{name}"]]
    return f"except {', '.join(differing)}" if row["name"] else "not built"


def _plain(value: object) -> str:
    if value is None:
        return NONE
    return f"{value:g}" if isinstance(value, float) else str(value)


def schedules(frames: Frames) -> TableView:
    """The schedule of each trained variant."""
    table = tables.schedule_table(frames)

    def cells(row: dict[str, Any]) -> list[Cell]:
        options = {name: row[name] for name in ("form", "clip", "penalty", "norm")}
        loss = ", ".join(
            f"{name} {_plain(value)}" for name, value in options.items() if value != "" and pd.notna(value)
        )
        rates = " then ".join(_rate(row[name]) for name in ("rate_pretrain", "rate_joint") if pd.notna(row[name]))
        drop = f"; {row['drop']}" if row["drop"] else ""
        return [
            Cell(row["label"], below=row["note"]),
            *(number(row[name]) for name in ("pretrain", "critic", "joint")),
            number(row["batch"]),
            Cell(row["loss"] or NONE, below=loss),
            number(row["critic_steps"]),
            Cell(row["weights"] or NONE),
            Cell(", ".join(filter(None, (row["optimizer"], row["betas"]))) or NONE, below=rates + drop),
            Cell(
                ", ".join(filter(None, (row["critic_optimizer"], row["critic_betas"]))) or NONE,
                below=_rate(row["critic_rate"]),
            ),
        ]

    whole = table_view(
        table,
        cells,
        name="schedule",
        caption="Training of each variant, and what the paper says of its own. The first columns are steps: of the "
        "generator alone, of the critics alone, and of all together.",
        headings=[
            "Variant", "Alone", "Critics", "Together", "Batch", "Loss", "Critic steps", "Weights",
            "Generator's optimiser", "Critics' optimiser",
        ],
        groups=["paper", *(group(frames, name) for name in table["variant"][1:])],
    )  # fmt: skip
    return folded(whole, "Training schedule")


def _rate(value: float) -> str:
    return "" if pd.isna(value) else f"{value:g}"
