"""One mask file of each odd kind: a study's masks, `score` and `inpaint` all see the same hole, or refuse it alike."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mask_files import READ, REFUSED, SIDE, Hole, hole, layer, saved, shades, strokes
from PIL import Image, ImageOps

from models.masks import Files
from study.data import holes
from study.data.files.image import Raster
from study.data.files.masks import SSIM_EDGE, read_hole
from study.errors import BadInput
from study.external import score
from study.external.pairs import Findings, Listed
from study.metrics.structure import WINDOW
from study.use import inpaint


def of_a_study(file: Path, colour: str) -> Hole:
    packed = file.parent / "packed"
    packed.mkdir(exist_ok=True)
    files = Files(root=str(file.parent), hole=colour)
    holes.identity(files, SIDE)
    holes.pack(files, SIDE, packed)
    return np.load(packed / "masks.npy")[0]


def of_a_folder_in_score(file: Path, colour: str) -> Hole:
    return _of_score(file, file.parent, colour)


def of_a_file_in_score(file: Path, colour: str) -> Hole:
    return _of_score(file, file, colour)


def _of_score(file: Path, mask: Path, colour: str) -> Hole:
    masks = Listed("--mask", mask) if mask.is_dir() else None
    read = score._holes(score.Request(file.parent, mask=mask), colour, masks, [file.stem], Findings())
    assert read is not None
    return read(file.stem, Raster(np.zeros((SIDE, SIDE, 3), np.uint8)))[0]


def of_inpaint(file: Path, colour: str) -> Hole:
    image = file.parent.parent / "image.png"
    Image.new("RGB", (SIDE, SIDE), (20, 90, 160)).save(image)
    job = inpaint.Job(image, file, file.parent / "to.png")
    return inpaint._read(job, inpaint.HoleSource(file, None, colour))[1]


READERS = (of_a_study, of_a_folder_in_score, of_a_file_in_score, of_inpaint)


def written(tmp_path: Path, content: bytes) -> Path:
    file = tmp_path / "masks" / "mask.png"  # the content says what it is
    file.parent.mkdir()
    file.write_bytes(content)
    return file


@pytest.mark.parametrize("kind", READ)
def test_every_reader_sees_the_same_hole(kind: str, tmp_path: Path) -> None:
    file = written(tmp_path, READ[kind]())
    for reader in READERS:
        assert np.array_equal(reader(file, "white"), hole()), reader.__name__


@pytest.mark.parametrize("colour", ["white", "black"])
def test_thin_antialiased_strokes_are_cut_at_the_middle(colour: str, tmp_path: Path) -> None:
    file = written(tmp_path, strokes())
    with Image.open(file) as opened:
        values = np.asarray(opened)
    wanted = values > 127.5 if colour == "white" else values <= 127.5
    for reader in READERS:
        assert np.array_equal(reader(file, colour), wanted), reader.__name__
    assert "is taken for white" in read_hole(file.read_bytes(), colour, (SIDE, SIDE))[1]


@pytest.mark.parametrize("content", [lambda: saved(shades(0, 255)), lambda: layer((255, 255, 255), paint=0)])
def test_every_reader_takes_black_for_the_hole_where_that_is_said(content: Callable[[], bytes], tmp_path: Path) -> None:
    file = written(tmp_path, content())
    for reader in READERS:
        assert np.array_equal(reader(file, "black"), hole()), reader.__name__


@pytest.mark.parametrize("kind", REFUSED)
def test_every_reader_refuses_it_in_the_same_words(kind: str, tmp_path: Path) -> None:
    make, said = REFUSED[kind]
    file = written(tmp_path, make())
    for reader in READERS:
        with pytest.raises((ValueError, BadInput)) as caught:
            reader(file, "white")
        assert str(caught.value).endswith(f"{file.name}: {said}"), reader.__name__


def test_two_values_need_no_note() -> None:
    for kind in (
        "16 bits",
        "0 and 1",
        "100 and 140",
        "one bit",
        "white paint on a clear layer",
        "tinted",
        "colours that are grey",
    ):
        assert read_hole(READ[kind](), "white", (SIDE, SIDE))[1] == "", kind


def test_a_mask_of_another_size_is_refused_by_its_header(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large one would take gigabytes."""
    monkeypatch.setattr("study.data.files.masks.read", None)
    with pytest.raises(ValueError, match="it is 4000 x 3000 px, its image 64 x 64 px"):
        read_hole(saved(Image.new("L", (4000, 3000))), "white", (SIDE, SIDE))
    monkeypatch.setattr("study.data.files.masks.LARGE", 10_000)
    with pytest.raises(ValueError, match="it has 12,100 pixels; a mask that is resized may have 10,000 at most"):
        read_hole(saved(Image.new("L", (110, 110))), "white", (SIDE, SIDE), resize="nearest")


def test_no_decoder_reads_masks_that_may_not_read_images() -> None:
    with pytest.raises(ValueError, match="it is no image, or of a format that is not read"):
        read_hole(saved(Image.fromarray(shades()).convert("RGB"), "EPS"), "white", (SIDE, SIDE))


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_mask_of_a_turned_photograph_is_turned_with_it(orientation: int) -> None:
    """A mask as it was drawn on the stored pixels, by a program that does not read EXIF."""
    drawn = np.zeros((48, 64), np.uint8)
    drawn[8:20, 10:50], drawn[20:30, 10:15] = 255, 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    with Image.open(io.BytesIO(saved(drawn, exif=exif))) as opened:
        upright = np.asarray(ImageOps.exif_transpose(opened)) > 0
    found, note = read_hole(saved(drawn), "white", (48, 64), orientation=orientation)
    assert (found == upright).all() and note == "it is turned as its image is by EXIF"
    found, note = read_hole(saved(upright), "white", (48, 64), orientation=orientation)
    assert (found == upright).all() and note.endswith("and it is not: it is taken as upright")
    assert read_hole(saved(drawn, exif=exif), "white", (48, 64), orientation=orientation)[1] == ""


def test_the_border_that_is_checked_is_that_of_the_metric() -> None:
    assert WINDOW // 2 == SSIM_EDGE
