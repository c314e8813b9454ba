"""The cells of an ablation, and their results."""

from collections.abc import Hashable

import numpy as np
import pandas as pd

from reports.analysis.frames import Frames, NoDataError
from reports.analysis.statistics import compare, mean_interval, simultaneous


def levels(frames: Frames, ablation: str) -> pd.DataFrame:
    """An ablation's cells, in the order given. Columns: variant, then one per factor with its level.

    A variant in several cells has a row for each. Raises NoDataError if there is no such ablation.
    """
    own = frames.factors[frames.factors["ablation"] == ablation]
    if own.empty:
        raise NoDataError(f"The study has no ablation {ablation}.")
    cells = own.assign(cell=own.groupby(["variant", "factor"], observed=True).cumcount())
    wide = cells.pivot(index=["variant", "cell"], columns="factor", values="level")
    order = pd.MultiIndex.from_frame(cells[["variant", "cell"]].drop_duplicates())
    return wide.loc[order, own["factor"].unique()].reset_index(level="variant").reset_index(drop=True)


def ablation_table(
    frames: Frames,
    ablation: str,
    data: str,
    *,
    metric: str = "psnr",
    region: str = "hole",
    output: str = "composite",
    level: float = 0.95,
) -> pd.DataFrame:
    """A row per variant of the ablation, with intervals that hold jointly at ``level`` (Bonferroni).

    Columns: variant, one per factor, mean, low, high, by_seed (tuple of each seed's mean), seeds, diverged;
    difference, difference_low, difference_high (from the study's reference; NaN for itself, or where it
    was not run), paired, difference_seeds (the number of seeds in it: the smaller of the two sides'). Raises
    NoDataError if there is no such ablation, or none of its variants ran on ``data``.
    """
    wide = levels(frames, ablation)
    runs = frames.runs[frames.runs["data"] == data]
    if not wide["variant"].isin(runs["variant"]).any():
        raise NoDataError(f"No variant of the ablation {ablation} ran on {data}.")
    chosen = frames.select(metric, region, output, data)
    reference = frames.study["reference"]
    variants = wide["variant"].nunique()
    each, others = simultaneous(level, variants), simultaneous(level, variants - 1)
    rows = []
    for cell in wide.to_dict("records"):
        variant = cell["variant"]
        own = mean_interval(runs, chosen, variant, metric=metric, region=region, output=output, data=data, level=each)
        row: dict[Hashable, object] = dict(cell)
        row |= {"mean": own.mean, "low": own.low, "high": own.high, "by_seed": tuple(own.by_seed.values())}
        row |= {"seeds": own.n_seeds, "diverged": own.diverged}
        row |= {"difference": np.nan, "difference_low": np.nan, "difference_high": np.nan, "paired": False}
        row["difference_seeds"] = own.n_seeds
        if variant != reference and (wide["variant"] == reference).any():
            found = compare(
                runs,
                chosen,
                variant,
                reference,
                metric=metric,
                region=region,
                output=output,
                data=data,
                level=others,
            )
            row |= {
                "difference": found.difference,
                "difference_low": found.low,
                "difference_high": found.high,
            }
            row |= {"paired": found.paired, "difference_seeds": min(found.n_seeds)}
        rows.append(row)
    return pd.DataFrame(rows)


def all_ablations(frames: Frames, data: str, *, level: float = 0.95) -> pd.DataFrame:
    """The rows of all ablations in PSNR of the hole. Columns: ablation, those of ``ablation_table`` but no factors.

    Raises NoDataError if no ablation ran on ``data``.
    """
    parts = []
    for name in dict.fromkeys(frames.factors["ablation"].astype(str)):
        try:
            table = ablation_table(frames, name, data, level=level)
        except NoDataError:
            continue
        parts.append(table.drop(columns=levels(frames, name).columns[1:]).assign(ablation=name))
    if not parts:
        raise NoDataError(f"No ablation ran on {data}.")
    return pd.concat(parts, ignore_index=True)
