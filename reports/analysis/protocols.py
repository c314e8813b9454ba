"""Which protocol did the paper use? Its Tables 6 to 8 do not say what was measured (readings R23 to R25).

The published numbers exclude some protocols. Under a protocol, the published number of a trained method is *in reach*
if it lies between the best trivial filler (a trained method below it is not credible) and the best method trained here
plus a headroom for longer training on more data.
"""

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from reports.analysis.frames import EXTERNAL, Frames, NoDataError
from reports.analysis.naming import label, metric_of, role
from reports.analysis.published import counterpart, published_values

OUTPUTS = ("composite", "raw", "blended")
WINDOWS = {"ssim": "Gaussian window", "ssim_global": "one window"}
REGIONS = {"psnr": ("hole", "whole"), "ssim": ("hole", "whole"), "ssim_global": ("whole",)}
HEADROOM = {"psnr": 3.0, "ssim": 0.05, "ssim_global": 0.05}
"""What longer training on more data may add to the best method here: dB, or SSIM."""
DRAWN = ("faces",)
"""Kinds of drawn data, which cannot be compared with numbers that were measured on photographs."""


def protocol_table(frames: Frames, headroom: Mapping[str, float] = HEADROOM) -> pd.DataFrame:
    """A row per protocol and published figure.

    Columns: metric ('ssim' with the Gaussian window, 'ssim_global' with one), region, output, data, counterpart,
    method, published, filler (the best trivial one), floor (its mean; NaN where none ran), measured (that method's own
    mean here, NaN if it was not run), best (method trained here), best_mean, ceiling, in_reach, why (a sentence; empty
    if in reach). For the raw output of the whole image, methods that copy the known pixels (CE, the biharmonic filler)
    are compared only with each other, and so are the others. Raises NoDataError if no photographs were repaired.
    """
    kinds = {str(entry["name"]): entry.get("kind") for entry in frames.study["data"] or []}
    photographs = [data for data in frames.data_sets() if kinds.get(data) and kinds[data] not in DRAWN]
    if not photographs:
        raise NoDataError(
            "The study has no photographs, and drawn portraits say nothing of numbers that the paper measured on "
            "photographs; run it on a folder of images to see this."
        )
    completed = frames.runs[frames.runs["status"] == "completed"]
    untrained = set(completed.loc[completed["start"] == "", "variant"])
    rows = []
    for data, (metric, regions) in product(photographs, REGIONS.items()):
        values = published_values(frames, data, metric.partition("_")[0])
        for region, output in product(regions, OUTPUTS):
            means = _means(frames, metric, region, output, data)
            copies = pd.Series(False, index=means.index)
            if (region, output) == ("whole", "raw"):
                pasted = _means(frames, metric, region, "composite", data).reindex(means.index)
                copies = pd.Series(np.isclose(means, pasted), index=means.index)
            for method, value in values.items():
                peers = means[copies == copies.get(method, False)]
                fillers, trained = peers[peers.index.isin(untrained)], peers[~peers.index.isin(untrained)]
                if trained.empty:
                    continue
                filler, floor = (str(fillers.idxmax()), float(fillers.max())) if len(fillers) else ("", np.nan)
                best, highest = str(trained.idxmax()), float(trained.max())
                ceiling = highest + headroom[metric]
                row: dict[str, Any] = {"metric": metric, "region": region, "output": output, "data": data}
                row |= {"counterpart": counterpart(frames, data), "method": method, "published": value}
                row |= {"filler": filler, "floor": floor, "measured": float(means.get(method, np.nan))}
                row |= {"best": best, "best_mean": highest, "ceiling": ceiling}
                row["in_reach"] = not value < floor and value <= ceiling
                rows.append({**row, "why": _why(frames, pd.DataFrame([row]))})
    if not rows:
        raise NoDataError(
            "No method was trained on photographs that stand beside the paper's data; if yours resemble one of its "
            "sets, name that set in the study file (like: CelebA, ImageNet or Places2)."
        )
    return pd.DataFrame(rows)


