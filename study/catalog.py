"""Every part by its name: the one place where methods, networks, data sets and metrics are found.

A new part is one class and one line in a registry: in ``models``, ``baselines``, ``study.data`` or ``study.metrics``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

import baselines
import models
from models.losses import ADVERSARIAL
from models.method import Filler, Part, Trained
from study.data import DATASETS
from study.metrics import METRICS

METHODS: dict[str, type[Trained] | type[Filler]] = {**models.METHODS, **baselines.METHODS}
GENERATORS = {**models.GENERATORS, **baselines.GENERATORS}
CRITICS = {**models.CRITICS, **baselines.CRITICS}
FILLERS = baselines.FILLERS

__all__ = ["ADVERSARIAL", "CRITICS", "DATASETS", "FILLERS", "GENERATORS", "METHODS", "METRICS", "build", "version"]


def build(registry: Mapping[str, Any], part: Part) -> nn.Module:
    """The network that a part describes. Raises ValueError where its options cannot go together."""
    options = {key: value for key, value in part.items() if key != "kind"}
    network = registry[part["kind"]](**options)
    assert isinstance(network, nn.Module)
    return network


def version(registry: Mapping[str, Any], name: str) -> int:
    """The version of a part: a number that is raised when its numbers change."""
    number: int = registry[name].version
    return number
