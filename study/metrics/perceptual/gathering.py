"""The perceptual distances of an evaluation, batch by batch: LPIPS of each image, FID and KID of all images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping
from functools import lru_cache
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.host import on_host
from study.metrics.perceptual.distances import frechet, gaussian, kernel_distance
from study.metrics.perceptual.lpips import LPIPS
from study.metrics.perceptual.weights import kinds, lacking, network
from study.seeds import numpy_rng

BATCH = 16  # images in a network at once, fixed because the last bits of a result can depend on it
LEAST = {"fid": 2, "kid": 4}  # images that have a covariance (FID), or two halves of two images (KID)

Scores = dict[tuple[str, str, str], Tensor]


class Gathering:
    """Computes the perceptual distances of the outputs of one evaluation.

    Args:
        options: of each distance, as in the stage's key.
        files: the paths of each distance's weights, by option.
        seed: of the protocol; it draws KID's subsets.
        truths: a name of the scored images, such as the key of their data. This process keeps the features of the last
            named truths for the next evaluation of the same images, 8 KiB per image.

    Raises:
        StudyError: a file of weights has changed since the study was planned.
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
        self._truths = _cache((truths, str(device))) if truths is not None else {}
        self._lpips: LPIPS | None = None
        self._inceptions: dict[str, nn.Module] = {}  # by the digest of their weights
        self._features = defaultdict[tuple[str, str], list[Tensor]](list)  # by digest and output or 'truth'
        self._outputs: tuple[str, ...] = ()
        for name, entry in options.items():
            if name not in self._lacking:
                loaded = [network(kind, files[name][at], entry[at], device) for at, kind in kinds(entry).items()]
                if name == "lpips":
                    self._lpips = LPIPS(*loaded)
                else:  # FID and KID with the same weights share the features
                    self._inceptions[entry["weights"]] = loaded[0]

    def add(self, indices: NDArray[Any], image: Tensor, outputs: Mapping[str, Tensor]) -> Scores:
        """Adds the next images and all their outputs, (B, 3, H, W) in 0..1. Returns LPIPS, (B,) float64 per output."""
        self._outputs = tuple(outputs)
        rows: dict[str, list[Tensor]] = {output: [] for output in outputs}
        with torch.inference_mode():
            for digest, inception in self._inceptions.items():
                place = (digest, indices.tobytes())  # the same batch gives the same bits
                if place not in self._truths:
                    self._truths[place] = _features(inception, image)
                self._features[digest, "truth"].append(self._truths[place])
                for output, result in outputs.items():
                    self._features[digest, output].append(_features(inception, result))
            if self._lpips is None:
                return {}
            for start in range(0, len(image), BATCH):
                part = slice(start, start + BATCH)
                truth = self._lpips.units(image[part].float())
                for output, result in outputs.items():
                    rows[output].append(self._lpips(result[part].float(), truth))
            return {(output, "whole", "lpips"): torch.cat(parts).double() for output, parts in rows.items()}

    def distances(self) -> list[dict[str, Any]]:
        """A row for FID and KID of each output, and for each distance without weights.

        Its keys are metric, output, value, spread (KID's standard deviation over subsets), images (their number) and
        why (the reason if there is no value, otherwise '').
        """
        rows: list[dict[str, Any]] = []
        for name, entry in self._options.items():
            row = {"metric": name, "value": None, "spread": None, "images": 0, "why": self._lacking.get(name, "")}
            if row["why"]:
                rows += [{**row, "output": output} for output in self._outputs]
            elif name != "lpips":
                measured = self._measured(name, entry)
                rows += [{**row, "output": output, **values} for output, values in measured.items()]
        return rows

    def _measured(self, name: str, entry: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """The value, spread, images and why of each output."""
        features = {output: self._features[entry["weights"], output] for output in ("truth", *self._outputs)}
        for parts in features.values():
            parts[:] = [torch.cat(parts)]  # FID and KID share one copy
        outputs = {output: part for output, (part,) in features.items()}
        truth = outputs.pop("truth")
        images: dict[str, Any] = {"images": len(truth)}
        why = ""
        if len(truth) < LEAST[name]:
            why = f"{name.upper()}: needs at least {LEAST[name]} images, and {len(truth)} were scored"
        elif not all(found.isfinite().all() for found in (truth, *outputs.values())):
            why = f"{name.upper()}: features are not finite; name weights of the Inception that FID is of"
        if why:
            return {output: {**images, "why": why} for output in outputs}
        if name == "fid":
            theirs = gaussian(truth)
            return {output: {**images, "value": frechet(gaussian(own), theirs)} for output, own in outputs.items()}
        measured = {}
        for output, own in outputs.items():
            rng = numpy_rng(self._seed, "kid subsets")  # the same subsets for every output and method
            value, spread = kernel_distance(truth, own, rng, subsets=entry["subsets"], size=entry["size"])
            measured[output] = {**images, "value": value, "spread": spread}
        return measured


def _features(inception: nn.Module, image: Tensor) -> Tensor:
    """Inception's features of images (B, 3, H, W) in 0..1: (B, 2048), on the CPU."""
    return torch.cat([on_host(inception(part.float())) for part in torch.split(image, BATCH)])


@lru_cache(maxsize=1)
def _cache(images: Hashable) -> dict[tuple[str, bytes], Tensor]:
    """This process's features of these images, by weights' digest and batch indices. Those of others are dropped."""
    return {}
