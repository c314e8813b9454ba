"""What commands have in common when they speak: sentences, progress, the command to paste; and a request to stop."""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console
from rich.status import Status

from study.errors import Interrupted


def teller() -> Callable[[str], None]:
    """What prints a sentence as it is."""
    console = Console()
    return lambda text: console.print(text, highlight=False, soft_wrap=True, markup=False)


@contextmanager
def hearing() -> Iterator[Callable[[str, int, int], None]]:
    """Shows on a terminal how many images are read, as long as that takes."""
    from rich.progress import Progress, TaskID

    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        rows: dict[str, TaskID] = {}

        def heard(what: str, done: int, of: int) -> None:
            if what not in rows:
                rows[what] = progress.add_task(what, total=of)
            progress.update(rows[what], completed=done)

        yield heard


def looking() -> Status:
    """Says on a terminal why planning takes its time, where it does."""
    return Console(stderr=True).status("looking at the data; the first time each image is read")


def command(*arguments: str) -> str:
    """A command of ours as it can be pasted here; without arguments the one that is running."""
    here = Path(sys.executable)
    python = str(here.relative_to(Path.cwd())) if here.is_relative_to(Path.cwd()) else "python"
    return f"{python} -m study {shlex.join(arguments or sys.argv[1:])}"


def heed_sigterm() -> None:
    """Lets SIGTERM interrupt as Ctrl-C does."""
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(signum: int, frame: FrameType | None) -> Any:
    raise Interrupted