def protocol_summary(frames: Frames, headroom: Mapping[str, float] = HEADROOM) -> pd.DataFrame:
    """A row per protocol that one paper would have used for both metrics; those with most numbers in reach come first.

    Columns: region, output, window (of SSIM), psnr and ssim (how many of the published figures are in reach), psnr_of
    and ssim_of (how many there are), in_reach (whether all are), would_have_to (what would have to be true of the
    others; empty if all are). Raises NoDataError as ``protocol_table``.
    """
    table = protocol_table(frames, headroom)
    rows = []
    for window, output in product(WINDOWS, OUTPUTS):
        for region in REGIONS[window]:
            own = table[(table["region"] == region) & (table["output"] == output)]
            psnr, ssim = (own[own["metric"] == metric] for metric in ("psnr", window))
            both = pd.concat([psnr, ssim])
            if both.empty:
                continue
            row: dict[str, Any] = {"region": region, "output": output, "window": WINDOWS[window]}
            row |= {"psnr": int(psnr["in_reach"].sum()), "psnr_of": len(psnr)}
            row |= {"ssim": int(ssim["in_reach"].sum()), "ssim_of": len(ssim)}
            rows.append({**row, "in_reach": bool(both["in_reach"].all()), "would_have_to": _why(frames, both)})
    summary = pd.DataFrame(rows)
    most = (summary["psnr"] + summary["ssim"]).sort_values(ascending=False, kind="stable").index
    return summary.loc[most].reset_index(drop=True)


def protocol_words(summary: pd.DataFrame) -> str:
    """A ``protocol_summary`` in words: for each metric alone, then for both."""
    parts = []
    for metric, names in (("psnr", ["region", "output"]), ("ssim", ["region", "output", "window"])):
        count, title = summary[f"{metric}_of"].max(), metric_of(metric).label
        text = _protocols(summary[summary[metric] == summary[f"{metric}_of"]], names)
        parts.append(
            f"All {count} published figures of {title} are in reach under: {text}."
            if text
            else f"Under no protocol are all {count} published figures of {title} in reach."
        )
    text = _protocols(summary[summary["in_reach"]], ["region", "output", "window"])
    parts.append(
        f"Those of both are under: {text}."
        if text
        else "Under no protocol are all of both: they were not measured alike, or what the last column says is true."
    )
    if lacking := [output for output in OUTPUTS if output not in set(summary["output"])]:
        parts.append(f"Not scored here: {' and '.join(lacking)}.")
    return " ".join(parts)


def _means(frames: Frames, metric: str, region: str, output: str, data: str) -> pd.Series:
    """Each variant's mean over the images and seeds of its completed runs, without external methods."""
    here = (frames.runs["status"] == "completed") & (frames.runs["method"] != EXTERNAL)
    completed = frames.runs.loc[here, "run"]
    chosen = frames.select(metric, region, output, data)
    finite = chosen[chosen["run"].isin(completed) & np.isfinite(chosen["value"].astype(float))]
    return finite.groupby("variant", observed=True)["value"].mean().rename(index=str).astype(float)


def _protocols(rows: pd.DataFrame, names: list[str]) -> str:
    return "; ".join(dict.fromkeys(", ".join(row) for row in rows[names].to_numpy()))


def _why(frames: Frames, rows: pd.DataFrame) -> str:
    """What would have to be true of the published numbers in ``rows`` that are out of reach; empty if none is."""
    parts = []
    for (data, metric), own in rows[~rows["in_reach"]].groupby(["counterpart", "metric"], sort=False):
        below = own["published"] < own["floor"]
        parts += [_sentence(frames, str(data), str(metric), part) for part in (own[below], own[~below]) if len(part)]
    return " ".join(parts)


def _sentence(frames: Frames, data: str, metric: str, rows: pd.DataFrame) -> str:
    """The sentence for one data set and metric, with all numbers below the floor or all above the ceiling."""
    named, first = metric_of(metric), rows.iloc[0]
    below = first["published"] < first["floor"]
    methods = _listed(label(role(frames, method)) for method in rows["method"])
    apart = rows["floor"] - rows["published"] if below else rows["published"] - rows["best_mean"]
    by = f"{_listed(f'{each:.{named.digits}f}' for each in apart)} {named.unit}".rstrip()
    text = f"In {named.label} on {data} the paper's {methods} would have to be"
    if below:
        filler = label(first["filler"])
        return f"{text} {by} worse than the {filler.lower()} ({first['floor']:.{named.digits}f}), which is not trained."
    best = f"{label(first['best'])}, {first['best_mean']:.{named.digits}f}"
    return f"{text} {by} better than the best method here ({best})."


def _listed(names: Any) -> str:
    *others, last = [str(name) for name in names]
    return f"{', '.join(others)} and {last}" if others else last
