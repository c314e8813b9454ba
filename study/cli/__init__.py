"""The command line: thin. Exit codes: 0 fine, 1 error, 2 bad input, 3 some runs failed, 130 interrupted."""

from __future__ import annotations

import errno
import os
import sys

import typer

from study.cli import studies, searches, outcomes, images, data  # isort: skip  # noqa: F401  the order of the help
from study.cli.app import app
from study.errors import Interrupted, StudyError

PLACES = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR)
"""What the system says of a place that was not meant, or that may not be written to."""


def main() -> None:
    """Runs the command line; turns our errors into a sentence and an exit code. STUDY_TRACEBACK=1 shows the rest."""
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
        print(f"{error.filename}: {error.strerror}; is this the place that you mean?", file=sys.stderr)
        sys.exit(2 if error.errno in PLACES else 1)
    except Exception as error:
        if os.environ.get("STUDY_TRACEBACK"):
            raise
        show = getattr(error, "show", None)
        if show is not None:  # click's own: a wrong option
            show()
            sys.exit(getattr(error, "exit_code", 2))
        sys.exit(_unforeseen(error))


def _unforeseen(error: Exception) -> int:
    """Tells an error that is not ours, where a plugin raised it with its line; gives the exit code."""
    from study.parts import plugins

    text = f"{type(error).__name__}: {error}"
    if place := plugins.place_of(error):
        print(f"{place}: {text}\n(STUDY_TRACEBACK=1 shows the way there)", file=sys.stderr)
        return 2
    print(f"error: {text}\n(STUDY_TRACEBACK=1 shows where)", file=sys.stderr)
    for plugin in plugins.used():
        told = "tells whether its parts are as they have to be"
        print(f"{plugin.file} takes part: python -m study check {plugin.file} {told}", file=sys.stderr)
    return 1
