"""A training step against the loop of public code, on the same networks and first weights (``training.Plain``).

All three stages at 256 px, a quarter of the width, batch 8, one thread. Without a norm in G, the layers after the last
dilated one are computed in the hole's window alone; with batch norm, on whole maps (in the critics' stage G is frozen,
and its window is enough). The peer computes in fp32 in both rows. Ours runs in a process that is prepared as a study's
worker is; the peer has a process of its own, with the system's defaults.

Both sides must compute the same gradients. This is checked in double precision on small images: for each network, the
norm of the difference is at most TOLERANCE times that of the gradient. In fp32 it would show torch's rounding instead:
its batch norm in channels_last memory adds up a map naively, which alone puts gradients off by several percent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.timing import REPEATS, Disagreement, Row, least
from benchmarks.training import TRAINED, Apart, Ours, Plain, flat_gradients, stages
from study.plan.graph import Stage
from study.training.machine import prepare

TOLERANCE = 1e-5
NORMS = {"none": "window", "batch": "batch norm, whole maps"}


def rows(side: int = 256, width: float = 0.25, batch: int = 8, repeats: int = REPEATS) -> Iterator[Row]:
    """Yields a row for each norm of G, stage and precision: milliseconds a step. Raises Disagreement."""
    prepare("cpu")
    with Apart() as plain:
        yield from compared(plain, side, width, batch, repeats)


def compared(plain: Apart, side: int, width: float, batch: int, repeats: int) -> Iterator[Row]:
    """The rows, with the peer in its process."""
    for norm, how in NORMS.items():
        small, size = settings(norm, 64, 0.0625, 2), settings(norm, side, width, batch)
        checked = stages(*small, "numerics.precision=fp32")
        of = {precision: stages(*size, f"numerics.precision={precision}") for precision in ("fp32", "bf16")}
        for kind in TRAINED:
            check(f"{kind}, {how}", checked[kind])
            with Ours(of["fp32"][kind]) as fp32, Ours(of["bf16"][kind]) as bf16:
                plain.load(of["fp32"][kind])
                best = least({"fp32": fp32.step, "bf16": bf16.step, "plain": plain.step}, repeats)
            for precision in ("fp32", "bf16"):
                ours, peer = 1e3 * best[precision], 1e3 * best["plain"]
                yield Row(f"{kind}, {precision}, {how}", ours, peer, "ms", peer / ours)


def settings(norm: str, side: int, width: float, batch: int) -> list[str]:
    """The size of a study, and the norm of its G."""
    size = [f"image_size={side}", f"defaults.width={width}", f"defaults.batch={batch}"]
    return [*size, f"variants.proposed.norm={norm}"]


def check(name: str, stages: Sequence[Stage]) -> None:
    """Makes a step on both sides in double precision. Raises Disagreement if their gradients differ."""
    with Ours(stages) as ours:
        plain = Plain(stages)
        ours.double()
        plain.double()
        plain.step()
        ours.step()
    for network, trained in ours.networks.items():
        expected, found = plain.gradients[network], flat_gradients(trained)
        error = float((found - expected).norm() / expected.norm())
        if not error <= TOLERANCE:
            raise Disagreement(f"{name}: the gradients of {network} differ by {error:.1e} of their norm")
