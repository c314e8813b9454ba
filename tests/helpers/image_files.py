"""Image files of every odd kind."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable

import layouts
import numpy as np
from PIL import Image

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


LONG = zlib.compress(b"a" * 2_000_000)
ODD_CHUNKS = {
    "long text": [(b"zTXt", b"workflow\0\0" + LONG)],
    "long text of unicode": [(b"iTXt", b"workflow\0\1\0\0\0" + LONG)],
    "texts of 80 MB": [(b"tEXt", b"workflow\0" + b"a" * 900_000)] * 90,
    "damaged text": [(b"zTXt", b"workflow\0\0 no zlib")],
    "large profile": [(b"iCCP", b"icc\0\0" + LONG)],
    "damaged profile": [(b"iCCP", b"icc\0\0 no zlib")],
    "bad exif": [(b"eXIf", b"no exif at all")],
    "exif of another kind": [(b"eXIf", b"MM\0*\0\0\0\x08\xff\xff")],
    "wrong checksum": [(b"tEXt", b"a\0b")],
}
"""Chunks of a PNG beside its pixels, for which Pillow refuses the whole file."""


def odd_png(kind: str) -> tuple[bytes, bytes]:
    """A PNG with ``ODD_CHUNKS`` before its pixels, and one with them behind."""
    content = saved(halves(), "PNG").getvalue()
    made = b"".join(layouts.chunk(name, body) for name, body in ODD_CHUNKS[kind])
    if kind == "wrong checksum":
        made = made[:-4] + b"none"
    return content[:33] + made + content[33:], content[:-12] + made + content[-12:]


def noise(most: int, kind: type = np.uint8, shape: tuple[int, ...] = (32, 32)) -> Image.Image:
    return Image.fromarray((np.random.default_rng(0).random(shape) * most).astype(kind))


def file(image: Image.Image, kind: str = "PNG", **options: object) -> Callable[[], bytes]:
    return lambda: saved(image, kind, **options).getvalue()


def turned(exif: bytes | None = None) -> bytes:
    entries = Image.Exif()
    entries[0x0112] = 6
    lying = halves().rotate(90, expand=True)
    return saved(lying, "JPEG", quality=95, exif=b"Exif\0\0" + exif if exif else entries).getvalue()


IMAGES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "8 bits, RGB": ("1.png", file(halves())),
    "a JPEG named .png": ("1.png", file(halves(), "JPEG", quality=95)),
    **{
        f"`{suffix}`": (f"1{suffix}", file(halves(), kind))
        for suffix, kind in {
            ".jfif": "JPEG",
            ".JPE": "JPEG",
            ".webp": "WEBP",
            ".tif": "TIFF",
            ".pnm": "PPM",
            ".j2k": "JPEG2000",
            ".tga": "TGA",
            ".dib": "BMP",
        }.items()
    },
    "a suffix that is no image's (`.jpg_large`)": ("1.jpg_large", file(halves(), "JPEG", quality=95)),
    "grey": ("1.png", file(halves().convert("L"))),
    "palette": ("1.png", file(halves().convert("P"))),
    "CMYK": ("1.jpg", file(halves().convert("CMYK"), "JPEG", quality=95)),
    "transparent in part": ("1.png", file(noise(256, shape=(32, 32, 4)))),
    "16 bits, grey": ("1.png", file(noise(2**16, np.uint16))),
    "16 bits, RGB, PNG": ("1.png", lambda: layouts.deep_png(np.asarray(halves(), np.uint16) * np.uint16(257))),
    "16 bits, RGB, PPM": ("1.ppm", lambda: b"P6 32 32 65535\n" + np.full((32, 32, 3), 40_000, ">u2").tobytes()),
    "12 bits in a file of 16": ("1.png", file(noise(2**12, np.uint16))),
    "integers of 32 bits, as of 8": ("1.tif", file(noise(256, np.int32), "TIFF")),
    "signed integers of 16 bits": ("1.tif", lambda: layouts.signed_tiff(np.full((32, 32), 300, np.int16)).getvalue()),
    "floating point, 0..1": ("1.tif", file(noise(1, np.float32), "TIFF")),
    "floating point, 0..255": ("1.tif", file(noise(255, np.float32), "TIFF")),
    "EXIF orientation": ("1.jpg", turned),
    "damaged EXIF": ("1.jpg", lambda: turned(b"no exif at all")),
    **{
        f"PNG: {kind}": ("1.png", lambda kind=kind: odd_png(kind)[0])
        for kind in ODD_CHUNKS
        if kind not in ("texts of 80 MB", "exif of another kind")
    },
    "several frames": ("1.gif", file(halves(), "GIF", save_all=True, append_images=[noise(256)])),
    "cut off": ("1.png", lambda: saved(noise(256), "PNG").getvalue()[:600]),
    "a HEIC of a phone": ("1.heic", lambda: b"\0\0\0\x18ftypheic" + bytes(40)),
    "no image": ("1.png", lambda: b"no image"),
    "short side under 8 px": ("1.png", file(noise(256, shape=(7, 32)))),
    "over 178,956,970 pixels": ("1.png", lambda: layouts.png((20_000, 10_000), 8, 2, b"")),
}
"""A file's name and content, by what it is."""
