"""Every kind of image file that there is: what becomes of it, with pixel values; what is refused, in words."""

from __future__ import annotations

import io
import zlib
from pathlib import Path
from typing import Any

import layouts
import numpy as np
import pytest
from image_files import LEFT, ODD_CHUNKS, RIGHT, halves, odd_png, saved
from PIL import Image

from study.data.files import image as images
from study.data.files.image import MOST_PIXELS, SUFFIXES, Unfit, decoded, exact, formats, read, square
from study.data.files.source import LeftOut
from study.data.files.tree import opened
from study.data.packed import Picture
from study.data.sets import folder as folder_kind
from study.data.sets.folder import Folder
from study.data.sets.images import picture
from study.errors import StudyError


def sides(pixels: images.Pixels) -> tuple[list[float], list[float]]:
    """The mean colours of the left and of the right half, less the seam."""
    width = pixels.shape[1]
    left, right = pixels[:, : width // 2 - 3], pixels[:, width // 2 + 3 :]
    return left.mean((0, 1)).tolist(), right.mean((0, 1)).tolist()


@pytest.mark.parametrize(
    ("kind", "mode", "within"),
    [
        *(("PNG", "RGB", 0), ("PNG", "P", 8), ("PNG", "RGBA", 0), ("BMP", "RGB", 0), ("TIFF", "RGB", 0)),
        *(("PPM", "RGB", 0), ("GIF", "P", 8), ("JPEG", "RGB", 8), ("WEBP", "RGB", 10), ("JPEG", "CMYK", 8)),
        ("TIFF", "CMYK", 0),
    ],
)
def test_colours_come_through(kind: str, mode: str, within: int) -> None:
    found = sides(square(saved(halves().convert(mode), kind), 16))
    for colour, expected in zip(found, (LEFT, RIGHT), strict=True):
        assert colour == pytest.approx(expected, abs=max(within, 1))


def test_an_inverted_cmyk_as_adobe_writes_it_is_not_a_negative() -> None:
    stream = saved(halves().convert("CMYK"), "JPEG", quality=95)
    assert b"Adobe" in stream.getvalue()
    assert sides(square(stream, 16))[0] == pytest.approx(LEFT, abs=8)


def test_grey_is_the_same_in_each_channel() -> None:
    found = square(saved(halves().convert("L"), "PNG"), 16)
    assert (found == found[..., :1]).all() and found[0, 0, 0] == Image.new("RGB", (1, 1), LEFT).convert("L").getpixel(
        (0, 0)
    )


@pytest.mark.parametrize(("kind", "order"), [("PNG", "<u2"), ("TIFF", "<u2"), ("TIFF", ">u2")])
def test_sixteen_bits_are_scaled(kind: str, order: str) -> None:
    deep = Image.frombytes(
        "I;16B" if order == ">u2" else "I;16", (16, 16), np.full((16, 16), 100 * 257, order).tobytes()
    )
    assert (square(saved(deep, kind), 16) == 100).all()


def test_sixteen_bits_of_colour_are_read_where_pillow_can() -> None:
    content = layouts.deep_png(np.full((16, 16, 3), LEFT, np.uint16) * np.uint16(257))
    assert (square(io.BytesIO(content), 16) == LEFT).all()


@pytest.mark.parametrize(("orientation", "turn"), [(3, 180), (6, 270), (8, 90)])
def test_an_exif_rotation_is_obeyed(orientation: int, turn: int) -> None:
    entries = Image.Exif()
    entries[0x0112] = orientation
    lying = halves().rotate(-turn, expand=True)
    found = square(saved(lying, "JPEG", quality=100, subsampling=0, exif=entries), 16)
    assert sides(found)[0] == pytest.approx(LEFT, abs=6)


def test_a_large_jpeg_is_decoded_at_a_reduced_size(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []
    whole = images._square
    monkeypatch.setattr(images, "_square", lambda opened, side: (seen.append(opened.size), whole(opened, side))[1])
    pixels, size = decoded(saved(halves((1600, 1200)), "JPEG"), 64)
    assert size == (1600, 1200) and seen == [(200, 150)]
    assert sides(pixels)[0] == pytest.approx(LEFT, abs=6)


@pytest.mark.parametrize(("size", "fits"), [((8, 300), True), ((7, 300), False), ((300, 1), False)])
def test_a_speck_is_refused(size: tuple[int, int], fits: bool) -> None:
    stream = saved(Image.new("RGB", size), "PNG")
    if fits:
        assert decoded(stream, 16)[1] == size
        return
    with pytest.raises(Unfit, match=f"it is {size[0]} x {size[1]} px; the short side of an image has 8 px at least"):
        square(stream, 16)


def test_an_enormous_image_is_refused_by_its_header(monkeypatch: pytest.MonkeyPatch) -> None:
    content = layouts.png((20_000, 10_000), 8, 2, b"")
    monkeypatch.setattr(images, "_square", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(Unfit, match=r"it has more than 178,956,970 pixels, the most that are decoded"):
        square(io.BytesIO(content), 16)
    assert MOST_PIXELS == 2 * Image.MAX_IMAGE_PIXELS  # where Pillow raises


def test_thirty_two_bits_are_refused_and_not_taken_for_sixteen() -> None:
    for value in (2**20, -1):
        with pytest.raises(Unfit, match="its pixels have 32 bits, whose range is not known"):
            square(saved(Image.fromarray(np.full((16, 16), value, np.int32)), "TIFF"), 16)


def rgb_float(values: np.ndarray[Any, Any]) -> io.BytesIO:
    return saved(Image.fromarray(values.astype(np.float32)), "TIFF")


@pytest.mark.parametrize(
    "kind", ["int32, as 8 bits", "int32, as 16 bits", "int16", "float, 0..1", "float, 0..255", "pfm"]
)
def test_numbers_without_a_range_are_refused_wherever_pictures_are_read(kind: str) -> None:
    values = np.random.default_rng(0).random((16, 16))
    grey = Image.fromarray((values * 30_000).astype(np.int32))
    made = {
        "int32, as 8 bits": lambda: saved(Image.fromarray((values * 255).astype(np.int32)), "TIFF"),
        "int32, as 16 bits": lambda: saved(grey, "TIFF"),
        "int16": lambda: layouts.signed_tiff((values * 30_000).astype(np.int16)),
        "float, 0..1": lambda: rgb_float(values),
        "float, 0..255": lambda: rgb_float(255 * values),
        "pfm": lambda: saved(Image.fromarray(values.astype(np.float32)), "PPM"),
    }
    content = made[kind]().getvalue()
    why = r"its pixels (have 32 bits|are signed numbers|are floating-point numbers), whose range is not known"
    with pytest.raises(Unfit, match=why):
        square(io.BytesIO(content), 16)
    for reader in (read, exact):
        with pytest.raises(Unfit, match=f"{why}; save it with 8 or 16 bits a channel"):
            reader(content)


@pytest.mark.parametrize("kind", ["PNG", "PPM", "TIFF"])
def test_numbers_with_a_range_are_read_in_full(kind: str) -> None:
    values = np.random.default_rng(0).integers(0, 2**16, (16, 16), np.uint16)
    content = saved(Image.fromarray(values), kind).getvalue()
    assert np.array_equal(exact(content).pixels, values)
    assert np.array_equal(read(content).pixels, (values / 257).round())


def test_a_ppm_states_the_range_and_more_than_8_bits_of_colour_are_not_reduced_in_silence() -> None:
    grey = b"P5 16 16 1023\n" + np.full((16, 16), 1023, ">u2").tobytes()
    assert (square(io.BytesIO(grey), 16) == 255).all()
    colour = b"P6 16 16 65535\n" + np.full((16, 16, 3), 65535, ">u2").tobytes()
    assert (square(io.BytesIO(colour), 16) == 255).all() and read(colour).reduced
    with pytest.raises(Unfit, match="it has 16 bits a channel, which are read only from PNG in grey or RGB"):
        exact(colour)


@pytest.mark.parametrize(("bits", "faint"), [(8, False), (12, True), (13, False), (16, False)])
def test_twelve_bits_in_sixteen_are_seen(bits: int, faint: bool) -> None:
    values = np.random.default_rng(0).integers(0, 2**bits, (64, 64), np.uint16 if bits > 8 else np.uint8)
    values[0, 0] = 2**bits - 1
    for content in (
        saved(Image.fromarray(values), "PNG").getvalue(),
        saved(Image.fromarray(values), "TIFF").getvalue(),
    ):
        assert read(content).faint == exact(content).faint == faint


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("kind", ODD_CHUNKS)
def test_a_png_keeps_its_pixels_whatever_is_beside_them(kind: str) -> None:
    for content in odd_png(kind):  # before the pixels, and behind them
        assert np.array_equal(square(io.BytesIO(content), 32), np.asarray(halves()))
        assert np.array_equal(exact(content).pixels, np.asarray(halves()))


def test_a_turned_png_with_a_large_profile_is_turned() -> None:
    entries = Image.Exif()
    entries[0x0112] = 6
    content = saved(halves().rotate(90, expand=True), "PNG", exif=entries).getvalue()
    profile = layouts.chunk(b"iCCP", b"icc\0\0" + zlib.compress(b"a" * 2_000_000))
    assert np.array_equal(exact(content[:33] + profile + content[33:]).pixels, np.asarray(halves()))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
@pytest.mark.parametrize("exif", [b"no exif at all", b"MM\0*\0\0\0\x08\xff\xff\1\x12", b"MM\0*\xff\xff\xff\xff", b"II"])
def test_bad_exif_costs_no_pixels(kind: str, exif: bytes) -> None:
    content = saved(halves(), kind, quality=95, exif=b"Exif\0\0" + exif).getvalue()
    assert sides(square(io.BytesIO(content), 16))[0] == pytest.approx(LEFT, abs=10)
    assert read(content).size == (32, 32)


def test_a_damaged_png_is_no_less_damaged_for_its_text() -> None:
    content = odd_png("long text")[0]
    with pytest.raises((OSError, SyntaxError, ValueError)):
        square(io.BytesIO(content[: len(content) // 2]), 16)


def test_every_usual_suffix_of_a_format_that_is_read_counts_as_an_image() -> None:
    usual = {suffix for suffix, kind in Image.registered_extensions().items() if kind in (*formats(), "MPO")}
    assert usual - SUFFIXES == {".ico"}
    assert {".jfif", ".jif", ".pjpeg", ".pgm", ".dib", ".j2k", ".heic"} <= SUFFIXES


def test_a_transparent_shade_of_sixteen_bits_is_laid_over_black() -> None:
    values = np.full((16, 16), 100 * 257, np.uint16)
    values[:8] = 1000
    found = square(saved(Image.fromarray(values), "PNG", transparency=1000), 16)
    assert (found[:6] == 0).all() and (found[10:] == 100).all()


def test_floating_point_and_foreign_formats_are_refused() -> None:
    with pytest.raises(Unfit, match="its pixels are floating-point numbers, whose range is not known"):
        square(saved(Image.fromarray(np.ones((16, 16), np.float32)), "TIFF"), 16)
    eps = saved(halves(), "EPS")
    for stream in (eps, io.BytesIO(b"no image"), io.BytesIO()):
        with pytest.raises(Unfit, match="it is no image, or of a format that is not read"):
            square(stream, 16)


def test_a_phones_heic_is_told_apart_from_what_is_no_image() -> None:
    for brand in (b"heic", b"mif1"):
        with pytest.raises(Unfit, match="it is a HEIC of a phone, which is not read; save it as JPEG or PNG"):
            square(io.BytesIO(b"\0\0\0\x18ftyp" + brand + b"\0" * 40), 16)


def test_a_file_is_read_by_its_content_not_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(saved(halves(), "JPEG", quality=95).getvalue())
    assert sides(square(tmp_path / "a.png", 16))[0] == pytest.approx(LEFT, abs=6)


@pytest.mark.parametrize(("kind", "part"), [("JPEG", 2), ("PNG", 2), ("GIF", 3), ("WEBP", 2), ("TIFF", 2), ("BMP", 2)])
def test_a_truncated_file_is_left_out_in_the_same_words_each_time(kind: str, part: int, tmp_path: Path) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    content = saved(noise, kind).getvalue()
    (tmp_path / "a.png").write_bytes(content[: len(content) // part])
    left = [picture(opened(str(tmp_path)), "a.png", 16) for _ in range(2)]
    assert isinstance(left[0], LeftOut) and left[0] == left[1] and "0x" not in left[0].why
    assert left[0].why.startswith(("it is damaged: ", "it is no image"))


def test_what_cannot_be_read_for_the_disks_sake_stops_the_packing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = opened(str(layouts.as_folder(tmp_path, layouts.images(["a.png"]))))
    assert isinstance(picture(source, "a.png", 16), Picture)

    def failing(name: str) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(source, "open", failing)
    with pytest.raises(StudyError, match=r"a\.png: Input/output error; run the same command again"):
        picture(source, "a.png", 16)


def test_large_images_are_decoded_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[bool] = []
    monkeypatch.setattr(images, "LARGE", 1000)
    monkeypatch.setattr(images, "_square", lambda opened, side: held.append(images._one_large.locked()))
    decoded(saved(halves((64, 64)), "PNG"), 8)
    decoded(saved(halves((30, 30)), "PNG"), 8)
    assert held == [True, False]


def test_the_old_names_are_still_there() -> None:
    assert folder_kind.square is square and ".png" in folder_kind.SUFFIXES and folder_kind.Folder is Folder
