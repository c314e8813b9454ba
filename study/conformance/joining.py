"""That a study with a part can be made, in a few steps."""

from __future__ import annotations

from typing import Any

from study.conformance.datasets import small
from study.conformance.expectation import IMAGES, SIDES, Check, defaulted
from study.conformance.methods import side_of
from study.conformance.rehearsal import rehearse
from study.parts import plugins, registries

FACES = {"kind": "faces", **IMAGES}
BOUNDS = {"wgan": {"clip": 0.01}, "wgan_gp": {"penalty": 10.0}}
"""What our losses cannot be without."""


def joining(registry: str) -> Check:
    """The check that a study of one variant with the part can be made in a few steps, and twice the same bytes."""

    def joins_a_study(name: str) -> None:
        side, data, variant = _variant_with(registry, name)
        protocol = {"mask": {"kind": name}} if registry == "MASKS" else {}
        rehearse(
            {"image_size": side, "data": {"data": data}, "protocol": protocol, "variants": {"checked": variant}},
            [plugin.file for plugin in plugins.used()],
        )

    return joins_a_study


def _variant_with(registry: str, name: str) -> tuple[int, dict[str, Any], dict[str, Any]]:
    """Side of the images, data set, and variant of a study that uses a part."""
    if registry == "METHODS":
        defaulted(registries.METHODS[name])
        return side_of(registries.METHODS[name]), FACES, {"method": name}
    if registry == "LOSSES":
        recipe = {"kind": name, "optimizer": {"kind": "adam", "lr": 1e-4}, **BOUNDS.get(name, {})}
        return SIDES[0], FACES, {"method": "proposed", "multiscale": 0, "loss": recipe}
    if registry == "MASKS":
        defaulted(registries.MASKS[name])
        return SIDES[0], FACES, {"method": "reconstruction_only", "mask": {"kind": name}}
    if registry == "DATASETS":
        return SIDES[0], small(registries.DATASETS[name]).model_dump(mode="json", exclude_none=True), {"method": "mean"}
    return SIDES[0], FACES, {"method": "mean"}
