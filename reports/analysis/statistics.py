"""Intervals for few seeds and many images, and the outcomes that they decide.

Seeds and test images are both random samples. An interval over one of them alone treats the other as fixed. So each
estimate m has two variances, A from the seeds and B from the images, and the interval

    m +- sqrt(t^2 A + u^2 B)

with t for the seeds' degrees of freedom (paired, or Welch-Satterthwaite) and u for the images': t quantiles with the
number of clusters of images less one. Clusters of unequal sizes n count as (sum n)^2 / sum n^2. docs/statistics.md
shows the simulated coverage; tests/reports/analysis/test_simulations.py repeats the simulation. A p value is the least
error level whose interval decides. A study that is looked at while seeds are added spends its 5% over the looks
(``level_at``; reports.analysis.looks chooses them).

The outcome of a claim "a is better than b" is one of ``OUTCOMES``. "No worse" is compared with the margin instead of
zero, and "equal" is two such claims at once (``verdict``).
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from reports.analysis.naming import METRICS, metric_of

Floats = npt.NDArray[np.float64]
Outcome = Literal["supported", "contradicted", "equivalent", "inconclusive", "partly tested", "not tested"]
OUTCOMES: dict[Outcome, str] = {
    "supported": "The 95% interval lies on the claimed side of zero, or of the margin that the claim states.",
    "contradicted": "The 95% interval lies on the other side.",
    "equivalent": "The 90% interval lies within the margin, and the study could have seen a difference. This is "
    "checked first: a difference smaller than the margin is equivalent even if it is clearly not zero.",
    "inconclusive": "Tested, and none of the above; always with fewer than 3 seeds or 8 groups of images.",
    "partly tested": "What was tested is supported, and the study lacks the rest.",
    "not tested": "The study has no data for it.",
}
"""What each outcome means."""

Direction = Literal["more", "less", "no less", "no more", "equal"]
"""The claim about a difference. "No less", "no more": by the margin at most; "equal": within the margin."""

ENOUGH_SEEDS = 3
ENOUGH_GROUPS = 8
MANY_SEEDS = 10
"""With fewer seeds, an outcome is shown with the share of collapsing seeds that it cannot exclude."""

LEVEL = 0.95
POWER = 0.8
OF_RUN = ""
"""The image of a value that belongs to a run as a whole, and so has no variance from images."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean, or a difference of means, with its variances from seeds and from images and their degrees of freedom."""

    mean: float
    seeds_variance: float
    degrees: float
    images_variance: float
    images_degrees: float

    def half_width(self, level: float = 0.95) -> float:
        """Half the interval's width at that level; NaN if a variance cannot be estimated."""
        t, u = (_quantile((1 + level) / 2, degrees) for degrees in (self.degrees, self.images_degrees))
        return float(np.sqrt(t**2 * self.seeds_variance + u**2 * self.images_variance))

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """(low, high) at that level."""
        half = self.half_width(level)
        return self.mean - half, self.mean + half

    def with_seeds(self, n: float, now: int) -> "Estimate":
        """What n seeds are expected to give if ``now`` seeds, 2 or more, gave this. The images' part stays."""
        degrees = self.degrees * (n - 1) / (now - 1)
        return replace(self, seeds_variance=self.seeds_variance * now / n, degrees=degrees)

    def detectable(self, level: float = 0.95, power: float = POWER) -> float:
        """The minimum detectable effect: the true effect whose interval excludes zero with this probability.

        The estimate over its standard error is taken as noncentral t, with Satterthwaite's degrees for both sources.
        """
        variance, degrees = self._both()
        if not variance > 0:
            return variance  # NaN, or nothing is left to chance
        critical = self.half_width(level) / np.sqrt(variance)
        if degrees == np.inf:
            return float((critical + special.ndtri(power)) * np.sqrt(variance))
        return float(special.nctdtrinc(degrees, 1 - power, critical) * np.sqrt(variance))

    def provable(self, level: float = LEVEL, power: float = POWER) -> float:
        """The minimum margin that can be shown: if the true difference is zero, it is equivalent with this probability.

        The interval of the equivalence is at twice the error of ``level``.
        """
        variance, degrees = self._both()
        return self.half_width(2 * level - 1) + float(_quantile((1 + power) / 2, degrees) * np.sqrt(variance))

    def _both(self) -> tuple[float, float]:
        """The variance from both sources, and Satterthwaite's degrees of freedom."""
        return _welch([(self.seeds_variance, self.degrees), (self.images_variance, self.images_degrees)])


