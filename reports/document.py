"""The content of a report, independent of its format: sections of tables, figures, facts and notes.

The page (``reports.page``), the PDF (``reports.pdf``) and the single files (``reports.files``) are all written from one
``Document``, so they show the same numbers under the same captions. All text is plain; each writer escapes it.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from reports.analysis.frames import NoDataError

NONE = "–"
NOT_RECORDED = "not recorded"

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Args:
        text: What the cell shows.
        value: The exact value, if the cell is a number.
        below: Further lines, set smaller.
        kind: "number" (one line, aligned right), "each" (one value per seed), "notes" or "said" (a sentence).
        strong: Set in bold.
    """

    text: str
    value: float | None = None
    below: str = ""
    kind: str = ""
    strong: bool = False


@dataclass(frozen=True, kw_only=True)
class TableView:
    """A table as the reader sees it: rounded, in words. The first cell of each row is the row's heading.

    Args:
        name: The name of its files (tables/NAME.csv, tables/NAME.tex); unique in the report.
        frame: The same table in full precision, for the CSV.
        groups: One group per row; a rule separates groups.
        more: A table that is collapsed below this one.
        folded: The table is itself collapsed under its caption.
        cards: Shown on the page instead of the rows.
        number: Set by ``Document.numbered``.
    """

    name: str
    caption: str
    headings: list[str]
    rows: list[list[Cell]]
    frame: pd.DataFrame | None = None
    groups: list[str] = field(default_factory=list)
    more: "TableView | None" = None
    folded: bool = False
    cards: "list[Card]" = field(default_factory=list)
    number: int = 0


@dataclass(frozen=True, kw_only=True)
class Effect:
    """One contrast on a card.

    Args:
        name: What it is about, such as "over GLCIC".
        contrast: Both sides, and ``quantity`` with its unit.
        text, bounds: The difference and its interval as text.
        numbers: Difference, low, high, published; each may be NaN. Drawn beside zero and ``margin``.
        outcome: Empty for a control, which decides nothing.
    """

    name: str
    contrast: str
    quantity: str
    text: str
    bounds: str
    numbers: tuple[float, float, float, float]
    margin: float
    outcome: str
    reason: str
    n: str

    def scaled(self) -> dict[str, float]:
        """The positions of ``low``, ``high``, ``value``, ``published`` and ``margin`` from -1 to 1; 0 is no difference.

        Empty where there is no interval to draw.
        """
        value, low, high, published = self.numbers
        if not np.isfinite([value, low, high]).all():
            return {}
        found = {"low": low, "high": high, "value": value, "published": published, "margin": self.margin}
        most = max(abs(each) for each in found.values() if np.isfinite(each)) or 1.0
        return {name: each / most for name, each in found.items() if np.isfinite(each)}


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a study says of one claim. ``id`` is its anchor.

    Args:
        claim, where: The paper's sentence, and the place in the paper.
        outcome, why: In a word, and in a sentence.
        links, controls: What decides it, and what is shown beside.
        evidence: Names of tables and figures that show the numbers. Those that the report lacks are left out.
        query: How to get the numbers in pandas.
    """

    id: str
    claim: str
    where: str
    outcome: str
    why: str
    links: list[Effect]
    controls: list[Effect]
    evidence: list[str]
    query: str


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Pictures as in the paper's Figure 4: one row per test image, one column per method.

    Args:
        columns: Column titles; "Original" and "Masked" come first.
        rows: The image's name, and for each column its pictures by output ("truth", "masked", "composite", "raw",
            "blended"); an empty mapping where there is no picture.
        outputs: The outputs that the reader can choose from; the first is shown.
        seed: The seed of the runs that made the pictures.
    """

    columns: list[str]
    rows: list[tuple[str, list[Mapping[str, Pixels]]]]
    outputs: list[str]
    seed: int | None = None

    def shown(self) -> Iterator[Pixels]:
        """All pictures, in the order of the page."""
        return (pixels for _, cells in self.rows for cell in cells for pixels in cell.values())


@dataclass(frozen=True, kw_only=True)
class FigureView:
    """A figure as the reader sees it.

    Args:
        name: The name of its files (figures/NAME.svg, figures/NAME.png).
        alt: The alternative text, for readers who cannot see the figure.
        pictures: Shown on the page instead of ``drawn``.
        number: Set by ``Document.numbered``.
    """

    name: str
    drawn: Figure
    alt: str
    caption: str
    pictures: Grid | None = None
    number: int = 0


@dataclass(frozen=True)
class Heading:
    """A heading within a section, such as the name of a data set."""

    text: str


@dataclass(frozen=True)
class Facts:
    """Pairs of a name and its value."""

    pairs: list[tuple[str, str]]


@dataclass(frozen=True)
class Note:
    """A paragraph.

    ``kind``: "headline" (the answer), "scope" (to be read first), "nothing" (why something is missing), or "" (plain).
    """

    text: str
    kind: Literal["", "headline", "nothing", "scope"] = ""


