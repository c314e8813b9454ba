"""Scores by the size of the hole, as other papers print them."""

import numpy as np
import pandas as pd

from reports.analysis.frames import Frames, NoDataError
from reports.analysis.naming import group, ordered, titled
from reports.analysis.statistics import mean_interval

BINS = tuple((edge / 10, (edge + 1) / 10) for edge in range(10))
"""Shares of the image, from the first and below the second; the last one is closed. They are LaMa's (Suvorov 2022, its
evaluation's ten bins), and those of Liu 2018 (section 4.2), whose first one begins at 1% and which end at 60%."""

SHOWN = ("paper", "control", "own", "filler", "external")
"""The groups of variants in the table. Cells of ablations and multiverses are left out."""


def hole_sizes(frames: Frames, data: str) -> pd.Series:
    """How much of each test image is hole, by image; empty where it is not known."""
    own = frames.scores.loc[frames.scores["data"] == data, ["image", "hole_share"]].dropna()
    return own.astype({"image": str}).drop_duplicates("image").set_index("image")["hole_share"]


def holes_differ(frames: Frames, data: str) -> bool:
    """True if the holes of the test images fall into several of ``BINS``."""
    return _bins(hole_sizes(frames, data)).nunique() > 1


def by_hole_table(
    frames: Frames, data: str, *, metric: str = "psnr", region: str = "hole", level: float = 0.95
) -> pd.DataFrame:
    """A row per variant and bin of the hole's share of the image: the composite's scores on the images in that bin.

    Columns: variant, label, group, bin ('10-20%'), share (mean over the bin's images), mean with low and high, seeds,
    images. Raises NoDataError if the holes are not known to fall into several bins.
    """
    bins = _bins(sizes := hole_sizes(frames, data))
    if bins.nunique() < 2:
        raise NoDataError(f"The holes of {data} are of one size, or their sizes are not known.")
    runs = frames.runs[frames.runs["data"] == data]
    scores = frames.select(metric, region, "composite", data)
    scores = scores.assign(bin=scores["image"].astype(str).map(bins))
    shown = [name for name in ordered(frames, runs["variant"].tolist()) if group(frames, name) in SHOWN]
    rows = []
    for variant in shown:
        for place in sorted(bins.unique()):
            found = mean_interval(
                runs, scores[scores["bin"] == place], variant, metric=metric, region=region, data=data, level=level
            )
            low, high = BINS[int(place)]
            row: dict[str, object] = {
                "variant": variant,
                "label": titled(frames, variant),
                "group": group(frames, variant),
            }
            row |= {"bin": f"{low:.0%}-{high:.0%}".replace("%-", "-"), "share": float(sizes[bins == place].mean())}
            row |= {"mean": found.mean, "low": found.low, "high": found.high}
            rows.append({**row, "seeds": found.n_seeds, "images": found.n_images})
    return pd.DataFrame(rows)


def _bins(shares: pd.Series) -> pd.Series:
    """The place in ``BINS`` of each share."""
    places: pd.Series = np.floor(shares * 10 + 1e-9).clip(0, 9).astype(int)
    return places
