"""The report as a paper, typeset by Typst: the same bytes from the same document."""

import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
import matplotlib
import typst

from reports.document import Document, TableView

IN_FULL = 300
"""The most rows of folded tables that the paper holds in its appendix."""
WHOLE = 26
"""A table of no more lines than this stands on one page."""
LONG = 1200
"""A row with a cell of more letters than this may run over pages."""


def pdf(document: Document, drawings: Mapping[str, str]) -> bytes:
    """The paper, as the bytes of a PDF. `drawings`: each figure's SVG by its name.

    Its fonts are those of the typst package and of matplotlib alone, so that no machine sets it otherwise, and its date
    is the document's. All that the template prints is a Typst literal (`literal`), so no text in it can be markup.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("reports"),
        autoescape=False,  # Typst is no HTML: `finalize` makes all a literal
        finalize=literal,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
    )
    files = {name: f"figure-{place}.svg" for place, name in enumerate(drawings)}
    appendix = _appendix(document)
    made = _moment(document.made)
    text = environment.get_template("report.typ").render(
        document=document,
        made=made and {"year": made.year, "month": made.month, "day": made.day},
        files=files,
        table=table,
        appendix=appendix,
        in_full=sum(len(view.rows) for view in appendix) <= IN_FULL,
    )
    with tempfile.TemporaryDirectory() as folder:
        for name, file in files.items():
            (Path(folder) / file).write_text(drawings[name], encoding="utf-8")
        main = Path(folder) / "report.typ"
        main.write_text(text, encoding="utf-8")
        fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
        moment = made or datetime.fromtimestamp(0, UTC)
        paper: Any = typst.compile(
            main, root=Path(folder), font_paths=[fonts], ignore_system_fonts=True, timestamp=moment
        )
    assert isinstance(paper, bytes)
    return paper


def literal(value: Any) -> str:
    r"""A value as a Typst literal: "a \"b\"", 3, true, none, (1, 2,), (a: 1). A text's control signs are spaces."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return f"({', '.join(f'{literal(str(key))}: {literal(each)}' for key, each in value.items()) or ':'})"
    if isinstance(value, list | tuple):
        return f"({''.join(f'{literal(each)}, ' for each in value)})"
    plain = "".join(sign if sign.isprintable() else " " for sign in str(value))
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'


def table(view: TableView) -> dict[str, Any]:
    """What the template needs of a table: texts, and of each column its side and the longest texts, to be measured."""
    columns = list(zip(*view.rows, strict=True)) if view.rows else [() for _ in view.headings]
    measured = []
    for heading, cells in zip(view.headings, columns, strict=True):
        right = any(cell.kind == "number" for cell in cells)
        lines = [line for cell in cells for line in (cell.text, *cell.below.splitlines())]
        whole = [cell.text for cell in cells if cell.kind == "number"]
        words = [*heading.split(), *(word for line in lines for word in line.split())]
        measured.append({"right": right, "lines": _longest([heading, *lines]), "words": _longest([*whole, *words])})
    lines_of = [max(1 + len(cell.below.splitlines()) for cell in row) for row in view.rows]
    long = [any(len(cell.text) + len(cell.below) > LONG for cell in row) for row in view.rows]
    apart = [place for place, of in enumerate(view.groups) if place and of != view.groups[place - 1]]
    return {
        "number": str(view.number),
        "caption": view.caption,
        "whole": sum(lines_of) <= WHOLE and not any(long),
        "columns": measured,
        "headings": view.headings,
        "rows": [
            [{"text": cell.text, "below": cell.below.splitlines(), "strong": cell.strong} for cell in row]
            for row in view.rows
        ],
        "long": long,
        "apart": apart,
    }


def _longest(texts: list[str], count: int = 4) -> list[str]:
    """The longest few of the texts: the widest is among them but for a letter or so."""
    return sorted(set(texts), key=lambda text: (-len(text), text))[:count]


def _appendix(document: Document) -> list[TableView]:
    """The tables that are folded away, in their order."""
    shown = {block.name for section in document.sections for block in section.blocks
             if isinstance(block, TableView) and not block.folded}  # fmt: skip
    return [view for view in document.tables() if view.name not in shown]


def _moment(made: str) -> datetime | None:
    """When the document's results were made, if that is known."""
    try:
        found = datetime.fromisoformat(made)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
