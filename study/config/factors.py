"""Expands ablations and multiverses into variants."""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from study.config import paths
from study.config.messages import fields
from study.config.nodes import Node, known_keys
from study.config.schema import Variant
from study.errors import BadInput, shown, unknown
from study.facts import AblationFacts, MultiverseFacts, UniverseFacts
from study.parts import registries

if TYPE_CHECKING:
    from study.config.variants import VariantReader

DESIGNS = ("one_at_a_time", "product")
MAX_UNIVERSES = 64
"""The default of a multiverse's ``most``: a larger number is usually a mistake."""
MAX_CELLS = 500
"""Of an ablation: a larger number is a mistake, and takes minutes to read."""
MAX_MOST = 1000
"""The largest ``most``."""
Levels = Mapping[str, list[Node]]


class FactorExpander:
    """Expands factors. Adds new configurations to ``variants``; a known configuration keeps its first name.

    Methods raise BadInput. Only the variants that the study file names, and that have no fault, can be expanded.
    """

    def __init__(self, reader: VariantReader, variants: dict[str, Variant]) -> None:
        self.reader, self.variants, self.named = reader, variants, dict(variants)
        self.names = {variant.configuration: name for name, variant in reversed(variants.items())}

    def ablation(self, _: str, node: Node) -> AblationFacts:
        """The product of factors around one reference; ``zip``ped ones move together, and ``exclude`` drops cells."""
        known_keys(node, ("reference", "factors", "zip", "exclude"), self.reader.faults)
        entry = node.get("reference")
        if entry is None:
            raise node.name_place.error(unknown("reference", self.named, "missing"))
        (reference,) = self.expandable([entry])
        levels = self.levels(node, "factors", [reference], "{multiscale: [0, 1, 2, 3]}")
        left_out = _excluded(node, levels)
        if (size := math.prod(map(len, groups := _zipped(node, levels)))) > MAX_CELLS:
            raise node.name_place.error(f"this ablation has {size:,} cells; the limit is {MAX_CELLS}: vary less")
        cells = [
            (tuple(label(chosen[factor]) for factor in levels), self.cell(reference, chosen))
            for chosen in map(_joined, itertools.product(*groups))
            if not any(all(label(chosen[factor]) in only for factor, only in one.items()) for one in left_out)
        ]
        if not cells:
            raise node.name_place.error("'exclude' leaves out every cell; leave out fewer")
        factors = {factor: [label(level) for level in nodes] for factor, nodes in levels.items()}
        return AblationFacts(reference=reference, factors=factors, cells=cells)

    def multiverse(self, _: str, node: Node) -> MultiverseFacts:
        """Bases under varied readings. A base without a reading keeps its configuration."""
        known_keys(node, ("base", "vary", "design", "contrasts", "most"), self.reader.faults)
        entry, design = node.get("base"), node.get("design") or Node(DESIGNS[0], node.place)
        if design.text not in DESIGNS:
            self.reader.fault(design.place, unknown(design.plain(), DESIGNS))
        if entry is None or not isinstance(entry.value, list) or not entry.value:
            place = entry.place if entry else node.name_place
            raise place.error("a multiverse needs 'base', a list of variants such as [proposed, glcic]")
        bases = self.expandable(entry.value)
        if twice := _repeated(bases):
            raise entry.place.error(f"'{twice}' appears twice")
        contrasts = self.contrasts(node, bases)
        levels = self.levels(node, "vary", bases, "{head: [mean, linear]}")
        product = design.text == "product"
        _check_size(node, levels, bases, product)
        universes: dict[tuple[str, ...], list[UniverseFacts]] = {}
        for chosen in [{}, *_assignments(levels, product)]:
            rows = list(self.universe(bases, levels, chosen))
            universes.setdefault(tuple(row.variant for row in rows), rows)  # the usual levels repeat the bases
        every = list(universes.values())
        return MultiverseFacts(base=bases, contrasts=contrasts, design=design.text, universes=every)

    def universe(self, bases: Sequence[str], levels: Levels, chosen: Mapping[str, Node]) -> Iterator[UniverseFacts]:
        """The variant of each base with these levels chosen: one row per base and reading."""
        for base in bases:
            variant = self.cell(base, {key: level for key, level in chosen.items() if self.applies(key, base)})
            for key, nodes in levels.items():
                applies = self.applies(key, base)
                usual = self.usual(base, key, nodes) if applies else ""
                level = label(chosen[key]) if key in chosen else usual
                own = not applies or level == usual
                yield UniverseFacts(base=base, variant=variant, reading=key, level=level, usual=own, applies=applies)

    def usual(self, base: str, key: str, levels: Sequence[Node]) -> str:
        """A base's own level of an option, as ``levels`` spells it if it is among them."""
        for level in levels:
            if self.is_own(base, key, level):
                return label(level)
        return text_of(paths.get(self.named[base].options.model_dump(mode="json", by_alias=True), key))

    def is_own(self, base: str, key: str, level: Node) -> bool:
        """Returns True if a level leaves a base as it is."""
        try:
            return self.with_levels("", base, {key: level}).configuration == self.named[base].configuration
        except BadInput:  # a level that is impossible alone may be possible together with others
            return False

    def with_levels(self, name: str, base: str, chosen: Mapping[str, Node]) -> Variant:
        """A base with these levels."""
        tree = self.reader.resolved("variants", base)
        loss = tree.get("loss")
        if loss is not None and any(factor.startswith("loss.") for factor in chosen):
            tree = tree.put(["loss"], self.reader.recipe(loss))  # the variant may name its recipe by one word
        for factor, level in chosen.items():
            for part in reversed(factor.split(".")):
                level = Node({part: level}, level.place)
            tree = level.over(tree)
        return self.reader.variant(name, tree)

    def applies(self, key: str, base: str) -> bool:
        """Returns True if the method of a base has an option."""
        return key.split(".")[0] in fields(registries.METHODS[self.named[base].method])

    def expandable(self, entries: Sequence[Node]) -> list[str]:
        """The variants that entries name."""
        if any(entry.text not in self.named for entry in entries):  # those with a fault have a message already
            known = dict(self.reader.section("variants").items())
            wrong = [entry for entry in entries if entry.text not in known]
            raise BadInput([entry.place.fault(unknown(entry.plain(), known, "not a variant")) for entry in wrong])
        return [entry.text for entry in entries]

    def contrasts(self, node: Node, bases: list[str]) -> list[list[str]]:
        """Pairs of bases; by default the first against each of the others."""
        entry = node.get("contrasts")
        if entry is None:
            return [[bases[0], other] for other in bases[1:]]
        pairs, possible = entry.plain(), [list(pair) for pair in itertools.permutations(bases, 2)]
        if not isinstance(pairs, list) or any(pair not in possible for pair in pairs):
            self.reader.fault(entry.place, f"{shown(pairs)} is not a list of pairs of bases, such as [[a, b]]")
            return []
        return pairs

    def levels(self, node: Node, key: str, bases: Sequence[str], example: str) -> Levels:
        """The levels of each factor. At least one base must have each factor."""
        factors = node.get(key)
        if factors is None or not factors.is_mapping or not factors.value:
            raise (factors or node).place.error(f"this needs '{key}', such as {example}")
        methods = list(dict.fromkeys(self.named[base].method for base in bases))
        options = [option for method in methods for option in fields(registries.METHODS[method])]
        faults = []
        zipped = {name.text for group in node.listed("zip") if isinstance(group.value, list) for name in group.value}
        for factor, values in factors.items():
            if factor.split(".")[0] not in options:
                why = unknown(factor, set(options), f"not an option of {' or '.join(methods)}")
                faults.append(values.name_place.fault(why))
            elif not isinstance(values.value, list) or not values.value:
                faults.append(values.place.fault(f"{shown(values.plain())} is not a list of levels"))
            elif factor not in zipped and (twice := _repeated([label(level) for level in values.value])):
                faults.append(values.place.fault(f"the level {twice} appears twice"))
        if faults:
            raise BadInput(faults)
        return {factor: values.value for factor, values in factors.items()}

    def cell(self, reference: str, chosen: Mapping[str, Node]) -> str:
        """The name of the variant with these levels: the reference's, and the factors in which it differs."""
        others = {factor: node for factor, node in chosen.items() if not self.is_own(reference, factor, node)}
        differences = ",".join(f"{factor}={label(node)}" for factor, node in others.items())
        name = f"{reference}:{differences}" if differences else reference
        variant = self.with_levels(name, reference, chosen)
        if (known := self.names.setdefault(variant.configuration, name)) == name:
            self.variants.setdefault(name, replace(variant, reference=reference))
        return known


