"""The losses: reconstruction (eq. 1) and adversarial (eqs. 2, 3), without the weights of eq. (8)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def reconstruction(
    prediction: Tensor,
    image: Tensor,
    mask: Tensor,
    reduction: Literal["mean", "sum"] = "mean",
    weight_map: Tensor | None = None,
) -> Tensor:
    """L_r of eq. (1), a scalar: squared error in the hole; images ``(B, 3, H, W)``, mask ``(B, 1, H, W)``.

    READING R12. ``mean``: over the hole's elements. ``sum``: over each image's hole, then the batch's mean.
    ``weight_map (B, 1, H, W)`` multiplies the squared errors; the divisor stays as it is.
    """
    weight = mask if weight_map is None else mask * weight_map
    total = (weight * (prediction - image).square()).sum()
    return total / (image.shape[1] * mask.sum() if reduction == "mean" else len(image))


@dataclass(frozen=True)
class JS:
    """The loss of eq. (2), Goodfellow 2014, on unbounded scores (READING R15).

    ``form``: what the generator minimises, -log D (``non_saturating``) or log(1 - D) (``saturating``).
    """

    version: ClassVar[int] = 1
    form: Literal["non_saturating", "saturating"] = "non_saturating"

    def critic(self, real_scores: Tensor, fake_scores: Tensor) -> Tensor:
        """What the critic minimises, a scalar: -log D(real) - log(1 - D(fake)), scores of any shape."""
        return F.softplus(-real_scores).mean() + F.softplus(fake_scores).mean()

    def generator(self, fake_scores: Tensor) -> Tensor:
        """What the generator minimises, a scalar."""
        if self.form == "saturating":
            return -F.softplus(fake_scores).mean()
        return F.softplus(-fake_scores).mean()


@dataclass(frozen=True)
class WGAN:
    """The loss of eq. (3), Arjovsky 2017: no sigmoid, no logarithm; the critic's weights must be clipped."""

    version: ClassVar[int] = 1

    def critic(self, real_scores: Tensor, fake_scores: Tensor) -> Tensor:
        """What the critic minimises, a scalar, minus the estimated distance; scores of any shape."""
        return fake_scores.mean() - real_scores.mean()

    def generator(self, fake_scores: Tensor) -> Tensor:
        """What the generator minimises, a scalar."""
        return -fake_scores.mean()


ADVERSARIAL: dict[str, type[JS] | type[WGAN]] = {"js": JS, "wgan": WGAN}


@torch.no_grad()
def clip_(parameters: Iterable[nn.Parameter], bound: float) -> None:
    """Clip weights to -bound..bound in place (Arjovsky 2017, algorithm 1, line 7; READING R14)."""
    weights: list[Tensor] = list(parameters)
    torch._foreach_clamp_min_(weights, -bound)
    torch._foreach_clamp_max_(weights, bound)


@torch.no_grad()
def share_at_bound(parameters: Iterable[nn.Parameter], bound: float) -> Tensor:
    """The share of weights, a scalar in 0..1 on their device, that stand at ``bound`` or beyond."""
    weights = list(parameters)
    at_bound = torch.stack([(weight.abs() >= bound).sum() for weight in weights]).sum()
    return at_bound / sum(weight.numel() for weight in weights)
