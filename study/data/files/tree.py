"""Opens the folder or archive at a path on disk."""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from study.data.files.archives import archive
from study.data.files.source import Facts, LeftOut, Source, is_archive, is_hidden


def opened(place: str) -> Source:
    """Opens a folder or archive. The path may continue inside an archive ('photos.zip/2019').

    Raises:
        ValueError: there is nothing there, or it cannot be read; the sentence begins with 'root: '.
    """
    path = Path(place).expanduser()
    if path.is_dir():
        return _Folder(place, path)
    there = next((each for each in (path, *path.parents) if each.exists()), path)
    if not there.is_file():
        raise ValueError(f"root: there is no folder {place}; name one that holds images, or a zip or tar of them")
    inner = path.relative_to(there).as_posix()
    whole = archive(there, place if there == path else str(there))
    found = whole if inner == "." else whole.at(inner)
    if found is None:
        raise ValueError(f"root: there is no folder '{inner}' in {there}")
    return found


@dataclass(eq=False)
class _Folder(Source):
    place: str
    path: Path

    def has(self, name: str) -> bool:
        return (self.path / name).is_file()

    def facts(self, name: str) -> Facts:
        entry = (self.path / name).stat()
        return Facts(entry.st_size, None, entry.st_mtime_ns)

    def open(self, name: str) -> BinaryIO:
        return (self.path / name).open("rb")

    def at(self, path: str) -> Source | None:
        there, place = self.path / path, f"{self.place}/{path}"
        if there.is_dir():
            return _Folder(place, there)
        return archive(there, place) if there.is_file() and is_archive(path) else None

    @cached_property
    def listing(self) -> tuple[list[str], list[LeftOut]]:
        names: list[str] = []
        left_out: list[LeftOut] = []
        folders = [""]
        while folders:
            folder = folders.pop()
            try:
                with os.scandir(self.path / folder) as entries:
                    for entry in entries:
                        name = folder + entry.name
                        if is_hidden(entry.name):
                            continue
                        if entry.is_dir(follow_symlinks=False):
                            folders.append(f"{name}/")
                        elif why := _why_not(entry):
                            left_out.append(LeftOut(name, why))
                        else:
                            names.append(name)
            except OSError as error:
                left_out.append(LeftOut(folder, f"the folder cannot be read: {error.strerror}"))
        return sorted(names), sorted(left_out)


def _why_not(entry: "os.DirEntry[str]") -> str | None:
    """Why an entry of a folder is not read; None if it is a regular file."""
    if entry.is_file():
        return None
    if entry.is_dir():
        return "it is a link to a folder, which is not followed"
    return "it is a link to nothing" if entry.is_symlink() else "it is no regular file"
