"""Evaluation: every test image under the protocol's hole, scored in one wide array, and the images that figures need.

scores.safetensors     "scores" float64 (images, columns)
evaluation.json        columns [output, region, metric], names of the images and of the pictures
pictures.safetensors   uint8 (pictures, H, W, 3): truth, masked, raw, composite
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file
from torch import Tensor

from models.masking import Box, center_box, composite, erase, mask_of
from models.method import Fill, Mask
from study import catalog, metrics
from study.data import Packed
from study.data.batches import colour
from study.errors import Interrupted
from study.making import Watch, read_learner
from study.networks import build
from study.plan import Stage
from study.seeds import numpy_rng
from study.store import Store, write_atomically
from study.train import refuse_diverged

BATCH = 50
Repair = Callable[[Tensor, Tensor], Tensor]


def evaluate(
    stage: Stage, store: Store, watch: Watch, *, device: torch.device, made: Callable[[], Mapping[str, Any]] = dict
) -> None:
    """Makes an evaluate stage: repairs the test images, composites, scores both outputs in all regions."""
    if refuse_diverged([stage], store):
        return
    packed = Packed(store.verified(stage.needs["data"]))
    protocol = stage.options["protocol"]
    images, names = packed.part("test"), packed.names("test")
    order = numpy_rng(protocol["seed"], "sample").permutation(len(images))
    chosen = np.sort(order[: stage.options.get("images") or len(images)])
    shown = [int(index) for index in order[: protocol["pictures"]]]
    boxes = holes_of(Mask.model_validate(protocol["mask"]), protocol["seed"], len(images), packed.image_size)

    columns: list[tuple[str, str, str]] = []
    rows: list[NDArray[np.float64]] = []
    pictures: dict[int, list[NDArray[np.uint8]]] = {}
    repair = _repairer(stage, store, device)
    filling = _filling(stage.options.get("fill", "zero"), packed, protocol["seed"], device)
    started = time.monotonic()
    for start in range(0, len(chosen), BATCH):
        watch.progress(stage.key, start, len(chosen))
        if watch.stopping:
            raise Interrupted
        indices = chosen[start : start + BATCH]
        image = torch.from_numpy(images[indices]).to(device).permute(0, 3, 1, 2).float() / 255
        holes = [boxes[index] for index in indices]
        mask = mask_of(holes, packed.image_size, device)
        masked_image = erase(image, mask, filling(indices))
        with torch.inference_mode():
            raw = repair(masked_image, mask).clamp(0, 1)
        outputs = {"composite": composite(raw, image, mask), "raw": raw}
        scores = {
            (output, region, metric): values
            for output, result in outputs.items()
            for (region, metric), values in metrics.score(result, image, mask, holes).items()
        }
        columns = list(scores)
        rows.append(np.stack([values.double().cpu().numpy() for values in scores.values()], axis=1))
        for place, index in enumerate(indices.tolist()):
            if index in shown:
                each = (image, masked_image, raw, outputs["composite"])
                pictures[index] = [_pixels(tensor[place]) for tensor in each]

    folder = store.workspace(stage.key) / "files"
    shown = [index for index in shown if index in pictures]
    save_file({"scores": np.concatenate(rows)}, folder / "scores.safetensors")
    kinds = ("truth", "masked", "raw", "composite")
    if shown:
        stacked = {kind: np.stack([pictures[i][place] for i in shown]) for place, kind in enumerate(kinds)}
        save_file(stacked, folder / "pictures.safetensors")
    facts = {
        "columns": columns,
        "images": [names[index] for index in chosen],
        "of": len(images),
        "pictures": [names[index] for index in shown],
    }
    write_atomically(folder / "evaluation.json", json.dumps(facts, sort_keys=True) + "\n")
    seconds = round(time.monotonic() - started, 3)
    store.publish(stage.key, {"status": "finished"}, {"key": stage.key, "seconds": seconds, **made()})


def holes_of(mask: Mask, seed: int, count: int, side: int) -> list[Box]:
    """The test's holes, one an image: a function of the protocol alone, the same for every method."""
    if mask.kind == "center":
        return [center_box(side)] * count
    rng = numpy_rng(seed, "test holes")
    sizes = rng.integers(side // 4, side // 2, size=(count, 2), endpoint=True)
    places = rng.random(size=(count, 2))
    return [
        Box(int(y * (side - height + 1)), int(x * (side - width + 1)), int(height), int(width))
        for (height, width), (y, x) in zip(sizes, places, strict=True)
    ]


def _repairer(stage: Stage, store: Store, device: torch.device) -> Repair:
    """What repairs masked images: a filler, or the generator of the stage's model."""
    if name := stage.options.get("filler"):
        return catalog.FILLERS[name]
    network = build(catalog.GENERATORS, stage.options["generator"], device, stage.options["numerics"])
    network.load_state_dict(read_learner(store.verified(stage.needs["model"]), "generator")[0])
    return network.eval()


def _filling(fill: Fill, packed: Packed, seed: int, device: torch.device) -> Callable[[Any], Tensor | float]:
    """What stands in the holes of the test images with these indices: noise is a function of the image."""
    if fill != "noise":
        one = colour(fill, packed.mean, device)
        return lambda _: one
    shape = (3, packed.image_size, packed.image_size)

    def noise(indices: NDArray[np.int64]) -> Tensor:
        planes = [numpy_rng(seed, "test noise", index).random(shape, dtype=np.float32) for index in indices.tolist()]
        return torch.from_numpy(np.stack(planes)).to(device)

    return noise


def _pixels(image: Tensor) -> NDArray[np.uint8]:
    """(3, H, W) in 0..1 to (H, W, 3) uint8."""
    pixels: NDArray[np.uint8] = (image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    return np.ascontiguousarray(pixels)
