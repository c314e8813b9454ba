"""The command line. Exit codes: 0 success, 1 error, 2 bad input, 3 some runs failed, 130 interrupted."""

from __future__ import annotations

import errno
import gc
import os
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from study.cli import data, images, outcomes, starting, studies, working
from study.cli.terminal import program
from study.errors import StudyError

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
    """Reproduce a paper: train its model, baselines and ablations, and report the results."""


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
):
    app.command(epilog=_examples(command.__name__))(command)

PATH_ERRORS = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR)
"""Errors of the operating system that a wrong path causes."""


def main() -> None:
    """Runs the command line. Errors become a message and an exit code; STUDY_TRACEBACK=1 shows the traceback."""
    gc.set_threshold(200_000, 20, 20)  # imports make many objects: collecting garbage took an eighth of a plan's time
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except typer.Exit as stop:
        sys.exit(stop.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except Exception as error:
        if os.environ.get("STUDY_TRACEBACK"):
            raise
        sys.exit(_explained(error))


def _explained(error: Exception) -> int:
    """Prints an error. Returns the exit code. Names the line of a plugin that raised it."""
    if isinstance(error, StudyError):
        print(str(error).replace("python -m study ", f"{program()} "), file=sys.stderr)
        return error.exit_code
    if isinstance(error, OSError):
        print(f"{error.filename}: {error.strerror}; check the path", file=sys.stderr)
        return 2 if error.errno in PATH_ERRORS else 1
    if (show := getattr(error, "show", None)) is not None:  # click's own: a wrong option
        show()
        return getattr(error, "exit_code", 2)
    from study.parts import plugins

    place = plugins.place_of(error)
    text = f"{place or 'error'}: {type(error).__name__}: {error}"
    print(f"{text}\n(set STUDY_TRACEBACK=1 for the traceback)", file=sys.stderr)
    for plugin in () if place else plugins.used():
        print(f"to check the plugin {plugin.file}: {program()} check {plugin.file}", file=sys.stderr)
    return 2 if place else 1
