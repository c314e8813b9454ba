"""Any tree of images: splits, strange files, errors as sentences, an identity that follows the content."""

from __future__ import annotations

import os
import shutil
import time
import unicodedata
import zipfile
from pathlib import Path
from typing import Any

import layouts
import numpy as np
import pytest
import tiny
from PIL import Image

import study
from study.data import Packed
from study.data.sets.folder import Folder, square


def picture(file: Path, shade: int = 100, size: tuple[int, int] = (24, 20), mode: str = "RGB") -> Path:
    """Left half darker than the right one."""
    pixels = np.full((size[1], size[0], 3), shade, np.uint8)
    pixels[:, size[0] // 2 :] += 50
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).convert(mode).save(file)
    return file


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for i in range(20):
        picture(tmp_path / "photos" / f"{'ab'[i % 2]}" / f"{i:02}.png", shade=10 * i)
    return tmp_path / "photos"


def packed(root: Path, place: Path, **options: Any) -> Packed:
    return layouts.packed(Folder(root=str(root), **options), place)


def listed(root: Path, name: str, entries: list[str]) -> str:
    (root / name).write_text("\n".join(entries) + "\n")
    return name


def test_a_seeded_split(root: Path) -> None:
    split = Folder(root=str(root)).chosen().parts
    assert {part: len(names) for part, names in split.items()} == {"train": 15, "validation": 1, "test": 4}
    assert len({name for names in split.values() for name in names}) == 20
    assert split == Folder(root=str(root)).chosen().parts
    assert split != Folder(root=str(root), split_seed=1).chosen().parts


def test_split_files(root: Path) -> None:
    train = listed(root, "train.txt", ["# a comment", *(f"{'ab'[i % 2]}/{i:02}.png" for i in range(10)), ""])
    test = listed(root, "test.txt", ["a/10.png", "b/11.png"])
    split = Folder(root=str(root), train=train, test=test).chosen().parts
    assert split["test"] == ["a/10.png", "b/11.png"]
    assert len(split["train"]) == 9 and len(split["validation"]) == 1


def test_limits_keep_a_seeded_choice(root: Path) -> None:
    split = Folder(root=str(root), train_limit=6, test_limit=2).chosen().parts
    assert {part: len(names) for part, names in split.items()} == {"train": 5, "validation": 1, "test": 2}
    whole = Folder(root=str(root)).chosen().parts
    assert set(split["test"]) < set(whole["test"])
    assert set(split["train"] + split["validation"]) < set(whole["train"] + whole["validation"])


def test_hidden_files_and_others_are_no_images(root: Path) -> None:
    picture(root / ".thumbnails" / "x.png")
    picture(root / ".hidden.png")
    (root / "notes.txt").write_text("no image")
    (root / "folder.png").mkdir()
    picture(root / "UPPER.PNG")
    names = [name for names in Folder(root=str(root)).chosen().parts.values() for name in names]
    assert len(names) == 21 and "UPPER.PNG" in names


