"""Which protocol did the paper use? Its Tables 6 to 8 do not say of what their numbers are (readings R23 to R25).

A number says something of its protocol, for not every number can be reached under every one. A published figure of a
trained method is *in reach* under a protocol if it lies between the best trivial filler, which a trained method should
beat, and the best method that was trained here, plus a headroom for longer training on more data.
"""

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from reports.frames import Frames, NoDataError
from reports.naming import label, metric_of
from reports.paper import counterpart, published_values
from reports.statistics import select

OUTPUTS = ("composite", "raw", "blended")
WINDOWS = {"ssim": "Gaussian window", "ssim_global": "one window"}
REGIONS = {"psnr": ("whole", "hole"), "ssim": ("whole", "hole"), "ssim_global": ("whole",)}
HEADROOM = {"psnr": 3.0, "ssim": 0.05, "ssim_global": 0.05}
"""What longer training on more data may add to the best method here: dB, or of 1."""
DRAWN = ("faces",)
"""Kinds of data that are drawn, and so say nothing of numbers that were measured on photographs."""


def protocol_table(frames: Frames, headroom: Mapping[str, float] = HEADROOM) -> pd.DataFrame:
    """A row a protocol and published figure.

    Columns: metric (with its window), region, output, data, counterpart, method, published, filler (the best trivial
    one), floor (its mean; NaN for the raw output of the whole image, of which a filler errs in the hole alone),
    measured (that method's own mean here, NaN if it was not run), best (of all trained here), ceiling, in_reach,
    why (a sentence, empty if in reach). Raises NoDataError where no photographs were repaired.
    """
    kinds = {str(entry["name"]): entry.get("kind") for entry in frames.study["data"] or []}
    sets = [data for data in frames.data_sets() if kinds.get(data) not in DRAWN and counterpart(frames, data)]
    if not sets:
        raise NoDataError(
            "The study has no photographs. Portraits that are drawn by a program say nothing of numbers that the paper "
            "measured on photographs; run it on a folder of images to see this."
        )
    untrained = set(frames.runs.loc[frames.runs["start"] == "", "variant"])
    rows = []
    for data, (metric, regions) in product(sets, REGIONS.items()):
        values = published_values(frames, data, "psnr" if metric == "psnr" else "ssim")
        for region, output in product(regions, OUTPUTS):
            chosen = select(frames.scores, metric=metric, region=region, output=output, data=data)
            means = chosen[np.isfinite(chosen["value"])].groupby("variant")["value"].mean()
            fillers, trained = means[means.index.isin(untrained)], means[~means.index.isin(untrained)]
            if trained.empty:
                continue
            bounded = len(fillers) and (region, output) != ("whole", "raw")
            filler, floor = (str(fillers.idxmax()), float(fillers.max())) if bounded else ("", np.nan)
            best, ceiling = float(trained.max()), float(trained.max()) + headroom[metric]
            for method, value in values.items():
                row: dict[str, Any] = {"metric": metric, "region": region, "output": output, "data": data}
                row |= {"counterpart": counterpart(frames, data), "method": method, "published": value}
                row |= {"filler": filler, "floor": floor, "measured": float(means.get(method, np.nan))}
                row |= {"best": best, "ceiling": ceiling, "in_reach": not value < floor and value <= ceiling}
                rows.append({**row, "why": _why(row, metric)})
    if not rows:
        raise NoDataError("No trained method repaired photographs here.")
    return pd.DataFrame(rows)


def protocol_summary(frames: Frames, headroom: Mapping[str, float] = HEADROOM) -> pd.DataFrame:
    """A row a protocol, that is a region, an output and a window for SSIM; those that reach most come first.

    Columns: region, output, window, in_reach, of (published figures), would_have_to (what would have to be true for
    the rest; empty where all are in reach). Raises NoDataError as `protocol_table`.
    """
    table = protocol_table(frames, headroom)
    rows = []
    for region, output, window in product(("whole", "hole"), OUTPUTS, WINDOWS):
        if region not in REGIONS[window]:
            continue
        same = (table["region"] == region) & (table["output"] == output)
        own = table[same & table["metric"].isin(["psnr", window])]
        if own.empty:
            continue
        rows.append(
            {
                "region": region,
                "output": output,
                "window": WINDOWS[window],
                "in_reach": int(own["in_reach"].sum()),
                "of": len(own),
                "would_have_to": " ".join(own.loc[~own["in_reach"], "why"]),
            }
        )
    return pd.DataFrame(rows).sort_values("in_reach", ascending=False, kind="stable", ignore_index=True)


def protocol_words(summary: pd.DataFrame) -> str:
    """What a `protocol_summary` comes to, in a sentence or two."""
    all_in = summary[summary["in_reach"] == summary["of"]]
    if len(all_in):
        named = "; ".join(f"{row['region']}, {row['output']}, {row['window']}" for row in all_in.to_dict("records"))
        return f"All published figures are in reach at once under: {named}."
    most = summary.iloc[0]
    return (
        f"Under no protocol are all {most['of']} published figures in reach at once. Most, {most['in_reach']}, are "
        f"under: {most['region']}, {most['output']}, {most['window']}. So PSNR and SSIM were measured differently, or "
        "what the last column says is true."
    )


def _why(row: Mapping[str, Any], metric: str) -> str:
    """What would have to be true for a published figure to be measured so; empty if it is in reach."""
    if row["in_reach"]:
        return ""
    named = metric_of(metric)
    published, floor, best, digits = row["published"], row["floor"], row["best"], named.digits
    told = f"{label(row['method'])}'s {named.label} of {published:g} on {row['counterpart']} would have to lie"
    unit = f" {named.unit}".rstrip()
    if published < floor:
        untrained = f"{label(row['filler'])}, which is not trained ({floor:.{digits}f})"
        return f"{told} {floor - published:.{digits}f}{unit} below the {untrained}."
    return f"{told} {published - best:.{digits}f}{unit} above the best method here ({best:.{digits}f})."
