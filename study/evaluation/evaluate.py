"""The evaluate stage: repairs every test image under the protocol's hole and scores it (``study.evaluation.scoring``).

In a search, ``part`` is the validation images, with holes of their own, and the test set is not opened.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.host import with_float64
from models.masking import erase
from models.method import Fill
from study.data import Packed
from study.data.batches import colour
from study.data.holes import as_mask, drawn_holes
from study.errors import Interrupted
from study.evaluation.scoring import Scoring, holes_of
from study.metrics.perceptual import Gathering
from study.parts import registries
from study.plan.graph import Stage
from study.seeds import numpy_rng
from study.store import Store
from study.training.checkpoint import Watch, read_learner
from study.training.learners import build, predict
from study.training.machine import machine

BATCH = 50


def evaluate(stage: Stage, store: Store, watch: Watch, device: torch.device) -> None:
    """Makes an evaluate stage: repairs the images, composites, blends, and scores each output in all regions."""
    packed = Packed(store.verified(stage.needs["data"]))
    protocol = stage.options["protocol"]
    part = stage.options.get("part", "test")
    images = packed.part(part)
    draw = drawn_holes(protocol["mask"], stage.needs, store, packed.image_size, part)
    repair = repairer(stage, store, device)
    fill, noise = stage.options.get("fill", "zero"), (protocol["seed"], f"{part} noise")
    place = with_float64(device)
    scoring = Scoring(protocol, packed.names(part), stage.options.get("images"), perceptual(stage, part, place))
    started = time.monotonic()
    for start in range(0, len(scoring.chosen), BATCH):
        watch.progress(stage.key, start, len(scoring.chosen))
        if watch.stopping:
            raise Interrupted
        indices = scoring.chosen[start : start + BATCH]
        image = torch.from_numpy(images[indices]).to(device).permute(0, 3, 1, 2).float() / 255
        holes = holes_of(draw, protocol["seed"], indices, part)
        mask = as_mask(holes, device)
        colours = filling(fill, packed.mean, noise, indices.tolist(), packed.image_size, device)
        masked_image = erase(image, mask, colours)
        with torch.inference_mode():
            raw = repair(masked_image.clone(), mask.clone()).clamp(0, 1)  # a plugin may write into its inputs
        scoring.add(indices, holes, *(each.to(place) for each in (image, mask, masked_image, raw)))
    scoring.write(store.files(stage.key))
    seconds = round(time.monotonic() - started, 3)
    outcome: dict[str, Any] = {"status": "finished"}
    if warnings := scoring.warnings():
        outcome["warnings"] = warnings
    store.publish(stage.key, outcome, {"key": stage.key, "seconds": seconds, **machine(device)})


def repairer(stage: Stage, store: Store, device: torch.device) -> Callable[[Tensor, Tensor], Tensor]:
    """The function that repairs masked images: a filler, or the stage's trained generator. Raises Damaged."""
    if name := stage.options.get("filler"):
        return registries.FILLERS[name]
    network = build(registries.GENERATORS, stage.options["generator"], device, stage.options["numerics"])
    network.load_state_dict(read_learner(store.verified(stage.needs["model"]), "generator")[0])
    network.eval()
    return lambda masked_image, mask: predict(network, masked_image, mask)[-1]


def perceptual(stage: Stage, part: str, device: torch.device) -> Gathering | None:
    """Collects the perceptual distances that an evaluate stage asks for; None if it asks for none."""
    if not (options := stage.options.get("perceptual")):
        return None
    truths = (stage.needs["data"], part)
    return Gathering(options, stage.hints["perceptual"], device, seed=stage.options["protocol"]["seed"], truths=truths)


def filling(
    fill: Fill, mean: Sequence[float], noise: tuple[int, str], indices: Iterable[int], side: int, device: torch.device
) -> Tensor | float:
    """What to put into the holes of images: one colour, or noise (B, 3, side, side).

    ``noise``: the seed and the stream of the noise, which is a function of these and an image's index.
    """
    if fill != "noise":
        return colour(fill, mean, device)
    planes = [numpy_rng(*noise, index).random((3, side, side), dtype=np.float32) for index in indices]
    return torch.from_numpy(np.stack(planes)).to(device)