def _quantile(quantile: float, degrees: float) -> float:
    """Of t with these degrees of freedom; of the normal distribution if they are infinite."""
    return float(special.ndtri(quantile) if degrees == np.inf else special.stdtrit(degrees, quantile))


UNKNOWN = Estimate(mean=np.nan, seeds_variance=np.nan, degrees=np.nan, images_variance=np.nan, images_degrees=np.nan)


@dataclass(frozen=True, kw_only=True)
class MeanInterval:
    """A variant's mean. ``by_seed``: seed -> mean over images; low and high are NaN with fewer than two seeds."""

    mean: float
    low: float
    high: float
    by_seed: dict[int, float]
    n_images: int
    diverged: int
    level: float

    @property
    def n_seeds(self) -> int:
        """The number of seeds in the mean."""
        return len(self.by_seed)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A claim about a - b, such as "a is better than b", with the measured difference and the outcome.

    Args:
        b: a variant, or a number that a's mean is compared with.
        output, data: one, or a pair if a's and b's differ.
        difference, low, high, low90, high90: a - b in the metric's unit, whatever its direction. low90 and high90 are
            at twice the error of ``level``: 90% for 95%.
        n_seeds, diverged: of a and of b.
        detectable: the minimum detectable effect at 80% power.
        n_images: the images used; of both if the data sets differ, 0 if the values belong to runs.
        images_left_out: images that were not scored by both, or are not finite.
        enough_groups: whether the images form enough groups for a verdict.
        paired: whether seeds were paired.
        why: the reason for the outcome, in words.
        estimate: the difference with its variances.
    """

    a: str
    b: str | float
    metric: str
    region: str
    output: str | tuple[str, str]
    data: str | tuple[str, str]
    difference: float
    low: float
    high: float
    low90: float
    high90: float
    detectable: float
    n_seeds: tuple[int, int]
    n_images: int
    n_groups: int
    enough_groups: bool
    images_left_out: int
    paired: bool
    level: float
    direction: Direction
    margin: float | None
    diverged: tuple[int, int]
    outcome: Outcome
    why: str
    estimate: Estimate = field(repr=False)

    @property
    def blocking(self) -> tuple[int, int]:
        """The diverged seeds of the claimed winner, and of both sides (``verdict``)."""
        a, b = self.diverged
        return (a if isinstance(self.data, str) else a + b), a + b

    @property
    def blocked(self) -> bool:
        """Whether the interval decides, but something else forbids it: diverged seeds, few seeds, inert critics."""
        decides = verdict(self.estimate, self.direction, margin=self.margin, level=self.level)[0] != "inconclusive"
        return self.outcome == "inconclusive" and decides

    @property
    def p(self) -> float:
        """The p value: the least error level at which the outcome stands; if inconclusive, at which there were one.

        It inverts the interval, and so is two-sided. 1 if the outcome is blocked, NaN without an interval.
        """
        if np.isnan(self.low) or self.blocked:
            return np.nan if np.isnan(self.low) else 1.0
        direction: Direction = "equal" if self.outcome == "equivalent" else self.direction
        margin = None if direction in ("more", "less") else self.margin  # from zero alone
        return least_error(
            lambda error: (
                verdict(self.estimate, direction, margin=margin, level=1 - error, diverged=self.blocking)[0]
                in ("supported", "contradicted")
            )
        )


@dataclass(frozen=True, kw_only=True)
class Share:
    """The share of images whose score is above a limit at more than half of the seeds, with its exact interval.

    ``of``: the number of images, of clusters of images the effective number. ``by_seed``: seed -> share. ``highest``:
    the images by their mean score over seeds, the highest first.
    """

    share: float
    of: float
    low: float
    high: float
    by_seed: dict[int, float]
    highest: list[str]
    n_images: int
    n_groups: int
    images_left_out: int
    diverged: int


def estimate(
    a: Floats,
    b: Floats | None = None,
    *,
    paired: bool = False,
    groups: npt.NDArray[np.int64] | None = None,
    fixed: tuple[bool, bool] = (False, False),
) -> Estimate:
    """The mean of ``a`` (S_a, I), or of ``a`` - ``b`` (S_b, I), seeds by images; of runs as a whole (S_a,), (S_b,).

    ``groups`` (I,): the cluster of each image. ``fixed``: the method has no seed; its rows are equal.
    """
    of_runs = a.ndim == 1
    a = a.reshape(len(a), -1)[: 1 if fixed[0] else None]
    if b is None:
        per_image = a.mean(axis=0)
        seeds_variance, degrees = _of_seeds(a.mean(axis=1), fixed[0])
    else:
        b = b.reshape(len(b), -1)[: 1 if fixed[1] else None]
        per_image = a.mean(axis=0) - b.mean(axis=0)
        if paired:
            assert a.shape == b.shape and not any(fixed)
            seeds_variance, degrees = _of_seeds((a - b).mean(axis=1), False)
        else:
            parts = [_of_seeds(a.mean(axis=1), fixed[0]), _of_seeds(b.mean(axis=1), fixed[1])]
            seeds_variance, degrees = _welch(parts)
    images_variance, images_degrees = (0.0, np.inf) if of_runs else _of_images(per_image, groups)
    return Estimate(
        mean=float(per_image.mean()),
        seeds_variance=seeds_variance,
        degrees=degrees,
        images_variance=images_variance,
        images_degrees=images_degrees,
    )


def apart(a: Estimate, b: Estimate) -> Estimate:
    """a - b for two estimates that share neither seeds nor images."""
    seeds_variance, degrees = _welch([(each.seeds_variance, each.degrees) for each in (a, b)])
    images_variance, images_degrees = _welch([(each.images_variance, each.images_degrees) for each in (a, b)])
    return Estimate(
        mean=a.mean - b.mean,
        seeds_variance=seeds_variance,
        degrees=degrees,
        images_variance=images_variance,
        images_degrees=images_degrees,
    )


def _of_seeds(means: Floats, fixed: bool) -> tuple[float, float]:
    """Variance of the mean of ``means`` (S,), and its degrees of freedom."""
    if fixed:
        return 0.0, np.inf
    if len(means) < 2:
        return np.nan, np.nan
    return float(means.var(ddof=1) / len(means)), len(means) - 1.0


def _welch(parts: list[tuple[float, float]]) -> tuple[float, float]:
    """Variance and degrees (Welch-Satterthwaite) of a difference of means, from (variance, degrees) of each."""
    total = sum(variance for variance, _ in parts)
    spread = sum(variance**2 / degrees for variance, degrees in parts)
    return total, total**2 / spread if spread else np.inf


def _of_images(per_image: Floats, groups: npt.NDArray[np.int64] | None) -> tuple[float, float]:
    """Variance of the mean over images (I,), by clusters of any size, and its degrees of freedom.

    For clusters of one size it is the variance of their means divided by their number; for single images, s^2 / I.
    The degrees are the effective number of clusters (Kish) less one.
    """
    residuals = per_image - per_image.mean()
    sums = residuals if groups is None else np.bincount(groups, weights=residuals)
    if len(sums) < 2:
        return np.nan, np.nan
    sizes = np.ones(len(sums)) if groups is None else np.bincount(groups)
    variance = len(sums) / (len(sums) - 1) * np.square(sums).sum() / len(per_image) ** 2
    return float(variance), float(sizes.sum() ** 2 / np.square(sizes).sum() - 1)


def level_at(looks: Mapping[int, float], n: int) -> float:
    """The level of intervals of n seeds, where ``looks`` has the two-sided error that each number of seeds may spend.

    It is that of the last look that n seeds have reached; before the first look, the first one's.
    """
    return 1 - looks[max((seeds for seeds in looks if seeds <= n), default=min(looks))]


def least_error(decides: Callable[[float], bool]) -> float:
    """The least error level, 0 to 1, at which ``decides`` is true, to six digits; it must stay true above.

    Returns 0 below 1e-12, and 1 if it is never true.
    """
    if decides(1e-12):
        return 0.0
    low, high = np.log(1e-12), 0.0
    for _ in range(45):
        middle = (low + high) / 2
        low, high = (low, middle) if decides(float(np.exp(middle))) else (middle, high)
    return float(np.exp(high))


def holm(p: npt.ArrayLike) -> Floats:
    """p values after Holm's adjustment for all that are not NaN (Holm 1979).

    If each p value that is at most 5% after adjustment is called a finding, one or more false findings have a
    probability of at most 5%.
    """
    values = np.asarray(p, float)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    steps = values[order] * np.arange(len(order), 0, -1)
    adjusted = np.full(len(values), np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


def percent(level: float) -> str:
    """A level for a reader: 95%, 99.8%."""
    return f"{100 * level:.4g}%"


def p_in_words(p: float) -> str:
    """A p value for a reader."""
    return "< 0.001" if p < 0.0005 else f"{p:.3f}"


def simultaneous(level: float, intervals: int) -> float:
    """The level of each of several intervals that hold jointly at ``level`` (Bonferroni)."""
    return 1 - (1 - level) / max(intervals, 1)


def shares(a: tuple[int, int], b: tuple[int, int], level: float = 0.95) -> tuple[float, float]:
    """(low, high) of the difference of two independent proportions, each (count, total).

    Exact (never below ``level``): both Clopper-Pearson intervals hold at once with at least this probability.
    """
    (low_p, high_p), (low_q, high_q) = (exact(*side, level**0.5) for side in (a, b))
    return low_p - high_q, high_p - low_q


def exact(count: float, total: float, level: float = 0.95) -> tuple[float, float]:
    """(low, high) of a proportion by Clopper & Pearson (1934). ``total`` may be an effective number."""
    tail = (1 - level) / 2
    low = special.betaincinv(count, total - count + 1, tail) if count > 0 else 0.0
    high = special.betaincinv(count + 1, total - count, 1 - tail) if count < total else 1.0
    return float(low), float(high)


def share_above(
    runs: pd.DataFrame,
    scores: pd.DataFrame,
    variant: str,
    limit: float,
    *,
    metric: str,
    region: str = "hole",
    output: str = "composite",
    data: str,
    level: float = 0.95,
) -> Share:
    """The share of a variant's images whose score is above ``limit`` at more than half of its completed seeds.

    The interval is exact for single images. Images in clusters count as the effective number of clusters, as if those
    of a cluster were all alike (Korn & Graubard 1998).
    """
    sample = _sample(runs, scores, variant, metric=metric, region=region, output=output, data=data)
    images = sample.finite()
    above = sample.values[images] > limit
    share, total, low, high = np.nan, np.nan, np.nan, np.nan
    groups = sample.groups(images)
    if len(images) and len(above):
        share = float((above.mean() > 0.5).mean())
        total = float(len(images) ** 2 / np.square(np.bincount(groups)).sum())
        low, high = exact(share * total, total, level)
    means = sample.values[images].mean().sort_values(ascending=False, kind="stable")
    return Share(
        share=share,
        of=total,
        low=low,
        high=high,
        by_seed=dict(zip(above.index.tolist(), above.mean(axis=1).tolist(), strict=True)),
        highest=[str(image) for image in means.index],
        n_images=len(images),
        n_groups=len(np.unique(groups)),
        images_left_out=len(sample.values.columns) - len(images),
        diverged=sample.diverged,
    )


def select(scores: pd.DataFrame, *, metric: str, region: str, output: str, data: str | None = None) -> pd.DataFrame:
    """The rows of ``scores`` with this metric, region and output, and on this data set unless it is None."""
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
    """A variant's mean over images and completed seeds; all NaN if nothing was scored.

    Raises ValueError if ``data`` is None and the variant ran on several data sets.
    """
    data = _one_data_set(runs, [variant], data)
    sample = _sample(runs, scores, variant, metric=metric, region=region, output=output, data=data)
    images = sample.finite()
    found = sample.estimate(images)
    low, high = found.interval(level)
    by_seed = sample.values[images].to_numpy().mean(axis=1) if len(images) else ()
    return MeanInterval(
        mean=found.mean,
        low=low,
        high=high,
        by_seed={int(seed): float(mean) for seed, mean in zip(sample.values.index, by_seed, strict=False)},
        n_images=len(images),
        diverged=sample.diverged,
        level=level,
    )


def compare(
    runs: pd.DataFrame,
    scores: pd.DataFrame,
    a: str,
    b: str | float,
    *,
    metric: str = "psnr",
    region: str = "hole",
    output: str | tuple[str, str] = "composite",
    data: str | tuple[str, str] | None = None,
    direction: Direction | None = None,
    margin: float | Literal["usual"] | None = "usual",
    level: float | Mapping[int, float] = LEVEL,
) -> Comparison:
    """Compares variant ``a`` with variant ``b``, or with the number ``b``, by the rule of this module.

    On one data set images are paired: those that both variants have. Seeds are paired if both variants' runs have the
    same start at every common seed; otherwise the interval is Welch's. Only completed runs are used. A diverged run of
    ``a`` blocks "supported". One of either side blocks "equivalent", claims about a margin and claims on two data sets.

    Args:
        output, data: one, or a pair for a and b.
        direction: the claim; by default that a is better.
        margin: in the metric's unit; smaller differences are equivalent. "usual": ``METRICS[metric].margin``, as in the
            paper's claims. None: no difference is too small to matter.
        level: of the interval, or the looks that a study takes: then the level of this number of seeds (``level_at``),
            and only seeds that are run of both count, so that seeds added to one of them reopen nothing.

    Raises:
        ValueError: the metric is unknown and no direction is given, or ``data`` is None and the variants ran on
            several data sets.
    """
    direction = direction or ("more" if metric_of(metric).better > 0 else "less")
    if margin == "usual":
        margin = METRICS[metric].margin if metric in METRICS else None
    sets = data if isinstance(data, tuple) else (_one_data_set(runs, [a, str(b)], data),) * 2
    outputs = output if isinstance(output, tuple) else (output, output)
    left = _sample(runs, scores, a, metric=metric, region=region, output=outputs[0], data=sets[0])
    if isinstance(b, str):
        right = _sample(runs, scores, b, metric=metric, region=region, output=outputs[1], data=sets[1])
    else:
        right = left.scoring(b)
    together = sets[0] == sets[1]
    paired = together and left.starts_as(right)
    if paired:
        seeds = left.values.index.intersection(right.values.index)
        left, right = left.at(seeds), right.at(seeds)
    elif isinstance(level, Mapping) and left.planned & right.planned and not (left.fixed or right.fixed):
        left, right = left.among(right.planned), right.among(left.planned)
    images = [left.finite(), right.finite()]
    every = [left.values.columns, right.values.columns]
    if together:
        images, every = [images[0].intersection(images[1])], [every[0].union(every[1])]
        found = left.estimate(images[0], right, paired=paired)
    else:
        found = apart(left.estimate(images[0]), right.estimate(images[1]))

    sides = [(left, images[0]), (right, images[-1])] if isinstance(b, str) else [(left, images[0])]
    if isinstance(level, Mapping):
        level = level_at(level, min((len(side.values) for side, _ in sides if not side.fixed), default=max(level)))
    low, high = found.interval(level)
    low90, high90 = found.interval(2 * level - 1)
    n_groups = [len(np.unique(side.groups(own.drop(OF_RUN, errors="ignore")))) for side, own in sides]
    enough_groups = not 0 < min(n_groups) < ENOUGH_GROUPS
    few = [side.variant for side, _ in sides if len(side.values) < ENOUGH_SEEDS and not side.fixed]
    outcome: Outcome = "inconclusive"
    if lacking := [side.variant for side, _ in sides if side.values.empty]:
        outcome, why = "not tested", f"no scores of {' and '.join(dict.fromkeys(lacking))}"
    elif few:
        both = "both " if paired and a != b else ""
        why = f"fewer than {ENOUGH_SEEDS} seeds completed for {both}{' and '.join(dict.fromkeys(few))}"
    elif not enough_groups:
        why = f"fewer than {ENOUGH_GROUPS} independent groups of images"
    else:
        winner = left.diverged + (0 if together else right.diverged)
        diverged = (winner, left.diverged + right.diverged)
        outcome, why = verdict(found, direction, margin=margin, level=level, diverged=diverged)
    return Comparison(
        a=a,
        b=b,
        metric=metric,
        region=region,
        output=output,
        data=sets[0] if together else sets,
        difference=found.mean,
        low=low,
        high=high,
        low90=low90,
        high90=high90,
        detectable=found.detectable(level),
        n_seeds=(len(left.values), len(right.values) if isinstance(b, str) else 0),
        n_images=sum(len(own.drop(OF_RUN, errors="ignore")) for own in images),
        n_groups=sum(n_groups[:1] if together else n_groups),
        enough_groups=enough_groups,
        images_left_out=sum(map(len, every)) - sum(map(len, images)),
        paired=paired,
        level=level,
        direction=direction,
        margin=margin,
        diverged=(left.diverged, right.diverged),
        outcome=outcome,
        why=why,
        estimate=found,
    )


def undetected(seeds: int) -> float:
    """The largest share of collapsing seeds that this many sound ones cannot exclude, at 95%: 1 - 0.05^(1/n)."""
    return float(1 - 0.05 ** (1 / seeds)) if seeds else 1.0


def verdict(
    found: Estimate,
    direction: Direction,
    *,
    margin: float | None = None,
    level: float = 0.95,
    diverged: tuple[int, int] = (0, 0),
) -> tuple[Outcome, str]:
    """The outcome of a claim about an estimate, and the reason in words.

    "more", "less": equivalent if the 90% interval lies within the margin (at another level, the interval of twice its
    error); otherwise supported if the interval lies beyond zero in that direction, contradicted if it lies beyond zero
    on the other side. "no less", "no more": the same, with the margin on the wrong side instead of zero, and never
    equivalent.
    "equal": supported if the 90% interval lies within the margin (two one-sided claims at once), contradicted if the
    interval lies beyond it.

    ``diverged``: the seeds of the claimed winner and of both sides. The first block "more" and "less", all block claims
    about a margin and "equivalent".

    Raises ValueError if the claim needs a margin and has none.
    """
    if margin is None and direction not in ("more", "less"):
        raise ValueError(f"margin: the claim {direction!r} needs one")
    low, high = found.interval(level)
    low90, high90 = found.interval(max(2 * level - 1, 0))
    if np.isnan(low):
        return "inconclusive", "too few finite scores to tell"
    wider = f"the {percent(2 * level - 1)} interval"
    within = margin is not None and -margin < low90 and high90 < margin
    held: Outcome = "supported"
    blocking = diverged[direction not in ("more", "less")]
    if direction == "equal":
        limit = margin or 0.0
        holds, fails = within, low > limit or high < -limit
        beyond, against = f"{wider} lies within {limit:g}", f"the interval lies beyond {limit:g}"
        undecided = f"{wider} reaches beyond {limit:g}"
    else:
        sign = 1 if direction in ("more", "no less") else -1
        bound = -sign * (margin or 0.0) if direction in ("no less", "no more") else 0.0
        near, far = sorted((sign * (low - bound), sign * (high - bound)))
        holds, fails = near > 0, far < 0
        zero = f"{bound:+g}" if bound else "zero"
        above, below = f"the interval lies above {zero}", f"the interval lies below {zero}"
        beyond, against = (above, below) if sign > 0 else (below, above)
        undecided = f"the interval includes {zero}"
        if within and direction in ("more", "less"):
            but = f", although {beyond}" if holds else f", although {against}" if fails else ""
            held, holds, blocking = "equivalent", True, diverged[1]
            beyond = f"{wider} lies within {margin:g}{but}"
    if holds and blocking:
        return "inconclusive", f"{beyond}, but {blocking} seed{'s' * (blocking > 1)} diverged"
    if holds:
        return held, beyond
    return ("contradicted", against) if fails else ("inconclusive", undecided)


@dataclass(frozen=True, kw_only=True)
class _Sample:
    """A variant's completed runs on one data set.

    ``values``: (seeds, images). ``starts``: the first trained stage of each run, by seed. ``clusters``: the cluster of
    each image that has one. ``diverged``: the number of diverged runs. ``planned``: the seeds of all runs, completed or
    not.
    """

    variant: str
    values: pd.DataFrame
    starts: pd.Series
    clusters: Mapping[Hashable, str]
    diverged: int
    planned: frozenset[int]

    @property
    def fixed(self) -> bool:
        """True for a filler or a number, which has no training: its rows are equal."""
        return bool(len(self.starts)) and bool((self.starts == "").all())

    def finite(self) -> pd.Index:
        """The images with a finite value at every seed."""
        finite: pd.Index = self.values.columns[np.isfinite(self.values.to_numpy()).all(axis=0)]
        return finite

    def groups(self, images: pd.Index) -> npt.NDArray[np.int64]:
        """The number of each image's cluster; an image without one is its own cluster."""
        if not self.clusters:
            return np.arange(len(images))
        names = [("cluster", self.clusters[image]) if image in self.clusters else ("", image) for image in images]
        numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
        return np.array([numbers[name] for name in names], dtype=np.int64)

    def starts_as(self, other: "_Sample") -> bool:
        """True if both have the same trained start at every common seed, and have common seeds."""
        seeds = self.values.index.intersection(other.values.index)
        ours, theirs = self.starts.reindex(seeds), other.starts.reindex(seeds)
        return bool(len(seeds)) and bool(((ours == theirs) & (ours != "") & ours.notna()).all())

    def scoring(self, value: float) -> "_Sample":
        """A filler with this score on every image of this sample."""
        values = pd.DataFrame(value, index=self.values.index[:1], columns=self.values.columns)
        return replace(self, variant=f"{value:g}", values=values, starts=pd.Series([""]), diverged=0)

    def at(self, seeds: pd.Index) -> "_Sample":
        """These seeds alone."""
        return replace(self, values=self.values.loc[seeds])

    def among(self, seeds: frozenset[int]) -> "_Sample":
        """What there is of these seeds."""
        return self.at(self.values.index[self.values.index.isin(list(seeds))])

    def array(self, images: pd.Index) -> Floats:
        """(seeds, images), or (seeds,) if the values belong to runs."""
        values = self.values[images].to_numpy()
        return values[:, 0] if len(images) == 1 and images[0] == OF_RUN else values

    def estimate(self, images: pd.Index, other: "_Sample | None" = None, *, paired: bool = False) -> Estimate:
        """The mean over these images, or of the difference from ``other``; UNKNOWN if there are no values."""
        if not (len(images) and len(self.values) and (other is None or len(other.values))):
            return UNKNOWN
        return estimate(
            self.array(images),
            other.array(images) if other else None,
            paired=paired,
            groups=self.groups(images),
            fixed=(self.fixed, other is not None and other.fixed),
        )


