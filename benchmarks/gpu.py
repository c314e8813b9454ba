"""The paper profile on this machine's CUDA card: each stage's step, the whole schedule, and waits for the card.

The share of the matrix rate is the stage's arithmetic (as ``study plan`` counts it) over the time of a step, against
the rate of a large bf16 matrix product that is measured in the same run. The peer is the loop of public code
(``training.Plain``) in fp32. The whole schedule is 20,000, 10,000 and 70,000 steps.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import torch

from benchmarks.timing import REPEATS, NotMeasured, Row, least
from benchmarks.training import Ours, Plain, stages

STEPS = 40
"""Steps in each of ``REPEATS`` turns: 200 for each stage."""

MATRIX = 8192


def rows() -> Iterator[Row]:
    """Yields the matrix rate, a step of each stage, and the schedule. Raises NotMeasured without a CUDA card."""
    if not torch.cuda.is_available():
        raise NotMeasured("this machine has no CUDA card; the benchmark counted has predictions")
    try:
        yield from measured(torch.device("cuda"), [], STEPS)
    except torch.OutOfMemoryError:
        raise NotMeasured("this card has too little memory for the paper profile") from None


def measured(device: torch.device, settings: list[str], steps: int, matrix: int = MATRIX) -> Iterator[Row]:
    """The rows on a device, with ``settings`` on top of the paper profile."""
    rate = matrix_rate(device, matrix)
    yield Row(f"bf16 matrix product of {matrix}", rate / 1e12, unit="TFLOP/s")
    whole = {"ours": 0.0, "peer": 0.0}
    for kind, found in stages(*settings, device=device.type).items():
        with Ours(found, device) as ours:
            plain = Plain(found, device)
            works = {"ours": _repeated(ours.step, steps, device), "peer": _repeated(plain.step, steps, device)}
            least(works, 1)  # warm up
            least_s = {name: seconds / steps for name, seconds in least(works, REPEATS).items()}
            counted = waits(ours.step) if device.type == "cuda" else 0
        macs = sum(stage.work for stage in found) + max(stage.forward for stage in found)
        number = found[0].steps
        yield Row(kind, 1e3 * least_s["ours"], 1e3 * least_s["peer"], "ms", least_s["peer"] / least_s["ours"])
        yield Row(f"{kind}: share of the rate", 100 * 2 * macs / number / least_s["ours"] / rate, unit="%")
        yield Row(f"{kind}: waits a step", counted, unit="waits")
        for side, seconds in least_s.items():
            whole[side] += seconds * number / 60
    yield Row("the whole schedule", whole["ours"], whole["peer"], "minutes", whole["peer"] / whole["ours"])


def matrix_rate(device: torch.device, size: int) -> float:
    """FLOP/s of a square matrix product in bf16."""
    a, b = torch.randn(2, size, size, device=device, dtype=torch.bfloat16)
    product = _repeated(lambda: a @ b, 10, device)
    product()
    return 10 * 2 * size**3 / least({"product": product})["product"]


def waits(step: Callable[[], object]) -> int:
    """How often a step waits for the card: torch warns at each."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            step()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return sum("synchroniz" in str(warning.message) for warning in caught)


def _repeated(work: Callable[[], object], times: int, device: torch.device) -> Callable[[], None]:
    """The work, several times, until the device has done all of it."""

    def repeated() -> None:
        for _ in range(times):
            work()
        if device.type == "cuda":
            torch.cuda.synchronize()

    return repeated
