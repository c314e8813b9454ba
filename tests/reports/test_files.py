"""Tables and figures as files of their own."""

import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from by_hand import BAD, all_kinds, made, table
from PIL import Image

from reports import tables
from reports.document import Cell
from reports.files import plain, write_files
from reports.frames import Frames
from reports.latex import escaped, latex
from reports.render import drawings, render
from reports.sections import document


def test_every_table_and_figure_has_its_files(frames: Frames, tmp_path: Path) -> None:
    told = document(frames)
    render(frames, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figures", "report.html", "report.pdf", "tables"]
    expected = {f"{view.name}.tex" for view in told.tables()}
    expected |= {f"{view.name}.csv" for view in told.tables() if view.frame is not None}
    assert {path.name for path in (tmp_path / "tables").iterdir()} == expected
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {
        f"{view.name}.{kind}" for view in told.figures() for kind in ("svg", "png")
    }
    written = pd.read_csv(tmp_path / "tables" / "results-psnr-faces.csv").set_index("variant")
    assert written.loc["glcic", "hole"] == tables.table_6(frames, "faces").set_index("variant").loc["glcic", "hole"]
    assert len(pd.read_csv(tmp_path / "tables" / "claims.csv")) == 15


def test_they_are_the_same_each_time(frames: Frames, tmp_path: Path) -> None:
    def bytes_of() -> dict[str, bytes]:
        render(frames, tmp_path)
        return {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    assert bytes_of() == bytes_of()


def test_a_figure_stands_alone_on_white(tmp_path: Path) -> None:
    told = all_kinds("name")
    write_files(told, drawings(told), tmp_path)
    svg = (tmp_path / "figures" / "drawn.svg").read_text("utf-8")
    assert svg.startswith("<?xml") and "currentColor" not in svg
    with Image.open(tmp_path / "figures" / "drawn.png") as png:
        assert png.size == (480, 160)
        assert png.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_nothing_of_an_earlier_report_is_left(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    for name in ("old.csv", "old.tex", "mine.txt"):
        (tmp_path / "tables" / name).write_text("x")
    write_files(made(table("new", "name")), {}, tmp_path)
    assert {path.name for path in (tmp_path / "tables").iterdir()} == {"new.csv", "new.tex", "mine.txt"}


def test_a_csv_is_exact_and_no_text_in_it_is_a_formula() -> None:
    table_of = pd.DataFrame(
        {"=a": ["=1+1", "-x", "@b", "plain"], "n": [-1.5, 0.1 + 0.2, None, 3.0], "t": [(0.1, 2.0)] * 4}
    )
    found = plain(table_of)
    assert found["=a"].tolist() == ["'=1+1", "'-x", "'@b", "plain"]
    assert found["n"].tolist()[:2] == [-1.5, 0.1 + 0.2]
    assert found["t"].tolist() == ["0.1 2.0"] * 4


@pytest.mark.parametrize("text", [BAD, r"\input{x}", "#eval", "50 % & 3_4 ~ ^", "−1 → 2 ≥ λ × …", "漢", "a\nb", "--"])
def test_latex_prints_any_text(text: str) -> None:
    found = escaped(text)
    assert found.isascii() or all(ord(sign) < 0x180 for sign in found)
    for sign in "#$%&_":
        assert found.count(sign) == found.count("\\" + sign)
    assert "\\input" not in found and "--" not in found


def test_a_latex_table_has_its_rules_and_its_bold() -> None:
    view = table("one", "name", 3)
    view.groups.extend(["a", "a", "b"])
    found = latex(view)
    assert found.count(r"\midrule") == 2
    assert found.count(r"\textbf{1.5}") == 3
    for words in (r"\toprule", r"\bottomrule", r"\label{tab:one}", r"\caption{name}", r"\begin{tabular}{lr}"):
        assert words in found


def test_a_latex_row_has_a_cell_a_heading() -> None:
    view = table("one", "name", 2)
    view.rows[0][0] = Cell("x" * 60, below="a\nb")
    assert r"p{" in latex(view)
    assert all(line.count(" & ") == 1 for line in latex(view).splitlines() if line.endswith(r"\\") and " & " in line)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_compiles(frames: Frames, tmp_path: Path) -> None:
    views = [*document(frames).tables(), table()]
    packages = r"\usepackage[T1]{fontenc}\usepackage{textcomp,booktabs,makecell}"
    body = "\n".join(latex(view) + r"\clearpage" for view in views)
    (tmp_path / "all.tex").write_text(
        rf"\documentclass{{article}}{packages}\begin{{document}}{body}\end{{document}}", encoding="utf-8"
    )
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, errors="replace")
    assert done.returncode == 0, done.stdout[-3000:]
