"""What records and logs cost: the share of a training step, and what a long record costs to write.

The step is that of the demo's joint stage, which is short, so the share is at its largest. A million points are sixty
times what a run of the paper's schedule records.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.timing import REPEATS, Row, least
from benchmarks.training import Ours, Quiet, stages, state_of
from study.running.record import Log, record

LENGTHS = (10_000, 1_000_000)


def rows(settings: Sequence[str] = (), lengths: Sequence[int] = LENGTHS, repeats: int = REPEATS) -> Iterator[Row]:
    """Yields the share of a step, and microseconds a point of records of so many points."""
    torch.set_num_threads(1)
    (stage,) = stages(*settings, profile="demo")["joint"]
    steps = stage.options["log_every"]
    with Ours([replace(stage, options={**stage.options, "steps": steps + 1})]) as ours:
        state = state_of(ours)
        updates = ours.step()

        def logs() -> None:
            """An interval's logs: the terms of each step, and their means at the end."""
            state.step = 0
            for _ in range(steps):
                for _, terms in updates:
                    state.add(terms)
                state.advance(Quiet())

        best = least({"logs": logs, "step": ours.step}, repeats)
    yield Row("logs of a joint step of the demo", 100 * best["logs"] / steps / best["step"], unit="% of the step")
    for points in lengths:
        yield Row(f"a record of {points:,} points", 1e6 * _recorded(points) / points, unit="us a point")


def _recorded(points: int) -> float:
    """Seconds that a run spends on a record of so many points, in 20 series."""

    def body(log: Log) -> Mapping[str, float]:
        for step in range(points // 20):
            for name in range(20):
                log.scalar(f"term {name}", 0.5, step)
        return {}

    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        record("benchmark", {}, body, out=Path(folder))
        return time.perf_counter() - started
