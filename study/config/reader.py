"""Checks a study's tree and turns it into a ``Study``."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, Any, TypeVar

import torch
from pydantic import Field

from models.method import Recipe, Trained
from study.config.factors import FactorExpander
from study.config.messages import fields
from study.config.nodes import Node, known_keys
from study.config.schema import Numerics, Observer, Protocol, Search, Study, Tuned, Variant
from study.config.space import impossible
from study.config.variants import VariantReader
from study.errors import unknown
from study.parts import registries

SECTIONS = (
    "study",
    "plugins",
    "seeds",
    "profile",
    "image_size",
    "data",
    "recipes",
    "defaults",
    "variants",
    "ablations",
    "multiverses",
    "protocol",
    "numerics",
    "observers",
    "search",
    "tuned",
    "include",
)
"""The sections of a study file. ``profiles`` overrides some of them."""

T = TypeVar("T")


@cache
def _build(registry: str, part: str, version: int | str) -> None:
    """Builds a network without memory, once per version. Raises ValueError if its options do not fit together."""
    with torch.device("meta"):
        registries.build(registries.REGISTRIES[registry], json.loads(part))


class StudyReader(VariantReader):
    """Reads a study's tree in one pass."""

    def setting(self, name: str, kind: Any, default: Any) -> Any:
        """The value of a top-level key."""
        node = self.tree.get(name)
        return default if node is None else self.value(kind, node, default)

    def study(self) -> Study | None:
        """The study; None if it has faults."""
        before = len(self.faults)
        known_keys(self.tree, [*SECTIONS, "profiles"], self.faults)
        image_size = self.setting("image_size", Annotated[int, Field(strict=True, ge=16, le=4096)], 256)
        if image_size % 8:
            self.fault(
                self.section("image_size").place,
                f"got {image_size}; write a multiple of 8: the hole has half the side, and the generator halves it "
                "twice",
            )
        recipes = {name: self.resolved("recipes", name) for name, _ in self.named("recipes")}
        for recipe in recipes.values():
            if recipe is not None:
                self.model(Recipe, recipe)
        self.defaults()
        variants = {}
        for name, _ in self.named("variants"):
            if node := self.resolved("variants", name):
                variants[name] = self.variant(name, node, recipes)
        if self.section("variants").value == {}:
            self.fault(self.section("variants").place, "a study needs at least one variant")
        expander = FactorExpander(self, variants, recipes)
        ablations = {name: expander.ablation(name, node) for name, node in self.named("ablations")}
        multiverses = {name: expander.multiverse(name, node) for name, node in self.named("multiverses")}
        valid = _present(variants)  # the expander has added its own
        if len(self.faults) == before:
            for variant in valid.values():
                self.buildable(variant, image_size)
        protocol = self.model(Protocol, self.section("protocol")) or Protocol()
        data = {name: self.dataset(node) for name, node in self.named("data")}
        if self.section("data").value == {}:
            self.fault(self.section("data").place, "a study needs at least one data set")
        tuned = {name: self.model(Tuned, node) for name, node in self.named("tuned")}
        for name, options in data.items():
            for index, pattern in enumerate((options and options.variants) or ()):
                if valid and not fnmatch.filter(valid, pattern):
                    node = self.section("data").at((name, "variants", index))
                    self.fault(node.place, unknown(pattern, valid, "not a variant of this study"))
        study = Study(
            name=self.setting("study", Annotated[str, Field(strict=True, min_length=1)], self.file.stem),
            file=self.file,
            profile=self.profile,
            seeds=self.seeds(),
            image_size=image_size,
            data=data,
            variants=valid,
            ablations=_present(ablations),
            multiverses=_present(multiverses),
            protocol=protocol,
            numerics=self.model(Numerics, self.section("numerics")) or Numerics(),
            observers=self.setting("observers", list[Observer], []),
            search=self.search(valid, list(data)),
            tuned=_present(tuned),
            resolved={key: node.plain() for key, node in self.tree.items() if key != "profiles"},
            data_nodes=dict(self.section("data").items()),
        )
        return study if len(self.faults) == before else None

    def seeds(self) -> list[int]:
        """The study's seeds, each once."""
        seed = Annotated[int, Field(strict=True, ge=0, lt=2**31)]
        seeds: list[int] = self.setting("seeds", Annotated[list[seed], Field(min_length=1)], [0])
        if len(set(seeds)) < len(seeds):
            self.fault(self.section("seeds").place, f"got {seeds}; a seed appears twice")
        return seeds

    def search(self, variants: Mapping[str, Variant], data: Sequence[str]) -> Search:
        """How variants are tuned. Each searched option must exist in some method and accept the ends of its range."""
        section = self.section("search")
        search: Search | None = self.model(Search, section)
        if search is None:
            return Search()
        if search.data is not None and search.data not in data:
            self.fault(section.at(("data",)).place, unknown(search.data, data, "not a data set of this study"))
        for name, values in (("seeds", search.seeds), ("rungs", search.rungs)):
            if len(set(values)) < len(values):
                self.fault(section.at((name,)).place, f"got {values}; a value appears twice")
        trained = [variant for variant in variants.values() if isinstance(variant.options, Trained)]
        for key, within in search.space.items():
            if why := impossible(key, within, trained):
                self.fault(section.at(("space", key)).name_place, why)
        return search

    def defaults(self) -> None:
        """Checks that each default is an option of some method."""
        every = {key for method in registries.METHODS.values() for key in fields(method)}
        known_keys(self.section("defaults"), every, self.faults)

    def buildable(self, variant: Variant, image_size: int) -> None:
        """Builds a variant's networks without memory. A fault if their options do not fit together."""
        if not isinstance(variant.options, Trained):
            return
        node = self.section("variants").get(variant.reference or variant.name) or self.section("variants")
        try:
            method = variant.options.method(image_size)
            parts = [("GENERATORS", method.generator)]
            parts += [("CRITICS", critic.network) for critic in method.critics.values()]
            for registry, part in parts:
                _build(registry, json.dumps(part), registries.version(registry, part["kind"]))
        except ValueError as error:
            place = self.section("image_size").place
            self.fault(
                node.name_place,
                f"'{variant.name}' cannot be built at image_size {image_size} ({place}): {error}",
            )

    def dataset(self, node: Node) -> Any:
        """The options of a data set, by its ``kind``; None if they have a fault."""
        kind = node.get("kind")
        if kind is None:
            self.fault(node.name_place, unknown("kind", registries.DATASETS, "missing"))
        elif kind.text not in registries.DATASETS:
            self.fault(kind.place, unknown(kind.plain(), registries.DATASETS))
        else:
            return self.model(registries.DATASETS[kind.text], node)
        return None


def _present(entries: Mapping[str, T | None]) -> dict[str, T]:
    """The entries without a fault."""
    return {name: entry for name, entry in entries.items() if entry is not None}
