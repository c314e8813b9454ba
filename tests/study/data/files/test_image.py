"""Every kind of image file that there is: what becomes of it, with pixel values; what is refused, in words."""

from __future__ import annotations

import io
from pathlib import Path

import layouts
import numpy as np
import pytest
from PIL import Image

from study.data.files import image as images
from study.data.files.image import MOST_PIXELS, Unfit, decoded, square
from study.data.files.source import LeftOut
from study.data.files.tree import opened
from study.data.packed import Picture
from study.data.sets import folder as folder_kind
from study.data.sets.folder import Folder
from study.data.sets.images import picture
from study.errors import StudyError

LEFT, RIGHT = (200, 100, 50), (40, 160, 220)


def halves(size: tuple[int, int] = (32, 32)) -> Image.Image:
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[:, : size[0] // 2], pixels[:, size[0] // 2 :] = LEFT, RIGHT
    return Image.fromarray(pixels)


def saved(picture: Image.Image, kind: str, **options: object) -> io.BytesIO:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    stream.seek(0)
    return stream


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
