"""Files of their own: full precision, safe names, nothing that would be run, nothing of an earlier report."""

import io
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import by_hand
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from reports.document import Document, FigureView, TableView, number, text
from reports.figures import style
from reports.files import exports, file_name, plain, write, write_files


def _figure() -> Figure:
    with style.styled():
        drawn = style.figure(3, 2)
        drawn.subplots().plot([0, 1], [1, 0])
    return drawn


def _document(*names: str, frame: pd.DataFrame | None = None) -> Document:
    tables = [
        TableView(name=name, caption="", headings=["a", "b"], rows=[[text("x"), number(1.25, 1)]], frame=frame)
        for name in names
    ]
    return by_hand.made(*tables, *(FigureView(name=name, drawn=_figure(), alt="", caption="") for name in names))


def _written(folder: Path, document: Document) -> dict[str, bytes]:
    write_files(exports(document, {figure.name: style.svg(figure.drawn) for figure in document.figures()}), folder)
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def _read(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(plain(frame).to_csv(index=False)), float_precision="round_trip")


def test_each_table_and_figure_has_its_files(tmp_path: Path) -> None:
    made = _written(tmp_path, _document("one", "two", frame=pd.DataFrame({"a": [1]})))
    files = [f"figures/{n}.{s}" for n in ("one", "two") for s in ("pdf", "png", "svg")]
    assert list(made) == files + [f"tables/{n}.{s}" for n in ("one", "two") for s in ("csv", "tex")]
    assert ElementTree.fromstring(made["figures/one.svg"]).tag == "{http://www.w3.org/2000/svg}svg"
    assert b"currentColor" not in made["figures/one.svg"]
    picture = Image.open(io.BytesIO(made["figures/one.png"])).convert("RGBA")
    assert picture.size == (480, 320)
    assert picture.getpixel((0, 0)) == (255, 255, 255, 255)


@pytest.mark.parametrize("frame", [None, pd.DataFrame({"a": []})])
def test_a_table_without_a_frame_or_rows_has_no_csv(tmp_path: Path, frame: pd.DataFrame | None) -> None:
    assert [name for name in _written(tmp_path, _document("one", frame=frame)) if "tables" in name] == [
        "tables/one.tex"
    ]


def test_the_same_bytes_each_time(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [0.1]})
    assert _written(tmp_path / "1", _document("x", frame=frame)) == _written(
        tmp_path / "2", _document("x", frame=frame)
    )


def test_an_earlier_reports_files_go_and_others_stay(tmp_path: Path) -> None:
    _written(tmp_path, _document("old", "kept", frame=pd.DataFrame({"a": [1]})))
    (tmp_path / "tables" / "mine.txt").write_text("notes")
    (tmp_path / "other.csv").write_text("1")
    made = _written(tmp_path, _document("kept"))
    assert list(made) == [
        "figures/kept.pdf", "figures/kept.png", "figures/kept.svg", "other.csv", "tables/kept.tex", "tables/mine.txt",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "a/b", "..", "", ".hidden", "a\0b", "CON:", "é" * 300, "a.b"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "report"
    made = _written(folder, _document(name))
    assert len(made) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_file_names() -> None:
    assert file_name("results-psnr-faces") == "results-psnr-faces"
    assert len({file_name(name) for name in ("a b", "a-b", "A b", "a/b", "a_b")}) == 5


def test_a_csv_reads_back_equal() -> None:
    frame = pd.DataFrame(
        {
            "name": ["plain", 'a, "b"\nc', "proposed:loss=js"],
            "value": [0.1 + 0.2, -1e-17, np.nan],
            "count": [1, -2, 3],
            "yes": [True, False, True],
        }
    )
    pd.testing.assert_frame_equal(_read(frame), frame, check_dtype=False, check_exact=True)


def test_tuples_are_values_apart_by_spaces() -> None:
    frame = pd.DataFrame({"each": [(0.1, -0.25), (np.float64(-0.5), np.float64(1.5)), (), ("a", "b")]})
    assert plain(frame)["each"].tolist() == ["0.1 -0.25", "-0.5 1.5", "", "a b"]


@pytest.mark.parametrize("bad", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", " =1", "\t=1", "\n=1"])
def test_no_text_would_be_run_as_a_formula(bad: str) -> None:
    made = plain(pd.DataFrame({bad: [bad], "n": [-1.5], "each": ["-0.5 +0.25"]}))
    assert made.columns[0] == made.iloc[0, 0] == f"'{bad}"
    assert made.iloc[0, 1:].tolist() == [-1.5, "-0.5 +0.25"]


def test_a_carriage_return_ends_no_row() -> None:
    assert _read(pd.DataFrame({"a": ["b\rc\r\nd", "\r=1"]}))["a"].tolist() == ["b\nc\nd", "'\n=1"]


def test_a_file_is_moved_into_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a", "one\r\n")
    assert (tmp_path / "a").read_bytes() == b"one\r\n"

    def fails(*_: object) -> Callable[..., None]:
        raise OSError("full")

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(OSError, match="full"):
        write(tmp_path / "a", b"two")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"one\r\n")]
