"""What a study says about itself: the part of ``plan.json`` that reports and workers read.

The fields are the JSON keys. A field with a default is missing in the outputs of older versions.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, from_attributes=True)


class ReadingFacts(_Facts):
    """One reading of one variant; ``departs`` where the value is not what the paper's text says."""

    variant: str
    key: str
    value: str
    reading: str
    meaning: str | None
    departs: bool


class TreatmentFacts(_Facts):
    """How a method that the paper compares is treated in a setting that the paper does not give, in words.

    ``origin``: 'as in its own paper' or 'chosen here'.
    """

    variant: str
    key: str
    value: str
    reading: str
    meaning: str
    origin: str


class VariantFacts(_Facts):
    """A variant of the study file that the command left out: its method and options.

    ``by``: the option that left it out. ``data``: the data sets that ``--claims`` left it out of.
    """

    method: str
    options: dict[str, Any]
    by: str = "--only"
    data: list[str] = []


class UniverseFacts(_Facts):
    """One reading of one base in one universe.

    ``variant`` is the configuration that is run for the base. ``usual`` is True if the level is the base's own.
    ``applies`` is True if the base's method has this reading; otherwise the base keeps its configuration.
    """

    base: str
    variant: str
    reading: str
    level: str
    usual: bool
    applies: bool


class PluginFacts(_Facts):
    """A plugin: its path and the digest of its source."""

    file: str
    digest: str


class MetricFacts(_Facts):
    """A plugin's metric: how to name it and which direction is better, 'higher' or 'lower'."""

    title: str
    unit: str
    better: str


class DataFacts(_Facts):
    """A data set: the options that decide its pixels (most as extra fields) and the ``stage`` that packs its images."""

    model_config = ConfigDict(extra="allow")

    kind: str
    stage: str
    like: str | None = None
    licence: str | None = None


class AblationFacts(_Facts):
    """A reference and a product of factors: their levels, and the variant of each combination of levels."""

    reference: str
    factors: dict[str, list[str]]
    cells: list[tuple[tuple[str, ...], str]]


class MultiverseFacts(_Facts):
    """Variants under several readings, one at a time or in product. Universe 0 has the study's own readings."""

    base: list[str]
    contrasts: list[list[str]]
    design: str
    universes: list[list[UniverseFacts]]


class StudyFacts(_Facts):
    """The facts of a study. Data sets, ablations and multiverses are by name."""

    name: str
    file: str | None = None
    plugins: list[PluginFacts] = []
    metrics: dict[str, MetricFacts] = {}  # of plugins
    methods: list[str] = []  # of plugins
    claims: dict[str, dict[str, Any]] = {}  # of plugins: ``reports.analysis.links.own_claim``
    sections: list[str] = []  # of plugins
    profile: str | None
    seeds: list[int]
    image_size: int
    data: dict[str, DataFacts]
    protocol: dict[str, Any] = {}
    numerics: dict[str, Any]
    shared: bool | None = None  # whether runs share stages
    observers: list[dict[str, Any]] = []  # ``options``, and ``place`` in the study file
    ablations: dict[str, AblationFacts]
    multiverses: dict[str, MultiverseFacts] = {}
    networks: dict[str, dict[str, Any]] | None = None  # by variant: ``study.inspection.describe.describe``
    readings: list[ReadingFacts]  # of all variants except those of plugins' methods
    treatments: list[TreatmentFacts] = []  # of the methods that the paper compares
    left_out: dict[str, VariantFacts] = {}  # by ``--only`` or ``--claims``
    left_out_seeds: list[int] = []  # by ``--seeds``
    notes: list[str] = []  # on mask files: how many, their holes, which image gets which
    resolved: dict[str, Any] = {}  # the study file with its profile applied
    git: dict[str, Any] | None = None  # of the study file's folder: ``study.plan.revision.revision``
    command: str | None = None  # makes the study again
    looks: dict[int, float] | None = None  # where seeds were added until decided: seeds -> two-sided error spent there
    trial: dict[str, Any] | None = None  # of a search: its variant, the trial's Optuna number and its settings

    @property
    def digests(self) -> dict[str, str]:
        """The digests of the study's plugins, by their files."""
        return {plugin.file: plugin.digest for plugin in self.plugins}

    def of_trial(self, trial: dict[str, Any]) -> StudyFacts:
        """The facts of a search's trial, without what only reports read: every trial saves a plan."""
        empty: dict[str, Any] = {"networks": None, "readings": [], "resolved": {}, "ablations": {}, "multiverses": {}}
        empty |= {"treatments": [], "left_out": {}, "left_out_seeds": [], "notes": []}
        return self.model_copy(update=empty | {"trial": trial})

    def plain(self) -> dict[str, Any]:
        """The facts as plain values for JSON, without fields that were never given."""
        return self.model_dump(exclude_unset=True)
