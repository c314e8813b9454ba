"""Poisson blending of a prediction into its image: Perez 2003, "Poisson Image Editing", the paper's post-processing.

Blended is the prediction plus a membrane: a correction that is harmonic in the hole and takes away the seam around
it. A box has the membrane in closed form, by sine transforms; any other hole by conjugate gradients.
"""

from __future__ import annotations

import math
from functools import lru_cache, partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.masking import Box, bounding_box, composite, erase, known

VERSION = 1
"""Raised whenever the numbers that `blend` returns change."""

TOLERANCE = 1e-3 / 255
"""No value of a membrane by conjugate gradients is further off; images are in 0..1."""
CAP = 500
"""Iterations of conjugate gradients. At 256 px some thirty are usual, whatever the hole."""
PART = 16
"""Images that are solved at a time: more than a CPU's caches hold take conjugate gradients twice as long."""
DAMPING = 0.8
"""Of Jacobi's steps. Below 1 a multigrid cycle is positive definite, as conjugate gradients need it to be."""
OVERCORRECTION = 1.6
"""Values that are constant on cells make coarse grids too stiff (over-interpolation, Stüben 1999); 1.5 to 1.8 serve."""


@torch.no_grad()
def blend(prediction: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    """``image`` to the bit where it is known; in the hole the prediction's gradients, without a seam.

    prediction, image: (B, C, H, W) in 0..1; mask: (B, 1, H, W), 1 = hole. Result: (B, C, H, W) in 0..1, the f that
    solves the discrete problem of Perez 2003, section 2: least is the sum of (f_p - f_q - v_pq)^2 over all pairs of
    4-neighbours p, q that are not both known, with f = image where known, v_pq = prediction_p - prediction_q inside
    the hole, and v_pq = 0 across its rim: the prediction is not read outside, where eq. (1) of the paper does not
    train it. No pair crosses the image's border, so a hole that reaches it is free there.

    Exact for holes that are one rectangle each; others within TOLERANCE. An image of no hole is returned as it is.
    Raises ValueError if an image has no known pixel.
    """
    blended = image.clone()
    for box, indices in _groups(mask).items():
        for part in torch.split(torch.tensor(indices, device=image.device), PART):
            if box is None:
                corrected = prediction[part] + membrane(prediction[part], image[part], mask[part])[0]
                blended[part] = composite(corrected.clamp(0, 1).to(image), image[part], mask[part])
            else:
                blended[part, :, *box.slices] = _corrected_box(prediction, image, box, part)
    return blended


def _groups(mask: Tensor) -> dict[Box | None, list[int]]:
    """The images of equal boxes, and under None those of other holes; images without a hole are left out."""
    groups: dict[Box | None, list[int]] = {}
    for index, hole in enumerate((mask[:, 0] > 0.5).cpu().numpy()):
        size = np.count_nonzero(hole)
        if size == hole.size:
            raise ValueError(f"mask: all of image {index} is hole; blending needs at least one known pixel")
        if size:
            box = bounding_box(hole)
            groups.setdefault(box if size == box.height * box.width else None, []).append(index)
    return groups


def _corrected_box(prediction: Tensor, image: Tensor, box: Box, members: Tensor) -> Tensor:
    """The members' prediction in ``box`` plus its membrane, clamped: (n, C, height, width). members: (n,) indices.

    The membrane answers to the seam alone. So to its spectrum each side of the box, unless it lies on the image's
    border, adds the spectrum of the step across the side times the values of the modes there.
    """
    above, below = box.top > 0, box.bottom < image.shape[-2]
    before, after = box.left > 0, box.right < image.shape[-1]
    inside = prediction[..., *box.slices].index_select(0, members)
    rows, row_values = (each.to(inside) for each in _modes(box.height, above, below))
    columns, column_values = (each.to(inside) for each in _modes(box.width, before, after))
    spectrum = torch.zeros_like(inside)
    for seam, known_row, row in ((above, box.top - 1, 0), (below, box.bottom, -1)):
        if seam:
            step = image[..., known_row, box.slices[1]][members] - inside[..., row, :]
            spectrum.addcmul_(rows[row][:, None], (step @ columns)[..., None, :])
    for seam, known_column, column in ((before, box.left - 1, 0), (after, box.right, -1)):
        if seam:
            step = image[..., box.slices[0], known_column][members] - inside[..., column]
            spectrum.addcmul_((step @ rows)[..., None], columns[column])
    spectrum /= row_values[:, None] + column_values
    return inside.add_(rows @ spectrum @ columns.T).clamp_(0, 1)


@lru_cache(maxsize=256)
def _modes(length: int, fixed_first: bool, fixed_last: bool) -> tuple[Tensor, Tensor]:
    """Eigenvectors (length, length), one a column, and eigenvalues (length,) of the second difference, float64.

    An end is fixed where a known pixel follows it, else free. Both fixed: the sine transform DST-I; both free: the
    cosine transform DCT-II; one of each: quarter waves (Strang 1999, "The Discrete Cosine Transform").
    """
    half_waves = (fixed_first + fixed_last) / 2
    place = torch.arange(length, dtype=torch.float64)
    angles = math.pi * (place + half_waves) / (length + half_waves)
    waves = torch.sin((place[:, None] + 1) * angles) if fixed_first else torch.cos((place[:, None] + 0.5) * angles)
    return waves / waves.norm(dim=0), (2 * torch.sin(angles / 2)).square()


def membrane(prediction: Tensor, image: Tensor, mask: Tensor) -> tuple[Tensor, int]:
    """The correction (B, C, H, W) of any holes, meaningless outside them, and the iterations that it took.

    Conjugate gradients in float64, preconditioned by one multigrid cycle (Tatebe 1993). Images and channels have
    steps of their own, and rest once they are there: a result does not depend on the others of its batch.

    The error at p is the sum over q of G_pq residual_q, where Green's function has 0 <= G_pq <= G_pp, and G_pp, the
    resistance from p to the known pixels, is below H + W: no path to the nearest of them is longer.
    """
    hole = mask.double()
    right, down = torch.zeros_like(hole), torch.zeros_like(hole)
    right[..., :-1] = hole[..., :-1] * hole[..., 1:]
    down[..., :-1, :] = hole[..., :-1, :] * hole[..., 1:, :]
    leak = hole * _neighbours(known(hole))
    grids = [Grid(leak, right, down)]
    while max(grids[-1].leak.shape[-2:]) > 1:
        grids.append(grids[-1].coarser())

    residual = hole * _neighbours(erase(image, hole, 0).double()) - leak * erase(prediction, known(hole), 0)
    correction, direction = torch.zeros_like(residual), torch.zeros_like(residual)
    slope = torch.ones_like(residual[..., :1, :1])
    for iteration in range(CAP):
        most = sum(mask.shape[-2:]) * torch.linalg.vector_norm(residual, 1, dim=(-2, -1), keepdim=True)
        moving = most > TOLERANCE
        if not moving.any():
            return correction, iteration
        downhill = _cycle(grids, residual)
        previous, slope = slope, (residual * downhill).sum((-2, -1), keepdim=True)
        direction = torch.addcmul(downhill, torch.where(moving, slope / previous, 0), direction)
        force = grids[0](direction)
        step = torch.where(moving, slope / (direction * force).sum((-2, -1), keepdim=True), 0)
        correction.addcmul_(step, direction)
        residual.addcmul_(step, force, value=-1)
    raise AssertionError(f"blending did not converge in {CAP} iterations")


def _neighbours(image: Tensor) -> Tensor:
    """The sum of each pixel's up to four neighbours, (B, C, H, W)."""
    padded = F.pad(image, (1, 1, 1, 1))
    return padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:] + padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1]


