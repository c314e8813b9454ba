"""Every file below a root is an image, left out with a reason, hidden, or no image by its name."""

from __future__ import annotations

from pathlib import Path

import layouts
import pytest

from study.data.files import census as counting
from study.data.files.census import census, why_none
from study.data.files.tree import opened

MADE = {"folder": layouts.as_folder, "zip": layouts.as_zip, "tar": layouts.as_tar}


@pytest.mark.parametrize("kind", MADE)
def test_every_file_is_counted_once(kind: str, tmp_path: Path) -> None:
    strange = {"a.jpg_large": layouts.image(1), "b": layouts.image(2), "c.txt": b"x", "d/E.TXT": b"y", "f.psd": b"8BPS"}
    tree = {**layouts.images(["0.jpg", "d/1.JFIF"], 10), **strange, ".g.jpg": b"x", ".h/1.jpg": b"x", "Thumbs.db": b"x"}
    found = census(opened(str(MADE[kind](tmp_path / f"set.{kind}", tree))))
    assert found.as_json() == {
        "images": 2,
        "others": {".txt": 2, "": 1, ".jpg_large": 1, ".psd": 1},
        "would_decode": ["a.jpg_large", "b"],
        "hidden": [".g.jpg", ".h/"],
    }
    assert list(found.sentences()) == [
        "5 files are no images by their names and not read: a.jpg_large, b, c.txt and 2 more (by suffix: 2 .txt, "
        "1 without, 1 .jpg_large, 1 .psd); 2 of them would decode: a.jpg_large, b; to use them, give them an image's "
        "suffix, such as .jpg",
        "2 hidden files or folders are not read: .g.jpg, .h/",
    ]


def test_of_many_files_some_are_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "LOOKED_AT", 4)
    tree = {f"{i:02}.dat": layouts.image(i) for i in range(20)} | {"a.txt": b"x"}
    found = census(opened(str(layouts.as_folder(tmp_path, tree))))
    assert found.would_decode == ["00.dat", "06.dat", "13.dat", "19.dat"]
    assert "4 of them would decode (of 4 tried of each suffix)" in next(found.sentences())


def test_there_are_none_says_why(tmp_path: Path) -> None:
    tree = {"a.txt": b"x", "b.zip": b"x"} | {f"../up{i}.jpg": b"x" for i in range(3)} | {"C:/down.jpg": b"x"}
    source = opened(str(layouts.as_tar(tmp_path / "set.tar", tree)))
    assert why_none(source) == (
        "1 files are no images by their names and not read: a.txt; 5 left out: ../up0.jpg (its name leads out of "
        "the archive, as 3 more), b.zip (it is an archive within an archive, of a kind or a depth that is not read)"
    )
    assert why_none(opened(str(layouts.as_folder(tmp_path / "empty", {"Thumbs.db": b"x"})))) == ""
