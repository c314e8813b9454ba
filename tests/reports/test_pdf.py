"""The paper: what the document says, on its pages, as text; the same bytes each time."""

from dataclasses import replace

import pytest
from by_hand import BAD, all_kinds, made, table

from reports.document import Document
from reports.frames import Frames
from reports.pdf import IN_FULL, layout, pdf, string
from reports.render import drawings
from reports.sections import document

pdfium = pytest.importorskip("pypdfium2", reason="pypdfium2 is not installed: pip install '.[test]'")


def read(told: Document) -> tuple[bytes, list[str]]:
    """The PDF, and the text of each of its pages, after what holds of every one."""
    written = pdf(told, drawings(told))
    found = pdfium.PdfDocument(written)
    texts = []
    for leaf in found:
        width, height = leaf.get_size()
        assert (round(width), round(height)) == (595, 842)
        text = leaf.get_textpage()
        for place in range(text.count_chars()):
            left, bottom, right, top = text.get_charbox(place)
            assert 0 <= left <= right <= width - 20 and 0 <= bottom <= top <= height
        texts.append(text.get_text_bounded().replace("\r\n", "\n"))
    return written, texts


def flat(texts: list[str]) -> str:
    """All text without white space, for lines break anywhere."""
    return "".join("".join(texts).split()).replace("\ufffe", "").replace("\u200b", "")


@pytest.fixture(scope="module")
def whole(frames: Frames) -> tuple[Document, bytes, list[str]]:
    told = document(frames)
    return told, *read(told)


def test_its_numbers_and_captions_are_the_document_s(whole: tuple[Document, bytes, list[str]]) -> None:
    told, _, texts = whole
    said = flat(texts)
    for table_of in told.tables():
        assert "".join(f"Table {table_of.number}. {table_of.caption}".split()) in said
        for row in table_of.rows:
            for cell in row:
                assert cell.value is None or "".join(cell.text.split()) in said
    for figure_of in told.figures():
        assert "".join(f"Figure {figure_of.number}. {figure_of.caption}".split()) in said
    headline = next(table_of for table_of in told.tables() if table_of.name == "results-psnr-faces")
    for row in headline.rows:
        line = "".join(cell.text for cell in (row[0], row[1], row[2]))
        assert "".join(line.split()) in said


def test_it_is_the_same_each_time(frames: Frames, whole: tuple[Document, bytes, list[str]]) -> None:
    told = document(frames)
    assert pdf(told, drawings(told)) == whole[1]


def test_its_fonts_are_embedded(whole: tuple[Document, bytes, list[str]]) -> None:
    written = whole[1]
    assert written.count(b"/FontDescriptor") > 0
    found = pdfium.PdfDocument(written)
    assert found.get_metadata_value("Title").startswith("demo")
    fonts = set()
    for leaf in found:
        for item in leaf.get_objects(filter=[pdfium.raw.FPDF_PAGEOBJ_TEXT], max_depth=4):
            font = pdfium.raw.FPDFTextObj_GetFont(item.raw)
            fonts.add(pdfium.raw.FPDFFont_GetIsEmbedded(font))
    assert fonts == {1}


def test_any_text_is_text() -> None:
    _, texts = read(all_kinds())
    assert flat(texts).count("".join(BAD.split())) >= 9


@pytest.mark.parametrize("text", ["", "a\nb", '"', "\\", "\\u{41}", "#", "\x00\x07", "“é” −→λ 漢"])
def test_a_string_is_a_literal(text: str) -> None:
    literal = string(text)
    assert literal[0] == literal[-1] == '"'
    assert "\n" not in literal
    read(all_kinds(text or "x"))


def test_a_long_table_has_its_heading_on_every_page() -> None:
    long = table("long", "name", rows=IN_FULL)
    _, texts = read(made(replace(long, headings=["Who", "Number"])))
    assert len(texts) > 3
    assert all("Who" in text and "Number" in text for text in texts[1:])


def test_what_is_folded_away_stands_at_the_end_or_is_named() -> None:
    short, long = (table(name, "name", rows) for name, rows in (("short", 3), ("long", IN_FULL + 1)))
    _, texts = read(made(replace(table("first", "name"), more=replace(short, caption="Folded"))))
    assert "Tables in full" in texts[-1] and "Folded" in texts[-1]
    _, texts = read(made(replace(long, folded=True, caption="Folded")))
    assert "tables/long.csv" in texts[-1] and "Folded" not in texts[-1]


def test_an_empty_study_has_a_paper() -> None:
    _, texts = read(document(Frames(study={})))
    assert "The study has no data set." in " ".join(texts)


def test_wide_tables_are_set_smaller() -> None:
    narrow = table("narrow", "name")
    wide = replace(narrow, headings=["A heading"] * 14, rows=[row * 7 for row in table("wide", "n" * 30).rows])
    assert layout(narrow)["size"] > layout(wide)["size"]
    read(made(wide))
