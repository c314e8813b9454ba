"""The paper and its supplement, read back: captions and numbers, every name as text, the type, the pages, the bytes."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

from reports.analysis.claims import claims_table
from reports.analysis.frames import Frames
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
from reports.render import drawings
from reports.sections import document
from reports.sections.article import article
from reports.sections.common import difference
from tests.reports.test_figures_results import with_mechanism

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


def _smallest(made: bytes) -> float:
    """The smallest type on any page, in points, also in drawings."""
    found = []
    turned = pypdfium2.raw.FS_MATRIX()
    for page in pypdfium2.PdfDocument(made):
        words = page.get_textpage()
        for index in range(words.count_chars()):
            if pypdfium2.raw.FPDFText_GetUnicode(words, index) > 32:
                pypdfium2.raw.FPDFText_GetMatrix(words, index, turned)
                size = pypdfium2.raw.FPDFText_GetFontSize(words, index)
                found.append(size * np.hypot(turned.c, turned.d))
    return float(min(found))


def _emptiest(made: bytes) -> float:
    """The share of a page that is blank in gaps of more than a centimetre, on any page but the last."""
    shares = []
    pages = list(pypdfium2.PdfDocument(made))
    for page in pages[:-1]:
        dots = page.render(scale=1).to_numpy().min(axis=2) < 250
        inked = np.flatnonzero(dots[66:780].any(axis=1))  # between the margins
        gaps = np.diff([-1, *inked, 714]) - 1
        shares.append(gaps[gaps > 28].sum() / 714)
    return max(shares, default=0.0)


def _table(rows: int, columns: int = 3, name: str = "t", caption: str = "A caption.") -> TableView:
    values = [[text(f"row-{row}"), *(number(row + 0.25, 2) for _ in range(columns - 1))] for row in range(rows)]
    return TableView(name=name, caption=caption, headings=[f"Head{place}" for place in range(columns)], rows=values)


def _figure(
    name: str = "f", width: float = style.WIDTH, height: float = 3.0, title: str = "Words in the drawing"
) -> FigureView:
    with style.styled():
        drawn = style.figure(width, height)
        axes = drawn.subplots()
        axes.set_title(title)
        axes.imshow(np.zeros((4, 4, 3), np.uint8))
    return FigureView(name=name, drawn=drawn, alt="What it shows", caption="What is drawn.")


def test_a_studys_paper_holds_every_caption_and_stays_within_its_margins(content: Document) -> None:
    images = drawings(content)
    begin = time.process_time()
    made = pdf(content, images)
    assert time.process_time() - begin < 10
    assert made == pdf(content, images)
    read = _squeezed("".join(_pages(made)))
    for section in content.sections:
        assert _squeezed(section.title) in read
    for figure in content.figures():
        assert _squeezed(f"Figure {figure.number}. {figure.caption}"[:40]) in read
    for table in content.tables():
        assert _squeezed(f"Table {table.number}. {table.caption}"[:40]) in read
    assert _outside(made) == []


@pytest.fixture(scope="module")
def full(frames: Frames) -> Frames:
    """The made-up study with what the critics did."""
    return with_mechanism(frames)


def _check_pages(made: bytes) -> None:
    assert _smallest(made) > 6.99
    assert _emptiest(made) <= 0.25
    assert _outside(made) == []


def test_the_supplement_is_legible_and_its_pages_are_full(full: Frames) -> None:
    told = document(full)
    _check_pages(pdf(told, drawings(told)))


@pytest.mark.parametrize("seeds", [[0], list(range(12))], ids=["1 seed", "12 seeds"])
def test_a_paper_has_six_to_eight_pages_legible_and_full(seeds: list[int], study_of: Callable[..., Frames]) -> None:
    told = article(with_mechanism(study_of(seeds)))
    made = pdf(told, drawings(told), paper=True)
    _check_pages(made)
    assert 6 <= len(pypdfium2.PdfDocument(made)) <= 8


def test_the_paper_holds_the_answer(full: Frames) -> None:
    told = article(full)
    made = pdf(told, drawings(told), paper=True)
    _check_pages(made)
    assert made == pdf(told, drawings(told), paper=True)
    assert 6 <= len(pypdfium2.PdfDocument(made)) <= 8
    read = _squeezed("".join(_pages(made)))
    abstract = told.sections[0].blocks[0]
    assert isinstance(abstract, Note) and _squeezed(abstract.text[:400]) in read
    first = next(row for row in claims_table(full).to_dict("records") if row["id"] == "C1")
    effect, bounds = difference(first)
    assert f"(C1): {first['outcome']} ({first['contrast']} {effect} {bounds})" in abstract.text
    assert [section.title for section in told.sections][-2:] == ["Conclusions and limits", "References"]


def test_the_paper_s_tables_and_figures_are_the_report_s(full: Frames) -> None:
    told, whole = article(full), document(full)
    assert {view.name for view in told.figures()} <= {view.name for view in whole.figures()}
    theirs = {view.name: view for view in whole.tables()}
    for view in told.tables():
        columns = [theirs[view.name].headings.index(heading) for heading in view.headings]
        rows = [[row[place] for place in columns] for row in theirs[view.name].rows]
        assert all(row in rows for row in view.rows), view.name


def test_an_empty_study_has_a_paper() -> None:
    told = article(Frames(study={"name": "nothing yet"}))
    assert len(_pages(pdf(told, {}, paper=True))) >= 1


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


def _font(folder: Path, characters: str) -> Path:
    """A font of squares for these characters."""
    names = [f"glyph{place}" for place in range(len(characters))]
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((0, 700), (700, 700), (700, 0)):
        pen.lineTo(corner)
    pen.closePath()
    square = pen.glyph()
    made = FontBuilder(1000, isTTF=True)
    made.setupGlyphOrder([".notdef", *names])
    made.setupCharacterMap({ord(sign): name for sign, name in zip(characters, names, strict=True)})
    made.setupGlyf(dict.fromkeys([".notdef", *names], square))
    made.setupHorizontalMetrics(dict.fromkeys([".notdef", *names], (800, 0)))
    made.setupHorizontalHeader(ascent=800, descent=-200)
    made.setupNameTable({"familyName": "Squares", "styleName": "Regular"})
    made.setupOS2()
    made.setupPost()
    made.save(folder / "squares.ttf")
    return folder / "squares.ttf"


def test_names_in_other_scripts_need_an_installed_font(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = _document(Note("The image 猫 and नी."), _figure(title="猫"))
    monkeypatch.setattr("reports.pdf.findSystemFonts", list)
    alone = "".join(_pages(_made(told)))
    assert "The image U+732B and U+0928U+0940." in alone and "U+732B\r" in alone
    assert "No installed font has the characters U+0928, U+0940, U+732B" in alone.replace("\r\n", " ")
    square = str(_font(tmp_path, "猫"))
    monkeypatch.setattr("reports.pdf.findSystemFonts", lambda: [square, str(tmp_path / "broken.ttf")])
    made = _made(told)
    with_font = "".join(_pages(made))
    assert "The image 猫 and U+0928U+0940." in with_font and with_font.count("猫") == 2
    assert "the characters U+0928, U+0940, which" in with_font.replace("\r\n", " ")
    assert _made(told) == made
    known = "".join(_pages(_made(_document(Note("Ελληνικά, العربية, é − ≥ ↑")))))
    assert "U+" not in known


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


def test_a_table_with_too_many_columns_is_split_and_not_shrunk() -> None:
    made = _made(_document(_table(4, 40)))
    assert _smallest(made) > 6.99
    read = "".join(_pages(made))
    assert all(read.count(f"Head{place}") >= 1 for place in range(40))
    assert read.count("row-3") > 1  # the first column stands in each part


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
