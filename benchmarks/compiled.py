"""Steps of networks that ``torch.compile`` compiled, against the same networks as they are.

The paper profile on this machine's CUDA card; without one, 64 px on a CPU. *Compiling* is what the first step takes
longer, and *pays after* the steps that win this back. Both sides start from the same weights, which are compared after
``STEPS`` steps: the norm of the difference, as a share of the weights' norm. Most of it is Adam's, which takes the sign
of gradients that are almost 0.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from shutil import which
from tempfile import TemporaryDirectory
from unittest.mock import patch

import torch

from benchmarks.step import settings
from benchmarks.timing import REPEATS, NotMeasured, Row, least
from benchmarks.training import TRAINED, Ours, stages
from study.plan.graph import Stage
from study.training.machine import prepare

STEPS = 20


def rows(steps: int = STEPS, repeats: int = REPEATS) -> Iterator[Row]:
    """Yields a step, the seconds of compiling, and the difference, for each stage. Raises NotMeasured."""
    if which("c++") is None:
        raise NotMeasured("torch.compile needs a C++ compiler, and this machine has none")
    with TemporaryDirectory() as empty, patch.dict(os.environ, TORCHINDUCTOR_CACHE_DIR=empty):
        yield from measured(steps, repeats)


def measured(steps: int, repeats: int) -> Iterator[Row]:
    """The rows, with what is compiled cached where the environment says."""
    device = prepare("cuda" if torch.cuda.is_available() else "cpu")
    small = [*settings("batch", 64, 0.125, 8), "numerics.precision=fp32"] if device.type == "cpu" else []
    found = stages(*small, device=device.type)
    for kind in TRAINED:
        with Ours(found[kind], device) as eager, Ours(compiled(found[kind]), device) as ours:
            first_s = {name: seconds(side, 1) for name, side in (("ours", ours), ("peer", eager))}
            for side in (ours, eager):
                seconds(side, steps - 1)
            apart = difference(ours, eager)
            best = least({"ours": lambda: seconds(ours, 1), "peer": lambda: seconds(eager, 1)}, repeats)
        compiling, won = first_s["ours"] - first_s["peer"], best["peer"] - best["ours"]
        yield Row(kind, 1e3 * best["ours"], 1e3 * best["peer"], "ms", best["peer"] / best["ours"])
        yield Row(f"{kind}: compiling", compiling, unit="s")
        if won > 0:
            yield Row(f"{kind}: pays after", compiling / won, unit="steps")
        yield Row(f"{kind}: weights differ by", 100 * apart, unit="%")


def compiled(stages: Sequence[Stage]) -> list[Stage]:
    """The same stages, compiled whatever their length."""
    numerics = {**stages[0].options["numerics"], "compile": True}
    return [replace(stage, options={**stage.options, "numerics": numerics}) for stage in stages]


def seconds(side: Ours, steps: int) -> float:
    """The time of some steps, until the device has done them."""
    started = time.perf_counter()
    for _ in range(steps):
        side.step()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def difference(ours: Ours, eager: Ours) -> float:
    """The largest difference of a network's weights, as a share of their norm."""
    shares = []
    for name, network in ours.networks.items():
        mine, theirs = (
            torch.cat([weights.detach().double().reshape(-1) for weights in side.parameters()])
            for side in (network, eager.networks[name])
        )
        shares.append(float((mine - theirs).norm() / theirs.norm()))
    return max(shares)
