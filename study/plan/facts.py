"""What a plan says about its study as a whole: the part of ``plan.json`` that reports and workers read.

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


class UniverseFacts(_Facts):
    """One reading of one base in one universe (``study.config.schema.Setting``)."""

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
    """An ablation: its factors with their levels, and the variant of each combination of levels."""

    reference: str
    factors: dict[str, list[str]]
    cells: list[tuple[list[str], str]]


class MultiverseFacts(_Facts):
    """A multiverse: its base variants, the pairs to compare, and the readings in each universe."""

    base: list[str]
    contrasts: list[list[str]]
    design: str
    universes: list[list[UniverseFacts]]


class StudyFacts(_Facts):
    """The facts of a study.

    Attributes:
        metrics, methods: those of plugins.
        data, ablations, multiverses: by name.
        shared: whether runs share stages.
        networks: what ``study.inspection.describe.describe`` returns, by variant.
        readings: of all variants except those of plugins' methods.
        resolved: the study file with its profile applied.
        command: the command that makes the study again.
        trial: in the plan of a search's trial, the search's variant, the trial's Optuna number and its settings.
    """

    name: str
    file: str | None = None
    plugins: list[PluginFacts] = []
    metrics: dict[str, MetricFacts] = {}
    methods: list[str] = []
    profile: str | None
    seeds: list[int]
    image_size: int
    data: dict[str, DataFacts]
    protocol: dict[str, Any] = {}
    numerics: dict[str, Any]
    shared: bool | None = None
    observers: list[dict[str, Any]] = []
    ablations: dict[str, AblationFacts]
    multiverses: dict[str, MultiverseFacts] = {}
    networks: dict[str, dict[str, Any]] | None = None
    readings: list[ReadingFacts]
    resolved: dict[str, Any] = {}
    command: str | None = None
    trial: dict[str, Any] | None = None

    @property
    def digests(self) -> dict[str, str]:
        """The digests of the study's plugins, by their files."""
        return {plugin.file: plugin.digest for plugin in self.plugins}

    def of_trial(self, trial: dict[str, Any]) -> StudyFacts:
        """The facts of a search's trial, without what only reports read: every trial saves a plan."""
        empty: dict[str, Any] = {"networks": None, "readings": [], "resolved": {}, "ablations": {}, "multiverses": {}}
        return self.model_copy(update=empty | {"trial": trial})

    def plain(self) -> dict[str, Any]:
        """The facts as plain values for JSON, without fields that were never given."""
        return self.model_dump(exclude_unset=True)
