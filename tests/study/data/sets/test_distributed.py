"""ImageNet and Places2 as they are handed out: folders, tars, tars of tars, and Places365's lists."""

from __future__ import annotations

import shutil
from itertools import product
from pathlib import Path
from typing import Any

import layouts
import pytest

from study.data import ImageNet, Places2
from study.data.packed import PARTS

FEW: dict[str, Any] = {"train": 12, "validation": 3, "test": 6}


def basenames(names: Any) -> set[str]:
    return {name.rpartition("/")[2] for name in names}


@pytest.mark.parametrize("test_from", ["train", "val"])
def test_imagenet_is_the_same_in_every_layout(test_from: Any, tmp_path: Path) -> None:
    found, digests = {}, {}
    for form in ("folder", "plain", "tar"):
        data = ImageNet(root=str(layouts.imagenet(tmp_path / form, form)), test_from=test_from, **FEW)
        packed = layouts.packed(data, tmp_path / "packed" / form)
        found[form] = {part: basenames(packed.names(part)) for part in PARTS}
        digests[form] = packed.digest
        assert {part: len(packed.names(part)) for part in PARTS} == FEW and packed.left_out == []
        start = "val/ILSVRC2012_val_" if form != "plain" else "val/n"
        assert all(name.startswith(start if test_from == "val" else "train/n") for name in packed.names("test"))
    assert found["folder"] == found["plain"] == found["tar"] and digests["folder"] == digests["tar"]
    every = [name for names in found["tar"].values() for name in names]
    assert len(set(every)) == sum(FEW.values())


def test_imagenets_training_tar_may_be_the_root(tmp_path: Path) -> None:
    root = layouts.imagenet(tmp_path, "tar")
    alone = ImageNet(root=str(root / "ILSVRC2012_img_train.tar"), **FEW).chosen().parts
    assert alone == ImageNet(root=str(root), **FEW).chosen().parts
    assert alone["train"][0].startswith("train/n0000000")
    with pytest.raises(ValueError, match=r"root: there is no set 'val' of ImageNet at .*; looked for ILSVRC/Data"):
        ImageNet(root=str(root / "ILSVRC2012_img_train.tar"), test_from="val", **FEW).identity()


@pytest.mark.parametrize("lists", [True, False])
@pytest.mark.parametrize("test_from", ["train", "val"])
def test_places2_is_the_same_in_every_layout(lists: bool, test_from: Any, tmp_path: Path) -> None:
    found = {}
    for form in ("folder", "tar"):
        data = Places2(root=str(layouts.places2(tmp_path / form, form, lists)), test_from=test_from, **FEW)
        layouts.packed(data, tmp_path / "packed" / form)
        found[form] = {file.name: file.read_bytes() for file in (tmp_path / "packed" / form).iterdir()}
    assert found["folder"] == found["tar"]
    names = found["tar"]["test.txt"].decode().split()
    assert names[0].startswith("val/Places365_val_" if test_from == "val" else "train/a/") and len(names) == 6


@pytest.mark.parametrize("form", ["data_large", "data_large_standard", "large tars"])
def test_places365s_large_images_are_chosen_like_the_small_ones(form: str, tmp_path: Path) -> None:
    small = layouts.places2(tmp_path / "small", "tar" if form == "large tars" else "folder")
    large = shutil.copytree(small, tmp_path / "large")
    if form == "large tars":
        (large / "train_256_places365standard.tar").rename(large / "train_large_places365standard.tar")
        (large / "val_256.tar").rename(large / "val_large.tar")
    else:
        (large / "data_256").rename(large / form)
        (large / "val_256").rename(large / "val_large")
    split = [Places2(root=str(root), test_from="val", **FEW).chosen() for root in (small, large)]
    assert split[0].parts == split[1].parts and split[1].notes == []


