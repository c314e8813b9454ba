"""Intervals for few seeds and many images.

Seeds and test images are both drawn by chance, and an interval over one of them alone speaks of the other
as if it were fixed. So each estimate m has two variances: A from the seeds, B from the images, and the
interval

    m +- sqrt(t^2 A + z^2 B)

with t of the seeds' degrees of freedom (paired, or Welch-Satterthwaite) and z = 1.96 at 95%. Simulated
coverage with three seeds is 96 to 98%; tests/reports/test_statistics.py repeats that. There are no
p-values: at three seeds the smallest that a sign-flip test can give is .25.

A claim "a is better than b" is *supported* where the interval lies beyond zero in its direction, *opposed*
where it lies beyond zero on the other side, *negligible* where the 90% interval lies within the margin,
else *unresolved*; under three seeds always unresolved. A diverged seed of a blocks *supported*.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from reports.naming import metric_of

Floats = npt.NDArray[np.float64]
Outcome = Literal["supported", "opposed", "negligible", "unresolved"]

ENOUGH_SEEDS = 3


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean, or a difference of means, with its two sources of chance."""

    mean: float
    seeds_variance: float
    degrees: float
    images_variance: float

    def half_width(self, level: float = 0.95) -> float:
        """Half the interval's width at that level; NaN where a source of chance cannot be estimated."""
        quantile = (1 + level) / 2
        t = stats.t.ppf(quantile, self.degrees)
        z = stats.norm.ppf(quantile)
        return float(np.sqrt(t**2 * self.seeds_variance + z**2 * self.images_variance))

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """(low, high) at that level."""
        half = self.half_width(level)
        return self.mean - half, self.mean + half


