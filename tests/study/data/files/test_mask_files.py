"""One mask file of each odd kind: a study's masks, `score` and `inpaint` all see the same hole, or refuse it alike."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import layouts
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from models.masks import Files
from study.data import holes
from study.data.files.masks import SSIM_EDGE, read_hole
from study.errors import BadInput
from study.external import score
from study.external.pairs import Findings
from study.metrics.structure import WINDOW
from study.use import inpaint

SIDE = 64
Hole = NDArray[np.bool_]


def hole() -> Hole:
    """A hole off the blocks of JPEG, in no corner and not symmetric, so that a turn shows."""
    found = np.zeros((SIDE, SIDE), bool)
    found[10:37, 14:51] = True
    found[37:50, 14:23] = True
    return found


def shades(inside: int = 255, outside: int = 0) -> NDArray[np.uint8]:
    return np.where(hole(), inside, outside).astype(np.uint8)


def saved(image: Image.Image | NDArray[np.generic], kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(stream, kind, **options)
    return stream.getvalue()


def antialiased() -> bytes:
    large = Image.fromarray(shades()).resize((8 * SIDE, 8 * SIDE), Image.Resampling.NEAREST)
    moved = Image.new("L", large.size)
    moved.paste(large, (2, 2))  # so that the edges lie within pixels
    return saved(moved.resize((SIDE, SIDE), Image.Resampling.BOX))


def layer(ground: tuple[int, int, int] = (0, 0, 0), paint: int = 255) -> bytes:
    """White paint on nothing, as drawing programs save a layer."""
    pixels = np.zeros((SIDE, SIDE, 4), np.uint8)
    pixels[..., :3] = ground
    pixels[hole()] = (paint, paint, paint, 255)
    return saved(pixels)


def palette(**options: object) -> bytes:
    image = Image.fromarray(hole().astype(np.uint8), "P")
    image.putpalette([0, 0, 0, 255, 255, 255])
    return saved(image, **options)


def colour_of_16_bits(inside: int = 65535) -> bytes:
    return layouts.deep_png(np.repeat(np.where(hole(), inside, 0)[..., None], 3, axis=2))


def tinted(red: int, green: int, blue: int) -> bytes:
    return saved(np.where(hole()[..., None], np.array([red, green, blue]), 0).astype(np.uint8))


def strokes() -> bytes:
    """Antialiased strokes, 5 px wide, over a quarter of the image."""
    large = Image.new("L", (8 * SIDE, 8 * SIDE))
    for x in range(100, 440, 120):
        ImageDraw.Draw(large).line((x, 60, x + 40, 450), fill=255, width=40)
    return saved(large.resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(np.rot90(shades()), exif=exif)


def several() -> bytes:
    other = Image.fromarray(shades(0, 255))
    return saved(shades(), "TIFF", save_all=True, append_images=[other])


READ: dict[str, Callable[[], bytes]] = {
    "antialiased": antialiased,
    "jpeg": lambda: saved(shades(), "JPEG", quality=90),
    "jpeg in colour": lambda: saved(Image.fromarray(shades()).convert("RGB"), "JPEG", quality=80),
    "jpeg in cmyk": lambda: saved(Image.fromarray(shades()).convert("CMYK"), "JPEG", quality=95),
    "alpha": layer,
    "alpha over hidden colours": lambda: layer((200, 30, 90)),
    "alpha, opaque": lambda: saved(Image.fromarray(shades()).convert("RGBA")),
    "palette": palette,
    "palette with a transparent ground": lambda: palette(transparency=0),
    "palette as gif": lambda: saved(Image.fromarray(shades()), "GIF"),
    "16 bits": lambda: saved(shades().astype(np.uint16) * 257),
    "16 bits, 0 and 1": lambda: saved(hole().astype(np.uint16)),
    "16 bits in colour": colour_of_16_bits,
    "16 bits in colour, 0 and 1": lambda: colour_of_16_bits(1),
    "32 bits, 0 and 255": lambda: saved(shades().astype(np.int32), "TIFF"),
    "tinted": lambda: tinted(255, 250, 235),
    "colours that are grey": lambda: tinted(255, 255, 255),
    "0 and 1": lambda: saved(hole().astype(np.uint8)),
    "100 and 140": lambda: saved(shades(140, 100)),
    "one bit": lambda: saved(hole()),
    "a speck": lambda: saved(np.where(np.arange(SIDE**2).reshape(SIDE, SIDE) == 5, 7, shades()).astype(np.uint8)),
    "turned by EXIF": turned,
}

REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "in colour": (lambda: tinted(255, 0, 0), "it is drawn in colour; a mask is black and white"),
    "a gradient": (
        lambda: saved(np.tile(np.arange(SIDE, dtype=np.uint8) * 4, (SIDE, 1))),
        "it has 64 shades between its darkest and its lightest; a mask has two values",
    ),
    "pale noise": (
        lambda: saved(np.random.default_rng(0).integers(100, 140, (SIDE, SIDE)).astype(np.uint8)),
        "it has 40 shades between its darkest and its lightest; a mask has two values",
    ),
    "several pictures": (several, "it holds 2 pictures; save only the one you mean"),
    "floating point": (
        lambda: saved(hole().astype(np.float32), "TIFF"),
        "its pixels are floating-point numbers, whose range is not known; save it with 8 or 16 bits a channel",
    ),
    "32 bits": (
        lambda: saved(shades().astype(np.int32) * 2**16, "TIFF"),
        "its pixels have 32 bits, whose range is not known; save it with 8 or 16 bits a channel",
    ),
    "another size": (
        lambda: saved(Image.new("L", (48, 32))),
        "it is 48 x 32 px, its image 64 x 64 px; a mask has its image's size",
    ),
    "empty": (
        lambda: saved(Image.new("L", (SIDE, SIDE))),
        "it is empty: no pixel of it is white; if the hole is black, set the option 'hole' to black",
    ),
    "nothing painted": (
        lambda: saved(Image.new("RGBA", (SIDE, SIDE), (255, 255, 255, 0))),
        "it is empty: no pixel of it is white; if the hole is black, set the option 'hole' to black",
    ),
    "full": (
        lambda: saved(Image.new("L", (SIDE, SIDE), 255)),
        "it is full: all of it is white, which leaves no known pixels",
    ),
    "no image": (lambda: b"no image", "it is no image, or of a format that is not read"),
}


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
    read = score._holes(score.Request(file.parent, mask=mask), colour, [file.stem], Findings())
    assert read is not None
    return read(file.stem, (SIDE, SIDE))[0]


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
    for kind in ("palette", "16 bits", "0 and 1", "100 and 140", "one bit", "alpha", "tinted", "colours that are grey"):
        assert read_hole(READ[kind](), "white", (SIDE, SIDE))[1] == "", kind


def test_the_border_that_is_checked_is_that_of_the_metric() -> None:
    assert WINDOW // 2 == SSIM_EDGE
