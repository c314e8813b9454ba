"""Training over steps: reconstruction loss, the critics' gap, adversarial against reconstruction gradient."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from reports.analysis.frames import Frames, NoDataError
from reports.analysis.naming import group, label, ordered, role
from reports.figures import style
from reports.figures.contrasts import WIDTH, legend, wrapped

TERMS = {
    "reconstruction": "Reconstruction loss ↓",
    "ratio": "Gradient, adversarial / reconstruction",
    "gap": "Critics' gap, real − repaired",
}
LOSSES = {"wgan": "WGAN", "wgan_gp": "WGAN-GP", "js": "JS", "lsgan": "LSGAN"}
STAGES = ("pretrain", "critic", "joint", "fit")
LOGARITHMIC = ("reconstruction", "ratio")
COLUMNS = 3
MOST = 150
"""How many points a line has at most."""


@dataclass(frozen=True, kw_only=True)
class _Panel:
    """A term in one stage; of critics with one kind of loss, "" where that is not recorded or does not matter."""

    term: str
    stage: str
    loss: str
    rows: pd.DataFrame


def training_curves(frames: Frames, *, data: str, variants: list[str] | None = None, most: int = MOST) -> Figure:
    """A panel for each term and stage that has values; a line is the mean over seeds, a band their least and greatest.

    Where a variant has several critics a run's value is their mean. Scores of different losses have different
    units, so the gap has a panel for each kind of loss. `variants`: by default the paper's, the controls and plugins'.
    Of more than `most` steps a point is the mean of neighbours, the band their least and greatest. A cross ends the
    line of a variant with a diverged seed. Raises NoDataError where nothing is to be drawn.
    """
    logged = frames.curves.loc[frames.curves["stage"] == "fit", "term"].astype(str)  # by a training of its own
    curves = recorded(frames, data, list(dict.fromkeys([*TERMS, *logged])))
    present = ordered(frames, curves["variant"].unique().tolist())
    chosen = (
        variants
        if variants is not None
        else [v for v in present if group(frames, v) in ("paper", "control", "own")] or present[:6]
    )
    curves = curves[curves["variant"].isin(chosen)]
    if curves.empty:
        raise NoDataError(f"No training curve was recorded on {data}.")
    panels = _panels(frames, curves)
    runs = frames.runs[frames.runs["data"] == data]
    diverged = set(runs.loc[runs["status"] == "diverged", "run"])
    shown = [v for v in ordered(frames, chosen) if (curves["variant"] == v).any()]

    with style.styled():
        rows = -(-len(panels) // COLUMNS)
        drawn = style.figure(WIDTH, 2.3 * rows + 0.7)
        for place, panel in enumerate(panels):
            if panel is None:
                continue
            axes = drawn.add_subplot(rows, COLUMNS, place + 1)
            here = panel.rows
            for variant in shown:
                own = here[here["variant"] == variant]
                if not own.empty:
                    band(axes, frames, own, variant, most=most)
                    _ends(axes, own[own["run"].isin(diverged)], style.colour(frames, variant))
            if panel.term in LOGARITHMIC:
                logarithmic(axes, here["value"])
            elif panel.term == "gap":
                axes.axhline(0, color=style.MUTED, lw=0.8)
            axes.set_title(
                f"{TERMS.get(panel.term, panel.term)}\n{panel.stage} stage{panel.loss and f', {panel.loss} scores'}"
            )
            axes.set_xlabel("step")
            axes.xaxis.set_major_locator(MaxNLocator(4))
            axes.grid()
        keys = [line_key(frames, variant) for variant in shown]
        if diverged & set(curves["run"]):
            keys.append(Line2D([], [], color=style.MUTED, marker="x", ls="none", label="a seed diverged"))
        legend(drawn, keys)
    return drawn


def recorded(frames: Frames, data: str, terms: list[str], stage: str | None = None) -> pd.DataFrame:
    """The curves' finite values of these terms on `data`, of one stage unless None."""
    curves = frames.curves
    keep = (curves["data"] == data) & curves["term"].isin(terms)
    curves = curves[keep if stage is None else keep & (curves["stage"] == stage)]
    values = pd.to_numeric(curves["value"], errors="coerce").to_numpy(dtype=float)
    return curves.assign(value=values)[np.isfinite(values)]


def loss_of(frames: Frames, variant: str) -> str:
    """What kind of loss a variant's critics have, as a reader writes it; "" where that is not recorded."""
    options = ((frames.study["configs"] or {}).get(variant) or {}).get("options") or {}
    loss = options.get("loss")
    kind = str((loss.get("kind") if isinstance(loss, dict) else loss) or "")
    return LOSSES.get(kind, kind)


