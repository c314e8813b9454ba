"""Where the members of large tars begin, kept between commands.

A tar has no list of what it holds: every header is looked at, and those of ImageNet's training tar lie all over 138 GB.
What was found is kept in the user's folder for such things (XDG_CACHE_HOME, or .cache in the home folder), under the
tar's place, size and time of change. It may be deleted at any time.
"""

import hashlib
import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from study.data.source import LeftOut

LEAST = 10_000  # members; fewer are found as fast again
DAMAGED = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile)
SEPARATOR = "\0"  # which no name holds


class Index(NamedTuple):
    """The members of a tar: size, time of change, and where the content begins; and what is left out."""

    members: Mapping[str, tuple[int, int, int]]
    left_out: Sequence[LeftOut]


def read(tar: Path) -> Index | None:
    """What was kept of a tar as it is now; None where nothing is, or it cannot be read."""
    with suppress(*DAMAGED), np.load(_file(tar), allow_pickle=False) as kept:
        names = kept["names"].tobytes().decode(errors="surrogateescape").split(SEPARATOR)
        facts = kept["facts"].tolist()
        left_out = [LeftOut(*entry) for entry in json.loads(kept["left_out"].tobytes())]
        return Index(
            {name: (size, time, start) for name, (size, time, start) in zip(names, facts, strict=True)}, left_out
        )
    return None


def keep(tar: Path, index: Index) -> None:
    """Keeps what was found of a large tar, where there is room for it."""
    if len(index.members) < LEAST:
        return
    file = _file(tar)
    aside = file.with_name(f".{file.name}.{os.getpid()}")
    names = SEPARATOR.join(index.members).encode(errors="surrogateescape")
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as stream:
            np.savez(
                stream,
                names=np.frombuffer(names, np.uint8),
                facts=np.array(list(index.members.values()), np.int64),
                left_out=np.frombuffer(json.dumps(index.left_out).encode(), np.uint8),
            )
        aside.replace(file)


def _file(tar: Path) -> Path:
    facts = tar.stat()
    named = json.dumps([os.fsdecode(tar.absolute()), facts.st_size, facts.st_mtime_ns])
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return folder / "mo-zhou-study" / f"tar-{hashlib.sha256(named.encode()).hexdigest()[:16]}.npz"
