"""Expands ablations and multiverses into variants."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from study.config import paths
from study.config.messages import fields
from study.config.nodes import Node, known_keys
from study.config.schema import Ablation, Multiverse, Setting, Variant
from study.errors import shown, unknown
from study.parts import registries

if TYPE_CHECKING:
    from study.config.variants import VariantReader

DESIGNS = ("one_at_a_time", "product")
MAX_UNIVERSES = 64
"""The default of a multiverse's ``most``: a larger number is usually a mistake."""


class FactorExpander:
    """Expands factors. Adds new configurations to ``variants``; a known configuration keeps its first name."""

    def __init__(
        self, reader: VariantReader, variants: dict[str, Variant | None], recipes: Mapping[str, Node | None]
    ) -> None:
        self.reader, self.variants, self.recipes = reader, variants, recipes
        self.named = dict(variants)
        """The variants that the study file names; None if they have a fault. Only these can be expanded."""

    def ablation(self, name: str, node: Node) -> Ablation | None:
        """The product of factors around one reference; None if it has a fault."""
        known_keys(node, ("reference", "factors"), self.reader.faults)
        reference, factors = node.get("reference"), node.get("factors")
        if reference is None:
            self.reader.fault(node.name_place, unknown("reference", self.named, "missing"))
            return None
        if reference.text not in self.named:
            self.reader.fault(reference.place, unknown(reference.plain(), self.named, "not a variant"))
            return None
        levels = self.levels(factors, node, [reference.text], "'factors', such as {multiscale: [0, 1, 2, 3]}")
        if levels is None:
            return None
        cells: dict[tuple[str, ...], str] = {}
        for combination in itertools.product(*levels.values()):
            cell = self.cell(reference.text, dict(zip(levels, combination, strict=True)))
            if cell is None:
                return None
            cells[tuple(label(level) for level in combination)] = cell
        texts = {factor: [label(level) for level in nodes] for factor, nodes in levels.items()}
        return Ablation(name=name, reference=reference.text, factors=texts, cells=cells)

    def multiverse(self, name: str, node: Node) -> Multiverse | None:
        """Bases under varied readings; None if it has a fault. A base without a reading keeps its configuration."""
        known_keys(node, ("base", "vary", "design", "contrasts", "most"), self.reader.faults)
        bases = self.names(node, "base")
        design = node.get("design")
        if design is not None and design.text not in DESIGNS:
            self.reader.fault(design.place, unknown(design.plain(), DESIGNS))
            return None
        contrasts = self.contrasts(node, bases)
        levels = self.levels(node.get("vary"), node, bases, "'vary', such as {head: [mean, linear]}") if bases else None
        if levels is None or contrasts is None:
            return None
        product = design is not None and design.text == "product"
        if self.too_large(node, levels, bases, product):
            return None
        universes: list[list[Setting]] = []
        seen: set[tuple[str, ...]] = set()
        for chosen in [{}, *_assignments(levels, product)]:
            settings = self.universe(bases, levels, chosen)
            if settings is None:
                return None
            variants = tuple(setting.variant for setting in settings)
            if variants not in seen:  # the usual levels give the bases again
                seen.add(variants)
                universes.append(settings)
        return Multiverse(
            name=name,
            bases=bases,
            contrasts=contrasts,
            design=design.text if design else DESIGNS[0],
            universes=universes,
        )

    def universe(
        self, bases: Sequence[str], levels: Mapping[str, list[Node]], chosen: Mapping[str, Node]
    ) -> list[Setting] | None:
        """The variant of each base with these levels chosen: one row per base and reading."""
        settings = []
        for base in bases:
            own = {key: level for key, level in chosen.items() if self.applies(key, base)}
            variant = self.cell(base, own)
            if variant is None:
                return None
            for key in levels:
                applies = self.applies(key, base)
                usual = self.usual(base, key, levels[key]) if applies else ""
                level = label(chosen[key]) if key in chosen else usual
                own_level = not applies or level == usual
                settings.append(
                    Setting(base=base, variant=variant, reading=key, level=level, usual=own_level, applies=applies)
                )
        return settings

    def origin(self, base: str) -> Variant:
        """A base whose levels were checked."""
        variant = self.named[base]
        assert variant is not None
        return variant

    def usual(self, base: str, key: str, levels: Sequence[Node]) -> str:
        """A base's own level of an option, as ``levels`` spells it if it is among them."""
        for level in levels:
            if self.is_own(base, key, level):
                return label(level)
        return text_of(paths.get(self.origin(base).options.model_dump(mode="json", by_alias=True), key))

    def is_own(self, base: str, key: str, level: Node) -> bool:
        """Returns True if a level leaves a base as it is."""
        known = len(self.reader.faults)
        variant = self.with_levels("", base, {key: level})
        del self.reader.faults[known:]  # a level that is impossible alone may be possible together with others
        return variant is not None and variant.same_as(self.origin(base))

    def with_levels(self, name: str, base: str, chosen: Mapping[str, Node]) -> Variant | None:
        """A base with these levels; None if they are impossible (a fault is added)."""
        tree = self.reader.resolved("variants", base)
        assert tree is not None
        for factor, level in chosen.items():
            tree = level.nested(factor.split(".")).over(tree)
        return self.reader.variant(name, tree, self.recipes)

    def applies(self, key: str, base: str) -> bool:
        """Returns True if the method of a base has an option."""
        return key.split(".")[0] in fields(registries.METHODS[self.origin(base).method])

    def names(self, node: Node, key: str) -> list[str]:
        """The variants that a list names; empty if the list has a fault."""
        entry = node.get(key)
        if entry is None or not isinstance(entry.value, list) or not entry.value:
            place = entry.place if entry else node.name_place
            self.reader.fault(place, f"a multiverse needs '{key}', a list of variants such as [proposed, glcic]")
            return []
        wrong = [name for name in entry.value if self.named.get(name.text) is None]
        for name in wrong:
            if name.text not in self.named:  # otherwise the variant has a fault of its own
                self.reader.fault(name.place, unknown(name.plain(), self.named, "not a variant"))
        names = [name.text for name in entry.value]
        if not wrong and (twice := _repeated(names)):
            self.reader.fault(entry.place, f"'{twice}' appears twice")
            return []
        return [] if wrong else names

    def contrasts(self, node: Node, bases: list[str]) -> list[list[str]] | None:
        """Pairs of bases; by default the first against each of the others. None if they have a fault."""
        entry = node.get("contrasts")
        if entry is None or not bases:
            return [[bases[0], other] for other in bases[1:]]
        pairs: Any = entry.plain()
        valid = isinstance(pairs, list) and all(
            isinstance(pair, list) and len(pair) == 2 and pair[0] != pair[1] and all(name in bases for name in pair)
            for pair in pairs
        )
        if not valid:
            self.reader.fault(entry.place, f"{shown(pairs)} is not a list of pairs of bases, such as [[a, b]]")
            return None
        return [[str(name) for name in pair] for pair in pairs]

    def levels(
        self, factors: Node | None, node: Node, bases: Sequence[str], needed: str
    ) -> dict[str, list[Node]] | None:
        """The levels of each factor; None if they have a fault. At least one base must have each factor."""
        origins = [self.named[base] for base in bases]
        if any(origin is None for origin in origins):
            return None
        if factors is None or not factors.is_mapping or not factors.value:
            self.reader.fault((factors or node).place, f"this needs {needed}")
            return None
        methods = list(dict.fromkeys(origin.method for origin in origins if origin is not None))
        options = list(dict.fromkeys(option for method in methods for option in fields(registries.METHODS[method])))
        levels: dict[str, list[Node]] = {}
        for factor, values in factors.items():
            if factor.split(".")[0] not in options:
                self.reader.fault(
                    values.name_place, unknown(factor, options, f"not an option of {' or '.join(methods)}")
                )
            elif not isinstance(values.value, list) or not values.value:
                self.reader.fault(values.place, f"{shown(values.plain())} is not a list of levels")
            elif twice := _repeated([label(level) for level in values.value]):
                self.reader.fault(values.place, f"the level {twice} appears twice")
            else:
                levels[factor] = values.value
        return levels if len(levels) == len(factors.value) else None

    def too_large(self, node: Node, levels: Mapping[str, list[Node]], bases: Sequence[str], product: bool) -> bool:
        """Returns True if a multiverse has more universes than it may, or its ``most`` is wrong (a fault is added)."""
        most = node.get("most")
        limit = MAX_UNIVERSES if most is None else most.value
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
            assert most is not None
            self.reader.fault(
                most.place, f"got {shown(most.plain())}; write a whole number, the most universes allowed"
            )
            return True
        counts = [len(nodes) for nodes in levels.values()]
        size = math.prod(counts) if product else 1 + sum(counts)
        if size <= limit:
            return False
        fewer = "vary less, set 'design: one_at_a_time'," if product else "vary less"
        self.reader.fault(
            node.name_place,
            f"this multiverse has up to {size:,} universes, that is {size * len(bases):,} variants of "
            f"{', '.join(bases)} for each seed; the limit is {limit}: {fewer} or set 'most: {size}'",
        )
        return True

    def cell(self, reference: str, chosen: Mapping[str, Node]) -> str | None:
        """The name of the variant with these levels: the reference's, and the factors in which it differs."""
        others = {factor: node for factor, node in chosen.items() if not self.is_own(reference, factor, node)}
        differences = ",".join(f"{factor}={label(node)}" for factor, node in others.items())
        name = f"{reference}:{differences}" if differences else reference
        variant = self.with_levels(name, reference, chosen)
        if variant is None:
            return None
        for known in self.variants.values():
            if known is not None and known.same_as(variant):
                return known.name
        self.variants[name] = replace(variant, reference=reference)
        return name


def _assignments(levels: Mapping[str, list[Node]], product: bool) -> Iterator[dict[str, Node]]:
    """Every choice of levels: all combinations, or one level at a time."""
    if product:
        for combination in itertools.product(*levels.values()):
            yield dict(zip(levels, combination, strict=True))
    else:
        for key, nodes in levels.items():
            for node in nodes:
                yield {key: node}


def _repeated(words: Sequence[str]) -> str | None:
    """The first word that appears for the second time."""
    return next((word for index, word in enumerate(words) if word in words[:index]), None)


def label(node: Node) -> str:
    """A factor's level as text."""
    return text_of(node.plain())


def text_of(level: Any) -> str:
    """A level as text: ``true`` as YAML writes it, a mapping as ``key=value``."""
    if isinstance(level, bool) or level is None:
        return {True: "true", False: "false", None: "null"}[level]
    return ",".join(f"{key}={value}" for key, value in level.items()) if isinstance(level, dict) else str(level)
