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


def read(*about: str | int) -> Any:
    """The cached facts, as ``write`` got them, but lists for tuples; None if there are none, or they are damaged."""
    with suppress(OSError, ValueError):
        return json.loads(_file(about).read_bytes())
    return None


def write(facts: Any, *about: str | int) -> None:
    """Caches facts that are fit for JSON. Does nothing if the disk is full or read-only."""
    file = _file(about)
    aside = file.with_name(f".{file.name}.{os.getpid()}")
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(json.dumps(facts), encoding="ascii")
        aside.replace(file)


def _file(about: tuple[str | int, ...]) -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or user_cache_path())
    return folder / "mo-zhou-study" / f"{about[0]}-{hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]}.json"
