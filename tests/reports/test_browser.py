"""The page in a real browser: what its script adds, with mouse and keyboard, in both themes, on a phone and a desk."""

import base64
import io
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from by_hand import figure, made, table
from PIL import Image

from reports.document import Document, Grid
from reports.page import page
from reports.render import drawings

CHROMIUM = shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip("chromium is not installed: apt-get install chromium", allow_module_level=True)
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install '.[test]'")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed: pip install '.[test]'")

SORTED = "table => [...table.tBodies[0].rows].map(row => row.cells[COLUMN].querySelector('data')?.value ?? '')"
SCROLLS = "box => box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def file(content: Document, files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    written = tmp_path_factory.mktemp("page") / "report.html"
    written.write_text(page(content, drawings(content), files), encoding="utf-8")
    return written


@pytest.fixture
def visit(browser: Any, file: Path) -> Iterator[Any]:
    """Opens the page; at the end nothing was asked for but the page, and nothing was complained of."""
    contexts, asked, complaints = [], [], []

    def open_page(width: int = 1440, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        found = context.new_page()
        found.on("request", lambda request: asked.append(request.url))
        found.on("console", lambda message: complaints.append(message.text))
        found.on("pageerror", lambda error: complaints.append(str(error)))
        found.goto(file.as_uri())
        return found

    yield open_page
    for context in contexts:
        context.close()
    assert {url for url in asked if not url.startswith("data:")} == {file.as_uri()}
    assert complaints == []


def results(found: Any) -> Any:
    """The table of PSNR."""
    return found.locator("figure.table", has_text="PSNR (dB, ↑) on faces").first.locator("table")


def column(table: Any, place: int) -> list[str]:
    values: list[str] = table.evaluate(SORTED.replace("COLUMN", str(place)))
    return values


def test_a_heading_sorts_up_down_and_back(visit: Any) -> None:
    table = results(visit())
    before = column(table, 2)
    heading = table.locator("thead th").nth(2)
    assert heading.get_attribute("aria-sort") == "none"
    heading.get_by_role("button").click()
    known = [value for value in before if value]
    assert column(table, 2)[: len(known)] == sorted(known, key=float)
    assert heading.get_attribute("aria-sort") == "ascending"
    heading.get_by_role("button").press("Enter")
    assert column(table, 2)[: len(known)] == sorted(known, key=float, reverse=True)  # what is missing stays last
    heading.get_by_role("button").press("Space")
    assert column(table, 2) == before
    assert heading.get_attribute("aria-sort") == "none"


def test_a_filter_hides_rows_and_says_how_many(visit: Any) -> None:
    found = visit()
    found.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    links = found.locator("#table-links")
    rows = links.locator("tbody tr").count()
    assert links.locator("tbody tr:visible").count() == rows > 15
    links.get_by_label("Filter rows").fill("multi-scale critics")
    told = links.locator(".filter").get_by_role("status").inner_text()
    shown = links.locator("tbody tr:visible").count()
    assert 0 < shown < rows
    assert told == f"{shown} of {rows} rows"
    links.get_by_label("Filter rows").fill("")
    assert links.locator("tbody tr:visible").count() == rows


def test_pictures_open_step_and_compare_by_keyboard_alone(visit: Any) -> None:
    found = visit()
    first = found.locator("figure.pictures .grid td button").first
    first.focus()
    found.keyboard.press("Enter")
    dialog = found.get_by_role("dialog")
    title = dialog.get_by_role("heading")
    assert title.inner_text() == "face-00: Original"
    found.keyboard.press("ArrowRight")
    found.keyboard.press("ArrowRight")
    assert title.inner_text() == "face-00: CE, composite"
    found.keyboard.press("ArrowDown")
    assert title.inner_text() == "face-01: CE, composite"
    found.keyboard.press("ArrowUp")
    found.keyboard.press("ArrowUp")
    assert title.inner_text() == "face-03: CE, composite"  # round to the last
    shown = dialog.locator(".stage img")
    assert shown.nth(0).get_attribute("src") != shown.nth(1).get_attribute("src")
    assert shown.nth(1).get_attribute("alt") == "face-03: Original"
    slider = dialog.get_by_role("slider")
    slider.focus()
    found.keyboard.press("End")
    assert dialog.locator(".stage").evaluate("stage => stage.style.getPropertyValue('--share')") == "100%"
    clip = shown.nth(1).evaluate("image => getComputedStyle(image).clipPath")
    found.keyboard.press("Home")
    assert shown.nth(1).evaluate("image => getComputedStyle(image).clipPath") != clip
    dialog.get_by_label("Compare with").select_option(label="Proposed")
    assert shown.nth(1).get_attribute("alt") == "face-03: Proposed, composite"
    for _ in range(12):  # Tab stays inside, or goes to the browser's own controls
        found.keyboard.press("Tab")
        assert found.evaluate("document.activeElement === document.body || !!document.activeElement.closest('dialog')")
    found.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert found.evaluate("document.activeElement.querySelector('img')?.alt") == "face-00: Original"


def test_a_drawing_is_enlarged_and_put_back(visit: Any) -> None:
    found = visit()
    figure = found.locator("figure.drawing").first
    small = figure.locator("svg").first.bounding_box()["width"]
    figure.get_by_role("button", name="Enlarge").click()
    dialog = found.get_by_role("dialog")
    assert dialog.locator("svg").first.bounding_box()["width"] > small
    dialog.get_by_role("button", name="Close").click()
    assert figure.locator("svg").first.bounding_box()["width"] == small


def test_the_theme_follows_the_system_till_the_button_decides(visit: Any) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    light = visit(color_scheme="light").evaluate(ground)
    found = visit(color_scheme="dark")
    dark = found.evaluate(ground)
    assert dark != light
    button = found.get_by_role("button", name="Theme")
    button.click()
    assert found.evaluate(ground) == light
    found.reload()
    assert found.evaluate(ground) == light
    assert found.get_by_role("button", name="Theme").inner_text() == "Theme: light"
    found.get_by_role("button", name="Theme").click()
    assert found.evaluate(ground) == dark


@pytest.mark.parametrize("width", [390, 1440, 1920])
def test_the_page_is_as_wide_as_the_window(visit: Any, width: int) -> None:
    found = visit(width)
    assert found.evaluate("document.documentElement.scrollWidth") <= width
    for section in found.locator("main section").all():
        assert section.bounding_box()["width"] <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_axe_finds_nothing(visit: Any, scheme: str, width: int) -> None:
    found = visit(width, color_scheme=scheme, bypass_csp=True, reduced_motion="reduce")
    found.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    found.add_style_tag(content=".scroll { background: none !important; }")  # it tells no contrast on a shaded ground
    assert findings(found) == []
    found.locator("figure.pictures .grid td button").nth(2).click()
    assert findings(found) == []


def findings(found: Any) -> list[str]:
    """What axe complains of, whatever its impact, and contrasts that it could not tell."""
    told = (
        axe.Axe()
        .run(found, options={"rules": {"target-size": {"enabled": True}}, "resultTypes": ["violations", "incomplete"]})
        .response
    )
    unsure = [one for one in told["incomplete"] if one["id"] != "color-contrast"]
    return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in (*told["violations"], *unsure)]


