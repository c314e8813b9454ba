"""The page in a real browser: what its script adds, with mouse and keyboard, in both themes, on a phone and a desk."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from by_hand import figure, made

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
def file(content: Document, tmp_path_factory: pytest.TempPathFactory) -> Path:
    written = tmp_path_factory.mktemp("page") / "report.html"
    written.write_text(page(content, drawings(content)), encoding="utf-8")
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
    claims = visit().locator("#table-1")
    assert claims.locator("tbody tr:visible").count() == 15
    claims.get_by_label("Filter rows").fill("multi-scale critics")
    told = claims.get_by_role("status").inner_text()
    shown = claims.locator("tbody tr:visible").count()
    assert 0 < shown < 15
    assert told == f"{shown} of 15 rows"
    claims.get_by_label("Filter rows").fill("")
    assert claims.locator("tbody tr:visible").count() == 15


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
def test_axe_finds_nothing_serious(visit: Any, scheme: str, width: int) -> None:
    found = visit(width, color_scheme=scheme, bypass_csp=True, reduced_motion="reduce")
    found.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert serious(found) == []
    found.locator("figure.pictures .grid td button").nth(2).click()
    assert serious(found) == []


def serious(found: Any) -> list[str]:
    violations = axe.Axe().run(found).response["violations"]
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:200]}"
        for one in violations
        if one["impact"] in ("serious", "critical")
    ]


def test_without_its_script_all_can_be_read(visit: Any) -> None:
    found = visit(java_script_enabled=False)
    assert found.get_by_role("button").count() == 0
    assert found.locator("#table-1 tbody tr").count() == 15
    assert found.locator("figure.pictures img").first.is_visible()


def test_without_its_script_every_output_is_shown(browser: Any, tmp_path: Path) -> None:
    pixels = np.zeros((4, 4, 3), np.uint8)
    outputs = ["composite", "raw"]
    grid = Grid(columns=["CE"], rows=[("one", [dict.fromkeys(outputs, pixels)])], outputs=outputs)
    told = made(replace(figure(pictures=True), pictures=grid))
    (tmp_path / "page.html").write_text(page(told, drawings(told)), encoding="utf-8")
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
    assert "The links of each claim" in text  # what is folded away on the screen
    assert "Filter rows" not in text
    ground = printed[0].render().to_numpy()[5, 5]
    assert ground.min() > 250
