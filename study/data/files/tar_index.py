"""Where the members of large tars begin, kept between commands.

A tar has no list of what it holds: every header is looked at, and those of ImageNet's training tar lie all over 138 GB.
What was found is kept (``study.data.files.cache``) under the tar's place, size and time of change.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from study.data.files import cache
from study.data.files.source import LeftOut

LEAST = 10_000  # members; fewer are found as fast again


class Index(NamedTuple):
    """The members of a tar: size, and where the content begins; and what is left out."""

    members: Mapping[str, Sequence[int]]
    left_out: Sequence[LeftOut]


def read(tar: Path) -> Index | None:
    """What was kept of a tar as it is now; None where nothing is, or it cannot be read."""
    found = cache.read("tar", _about(tar))
    return Index(found.numbers, [LeftOut(*entry) for entry in found.more]) if found else None


def keep(tar: Path, index: Index) -> None:
    """Keeps what was found of a large tar, where there is room for it."""
    if len(index.members) >= LEAST:
        cache.keep("tar", _about(tar), cache.Kept(index.members, index.left_out))


def _about(tar: Path) -> list[str | int]:
    facts = tar.stat()
    return [os.fsdecode(tar.absolute()), facts.st_size, facts.st_mtime_ns]