@pytest.mark.parametrize("width", [390, 1440])
def test_targets_are_large_enough(visit: Any, width: int) -> None:
    """24 px each way (WCAG 2.2, 2.5.8), but for links within a sentence."""
    found = visit(width)
    found.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    small = found.evaluate("""[...document.querySelectorAll("a, button, input, select, summary")]
        .filter((one) => one.checkVisibility() && !one.matches("p > a:not(.self), dd > a, .term, .skip"))
        .map((one) => one.closest("label") ?? one)
        .map((one) => [one.outerHTML.slice(0, 120), one.getBoundingClientRect()])
        .filter(([, box]) => box.width < 23.99 || box.height < 23.99).map(([text]) => text)""")
    assert small == []


def test_the_contents_mark_the_section_that_is_read(visit: Any) -> None:
    found = visit(1440)
    marked = found.locator("nav [aria-current]")
    sections = found.locator("main > section")
    assert marked.get_attribute("href") == f"#{sections.first.get_attribute('id')}"
    for place in (4, 2):
        sections.nth(place).evaluate("section => section.scrollIntoView({behavior: 'instant'})")
        playwright.expect(marked).to_have_attribute("href", f"#{sections.nth(place).get_attribute('id')}")
    found.evaluate("scrollTo({top: document.documentElement.scrollHeight, behavior: 'instant'})")
    playwright.expect(marked).to_have_attribute("href", f"#{sections.last.get_attribute('id')}")
    beside = found.locator("nav").bounding_box()
    assert beside["x"] + beside["width"] <= found.locator("main").bounding_box()["x"] and beside["y"] > -100
    found.set_viewport_size({"width": 1099, "height": 900})
    assert found.locator("nav").bounding_box()["y"] < 0  # a list above the report


