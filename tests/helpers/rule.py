"""The rule for intervals, by hand, on the scores of a study that was made."""

import numpy as np
from scipy import stats

from study.results.frames import Results


def values(results: Results, variant: str) -> np.ndarray:
    """PSNR of the hole, (seeds, images)."""
    scores = results.select("psnr", "hole", "composite", "faces")
    own = scores[scores["variant"] == variant].astype({"image": str})
    return own.pivot(index="seed", columns="image", values="value").to_numpy()


def half_width(variance: float, degrees: float, of_images: float, images_degrees: float) -> float:
    """Half the interval: sqrt(t^2 A + u^2 B)."""
    t, u = stats.t.ppf(0.975, [degrees, images_degrees])
    return float(np.sqrt(t**2 * variance + u**2 * of_images))


def paired(a: np.ndarray, b: np.ndarray) -> float:
    """Half the interval of the difference of two variants that start alike."""
    seeds, images = a.shape
    of_seeds, of_images = (a - b).mean(1).var(ddof=1) / seeds, (a - b).mean(0).var(ddof=1) / images
    return half_width(of_seeds, seeds - 1, of_images, images - 1)


def welch(a: np.ndarray, b: np.ndarray) -> float:
    """The same of two variants that do not start alike."""
    parts = [one.mean(1).var(ddof=1) / len(one) for one in (a, b)]
    degrees = sum(parts) ** 2 / sum(part**2 / (len(a) - 1) for part in parts)
    return half_width(sum(parts), degrees, (a - b).mean(0).var(ddof=1) / a.shape[1], a.shape[1] - 1)
