"""The time and the error of blending, compared with a sparse direct solve of the same problem.

    python benchmarks/blending.py [--repeats 5]

Holes are the central box of 128 px and free-form strokes, in images of 256 px. All solvers run on one thread, in turn;
the shortest time of each counts. Both start from the images and the mask: blending finds the boxes; the direct solve
assembles its matrix (also timed alone), factors it with SuperLU once per image, and solves for three channels.
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
"""Pixels and their neighbours in a whole plane: left, above, right, below."""
Order = Literal["COLAMD", "MMD_AT_PLUS_A"]
ORDERS: dict[Order, str] = {"COLAMD": "SciPy's default", "MMD_AT_PLUS_A": "faster for the box"}


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


def seconds(work: Callable[[], object]) -> float:
    """The seconds of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def compare(name: str, mask: Tensor, repeats: int) -> float:
    """Prints one comparison. Returns the largest error against the direct solve, for images in 0..1."""
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
        float(np.abs(direct(problem) - image[:, problem[2]].T).max())
        for problem, image in zip(problems, blended, strict=True)
    )
    print(f"{name}, batch of {len(mask)}: {least['blend']:.2f} ms per image, largest error {255 * error:.1e} / 255")
    for order, note in ORDERS.items():
        print(
            f"  direct, order {order}, {note}: {least[order]:.1f} ms, {least['matrix']:.1f} for the matrix: "
            f"{least[order] / least['blend']:.2f} times as long"
        )
    return error


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    box = mask_of([center_box(SIDE)] * 32, SIDE)
    free = torch.from_numpy(np.stack([strokes(rng) for _ in range(8)])).float()[:, None]

    print(f"{SIDE} x {SIDE} RGB, one thread, shortest of {options.repeats} times")
    errors = [compare("central box", box, options.repeats), compare("strokes", free, options.repeats)]
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
