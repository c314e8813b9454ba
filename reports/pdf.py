"""The report as a PDF, typeset by Typst; the same document gives the same bytes."""

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
"""The appendix prints the collapsed tables only if they have at most this many rows in total."""
WHOLE = 26
"""A table with at most this many lines is kept on one page."""
LONG = 1200
"""A row with a cell of more characters than this may break across pages."""


def pdf(document: Document, drawings: Mapping[str, str]) -> bytes:
    """The document as the bytes of a PDF. ``drawings`` maps figure names to SVG.

    Only the fonts of the typst and matplotlib packages are used, and the date is the document's, so the result does not
    depend on the machine. The template prints every value as a Typst literal (``literal``), so text is never markup.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("reports"),
        autoescape=False,  # this is not HTML; `finalize` turns each value into a literal
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
    moment = _moment(document.made)
    text = environment.get_template("report.typ").render(
        document=document,
        made=moment and {"year": moment.year, "month": moment.month, "day": moment.day},
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
        options: dict[str, Any] = {"font_paths": [fonts], "ignore_system_fonts": True}
        compiled = typst.compile(main, root=Path(folder), timestamp=moment or datetime.fromtimestamp(0, UTC), **options)
    assert isinstance(compiled, bytes)
    return compiled


def literal(value: Any) -> str:
    r"""A value as a Typst literal: "a \"b\"", 3, true, none, (1, 2,), (a: 1). Control characters become spaces."""
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
    """A table for the template: its text, and for each column its alignment and its longest texts, to be measured."""
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
    apart = [place for place, group in enumerate(view.groups) if place and group != view.groups[place - 1]]
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
    """The ``count`` longest texts; the widest one is almost always among them."""
    return sorted(set(texts), key=lambda text: (-len(text), text))[:count]


def _appendix(document: Document) -> list[TableView]:
    """The collapsed tables, in order."""
    shown = {block.name for section in document.sections for block in section.blocks
             if isinstance(block, TableView) and not block.folded}  # fmt: skip
    return [view for view in document.tables() if view.name not in shown]


def _moment(made: str) -> datetime | None:
    """The document's date, or None if it is not recorded."""
    try:
        moment = datetime.fromisoformat(made)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
