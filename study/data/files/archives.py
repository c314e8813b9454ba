"""Zips and tars, read in place: indexed once, never unpacked. A tar may hold tars, as ImageNet's does.

Members that are unsafe or cannot be read are left out by name. A tar has no table of contents: every header has to be
read, and those of ImageNet's training tar are spread over 138 GB. So the index of a large tar is cached
(``study.data.files.cache``) under its path, size and modification time.
"""

import io
import os
import posixpath
import re
import stat
import tarfile
import threading
import zipfile
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import IO, Any, BinaryIO, NamedTuple

from study.data.files import cache
from study.data.files.image import Unfit
from study.data.files.source import Below, Facts, LeftOut, Source, is_hidden

MOST_BYTES = 256 * 2**20
"""The largest size of a member, unpacked. Members that declare more are left out, and no more is ever unpacked."""

COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tbz", ".tar.xz", ".txz", ".tar.zst", ".tar.lzma")
FOREIGN = (".7z", ".rar")
WITHIN = "it is an archive within an archive, of a kind or a depth that is not read"
OPENED = 8  # archives whose index stays in memory
LEAST = 10_000  # members of a tar whose index is cached; smaller tars are indexed fast enough


def archive(path: Path, place: str) -> Source:
    """Opens and indexes an archive. Raises ValueError if it cannot be read in place; the sentence says what to do."""
    facts = path.stat()
    return _indexed(path.absolute(), place, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=OPENED)
def _indexed(path: Path, place: str, size: int, changed: int) -> Source:
    """``archive``, cached until the file's size or modification time changes."""
    name = path.name.lower()
    if name.endswith(COMPRESSED):
        raise ValueError(
            f"root: {place} is a compressed tar, which cannot be read in place; decompress it once "
            f"(gunzip, bunzip2, unxz or zstd -d) and name the .tar, or unpack it and name the folder"
        )
    if name.endswith(FOREIGN):
        raise ValueError(f"root: {place} is an archive of a kind that is not read; unpack it and name the folder")
    try:
        if zipfile.is_zipfile(path) and not name.endswith(".tar"):
            return _Zip(path, place)
        if name.endswith(".tar") or tarfile.is_tarfile(path):
            return _Tar(path, place)
    except zipfile.BadZipFile as error:
        raise ValueError(f"root: {place} cannot be read as a zip ({error}); download it again") from error
    except OSError as error:
        raise ValueError(f"root: {place} cannot be read: {error.strerror or error}") from error
    what = "is not a zip, or its end is missing, as after a broken download; download it again"
    if not name.endswith(".zip"):
        what = "is a file; name a folder that holds images, or a zip or tar of them"
    raise ValueError(f"root: {place} {what}")


class _Member(NamedTuple):
    """A file in an archive.

    crc: its checksum, in a zip. start: where its content begins in a tar, in bytes. info: ``ZipInfo``, in a zip.
    """

    size: int
    crc: int | None = None
    start: int = 0
    info: Any = None


class _Archive(Source):
    """The members of an archive by their names."""

    def __init__(self, path: Path, place: str, members: dict[str, _Member], left_out: list[LeftOut]) -> None:
        super().__init__(place)
        self._changed = path.stat().st_mtime_ns
        self._members, self._unusable = members, left_out

    @cached_property
    def names(self) -> Sequence[str]:
        return sorted(self._members)

    @cached_property
    def left_out(self) -> Sequence[LeftOut]:
        return sorted(self._unusable)

    def has(self, name: str) -> bool:
        return posixpath.normpath(name) in self._members

    def facts(self, name: str) -> Facts:
        member = self._members[posixpath.normpath(name)]
        return Facts(member.size, member.crc, self._changed)

    def open(self, name: str) -> BinaryIO:
        return io.BytesIO(self._content(self._members[posixpath.normpath(name)]))

    def at(self, path: str) -> Source | None:
        below = posixpath.normpath(path) + "/"
        return Below(self, below) if any(name.startswith(below) for name in self._members) else None

    @abstractmethod
    def _content(self, member: _Member) -> bytes:
        """The bytes of a member."""


class _Zip(_Archive):
    def __init__(self, path: Path, place: str) -> None:
        self._zip = zipfile.ZipFile(path)
        self._lock = threading.Lock()  # one thread unpacks at a time; decoding takes far longer
        collected = _Collected()
        for info in self._zip.infolist():
            name = info.filename.replace("\\", "/")
            kind = info.external_attr >> 16
            if info.is_dir() or name.endswith("/"):
                continue
            why = None
            if stat.S_IFMT(kind) not in (0, stat.S_IFREG):
                why = "it is a link or a device"
            elif info.flag_bits & 1:
                why = "it is encrypted"
            elif _is_archive(name):
                why = WITHIN
            collected.add(name, _Member(info.file_size, crc=info.CRC, info=info), why)
        super().__init__(path, place, collected.members, collected.left_out)

    def _content(self, member: _Member) -> bytes:
        try:
            with self._lock, self._zip.open(member.info) as stream:
                return stream.read(MOST_BYTES)
        except NotImplementedError:
            raise Unfit("it is compressed in a way that is not read") from None
        except (zipfile.BadZipFile, EOFError) as error:
            raise Unfit(f"the archive is damaged here: {error}") from error