def test_every_heading_table_and_figure_links_to_itself(visit: Any) -> None:
    found = visit(1440, reduced_motion="reduce")
    parts = found.locator("main h2, main h3, main figcaption")
    linked = """part => !!part.querySelector(".self") || !!part.closest("section").querySelector(":scope > .self")
        || part.querySelector("a")?.hash === `#${part.closest("article")?.id}`"""  # a claim by its own name
    assert parts.count() > 20 and all(part.evaluate(linked) for part in parts.all())
    name = found.locator("figure.drawing").first.get_attribute("id")
    first = found.locator(f"#{name} .self")
    assert first.evaluate("link => getComputedStyle(link).opacity") == "0"
    first.focus()
    assert first.evaluate("link => getComputedStyle(link).opacity") == "1"
    found.keyboard.press("Enter")
    assert found.url.endswith(f"#{name}")
    assert found.locator(f"#{name}").evaluate("figure => figure.getBoundingClientRect().top") < 100


def test_a_link_opens_all_that_its_target_is_folded_away_in(browser: Any, tmp_path: Path) -> None:
    told = made(replace(table("outer"), more=table("inner")))
    told = replace(told, sections=[replace(told.sections[0], folded=True)])
    (tmp_path / "page.html").write_text(page(told, {}, {}), encoding="utf-8")
    found = browser.new_page()
    found.goto((tmp_path / "page.html").as_uri())
    assert not found.locator("#table-outer").is_visible()
    found.locator("nav ol a").click()
    assert found.locator("#table-outer").is_visible() and not found.locator("#table-inner").is_visible()
    found.goto((tmp_path / "page.html").as_uri() + "#table-inner")
    playwright.expect(found.locator("#table-inner")).to_be_visible()
    found.close()


def test_search_finds_what_is_folded_away_and_goes_from_one_to_the_next(visit: Any) -> None:
    found = visit(1440)
    assert not found.locator("#table-links").is_visible()
    search = found.get_by_role("searchbox", name="Search this page")
    search.fill("all contrasts  BEHIND the claims")
    told = found.locator("search").get_by_role("status")
    assert found.locator("#table-links").is_visible()
    of = int(told.inner_text().split(" of ")[1])
    assert told.inner_text() == f"1 of {of}" and of >= 2  # in the summary and in the caption
    search.press("Enter")
    assert told.inner_text() == f"2 of {of}"
    search.press("Shift+Enter")
    search.press("Shift+Enter")
    assert told.inner_text() == f"{of} of {of}"
    found.get_by_role("button", name="Next match").click()
    assert told.inner_text() == f"1 of {of}"
    marked = "[...CSS.highlights.get('current')].map(range => range.toString().toLowerCase())"
    assert found.evaluate(marked) == ["all contrasts behind the claims"]
    for text, count in (("-0.", 1), (".*", 0), ("nowhere to be found", 0)):  # a hyphen finds a minus sign
        search.fill(text)
        assert told.inner_text().startswith("1 of" if count else "Not found"), text
    search.press("Escape")
    assert (search.input_value(), told.inner_text()) == ("", "")
    assert found.evaluate("CSS.highlights.get('found').size") == 0


def test_a_found_word_is_in_view_and_so_is_the_search_on_a_phone(visit: Any) -> None:
    found = visit(390, reduced_motion="reduce")
    found.get_by_role("searchbox", name="Search this page").fill("million multiply")
    top = found.evaluate("[...CSS.highlights.get('current')][0].getBoundingClientRect().top")
    assert 0 < top < 900
    assert 0 < found.locator("search").bounding_box()["y"] < 900


