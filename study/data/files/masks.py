"""Mask files: the one rule by which a study's masks, ``study score`` and ``study inpaint`` read them.

A mask is black and white, and an option says which of the two is the hole. Files come in many kinds:

- Two values, whichever they are: the lighter is white. 0 and 1 will do, in any depth, also as a palette.
- More than two values, as JPEG and antialiased edges leave them: what is lighter than the middle between the darkest
  and the lightest value is white. A note says so, because a shifted edge is hard to see. More than ``BETWEEN`` of the
  pixels near the middle, or little contrast, is a photograph or a gradient; no threshold is right for it, so it is
  refused.
- Transparent parts are known. Drawing programs save the painted hole as a layer, and what is not painted is no hole.
- A slight tint, as from JPEG or a scanner, is grey. Real colours are refused: they may mean several holes, or a
  visualization.
- Several pictures in one file are refused: nothing says which of them is meant.
- CMYK is converted, and the EXIF orientation turns the mask as it turns its image.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from study.data.files.image import OPAQUE, Unfit, read

Hole = NDArray[np.bool_]

TINT = 32  # channels that differ by more, of 255, are a colour
CONTRAST = 128  # the least difference, of 255, between the darkest and the lightest of more than two values
# The largest share of pixels in the middle half between darkest and lightest. Antialiased strokes 5 px wide that cover
# a quarter of an image have 0.05; a photograph or a gradient has about 0.5.
BETWEEN = 0.1
SSIM_EDGE = 5  # px that half a window of SSIM reaches beyond its centre


def read_hole(content: bytes, hole: str, size: tuple[int, int]) -> tuple[Hole, str]:
    """The hole that a mask file shows, and a note on what had to be decided; empty if nothing had.

    Args:
        content: the file's bytes.
        hole: which of the two values is the hole, 'white' or 'black'.
        size: width and height of the image, px.

    Returns:
        (H, W), True in the hole.

    Raises:
        Unfit: the file is not a mask of this size, or has no hole or nothing but hole; the sentence says which.
    """
    values = _grey(content, hole)
    if values.shape[::-1] != size:
        width, height = values.shape[::-1]
        raise Unfit(f"it is {width} x {height} px, its image {size[0]} x {size[1]} px; a mask has its image's size")
    levels, note = np.unique(values), ""
    low, high = float(levels[0]), float(levels[-1])
    middle = (low + high) / 2 if low < high else 0.0
    if len(levels) > 2:
        between = np.abs(values - middle) < (high - low) / 4
        if between.mean() > BETWEEN or high - low < CONTRAST:
            raise Unfit(f"it has {len(levels)} shades between its darkest and its lightest; a mask has two values")
        note = f"it has {len(levels)} values; what is above {middle:g} of 255 is taken for white"
    white = values > middle
    found: Hole = white if hole == "white" else np.logical_not(white)
    if not found.any():
        other = "black" if hole == "white" else "white"
        raise Unfit(f"it is empty: no pixel of it is {hole}; if the hole is {other}, set the option 'hole' to {other}")
    if found.all():
        raise Unfit(f"it is full: all of it is {hole}, which leaves no known pixels")
    return found, note


def _grey(content: bytes, hole: str) -> NDArray[np.float64]:
    """The shades of a mask file, (H, W) in 0..255, on a ground that is not the hole. Raises Unfit."""
    image = read(content, full=True, any_range=True)
    if image.frames > 1:
        raise Unfit(f"it holds {image.frames} pictures; save only the one you mean")
    values = image.pixels * (255 / OPAQUE[image.depth])
    if image.alpha is not None:
        alpha = image.alpha / OPAQUE[image.depth]
        alpha, ground = alpha[..., None] if values.ndim == 3 else alpha, 0.0 if hole == "white" else 255.0
        values = values * alpha + ground * (1 - alpha)
    if values.ndim == 3:
        if np.ptp(values, axis=2).max() > TINT:
            raise Unfit("it is drawn in colour; a mask is black and white")
        values = values[..., 1]
    return np.asarray(values, np.float64)


def fits_ssim(hole: Hole) -> bool:
    """True if a window of SSIM fits around a pixel of the hole, so that the hole can be scored."""
    return bool(hole[SSIM_EDGE:-SSIM_EDGE, SSIM_EDGE:-SSIM_EDGE].any())
