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

    def __init__(self, place: str) -> None:
        self.place = place

    @cached_property
    @abstractmethod
    def names(self) -> Sequence[str]:
        """Every regular file, sorted, without hidden files and folders."""

    @cached_property
    @abstractmethod
    def left_out(self) -> Sequence[LeftOut]:
        """What cannot be read as a file, and why."""

    @abstractmethod
    def has(self, name: str) -> bool:
        """True if there is a file of this name."""

    @abstractmethod
    def facts(self, name: str) -> Facts:
        """Size, checksum and modification time of a file, without reading it."""

    @abstractmethod
    def open(self, name: str) -> BinaryIO:
        """Opens a file. Raises Unfit, OSError, or anything that a damaged archive makes its reader raise."""

    @abstractmethod
    def at(self, path: str) -> "Source | None":
        """The folder or archive at a relative path; None if there is none."""

    @cached_property
    def images(self) -> Sequence[str]:
        """The files whose suffix is that of an image, sorted."""
        return [name for name in self.names if is_image(name)]


def is_image(name: str) -> bool:
    """True if a file name has an image's suffix."""
    return posixpath.splitext(name)[1].lower() in SUFFIXES


def first_of(source: Source, *paths: str) -> Source | None:
    """The first of several paths that holds images; None if none does."""
    for path in paths:
        found = source.at(path)
        if found is not None and found.images:
            return found
    return None


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


class Below(Source):
    """One folder of a source."""

    def __init__(self, whole: Source, below: str) -> None:
        super().__init__(f"{whole.place}/{below.rstrip('/')}")
        self._whole, self._below = whole, below

    @cached_property
    def names(self) -> Sequence[str]:
        return [name.removeprefix(self._below) for name in self._whole.names if name.startswith(self._below)]

    @cached_property
    def left_out(self) -> Sequence[LeftOut]:
        return [
            LeftOut(entry.name.removeprefix(self._below), entry.why)
            for entry in self._whole.left_out
            if entry.name.startswith(self._below)
        ]

    def has(self, name: str) -> bool:
        return self._whole.has(self._below + name)

    def facts(self, name: str) -> Facts:
        return self._whole.facts(self._below + name)

    def open(self, name: str) -> BinaryIO:
        return self._whole.open(self._below + name)

    def at(self, path: str) -> Source | None:
        return self._whole.at(self._below + path)


class Together(Source):
    """Several sources as folders of one source, by folder name."""

    def __init__(self, sources: dict[str, Source]) -> None:
        super().__init__(" and ".join(source.place for source in sources.values()))
        self._sources = sources

    @cached_property
    def names(self) -> Sequence[str]:
        return sorted(f"{folder}/{name}" for folder, source in self._sources.items() for name in source.names)

    @cached_property
    def left_out(self) -> Sequence[LeftOut]:
        return [
            LeftOut(f"{folder}/{entry.name}", entry.why)
            for folder, source in self._sources.items()
            for entry in source.left_out
        ]

    def has(self, name: str) -> bool:
        folder, _, rest = name.partition("/")
        return folder in self._sources and self._sources[folder].has(rest)

    def facts(self, name: str) -> Facts:
        folder, _, rest = name.partition("/")
        return self._sources[folder].facts(rest)

    def open(self, name: str) -> BinaryIO:
        folder, _, rest = name.partition("/")
        return self._sources[folder].open(rest)

    def at(self, path: str) -> Source | None:
        folder, _, rest = path.partition("/")
        return (self._sources[folder].at(rest) if rest else self._sources[folder]) if folder in self._sources else None
