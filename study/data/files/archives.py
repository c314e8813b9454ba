"""Zips and tars, read in place: indexed once, never unpacked. A tar may hold tars, as ImageNet's does.

Members that are unsafe or cannot be read are left out by name. A tar has no table of contents: every header has to be
read, and those of ImageNet's training tar are spread over 138 GB. So the index of a large tar is cached
(``study.data.files.cache``) under its path, size and modification time.
"""

import io
import posixpath
import re
import stat
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import IO, Any, BinaryIO, NamedTuple

from study.data.files import cache
from study.data.files.image import Unfit
from study.data.files.source import Facts, LeftOut, Listing, Source, composed, hidden, is_side_file

MOST_BYTES = 256 * 2**20  # members that declare more are left out, and no more is ever unpacked of one
COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tbz", ".tar.xz", ".txz", ".tar.zst", ".tar.lzma")
FOREIGN = (".7z", ".rar")
TWICE = "the archive holds several files of this name; the last of them is read, as unpacking would leave it"
INDEX = 2  # the version of a cached index
LEAST = 10_000  # members of a tar whose index is cached; smaller tars are indexed fast enough


def archive(path: Path, place: str) -> Source:
    """Opens and indexes an archive. Raises ValueError if it cannot be read in place; the sentence says what to do."""
    facts = path.stat()
    return _indexed(path.absolute(), place, facts.st_size, facts.st_mtime_ns)


def _is_tar(path: Path) -> bool:
    """True if a file is a tar that is not compressed. ``tarfile.is_tarfile`` takes minutes for a file of zeros."""
    try:
        tarfile.open(path, "r:").close()
    except tarfile.TarError:
        return False
    return True


@lru_cache(maxsize=8)  # archives whose index stays in memory
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
            return _zip(path, place, changed)
        if name.endswith(".tar") or _is_tar(path):
            return _tar(path, place, size, changed)
    except zipfile.BadZipFile as error:
        raise ValueError(f"root: {place} cannot be read as a zip ({error}); download it again") from error
    except OSError as error:
        raise ValueError(f"root: {place} cannot be read: {error.strerror or error}") from error
    what = "is not a zip, or its end is missing, as after a broken download; download it again"
    if not name.endswith(".zip"):
        what = "is a file; name a folder that holds images, or a zip or tar of them"
    raise ValueError(f"root: {place} {what}")


class _Member(NamedTuple):
    """A file in an archive, and where it is: the first byte in a tar, ``ZipInfo`` in a zip. Only zips list CRCs."""

    size: int
    crc: int | None
    at: Any


_Entry = tuple[str, _Member, str]  # its name, and why it cannot be read or ''


@dataclass(eq=False)
class _Archive(Source):
    """The members of an archive by their names. ``content`` reads one."""

    place: str
    changed: int
    members: dict[str, _Member]
    unusable: list[LeftOut]
    hidden: list[str]
    content: Callable[[_Member], bytes]

    @cached_property
    def listing(self) -> Listing:
        return Listing(sorted(self.members), sorted(self.unusable), sorted(self.hidden))

    def has(self, name: str) -> bool:
        return _key(name) in self.members

    def facts(self, name: str) -> Facts:
        member = self.members[_key(name)]
        return Facts(member.size, member.crc, self.changed)

    def open(self, name: str) -> BinaryIO:
        return io.BytesIO(self.content(self.members[_key(name)]))

    def at(self, path: str) -> Source | None:
        below = _key(path) + "/"
        members = {name.removeprefix(below): each for name, each in self.members.items() if name.startswith(below)}
        left_out = [LeftOut(name.removeprefix(below), why) for name, why in self.unusable if name.startswith(below)]
        concealed = [name.removeprefix(below) for name in self.hidden if name.startswith(below) and name != below]
        place = f"{self.place}/{below[:-1]}"
        there = members or left_out or concealed
        return _Archive(place, self.changed, members, left_out, concealed, self.content) if there else None


def _key(name: str) -> str:
    """The name under which a member is listed."""
    return posixpath.normpath(composed(name))