@dataclass(frozen=True)
class Tally:
    """How many of the paper's claims have each outcome."""

    counts: list[tuple[str, int]]


Block = TableView | FigureView | Heading | Facts | Note | Tally


@dataclass(frozen=True, kw_only=True)
class Section:
    """A section of the report. ``id`` is its anchor on the page, where a ``folded`` section is closed at first."""

    id: str
    title: str
    blocks: list[Block]
    folded: bool = False


@dataclass(frozen=True, kw_only=True)
class Document:
    """A whole report. ``citation`` and ``doi`` are the paper's; ``made`` is when the results were produced.

    ``progress`` is a sentence on how far a running study is; empty once it has ended. ``terms``: the meaning of each
    word that the page explains where it occurs; its section "words" has them all.
    """

    title: str
    question: str
    citation: str
    doi: str
    made: str
    sections: list[Section]
    progress: str = ""
    terms: Mapping[str, str] = field(default_factory=dict)

    def tables(self) -> Iterator[TableView]:
        """All tables, including collapsed ones."""
        for section in self.sections:
            for block in section.blocks:
                table = block if isinstance(block, TableView) else None
                while table is not None:
                    yield table
                    table = table.more

    def figures(self) -> Iterator[FigureView]:
        """All figures."""
        return (block for section in self.sections for block in section.blocks if isinstance(block, FigureView))

    def numbered(self) -> "Document":
        """Returns a copy whose tables and figures are numbered from 1 in order of appearance."""
        tables, figures = itertools.count(1), itertools.count(1)

        def block(view: Block) -> Block:
            if isinstance(view, TableView):
                return table(view)
            return replace(view, number=next(figures)) if isinstance(view, FigureView) else view

        def table(view: TableView) -> TableView:
            return replace(view, number=next(tables), more=view.more and table(view.more))

        return replace(self, sections=[replace(s, blocks=[block(one) for one in s.blocks]) for s in self.sections])


def block_or_note(make: Callable[..., Block], *arguments: Any) -> Block:
    """Calls ``make``; if it raises ``NoDataError``, returns a note with the reason."""
    try:
        return make(*arguments)
    except NoDataError as error:
        return Note(str(error), "nothing")


# Text and cells


def words(value: Any) -> str:
    """A value as text: lists and mappings separated by commas; "not recorded" if it is None or empty."""
    if value is None or value == "" or value == [] or value == {}:
        return NOT_RECORDED
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {words(each)}" for key, each in value.items())
    if isinstance(value, list | tuple | set | range):
        return ", ".join(words(each) for each in value)
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)


def duration(seconds: Any) -> str:
    """Seconds as text: "2 h 13 min", "4 min 5 s", "3.2 s"."""
    if seconds is None or pd.isna(seconds):
        return NOT_RECORDED
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(float(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min {rest} s"


def number(value: Any, digits: int = 0, below: str = "", sign: str = "", *, strong: bool = False) -> Cell:
    """A number rounded to ``digits``, with its exact value; a dash if it is missing. ``sign`` "+" shows a plus sign."""
    if value is None or pd.isna(value):
        return Cell(NONE, kind="number")
    return Cell(f"{value:{sign}z,.{digits}f}".replace("-", "−"), float(value), below, "number", strong)


def interval(low: float, high: float, digits: int, sign: str = "") -> str:
    """An interval as text, such as "[0.12, 0.34]"."""
    if pd.isna(low) or pd.isna(high):
        return "no interval"
    return f"[{low:{sign}z.{digits}f}, {high:{sign}z.{digits}f}]".replace("-", "−")


def each(values: Iterable[float], digits: int) -> Cell:
    """One value per seed."""
    return Cell(" ".join(f"{value:.{digits}f}" for value in values) or NONE, kind="each")


def text(value: Any) -> Cell:
    """Plain text; a dash if it is missing or empty."""
    return Cell(NONE if value is None or (pd.api.types.is_scalar(value) and pd.isna(value)) else str(value) or NONE)


def folded(table: TableView, caption: str) -> TableView:
    """Moves the rows of the group "other" into a collapsed table below, captioned ``caption``.

    Returns the table unchanged if no row, or every row, belongs to that group.
    """
    count = table.groups.count("other")
    if count in (0, len(table.groups)):
        return table

    def part(fold: bool) -> dict[str, Any]:
        kept = [place for place, group in enumerate(table.groups) if (group == "other") == fold]
        return {"rows": [table.rows[place] for place in kept], "groups": [table.groups[place] for place in kept]}

    named = f"{caption}: {count} other variant{'' if count == 1 else 's'}, of the ablations and other readings."
    more = TableView(name=f"{table.name}-others", caption=named, headings=table.headings, **part(True))
    return replace(table, **part(False), more=more)
