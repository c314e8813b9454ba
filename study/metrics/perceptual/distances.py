"""Distances between two sets of images by their features: FID and KID. In float64, by torch, on the CPU.

(By torch and not by SciPy, whose sums depend on how many cores a machine has.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

CHUNK = 4096
"""So many images at once are taken as float64."""


@dataclass(frozen=True)
class Gaussian:
    """The mean (D,) of features, and a factor (K, D) such that factor.T @ factor is their covariance."""

    mean: Tensor
    factor: Tensor

    @property
    def trace(self) -> float:
        """The trace of the covariance."""
        return float(self.factor.square().sum())


def gaussian(features: Tensor) -> Gaussian:
    """The Gaussian of features (N, D), N at least 2, with the covariance over N - 1."""
    count, dimensions = features.shape
    mean = features.double().mean(0)
    if count <= dimensions:
        return Gaussian(mean, (features.double() - mean) / (count - 1) ** 0.5)
    covariance = torch.zeros(dimensions, dimensions, dtype=torch.float64)
    for part in features.split(CHUNK):
        centred = part.double() - mean
        covariance.addmm_(centred.T, centred, alpha=1 / (count - 1))
    values, vectors = torch.linalg.eigh(covariance)
    return Gaussian(mean, values.clamp(min=0).sqrt()[:, None] * vectors.T)


def frechet(a: Gaussian, b: Gaussian) -> float:
    """The squared Fréchet distance of two Gaussians, which of Inception's features is FID (Heusel 2017, eq. 6).

    The trace of the root of both covariances' product is the sum of the singular values of the product of their
    factors: nothing is inverted and no root of a negative number can come up, be the covariances singular or not.
    """
    shared = torch.linalg.svdvals(a.factor @ b.factor.T).sum()
    return float((a.mean - b.mean).square().sum()) + a.trace + b.trace - 2 * float(shared)


def squared_mmd(a: Tensor, b: Tensor) -> float:
    """The squared maximum mean discrepancy of paired features, both (N, D), under Bińkowski's kernel (x.y / D + 1)^3.

    Gretton 2012, lemma 6, eq. 4: it leaves the pairs themselves out, and so is unbiased although an output depends on
    its own truth. (The estimate with the pairs in its cross term is for independent sets, and falls below 0 even of
    equal ones.) It is 0 for equal sets, and may be below 0, as what is unbiased about 0 must. N is at least 2.
    """

    def across(x: Tensor, y: Tensor) -> Tensor:
        values = (x @ y.T / x.shape[1] + 1) ** 3
        return (values.sum() - values.trace()) / (len(x) * (len(x) - 1))

    a, b = a.double(), b.double()
    return float(across(a, a) + across(b, b) - 2 * across(a, b))


def kernel_distance(
    truth: Tensor, output: Tensor, rng: np.random.Generator, *, subsets: int, size: int
) -> tuple[float, float]:
    """KID of outputs (N, D) against their own truths (N, D), N at least 4: mean and standard deviation over subsets.

    Each subset is of ``size`` images, or of half of them where there are fewer than twice as many.
    """
    size = min(size, len(truth) // 2)
    drawn = (torch.from_numpy(rng.permutation(len(truth))[:size]) for _ in range(subsets))
    found = [squared_mmd(truth[places], output[places]) for places in drawn]
    return float(np.mean(found)), float(np.std(found))
