"""Sizes and checksums, which identify images to the byte. A zip lists them; other files are read once.

Checksums are cached (``study.data.files.cache``) by name under the root's path. A file with the same name, size and
modification time (its tar's, if it is in one) is taken to be the same.
"""

import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from study.data.files import cache
from study.data.files.source import Source
from study.errors import StudyError

LEAST = 1_000  # files that are worth a cache entry; fewer are read again fast enough
CHUNK = 2**20  # bytes read at a time
UNREADABLE = -1


def checksums(root: str, source: Source, names: Sequence[str], *, threads: int) -> list[tuple[int, int]]:
    """Size and CRC-32 of each file; ``UNREADABLE`` as the CRC of a file without permission to read it.

    Raises StudyError if the disk fails.
    """
    facts = {name: source.facts(name) for name in names}
    about = "crc", str(Path(root).expanduser().absolute())
    known: dict[str, Sequence[int]] = cache.read(*about) or {}
    fresh = {name for name, one in facts.items() if tuple(known.get(name, ())[:2]) == (one.size, one.changed)}
    unread = [name for name, one in facts.items() if one.crc is None and name not in fresh]
    with ThreadPoolExecutor(threads, thread_name_prefix="checksums") as pool:
        read = dict(zip(unread, pool.map(lambda name: _read(source, name), unread), strict=True))
    known |= {name: (facts[name].size, facts[name].changed, crc) for name, crc in read.items()}
    if len(unread) >= LEAST:
        cache.write({name: row for name, row in known.items() if row[-1] != UNREADABLE}, *about)
    return [(one.size, known[name][-1] if one.crc is None else one.crc) for name, one in facts.items()]


def _read(source: Source, name: str) -> int:
    checksum = 0
    try:
        with source.open(name) as file:
            while chunk := file.read(CHUNK):
                checksum = zlib.crc32(chunk, checksum)
    except PermissionError:
        return UNREADABLE
    except OSError as error:
        raise StudyError(f"{source.place}/{name}: {error.strerror or error}; run the same command again") from error
    return checksum
