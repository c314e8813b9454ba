"""The page: well formed, its numbers the document's, all names text, and nothing that it would load."""

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import fields, replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
from by_hand import BAD, all_kinds, figure, made
from by_hand import table as by_hand_table

from reports.analysis.frames import Frames
from reports.document import Document, FigureView, Grid
from reports.figures import style
from reports.files import write_files
from reports.page import LOSSLESS, page
from reports.render import drawings
from reports.sections import document

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """Holds a page to matching tags; collects ids, what it would load, scripts, and the numbers of each table."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.loads: list[str] = []
        self.files: list[str] = []
        self.scripts: list[str] = []
        self.values: dict[str, list[float]] = {}
        self.texts: list[str] = []
        self.policy = ""
        self.table = ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        given = {name: value or "" for name, value in attrs}
        self.ids += [given["id"]] if "id" in given else []
        if tag == "a":
            self.files += [given["href"]] if "download" in given else []
        else:
            self.loads += [given[name] for name in ("src", "href", "xlink:href", "srcset", "data") if name in given]
        if tag in ("iframe", "link", "object", "embed", "base", "form"):
            self.loads.append(tag)
        if tag == "script":
            self.scripts.append("")
        if given.get("id", "").startswith("table-"):
            self.table = given["id"]
            self.values[self.table] = []
        if tag == "data":
            self.values[self.table].append(float(given["value"]))
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data
        else:
            self.texts.append(data)


def read(told: Document) -> tuple[Page, str]:
    """The page of a document, after what holds of every one."""
    text = page(told, drawings(told))
    found = Page(text)
    assert len(set(found.ids)) == len(found.ids)
    assert {section.id for section in told.sections} <= set(found.ids)
    assert all(load.startswith(("#", "data:image/png;base64,", "data:image/webp;base64,")) for load in found.loads)
    assert not re.search(r"url\((?!#)|@import", text)
    (script,) = found.scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert found.policy == (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    )
    return found, text


@pytest.fixture(scope="module")
def whole(content: Document) -> tuple[Page, str]:
    return read(content)


def test_every_number_of_every_table_is_the_document_s(content: Document, whole: tuple[Page, str]) -> None:
    found, _ = whole
    for table in content.tables():
        shown = [cell.value for row in table.rows for cell in row if cell.value is not None]
        assert found.values[f"table-{table.number}"] == shown, table.caption
    assert sum(map(len, found.values.values())) > 300


def test_tables_and_figures_name_their_files(content: Document, whole: tuple[Page, str]) -> None:
    expected = {f"tables/{table.name}.tex" for table in content.tables()}
    full = [table for table in content.tables() if table.frame is not None and len(table.frame)]
    expected |= {f"tables/{table.name}.csv" for table in full}
    expected |= {f"figures/{figure.name}.{kind}" for figure in content.figures() for kind in ("svg", "png")}
    assert set(whole[0].files) == expected


def test_each_link_to_a_file_leads_to_one(tmp_path: Path) -> None:
    odd = by_hand_table("C# & 100%: a/b")
    empty = replace(by_hand_table("empty"), frame=pd.DataFrame({"name": []}))
    told = made(odd, empty, figure("What? ../x"))
    write_files(told, drawings(told), tmp_path)
    found, _ = read(told)
    assert len(found.files) == 5
    assert all((tmp_path / unquote(name)).is_file() for name in found.files)


def test_it_is_the_same_each_time(frames: Frames) -> None:
    """Of two new documents: a figure that is drawn again is laid out again, and may differ in its last bits."""
    first, again = (read(document(frames))[1] for _ in range(2))
    assert first == again


def test_all_text_is_text() -> None:
    found, text = read(all_kinds())
    assert text.count("<script") == 1
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 15
    assert found.texts.count(BAD) >= 10


def test_names_in_a_study_are_text(frames: Frames) -> None:
    new = dict.fromkeys(
        ["glcic", "faces", "critics_and_loss", "loss", "face-00", "the loss is not finite", "critic_head"], BAD
    )

    def rename(table: pd.DataFrame) -> pd.DataFrame:
        columns = [c for c in ("variant", "data", "ablation", "factor", "why", "image", "key") if c in table]
        return table.assign(**{column: table[column].replace(new) for column in columns})

    renamed = {f.name: rename(getattr(frames, f.name)) for f in fields(frames)[1:]}
    study = {**frames.study, "name": BAD, "data": [{**frames.study["data"][0], "name": BAD, "kind": BAD}]}
    _, text = read(document(replace(frames, study=study, **renamed)))
    assert text.count("<script") == 1
    assert "&lt;script&gt;" in text


def test_pictures_are_lossless_till_they_are_many() -> None:
    drawn = style.figure(1, 1)

    def grid(side: int, rows: int) -> Document:
        pixels = np.zeros((side, side, 3), np.uint8)
        cells = [{"truth": pixels}, {"masked": pixels}, {"composite": pixels, "raw": pixels}]
        own = Grid(
            columns=["Original", "Masked", "CE"], rows=[(str(i), cells) for i in range(rows)],
            outputs=["composite", "raw"],
        )  # fmt: skip
        return made(FigureView(name="grid", drawn=drawn, alt="a", caption="c", pictures=own))

    small, text = read(grid(16, 2))
    assert len(small.loads) == 8
    assert all(load.startswith("data:image/png") for load in small.loads)
    assert text.count(" hidden") == 2
    assert "compressed" not in text.split("<script>")[0].split("<body>")[1]
    many, text = read(grid(512, LOSSLESS // (512 * 512 * 3 * 4) + 1))
    assert all(load.startswith("data:image/webp") for load in many.loads)
    assert "compressed" in text.split("<script>")[0].split("<body>")[1]


@pytest.mark.parametrize("facts", [{}, {"name": "x"}])
def test_an_empty_study_has_a_page(facts: dict[str, str]) -> None:
    found, _ = read(document(Frames(study=facts)))
    assert "The study has no data set." in found.texts


def test_many_variants_seeds_and_data_sets_stay_apart(study_of: Callable[..., Frames]) -> None:
    found, _ = read(document(study_of([0, 1], "faces & <b>")))
    assert any("faces & <b>" in text for text in found.texts)
