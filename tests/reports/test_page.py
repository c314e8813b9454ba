"""The page: well formed, its numbers the document's, all names text, and nothing that it would load."""

import base64
import hashlib
import io
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
from by_hand import BAD, all_kinds, figure, made
from by_hand import table as by_hand_table
from PIL import Image

from reports.analysis.frames import Frames
from reports.document import Document, FigureView, Grid, Heading, Note, Section
from reports.figures import style
from reports.files import exports, file_name, write_files
from reports.page import LOSSLESS, Pictures, page
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
        self.links: list[str] = []
        self.held: dict[str, str] = {}
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
            self.links += [given["href"]]
            self.held |= {given["href"]: given["data-packed"]} if "data-packed" in given else {}
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


def read(told: Document, files: Mapping[str, bytes] = {}) -> tuple[Page, str]:
    """The page of a document, after what holds of every one."""
    text = page(told, drawings(told), files)
    found = Page(text)
    assert len(set(found.ids)) == len(found.ids)
    assert {section.id for section in told.sections} <= set(found.ids)
    assert all(load.startswith(("#", "data:image/png;base64,", "data:image/webp;base64,")) for load in found.loads)
    assert not re.search(r"url\((?!#|data:image/webp;base64,)|@import", text)
    assert {link[1:] for link in found.links if link.startswith("#")} <= set(found.ids)
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
        if table.cards:
            effects = [each for card in table.cards for each in (*card.links, *card.controls)]
            shown = [each.numbers[0] for each in effects if each.text]
        assert found.values[f"table-{file_name(table.name)}"] == shown, table.caption
    assert sum(map(len, found.values.values())) > 300


def test_tables_and_figures_name_their_files(content: Document, whole: tuple[Page, str]) -> None:
    expected = {f"tables/{table.name}.tex" for table in content.tables()}
    full = [table for table in content.tables() if table.frame is not None and len(table.frame)]
    expected |= {f"tables/{table.name}.csv" for table in full}
    expected |= {f"figures/{figure.name}.{kind}" for figure in content.figures() for kind in ("svg", "png", "pdf")}
    assert set(whole[0].files) == expected


def test_each_link_to_a_file_leads_to_one(tmp_path: Path) -> None:
    odd = by_hand_table("C# & 100%: a/b")
    empty = replace(by_hand_table("empty"), frame=pd.DataFrame({"name": []}))
    told = made(odd, empty, figure("What? ../x"))
    write_files(exports(told, drawings(told)), tmp_path)
    found, _ = read(told)
    assert len(found.files) == 6
    assert all((tmp_path / unquote(name)).is_file() for name in found.files)


def test_the_page_holds_its_files(content: Document, files: dict[str, bytes]) -> None:
    """All but PNG, and PDF of pictures, which its script draws; in the SVG of pictures, those of the page are named."""
    found, _ = read(content, files)
    grids = {f"figures/{figure.name}" for figure in content.figures() if figure.pictures is not None}
    assert grids
    drawn = {f"{grid}.pdf" for grid in grids} | {path for path in files if path.endswith(".png")}
    assert set(found.held) == set(files) - drawn
    for path, packed in found.held.items():
        held = zlib.decompress(base64.b64decode(packed))
        if path.endswith(".svg"):
            assert held.count(b"#picture-") == files[path].count(b"data:image/png"), path
        if b"#picture-" not in held:
            assert held == files[path], path


def test_pictures_in_a_drawing_are_named_in_their_order() -> None:
    told = made(figure())
    pictures = [b'"data:image/png;base64,AA\n==" ', b'"data:image/png;base64,BB==" ']
    found, _ = read(told, {"figures/drawn.svg": b"".join(pictures)})
    assert zlib.decompress(base64.b64decode(found.held["figures/drawn.svg"])) == b'"#picture-0" "#picture-1" '


def test_anchors_are_names_and_not_numbers(content: Document, whole: tuple[Page, str]) -> None:
    """Links to a table or figure hold from study to study, wherever it stands."""
    parts = {f"table-{file_name(table.name)}" for table in content.tables()}
    parts |= {f"figure-{file_name(figure.name)}" for figure in content.figures()}
    assert parts <= set(whole[0].ids)
    turned = replace(content, sections=content.sections[::-1]).numbered()
    assert set(read(turned)[0].ids) >= parts
    assert {f"#{part}" for part in parts} <= set(whole[0].links)


def test_headings_of_one_text_have_anchors_of_their_own() -> None:
    found, _ = read(made(Heading("Faces (64 px)"), Heading("Faces: 64 px"), Heading("顔"), Heading("?"), Heading("!")))
    assert {"one--faces-64-px", "one--faces-64-px--2", "one--顔", "one--part", "one--part--2"} <= set(found.ids)


def test_a_folded_section_is_closed_under_its_heading() -> None:
    told = made(Heading("inner"))
    shut = replace(told, sections=[replace(told.sections[0], folded=True)])
    assert '<details class="section">' in read(shut)[1]
    assert '<details class="section">' not in read(told)[1]


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
    assert text.count(" hidden") == 2
    assert "compressed" not in text.split("<script>")[0].split("<body>")[1]
    many, text = read(grid(512, LOSSLESS // (512 * 512 * 3 * 4) + 1))
    assert len(many.loads) > 8
    assert "compressed" in text.split("<script>")[0].split("<body>")[1]


def test_pictures_are_stored_exactly_and_as_differences_where_they_can_be() -> None:
    random = np.random.default_rng(0)
    original = random.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    repaired, other = original.copy(), random.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    repaired[4:12, 4:12] = other[4:12, 4:12]
    stored = Pictures(made())

    def pixels(source: str) -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(source.split(",")[1]))))

    for picture in (original, other):
        source, over = stored.source(picture, original)
        assert not over and (pixels(source) == picture).all()
    source, over = stored.source(repaired, original)
    laid = pixels(source)
    assert over and (np.where(laid[..., 3:] > 0, laid[..., :3], original) == repaired).all()
    assert len(source) < 0.6 * len(stored.source(repaired)[0])
    assert not stored.source(repaired, original[:8])[1]


@pytest.mark.parametrize("facts", [{}, {"name": "x"}])
def test_an_empty_study_has_a_page(facts: dict[str, str]) -> None:
    found, _ = read(document(Frames(study=facts)))
    assert "The study has no data set." in found.texts


def test_many_variants_seeds_and_data_sets_stay_apart(study_of: Callable[..., Frames]) -> None:
    found, _ = read(document(study_of([0, 1], "faces & <b>")))
    assert any("faces & <b>" in text for text in found.texts)


def test_a_word_of_the_glossary_is_explained_where_it_first_occurs(content: Document, whole: tuple[Page, str]) -> None:
    text = whole[1]
    for term, meaning in content.terms.items():
        found = re.findall(rf'<a class="term" href="#words" data-meaning="([^"]*)">{term}</a>', text)
        assert all(unescape(each) == meaning for each in found)
    assert text.count('class="term"') > 5
    told = replace(made(Note("PSNR <b> and PSNR"), Note("SSIM, PSNR")), terms={"PSNR": 'dB & "more"'})
    told = replace(told, sections=[*told.sections, Section(id="words", title="Glossary", blocks=[Note("")])])
    marked = '<a class="term" href="#words" data-meaning="dB &amp; &#34;more&#34;">PSNR</a>'
    assert f"{marked} &lt;b&gt; and PSNR" in read(told)[1] and "SSIM, PSNR<" in read(told)[1]
