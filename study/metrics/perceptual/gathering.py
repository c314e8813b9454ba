"""The perceptual distances of an evaluation, gathered batch by batch: LPIPS of each image, FID and KID of all."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from study.metrics.perceptual.distances import frechet, gaussian, kernel_distance
from study.metrics.perceptual.lpips import LPIPS, Features, Heads
from study.metrics.perceptual.weights import kinds, lacking, network
from study.seeds import numpy_rng

BATCH = 16
"""So many images are in a network at once: one number, for the last bits may depend on it."""
LEAST = {"fid": 2, "kid": 4}
"""Of so many images at least there is a covariance, or a half with two in it."""

Scores = dict[tuple[str, str, str], Tensor]
Kept = dict[tuple[str, bytes], Tensor]
"""Features of truths, by the digest of the weights and the indices of a batch."""


class Gathering:
    """What a study wants of the outputs of one evaluation.

    Args:
        options: of each distance, as they stand in the stage's key; ``files``: where its weights lie.
        seed: of the protocol, by which KID's subsets are drawn.
        truths: what names the images that are scored, such as the key of their data. The features of the last named
            ones stay in this process for the next evaluation of the same images: 8 KiB an image.

    Raises StudyError where a file of weights is no longer what was planned.
    """

    def __init__(
        self,
        options: Mapping[str, Mapping[str, Any]],
        files: Mapping[str, Mapping[str, str]],
        device: torch.device,
        *,
        seed: int,
        truths: Hashable = None,
    ) -> None:
        self._options, self._seed = options, seed
        self._lacking = {name: why for name, entry in options.items() if (why := lacking(name, entry))}
        kept = _kept((truths, str(device))) if truths is not None else {}
        self._lpips: LPIPS | None = None
        self._sets: dict[str, _Set] = {}
        self._outputs: tuple[str, ...] = ()
        for name, entry in options.items():
            if name in self._lacking:
                continue
            loaded = {
                option: network(kind, files[name][option], entry[option], device)
                for option, kind in kinds(entry).items()
            }
            if name == "lpips":
                self._lpips = _lpips(loaded["features"], loaded["linear"])
            else:  # FID and KID share what they are of, where they share the weights
                self._sets[entry["weights"]] = _Set(loaded["weights"], entry["weights"], kept)

    def add(self, indices: NDArray[Any], image: Tensor, outputs: Mapping[str, Tensor]) -> Scores:
        """The next images (B, 3, H, W) in 0..1 and all outputs of them; what is had by image, (B,) float64 each."""
        self._outputs = tuple(outputs)
        with torch.inference_mode():
            for one in self._sets.values():
                one.add(indices, image, outputs)
            return _scores(self._lpips, image, outputs) if self._lpips else {}

    def distances(self) -> list[dict[str, Any]]:
        """A row for each distance of a set and each output, and for what is lacking.

        Of each: metric, output, value, spread (of KID the standard deviation over its subsets), images, and why, which
        says where there is no value why there is none.
        """
        rows: list[dict[str, Any]] = []
        for name, entry in self._options.items():
            row = {"metric": name, "value": None, "spread": None, "images": 0, "why": self._lacking.get(name, "")}
            if row["why"]:
                rows += [{**row, "output": output} for output in self._outputs]
            elif name != "lpips":
                found = self._of_set(name, entry, self._sets[entry["weights"]])
                rows += [{**row, "output": output, **values} for output, values in found.items()]
        return rows

    def _of_set(self, name: str, entry: Mapping[str, Any], features: _Set) -> dict[str, dict[str, Any]]:
        """The value and so on of each output."""
        truth = features.of("truth")
        told: dict[str, Any] = {"images": len(truth)}
        why = ""
        if len(truth) < LEAST[name]:
            why = f"{name.upper()}: needs at least {LEAST[name]} images, and {len(truth)} were scored"
        elif not all(features.of(output).isfinite().all() for output in ("truth", *self._outputs)):
            why = f"{name.upper()}: features are not finite; name weights of the Inception that FID is of"
        if why:
            return {output: {**told, "why": why} for output in self._outputs}
        if name == "fid":
            theirs = gaussian(truth)
            return {out: {**told, "value": frechet(gaussian(features.of(out)), theirs)} for out in self._outputs}
        found = {}
        for output in self._outputs:
            rng = numpy_rng(self._seed, "kid subsets")  # the same subsets of every output of every method
            drawn = {"subsets": entry["subsets"], "size": entry["size"]}
            value, spread = kernel_distance(truth, features.of(output), rng, **drawn)
            found[output] = {**told, "value": value, "spread": spread}
        return found


class _Set:
    """Inception's features of the truths and of each output."""

    def __init__(self, inception: nn.Module, digest: str, kept: Kept) -> None:
        self._inception, self._digest, self._kept = inception, digest, kept
        self._parts: dict[str, list[Tensor]] = {}

    def add(self, indices: NDArray[Any], image: Tensor, outputs: Mapping[str, Tensor]) -> None:
        """The next images and all outputs of them."""
        place = (self._digest, indices.tobytes())  # of the same batch, so that it is the same to the bit
        if place not in self._kept:
            self._kept[place] = self._features(image)
        self._parts.setdefault("truth", []).append(self._kept[place])
        for output, result in outputs.items():
            self._parts.setdefault(output, []).append(self._features(result))

    def of(self, output: str) -> Tensor:
        """(N, 2048), of an output or of the 'truth'."""
        if len(self._parts[output]) > 1:
            self._parts[output] = [torch.cat(self._parts[output])]
        return self._parts[output][0]

    def _features(self, image: Tensor) -> Tensor:
        return torch.cat([self._inception(part.float()).cpu() for part in image.split(BATCH)])


def _lpips(features: nn.Module, heads: nn.Module) -> LPIPS:
    assert isinstance(features, Features) and isinstance(heads, Heads)
    return LPIPS(features, heads)


def _scores(lpips: LPIPS, image: Tensor, outputs: Mapping[str, Tensor]) -> Scores:
    """LPIPS of each output of each image."""
    rows: dict[str, list[Tensor]] = {output: [] for output in outputs}
    for start in range(0, len(image), BATCH):
        part = slice(start, start + BATCH)
        truth = lpips.units(image[part].float())
        for output, result in outputs.items():
            rows[output].append(lpips(result[part].float(), truth))
    return {(output, "whole", "lpips"): torch.cat(parts).double() for output, parts in rows.items()}


_last: dict[Hashable, Kept] = {}


def _kept(images: Hashable) -> Kept:
    """What this process keeps of the truths of these images; those of others are let go."""
    if images not in _last:
        _last.clear()
        _last[images] = {}
    return _last[images]
