"""Mask files: the one rule by which a study's masks, ``study score`` and ``study inpaint`` read them.

A mask is black and white, and an option says which of the two is the hole. Files come in many kinds:

- Two values, whichever they are: the lighter is white. 0 and 1 will do, in any depth, also as a palette.
- More than two values, as JPEG and antialiased edges leave them: what is lighter than the middle between the darkest
  and the lightest value is white. A note says so, because a shifted edge is hard to see. More than ``BETWEEN`` of the
  pixels near the middle, or little contrast, is a photograph or a gradient; no threshold is right for it, so it is
  refused.
- A mask with an alpha channel is read as it is seen, and what is transparent is known. Drawing programs save the
  painted hole as a layer, and what is not painted is no hole. Where the paint has the colour that is not the hole's,
  the shape is in the alpha channel alone, and what is painted is the hole, with a note.
- A slight tint, as from JPEG or a scanner, is grey. Real colours are refused: they may mean several holes, or a
  visualization.
- Several pictures in one file are refused: nothing says which of them is meant.
- CMYK is converted, and the EXIF orientation turns the mask as it turns its image. A mask that has none, and the
  stored shape of an image that EXIF turns by 90 degrees, is turned with it, with a note.
- Another size is refused before anything is decoded, or resized to the nearest neighbour if the options say so.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from study.data.files.image import LARGE, OPAQUE, Raster, Unfit, read, stored_size

Hole = NDArray[np.bool_]

TINT = 32  # channels that differ by more, of 255, are a colour
CONTRAST = 128  # the least difference, of 255, between the darkest and the lightest of more than two values
# The largest share of pixels in the middle half between darkest and lightest. Antialiased strokes 5 px wide that cover
# a quarter of an image have 0.05; a photograph or a gradient has about 0.5.
BETWEEN = 0.1
SSIM_EDGE = 5  # px that half a window of SSIM reaches beyond its centre
MOST_USUAL = 0.5  # where more of an image is hole, the mask may be the other way round

PAINTED = "its shape is in its alpha channel alone: what is painted is the hole, whatever its colour"


def read_hole(
    content: bytes, hole: str, size: tuple[int, int], *, resize: str | None = None, orientation: int = 1
) -> tuple[Hole, str]:
    """The hole that a mask file shows, and a note on what had to be decided; empty if nothing had.

    Args:
        content: the file's bytes.
        hole: which of the two values is the hole, 'white' or 'black'.
        size: width and height of the image, px.
        resize: 'nearest' takes a mask of another size, resized to the nearest neighbour.
        orientation: the EXIF orientation by which the image was turned.

    Returns:
        (H, W), True in the hole.

    Raises:
        Unfit: the file is not a mask of this size, or has no hole or nothing but hole; the sentence says which.
    """
    stored = stored_size(content)
    if sorted(stored) != sorted(size):  # EXIF may turn it
        if resize is None:
            raise Unfit(_other_size(stored, size))
        if stored[0] * stored[1] > LARGE:
            raise Unfit(f"it has {stored[0] * stored[1]:,} pixels; a mask that is resized may have {LARGE:,} at most")
    image = read(content, full=True, any_range=True)
    if image.frames > 1:
        raise Unfit(f"it holds {image.frames} pictures; save only the one you mean")
    found, notes = _hole(image, hole)
    if orientation != 1 and image.orientation == 1:
        found, note = _turned(found, size, orientation)
        notes.append(note)
    if (width_height := found.shape[::-1]) != size:
        if resize is None:
            raise Unfit(_other_size(width_height, size))
        notes.append(f"it is resized from {width_height[0]} x {width_height[1]} px to the nearest neighbour")
        found = _nearest(found, size)
    return found, "; ".join(notes)


def _other_size(mask: tuple[int, ...], image: tuple[int, int]) -> str:
    sizes = f"it is {mask[0]} x {mask[1]} px, its image {image[0]} x {image[1]} px"
    return f"{sizes}; a mask has its image's size; to resize masks, set the option 'resize' to nearest"


def _hole(image: Raster, hole: str) -> tuple[Hole, list[str]]:
    """The hole of a decoded mask, with notes. Raises Unfit."""
    values, top, notes = image.pixels, OPAQUE[image.depth], []
    alpha = None if image.alpha is None else image.alpha / top
    if values.ndim == 3:
        spread = np.ptp(values, axis=2) * (1 if alpha is None else alpha)
        if spread.max() > TINT / 255 * top:
            raise Unfit("it is drawn in colour; a mask is black and white")
        values = values[..., 1]
    if alpha is not None:  # on a ground that is not the hole
        values = values * alpha + (0 if hole == "white" else top) * (1 - alpha)
        if values.min() == values.max() and alpha.min() < alpha.max():
            values, notes = (alpha if hole == "white" else 1 - alpha) * top, [PAINTED]
    levels = np.unique(values)
    low, high = float(levels[0]), float(levels[-1])
    middle = (low + high) / 2 if low < high else 0.0
    if len(levels) > 2:
        shades = f"it has {len(levels)} shades between its darkest and its lightest"
        if (between := float((np.abs(values - middle) < (high - low) / 4).mean())) > BETWEEN:
            raise Unfit(
                f"{shades}, {between:.0%} of it near their middle ({BETWEEN:.0%} may be); a mask has two values"
            )
        if (contrast := (high - low) * 255 / top) < CONTRAST:
            raise Unfit(f"{shades}, which are {contrast:.0f} of 255 apart ({CONTRAST} at least); a mask has two values")
        notes.append(f"it has {len(levels)} values; what is above {middle * 255 / top:g} of 255 is taken for white")
    white = values > middle
    found: Hole = white if hole == "white" else np.logical_not(white)
    if not found.any():
        other = "black" if hole == "white" else "white"
        raise Unfit(f"it is empty: no pixel of it is {hole}; if the hole is {other}, set the option 'hole' to {other}")
    if found.all():
        raise Unfit(f"it is full: all of it is {hole}, which leaves no known pixels")
    return found, notes


def _turned(found: Hole, size: tuple[int, int], orientation: int) -> tuple[Hole, str]:
    """A hole without an orientation of an image that had one: turned as the image where only so it has its shape."""
    height, width = found.shape
    if np.sign(width - height) * np.sign(size[0] - size[1]) >= 0:
        return found, "its image is turned by EXIF and it is not: it is taken as upright"
    turn = {5: found.T, 6: np.rot90(found, -1), 7: np.rot90(found, 2).T, 8: np.rot90(found)}
    return np.ascontiguousarray(turn.get(orientation, found)), "it is turned as its image is by EXIF"


def _nearest(found: Hole, size: tuple[int, int]) -> Hole:
    """A hole resized to (width, height): each pixel is the one under its centre."""
    rows, columns = (
        ((2 * np.arange(new) + 1) * old // (2 * new)) for new, old in zip(size[::-1], found.shape, strict=True)
    )
    resized: Hole = found[rows[:, None], columns]
    return resized


def fits_ssim(hole: Hole) -> bool:
    """True if a window of SSIM fits around a pixel of the hole, so that the hole can be scored."""
    return bool(hole[SSIM_EDGE:-SSIM_EDGE, SSIM_EDGE:-SSIM_EDGE].any())


def doubt(share: float, hole: str, key: str) -> str:
    """A warning where a mask leaves most of an image as hole; empty otherwise. ``key``: the option that turns it."""
    if share <= MOST_USUAL:
        return ""
    other = "black" if hole == "white" else "white"
    return f"{share:.0%} of the image is hole, which is over half; if the masks are the other way round, {key} {other}"
