"""Every part by its name: the one place where methods, networks, data sets and metrics are found.

A new part is one class and one line in a registry: in ``models``, ``baselines``, ``study.data`` or ``study.metrics``.
A study's plugins join the registries while it is read, planned and made (``study.parts.plugins``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

import baselines
import models
from models.losses import LOSSES
from models.masks import MASKS
from models.method import Filler, Part, Trained
from study.data import DATASETS
from study.metrics import METRICS

__all__ = [
    "CRITICS",
    "DATASETS",
    "FILLERS",
    "GENERATORS",
    "LOSSES",
    "MASKS",
    "METHODS",
    "METRICS",
    "REGISTRIES",
    "SOURCES",
    "build",
    "version",
]

METHODS: dict[str, type[Trained] | type[Filler]] = {**models.METHODS, **baselines.METHODS}
GENERATORS = {**models.GENERATORS, **baselines.GENERATORS}
CRITICS = {**models.CRITICS, **baselines.CRITICS}
FILLERS = baselines.FILLERS

REGISTRIES: dict[str, dict[str, Any]] = {
    "METHODS": METHODS,
    "GENERATORS": GENERATORS,
    "CRITICS": CRITICS,
    "LOSSES": LOSSES,
    "FILLERS": FILLERS,
    "MASKS": MASKS,
    "METRICS": METRICS,
    "DATASETS": DATASETS,
}
"""The registries by their names, which are those of the dictionaries of a plugin."""

SOURCES: dict[tuple[str, str], str] = {}
"""The digest of the source of each part that a plugin brought, by registry and name."""


def build(registry: Mapping[str, Any], part: Part) -> nn.Module:
    """The network that a part describes. Raises ValueError where its options cannot go together."""
    options = {key: value for key, value in part.items() if key != "kind"}
    network = registry[part["kind"]](**options)
    assert isinstance(network, nn.Module)
    return network


def version(registry: str, name: str) -> int | str:
    """What a key says of a part's code: a number that is raised when its numbers change; of a plugin its digest."""
    found: int | str = SOURCES.get((registry, name)) or REGISTRIES[registry][name].version
    return found
