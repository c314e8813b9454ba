"""Seeds until there is an answer: when a study looks, which links are still open, and how many seeds each would cost.

A study that is looked at several times, and stops when it has an outcome, errs at each look. So the looks share 5%: by
Bonferroni's inequality, the chance of a false verdict at any of them is at most the sum of what they spend.
docs/statistics.md shows the simulated errors, power and seeds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from reports.analysis.claims import ARTEFACTS, MARGINAL, Finding, diverged, findings, no_more
from reports.analysis.critics import inert
from reports.analysis.frames import Frames
from reports.analysis.links import Link
from reports.analysis.statistics import (
    ENOUGH_SEEDS,
    LEVEL,
    Direction,
    Estimate,
    Outcome,
    level_at,
    percent,
    shares,
    verdict,
)

SEEDS = (3, 5, 8, 12, 20, 32)
SHARES = (2, 8, 15, 25, 40, 60, 90)
"""The numbers of seeds at which a study looks, and in what proportions the looks spend their 5%."""

LIKELY = 0.8
"""The probability of the means that futility is judged by."""

NO_END = 10**6
"""A number of seeds that nobody runs."""


def looks_until(most: int) -> dict[int, float]:
    """The looks of a study with at most so many seeds: number of seeds -> two-sided error spent there, 5% in all.

    The last look is at ``most``. Raises ValueError below 3 seeds, which decide nothing.
    """
    if most < ENOUGH_SEEDS:
        raise ValueError(f"{most} seeds decide nothing; at least {ENOUGH_SEEDS} do")
    seeds = [*(n for n in SEEDS if n < most), most]
    parts = SHARES[: len(seeds)]
    return {n: round((1 - LEVEL) * part / sum(parts), 9) for n, part in zip(seeds, parts, strict=True)}


LOOKS = looks_until(12)
"""The looks by default: 0.2% at 3 seeds, 0.8% at 5, 1.5% at 8, 2.5% at 12."""


def looks_in_words(frames: Frames) -> str:
    """How the looks of a study decide its outcomes, for a reader; empty for a study without looks."""
    if isinstance(frames.level, float):
        return ""
    spent = ", ".join(f"{100 * error:.2g}% at {seeds}" for seeds, error in sorted(frames.level.items()))
    first = min(frames.level)
    level = level_at(frames.level, first)
    return (
        f"Seeds were added until there was an answer. The looks share an error of {1 - LEVEL:.0%}: {spent} seeds. An "
        f"outcome is decided by the interval of its own number of seeds: at {first} the {percent(level)} interval in "
        f"place of 95%, and {percent(2 * level - 1)} in place of 90%."
    )


@dataclass(frozen=True, kw_only=True)
class Open:
    """A link without an answer yet.

    Args:
        claim, link: 'C1' and the link's name. data: the data set, or two in one text.
        variants: those whose seeds it needs; a filler needs none.
        n: the seeds that it has.
        possible: False if ``most`` seeds cannot decide it.
        why: in words; the reason why not, or why it is open.
    """

    claim: str
    link: str
    data: str
    variants: tuple[str, ...]
    n: int
    possible: bool
    why: str


def undecided(frames: Frames, claims: Sequence[str] | None, most: int) -> list[Open]:
    """The links of these claims (None: of all) that are inconclusive, in order, with what could decide them.

    Means that ``most`` seeds are likely (80%) to give are predicted from the present seeds. Where none of them would
    decide the link at the last look, with the spread that the seeds have now, more seeds are futile. They are also
    futile against inert critics, diverged seeds, or too few groups of images.
    """
    return [
        _open(frames, name, link, found, most)
        for name, link, found in findings(frames, claims)
        if found.outcome == "inconclusive"
    ]


def _open(frames: Frames, claim: str, link: Link, found: Finding, most: int) -> Open:
    variants = _variants(frames, found)
    futile = _futile(frames, link, found, most) if variants else "neither side has seeds that could be added"
    if not futile and found.n >= most:
        futile = f"still inconclusive at {found.n} seeds"
    return Open(
        claim=claim,
        link=link.name,
        data=found.data,
        variants=variants,
        n=found.n,
        possible=not futile,
        why=futile or (found.comparison.why if found.comparison else found.why),
    )


def _variants(frames: Frames, found: Finding) -> tuple[str, ...]:
    """The variants of a link that were trained here."""
    trained = set(frames.trained()["variant"])
    return tuple(variant for variant in dict.fromkeys((found.a, found.b)) if variant in trained)


def _futile(frames: Frames, link: Link, found: Finding, most: int) -> str:
    """Why ``most`` seeds could not decide a link, in words; empty if they could, or it is not known yet."""
    error = looks_until(most)[most]
    more = f"likely to need more than {most} seeds"
    if link.metric == "diverged":
        return "" if _shares_decide(frames, link, found, most, 1 - error) else more
    if link.metric == ARTEFACTS and found.n >= ENOUGH_SEEDS:
        return "its interval is over test images, and more seeds do not narrow it"
    comparison = found.comparison
    if comparison is None or found.n < ENOUGH_SEEDS:
        return ""
    now = comparison.estimate
    if comparison.blocked or not comparison.enough_groups or np.isnan(comparison.low):
        return comparison.why  # diverged seeds, inert critics, too few groups, too few finite scores

    def reached(seeds: float, diverged: tuple[int, int]) -> set[Outcome]:
        level, margin = 1 - error, comparison.margin
        return reach(now, found.n, seeds, comparison.direction, level=level, margin=margin, diverged=diverged)

    within = reached(most, comparison.blocking)
    asleep = _inert(frames, link, found) if within else ""
    if asleep and not within & _present(link):
        return f"the critics were inert: {asleep}"
    if within:
        return ""
    if (lost := sum(comparison.diverged)) and reached(most, (0, 0)):
        return f"{lost} seed{'s' * (lost > 1)} diverged"
    if now.images_variance and not reached(np.inf, comparison.blocking):
        left = comparison.images_left_out
        some = f"; {left} of those at hand were not scored by both" if left else ""
        return f"the images' part of the interval alone is too wide: it takes more test images{some}"
    return more


def _present(link: Link) -> set[Outcome]:
    """The outcomes that a difference makes, rather than its absence."""
    return {"contradicted"} if link.direction in MARGINAL else {"supported", "contradicted"}


def reach(
    now: Estimate,
    n: int,
    most: float,
    direction: Direction,
    *,
    level: float,
    margin: float | None = None,
    diverged: tuple[int, int] = (0, 0),
) -> set[Outcome]:
    """The outcomes, without inconclusive, that ``most`` seeds are likely (80%) to give at a level; n gave ``now``.

    The seeds' spread is taken to stay. Their mean is predicted from the n seeds (Student's t); the images are the same.
    """
    last = now.with_seeds(max(most, n), n)
    change = replace(now, seeds_variance=max(now.seeds_variance - last.seeds_variance, 0.0), images_variance=0.0)
    low, high = change.interval(LIKELY)
    means = (low, min(max(low, 0.0), high), high)  # the outcomes between them are those at the ends, or nearest to zero
    found = {
        verdict(replace(last, mean=mean), direction, margin=margin, level=level, diverged=diverged)[0] for mean in means
    }
    return found - {"inconclusive"}


def _inert(frames: Frames, link: Link, found: Finding) -> str:
    """Why the critics could not have made a difference, where the link needs them to; otherwise empty."""
    if not link.needs_critics:
        return ""
    reasons = (inert(frames, variant, found.data) for variant in _variants(frames, found))
    return next(filter(None, reasons), "")


def _shares_decide(frames: Frames, link: Link, found: Finding, most: int, level: float) -> bool:
    """True if the shares of diverged seeds are decided where a loses no seed more, or b none."""
    assert link.margin is not None
    (a, of_a), (b, of_b) = diverged(frames, (found.a, found.b), found.data)
    scaled_a, scaled_b = (round(lost * most / max(of, 1)) for lost, of in ((a, of_a), (b, of_b)))
    ends = [(a, scaled_b), (scaled_a, b)]
    n = max(most, of_a, of_b)
    return any(no_more(*shares((x, n), (y, n), level), link.margin) != "inconclusive" for x, y in ends)


SEEDS_FOR = ("seeds_for_published", "seeds_for_measured", "seeds_for_margin")


def power_table(frames: Frames) -> pd.DataFrame:
    """A row per link between runs that was tested: the seeds that an answer would take, at 95% and 80% power.

    Columns: id (of the claim), link, contrast, data, n (seeds now), effect, published (a - b; NaN where there is none),
    seeds_for_published, seeds_for_measured (to tell this true difference from zero, or from the margin of a "no more"),
    seeds_for_margin (to show a true difference of zero to be within the margin), variants (a list: whose seeds it
    needs). A number of seeds is infinite where the images' part of the interval alone is too wide, and NaN where there
    is no such effect or margin, or fewer than two seeds ran.

    It assumes that the seeds vary as those do that ran: with few, the numbers are rough.
    """
    rows = [
        {"id": name, "link": link.name, **_costs(frames, link, found)}
        for name, link, found in findings(frames)
        if found.n and found.level is not None
    ]
    columns = ("id", "link", "contrast", "data", "n", "effect", "published", *SEEDS_FOR, "variants")
    return pd.DataFrame(rows, columns=list(columns)).astype(dict.fromkeys(("effect", "published", *SEEDS_FOR), float))


def _costs(frames: Frames, link: Link, found: Finding) -> dict[str, Any]:
    facts = {name: getattr(found, name) for name in ("contrast", "data", "n", "effect", "published")}
    return {**facts, **_seeds(link, found), "variants": list(_variants(frames, found))}


def _seeds(link: Link, found: Finding) -> dict[str, float]:
    """The numbers of seeds of a row, by ``SEEDS_FOR``."""
    unknown = dict.fromkeys(SEEDS_FOR, np.nan)
    margin = np.nan if link.margin is None else link.margin
    if link.metric == "diverged":  # if no seed diverges
        return {
            **unknown,
            "seeds_for_margin": _least(lambda n: no_more(*shares((0, n), (0, n)), margin) != "inconclusive"),
        }
    comparison = found.comparison
    if comparison is None or found.n < 2 or np.isnan(comparison.low):
        return unknown
    now, direction = comparison.estimate, comparison.direction
    marginal = direction in ("no less", "no more")
    bound = {"no less": -margin, "no more": margin, "equal": np.nan}.get(direction, 0.0)

    def least(quantity: Callable[[Estimate], float], size: float) -> float:
        if np.isnan(size) or size == 0:
            return np.nan
        if quantity(now.with_seeds(np.inf, found.n)) > size:
            return np.inf
        return _least(lambda n: quantity(now.with_seeds(n, found.n)) <= size)

    published = np.nan if found.published is None or marginal else found.published
    numbers = (
        least(Estimate.detectable, abs(published)),
        least(Estimate.detectable, abs(now.mean - bound)),
        least(Estimate.detectable if marginal else Estimate.provable, margin),
    )
    return dict(zip(SEEDS_FOR, numbers, strict=True))


def _least(enough: Callable[[int], bool]) -> float:
    """The least number of seeds, 3 or more, that is enough; infinite above a million."""
    low, high = ENOUGH_SEEDS - 1, ENOUGH_SEEDS
    while not enough(high):
        if high > NO_END:
            return np.inf
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return float(high)
