"""Tables as LaTeX: all is there, and every name comes out as text. Where a LaTeX is installed, it sets them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from reports.document import Cell, TableView, number, text
from reports.latex import escaped, latex

BAD = "#eval(1) \\input{x} <script> _ % ~ ^ $x^2$ & -- ,, '' `` ?` \"q\" [b] * − – — × λ ≥ → ↑ µ é ł ß ² ħ 中 😀 |"
ROWS = [
    [text("[first]"), number(-1234.5, 1, below="[−2,000.0, −1.0]", strong=True), text(BAD)],
    [text("*"), number(2.0, 1), Cell("short", below=f"{BAD}\n{BAD}")],
    [Cell(BAD, below="two\nlines"), number(None), text("proposed:multiscale=2,loss=wgan_gp" * 4)],
]
VIEW = TableView(name="odd <name>", caption=BAD, headings=["Method", "dB", BAD], rows=ROWS, groups=["a", "a", "b"])


def test_a_table_is_a_float_with_rules() -> None:
    rows = [[text("A"), number(-1.25, 2, below="[−2.00, 0.50]", strong=True)], [text("B"), number(2.0, 2)]]
    made = latex(TableView(name="t-1", caption="How far.", headings=["M", "dB"], rows=rows, groups=["x", "y"]))
    lines = [line for line in made.splitlines() if not line.startswith("%")]
    assert lines == [
        r"\begin{table}",
        r"\centering",
        r"\caption{How far.}",
        r"\label{tab:t-1}",
        r"\medskip",
        r"\begin{adjustbox}{max width=\linewidth, max totalheight=0.8\textheight}",
        r"\begin{tabular}{@{}lr@{}}",
        r"\toprule",
        r"M & dB \\",
        r"\midrule",
        r"A & \makecell[tr]{\textbf{\ensuremath{-}1.25} \\ {\footnotesize {[}\ensuremath{-}2.00, 0.50{]}}} \\",
        r"\midrule",
        r"B & 2.00 \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{adjustbox}",
        r"\end{table}",
    ]
    for package in ("booktabs", "makecell", "adjustbox", "array"):
        assert package in made.splitlines()[0]


def test_every_special_sign_is_escaped() -> None:
    assert escaped("a_b 5% #1 $x$ & {}") == r"a\_b 5\% \#1 \$x\$ \& \{\}"
    assert escaped("\\input{x}") == r"\textbackslash{}input\{x\}"
    assert escaped("−1 ≥ λ") == r"\ensuremath{-}1 \ensuremath{\ge} \ensuremath{\lambda}"
    assert escaped("two\nlines\x07") == "two lines"
    assert escaped("a-b, --") == r"a-b, -\kern0pt{}-"
    assert escaped("中") == "U+4E2D"


def test_a_table_without_rows_has_its_headings() -> None:
    made = latex(TableView(name="t", caption="", headings=["A", "B"], rows=[]))
    assert r"A & B \\" in made
    assert r"\begin{tabular}{@{}ll@{}}" in made


@pytest.mark.parametrize("engine", ["pdflatex", "lualatex"])
def test_latex_sets_any_name_as_text(engine: str, tmp_path: Path) -> None:
    if shutil.which(engine) is None:
        pytest.skip(f"{engine} is not installed")
    pypdfium2 = pytest.importorskip("pypdfium2")
    fonts = r"\usepackage[T1]{fontenc}" if engine == "pdflatex" else ""
    packages = r"\usepackage{array,booktabs,makecell,adjustbox}"
    whole = rf"\documentclass{{article}}{fonts}{packages}\begin{{document}}{latex(VIEW)}\end{{document}}"
    (tmp_path / "t.tex").write_text(whole, encoding="utf-8")
    command = [engine, "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=600, check=False)
    output = done.stdout.decode(errors="replace")
    if "not found" in output and ".sty" in output:
        pytest.skip("a package is not installed")
    assert done.returncode == 0, output[-2000:]
    assert "Missing character" not in output
    printed = pypdfium2.PdfDocument(tmp_path / "t.pdf")[0].get_textpage().get_text_range()
    plain = re.sub(r"\s+", "", printed)
    for said in ("#eval(1)", "\\input{x}", "<script>", "_%~^$x^2$&--,,''``?`\"q\"[b]*−", "[first]", "×λ≥→↑", "U+4E2D"):
        assert said in plain, said
