"""A training step counted: one real step on ``meta`` tensors, under ``study.inspection.operations``.

It takes about a second, and no accelerator.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from study.data.batches import Batch, Batches
from study.data.holes import drawn_holes
from study.inspection.operations import Lowered, Operations
from study.plan.graph import Stage
from study.store import Store
from study.training.checkpoint import Watch
from study.training.learners import set_up
from study.training.loop import needs_whole_output
from study.training.step import training_step

META = torch.device("meta")


def count(stages: Sequence[Stage], side: int, *, critics_in_fp32: bool = False) -> Operations:
    """The operations of a step of a trained stage, or of the critics of one pass, on images of ``side`` pixels.

    The training images are on the device. Masks from files count as the central hole. ``peak`` is without weights and
    optimiser states.

    Args:
        critics_in_fp32: in a bf16 study, only G's forward pass is in bf16.
    """
    stages = [replace(stage, needs={}) for stage in stages]
    options = stages[0].options
    with tempfile.TemporaryDirectory() as folder:
        generator, critics, _ = set_up(stages, Store(Path(folder)), _Silent(), META)
    if options["numerics"]["precision"] == "bf16":
        generator.forward_pass = Lowered
        for critic in critics:
            critic.forward_pass = nullcontext if critics_in_fp32 else Lowered
    generator.network.train(stages[0].kind != "critic")
    whole, batches = needs_whole_output(options, critics), _batches(stages[0], side)
    operations = Operations()
    step = partial(training_step, stages[0].kind, rate=1e-4, whole_output=whole)
    step(batches(0), generator, critics)  # makes the optimisers' states
    with operations:
        step(batches(1), generator, critics)
    return operations


def _batches(stage: Stage, side: int) -> Callable[[int], list[Batch]]:
    """The batches of a step as ``study.training.loop.batches_of`` draws them, of images without values."""
    options = stage.options
    images = np.broadcast_to(np.zeros((1, 1, 1, 3), np.uint8), (2 * options["batch"], side, side, 3))
    mask = options["mask"] if options["mask"]["kind"] != "files" else {"kind": "center"}
    stream = partial(
        Batches,
        images,
        seed=0,
        stream="generator",
        **{name: options[name] for name in ("batch", "flips", "fill")},
        holes=drawn_holes(mask, {}, Store(Path()), side),
        mean=(0.5, 0.5, 0.5),
        device=META,
        kept=torch.empty(images.shape, dtype=torch.uint8, device=META),
    )
    drawn, rounds = stream(), options.get("critic_steps", 1)
    return lambda step: [drawn.at(step * rounds + number) for number in range(rounds)]


class _Silent(Watch):
    stopping = False

    def progress(self, key: str, done: int, total: int) -> None:
        """Nobody watches."""

    def logged(self, key: str, step: int, terms: object) -> None:
        """Nobody watches."""
