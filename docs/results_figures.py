"""The three figures of docs/results.md. They show numbers only, no image of a data set."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullLocator

from reports.analysis import tables
from reports.analysis.claims import links_table
from reports.analysis.frames import Frames, NoDataError
from reports.analysis.naming import METRICS, label
from reports.analysis.published import counterpart
from reports.figures import style
from reports.figures.curves import loss_of

WIDTH = 7.2
"""Inches: text of 9 points is 12 pixels high on a page that is 700 pixels wide."""

METRICS_SHOWN = (("psnr", "hole"), ("ssim", "whole"), ("sharpness", "hole"))
"""Metrics and regions that the claims compare: those of the paper, and detail."""

NAMES = {"psnr": "PSNR of the hole (dB)", "ssim": "SSIM of the whole image", "sharpness": "sharpness (truth: 1)"}

LOSSES = {"WGAN": "#0072b2", "JS": "#d55e00"}
"""Colours of the critics' losses; any other is green."""

OUTCOMES: Mapping[str, dict[str, Any]] = {
    "supported": {"marker": "o", "color": "#0072b2", "mfc": "#0072b2"},
    "contradicted": {"marker": "X", "color": "#d55e00", "mfc": "#d55e00"},
    "equivalent": {"marker": "s", "color": "#009e73", "mfc": "#009e73"},
    "partly tested": {"marker": "o", "color": "#0072b2", "mfc": "white"},
    "inconclusive": {"marker": "D", "color": style.MUTED, "mfc": "white"},
}
"""The look of each outcome: a colour of Okabe and Ito's palette and a shape of its own."""

MEASURED = "#0072b2"
RING = {"marker": "o", "ms": 8, "mfc": "none", "mec": style.INK, "mew": 1.1, "ls": "none"}
"""The looks of a measured and of a published number."""


def scaled(frames: Frames) -> list[str]:
    """The proposed model with the critics' weights scaled, if the study has it: what C6-scaled compares."""
    links = links_table(frames)
    return links.loc[(links["id"] == "C6-scaled") & (links["name"] == "critics add detail"), "a"].tolist()


def named(frames: Frames, variant: str) -> str:
    """The label of a variant, and of the scaled model what it is."""
    return f"{label(str(frames.study['reference']))}, critics scaled" if variant in scaled(frames) else label(variant)


# Published and measured


def methods(frames: Frames, sets: Sequence[str]) -> Figure:
    """PSNR of the hole and SSIM of the whole image, published and measured: a row per data set and method."""
    shown = METRICS_SHOWN[:2]
    found = {(data, metric): _scored(frames, data, metric) for data in sets for metric, _ in shown}
    heads = [""] * (len(sets) > 1)  # a row without a variant names its data set
    rows = [(data, variant) for data in sets for variant in [*heads, *found[data, "psnr"].index]]
    with style.styled():
        fig = style.figure(WIDTH, 0.27 * len(rows) + 1.3)
        for axes, (metric, region) in zip(fig.subplots(1, 2, sharey=True), shown, strict=True):
            for y, (data, variant) in enumerate(rows):
                if variant:
                    _method(axes, y, found[data, metric].loc[variant].to_dict(), region)
            axes.set_title(style.axis_label(metric, region).replace(" ↑", "\n↑"))
            axes.grid(axis="x")
            axes.tick_params(axis="y", length=0)
        names = [named(frames, variant) if variant else _beside(frames, data) for data, variant in rows]
        fig.axes[0].set_yticks(range(len(rows)), names)
        fig.axes[0].set_ylim(len(rows) - 0.5, -0.5)
        for tick, (_, variant) in zip(fig.axes[0].get_yticklabels(), rows, strict=True):
            tick.set_fontweight("normal" if variant else "bold")
        keys = [
            style.key("published", **RING),
            style.key("measured, 95% interval", marker="D", ms=5.5, mew=0, lw=1.5, color=MEASURED),
            style.key("one seed", marker="|", ms=6, ls="none", color=MEASURED),
        ]
        style.legend(fig, keys)
    return fig


def _scored(frames: Frames, data: str, metric: str) -> pd.DataFrame:
    """The rows of ``results_table`` with a number, by variant, without ablations. The scaled model comes second."""
    table = tables.results_table(frames, metric=metric, data=data).set_index("variant")
    table = table[table["published"].notna() | table["hole"].notna()]
    own = [frames.study["reference"], *scaled(frames)]
    order = [*own, *table.index[(table["group"] != "other") & ~table.index.isin(own)]]
    return table.loc[[name for name in order if name in table.index]]