def _usable(entries: Iterable[_Entry]) -> tuple[dict[str, _Member], list[LeftOut], list[str]]:
    """The members that can be read, by normalized name, those that are left out, and what is hidden."""
    members: dict[str, _Member] = {}
    left_out: list[LeftOut] = []
    concealed: set[str] = set()
    for given, member, fault in entries:
        why, name = fault, _key(given)
        if is_side_file(name):
            continue
        if not _is_safe(given):
            why, name = "its name leads out of the archive", given
        elif within := hidden(name):
            concealed.add(within)
            continue
        elif not why and name.lower().endswith((".tar", ".zip", *COMPRESSED, *FOREIGN)):
            why = "it is an archive within an archive, of a kind or a depth that is not read"
        elif not why and member.size > MOST_BYTES:
            why = f"it unpacks to {member.size:,} bytes, more than the {MOST_BYTES:,} that are read of one file"
        if not why and name in members:
            left_out.append(LeftOut(name, TWICE))
        if why:
            left_out.append(LeftOut(name, why))
        else:
            members[name] = member
    return members, left_out, sorted(concealed)


def _is_safe(name: str) -> bool:
    """True if unpacking a file of this name could not write outside the target folder."""
    return not (name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in name.split("/") or "\0" in name)


def _zip(path: Path, place: str, changed: int) -> Source:
    file, lock = zipfile.ZipFile(path), threading.Lock()

    def entries() -> Iterator[_Entry]:
        for info in file.infolist():
            name, kind = info.filename.replace("\\", "/"), stat.S_IFMT(info.external_attr >> 16)
            if not name.endswith("/"):
                why = "it is encrypted" if info.flag_bits & 1 else ""
                if kind not in (0, stat.S_IFREG):
                    why = "it is a link or a device"
                yield name, _Member(info.file_size, info.CRC, info), why

    def content(member: _Member) -> bytes:
        try:
            with lock, file.open(member.at) as stream:  # one thread unpacks at a time; decoding takes far longer
                return stream.read(MOST_BYTES)
        except NotImplementedError:
            raise Unfit("it is compressed in a way that is not read") from None
        except (zipfile.BadZipFile, EOFError) as error:
            raise Unfit(f"the archive is damaged here: {error}") from error

    return _Archive(place, changed, *_usable(entries()), content)


def _tar(path: Path, place: str, size: int, changed: int) -> Source:
    about = "tar", str(path), size, changed, INDEX
    if cached := cache.read(*about):
        members = {name: _Member(*each) for name, each in cached[0].items()}
        left_out, concealed = [LeftOut(*each) for each in cached[1]], cached[2]
    else:
        members, left_out, concealed = _usable(_scanned(path, place))
        if len(members) >= LEAST:
            cache.write([members, left_out, concealed], *about)

    def content(member: _Member) -> bytes:
        with path.open("rb") as file:
            file.seek(member.at)
            return file.read(member.size)

    return _Archive(place, changed, members, left_out, concealed, content)


def _scanned(path: Path, place: str) -> Iterator[_Entry]:
    """The members of a tar, and of tars in it, from their headers."""

    def entry(name: str, info: tarfile.TarInfo, start: int) -> _Entry:
        why = "it is a sparse file" if info.issparse() else "" if info.isreg() else "it is a link or a device"
        return name, _Member(info.size, None, start + info.offset_data), why

    with path.open("rb") as file:
        for tar, info in _headers(file, path.stat().st_size, place):
            name = info.name.removeprefix("./")
            if info.isreg() and not info.issparse() and name.lower().endswith(".tar"):
                content = tar.extractfile(info)
                assert content is not None, "it is a regular file"
                for _, inner in _headers(content, info.size, f"{place}: {name}"):
                    yield entry(f"{name[:-4]}/{inner.name.removeprefix('./')}", inner, info.offset_data)
            else:
                yield entry(name, info, 0)


def _headers(file: IO[bytes], length: int, place: str) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """The members of a tar of ``length`` bytes, without folders. Raises ValueError if the tar is cut off or damaged."""
    cut_off = f"root: {place} ends in the middle of a file, as after a broken download; download it again"
    try:
        with tarfile.TarFile(fileobj=file, mode="r") as tar:
            while (info := tar.next()) is not None:
                if info.isreg() and not info.issparse() and info.offset_data + info.size > length:
                    raise ValueError(cut_off)
                if not info.isdir():
                    yield tar, info
                vars(tar)["members"] = []  # tarfile would keep all of them in memory
            file.seek(tar.offset)
            if any(file.read(tarfile.BLOCKSIZE)):  # the headers end before the archive does
                raise ValueError(f"root: {place} is damaged at byte {tar.offset:,}; download it again")
    except tarfile.ReadError as error:
        if "unexpected end" in str(error):
            raise ValueError(cut_off) from error
        raise ValueError(f"root: {place} cannot be read as a tar ({error}); download it again") from error
