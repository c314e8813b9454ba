"""CelebA as it is handed out: every layout, every split, and label files that do not match."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import layouts
import pytest
import tiny
from PIL import Image

from study.data import CelebA
from study.data.packed import PARTS
from study.errors import BadInput

FEW: dict[str, Any] = {"train": 20, "validation": 4, "test": 8}


def people(names: list[str]) -> set[int]:
    return {(int(name[:6]) - 1) // 4 for name in names}


@pytest.mark.parametrize("form", ["zip", "img", "folder", "kaggle"])
def test_every_layout_gives_the_same_images_and_split(form: str, tmp_path: Path) -> None:
    files = ("eval", "attr") if form == "kaggle" else ("identity", "eval", "attr")
    root = layouts.celeba(tmp_path / form, form, files=files)
    found = layouts.packed(CelebA(root=str(root), **FEW), tmp_path / "packed")
    other = layouts.packed(CelebA(root=str(layouts.celeba(tmp_path / "zip0")), **FEW), tmp_path / "other")
    assert found.digest == other.digest
    for part in PARTS:
        assert found.names(part) == other.names(part) and len(found.names(part)) == FEW[part]
        assert (found.groups(part) is None) == (form == "kaggle")  # which has no identities


def test_the_root_may_be_the_zip_or_the_folder_itself(tmp_path: Path) -> None:
    root = layouts.celeba(tmp_path / "zip")
    first = CelebA(root=str(root), **FEW).chosen()
    assert CelebA(root=str(root / "img_align_celeba.zip"), **FEW).chosen().parts == first.parts
    assert CelebA(root=str(root / "img_align_celeba.zip"), **FEW).chosen().groups == first.groups
    root = layouts.celeba(tmp_path / "folder", "folder")
    inside = CelebA(root=str(root / "img_align_celeba"), **FEW).chosen()
    assert inside.parts == first.parts and inside.groups == first.groups
    root = layouts.celeba(tmp_path / "img", "img")
    assert CelebA(root=str(root / "Img/img_align_celeba.zip"), **FEW).chosen().groups == first.groups


def test_kaggles_archive_is_read_as_it_is(tmp_path: Path) -> None:
    root = layouts.celeba(tmp_path / "kaggle", "kaggle", files=("eval", "attr"))
    tree = {file.relative_to(root).as_posix(): file.read_bytes() for file in root.rglob("*") if file.is_file()}
    archive = layouts.as_zip(tmp_path / "archive.zip", tree)
    found = CelebA(root=str(archive), split="official", only={"Male": True})
    assert found.chosen().parts == CelebA(root=str(root), split="official", only={"Male": True}).chosen().parts


def test_the_papers_counts_are_the_default(tmp_path: Path) -> None:
    root = layouts.celeba(tmp_path)
    with pytest.raises(ValueError) as error:
        CelebA(root=str(root)).identity()
    assert str(error.value) == (
        "root: 101,000 images are asked for (20,000 for test, 80,000 for train, 1,000 for validation), and "
        f"{root}/img_align_celeba.zip/img_align_celeba has 40 to choose from; set test, train, validation to fewer"
    )


def test_a_random_choice_is_seeded_and_does_not_depend_on_the_counts_that_follow(tmp_path: Path) -> None:
    root = str(layouts.celeba(tmp_path))
    first = CelebA(root=root, **FEW).chosen().parts
    assert CelebA(root=root, **FEW).chosen().parts == first
    assert CelebA(root=root, split_seed=1, **FEW).chosen().parts != first
    assert CelebA(root=root, **{**FEW, "train": 10}).chosen().parts["test"] == first["test"]
    assert set(CelebA(root=root, **{**FEW, "train": 10}).chosen().parts["train"]) < set(first["train"])
    every = [name for names in first.values() for name in names]
    assert len(set(every)) == 32


def test_by_identity_nobody_is_in_two_parts(tmp_path: Path) -> None:
    root = str(layouts.celeba(tmp_path))
    parts = CelebA(root=root, split="identity", **FEW).chosen().parts
    found = {part: people(list(names)) for part, names in parts.items()}
    assert {part: len(names) for part, names in parts.items()} == FEW  # four images a person: they fit
    assert not found["train"] & found["test"] and not found["train"] & found["validation"]
    assert not found["validation"] & found["test"]
    random = CelebA(root=root, **FEW).chosen().parts
    assert people(list(random["train"])) & people(list(random["test"]))


def test_by_identity_a_part_may_hold_a_few_images_fewer_and_says_so(tmp_path: Path) -> None:
    root = str(layouts.celeba(tmp_path))
    chosen = CelebA(root=root, split="identity", train=18, validation=4, test=8).chosen()
    assert len(chosen.parts["train"]) == 16
    assert chosen.notes == ["16 images for train, not 18, so that no group is in two parts"]


def test_the_official_partition(tmp_path: Path) -> None:
    root = str(layouts.celeba(tmp_path))
    names = layouts.celeba_names()
    parts = CelebA(root=root, split="official").chosen().parts
    assert parts == {"train": names[:24], "validation": names[24:32], "test": names[32:]}
    fewer = CelebA(root=root, split="official", test=3).chosen().parts
    assert fewer["train"] == parts["train"] and len(set(fewer["test"]) & set(parts["test"])) == 3
    with pytest.raises(ValueError, match="test: 9 images are asked for, the official partition has 8 of them"):
        CelebA(root=root, split="official", test=9).identity()


def test_only_images_with_an_attribute(tmp_path: Path) -> None:
    root = str(layouts.celeba(tmp_path))
    chosen = CelebA(root=root, only={"Eyeglasses": True, "Smiling": False}, train=4, validation=1, test=2).chosen()
    for names in chosen.parts.values():
        assert all((int(name[:6]) - 1) % 8 in (1, 3) for name in names)
    has = "list_attr_celeba.txt has Eyeglasses, Male"
    with pytest.raises(ValueError, match=rf"only: 'Glasses' is not an attribute; {has}"):
        CelebA(root=root, only={"Glasses": True}, **FEW).identity()
    with pytest.raises(ValueError, match=r"and .* has 20 to choose from; set test, train, validation to fewer"):
        CelebA(root=root, only={"Male": True}, **FEW).identity()


def test_the_identity_follows_labels_and_split(tmp_path: Path) -> None:
    root = layouts.celeba(tmp_path)
    options = [{}, {"split": "identity"}, {"split_seed": 1}, {"only": {"Male": True}, "train": 5, "test": 4}]
    found = [CelebA(root=str(root), **{**FEW, **more}).identity() for more in options]
    (root / "identity_CelebA.txt").unlink()
    found.append(CelebA(root=str(root), **FEW).identity())
    assert len({str(sorted(identity.items())) for identity in found}) == 5
    assert found[0]["train"] == 20 and found[0]["test"] == 8


def test_the_aligned_image_is_cut_to_its_central_square(tmp_path: Path) -> None:
    """178 x 218 px, of which 20 rows at the top and 20 at the bottom are cut off."""
    names = layouts.celeba_names(4)
    picture = Image.new("RGB", (178, 218), "red")
    picture.paste((10, 200, 30), (0, 20, 178, 198))
    for name in names:
        (tmp_path / "img_align_celeba").mkdir(exist_ok=True)
        picture.save(tmp_path / "img_align_celeba" / name, quality=95)
    found = layouts.packed(CelebA(root=str(tmp_path), train=2, validation=1, test=1), tmp_path / "packed", 178)
    assert abs(found.part("test")[0, 4:-4].astype(int) - (10, 200, 30)).max() < 5 and found.enlarged == 0


@pytest.mark.parametrize(
    ("file", "split"),
    [("list_eval_partition.txt", "official"), ("identity_CelebA.txt", "identity"), ("identity_CelebA.txt", "random")],
)
def test_a_file_that_does_not_match_is_refused_with_counts_and_names(file: str, split: Any, tmp_path: Path) -> None:
    root = layouts.celeba(tmp_path)
    lines = (root / file).read_text().splitlines()
    (root / file).write_text("\n".join([*lines[5:], *(f"{i:06d}.jpg 1" for i in range(900, 902))]))
    with pytest.raises(ValueError) as error:
        CelebA(root=str(root), split=split, **FEW).identity()
    assert str(error.value) == (
        f"root: {file} does not match the images: 2 images that it names are not there (000900.jpg, 000901.jpg); 5 "
        "images that are there it does not name (000001.jpg, 000002.jpg, 000003.jpg and 2 more); download both again, "
        "or cut the file to the existing images"
    )


@pytest.mark.parametrize(
    ("file", "line", "options", "sentence"),
    [
        ("list_eval_partition.txt", "000007.jpg 3", {"split": "official"}, "its part, 0, 1 or 2; got '000007.jpg 3'"),
        ("list_eval_partition.txt", "000006.jpg 1", {"split": "official"}, "the image is listed twice"),
        ("identity_CelebA.txt", "000007.jpg", {}, "a line is an image and the number of a person; got '000007.jpg'"),
        ("identity_CelebA.txt", "000007.jpg x", {}, "the number of a person; got '000007.jpg x'"),
        ("list_attr_celeba.txt", "000005.jpg 1 0 1", {"only": {"Male": True}}, "1 or -1 for each of 3 attributes"),
        ("list_attr_celeba.txt", "000005.jpg 1 1", {"only": {"Male": True}}, "and each image stands once; got '000005"),
    ],
)
def test_a_line_that_cannot_be_meant_is_named(
    file: str, line: str, options: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    root = layouts.celeba(tmp_path)
    lines = (root / file).read_text().splitlines()
    lines[6] = line
    (root / file).write_text("\n".join(lines))
    with pytest.raises(ValueError) as error:
        CelebA(root=str(root), **FEW, **options).identity()
    assert str(error.value).startswith(f"root: {file}:7: ") and sentence in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    root = str(layouts.celeba(tmp_path, files=()))
    assert not CelebA(root=root, **FEW).chosen().groups
    for options, sentence in [
        ({"split": "identity"}, r"split: 'identity' needs identity_CelebA.txt, which is not at"),
        ({"split": "official"}, r"split: 'official' needs list_eval_partition.txt \(or .csv\), which is not at"),
        ({"only": {"Male": True}}, r"only: it needs list_attr_celeba.txt \(or .csv\), which is not at"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            CelebA(root=root, **FEW, **options).identity()  # type: ignore[arg-type]


def test_a_place_without_images_is_refused_with_where_was_looked(tmp_path: Path) -> None:
    layouts.celeba(tmp_path)
    (tmp_path / "img_align_celeba.zip").unlink()
    with pytest.raises(ValueError, match=r"root: there are no images of CelebA at .*looked for img_align_celeba"):
        CelebA(root=str(tmp_path), **FEW).identity()


def test_other_images_are_not_taken_for_celebas(tmp_path: Path) -> None:
    layouts.as_folder(tmp_path / "photos", layouts.images([f"crop{i}.jpg" for i in range(9)]))
    with pytest.raises(
        ValueError, match=r"holds images that are not CelebA's, .*crop0.jpg, .*; for other images there"
    ):
        CelebA(root=str(tmp_path / "photos"), **FEW).identity()


def test_the_study_says_it_with_file_and_line(tmp_path: Path) -> None:
    root = layouts.celeba(tmp_path / "set", files=("eval",))
    data = {"kind": "celeba", "root": str(root), "split": "identity"}
    with pytest.raises(BadInput, match=r"tiny.yaml:\d+:\d+: data\.celeba\.split: 'identity' needs identity_CelebA"):
        tiny.planned(tmp_path, data={"celeba": data})
    shutil.rmtree(root)
    with pytest.raises(BadInput, match=r"tiny.yaml:\d+:\d+: data\.celeba\.root: there is no folder"):
        tiny.planned(tmp_path, data={"celeba": data})
