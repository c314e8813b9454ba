"""Text that is not ours is shown as it is, wherever it comes from: never as markup, an emoji or a control code."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from study.cli.terminal import Screen, printer
from study.plan.graph import PLAN
from study.running.executors import Event
from study.running.progress import Display, bars
from study.store import RunState, read_facts
from tests.helpers import tiny
from tests.helpers.commands import ROOT, command

PLANTED = "[/data] [bold]x[/bold] [enforce fail at alloc_cpu.cpp:124] :smile: 'q' 12"
CODES = "\x1b[31mred\x07"
SHOWN = "\\x1b[31mred"  # rich drops the bell

RUN = "[bold]m/[red]faces/0"


def shown(output: str) -> str:
    """What a command printed, on one line."""
    return re.sub(r"\s+", " ", output)


def screen() -> tuple[Screen, io.StringIO]:
    console = Screen(width=200)
    console.file = io.StringIO()
    return console, console.file


def test_a_console_shows_any_text_in_any_place_as_it_is() -> None:
    console, file = screen()
    table = Table("[b]head[/b]", title="[i]title[/i]")
    table.add_row(PLANTED)
    table.add_row(Text(CODES))
    console.print(PLANTED)
    console.print(CODES)
    console.print(table)
    printer(console)(PLANTED)
    text = file.getvalue()
    assert text.count(PLANTED) == 3 and text.count(SHOWN) == 2 and "\x1b" not in text
    assert "[b]head[/b]" in text and "[i]title[/i]" in text


def test_bars_show_any_text_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Screen, "is_terminal", True)
    console, file = screen()
    progress: Progress
    with bars(console) as progress:
        progress.add_task("[/data]", total=1)
    assert "[/data]" in file.getvalue()


def test_every_console_of_the_commands_is_such_a_one() -> None:
    made = [
        file
        for file in (ROOT / "study").rglob("*.py")
        if re.search(r"(?<!class Screen\()\bConsole\(", file.read_text())
    ]
    assert made == []


def test_columns_of_bars_take_no_markup() -> None:
    for file in (ROOT / "study").rglob("*.py"):
        for column in re.findall(r"TextColumn\((.*)", file.read_text()):
            assert "markup=False" in column, file


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An output whose plan and states name variants, data sets, titles and reasons that look like markup."""
    folder = tmp_path_factory.mktemp("foreign")
    _, store = tiny.planned(folder, {"mean": {"method": "mean"}}, study="titled")
    state = RunState.of(store.out, RUN)
    state.write(run=RUN, status="failed", why=f"{PLANTED} {CODES}", record="[/data]", stage="")
    file = store.out / PLAN
    text = json.dumps(read_facts(file)).replace('"titled"', '"[/data] titled"').replace("faces/0", "[red]faces/0")
    file.write_text(text.replace('"mean', '"[bold]m').replace('"faces"', '"[red]faces"'))
    yield store.out


@pytest.mark.parametrize(
    "words",
    [("status",), ("status", "--runs"), ("status", "--json"), ("claims",), ("claims", "--evidence"), ("report",)],
)
def test_a_stored_study_is_shown_as_it_is_named(out: Path, words: tuple[str, ...]) -> None:
    done = command(words[0], out, *words[1:])
    text = shown(done.stdout)
    assert done.returncode == 0 and "\x1b" not in done.stdout and "\x07" not in done.stdout, done.stderr
    if words == ("status", "--runs"):
        assert RUN in text and "[enforce fail" in text and SHOWN in text
    if words[0] == "claims":
        assert "[/data] titled" in text


def test_the_difference_of_two_such_studies_is_shown(out: Path) -> None:
    done = command("diff", out, out)
    assert done.returncode == 0 and "[/data] titled" in shown(done.stdout), done.stderr


def test_the_errors_of_a_plugin_are_shown_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "[bold]mine.py"
    file.write_text(f"raise RuntimeError({PLANTED + CODES!r})\n")
    done = command("check", file)
    assert done.returncode == 2 and "[bold]mine.py:1" in done.stderr
    assert PLANTED in done.stderr and SHOWN in done.stderr


def test_what_a_plugin_fails_at_is_shown_in_a_table_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "[bold]mine.py"
    file.write_text(f"def fill(images, masks):\n    raise RuntimeError({PLANTED!r})\nFILLERS = {{'[/data]': fill}}\n")
    done = command("check", file)
    assert done.returncode == 2 and "FILLERS['[/data]']" in done.stdout and "[enforce fail" in shown(done.stdout)


def test_file_names_are_shown_as_they_are(tmp_path: Path) -> None:
    for folder in ("truth", "output"):
        (tmp_path / folder).mkdir()
        Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(tmp_path / folder / "[bold]x.png")
        (tmp_path / folder / "[bold]\x1b[31m.png").write_bytes(b"no image")
    done = command("score", "--output", tmp_path / "output", "--truth", tmp_path / "truth")
    assert done.returncode == 2 and "[bold]\\x1b[31m.png" in done.stderr


def test_names_that_are_not_utf8_are_shown_escaped(tmp_path: Path) -> None:
    done = command("run", tmp_path / "\udcff.yaml")
    assert done.returncode == 2 and "\\udcff.yaml" in done.stderr


def test_the_progress_of_a_run_shows_events_as_they_are(tmp_path: Path) -> None:
    from study.running import driver

    plan, store = tiny.planned(tmp_path, {"mean": {"method": "mean"}})
    waiting = driver.tasks(plan, store)
    console, file = screen()
    with Display(plan, store, waiting, console) as display:
        for kind in ("note", "died", "failed"):
            display.on_event(Event(kind, waiting[0], text=PLANTED))
    assert file.getvalue().count(PLANTED) == 3


def test_help_keeps_what_is_in_brackets() -> None:
    assert "[lpips, fid, kid]" in shown(command("score", "--help").stdout)