def test_a_table_is_copied_as_it_stands(visit: Any) -> None:
    found = visit(1440, permissions=["clipboard-read", "clipboard-write"])
    figure = found.locator("figure.table", has_text="PSNR (dB, ↑) on faces").first
    shown = figure.locator("table").evaluate("table => [...table.rows].map(row => row.cells.length)")
    figure.get_by_role("button", name="Copy TSV").click()
    playwright.expect(figure.locator(".files").get_by_role("status")).to_have_text("Copied")
    rows = [row.split("\t") for row in found.evaluate("navigator.clipboard.readText()").split("\n")]
    assert [len(row) for row in rows] == shown
    assert rows[1][0] == figure.locator("tbody th").first.inner_text().split("\n")[0]
    assert not any("−" in cell for row in rows[1:] for cell in row[2:3])
    figure.get_by_role("button", name="Copy Markdown").click()
    playwright.expect(figure.locator(".files").get_by_role("status")).to_have_text("Copied")
    lines = found.evaluate("navigator.clipboard.readText()").split("\n")
    assert len(lines) == len(shown) + 1 and set(lines[1]) == set("| -:")
    assert {line.count(" | ") for line in lines} == {shown[0] - 1}


def test_a_copy_runs_nothing_and_is_no_markup(browser: Any, tmp_path: Path) -> None:
    told = made(table(text="=1+1|<b>*a*\tb\nc"))
    (tmp_path / "page.html").write_text(page(told, {}, {}), encoding="utf-8")
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    found = context.new_page()
    found.goto((tmp_path / "page.html").as_uri())
    copies = []
    for name in ("Copy TSV", "Copy Markdown"):
        found.get_by_role("button", name=name).click()
        playwright.expect(found.locator(".files").get_by_role("status")).to_have_text("Copied")
        copies.append(found.evaluate("navigator.clipboard.readText()").split("\n")[-1])
        found.evaluate("document.querySelector('.files [role=status]').textContent = ''")
    text = "=1+1|<b>*a* b c"
    assert copies[0].split("\t")[0] == f"'{text} {text}"
    assert copies[1].split(" | ")[0] == r"| =1+1\|\<b\>\*a\* b c =1+1\|\<b\>\*a\* b c"
    context.close()


def test_a_page_that_is_moved_alone_keeps_its_files(
    browser: Any, file: Path, files: dict[str, bytes], tmp_path: Path
) -> None:
    pdfium = pytest.importorskip("pypdfium2")
    alone = tmp_path / "elsewhere.html"
    alone.write_bytes(file.read_bytes())
    found = browser.new_page(accept_downloads=True)
    found.goto(alone.as_uri())
    found.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")

    def saved(path: str) -> bytes:
        with found.expect_download() as started:
            found.locator(f'a[href="{path}"]').click()
        assert started.value.suggested_filename == path.split("/")[1]
        content: bytes = started.value.path().read_bytes()
        return content

    assert {link.get_attribute("href") for link in found.locator("a[download]").all()} == set(files)
    grids = [link.get_attribute("id").removeprefix("figure-") for link in found.locator("figure.pictures").all()]
    drawing = found.locator("figure.drawing").first.get_attribute("id").removeprefix("figure-")
    for path in ("tables/claims.csv", "tables/claims.tex", f"figures/{drawing}.svg", f"figures/{drawing}.pdf"):
        assert saved(path) == files[path], path
    for name in (drawing, grids[0]):
        drawn, kept = (picture(content) for content in (saved(f"figures/{name}.png"), files[f"figures/{name}.png"]))
        assert np.abs(np.subtract(drawn.shape, kept.shape)).max() <= 1
        assert 0.5 < (drawn < 250).mean() / (kept < 250).mean() < 2, name
    shown, kept = (
        pictures_of(content) for content in (saved(f"figures/{grids[0]}.svg"), files[f"figures/{grids[0]}.svg"])
    )
    assert len(shown) == len(kept) and all((one == other).all() for one, other in zip(shown, kept, strict=True))
    sheet = pdfium.PdfDocument(saved(f"figures/{grids[0]}.pdf"))
    width, height = pdfium.PdfDocument(files[f"figures/{grids[0]}.pdf"])[0].get_size()
    assert sheet[0].get_size() == pytest.approx((width, height), abs=1)
    assert (sheet[0].render().to_numpy() < 250).mean() > 0.02
    found.close()


