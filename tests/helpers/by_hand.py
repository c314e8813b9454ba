"""A document made by hand, of all kinds of blocks, whose every text is one that some language would run."""

import numpy as np
import pandas as pd

from reports.document import (
    Block,
    Cell,
    Document,
    Facts,
    FigureView,
    Grid,
    Heading,
    Note,
    Section,
    TableView,
)
from reports.figures import style

BAD = "<script>alert(1)</script>\"'&#eval(1) $x^{2$ \\input{x} *a* _b_ `c` @d // -- ~"


def made(*blocks: Block, text: str = "A study") -> Document:
    """A document of one section."""
    section = Section(id="one", title=text, blocks=list(blocks))
    return Document(title=text, question=text, citation=text, doi="10.1/x", made="", sections=[section]).numbered()


def table(name: str = "one", text: str = BAD, rows: int = 1) -> TableView:
    """A table of two columns."""
    cells = [[Cell(text, below=text), Cell("1.5", 1.5, text, "number", True)] for _ in range(rows)]
    frame = pd.DataFrame({"name": [text] * rows, "value": 1.5})
    return TableView(name=name, caption=text, headings=[text, "n"], rows=cells, frame=frame)


def figure(name: str = "drawn", text: str = BAD, pictures: bool = False) -> FigureView:
    """A figure with its text in it, or with pictures."""
    drawn = style.figure(3, 1)
    with style.styled():
        drawn.text(0.1, 0.5, text)
    pixels = np.zeros((4, 4, 3), np.uint8)
    grid = Grid(columns=["Original", text], rows=[(text, [{"truth": pixels}, {}])], outputs=["composite"])
    return FigureView(name=name, drawn=drawn, alt=text, caption=text, pictures=grid if pictures else None)


def all_kinds(text: str = BAD) -> Document:
    """One block of each kind."""
    blocks: list[Block] = [Note(text), Note(text, "scope"), Note(text, "nothing"), Heading(text), Facts([(text, text)])]
    return made(*blocks, table(text=text), figure(text=text), figure("pictures", text, pictures=True), text=text)
