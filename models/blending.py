"""Poisson blending of a prediction into its image, the paper's post-processing: Perez 2003, "Poisson Image Editing".

The result is the prediction plus a membrane, a correction that is harmonic in the hole and removes the seam around it.
The membrane of a box has a closed form, by sine transforms. That of any other hole is found by conjugate gradients.
"""

from __future__ import annotations

import math
from functools import lru_cache, partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.host import on_host
from models.masking import Box, bounding_box, composite, erase, known
from models.masks import Holes

VERSION = 1
"""Raise this when the numbers that ``blend`` returns change."""

TOLERANCE = 1e-3 / 255
"""The largest error of a membrane by conjugate gradients, for images in 0..1."""
CAP = 500
"""The limit of iterations of conjugate gradients. At 256 px about 30 are usual, for any hole."""
PART = 16
"""Images that are solved together. More than a CPU cache holds take twice as long."""
DAMPING = 0.8
"""Damping of Jacobi steps. Below 1 a multigrid cycle is positive definite, as conjugate gradients require."""
OVERCORRECTION = 1.6
"""Piecewise constant values make coarse grids too stiff (over-interpolation, Stüben 1999). 1.5 to 1.8 work."""


@torch.no_grad()
def blend(prediction: Tensor, image: Tensor, mask: Tensor, holes: Holes | None = None) -> Tensor:
    """Blends a prediction into the hole: its gradients there, without a seam, and exactly ``image`` elsewhere.

    The result f solves the discrete problem of Perez 2003, section 2: it minimises the sum of (f_p - f_q - v_pq)^2 over
    all pairs of 4-neighbours p, q that are not both known. f = image where known; v_pq = prediction_p - prediction_q
    inside the hole; v_pq = 0 across its rim, as eq. (1) of the paper does not train the prediction outside. No pair
    crosses the image's border, so a hole at the border is free there.

    Args:
        prediction: (B, C, H, W) in 0..1.
        image: (B, C, H, W) in 0..1. An image without a hole is returned unchanged.
        mask: (B, 1, H, W), 1 = hole.
        holes: the mask as booleans on the CPU, (B, H, W). Without them this waits for the device to find boxes.

    Returns:
        (B, C, H, W) in 0..1: exact for holes that are one rectangle each, others within TOLERANCE.

    Raises:
        ValueError: An image has no known pixel.
    """
    blended = image.clone()
    holes = on_host(mask[:, 0] > 0.5).numpy() if holes is None else holes
    for box, indices in _groups(holes).items():
        for part in torch.split(torch.tensor(indices, device=image.device), PART):
            if box is None:
                corrected = prediction[part] + membrane(prediction[part], image[part], mask[part])[0]
                blended[part] = composite(corrected.clamp(0, 1).to(image), image[part], mask[part])
            else:
                blended[part, :, *box.slices] = _corrected_box(prediction, image, box, part)
    return blended


def _groups(holes: Holes) -> dict[Box | None, list[int]]:
    """Groups the images by the box of their hole; None for other shapes. Images without a hole are left out."""
    groups: dict[Box | None, list[int]] = {}
    for index, hole in enumerate(holes):
        size = np.count_nonzero(hole)
        if size == hole.size:
            raise ValueError(f"mask: all of image {index} is hole; blending needs at least one known pixel")
        if size:
            box = bounding_box(hole)
            groups.setdefault(box if size == box.height * box.width else None, []).append(index)
    return groups


def _corrected_box(prediction: Tensor, image: Tensor, box: Box, members: Tensor) -> Tensor:
    """The members' prediction in ``box`` plus its membrane, clamped: (n, C, height, width). members: (n,) indices.

    The membrane depends only on the seam. Each side of the box that is not on the image's border adds to its spectrum:
    the spectrum of the step across the side, times the values of the modes there.
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
    """Eigenvectors (length, length), in columns, and eigenvalues (length,) of the second difference, float64.

    An end is fixed if a known pixel follows it, otherwise free. Both fixed: sine transform DST-I. Both free: cosine
    transform DCT-II. One of each: quarter waves (Strang 1999, "The Discrete Cosine Transform").
    """
    half_waves = (fixed_first + fixed_last) / 2
    place = torch.arange(length, dtype=torch.float64)
    angles = math.pi * (place + half_waves) / (length + half_waves)
    waves = torch.sin((place[:, None] + 1) * angles) if fixed_first else torch.cos((place[:, None] + 0.5) * angles)
    return waves / waves.norm(dim=0), (2 * torch.sin(angles / 2)).square()


def membrane(prediction: Tensor, image: Tensor, mask: Tensor) -> tuple[Tensor, int]:
    """The correction (B, C, H, W) for holes of any shape, undefined outside of them, and the number of iterations.

    Conjugate gradients in float64, preconditioned by one multigrid cycle (Tatebe 1993). Each image and channel has its
    own step sizes and stops when it has converged, so a result does not depend on the rest of the batch.

    The error at p is the sum over q of G_pq residual_q. Green's function has 0 <= G_pq <= G_pp. G_pp is the resistance
    from p to the known pixels. It is below H + W, as the path to the nearest of them is shorter than that.
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
        if iteration and not on_host(moving.any()):  # the first step is never asked about: no wait before it
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
    """The sum of the (up to four) neighbours of each pixel, (B, C, H, W)."""
    padded = F.pad(image, (1, 1, 1, 1))
    return padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:] + padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1]


class Grid:
    """The graph Laplacian of linked cells: (A x)_p = leak_p x_p + the sum over p's links of weight (x_p - x_q).

    leak, right, down: (B, 1, H, W), the weights of a cell's links to known pixels, to the cell on its right and to the
    one below. A cell without links is outside of the hole.
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
        """The grid of 2x2 cells: Galerkin's product with piecewise constant values; links inside a cell vanish."""
        right, down = self.right.clone(), self.down.clone()
        right[..., ::2] = 0
        down[..., ::2, :] = 0
        return Grid(_pool(self.leak), _pool(right), _pool(down))


_pool = partial(F.avg_pool2d, kernel_size=2, ceil_mode=True, divisor_override=1)  # sums of 2x2, fewer at odd ends


def _cycle(grids: list[Grid], residual: Tensor) -> Tensor:
    """One multigrid V-cycle: approximately A^-1 residual, symmetric and positive definite. grids: finest first."""
    grid, *coarser = grids
    x = grid.jacobi * residual
    if coarser:
        height, width = x.shape[-2:]
        coarse = _cycle(coarser, _pool(grid(x).neg_().add_(residual)))
        x.add_(F.interpolate(coarse, scale_factor=2)[..., :height, :width], alpha=OVERCORRECTION)
        x.addcmul_(grid.jacobi, grid(x).neg_().add_(residual))
    return x
