"""The command line. Exit codes: 0 success, 1 error, 2 bad input, 3 some runs failed, 130 interrupted."""

from __future__ import annotations

import errno
import os
import sys

import typer

from study.cli import studies, searches, outcomes, images, data  # isort: skip  # noqa: F401  the order of the help
from study.cli.app import app
from study.errors import Interrupted, StudyError

PATH_ERRORS = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR)
"""Errors of the operating system that a wrong path causes."""


def main() -> None:
    """Runs the command line. Errors become a message and an exit code; STUDY_TRACEBACK=1 shows the traceback."""
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except typer.Exit as stop:
        sys.exit(stop.exit_code)
    except (KeyboardInterrupt, Interrupted, typer.Abort):
        sys.exit(130)
    except StudyError as error:
        if os.environ.get("STUDY_TRACEBACK"):
            raise
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        if os.environ.get("STUDY_TRACEBACK"):
            raise
        print(f"{error.filename}: {error.strerror}; check the path", file=sys.stderr)
        sys.exit(2 if error.errno in PATH_ERRORS else 1)
    except Exception as error:
        if os.environ.get("STUDY_TRACEBACK"):
            raise
        show = getattr(error, "show", None)
        if show is not None:  # click's own: a wrong option
            show()
            sys.exit(getattr(error, "exit_code", 2))
        sys.exit(_unexpected(error))


def _unexpected(error: Exception) -> int:
    """Prints an unexpected error, with its line if a plugin raised it. Returns the exit code."""
    from study.parts import plugins

    text = f"{type(error).__name__}: {error}"
    if place := plugins.place_of(error):
        print(f"{place}: {text}\n(set STUDY_TRACEBACK=1 for the traceback)", file=sys.stderr)
        return 2
    print(f"error: {text}\n(set STUDY_TRACEBACK=1 for the traceback)", file=sys.stderr)
    for plugin in plugins.used():
        print(f"to check the plugin {plugin.file}: python -m study check {plugin.file}", file=sys.stderr)
    return 1
