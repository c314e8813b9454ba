"""Terminal output that commands share: messages, progress, commands to paste; and signals."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from os import _exit as end_at_once
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from study.errors import at_file

IMPATIENT_S = 2.0
"""A Ctrl-C this long after the first one ends the command at once."""


class Screen(Console):
    """A console that shows text as it is, whoever wrote it: nothing in it is markup, an emoji or a control code.

    All consoles of the commands are of this class, so that no other place has to escape foreign text.

    Args:
        stderr: print to standard error.
        width: columns; by default those of the terminal.
    """

    def __init__(self, *, stderr: bool = False, width: int | None = None) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, stderr=stderr, width=width)

    def print(self, *objects: Any, **options: Any) -> None:
        """Prints as rich does. An error of writing names standard output."""
        with at_file("standard output"):
            super().print(*objects, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Rich's segments of texts in which what is not printable is escaped."""
        if isinstance(renderable, str):
            renderable = printable(renderable)
        elif isinstance(renderable, Text) and (plain := printable(renderable.plain)) != renderable.plain:
            renderable = renderable.copy()
            renderable.plain = plain
        yield from super().render(renderable, options)

    def on_broken_pipe(self) -> None:
        """Leaves the error to ``study.cli.main``; rich would end the process."""
        raise  # rich calls this where it handles the error


def printable(text: str) -> str:
    """A text with what moves a terminal's cursor, changes its colours or cannot be encoded escaped: ``\\x1b``."""
    if text.isprintable():
        return text
    kept = (one.isprintable() or one in "\n\t" or unicodedata.category(one) == "Zs" for one in text)
    return "".join(one if keep else ascii(one)[1:-1] for one, keep in zip(text, kept, strict=True))


def printer(console: Console | None = None) -> Callable[[str], None]:
    """A function that prints a message as it is, without line breaks added."""
    return partial((console or Screen()).print, soft_wrap=True)


def print_json(value: Any) -> None:
    """Prints a value as JSON."""
    with at_file("standard output"):
        print(json.dumps(value, indent=1, allow_nan=False))


def wide(width: int = 120) -> Console:
    """A console as wide as the terminal; elsewhere of ``width`` columns, or of ``COLUMNS`` if that is less."""
    columns = os.environ.get("COLUMNS", "")
    return Screen(width=None if sys.stdout.isatty() else min(width, int(columns) if columns.isdigit() else width))


@contextmanager
def image_progress() -> Iterator[Callable[[str, int, int], None]]:
    """Shows progress bars on a terminal. Yields a function of a label, the images read, and their total."""
    from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

    label = TextColumn("{task.description}", markup=False)
    columns = (label, BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Screen(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        rows: dict[str, TaskID] = {}

        def show(label: str, done: int, total: int) -> None:
            if label not in rows:
                rows[label] = progress.add_task(label, total=total)
            progress.update(rows[label], completed=done)

        yield show


def program() -> str:
    """How this program was started, to type again: ``study``, its path, or ``python -m study``."""
    script = Path(sys.argv[0])
    if script.name != "study":
        return f"{_near(Path(sys.executable)) or 'python'} -m study"
    return "study" if str(script) == shutil.which("study") else shlex.quote(_near(script) or str(script))


def _near(file: Path) -> str | None:
    """The path of a file below the working directory, from there; None if it is elsewhere."""
    return str(file.relative_to(Path.cwd())) if file.is_relative_to(Path.cwd()) else None


def command(*arguments: str) -> str:
    """A ``study`` command to paste into this shell; without arguments, the one that is running."""
    return f"{program()} {shlex.join(arguments or sys.argv[1:])}"


def heed_signals(*more: signal.Signals) -> None:
    """Makes SIGTERM, and the SIGHUP of a terminal that closes, interrupt like Ctrl-C. ``more``: other signals, too.

    After the first signal, work is saved. Further ones are not needed, and would only lose it: they are answered with a
    line. A Ctrl-C that comes more than ``IMPATIENT_S`` after the first signal ends the process at once.
    """
    first: list[float] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if not first:
            first.append(now)
            raise KeyboardInterrupt
        if number == signal.SIGINT and now - first[0] > IMPATIENT_S:
            with suppress(OSError):
                os.write(2, b"ended at once; what was not saved yet is made again\n")
            end_at_once(130)
        with suppress(OSError):
            os.write(2, b"stopping: work is being saved, within 30 s; Ctrl-C again ends at once\n")

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, *more):
        signal.signal(number, interrupt)
