"""Figures of what the critics did: their gradients, gaps and weights; and sharpness and seam against PSNR."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reports.analysis.frames import Frames, NoDataError
from reports.analysis.naming import group, label, ordered, titled
from reports.analysis.statistics import mean_interval
from reports.figures import style
from reports.figures.curves import MOST, band, line_key, logarithmic, loss_of, recorded, thinned

CRITICS = ("local", "global", "half", "quarter", "eighth")
"""The order of the critics; others follow by name."""
BESIDE = 5
"""The maximum number of critics in a row."""
LOSS_TERMS = ("gap", "at_bound")


def mechanism(frames: Frames, data: str) -> Figure:
    """Over the steps of joint training: the gradient ratio of each method, then the reference's critics one by one.

    The ratio compares the norms of the weighted losses' gradients at the generator's output. At 1 both are equally
    strong; far below 1 the critics have no effect. A critic's gap is its mean score of real images minus that of
    repaired ones, in units of its own scores. The share of weights at the clip's bound exists only with a clip. Thick
    lines are means over seeds, bands their range, thin lines single seeds. Raises NoDataError if none of these was
    recorded.
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
    heights = [2.0] * (not ratios.empty) + [1.4] * len(terms)

    with style.styled():
        fig = style.figure(style.WIDTH, sum(heights) + 0.8)
        rows = fig.add_gridspec(len(heights), max(len(critics), 1), height_ratios=heights)
        if not ratios.empty:
            _ratio(fig.add_subplot(rows[0, :]), frames, ratios, shown)
        first = len(heights) - len(terms)
        for below, term in enumerate(terms):
            row = [fig.add_subplot(rows[first + below, column]) for column in range(len(critics))]
            for axes, critic in zip(row, critics, strict=True):
                here = own[(own["network"] == critic) & (own["term"] == term)]
                _of_critic(axes, here, style.colour(frames, reference))
                if below == 0:
                    width = 72 // len(critics)
                    name = style.wrapped(label(reference), width, 1)
                    axes.set_title(f"{name}\n{style.wrapped(critic, width - 7, 1)} critic")
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
            keys.append(style.key("1: both pull alike", color=style.INK, lw=0.9))
        if critics:
            keys.append(style.key("one seed", color=style.MUTED, lw=0.7))
        style.legend(fig, keys)
    return fig


def sharpness(frames: Frames, data: str) -> Figure:
    """Sharpness and seam error against PSNR of the hole; one dot per seed, one large mark per method's mean.

    Shows composites of the paper's methods, the controls, plugins' methods, fillers and methods scored from files. The
    truth has sharpness 1 and no seam error. Raises NoDataError if neither metric was scored together with PSNR.
    """
    here = frames.runs[frames.runs["data"] == data]
    variants = [v for v in ordered(frames, here["variant"].unique().tolist()) if group(frames, v) != "other"]
    psnr = _seed_means(frames, data, variants, "psnr", "hole")
    panels = {}
    for metric, region in (("sharpness", "hole"), ("seam", "boundary")):
        means = psnr.merge(_seed_means(frames, data, variants, metric, region), on=["variant", "seed"])
        if not means.empty:
            panels[metric, region] = means
    if not panels:
        raise NoDataError(f"No sharpness and no seam was scored on {data}.")
    shown = [v for v in variants if any((means["variant"] == v).any() for means in panels.values())]

    with style.styled():
        fig = style.figure(style.WIDTH if len(panels) > 1 else style.WIDTH / 2, 3.3)
        for axes, ((metric, region), means) in zip(
            fig.subplots(1, len(panels), squeeze=False).ravel(), panels.items(), strict=True
        ):
            for variant in shown:
                own = means[means["variant"] == variant]
                look = style.look(frames, variant)
                axes.scatter(own["value_x"], own["value_y"], s=9, marker=look.marker, color=look.colour, lw=0.4)
                if not own.empty:
                    mean = own[["value_x", "value_y"]].mean()
                    axes.plot(*mean, ls="none", zorder=3, **_mean_look(frames, variant))
            if metric == "sharpness":
                axes.axhline(1, color=style.INK, lw=0.9, ls="--")
            low, high = axes.get_ylim()
            axes.set_ylim(bottom=min(low, -0.04 * high))
            axes.set_xlabel(style.axis_label("psnr", "hole"))
            axes.set_title(style.axis_label(metric, region))
            axes.grid()
        keys = [style.key(style.wrapped(titled(frames, v), 40, 1), ls="none", **_mean_look(frames, v)) for v in shown]
        keys.append(style.key("small: one seed", marker="o", ms=3, ls="none", color=style.MUTED))
        if ("sharpness", "hole") in panels:
            keys.append(style.key("the truth's sharpness", color=style.INK, lw=0.9, ls="--"))
        style.legend(fig, keys)
    return fig


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
    """Draws one critic's values: each seed as a thin line, their mean as a thick one."""
    for _, run in here.groupby("seed"):
        each = thinned(run, MOST // 2)
        axes.plot(each.index.to_numpy(dtype=float), each["mean"], color=shade, lw=0.5)
    if not here.empty:
        each = thinned(here)
        marker = "." if len(each) == 1 else None
        axes.plot(each.index.to_numpy(dtype=float), each["mean"], color=shade, lw=1.5, marker=marker)
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.grid()


def _mean_look(frames: Frames, variant: str) -> dict[str, Any]:
    """The look of a method's mean. The controls' marks are hollow and larger, so that marks below them show."""
    look = style.look(frames, variant)
    if group(frames, variant) == "control":
        return {"marker": look.marker, "ms": 9.5, "mfc": "none", "mec": look.colour, "mew": 1.3}
    return {"marker": look.marker, "ms": 7, "mfc": look.colour, "mec": style.INK, "mew": 0.8}


def _seed_means(frames: Frames, data: str, variants: list[str], metric: str, region: str) -> pd.DataFrame:
    """The mean of the composite's scores over images, for each completed seed. Columns: variant, seed, value."""
    scores = frames.select(metric, region, "composite", data)
    rows = []
    for variant in variants:
        mean = mean_interval(frames.runs, scores, variant, metric=metric, region=region, data=data)
        rows += [(variant, seed, value) for seed, value in mean.by_seed.items() if np.isfinite(value)]
    return pd.DataFrame(rows, columns=["variant", "seed", "value"])
