"""Evaluation: every test image under the protocol's hole, scored in one wide array, and the images that figures need.

For a search, the same of the validation images under holes of their own (``part``): the test set is not opened.

scores.safetensors     "scores" float64 (images, columns)
evaluation.json        columns [output, region, metric], names of the images, of the pictures and of the worst
pictures.safetensors   uint8 (pictures, H, W, 3): truth, masked, raw, composite, blended
worst.safetensors      the same of the images whose hole has the least PSNR in the composite, the worst first
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

from models.blending import blend
from models.masking import composite, erase
from models.masks import Holes
from models.method import Fill
from study import catalog, metrics
from study.data import Packed
from study.data.batches import colour
from study.data.holes import Draw, as_mask, drawn_holes
from study.errors import Interrupted
from study.making import Watch, read_learner
from study.networks import build, predict
from study.plan import Stage
from study.seeds import numpy_rng
from study.store import Store, write_atomically
from study.train import refuse_diverged

BATCH = 50
PICTURES = ("truth", "masked", "raw", "composite", "blended")
JUDGED = ("composite", "hole", "psnr")
"""By which score a repair is the worst."""

Repair = Callable[[Tensor, Tensor], Tensor]


def evaluate(
    stage: Stage, store: Store, watch: Watch, *, device: torch.device, made: Callable[[], Mapping[str, Any]] = dict
) -> None:
    """Makes an evaluate stage: repairs the test images, composites, blends, scores each output in all regions."""
    if refuse_diverged([stage], store):
        return
    packed = Packed(store.verified(stage.needs["data"]))
    protocol = stage.options["protocol"]
    part = stage.options.get("part", "test")
    images, names = packed.part(part), packed.names(part)
    order = numpy_rng(protocol["seed"], "sample").permutation(len(images))
    chosen = np.sort(order[: stage.options.get("images") or len(images)])
    shown = [int(index) for index in order[: protocol["pictures"]]]
    draw = drawn_holes(protocol["mask"], stage.needs, store, packed.image_size)

    columns: list[tuple[str, str, str]] = []
    rows: list[NDArray[np.float64]] = []
    pictures: dict[int, dict[str, NDArray[np.uint8]]] = {}
    worst: list[tuple[float, int, dict[str, NDArray[np.uint8]]]] = []
    repair = _repairer(stage, store, device)
    filling = _filling(stage.options.get("fill", "zero"), packed, protocol["seed"], part, device)
    started = time.monotonic()
    for start in range(0, len(chosen), BATCH):
        watch.progress(stage.key, start, len(chosen))
        if watch.stopping:
            raise Interrupted
        indices = chosen[start : start + BATCH]
        image = torch.from_numpy(images[indices]).to(device).permute(0, 3, 1, 2).float() / 255
        mask = as_mask(holes_of(draw, protocol["seed"], indices, part), device)
        masked_image = erase(image, mask, filling(indices))
        with torch.inference_mode():
            raw = repair(masked_image, mask).clamp(0, 1)
        outputs = {"composite": composite(raw, image, mask), "raw": raw, "blended": blend(raw, image, mask)}
        scores = {
            (output, region, metric): values
            for output, result in outputs.items()
            for (region, metric), values in metrics.score(result, image, mask).items()
        }
        columns = list(scores)
        rows.append(np.stack([values.double().cpu().numpy() for values in scores.values()], axis=1))
        tensors = {"truth": image, "masked": masked_image, **outputs}
        judged = scores[JUDGED].tolist()
        last = sorted([psnr for psnr, *_ in worst] + judged)[: protocol["worst"]]
        for place, (index, psnr) in enumerate(zip(indices.tolist(), judged, strict=True)):
            if index in shown or psnr in last:
                each = {kind: _pixels(tensor[place]) for kind, tensor in tensors.items()}
                if index in shown:
                    pictures[index] = each
                worst.append((psnr, index, each))
        worst = sorted(worst, key=lambda one: one[:2])[: protocol["worst"]]

    folder = store.workspace(stage.key) / "files"
    shown = [index for index in shown if index in pictures]
    save_file({"scores": np.concatenate(rows)}, folder / "scores.safetensors")
    for name, kept in (("pictures", [pictures[i] for i in shown]), ("worst", [each for *_, each in worst])):
        if kept:
            stacked = {kind: np.stack([each[kind] for each in kept]) for kind in PICTURES}
            save_file(stacked, folder / f"{name}.safetensors")
    facts = {
        "columns": columns,
        "images": [names[index] for index in chosen],
        "of": len(images),
        "pictures": [names[index] for index in shown],
        "worst": [names[index] for _, index, _ in worst],
    }
    write_atomically(folder / "evaluation.json", json.dumps(facts, sort_keys=True) + "\n")
    seconds = round(time.monotonic() - started, 3)
    store.publish(stage.key, {"status": "finished"}, {"key": stage.key, "seconds": seconds, **made()})


def holes_of(draw: Draw, seed: int, indices: NDArray[np.int64], part: str = "test") -> Holes:
    """The holes of a part's images with these indices: each a function of the protocol and the image alone."""
    return np.concatenate([draw(numpy_rng(seed, f"{part} holes", index), 1) for index in indices.tolist()])


def _repairer(stage: Stage, store: Store, device: torch.device) -> Repair:
    """What repairs masked images: a filler, or the generator of the stage's model."""
    if name := stage.options.get("filler"):
        return catalog.FILLERS[name]
    network = build(catalog.GENERATORS, stage.options["generator"], device, stage.options["numerics"])
    network.load_state_dict(read_learner(store.verified(stage.needs["model"]), "generator")[0])
    network.eval()
    return lambda masked_image, mask: predict(network, masked_image, mask)[-1]


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


def _pixels(image: Tensor) -> NDArray[np.uint8]:
    """(3, H, W) in 0..1 to (H, W, 3) uint8."""
    pixels: NDArray[np.uint8] = (image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    return np.ascontiguousarray(pixels)
