"""Opens the folder or archive at a path on disk."""

import errno
import os
import posixpath
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from study.data.files.archives import archive
from study.data.files.source import Facts, LeftOut, Listing, Source, composed, hidden, is_archive, is_side_file
from study.files import open_file

OUTSIDE = "it is a link to a folder outside the root, which is not followed"
LOOP = "it is a link to a folder that holds it; following it would never end"
ANYWAY = "it is a link to a folder whose files are read anyway"
SPELLED = "another file has the same name in other code points (NFC and NFD), and is read"


def opened(place: str, *, follow: bool = False) -> Source:
    """Opens a folder or archive. The path may continue inside an archive ('photos.zip/2019').

    Args:
        follow: follow links to folders wherever they lead. Otherwise only those to folders below ``place``.

    Raises:
        ValueError: there is nothing there, or it cannot be read; the sentence begins with 'root: '.
    """
    path = Path(place).expanduser()
    if not path.exists():
        path = _alike(path, composed) or path
    if path.is_dir():
        return _Folder(place, path, path, follow)
    there = next((each for each in (path, *path.parents) if each.exists()), path)
    if not there.is_file():
        near = _alike(path, lambda name: composed(name).casefold())
        hint = f"; there is {near}, whose case differs" if near else ""
        raise ValueError(f"root: there is no folder {place}{hint}; name one that holds images, or a zip or tar of them")
    inner = path.relative_to(there).as_posix()
    whole = archive(there, place if there == path else str(there))
    found = whole if inner == "." else whole.at(inner)
    if found is None:
        raise ValueError(f"root: there is no folder '{inner}' in {there}")
    return found


def _alike(path: Path, same: Callable[[str], str]) -> Path | None:
    """The existing path whose parts are the same by ``same``; None if there is none."""
    found = Path(path.anchor)
    for part in path.relative_to(path.anchor).parts:
        if not (found / part).exists():
            try:
                part = next(each.name for each in sorted(found.iterdir()) if same(each.name) == same(part))
            except (OSError, StopIteration):
                return None
        found /= part
    return found


@dataclass(eq=False)
class _Folder(Source):
    """The files below ``path``. Links to folders are followed if these are below ``root``, or all of them."""

    place: str
    path: Path
    root: Path
    follow: bool

    def has(self, name: str) -> bool:
        try:
            return self._path(name).is_file()
        except (OSError, ValueError):  # a name that no file can have: too long, or with a zero byte
            return False

    def facts(self, name: str) -> Facts:
        entry = self._path(name).stat()
        return Facts(entry.st_size, None, entry.st_mtime_ns)

    def open(self, name: str) -> BinaryIO:
        return open_file(self._path(name))

    def at(self, path: str) -> Source | None:
        there, place = self.path / path, f"{self.place}/{path}"
        if there.is_dir():
            return _Folder(place, there, self.root, self.follow)
        return archive(there, place) if there.is_file() and is_archive(path) else None

    def _path(self, name: str) -> Path:
        """The path of a file, whose name on disk may not be composed."""
        if name.isascii() or (self.path / name).is_file():
            return self.path / name
        return self.path / self._read[1].get(composed(posixpath.normpath(name)), name)

    @property
    def listing(self) -> Listing:
        return self._read[0]

    @cached_property
    def _read(self) -> tuple[Listing, dict[str, str]]:
        """What the folder holds, and the names on disk of files whose name there is not composed."""
        walk = _Walk(self.path, self.root, self.follow)
        walk.go()
        names = [name for name in walk.names if composed(name) == name]
        if len(names) == len(walk.names):
            return Listing(sorted(names), sorted(walk.left_out), sorted(walk.hidden)), {}
        there, on_disk = set(names), {}
        for name in sorted(walk.names):
            if (spelled := composed(name)) == name:
                continue
            if spelled in there or spelled in on_disk:
                walk.left_out.append(LeftOut(name, SPELLED))
            else:
                on_disk[spelled] = name
        return Listing(sorted([*names, *on_disk]), sorted(walk.left_out), sorted(walk.hidden)), on_disk


class _Walk:
    """A walk through a folder. Each folder is entered once, by its plain path if there is one, so that links add no
    image twice and loops end."""

    def __init__(self, path: Path, root: Path, follow: bool) -> None:
        self.names: list[str] = []
        self.left_out: list[LeftOut] = []
        self.hidden: list[str] = []
        self._path, self._root, self._follow = path, root.resolve(), follow
        self._folders = [""]
        self._links: list[str] = []
        self._entered: set[tuple[int, int]] = set()

    def go(self) -> None:
        while self._folders or self._links:
            if self._folders:
                self._enter(self._folders.pop())
            else:
                self._links.sort()
                self._follow_link(self._links.pop(0))

    def _enter(self, folder: str) -> None:
        try:
            facts = (self._path / folder).stat()
            if (facts.st_dev, facts.st_ino) in self._entered:
                self.left_out.append(LeftOut(folder, "its files are read anyway, by another path"))
                return
            self._entered.add((facts.st_dev, facts.st_ino))
            with os.scandir(self._path / folder) as entries:
                for entry in entries:
                    self._note(folder + entry.name, entry)
        except OSError as error:
            self.left_out.append(LeftOut(folder or "./", f"the folder cannot be read: {error.strerror}"))

    def _note(self, name: str, entry: "os.DirEntry[str]") -> None:
        if is_side_file(entry.name):
            return
        try:
            if hidden(entry.name):
                self.hidden.append(f"{name}/" if entry.is_dir() else name)
            elif entry.is_dir(follow_symlinks=False):
                self._folders.append(f"{name}/")
            elif entry.is_file():
                self.names.append(name)
            elif entry.is_dir():
                self._links.append(name)
            else:
                why = "it is a link to nothing" if entry.is_symlink() else "it is no regular file"
                self.left_out.append(LeftOut(name, why))
        except OSError as error:
            itself = error.errno == errno.ELOOP
            why = "it is a link to itself" if itself else f"it cannot be looked at: {error.strerror}"
            self.left_out.append(LeftOut(name, why))

    def _follow_link(self, name: str) -> None:
        path = self._path / name
        try:
            real, facts = path.resolve(), path.stat()
        except (OSError, RuntimeError) as error:
            self.left_out.append(LeftOut(name, f"it cannot be looked at: {error}"))
            return
        if path.parent.resolve().is_relative_to(real):
            self.left_out.append(LeftOut(name, LOOP))
        elif not (self._follow or real.is_relative_to(self._root)):
            self.left_out.append(LeftOut(name, OUTSIDE))
        elif (facts.st_dev, facts.st_ino) in self._entered:
            self.left_out.append(LeftOut(name, ANYWAY))
        else:
            self._folders.append(f"{name}/")
