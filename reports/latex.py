"""A table in LaTeX, with booktabs; every name in it comes out as text."""

import re

from reports.document import Cell, TableView

SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "'": r"\textquotesingle{}", "`": r"\textasciigrave{}",
    "-": "{-}",  # else two of them are a dash
    "−": r"\ensuremath{-}", "–": r"\textendash{}", "—": r"\textemdash{}", "×": r"\ensuremath{\times}",
    "·": r"\textperiodcentered{}", "±": r"\ensuremath{\pm}", "→": r"\ensuremath{\rightarrow}",
    "↑": r"\ensuremath{\uparrow}", "↓": r"\ensuremath{\downarrow}", "≥": r"\ensuremath{\ge}",
    "≤": r"\ensuremath{\le}", "λ": r"\ensuremath{\lambda}", "…": r"\dots{}", "“": r"\textquotedblleft{}",
    "”": r"\textquotedblright{}", "’": r"\textquoteright{}", "‘": r"\textquoteleft{}", "√": r"\ensuremath{\surd}",
}  # fmt: skip
WIDE = 38
"""From how many letters on a column breaks its lines."""


def latex(view: TableView) -> str:
    """A whole `table`: caption, label, rules where the groups change. What stands below a value is small beneath it."""
    widths = [max([len(cell.text) for cell in column] or [0]) for column in zip(*view.rows, strict=True)]
    right = [any(cell.kind == "number" for cell in column) for column in zip(*view.rows, strict=True)]
    columns = "".join(
        "r" if number else "l" if width <= WIDE else f"p{{{min(width, 90) * 0.06:.1f}cm}}"
        for width, number in zip(widths, right, strict=True)
    )
    rows = []
    for place, row in enumerate(view.rows):
        if place and view.groups and view.groups[place] != view.groups[place - 1]:
            rows.append(r"\midrule")
        cells = [
            _cell(cell, "r" if number else "l", width > WIDE)
            for cell, number, width in zip(row, right, widths, strict=True)
        ]
        rows.append(" & ".join(cells) + r" \\")
    return "\n".join(
        [
            r"% needs \usepackage[T1]{fontenc}, \usepackage{textcomp,booktabs,makecell}",
            r"\begin{table}",
            r"\centering\small",
            rf"\caption{{{escaped(view.caption)}}}",
            rf"\label{{tab:{re.sub(r'[^A-Za-z0-9-]+', '-', view.name)}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            " & ".join(map(escaped, view.headings)) + r" \\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def escaped(text: str) -> str:
    """Any text as LaTeX that prints it; a sign that pdfLaTeX may lack is a question mark."""
    return "".join(
        SPECIAL.get(sign, sign if sign.isprintable() and ord(sign) < 0x180 else _other(sign)) for sign in text
    )


def _other(sign: str) -> str:
    return " " if sign.isspace() else "?"


def _cell(cell: Cell, side: str, breaks: bool) -> str:
    text = escaped(cell.text)
    text = rf"\textbf{{{text}}}" if cell.strong else text
    if not cell.below:
        return text
    lines = [rf"{{\footnotesize {escaped(line)}}}" for line in cell.below.splitlines()]
    if breaks:
        return r" \newline ".join([text, *lines])
    stacked = r" \\ ".join([text, *lines])
    return rf"\makecell[{side}t]{{{stacked}}}"
