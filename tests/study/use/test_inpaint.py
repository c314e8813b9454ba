"""A picture goes in with a hole and comes out without it; what was known of it is as it was, to the bit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import layouts
import numpy as np
import pytest
import tiny
from commands import command
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageOps
from safetensors.torch import load_file, save_file

from study.errors import BadInput
from study.store import Damaged, RunState, read_facts
from study.use import inpaint
from study.use.finished import Finished, Repairer

Pixels = NDArray[np.uint8]


def pixels(height: int, width: int, channels: int = 3, seed: int = 0) -> Pixels:
    """Smooth colours with some noise, (height, width, channels), or (height, width) of one channel."""
    rng = np.random.default_rng(seed)
    ramp = np.add.outer(np.linspace(20, 120, height), np.linspace(0, 90, width))[..., None]
    found = (ramp + rng.integers(0, 40, (height, width, channels))).astype(np.uint8)
    return found if channels > 1 else found[..., 0]


def saved(file: Path, values: Pixels, **more: Any) -> Path:
    Image.fromarray(values).save(file, **more)
    return file


def masked(file: Path, height: int, width: int, *boxes: tuple[int, int, int, int]) -> Path:
    """A mask, white in boxes of left, top, width, height."""
    drawn = Image.new("L", (width, height))
    for left, top, wide, high in boxes:
        ImageDraw.Draw(drawn).rectangle((left, top, left + wide - 1, top + high - 1), fill=255)
    drawn.save(file)
    return file


def repair(
    out: Path, named: str, images: Path | Sequence[Path], to: Path, mask: Path | None = None, **more: Any
) -> list[str]:
    """Does it as the command does; what it said."""
    said: list[str] = []
    where = inpaint.HoleSource(mask, *(more.pop(name, None) for name in ("box", "hole", "resize")))
    files = [images] if isinstance(images, Path) else images
    inpaint.repair_files(Finished(out, named), files, to, where, device="cpu", print_line=said.append, **more)
    return said


def read(file: Path) -> Pixels:
    with Image.open(file) as opened:
        return np.array(opened)


def refusal(out: Path, *arguments: Any, **more: Any) -> str:
    with pytest.raises(BadInput) as caught:
        repair(out, *arguments, **more)
    return str(caught.value)


@pytest.mark.parametrize(
    ("named", "run"),
    [
        ("proposed", "proposed/faces/0"),
        ("proposed/1", "proposed/faces/1"),
        ("proposed/another", "proposed/another/0"),
        ("proposed/another/1", "proposed/another/1"),
        ("again/1", "proposed/faces/1"),
        ("mean", "mean/faces/0"),
    ],
)
def test_a_run_is_found_by_whatever_of_its_name_is_said(out: Path, named: str, run: str) -> None:
    assert Finished(out, named).run.name == run


def test_an_unknown_run_is_refused_with_those_that_are_there(out: Path) -> None:
    with pytest.raises(BadInput) as caught:
        Finished(out, "propsed")
    text = str(caught.value)
    assert text.startswith(
        f"propsed: no run of {out} has this name; completed are runs of proposed, again, ce, mean_fill"
    )
    assert text.endswith("name one as in proposed/faces/0 (did you mean 'proposed'?)")
    with pytest.raises(BadInput, match="proposed/faces/7: no run of"):
        Finished(out, "proposed/faces/7")


def test_a_run_that_is_not_completed_is_said(out: Path) -> None:
    state = RunState.of(out, "giica/faces/0")
    before = state.read()
    try:
        state.write(**{**before, "status": "diverged", "why": "global.loss at step 2"})
        assert Finished(out, "giica").run.name == "giica/faces/1"
        with pytest.raises(
            BadInput, match=r"none of its runs is completed: giica/faces/0 is diverged \(global.loss at"
        ):
            Finished(out, "giica/faces/0")
        state.file.unlink()
        with pytest.raises(BadInput, match="giica/faces/0 is missing"):
            Finished(out, "giica/faces/0")
    finally:
        state.write(**before)


def test_no_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"there is no study here; name its folder"):
        Finished(tmp_path, "proposed")


def test_damaged_weights_are_not_used(tmp_path: Path) -> None:
    plan, store = tiny.planned(tmp_path)
    tiny.recorded(plan, store)
    found = Finished(store.out, "proposed")
    file = store.folder(found.evaluation.needs["model"]) / "generator.safetensors"
    save_file({name: value + 1 for name, value in load_file(file).items()}, file)
    with pytest.raises(Damaged, match=r"generator\.safetensors"):
        Repairer(Finished(store.out, "proposed"), tiny.CPU)


@pytest.mark.parametrize(("variant", "role"), [("proposed", "joint"), ("mean_fill", "joint"), ("mean_fill", "data")])
def test_a_missing_stage_is_told_with_the_command_that_makes_it_again(
    out: Path, tmp_path: Path, variant: str, role: str
) -> None:
    shutil.copytree(out, tmp_path / "out")
    found = Finished(tmp_path / "out", variant)
    key = found.run.stages[role]
    shutil.rmtree(found.store.folder(key))
    for words in (
        ("inpaint", variant, tmp_path / "i.png", "-o", tmp_path / "o.png"),
        ("export", variant, tmp_path / "e"),
    ):
        done = command(*words, "--out", tmp_path / "out")
        assert done.returncode == 1 and "Traceback" not in done.stderr
        assert f"{found.run.name}: its stage {key} is missing; run the study again to remake it: " in done.stderr


@pytest.mark.parametrize("variant", ["proposed", "ce", "mean_fill", "noise_fill", "giica", "mean", "biharmonic"])
@pytest.mark.parametrize("size", [(37, 91), (140, 100)])
def test_known_pixels_are_kept_to_the_bit(out: Path, tmp_path: Path, variant: str, size: tuple[int, int]) -> None:
    height, width = size
    truth = pixels(height, width)
    image = saved(tmp_path / "image.png", truth)
    holes = [(10, 8, 12, 14), (0, 30, 7, 5), (width - 5, height - 6, 5, 6), (40, 0, 3, height)]
    mask = masked(tmp_path / "mask.png", height, width, *holes)
    for name, more in (("a.png", {}), ("b.png", {}), ("plain.png", {"blended": False})):
        repair(out, variant, image, tmp_path / name, mask, **more)
    found, hole = read(tmp_path / "a.png"), read(mask) > 0
    assert found.shape == truth.shape and (found[~hole] == truth[~hole]).all()
    assert (found[hole] != truth[hole]).any()
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    plain = read(tmp_path / "plain.png")
    assert (plain[~hole] == truth[~hole]).all() and (plain != found).any()


def test_a_large_image_is_repaired_at_its_own_size(out: Path, tmp_path: Path) -> None:
    truth = pixels(512, 512)
    said = repair(out, "proposed", saved(tmp_path / "i.png", truth), tmp_path / "o.png", box="300,100,120,90")
    found = read(tmp_path / "o.png")
    hole = np.zeros((512, 512), bool)
    hole[100:190, 300:420] = True
    assert (found[~hole] == truth[~hole]).all() and (found[hole] != truth[hole]).any()
    assert said[-1].startswith(f"{tmp_path / 'i.png'}: 1 window of 360 px; {tmp_path / 'o.png'}, in ")


def test_the_hole_of_training_is_repaired_as_it_was_evaluated(out: Path, tmp_path: Path) -> None:
    found = Finished(out, "proposed")
    folder = found.store.verified(found.run.stages["evaluate"])
    shown = load_file(folder / "pictures.safetensors")
    image = saved(tmp_path / "i.png", shown["truth"][0].numpy())
    repair(out, "proposed", image, tmp_path / "o.png", box="8,8,16,16")
    assert np.abs(read(tmp_path / "o.png").astype(int) - shown["blended"][0].numpy()).max() <= 1
    repair(out, "proposed", image, tmp_path / "o.png", box="8,8,16,16", blended=False)
    assert np.abs(read(tmp_path / "o.png").astype(int) - shown["composite"][0].numpy()).max() <= 1


def test_grey_stays_grey(out: Path, tmp_path: Path) -> None:
    truth = pixels(40, 60, 1)
    repair(out, "proposed", saved(tmp_path / "i.png", truth), tmp_path / "o.png", box="20,10,12,12")
    with Image.open(tmp_path / "o.png") as opened:
        assert opened.mode == "L"
    found = read(tmp_path / "o.png")
    found[10:22, 20:32] = truth[10:22, 20:32]
    assert (found == truth).all()


@pytest.mark.parametrize("channels", [2, 4])
def test_what_is_transparent_is_repaired_and_comes_out_opaque(out: Path, tmp_path: Path, channels: int) -> None:
    truth = pixels(50, 70, channels)
    truth[..., -1] = 255
    truth[10:30, 20:40, -1] = 0
    image = saved(tmp_path / "i.png", truth)
    assert len(repair(out, "proposed", image, tmp_path / "o.png")) == 1
    found = read(tmp_path / "o.png")
    hole = truth[..., -1] == 0
    assert (found[~hole] == truth[~hole]).all() and (found[..., -1] == 255).all()
    truth[30:33, 20:40, -1] = 120
    said = repair(out, "proposed", saved(image, truth), tmp_path / "o.png")
    assert said[0].endswith("i.png: what is half transparent is repaired too")
    assert (read(tmp_path / "o.png")[..., -1] == 255).all()


def test_transparency_outside_a_mask_is_kept(out: Path, tmp_path: Path) -> None:
    truth = pixels(50, 70, 4)
    image, mask = saved(tmp_path / "i.png", truth), masked(tmp_path / "m.png", 50, 70, (5, 5, 20, 20))
    repair(out, "proposed", image, tmp_path / "o.webp", mask)
    found, hole = read(tmp_path / "o.webp"), read(mask) > 0
    assert (found[~hole] == truth[~hole]).all() and (found[hole, 3] == 255).all()
    text = refusal(out, "proposed", image, tmp_path / "o.jpg", mask)
    assert text == f"-o {tmp_path / 'o.jpg'}: JPEG has no transparency, and {image} has; choose .png"


def test_a_palette_with_transparency_is_read(out: Path, tmp_path: Path) -> None:
    drawn = Image.fromarray(pixels(40, 40)).quantize(16)
    drawn.save(tmp_path / "i.gif")
    colours = np.array(drawn.convert("RGB"))
    repair(out, "proposed", tmp_path / "i.gif", tmp_path / "o.png", box="10,10,8,8")
    found = read(tmp_path / "o.png")
    assert found.shape == (40, 40, 3) and (found[20:] == colours[20:]).all()
    drawn.save(tmp_path / "t.png", transparency=int(np.array(drawn)[0, 0]))
    repair(out, "proposed", tmp_path / "t.png", tmp_path / "o.png")
    assert (read(tmp_path / "o.png")[..., 3] == 255).all()


def test_a_photograph_is_turned_upright_and_so_is_its_mask(out: Path, tmp_path: Path) -> None:
    truth = pixels(40, 60)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees, clockwise
    image = saved(tmp_path / "i.png", truth, exif=exif)
    upright = np.rot90(truth, -1)
    repair(out, "proposed", image, tmp_path / "o.png", box="2,3,10,12")
    found = read(tmp_path / "o.png")
    hole = np.zeros((60, 40), bool)
    hole[3:15, 2:12] = True
    assert (found[~hole] == upright[~hole]).all()
    with Image.open(tmp_path / "o.png") as opened:
        assert opened.getexif().get(0x0112, 1) == 1
    mask = saved(tmp_path / "m.png", np.rot90(hole).astype(np.uint8) * 255, exif=exif)
    repair(out, "proposed", image, tmp_path / "m-o.png", mask)
    assert (tmp_path / "m-o.png").read_bytes() == (tmp_path / "o.png").read_bytes()


def test_sixteen_bits_are_reduced_and_it_is_said(out: Path, tmp_path: Path) -> None:
    levels = np.linspace(0, 65535, 40 * 40).reshape(40, 40).astype(np.uint16)
    Image.fromarray(levels).save(tmp_path / "i.png")
    said = repair(out, "proposed", tmp_path / "i.png", tmp_path / "o.png", box="10,10,8,8")
    assert said[0] == f"{tmp_path / 'i.png'}: 16 bits a channel are reduced to 8"
    assert (read(tmp_path / "o.png")[20:] == (levels[20:] / 257).round()).all()


def test_sixteen_bits_of_each_colour_are_reduced_and_it_is_said(out: Path, tmp_path: Path) -> None:
    """Pillow drops the lower byte without a word."""
    levels = np.random.default_rng(0).integers(0, 65536, (16, 160, 3)).astype(np.uint16)
    (tmp_path / "i.png").write_bytes(layouts.deep_png(levels))
    said = repair(out, "proposed", tmp_path / "i.png", tmp_path / "o.png", box="10,2,8,8")
    assert said[0] == f"{tmp_path / 'i.png'}: 16 bits a channel are reduced to 8"
    assert (read(tmp_path / "o.png")[:, 20:] == (levels >> 8)[:, 20:]).all()
    image = saved(tmp_path / "eight.png", pixels(16, 160))
    assert len(repair(out, "proposed", image, tmp_path / "o.png", box="10,2,8,8")) == 1


def test_a_colour_profile_is_kept(out: Path, tmp_path: Path) -> None:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = saved(tmp_path / "i.png", pixels(40, 40), icc_profile=profile)
    repair(out, "proposed", image, tmp_path / "o.png", box="10,10,8,8")
    with Image.open(tmp_path / "o.png") as opened:
        assert opened.info["icc_profile"] == profile


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".tiff"])
def test_what_is_written_is_without_loss(out: Path, tmp_path: Path, suffix: str) -> None:
    truth = pixels(40, 40)
    image = saved(tmp_path / "i.png", truth)
    repair(out, "proposed", image, tmp_path / f"o{suffix}", box="10,10,8,8")
    assert (read(tmp_path / f"o{suffix}")[20:] == truth[20:]).all()


def test_jpeg_is_written_with_a_word(out: Path, tmp_path: Path) -> None:
    image = saved(tmp_path / "i.jpg", pixels(40, 40))
    said = repair(out, "proposed", image, tmp_path / "o.jpg", box="10,10,8,8")
    assert said[0] == f"{tmp_path / 'o.jpg'}: JPEG changes the known pixels too, a little; .png would not"
    with Image.open(tmp_path / "o.jpg") as opened:
        assert opened.format == "JPEG"


def test_several_images_go_into_a_folder(out: Path, tmp_path: Path) -> None:
    images = [saved(tmp_path / "a.png", pixels(40, 50)), saved(tmp_path / "b.jpg", pixels(64, 33, seed=1))]
    repair(out, "proposed", images, tmp_path / "boxes", box="4,4,10,10")
    assert sorted(file.name for file in (tmp_path / "boxes").iterdir()) == ["a.png", "b.png"]
    (tmp_path / "masks").mkdir()
    masked(tmp_path / "masks" / "a.png", 40, 50, (4, 4, 10, 10))
    masked(tmp_path / "masks" / "b.bmp", 64, 33, (4, 4, 10, 10))
    repair(out, "proposed", images, tmp_path / "masked", tmp_path / "masks")
    for name in ("a.png", "b.png"):
        assert (tmp_path / "boxes" / name).read_bytes() == (tmp_path / "masked" / name).read_bytes()
    repair(out, "proposed", images[1], tmp_path / "masked", box="4,4,10,10")  # one image, into a folder
    assert (tmp_path / "boxes" / "b.png").read_bytes() == (tmp_path / "masked" / "b.png").read_bytes()


def test_a_run_that_fills_with_noise_repairs_each_image_by_itself(out: Path, tmp_path: Path) -> None:
    images = [saved(tmp_path / f"{name}.png", pixels(40, 50)) for name in "ab"]
    repair(out, "noise_fill", images, tmp_path / "o", box="4,4,10,10")
    assert (tmp_path / "o" / "a.png").read_bytes() == (tmp_path / "o" / "b.png").read_bytes()


def test_a_smooth_mask_is_cut_at_the_middle_and_it_is_said(out: Path, tmp_path: Path) -> None:
    image = saved(tmp_path / "i.png", pixels(40, 50))
    smooth = np.zeros((40, 50), np.uint8)
    smooth[4:14, 4:14], smooth[14:16, 4:14], smooth[3, 4:14] = 255, 140, 100
    said = repair(out, "proposed", image, tmp_path / "o.png", saved(tmp_path / "m.png", smooth))
    assert said[0] == f"{tmp_path / 'm.png'}: it has 4 values; what is above 127.5 of 255 is taken for white"
    found, truth = read(tmp_path / "o.png"), read(image)
    assert (found[smooth <= 100] == truth[smooth <= 100]).all() and (found[14:16, 4:14] != truth[14:16, 4:14]).any()
    saved(tmp_path / "m.jpg", np.repeat(smooth[..., None], 3, axis=2))
    assert "values; what is above" in repair(out, "proposed", image, tmp_path / "o.png", tmp_path / "m.jpg")[0]


def test_every_fault_of_every_input_is_told_and_nothing_written(out: Path, tmp_path: Path) -> None:
    good = saved(tmp_path / "good.png", pixels(40, 40))
    small, broken, text = saved(tmp_path / "small.png", pixels(12, 12)), tmp_path / "broken.png", tmp_path / "text.png"
    broken.write_bytes(good.read_bytes()[:300])
    text.write_text("no image")
    folder, missing = tmp_path / "folder", tmp_path / "missing.png"
    folder.mkdir()
    images = [good, small, broken, text, folder, missing]
    faults = refusal(out, "proposed", images, tmp_path / "o", box="10,10,8,8").splitlines()
    assert faults[0] == (
        f"{small}: the box 10,10,8,8 is not inside its 12 x 12 px; write x,y,w,h from the upper left corner"
    )
    assert faults[1].startswith(f"{broken}: it cannot be read (")
    assert faults[2] == f"{text}: it is no image, or of a format that is not read"
    assert faults[3] == f"{folder}: this is a folder; name images, such as {folder}/*.png"
    assert faults[4] == f"{missing}: there is no such file"
    assert len(faults) == 5 and not (tmp_path / "o").exists()


def test_a_mask_that_cannot_be_meant_is_refused(out: Path, tmp_path: Path) -> None:
    image, to, mask = saved(tmp_path / "i.png", pixels(40, 50)), tmp_path / "o.png", tmp_path / "m.png"
    masked(mask, 50, 40, (1, 1, 2, 2))
    wanted = f"{mask}: it is 40 x 50 px, its image 50 x 40 px; a mask has its image's size; to resize masks, "
    assert refusal(out, "proposed", image, to, mask) == f"{wanted}set the option 'resize' to nearest"
    masked(mask, 40, 50, (0, 0, 50, 38))
    text = refusal(out, "proposed", image, to, mask)
    assert text.startswith(f"{image}: 95% of it is hole") and text.endswith("say so with --hole")


def test_a_mask_of_another_size_is_resized_if_that_is_asked_for(out: Path, tmp_path: Path) -> None:
    image, mask = saved(tmp_path / "i.png", pixels(40, 50)), masked(tmp_path / "m.png", 80, 100, (20, 20, 30, 20))
    said = repair(out, "mean", image, tmp_path / "o.png", mask, resize="nearest")
    assert said[0] == f"{mask}: it is resized from 100 x 80 px to the nearest neighbour"
    changed = (read(tmp_path / "o.png") != read(image)).any(2)
    assert changed[10:20, 10:25].any() and not changed[:10].any() and not changed[:, 25:].any()
    with pytest.raises(BadInput, match="--resize bilinear: choose nearest, or leave it out"):
        inpaint.HoleSource(mask, None, None, "bilinear")


@pytest.mark.parametrize("kind", ["folder", "zip", "below folders"])
def test_masks_are_where_images_may_be(out: Path, tmp_path: Path, kind: str) -> None:
    image, masks = saved(tmp_path / "a.jfif.png", pixels(40, 50)), tmp_path / "masks"
    below = masks / "x" / "y" if kind == "below folders" else masks
    below.mkdir(parents=True)
    masked(below / "a.jfif.bmp", 40, 50, (4, 4, 10, 10))
    (below / "._a.jfif.png").write_bytes(b"of another system")
    place = Path(shutil.make_archive(str(masks), "zip", masks)) if kind == "zip" else masks
    said = repair(out, "mean", image, tmp_path / "o.png", place)
    assert len(said) == 1 and said[0].endswith("; 5.0% of the image was hole")


def test_masks_of_one_name_are_told_apart_by_their_folders(out: Path, tmp_path: Path) -> None:
    for folder, box in (("x", (4, 4, 10, 10)), ("y", (20, 20, 10, 10))):
        (tmp_path / "images" / folder).mkdir(parents=True)
        (tmp_path / "masks" / folder).mkdir(parents=True)
        saved(tmp_path / "images" / folder / "1.png", pixels(40, 50))
        masked(tmp_path / "masks" / folder / "1.png", 40, 50, box)
    for folder, corner in (("x", 4), ("y", 20)):
        repair(out, "mean", tmp_path / "images" / folder / "1.png", tmp_path / "o.png", tmp_path / "masks")
        changed = (read(tmp_path / "o.png") != pixels(40, 50)).any(2)
        assert changed.any() and np.argwhere(changed).min() >= corner and np.argwhere(changed).max() < corner + 10
    text = refusal(out, "mean", saved(tmp_path / "1.png", pixels(40, 50)), tmp_path / "o.png", tmp_path / "masks")
    assert text.endswith("holds 2 masks of its name, x/1.png and y/1.png; leave one")


def test_an_inverted_mask_is_doubted_with_its_share_and_the_key(out: Path, tmp_path: Path) -> None:
    image, mask = saved(tmp_path / "i.png", pixels(40, 50)), masked(tmp_path / "m.png", 40, 50, (0, 0, 50, 30))
    said = repair(out, "mean", image, tmp_path / "o.png", mask)
    assert said[0] == (
        f"{mask}: 75% of the image is hole, which is over half; if the masks are the other way round, say --hole black"
    )
    assert said[1].endswith("; 75.0% of the image was hole")
    said = repair(out, "mean", image, tmp_path / "o.png", mask, hole="black")
    assert len(said) == 1 and said[0].endswith("; 25.0% of the image was hole")


def test_a_mask_drawn_on_the_stored_pixels_is_turned_with_its_photograph(out: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = saved(tmp_path / "i.jpg", pixels(40, 60), exif=exif)
    mask = masked(tmp_path / "m.png", 40, 60, (5, 5, 20, 10))
    said = repair(out, "mean", image, tmp_path / "o.png", mask)
    assert said[0] == f"{mask}: it is turned as its image is by EXIF"
    with Image.open(image) as opened:
        upright = np.asarray(ImageOps.exif_transpose(opened))
    hole = np.rot90(read(mask) > 0, -1)
    assert (read(tmp_path / "o.png")[~hole] == upright[~hole]).all()
    square = saved(tmp_path / "square.jpg", pixels(40, 40), exif=exif)
    said = repair(out, "mean", square, tmp_path / "o.png", masked(tmp_path / "s.png", 40, 40, (5, 5, 20, 10)))
    assert said[0].endswith("s.png: its image is turned by EXIF and it is not: it is taken as upright")


@pytest.mark.parametrize("to", ["o.png", "new", "there"])
def test_a_folder_as_image_is_told_before_anything_else(out: Path, tmp_path: Path, to: str) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "photos").mkdir()
    saved(tmp_path / "photos" / "a.jpg", pixels(40, 50))
    told = refusal(out, "proposed", tmp_path / "photos", tmp_path / to, box="1,2,3,4")
    assert told == f"{tmp_path / 'photos'}: this is a folder; name images, such as {tmp_path / 'photos'}/*.jpg"


def test_where_the_hole_is_has_to_be_said(out: Path, tmp_path: Path) -> None:
    image, to = saved(tmp_path / "i.png", pixels(40, 50)), tmp_path / "o.png"
    assert refusal(out, "proposed", image, to) == (
        f"{image}: where is the hole? say --mask FILE or --box x,y,w,h; the image has no transparency"
    )
    opaque = pixels(40, 50, 4)
    opaque[..., 3] = 255
    assert refusal(out, "proposed", saved(image, opaque), to).endswith("the image is opaque everywhere")
    opaque[..., 3] = 128
    assert refusal(out, "proposed", saved(image, opaque), to).startswith(f"{image}: all of it is hole")
    with pytest.raises(BadInput, match="both say where the hole is; choose one"):
        inpaint.HoleSource(tmp_path, "1,2,3,4", None)
    with pytest.raises(BadInput, match="there is no --mask"):
        inpaint.HoleSource(None, "1,2,3,4", "black")
    with pytest.raises(BadInput, match="--hole red: choose white or black"):
        inpaint.HoleSource(tmp_path, None, "red")
    for box in ("1,2,3", "a,b,c,d", "1 2 3 4", "1,2,3,4.5", "1,2,3,4,5", ""):
        with pytest.raises(BadInput, match="write x,y,w,h in pixels"):
            inpaint.HoleSource(None, box, None)
    for box in ("-1,2,3,4", "45,2,10,4", "1,2,0,4", "1,38,3,4"):
        assert f"the box {box} is not inside its 50 x 40 px" in refusal(out, "proposed", image, to, box=box)


def test_results_never_replace_each_other_or_an_input(out: Path, tmp_path: Path) -> None:
    box = {"box": "4,4,10,10"}
    image, mask = saved(tmp_path / "a.png", pixels(40, 50)), masked(tmp_path / "m.png", 40, 50, (4, 4, 9, 9))
    before = image.read_bytes()
    inputs = "this is one of the inputs, which are never replaced; name another place"
    assert refusal(out, "proposed", image, image, **box) == f"-o {image}: {inputs}"
    assert refusal(out, "proposed", image, mask, mask) == f"-o {mask}: {inputs}"
    assert refusal(out, "proposed", image, tmp_path, **box) == f"-o {image}: {inputs}"
    (tmp_path / "more").mkdir()
    again = saved(tmp_path / "more" / "a.jpg", pixels(40, 50))
    wanted = f"{image}, {again}: all would be written to {tmp_path / 'o' / 'a.png'}; repair them one by one"
    assert refusal(out, "proposed", [image, again], tmp_path / "o", **box) == wanted
    assert image.read_bytes() == before
    repair(out, "proposed", image, tmp_path / "o.png", **box)
    repair(out, "proposed", image, tmp_path / "o.png", **box)  # a result may be replaced


def test_where_the_result_goes_has_to_make_sense(out: Path, tmp_path: Path) -> None:
    box = {"box": "4,4,10,10"}
    images = [saved(tmp_path / f"{name}.png", pixels(40, 50)) for name in "ab"]
    assert refusal(out, "proposed", images[0], tmp_path / "o.txt", **box) == (
        f"-o {tmp_path / 'o.txt'}: its suffix does not say how to write it; "
        "choose .png, .webp, .tif, .tiff, .jpg, .jpeg, or a folder that exists"
    )
    assert refusal(out, "proposed", images, tmp_path / "o.png", **box) == (
        f"-o {tmp_path / 'o.png'}: there are 2 images; name a folder, without .png"
    )
    (tmp_path / "file").write_text("")
    assert refusal(out, "proposed", images, tmp_path / "file", **box) == (
        f"-o {tmp_path / 'file'}: this is a file, and there are 2 images; name a folder"
    )
    (tmp_path / "o" / "b.png").mkdir(parents=True)
    assert refusal(out, "proposed", images, tmp_path / "o", **box) == (
        f"-o {tmp_path / 'o' / 'b.png'}: there is a folder of this name"
    )
    assert refusal(out, "proposed", images[0], tmp_path / "file" / "o.png", **box) == (
        f"-o {tmp_path / 'file' / 'o.png'}: {tmp_path / 'file'} is no folder that can be written to"
    )
    assert [file.name for file in (tmp_path / "o").iterdir()] == ["b.png"]  # not even a part of one
    (tmp_path / "masks").mkdir()
    assert refusal(out, "proposed", images, tmp_path / "o", tmp_path / "masks").splitlines()[:2] == [
        f"{image}: {tmp_path / 'masks'} holds no mask of its name, such as {image.stem}.png" for image in images
    ]
    for suffix in (".png", ".bmp"):
        masked(tmp_path / "masks" / f"a{suffix}", 40, 50, (4, 4, 9, 9))
    assert "holds 2 masks of its name, a.bmp and a.png; leave one" in refusal(
        out, "proposed", images[0], tmp_path / "o.png", tmp_path / "masks"
    )


def test_the_command_says_what_it_took_and_exits_as_documented(out: Path, tmp_path: Path) -> None:
    image, to = saved(tmp_path / "i.png", pixels(40, 50)), tmp_path / "o.png"
    done = command("inpaint", "proposed", image, "--box", "4,4,10,10", "-o", to, "--out", out, "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "proposed/faces/0, 32 px, on cpu"
    assert to.is_file()
    done = command("inpaint", "proposed", image, "-o", to, "--out", out)
    assert done.returncode == 2 and done.stderr.startswith(f"{image}: where is the hole?")
    done = command("inpaint", "nothing", image, "-o", to, "--out", out)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert command("inpaint", "proposed", image, "--box", "4,4,10,10", "--out", out).returncode == 2  # no -o


def test_a_plan_that_knew_no_plugins_can_be_used(out: Path, tmp_path: Path) -> None:
    plan = read_facts(out / "plan.json")
    del plan["study"]["plugins"]
    for name in ("stages", "runs"):
        (tmp_path / name).symlink_to(out / name)
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    assert Finished(tmp_path, "proposed").run.name == "proposed/faces/0"
