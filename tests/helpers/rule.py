"""The rule for intervals, by hand, on the scores of a study that was made."""

import numpy as np
from scipy import stats

from study.results.frames import Results


def values(results: Results, variant: str) -> np.ndarray:
    """PSNR of the hole, (seeds, images)."""
    scores = results.select("psnr", "hole", "composite", "faces")
    own = scores[scores["variant"] == variant].astype({"image": str})
    return own.pivot(index="seed", columns="image", values="value").to_numpy()


def half_width(variance: float, degrees: float, of_images: float) -> float:
    """Half the interval: sqrt(t^2 A + 1.96^2 B)."""
    return float(np.sqrt(stats.t.ppf(0.975, degrees) ** 2 * variance + stats.norm.ppf(0.975) ** 2 * of_images))


def paired(a: np.ndarray, b: np.ndarray) -> float:
    """Half the interval of the difference of two variants that start alike."""
    return half_width((a - b).mean(1).var(ddof=1) / len(a), len(a) - 1, (a - b).mean(0).var(ddof=1) / a.shape[1])


def welch(a: np.ndarray, b: np.ndarray) -> float:
    """The same of two variants that do not start alike."""
    parts = [one.mean(1).var(ddof=1) / len(one) for one in (a, b)]
    degrees = sum(parts) ** 2 / sum(part**2 / (len(a) - 1) for part in parts)
    return half_width(sum(parts), degrees, (a - b).mean(0).var(ddof=1) / a.shape[1])
