"""Did the critics do anything: their pull on the generator, their gaps, their weights; and what came of it."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from reports.analysis.frames import Frames, NoDataError
from reports.analysis.naming import group, label, ordered, titled
from reports.analysis.statistics import mean_interval
from reports.figures import style
from reports.figures.contrasts import WIDTH, axis_label, legend, wrapped
from reports.figures.curves import MOST, band, line_key, logarithmic, loss_of, recorded, thinned

CRITICS = ("local", "global", "half", "quarter", "eighth")
"""The order in which the critics stand; others follow by name."""
BESIDE = 5
"""How many critics stand beside each other at most."""
LOSS_TERMS = ("gap", "at_bound")


def mechanism(frames: Frames, data: str) -> Figure:
    """Over the steps of joint training: the two gradients' ratio by method, then the reference critic by critic.

    The ratio is of norms at the generator's output, each loss as it is weighted in training; at 1 both pull alike, far
    below it the critics are mute. A critic's gap is its mean score of real less that of repaired images, in the units
    of its own scores; the share of its weights that stand at the clip's bound is known where there is a clip. Thick
    lines are means over seeds, bands their least and greatest, thin lines single seeds. Raises NoDataError where none
    of these was recorded.
    """
    curves = recorded(frames, data, ["ratio", *LOSS_TERMS], "joint")
    ratios = curves[curves["term"] == "ratio"]
    reference = str(frames.study["reference"])
    own = curves[(curves["variant"] == reference) & (curves["term"] != "ratio")]
    if ratios.empty and own.empty:
        raise NoDataError(f"No joint training with critics was recorded on {data}.")
    present = ordered(frames, ratios["variant"].unique().tolist())
    shown = [v for v in present if group(frames, v) in ("paper", "control", "own")] or present[:6]
    ratios = ratios[ratios["variant"].isin(shown)]
    critics = sorted(own["network"].unique().tolist(), key=lambda name: (_place(name), name))[:BESIDE]
    terms = [term for term in LOSS_TERMS if (own["term"] == term).any()]
    heights = [2.5] * (not ratios.empty) + [1.9] * len(terms)

    with style.styled():
        drawn = style.figure(WIDTH, sum(heights) + 0.8)
        rows = drawn.add_gridspec(len(heights), max(len(critics), 1), height_ratios=heights)
        if not ratios.empty:
            _ratio(drawn.add_subplot(rows[0, :]), frames, ratios, shown)
        first = len(heights) - len(terms)
        for below, term in enumerate(terms):
            row = [drawn.add_subplot(rows[first + below, column]) for column in range(len(critics))]
            for axes, critic in zip(row, critics, strict=True):
                here = own[(own["network"] == critic) & (own["term"] == term)]
                _of_critic(axes, here, style.colour(frames, reference))
                if below == 0:
                    signs = 88 // len(critics)
                    name = wrapped(label(reference), signs, 1)
                    axes.set_title(f"{name}\n{wrapped(critic, signs - 7, 1)} critic")
                if below == len(terms) - 1:
                    axes.set_xlabel("step")
                if term == "gap":
                    axes.axhline(0, color=style.MUTED, lw=0.8)
                else:
                    axes.set_ylim(0, max(1.05 * own.loc[own["term"] == term, "value"].max(), 0.01))
                    axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g}%")
            kind = loss_of(frames, reference)
            unit = f"gap, real − repaired\n({kind + ' ' if kind else ''}scores)"
            row[0].set_ylabel(unit if term == "gap" else "weights at the\nclip's bound")
        keys = [line_key(frames, variant) for variant in shown]
        if not ratios.empty:
            keys.append(Line2D([], [], color=style.INK, lw=0.9, label="1: both pull alike"))
        if critics:
            keys.append(Line2D([], [], color=style.MUTED, lw=0.7, label="one seed"))
        legend(drawn, keys)
    return drawn


def sharpness(frames: Frames, data: str) -> Figure:
    """Perception against distortion: sharpness, then the seam, against PSNR of the hole; a dot a seed, a mean a method.

    Of composites, of the paper's methods, controls, plugins', fillers and what was scored from files; the truth has
    sharpness 1 and no seam error. Raises NoDataError where no sharpness and no seam was scored beside PSNR.
    """
    here = frames.runs[frames.runs["data"] == data]
    variants = [v for v in ordered(frames, here["variant"].unique().tolist()) if group(frames, v) != "other"]
    psnr = _seed_means(frames, data, variants, "psnr", "hole")
    panels = {}
    for metric, region in (("sharpness", "hole"), ("seam", "boundary")):
        found = psnr.merge(_seed_means(frames, data, variants, metric, region), on=["variant", "seed"])
        if not found.empty:
            panels[metric, region] = found
    if not panels:
        raise NoDataError(f"No sharpness and no seam was scored on {data}.")
    shown = [v for v in variants if any((found["variant"] == v).any() for found in panels.values())]
    marks = _marks(frames, shown)

    with style.styled():
        drawn = style.figure(WIDTH if len(panels) > 1 else WIDTH / 2, 3.9)
        for axes, ((metric, region), found) in zip(
            drawn.subplots(1, len(panels), squeeze=False).ravel(), panels.items(), strict=True
        ):
            for variant in shown:
                own = found[found["variant"] == variant]
                look: dict[str, Any] = {"marker": marks[variant], "color": style.colour(frames, variant)}
                axes.scatter(own["value_x"], own["value_y"], s=18, alpha=0.65, linewidths=0, **look)
                if not own.empty:
                    mean = own[["value_x", "value_y"]].mean()
                    axes.plot(*mean, ls="none", zorder=3, **_mean_look(frames, variant, marks))
            if metric == "sharpness":
                axes.axhline(1, color=style.INK, lw=0.9, ls="--")
            low, high = axes.get_ylim()
            axes.set_ylim(bottom=min(low, -0.04 * high))
            axes.set_xlabel(axis_label("psnr", "hole"))
            axes.set_title(axis_label(metric, region))
            axes.grid()
        keys = [
            Line2D([], [], ls="none", label=wrapped(titled(frames, v), 40, 1), **_mean_look(frames, v, marks))
            for v in shown
        ]
        keys.append(Line2D([], [], marker="o", ms=4, ls="none", color=style.MUTED, alpha=0.6, label="one seed"))
        if ("sharpness", "hole") in panels:
            keys.append(Line2D([], [], color=style.INK, lw=0.9, ls="--", label="the truth's sharpness"))
        legend(drawn, keys)
    return drawn


def _place(critic: str) -> int:
    return CRITICS.index(critic) if critic in CRITICS else len(CRITICS)


def _ratio(axes: Axes, frames: Frames, ratios: pd.DataFrame, shown: list[str]) -> None:
    for variant in shown:
        band(axes, frames, ratios[ratios["variant"] == variant], variant)
    axes.axhline(1, color=style.INK, lw=0.9)
    logarithmic(axes, pd.concat([ratios["value"], pd.Series([1.0])]))
    axes.set_title("Gradient at the generator's output: adversarial / reconstruction, each as weighted in training")
    axes.set_xlabel("step")
    axes.grid()


def _of_critic(axes: Axes, here: pd.DataFrame, shade: str) -> None:
    """One critic's values: each seed a thin line, their mean a thick one."""
    for _, run in here.groupby("seed"):
        each = thinned(run, MOST // 2)
        axes.plot(each.index.to_numpy(dtype=float), each["mean"], color=shade, lw=0.8, alpha=0.75)
    if not here.empty:
        each = thinned(here)
        marker = "." if len(each) == 1 else None
        axes.plot(each.index.to_numpy(dtype=float), each["mean"], color=shade, lw=1.5, marker=marker)
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.grid()


def _marks(frames: Frames, shown: list[str]) -> dict[str, str]:
    """A mark for each method: the paper's, the controls', and one for each of those that may share a colour."""
    signs = {"paper": "o", "control": "s", "filler": "^v<>", "own": "Dp8d", "external": "PX*h", "other": "D"}
    groups = {variant: group(frames, variant) for variant in shown}
    places = {v: [other for other in shown if groups[other] == groups[v]].index(v) for v in shown}
    return {v: signs[groups[v]][places[v] % len(signs[groups[v]])] for v in shown}


def _mean_look(frames: Frames, variant: str, marks: dict[str, str]) -> dict[str, Any]:
    """How a method's mean is drawn: the controls' marks are hollow and larger, so that what lies below shows."""
    shade = style.colour(frames, variant)
    if group(frames, variant) == "control":
        return {"marker": marks[variant], "ms": 11, "mfc": "none", "mec": shade, "mew": 1.6}
    return {"marker": marks[variant], "ms": 8, "mfc": shade, "mec": style.INK, "mew": 0.9}


def _seed_means(frames: Frames, data: str, variants: list[str], metric: str, region: str) -> pd.DataFrame:
    """Each completed seed's mean over images of the composite. Columns: variant, seed, value."""
    scores = frames.select(metric, region, "composite", data)
    rows = []
    for variant in variants:
        found = mean_interval(frames.runs, scores, variant, metric=metric, region=region, data=data)
        rows += [(variant, seed, value) for seed, value in found.by_seed.items() if np.isfinite(value)]
    return pd.DataFrame(rows, columns=["variant", "seed", "value"])