def _zipped(node: Node, levels: Levels) -> list[list[dict[str, Node]]]:
    """The levels of the factors that move together (``zip``), in groups, and of each other factor. Raises BadInput."""
    groups, alone = [], dict(levels)
    for group in node.listed("zip"):
        names = group.plain()
        if not isinstance(names, list) or len(names) < 2:
            raise group.place.error(f"{shown(names)} is not a list of factors; write zip: [[a, b]]")
        for entry in group.value:
            if entry.text not in levels:
                raise entry.place.error(unknown(entry.plain(), levels, "not a factor"))
            if entry.text not in alone or names.count(entry.text) > 1:
                raise entry.place.error(f"'{entry.text}' is in 'zip' twice")
        columns = [alone.pop(name) for name in names]
        if len({*map(len, columns)}) > 1:
            counts = ", ".join(f"{name} {len(column)}" for name, column in zip(names, columns, strict=True))
            raise group.place.error(f"factors that move together need equally many levels; got {counts}")
        rows = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
        if twice := _repeated([", ".join(f"{key}={label(level)}" for key, level in row.items()) for row in rows]):
            raise group.place.error(f"{twice} appears twice")
        groups.append(rows)
    groups += [[{factor: level} for level in nodes] for factor, nodes in alone.items()]
    order = list(levels)
    groups.sort(key=lambda rows: min(map(order.index, rows[0])))  # the order of the file
    return groups


