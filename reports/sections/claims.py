"""What came out for each of the paper's claims."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from reports.analysis.claims import claims_table, links_table
from reports.analysis.frames import Frames
from reports.analysis.links import PARTS, QUANTITIES, own_metrics
from reports.analysis.looks import looks_in_words
from reports.analysis.statistics import p_in_words
from reports.document import NONE, Block, Card, Cell, Effect, Note, Section, TableView, block_or_note, number
from reports.sections.common import difference, intervals, records, slug
from reports.sections.runs import mixed

ADJUSTED = (
    "Of many tests some err. The adjusted p value counts all claims that were tested by chance (Holm's method). At "
    "0.05 or less the outcome stands."
)


def claims(frames: Frames) -> Section:
    """What came out for each claim, and how it was decided."""
    blocks: list[Block] = [Note(text, "scope") for text in (answered_twice(frames), mixed(frames)) if text]
    blocks += [
        block_or_note(claims_view, frames),
        Note(" ".join(filter(None, [ADJUSTED, looks_in_words(frames)]))),
    ]
    return Section(id="claims", title="Claim by claim", blocks=blocks)


def answered_twice(frames: Frames) -> str:
    """Which of a claim's two outcomes is of what; otherwise ""."""
    twice = claims_table(frames).dropna(subset="adversarial_share")
    if twice.empty:
        return ""
    ids = [str(name).removesuffix("-scaled") for name in twice["id"]]
    return (
        f"{', '.join(ids[:-1])} and {ids[-1]} are answered twice: with the critics' weights as printed, and "
        f"({twice['id'].iloc[0]}, ...) with weights scaled so that the critics' gradient is "
        f"{twice['adversarial_share'].iloc[0]:.0%} of the reconstruction loss's."
    )


def claims_view(frames: Frames) -> TableView:
    """The claims with their outcomes: cards on the page, a table elsewhere, and a folded table of all links."""
    table = claims_table(frames)
    rows = [
        [
            Cell(f"{row['id']}. {row['claim']}", below=row["where"], kind="said"),
            Cell(row["outcome"], below=f"scope: {row['scope']}"),
            Cell(row["contrast"] or NONE, below=row["link"]),
            _effect(row),
            Cell(row["counts"] or NONE),
            _adjusted(row),
        ]
        for row in records(table)
    ]
    links = links_table(frames)
    return TableView(
        name="claims",
        caption=f"The outcome of each claim, and the contrast that decides it ({intervals(frames)}).",
        headings=["Claim", "Outcome", "Contrast", "Effect", "n", "Adjusted p"],
        rows=rows,
        frame=table.drop(columns=["links", "controls"]),
        cards=[card(frames, row) for row in records(table)],
        more=TableView(
            name="links",
            caption="All contrasts behind the claims. Controls decide nothing.",
            headings=["Claim", "Contrast", "Effect", "Outcome", "In words"],
            rows=[
                [
                    Cell(f"{row['id']}: {row['name']}", below="control" if row["role"] == "control" else ""),
                    Cell(row["contrast"] or NONE),
                    _effect(row),
                    Cell(row["outcome"] if row["role"] == "link" else NONE),
                    Cell(row["why"], kind="said"),
                ]
                for row in records(links)
            ],
            frame=links,
            groups=links["id"].tolist(),
        ),
    )


def card(frames: Frames, row: dict[str, Any]) -> Card:
    """A claim's card. ``row``: of ``claims_table``."""
    links, controls = ([_on_card(frames, link) for link in row[kind]] for kind in ("links", "controls"))
    deciding = next(link for link in row["links"] if link["name"] == row["link"])
    several = f"{deciding['name']}: " if len(links) > 1 else ""
    why = f"{several}{deciding['reason'].rstrip('.')}."
    why = f"{why[:1].upper()}{why[1:]}"
    if row["holds_adjusted"] is not None:
        stands = "stands" if row["holds_adjusted"] else "does not stand"
        why += f" Adjusted for all claims, this {stands} (p {p_in_words(row['p_holm'])})."
    return Card(
        id=row["id"],
        claim=row["claim"],
        where=row["where"],
        outcome=row["outcome"],
        why=why,
        links=links,
        controls=controls,
        evidence=list(dict.fromkeys(name for link in row["links"] for name in _evidence(frames, link))),
        query=f"results.links.query('id == \"{row['id']}\"')",
    )


def _on_card(frames: Frames, link: Mapping[str, Any]) -> Effect:
    quantity = {**QUANTITIES, **own_metrics(frames.study["metrics"] or {})}[link["metric"]]
    name = quantity.label if quantity.label.isupper() else f"{quantity.label[:1].lower()}{quantity.label[1:]}"
    effect, bounds = difference({key: np.nan if value is None else value for key, value in link.items()})
    numbers = (link[name] for name in ("effect", "low", "high", "published"))
    value, low, high, published = (np.nan if number is None else float(number) for number in numbers)
    return Effect(
        name=link["name"],
        contrast=link["contrast"],
        quantity=f"{name}{PARTS.get(link['of'], '')}",
        text=effect,
        bounds=bounds,
        numbers=(value, low, high, published),
        margin=link["margin"] or np.nan,
        outcome=link["outcome"] or "",
        reason=link["reason"],
        n=link["counts"],
    )


EVIDENCE = {
    "spread": ("mechanism",),
    "sharpness": ("sharpness", "mechanism"),
    "seam": ("blending",),
    "artefact_share": ("worst",),
    "parameters": ("cost",),
    "macs": ("cost",),
    "seconds": ("cost",),
    "receptive_field": ("network", "table-1"),
}
"""The tables and figures that show a quantity, by the first part of their names."""


def _evidence(frames: Frames, link: Mapping[str, Any]) -> Iterator[str]:
    """The names of the tables and figures that show a link's numbers."""
    cells = frames.factors[frames.factors["variant"].isin([link["a"], link["b"]])]
    for name in (*EVIDENCE.get(link["metric"], ()), *(("contrasts",) if cells.empty else ("ablations",))):
        yield slug(name, link["data"]) if link["data"] and name not in ("cost", "network", "table-1") else name


def _effect(row: dict[str, Any]) -> Cell:
    """The effect with its unit and interval."""
    effect, bounds = difference(row)
    return Cell(effect, float(row["effect"]), bounds, "number") if effect else Cell(NONE, kind="number")


def _adjusted(row: dict[str, Any]) -> Cell:
    """The p value after Holm's adjustment, and whether the outcome stands."""
    if pd.isna(row["p_holm"]):
        return Cell(NONE, kind="number")
    stands = "" if row["holds_adjusted"] is None else "stands" if row["holds_adjusted"] else "does not stand"
    return replace(number(row["p_holm"], 3, stands), text=p_in_words(row["p_holm"]))
