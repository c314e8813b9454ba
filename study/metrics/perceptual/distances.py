"""FID and KID of features. In float64 with torch on the CPU: SciPy's sums depend on the number of cores."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

CHUNK = 4096  # images that are converted to float64 at once


class Gaussian(NamedTuple):
    """The mean (D,) of features and a factor (K, D) of their covariance: factor.T @ factor."""

    mean: Tensor
    factor: Tensor


def gaussian(features: Tensor) -> Gaussian:
    """The Gaussian of features (N, D), N >= 2, with the covariance over N - 1."""
    count, dimensions = features.shape
    mean = features.double().mean(0)
    if count <= dimensions:
        return Gaussian(mean, (features.double() - mean) / (count - 1) ** 0.5)
    covariance = torch.zeros(dimensions, dimensions, dtype=torch.float64)
    for part in torch.split(features, CHUNK):
        centred = part.double() - mean
        covariance.addmm_(centred.T, centred, alpha=1 / (count - 1))
    values, vectors = torch.linalg.eigh(covariance)
    return Gaussian(mean, values.clamp(min=0).sqrt()[:, None] * vectors.T)


def frechet(a: Gaussian, b: Gaussian) -> float:
    """The squared Fréchet distance of two Gaussians: FID for Inception's features (Heusel 2017, eq. 6).

    The trace of the square root of the covariances' product is the sum of the singular values of their factors'
    product. This inverts nothing and takes no root of a negative number, even if the covariances are singular.
    """
    shared = torch.linalg.svdvals(a.factor @ b.factor.T).sum()
    traces = a.factor.square().sum(), b.factor.square().sum()
    return float((a.mean - b.mean).square().sum() + traces[0] + traces[1] - 2 * shared)


def squared_mmd(a: Tensor, b: Tensor) -> float:
    """The squared maximum mean discrepancy of paired features (N, D), N >= 2, with the kernel (x.y / D + 1)^3.

    Gretton 2012, lemma 6, eq. 4, with Bińkowski's kernel. It leaves the pairs out, so it is unbiased although an output
    depends on its own truth. (The estimate with the pairs in its cross term is for independent sets; it is below 0 even
    for equal sets.) It is 0 for equal sets and can be below 0 for others, as every unbiased estimate of 0.
    """

    def across(x: Tensor, y: Tensor) -> Tensor:
        values = (x @ y.T / x.shape[1] + 1) ** 3
        return (values.sum() - values.trace()) / (len(x) * (len(x) - 1))

    a, b = a.double(), b.double()
    return float(across(a, a) + across(b, b) - 2 * across(a, b))


def kernel_distance(
    truth: Tensor, output: Tensor, rng: np.random.Generator, *, subsets: int, size: int
) -> tuple[float, float]:
    """KID of outputs (N, D) against their own truths (N, D), N >= 4: mean and standard deviation over subsets.

    Each subset has ``size`` images, or N // 2 if that is less.
    """
    size = min(size, len(truth) // 2)
    drawn = (torch.from_numpy(rng.permutation(len(truth))[:size]) for _ in range(subsets))
    values = [squared_mmd(truth[places], output[places]) for places in drawn]
    return float(np.mean(values)), float(np.std(values))
