"""Whether critics could have made a difference: the condition for reading "no difference" as a result.

A trial without assay sensitivity cannot show equivalence (ICH E10, section 1.5). Here the assay is the critics. If they
told the generator nothing, two variants that differ in their critics are equal for that reason alone.
"""

from collections.abc import Iterator

import pandas as pd

from reports.analysis.frames import Frames
from reports.analysis.naming import METRICS
from reports.analysis.statistics import compare

LEAST_GRADIENT = 0.01
"""Critics are inert below this ratio of the adversarial gradient's norm to that of L_r's, at the generator's output."""

LEAST_GAP = 0.01
"""A critic's scores have vanished if real and repaired images differ by less than this share of the mean |score|."""

EQUIVALENT_IN = (("psnr", "hole"), ("ssim", "whole"))


def inert(frames: Frames, variant: str, data: str) -> str:
    """Why a variant's critics could not have made a difference, in words; empty if they could.

    The values are medians over the second half of the joint stage, per run. One run with inert critics is enough.
    """
    return next(_reasons(frames, variant, data), "")


def _reasons(frames: Frames, variant: str, data: str) -> Iterator[str]:
    medians = frames.once("critics", lambda: _medians(frames.curves))
    own = medians[(medians["variant"] == variant) & (medians["data"] == data)]
    ratios = own["ratio"].dropna()
    if ratios.empty:
        yield f"the gradient of the critics of {variant} is not recorded"
    elif ratios.min() < LEAST_GRADIENT:
        count = int((ratios < LEAST_GRADIENT).sum())
        yield (
            f"at {count} of {len(ratios)} seeds of {variant} the adversarial gradient was less than "
            f"{LEAST_GRADIENT:.0%} of the reconstruction loss's (lowest {ratios.min():.2g})"
        )
    gaps = own.assign(gap=own["gap"].abs() / own["score_size"].where(own["score_size"] > 0)).fillna({"gap": 0.0})
    gaps = gaps[gaps["network"] != "generator"]
    for network, each in gaps.groupby("network", observed=True, sort=False):
        if (asleep := int((each["gap"] < LEAST_GAP).sum())) and each["score_size"].notna().any():
            yield (
                f"at {asleep} of {len(each)} seeds of {variant} the {network} critic scored real and repaired images "
                f"alike (gap below {LEAST_GAP:.0%} of the mean |score|)"
            )
    control = frames.study["control"]
    if control and control != variant and control in set(frames.runs["variant"]):
        found = [
            compare(
                frames.runs,
                frames.select(metric, region, "composite", data),
                variant,
                control,
                metric=metric,
                region=region,
                data=data,
                direction="equal",
                margin=METRICS[metric].margin,
            ).outcome
            for metric, region in EQUIVALENT_IN
        ]
        if set(found) == {"supported"}:
            yield f"{variant} equals {control}, which has no critics, in every metric"


def _medians(curves: pd.DataFrame) -> pd.DataFrame:
    """Medians of the second half of the joint stage. Columns: run, variant, data, network, ratio, gap, score_size."""
    terms = ["ratio", "gap", "score_size"]
    joint = curves[(curves["stage"] == "joint") & curves["term"].isin(terms)].astype({"value": float, "step": int})
    late = joint[joint["step"] > joint.groupby("run", observed=True)["step"].transform("max") / 2]
    by = ["run", "variant", "data", "network"]
    medians = late.groupby([*by, "term"], observed=True)["value"].median().unstack("term")
    return medians.reindex(columns=terms).reset_index()
