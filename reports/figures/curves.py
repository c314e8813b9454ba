"""Training curves: the reconstruction loss and the critics' gap. The ratio of gradients stands in ``mechanism``."""

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

TERMS = {
    "reconstruction": "Reconstruction loss ↓",
    "gap": "Critics' gap, real − repaired",
}
LOSSES = {"wgan": "WGAN", "wgan_gp": "WGAN-GP", "js": "JS", "lsgan": "LSGAN"}
STAGES = ("pretrain", "critic", "joint", "fit")
LOGARITHMIC = ("reconstruction",)
COLUMNS = 3
MOST = 150
"""The maximum number of points of a line."""
OTHERS = 6
"""The maximum number of further variants whose stages in training are drawn."""
THIN = 0.6
"""The width of the line of a stage that is still in training, in points; that of the others is twice as much."""


@dataclass(frozen=True, kw_only=True)
class _Panel:
    """A term in one stage. ``loss`` is the kind of the critics' loss, "" if it is not recorded or does not matter."""

    term: str
    stage: str
    loss: str
    rows: pd.DataFrame


def training_curves(frames: Frames, *, data: str, variants: list[str] | None = None, most: int = MOST) -> Figure:
    """One panel per term and stage. A line is the mean over seeds, a band their minimum and maximum.

    If a variant has several critics, a run's value is their mean. Scores are not comparable across losses, so the gap
    has a panel for each kind of loss. With more than ``most`` steps, a point is the mean of neighbouring steps, and the
    band their minimum and maximum. A cross ends the line of a diverged seed. A thin line is a seed whose stage is still
    in training. ``variants`` defaults to the paper's methods, the controls and those of plugins, with the thin lines of
    at most ``OTHERS`` other variants. Raises NoDataError if there is nothing to draw.
    """
    curves = _with_running(frames, data)
    present = ordered(frames, curves["variant"].unique().tolist())
    chosen = (
        variants
        if variants is not None
        else [v for v in present if group(frames, v) in ("paper", "control", "own")] or present[:6]
    )
    in_training = ordered(frames, curves.loc[curves["running"], "variant"].unique().tolist())
    others = [v for v in in_training if v not in chosen][:OTHERS] if variants is None else []
    curves = curves[curves["variant"].isin(chosen) | (curves["variant"].isin(others) & curves["running"])]
    if curves.empty:
        raise NoDataError(f"No training curve was recorded on {data}.")
    panels = _panels(frames, curves)
    runs = frames.runs[frames.runs["data"] == data]
    diverged = set(runs.loc[runs["status"] == "diverged", "run"])
    shown = [v for v in ordered(frames, [*chosen, *others]) if (curves["variant"] == v).any()]

    with style.styled():
        rows = -(-len(panels) // COLUMNS)
        fig = style.figure(style.WIDTH, 1.8 * rows + 0.6)
        for place, panel in enumerate(panels):
            if panel is None:
                continue
            axes = fig.add_subplot(rows, COLUMNS, place + 1)
            here = panel.rows
            for variant in shown:
                own = here[(here["variant"] == variant) & ~here["running"]]
                if not own.empty:
                    band(axes, frames, own, variant, most=most)
                    _ends(axes, own[own["run"].isin(diverged)], style.colour(frames, variant))
                _thin(axes, frames, here[(here["variant"] == variant) & here["running"]], variant, most=most)
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
        finished, running = (set(curves.loc[curves["running"] == which, "variant"]) for which in (False, True))
        keys = [line_key(frames, variant) for variant in shown if variant in finished]
        keys += [line_key(frames, variant, running=True) for variant in shown if variant in running]
        if diverged & set(curves["run"]):
            keys.append(style.key("a seed diverged", color=style.MUTED, marker="x", ls="none"))
        style.legend(fig, keys)
    return fig


def recorded(
    frames: Frames, data: str, terms: list[str], stage: str | None = None, *, running: bool = False
) -> pd.DataFrame:
    """The rows of the curves with these terms on ``data`` (in one stage, if given) that have a finite value.

    ``running``: those of stages that are still in training, instead of those of finished ones.
    """
    curves = frames.running if running else frames.curves
    keep = (curves["data"] == data) & curves["term"].isin(terms)
    curves = curves.loc[keep if stage is None else keep & (curves["stage"] == stage)]
    values = pd.to_numeric(curves["value"], errors="coerce").to_numpy(dtype=float)
    finite: pd.DataFrame = curves.assign(value=values).loc[np.isfinite(values)]
    return finite


def _with_running(frames: Frames, data: str) -> pd.DataFrame:
    """The rows of finished stages and, where ``running`` is True, of those that are still in training."""
    tables = (frames.curves, frames.running)
    logged = [str(term) for table in tables for term in table.loc[table["stage"] == "fit", "term"].unique()]
    terms = list(dict.fromkeys([*TERMS, *logged]))  # ``logged``: by methods with their own training loop
    finished, running = (recorded(frames, data, terms, running=which).assign(running=which) for which in (False, True))
    return pd.concat([part for part in (finished, running) if not part.empty] or [finished], ignore_index=True)


def loss_of(frames: Frames, variant: str) -> str:
    """The display name of the loss of a variant's critics; "" if it is not recorded."""
    options = ((frames.study["configs"] or {}).get(variant) or {}).get("options") or {}
    loss = options.get("loss")
    kind = str((loss.get("kind") if isinstance(loss, dict) else loss) or "")
    return LOSSES.get(kind, kind)


def thinned(each: pd.DataFrame, most: int = MOST) -> pd.DataFrame:
    """The columns mean, min and max of ``value`` over all rows of a step; the index is the step.

    With more than ``most`` steps, neighbouring steps are merged into ``most`` rows, each at the mean of its steps.
    """
    steps, place = np.unique(each["step"].to_numpy(dtype=float), return_inverse=True)
    bins = np.arange(len(steps)) * min(most, len(steps)) // max(len(steps), 1)
    middles = np.bincount(bins, weights=steps) / np.bincount(bins) if len(steps) else steps
    by = each["value"].astype(float).groupby(bins[place])
    return by.agg(["mean", "min", "max"]).set_axis(pd.Index(middles, name="step"), axis=0)


def band(axes: Axes, frames: Frames, own: pd.DataFrame, variant: str, *, most: int = MOST) -> None:
    """Draws a variant's mean over seeds as a line and their range as a band; several critics are averaged per run."""
    look = style.look(frames, variant)
    each = own.groupby(["run", "step"], observed=True)["value"].mean().reset_index()
    over = thinned(each, most)
    steps = over.index.to_numpy(dtype=float)
    axes.fill_between(steps, over["min"], over["max"], facecolor=(look.colour, 0.18), edgecolor=look.colour, lw=0.3)
    above = 3 if role(frames, variant) == "proposed" else 2
    every = (style.first_mark(look, len(steps)), max(len(steps) // 4, 1))
    axes.plot(steps, over["mean"], lw=1.2, zorder=above, markevery=every, ms=4, **style.line(look))


def _thin(axes: Axes, frames: Frames, own: pd.DataFrame, variant: str, *, most: int) -> None:
    """Draws a thin line for each run of a variant that is still in training; several critics are averaged."""
    look = style.look(frames, variant)
    for _, each in own.groupby("run", observed=True):
        over = thinned(each, most)["mean"]
        every = (style.first_mark(look, len(over)), max(len(over) // 4, 1))
        axes.plot(over.index, over, lw=THIN, markevery=every, ms=2.5, **style.line(look))


def line_key(frames: Frames, variant: str, *, running: bool = False) -> Line2D:
    """The legend entry of a variant's line, which is thin while its stage is in training."""
    name, look = style.wrapped(label(variant), 40, 1), style.line(style.look(frames, variant))
    return style.key(f"{name} (running)", lw=THIN, ms=2.5, **look) if running else style.key(name, lw=1.4, ms=4, **look)


def logarithmic(axes: Axes, values: pd.Series) -> None:
    """Makes the y axis logarithmic, with plain numbers, if any value is positive; zeros fall below its lower limit."""
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
    """The panels in reading order; None leaves a place empty.

    The gap of each stage starts a new row of the figure, unless the figure would then need more rows.
    """
    kinds = {variant: loss_of(frames, variant) for variant in curves["variant"].unique()}
    order = [*LOSSES.values(), *sorted({*kinds.values()} - {*LOSSES.values()})]
    blocks: list[list[_Panel]] = [[]]
    for term in [*TERMS, *sorted({*curves["term"]} - {*TERMS})]:
        for stage in STAGES:
            here = curves[(curves["term"] == term) & (curves["stage"] == stage)]
            losses = here["variant"].astype(str).map(kinds) if term == "gap" else pd.Series("", index=here.index)
            if term == "gap":
                blocks.append([])
            for kind in sorted(losses.unique(), key=order.index if term == "gap" else None):
                blocks[-1].append(_Panel(term=term, stage=stage, loss=kind, rows=here[losses == kind]))
    close: list[_Panel | None] = [panel for block in blocks for panel in block]
    apart: list[_Panel | None] = []
    for block in blocks:
        apart += [*block, *[None] * (-len(block) % COLUMNS)]
    return apart if len(apart) - len(close) < COLUMNS else close


def _ends(axes: Axes, lost: pd.DataFrame, shade: str) -> None:
    """Draws a cross where the values of each diverged run end."""
    each = lost.groupby(["run", "step"], observed=True)["value"].mean().reset_index()
    for _, own in each.groupby("run", observed=True):
        last = own["step"].to_numpy().argmax()
        axes.plot(own["step"].iloc[last], own["value"].iloc[last], marker="x", ms=6, color=shade)
