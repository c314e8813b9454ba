"""Facts about files that are slow to compute, cached between commands: checksums, and the indexes of tars.

The files lie in the user's cache folder (``$XDG_CACHE_HOME`` where it is set; ``~/.cache`` on Linux). They may be
deleted at any time.
"""

import hashlib
import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from platformdirs import user_cache_path

DAMAGED = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile)
SEPARATOR = "\0"  # in no file name

About = Sequence[str | int]


class Entry(NamedTuple):
    """The same count of numbers for each name, and ``more``, anything fit for JSON."""

    numbers: Mapping[str, Sequence[int]]
    more: Any = None


def read(kind: str, about: About) -> Entry | None:
    """The cached facts; None if there are none, or they cannot be read."""
    with suppress(*DAMAGED), np.load(_file(kind, about), allow_pickle=False) as found:
        names = found["names"].tobytes().decode(errors="surrogateescape").split(SEPARATOR)
        numbers = dict(zip(names, found["numbers"].tolist(), strict=True))
        return Entry(numbers, json.loads(found["more"].tobytes()))
    return None


def write(kind: str, about: About, entry: Entry) -> None:
    """Caches facts. Does nothing if the disk is full or read-only."""
    file = _file(kind, about)
    aside = file.with_name(f".{file.name}.{os.getpid()}")
    names = SEPARATOR.join(entry.numbers).encode(errors="surrogateescape")
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as stream:
            np.savez(
                stream,
                names=np.frombuffer(names, np.uint8),
                numbers=np.array(list(entry.numbers.values()), np.int64),
                more=np.frombuffer(json.dumps(entry.more).encode(), np.uint8),
            )
        aside.replace(file)


def _file(kind: str, about: About) -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or user_cache_path())
    return folder / "mo-zhou-study" / f"{kind}-{hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]}.npz"
