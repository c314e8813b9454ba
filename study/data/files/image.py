"""Image files: the one place that decides how a file becomes pixels, or says in a sentence why it cannot.

The format is taken from the content, not from the name, and an image is turned upright by its EXIF orientation.
The rest depends on what the pixels are for:

- ``square``, for data sets, gives one square of RGB: 8 bits, CMYK converted, transparency over black, the first frame.
- ``read``, for ``study inpaint``, keeps grey, transparency and colour profile, and records what it converted.
- ``exact``, for ``study score``, keeps 16 bits a channel, and refuses each file whose pixels it would have to change.
"""

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, ImageOps, UnidentifiedImageError

Pixels = NDArray[np.uint8]
Decoded = TypeVar("Decoded")

SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".jfi", ".jif", ".pjpeg", ".pjp", ".mpo"),
    *(".png", ".apng", ".webp", ".gif", ".tif", ".tiff", ".bmp", ".dib"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"),
    *(".tga", ".icb", ".vda", ".vst", ".pcx", ".avif", ".avifs", ".heic", ".heif"),
}
"""File names that count as images. The content decides how a file is read, so a JPEG named .png works.

Icons (.ico) are read where they are named, but no data set takes them: they are no photographs.
"""

_READ = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "DIB", "PPM", "JPEG2000", "AVIF", "TGA", "PCX", "ICO")
LOSSY = ("JPEG", "MPO", "JPEG2000")  # formats that change pixels which a method left alone
STATED = ("PNG", "PPM", "JPEG2000")  # formats whose header states the range of what Pillow reads as 32 bits
MOST_PIXELS = 178_956_970  # Pillow's own limit, 2 GiB / 12; larger images are refused by their header
LEAST_SIDE = 8  # px. An image with a shorter side is not a photograph, and a data set leaves it out
LARGE = 25_000_000  # images with more pixels are decoded one at a time, so that threads need little more memory
OPAQUE = {8: 255, 16: 65535}  # the largest value, by bits a channel
PLAIN = ("1", "L", "LA", "P", "PA", "RGB", "RGBA")  # modes that become grey or RGB without a change of colours
FAINT = 1 / 16  # of the range. An image that stays below it may hold 12 bits in a file of 16
PNG = b"\x89PNG\r\n\x1a\n"  # how such a file begins
HEIC = [b"ftyp" + brand for brand in (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")]
TEXTS = (b"tEXt", b"zTXt", b"iTXt")  # chunks of a PNG; the file may be read without them
PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"acTL", b"fcTL", b"fdAT", b"IEND")  # chunks that decide its pixels

_one_large = threading.Lock()
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # Pillow warns from half of MOST_PIXELS
warnings.filterwarnings("ignore", message="Corrupt EXIF data")  # the image is read as it is stored


@cache
def formats() -> tuple[str, ...]:
    """Formats that are decoded, in Pillow's names. EPS and the like are not: Pillow hands them to other programs."""
    Image.init()
    return tuple(name for name in _READ if name in Image.OPEN)


class Unfit(ValueError):
    """An image that cannot be used; the sentence says why."""


class UnknownRange(Unfit):
    """An image of 32 bits a pixel, signed numbers or floating-point numbers: nothing says which value is white."""


def square(file: Path | BinaryIO, side: int) -> Pixels:
    """The central square of an image, (side, side, 3). Raises as ``decoded`` does."""
    return decoded(file, side)[0]


def decoded(file: Path | BinaryIO, side: int) -> tuple[Pixels, tuple[int, int]]:
    """The central square of an image, (side, side, 3), and the image's own width and height in pixels.

    Raises:
        Unfit: the image is too large or too small, its format is not known, or the range of its pixels is not known.
        OSError and others: whatever Pillow raises for a file that it cannot decode.
    """
    return _tolerant(file, partial(_decoded, side=side))


def _decoded(file: Path | BinaryIO, side: int) -> tuple[Pixels, tuple[int, int]]:
    with _opened(file) as opened:
        size = opened.size
        if min(size) < LEAST_SIDE:
            raise Unfit(f"it is {size[0]} x {size[1]} px; the short side of an image has {LEAST_SIDE} px at least")
        opened.draft("RGB", (2 * side, 2 * side))  # decodes a JPEG at a reduced size, at least twice the side
        with _one_large if opened.width * opened.height > LARGE else nullcontext():
            return _square(opened, side), size


def _square(opened: ImageFile.ImageFile, side: int) -> Pixels:
    _check_range(opened)
    image = _eight_bits(_upright(opened))
    if image.mode in ("LA", "RGBA"):
        image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image.convert("RGBA"))
    image = ImageOps.fit(image.convert("RGB"), (side, side), Image.Resampling.LANCZOS)
    return np.asarray(image, dtype=np.uint8)