def _joined(rows: Sequence[dict[str, Node]]) -> dict[str, Node]:
    return {key: one for row in rows for key, one in row.items()}


def _excluded(node: Node, levels: Levels) -> list[dict[str, set[str]]]:
    """The cells to leave out: for each entry under ``exclude``, its levels by factor. Raises BadInput."""
    found, faults = [], []
    for entry in node.listed("exclude"):
        if not entry.is_mapping or not entry.value:
            example = "exclude: [{multiscale: 0, loss: js}]"
            raise entry.place.error(f"{shown(entry.plain())} is not a mapping of factors to levels; write {example}")
        cell = dict[str, set[str]]()
        for factor, value in entry.items():
            known = [label(level) for level in levels.get(factor, [])]
            several = isinstance(value.value, list) and label(value) not in known
            chosen = value.value if several else [value]
            if factor not in levels:
                faults.append(value.name_place.fault(unknown(factor, levels, "not a factor")))
            elif wrong := [one for one in chosen if label(one) not in known]:
                faults.append(wrong[0].place.fault(unknown(label(wrong[0]), known, "not a level")))
            cell[factor] = {label(one) for one in chosen}
        found.append(cell)
    if faults:
        raise BadInput(faults)
    return found


def _check_size(node: Node, levels: Levels, bases: Sequence[str], product: bool) -> None:
    """Raises BadInput if a multiverse has more universes than it may, or its ``most`` is wrong."""
    most = node.get("most") or Node(MAX_UNIVERSES, node.place)
    limit = most.value
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= MAX_MOST:
        what = f"write a whole number up to {MAX_MOST:,}, the most universes allowed"
        raise most.place.error(f"got {shown(most.plain())}; {what}")
    counts = [len(nodes) for nodes in levels.values()]
    size = math.prod(counts) if product else 1 + sum(counts)
    if size > limit:
        ways = ["vary less", *(["set 'design: one_at_a_time'"] if product else [])]
        ways += [f"set 'most: {size}'"] if size <= MAX_MOST else []
        fewer = f"{', '.join(ways[:-1])}{',' * (len(ways) > 2)} or {ways[-1]}" if len(ways) > 1 else ways[0]
        raise node.name_place.error(
            f"this multiverse has up to {size:,} universes, that is {size * len(bases):,} variants of "
            f"{', '.join(bases)} for each seed; the limit is {limit}: {fewer}"
        )


def _assignments(levels: Levels, product: bool) -> list[dict[str, Node]]:
    """Every choice of levels: all combinations, or one level at a time."""
    if product:
        return [dict(zip(levels, combination, strict=True)) for combination in itertools.product(*levels.values())]
    return [{key: node} for key, nodes in levels.items() for node in nodes]


def _repeated(words: Sequence[str]) -> str | None:
    """The first word that appears for the second time."""
    return next((word for word, count in Counter(words).items() if count > 1), None)


def label(node: Node) -> str:
    """A factor's level as text."""
    return text_of(node.plain())


def text_of(level: Any) -> str:
    """A level as text: ``true`` as YAML writes it, a mapping as ``key=value``."""
    if isinstance(level, bool) or level is None:
        return json.dumps(level)
    return ",".join(f"{key}={value}" for key, value in level.items()) if isinstance(level, dict) else str(level)
