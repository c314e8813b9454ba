"""The report's tables and figures as files of their own, for other papers, spreadsheets and slides."""

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

OURS = {"tables": (".csv", ".tex"), "figures": (".svg", ".png")}
"""The folders, and the suffixes of the files that are written and removed there."""

_FORMULA = re.compile(r"\s*[=+\-@]|[\t\r\n]")
_NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?"
_NUMBERS = re.compile(rf"{_NUMBER}(\s{_NUMBER})*", re.IGNORECASE)


def write_files(document: Document, drawings: Mapping[str, str], folder: Path) -> None:
    """Write tables/NAME.csv and .tex, figures/NAME.svg and .png into `folder`, and leave nothing of an earlier report.

    A table has a CSV if it has a frame with rows. `drawings`: each figure's SVG by its name. Each file is written aside
    and moved into place. Files in tables/ and figures/ of other suffixes are left alone.
    """
    made: dict[Path, str | bytes] = {}
    for view in document.tables():
        place = folder / "tables" / file_name(view.name)
        made[place.with_suffix(".tex")] = latex(view)
        if view.frame is not None and len(view.frame):
            made[place.with_suffix(".csv")] = plain(view.frame).to_csv(index=False, lineterminator="\n")
    for figure in document.figures():
        place = folder / "figures" / file_name(figure.name)
        made[place.with_suffix(".svg")] = drawings[figure.name]
        made[place.with_suffix(".png")] = style.png(figure.drawn)
    for kind, suffixes in OURS.items():
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for old in (folder / kind).iterdir():
            if old.suffix in suffixes and old not in made:
                old.unlink()
    for path, content in made.items():
        write(path, content)


def file_name(name: str) -> str:
    """A view's name as that of a file: itself where it is of a-z, 0-9, hyphen and underscore, else a safe likeness.

    The likeness ends in a checksum of the name, so that two names do not share a file.
    """
    if re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,199}", name):
        return name
    like = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-_")[:100]
    return f"{like or 'x'}-{zlib.crc32(name.encode('utf-8', 'replace')):08x}"


def plain(table: pd.DataFrame) -> pd.DataFrame:
    """The table as a CSV holds it: tuples and lists as their values apart by spaces, and nothing that would be run.

    A text that a spreadsheet would run as a formula, its first sign being = + - or @, is led by an apostrophe. Numbers
    are left as they are, and so are texts of nothing but numbers. The rest reads back equal with pandas, but that a
    carriage return is a line's end.
    """
    return table.map(_plain).rename(columns=_plain)


def _plain(cell: Any) -> Any:
    if isinstance(cell, tuple | list):
        cell = " ".join(str(value.item() if hasattr(value, "item") else value) for value in cell)
    if not isinstance(cell, str):
        return cell
    cell = re.sub(r"\r\n?", "\n", cell)  # a CSV's writer does not put quotes around it, and its reader ends the row
    return f"'{cell}" if _FORMULA.match(cell) and not _NUMBERS.fullmatch(cell) else cell


def write(path: Path, content: str | bytes) -> Path:
    """Write aside in the same folder, then move into place, so that a reader sees the old file or the new one.

    Text is written as UTF-8, its line ends as they are.
    """
    with tempfile.NamedTemporaryFile("wb", dir=path.parent, delete=False) as aside:
        try:
            aside.write(content.encode() if isinstance(content, str) else content)
            aside.close()
            Path(aside.name).chmod(0o644)
            Path(aside.name).replace(path)
        except BaseException:
            Path(aside.name).unlink(missing_ok=True)
            raise
    return path
