"""The registries of parts by name: methods, networks, losses, fillers, masks, metrics, data sets, and plugins' claims.

A new part is a class and a line in a registry, in ``models``, ``baselines``, ``study.data`` or ``study.metrics``. The
plugins of a study add to the registries (``study.parts.plugins``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

import baselines
import models
from models import losses, masks
from models.method import Filler, Method, Part, Trained
from study import data, metrics

METHODS: dict[str, type[Trained] | type[Filler]] = {**models.METHODS, **baselines.METHODS}
GENERATORS = {**models.GENERATORS, **baselines.GENERATORS}
CRITICS = {**models.CRITICS, **baselines.CRITICS}
LOSSES, MASKS = losses.LOSSES, masks.MASKS
FILLERS = baselines.FILLERS
METRICS, DATASETS = metrics.METRICS, data.DATASETS
CLAIMS: dict[str, dict[str, Any]] = {}
SECTIONS: dict[str, Callable[..., Any]] = {}
"""Claims, and sections of the report, of plugins alone: the paper's are in ``reports``."""

REGISTRIES: dict[str, dict[str, Any]] = {
    "METHODS": METHODS,
    "GENERATORS": GENERATORS,
    "CRITICS": CRITICS,
    "LOSSES": LOSSES,
    "FILLERS": FILLERS,
    "MASKS": MASKS,
    "METRICS": METRICS,
    "DATASETS": DATASETS,
    "CLAIMS": CLAIMS,
    "SECTIONS": SECTIONS,
}
"""The registries by name. A plugin's dictionaries have the same names."""

SOURCES: dict[tuple[str, str], str] = {}
"""The digest of the source of each plugin's part, by registry and name."""


def build(registry: Mapping[str, Any], part: Part) -> nn.Module:
    """Builds the network that a part describes. Raises ValueError if its options do not fit together."""
    network = registry[part["kind"]](**{key: value for key, value in part.items() if key != "kind"})
    assert isinstance(network, nn.Module)
    return network


def outlined(registry: str, part: Part, device: str = "meta") -> nn.Module:
    """The same network without first weights; on ``meta`` without memory, too. Raises ValueError like ``build``.

    It is built once: all callers share it.
    """
    return _outlined(registry, json.dumps(part, sort_keys=True), version(registry, part["kind"]), device)


@cache
def _outlined(registry: str, part: str, version: int | str, device: str) -> nn.Module:
    with torch.device(device), _Unfilled():
        return build(REGISTRIES[registry], json.loads(part))


class _Unfilled(TorchFunctionMode):
    """Skips ``torch.nn.init``."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return kwargs.get("tensor", args[0] if args else None)
        return func(*args, **kwargs)


def networks(method: Method) -> list[tuple[str, Part]]:
    """The networks that a method describes, each with the name of its registry."""
    return [("GENERATORS", method.generator), *(("CRITICS", critic.network) for critic in method.critics.values())]


def version(registry: str, name: str) -> int | str:
    """The version of a part's code in keys: a number, raised when its results change, or a plugin's digest."""
    number: int | str = SOURCES.get((registry, name)) or REGISTRIES[registry][name].version
    return number