@pytest.mark.parametrize("form", ["inside", "beside", "tar", "tar beside"])
def test_places365s_easy_format(form: str, tmp_path: Path) -> None:
    names = [f"places365_standard/train/{name}/{i:08d}.jpg" for name in ("airfield", "field-wild") for i in range(12)]
    names += [f"places365_standard/val/airfield/Places365_val_{i:08d}.jpg" for i in range(8)]
    tree = {**layouts.images(names), "places365_standard/train.txt": b"train/airfield/00000001.jpg\n"}
    file = "places365standard_easyformat.tar"
    if form.startswith("tar"):
        layouts.as_tar(tmp_path / file, tree)
    else:
        layouts.as_folder(tmp_path, tree)
        (tmp_path / "places365_train_standard.txt").write_text("/a/airfield/00000001.jpg 0\n")
    below = {"inside": "places365_standard", "tar": file}.get(form, "")
    split = Places2(root=str(tmp_path / below), test_from="val", **FEW).chosen()
    assert {part: len(own) for part, own in split.parts.items()} == FEW and split.notes == []
    assert split.parts["train"][0].startswith("train/airfield/") and split.parts["test"][0].startswith(
        "val/airfield/Pl"
    )


@pytest.mark.parametrize("form", ["imagenette", "its folder", "tiny", "pieces"])
def test_subsets_of_imagenet(form: str, tmp_path: Path) -> None:
    classes = ("n01440764", "n02102040")
    places = {
        "imagenette": ("{which}/{name}", ""),
        "its folder": ("imagenette2-160/{which}/{name}", "imagenette2-160/noisy_imagenette.csv"),
        "tiny": ("{which}/{name}/images", "wnids.txt"),
        "pieces": ("{which}.X{piece}/{name}", "Labels.json"),
    }
    place, beside = places[form]
    tree = {beside: b"x"} if beside else {}
    for number, (which, name) in enumerate(product(("train", "val"), classes)):
        piece = 1 + classes.index(name) if which == "train" else ""
        folder = place.format(which=which, name=name, piece=piece)
        tree |= layouts.images([f"{folder}/{name}_{which}{i}.JPEG" for i in range(12)], 100 * number)
    split = ImageNet(root=str(layouts.as_folder(tmp_path, tree)), test_from="val", **FEW).chosen()
    assert {part: len(own) for part, own in split.parts.items()} == FEW
    assert all(name.startswith("val/") for name in split.parts["test"])
    start = "train/train.X1/n01440764/" if form == "pieces" else "train/n01440764/"
    assert split.parts["train"][0].startswith(start)


def test_a_set_that_is_not_there_says_what_is(tmp_path: Path) -> None:
    layouts.as_folder(tmp_path, {**layouts.images(["a/0.jpg", "b/1.jpg"]), "readme.txt": b"x"})
    with pytest.raises(
        ValueError, match=r"root: there is no set 'train' of Places365 at .*; it has a/, b/, readme\.txt"
    ):
        Places2(root=str(tmp_path), **FEW).identity()
    layouts.as_folder(tmp_path / "train", {"list.csv": b"x"})
    with pytest.raises(
        ValueError, match=r"/train has no images: 1 files are no images by their names and not read: list"
    ):
        ImageNet(root=str(tmp_path), **FEW).identity()


def test_the_challenge_set_has_a_list_of_its_own(tmp_path: Path) -> None:
    root = layouts.places2(tmp_path)
    (root / "train_256_places365standard.tar").rename(root / "train_256_places365challenge.tar")
    (root / "places365_train_standard.txt").write_text("/of/another/set.jpg 3\n")
    assert Places2(root=str(root), **FEW).chosen().notes == []


def test_the_papers_counts_are_the_default(tmp_path: Path) -> None:
    for data in (
        ImageNet(root=str(layouts.imagenet(tmp_path / "i"))),
        Places2(root=str(layouts.places2(tmp_path / "p"))),
    ):
        with pytest.raises(ValueError) as error:
            data.identity()
        sentence = "root: 61,000 images are asked for (10,000 for test, 50,000 for train, 1,000 for validation), and "
        assert str(error.value).startswith(sentence) and str(error.value).endswith(
            "set test, train, validation to fewer"
        )


def test_only_what_is_chosen_from_is_opened(tmp_path: Path) -> None:
    root = layouts.imagenet(tmp_path, "tar")
    (root / "ILSVRC2012_img_val.tar").unlink()
    assert len(ImageNet(root=str(root), **FEW).chosen().parts["test"]) == 6


