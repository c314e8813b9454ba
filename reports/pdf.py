"""The report as a paper, typeset by Typst: the same bytes from the same document."""

import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
import matplotlib
import typst

from reports.document import Cell, Document, TableView

LINE = 122
"""How many letters of the largest type stand in a line."""
GUTTER = 2
SMALL = 0.85
"""The size of what stands below a value, as a share of the value's."""
LARGEST, SMALLEST = 8.5, 6.0
LONGEST = 30
"""To how many letters a column of words is taken to be wide; longer ones break their lines."""
UNBROKEN = 20
IN_FULL = 300
"""The most rows of folded tables that the paper holds in its appendix."""


def pdf(document: Document, drawings: Mapping[str, str]) -> bytes:
    """The paper, as the bytes of a PDF. `drawings`: each figure's SVG by its name.

    Its fonts are those of the typst package and of matplotlib alone, so that no machine sets it otherwise, and its date
    is the document's. Text goes into it as strings, never as markup.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("reports"),
        autoescape=False,  # Typst is no HTML: every text goes through `string`
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        variable_start_string="<<",
        variable_end_string=">>",
    )
    environment.filters["string"] = string
    files = {name: f"figure-{place}.svg" for place, name in enumerate(drawings)}
    appendix = [table for table in document.tables() if _is_folded(table, document)]
    text = environment.get_template("report.typ").render(
        document=document,
        files=files,
        layout=layout,
        appendix=appendix,
        in_full=sum(len(table.rows) for table in appendix) <= IN_FULL,
    )
    with tempfile.TemporaryDirectory() as folder:
        for name, file in files.items():
            (Path(folder) / file).write_text(drawings[name], encoding="utf-8")
        main = Path(folder) / "report.typ"
        main.write_text(text, encoding="utf-8")
        fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
        made = typst.Compiler(
            main, root=folder, font_paths=[fonts], ignore_system_fonts=True
        ).compile(timestamp=_moment(document.made))
    assert isinstance(made, bytes)
    return made


def _is_folded(table: TableView, document: Document) -> bool:
    blocks = (block for section in document.sections for block in section.blocks)
    return table.folded or all(block is not table for block in blocks)


def _moment(made: str) -> datetime:
    """When the document's results were made; where that is not known, the beginning of 2020, the paper's year."""
    try:
        found = datetime.fromisoformat(made)
    except ValueError:
        return datetime(2020, 1, 1, tzinfo=UTC)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def string(text: object) -> str:
    """A text as a Typst string literal, which cannot be markup: "a \\"b\\"". What cannot be printed is a space."""
    plain = "".join(sign if sign.isprintable() or sign in "\n\u200b" else " " for sign in str(text))
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def layout(view: TableView) -> dict[str, Any]:
    """How a table is set: `columns` (Typst's tracks), `align`, `size` of type in points, and `rows` of breakable cells.

    A table that fits is as wide as its words; another is as wide as the line, in smaller type, with columns of words
    broken.
    """
    cells = [[Cell(heading) for heading in view.headings], *view.rows]
    widths, align = [], []
    for place, column in enumerate(zip(*cells, strict=True)):
        number = any(cell.kind == "number" for cell in column)
        heading, *rest = column
        letters = max(
            max([len(cell.text), *(SMALL * len(x) for x in cell.below.splitlines())]) for cell in rest or [heading]
        )
        words = max((len(word) for word in heading.text.split()), default=1)
        widths.append(max(letters if number else min(letters, LONGEST + 10 * (place == 0)), words + 1, 3))
        align.append("right" if number else "left")
    room = sum(widths) + GUTTER * len(widths)
    fits = room <= LINE
    size = LARGEST if fits else max(SMALLEST, LARGEST * LINE / room)
    fractions = [f"{width + GUTTER:.1f}fr" for width in widths]
    return {
        "columns": ["auto"] * len(widths) if fits and room < 0.8 * LINE else fractions,
        "align": align,
        "size": round(size, 2),
        "rows": [[_breakable(cell) for cell in row] for row in view.rows],
    }


def _breakable(cell: Cell) -> dict[str, Any]:
    """A cell's text, with places to break in words that are too long to stand in a column, and the lines below it."""

    def broken(text: str) -> str:
        if cell.kind == "number" or max(map(len, text.split()), default=0) <= UNBROKEN:
            return text
        return "".join(f"{sign}\u200b" if sign in ":=,_/-." else sign for sign in text)

    return {
        "text": broken(cell.text),
        "below": [broken(line) for line in cell.below.splitlines()],
        "strong": cell.strong,
    }
