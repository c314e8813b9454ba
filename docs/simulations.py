"""Prints the tables of docs/statistics.md: how often the rule for few seeds errs, by simulation.

Run ``python docs/simulations.py``; it takes two minutes.
"""

from collections.abc import Callable
from itertools import product

import numpy as np
import numpy.typing as npt

from reports.analysis.looks import looks_until, reach
from reports.analysis.statistics import Outcome, estimate, level_at, undetected, verdict

Floats = npt.NDArray[np.float64]
IMAGES, GROUPS = 100, 12
IMAGES_SD, BOTH_SD = 0.5, 0.3  # in standard deviations of the seeds
MARGIN = 3.0

TRUTHS: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "normal": lambda random, seeds: random.normal(0, 1, seeds),
    "heavy-tailed": lambda random, seeds: random.standard_t(3, seeds) / 3**0.5,
    "skewed": lambda random, seeds: random.exponential(1, seeds) - 1,
    "clustered images": lambda random, seeds: random.normal(0, 1, seeds),
    "two states": lambda random, seeds: np.where(random.random(seeds) < 0.2, -2.0, 0.5),
}
"""The paired differences of seeds around a true mean of 0, with a standard deviation of 1."""


def rates(truth: str, seeds: int, repetitions: int) -> dict[str, float]:
    """The coverage of the 95% interval, and the shares of false verdicts.

    ``supported`` and ``contradicted``: of "a is better" where the true difference is 0. ``equivalent``: where it is the
    margin.
    """
    random = np.random.default_rng([seeds, *map(ord, truth)])
    groups = np.arange(IMAGES) % GROUPS if truth == "clustered images" else None
    counts = dict.fromkeys(("coverage", "supported", "contradicted", "equivalent"), 0)
    for _ in range(repetitions):
        of_images = random.normal(0, IMAGES_SD, IMAGES) if groups is None else random.normal(0, 2, GROUPS)[groups]
        both = random.normal(0, BOTH_SD, (seeds, IMAGES))
        found = estimate(TRUTHS[truth](random, seeds)[:, None] + of_images + both, groups=groups)
        low, high = found.interval()
        counts["coverage"] += low <= 0 <= high
        counts["supported"] += low > 0
        counts["contradicted"] += high < 0
        shifted = type(found)(**{**vars(found), "mean": found.mean + MARGIN})
        counts["equivalent"] += verdict(shifted, "more", margin=MARGIN)[0] == "equivalent"
    return {name: count / repetitions for name, count in counts.items()}


GROWING: dict[str, tuple[str, float, float]] = {
    "effect of 4": ("normal", 4, 0.5),
    "effect of 2": ("normal", 2, 0.5),
    "effect of 1": ("normal", 1, 0.5),
    "tiny effect, 0.2": ("normal", 0.2, 1),
    "none": ("normal", 0, 1),
    "none, margin out of reach": ("normal", 0, 0.25),
    "at the margin": ("normal", 1, 1),
    "none, heavy-tailed": ("heavy-tailed", 0, 1),
    "none, two states": ("two states", 0, 1),
}
"""Truths for seeds that are added until there is an answer: shape, effect, margin; in standard deviations of seeds."""


MOST_SHOWN = ("none, margin out of reach", "effect of 1", "effect of 2")


def until(truth: str, paired: bool, repetitions: int, most: int = 12) -> dict[str, float]:
    """Shares of studies that add seeds until "a is better than b" is decided, or ``most`` seeds cannot be hoped to.

    ``right`` and ``false``: outcomes that are true and untrue of the truth. ``left``: given up before the last look.
    ``seeds``: the mean number spent. ``right_fixed``: with ``most`` seeds at once.
    """
    shape, effect, margin = GROWING[truth]
    random = np.random.default_rng([most, paired, *map(ord, truth)])
    true: list[Outcome] = ["supported"] if effect > 0 else []
    true += ["equivalent"] if effect < margin else []
    counts = dict.fromkeys(("right", "false", "left", "seeds", "right_fixed"), 0.0)
    for _ in range(repetitions):
        of_images = random.normal(0, IMAGES_SD, IMAGES) + random.normal(0, BOTH_SD, (most, IMAGES))
        if paired:
            a, b = effect + TRUTHS[shape](random, most)[:, None] + of_images, np.zeros((most, IMAGES))
        else:
            a, b = (TRUTHS[shape](random, most)[:, None] / 2**0.5 for _ in range(2))
            a, b = effect + a + of_images, b + np.zeros(IMAGES)
        outcome, n = _grow(a, b, paired, margin, most)
        counts["right"] += outcome in true
        counts["false"] += outcome not in ("inconclusive", *true)
        counts["left"] += outcome == "inconclusive" and n < most
        counts["seeds"] += n
        counts["right_fixed"] += verdict(estimate(a, b, paired=paired), "more", margin=margin)[0] in true
    return {name: count / repetitions for name, count in counts.items()}


def _grow(a: Floats, b: Floats, paired: bool, margin: float, most: int) -> tuple[Outcome, int]:
    """The outcome of a study that adds seeds look by look, and the seeds that it spent."""
    looks = looks_until(most)
    for n in looks:
        found = estimate(a[:n], b[:n], paired=paired)
        outcome, _ = verdict(found, "more", margin=margin, level=level_at(looks, n))
        if outcome != "inconclusive" or not reach(found, n, most, "more", level=level_at(looks, most), margin=margin):
            break
    return outcome, n


def main() -> None:
    """Prints the tables in Markdown."""
    print("| truth | seeds | coverage | false supported | false contradicted | false equivalent | may collapse |")
    print("|---|---|---|---|---|---|---|")
    for truth in TRUTHS:
        for seeds in (3, 5, 10):
            found = rates(truth, seeds, 4000)
            cells = [f"{value:.1%}" for value in found.values()]
            print(f"| {truth} | {seeds} | {' | '.join(cells)} | {undetected(seeds):.0%} |")
    print()
    print("| truth | seeds are | right | false | left | seeds spent | right with 12 at once |")
    print("|---|---|---|---|---|---|---|")
    for truth, paired in product(GROWING, (True, False)):
        found = until(truth, paired, 4000)
        right, false, left, at_once = (f"{found[name]:.1%}" for name in ("right", "false", "left", "right_fixed"))
        pairing = "paired" if paired else "not paired"
        print(f"| {truth} | {pairing} | {right} | {false} | {left} | {found['seeds']:.1f} | {at_once} |")
    print()
    print("| most seeds | false, none | seeds spent | right, effect of 1 | seeds spent | right, of 2 | seeds spent |")
    print("|---|---|---|---|---|---|---|")
    for most in (3, 5, 6, 8, 10, 12, 20):
        none, one, two = (until(truth, True, 4000, most) for truth in MOST_SHOWN)
        rates_of = (none["false"], none["seeds"], one["right"], one["seeds"], two["right"], two["seeds"])
        cells = [f"{value:.1%}" if number % 2 == 0 else f"{value:.1f}" for number, value in enumerate(rates_of)]
        print(f"| {most} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
