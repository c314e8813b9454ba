"""The data model of a study: its file, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from models.masks import Center, Mask
from models.method import Filler, Trained
from models.options import Options
from study.config.nodes import Node
from study.facts import AblationFacts, MultiverseFacts
from study.metrics.perceptual.options import Perceptual
from study.parts import observers


class Protocol(Options):
    """How all methods are evaluated: the holes of the test images, and which images the figures show.

    ``seed`` draws ``pictures`` images, the same for every method. ``worst`` is how many of the images that a run
    repaired worst are shown in addition. ``perceptual`` distances need weights that the user provides.
    """

    mask: Mask = Center()
    seed: Annotated[int, Field(ge=0)] = 2020
    pictures: Annotated[int, Field(ge=0, le=64)] = 6
    worst: Annotated[int, Field(ge=0, le=64)] = 3
    perceptual: Perceptual | None = None

    def plain(self) -> dict[str, Any]:
        """The protocol as plain values, without the perceptual distances: keys describe those by their weights."""
        return self.model_dump(mode="json", exclude={"perceptual"})


T = TypeVar("T")


def _unique(values: list[T]) -> list[T]:
    if len(set(map(repr, values))) < len(values):  # 1 and True are equal, but not the same choice
        raise ValueError(f"got {values}; a value appears twice")
    return values


Unique = Annotated[list[T], AfterValidator(_unique)]
Seeds = Annotated[Unique[Annotated[int, Field(strict=True, ge=0, lt=2**31)]], Field(min_length=1)]
Number = Annotated[int | float, Field(allow_inf_nan=False)]


class Range(Options):
    """The values of an option in a search: a number from ``low`` to ``high``, or one of ``choices``.

    If both ends are whole numbers, so are the values. ``log`` searches on a logarithmic scale.
    """

    low: Number | None = None
    high: Number | None = None
    log: bool = False
    choices: Annotated[Unique[bool | int | float | str], Field(min_length=2)] | None = None

    @model_validator(mode="after")
    def _is_one_of_the_two(self) -> Range:
        if self.choices is not None:
            if self.low is not None or self.high is not None or self.log:
                raise ValueError("write either 'choices', or 'low' and 'high' with or without 'log'")
            return self
        if self.low is None or self.high is None:
            raise ValueError("write 'low' and 'high', or 'choices', a list")
        if self.low >= self.high:
            raise ValueError(f"low {self.low:g} is not below high {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"got low {self.low:g}; on a log scale it must be above 0")
        return self

    @property
    def whole(self) -> bool:
        """True if all values are whole numbers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def ends(self) -> list[Any]:
        """The lowest and highest value, or all choices."""
        return [self.low, self.high] if self.choices is None else list(self.choices)

    def holds(self, value: Any) -> bool:
        """Returns True if a value is in the range."""
        if self.choices is not None:
            return value in self.choices
        assert self.low is not None and self.high is not None
        return isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high


class Search(Options):
    """How variants are tuned.

    ``space`` maps dotted names of options to ranges; if it is empty, the weights of a variant's critics are searched.
    ``seeds`` are for the search alone, so that a tuned variant is then trained with the study's own, unseen seeds.
    ``data`` is the data set, by default the first. ``rungs`` are the shares of the joint stage after which a trial may
    be pruned.
    """

    space: dict[str, Range] = Field(default={})
    seeds: Seeds = Field(default=[1000])
    data: str | None = None
    trials: Annotated[int, Field(ge=1, le=100_000)] = 50
    sampler: Literal["tpe", "random", "qmc", "gp", "cmaes"] = "tpe"
    pruner: Literal["median", "halving", "hyperband", "none"] = "median"
    rungs: Unique[Annotated[float, Field(gt=0, lt=1)]] = Field(default=[0.25, 0.5])


class Tuned(Options):
    """The origin of a tuned variant, as the file that a search writes records it."""

    extends: str
    seeds: list[int]
    trials: int
    trial: int
    validation_psnr_db: float


class Numerics(Options):
    """What changes the last bits of a result. Fixed before keys are computed; never depends on the machine's load.

    ``precision``: ``tf32`` is fp32 with TF32 in matrix products and convolutions. ``bf16`` trains the generator and the
    critics under autocast; losses, penalties, clipping, weights and optimiser states stay fp32. ``compile``:
    stages of ``planner.COMPILED_FROM`` steps or more train networks that ``torch.compile`` has compiled. ``offload``
    alone changes no bit: between the forward and the backward pass, activations are kept in main memory, so that a
    smaller card is enough.
    """

    precision: Literal["fp32", "tf32", "bf16"] = "fp32"
    memory_format: Literal["channels_last", "contiguous"] = "channels_last"
    compile: bool | None = None
    offload: bool = False


class Mongo(Options):
    """A MongoDB that also gets Sacred's records. ``${NAME}`` in its address is a variable of the environment."""

    kind: Literal["mongo"] = "mongo"
    url: Annotated[str, AfterValidator(observers.mongo_address)]
    database: str | None = None


class Sql(Options):
    """A database of SQLAlchemy's that also gets Sacred's records. ``${NAME}`` is a variable of the environment."""

    kind: Literal["sql"] = "sql"
    url: Annotated[str, AfterValidator(observers.sql_address)]


class Python(Options):
    """Any Sacred observer: its class, ``package.module.Name``, and the options that it is made with."""

    model_config = ConfigDict(extra="allow")

    kind: Literal["python"] = "python"
    named: Annotated[str, Field(alias="class"), AfterValidator(observers.class_name)]

    @model_validator(mode="after")
    def _has_its_options(self) -> Python:
        observers.check_options(self.named, self.model_extra or {})
        return self


Observer = Annotated[Mongo | Sql | Python, Field(discriminator="kind")]


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One named configuration of a method. ``reference`` is the variant that it was expanded from, if any."""

    name: str
    method: str
    options: Trained | Filler
    reference: str | None = None

    @cached_property
    def configuration(self) -> str:
        """The method and its options as text: equal for variants that are the same, whatever their names."""
        return f"{self.method} {self.options.model_dump_json(by_alias=True)}"


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study file with its profile and the command line's settings applied."""

    name: str
    file: Path
    profile: str | None
    seeds: list[int]
    image_size: int
    data: dict[str, Any]
    variants: dict[str, Variant]
    ablations: dict[str, AblationFacts]
    multiverses: dict[str, MultiverseFacts]
    protocol: Protocol
    numerics: Numerics
    observers: dict[str, Observer] = field(default_factory=dict)
    """By their places in the file."""
    search: Search = Search()
    tuned: dict[str, Tuned] = field(default_factory=dict)
    resolved: Mapping[str, Any] = field(default_factory=dict)
    data_nodes: Mapping[str, Node] = field(default_factory=dict, compare=False)
    left_out: Mapping[str, Variant] = field(default_factory=dict)
    """The file's variants that ``--only`` leaves out."""
    left_out_seeds: list[int] = field(default_factory=list)
    """The file's seeds that ``--seeds`` leaves out."""

    def described_observers(self) -> list[dict[str, Any]]:
        """The observers as plain values: ``place`` in the file, and ``options``."""
        dump = {place: one.model_dump(mode="json", by_alias=True) for place, one in self.observers.items()}
        return [{"place": place, "options": options} for place, options in dump.items()]

    def variants_on(self, data: str) -> list[Variant]:
        """The variants that are run on a data set: those that it names, or all."""
        named = self.data[data].variants
        return [
            variant
            for variant in self.variants.values()
            if named is None or any(fnmatchcase(variant.name, pattern) for pattern in named)
        ]
