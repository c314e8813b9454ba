"""Prints the table of docs/statistics.md: how often the rule for few seeds errs, by simulation.

Run ``python docs/simulations.py``; it takes a few seconds.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from reports.analysis.statistics import estimate, undetected, verdict

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


def main() -> None:
    """Prints the table in Markdown."""
    print("| truth | seeds | coverage | false supported | false contradicted | false equivalent | may collapse |")
    print("|---|---|---|---|---|---|---|")
    for truth in TRUTHS:
        for seeds in (3, 5, 10):
            found = rates(truth, seeds, 4000)
            cells = [f"{value:.1%}" for value in found.values()]
            print(f"| {truth} | {seeds} | {' | '.join(cells)} | {undetected(seeds):.0%} |")


if __name__ == "__main__":
    main()
