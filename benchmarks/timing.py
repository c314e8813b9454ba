"""Shared by the benchmarks: a row of results, and the timing of several sides in turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

REPEATS = 5
"""How often each side runs, at least. The shortest time counts."""

PER_SECOND = {"s": 1.0, "ms": 1e3, "us": 1e6}


class Row(NamedTuple):
    """One line of a benchmark's table.

    ratio: how many times better ours is than the peer's; None if there is no peer.
    """

    name: str
    ours: float
    peer: float | None = None
    unit: str = "ms"
    ratio: float | None = None


class NotMeasured(Exception):
    """This machine cannot run a benchmark. The text says why, in one sentence."""


class Disagreement(Exception):
    """Both sides were measured, but their results differ by more than the stated tolerance."""


def least(works: Mapping[str, Callable[[], object]], repeats: int = REPEATS) -> dict[str, float]:
    """The shortest of ``repeats`` times of each work, in seconds. The works take turns, so that load hits all alike."""
    best = dict.fromkeys(works, float("inf"))
    for _ in range(repeats):
        for name, work in works.items():
            started = time.perf_counter()
            work()
            best[name] = min(best[name], time.perf_counter() - started)
    return best


def compared(
    name: str,
    ours: Callable[[], object],
    peer: Callable[[], object],
    *,
    repeats: int = REPEATS,
    unit: str = "ms",
    items: int = 1,
) -> Row:
    """Times ours and the peer's in turn. The row has the time of one of ``items`` in ``unit``: s, ms or us."""
    best = least({"ours": ours, "peer": peer}, repeats)
    scale = PER_SECOND[unit] / items
    return Row(name, best["ours"] * scale, best["peer"] * scale, unit, best["peer"] / best["ours"])
