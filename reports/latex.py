"""Tables as LaTeX, to be included in a paper: with the report's rounding and wording."""

import re
import unicodedata

from reports.document import Cell, TableView

WIDE = 40
"""A column with longer text than this many characters wraps its lines."""

_PACKAGES = r"""% Needs \usepackage{array,booktabs,makecell,adjustbox}; with pdflatex \usepackage[T1]{fontenc}, too.
"""

_APART = "\u200c"
"""Separates two hyphens or commas, which LaTeX would join into one ligature."""

_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "#": r"\#", "$": r"\$", "%": r"\%", "&": r"\&", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "'": r"\textquotesingle{}", "`": r"\textasciigrave{}",
    _APART: r"\kern0pt{}",
    "[": "{[}", "]": "{]}", "*": "{*}",  # or they would be read as an option of the preceding \\
    "–": r"\textendash{}", "—": r"\textemdash{}", "‘": r"\textquoteleft{}", "’": r"\textquoteright{}",
    "“": r"\textquotedblleft{}", "”": r"\textquotedblright{}", "…": r"\textellipsis{}", "•": r"\textbullet{}",
    "‑": "-", "‐": "-", "\u200b": "", "€": r"\texteuro{}", "™": r"\texttrademark{}", "°": r"\textdegree{}",
    "µ": r"\textmu{}",
}  # fmt: skip

_MATHS = {
    "−": "-", "×": r"\times", "·": r"\cdot", "÷": r"\div", "±": r"\pm", "∓": r"\mp", "¬": r"\neg", "√": r"\surd",
    "≤": r"\le", "≥": r"\ge", "≠": r"\ne", "≈": r"\approx", "≡": r"\equiv", "∼": r"\sim", "∝": r"\propto",
    "≪": r"\ll", "≫": r"\gg", "∞": r"\infty", "∈": r"\in", "∩": r"\cap", "∪": r"\cup", "∂": r"\partial",
    "∇": r"\nabla", "∑": r"\sum", "∏": r"\prod", "∫": r"\int", "⊙": r"\odot", "⊗": r"\otimes", "⊕": r"\oplus",
    "←": r"\leftarrow", "→": r"\rightarrow", "↑": r"\uparrow", "↓": r"\downarrow", "↔": r"\leftrightarrow",
    "⇒": r"\Rightarrow", "⇔": r"\Leftrightarrow", "∘": r"\circ", "ℓ": r"\ell", "′": r"{}^{\prime}", "✓": r"\surd",
    "α": r"\alpha", "β": r"\beta", "γ": r"\gamma", "δ": r"\delta", "ε": r"\varepsilon", "ϵ": r"\epsilon", "ζ": r"\zeta",
    "η": r"\eta", "θ": r"\theta", "ι": r"\iota", "κ": r"\kappa", "λ": r"\lambda", "μ": r"\mu", "ν": r"\nu", "ξ": r"\xi",
    "ο": "o", "π": r"\pi", "ρ": r"\rho", "σ": r"\sigma", "ς": r"\varsigma", "τ": r"\tau", "υ": r"\upsilon",
    "φ": r"\varphi", "ϕ": r"\phi", "χ": r"\chi", "ψ": r"\psi", "ω": r"\omega",
    "Γ": r"\Gamma", "Δ": r"\Delta", "Θ": r"\Theta", "Λ": r"\Lambda", "Ξ": r"\Xi", "Π": r"\Pi", "Σ": r"\Sigma",
    "Υ": r"\Upsilon", "Φ": r"\Phi", "Ψ": r"\Psi", "Ω": r"\Omega",
    **{character: f"{{}}^{{{plain}}}" for character, plain in zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-", strict=True)},
    **{character: f"{{}}_{{{plain}}}" for character, plain in zip("₀₁₂₃₄₅₆₇₈₉₊₋", "0123456789+-", strict=True)},
}  # fmt: skip


def latex(view: TableView) -> str:
    r"""The table as a float: caption, label `tab:NAME`, rules of booktabs, numbers to the right, resolved ones bold.

    A rule is drawn where the group changes. It is scaled down where it is wider or higher than the page. The same text
    compiles with pdflatex and lualatex, whatever the names hold; the packages are named on top.
    """
    columns = list(zip(*view.rows, strict=True)) if view.rows else [() for _ in view.headings]
    numeric = [any(cell.kind == "number" for cell in column) for column in columns]
    wide = [not right and _longest(column) > WIDE for right, column in zip(numeric, columns, strict=True)]
    share = max(0.25, 1.2 / (sum(wide) + 1))
    kinds = [
        rf">{{\raggedright\arraybackslash}}p{{{share:.2f}\linewidth}}" if breaks else "r" if right else "l"
        for right, breaks in zip(numeric, wide, strict=True)
    ]
    lines = []
    for place, row in enumerate(view.rows):
        if place and view.groups and view.groups[place] != view.groups[place - 1]:
            lines.append(r"\midrule")
        cells = (_cell(cell, right, breaks) for cell, right, breaks in zip(row, numeric, wide, strict=True))
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join(
        [
            _PACKAGES + r"\begin{table}",
            r"\centering",
            rf"\caption{{{escaped(view.caption)}}}",
            rf"\label{{tab:{re.sub(r'[^A-Za-z0-9_-]', '-', view.name)}}}",
            r"\medskip",
            r"\begin{adjustbox}{max width=\linewidth, max totalheight=0.8\textheight}",
            rf"\begin{{tabular}}{{@{{}}{''.join(kinds)}@{{}}}}",
            r"\toprule",
            " & ".join(map(escaped, view.headings)) + r" \\",
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{adjustbox}",
            r"\end{table}",
            "",
        ]
    )


def escaped(text: str) -> str:
    """Escapes any text for pdflatex and lualatex, in one line.

    A character that pdflatex's usual fonts lack is written as its code point, such as U+4E2D.
    """
    line = " ".join(unicodedata.normalize("NFC", text).split())
    return "".join(map(_character, re.sub(r"([-‑‐,])(?=[-‑‐,])", rf"\1{_APART}", line)))


def _character(character: str) -> str:
    if character in _SPECIAL:
        return _SPECIAL[character]
    if character in _MATHS:
        return rf"\ensuremath{{{_MATHS[character]}}}"
    if " " <= character <= "~" or _latin(character):
        return character
    return f"U+{ord(character):04X}" if character.isprintable() else ""


def _latin(character: str) -> bool:
    """Returns True if the T1 encoding has the character: most letters of Latin-1 and Latin Extended-A, and ¡ ¿ § £."""
    return character in "¡¿§£" or ("À" <= character <= "ž" and character.isalpha() and character not in "ĦħĿŀŉŦŧĸ")


def _longest(column: tuple[Cell, ...]) -> int:
    return max((len(line) for cell in column for line in (cell.text, *cell.below.splitlines())), default=0)


def _cell(cell: Cell, right: bool, breaks: bool) -> str:
    text, *below = (escaped(line) for line in (cell.text, *cell.below.splitlines()))
    text = rf"\textbf{{{text}}}" if cell.strong else text
    lines = [text, *(rf"{{\footnotesize {line}}}" for line in below)]
    if breaks:  # long names may break after punctuation
        return r" \newline ".join(re.sub(r"\\_|/|=|,(?! )", r"\g<0>\\allowbreak{}", line) for line in lines)
    stacked = r" \\ ".join(lines)
    return rf"\makecell[t{'r' if right else 'l'}]{{{stacked}}}" if below else text