@dataclass(frozen=True, kw_only=True)
class MeanInterval:
    """One variant's mean. `by_seed`: seed -> mean over images; low and high are NaN under two seeds."""

    mean: float
    low: float
    high: float
    by_seed: dict[int, float]
    n_images: int
    diverged: int
    level: float

    @property
    def n_seeds(self) -> int:
        """How many seeds entered."""
        return len(self.by_seed)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The claim "a is better than b" against what was measured.

    `difference`, `low`, `high`, `low90`, `high90` are of a - b in the metric's unit, whatever its
    direction. `n_seeds`, `diverged`: of a and of b. `n_images` entered; `images_left_out` were not scored
    by both, or not finite. `paired`: seeds were paired. `why` says in words what the outcome rests on.
    """

    a: str
    b: str
    metric: str
    region: str
    output: str
    data: str
    difference: float
    low: float
    high: float
    low90: float
    high90: float
    n_seeds: tuple[int, int]
    n_images: int
    n_groups: int
    images_left_out: int
    paired: bool
    level: float
    margin: float | None
    diverged: tuple[int, int]
    outcome: Outcome
    why: str


def estimate(
    a: Floats,
    b: Floats | None = None,
    *,
    paired: bool = False,
    groups: npt.NDArray[np.int64] | None = None,
    fixed: tuple[bool, bool] = (False, False),
) -> Estimate:
    """The mean of `a` (S_a, I), or of `a` - `b` (S_b, I), seeds by images.

    `groups` (I,): the cluster of each image. `fixed`: the method has no seed, its rows are one row repeated.
    """
    a = a[:1] if fixed[0] else a
    if b is None:
        per_image = a.mean(axis=0)
        seeds_variance, degrees = _of_seeds(a.mean(axis=1), fixed[0])
    elif paired:
        assert a.shape == b.shape and not any(fixed)
        per_image = (a - b).mean(axis=0)
        seeds_variance, degrees = _of_seeds((a - b).mean(axis=1), False)
    else:
        b = b[:1] if fixed[1] else b
        per_image = a.mean(axis=0) - b.mean(axis=0)
        parts = [_of_seeds(a.mean(axis=1), fixed[0]), _of_seeds(b.mean(axis=1), fixed[1])]
        seeds_variance = sum(variance for variance, _ in parts)
        spread = sum(variance**2 / degrees for variance, degrees in parts)
        degrees = seeds_variance**2 / spread if spread else np.inf  # Welch-Satterthwaite
    return Estimate(
        mean=float(per_image.mean()),
        seeds_variance=float(seeds_variance),
        degrees=float(degrees),
        images_variance=_of_images(per_image, groups),
    )


def _of_seeds(means: Floats, fixed: bool) -> tuple[float, float]:
    """Variance of the mean of `means` (S,), and its degrees of freedom."""
    if fixed:
        return 0.0, np.inf
    if len(means) < 2:
        return np.nan, np.nan
    return float(means.var(ddof=1) / len(means)), len(means) - 1.0


def _of_images(per_image: Floats, groups: npt.NDArray[np.int64] | None) -> float:
    """Variance of the mean over images (I,), by clusters of any size.

    With clusters of one size this is the variance of their means over their number; with single images,
    s^2 / I.
    """
    residuals = per_image - per_image.mean()
    sums = residuals if groups is None else np.bincount(groups, weights=residuals)
    if len(sums) < 2:
        return np.nan
    return float(len(sums) / (len(sums) - 1) * np.square(sums).sum() / len(per_image) ** 2)


def simultaneous(level: float, intervals: int) -> float:
    """The level of each of several intervals that hold together at `level` (Bonferroni)."""
    return 1 - (1 - level) / max(intervals, 1)


def select(scores: pd.DataFrame, *, metric: str, region: str, output: str, data: str | None = None) -> pd.DataFrame:
    """The rows of `scores` of one metric, region and output, and of one data set unless None."""
    keep = (scores["metric"] == metric) & (scores["region"] == region) & (scores["output"] == output)
    return scores[keep if data is None else keep & (scores["data"] == data)]


def mean_interval(
    runs: pd.DataFrame,
    scores: pd.DataFrame,
    variant: str,
    *,
    metric: str = "psnr",
    region: str = "hole",
    output: str = "composite",
    data: str | None = None,
    level: float = 0.95,
) -> MeanInterval:
    """A variant's mean over images and completed seeds; all NaN where nothing was scored.

    Raises ValueError where `data` is None and the variant ran on several data sets.
    """
    data = _one_data_set(runs, [variant], data)
    chosen = select(scores, metric=metric, region=region, output=output, data=data)
    values = _matrix(runs, chosen, variant, data)
    kept = values.loc[:, np.isfinite(values.to_numpy()).all(axis=0)]
    low = high = mean = np.nan
    if kept.size:
        found = estimate(
            kept.to_numpy(),
            groups=_groups(chosen, kept.columns),
            fixed=(_untrained(runs, variant, data), False),
        )
        mean, (low, high) = found.mean, found.interval(level)
    return MeanInterval(
        mean=mean,
        low=low,
        high=high,
        by_seed={int(seed): float(value) for seed, value in kept.mean(axis=1).items()} if kept.size else {},
        n_images=kept.shape[1],
        diverged=_diverged(runs, variant, data),
        level=level,
    )


def compare(
    runs: pd.DataFrame,
    scores: pd.DataFrame,
    a: str,
    b: str,
    *,
    metric: str = "psnr",
    region: str = "hole",
    output: str = "composite",
    data: str | None = None,
    margin: float | None = None,
    level: float = 0.95,
) -> Comparison:
    """The claim that variant `a` is better than variant `b`, by this module's rule.

    Images are always paired: those that both have. Seeds are paired where both variants' runs of every
    common seed share their start, otherwise the interval is Welch's. `margin` (the metric's unit): within
    it a difference is negligible. Runs that did not complete never enter; a diverged one of `a` blocks
    "supported".

    Raises ValueError where the metric is unknown, or where `data` is None and the variants ran on several
    data sets.
    """
    better = metric_of(metric).better
    data = _one_data_set(runs, [a, b], data)
    chosen = select(scores, metric=metric, region=region, output=output, data=data)
    left, right = _matrix(runs, chosen, a, data), _matrix(runs, chosen, b, data)
    fixed = (_untrained(runs, a, data), _untrained(runs, b, data))
    paired, seeds = _common_start(runs, a, b, data, left.index.intersection(right.index))
    if paired:
        left, right = left.loc[seeds], right.loc[seeds]

    images = left.columns.intersection(right.columns)
    finite = np.isfinite(left[images].to_numpy()).all(axis=0) & np.isfinite(right[images].to_numpy()).all(axis=0)
    entered = images[finite]
    groups = _groups(chosen, entered)
    n_seeds = (len(left), len(right))
    diverged = (_diverged(runs, a, data), _diverged(runs, b, data))

    found = Estimate(mean=np.nan, seeds_variance=np.nan, degrees=np.nan, images_variance=np.nan)
    if len(entered) and all(n_seeds):
        found = estimate(left[entered].to_numpy(), right[entered].to_numpy(), paired=paired, groups=groups, fixed=fixed)
    low, high = found.interval(level)
    low90, high90 = found.interval(0.90)
    few = [name for name, n, still in zip((a, b), n_seeds, fixed, strict=True) if n < ENOUGH_SEEDS and not still]
    too_few = ("both " if paired else "") + " and ".join(few) if few else ""
    outcome, why = _outcome(
        better=better,
        interval=(low, high),
        interval90=(low90, high90),
        margin=margin,
        too_few=too_few,
        diverged=diverged[0],
    )
    return Comparison(
        a=a,
        b=b,
        metric=metric,
        region=region,
        output=output,
        data=data,
        difference=found.mean,
        low=low,
        high=high,
        low90=low90,
        high90=high90,
        n_seeds=n_seeds,
        n_images=len(entered),
        n_groups=len(np.unique(groups)),
        images_left_out=len(left.columns.union(right.columns)) - len(entered),
        paired=paired,
        level=level,
        margin=margin,
        diverged=diverged,
        outcome=outcome,
        why=why,
    )


def resolvable(comparison: Comparison) -> float:
    """The smallest true effect that this n would tell from none: the interval's half-width, in the metric's unit."""
    return (comparison.high - comparison.low) / 2


def _outcome(
    *,
    better: int,
    interval: tuple[float, float],
    interval90: tuple[float, float],
    margin: float | None,
    too_few: str,
    diverged: int,
) -> tuple[Outcome, str]:
    if too_few:
        return "unresolved", f"fewer than {ENOUGH_SEEDS} seeds completed for {too_few}"
    low, high = sorted(better * end for end in interval) if not np.isnan(interval).any() else interval
    if np.isnan(low):
        return "unresolved", "too few images scored by both"
    if low > 0 and diverged:
        return (
            "unresolved",
            f"the interval lies beyond zero, but {diverged} of the claimed winner's seeds diverged",
        )
    if low > 0:
        return "supported", "the interval lies beyond zero in the claimed direction"
    if high < 0:
        return "opposed", "the interval lies beyond zero against the claim"
    if margin is not None and -margin < interval90[0] and interval90[1] < margin:
        return "negligible", f"the 90% interval lies within {margin:g}"
    return "unresolved", "the interval holds zero"


def _one_data_set(runs: pd.DataFrame, variants: list[str], data: str | None) -> str:
    if data is not None:
        return data
    found = runs.loc[runs["variant"].isin(variants), "data"].unique().tolist()
    if len(found) > 1:
        raise ValueError(f"data: {variants} ran on several data sets; choose one of {found}")
    return str(found[0]) if found else ""


def _of_variant(runs: pd.DataFrame, variant: str, data: str, status: str) -> pd.DataFrame:
    return runs[(runs["variant"] == variant) & (runs["data"] == data) & (runs["status"] == status)]


def _diverged(runs: pd.DataFrame, variant: str, data: str) -> int:
    return len(_of_variant(runs, variant, data, "diverged"))


def _untrained(runs: pd.DataFrame, variant: str, data: str) -> bool:
    """Whether the variant is a filler: it starts from no trained stage, and its seeds are one row repeated."""
    starts = _of_variant(runs, variant, data, "completed")["start"]
    return bool(len(starts)) and bool((starts == "").all())


def _matrix(runs: pd.DataFrame, chosen: pd.DataFrame, variant: str, data: str) -> pd.DataFrame:
    """The values of a variant's completed runs, (seeds, images)."""
    completed = _of_variant(runs, variant, data, "completed")["run"]
    rows = chosen[chosen["run"].isin(completed)]
    return rows.pivot(index="seed", columns="image", values="value").astype(float)


def _groups(chosen: pd.DataFrame, images: pd.Index) -> npt.NDArray[np.int64]:
    """The cluster of each image, numbered; its own where the column `group` is absent or empty there."""
    names = images.to_series().astype(object)
    if "group" in chosen.columns:
        known = chosen.dropna(subset="group").drop_duplicates("image").set_index("image")["group"]
        names = known.reindex(images).astype(object).map(lambda name: ("group", name), na_action="ignore").fillna(names)
    return pd.factorize(names)[0].astype(np.int64)


def _common_start(runs: pd.DataFrame, a: str, b: str, data: str, seeds: pd.Index) -> tuple[bool, pd.Index]:
    """Whether the runs of both variants share a trained start at each of the common `seeds`."""
    starts = [_of_variant(runs, name, data, "completed").set_index("seed")["start"].reindex(seeds) for name in (a, b)]
    shared = bool(len(seeds)) and bool(((starts[0] == starts[1]) & (starts[0] != "") & starts[0].notna()).all())
    return shared, seeds
