"""The study's tree, checked and turned into a ``Study``."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, Any

import torch
from pydantic import Field, TypeAdapter

from models.method import Recipe, Trained
from study.config.factors import Cells
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
"""What a study file may say; ``profiles`` lays some of them over the rest."""


@cache
def _build(registry: str, part: str, version: int | str) -> None:
    """Builds a network without memory, once. Raises ValueError where it cannot be built."""
    with torch.device("meta"):
        registries.build(registries.REGISTRIES[registry], json.loads(part))


class StudyReader(VariantReader):
    """One pass over a study's tree. Faults are collected, and an entry with a fault is left out."""

    def value(self, name: str, kind: Any, default: Any) -> Any:
        node = self.tree.get(name)
        if node is None:
            return default
        return self.checked(TypeAdapter(kind).validate_python, node, None, default)

    def study(self) -> Study | None:
        before = len(self.faults)
        known_keys(self.tree, [*SECTIONS, "profiles"], self.faults)
        image_size = self.value("image_size", Annotated[int, Field(strict=True, ge=16, le=4096)], 256)
        if image_size % 8:
            self.fault(
                self.section("image_size").place,
                f"got {image_size}; an image side is a multiple of 8: the hole is half of it, and G halves that twice",
            )
        recipes = {name: self.chain("recipes", name) for name, _ in self.named("recipes")}
        for recipe in recipes.values():
            if recipe is not None:
                self.model(Recipe, recipe)
        self.defaults()
        variants = {}
        for name, _ in self.named("variants"):
            if node := self.chain("variants", name):
                variants[name] = self.variant(name, node, recipes)
        if self.section("variants").value == {}:
            self.fault(self.section("variants").place, "a study needs at least one variant")
        cells = Cells(self, variants, recipes)
        ablations = {name: cells.ablation(name, node) for name, node in self.named("ablations")}
        multiverses = {name: cells.multiverse(name, node) for name, node in self.named("multiverses")}
        found = {name: variant for name, variant in variants.items() if variant}
        if len(self.faults) == before:
            for variant in found.values():
                self.buildable(variant, image_size)
        protocol = self.model(Protocol, self.section("protocol")) or Protocol()
        data = {name: self.dataset(node) for name, node in self.named("data")}
        if self.section("data").value == {}:
            self.fault(self.section("data").place, "a study needs at least one data set")
        tuned = {name: self.model(Tuned, node) for name, node in self.named("tuned")}
        for name, options in data.items():
            for place, pattern in enumerate((options and options.variants) or ()):
                if found and not fnmatch.filter(found, pattern):
                    node = self.section("data").at((name, "variants", place))
                    self.fault(node.place, unknown(pattern, found, "no variant of this study"))
        search = self.search(found, list(data))
        study = Study(
            name=self.value("study", Annotated[str, Field(strict=True, min_length=1)], self.file.stem),
            file=self.file,
            profile=self.profile,
            seeds=self.seeds(),
            image_size=image_size,
            data=data,
            variants=found,
            ablations={name: ablation for name, ablation in ablations.items() if ablation},
            multiverses={name: multiverse for name, multiverse in multiverses.items() if multiverse},
            protocol=protocol,
            numerics=self.model(Numerics, self.section("numerics")) or Numerics(),
            observers=self.value("observers", list[Observer], []),
            search=search,
            tuned={name: entry for name, entry in tuned.items() if entry},
            resolved={key: node.plain() for key, node in self.tree.items() if key != "profiles"},
            data_nodes=dict(self.section("data").items()),
        )
        return study if len(self.faults) == before else None

    def seeds(self) -> list[int]:
        seed = Annotated[int, Field(strict=True, ge=0, lt=2**31)]
        seeds: list[int] = self.value("seeds", Annotated[list[seed], Field(min_length=1)], [0])
        if len(set(seeds)) < len(seeds):
            self.fault(self.section("seeds").place, f"got {seeds}; a seed stands twice")
        return seeds

    def search(self, variants: Mapping[str, Variant], data: Sequence[str]) -> Search:
        """How variants are tuned. What is searched has to be an option of some method, and its range possible."""
        section = self.section("search")
        search = self.model(Search, section)
        if search is None:
            return Search()
        if search.data is not None and search.data not in data:
            self.fault(section.at(("data",)).place, unknown(search.data, data, "no data set of this study"))
        for name, values in (("seeds", search.seeds), ("rungs", search.rungs)):
            if len(set(values)) < len(values):
                self.fault(section.at((name,)).place, f"got {values}; one stands twice")
        trained = [variant for variant in variants.values() if isinstance(variant.options, Trained)]
        for key, within in search.space.items():
            if why := impossible(key, within, trained):
                node = section.at(("space", key))
                self.fault(node.key or node.place, why)
        return search

    def defaults(self) -> None:
        every = {key for method in registries.METHODS.values() for key in fields(method)}
        known_keys(self.section("defaults"), every, self.faults)

    def buildable(self, variant: Variant, image_size: int) -> None:
        """Builds a variant's networks without memory: what cannot be built is a fault of the study file."""
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
                node.key or node.place,
                f"'{variant.name}' cannot be built at image_size {image_size} ({place}): {error}",
            )

    def dataset(self, node: Node) -> Any:
        kind = node.get("kind")
        if kind is None or kind.text not in registries.DATASETS:
            place = kind.place if kind else (node.key or node.place)
            self.fault(place, unknown(kind.plain() if kind else "kind", registries.DATASETS, "" if kind else "missing"))
            return None
        return self.model(registries.DATASETS[kind.value], node)
