"""Folders, zips and tars are read alike, in place; what is unsafe or damaged in them is refused or left out by name."""

from __future__ import annotations

import gzip
import io
import os
import random
import stat
import tarfile
import threading
import unicodedata
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import layouts
import pytest

from study.data import Folder
from study.data.files import archives, checksums
from study.data.files.source import Source
from study.data.files.tree import opened
from study.errors import StudyError

TREE = layouts.images(["a/00.jpg", "a/01.jpg", "b/02.jpg", "03.jpg"]) | {"notes.txt": b"text", ".hidden/04.jpg": b"x"}
NAMES = ["03.jpg", "a/00.jpg", "a/01.jpg", "b/02.jpg"]


def form(kind: str, place: Path) -> Source:
    made = {"folder": layouts.as_folder, "zip": layouts.as_zip, "tar": layouts.as_tar}[kind]
    return opened(str(made(place / f"set.{kind}", TREE)))


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_they_are_read_alike(kind: str, tmp_path: Path) -> None:
    source = form(kind, tmp_path)
    assert list(source.images) == NAMES and list(source.names) == [*NAMES, "notes.txt"] and not source.left_out
    for name in NAMES:
        assert source.has(name) and source.facts(name).size == len(TREE[name])
        with source.open(name) as file:
            assert file.read() == TREE[name]
    assert not source.has("none.jpg")
    inner = source.at("a")
    assert inner is not None and list(inner.images) == ["00.jpg", "01.jpg"] and source.at("none") is None
    assert inner.has("00.jpg") and inner.facts("00.jpg") == source.facts("a/00.jpg")


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_root_may_go_on_inside_an_archive(kind: str, tmp_path: Path) -> None:
    source = form(kind, tmp_path)
    assert list(opened(f"{source.place}/a").images) == ["00.jpg", "01.jpg"]
    with pytest.raises(ValueError, match=rf"root: there is no folder 'c' in .*set\.{kind}"):
        opened(f"{source.place}/c")


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_many_threads_read_at_once(kind: str, tmp_path: Path) -> None:
    source = form(kind, tmp_path)
    asked = random.Random(0).choices(NAMES, k=400)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda name: source.open(name).read(), asked)) == [TREE[name] for name in asked]
    assert threading.active_count() < 8


def test_the_packed_bytes_and_the_split_are_the_same(tmp_path: Path) -> None:
    tree = layouts.images([f"{'ab'[i % 2]}/{i:02}.jpg" for i in range(20)])
    made = {"folder": layouts.as_folder, "zip": layouts.as_zip, "tar": layouts.as_tar}
    found = {}
    for kind, form in made.items():
        data = Folder(root=str(form(tmp_path / f"set.{kind}", tree)))
        layouts.packed(data, tmp_path / "packed" / kind)
        found[kind] = [file.read_bytes() for file in sorted((tmp_path / "packed" / kind).iterdir())]
        assert data.identity()["content"]
    assert found["folder"] == found["zip"] == found["tar"]


def test_the_identity_of_an_archive_follows_its_content_not_its_place(tmp_path: Path) -> None:
    tree = layouts.images([f"{i:02}.jpg" for i in range(20)])
    first = Folder(root=str(layouts.as_zip(tmp_path / "a.zip", tree))).identity()
    assert Folder(root=str(layouts.as_zip(tmp_path / "b" / "c.zip", tree))).identity() == first
    changed = tree | {"03.jpg": layouts.image(99)}
    assert Folder(root=str(layouts.as_zip(tmp_path / "a.zip", changed))).identity() != first


def zipped(file: Path, entries: list[tuple[zipfile.ZipInfo, bytes]]) -> Source:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for info, content in entries:
            archive.writestr(info, content)
    return opened(str(file))


