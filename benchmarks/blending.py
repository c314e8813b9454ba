"""What blending costs against a sparse direct solve of the same problem, and how far it is from it.

    python benchmarks/blending.py [--repeats 5]

The central box of 128 px and free-form strokes, in images of 256 px. All run on one thread and take turns; the least of
each one's times counts. Both sides begin at the images and the mask: blending finds the boxes, the direct solve puts
its matrix together (also timed alone) and has SuperLU factor it, once an image, and solve for three channels.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csc_array
from scipy.sparse.linalg import splu
from torch import Tensor

from models.blending import TOLERANCE, blend, membrane
from models.masking import center_box, mask_of

SIDE = 256
Problem = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]
"""Prediction (3, H, W), image (3, H, W), hole (H, W)."""
ALL, AHEAD, BEHIND = slice(None), slice(1, None), slice(-1)
PAIRS = [((ALL, AHEAD), (ALL, BEHIND)), ((AHEAD, ALL), (BEHIND, ALL))]
PAIRS += [(q, p) for p, q in PAIRS]
"""Pixels and their neighbours, of a whole plane: to the left, above, to the right, below."""
Order = Literal["COLAMD", "MMD_AT_PLUS_A"]
ORDERS: dict[Order, str] = {"COLAMD": "scipy's own", "MMD_AT_PLUS_A": "the quicker for the box"}


def strokes(rng: np.random.Generator) -> NDArray[np.bool_]:
    """A free-form hole (SIDE, SIDE): six walks of a round brush 8 to 32 px wide."""
    y, x = np.mgrid[:SIDE, :SIDE]
    hole = np.zeros((SIDE, SIDE), bool)
    for _ in range(6):
        place, angle, radius = rng.uniform(0, SIDE, 2), rng.uniform(0, 2 * np.pi), rng.uniform(4, 16)
        for _ in range(100):
            angle += rng.normal(0, 0.15)
            place += 2 * np.array([np.sin(angle), np.cos(angle)])
            hole |= (y - place[0]) ** 2 + (x - place[1]) ** 2 <= radius**2
    return hole


def equations(problem: Problem) -> tuple[csc_array, NDArray[np.float64]]:
    """The matrix (n, n) of the n pixels in the hole, and their right-hand sides (n, 3)."""
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
    """The hole's pixels (n, 3), the unknowns eliminated in SuperLU's ``order``."""
    matrix, right = equations(problem)
    return splu(matrix, permc_spec=order).solve(right).clip(0, 1)


def seconds(work: Callable[[], object]) -> float:
    """The time of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def compare(name: str, mask: Tensor, repeats: int) -> float:
    """Prints one comparison; returns the largest error against the direct solve, images in 0..1."""
    prediction, image = torch.rand(2, len(mask), 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    arrays = (prediction.double().numpy(), image.double().numpy(), mask[:, 0].bool().numpy())
    problems: list[Problem] = list(zip(*arrays, strict=True))

    def each(solve: Callable[[Problem], object]) -> None:
        for problem in problems:
            solve(problem)

    works: dict[str, Callable[[], object]] = {
        "blend": partial(blend, prediction, image, mask),
        "matrix": partial(each, equations),
    }
    works |= {order: partial(each, partial(direct, order=order)) for order in ORDERS}
    turns = [{side: seconds(work) for side, work in works.items()} for _ in range(repeats)]
    least = {side: 1e3 * min(turn[side] for turn in turns) / len(mask) for side in works}
    blended = blend(prediction, image, mask).double().numpy()
    error = max(
        float(np.abs(direct(problem) - picture[:, problem[2]].T).max())
        for problem, picture in zip(problems, blended, strict=True)
    )
    print(f"{name}, batch of {len(mask)}: {least['blend']:.2f} ms an image, largest error {255 * error:.1e} / 255")
    for order, whose in ORDERS.items():
        print(
            f"  direct, order {order}, {whose}: {least[order]:.1f} ms, {least['matrix']:.1f} of them for the matrix: "
            f"{least[order] / least['blend']:.2f} times as long"
        )
    return error


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    box = mask_of([center_box(SIDE)] * 32, SIDE)
    free = torch.from_numpy(np.stack([strokes(rng) for _ in range(8)])).float()[:, None]

    print(f"{SIDE} x {SIDE} RGB, one thread, least of {asked.repeats} turns")
    errors = [compare("central box", box, asked.repeats), compare("strokes", free, asked.repeats)]
    areas = free.mean((1, 2, 3))
    prediction, image = torch.rand(2, 1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    counts = [membrane(prediction, image, mask)[1] for mask in free.split(1)]
    print(
        f"  holes of {areas.min():.0%} to {areas.max():.0%} of the image: {min(counts)} to {max(counts)} iterations of "
        "conjugate gradients"
    )
    sys.exit(0 if max(errors) <= TOLERANCE else 1)


if __name__ == "__main__":
    main()
