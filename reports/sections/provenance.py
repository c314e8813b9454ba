"""Where everything came from."""

from reports import tables
from reports.document import Cell, Facts, Section, TableView, number, text, there, words
from reports.frames import Frames
from reports.sections.common import records


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
    return Section(id="provenance", title="Provenance", blocks=[Facts(facts), there(data, frames), there(runs, frames)])


def data(frames: Frames) -> TableView:
    """The data sets."""
    table = tables.data_table(frames)
    counts = ["train", "validation", "test", "left_out"]
    return TableView(
        name="data",
        caption="The data sets: their images, the paper's set that they stand beside, and a digest of the pixels.",
        headings=["Data", "Kind", "Train", "Validation", "Test", "Left out", "Stands beside", "Digest"],
        rows=[
            [
                text(row["name"]),
                text(row["kind"]),
                *(number(row[count]) for count in counts),
                text(row["counterpart"]),
                Cell(str(row["digest"] or "–")[:12]),
            ]
            for row in records(table)
        ],
        frame=table,
    )


def runs(frames: Frames) -> TableView:
    """Each run and its record."""
    table = tables.provenance_table(frames)
    return TableView(
        name="runs",
        caption="Each run, its record in Sacred, and the key of the stage that it starts from.",
        headings=["Run", "Status", "Sacred id", "Start"],
        rows=[
            [text(row["run"]), text(row["status"]), text(row["record"]), text(row["start"])] for row in records(table)
        ],
        frame=table,
        folded=True,
    )