def _sample(
    runs: pd.DataFrame, scores: pd.DataFrame, variant: str, *, metric: str, region: str, output: str, data: str
) -> _Sample:
    own = _places(runs, variant=variant, data=data)
    status, seeds = (_values(runs, name, own) for name in ("status", "seed"))
    completed = status == "completed"
    chosen = _places(scores, variant=variant, metric=metric, region=region, output=output, data=data)
    chosen = chosen[np.isin(_values(scores, "seed", chosen), seeds[completed])]
    clusters: Mapping[Hashable, str] = {}
    if "group" in scores.columns:
        named = scores[["image", "group"]].iloc[chosen].dropna(subset="group").drop_duplicates("image")
        clusters = dict(zip(named["image"].tolist(), named["group"].tolist(), strict=True))
    return _Sample(
        variant=variant,
        values=_wide(*(scores[name].iloc[chosen] for name in ("seed", "image", "value"))),
        starts=pd.Series(_values(runs, "start", own)[completed], index=seeds[completed], dtype=object),
        clusters=clusters,
        diverged=int((status == "diverged").sum()),
        planned=frozenset(seeds.tolist()),
    )


def _places(table: pd.DataFrame, **wanted: str) -> npt.NDArray[np.intp]:
    """The indices of the rows with these values. Each column is checked only in the rows that are left."""
    (first, value), *others = wanted.items()
    places = np.flatnonzero(table[first] == value)
    for column, value in others:
        places = places[np.asarray(table[column].array[places] == value, dtype=bool)]
    return places


