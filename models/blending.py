"""Poisson blending of a prediction into its image, the paper's post-processing: Perez 2003, "Poisson Image Editing".

The result is the prediction plus a membrane, a correction that is harmonic in the hole and removes the seam around it.
The membrane of a box has a closed form, by sine transforms. That of any other hole solves sparse equations: on a CPU
directly, hole by hole; if it is huge or on another device, by conjugate gradients.
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

TOLERANCE = 1e-3 / 255
"""The largest error of a membrane by conjugate gradients, for images in 0..1."""
CAP = 500
"""The limit of iterations of conjugate gradients. At 256 px about 30 are usual, for any hole; at 1024 px 45."""
ROUND = 8
"""Iterations between two questions whether all have converged, each of which waits for the device."""
DIRECT = 2**19
"""The most pixels of a hole that is solved directly, in a gigabyte at most. Conjugate gradients scale better."""
PART = 16
"""Boxes that are solved together on a CPU. More than its cache holds take twice as long."""
DAMPING = 0.8
"""Damping of Jacobi steps. Below 1 a multigrid cycle is positive definite, as conjugate gradients require."""
OVERCORRECTION = 1.6
"""Piecewise constant values make coarse grids too stiff (over-interpolation, Stüben 1999). 1.5 to 1.8 work."""


def version(mask: str) -> int:
    """The version of what ``blend`` returns for holes of this kind of mask. Raise it when the numbers change."""
    return 1 if mask in ("center", "random_box") else 2  # 1 solved for other holes than boxes by conjugate gradients


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
        holes: The mask as booleans on the CPU, (B, H, W). Without them this waits for the device to find boxes.

    Returns:
        (B, C, H, W) in 0..1: exact for holes that are one rectangle each, and on a CPU for others of up to DIRECT
        pixels; within TOLERANCE for the rest.

    Raises:
        ValueError: An image has no known pixel.
    """
    blended, on_cpu = image.clone(), image.device.type == "cpu"
    holes = on_host(mask[:, 0] > 0.5).numpy() if holes is None else holes
    part = PART if on_cpu else len(holes)
    for box, indices in _groups(holes).items():
        for own in (indices[first : first + part] for first in range(0, len(indices), part)):
            members = _selection(own, image.device)
            if box is not None:
                blended[members, :, *box.slices] = _corrected_box(prediction[members], image[members], box)
            elif on_cpu:
                for index in own:
                    solve = _directly if np.count_nonzero(holes[index]) <= DIRECT else _by_gradients
                    one = slice(index, index + 1)
                    blended[one] = solve(prediction[one], image[one], mask[one])
            else:
                blended[members] = _by_gradients(prediction[members], image[members], mask[members])
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


def _selection(indices: list[int], device: torch.device) -> slice | Tensor:
    """What selects these images: a slice if they are consecutive, which copies nothing."""
    first, last = indices[0], indices[-1]
    return slice(first, last + 1) if last - first < len(indices) else torch.tensor(indices, device=device)


def _corrected_box(prediction: Tensor, image: Tensor, box: Box) -> Tensor:
    """The prediction in ``box`` plus its membrane, clamped: (B, C, height, width).

    The membrane depends only on the seam. Each side of the box that is not on the image's border adds to its spectrum:
    the spectrum of the step across the side, times the values of the modes there.
    """
    above, below = box.top > 0, box.bottom < image.shape[-2]
    before, after = box.left > 0, box.right < image.shape[-1]
    inside = prediction[..., *box.slices].clone()
    rows, row_values = (each.to(inside) for each in _modes(box.height, above, below))
    columns, column_values = (each.to(inside) for each in _modes(box.width, before, after))
    spectrum = torch.zeros_like(inside)
    for seam, known_row, row in ((above, box.top - 1, 0), (below, box.bottom, -1)):
        if seam:
            step = image[..., known_row, box.slices[1]] - inside[..., row, :]
            spectrum.addcmul_(rows[row][:, None], (step @ columns)[..., None, :])
    for seam, known_column, column in ((before, box.left - 1, 0), (after, box.right, -1)):
        if seam:
            step = image[..., box.slices[0], known_column] - inside[..., column]
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


def _directly(prediction: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    """One image (1, C, H, W) on the CPU, blended by a sparse direct solve: A membrane = the steps across the rim.

    A has a row for each pixel of the hole: how many neighbours it has, and -1 for each of those in the hole. It is
    symmetric and positive definite, so it is factored without pivoting, in an order of least degree (SuperLU).
    """
    from scipy.sparse import csc_array  # here, because planning imports this module and needs neither
    from scipy.sparse.linalg import splu

    own = mask[0, 0] > 0.5
    hole = own.numpy()
    height, width = hole.shape
    number = np.full((height + 2, width + 2), -1, np.int32)  # of each pixel of the hole; -1 elsewhere, -2 off the image
    number[0], number[-1], number[:, 0], number[:, -1] = -2, -2, -2, -2
    size = np.count_nonzero(hole)
    number[1:-1, 1:-1][hole] = np.arange(size)
    pixels = np.flatnonzero(number >= 0)
    steps = np.array([-width - 2, -1, 0, 1, width + 2])  # up, left, itself, right, down
    neighbours = number.ravel()[pixels[:, None] + steps]
    linked = neighbours >= 0
    values = np.where(steps == 0, (neighbours >= -1).sum(1, keepdims=True) - 1.0, -1.0)[linked]
    starts = np.concatenate([[0], linked.sum(1).cumsum()])
    matrix = csc_array((values, neighbours[linked], starts), shape=(size, size))

    inside = prediction[0, :, own].double().numpy()
    pixel, step = np.nonzero(neighbours == -1)
    row, column = np.divmod(pixels[pixel] + steps[step], width + 2)
    across = image[0].numpy()[:, row - 1, column - 1] - inside[:, pixel]
    right = np.stack([np.bincount(pixel, each, size) for each in across], axis=1)
    plain = {"SymmetricMode": True}
    factors = splu(  # wider panels pay only where factors are denser
        matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, relax=1, panel_size=1, options=plain
    )
    result = image.clone()
    result[0, :, own] = torch.from_numpy((inside + factors.solve(right).T).clip(0, 1)).to(image)
    return result


def _by_gradients(prediction: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    """Images (B, C, H, W) on any device, blended by conjugate gradients."""
    corrected = prediction + membrane(prediction, image, mask)[0]
    return composite(corrected.clamp(0, 1).to(image), image, mask)


def membrane(prediction: Tensor, image: Tensor, mask: Tensor) -> tuple[Tensor, int]:
    """The correction (B, C, H, W) for holes of any shape, undefined outside of them, and the number of iterations.

    Conjugate gradients in float64, preconditioned by one multigrid cycle (Tatebe 1993). Each image and channel has its
    own step sizes and stops when it has converged, so a result does not depend on the rest of the batch. Whether all
    have stopped is asked after each ROUND.

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
        if iteration and iteration % ROUND == 0 and not on_host(moving.any()):
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