class Grid:
    """The graph Laplacian of linked cells: (A x)_p = leak_p x_p + the sum over p's links of weight (x_p - x_q).

    leak, right, down: (B, 1, H, W), the weights of a cell's links to known pixels, to the cell on its right, to the
    one below. A cell without links is no part of the hole.
    """

    def __init__(self, leak: Tensor, right: Tensor, down: Tensor) -> None:
        self.leak, self.right, self.down = leak, right, down
        self.diagonal = leak + right + down
        self.diagonal[..., 1:] += right[..., :-1]
        self.diagonal[..., 1:, :] += down[..., :-1, :]
        self.jacobi = torch.where(self.diagonal > 0, DAMPING / self.diagonal, 0)

    def __call__(self, x: Tensor) -> Tensor:
        """A x, (B, C, H, W)."""
        right, down = self.right[..., :-1], self.down[..., :-1, :]
        result = self.diagonal * x
        result[..., :-1].addcmul_(right, x[..., 1:], value=-1)
        result[..., 1:].addcmul_(right, x[..., :-1], value=-1)
        result[..., :-1, :].addcmul_(down, x[..., 1:, :], value=-1)
        result[..., 1:, :].addcmul_(down, x[..., :-1, :], value=-1)
        return result

    def coarser(self) -> Grid:
        """Cells of 2x2: Galerkin's product with values that are constant on each; links inside a cell vanish."""
        right, down = self.right.clone(), self.down.clone()
        right[..., ::2] = 0
        down[..., ::2, :] = 0
        return Grid(_pool(self.leak), _pool(right), _pool(down))


_pool = partial(F.avg_pool2d, kernel_size=2, ceil_mode=True, divisor_override=1)  # sums of 2x2, fewer at odd ends


def _cycle(grids: list[Grid], residual: Tensor) -> Tensor:
    """One multigrid V-cycle: about A^-1 residual, symmetric and positive definite. grids: finest first."""
    grid, *coarser = grids
    x = grid.jacobi * residual
    if coarser:
        height, width = x.shape[-2:]
        coarse = _cycle(coarser, _pool(grid(x).neg_().add_(residual)))
        x.add_(F.interpolate(coarse, scale_factor=2)[..., :height, :width], alpha=OVERCORRECTION)
        x.addcmul_(grid.jacobi, grid(x).neg_().add_(residual))
    return x
