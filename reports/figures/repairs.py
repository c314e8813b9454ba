"""Figures of repaired images: the grid of Figure 4 (one row per test image, one column per method), and the worst."""

from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports import pictures
from reports.analysis.frames import Frames
from reports.analysis.naming import metric_of
from reports.figures import style
from reports.pictures import OUTPUTS

SIDE = 0.9
"""The maximum width of a picture, in inches."""


def repairs(
    frames: Frames,
    *,
    data: str,
    variants: list[str] | None = None,
    seed: int | None = None,
    limit: int = 6,
    output: str = "composite",
) -> Figure:
    """Original, masked, then each method's output, of one seed and of the same images for all methods.

    A method without a picture shows "no picture".

    Args:
        variants: See ``reports.pictures.sample``, also for ``seed`` and ``limit``.
        output: "composite", "raw" or "blended".

    Raises:
        ValueError: If the output is unknown.
        NoDataError: If no such picture is stored.
    """
    if output not in OUTPUTS:
        raise ValueError(f"output: {output!r} is unknown; choose {', '.join(OUTPUTS)}")
    grid = pictures.sample(frames, data, variants=variants, seed=seed, limit=limit, outputs=(output,))
    cells = [[list(own.values()) for own in row] for _, row in grid.rows]
    below = f"{data}, {OUTPUTS[output]}, seed {grid.seed}"
    return _grid(cells, grid.columns, [name for name, _ in grid.rows], below, side=SIDE)


def worst(frames: Frames, *, data: str, limit: int = 3) -> Figure:
    """The reference's worst repairs: original, masked, repaired and blended, with the hole's PSNR; one row per image.

    Taken from the first seed that has any; ``limit`` is the number of images. Raises NoDataError if none is stored.
    """
    grid = pictures.worst(frames, data, limit=limit)
    images = [name for name, _ in grid.rows]
    own = frames.worst[(frames.worst["data"] == data) & (frames.worst["variant"] == frames.study["reference"])]
    runs = own.loc[own["seed"] == grid.seed, "run"]
    psnr: dict[tuple[str, str], float] = {}
    for output in OUTPUTS:
        scores = frames.select("psnr", "hole", output, data)
        scores = scores[scores["run"].isin(runs) & scores["image"].isin(images)]
        psnr |= {(str(i), output): value for i, value in zip(scores["image"], scores["value"], strict=True)}
    named = metric_of("psnr")
    columns = {"Original": "truth", "Masked": "masked", grid.columns[-1]: "composite", "Blended": "blended"}
    cells, notes = [], []
    for image, row in grid.rows:
        shown = {kind: pixels for own in row for kind, pixels in own.items()}
        cells.append([[shown[kind]] if kind in shown else [] for kind in columns.values()])
        values = [psnr.get((image, kind), np.nan) for kind in columns.values()]
        notes.append([f"{value:.{named.digits}f} {named.unit}" if np.isfinite(value) else "" for value in values])
    below = f"{data}, seed {grid.seed}; below a repair the {named.label} of its hole, ↑ more is better"
    return _grid(cells, list(columns), images, below, side=1.2, notes=notes)


def _grid(
    cells: list[list[list[Any]]],
    columns: list[str],
    rows: list[str],
    below: str,
    *,
    side: float,
    notes: list[list[str]] | None = None,
) -> Figure:
    """Draws pictures in rows and columns, all in one axes, because axes are slower to draw than pictures.

    Args:
        cells: For each row and column a list with the pixels ``(H, W, 3)``, or an empty list.
        below: The line of text below the grid.
        side: The maximum width of a picture, in inches.
        notes: A line of text below each picture.
    """
    side = min(side, (style.WIDTH - 0.35) / len(columns))
    line = 0.2 / side if notes else 0.0
    tall = 1.04 + line
    width = int(side * 72 / 4.1)  # characters of 7 points
    titles = [style.wrapped(_hyphenated(title, width), width, 3) for title in columns]
    names = [style.wrapped(name, width) for name in rows]
    wide, high = side * len(columns), side * tall * len(rows)
    left, top = 0.35, 0.12 + 0.13 * max(title.count("\n") + 1 for title in titles)
    with style.styled(), matplotlib.rc_context({"font.size": style.SMALLEST}):
        fig = style.figure(left + wide, top + high + 0.3)
        fig.set_layout_engine("none")  # all sizes are known
        size = fig.get_size_inches()
        axes = fig.add_axes((left / size[0], 0.3 / size[1], wide / size[0], high / size[1]))
        for i, row in enumerate(cells):
            for j, pixels in enumerate(row):
                _place(axes, j, i * tall, pixels)
                if notes and notes[i][j]:
                    axes.text(j, i * tall + 0.5 + line / 2, notes[i][j], ha="center", va="center")
        axes.set_xlim(-0.5, len(columns) - 0.5)
        axes.set_ylim(-0.52 + high / side, -0.52)
        axes.set_xticks(range(len(columns)), titles)
        axes.set_yticks([i * tall for i in range(len(rows))], names, rotation=90, va="center", ma="center")
        axes.tick_params(top=False, bottom=False, left=False, labeltop=True, labelbottom=False, pad=2)
        axes.spines[:].set_visible(False)
        words = style.wrapped(below, int(size[0] * 72 / 4.3), 1)
        fig.text(0.5, 0.12 / size[1], words, ha="center", va="center")
    return fig


def _hyphenated(title: str, width: int) -> str:
    """The title with a hyphen in each word of letters that is longer than ``width`` characters."""
    return " ".join(
        f"{w[: width - 1]}-{w[width - 1 :]}" if len(w) > width and w.isalpha() else w for w in title.split(" ")
    )


def _place(axes: Axes, x: float, y: float, pixels: list[Any]) -> None:
    """Draws a picture centred at (x, y) with a longer side of 0.92, or writes "no picture"."""
    if not pixels:
        axes.text(x, y, "no picture", ha="center", va="center")
        return
    high, wide = pixels[0].shape[:2]
    half_x, half_y = 0.46 * wide / max(high, wide), 0.46 * high / max(high, wide)
    where = (x - half_x, x + half_x, y + half_y, y - half_y)
    axes.imshow(pixels[0], interpolation="none", extent=where, aspect="auto")
