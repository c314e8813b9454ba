"""What a step of a stage takes, estimated from one forward pass of each of its networks.

``study.running.counted`` counts the same by running a step on ``meta``, which takes up to a second: the estimates are
within a quarter of it, and a plan needs many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from study.inspection import anatomy
from study.plan.graph import Stage

BACKWARD_TRAFFIC = 0.85  # bytes of training, per pass of the planner's count (3 for an update), of a forward pass
UPDATE_KERNELS = {"generator": 27, "critic": 40}  # loss, logs, clip, optimiser
UPDATE_TRAFFIC = 15  # times that an update reads or writes each weight: gradient, norm, state, clip
CASTS = 1.5  # kernels under autocast, for one without
KEPT = 0.75  # of what a forward pass writes is kept for the backward pass: activations are in place
OFFLOADED = 0.3  # of activations that ``numerics.offload`` leaves on the card: those of the layers at work
STATES = {"adam": 2, "rmsprop": 1, "adadelta": 2}  # tensors of an optimiser's state, for each of weights


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step: FLOPs of matrix products, kernels, bytes moved if nothing is fused, and bytes of memory that it needs.

    ``memory`` is that of weights, gradients, optimisers and activations, without the images and torch's own.
    """

    flops: float
    moved: float
    kernels: float = 0
    memory: float = 0


def step_of(stages: Sequence[Stage], side: int) -> Step:
    """The step of a trained stage, or of the critics of one pass, on images of ``side`` pixels."""
    stage, options = stages[0], stages[0].options
    lower = options["numerics"]["precision"] == "bf16"
    batch, rounds = options["batch"], options.get("critic_steps", 1)
    learns = stage.kind != "critic"
    macs = (sum(one.work for one in stages) + stage.forward) / max(1, stage.steps)
    generator = anatomy.of_generator(options["generator"], side)
    size = 4 * generator.parameters
    passes = rounds + 2 * learns
    kernels = float(passes * generator.kernels + learns * UPDATE_KERNELS["generator"])
    share = 1.0 if learns or not stage.forward else stage.forward / (stage.steps * batch * rounds * generator.macs)
    moved = batch * (generator.moved - size) * passes * BACKWARD_TRAFFIC * share * (0.5 if lower else 1)
    moved += learns * UPDATE_TRAFFIC * size
    memory = size * (2 + STATES.get(options.get("optimizer", {}).get("kind", ""), 2) if learns else 1)
    activations = batch * KEPT * generator.written * (0.5 if lower else 1) * (1 if learns else 0.2)

    widest = 0.0  # critics learn one after the other
    for critic in _critics(stages):
        found = anatomy.of_critic(critic["network"], side)
        size, recipe = 4 * found.parameters, critic["recipe"]
        passes = 6 if recipe.get("penalty") is None else 12
        apart = 6 if critic["network"].get("norm") == "batch" else 3
        kernels += (
            rounds * (found.kernels * (apart + passes - 6) + UPDATE_KERNELS["critic"]) + learns * 2 * found.kernels
        )
        moved += batch * (found.moved - size) * (rounds * passes + 2 * learns) * BACKWARD_TRAFFIC
        moved += rounds * UPDATE_TRAFFIC * size
        memory += size * (2 + STATES.get(recipe["optimizer"]["kind"], 2))
        widest = max(widest, 2 * batch * KEPT * found.written * (2 if passes == 12 else 1))
    activations += widest
    if stage.hints.get("offload"):
        activations *= OFFLOADED
    kernels *= CASTS if lower else 1
    return Step(flops=2 * macs, kernels=kernels, moved=moved, memory=memory + activations)


def _critics(stages: Sequence[Stage]) -> Sequence[Mapping[str, Any]]:
    options = stages[0].options
    if stages[0].kind == "critic":
        return [one.options["critic"] for one in stages]
    return list(options.get("critics", {}).values())