@dataclass(frozen=True)
class Raster:
    """A decoded image, upright, and what reading it changed.

    pixels: (H, W) for grey, (H, W, 3) for RGB; uint8, or uint16 for 16 bits a channel.
    alpha: (H, W), of the same type; None where the file has no transparency.
    profile: the ICC colour profile. frames: how many pictures the file holds; this is the first.
    converted: the colour mode, in Pillow's names, that became RGB; empty where none did.
    reduced: True if 16 bits a channel became 8. lossy: True if the format changes pixels.
    orientation: the EXIF orientation that it had; 1 where it was upright.
    """

    pixels: NDArray[Any]
    alpha: NDArray[Any] | None = None
    profile: bytes | None = None
    frames: int = 1
    converted: str = ""
    reduced: bool = False
    lossy: bool = False
    orientation: int = 1

    @property
    def depth(self) -> int:
        """Bits a channel."""
        return 8 * self.pixels.dtype.itemsize

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, px."""
        return self.pixels.shape[1], self.pixels.shape[0]

    @property
    def faint(self) -> bool:
        """True if a file of 16 bits a channel uses less than a sixteenth of the range, as 12 bits do."""
        deep = self.depth > 8 or self.reduced
        return deep and bool(self.pixels.max() <= round(FAINT * OPAQUE[self.depth]))

    @property
    def grey(self) -> bool:
        """True if no pixel has a colour, however the image is stored."""
        return self.pixels.ndim == 2 or bool((self.pixels == self.pixels[..., :1]).all())

    def unit(self) -> NDArray[np.float32]:
        """(3, H, W) in 0..1."""
        colours = self.pixels if self.pixels.ndim == 3 else np.repeat(self.pixels[..., None], 3, axis=2)
        return np.ascontiguousarray((colours / np.float32(OPAQUE[self.depth])).transpose(2, 0, 1), dtype=np.float32)


def read(content: bytes, *, full: bool = False, any_range: bool = False) -> Raster:
    """The image in a file.

    Args:
        content: the file's bytes.
        full: keep 16 bits a channel where possible: in grey images, and in PNG. Otherwise they become 8.
        any_range: also read integers of an unknown range, as long as they fit in 16 bits. For masks, which have two
            values, whichever they are.

    Raises:
        Unfit: the file is damaged, its format is not known, or the range of its pixels is not known.
    """
    with _in_words():
        return _tolerant(BytesIO(content), partial(_read, full=full, any_range=any_range))


def _read(content: BytesIO, full: bool, any_range: bool) -> Raster:
    with _opened(content) as opened:
        frames = getattr(opened, "n_frames", 1)
        deep = _is_deep(opened)
        lossy = opened.format in LOSSY
        colour_png = opened.format == "PNG" and opened.mode in ("RGB", "RGBA")
        if not any_range:
            _check_range(opened)
        image, orientation = _upright(opened), _orientation(opened)
        profile = image.info.get("icc_profile")
        if full and deep and (colour_png or image.mode.startswith("I")):
            pixels, alpha = _sixteen_bits(image, content.getvalue())
            return Raster(pixels, alpha, profile, frames, lossy=lossy, orientation=orientation)
        shown = _eight_bits(image)
    converted = "" if image.mode in PLAIN or image.mode.startswith("I") else image.mode
    values = np.array(shown.convert(shown.mode.removesuffix("A")))
    alpha = np.array(shown.getchannel("A")) if shown.mode.endswith("A") else None
    # a profile describes the colours before the conversion
    profile = None if converted else profile
    return Raster(values, alpha, profile, frames, converted, reduced=deep, lossy=lossy, orientation=orientation)


def stored_size(content: bytes) -> tuple[int, int]:
    """Width and height of the image in a file, px, from its header: before EXIF turns it. Raises Unfit."""
    with _in_words():
        return _tolerant(BytesIO(content), lambda file: _opened(file).size)


@contextmanager
def _in_words() -> Iterator[None]:
    """Whatever a decoder raises becomes Unfit with a sentence."""
    try:
        yield
    except UnknownRange as fault:
        raise Unfit(f"{fault}; save it with 8 or 16 bits a channel") from fault
    except Unfit:
        raise
    except Exception as error:  # a damaged file can make the decoder raise anything
        raise Unfit(f"it cannot be read ({' '.join(str(error).split()) or type(error).__name__})") from error


def exact(content: bytes) -> Raster:
    """The image in a file, with every pixel as it is stored, and no transparency.

    Raises:
        Unfit: as ``read`` does, or the image has transparency, several frames, colours other than grey or RGB, or 16
            bits a channel in a format that cannot be read in full.
    """
    image = read(content, full=True)
    if image.frames > 1:
        raise Unfit(f"it holds {image.frames} pictures; save only the one you mean")
    if image.reduced:
        raise Unfit("it has 16 bits a channel, which are read only from PNG in grey or RGB; save it as that")
    if image.converted:
        raise Unfit(f"its colours are {image.converted}; save it as RGB")
    if image.alpha is not None and (image.alpha < OPAQUE[image.depth]).any():
        raise Unfit("it is transparent in part; save it without an alpha channel")
    return replace(image, alpha=None)


def _opened(file: Path | BinaryIO) -> ImageFile.ImageFile:
    """An image whose header is read. Raises Unfit."""
    try:
        return Image.open(file, formats=formats())
    except UnidentifiedImageError:
        if _start(file)[4:12] in HEIC:
            raise Unfit("it is a HEIC of a phone, which is not read; save it as JPEG or PNG") from None
        raise Unfit("it is no image, or of a format that is not read") from None
    except Image.DecompressionBombError:
        raise Unfit(f"it has more than {MOST_PIXELS:,} pixels, the most that are decoded") from None


def _upright(opened: ImageFile.ImageFile) -> Image.Image:
    """The image turned by its EXIF orientation; as it is stored where its EXIF data are damaged."""
    opened.load()
    try:
        return ImageOps.exif_transpose(opened)
    except Exception:  # Pillow raises SyntaxError, struct.error and others
        return opened.copy()


def _orientation(opened: ImageFile.ImageFile) -> int:
    """The EXIF orientation, 1 to 8; 1 where there is none that can be read."""
    try:
        turn: Any = opened.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # as in ``_upright``
        return 1
    return turn if turn in range(1, 9) else 1


def _is_deep(opened: ImageFile.ImageFile) -> bool:
    """True if the file has more than 8 bits a channel."""
    layouts = [tile[3] for tile in opened.tile]
    if opened.format == "PPM" and opened.mode == "RGB":  # ('RGB', its greatest value)
        return any(isinstance(layout, tuple) and layout[-1] > OPAQUE[8] for layout in layouts)
    return opened.mode.startswith("I") or any(";16" in str(layout) for layout in layouts)


def _check_range(opened: ImageFile.ImageFile) -> None:
    """Raises UnknownRange if nothing says which value of a pixel is white."""
    if opened.mode == "I" and opened.format not in STATED:
        what = "are signed numbers" if any(";16" in str(tile[3]) for tile in opened.tile) else "have 32 bits"
        raise UnknownRange(f"its pixels {what}, whose range is not known")


def _tolerant(file: Path | BinaryIO, decode: Callable[[Any], Decoded]) -> Decoded:
    """What ``decode`` makes of a file, or of its content without what is beside the pixels, if that alone is bad."""
    try:
        return decode(file)
    except Exception:  # a damaged file can make the decoder raise anything
        for simpler in _simpler(file):
            with suppress(Exception):
                return decode(BytesIO(simpler))
        raise


def _simpler(file: Path | BinaryIO) -> Iterator[bytes]:
    """A PNG's content without its texts, then without its profile, then with its pixels alone. Nothing for other files.

    Pillow refuses the whole file if a text is long or a chunk beside the pixels is damaged.
    """
    try:
        content = file.read_bytes() if isinstance(file, Path) else (file.seek(0), file.read())[1]
    except (OSError, ValueError):
        return
    if content.startswith(PNG):
        yield _chunks(content, lambda name: name not in TEXTS)
        yield _chunks(content, lambda name: name not in (*TEXTS, b"iCCP"))
        yield _chunks(content, lambda name: name in PIXELS)


def _chunks(content: bytes, kept: Callable[[bytes], bool]) -> bytes:
    """A PNG with some of its chunks: their length, name, data and checksum."""
    chosen, start = [PNG], len(PNG)
    while start < len(content):
        end = start + 12 + int.from_bytes(content[start : start + 4], "big")
        if kept(content[start + 4 : start + 8]):
            chosen.append(content[start:end])
        start = end
    return b"".join(chosen)


def _start(file: Path | BinaryIO) -> bytes:
    """The first bytes of a file."""
    with file.open("rb") if isinstance(file, Path) else nullcontext(file) as stream:
        stream.seek(0)
        return stream.read(16)


def _eight_bits(image: Image.Image) -> Image.Image:
    """The image as L, LA, RGB or RGBA. 16 bits a pixel are scaled to 8; Pillow would clip them at 255. Raises Unfit."""
    if image.mode == "F":
        raise UnknownRange("its pixels are floating-point numbers, whose range is not known")
    if image.mode.startswith("I"):
        values, clear = _in_range(image), image.info.get("transparency")
        image = Image.fromarray((values / 257).round().astype(np.uint8))
        if clear is not None:  # one shade that is transparent
            image.putalpha(Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))
    mode = "L" if image.mode in ("1", "L", "LA", "La") else "RGB"
    if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        mode += "A"
    return image if image.mode == mode else image.convert(mode)


def _in_range(image: Image.Image) -> NDArray[np.uint16]:
    """The values of a grey image with more than 8 bits a pixel. Raises Unfit where they do not fit in 16."""
    values = np.asarray(image, np.int64)
    if values.min() < 0 or values.max() > OPAQUE[16]:
        raise UnknownRange("its pixels have 32 bits, whose range is not known")
    return values.astype(np.uint16)


def _sixteen_bits(image: Image.Image, content: bytes) -> tuple[NDArray[np.uint16], NDArray[np.uint16] | None]:
    """Pixels and alpha of a grey image, or of a PNG in colour, with 16 bits a channel.

    Pillow keeps the high byte of each colour only. (imageio and scikit-image read through Pillow.) A PNG holds the high
    byte first; told the opposite order, Pillow keeps the low byte.
    """
    if image.mode.startswith("I"):
        values = _in_range(image)
    else:
        with Image.open(BytesIO(content), formats=("PNG",)) as opened:
            codec, extents, offset, order = opened.tile[0]
            opened.tile = [(codec, extents, offset, str(order).replace(";16B", ";16L"))]  # type: ignore[list-item]
            low = np.asarray(_upright(opened), np.uint16)
        values = np.asarray(image, np.uint16) * np.uint16(256) + low
    clear = image.info.get("transparency")
    if values.ndim == 3 and values.shape[2] == 4:
        return np.ascontiguousarray(values[..., :3]), np.ascontiguousarray(values[..., 3])
    if clear is None:
        return values, None
    same = values == np.asarray(clear)
    return values, np.where(same.all(axis=2) if same.ndim == 3 else same, 0, OPAQUE[16]).astype(np.uint16)
