"""The paper, read back: its captions and numbers, every name as text, all within the margins, the same bytes."""

import re
import time

import numpy as np
import pytest

from reports.document import (
    Block,
    Cell,
    Document,
    Facts,
    FigureView,
    Heading,
    Note,
    Section,
    TableView,
    number,
    text,
)
from reports.figures import style
from reports.pdf import IN_FULL, literal, pdf

pypdfium2 = pytest.importorskip("pypdfium2")

A4 = (595.28, 841.89)
MARGIN = 2 / 2.54 * 72
BAD = '#eval("1+1") \\input{x} *b* _i_ $x$ @ref <label> // /* `raw` <<name>> <% if %> <script> [c] ~ -- 1. = + \\u{41}'


def _document(*blocks: Block, made: str = "2026-02-03T04:05:06+00:00", title: str = "A title") -> Document:
    section = Section(id="one", title="One section", blocks=list(blocks))
    return Document(
        title=title, question="Why?", citation="A. Author (2020).", doi="10.1/x", made=made, sections=[section]
    ).numbered()


def _made(told: Document) -> bytes:
    return pdf(told, {figure.name: style.svg(figure.drawn) for figure in told.figures()})


def _pages(made: bytes) -> list[str]:
    return [page.get_textpage().get_text_range() for page in pypdfium2.PdfDocument(made)]


def _squeezed(words: str) -> str:
    """Without spaces, and without the signs at which a line was broken."""
    return re.sub(r"[\s\u200b\ufffe\x02]+", "", words)


def _outside(made: bytes) -> list[tuple[int, str, float, float]]:
    """The signs that lie beyond the margins; a full stop or comma may hang by a point or two."""
    found = []
    for place, page in enumerate(pypdfium2.PdfDocument(made)):
        words = page.get_textpage()
        for index in range(words.count_chars()):
            left, bottom, right, top = words.get_charbox(index)
            if (
                left < right
                and words.get_text_range(index, 1).strip()
                and (
                    left < MARGIN - 3
                    or right > A4[0] - MARGIN + 3
                    or bottom < 0.7 * MARGIN / 2
                    or top > A4[1] - MARGIN / 2
                )
            ):
                found.append((place + 1, words.get_text_range(index, 1), left, right))
    return found


def _table(rows: int, columns: int = 3, name: str = "t", caption: str = "A caption.") -> TableView:
    values = [[text(f"row-{row}"), *(number(row + 0.25, 2) for _ in range(columns - 1))] for row in range(rows)]
    return TableView(name=name, caption=caption, headings=[f"Head{place}" for place in range(columns)], rows=values)


def _figure(name: str = "f", width: float = 9.2, height: float = 3.0) -> FigureView:
    with style.styled():
        drawn = style.figure(width, height)
        axes = drawn.subplots()
        axes.set_title("Words in the drawing")
        axes.imshow(np.zeros((4, 4, 3), np.uint8))
    return FigureView(name=name, drawn=drawn, alt="What it shows", caption="What is drawn.")


def test_a_studys_paper_holds_every_caption_and_stays_within_its_margins(content: Document) -> None:
    drawings = {figure.name: style.svg(figure.drawn) for figure in content.figures()}
    begin = time.process_time()
    made = pdf(content, drawings)
    assert time.process_time() - begin < 10
    assert made == pdf(content, drawings)
    read = _squeezed("".join(_pages(made)))
    for section in content.sections:
        assert _squeezed(section.title) in read
    for figure in content.figures():
        assert _squeezed(f"Figure {figure.number}. {figure.caption}"[:40]) in read
    for table in content.tables():
        assert _squeezed(f"Table {table.number}. {table.caption}"[:40]) in read
    assert _outside(made) == []


def test_the_page_its_title_and_its_links() -> None:
    made = _made(_document(Note("Words.")))
    paper = pypdfium2.PdfDocument(made)
    assert paper[0].get_size() == pytest.approx(A4, abs=0.1)
    assert paper.get_metadata_dict()["Title"] == "A title"
    assert paper.get_metadata_dict()["CreationDate"].startswith("D:20260203")
    assert [entry.get_title() for entry in paper.get_toc()] == ["1 One section"]
    for said in ("A title", "Why?", "A. Author (2020).", "doi:10.1/x", "3 February 2026", "1 One section", "Words."):
        assert said in _pages(made)[0]
    assert b"https://doi.org/10.1/x" in made


def test_every_text_comes_out_as_text() -> None:
    cells = [[text("a"), Cell(BAD, below=BAD)], [Cell(BAD, strong=True), Cell("1", 1.0, BAD, "number")]]
    view = TableView(name=BAD, caption=f"{BAD} caption", headings=[BAD, "b"], rows=cells, groups=[BAD, "x"])
    blocks = (view, Heading(BAD), Note(BAD), Note(BAD, "scope"), Note(BAD, "nothing"), Facts([(BAD, BAD)]))
    read = _squeezed("".join(_pages(_made(_document(*blocks, title=BAD)))))
    plain = _squeezed(BAD)
    assert read.count(plain) >= 11


