"""Training over steps: reconstruction loss, the critics' gap, adversarial against reconstruction gradient."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

from reports.figures import style
from reports.frames import Frames, NoDataError
from reports.naming import group, label, ordered

TERMS = {
    "reconstruction": "reconstruction loss",
    "gap": "critics' gap, real - fake",
    "ratio": "gradient, adversarial / reconstruction",
}
STAGES = ("pretrain", "critic", "joint")
LOGARITHMIC = ("reconstruction", "ratio")
COLUMNS = 3


def training_curves(frames: Frames, *, data: str, variants: list[str] | None = None) -> Figure:
    """A panel for each term and stage that has values; a line is the mean over seeds, a band their least and greatest.

    Where a variant has several critics a run's value is their mean. `variants`: by default the paper's
    and the controls. A cross ends the line of a variant with a diverged seed. Raises NoDataError where
    nothing is to be drawn.
    """
    curves = frames.curves[frames.curves["data"] == data]
    present = ordered(frames, curves["variant"].tolist())
    chosen = (
        variants
        if variants is not None
        else [v for v in present if group(frames, v) in ("paper", "control")] or present[:6]
    )
    finite = np.isfinite(pd.to_numeric(curves["value"], errors="coerce").to_numpy(dtype=float))
    curves = curves[finite & curves["variant"].isin(chosen) & curves["term"].isin(list(TERMS))]
    panels = [
        (term, stage)
        for term in TERMS
        for stage in STAGES
        if ((curves["term"] == term) & (curves["stage"] == stage)).any()
    ]
    if not panels:
        raise NoDataError(f"No training curve was recorded on {data}.")
    runs = frames.runs[frames.runs["data"] == data]
    diverged = set(runs.loc[runs["status"] == "diverged", "run"])
    shown = [v for v in ordered(frames, chosen) if (curves["variant"] == v).any()]

    with style.styled():
        rows = -(-len(panels) // COLUMNS)
        drawn = style.figure(9.2, 2.5 * rows + 0.5)
        grid = drawn.subplots(rows, COLUMNS, squeeze=False).ravel()
        for axes, (term, stage) in zip(grid, panels, strict=False):
            here = curves[(curves["term"] == term) & (curves["stage"] == stage)]
            for variant in shown:
                own = here[here["variant"] == variant]
                if own.empty:
                    continue
                shade = style.colour(frames, variant)
                each = own.groupby(["run", "step"], observed=True)["value"].mean().reset_index()
                over = each.groupby("step")["value"].agg(["mean", "min", "max"])
                steps = over.index.to_numpy(dtype=float)
                axes.fill_between(steps, over["min"], over["max"], color=shade, alpha=0.18, lw=0)
                above = 3 if variant == frames.study["reference"] else 2  # where lines meet, the proposed model's shows
                marker = "." if len(over) == 1 else None
                axes.plot(steps, over["mean"], color=shade, lw=1.3, marker=marker, zorder=above)
                for _, lost in each[each["run"].isin(diverged)].groupby("run", observed=True):
                    end = lost.loc[lost["step"].idxmax()]
                    axes.plot(end["step"], end["value"], marker="x", ms=6, color=shade)
            if term in LOGARITHMIC and (here["value"] > 0).all():
                axes.set_yscale("log")
                decades = np.log10(here["value"].max() / here["value"].min())
                axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades < 2 else (1.0,)))
                axes.yaxis.set_major_formatter("{x:g}")  # powers of ten would need mathtext
                axes.yaxis.set_minor_formatter(NullFormatter())
            axes.set_title(f"{TERMS[term]}\n{stage}")
            axes.set_xlabel("step")
            axes.grid()
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
        keys = [Line2D([], [], color=style.colour(frames, v), lw=2, label=label(v)) for v in shown]
        if diverged & set(curves["run"]):
            keys.append(Line2D([], [], color=style.MUTED, marker="x", ls="none", label="a seed diverged"))
        drawn.legend(handles=keys, loc="outside lower center", ncols=min(len(keys), 6), fontsize=8)
    return drawn