@pytest.mark.parametrize(
    ("train", "test", "sentence"),
    [
        (["a/00.png", "gone.png"], ["b/01.png"], "train.txt: entry 2, 'gone.png', is not an image below"),
        (["../photos/a/00.png", "a/02.png"], ["b/01.png"], "entry 1, '../photos/a/00.png', is not an image below"),
        (["a/00.png", "a/00.png", "a/02.png"], ["b/01.png"], "an image is named twice"),
        (["a/00.png", "a/02.png", "b/01.png"], ["b/01.png"], "both name b/01.png (1 in all)"),
        (["a/00.png", "a/02.png"], [], "test.txt: it names no image"),
        (["a/00.png"], ["b/01.png"], "too few images for the train part; at least three are needed"),
    ],
)
def test_split_files_that_cannot_be_meant(root: Path, train: list[str], test: list[str], sentence: str) -> None:
    data = Folder(root=str(root), train=listed(root, "train.txt", train), test=listed(root, "test.txt", test))
    with pytest.raises(ValueError) as error:
        data.identity()
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    "spelling",
    [
        *(
            "{name} 3",
            "{name}\t3",
            "{name},cat",
            "{name}, 3, 1",
            "./{name}",
            "/{name} 7",
            "{root}/{name}",
            "{link}/{name} 1",
        ),
    ],
)
@pytest.mark.parametrize("backslashes", [False, True])
def test_other_spellings_of_split_files_are_read(spelling: str, backslashes: bool, root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    names = {"train.txt": ["a/00.png", "b/01.png", "a/02.png"], "test.txt": ["b/03.png"]}
    entries = {
        file: [spelling.format(name=name, root=root, link=tmp_path / "link") for name in own]
        for file, own in names.items()
    }
    for file, own in entries.items():
        listed(root, file, [entry.replace("/", "\\") for entry in own] if backslashes else own)
    found = Folder(root=str(tmp_path / "link"), train="train.txt", test="test.txt").chosen()
    assert {name.removeprefix("./") for part in found.parts.values() for name in part} == {
        *names["train.txt"],
        "b/03.png",
    }


def test_a_split_file_may_be_of_powershell_and_name_decomposed_names(root: Path) -> None:
    picture(root / unicodedata.normalize("NFD", "é.png"))
    (root / "train.txt").write_text("a\\00.png\r\na\\02.png\r\n", encoding="utf-16")
    (root / "test.txt").write_text("é.png\n", encoding="utf-8")
    split = Folder(root=str(root), train="train.txt", test="test.txt").chosen()
    assert (
        split.parts["test"] == ["é.png"] and sorted(split.parts["train"] + split.parts["validation"])[0] == "a/00.png"
    )


@pytest.mark.parametrize(
    ("entry", "hint"),
    [
        ("A/00.PNG", "; there is 'a/00.png', whose case differs"),
        ("A/00.PNG 5", "; there is 'a/00.png', whose case differs"),
        ("a/00", "; there is 'a/00.png'; write its suffix too"),
        ("photos/a/00.png", "; there is 'a/00.png'; write the names relative to the root"),
        ("D:\\sets\\photos\\a\\00.png", "; there is 'a/00.png'; write the names relative to the root"),
        ("/somewhere/else/a/00.png 3", "; there is 'a/00.png'; write the names relative to the root"),
        ("c/00.png", "; there is 'a/00.png'"),
        ("gone.png", ""),
    ],
)
def test_an_entry_that_is_no_image_says_what_is_near(entry: str, hint: str, root: Path) -> None:
    data = Folder(root=str(root), train=listed(root, "train.txt", [entry]), test=listed(root, "test.txt", ["b/01.png"]))
    with pytest.raises(ValueError) as error:
        data.identity()
    assert str(error.value).endswith(f"train.txt: entry 1, '{entry}', is not an image below {root}{hint}")


def test_no_images_says_why(root: Path) -> None:
    for file in root.rglob("*.png"):
        file.rename(file.with_suffix(".dat"))
    (root / "cats").symlink_to(root.parent)
    with pytest.raises(
        ValueError, match=r"root: no images below .*; 20 files are no images by their names and not rea"
    ):
        Folder(root=str(root)).identity()
    for file in root.rglob("*.dat"):
        file.unlink()
    (root / "dogs").symlink_to("/etc")
    with pytest.raises(ValueError) as error:
        Folder(root=str(root)).identity()
    assert str(error.value).endswith(
        "which is not followed); follow_links: true follows links to folders outside the root"
    )


def test_a_class_folder_of_links_is_the_same_set(root: Path, tmp_path: Path) -> None:
    before = Folder(root=str(root)).identity()
    farm = tmp_path / "farm"
    farm.mkdir()
    for place in ("a", "b"):
        (farm / place).symlink_to(root / place)
    assert Folder(root=str(farm), follow_links=True).identity() == before
    with pytest.raises(ValueError, match="it is a link to a folder outside the root, which is not followed, as 1 more"):
        Folder(root=str(farm)).identity()


def test_composed_and_decomposed_names_are_one_set(root: Path, tmp_path: Path) -> None:
    found = []
    for form in ("NFC", "NFD"):
        shutil.copytree(root, tmp_path / form)
        (tmp_path / form / "a").rename(tmp_path / form / unicodedata.normalize(form, "é"))
        found.append(packed(tmp_path / form, tmp_path / f"packed-{form}").names("test"))
    assert (
        found[0] == found[1]
        and len({str(Folder(root=str(tmp_path / form)).identity()) for form in ("NFC", "NFD")}) == 1
    )


def test_twelve_bits_in_sixteen_are_noted(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for i in range(6):
        (tmp_path / "set").mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 2**12, (32, 32), np.uint16)).save(tmp_path / "set" / f"{i}.png")
    (note,) = packed(tmp_path / "set", tmp_path / "packed").notes
    assert note.startswith("no pixel of any image is above 20 of 255, as with 12 bits in files of 16, or labels")
    picture(tmp_path / "set" / "bright.png")
    assert packed(tmp_path / "set", tmp_path / "packed-2").notes == []


