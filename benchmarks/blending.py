"""Poisson blending against a sparse direct solve of the same problem, one thread.

Holes are the central box of 128 px and free-form strokes, in images of 256 px. Both sides start from the images and
the mask. The direct solve assembles its matrix, factors it with SuperLU once per image, and solves for three channels.
It is timed with SciPy's default order of elimination and with one that is faster for the box. The largest difference
must be within the tolerance that blending states.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csc_array
from scipy.sparse.linalg import splu
from torch import Tensor

from benchmarks.timing import REPEATS, Disagreement, Row, least
from models.blending import TOLERANCE, blend
from models.masking import center_box, mask_of

Problem = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]
"""Prediction (3, H, W), image (3, H, W), hole (H, W)."""
ALL, AHEAD, BEHIND = slice(None), slice(1, None), slice(-1)
PAIRS = [((ALL, AHEAD), (ALL, BEHIND)), ((AHEAD, ALL), (BEHIND, ALL))]
PAIRS += [(q, p) for p, q in PAIRS]
"""Pixels and their neighbours in a whole plane: left, above, right, below."""
Order = Literal["COLAMD", "MMD_AT_PLUS_A"]
ORDERS: tuple[Order, ...] = ("COLAMD", "MMD_AT_PLUS_A")


def strokes(rng: np.random.Generator, side: int) -> NDArray[np.bool_]:
    """A free-form hole (side, side): six walks of a round brush 8 to 32 px wide."""
    y, x = np.mgrid[:side, :side]
    hole = np.zeros((side, side), bool)
    for _ in range(6):
        place, angle, radius = rng.uniform(0, side, 2), rng.uniform(0, 2 * np.pi), rng.uniform(4, 16)
        for _ in range(100):
            angle += rng.normal(0, 0.15)
            place += 2 * np.array([np.sin(angle), np.cos(angle)])
            hole |= (y - place[0]) ** 2 + (x - place[1]) ** 2 <= radius**2
    return hole


def equations(problem: Problem) -> tuple[csc_array, NDArray[np.float64]]:
    """The matrix (n, n) for the n pixels of the hole, and the right-hand sides (n, 3)."""
    prediction, image, hole = problem
    size = np.count_nonzero(hole)
    number, degree, right = np.full(hole.shape, -1), np.zeros(hole.shape), np.zeros_like(image)
    number[hole] = np.arange(size)
    rows, columns = [number[hole]], [number[hole]]
    for p, q in PAIRS:
        inside = hole[p] & hole[q]
        rows.append(number[p][inside])
        columns.append(number[q][inside])
        degree[p] += 1
        for drawn, truth, plane in zip(prediction, image, right, strict=True):
            plane[p] += np.where(inside, drawn[p] - drawn[q], truth[q])
    values = np.concatenate([degree[hole], np.full(sum(map(len, rows)) - size, -1.0)])
    matrix = csc_array((values, (np.concatenate(rows), np.concatenate(columns))), shape=(size, size))
    return matrix, right[:, hole].T


def direct(problem: Problem, order: Order = "COLAMD") -> NDArray[np.float64]:
    """The hole's pixels (n, 3), with SuperLU's ``order`` of elimination."""
    matrix, right = equations(problem)
    return splu(matrix, permc_spec=order).solve(right).clip(0, 1)


def compared(name: str, mask: Tensor, repeats: int) -> Iterator[Row]:
    """Rows of one kind of hole: milliseconds an image. Raises Disagreement if the sides differ too much."""
    side = mask.shape[-1]
    prediction, image = torch.rand(2, len(mask), 3, side, side, generator=torch.Generator().manual_seed(0))
    arrays = (prediction.double().numpy(), image.double().numpy(), mask[:, 0].bool().numpy())
    problems: list[Problem] = list(zip(*arrays, strict=True))
    blended = blend(prediction, image, mask).double().numpy()
    pairs = zip(problems, blended, strict=True)
    error = max(float(np.abs(direct(problem) - image[:, problem[2]].T).max()) for problem, image in pairs)
    if not error <= TOLERANCE:
        raise Disagreement(f"{name}: blending differs from the direct solve by {255 * error:.1e} of 255 levels")

    def solved(order: Order) -> None:
        for problem in problems:
            direct(problem, order)

    best = least({"ours": partial(blend, prediction, image, mask), **{o: partial(solved, o) for o in ORDERS}}, repeats)
    ours, *peers = (1e3 * seconds / len(mask) for seconds in best.values())
    for order, peer in zip(ORDERS, peers, strict=True):
        yield Row(f"{name}, order {order}", ours, peer, "ms", peer / ours)


def rows(side: int = 256, boxes: int = 32, free: int = 8, repeats: int = REPEATS) -> Iterator[Row]:
    """Yields a row for each kind of hole and order of elimination: milliseconds an image."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    yield from compared("central box", mask_of([center_box(side)] * boxes, side), repeats)
    masks = np.stack([strokes(rng, side) for _ in range(free)])
    yield from compared("strokes", torch.from_numpy(masks).float()[:, None], repeats)
