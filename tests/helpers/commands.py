"""Commands as a user types them, run in this process: a process of its own spends seconds on importing torch."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
from pathlib import Path
from unittest import mock

from study import cli

ROOT = Path(__file__).parents[2]


def command(*words: object, cwd: Path = ROOT, columns: int = 200) -> subprocess.CompletedProcess[str]:
    """Runs ``python -m study`` with these words: its exit code and what it prints, in a pipe, at this width."""
    arguments = [str(word) for word in words]
    out, err = io.StringIO(), io.StringIO()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    code: object = 0
    with (
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mock.patch.dict(os.environ, {"COLUMNS": str(columns), "NO_COLOR": "1"}),
        mock.patch.object(sys, "argv", [str(ROOT / "study" / "__main__.py"), *arguments]),
    ):
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code
        finally:
            for number, handler in handlers.items():  # commands change them
                signal.signal(number, handler)
    assert isinstance(code, int)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())
