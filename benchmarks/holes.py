"""The drawing of 32 holes at 256 px, against free-form masks as public code draws them.

The peer draws lines and discs with Pillow (Yu 2019's ``brush_stroke_mask``), one hole after the other, until as much is
covered as we ask for.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from benchmarks.timing import REPEATS, Row, compared, least
from models.masks import Center, FreeForm, RandomBox


def rows(side: int = 256, count: int = 32, repeats: int = REPEATS) -> Iterator[Row]:
    """Yields a row for each kind of hole: milliseconds for all."""
    rng, free = np.random.default_rng(0), FreeForm()
    yield compared(
        f"free_form, {count} holes",
        lambda: free.draw(np.random.default_rng(0), count, side),
        lambda: [_strokes(rng, side, free) for _ in range(count)],
        repeats=repeats,
    )
    for mask in (RandomBox(), Center()):
        best = least({"ours": lambda mask=mask: mask.draw(rng, count, side)}, repeats)  # type: ignore[misc]
        yield Row(f"{mask.kind}, {count} holes", 1e3 * best["ours"])


def _strokes(rng: np.random.Generator, side: int, options: FreeForm) -> NDArray[np.bool_]:
    """A hole (side, side) of strokes that cover at least the least share of the image."""
    picture = Image.new("1", (side, side))
    draw, width = ImageDraw.Draw(picture), round(options.brush * side)
    while np.asarray(picture).mean() < options.smallest:
        corners = [rng.uniform(0, side, 2)]
        for _ in range(rng.integers(1, options.turns, endpoint=True)):
            angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(0, options.length * side)
            corners.append((corners[-1] + length * np.array([np.cos(angle), np.sin(angle)])).clip(0, side))
        draw.line([tuple(corner) for corner in corners], fill=1, width=width)
        for x, y in corners:
            draw.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=1)
    return np.asarray(picture)
