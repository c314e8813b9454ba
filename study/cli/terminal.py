"""Terminal output that commands share: messages, progress, commands to paste; and SIGTERM."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console


def printer(console: Console | None = None) -> Callable[[str], None]:
    """A function that prints a message as it is: no markup, no line breaks added."""
    return partial((console or Console()).print, highlight=False, soft_wrap=True, markup=False)


def print_json(value: Any) -> None:
    """Prints a value as JSON."""
    print(json.dumps(value, indent=1, allow_nan=False))


def wide(width: int = 120) -> Console:
    """A console as wide as the terminal; elsewhere of ``width`` columns, or of ``COLUMNS`` if that is less."""
    columns = os.environ.get("COLUMNS", "")
    return Console(width=None if sys.stdout.isatty() else min(width, int(columns) if columns.isdigit() else width))


@contextmanager
def image_progress() -> Iterator[Callable[[str, int, int], None]]:
    """Shows progress bars on a terminal. Yields a function of a label, the images read, and their total."""
    from rich.progress import Progress, TaskID

    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
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


def heed_sigterm() -> None:
    """Makes SIGTERM interrupt like Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
