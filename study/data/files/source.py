"""``Source``, a tree of named files: what folders and archives have in common.

Names are relative paths with '/', in Unicode's composed form (NFC): macOS writes the decomposed one (NFD), and both are
one name. Several threads may read at once.
"""

import posixpath
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import BinaryIO, NamedTuple

from study.data.files.image import SUFFIXES

SHOWN = 3  # names in one sentence, at most
LONG = 500  # characters of a name in a sentence, at most
SIDE_FILES = {
    *("__macosx", ".ds_store", "icon\r", ".localized", "@eadir", "#recycle", "thumbs.db", "ehthumbs.db", "desktop.ini"),
    *("$recycle.bin", "system volume information", "lost+found", ".directory"),
}
"""Files and folders that systems put beside the user's own, in small letters: macOS, Synology, Windows, Linux."""


class LeftOut(NamedTuple):
    """A file that is not used, and why."""

    name: str
    why: str


class Listing(NamedTuple):
    """What a source holds: the regular files; what cannot be read as a file, and why; hidden files and folders.

    All are sorted. A hidden folder stands for all that is in it, with a '/' behind its name. Side files of other
    systems are in none of the three.
    """

    names: list[str]
    left_out: list[LeftOut]
    hidden: list[str]


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
    def listing(self) -> Listing:
        """Everything that the source holds."""

    @property
    def names(self) -> list[str]:
        """Every regular file, sorted, without hidden files and folders."""
        return self.listing.names

    @property
    def left_out(self) -> list[LeftOut]:
        """What cannot be read as a file, and why, sorted."""
        return self.listing.left_out

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
    """A file name without an image's suffix, in NFC; any other suffix stays."""
    return composed(posixpath.splitext(name)[0] if is_image(name) else name)


def first_of(source: Source, *paths: str) -> Source | None:
    """The first of several paths that holds images; None if none does."""
    return next((found for path in paths if (found := source.at(path)) is not None and found.images), None)


def is_archive(name: str) -> bool:
    """True if a file name is that of an archive that can be read in place."""
    return name.lower().endswith((".zip", ".tar"))


def is_side_file(name: str) -> bool:
    """True if a system put a file or one of its folders beside the user's own, such as ``._a.jpg`` or ``Thumbs.db``."""
    small = name.lower()
    ends = small.startswith("._") or "/._" in small or small.endswith("@synoeastream")
    return ends or not SIDE_FILES.isdisjoint(small.split("/"))


def hidden(name: str) -> str:
    """The first part of a path that begins with a dot, a folder with a '/' behind it; '' if there is none."""
    if not name.startswith(".") and "/." not in name:
        return ""
    parts = name.split("/")
    first = next((place for place, part in enumerate(parts, 1) if part.startswith(".")), 0)
    return "/".join(parts[:first]) + "/" * (0 < first < len(parts))


def composed(name: str) -> str:
    """A name in NFC. A normalized path stays one."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def some(names: Sequence[str]) -> str:
    """The first names of a list, for a sentence."""
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(printable(name) for name in names[:SHOWN]) + more


def printable(name: str) -> str:
    """A file name with everything that is not printable or not UTF-8 escaped, and with its beginning if it is long."""
    short = name if len(name) <= LONG else f"{name[: LONG - 3]}..."
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in short)


class Together(Source):
    """Several sources as folders of one source, by folder name."""

    def __init__(self, sources: dict[str, Source]) -> None:
        self.place = " and ".join(source.place for source in sources.values())
        self._sources = sources

    @cached_property
    def listing(self) -> Listing:
        sources = self._sources.items()
        left_out = [LeftOut(f"{folder}/{name}", why) for folder, source in sources for name, why in source.left_out]
        concealed = [f"{folder}/{name}" for folder, source in sources for name in source.listing.hidden]
        return Listing(
            sorted(f"{folder}/{name}" for folder, source in sources for name in source.names), left_out, concealed
        )

    def has(self, name: str) -> bool:
        folder, _, rest = name.partition("/")
        return folder in self._sources and self._sources[folder].has(rest)

    def facts(self, name: str) -> Facts:
        folder, _, rest = name.partition("/")
        return self._sources[folder].facts(rest)

    def open(self, name: str) -> BinaryIO:
        folder, _, rest = name.partition("/")
        return self._sources[folder].open(rest)
