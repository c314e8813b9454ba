"""One image file into one square of pixels, whatever kind of file it is; or a sentence that says why not."""

import threading
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

Pixels = NDArray[np.uint8]

SUFFIXES = {
    *(".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm"),
    *(".jp2", ".tga", ".avif", ".heic", ".heif"),
}
"""The names that are taken for images. What a file holds is found from its content, so a JPEG named .png is read."""

Image.init()
_READ = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "DIB", "PPM", "JPEG2000", "AVIF", "TGA", "PCX", "ICO")
FORMATS = tuple(name for name in _READ if name in Image.OPEN)
"""What is decoded, in Pillow's names, as far as it has them. Not EPS and the like, which it hands to other programs."""

MOST_PIXELS = 178_956_970
"""Larger images are left out, by what their headers say and before a pixel is decoded: Pillow's bound, 2 GiB / 12."""

LEAST_SIDE = 8
"""An image whose short side is of fewer pixels is no photograph but a speck or a line, and left out."""

LARGE = 25_000_000
"""Images of more pixels are decoded one at a time, so that several threads need little more memory than one."""

_one_large = threading.Lock()
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # of half of MOST_PIXELS; those are read


class Unfit(ValueError):
    """An image that cannot be used; the sentence says why."""


class Decoded(NamedTuple):
    """The central square of an image, (side, side, 3), and the image's own width and height in pixels."""

    pixels: Pixels
    size: tuple[int, int]


def square(file: Path | BinaryIO, side: int) -> Pixels:
    """An image's central square, (side, side, 3): upright by its EXIF entry, transparency over black.

    Raises:
        Unfit: it is too large or too small, of no known format, or of pixels without a known range.
        OSError and others: whatever Pillow raises of an image that it cannot read.
    """
    return decoded(file, side).pixels


def decoded(file: Path | BinaryIO, side: int) -> Decoded:
    """The same with the image's own size. Raises as `square` does."""
    try:
        opened = Image.open(file, formats=FORMATS)
    except UnidentifiedImageError:
        raise Unfit("it is no image, or of a format that is not read") from None
    except Image.DecompressionBombError:
        raise Unfit(f"it has more than {MOST_PIXELS:,} pixels, the most that are decoded") from None
    with opened:
        size = opened.size
        if min(size) < LEAST_SIDE:
            raise Unfit(f"it is {size[0]} x {size[1]} px; the short side of an image has {LEAST_SIDE} px at least")
        opened.draft("RGB", (2 * side, 2 * side))  # a JPEG is decoded at a reduced size, never under twice the side
        with _one_large if opened.width * opened.height > LARGE else nullcontext():
            return Decoded(_square(opened, side), size)


def _square(opened: Image.Image, side: int) -> Pixels:
    image = eight_bits(ImageOps.exif_transpose(opened))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image)
    image = ImageOps.fit(image.convert("RGB"), (side, side), Image.Resampling.LANCZOS)
    return np.asarray(image, dtype=np.uint8)


def eight_bits(image: Image.Image) -> Image.Image:
    """An image of 16 bits a pixel, which Pillow would cut off at 255, scaled to 8; any other as it is.

    Raises Unfit where its pixels have 32 bits.
    """
    if image.mode == "F":
        raise Unfit("its pixels are floating-point numbers, whose range is not known")
    if not image.mode.startswith("I"):
        return image
    values = np.asarray(image, np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise Unfit("its pixels have 32 bits, whose range is not known")
    grey = Image.fromarray((values / 257).round().astype(np.uint8))
    if (clear := image.info.get("transparency")) is not None:  # a shade that is transparent
        grey.putalpha(Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))
    return grey
