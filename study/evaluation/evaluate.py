"""Evaluation: every test image under the protocol's hole, repaired and scored (``study.evaluation.scoring``).

For a search, the same of the validation images under holes of their own (``part``): the test set is not opened.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

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
from study.training.loop import inherit_divergence

BATCH = 50

Repair = Callable[[Tensor, Tensor], Tensor]


def evaluate(
    stage: Stage,
    store: Store,
    watch: Watch,
    *,
    device: torch.device,
    machine_facts: Callable[[], Mapping[str, Any]] = dict,
) -> None:
    """Makes an evaluate stage: repairs the test images, composites, blends, scores each output in all regions."""
    if inherit_divergence([stage], store):
        return
    packed = Packed(store.verified(stage.needs["data"]))
    protocol = stage.options["protocol"]
    part = stage.options.get("part", "test")
    images = packed.part(part)
    draw = drawn_holes(protocol["mask"], stage.needs, store, packed.image_size)
    repair = repairer(stage, store, device)
    filling = _filling(stage.options.get("fill", "zero"), packed, protocol["seed"], part, device)
    scoring = Scoring(protocol, packed.names(part), stage.options.get("images"), _gathering(stage, part, device))
    started = time.monotonic()
    for start in range(0, len(scoring.chosen), BATCH):
        watch.progress(stage.key, start, len(scoring.chosen))
        if watch.stopping:
            raise Interrupted
        indices = scoring.chosen[start : start + BATCH]
        image = torch.from_numpy(images[indices]).to(device).permute(0, 3, 1, 2).float() / 255
        mask = as_mask(holes_of(draw, protocol["seed"], indices, part), device)
        masked_image = erase(image, mask, filling(indices))
        with torch.inference_mode():
            raw = repair(masked_image.clone(), mask.clone()).clamp(0, 1)  # a stranger's may write into what it is given
        scoring.add(indices, image, mask, masked_image, raw)
    scoring.write(store.workspace(stage.key) / "files")
    seconds = round(time.monotonic() - started, 3)
    told = {"warnings": warnings} if (warnings := scoring.warnings()) else {}
    store.publish(stage.key, {"status": "finished", **told}, {"key": stage.key, "seconds": seconds, **machine_facts()})


def repairer(stage: Stage, store: Store, device: torch.device) -> Repair:
    """What repairs masked images by their masks: a filler, or the generator of the stage's model. Raises Damaged."""
    if name := stage.options.get("filler"):
        return registries.FILLERS[name]
    network = build(registries.GENERATORS, stage.options["generator"], device, stage.options["numerics"])
    network.load_state_dict(read_learner(store.verified(stage.needs["model"]), "generator")[0])
    network.eval()
    return lambda masked_image, mask: predict(network, masked_image, mask)[-1]


def _gathering(stage: Stage, part: str, device: torch.device) -> Gathering | None:
    """What gathers the perceptual distances that the stage's key names; None where there are none."""
    if not (wanted := stage.options.get("perceptual")):
        return None
    truths = (stage.needs["data"], part)
    return Gathering(wanted, stage.hints["perceptual"], device, seed=stage.options["protocol"]["seed"], truths=truths)


def _filling(fill: Fill, packed: Packed, seed: int, part: str, device: torch.device) -> Callable[[Any], Tensor | float]:
    """What stands in the holes of a part's images with these indices: noise is a function of the image."""
    if fill != "noise":
        one = colour(fill, packed.mean, device)
        return lambda _: one
    shape = (3, packed.image_size, packed.image_size)

    def noise(indices: NDArray[np.int64]) -> Tensor:
        planes = [numpy_rng(seed, f"{part} noise", index).random(shape, dtype=np.float32) for index in indices.tolist()]
        return torch.from_numpy(np.stack(planes)).to(device)

    return noise
