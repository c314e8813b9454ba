"""Losses: reconstruction (eq. 1) and adversarial (eqs. 2 and 3, and two more), without the weights of eq. (8)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
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
    norm: Literal["l2", "l1"] = "l2",
) -> Tensor:
    """L_r of eq. (1), a scalar: squared error in the hole; images ``(B, 3, H, W)``, mask ``(B, 1, H, W)``.

    READING R12. ``mean``: over the elements of the hole. ``sum``: over each image's hole, then the mean of the batch.
    ``weight_map (B, 1, H, W)`` multiplies the errors but not the divisor. ``norm``: squared or absolute errors.
    """
    weight = mask if weight_map is None else mask * weight_map
    error = prediction - image
    total = (weight * (error.square() if norm == "l2" else error.abs())).sum()
    return total / (image.shape[1] * mask.sum() if reduction == "mean" else len(image))


def discounted(mask: Tensor, gamma: float) -> Tensor:
    """``gamma`` to the power of a pixel's distance from the known pixels, ``(B, 1, H, W)``: Yu 2018, section 3.2.

    The distance counts rings, from 1 at the hole's edge. Outside of the hole of ``mask (B, 1, H, W)`` the result is 1.
    """
    weights, inside = torch.ones_like(mask), mask > 0.5
    for _ in range(max(mask.shape[-2:])):  # no hole has more rings
        if mask.device.type == "cpu" and not inside.any():  # only a CPU can look without waiting
            break
        weights = torch.where(inside, weights * gamma, weights)
        inside = _eroded(inside)
    return weights


def _eroded(inside: Tensor) -> Tensor:
    """A hole, ``(B, 1, H, W)`` booleans, without the pixels that have a known one among their eight neighbours."""
    around = F.pad(inside, (1, 1, 1, 1), value=True)  # nothing is known outside of the image
    rows = around[..., :-2, :] & around[..., 1:-1, :] & around[..., 2:, :]
    return rows[..., :-2] & rows[..., 1:-1] & rows[..., 2:]


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
    """The loss of eq. (3), Arjovsky 2017: no sigmoid and no logarithm. The critic's weights must be clipped."""

    version: ClassVar[int] = 1

    def critic(self, real_scores: Tensor, fake_scores: Tensor) -> Tensor:
        """What the critic minimises, a scalar, minus the estimated distance; scores of any shape."""
        return fake_scores.mean() - real_scores.mean()

    def generator(self, fake_scores: Tensor) -> Tensor:
        """What the generator minimises, a scalar."""
        return -fake_scores.mean()


@dataclass(frozen=True)
class WGANGP(WGAN):
    """The loss of eq. (3) with a gradient penalty instead of clipped weights: Gulrajani 2017."""

    version: ClassVar[int] = 1


@dataclass(frozen=True)
class LSGAN:
    """Least squares, Mao 2017, eq. (9): scores of 1 for real images and 0 for repaired ones."""

    version: ClassVar[int] = 1

    def critic(self, real_scores: Tensor, fake_scores: Tensor) -> Tensor:
        """What the critic minimises, a scalar; scores of any shape."""
        return ((real_scores - 1).square().mean() + fake_scores.square().mean()) / 2

    def generator(self, fake_scores: Tensor) -> Tensor:
        """What the generator minimises, a scalar."""
        return (fake_scores - 1).square().mean() / 2


LOSSES: dict[str, type[JS] | type[WGAN] | type[LSGAN]] = {
    "js": JS,
    "wgan": WGAN,
    "wgan_gp": WGANGP,
    "lsgan": LSGAN,
}


def gradient_penalty(
    score: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, mix: Tensor, mask: Tensor
) -> Tensor:
    """Mean squared difference from 1 of the slope of ``score`` between ``real`` and ``fake (B, 3, H, W)``, a scalar.

    Gulrajani 2017, algorithm 1. The gradient is taken only in the hole of ``mask (B, 1, H, W)``: nothing else is
    repaired, Yu 2018, eq. (4). ``mix (B,)`` in 0..1: the point between ``fake`` (0) and ``real`` (1).
    """
    between = torch.lerp(fake, real, mix[:, None, None, None]).requires_grad_()
    scores = score(between)
    each = scores.flatten(1).mean(1) if scores.dim() > 1 else scores  # a patch critic gives several per image
    (slope,) = torch.autograd.grad(each.sum(), between, create_graph=True)
    size = ((slope * mask).square().sum((1, 2, 3)) + 1e-12).sqrt()  # the root of 0 has no gradient
    return (size - 1).square().mean()


@torch.no_grad()
def clip_(parameters: Iterable[nn.Parameter], bound: float) -> None:
    """Clips weights to -bound..bound in place (Arjovsky 2017, algorithm 1, line 7; READING R14)."""
    weights: list[Tensor] = list(parameters)
    torch._foreach_clamp_min_(weights, -bound)
    torch._foreach_clamp_max_(weights, bound)


@torch.no_grad()
def share_at_bound(parameters: Iterable[nn.Parameter], bound: float) -> Tensor:
    """The share of weights whose size is ``bound`` or more: a scalar in 0..1, on their device."""
    weights = list(parameters)
    at_bound = torch.stack([(weight.abs() >= bound).sum() for weight in weights]).sum()
    return at_bound / sum(weight.numel() for weight in weights)