def test_files_that_would_decode_are_noted_for_every_run(root: Path, tmp_path: Path) -> None:
    assert packed(root, tmp_path / "packed").notes == []
    (root / "notes.txt").write_text("x")
    assert packed(root, tmp_path / "packed-2").notes == []
    (root / "a" / "00.png").rename(root / "a" / "00.png_large")
    (note,) = packed(root, tmp_path / "packed-3").notes
    assert "1 of them would decode: a/00.png_large" in note


def test_folders_that_are_not_there_or_empty(tmp_path: Path, root: Path) -> None:
    (tmp_path / "empty").mkdir()
    for data, sentence in [
        (Folder(root=str(tmp_path / "none")), "there is no folder"),
        (Folder(root=str(tmp_path / "empty")), "no images below"),
        (Folder(root=str(root), train="none.txt", test="nor.txt"), r"none\.txt: the split file cannot be read"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            data.identity()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"train": "a.txt", "test": "./a.txt"}, "a split file is named for two parts"),
        ({"train": "a.txt", "test": "b.txt", "validation": "b.txt"}, "a split file is named for two parts"),
        ({"train": "a.txt", "test": "b.txt", "test_share": 0.5}, "'test_share' says nothing where split files do"),
        (
            {"train": "a.txt", "test": "b.txt", "validation": "c.txt", "validation_share": 0.5},
            "'validation_share' says nothing where split files do",
        ),
    ],
)
def test_options_that_cannot_be_meant_together(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Folder(root=".", **options)


@pytest.mark.parametrize("share", ["test_share", "validation_share"])
def test_a_share_that_leaves_nothing(root: Path, share: str) -> None:
    with pytest.raises(ValueError, match="no image is left for the train part; ask for fewer in the others"):
        Folder.model_validate({"root": str(root), share: 0.99}).identity()


def test_a_split_file_may_begin_with_a_byte_order_mark(root: Path) -> None:
    (root / "train.txt").write_text("\ufeffa/00.png\na/02.png\n", encoding="utf-8")
    (root / "test.txt").write_text("b/01.png\n", encoding="utf-8")
    assert Folder(root=str(root), train="train.txt", test="test.txt").chosen().parts["test"] == ["b/01.png"]


def test_what_does_not_decode_is_left_out_by_name(root: Path, tmp_path: Path) -> None:
    data = Folder(root=str(root), validation_share=0.15)
    split = data.chosen().parts
    bad = {split["train"][3]: b"not an image", split["train"][5]: b"", split["validation"][0]: None}
    whole = (root / split["validation"][0]).read_bytes()
    for name, content in bad.items():
        (root / name).write_bytes(whole[: len(whole) // 2] if content is None else content)
    found = packed(root, tmp_path / "packed", validation_share=0.15)
    assert {entry.name for entry in found.left_out} == set(bad)
    assert all(entry.why and str(root) not in entry.why for entry in found.left_out)
    names = [name for part in ("train", "validation", "test") for name in found.names(part)]
    assert len(names) == 17 and not set(bad) & set(names)


def test_a_name_that_is_no_text_is_left_out(root: Path, tmp_path: Path) -> None:
    (root / "a" / "00.png").rename(os.fsdecode(bytes(root / "a") + b"/\xff.png"))
    (entry,) = packed(root, tmp_path / "packed").left_out
    assert (entry.name, entry.why) == ("a/\\udcff.png", "its name is not UTF-8")


def test_a_part_without_an_image_is_an_error_that_says_why(root: Path, tmp_path: Path) -> None:
    for name in Folder(root=str(root)).chosen().parts["test"]:
        (root / name).write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"the test part is empty: 4 images could not be used, the first of them"):
        packed(root, tmp_path / "packed")


def test_the_central_square_is_taken(tmp_path: Path) -> None:
    pixels = np.zeros((40, 100, 3), np.uint8)
    pixels[:, 30:70] = 200
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    assert (square(tmp_path / "wide.png", 20)[:, 2:-2] > 190).all()
    assert square(tmp_path / "wide.png", 80).shape == (80, 80, 3)


def test_transparency_is_over_black(tmp_path: Path) -> None:
    pixels = np.full((16, 16, 4), 200, np.uint8)
    pixels[..., 3] = 255
    pixels[:, :8, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "alpha.png")
    found = square(tmp_path / "alpha.png", 16)
    assert (found[:, :4] < 5).all() and (found[:, 12:] > 195).all()
    grey = Image.fromarray(pixels).convert("LA")
    grey.save(tmp_path / "grey_alpha.png")
    assert (square(tmp_path / "grey_alpha.png", 16)[:, :4] < 5).all()
    flat = Image.fromarray(pixels[..., :3]).quantize(2)
    flat.save(tmp_path / "palette.png", transparency=flat.getpixel((0, 0)))
    assert (square(tmp_path / "palette.png", 16) < 5).all()


@pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK", "RGB"])
@pytest.mark.parametrize("kind", ["png", "jpg", "gif", "tif"])
def test_modes_are_turned_into_colour(tmp_path: Path, mode: str, kind: str) -> None:
    try:
        file = picture(tmp_path / f"a.{kind}", size=(32, 32), mode=mode)
    except (OSError, ValueError):
        pytest.skip(f"Pillow writes no {kind} of mode {mode}")
    found = square(file, 16)
    assert found.shape == (16, 16, 3)
    if mode != "1":
        assert found[:, :6].mean() == pytest.approx(100, abs=8) and found[:, 10:].mean() == pytest.approx(150, abs=8)


def test_the_identity_follows_the_content_not_the_place(root: Path, tmp_path: Path) -> None:
    before = Folder(root=str(root)).identity()
    shutil.copytree(root, tmp_path / "elsewhere", copy_function=shutil.copyfile)  # at other times
    assert Folder(root=str(tmp_path / "elsewhere")).identity() == before
    assert str(tmp_path) not in str(before)
    for kind in ("zip", "tar"):
        packed = shutil.make_archive(str(tmp_path / "packed"), kind, root)
        assert Folder(root=packed).identity() == before

    file = root / "a" / "00.png"
    content, facts = file.read_bytes(), file.stat()
    file.write_bytes(content[:-1] + b"?")
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    changed = Folder(root=str(root)).identity()
    assert changed != before
    file.write_bytes(content)
    assert Folder(root=str(root)).identity() == before
    (root / "a" / "02.png").rename(root / "a" / "03.png")
    assert Folder(root=str(root)).identity() not in (before, changed)


def test_a_moved_root_is_the_same_stage(root: Path, tmp_path: Path) -> None:
    def key(place: Path) -> str:
        data = {"photos": {"kind": "folder", "root": str(place)}}
        plan, _ = tiny.planned(tmp_path / "study", data=data)
        return tiny.run_of(plan, "proposed").stages["data"]

    first = key(root)
    root.rename(tmp_path / "moved")
    assert key(tmp_path / "moved") == first


def test_what_images_are_like_is_for_the_report_alone(root: Path, tmp_path: Path) -> None:
    plans = [
        tiny.planned(tmp_path, data={"photos": {"kind": "folder", "root": str(root), **more}})[0]
        for more in ({}, {"like": "Places2"})
    ]
    assert len({tiny.run_of(plan, "proposed").stages["data"] for plan in plans}) == 1
    found = []
    for plan in plans:
        plan.save(tmp_path / "out")
        facts = study.load(tmp_path / "out").study
        found.append((facts["scope"], facts["data"][0]["like"]))
    assert found == [("other", None), ("reduced", "Places2")]


def test_a_few_steps_on_photographs(tmp_path: Path) -> None:
    """STUDY_PHOTOS names a folder of them; train.txt and test.txt are used where they are there."""
    place = os.environ.get("STUDY_PHOTOS")
    if not place:
        pytest.skip("no photographs: name a folder of them in STUDY_PHOTOS")
    photos: dict[str, Any] = {"kind": "folder", "root": place, "train_limit": 40, "test_limit": 6}
    if all((Path(place) / file).is_file() for file in ("train.txt", "test.txt")):
        photos |= {"train": "train.txt", "test": "test.txt"}
    steps = {"pretrain": 40, "critic": 4, "joint": 6}
    plan, store = tiny.planned(
        tmp_path,
        {"proposed": {**tiny.PROPOSED, "optimizer": {"kind": "adam", "lr": 2.0e-3}}, "mean": {"method": "mean"}},
        data={"photos": photos},
        defaults={"steps": steps, "batch": 4, "log_every": 10},
    )
    tiny.recorded(plan, store)
    assert {store.outcome(key)["status"] for key in plan.stages} == {"finished"}
    data = Packed(store.folder(tiny.run_of(plan, "proposed").stages["data"]))
    assert data.left_out == [] and len(data.part("test")) == 6
    assert data.part("test").std() > 20


def groups_of(root: Path, rows: list[str], name: str = "groups.csv") -> None:
    (root / name).write_text("\n".join(["image,group", *rows]) + "\n")


def tiles(root: Path, each: int = 4) -> list[str]:
    """Each four images are tiles of one photograph."""
    return [f"{'ab'[i % 2]}/{i:02}.png,photo-{i // each}" for i in range(20)]


@pytest.mark.parametrize("seed", range(4))
def test_whole_groups_are_in_one_part(root: Path, tmp_path: Path, seed: int) -> None:
    groups_of(root, tiles(root))
    data = Folder(root=str(root), split_seed=seed, validation_share=0.25)
    groups = {part: {int(name[-6:-4]) // 4 for name in names} for part, names in data.chosen().parts.items()}
    assert {part: len(found) for part, found in groups.items()} == {"train": 3, "validation": 1, "test": 1}
    assert len(set.union(*groups.values())) == 5
    found = packed(root, tmp_path / "packed", split_seed=seed)
    names, given = found.names("test"), found.groups("test")
    assert given == [f"photo-{int(name[-6:-4]) // 4}" for name in names]


def test_an_image_without_a_group_is_one_of_its_own(root: Path, tmp_path: Path) -> None:
    groups_of(root, tiles(root)[:8])
    found = packed(root, tmp_path / "packed")
    parts = [zip(found.names(part), found.groups(part) or [], strict=True) for part in ("train", "validation", "test")]
    pairs = [pair for part in parts for pair in part]
    assert len(pairs) == 20 and sum(name == group for name, group in pairs) == 12


def test_where_no_group_fits_the_smallest_is_taken(root: Path) -> None:
    groups_of(root, [f"{'ab'[i % 2]}/{i:02}.png,{'large' if i < 12 else 'small'}" for i in range(20)])
    with pytest.raises(ValueError, match="no group is left for the validation part, as whole groups go into one part"):
        Folder(root=str(root)).chosen()  # one group for the test, the other for validation
    groups_of(root, [f"{'ab'[i % 2]}/{i:02}.png,{i // 7}" for i in range(20)])  # 7, 7 and 6 images
    assert [len(names) for names in Folder(root=str(root)).chosen().parts.values()] == [7, 7, 6]


def test_groups_are_part_of_the_identity_and_no_groups_leave_it_as_it_was(root: Path) -> None:
    before = Folder(root=str(root)).identity()
    assert "groups" not in before and "validation" not in before
    groups_of(root, tiles(root))
    grouped = Folder(root=str(root)).identity()
    (root / "groups.csv").rename(root / "tiles.csv")
    assert Folder(root=str(root), groups="tiles.csv").identity() == grouped
    assert Folder(root=str(root), groups=str(root / "tiles.csv")).identity() == grouped
    assert Folder(root=str(root)).identity() == before
    groups_of(root, tiles(root, 2), "tiles.csv")
    assert Folder(root=str(root), groups="tiles.csv").identity() not in (before, grouped)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name,group\na/00.png,1\n", ":1: the first line has to be 'image,group'"),
        ("", ":1: the first line has to be 'image,group'"),
        ("image,group\na/00.png\n", ":2: a line is an image and its group, got 'a/00.png'"),
        ("image,group\na/00.png,\n", ":2: a line is an image and its group, got 'a/00.png,'"),
        ("image,group\na/00.png,1\na/00.png,2\n", ":3: the image a/00.png is listed twice"),
        ("image,group\n\na/00.png,1\n./a/00.png,2\n", ":4: the image a/00.png is listed twice"),
        ("image,group\na/99.png,1\n", ":2: 'a/99.png' is not an image below"),
        ("image,group\nA/00.png,1\n", "there is 'a/00.png', whose case differs"),
        ("image,group\n../photos/a/00.png,1\n", ":2: '../photos/a/00.png' is not an image below"),
    ],
)
def test_a_file_of_groups_that_cannot_be_meant(root: Path, text: str, sentence: str) -> None:
    (root / "groups.csv").write_text(text)
    with pytest.raises(ValueError) as error:
        Folder(root=str(root)).identity()
    assert str(error.value).startswith(f"groups: {root}/groups.csv") and sentence in str(error.value)


def test_a_file_of_groups_that_is_not_there_or_no_text(root: Path) -> None:
    with pytest.raises(ValueError, match=r"groups: none.csv: it cannot be read"):
        Folder(root=str(root), groups="none.csv").identity()
    (root / "groups.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"groups.csv: it cannot be read"):
        Folder(root=str(root)).identity()


def test_split_files_that_part_a_group_are_refused(root: Path) -> None:
    groups_of(root, tiles(root))
    train = listed(root, "train.txt", ["a/00.png", "a/04.png", "b/05.png"])
    test = listed(root, "test.txt", ["b/01.png"])
    with pytest.raises(
        ValueError, match=r"groups: a/00.png and b/01.png both belong to 'photo-0', and the split files"
    ):
        Folder(root=str(root), train=train, test=test).identity()


def test_a_split_file_for_the_validation_images(root: Path) -> None:
    files = {"train": ["a/00.png", "b/01.png"], "validation": ["a/02.png"], "test": ["b/03.png"]}
    named = {part: listed(root, f"{part}.txt", names) for part, names in files.items()}
    assert Folder(root=str(root), **named).chosen().parts == files  # type: ignore[arg-type]
    listed(root, "validation.txt", ["b/03.png"])
    with pytest.raises(ValueError, match=r"validation.txt and test.txt both name b/03.png \(1 in all\)"):
        Folder(root=str(root), **named).chosen()  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a split file for 'validation' needs those for 'train' and 'test'"):
        Folder(root=str(root), validation="validation.txt")


def test_one_image_under_two_spellings_does_not_stand_on_both_sides(root: Path) -> None:
    train, test = listed(root, "train.txt", ["a/00.png", "a/02.png"]), listed(root, "test.txt", ["./a/00.png"])
    with pytest.raises(ValueError, match="both name"):
        Folder(root=str(root), train=train, test=test).chosen()
    listed(root, "train.txt", ["a/00.png", "a/./00.png"])
    with pytest.raises(ValueError, match="an image is named twice"):
        Folder(root=str(root), train=train, test=test).chosen()


def test_names_that_differ_only_in_case_are_both_there_and_told(root: Path, tmp_path: Path) -> None:
    picture(root / "a" / "X.png", shade=3)
    picture(root / "a" / "x.PNG", shade=5)
    found = packed(root, tmp_path / "packed")
    assert sum(len(found.names(part)) for part in ("train", "validation", "test")) == 22
    assert found.notes == [
        "names that differ only in case are images of their own here: a/X.png and a/x.PNG; a disk that does not tell "
        "case apart holds one of each"
    ]


def test_a_split_file_of_another_case_says_so(root: Path) -> None:
    train, test = listed(root, "train.txt", ["A/00.png"]), listed(root, "test.txt", ["a/02.png"])
    hint = "there is 'a/00.png', whose case differs"
    with pytest.raises(ValueError, match=rf"'A/00.png', is not an image below .*; {hint}"):
        Folder(root=str(root), train=train, test=test).chosen()


def test_a_folder_of_archives_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "photos.zip").write_bytes(b"")
    with pytest.raises(ValueError, match=r"archives are not looked into unless one is named as root \(there: photos"):
        Folder(root=str(tmp_path)).chosen()


def test_split_files_lie_beside_an_archive(tmp_path: Path, root: Path) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for file in sorted(root.rglob("*.png")):
            archive.write(file, file.relative_to(root).as_posix())
    for folder in (root, tmp_path):
        listed(folder, "train.txt", ["a/00.png", "b/01.png"])
        listed(folder, "test.txt", ["b/03.png"])
        groups_of(folder, tiles(root)[:1])
    parts = [
        Folder(root=str(place), train="train.txt", test="test.txt").chosen()
        for place in (root, tmp_path / "photos.zip")
    ]
    assert parts[0].parts == parts[1].parts and parts[0].groups == parts[1].groups == {"a/00.png": "photo-0"}


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_groups_are_read_from_the_archive_that_holds_them(root: Path, tmp_path: Path, kind: str) -> None:
    groups_of(root, tiles(root))
    there = Folder(root=str(root)).chosen()
    packed_root = shutil.make_archive(str(tmp_path / "packed"), kind, root)
    groups_of(tmp_path, tiles(root, 2))  # beside it, which is not asked where it holds one
    found = Folder(root=packed_root).chosen()
    assert found.groups == there.groups and found.parts == there.parts


def test_a_fault_of_groups_beside_an_archive_names_the_file(root: Path, tmp_path: Path) -> None:
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", root)
    groups_of(tmp_path, ["a/99.png,x"])
    with pytest.raises(ValueError) as told:
        Folder(root=archive).chosen()
    assert str(told.value).startswith(f"groups: {tmp_path}/groups.csv:2: 'a/99.png' is not an image below {archive}")


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (["notes.txt,ann"], ":2: 'notes.txt' is not an image below"),
        (["a/00.png,b/01.png"], "the group 'b/01.png' is called as an image that the file does not name"),
    ],
)
def test_groups_that_cannot_be_meant(root: Path, rows: list[str], sentence: str) -> None:
    (root / "notes.txt").write_text("")
    groups_of(root, rows)
    with pytest.raises(ValueError) as told:
        Folder(root=str(root)).chosen()
    assert sentence in str(told.value)


def test_a_long_line_of_a_list_is_refused_at_once(root: Path) -> None:
    lists = {
        "train": listed(root, "train.txt", ["a/00.{" + "a: {" * 50_000]),
        "test": listed(root, "test.txt", ["b/01.png"]),
    }
    began = time.process_time()
    with pytest.raises(ValueError, match="is not an image below") as error:
        Folder(root=str(root), **lists).identity()
    assert time.process_time() - began < 1 and len(str(error.value)) < 1_000
