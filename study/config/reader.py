"""Checks a study's tree and turns it into a ``Study``."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from models.method import Recipe, Trained
from study.config.factors import FactorExpander
from study.config.messages import fields
from study.config.nodes import Node, collected, known_keys
from study.config.schema import Numerics, Observer, Protocol, Search, Seeds, Study, Tuned, Variant
from study.config.space import impossible
from study.config.variants import VariantReader
from study.errors import hidden, unknown
from study.parts import registries

NAMED = ("data", "recipes", "variants", "ablations", "multiverses", "tuned")
SETTINGS = ("seeds", "image_size", "defaults", "protocol", "numerics", "observers", "search")
FIXED = ("study", "plugins", "include", "profile", "profiles")
"""The sections of a study file: those with named entries, settings, and those that a profile cannot override."""


class StudyReader(VariantReader):
    """Reads a study's tree in one pass."""

    def setting(self, name: str, kind: Any, default: Any) -> Any:
        """The value of a top-level key; ``default`` if there is none or it has a fault."""
        if node := self.tree.get(name):
            with collected(self.faults):
                return self.value(kind, node)
        return default

    def study(self) -> Study | None:
        """The study; None if it has faults."""
        before = len(self.faults)
        known_keys(self.tree, [*NAMED, *SETTINGS, *FIXED], self.faults)
        image_size = self.setting("image_size", Annotated[int, Field(strict=True, ge=16, le=4096)], 256)
        if image_size % 8:
            why = "a multiple of 8: the hole has half the side, and the generator halves it twice"
            self.fault(self.section("image_size").place, f"got {image_size}; write {why}")
        self.entries("recipes", lambda name, _: self.value(Recipe, self.resolved("recipes", name)))
        every = {key for method in registries.METHODS.values() for key in fields(method)}
        known_keys(self.section("defaults"), every, self.faults)
        variants = self.entries("variants", lambda name, _: self.variant(name, self.resolved("variants", name)))
        expander = FactorExpander(self, variants)
        ablations = self.entries("ablations", expander.ablation)
        multiverses = self.entries("multiverses", expander.multiverse)
        if len(self.faults) == before:
            for variant in variants.values():
                self.buildable(variant, image_size)
        protocol = self.setting("protocol", Protocol, Protocol())
        data = self.entries("data", lambda _, node: self.dataset(node, variants))
        for section, entry in (("variants", "variant"), ("data", "data set")):
            if self.section(section).value == {}:
                self.fault(self.section(section).place, f"a study needs at least one {entry}")
        study = Study(
            name=self.setting("study", Annotated[str, Field(strict=True, min_length=1)], self.file.stem),
            file=self.file,
            profile=self.profile,
            seeds=self.setting("seeds", Seeds, [0]),
            image_size=image_size,
            data=data,
            variants=variants,
            ablations=ablations,
            multiverses=multiverses,
            protocol=protocol,
            numerics=self.setting("numerics", Numerics, Numerics()),
            observers=self.observers(),
            search=self.search(variants),
            tuned=self.entries("tuned", lambda _, node: self.value(Tuned, node)),
            resolved=self.tree.without("profiles").plain(),
            data_nodes=dict(self.section("data").items()),
        )
        return study if len(self.faults) == before else None

    def observers(self) -> dict[str, Observer]:
        """The observers by their places."""
        found = self.setting("observers", list[Observer], [])
        return {hidden(str(self.section("observers").at((n,)).place)): one for n, one in enumerate(found)}

    def search(self, variants: Mapping[str, Variant]) -> Search:
        """How variants are tuned. Each searched option must exist in some method and accept the ends of its range."""
        section, data = self.section("search"), dict(self.section("data").items())
        search: Search = self.setting("search", Search, Search())
        if search.data is not None and search.data not in data:
            self.fault(section.at(("data",)).place, unknown(search.data, data, "not a data set of this study"))
        trained = [variant for variant in variants.values() if isinstance(variant.options, Trained)]
        for key, within in search.space.items():
            if why := impossible(key, within, trained):
                self.fault(section.at(("space", key)).name_place, why)
        return search

    def buildable(self, variant: Variant, image_size: int) -> None:
        """Builds a variant's networks without memory. Adds a fault if their options do not fit together."""
        if not isinstance(variant.options, Trained):
            return
        try:
            for registry, part in registries.networks(variant.options.method(image_size)):
                registries.outlined(registry, part)
        except ValueError as error:
            node = self.section("variants").get(variant.reference or variant.name) or self.section("variants")
            size = f"image_size {image_size} ({self.section('image_size').place})"
            self.fault(node.name_place, f"'{variant.name}' cannot be built at {size}: {error}")

    def dataset(self, node: Node, variants: Mapping[str, Variant]) -> Any:
        """The options of a data set, by its ``kind``."""
        kind = node.get("kind")
        if kind is None:
            raise node.name_place.error(unknown("kind", registries.DATASETS, "missing"))
        if kind.text not in registries.DATASETS:
            raise kind.place.error(unknown(kind.plain(), registries.DATASETS))
        options = self.value(registries.DATASETS[kind.text], node)
        for index, pattern in enumerate(options.variants or ()):
            if variants and not fnmatch.filter(variants, pattern):
                place = node.at(("variants", index)).place
                self.fault(place, unknown(pattern, variants, "not a variant of this study"))
        return options
