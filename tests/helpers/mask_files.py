"""Mask files of every odd kind: those that are read, all with one hole, and those that are refused."""

from __future__ import annotations

import io
from collections.abc import Callable

import layouts
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

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


def soft_layer() -> bytes:
    """Black paint on nothing, with edges that are transparent by half."""
    pixels = np.zeros((SIDE, SIDE, 4), np.uint8)
    with Image.open(io.BytesIO(antialiased())) as opened:
        pixels[..., 3] = np.asarray(opened)
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
    "antialiased edges": antialiased,
    "JPEG": lambda: saved(shades(), "JPEG", quality=90),
    "JPEG in colour": lambda: saved(Image.fromarray(shades()).convert("RGB"), "JPEG", quality=80),
    "JPEG in CMYK": lambda: saved(Image.fromarray(shades()).convert("CMYK"), "JPEG", quality=95),
    "white paint on a clear layer": layer,
    "white paint on a clear layer of other colours": lambda: layer((200, 30, 90)),
    "black paint on a clear layer": lambda: layer(paint=0),
    "white paint on a clear layer, all of it white": lambda: layer((255, 255, 255)),
    "black paint with soft edges on a clear layer": soft_layer,
    "grey, the shape in the alpha channel alone": lambda: saved(
        Image.merge("LA", [Image.new("L", (SIDE, SIDE)), Image.fromarray(shades())])
    ),
    "an alpha channel, all opaque": lambda: saved(Image.fromarray(shades()).convert("RGBA")),
    "palette of two colours": palette,
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
        "it has 64 shades between its darkest and its lightest, 50% of it near their middle (10% may be); "
        "a mask has two values",
    ),
    "pale noise": (
        lambda: saved(np.random.default_rng(0).integers(100, 140, (SIDE, SIDE)).astype(np.uint8)),
        "it has 40 shades between its darkest and its lightest, 49% of it near their middle (10% may be); "
        "a mask has two values",
    ),
    "little contrast": (
        lambda: saved(np.where(np.arange(SIDE**2).reshape(SIDE, SIDE) == 5, 120, shades(200, 110)).astype(np.uint8)),
        "it has 3 shades between its darkest and its lightest, which are 90 of 255 apart (128 at least); "
        "a mask has two values",
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
        "it is 48 x 32 px, its image 64 x 64 px; a mask has its image's size; to resize masks, set the option 'resize' "
        "to nearest",
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