def _beside(frames: Frames, data: str) -> str:
    theirs = counterpart(frames, data)
    return f"{data} (published: {theirs})" if theirs else data


def _method(axes: Axes, y: int, row: Mapping[Any, Any], region: str) -> None:
    low, mean, high = (row[f"{region}{end}"] for end in ("_low", "", "_high"))
    seeds = row[f"{region}_seeds"]
    if len(set(seeds)) > 1:
        axes.plot(seeds, [y + 0.28] * len(seeds), marker="|", ms=5, ls="none", color=MEASURED)
    if np.isfinite(low):
        axes.plot([low, high], [y, y], color=MEASURED, lw=1.5)
    axes.plot(mean, y, marker="D", ms=5.5, color=MEASURED, mew=0, ls="none")
    axes.plot(row["published"], y, zorder=4, **RING)


# The claims' contrasts


def contrasts(frames: Frames) -> Figure:
    """A forest plot: a row per contrast of two variants that claims compare, a panel per metric.

    A mark is a link of a claim, with its outcome and its interval; the band is the margin, the ring the paper's. Raises
    NoDataError if no link was tested.
    """
    rows = contrasts_table(frames)
    if rows.empty:
        raise NoDataError("No two variants that a claim compares have completed.")
    places = list(dict.fromkeys(zip(rows["name"], rows["data"], strict=True)))
    used = [(metric, region) for metric, region in METRICS_SHOWN if (rows["metric"] == metric).any()]
    with style.styled():
        fig = style.figure(WIDTH, 0.34 * len(places) + 1.5)
        panels = fig.subplots(1, len(used), sharey=True, squeeze=False).ravel()
        for axes, (metric, _) in zip(panels, used, strict=True):
            if margin := METRICS[metric].margin:
                axes.axvspan(-margin, margin, color=style.MUTED, alpha=0.25, lw=0)
            axes.axvline(0, color=style.INK, lw=0.8)
            for row in rows[rows["metric"] == metric].to_dict("records"):
                _link(axes, places.index((row["name"], row["data"])), row)
            axes.set_title(f"Difference in\n{NAMES[metric]}")
            axes.set_ylim(len(places) - 0.5, -0.5)
            axes.margins(x=0.08)
            axes.grid(axis="x")
            axes.tick_params(axis="y", length=0)
            axes.locator_params(axis="x", nbins=4)
        panels[0].set_yticks(range(len(places)), [name for name, _ in places], fontsize=8)
        style.legend(fig, _keys(rows))
    return fig


def contrasts_table(frames: Frames) -> pd.DataFrame:
    """The tested links between two variants in the metrics shown. Columns as ``links_table``, and name (of a row)."""
    links = links_table(frames)
    wanted = links["metric"].isin([metric for metric, _ in METRICS_SHOWN]) & links["effect"].notna()
    links = links[wanted & (links["role"] == "link") & ~links["b"].isin(["", "0", "1"])]
    ids = links.groupby(["contrast", "data"], sort=False)["id"].agg(lambda own: ", ".join(dict.fromkeys(own)))
    sets = links.groupby("contrast")["data"].nunique()

    def name(row: Mapping[str, Any]) -> str:
        a, b = (label(side) for side in row["contrast"].split(" − "))
        on = f" on {row['data']}" if sets[row["contrast"]] > 1 else ""
        return f"{ids[row['contrast'], row['data']]}: {a}\n− {b}{on}"

    return links.assign(name=[name(row) for row in links.to_dict("records")])


def _link(axes: Axes, y: int, row: Mapping[Any, Any]) -> None:
    look = OUTCOMES[row["outcome"]]
    if np.isfinite(row["low"]):
        axes.plot([row["low"], row["high"]], [y, y], color=look["color"], lw=1.5)
    axes.plot(row["effect"], y, ms=6.5, mec=look["color"], mew=1.3, ls="none", zorder=3, **look)
    if np.isfinite(row["published"]):
        axes.plot(row["published"], y, zorder=4, **RING)


