"""Whether the critics were awake: whether they could have made a difference to the generator.

A trial without assay sensitivity cannot show equivalence (ICH E10, section 1.5). Here the assay is the critics. If they
told the generator nothing, two variants that differ in their critics are equal for that reason alone.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from reports.analysis.frames import Frames
from reports.analysis.naming import METRICS, label
from reports.analysis.statistics import compare

LEAST_RATIO = 0.01
"""Critics are inert below this ratio of the adversarial gradient's norm to that of L_r's, at the generator's output."""

LEAST_ACCURACY = 0.6
"""A critic is asleep if it gives the real image the higher score in a smaller share of pairs; 0.5 is guessing."""

LEAST_SHARE = 0.01
"""A critic is asleep if it has a smaller share of the critics' gradients."""

MOST_GROWTH = 100.0
"""A critic has exploded if its weights' gradient is this many times that of its first log interval, or over this."""

EQUIVALENT_IN = (("psnr", "hole"), ("ssim", "whole"))


def critics_table(frames: Frames) -> pd.DataFrame:
    """A row per critic of each run, from the second half of its joint stage.

    Columns: run, variant, data, seed, network; accuracy (the share of pairs in which the real image has a higher score
    than its repair), gradient_ratio (the norm of the critic's weighted gradient at the generator's output over that of
    L_r's), share (of the sum of these over the run's critics), growth (the norm of its weights' gradient over that of
    the first log interval of its training, or over 1 if that was smaller), state ('awake', 'asleep', 'exploded') and
    why (a sentence part; empty if awake). Numbers are medians. The table is computed once per frames; do not modify it.
    """
    return frames.once("critics", lambda: _critics_table(frames.curves))


def _critics_table(curves: pd.DataFrame) -> pd.DataFrame:
    by, terms = ["run", "variant", "data", "seed", "network"], ["accuracy", "gradient_ratio", "gradient_norm"]
    curves = curves[curves["network"] != "generator"]
    table = _late(curves, terms).groupby([*by, "term"], observed=True)["value"].median().unstack("term")
    table = table.reindex(columns=terms).dropna(subset=["accuracy", "gradient_ratio"], how="all")
    table["share"] = table["gradient_ratio"] / table.groupby("run", observed=True)["gradient_ratio"].transform("sum")
    norms = curves[curves["term"] == "gradient_norm"].sort_values(["stage", "step"])  # critic, then joint
    first = norms.groupby(by, observed=True)["value"].first().astype(float).clip(lower=1)
    table["growth"] = table["gradient_norm"] / first.reindex(table.index)
    states = [_state(*row) for row in table[["accuracy", "share", "growth"]].itertuples(index=False)]
    table = table.assign(state=[state for state, _ in states], why=[why for _, why in states])
    return table.drop(columns="gradient_norm").reset_index()


def _state(accuracy: float, share: float, growth: float) -> tuple[str, str]:
    """The state of a critic, and why it is not awake."""
    if growth > MOST_GROWTH:
        return "exploded", f"the gradient of its weights grew {growth:,.0f} times"
    why = _asleep(accuracy, share)
    return ("asleep", why) if why else ("awake", "")


def _asleep(accuracy: float, share: float) -> str:
    """Why a critic is asleep; empty if it is not. An exploded one may be, too."""
    if not accuracy >= LEAST_ACCURACY:
        return f"it told real images from repaired ones in {accuracy:.0%} of pairs, and guessing gives 50%"
    if not share >= LEAST_SHARE:
        return f"it has {0.0 if np.isnan(share) else share:.1%} of the critics' gradients"
    return ""


def inert(frames: Frames, variant: str, data: str) -> str:
    """Why a variant's critics could not have made a difference, in words; empty if they could.

    One run with inert critics is enough.
    """
    return next(_reasons(frames, variant, data), "")


def _reasons(frames: Frames, variant: str, data: str) -> Iterator[str]:
    ratios = frames.once("ratios", lambda: _ratios(frames.curves))
    own = ratios[(ratios["variant"] == variant) & (ratios["data"] == data)]["value"]
    if own.empty:
        yield f"the gradient of the critics of {label(variant)} is not recorded"
    elif own.min() < LEAST_RATIO:
        count = int((own < LEAST_RATIO).sum())
        yield (
            f"at {count} of {len(own)} seeds of {label(variant)} the adversarial gradient was less than "
            f"{LEAST_RATIO:.0%} of the reconstruction loss's (lowest {own.min():.2g})"
        )
    critics = critics_table(frames)
    critics = critics[(critics["variant"] == variant) & (critics["data"] == data)]
    if critics.empty:
        yield f"the scores of the critics of {label(variant)} are not recorded"
    for network, each in critics.groupby("network", observed=True, sort=False):
        numbers = zip(each["accuracy"], each["share"], strict=True)
        if asleep := [why for accuracy, share in numbers if (why := _asleep(accuracy, share))]:
            where = f"at {len(asleep)} of {len(each)} seeds of {label(variant)}"
            yield f"{where} the {network} critic was asleep: {asleep[0]}"
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
                level=frames.level,
            ).outcome
            for metric, region in EQUIVALENT_IN
        ]
        if set(found) == {"supported"}:
            yield f"{label(variant)} equals {label(control)}, which has no critics, in PSNR and SSIM"


def _ratios(curves: pd.DataFrame) -> pd.DataFrame:
    """The ratio of the adversarial gradient to L_r's, by run: run, variant, data, value (a median)."""
    by = ["run", "variant", "data"]
    late = _late(curves[curves["network"] == "generator"], ["ratio"])
    return late.groupby(by, observed=True)["value"].median().reset_index()


def _late(curves: pd.DataFrame, terms: list[str]) -> pd.DataFrame:
    """The rows of these terms in the second half of the joint stage."""
    joint = curves[(curves["stage"] == "joint") & curves["term"].isin(terms)].astype({"value": float, "step": int})
    return joint[joint["step"] > joint.groupby("run", observed=True)["step"].transform("max") / 2]


def spread(norms: npt.NDArray[np.floating[Any]]) -> float:
    """The spread of a gradient's norms about their own trend, in decades: the 95th less the 5th percentile.

    ``norms``: (steps,), one per step. The trend is the running median over a tenth of the steps. So a norm that grows
    smoothly, as it does while critics learn, has no spread. A norm of zero counts as 1e-30. NaN without steps.
    """
    logs = pd.Series(np.log10(np.maximum(norms.astype(float), 1e-30)))
    trend = logs.rolling(max(5, len(logs) // 10 | 1), center=True, min_periods=1).median()
    return float((logs - trend).quantile(0.95) - (logs - trend).quantile(0.05))
