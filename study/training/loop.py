"""The training loop: repeats Algorithm 1's step (``study.training.step``), counts, logs and writes checkpoints.

Everything random in a step is a function of (seed, stream, step), so a resumed stage draws the same numbers.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Any

import torch

from models.host import on_host
from study.data import Packed
from study.data.batches import Batch, Batches, read_ahead
from study.data.device import kept_on
from study.data.holes import drawn_holes
from study.errors import Interrupted
from study.plan.graph import Stage
from study.store import Store
from study.training.checkpoint import CHECKPOINT_S, Checkpoints, Learner, Watch
from study.training.learners import CriticLearner, GeneratorLearner, set_up
from study.training.step import Terms, training_step

SHARE_STEPS = 20  # over which ``adversarial_share`` measures the critics' gradient
LARGE = 1e3  # a scale of the critics' weights above which a warning is logged
TINY = 1e-12  # the least measured ratio: dead critics stay dead


def train(
    stages: Sequence[Stage], store: Store, watch: Watch, device: torch.device, *, checkpoint_s: float = CHECKPOINT_S
) -> None:
    """Trains and publishes one pretrain or joint stage, or several critic stages that share one generator's outputs.

    Raises Interrupted after a checkpoint if ``watch.stopping`` is true.
    """
    # Build networks and optimisers, or load them from the last checkpoint.
    stage = stages[0]
    generator, critics, states = set_up(stages, store, watch, device)
    state_of = {learner: state for state in states for learner in state.learners}
    batches = batches_of(stage, store, device)
    whole_output = needs_whole_output(stage.options, critics)
    generator.network.train(stage.kind != "critic")
    step_of = partial(training_step, stage.kind, whole_output=whole_output)
    if (share := stage.options.get("adversarial_share")) is not None:
        if states[0].scale is None:
            states[0].scale = scale = share / max(gradient_ratio(generator, critics, batches, step_of), TINY)
            if scale > LARGE:
                states[0].warnings.append(f"critics: their weights are scaled {scale:.1e} times; they hardly pull")
        for critic in critics:
            critic.weight *= states[0].scale
    clock = time.monotonic()
    missing = range(min(state.step for state in states), stage.steps)

    with Checkpoints(checkpoint_s) as checkpoints, closing(read_ahead(batches, missing, device)) as ahead:
        for step, drawn in ahead:
            # Stop once all have diverged. Skip critics that are ahead, after an interruption.
            healthy = [state for state in states if state.diverged is None]
            if not healthy:
                break
            active = [state for state in healthy if state.step == step]
            if not active:
                continue

            # Train.
            updates = step_of(
                drawn,
                generator,
                [learner for state in active for learner in state.learners if isinstance(learner, CriticLearner)],
                rate=generator.rate.at(step, stage.steps),
            )

            # Count and log.
            for learner, terms in updates:
                state_of[learner].add(terms)
            for state in active:
                state.advance(watch)

            # Write a checkpoint from time to time; stop if asked to.
            if watch.stopping or checkpoints.due:
                now = time.monotonic()
                for state in active:
                    state.seconds += (now - clock) / len(active)
                clock = now
                checkpoints.write(active)
                if watch.stopping:
                    raise Interrupted

    # Publish.
    for state in states:
        state.seconds += (time.monotonic() - clock) / len(states)
        state.publish(device)


def gradient_ratio(
    generator: GeneratorLearner,
    critics: list[CriticLearner],
    batches: Callable[[int], list[Batch]],
    step_of: Callable[..., list[tuple[Learner, Terms]]],
) -> float:
    """The adversarial gradient's norm over that of L_r's, at G's output: the median over the first steps of a stage.

    It is measured on copies. The critics learn meanwhile, and G is held still.
    """
    copies = copy.deepcopy((generator, critics))
    logged = [terms for step in range(SHARE_STEPS) for _, terms in step_of(batches(step), *copies, rate=0.0)]
    ratios = torch.stack([terms["generator.ratio"] for terms in logged if "generator.ratio" in terms])
    values: list[float] = on_host(ratios).tolist()
    return statistics.median(values)


def batches_of(stage: Stage, store: Store, device: torch.device) -> Callable[[int], list[Batch]]:
    """Returns the function that gives the batches of a step, one for each update of the critics.

    The last batch of a joint step is G's. It is the same for every variant with the same seed.
    """
    options = stage.options
    packed = Packed(store.verified(stage.needs["data"]))
    images = packed.part("train")
    assert stage.seed is not None
    stream = partial(
        Batches,
        images,
        seed=stage.seed,
        **{name: options[name] for name in ("batch", "flips", "fill")},
        holes=drawn_holes(options["mask"], stage.needs, store, packed.image_size),
        paired=options["mask"].get("pairing") == "by_name",
        mean=packed.mean,
        device=device,
        kept=kept_on(device, images, str(store.folder(stage.needs["data"]))),
    )
    rounds = options.get("critic_steps", 1)
    if stage.kind == "critic":
        critic = stream(stream="critic")
        return lambda step: [critic.at(step * rounds + number) for number in range(rounds)]
    own, more, first = stream(stream="generator"), stream(stream="joint"), options["first_update"]
    rest = rounds - 1
    return lambda step: [*(more.at(step * rest + number) for number in range(rest)), own.at(first + step)]


def needs_whole_output(options: Mapping[str, Any], critics: Sequence[CriticLearner]) -> bool:
    """Returns False if only the hole of G's output is used, and the hole is the same in all images."""
    if options["mask"]["kind"] != "center" or options.get("reconstruction", {}).get("known"):
        return True
    return any(critic.options.sees == "raw" for critic in critics)
