"""The git revision of a folder."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

WAIT_S = 10.0  # a large working tree on a slow disk


def revision(folder: Path) -> dict[str, Any] | None:
    """The ``revision`` of a folder's repository, and whether tracked files are ``changed``; None if it has none."""
    folder = folder.resolve()
    if not any((parent / ".git").exists() for parent in (folder, *folder.parents)):
        return None
    try:
        found = _git(folder, "rev-parse", "HEAD")
        return {"revision": found, "changed": bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):  # no git, no commit yet, or another user's repository
        return None


def _git(folder: Path, *command: str) -> str:
    given = ["git", "-C", str(folder), "-c", "core.fsmonitor=false", *command]  # a monitor would be a program to start
    quiet = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    done = subprocess.run(given, capture_output=True, text=True, check=True, timeout=WAIT_S, env=quiet)
    return done.stdout.strip()