def test_literals() -> None:
    assert literal('a "b" \\c') == '"a \\"b\\" \\\\c"'
    assert literal([1, 2.5, None, True, "x"]) == '(1, 2.5, none, true, "x", )'
    assert literal({"a b": (), "c": {}}) == '("a b": (), "c": (:))'
    assert literal("a\nb\x00\ud800") == '"a b  "'


def test_a_long_table_runs_over_pages_with_its_headings() -> None:
    pages = _pages(_made(_document(_table(300))))
    assert len(pages) > 4
    assert all("Head0" in page and "Head2" in page for page in pages)
    read = "".join(pages)
    assert [row for row in range(300) if f"row-{row}\r" not in read and f"row-{row} " not in read] == []


def test_a_row_that_is_higher_than_a_page_runs_on() -> None:
    words = [f"word{place}" for place in range(2500)]
    view = TableView(name="t", caption="C.", headings=["a", "b"], rows=[[text("x"), text(" ".join(words))]])
    made = _made(_document(view, Note("After it.")))
    assert _outside(made) == []
    read = "".join(_pages(made)).split()
    assert set(words) <= set(read)


def test_a_long_table_begins_where_it_has_room() -> None:
    line = "A line of words that is as wide as the page is, and so one of many that fill it but for a few."
    for fill in range(26, 44):
        pages = _pages(_made(_document(*[Note(line)] * fill, _table(60))))
        begun = next(page for page in pages if "A caption." in page)
        assert "row-3" in begun, fill


def test_words_wider_than_the_line_are_broken() -> None:
    word = "w" * 150
    made = _made(_document(Heading(word), Note(word), Note(word, "scope"), Facts([("n" * 60, word)])))
    assert _outside(made) == []
    assert _squeezed("".join(_pages(made))).count(word) == 4


@pytest.mark.parametrize("columns", [1, 10, 14, 24])
def test_a_wide_table_stays_within_the_margins(columns: int) -> None:
    wide = _table(4, columns)
    for row in wide.rows:
        row[0] = Cell("proposed:multiscale=2,loss=wgan_gp" * 3, below="said in a whole sentence, " * 5)
        if columns > 1:
            row[-1] = Cell("unbroken" * 20)
    made = _made(_document(wide, Note("Words.")))
    assert _outside(made) == []
    assert _squeezed("proposed:multiscale=2,loss=wgan_gp") in _squeezed("".join(_pages(made)))


def test_a_figure_is_a_drawing_with_its_words() -> None:
    made = _made(_document(_figure(), _figure("high", 3, 20)))
    read = "".join(_pages(made))
    assert "Figure 1. What is drawn." in read
    assert "Figure 2. What is drawn." in read
    assert "Words in the drawing" in read
    assert _outside(made) == []


def test_fonts_are_embedded() -> None:
    made = _made(_document(_figure(), Note("→ ≥ − λ ↑ é")))
    fonts = {
        found.get_font() and (found.get_font().get_base_name(), found.get_font().is_embedded)
        for page in pypdfium2.PdfDocument(made)
        for found in page.get_objects(filter=[pypdfium2.raw.FPDF_PAGEOBJ_TEXT])
    }
    assert {name for name, _ in fonts if "Libertinus" in name}
    assert all(embedded for _, embedded in fonts)


def test_folded_tables_stand_at_the_end_unless_they_are_many() -> None:
    more = _table(3, name="more", caption="The others. In two sentences.")
    shown = TableView(name="t", caption="Shown.", headings=["a"], rows=[[text("x")]], more=more)
    read = "".join(_pages(_made(_document(shown, _table(2, name="folded", caption="Folded away.")))))
    assert "Tables in full" in read
    assert "Table 2 stands at the end: The others." in read
    assert read.index("Shown.") < read.rindex("Tables in full") < read.index("Table 2. The others.")
    many = TableView(name="many", caption="Many.", headings=["a"], rows=[[text("x")]] * (IN_FULL + 1), folded=True)
    read = "".join(_pages(_made(_document(many))))
    assert "too long for print" in read
    assert "Table 1 is in the folder tables: Many." in read
    assert "Table 1, many" in read


@pytest.mark.parametrize(("made", "date"), [("", ""), ("not a date", ""), ("2026-02-03", "D:20260203000000Z")])
def test_the_same_bytes_at_any_time(made: str, date: str) -> None:
    told = _document(_table(3), _figure(), made=made)
    first = _made(told)
    facts = pypdfium2.PdfDocument(first).get_metadata_dict()
    assert facts["CreationDate"] == facts["ModDate"] == date
    assert _made(_document(_table(3), _figure(), made=made)) == first


def test_an_empty_document() -> None:
    empty = Document(title="", question="", citation="", doi="", made="", sections=[])
    assert len(_pages(pdf(empty, {}))) == 1
    headless = TableView(name="t", caption="Nothing.", headings=[], rows=[])
    rowless = TableView(name="u", caption="No rows.", headings=["a", "b"], rows=[])
    assert "No rows." in _pages(_made(_document(headless, rowless)))[0]
