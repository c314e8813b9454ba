"""Repaired images: the grid of Figure 4, a row a test image, a column a method; and the worst repairs."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports import pictures
from reports.analysis.frames import Frames
from reports.analysis.naming import metric_of
from reports.figures import style
from reports.figures.contrasts import WIDTH, wrapped
from reports.pictures import OUTPUTS

SIDE = 1.2
"""The most that a picture is wide, in inches."""


def repairs(
    frames: Frames,
    *,
    data: str,
    variants: list[str] | None = None,
    seed: int | None = None,
    limit: int = 6,
    output: str = "composite",
) -> Figure:
    """Original, masked, then each method's output, of one seed (fillers have none) and the same images for all.

    `variants`: by default the paper's methods, the controls and the fillers. `seed`: by default that
    which most of them have, the least of equals. `limit`: how many images, the first by name. `output`:
    'composite', 'raw' or 'blended'. A method without a picture leaves its place empty and says so. Raises
    ValueError where the output is unknown, NoDataError where no such picture is stored.
    """
    if output not in OUTPUTS:
        raise ValueError(f"output: {output!r} is unknown; choose {', '.join(OUTPUTS)}")
    grid = pictures.sample(frames, data, variants=variants, seed=seed, limit=limit, outputs=(output,))
    cells = [[list(own.values()) for own in row] for _, row in grid.rows]
    below = f"{data}, {OUTPUTS[output]}, seed {grid.seed}"
    return _grid(cells, grid.columns, [name for name, _ in grid.rows], below, side=SIDE)


def worst(frames: Frames, *, data: str, limit: int = 3) -> Figure:
    """The reference's worst repairs: original, masked, repaired, blended, with the hole's PSNR, a row an image.

    Of the first seed that has any, in the table's order; `limit`: how many. Raises NoDataError where none is stored.
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
    return _grid(cells, list(columns), images, below, side=1.7, notes=notes)


def _grid(
    cells: list[list[list[Any]]],
    columns: list[str],
    rows: list[str],
    below: str,
    *,
    side: float,
    notes: list[list[str]] | None = None,
) -> Figure:
    """Pictures in rows and columns, all in one axes, for each axes costs more than its picture.

    `cells`: for each row and column the pixels (H, W, 3) alone in a list, or none. `side`: the most that one is wide,
    in inches. `notes`: a line of words below each.
    """
    side = min(side, (WIDTH - 0.4) / len(columns))
    line = 0.2 / side if notes else 0.0
    tall = 1.04 + line
    signs = int(side * 72 / 4.1)  # of 7 points
    titles = [wrapped(title, signs, 3) for title in columns]
    names = [wrapped(name, signs) for name in rows]
    wide, high = side * len(columns), side * tall * len(rows)
    left, top = 0.4, 0.12 + 0.13 * max(title.count("\n") + 1 for title in titles)
    with style.styled():
        drawn = style.figure(left + wide, top + high + 0.35)
        drawn.set_layout_engine("none")  # each side is known
        size = drawn.get_size_inches()
        axes = drawn.add_axes((left / size[0], 0.35 / size[1], wide / size[0], high / size[1]))
        for i, row in enumerate(cells):
            for j, found in enumerate(row):
                _place(axes, j, i * tall, found)
                if notes and notes[i][j]:
                    axes.text(j, i * tall + 0.5 + line / 2, notes[i][j], ha="center", va="center", fontsize=7.5)
        axes.set_xlim(-0.5, len(columns) - 0.5)
        axes.set_ylim(-0.52 + high / side, -0.52)
        axes.set_xticks(range(len(columns)), titles, fontsize=7)
        axes.set_yticks([i * tall for i in range(len(rows))], names, fontsize=7, rotation=90, va="center", ma="center")
        axes.tick_params(top=False, bottom=False, left=False, labeltop=True, labelbottom=False, pad=2)
        axes.spines[:].set_visible(False)
        drawn.text(
            0.5, 0.12 / size[1], wrapped(below, int(size[0] * 72 / 4.9), 1), fontsize=8, ha="center", va="center"
        )
    return drawn


def _place(axes: Axes, x: float, y: float, found: list[Any]) -> None:
    """A picture about (x, y), its longer side 0.92; or that there is none."""
    if not found:
        axes.text(x, y, "no picture", ha="center", va="center", fontsize=7)
        return
    high, wide = found[0].shape[:2]
    half_x, half_y = 0.46 * wide / max(high, wide), 0.46 * high / max(high, wide)
    where = (x - half_x, x + half_x, y + half_y, y - half_y)
    axes.imshow(found[0], interpolation="none", extent=where, aspect="auto")