def member(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, link
    return info


@pytest.mark.parametrize("name", ["../up.jpg", "/etc/up.jpg", "a/../../up.jpg", "C:/up.jpg", "..\\up.jpg"])
def test_a_name_that_leads_out_is_left_out(name: str, tmp_path: Path) -> None:
    content = layouts.image(0)
    sources = [zipped(tmp_path / "a.zip", [(zipfile.ZipInfo(name), content), (zipfile.ZipInfo("in.jpg"), content)])]
    if "\\" not in name:
        sources.append(opened(str(layouts.as_tar(tmp_path / "a.tar", {name: content, "in.jpg": content}))))
    for source in sources:
        assert list(source.images) == ["in.jpg"]
        assert [entry.why for entry in source.left_out] == ["its name leads out of the archive"]
    assert not (tmp_path.parent / "up.jpg").exists()


def test_links_and_devices_are_left_out(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link.jpg")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    found = zipped(tmp_path / "a.zip", [(link, b"/etc/passwd")])
    assert not found.images and found.left_out[0].why == "it is a link or a device"
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(member("soft.jpg", tarfile.SYMTYPE, link="/etc/passwd"))
        archive.addfile(member("hard.jpg", tarfile.LNKTYPE, link="other.jpg"))
        archive.addfile(member("device.jpg", tarfile.CHRTYPE))
        archive.addfile(member("folder.jpg", tarfile.DIRTYPE))
    source = opened(str(tmp_path / "a.tar"))
    assert [entry.name for entry in source.left_out] == ["device.jpg", "hard.jpg", "soft.jpg"] and not source.names


def test_a_bomb_is_left_out_by_what_it_declares_and_never_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MOST_BYTES", 10_000)
    source = zipped(
        tmp_path / "a.zip", [(zipfile.ZipInfo("bomb.png"), b"\0" * 10_001), (zipfile.ZipInfo("b.png"), b"x")]
    )
    assert list(source.images) == ["b.png"]
    assert source.left_out[0].why == "it unpacks to 10,001 bytes, more than the 10,000 that are read of one file"
    source = opened(str(layouts.as_tar(tmp_path / "a.tar", {"bomb.png": b"\0" * 10_001})))
    assert "it unpacks to 10,001 bytes" in source.left_out[0].why


def test_a_bomb_that_declares_too_little_is_not_unpacked_beyond_that(tmp_path: Path) -> None:
    content = layouts.as_zip(tmp_path / "a.zip", {"bomb.png": b"\0" * 1_000_000, "in.jpg": b"x"}).read_bytes()
    size = (1_000_000).to_bytes(4, "little")
    assert content.count(size) == 2
    (tmp_path / "a.zip").write_bytes(content.replace(size, (100).to_bytes(4, "little")))
    source = opened(str(tmp_path / "a.zip"))
    from study.data.sets.images import picture

    found = picture(source, "bomb.png", 16)
    assert "damaged" in found.why  # type: ignore[union-attr]  # 100 bytes of it, whose checksum is another


def test_a_name_that_stands_twice_is_told_and_the_last_one_read(tmp_path: Path) -> None:
    entries = [(member("a.jpg", size=5), b"first"), (member("a.jpg", size=6), b"second")]
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for info, content in entries:
            archive.addfile(info, io.BytesIO(content))
    with pytest.warns(UserWarning, match="Duplicate"):
        both = zipped(tmp_path / "a.zip", [(zipfile.ZipInfo("a.jpg"), content) for _, content in entries])
    for source in (opened(str(tmp_path / "a.tar")), both):
        assert source.open("a.jpg").read() == b"second"
        assert [entry.name for entry in source.left_out] == ["a.jpg"]
        assert source.left_out[0].why.startswith("the archive holds several files of this name; the last of them")


def test_an_encrypted_member_is_left_out(tmp_path: Path) -> None:
    content = bytearray(layouts.as_zip(tmp_path / "a.zip", {"a.jpg": b"x"}).read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(content)
    assert opened(str(tmp_path / "a.zip")).left_out[0].why == "it is encrypted"


def test_other_archives_within_a_tar_are_told(tmp_path: Path) -> None:
    inner = layouts.tar_bytes({"deep.tar": layouts.tar_bytes({"x.jpg": b"x"}), "in.jpg": b"x"})
    source = opened(str(layouts.as_tar(tmp_path / "a.tar", {"n1.tar": inner, "n2.tar.gz": b"x", "n3.zip": b"x"})))
    assert list(source.names) == ["n1/in.jpg"]
    assert [entry.name for entry in source.left_out] == ["n1/deep.tar", "n2.tar.gz", "n3.zip"]


def test_archives_within_a_zip_are_told(tmp_path: Path) -> None:
    members = {
        "a.jpg": b"x",
        "b.zip": b"x",
        "c.tar": b"x",
        "d.tar.gz": b"x",
        "__MACOSX/._a.jpg": b"x",
        "__MACOSX/a.jpg": b"",
    }
    source = opened(str(layouts.as_zip(tmp_path / "a.zip", members)))
    assert list(source.names) == ["a.jpg"]
    assert [entry.name for entry in source.left_out] == ["b.zip", "c.tar", "d.tar.gz"]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        (
            "a.tar.gz",
            gzip.compress(layouts.tar_bytes(TREE)),
            "is a compressed tar, which cannot be read in place; decompress",
        ),
        ("a.7z", b"7z", "is an archive of a kind that is not read; unpack it and name the folder"),
        (
            "a.zip",
            b"PK\3\4 no end",
            "is not a zip, or its end is missing, as after a broken download; download it again",
        ),
        (
            "a.tar",
            layouts.tar_bytes(TREE)[:900],
            "ends in the middle of a file, as after a broken download; download it again",
        ),
        ("a.tar", b"no tar" * 200, "cannot be read as a tar"),
        ("a.jpg", layouts.image(0), "is a file; name a folder that holds images, or a zip or tar of them"),
    ],
)
def test_what_is_no_archive_is_refused_with_what_to_do(
    name: str, content: bytes, sentence: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError) as error:
        opened(str(tmp_path / name))
    assert str(error.value).startswith(f"root: {tmp_path / name}") and sentence in str(error.value)


@pytest.mark.parametrize("nested", [False, True])
def test_a_tar_whose_listing_breaks_off_is_refused_not_shortened(nested: bool, tmp_path: Path) -> None:
    content = bytearray(layouts.tar_bytes({f"{i}.jpg": layouts.image(i) for i in range(6)}))
    with tarfile.open(fileobj=io.BytesIO(bytes(content))) as archive:
        third = archive.getmembers()[3].offset
    content[third : third + 8] = b"\xff" * 8
    tree = {"n1.tar": bytes(content)} if nested else {}
    (tmp_path / "a.tar").write_bytes(layouts.tar_bytes(tree) if nested else bytes(content))
    with pytest.raises(ValueError, match=rf"root: .*is damaged at byte {third:,}; download it again"):
        opened(str(tmp_path / "a.tar"))


def test_what_a_folder_holds_beside_files_is_told(tmp_path: Path) -> None:
    root = layouts.as_folder(tmp_path / "set", layouts.images(["a.jpg"]))
    layouts.as_folder(tmp_path / "other", layouts.images(["b.jpg"]))
    (root / "linked").symlink_to(tmp_path / "other")
    (root / "b.jpg").symlink_to(tmp_path / "other" / "b.jpg")
    (root / "gone.jpg").symlink_to(tmp_path / "nowhere")
    os.mkfifo(root / "pipe.jpg")
    source = opened(str(root))
    assert list(source.images) == ["a.jpg", "b.jpg"]  # a link to a file is that file
    assert {entry.name: entry.why for entry in source.left_out} == {
        "linked": "it is a link to a folder outside the root, which is not followed",
        "gone.jpg": "it is a link to nothing",
        "pipe.jpg": "it is no regular file",
    }


SIDE_FILES = ("._a.jpg", ".DS_Store", "Thumbs.db", "b/thumbs.db", "b/@eaDir/02.jpg/SYNO_THUMB.jpg", "__MACOSX/b/02.jpg")
SIDE_FILES += ("b/__MACOSX/03.jpg", "desktop.ini", "b/._02.jpg", "$RECYCLE.BIN/04.jpg", "#recycle/05.jpg")


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_side_files_of_other_systems_are_passed_over_and_hidden_ones_told(kind: str, tmp_path: Path) -> None:
    hidden = (".c.jpg", "b/.d/05.jpg", "b/.d/06.jpg", ".e/f/g.txt")
    tree = layouts.images(["a.jpg", "b/02.jpg"]) | dict.fromkeys((*SIDE_FILES, *hidden), b"x")
    made = {"folder": layouts.as_folder, "zip": layouts.as_zip, "tar": layouts.as_tar}[kind]
    source = opened(str(made(tmp_path / f"set.{kind}", tree)))
    assert source.listing == (["a.jpg", "b/02.jpg"], [], [".c.jpg", ".e/", "b/.d/"])
    assert source.at("b").listing == (["02.jpg"], [], [".d/"])  # type: ignore[union-attr]


def test_a_folder_that_cannot_be_read_costs_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = layouts.as_folder(tmp_path, layouts.images(["a.jpg", "b/c.jpg"]))
    listed = os.scandir

    def refused(place: Path) -> Any:
        if str(place).rstrip("/").endswith("b"):
            raise PermissionError(13, "Permission denied")
        return listed(place)

    monkeypatch.setattr(os, "scandir", refused)
    assert opened(str(root)).listing == (["a.jpg"], [("b/", "the folder cannot be read: Permission denied")], [])


def test_a_folder_of_an_archive_without_a_readable_file_is_there(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(member("a/soft.jpg", tarfile.SYMTYPE, link="/etc/passwd"))
    assert opened(f"{tmp_path}/a.tar/a").left_out == [("soft.jpg", "it is a link or a device")]


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """Class folders in every place, and links to them."""
    tree = layouts.images(["set/plain/0.jpg", "set/.store/cats/1.jpg", "other/dogs/2.jpg", "other/dogs/deep/3.jpg"])
    root = layouts.as_folder(tmp_path, tree) / "set"
    for name, to in {
        "again": "plain",
        "cats": ".store/cats",
        "dogs": "../other/dogs",
        "dogs_too": "../other/dogs/deep",
        "itself": "itself",
        "loop": ".",
        "plain/up": "..",
        "gone": "nowhere",
    }.items():
        (root / name).symlink_to(to)
    return root


LINKS = {
    "again": "it is a link to a folder whose files are read anyway",
    "itself": "it is a link to itself",
    "loop": "it is a link to a folder that holds it; following it would never end",
    "plain/up": "it is a link to a folder that holds it; following it would never end",
    "gone": "it is a link to nothing",
}


def test_links_to_folders_are_followed_below_the_root(linked: Path) -> None:
    source = opened(str(linked))
    assert source.names == ["cats/1.jpg", "plain/0.jpg"]
    outside = "it is a link to a folder outside the root, which is not followed"
    assert dict(source.left_out) == LINKS | {"dogs": outside, "dogs_too": outside}
    inner = opened(str(linked.parent)).at("set")
    assert inner is not None and inner.names[-2:] == ["dogs/deep/3.jpg", "plain/0.jpg"]  # below the root that is named


def test_links_that_lead_out_are_followed_where_that_is_said_and_no_image_is_read_twice(linked: Path) -> None:
    source = opened(str(linked), follow=True)
    assert source.names == ["cats/1.jpg", "dogs/2.jpg", "dogs/deep/3.jpg", "plain/0.jpg"]
    assert dict(source.left_out) == LINKS | {"dogs_too": "it is a link to a folder whose files are read anyway"}
    with source.open("dogs/deep/3.jpg") as file:
        assert file.read() == layouts.image(3)


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_composed_and_decomposed_names_are_one(kind: str, tmp_path: Path) -> None:
    nfc, nfd = (unicodedata.normalize(form, "Zo\u00eb/caf\u00e9.jpg") for form in ("NFC", "NFD"))
    made = {"folder": layouts.as_folder, "zip": layouts.as_zip, "tar": layouts.as_tar}[kind]
    tree = {"a.jpg": layouts.image(0), nfd: layouts.image(1)}
    source = opened(str(made(tmp_path / f"set.{kind}", tree)))
    assert source.names == ["Zo\u00eb/caf\u00e9.jpg", "a.jpg"] or source.names == ["a.jpg", nfc]
    for name in (nfc, nfd):
        assert source.has(name) and source.facts(name).size == len(tree[nfd])
        with source.open(name) as file:
            assert file.read() == tree[nfd]
    both = opened(str(made(tmp_path / f"both.{kind}", tree | {nfc: layouts.image(2)})))
    assert both.names == source.names and len(both.left_out) == 1
    with both.open(nfc) as file:
        assert file.read() == layouts.image(2)


def test_a_root_is_found_under_either_form_and_its_case_is_hinted_at(tmp_path: Path) -> None:
    layouts.as_folder(tmp_path / unicodedata.normalize("NFD", "Caf\u00e9"), layouts.images(["a.jpg"]))
    assert opened(str(tmp_path / "Caf\u00e9")).names == ["a.jpg"]
    with pytest.raises(ValueError, match=r"there is no folder .*caf\u00e9; there is .*, whose case differs; name one"):
        opened(str(tmp_path / "caf\u00e9"))


def test_the_index_of_a_large_tar_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(archives, "LEAST", 2)
    tree = {
        f"n{c}.tar": layouts.tar_bytes(layouts.images([f"n{c}_{i}.jpg" for i in range(3)], 9 * c)) for c in range(3)
    }
    file = layouts.as_tar(tmp_path / "a.tar", {**tree, "n9.zip": b"x", "\udcff.jpg": b"y"})

    def read() -> tuple[dict[str, bytes], list[tuple[str, str]]]:
        archives._indexed.cache_clear()
        source = opened(str(file))
        return {name: source.open(name).read() for name in source.names}, list(map(tuple, source.left_out))

    first = read()
    (kept,) = (tmp_path / "cache" / "mo-zhou-study").iterdir()
    with monkeypatch.context() as patched:
        patched.setattr(archives, "_scanned", lambda *_: pytest.fail("it was looked through again"))
        assert read() == first
    kept.write_bytes(b"damaged")
    assert read() == first
    os.utime(file, ns=(1, 1))
    read()
    assert len(list((tmp_path / "cache" / "mo-zhou-study").iterdir())) == 2  # another tar, for all that is known


def test_checksums_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(checksums, "LEAST", 2)
    images = layouts.images([f"a/{i}.jpg" for i in range(6)])
    layouts.as_folder(tmp_path / "root", images)
    file = layouts.as_tar(tmp_path / "a.tar", images)
    expected = [(len(content), zlib.crc32(content)) for content in images.values()]
    for root in (tmp_path / "root", file):
        read: list[str] = []

        def counted(source: Source, name: str, read: list[str] = read, crc: Any = checksums._read) -> int:
            read.append(name)
            return int(crc(source, name))

        def found(root: Path = root, threads: int = 3) -> list[tuple[int, int]]:
            archives._indexed.cache_clear()
            return checksums.checksums(str(root), opened(str(root)), list(images), threads=threads)

        with monkeypatch.context() as patched:
            patched.setattr(checksums, "_read", counted)
            assert found() == expected and len(read) == 6
            assert found() == expected and len(read) == 6
            os.utime(root if root == file else root / "a" / "3.jpg", ns=(1, 1))
            assert found() == expected and read[6:] == (list(images) if root == file else ["a/3.jpg"])
    for kept in (tmp_path / "cache" / "mo-zhou-study").glob("crc-*"):
        kept.write_bytes(b"damaged")
    assert found() == expected


def test_a_zip_lists_its_checksums(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = layouts.images(["a/0.jpg", "a/1.jpg"])
    file = layouts.as_zip(tmp_path / "a.zip", images)
    monkeypatch.setattr(checksums, "_read", lambda *_: pytest.fail("it was read"))
    found = checksums.checksums(str(file), opened(str(file)), list(images), threads=1)
    assert found == [(len(content), zlib.crc32(content)) for content in images.values()]


def test_a_disk_that_fails_is_no_other_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layouts.as_folder(tmp_path / "root", layouts.images(["a.jpg"]))
    source = opened(str(tmp_path / "root"))

    def failing(error: OSError) -> Any:
        def open_(name: str) -> Any:
            raise error

        return open_

    monkeypatch.setattr(source, "open", failing(OSError(5, "Input/output error")))
    with pytest.raises(StudyError, match=r"root/a\.jpg: Input/output error; run the same command again"):
        checksums.checksums("root", source, ["a.jpg"], threads=1)
    monkeypatch.setattr(source, "open", failing(PermissionError(13, "Permission denied")))
    ((_, crc),) = checksums.checksums("root", source, ["a.jpg"], threads=1)
    assert crc == checksums.UNREADABLE
