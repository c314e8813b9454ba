"""Files that a user names: read whole if they are files and not too large. Nothing else can keep the reader waiting."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

KINDS = {
    stat.S_IFIFO: "a pipe (FIFO)",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}

MOST = 2**30
"""Bytes of an image, a list or a table: a list of ten million images has half as many."""


class Unfitting(OSError):
    """What is there is no file, or too large. An OSError whose ``strerror`` says so."""


def open_file(file: Path) -> BinaryIO:
    """Opens a file for reading, at once whatever it is. Raises OSError; Unfitting if it is a pipe or a device."""
    handle = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    kind = stat.S_IFMT(os.fstat(handle).st_mode)
    if kind != stat.S_IFREG:
        os.close(handle)
        if kind == stat.S_IFDIR:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(file))
        raise Unfitting(errno.EINVAL, f"it is {KINDS.get(kind, 'something else')}, and no file", str(file))
    return os.fdopen(handle, "rb")


def read_file(file: Path, most: int = MOST) -> bytes:
    """The bytes of a file, ``most`` at most: also of one that grows. Raises OSError, as ``open_file`` does."""
    with open_file(file) as stream:
        if os.fstat(stream.fileno()).st_size <= most and len(found := stream.read(most + 1)) <= most:
            return found
    raise Unfitting(errno.EINVAL, f"it has more than {most:,} bytes, the most that are read of such a file", str(file))
