"""Terminal output that commands share: messages, progress, commands to paste; and SIGTERM."""

from __future__ import annotations

import json
import os
import shlex
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


def command(*arguments: str) -> str:
    """A ``study`` command to paste into this shell; without arguments, the one that is running."""
    here = Path(sys.executable)
    python = str(here.relative_to(Path.cwd())) if here.is_relative_to(Path.cwd()) else "python"
    return f"{python} -m study {shlex.join(arguments or sys.argv[1:])}"


def heed_sigterm() -> None:
    """Makes SIGTERM interrupt like Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