def _values(table: pd.DataFrame, column: str, places: npt.NDArray[np.intp]) -> npt.NDArray[Any]:
    return np.asarray(table[column].array[places])


def _wide(seed: pd.Series, image: pd.Series, value: pd.Series) -> pd.DataFrame:
    """Values as (seeds, images), in order; NaN where a seed lacks an image.

    Like ``pivot``, but many times faster. Raises ValueError if a seed has two values of an image.
    """
    seeds, row = np.unique(seed.to_numpy(), return_inverse=True)
    column, images = pd.factorize(image, sort=True)
    place = row * len(images) + column
    if len(place) and np.bincount(place).max() > 1:
        raise ValueError("scores: a run has two values of one image, metric, region and output")
    values = np.full(len(seeds) * len(images), np.nan)
    values[place] = value.to_numpy(dtype=float)
    names = images.astype(images.categories.dtype) if isinstance(images, pd.CategoricalIndex) else pd.Index(images)
    return pd.DataFrame(values.reshape(len(seeds), len(images)), index=pd.Index(seeds, name="seed"), columns=names)


def _one_data_set(runs: pd.DataFrame, variants: list[str], data: str | None) -> str:
    if data is not None:
        return data
    found = runs.loc[runs["variant"].isin(variants), "data"].unique().tolist()
    if len(found) > 1:
        raise ValueError(f"data: {variants} ran on several data sets; choose one of {found}")
    return str(found[0]) if found else ""
