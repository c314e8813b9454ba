"""The paper's main numbers beside ours, small enough for the first screen."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from reports.analysis.naming import METRICS
from reports.figures import style

REGIONS = {"hole": "hole", "whole": "whole image"}


def published_and_measured(table: pd.DataFrame, of: Sequence[tuple[str, str]]) -> Figure:
    """A panel per metric and region, a row per method: a ring is published, a diamond with its interval measured.

    ``table``: label, and for each metric METRIC_published, METRIC_value, METRIC_low, METRIC_high.
    """
    places = np.arange(len(table))
    with style.styled():
        fig = style.figure(0.8 * style.WIDTH, 0.24 * len(table) + 0.9)
        panels = fig.subplots(1, len(of), sharey=True, squeeze=False)[0]
        for axes, (metric, region) in zip(panels, of, strict=True):
            value, low, high, published = (table[f"{metric}_{part}"] for part in ("value", "low", "high", "published"))
            axes.hlines(places, low, high, color=style.LEVELS[0], lw=1.1)
            axes.plot(value, places, "D", ms=4, mew=0, color=style.LEVELS[0])
            axes.plot(published, places, "o", ms=6.5, mfc="none", mec=style.INK, mew=1.0)
            named = METRICS[metric]
            axes.set_title(f"{named.label}, {REGIONS[region]}{f' ({named.unit})' if named.unit else ''}")
            axes.grid(axis="x")
            axes.margins(x=0.08)
            axes.spines["left"].set_visible(False)
            axes.tick_params(axis="y", left=False)
        panels[0].set_yticks(places, table["label"])
        panels[0].set_ylim(len(table) - 0.4, -0.6)
        style.legend(
            fig,
            [
                style.key("measured, 95% interval", marker="D", ms=4, mew=0, lw=2, color=style.LEVELS[0]),
                style.key("published", marker="o", ms=6.5, mfc="none", mec=style.INK, mew=1.0, ls="none"),
            ],
        )
    return fig
