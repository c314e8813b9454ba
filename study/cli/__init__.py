"""The command line.

Exit codes: 0 success, 1 error, 2 bad input, 3 some runs failed, 130 interrupted, 141 the pipe it prints to was closed.
"""

from __future__ import annotations

import errno
import gc
import io
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated

import typer

from study.cli import data, images, outcomes, starting, stores, studies, working
from study.cli.terminal import printable, program
from study.errors import StudyError, at_file, in_words
from study.processes import refuse_sudden_ends

EXAMPLES = {
    "": [
        "study init                       write a study file, runs.yaml",
        "study run runs.yaml              run the demo and write its report",
        "study plan runs.yaml             show what would be trained, and its cost",
        "study claims out                 the outcome of each claim of the paper",
        "study inpaint proposed/faces/0 photo.png --mask mask.png -o repaired.png",
    ],
    "init": ["study init", "study init photographs-study --kind photographs"],
    "docs": ["study docs", "study docs plugins"],
    "run": [
        "study run runs.yaml",
        "study run runs.yaml --only proposed,glcic --seeds 0-4 --out few",
        "study run runs.yaml --profile paper --device cuda --report-every 1h",
    ],
    "plan": ["study plan runs.yaml --profile paper", "study plan runs.yaml --measure"],
    "report": ["study report out", "study report out --watch     while another terminal runs it"],
    "describe": ["study describe proposed --profile paper"],
    "check": ["study check my_method.py"],
    "tune": ["study tune runs.yaml --variant proposed --trials 50", "study tune runs.yaml --all"],
    "work": ["study work out", "study work /shared/out --jobs 1 --time 4h"],
    "stop": ["study stop out"],
    "status": ["study status out", "study status out --runs"],
    "claims": ["study claims out", "study claims out C1 C3     with all of their evidence"],
    "diff": ["study diff out out-changed"],
    "score": [
        "study score --output repaired --truth photos --center",
        "study score --output repaired --into out --as mine --seed 0",
    ],
    "inpaint": [
        "study inpaint proposed/faces/0 photo.png --mask mask.png -o repaired.png",
        "study inpaint proposed/faces/0 photo.png --box 40,30,64,64 -o repaired.png",
    ],
    "export": ["study export proposed/faces/0 model"],
    "merge": ["study merge out out-from-the-cluster", "study merge all out-seeds-0-4 out-seeds-5-9"],
    "gc": ["study gc out                     show what would be removed", "study gc out --keep-days 7 --yes"],
    "doctor": ["study doctor                     this machine", "study doctor out", "study doctor out --repair"],
    "data pack": ["study data pack runs.yaml faces"],
    "data show": ["study data show runs.yaml faces"],
    "data write": ["study data write out test-images --data faces"],
}
"""Examples for the help of each command, by its name; of the whole under the empty name."""


def _examples(name: str) -> str:
    return "\n".join(
        ["\b", "Example:" if len(EXAMPLES[name]) == 1 else "Examples:", *map("  ".__add__, EXAMPLES[name])]
    )


def _show_version(wanted: bool) -> None:
    if wanted:
        import importlib.metadata

        typer.echo(f"study {importlib.metadata.version('mo-zhou-study')}")
        raise typer.Exit


app = typer.Typer(
    epilog=_examples(""),
    rich_markup_mode=None,  # plain text: it is as good in a pipe, and as wide as the terminal
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def study(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Test the claims of a paper on image inpainting: train its model, baselines and ablations; report the results."""


data_app = typer.Typer(help="Pack, inspect and export data sets.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(data_app, name="data")
command: Callable[..., None]
for command in (data.pack, data.show, data.write):
    data_app.command(epilog=_examples(f"data {command.__name__}"))(command)
for command in (
    *(starting.init, starting.docs),
    *(studies.run, studies.plan, studies.report, studies.describe, studies.check, studies.tune),
    *(working.work, working.stop),
    *(outcomes.status, outcomes.claims, outcomes.diff, images.score, images.inpaint, images.export),
    *(stores.merge, stores.gc, stores.doctor),
):
    app.command(epilog=_examples(command.__name__))(command)

PATH_ERRORS = (
    *(errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR),
    *(errno.ELOOP, errno.EINVAL, errno.ENXIO, errno.ENAMETOOLONG),
)
"""Errors of the operating system that a wrong path causes."""
CLOSED_PIPE = 141
"""The exit code if whoever reads what is printed goes away: that of SIGPIPE, as shells give it."""


def main() -> None:
    """Runs the command line. Errors become a message and an exit code; STUDY_TRACEBACK=1 shows the traceback."""
    refuse_sudden_ends()
    gc.set_threshold(200_000, 20, 20)  # imports make many objects: collecting garbage took an eighth of a plan's time
    for stream in (sys.stdout, sys.stderr):  # a name that is not UTF-8, or a terminal that has no such letter
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    code = _exit_code()
    with suppress(ValueError):  # in a thread
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # what is left to do takes no time, and would print a traceback
    gc.freeze()  # Python looks for garbage before it ends: with torch, for a fifth of a second
    sys.exit(code)


def _exit_code() -> int:
    """Runs the command, and prints an error that ends it."""
    try:
        code = int(app(standalone_mode=False) or 0)
        _flush()
        return code
    except typer.Exit as stop:
        return stop.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except (Exception, SystemExit) as error:
        if os.environ.get("STUDY_TRACEBACK"):
            raise
        return _explained(error)


def _flush() -> None:
    """Writes what is printed; a pipe may be closed, or a disk full. What cannot be written is then forgotten."""
    try:
        with at_file("standard output"):
            sys.stdout.flush()
    except OSError:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def _explained(error: BaseException) -> int:
    """Prints an error. Returns the exit code. Names the line of a plugin that raised it."""
    if BrokenPipeError in (
        type(error),
        type(error.__context__),
    ):  # as in ``study status out | head``: whoever reads has had enough
        with suppress(OSError):
            _flush()
        return CLOSED_PIPE
    if isinstance(error, StudyError):
        _tell(str(error).replace("python -m study ", f"{program()} "))
        return error.exit_code
    if (show := getattr(error, "show", None)) is not None:  # click's own: a wrong option
        show()
        return getattr(error, "exit_code", 2)
    from study.parts import plugins

    place = plugins.place_of(error)
    if isinstance(error, SystemExit):
        _tell(f"{place or 'error'}: {in_words(error)}")
        return 2 if place else 1
    text = in_words(error)
    if not text.startswith(f"{type(error).__name__}: "):  # of the machine
        _tell(text)
        return 2 if getattr(error, "errno", None) in PATH_ERRORS else 1
    _tell(f"{place or 'error'}: {text}\n(set STUDY_TRACEBACK=1 for the traceback)")
    for plugin in () if place else plugins.used():
        _tell(f"to check the plugin {plugin.file}: {program()} check {plugin.file}")
    return 2 if place else 1


def _tell(text: str) -> None:
    """Prints to standard error, if there is one: a terminal may be closed."""
    with suppress(OSError, ValueError):
        print(printable(text), file=sys.stderr)
