"""Perceptual distances: LPIPS of each image, FID and KID of a whole set."""

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd

from reports.analysis.frames import Frames, NoDataError
from reports.analysis.naming import OF_SETS, group, ordered, titled
from reports.analysis.statistics import mean_interval

DISTANCES = ("lpips", *OF_SETS)


def distances_asked(frames: Frames) -> tuple[str, ...]:
    """The perceptual distances that the study asks for, measured or missing, in the order of the table."""
    wanted = (frames.study["protocol"] or {}).get("perceptual") or {}
    known = {*wanted, *frames.distances["metric"].unique(), *frames.scores["metric"].unique()}
    return tuple(name for name in DISTANCES if name in known)


def distances_lacking(frames: Frames) -> list[str]:
    """Why requested distances are missing: each reason once, with its variants unless it applies to all."""
    lacking = frames.distances[frames.distances["value"].isna()].astype({"why": str, "variant": str})
    everyone = frames.distances["variant"].nunique()
    found = []
    for why, rows in lacking.groupby("why", sort=False):
        variants = rows["variant"].unique()
        names = ", ".join(titled(frames, variant) for variant in ordered(frames, variants.tolist()))
        found.append(f"{why} ({names})" if len(variants) < everyone else str(why))
    return found


def perceptual_table(frames: Frames, data: str, *, output: str = "composite", level: float = 0.95) -> pd.DataFrame:
    """A row per variant with the distances of its outputs from the truths; lower is better.

    Columns: variant, label, group; lpips (mean over images and seeds) with lpips_low, lpips_high, lpips_seeds (tuple of
    each seed's mean), lpips_images; fid and kid (means over seeds) with fid_seeds, kid_seeds (tuples), fid_images,
    kid_images (number of images; a tuple where the seeds differ), kid_spread (mean over seeds of the standard
    deviation over subsets); lpips_why, fid_why, kid_why (text: the reason for a missing value); seeds (the largest
    number used). Distances of sets have no interval over images: a set has one distance. Missing values are NaN.

    Raises NoDataError if the study asks for no distance, or has no run on ``data``.
    """
    if not distances_asked(frames):
        raise NoDataError("The study asks for no perceptual distance.")
    runs = frames.runs[(frames.runs["data"] == data) & (frames.runs["status"] == "completed")]
    if runs.empty:
        raise NoDataError(f"No run on {data} has been scored.")
    own = frames.distances[(frames.distances["data"] == data) & (frames.distances["output"] == output)]
    scores = frames.select("lpips", "whole", output, data)
    rows = []
    for variant in ordered(frames, runs["variant"].tolist()):
        row: dict[Hashable, Any] = {"variant": variant, "label": titled(frames, variant)}
        row["group"] = group(frames, variant)
        mine = own[own["variant"] == variant]
        found = mean_interval(
            runs, scores, variant, metric="lpips", region="whole", output=output, data=data, level=level
        )
        row |= {"lpips": found.mean, "lpips_low": found.low, "lpips_high": found.high}
        row |= {"lpips_seeds": tuple(found.by_seed.values()), "lpips_images": found.n_images}
        row["lpips_why"] = _why(mine, "lpips")
        for name in OF_SETS:
            row |= _of_sets(mine, name)
        row["seeds"] = max(len(row[f"{name}_seeds"]) for name in DISTANCES)
        rows.append(row)
    return pd.DataFrame(rows)


def _of_sets(mine: pd.DataFrame, name: str) -> dict[Hashable, Any]:
    """A distance of a variant's sets, one per seed."""
    there = mine[(mine["metric"] == name) & mine["value"].notna()].sort_values("seed")
    counts = tuple(dict.fromkeys(int(count) for count in there["images"]))
    found: dict[Hashable, Any] = {
        name: there["value"].astype(float).mean(),
        f"{name}_seeds": tuple(float(value) for value in there["value"]),
        f"{name}_images": counts if len(counts) > 1 else sum(counts),
        f"{name}_why": _why(mine, name),
    }
    if name == "kid":
        found["kid_spread"] = there["spread"].astype(float).mean() if len(there) else np.nan
    return found


def _why(mine: pd.DataFrame, name: str) -> str:
    lacking = mine.loc[(mine["metric"] == name) & mine["value"].isna(), "why"].astype(str)
    return "; ".join(dict.fromkeys(why for why in lacking if why))