class _Tar(_Archive):
    def __init__(self, path: Path, place: str) -> None:
        self._path = path
        facts = path.stat()
        about: list[str | int] = [os.fsdecode(path.absolute()), facts.st_size, facts.st_mtime_ns]
        index = cache.read("tar", about)
        if index is None:
            collected = _scanned(path, place)
            numbers = {name: (member.size, member.start) for name, member in collected.members.items()}
            index = cache.Entry(numbers, collected.left_out)
            if len(numbers) >= LEAST:
                cache.write("tar", about, index)
        members = {name: _Member(size, start=start) for name, (size, start) in index.numbers.items()}
        super().__init__(path, place, members, [LeftOut(*entry) for entry in index.more])

    def _content(self, member: _Member) -> bytes:
        with self._path.open("rb") as file:
            file.seek(member.start)
            return file.read(member.size)


class _Collected:
    """The members of an archive that can be read, and those that are left out."""

    def __init__(self) -> None:
        self.members: dict[str, _Member] = {}
        self.left_out: list[LeftOut] = []

    def add(self, name: str, member: _Member, why: str | None) -> None:
        """Adds a member under a safe name, or leaves it out."""
        if not is_safe(name):
            self.left_out.append(LeftOut(name, "its name leads out of the archive"))
            return
        name = posixpath.normpath(name)
        if is_hidden(name):
            return
        if why is None and member.size > MOST_BYTES:
            why = f"it unpacks to {member.size:,} bytes, more than the {MOST_BYTES:,} that are read of one file"
        if why is not None:
            self.left_out.append(LeftOut(name, why))
            return
        if name in self.members:
            why = "the archive holds several files of this name; the last of them is read, as unpacking would leave it"
            self.left_out.append(LeftOut(name, why))
        self.members[name] = member


def _scanned(path: Path, place: str) -> _Collected:
    """The members of a tar, from their headers."""
    collected = _Collected()
    with path.open("rb") as file:
        for tar, info in _headers(file, path.stat().st_size, place):
            name, start = _plain(info.name), info.offset_data
            if info.isreg() and not info.issparse() and name.lower().endswith(".tar"):
                content = tar.extractfile(info)
                assert content is not None, "it is a regular file"
                for _, inner in _headers(content, info.size, f"{place}: {name}"):
                    _collect(collected, f"{name[:-4]}/{_plain(inner.name)}", inner, start + inner.offset_data)
            else:
                _collect(collected, name, info, start)
    return collected


def is_safe(name: str) -> bool:
    """True if unpacking a file of this name could not write outside the target folder."""
    return not (name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in name.split("/") or "\0" in name)


def _is_archive(name: str) -> bool:
    return name.lower().endswith((".tar", ".zip", *COMPRESSED, *FOREIGN))


def _plain(name: str) -> str:
    return name.removeprefix("./")


def _collect(collected: _Collected, name: str, info: tarfile.TarInfo, start: int) -> None:
    if info.isdir():
        return
    why = None
    if not info.isreg():
        why = "it is a link or a device"
    elif info.issparse():
        why = "it is a sparse file"
    elif _is_archive(name):
        why = WITHIN
    collected.add(name, _Member(info.size, start=start), why)


def _headers(file: IO[bytes], length: int, place: str) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """The members of a tar of ``length`` bytes. Raises ValueError if the tar is cut off or damaged."""
    cut_off = f"root: {place} ends in the middle of a file, as after a broken download; download it again"
    try:
        with tarfile.TarFile(fileobj=file, mode="r") as tar:
            while (info := tar.next()) is not None:
                if info.isreg() and not info.issparse() and info.offset_data + info.size > length:
                    raise ValueError(cut_off)
                yield tar, info
                vars(tar)["members"] = []  # tarfile would keep all of them in memory
            file.seek(tar.offset)
            if any(file.read(tarfile.BLOCKSIZE)):  # the headers end before the archive does
                raise ValueError(f"root: {place} is damaged at byte {tar.offset:,}; download it again")
    except tarfile.ReadError as error:
        if "unexpected end" in str(error):
            raise ValueError(cut_off) from error
        raise ValueError(f"root: {place} cannot be read as a tar ({error}); download it again") from error
