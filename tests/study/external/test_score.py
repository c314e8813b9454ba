"""Folders of images scored by anybody: known values, an outside reference, and every mistake explained."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import layouts
import numpy as np
import pytest
import references
from commands import command
from numpy.typing import NDArray
from PIL import Image
from skimage import data, metrics

from study.data.files.image import exact
from study.errors import BadInput
from study.external.pairs import stems
from study.external.score import Request, Scored, score

SIDE = 32

Write = Callable[..., Path]


def photographs() -> list[NDArray[np.uint8]]:
    """Three real photographs, 64 x 64."""
    found = [data.astronaut()[:512:8, :512:8], data.coffee()[:384:6, :384:6], data.chelsea()[:256:4, :256:4]]
    return [np.ascontiguousarray(image) for image in found]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes arrays as PNG (or what the names say) into a folder, by relative path."""

    def written(folder: str, images: dict[str, Any], **how: Any) -> Path:
        for name, pixels in images.items():
            file = tmp_path / folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
            image.save(file, **how)
        return tmp_path / folder

    return written


def grey(value: int, side: int = SIDE) -> NDArray[np.uint8]:
    return np.full((side, side, 3), value, np.uint8)


def square(side: int) -> NDArray[np.bool_]:
    hole = np.zeros((side, side), bool)
    hole[side // 4 : -side // 4, side // 4 : -side // 4] = True
    return hole


def noisy(image: NDArray[np.uint8], by: int = 20, where: NDArray[np.bool_] | None = None) -> NDArray[np.uint8]:
    rng = np.random.default_rng(0)
    changed = np.clip(image + rng.integers(-by, by + 1, image.shape), 0, 255).astype(np.uint8)
    return changed if where is None else np.where(where[..., None], changed, image)


def mean(found: Scored, metric: str, region: str, output: str = "raw") -> Any:
    rows = [row for row in found.summary() if (row["metric"], row["region"], row["output"]) == (metric, region, output)]
    assert len(rows) == 1
    return rows[0]["mean"]


def refused(asked: Request) -> str:
    with pytest.raises(BadInput) as caught:
        score(asked)
    return str(caught.value)


def three(write: Write) -> tuple[Path, Path, Path]:
    """Photographs, the same repaired in the central square, and that square as masks."""
    images = {f"{place}.png": image for place, image in enumerate(photographs())}
    truth = write("truth", images)
    output = write("output", {name: noisy(image, where=square(64)) for name, image in images.items()})
    return truth, output, write("mask", dict.fromkeys(images, square(64).astype(np.uint8) * 255))


def test_a_known_offset(write: Write) -> None:
    truth = write("truth", {"a.png": grey(100)})
    output = write("output", {"a.png": grey(126)})
    found = score(Request(output, truth))
    assert mean(found, "psnr", "whole") == pytest.approx(-20 * np.log10(26 / 255), abs=1e-5)
    assert mean(found, "l1", "whole") == pytest.approx(26 / 255, abs=1e-6)
    assert {column[:2] for column in found.columns} == {("raw", "whole")}  # no hole is known


def test_an_offset_of_a_tenth_is_20_db_in_16_bits(write: Write) -> None:
    truth = write("truth", {"a.png": np.full((SIDE, SIDE), 20000, np.uint16)})
    output = write("output", {"a.png": np.full((SIDE, SIDE), 20000 + 6554, np.uint16)})  # 0.1 of 65535, rounded
    found = score(Request(output, truth))
    assert mean(found, "psnr", "whole") == pytest.approx(20, abs=1e-3)


def test_values_are_those_of_scikit_image(write: Write) -> None:
    truth, output, masks = three(write)
    found = score(Request(output, truth, masks))
    for place, image in enumerate(photographs()):
        repaired = np.asarray(Image.open(output / f"{place}.png"))
        values = dict(zip(found.columns, found.values[place], strict=True))
        psnr = metrics.peak_signal_noise_ratio(image, repaired, data_range=255)
        assert values["composite", "whole", "psnr"] == pytest.approx(psnr, abs=1e-5)
        hole = square(64)
        psnr = metrics.peak_signal_noise_ratio(image[hole], repaired[hole], data_range=255)
        assert values["composite", "hole", "psnr"] == pytest.approx(psnr, abs=1e-5)
        ssim = references.ssim(image, repaired, data_range=255)
        assert values["composite", "whole", "ssim"] == pytest.approx(ssim, abs=1e-5)


def test_values_without_holes_are_those_of_the_whole_image_with_them(write: Write) -> None:
    truth, output, masks = three(write)
    with_holes, without = score(Request(output, truth, masks)), score(Request(output, truth))
    for metric in ("psnr", "ssim", "ssim_global", "l1"):
        assert mean(without, metric, "whole") == pytest.approx(mean(with_holes, metric, "whole", "composite"))


def test_raw_predictions_are_scored_as_they_are_and_pasted(write: Write) -> None:
    truth = write("truth", {"a.png": photographs()[0]})
    output = write("output", {"a.png": noisy(photographs()[0])})
    found = score(Request(output, truth, center=True))
    assert mean(found, "psnr", "hole") == mean(found, "psnr", "hole", "composite")
    assert mean(found, "psnr", "whole", "composite") > mean(found, "psnr", "whole") + 5
    assert "1 of 1 outputs change the known pixels" in " ".join(found.found.notes)


def test_equal_images_are_counted_apart(write: Write) -> None:
    truth = write("truth", {"a.png": photographs()[0], "b.png": photographs()[1]})
    output = write("output", {"a.png": photographs()[0], "b.png": noisy(photographs()[1])})
    found = score(Request(output, truth))
    row = next(row for row in found.summary() if row["metric"] == "psnr")
    assert (row["images"], row["infinite"]) == (1, 1) and np.isfinite(row["mean"])
    assert found.as_json()["values"]["a"][found.columns.index(("raw", "whole", "psnr"))] == "inf"
    assert "1 of 2 outputs are the truth itself" in found.found.warnings[0]


def test_images_of_several_sizes_are_scored_as_each_alone(write: Write) -> None:
    images = {"a.png": photographs()[0], "b.png": photographs()[1][:40, :52], "c.png": photographs()[2]}
    truth = write("truth", images)
    output = write("output", {name: noisy(image) for name, image in images.items()})
    found = score(Request(output, truth))
    for name, image in images.items():
        alone = score(Request(write(f"o {name}", {name: noisy(image)}), write(f"t {name}", {name: image})))
        assert found.values[list(found.names).index(name[0])].tolist() == alone.values[0].tolist()


def test_pairs_are_by_relative_path_whatever_the_suffix(write: Write) -> None:
    truth = write("truth", {"x/a.png": photographs()[0], "y/a.png": photographs()[1]})
    output = write("output", {"x/a.bmp": noisy(photographs()[0]), "y/a.png": noisy(photographs()[1])})
    found = score(Request(output, truth))
    assert found.names == ["x/a", "y/a"]
    assert "1 of 2 pairs have names that differ in the suffix, the first x/a.png with x/a.bmp" in found.found.notes


def test_unpaired_names_are_told_and_counted(write: Write) -> None:
    truth = write("truth", {"a.png": grey(1), "b.png": grey(1), "C.png": grey(1)})
    output = write("output", {"a.png": grey(2), "c.png": grey(2), "d.png": grey(2)})
    told = refused(Request(output, truth))
    assert "2 of 3 images of" in told and "have no output: C, b" in told
    assert "2 outputs have no image in" in told and "c, d" in told
    assert "1 of these differ in case alone: C, c" in told and "--partial scores the 1 that are there" in told
    found = score(Request(output, truth, partial=True))
    assert found.names == ["a"] and sorted(found.found.unpaired["truth"]) == ["C", "b"]
    assert found.as_json()["unpaired"]["output"] == ["c", "d"]


def test_names_that_never_meet_are_a_fault_even_in_part(write: Write) -> None:
    truth, output = write("truth", {"a.png": grey(1)}), write("output", {"a_out.png": grey(2)})
    told = refused(Request(output, truth, partial=True))
    assert "have no output: a" in told and "a pair has the same path below both folders" in told


def test_two_files_of_one_name(write: Write) -> None:
    truth = write("truth", {"a.png": grey(1)})
    output = write("output", {"a.png": grey(2), "a.bmp": grey(2)})
    assert "a.bmp and a.png have one name but for the suffix; leave one of them" in refused(Request(output, truth))


def test_images_of_a_study_have_a_name_each() -> None:
    names = ["a/x.1.png", "a/x.2.png", "b.png", "b.jpg", "B.png", "plain", "c.v2"]
    assert stems(names) == ["a/x.1", "a/x.2", "b.png", "b.jpg", "B.png", "plain", "c.v2"]


def test_folders_that_are_not_there_or_hold_no_image(write: Write, tmp_path: Path) -> None:
    truth = write("truth", {"a.png": grey(1)})
    told = refused(Request(tmp_path / "none", truth))
    assert told.startswith(f"--output {tmp_path / 'none'}: there is no folder")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert refused(Request(empty, truth)) == f"--output {empty}: there is no image in it"
    (empty / "notes.txt").write_text("hello")
    assert refused(Request(empty, truth)).endswith(
        "there is no image in it; 1 files are no images by their names and not read: notes.txt"
    )


def test_other_files_are_told(write: Write) -> None:
    truth, output = write("truth", {"a.png": grey(1)}), write("output", {"a.png": grey(2)})
    (output / "log.txt").write_text("hello")
    found = score(Request(output, truth))
    assert found.found.notes == [f"{output}: 1 files are no images by their names and not read: log.txt"]


@pytest.mark.parametrize(
    ("size", "hint"),
    [
        ((48, 64), "the truth is 64 x 48 px, the output 48 x 64 px, which is rotated by 90 degrees"),
        ((128, 96), "the truth is 64 x 48 px, the output 128 x 96 px, which is 2 times the size"),
        ((32, 24), "the truth is 64 x 48 px, the output 32 x 24 px, which is 1/2 of the size"),
        ((64, 50), "a: the truth is 64 x 48 px, the output 64 x 50 px"),
    ],
)
def test_sizes(write: Write, size: tuple[int, int], hint: str) -> None:
    truth = write("truth", {"a.png": Image.new("RGB", (64, 48))})
    assert hint in refused(Request(write("output", {"a.png": Image.new("RGB", size)}), truth))


def test_every_fault_is_told_at_once_the_first_by_name(write: Write) -> None:
    names = [f"{place}.png" for place in range(8)]
    truth = write("truth", dict.fromkeys(names, grey(1)))
    output = write("output", dict.fromkeys(names, grey(1, side=16)))
    told = refused(Request(output, truth)).splitlines()
    assert told[0] == "8 of 8 images cannot be scored:" and len(told) == 7 and told[-1] == "and 3 more"


def test_too_small_for_ssim(write: Write) -> None:
    truth = write("truth", {"a.png": grey(1, side=10)})
    told = refused(Request(write("output", {"a.png": grey(2, side=10)}), truth))
    assert told == "a: it is 10 x 10 px; SSIM needs at least 11 x 11 px"


def test_bit_depths(write: Write) -> None:
    truth = write("truth", {"a.png": grey(1)[..., 0]})
    output = write("output", {"a.png": np.full((SIDE, SIDE), 300, np.uint16)})
    assert "the truth has 8 bits a channel, the output 16; save both with the same" in refused(Request(output, truth))


def test_grey_against_colour(write: Write) -> None:
    photograph = photographs()[0]
    truth = write("truth", {"a.png": photograph})
    output = write("output", {"a.png": photograph[..., 0]})
    assert "a: the truth is in colour, the output grey; save both alike" in refused(Request(output, truth))
    as_colours = write("stacked", {"a.png": np.repeat(photograph[..., :1], 3, axis=2)})
    assert (
        score(Request(as_colours, write("plain", {"a.png": photograph[..., 0]}))).found.counts["equal"] == 1
    )  # no colour in either


def test_a_palette_is_its_colours(write: Write) -> None:
    few = (photographs()[0] // 64 * 64).astype(np.uint8)
    image = Image.fromarray(few).convert("P", palette=Image.Palette.ADAPTIVE)
    truth = write("truth", {"a.png": np.asarray(image.convert("RGB"))})
    assert score(Request(write("output", {"a.png": image}), truth)).found.counts["equal"] == 1


def test_alpha(write: Write) -> None:
    truth = write("truth", {"a.png": grey(1)})
    opaque = np.dstack([grey(2), np.full((SIDE, SIDE), 255, np.uint8)])
    assert len(score(Request(write("opaque", {"a.png": opaque}), truth)).names) == 1
    opaque[0, 0, 3] = 254
    told = refused(Request(write("clear", {"a.png": opaque}), truth))
    assert told == "a, the output: it is transparent in part; save it without an alpha channel"


def test_jpeg_is_told(write: Write) -> None:
    truth, output, masks = three(write)
    images = {f"{file.stem}.jpg": Image.open(file) for file in output.iterdir()}
    jpeg = write("jpeg", images, quality=95, subsampling=0)
    found = score(Request(jpeg, truth, masks))
    assert "3 of 3 outputs are JPEG, which changes what the method left alone" in found.found.warnings[0]
    assert found.found.pasted and {one[:2] for one in found.columns if one[0] == "raw"} == {("raw", "whole")}
    assert (
        "the outputs hold the known pixels of the truth (3 but for JPEG): they are composites" in found.found.notes[0]
    )


def test_what_is_no_image(write: Write, tmp_path: Path) -> None:
    truth = write("truth", {"a.png": grey(1), "b.png": grey(1)})
    output = write("output", {"b.png": grey(1)})
    (output / "a.png").write_text("hello")
    assert refused(Request(output, truth)) == ("a, the output: it is no image, or of a format that is not read")
    whole = (output / "b.png").read_bytes()
    (output / "a.png").write_bytes(whole[: len(whole) // 2])
    assert refused(Request(output, truth)).startswith("a, the output: it cannot be read (")


def test_several_pictures_in_a_file(write: Write) -> None:
    truth = write("truth", {"a.gif": Image.new("L", (SIDE, SIDE))})
    frames = [Image.new("L", (SIDE, SIDE), value) for value in (0, 9)]
    output = write("output", {"a.gif": frames[0]}, save_all=True, append_images=frames[1:])
    assert "it holds 2 pictures; save only the one you mean" in refused(Request(output, truth))


def test_reversed_masks_are_told_with_the_numbers(write: Write) -> None:
    truth, output, masks = three(write)
    told = refused(Request(output, truth, masks, hole="black"))
    assert told.startswith("the masks are the other way round: 3 of 3 outputs are the truth inside the hole and not")
    assert "(0 differs by 0.0 of 255 in the hole and by " in told and "say --hole white" in told
    turned = write("turned", dict.fromkeys(("0.png", "1.png", "2.png"), 255 - square(64).astype(np.uint8) * 255))
    assert "if the hole is black in the masks, say --hole black" in refused(Request(output, truth, turned))
    values = score(Request(output, truth, turned, hole="black")).values
    assert np.array_equal(values, score(Request(output, truth, masks)).values)


def test_raw_predictions_that_are_closer_in_the_hole_are_doubted(write: Write) -> None:
    image, hole = photographs()[0], square(64)
    worse = np.where(hole[..., None], noisy(image, 5), noisy(image, 60))
    found = score(Request(write("output", {"a.png": worse}), write("truth", {"a.png": image}), center=True))
    assert "closer to the truth in the hole than in what is known; are the masks the other" in found.found.warnings[0]


def test_one_mask_for_all_and_the_paper_s_square(write: Write) -> None:
    truth, output, masks = three(write)
    every = [
        score(asked).values
        for asked in (
            Request(output, truth, masks),
            Request(output, truth, masks / "1.png"),
            Request(output, truth, center=True),
        )
    ]
    assert np.array_equal(every[0], every[1]) and np.array_equal(every[0], every[2])


def test_the_square_is_of_square_images(write: Write) -> None:
    truth = write("truth", {"a.png": Image.new("RGB", (64, 48))})
    told = refused(Request(truth, truth, center=True))
    assert told == "a: --center is the central square of square images, and it is 64 x 48 px; give a --mask"


def test_masks_that_are_none(write: Write) -> None:
    truth, output, _ = three(write)
    masks = write("masks", dict.fromkeys(("0.png", "1.png", "2.png"), np.full((64, 64), 255, np.uint8)))
    assert f"{masks}/0.png: it is full: all of it is white" in refused(Request(output, truth, masks))


def test_a_hole_at_the_border_has_no_ssim(write: Write) -> None:
    truth, output, _ = three(write)
    rim = np.zeros((64, 64), np.uint8)
    rim[:4] = 255
    assert "its hole lies within 5 px of the border" in refused(
        Request(output, truth, write("rim", {"0.png": rim}) / "0.png")
    )


def test_masks_that_are_nearly_black_and_white_are_read_and_told(write: Write) -> None:
    truth, output, _ = three(write)
    hole = np.zeros((64, 64), np.uint8)
    hole[17:47, 17:47] = 255  # beside JPEG's blocks
    masks = [write(suffix, {f"a.{suffix}": hole}, quality=90) / f"a.{suffix}" for suffix in ("jpg", "png")]
    jpeg, plain = (score(Request(output, truth, each)) for each in masks)
    assert np.array_equal(jpeg.values, plain.values)
    assert "3 of 3 masks had to be interpreted, the first: " in " ".join(jpeg.found.notes)


def test_an_image_without_a_mask(write: Write) -> None:
    truth, output, masks = three(write)
    (masks / "1.png").unlink()
    assert "1 of 3 images have no mask of their name, the first 1" in refused(Request(output, truth, masks))


def test_options_that_do_not_go_together(write: Write) -> None:
    truth, output, masks = three(write)
    assert "choose one" in refused(Request(output, truth, masks, center=True))
    assert "there is no --mask" in refused(Request(output, truth, hole="black"))
    assert "choose white or black" in refused(Request(output, truth, masks, hole="red"))
    assert "--truth" in refused(Request(output))


def png(pixels: NDArray[np.uint16], kind: int) -> bytes:
    """A PNG as its specification has it, each line filtered by ``kind``; 5: by each in turn."""
    height, width, channels = pixels.shape
    lines = np.frombuffer(pixels.astype(">u2").tobytes(), np.uint8).reshape(height, -1).astype(int)
    step, above, packed = 2 * channels, np.zeros(lines.shape[1], int), b""
    for number, line in enumerate(lines):
        left = np.concatenate([np.zeros(step, int), line[:-step]])
        corner = np.concatenate([np.zeros(step, int), above[:-step]])
        a, b, c = (abs(left + above - corner - each) for each in (left, above, corner))
        paeth = np.where((a <= b) & (a <= c), left, np.where(b <= c, above, corner))
        own = number % 5 if kind == 5 else kind
        guess = (0 * line, left, above, (left + above) // 2, paeth)[own]
        packed += bytes([own]) + ((line - guess) % 256).astype(np.uint8).tobytes()
        above = line
    return layouts.png((width, height), 16, {3: 2, 4: 6}[channels], packed)


@pytest.mark.parametrize("kind", range(6))
@pytest.mark.parametrize("channels", [3, 4])
def test_16_bits_a_channel_are_read_in_full(kind: int, channels: int) -> None:
    pixels = np.random.default_rng(kind).integers(0, 65536, (20, 24, channels)).astype(np.uint16)
    pixels[..., 3:] = 65535
    content = png(pixels, kind)
    read = exact(content)
    assert read.depth == 16 and np.array_equal(read.pixels, pixels[..., :3])
    by_pillow = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    assert np.array_equal(by_pillow, read.pixels >> 8)  # which is why it is not asked


def test_a_damaged_png_of_16_bits() -> None:
    content = png(np.zeros((20, 24, 3), np.uint16), 0)
    with pytest.raises(ValueError, match="it cannot be read"):
        exact(content[:60] + content[70:])


def test_the_command(write: Write) -> None:
    truth, output, masks = three(write)
    done = command("score", "--truth", truth, "--output", output, "--mask", masks)
    assert done.returncode == 0 and "PSNR (dB, ↑)" in done.stdout and "composite" in done.stdout
    found = json.loads(command("score", "--truth", truth, "--output", output, "--mask", masks, "--json").stdout)
    assert found["images"] == 3 and list(found["values"]) == ["0", "1", "2"]
    values = [row[found["columns"].index(["composite", "hole", "psnr"])] for row in found["values"].values()]
    row = next(row for row in found["summary"] if (row["metric"], row["region"]) == ("psnr", "hole"))
    assert row["mean"] == pytest.approx(np.mean(values)) and f"{row['mean']:.2f}" in done.stdout
    wrong = command("score", "--truth", truth, "--output", output, "--mask", masks, "--hole", "black")
    assert wrong.returncode == 2 and not wrong.stdout and wrong.stderr.startswith("the masks are the other way round")
    wrong = command("score", "--truth", truth, "--output", output, "--as", "theirs")
    assert wrong.returncode == 2 and "--into" in wrong.stderr


@pytest.mark.parametrize("side", [16, 116, 160])
def test_a_side_with_a_16_in_it_is_no_depth_of_16_bits(side: int, write: Write) -> None:
    image = np.random.default_rng(0).integers(0, 256, (side, side, 3)).astype(np.uint8)
    truth, output = write("truth", {"a.png": image}), write("output", {"a.png": noisy(image)})
    assert 10 < mean(score(Request(output, truth)), "psnr", "whole") < 40


def test_outputs_that_change_many_known_pixels_are_no_composites(write: Write) -> None:
    image, mask = np.random.default_rng(1).integers(0, 256, (64, 64, 3)).astype(np.uint8), square(64)
    truth, masks = write("truth", {"a.png": image}), write("mask", {"a.png": mask})
    for changed, regions in ((np.arange(64) < 20, {"hole", "boundary", "whole"}), (np.arange(64) < 1, {"whole"})):
        output = write("output", {"a.png": noisy(image, 60, mask | changed[:, None])})
        found = score(Request(output, truth, masks))
        assert {region for output, region, _ in found.columns if output == "raw"} == regions


def test_a_hole_that_is_mostly_the_truth_is_asked_about(write: Write) -> None:
    image, mask = np.random.default_rng(1).integers(0, 256, (64, 64, 3)).astype(np.uint8), square(64)
    smaller = np.zeros((64, 64), bool)
    smaller[24:40, 24:40] = True
    truth, masks = write("truth", {"a.png": image}), write("mask", {"a.png": mask})
    for hole, told in ((smaller, True), (mask, False)):
        found = score(Request(write("output", {"a.png": noisy(image, 60, hole)}), truth, masks)).found
        sentence = (
            "in 1 of 1 outputs most of the hole is the truth to the last bit; are these the holes that were repaired?"
        )
        assert (sentence in found.warnings) is told


def test_known_pixels_that_differ_by_rounding_are_said_to_be_within_one(write: Write) -> None:
    image, hole = photographs()[0], square(64)
    repaired = noisy(image, where=hole)
    rounded = np.where(hole[..., None], repaired, np.where(image < 255, image + 1, image)).astype(np.uint8)
    truth, masks = (
        write("truth", {"a.png": image, "b.png": image}),
        write("mask", dict.fromkeys(("a.png", "b.png"), hole)),
    )
    found = score(Request(write("output", {"a.png": repaired, "b.png": rounded}), truth, masks))
    assert (
        "the known pixels of the truth (1 to the bit, 1 within 1 of 255): they are composites" in found.found.notes[0]
    )
    assert found.found.counts["same"] == found.found.counts["rounded"] == 1
    whole = {output: mean(found, "psnr", "whole", output) for output in ("raw", "composite")}
    assert whole["composite"] > whole["raw"] > 20  # as the files are, and with the truth's known pixels


def test_all_kinds_of_faults_are_told_in_one_run(write: Write) -> None:
    names = [f"{place}.png" for place in range(9)]
    truth = write("truth", dict.fromkeys(names, grey(1)))
    clear = np.dstack([grey(2), np.full((SIDE, SIDE), 9, np.uint8)])
    output = write("output", dict.fromkeys(names[:7], grey(1, side=16)) | {"7.png": clear, "spare.png": grey(1)})
    masks = write("mask", dict.fromkeys(names[1:], square(SIDE)))
    told = refused(Request(output, truth, masks))
    for part in (
        "1 of 9 images of",
        "have no output: 8; 1 outputs have no image in",
        "1 of 8 images have no mask of their name, the first 0",
        "8 of 8 images cannot be scored:",
        "0: the truth is 32 x 32 px, the output 16 x 16 px",
        "and 2 more",
        "7, the output: it is transparent in part; save it without an alpha channel",
    ):
        assert part in told, part


def named(write: Write, *patterns: str) -> list[Path]:
    """The three photographs, their masks and repairs by other people's names; in one folder if these differ."""
    made = []
    for kind, pattern in zip(("truth", "mask", "output"), patterns, strict=True):
        files = {}
        for place, image in enumerate(photographs()):
            shown = {"truth": image, "mask": square(64), "output": noisy(image, where=square(64))}[kind]
            files[pattern.replace("{name}", f"case{place}") + ".png"] = shown
        made.append(write("all" if len(set(patterns)) == 3 else f"their {kind}", files))
    return made


@pytest.mark.parametrize(
    "patterns",
    [
        ("{name}_raw", "{name}_mask", "{name}_output"),
        ("{name}_gt", "{name}_mask", "{name}_fake"),
        ("{name}-real", "mask-{name}", "out-{name}"),
        ("{name}", "{name}", "{name}_inpainted"),
        ("{name}_x", "{name}_x", "{name}_y"),
    ],
)
def test_other_peoples_names(write: Write, patterns: tuple[str, str, str]) -> None:
    truth, masks, output = named(write, *patterns)
    told = refused(Request(output, truth, masks))
    asked = "--match '" + ",".join(patterns) + "'"
    assert f"; {asked} pairs 3 of them" in told, told
    found = score(Request(output, truth, masks, match=",".join(patterns)))
    assert found.names == ["case0", "case1", "case2"]
    plain = three(write)
    assert np.array_equal(found.values, score(Request(plain[1], plain[0], plain[2])).values)


def test_a_pattern_names_the_image_once(write: Write) -> None:
    truth, output, masks = three(write)
    for wrong in (
        "{name}",
        "{name}_raw,{name}_output",
        "a,b,c",
        "{name}{name},{name},{name}",
        "x/{name},{name},{name}",
    ):
        assert "write a pattern for truth, mask, output, each with one {name}" in refused(
            Request(output, truth, masks, match=wrong)
        )
    told = refused(Request(output, truth, masks, match="{name}_raw,{name},{name}"))
    assert told.endswith("no image in it has a name like {name}_raw; it has 0.png, 1.png, 2.png")


def test_the_share_of_the_hole_is_told(write: Write) -> None:
    truth, output, masks = three(write)
    found = score(Request(output, truth, masks))
    assert found.as_json()["hole_share"] == {"mean": 0.25, "images": {"0": 0.25, "1": 0.25, "2": 0.25}}
    shown = command("score", "--truth", truth, "--output", output, "--mask", masks).stdout
    assert "hole, share of the image" in shown and "25.0%" in shown
    assert score(Request(output, truth)).as_json()["hole_share"] is None


def test_inverted_masks_are_told_with_the_share_and_the_key(write: Write) -> None:
    truth = write("truth", {"a.png": photographs()[0]})
    output = write("output", {"a.png": noisy(photographs()[0])})  # a raw prediction, from which nothing can be told
    masks = write("mask", {"a.png": ~square(64)})
    warned = score(Request(output, truth, masks)).found.warnings
    assert warned[-1] == (
        "75% of the image is hole, which is over half; if the masks are the other way round, say --hole black"
    )
    assert not score(Request(output, truth, masks, hole="black")).found.warnings
    pasted = write("pasted", {"a.png": noisy(photographs()[0], where=square(64))})
    assert "on average 75% of an image is hole; if the hole is black" in refused(Request(pasted, truth, masks))


def test_masks_of_another_size_and_in_archives(write: Write) -> None:
    truth, output, masks = three(write)
    large = {file.name: Image.open(file).resize((256, 256), Image.Resampling.NEAREST) for file in masks.iterdir()}
    archive = shutil.make_archive(str(write("large", large)), "zip", truth.parent / "large")
    assert "a mask has its image's size; to resize masks" in refused(Request(output, truth, Path(archive)))
    found = score(Request(output, truth, Path(archive), resize="nearest"))
    assert np.array_equal(found.values, score(Request(output, truth, masks)).values)
    assert "it is resized from 256 x 256 px to the nearest neighbour" in " ".join(found.found.notes)
