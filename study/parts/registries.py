"""The registries of parts: methods, networks, losses, fillers, masks, metrics and data sets by name.

A new part is a class and a line in a registry, in ``models``, ``baselines``, ``study.data`` or ``study.metrics``. The
plugins of a study add to the registries (``study.parts.plugins``).
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
"""The registries by name. A plugin's dictionaries have the same names."""

SOURCES: dict[tuple[str, str], str] = {}
"""The digest of the source of each plugin's part, by registry and name."""


def build(registry: Mapping[str, Any], part: Part) -> nn.Module:
    """Builds the network that a part describes. Raises ValueError if its options do not fit together."""
    options = {key: value for key, value in part.items() if key != "kind"}
    network = registry[part["kind"]](**options)
    assert isinstance(network, nn.Module)
    return network


def version(registry: str, name: str) -> int | str:
    """The version of a part's code in keys: a number, raised when its results change, or a plugin's digest."""
    number: int | str = SOURCES.get((registry, name)) or REGISTRIES[registry][name].version
    return number
