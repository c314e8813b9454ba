"""Devices and what they reach in training, for the hours of a plan. Each number has its source.

A card reaches a share of its published peak: an H200 reached 788 of 989 TFLOP/s in bf16 matrix products, and 4.3 of 4.8
TB/s in copies. The other cards, and the other precisions, are taken to reach the same shares.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MATRIX_SHARE = 788 / 989
COPY_SHARE = 4.3 / 4.8


@dataclass(frozen=True, kw_only=True)
class Device:
    """A device, or one core of a CPU.

    ``tflops``: published peak by precision, TFLOP/s, dense; a precision that it lacks is missing.
    ``tb_s``: published bandwidth of its memory, TB/s. ``memory``: bytes. ``launch_s``: seconds to start a kernel.
    ``queues``: True if kernels are started while others run.
    """

    name: str
    tflops: Mapping[str, float]
    tb_s: float
    memory: int = 0
    launch_s: float = 5e-6  # at least, of an idle host
    queues: bool = True
    matrix_share: float = MATRIX_SHARE
    copy_share: float = COPY_SHARE
    known_as: tuple[str, ...] = field(default=())  # parts of the names by which torch knows it

    def has(self, precision: str) -> bool:
        """Returns True if it computes in a precision at a rate worth having."""
        return precision in self.tflops

    def seconds(self, precision: str, *, flops: float, kernels: float, moved: float, workers: int = 1) -> float:
        """The seconds of some work: matrix products, then memory, or the launches where these take longer.

        ``moved``: bytes read and written. The precision is one that it has. ``workers``: processes that start kernels
        for one card, each for work of its own.
        """
        rate = 1e12 * self.tflops[precision] * self.matrix_share
        busy, launches = flops / rate + moved / (1e12 * self.tb_s * self.copy_share), kernels * self.launch_s
        return max(busy, launches / workers) if self.queues else busy + launches


GIB = 2**30
RTX_2080_TI = Device(  # NVIDIA Turing GPU architecture white paper (2018), table 2, reference clock; the paper's card
    name="2080 Ti", known_as=("2080 Ti",), tflops={"fp32": 13.4}, tb_s=0.616, memory=11 * GIB
)
A100 = Device(  # NVIDIA A100 data sheet (2021), 80 GB SXM
    name="A100", known_as=("A100",), tflops={"fp32": 19.5, "tf32": 156, "bf16": 312}, tb_s=2.039, memory=80 * GIB
)
H100 = Device(  # NVIDIA H100 data sheet (2023), SXM; TF32 and bf16 without sparsity
    name="H100", known_as=("H100",), tflops={"fp32": 67, "tf32": 494, "bf16": 989}, tb_s=3.35, memory=80 * GIB
)
H200 = Device(  # NVIDIA H200 data sheet (2024), SXM; shares measured, above
    name="H200", known_as=("H200",), tflops={"fp32": 67, "tf32": 494, "bf16": 989}, tb_s=4.8, memory=141 * GIB
)
CARDS = (RTX_2080_TI, A100, H100, H200)

CORE = Device(  # fitted to the demo's stages on a shared x86 core, torch 2.13: four kinds of step within 10%
    name="CPU core", tflops={"fp32": 0.075, "bf16": 0.1}, tb_s=0.010, launch_s=40e-6, queues=False,
    matrix_share=1, copy_share=1,
)  # fmt: skip

DRAWN_S = 2e-7  # of one core per pixel of a drawn portrait: 22 minutes for 101,000 of 256 px
SCORED_BYTES = 4000  # read and written per pixel of a test image by blending and metrics: 25 ms of a core at 256 px


def card(name: str) -> Device | None:
    """The card of the table that torch knows by a name; None if it is not there."""
    return next((one for one in CARDS if any(part in name for part in one.known_as)), None)
