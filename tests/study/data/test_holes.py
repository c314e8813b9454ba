"""Masks from files: read, checked by name, packed, and drawn; each kind of hole as training and test draw it."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from PIL import Image

from models.masks import Files
from study.config import load
from study.data import holes
from study.errors import BadInput
from study.plan.planner import make_plan
from study.training import loop as training

SIDE = 32


def bands(count: int = 3) -> list[np.ndarray[Any, Any]]:
    """Masks with a white band of growing height."""
    drawn = [np.zeros((SIDE, SIDE), np.uint8) for _ in range(count)]
    for number, mask in enumerate(drawn):
        mask[4 : 10 + number, 3:29] = 255
    return drawn


def written(folder: Path, masks: list[np.ndarray[Any, Any]] | None = None) -> Path:
    folder.mkdir(parents=True)
    for number, mask in enumerate(bands() if masks is None else masks):
        Image.fromarray(mask).save(folder / f"m{number}.png")
    return folder


def test_a_hole_where_ssim_has_no_window_is_refused_by_name(tmp_path: Path) -> None:
    rim = np.zeros((SIDE, SIDE), np.uint8)
    rim[:4] = 255
    root = written(tmp_path / "masks", [*bands(2), rim])
    with pytest.raises(ValueError, match=r"^root: 1 of 3 masks cannot be used: m2\.png: its hole lies within 5 px of"):
        holes.identity(Files(root=str(root), hole="white"), SIDE)


def test_a_damaged_file_and_an_empty_folder_are_named(tmp_path: Path) -> None:
    root = written(tmp_path / "masks")
    (root / "m1.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"1 of 3 masks cannot be used: m1\.png: it is no image, or of a format"):
        holes.identity(Files(root=str(root), hole="white"), SIDE)
    with pytest.raises(ValueError, match="there is no folder"):
        holes.identity(Files(root=str(tmp_path / "nowhere"), hole="white"), SIDE)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no masks in"):
        holes.identity(Files(root=str(tmp_path / "empty"), hole="white"), SIDE)


def test_the_study_names_mask_files_before_anything_is_trained(tmp_path: Path) -> None:
    root = written(tmp_path / "masks", [np.zeros((SIDE, SIDE), np.uint8)])
    file = tiny.write(tmp_path, protocol={"mask": {"kind": "files", "root": str(root), "hole": "white"}})
    with pytest.raises(BadInput, match=r"protocol\.mask\.root: 1 of 1 masks cannot be used: m0\.png: it is empty"):
        make_plan(load(file))


@pytest.mark.parametrize("kind", ["random_box", "free_form", "files"])
def test_a_study_with_such_holes(kind: str, tmp_path: Path) -> None:
    """Trained and tested under them, each with its own stream; the local critic's window follows the hole."""
    torch.set_num_threads(1)
    mask: dict[str, Any] = {"kind": kind}
    if kind == "files":
        mask |= {"root": str(written(tmp_path / "masks")), "hole": "white"}
    plan, store = tiny.planned(
        tmp_path, {"proposed": tiny.PROPOSED}, defaults={"mask": mask}, protocol={"pictures": 2, "mask": mask}
    )
    tiny.made(plan, store)
    stage = tiny.stage_of(plan, "joint")
    batch = training.batches_of(stage, store, tiny.CPU)(0)[-1]
    for hole, window in zip(batch.mask[:, 0].bool().numpy(), batch.windows, strict=True):
        rows, columns = np.nonzero(hole)
        middle = (rows.min() + rows.max() + 1) / 2, (columns.min() + columns.max() + 1) / 2
        assert window.height == window.width == SIDE // 2
        for place, start, length in zip(middle, window[:2], window[2:], strict=True):
            centred = abs(start + length / 2 - place) <= 1
            assert centred or start == 0 or start + length == SIDE
    if kind == "files":
        pool = [mask > 0 for mask in bands()]
        assert all(any(np.array_equal(hole, one) for one in pool) for hole in batch.mask[:, 0].bool().numpy())
        keys = {stage.needs["masks"], tiny.stage_of(plan, "evaluate").needs["masks"]}
        assert len(keys) == 1 and keys <= set(plan.stages)
    assert store.outcome(tiny.stage_of(plan, "evaluate").key) == {"status": "finished"}


