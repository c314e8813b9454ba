"""What a report consists of, whatever it is written as: sections of tables, figures, facts and sentences.

The page (`reports.page`), the paper (`reports.pdf`) and the single files (`reports.files`) are written from one
`Document`, so that they hold the same numbers under the same captions. All text in it is plain: each writer escapes it.
"""

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
    """What stands in a table's cell: `text`, its exact `value` if it is a number, and smaller words `below`.

    `kind`: 'number' (one line, set to the right), 'each' (the seeds' values), 'notes', 'said' (a sentence).
    `strong`: set in bold, which says that a difference is resolved.
    """

    text: str
    value: float | None = None
    below: str = ""
    kind: str = ""
    strong: bool = False


@dataclass(frozen=True, kw_only=True)
class TableView:
    """A table as a reader sees it, in words and rounded; each row's first cell is its heading.

    `name`: of its files (tables/NAME.csv, tables/NAME.tex), unlike that of any other table. `frame`: the same in full
    precision, for the CSV. `groups`, one a row: a rule is drawn where it changes. `more`: what is folded away beneath
    it. `folded`: it is itself folded away under its caption. `number`: given by `Document.numbered`.
    """

    name: str
    caption: str
    headings: list[str]
    rows: list[list[Cell]]
    frame: pd.DataFrame | None = None
    groups: list[str] = field(default_factory=list)
    more: "TableView | None" = None
    folded: bool = False
    number: int = 0


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Pictures to be looked at one by one, as Figure 4 has them: a row a test image, a column a method.

    `columns`: titles, "Original" and "Masked" first. `rows`: an image's name, then for each column its pictures by
    output ('truth', 'masked', 'composite', 'raw', 'blended'), an empty mapping where there is none.
    `outputs`: which of them a reader can choose between, the first being shown. `seed`: of the runs that made them.
    """

    columns: list[str]
    rows: list[tuple[str, list[Mapping[str, Pixels]]]]
    outputs: list[str]
    seed: int | None = None


@dataclass(frozen=True, kw_only=True)
class FigureView:
    """A figure as a reader sees it. `name` is of its files (figures/NAME.svg, figures/NAME.png).

    `alt`: what it shows, for those who cannot see it. `pictures`: the page shows these in place of the drawing.
    """

    name: str
    drawn: Figure
    alt: str
    caption: str
    pictures: Grid | None = None
    number: int = 0


@dataclass(frozen=True)
class Heading:
    """Within a section, such as a data set's name."""

    text: str


@dataclass(frozen=True)
class Facts:
    """Names with what there is to say of each."""

    pairs: list[tuple[str, str]]


@dataclass(frozen=True)
class Note:
    """A paragraph. `kind`: 'nothing' (says why something is not there), 'scope' (to be read first), or plain."""

    text: str
    kind: Literal["", "nothing", "scope"] = ""


Block = TableView | FigureView | Heading | Facts | Note


@dataclass(frozen=True, kw_only=True)
class Section:
    """`id` is its anchor on the page."""

    id: str
    title: str
    blocks: list[Block]


@dataclass(frozen=True, kw_only=True)
class Document:
    """A whole report. `citation` and `doi` are the paper's; `made` is the date of what it rests on."""

    title: str
    question: str
    citation: str
    doi: str
    made: str
    sections: list[Section]

    def tables(self) -> Iterator[TableView]:
        """Every table, those that are folded away included."""
        for section in self.sections:
            for block in section.blocks:
                table = block if isinstance(block, TableView) else None
                while table is not None:
                    yield table
                    table = table.more

    def figures(self) -> Iterator[FigureView]:
        """Every figure."""
        return (block for section in self.sections for block in section.blocks if isinstance(block, FigureView))

    def numbered(self) -> "Document":
        """The same with tables and figures numbered from 1 in their order."""
        tables = figures = 0

        def table(view: TableView) -> TableView:
            nonlocal tables
            tables += 1
            return replace(view, number=tables, more=view.more and table(view.more))

        def figure(view: FigureView) -> FigureView:
            nonlocal figures
            figures += 1
            return replace(view, number=figures)

        def block(one: Block) -> Block:
            if isinstance(one, TableView):
                return table(one)
            return figure(one) if isinstance(one, FigureView) else one

        return replace(self, sections=[replace(s, blocks=[block(one) for one in s.blocks]) for s in self.sections])


def there(make: Callable[..., Block], *arguments: Any) -> Block:
    """What `make` makes, or the sentence why there is nothing."""
    try:
        return make(*arguments)
    except NoDataError as nothing:
        return Note(str(nothing), "nothing")


# Words and cells


def words(value: Any) -> str:
    """A plain fact in words: lists and mappings by commas, nothing as "not recorded"."""
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
    """Seconds in words: "2 h 13 min", "4 min 5 s", "3.2 s"."""
    if seconds is None or pd.isna(seconds):
        return NOT_RECORDED
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(float(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min {rest} s"


def number(value: Any, digits: int = 0, below: str = "", sign: str = "", *, strong: bool = False) -> Cell:
    """A number rounded to `digits`, with its exact value; a dash where there is none. `sign` '+' shows a plus."""
    if value is None or pd.isna(value):
        return Cell(NONE, kind="number")
    return Cell(f"{value:{sign},.{digits}f}".replace("-", "−"), float(value), below, "number", strong)


def interval(low: float, high: float, digits: int, sign: str = "") -> str:
    """An interval in words."""
    if pd.isna(low) or pd.isna(high):
        return "no interval"
    return f"[{low:{sign}.{digits}f}, {high:{sign}.{digits}f}]".replace("-", "−")


def each(values: Iterable[float], digits: int) -> Cell:
    """The values of every seed."""
    return Cell(" ".join(f"{value:.{digits}f}" for value in values) or NONE, kind="each")


def text(value: Any) -> Cell:
    """Text as it is; what is missing is a dash."""
    return Cell(NONE if value is None or (pd.api.types.is_scalar(value) and pd.isna(value)) else str(value) or NONE)


def folded(table: TableView, caption: str) -> TableView:
    """The same with the rows of the group "other" folded away under `caption`; as it is where there are no others."""
    others = [group == "other" for group in table.groups]
    if all(others) or not any(others):
        return table

    def part(fold: bool) -> dict[str, Any]:
        kept = [place for place, other in enumerate(others) if other == fold]
        return {"rows": [table.rows[place] for place in kept], "groups": [table.groups[place] for place in kept]}

    count = sum(others)
    named = f"{caption}: {count} other variant{'' if count == 1 else 's'}, of the ablations and other readings."
    more = TableView(name=f"{table.name}-others", caption=named, headings=table.headings, **part(True))
    return replace(table, **part(False), more=more)
