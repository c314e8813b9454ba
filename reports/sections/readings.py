"""What the paper leaves open: outcomes under other readings, its possible protocols, and the readings used."""

from typing import Any

from reports import figures
from reports.analysis import multiverse, protocols, tables
from reports.analysis.frames import Frames, NoDataError
from reports.analysis.naming import label, level_label, metric_of, role
from reports.document import (
    NONE,
    Block,
    Cell,
    Facts,
    FigureView,
    Heading,
    Note,
    Section,
    TableView,
    block_or_note,
    number,
    text,
)
from reports.sections.common import NO_DATA_SET, REGION, of_what_ran, ranged, records, slug, table_view

OTHER = (
    "Where the paper leaves a choice open, another choice might give another outcome. Each point is a contrast under "
    "one set of choices, which are listed below it."
)


def other_readings(frames: Frames) -> Section:
    """The specification curves."""
    blocks: list[Block] = [Note(OTHER)]
    data_sets = frames.data_sets()
    curves = [(name, contrast) for name, pairs in multiverse.multiverses(frames).items() for contrast in pairs]
    for data in data_sets:
        blocks += [Heading(data)] if len(data_sets) > 1 and curves else []
        for name, contrast in curves:
            shown = block_or_note(curve, frames, name, contrast, data)
            blocks.append(shown)
            if not isinstance(shown, Note):
                blocks.append(block_or_note(universes, frames, name, contrast, data))
    if not data_sets:
        blocks.append(NO_DATA_SET)
    elif not curves:
        blocks.append(Note(f"The study has no multiverse{of_what_ran(frames)}.", "nothing"))
    return Section(id="other-readings", title="Other readings of the paper", blocks=blocks, folded=True)


def curve(frames: Frames, name: str, contrast: tuple[str, str], data: str) -> FigureView:
    """The figure of a specification curve."""
    table = multiverse.specification_table(frames, name, data, contrast=contrast)
    a, b = contrast
    return FigureView(
        name=slug("specification", name, a, b, data),
        drawn=figures.specification(frames, name, data=data, contrast=contrast),
        alt=f"The difference in PSNR of the hole between {label(a)} and {label(b)} in each universe, sorted, with its "
        "interval, and below it the level of each reading; the next table lists the values.",
        caption=f"{label(a)} against {label(b)} under each reading of the multiverse {name}. "
        f"{multiverse.specification_words(table)}",
    )


def universes(frames: Frames, name: str, contrast: tuple[str, str], data: str) -> TableView:
    """The table of a specification curve's values."""
    table = multiverse.specification_table(frames, name, data, contrast=contrast)
    varied = multiverse.readings(table)
    return table_view(
        table,
        lambda row: [
            Cell("the study's own" if row["usual"] else str(row["universe"])),
            *(Cell(level_label(str(row[reading])) or NONE) for reading in varied),
            ranged(row, "difference", 3, "+"),
            Cell(f"{row['n_seeds'][0]} and {row['n_seeds'][1]} seeds", below=f"{row['n_images']:,} images"),
            Cell(row["note"] or NONE, kind="notes"),
        ],
        name=slug("specification", name, *contrast, data),
        caption=f"The universes of {name} on {data}: {label(contrast[0])} − {label(contrast[1])}, PSNR of the hole "
        "(dB), with 95% intervals, not adjusted for their number.",
        headings=["Universe", *varied, "Difference", "n", "Note"],
        folded=True,
    )


def protocol(frames: Frames) -> Section:
    """The protocols that the published numbers may come from."""
    blocks = [block_or_note(in_reach, frames)]
    if not isinstance(blocks[0], Note):
        headroom = protocols.HEADROOM
        blocks.insert(
            0,
            Note(
                "The paper does not say for which region and output its numbers are, nor the window of its SSIM "
                "(readings R23 to R25). But not every number is possible under every protocol. A published number is "
                "in reach if it is above the best filler without training, and below the best method trained here plus "
                f"{headroom['psnr']:g} dB or {headroom['ssim']:g} of SSIM, which longer training on more data might "
                "add. For the raw output of the whole image, methods that copy the surround are compared with each "
                "other, and so are methods that generate it."
            ),
        )
    return Section(id="protocol", title="Which protocol did the paper use?", blocks=blocks, folded=True)