def thinned(each: pd.DataFrame, most: int = MOST) -> pd.DataFrame:
    """The mean, least and greatest `value` at each step, over whatever rows there are; index: step.

    Of more than `most` steps neighbours are taken together: at most so many rows, each at its steps' mean.
    """
    steps, place = np.unique(each["step"].to_numpy(dtype=float), return_inverse=True)
    bins = np.arange(len(steps)) * min(most, len(steps)) // max(len(steps), 1)
    middles = np.bincount(bins, weights=steps) / np.bincount(bins) if len(steps) else steps
    by = each["value"].astype(float).groupby(bins[place])
    return by.agg(["mean", "min", "max"]).set_axis(pd.Index(middles, name="step"), axis=0)


def band(axes: Axes, frames: Frames, own: pd.DataFrame, variant: str, *, most: int = MOST) -> None:
    """A variant's mean over seeds as a line, their least and greatest as a band; of several critics a run's mean."""
    shade, dashes, above = _look(frames, variant)
    each = own.groupby(["run", "step"], observed=True)["value"].mean().reset_index()
    over = thinned(each, most)
    steps = over.index.to_numpy(dtype=float)
    axes.fill_between(steps, over["min"], over["max"], color=shade, alpha=0.18, lw=0)
    marker = "." if len(over) == 1 else None
    axes.plot(steps, over["mean"], color=shade, lw=1.4, ls=dashes, marker=marker, zorder=above)


def line_key(frames: Frames, variant: str) -> Line2D:
    """A variant's line, for the legend."""
    shade, dashes, _ = _look(frames, variant)
    return Line2D([], [], color=shade, ls=dashes, lw=2, label=wrapped(label(variant), 40, 1))


def _look(frames: Frames, variant: str) -> tuple[str, str, float]:
    """Colour, dashes and height of a line: the controls', broken, lie above the paper's, so that both show."""
    known = role(frames, variant)
    dashes = {"reconstruction_only": "--", "single": ":"}.get(known, "-")
    return style.colour(frames, variant), dashes, 4 if dashes != "-" else 3 if known == "proposed" else 2


def logarithmic(axes: Axes, values: pd.Series) -> None:
    """A logarithmic axis for values of which some are more than zero, with plain numbers; zero falls below its foot."""
    positive = values[values > 0]
    if positive.empty:
        return
    axes.set_yscale("log", nonpositive="clip")
    low, high = positive.min(), positive.max()
    if len(positive) < len(values) or low == high:
        axes.set_ylim(low / 1.5, high * 1.5)
    decades = np.log10(high / low)
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades < 2 else (1.0,)))
    axes.yaxis.set_major_formatter("{x:g}")  # powers of ten would need mathtext
    axes.yaxis.set_minor_locator(NullLocator())


def _panels(frames: Frames, curves: pd.DataFrame) -> list[_Panel | None]:
    """The panels in the order of reading, None where a place stays empty.

    The gap of each stage begins a row of the figure, unless that took more of them.
    """
    kinds = {variant: loss_of(frames, variant) for variant in curves["variant"].unique()}
    order = [*LOSSES.values(), *sorted({*kinds.values()} - {*LOSSES.values()})]
    found: list[list[_Panel]] = [[]]
    for term in [*TERMS, *sorted({*curves["term"]} - {*TERMS})]:
        for stage in STAGES:
            here = curves[(curves["term"] == term) & (curves["stage"] == stage)]
            told = here["variant"].astype(str).map(kinds) if term == "gap" else pd.Series("", index=here.index)
            if term == "gap":
                found.append([])
            for kind in sorted(told.unique(), key=order.index if term == "gap" else None):
                found[-1].append(_Panel(term=term, stage=stage, loss=kind, rows=here[told == kind]))
    close: list[_Panel | None] = [panel for row in found for panel in row]
    apart: list[_Panel | None] = []
    for row in found:
        apart += [*row, *[None] * (-len(row) % COLUMNS)]
    return apart if len(apart) - len(close) < COLUMNS else close


def _ends(axes: Axes, lost: pd.DataFrame, shade: str) -> None:
    """A cross where each diverged run's values end."""
    each = lost.groupby(["run", "step"], observed=True)["value"].mean().reset_index()
    for _, own in each.groupby("run", observed=True):
        last = own["step"].to_numpy().argmax()
        axes.plot(own["step"].iloc[last], own["value"].iloc[last], marker="x", ms=6, color=shade)
