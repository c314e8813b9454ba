"""Folders, archives and lists: in a data set and in `score`."""

from __future__ import annotations

import stat
import tarfile
import unicodedata
import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import layouts
from cases import Case, packed_set, told

from study.data import Folder
from study.external.score import Request, score

TITLE = "Folders, archives and lists"
TEXT = """
A data set of the kind `folder` holds ten plain images and what the row names; `data pack`, `data show` and `run` say
this of it. In `score` the folder is the truth and the output at once, with one plain image.
"""
PLAIN = layouts.image(0, (32, 32), "PNG")
Makes = Callable[[Path], None]


def beside(tree: Mapping[str, bytes | None]) -> Makes:
    return lambda root: _written(root, tree)


def _written(root: Path, tree: Mapping[str, bytes | None]) -> None:
    root.mkdir(parents=True, exist_ok=True)
    layouts.as_folder(root, {name: PLAIN if content is None else content for name, content in tree.items()})


def linked(name: str, to: str, tree: Mapping[str, bytes | None] | None = None) -> Makes:
    def make(root: Path) -> None:
        _written(root, tree or {})
        (root / name).symlink_to(to)

    return make


FOLDERS: dict[str, Makes] = {
    "side files: `._1.png`, `.DS_Store`, `Thumbs.db`, `@eaDir/`, `__MACOSX/`": beside(
        dict.fromkeys(("._1.png", ".DS_Store", "Thumbs.db", "@eaDir/1.png/S.png", "__MACOSX/1.png", "a/._2.png"), None)
    ),
    "hidden files and folders": beside({".a.png": None, ".thumbnails/1.png": None}),
    "files that are no images by their names": beside({"a.txt": b"x", "b.csv": b"x", "c.psd": b"8BPS"}),
    "an image under another suffix, and one without": beside({"a.png_large": None, "b": None}),
    "a link to a folder below the root": linked("cats", ".store/cats", {".store/cats/a.png": None}),
    "a link to a folder that is read anyway": linked("more", "plain", {"plain/a.png": None}),
    "a link to a folder outside the root": linked("cats", "/etc"),
    "a link to the root: a loop": linked("loop", "."),
    "a link to itself": linked("itself.png", "itself.png"),
    "a link to nothing": linked("gone.png", "nowhere.png"),
    "a name in NFD, as macOS writes it": beside({unicodedata.normalize("NFD", "é.png"): None}),
    "one name in NFC and in NFD": beside({unicodedata.normalize(form, "é.png"): PLAIN for form in ("NFC", "NFD")}),
    "names that differ in case alone": beside({"a/a.png": None, "a/A.png": layouts.image(1, (32, 32), "PNG")}),
}


def in_a_data_set(make: Makes, folder: Path) -> str:
    make(folder / "set")
    return packed_set({}, folder)


def in_score(make: Makes, folder: Path) -> str:
    for side in ("truth", "output"):
        layouts.as_folder(folder / side, {"1.png": PLAIN})
        make(folder / side)

    def scored() -> list[str]:
        found = score(Request(folder / "output", folder / "truth")).found
        return [note for note in found.notes if note.startswith(str(folder / "truth"))]

    return told(folder, scored)


def zipped(file: Path) -> None:
    encrypted = bytearray(layouts.as_zip(file, {"a.png": PLAIN}).read_bytes())
    encrypted[encrypted.index(b"PK\1\2") + 8] |= 1
    file.write_bytes(encrypted)


def tarred(file: Path) -> None:
    with tarfile.open(file, "w") as archive:
        for name, kind in (("/a.png", tarfile.REGTYPE), ("../b.png", tarfile.REGTYPE), ("c.png", tarfile.SYMTYPE)):
            info = tarfile.TarInfo(name)
            info.type = kind
            archive.addfile(info)


def of_windows(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("C:/photos/a.png", PLAIN)
        link = zipfile.ZipInfo("b.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, b"a.png")


ALONE: dict[str, tuple[str, Makes]] = {
    "an empty folder": ("set", lambda place: place.mkdir()),
    "a folder of links that lead out": (
        "set",
        lambda place: linked("cats", "/etc")(layouts.as_folder(place, {"x": b""})),
    ),
    "a folder without an image by its name": ("set", beside({"a.dat": None, "b.txt": b"x", "c.zip": b"x"})),
    "an encrypted zip": ("set.zip", zipped),
    "a tar of absolute names, names that lead out, and links": ("set.tar", tarred),
    "a zip of drive letters and links": ("set.zip", of_windows),
    "a compressed tar": ("set.tar.gz", lambda place: place.write_bytes(b"x") and None),
    "a folder in other case": ("Set", lambda place: (place.parent / "set").mkdir()),
}


def alone_in_a_data_set(name: str, make: Makes, folder: Path) -> str:
    folder.mkdir(exist_ok=True)
    make(folder / name)
    return told(folder, lambda: [str(len(Folder(root=str(folder / name)).chosen().parts))])


def alone_in_score(name: str, make: Makes, folder: Path) -> str:
    make(folder / name)
    layouts.as_folder(folder / "truth", {"a.png": PLAIN})
    return told(folder, lambda: score(Request(folder / name, folder / "truth")).found.notes)


LISTS = {
    "a label behind the name": "{name} 3",
    "a label behind a comma": "{name},cat",
    "backslashes": "plain\\{base}",
    "an absolute path below the root": "{root}/{name}",
    "a slash before the name, as in Places365's lists": "/{name} 3",
    "an absolute path of another machine": "C:\\sets\\{name}",
    "another case": "Plain/{base}",
    "without the suffix": "plain/{stem}",
    "what is not there": "plain/gone.jpg",
}


def of_a_list(entry: str, folder: Path) -> str:
    root = layouts.as_folder(folder / "set", layouts.images([f"plain/{i}.jpg" for i in range(6)]))
    for file, numbers in (("train.txt", range(4)), ("test.txt", range(4, 6))):
        lines = [entry.format(name=f"plain/{i}.jpg", base=f"{i}.jpg", stem=i, root=root) for i in numbers]
        (root / file).write_text("\n".join(lines), encoding="utf-8")
    data = Folder(root=str(root), train="train.txt", test="test.txt")
    return told(folder, lambda: data.chosen().notes)


CASES = [
    *(
        Case(what, {"a data set": partial(in_a_data_set, make), "`score`": partial(in_score, make)})
        for what, make in FOLDERS.items()
    ),
    *(
        Case(what, {"a data set": partial(alone_in_a_data_set, *each), "`score`": partial(alone_in_score, *each)})
        for what, each in ALONE.items()
    ),
    *(Case(f"a split list: {what}", {"a data set": partial(of_a_list, entry)}) for what, entry in LISTS.items()),
]
