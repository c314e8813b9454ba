"""What a study is once its file has been read and checked: everything that decides what is run."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from models.masks import Center, Mask
from models.method import Filler, Trained
from models.options import Options
from study.source import Node


class Protocol(Options):
    """How every method is evaluated alike: the test's holes, and how many images the figures show.

    ``pictures``: drawn by ``seed``, the same for every method; ``worst``: those that a run repaired worst.
    """

    mask: Mask = Center()
    seed: Annotated[int, Field(ge=0)] = 2020
    pictures: Annotated[int, Field(ge=0, le=64)] = 6
    worst: Annotated[int, Field(ge=0, le=64)] = 3


class Numerics(Options):
    """What changes the last bits: fixed before keys are computed, never by load."""

    precision: Literal["fp32", "bf16"] = "fp32"
    memory_format: Literal["channels_last", "contiguous"] = "channels_last"


class Observer(Options):
    """Where Sacred's records go, beside the files in the output that are always written."""

    kind: Literal["mongo", "sql"]
    url: str
    database: str | None = None

    @model_validator(mode="after")
    def _has_its_client(self) -> Observer:
        package = {"mongo": "pymongo", "sql": "sqlalchemy"}[self.kind]
        if importlib.util.find_spec(package) is None:
            raise ValueError(f"the observer '{self.kind}' needs the package {package}: pip install {package}")
        return self


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One named configuration of a method."""

    name: str
    method: str
    options: Trained | Filler
    reference: str | None = None

    def same_as(self, other: Variant) -> bool:
        """Whether both are one configuration under two names."""
        return self.method == other.method and self.options == other.options


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """A reference and a product of factors; ``cells`` maps each combination of levels to its variant's name."""

    name: str
    reference: str
    factors: dict[str, list[str]]
    cells: dict[tuple[str, ...], str]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One reading of one base in one universe.

    ``variant``: what is run for the base there. ``usual``: whether the level is the base's own. ``applies``: whether
    the base's method has this reading; where it has not, its run is as it is.
    """

    base: str
    variant: str
    reading: str
    level: str
    usual: bool
    applies: bool


@dataclass(frozen=True, kw_only=True)
class Multiverse:
    """Variants under every reading that is named, one at a time or in product; universe 0 is the study's own."""

    name: str
    bases: list[str]
    contrasts: list[list[str]]
    design: str
    universes: list[list[Setting]]


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study file with its profile and options applied."""

    name: str
    file: Path
    profile: str | None
    seeds: list[int]
    image_size: int
    data: dict[str, Any]
    variants: dict[str, Variant]
    ablations: dict[str, Ablation]
    multiverses: dict[str, Multiverse]
    protocol: Protocol
    numerics: Numerics
    observers: list[Observer] = field(default_factory=list)
    resolved: Mapping[str, Any] = field(default_factory=dict)
    data_nodes: Mapping[str, Node] = field(default_factory=dict, compare=False)
