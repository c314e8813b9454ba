"""Images and masks as `study score` reads them: in full depth, and refused where it could not be told what they hold.

Nothing is resized, turned to another depth or laid over a ground: a score is of the pixels that are in the files.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from study.data.files.image import FORMATS

Hole = NDArray[np.bool_]

LOSSY = ("JPEG", "JPEG2000")
"""Formats, in Pillow's names, in which a pixel that was left alone comes back a little changed."""

OPAQUE = {8: 255, 16: 65535}
GREY_16 = ("I", "I;16", "I;16B", "I;16L", "I;16N")
ORIENTATION = 0x0112  # of EXIF
TRANSPARENT = "it is transparent in part; save it without an alpha channel"
UNBOUNDED = "its pixels have 32 bits, whose range is not known; save it with 8 or 16 bits a channel"

COLOURED = 32
"""A mask whose channels differ by more, of 255, is drawn in colour; by less, it was saved as JPEG."""

NEARLY = 64
"""How far from its two colours, of 255, a pixel of a mask may be to be taken for one of them."""

BETWEEN = 0.02
"""What share of a mask may be further from both: the smoothed edge of a drawing."""

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR_TYPES = {2: 3, 6: 4}  # of PNG: RGB and RGBA, with so many channels


@dataclass(frozen=True)
class Picture:
    """An image as it is in its file. pixels: (H, W), if it is grey, or (H, W, 3); uint8 or uint16.

    lossy: its format changes pixels.
    """

    pixels: NDArray[Any]
    lossy: bool = False

    @property
    def depth(self) -> int:
        """Bits a channel."""
        return 8 * self.pixels.dtype.itemsize

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, px."""
        return self.pixels.shape[1], self.pixels.shape[0]

    @property
    def grey(self) -> bool:
        """Whether there is no colour in it, however it is stored."""
        return self.pixels.ndim == 2 or bool((self.pixels == self.pixels[..., :1]).all())

    def unit(self) -> NDArray[np.float32]:
        """(3, H, W) in 0..1."""
        colours = self.pixels if self.pixels.ndim == 3 else np.repeat(self.pixels[..., None], 3, axis=2)
        return np.ascontiguousarray((colours / np.float32(OPAQUE[self.depth])).transpose(2, 0, 1), dtype=np.float32)


def picture(content: bytes) -> Picture:
    """The image that a file holds. Raises ValueError with a sentence that says why it cannot be scored."""
    opened = _opened(content)
    if any(";16" in str(tile[3]) for tile in getattr(opened, "tile", ())) and opened.mode not in GREY_16:
        return _deep(opened, content)
    try:
        lossy = opened.format in LOSSY
        image = ImageOps.exif_transpose(opened)
        image.load()
    except Exception as error:  # whatever a damaged file makes the decoder raise
        raise ValueError(f"it cannot be read ({_said(error)})") from error
    return _plain(image, lossy)


def _deep(opened: Image.Image, content: bytes) -> Picture:
    """An image of 16 bits a channel that Pillow would decode at 8."""
    if opened.format != "PNG" or opened.mode not in ("RGB", "RGBA"):
        raise ValueError("it has 16 bits a channel, which are read from PNG alone, in grey or RGB; save it so")
    pixels = deep_png(content)
    if opened.getexif().get(ORIENTATION, 1) != 1:
        raise ValueError("it has 16 bits a channel and is to be turned by its EXIF entry; save it upright")
    if "transparency" in opened.info or (pixels.shape[2] == 4 and (pixels[..., 3] != OPAQUE[16]).any()):
        raise ValueError(TRANSPARENT)
    return Picture(np.ascontiguousarray(pixels[..., :3]))


def _plain(image: Image.Image, lossy: bool) -> Picture:
    """An image that Pillow has decoded in full."""
    if image.mode in GREY_16:
        values = np.asarray(image)
        if not 0 <= values.min() <= values.max() <= OPAQUE[16]:
            raise ValueError(UNBOUNDED)
        return Picture(values.astype(np.uint16), lossy)
    if image.mode == "F":
        raise ValueError(UNBOUNDED)
    if image.mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBA"):
        raise ValueError(f"its colours are {image.mode}; save it as RGB")
    has_alpha = image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info
    if has_alpha and (np.asarray(image.convert("RGBA"))[..., 3] < OPAQUE[8]).any():
        raise ValueError(TRANSPARENT)
    grey = image.mode in ("1", "L", "LA")
    return Picture(np.asarray(image.convert("L" if grey else "RGB"), np.uint8), lossy)


def mask(content: bytes, hole: str) -> tuple[Hole, str]:
    """The hole that a mask file shows, (H, W), true in it; and what had to be decided, if anything had.

    Args:
        hole: which colour is the hole, 'white' or 'black'.

    Raises:
        ValueError: it cannot be read, is drawn in colour or in shades, is empty or full; the sentence says which.
    """
    read = picture(content)
    values = read.pixels.astype(np.float64) * 255 / OPAQUE[read.depth]
    if values.ndim == 3:
        if np.ptp(values, axis=2).max() > COLOURED:
            raise ValueError("it is drawn in colour; a mask is black and white")
        values = values[..., 1]
    levels = np.unique(values)
    if len(levels) <= 2:
        white, note = values > (levels[0] if len(levels) == 2 else 0), ""
    else:
        low, high = float(levels[0]), float(levels[-1])
        apart = np.minimum(values - low, high - values) > NEARLY
        if apart.mean() > BETWEEN or high - low <= 2 * NEARLY:
            raise ValueError(f"it has {len(levels)} shades between its darkest and its lightest; a mask has two values")
        middle = (low + high) / 2
        white, note = values > middle, f"it has {len(levels)} values; what is above {middle:.0f} of 255 is white"
    found = white if hole == "white" else np.logical_not(white)
    other = "black" if hole == "white" else "white"
    if not found.any():
        raise ValueError(f"it is empty: nothing of it is {hole}; if the hole is {other}, say --hole {other}")
    if found.all():
        raise ValueError(f"it is full: all of it is {hole}, so that nothing is known to repair it from")
    return np.asarray(found, bool), note


def _opened(content: bytes) -> Image.Image:
    """An image whose header is read. Raises ValueError."""
    try:
        opened = Image.open(BytesIO(content), formats=FORMATS)
    except UnidentifiedImageError:
        raise ValueError("it is no image, whatever its name says, or of a format that is not read") from None
    except Exception as error:
        raise ValueError(f"it cannot be read ({_said(error)})") from error
    if (count := getattr(opened, "n_frames", 1)) > 1:
        raise ValueError(f"it holds {count} pictures; save the one that is meant")
    return opened


def _said(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


# -- PNG of 16 bits a channel --------------------------------------------------------------------------------


def deep_png(content: bytes) -> NDArray[np.uint16]:
    """A PNG of 16 bits a channel in colour, (H, W, 3) or (H, W, 4): PNG 1.2, sections 6 and 9.

    Raises:
        ValueError: it is damaged, or interlaced.
    """
    try:
        header, packed = _chunks(BytesIO(content))
        width, height, depth, kind, _, _, interlaced = struct.unpack(">IIBBBBB", header)
        channels = COLOUR_TYPES[kind]
        if interlaced or depth != 16:
            raise ValueError("it is interlaced; save it without, or with 8 bits a channel")
        rows = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, 1 + 2 * channels * width)
    except (struct.error, zlib.error, KeyError) as error:
        raise ValueError(f"it cannot be read ({_said(error)})") from error
    pixel, above = 2 * channels, np.zeros(rows.shape[1] - 1, np.uint8)
    found = np.empty((height, len(above)), np.uint8)
    for row, line in zip(found, rows, strict=True):
        row[:] = above = _unfiltered(int(line[0]), line[1:], above, pixel)
    return found.view(">u2").reshape(height, width, channels).astype(np.uint16)


def _chunks(stream: BinaryIO) -> tuple[bytes, bytes]:
    """The header's content, and that of all data chunks."""
    stream.seek(len(SIGNATURE))
    header, packed = b"", []
    while len(start := stream.read(8)) == 8:
        length, name = struct.unpack(">I4s", start)
        content = stream.read(length)
        stream.seek(4, 1)  # its checksum: zlib has its own of what counts
        header = content if name == b"IHDR" else header
        packed += [content] if name == b"IDAT" else []
    return header, b"".join(packed)


def _unfiltered(kind: int, line: NDArray[np.uint8], above: NDArray[np.uint8], pixel: int) -> NDArray[np.uint8]:
    """A line as it was before its filter (section 6), given the one above it; ``pixel``: bytes of one."""
    if kind == 0:
        return line
    if kind == 1:  # the sum of all before it, modulo 256
        sums = line.reshape(-1, pixel).astype(np.uint64).cumsum(axis=0)
        return np.asarray(sums & 255, np.uint8).reshape(-1)
    if kind == 2:
        return line + above
    if kind not in (3, 4):
        raise ValueError(f"it cannot be read (there is no filter {kind})")
    found = bytearray(len(line))
    for place, (value, up) in enumerate(zip(line.tolist(), above.tolist(), strict=True)):
        left = found[place - pixel] if place >= pixel else 0
        corner = int(above[place - pixel]) if kind == 4 and place >= pixel else 0
        found[place] = (value + ((left + up) // 2 if kind == 3 else _paeth(left, up, corner))) & 255
    return np.frombuffer(bytes(found), np.uint8)


def _paeth(left: int, up: int, corner: int) -> int:
    guess = left + up - corner
    return min((left, up, corner), key=lambda each: abs(guess - each))  # the first of equals
