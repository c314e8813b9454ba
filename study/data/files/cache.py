"""Facts about files that are slow to compute, cached between commands: checksums, and the indexes of tars.

The files lie in the user's cache folder (``$XDG_CACHE_HOME`` where it is set; ``~/.cache`` on Linux). They may be
deleted at any time.
"""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from study.store import read_json, write_atomically


def read(*about: str | int) -> Any:
    """The cached facts, as ``write`` got them, with tuples as lists; None if there are none, or they are damaged."""
    return read_json(_file(about))


def write(facts: Any, *about: str | int) -> None:
    """Caches facts that are fit for JSON. Does nothing if the disk is full or read-only."""
    with suppress(OSError):
        write_atomically(_file(about), json.dumps(facts))


def _file(about: tuple[str | int, ...]) -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or user_cache_path())
    return folder / "mo-zhou-study" / f"{about[0]}-{hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]}.json"