def _keys(rows: pd.DataFrame) -> list[Line2D | Patch]:
    keys: list[Line2D | Patch] = [
        style.key(name, ms=6.5, mec=look["color"], mew=1.3, lw=1.5, **look)
        for name, look in OUTCOMES.items()
        if (rows["outcome"] == name).any()
    ]
    if rows["published"].notna().any():
        keys.append(style.key("published", **RING))
    return [*keys, Patch(color=style.MUTED, alpha=0.25, lw=0, label="margin")]


# What the critics do to a repair


def critics(frames: Frames, data: str) -> Figure:
    """PSNR and sharpness of the hole against the critics' pull: a mark per variant that claims about critics compare.

    The pull is the norm of the critics' weighted gradient at the generator's output, over the reconstruction loss's.
    """
    rows = critics_rows(frames, data)
    control = frames.study["control"]
    variants = rows.index.drop(control, errors="ignore").tolist()
    looks = {name: _look(frames, name, variants) for name in variants}
    without = {"color": style.INK, "lw": 1.2, "ls": "--"}
    truth = {"color": style.INK, "lw": 0.9, "ls": ":"}
    with style.styled():
        fig = style.figure(WIDTH, 3.9)
        for axes, metric in zip(fig.subplots(1, 2), ("psnr", "sharpness"), strict=True):
            if control in rows.index:
                own = rows.loc[control]
                axes.axhspan(own[f"{metric}_low"], own[f"{metric}_high"], color=style.MUTED, alpha=0.2, lw=0)
                axes.axhline(own[metric], **without)
            if metric == "sharpness":
                axes.axhline(1, **truth)
            for name in variants:
                row, look = rows.loc[name], looks[name]
                axes.plot([row["ratio_least"], row["ratio_greatest"]], [row[metric]] * 2, color=look["mec"], lw=1)
                axes.plot([row["ratio"]] * 2, [row[f"{metric}_low"], row[f"{metric}_high"]], color=look["mec"], lw=1)
                axes.plot(row["ratio"], row[metric], zorder=3 + (look["mfc"] == "white"), **look)
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:,g}%")
            axes.set_xlabel("the critics' gradient, as a share\nof the reconstruction loss's")
            axes.set_title(style.axis_label(metric, "hole"))
            axes.grid()
        keys = [style.key(f"{named(frames, name)} ({loss_of(frames, name)})", **looks[name]) for name in variants]
        keys += [style.key("Reconstruction only: no critic", **without)] * (control in rows.index)
        style.legend(fig, [*keys, style.key("the truth's sharpness", **truth)])
    return fig


def _look(frames: Frames, variant: str, variants: Sequence[str]) -> dict[str, Any]:
    """A mark of its own; its colour says which loss, and it is filled if the critics' weights are scaled."""
    shade = LOSSES.get(loss_of(frames, variant), "#009e73")
    filled = frames.study["configs"][variant]["options"].get("adversarial_share") is not None
    marker = "osD^vP*X<>"[variants.index(variant) % 10]
    return {"marker": marker, "ms": 7, "ls": "none", "mec": shade, "mfc": shade if filled else "white", "mew": 1.3}


def critics_rows(frames: Frames, data: str) -> pd.DataFrame:
    """A row per variant that claims about critics compare, and the control; the index is the variant.

    Columns: ratio, ratio_least, ratio_greatest (the critics' pull, of all seeds; NaN for the control); psnr and
    sharpness of the hole with their 95% intervals (_low, _high).
    """
    links = links_table(frames)
    links = links[links["role"] == "link"]
    claims = links.loc[links["id"].str.endswith("-scaled"), "id"].unique()
    compared = links[links["id"].isin([*claims, *(name.removesuffix("-scaled") for name in claims)])]
    variants = [*dict.fromkeys([*compared["a"], *compared["b"]])]
    pull = tables.mechanism_table(frames, data).set_index("variant")[["ratio", "ratio_least", "ratio_greatest"]]
    parts = [pull]
    for metric in ("psnr", "sharpness"):
        own = tables.results_table(frames, metric=metric, data=data).set_index("variant")
        parts.append(
            own[["hole", "hole_low", "hole_high"]].set_axis([metric, f"{metric}_low", f"{metric}_high"], axis=1)
        )
    table = pd.concat(parts, axis=1).reindex([name for name in variants if name in parts[1].index])
    found: pd.DataFrame = table[
        table["psnr"].notna() & (table["ratio"].notna() | (table.index == frames.study["control"]))
    ]
    return found
