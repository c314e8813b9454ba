"""Writes the report's tables and figures as single files, for papers, spreadsheets and slides."""

import re
import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from reports.document import Document
from reports.figures import style
from reports.latex import latex

OURS = {"tables": (".csv", ".tex"), "figures": (".svg", ".png", ".pdf")}
"""The folders, and the suffixes of the files that a report owns (writes and deletes) in them."""

_FORMULA = re.compile(r"\s*[=+\-@]|[\t\r\n]")
_NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?"
_NUMBERS = re.compile(rf"{_NUMBER}(\s{_NUMBER})*", re.IGNORECASE)


def exports(document: Document, drawings: Mapping[str, str]) -> dict[str, bytes]:
    """The content of every file by its path: tables/NAME.csv and .tex, figures/NAME.svg, .png and .pdf.

    A table has a CSV only if its frame has rows. ``drawings`` maps each figure's name to its SVG.
    """
    contents: dict[str, bytes] = {}
    for view in document.tables():
        place = f"tables/{file_name(view.name)}"
        contents[f"{place}.tex"] = latex(view).encode()
        if view.frame is not None and len(view.frame):
            contents[f"{place}.csv"] = plain(view.frame).to_csv(index=False, lineterminator="\n").encode()
    for figure in document.figures():
        place = f"figures/{file_name(figure.name)}"
        contents[f"{place}.svg"] = drawings[figure.name].encode()
        contents[f"{place}.png"] = style.png(figure.drawn)
        contents[f"{place}.pdf"] = style.pdf(figure.drawn)
    return contents


def write_files(contents: Mapping[str, bytes], folder: Path) -> None:
    """Writes ``exports`` into ``folder``, and deletes those of an earlier report.

    Files are replaced atomically. Files with other suffixes are not touched.
    """
    for kind, suffixes in OURS.items():
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for old in (folder / kind).iterdir():
            if old.suffix in suffixes and f"{kind}/{old.name}" not in contents:
                old.unlink()
    for path, content in contents.items():
        write(folder / path, content)


def file_name(name: str) -> str:
    """A file name for a view.

    The view's own name if it consists of a-z, 0-9, hyphens and underscores. Otherwise a safe version of it that ends in
    a checksum, so that different names get different files.
    """
    if re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,199}", name):
        return name
    safe = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-_")[:100]
    return f"{safe or 'x'}-{zlib.crc32(name.encode('utf-8', 'replace')):08x}"


def plain(table: pd.DataFrame) -> pd.DataFrame:
    """The table as written to CSV: tuples and lists become values separated by spaces, formulas become harmless.

    Text that a spreadsheet would run as a formula (it starts with =, +, - or @) gets a leading apostrophe. Numbers, and
    text that contains only numbers, stay as they are. Everything else reads back equal in pandas, except that carriage
    returns become newlines.
    """
    return table.map(_plain).rename(columns=_plain)


def _plain(cell: Any) -> Any:
    if isinstance(cell, tuple | list):
        cell = " ".join(str(value.item() if hasattr(value, "item") else value) for value in cell)
    if not isinstance(cell, str):
        return cell
    cell = re.sub(r"\r\n?", "\n", cell)  # the CSV writer does not quote it, and a reader would end the row there
    return f"'{cell}" if _FORMULA.match(cell) and not _NUMBERS.fullmatch(cell) else cell


def write(path: Path, content: str | bytes) -> Path:
    """Replaces a file atomically, through a temporary file in the same folder. Returns ``path``.

    Text is written as UTF-8; its line endings are kept.
    """
    with tempfile.NamedTemporaryFile("wb", dir=path.parent, delete=False) as temporary:
        try:
            temporary.write(content.encode() if isinstance(content, str) else content)
            temporary.close()
            Path(temporary.name).chmod(0o644)
            Path(temporary.name).replace(path)
        except BaseException as error:
            Path(temporary.name).unlink(missing_ok=True)
            if isinstance(error, OSError) and error.errno and error.filename is None:
                error.filename = str(path)
            raise
    return path
