"""The paper and its supplement as PDFs, typeset by Typst; the same document gives the same bytes."""

import tempfile
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

import jinja2
import matplotlib
import typst
from matplotlib.font_manager import findSystemFonts
from matplotlib.ft2font import FT2Font

from reports.document import Document, TableView

FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
"""The fonts of matplotlib; Typst's own are built into its package."""
IN_FULL = 1000
"""The appendix prints the collapsed tables only if they have at most this many rows in total."""
WHOLE = 12
"""A table of the supplement with at most this many lines is kept on one page."""
FLOATS = 26
"""A table of the paper with more lines than ``WHOLE`` and at most this many moves to the top or foot of a page."""
LONG = 1200
"""A row with a cell of more characters than this may break across pages."""


def pdf(document: Document, drawings: Mapping[str, str], *, paper: bool = False) -> bytes:
    """The document as the bytes of a PDF. ``drawings`` maps figure names to SVG.

    ``paper``: as a paper, with an abstract (the section of that id), tables that float and no contents; otherwise as a
    supplement. The date is the document's, and only the fonts of the typst and matplotlib packages are used, so the
    result does not depend on the machine; only a script that these lack is set in the machine's fonts. A character that
    no font has becomes its code point (U+4E2D), and a note says so. The template prints every value as a Typst literal
    (``literal``), so text is never markup.
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
    names = [figure.name for figure in document.figures()]
    files = {name: f"figure-{place}.svg" for place, name in enumerate(names)}
    appendix = _appendix(document)
    moment = _moment(document.made)
    text = environment.get_template("report.typ").render(
        document=document,
        made=moment and {"year": moment.year, "month": moment.month, "day": moment.day},
        files=files,
        table=partial(table, floating=_floating(document) if paper else ()),
        paper=paper,
        appendix=appendix,
        in_full=sum(len(view.rows) for view in appendix) <= IN_FULL,
    )
    fonts, missing = fonts_for("".join([text, *(drawings[name] for name in names)]))
    codes = {ord(character): f"U+{ord(character):04X}" for character in missing}
    note = f'\n#text(fill: muted, style: "italic", {literal(_missing(codes.values()))})\n' if codes else ""
    with tempfile.TemporaryDirectory() as folder:
        for name, file in files.items():
            (Path(folder) / file).write_text(drawings[name].translate(codes), encoding="utf-8")
        main = Path(folder) / "report.typ"
        main.write_text(text.translate(codes) + note, encoding="utf-8")
        for place, font in enumerate(fonts):
            (Path(folder) / f"font-{place}{font.suffix}").symlink_to(font)
        options: dict[str, Any] = {"font_paths": [FONTS, folder], "ignore_system_fonts": True}
        compiled = typst.compile(main, root=Path(folder), timestamp=moment or datetime.fromtimestamp(0, UTC), **options)
    assert isinstance(compiled, bytes)
    return compiled


def fonts_for(text: str) -> tuple[list[Path], set[str]]:
    """The machine's fonts for the characters that the fonts of the packages lack, and the characters that none has."""
    usual = _characters(FONTS / "DejaVuSans.ttf")
    lacking = {character for character in set(text) if ord(character) not in usual}
    lacking -= set(map(chr, range(32))) | {"\u200b"}
    fonts = []
    installed = sorted(map(Path, findSystemFonts() if lacking else []))
    for path in sorted(installed, key=lambda path: "Noto" not in path.name):
        known = _characters(path)
        if found := {character for character in lacking if ord(character) in known}:
            fonts.append(path)
            lacking -= found
        if not lacking:
            break
    return fonts, lacking


@cache
def _characters(font: Path) -> frozenset[int]:
    """The code points of a font; empty if it cannot be read."""
    try:
        return frozenset(FT2Font(str(font)).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()


def _missing(codes: Iterable[str]) -> str:
    return (
        f"No installed font has the characters {', '.join(sorted(codes))}, which stand above as these code points. A "
        "font package for their script, such as fonts-noto-cjk, adds them."
    )


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


def table(view: TableView, floating: Collection[str] = ()) -> dict[str, Any]:
    """A table for the template: its text, and for each column its alignment and its longest texts, to be measured.

    ``floating``: names of tables that move to the top or the foot of a page.
    """
    columns = list(zip(*view.rows, strict=True)) if view.rows else [() for _ in view.headings]
    measured = []
    for heading, cells in zip(view.headings, columns, strict=True):
        right = any(cell.kind == "number" for cell in cells)
        lines = [line for cell in cells for line in (cell.text, *cell.below.splitlines())]
        whole = [cell.text for cell in cells if cell.kind == "number"]
        words = [*heading.split(), *(word for line in lines for word in line.split())]
        measured.append({"right": right, "lines": _longest([heading, *lines]), "words": _longest([*whole, *words])})
    long = [any(len(cell.text) + len(cell.below) > LONG for cell in row) for row in view.rows]
    apart = [place for place, group in enumerate(view.groups) if place and group != view.groups[place - 1]]
    return {
        "number": str(view.number),
        "caption": view.caption,
        "whole": (_lines(view) <= WHOLE or view.name in floating) and not any(long),
        "floats": view.name in floating,
        "columns": measured,
        "headings": view.headings,
        "rows": [
            [{"text": cell.text, "below": cell.below.splitlines(), "strong": cell.strong} for cell in row]
            for row in view.rows
        ],
        "long": long,
        "apart": apart,
    }


def _lines(view: TableView) -> int:
    return sum(max(1 + len(cell.below.splitlines()) for cell in row) for row in view.rows)


def _floating(document: Document) -> list[str]:
    """The tables of a paper that float: of middle length, and not in the last sections, whose text ends the paper."""
    views = [block for section in document.sections[:-4] for block in section.blocks if isinstance(block, TableView)]
    return [view.name for view in views if WHOLE < _lines(view) <= FLOATS]


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