def in_reach(frames: Frames) -> TableView:
    """How many published numbers are in reach under each protocol, and what the others would require."""
    summary = protocols.protocol_summary(frames)
    return table_view(
        summary,
        lambda row: [
            Cell(f"{REGION[row['region']]}, {row['output']}"),
            Cell(row["window"]),
            *(Cell(f"{row[metric]} of {row[f'{metric}_of']}", kind="number") for metric in ("psnr", "ssim")),
            Cell(row["would_have_to"] or "nothing more", kind="notes"),
        ],
        name="protocols",
        caption=f"The paper's Tables 6 to 8 under each protocol. {protocols.protocol_words(summary)}",
        headings=[
            "Region and output",
            "Window of SSIM",
            "PSNR in reach",
            "SSIM in reach",
            "What would have to be true",
        ],
        more=_every_figure(frames),
    )


def _every_figure(frames: Frames) -> TableView:
    table = protocols.protocol_table(frames)

    def cells(row: dict[str, Any]) -> list[Cell]:
        digits = metric_of(row["metric"]).digits
        return [
            Cell(f"{metric_of(row['metric']).label}, {REGION[row['region']]}, {row['output']}"),
            Cell(label(role(frames, row["method"])), below=row["counterpart"]),
            number(row["published"], digits),
            number(row["measured"], digits, f"on {row['data']}"),
            number(row["floor"], digits, label(row["filler"])),
            number(row["ceiling"], digits, f"{label(row['best'])} {row['best_mean']:.{digits}f}"),
            Cell("in reach" if row["in_reach"] else "no"),
        ]

    return table_view(
        table,
        cells,
        name="protocols-each",
        caption="Every published number under every protocol: floor, ceiling, and our number.",
        headings=["Protocol", "Method", "Published", "Measured", "Floor", "Ceiling", "In reach"],
        groups=(table["metric"] + table["region"] + table["output"]).tolist(),
    )


def in_force(frames: Frames) -> Section:
    """The readings that the study uses."""
    return Section(
        id="readings",
        title="Choices where the paper is open",
        blocks=[block_or_note(unlike, frames), *departures(frames), block_or_note(all_of, frames)],
        folded=True,
    )


def departures(frames: Frames) -> list[Block]:
    """The paper's methods that depart from the text of their own papers, and where; no blocks if none is known."""
    try:
        table = tables.departures_table(frames)
    except NoDataError:
        return []
    found = [
        (str(name), "; ".join(f"{row['key']} {level_label(row['value'])} ({row['reading']})" for row in records(own)))
        for name, own in table.astype({"value": str}).groupby("label", sort=False)
    ]
    return [Heading("Departures from the methods' own papers"), Facts(found), Heading("All choices")] if found else []


def unlike(frames: Frames) -> TableView:
    """The table of settings on which the paper is silent, and in which the compared methods were treated unlike."""
    return table_view(
        tables.unlike_table(frames),
        lambda row: [text(row["key"]), text(row["reading"]), Cell(row["unlike"], kind="said")],
        name="unlike",
        caption="Settings that the paper does not give and that differ between the methods. A difference between two "
        "methods may come from these.",
        headings=["Setting", "Reading", "In words"],
    )


def all_of(frames: Frames) -> TableView:
    """The table of all readings; those that depart from the paper's text come first."""
    table = tables.readings_table(frames)
    return table_view(
        table,
        lambda row: [
            text(row["reading"]),
            text(row["key"]),
            text(level_label(str(row["value"]))),
            Cell(row["meaning"] or NONE, kind="said"),
            Cell("departs" if row["departs"] else "no"),
            Cell(row["variants"] or NONE, kind="notes"),
        ],
        name="readings",
        caption="What was chosen where the paper leaves a choice open or contradicts itself. Departures from the text "
        "come first.",
        headings=["Reading", "Setting", "Value", "Meaning", "Departs", "Variants"],
    )
