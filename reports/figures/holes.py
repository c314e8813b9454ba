"""Scores by the size of the hole: a line per method."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from reports.analysis.frames import Frames, NoDataError
from reports.analysis.tables import by_hole_table
from reports.figures import style

MARKS = "os^Dv<>pP*Xh"


def by_hole(frames: Frames, data: str, *, metric: str = "psnr", region: str = "hole") -> Figure:
    """The mean score of each method over the images of each bin of hole sizes, at the bin's mean size, with intervals.

    Raises NoDataError as ``by_hole_table`` does, and if nothing was scored.
    """
    table = by_hole_table(frames, data, metric=metric, region=region)
    table = table[np.isfinite(table["mean"])]
    if table.empty:
        raise NoDataError(f"Nothing was scored on {data}.")
    variants = list(dict.fromkeys(table["variant"]))
    with style.styled():
        fig = style.figure(style.WIDTH, 3.4)
        axes, keys = fig.subplots(), []
        for place, variant in enumerate(variants):
            own = table[table["variant"] == variant]
            colour = style.colour(frames, variant)
            look: dict[str, Any] = {"color": colour, "marker": MARKS[place % len(MARKS)], "ms": 5, "lw": 1.2, "mew": 0}
            aside = 0.002 * (place - (len(variants) - 1) / 2)  # so that intervals stand side by side
            axes.plot(own["share"] + aside, own["mean"], **look)
            axes.vlines(own["share"] + aside, own["low"], own["high"], color=colour, lw=1)
            keys.append(style.key(str(own["label"].iloc[0]), **look))
        axes.set_xlabel("Hole, share of the image (mean of each bin)")
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_ylabel(style.wrapped(style.axis_label(metric, region), 24))
        axes.grid()
        style.title(fig, f"By size of the hole: composites of {data}, means with 95% intervals")
        style.legend(fig, keys)
    return fig
