"""``Source``, a tree of named files: what folders and archives have in common.

Names are relative paths with '/'. Several threads may read at once.
"""

import posixpath
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import BinaryIO, NamedTuple

from study.data.files.image import SUFFIXES

SHOWN = 3  # names in one sentence, at most


class LeftOut(NamedTuple):
    """A file that is not used, and why."""

    name: str
    why: str


class Facts(NamedTuple):
    """A file without its content: bytes, CRC-32 if the archive lists it, and modification time in ns."""

    size: int
    crc: int | None
    changed: int


class Source(ABC):
    """Named files. ``place`` names the whole tree in messages."""

    place: str

    @cached_property
    @abstractmethod
    def listing(self) -> tuple[list[str], list[LeftOut]]:
        """``names`` and ``left_out``."""

    @property
    def names(self) -> list[str]:
        """Every regular file, sorted, without hidden files and folders."""
        return self.listing[0]

    @property
    def left_out(self) -> list[LeftOut]:
        """What cannot be read as a file, and why, sorted."""
        return self.listing[1]

    @abstractmethod
    def has(self, name: str) -> bool:
        """True if there is a file of this name."""

    @abstractmethod
    def facts(self, name: str) -> Facts:
        """Size, checksum and modification time of a file, without reading it."""

    @abstractmethod
    def open(self, name: str) -> BinaryIO:
        """Opens a file. Raises Unfit, OSError, or anything that a damaged archive makes its reader raise."""

    def at(self, path: str) -> "Source | None":
        """The folder or archive at a relative path; None if there is none."""
        return None

    @cached_property
    def images(self) -> Sequence[str]:
        """The files whose suffix is that of an image, sorted."""
        return [name for name in self.names if is_image(name)]


def is_image(name: str) -> bool:
    """True if a file name has an image's suffix."""
    return posixpath.splitext(name)[1].lower() in SUFFIXES


def stem(name: str) -> str:
    """A file name without an image's suffix; any other suffix stays."""
    return posixpath.splitext(name)[0] if is_image(name) else name


def first_of(source: Source, *paths: str) -> Source | None:
    """The first of several paths that holds images; None if none does."""
    return next((found for path in paths if (found := source.at(path)) is not None and found.images), None)


def is_archive(name: str) -> bool:
    """True if a file name is that of an archive that can be read in place."""
    return name.lower().endswith((".zip", ".tar"))


def is_hidden(name: str) -> bool:
    """True if a file or one of its folders begins with a dot, or macOS added it to a zip."""
    return name.startswith((".", "__MACOSX/")) or "/." in name


def some(names: Sequence[str]) -> str:
    """The first names of a list, for a sentence."""
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(printable(name) for name in names[:SHOWN]) + more


def printable(name: str) -> str:
    """A file name with everything that is not printable or not UTF-8 escaped."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in name)


class Together(Source):
    """Several sources as folders of one source, by folder name."""

    def __init__(self, sources: dict[str, Source]) -> None:
        self.place = " and ".join(source.place for source in sources.values())
        self._sources = sources

    @cached_property
    def listing(self) -> tuple[list[str], list[LeftOut]]:
        sources = self._sources.items()
        left_out = [LeftOut(f"{folder}/{name}", why) for folder, source in sources for name, why in source.left_out]
        return sorted(f"{folder}/{name}" for folder, source in sources for name in source.names), left_out

    def has(self, name: str) -> bool:
        folder, _, rest = name.partition("/")
        return folder in self._sources and self._sources[folder].has(rest)

    def facts(self, name: str) -> Facts:
        folder, _, rest = name.partition("/")
        return self._sources[folder].facts(rest)

    def open(self, name: str) -> BinaryIO:
        folder, _, rest = name.partition("/")
        return self._sources[folder].open(rest)