def test_other_masks_are_another_stage_and_the_same_ones_elsewhere_are_not(tmp_path: Path) -> None:
    def key(root: Path) -> str:
        mask = {"kind": "files", "root": str(root), "hole": "white"}
        plan, _ = tiny.planned(tmp_path / root.name, protocol={"pictures": 2, "mask": mask})
        return tiny.stage_of(plan, "evaluate").key

    one, same, other = (written(tmp_path / name) for name in ("one", "same", "other"))
    Image.fromarray(bands(5)[4]).save(other / "m1.png")
    assert key(one) == key(same) != key(other)


def squares(count: int, side: int = SIDE) -> list[np.ndarray[Any, Any]]:
    """Masks with a white square at a place of its own, not symmetric."""
    drawn = [np.zeros((side, side), np.uint8) for _ in range(count)]
    for number, mask in enumerate(drawn):
        mask[side // 4 + number : side // 2 + number, side // 4 : side // 2] = 255
    return drawn


def images(folder: Path, count: int = 8) -> Path:
    folder.mkdir()
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def masks(folder: Path, drawn: list[np.ndarray[Any, Any]], names: list[str] | None = None) -> Path:
    folder.mkdir()
    for number, mask in enumerate(drawn):
        Image.fromarray(mask).save(folder / (names[number] if names else f"{number}.png"))
    return folder


def handed_out(folder: Path, root: Path, **mask: Any) -> tuple[list[str], dict[str, np.ndarray[Any, Any]]]:
    """What the plan says of the masks, and the holes that are handed out by the images' names."""
    from study.external.join import hand_out

    data = {"photos": {"kind": "folder", "root": str(images(folder / "photos")), "test_share": 0.5}}
    asked = {"kind": "files", "root": str(root), "hole": "white", **mask}
    plan, store = tiny.planned(folder, {"mean": {"method": "mean"}}, data=data, protocol={"mask": asked})
    tiny.made(plan, store, [key for key, stage in plan.stages.items() if stage.kind == "data"])
    hand_out(store.out, folder / "hand", None)
    given = {file.stem: np.asarray(Image.open(file)) > 0 for file in (folder / "hand" / "mask").iterdir()}
    assert len(given) == 4
    return plan.study.notes, given


@pytest.mark.parametrize("pairing", [{}, {"pairing": "by_name"}])
def test_masks_of_the_images_names_belong_to_them(pairing: dict[str, Any], tmp_path: Path) -> None:
    drawn = squares(8)
    notes, given = handed_out(tmp_path, masks(tmp_path / "masks", drawn), **pairing)
    assert all((hole == (drawn[int(name)] > 0)).all() for name, hole in given.items())
    assert notes == [
        "protocol.mask: 8 masks; on average 6% of an image is hole",
        "protocol.mask: test images of photos: each image has the mask of its name (pairing: by_name); 4 of 8 masks "
        "belong to none of them",
    ]


def test_masks_of_another_size_are_resized_where_the_study_says_so(tmp_path: Path) -> None:
    root = masks(tmp_path / "masks", squares(8, 512))
    with pytest.raises(ValueError, match=r"it is 512 x 512 px, its image 32 x 32 px; .* 'resize' to nearest"):
        holes.identity(Files(root=str(root), hole="white"), SIDE)
    notes, given = handed_out(tmp_path, root, resize="nearest")
    for name, hole in given.items():
        wanted = np.asarray(Image.fromarray(squares(8, 512)[int(name)]).resize((SIDE, SIDE), Image.Resampling.NEAREST))
        assert (hole == (wanted > 0)).all()
    assert (
        "8 of 8 masks had to be interpreted, the first: 0.png: it is resized from 512 x 512 px to the nearest"
        in notes[1]
    )


def test_masks_without_the_names_of_images_are_drawn_and_it_is_said(tmp_path: Path) -> None:
    names = [f"{number}.png" for number in range(4)] + [f"m{number}.png" for number in range(4)]
    notes, given = handed_out(tmp_path, masks(tmp_path / "masks", squares(8), names))
    pool = [mask > 0 for mask in squares(8)]
    assert all(any((hole == one).all() for one in pool) for hole in given.values())
    assert "a mask is drawn at random for each image (pairing: drawn), as " in notes[-1]
    assert "of 4 images have no mask of their name: " in notes[-1]


def test_masks_in_turn(tmp_path: Path) -> None:
    drawn = squares(3)
    _, given = handed_out(tmp_path, masks(tmp_path / "masks", drawn), pairing="cycled")
    for place, name in enumerate(sorted(given)):
        assert (given[name] == (drawn[place % 3] > 0)).all()


def test_pairing_by_name_needs_a_mask_for_each_image(tmp_path: Path) -> None:
    root = masks(tmp_path / "masks", squares(3))
    with pytest.raises(BadInput, match=r"protocol\.mask\.pairing: . of 4 images have no mask of their name: "):
        handed_out(tmp_path, root, pairing="by_name")


def test_two_masks_of_one_name_cannot_be_paired(tmp_path: Path) -> None:
    found = holes.Found({}, ["a.png", "b.bmp", "b.png"], 0.2, [])
    options = Files(root="x", hole="white")
    assert found.paired(options, ["a.png", "b.jpg"])[1].endswith("several masks have the name of an image: b.jpg")
    assert found.paired(options, ["a.jpg"])[0] == "by_name"
    assert found.paired(options, None)[0] == "drawn"


def test_a_mask_that_belongs_to_an_image_is_flipped_with_it_in_training(tmp_path: Path) -> None:
    drawn = squares(8)
    root = str(masks(tmp_path / "masks", drawn))
    data = {"photos": {"kind": "folder", "root": str(images(tmp_path / "photos"))}}
    mask = {"kind": "files", "root": root, "hole": "white"}
    plan, store = tiny.planned(tmp_path, data=data, defaults={"mask": mask, "batch": 4})
    tiny.made(plan, store, [key for key, stage in plan.stages.items() if stage.kind == "data"])
    stage = tiny.stage_of(plan, "pretrain")
    assert stage.options["mask"] == {"kind": "files", "pairing": "by_name"}
    seen = set()
    for number in range(6):
        batch = training.batches_of(stage, store, tiny.CPU)(number)[-1]
        for image, hole in zip(batch.image, batch.mask[:, 0].bool().numpy(), strict=True):
            pixels = (image * 255).round().byte().permute(1, 2, 0).numpy()
            for name in range(8):
                whole = np.asarray(Image.open(tmp_path / "photos" / f"{name}.png"))
                for flipped, turned in ((False, whole), (True, whole[:, ::-1])):
                    if (pixels == turned).all():
                        wanted = drawn[name] > 0
                        assert (hole == (wanted[:, ::-1] if flipped else wanted)).all()
                        seen.add(flipped)
    assert seen == {False, True}


def test_masks_below_folders_and_in_archives_are_the_same_masks(tmp_path: Path) -> None:
    flat = masks(tmp_path / "masks", squares(3))
    (tmp_path / "below" / "a").mkdir(parents=True)
    shutil.copytree(flat, tmp_path / "below" / "a" / "b")
    for hidden in ("._0.png", ".DS_Store"):
        (flat / hidden).write_bytes(b"no image")
    archive = shutil.make_archive(str(tmp_path / "zipped"), "zip", tmp_path / "below")
    plain, below, zipped = (
        holes.found(Files(root=str(root), hole="white"), SIDE) for root in (flat, tmp_path / "below", archive)
    )
    assert plain.names == ["0.png", "1.png", "2.png"] and below.names == [f"a/b/{name}" for name in plain.names]
    assert below.identity == zipped.identity and plain.share == zipped.share


def test_other_files_among_masks_are_counted(tmp_path: Path) -> None:
    root = masks(tmp_path / "masks", squares(2))
    (root / "notes.txt").write_text("mine")
    (root / "gone.png").symlink_to(tmp_path / "nowhere")
    found = holes.found(Files(root=str(root), hole="white"), SIDE)
    assert found.notes == [
        "gone.png is left out: it is a link to nothing",
        "1 files are no images by their names and not read: notes.txt",
    ]


def test_an_inverted_mask_is_doubted_with_its_share_and_the_key(tmp_path: Path) -> None:
    root = masks(tmp_path / "masks", [255 - mask for mask in squares(3)])
    notes, _ = handed_out(tmp_path, root)
    assert notes[-1] == (
        "warning: protocol.mask: 94% of the image is hole, which is over half; if the masks are the other way round, "
        "set protocol.mask.hole to black"
    )


def test_keys_of_masks_that_are_drawn_are_as_they_were(tmp_path: Path) -> None:
    """Outputs of earlier versions are found again."""
    found = holes.found(Files(root=str(masks(tmp_path / "masks", squares(2))), hole="white"), SIDE)
    digest = hashlib.sha256(b"".join(f"{n}.png".encode() + (m > 0).tobytes() for n, m in enumerate(squares(2))))
    assert found.identity == {"kind": "files", "hole": "white", "content": digest.hexdigest(), "version": 1}
