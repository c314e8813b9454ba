"""The training loop: the paper's Algorithm 1, one stage at a time.

All that a step draws is a function of (seed, stream, step), so a stage that is resumed draws what it would have drawn.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from models.masking import composite, erase
from study.data import Packed
from study.data.batches import Batch, Batches, on_device
from study.data.holes import drawn_holes
from study.errors import Interrupted
from study.plan.graph import Stage
from study.store import Store
from study.training.checkpoint import Watch
from study.training.learners import Adversary, Generator, gradient_norm, networks, predict

CHECKPOINT_S = 10.0


def train(
    stages: Sequence[Stage],
    store: Store,
    watch: Watch,
    *,
    device: torch.device,
    made: Callable[[], Mapping[str, Any]] = dict,
    checkpoint_s: float = CHECKPOINT_S,
) -> None:
    """Makes stages that share one generator's outputs: one pretrain or joint stage, or critics of one pass.

    Raises Interrupted once a checkpoint is written, if the watch says so.
    """
    if refuse_diverged(stages, store):
        return
    stage = stages[0]
    options, numerics = stage.options, stage.options["numerics"]
    generator, critics, makings = networks(stages, store, watch, device)
    draw = draws(stage, store, device)
    learns = stage.kind != "critic"
    window = window_of_interest(options, critics)
    precision = {"device_type": device.type, "dtype": torch.bfloat16, "enabled": numerics["precision"] == "bf16"}
    generator.network.train(learns)
    saved = clock = time.monotonic()

    # Line 1: the steps of this stage that are still to be done.
    for step in range(min(making.step for making in makings), stage.steps):
        active = [making for making in makings if making.step == step and making.diverged is None]
        if not active:
            continue

        # Lines 2, 3 and 7: mini-batches of images and the holes in them, the last of them for G.
        *others, own = draw(step)
        for batch in (*others, own):
            # What G makes of the holes, computed once for all critics and for G's own update.
            with torch.set_grad_enabled(learns and batch is own), torch.autocast(**precision):
                masked_image = erase(batch.image, batch.mask, batch.fill)
                predictions = predict(generator.network, masked_image, batch.mask, window and window(batch))
            prediction = predictions[-1].detach()
            repaired = composite(prediction, batch.image, batch.mask)

            # Lines 8 and 9: update every critic on its own view of the real and the repaired images.
            for making in active:
                for critic in making.learners:
                    if isinstance(critic, Adversary):
                        making.series.add(critic.update(batch, critic.fake(prediction, repaired)))

        # Lines 5, 10 and 11: update G with L_r and with what the critics say, eq. (8).
        if learns:
            rate = generator.rate.at(step, stage.steps)
            active[0].series.add(update_generator(generator, critics, predictions, own, rate))

        # Count the step, read the log; now and then write a checkpoint; stop if asked.
        for making in active:
            making.advance(watch)
        now = time.monotonic()
        if watch.stopping or now - saved > checkpoint_s:
            for making in active:
                making.save((now - clock) / len(active))
            saved = clock = now
            if watch.stopping:
                raise Interrupted

    for making in makings:
        making.seconds += (time.monotonic() - clock) / len(makings)
        making.publish(made())


def update_generator(
    generator: Generator,
    critics: Sequence[Adversary],
    predictions: Sequence[Tensor],
    batch: Batch,
    rate: float,
) -> dict[str, Tensor]:
    """One update of G. The gradients meet at its output, so none reaches a critic's weights, and each is seen apart."""
    outputs = [prediction.detach().requires_grad_() for prediction in predictions]
    loss, unweighted = generator.losses(outputs, batch)
    *coarser, pull = torch.autograd.grad(loss, outputs, materialize_grads=True)
    terms = {f"generator.{name}": term for name, term in unweighted.items()}
    if critics:
        repaired = composite(outputs[-1], batch.image, batch.mask)
        adversarial: Tensor = torch.zeros((), device=repaired.device)
        for critic in critics:
            term = critic.verdict(batch, critic.fake(outputs[-1], repaired))
            terms[f"{critic.name}.adversarial"] = term
            adversarial = adversarial + critic.described.weight * term
        (push,) = torch.autograd.grad(adversarial, outputs[-1])
        terms["generator.adversarial"] = adversarial
        terms["generator.ratio"] = push.norm() / pull.norm().clamp_min(1e-30)
        terms["generator.adversarial_gradient"] = push.norm()
        pull = pull + push
    generator.optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(predictions, [*coarser, pull])
    terms["generator.gradient_norm"] = gradient_norm(generator.network)
    for group in generator.optimizer.param_groups:
        group["lr"] = rate
    generator.optimizer.step()
    return terms


def refuse_diverged(stages: Sequence[Stage], store: Store) -> bool:
    """Publishes as diverged what stands on a stage that diverged; whether it was so."""
    for need in stages[0].needs.values():
        outcome = store.outcome(need)
        if outcome.get("status") == "diverged":
            for stage in stages:
                facts = {"key": stage.key, "lineage": None, "steps": stage.steps, "seconds": 0.0}
                store.publish(stage.key, {**outcome, "stands_on": need.split("-")[0]}, facts)
            return True
    return False


def draws(stage: Stage, store: Store, device: torch.device) -> Callable[[int], list[Batch]]:
    """The batches of a step. The last of a joint step is G's, and so the same for every variant of the seed."""
    options = stage.options
    packed = Packed(store.verified(stage.needs["data"]))
    images = packed.part("train")
    kept = on_device(images, device)
    holes = drawn_holes(options["mask"], stage.needs, store, packed.image_size)

    def stream(name: str) -> Batches:
        assert stage.seed is not None
        return Batches(
            images,
            seed=stage.seed,
            stream=name,
            batch=options["batch"],
            flips=options["flips"],
            holes=holes,
            fill=options["fill"],
            mean=packed.mean,
            device=device,
            kept=kept,
        )

    rounds = options.get("critic_steps", 1)
    if stage.kind == "critic":
        critic = stream("critic")
        return lambda step: [critic.at(step * rounds + number) for number in range(rounds)]
    own, more, first = stream("generator"), stream("joint"), options["first_update"]
    return lambda step: [
        *(more.at(step * (rounds - 1) + number) for number in range(rounds - 1)),
        own.at(first + step),
    ]


def window_of_interest(options: Mapping[str, Any], critics: Sequence[Adversary]) -> Callable[[Batch], Any] | None:
    """What box of G's output is needed: the hole, where all of a batch have the same and nothing reads the rest."""
    whole = options.get("reconstruction", {}).get("known") or any(critic.described.sees == "raw" for critic in critics)
    return None if whole or options["mask"]["kind"] != "center" else lambda batch: batch.windows[0]