def picture(content: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def pictures_of(drawing: bytes) -> list[Any]:
    return [
        picture(base64.b64decode(one)) for one in re.findall(rb"data:image/png;base64,([\sA-Za-z0-9+/=]+)", drawing)
    ]


def test_pictures_are_whole_whatever_the_page_stores(visit: Any, content: Document) -> None:
    found = visit(1440)
    found.wait_for_function("document.querySelectorAll('img[data-over]').length === 0")
    sources = found.locator("figure.pictures .grid img").evaluate_all("images => images.map(image => image.src)")
    stored = [pixels for figure in content.figures() if figure.pictures for pixels in figure.pictures.shown()]
    assert len(sources) == len(stored)
    for source, pixels in zip(sources, stored, strict=True):
        assert (picture(base64.b64decode(source.split(",")[1])) == pixels).all()


@pytest.mark.parametrize("height", [400, 900])
def test_dialogs_open_at_their_top(visit: Any, height: int) -> None:
    found = visit(390)
    found.set_viewport_size({"width": 390, "height": height})
    for opens in (found.locator(".grid td button").first, found.get_by_role("button", name="Enlarge").first):
        opens.click()
        dialog = found.get_by_role("dialog")
        assert dialog.evaluate("dialog => dialog.scrollTop") == 0
        heading = dialog.get_by_role("heading").bounding_box()
        assert 0 <= heading["y"] < height
        found.keyboard.press("Escape")


@pytest.mark.parametrize("width", [390, 1440])
def test_boxes_that_scroll_say_so(visit: Any, width: int) -> None:
    found = visit(width)
    for box in found.locator(".scroll:visible").all():
        wide, tall = box.evaluate(
            "box => [box.scrollWidth > box.clientWidth + 1, box.scrollHeight > box.clientHeight + 1]"
        )
        before = box.locator("xpath=preceding-sibling::*[1][contains(@class, 'cue')]")
        cue = before.inner_text() if before.count() else ""
        assert (("sideways" in cue), ("down" in cue)) == (wide, tall)


def test_it_loads_quickly(visit: Any, file: Path) -> None:
    found = visit(1440)
    taken = found.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
    height = found.evaluate("document.documentElement.scrollHeight")
    words = len(found.locator("main").inner_text().split())
    print(f"\nload {taken:.0f} ms, {height:,} px, {words:,} visible words, {file.stat().st_size / 1e6:.2f} MB")
    assert taken < 5000
    assert file.stat().st_size < 2e6


def test_without_its_script_all_can_be_read(visit: Any) -> None:
    found = visit(java_script_enabled=False)
    assert found.get_by_role("button").count() == 0
    assert found.locator("#table-links tbody tr").count() > 15
    assert found.locator("article.card").count() == 15
    assert found.locator("figure.pictures img").first.is_visible()


def test_without_its_script_every_output_is_shown(browser: Any, tmp_path: Path) -> None:
    pixels = np.zeros((4, 4, 3), np.uint8)
    outputs = ["composite", "raw"]
    grid = Grid(columns=["CE"], rows=[("one", [dict.fromkeys(outputs, pixels)])], outputs=outputs)
    told = made(replace(figure(pictures=True), pictures=grid))
    (tmp_path / "page.html").write_text(page(told, drawings(told), {}), encoding="utf-8")
    context = browser.new_context(java_script_enabled=False)
    found = context.new_page()
    found.goto((tmp_path / "page.html").as_uri())
    assert [image.is_visible() for image in found.locator(".grid img").all()] == [True, True]
    assert found.locator("figure noscript p").is_visible()
    context.close()


def test_only_what_scrolls_is_a_stop_for_the_tab_key(visit: Any) -> None:
    found = visit(1440)
    boxes = found.locator(".scroll:visible").all()
    stops = [box.get_attribute("tabindex") == "0" for box in boxes]
    assert stops == [box.evaluate(SCROLLS) for box in boxes]
    assert not all(stops)
    found.set_viewport_size({"width": 390, "height": 900})
    found.wait_for_timeout(200)
    assert [box.get_attribute("tabindex") == "0" for box in boxes] == [box.evaluate(SCROLLS) for box in boxes]


def test_it_prints_whole(visit: Any, tmp_path: Path) -> None:
    pdfium = pytest.importorskip("pypdfium2")
    found = visit(color_scheme="dark")
    found.pdf(path=tmp_path / "print.pdf", format="A4")
    printed = pdfium.PdfDocument(tmp_path / "print.pdf")
    text = "".join(leaf.get_textpage().get_text_bounded() for leaf in printed)
    assert "All contrasts behind the claims" in text  # what is folded away on the screen
    assert "Filter rows" not in text
    ground = printed[0].render().to_numpy()[5, 5]
    assert ground.min() > 250