def test_what_is_chosen_for_the_test_does_not_depend_on_the_other_counts(tmp_path: Path) -> None:
    root = str(layouts.imagenet(tmp_path))
    assert (
        ImageNet(root=root, **FEW).chosen().parts["test"]
        == (ImageNet(root=root, **{**FEW, "train": 5, "validation": 1}).chosen().parts["test"])
    )
    assert ImageNet(root=root, split_seed=1, **FEW).chosen().parts != ImageNet(root=root, **FEW).chosen().parts


def test_a_list_that_names_what_is_not_there_is_refused(tmp_path: Path) -> None:
    root = layouts.places2(tmp_path)
    file = root / "places365_train_standard.txt"
    file.write_text(file.read_text() + "/z/zoo/00000001.jpg 364\n/z/zoo/00000002.jpg 364\n")
    with pytest.raises(ValueError) as error:
        Places2(root=str(root), **FEW).identity()
    assert str(error.value) == (
        "root: places365_train_standard.txt does not match the images: 2 of 32 that it names are not at "
        f"{root}/train_256_places365standard.tar/data_256 (z/zoo/00000001.jpg, z/zoo/00000002.jpg); download both "
        "again, or remove the list to choose from what is there"
    )


def test_images_that_a_list_does_not_name_are_told(tmp_path: Path) -> None:
    root = layouts.places2(tmp_path)
    file = root / "places365_train_standard.txt"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[2:]))
    chosen = Places2(root=str(root), **FEW).chosen()
    assert chosen.notes == [
        "2 images that places365_train_standard.txt does not name are not chosen from (a/airfield/00000001.jpg, "
        "a/airfield/00000002.jpg)"
    ]


@pytest.mark.parametrize("line", ["/a/airfield/00000001.jpg", "/a/airfield/00000001.jpg airfield"])
def test_a_line_that_is_none_is_named(line: str, tmp_path: Path) -> None:
    root = layouts.places2(tmp_path)
    (root / "places365_train_standard.txt").write_text(f"/a/alley/00000001.jpg 1\n{line}\n")
    with pytest.raises(ValueError) as error:
        Places2(root=str(root), **FEW).identity()
    assert str(error.value) == (
        "root: places365_train_standard.txt:2: a line is an image and the number of its class; got '" + line + "'"
    )


def test_an_empty_place_is_refused(tmp_path: Path) -> None:
    for kind, name in ((ImageNet, "ImageNet"), (Places2, "Places365")):
        with pytest.raises(ValueError, match=rf"root: there is no set 'train' of {name} at .*; looked for"):
            kind(root=str(tmp_path), **FEW).identity()


def test_groups_stay_whole(tmp_path: Path) -> None:
    root = layouts.imagenet(tmp_path)
    rows = [f"train/n{c:08d}/n{c:08d}_{i}.JPEG,{c}-{i // 2}" for c in range(4) for i in range(8)]
    (root / "groups.csv").write_text("\n".join(["image,group", *rows]))
    chosen = ImageNet(root=str(root), **FEW).chosen()
    groups = {part: {chosen.groups[name] for name in names} for part, names in chosen.parts.items()}
    assert not groups["train"] & groups["test"] and not groups["train"] & groups["validation"]
    assert [len(chosen.parts[part]) for part in PARTS] == [12, 2, 6]
    assert chosen.notes == ["2 images for validation, not 3, so that no group is in two parts"]


def test_a_group_of_both_sets_is_refused_where_both_are_used(tmp_path: Path) -> None:
    root = layouts.imagenet(tmp_path)
    rows = [f"train/n{c:08d}/n{c:08d}_{i}.JPEG,{c}" for c in range(4) for i in range(8)]
    rows += [f"val/ILSVRC2012_val_{1 + c:08d}.JPEG,{c}" for c in range(4)]
    (root / "groups.csv").write_text("\n".join(["image,group", *rows]))
    with pytest.raises(ValueError, match=r"both belong to '\d', and are of the training and the validation"):
        ImageNet(root=str(root), test_from="val", train=16, validation=8, test=10).identity()
