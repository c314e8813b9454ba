"""The report's tables and figures as files of their own, for other papers and other programs."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from reports.document import Document
from reports.figures import style
from reports.latex import latex

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""


def write_files(document: Document, drawings: Mapping[str, str], folder: Path) -> None:
    """Write tables/NAME.csv and NAME.tex, figures/NAME.svg and NAME.png into `folder`; none of an earlier report stay.

    A CSV holds full precision: tuples are their values apart by spaces. Text in it that a spreadsheet would run as a
    formula stands behind an apostrophe. `drawings`: each figure's SVG by its name.
    """
    made: dict[Path, str | bytes] = {}
    for table in document.tables():
        place = folder / "tables" / table.name
        if table.frame is not None:
            made[place.with_name(f"{table.name}.csv")] = plain(table.frame).to_csv(index=False)
        made[place.with_name(f"{table.name}.tex")] = latex(table)
    for figure in document.figures():
        place = folder / "figures" / figure.name
        made[place.with_name(f"{figure.name}.svg")] = drawings[figure.name]
        made[place.with_name(f"{figure.name}.png")] = style.png(figure.drawn)
    for kind, suffixes in (("tables", (".csv", ".tex")), ("figures", (".svg", ".png"))):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for old in (folder / kind).iterdir():
            if old.suffix in suffixes and old not in made:
                old.unlink()
    for path, content in made.items():
        write(path, content)


def plain(table: pd.DataFrame) -> pd.DataFrame:
    """A table of plain values, as a CSV holds it."""

    def value(cell: object) -> object:
        if isinstance(cell, tuple | list):
            return " ".join(map(repr, cell)) if all(isinstance(each, int | float) for each in cell) else str(cell)
        return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell

    texts = [column for column in table if not pd.api.types.is_numeric_dtype(table[column])]
    return table.assign(**{str(column): table[column].astype(object).map(value) for column in texts})


def write(path: Path, content: str | bytes) -> Path:
    """Write aside in the same folder, then move into place, so that a reader sees the old file or the new one."""
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
