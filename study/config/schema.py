"""What a study is once its file has been read and checked: everything that decides what is run."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from models.masks import Center, Mask
from models.method import Filler, Trained
from models.options import Options
from study.config.nodes import Node
from study.metrics.perceptual.options import Perceptual


class Protocol(Options):
    """How every method is evaluated alike: the test's holes, and how many images the figures show.

    ``pictures``: drawn by ``seed``, the same for every method; ``worst``: those that a run repaired worst.
    ``perceptual``: distances that need weights of their own, which the user has.
    """

    mask: Mask = Center()
    seed: Annotated[int, Field(ge=0)] = 2020
    pictures: Annotated[int, Field(ge=0, le=64)] = 6
    worst: Annotated[int, Field(ge=0, le=64)] = 3
    perceptual: Perceptual | None = None

    def plain(self) -> dict[str, Any]:
        """The protocol in plain values, less the perceptual distances, of which a key says more than a file does."""
        return self.model_dump(mode="json", exclude={"perceptual"})


Number = Annotated[int | float, Field(allow_inf_nan=False)]


class Range(Options):
    """What a search may set an option to: a number from ``low`` to ``high``, or one of ``choices``.

    Two whole numbers search whole numbers. ``log``: on a logarithmic scale, where factors count.
    """

    low: Number | None = None
    high: Number | None = None
    log: bool = False
    choices: Annotated[list[bool | int | float | str], Field(min_length=2)] | None = None

    @model_validator(mode="after")
    def _is_one_of_the_two(self) -> Range:
        if self.choices is not None:
            if self.low is not None or self.high is not None or self.log:
                raise ValueError("'choices' stand alone; a range is 'low', 'high' and maybe 'log'")
            if len({repr(choice) for choice in self.choices}) < len(self.choices):
                raise ValueError(f"got {self.choices}; a choice stands twice")
            return self
        if self.low is None or self.high is None:
            raise ValueError("write 'low' and 'high', or 'choices', a list")
        if self.low >= self.high:
            raise ValueError(f"low {self.low:g} is not below high {self.high:g}; a range goes from low to high")
        if self.log and self.low <= 0:
            raise ValueError(f"low is {self.low:g}; on a log scale it is above 0")
        return self

    @property
    def whole(self) -> bool:
        """Whether it is of whole numbers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def ends(self) -> list[Any]:
        """The values between which it lies, or its choices."""
        return [self.low, self.high] if self.choices is None else list(self.choices)

    def holds(self, value: Any) -> bool:
        """Whether a value can be found in it."""
        if self.choices is not None:
            return value in self.choices
        assert self.low is not None and self.high is not None
        return isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high


class Search(Options):
    """How a variant is tuned: which options, by which sampler and pruner, judged by how many seeds.

    ``space``: from options' dotted names; where it is empty, the weights of the variant's critics. ``seeds``: those of
    the search alone, so that what is tuned can be run with the study's own as fresh ones. ``data``: the data set,
    where it is not the first. ``rungs``: after which shares of the joint stage a trial may be pruned.
    """

    space: dict[str, Range] = Field(default={})
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], Field(min_length=1)] = Field(default=[1000])
    data: str | None = None
    trials: Annotated[int, Field(ge=1, le=100_000)] = 50
    sampler: Literal["tpe", "random", "qmc", "gp", "cmaes"] = "tpe"
    pruner: Literal["median", "halving", "hyperband", "none"] = "median"
    rungs: list[Annotated[float, Field(gt=0, lt=1)]] = Field(default=[0.25, 0.5])


class Tuned(Options):
    """Where a tuned variant comes from: what a search's file says of it beside its settings."""

    extends: str
    seeds: list[int]
    trials: int
    trial: int
    validation_psnr_db: float


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
    search: Search = Search()
    tuned: dict[str, Tuned] = field(default_factory=dict)
    resolved: Mapping[str, Any] = field(default_factory=dict)
    data_nodes: Mapping[str, Node] = field(default_factory=dict, compare=False)

    def variants_on(self, data: str) -> list[Variant]:
        """The variants that are run on a data set: those that it names itself, or all."""
        named = self.data[data].variants
        return [
            variant
            for variant in self.variants.values()
            if named is None or any(fnmatchcase(variant.name, pattern) for pattern in named)
        ]
