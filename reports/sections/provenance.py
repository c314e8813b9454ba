"""Provenance: the command, versions, devices, data and records behind the results."""

from typing import Any

import pandas as pd

from reports.analysis import tables
from reports.analysis.frames import EXTERNAL, Frames
from reports.document import NONE, Block, Cell, Facts, Note, Section, TableView, block_or_note, number, text, words
from reports.sections.common import table_view


def provenance(frames: Frames) -> Section:
    """Command, versions, devices, data, records."""
    study = frames.study
    facts = [
        ("Command", words(study["command"])),
        ("Study file", words(study["file"])),
        ("Versions", words(study["versions"])),
        ("Devices", words(study["devices"])),
        ("Numerics", words(study["numerics"])),
        ("Protocol", words(study.get("protocol"))),
        ("Seeds", words(study["seeds"])),
    ]
    facts += [("Plugins", words(study["plugins"]))] if study["plugins"] else []
    return Section(
        id="provenance",
        title="Provenance",
        blocks=[
            Facts(facts),
            block_or_note(data, frames),
            *remembered(frames),
            block_or_note(runs, frames),
            *files(frames),
        ],
        folded=True,
    )


def data(frames: Frames) -> TableView:
    """The table of data sets."""
    table = tables.data_table(frames)
    counts = ["train", "validation", "test", "left_out"]
    return table_view(
        table,
        lambda row: [
            text(row["name"]),
            text(row["kind"]),
            *(number(row[count]) for count in counts),
            text(row["counterpart"]),
            text(duplicates(row)),
            Cell(str(row["digest"] or NONE)[:12]),
        ],
        name="data",
        caption="The data sets, the paper's set that each is compared with, the test images with an exact or near "
        "duplicate in another part, and a digest of the pixels.",
        headings=["Data", "Kind", "Train", "Validation", "Test", "Left out", "Compared with", "Duplicates", "Digest"],
    )


def duplicates(row: dict[str, Any]) -> str:
    """How many test images of a data set have a duplicate, in words; empty if they were not counted."""
    if pd.isna(row["near_train"]):
        return ""
    found = [
        f"{row[f'{kind}_{part}']:,} {kind} in {word}"
        for part, word in (("train", "training"), ("validation", "validation"))
        for kind in ("exact", "near")
        if row[f"{kind}_{part}"]
    ]
    return ", ".join(found) or "none"


def remembered(frames: Frames) -> list[Block]:
    """A note for each data set whose test images have duplicates among its training images."""
    rows = tables.data_table(frames).to_dict("records") if frames.study["data"] else []
    return [
        Note(
            f"{row['name']}: {row['exact_train']:,} of {int(row['test']):,} test images equal a training image, and "
            f"{row['near_train']:,} have a near duplicate there. A network can remember such an image instead of "
            f"repairing it; the command data show names the pairs."
        )
        for row in rows
        if not pd.isna(row["near_train"]) and row["exact_train"] + row["near_train"]
    ]


def _start(row: dict[str, Any]) -> str:
    return "elsewhere (external)" if row["method"] == EXTERNAL else str(row["start"])


def files(frames: Frames) -> list[Block]:
    """The table of methods scored from files; no blocks if there are none."""
    if not frames.study["external"]:
        return []
    return [
        table_view(
            tables.external_table(frames),
            lambda row: [
                Cell(f"{row['name']} (external)"),
                text(row["data"]),
                text(row["seed"]),
                number(row["images"]),
                number(row["of"]),
                text(row["kind"]),
                text((row["scored"] or "").replace("T", " ").replace("+00:00", " UTC")),
                Cell(row["why"] or "; ".join(row["notes"].splitlines()) or NONE, kind="said"),
            ],
            name="external",
            caption="Methods scored from files; their training is not known here. Kind: composite if the files keep "
            "the known pixels, raw if they are the method's own output.",
            headings=["Method", "Data", "Seed", "Images", "of", "Kind", "Scored", "Notes"],
        )
    ]


def runs(frames: Frames) -> TableView:
    """The table of runs and their records."""
    return table_view(
        tables.provenance_table(frames),
        lambda row: [text(row["run"]), text(row["status"]), text(row["record"]), text(_start(row))],
        name="runs",
        caption="Each run, its Sacred record, and the stage that it starts from.",
        headings=["Run", "Status", "Sacred id", "Start"],
        folded=True,
    )
