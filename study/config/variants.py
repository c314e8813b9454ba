"""Reads the named entries of a study file: names, ``extends``, recipes, variants.

Faults are collected with their places; an entry with a fault is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import reduce
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from study.config.messages import explain, fields
from study.config.nodes import Node, Place, not_a_mapping
from study.config.schema import Variant
from study.errors import near, shown, unknown
from study.parts import registries

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""Names become file names, columns and words of a command."""


class VariantReader:
    """Reads named entries and variants from a study's tree. Adds to ``faults``."""

    def __init__(self, file: Path, tree: Node, profile: str | None, faults: list[str]) -> None:
        self.file, self.tree, self.profile, self.faults = file, tree, profile, faults

    def fault(self, place: Place, message: str) -> None:
        self.faults.append(place.fault(message))

    def section(self, name: str) -> Node:
        """A section of the study file; an empty mapping if there is none."""
        return self.tree.get(name) or Node({}, Place(str(self.file), 1, 1, (name,)))

    def named(self, section: str) -> list[tuple[str, Node]]:
        """The entries of a section that have a valid name and are mappings."""
        node, entries = self.section(section), []
        if not node.is_mapping:
            self.fault(node.place, not_a_mapping(node, "names"))
        for name, entry in node.items():
            if not NAME.fullmatch(name):
                rule = "use letters, digits, '_', '-' and '.', 64 at most"
                self.fault(entry.name_place, f"{shown(name)} is not a valid name; {rule}")
            elif not entry.is_mapping:
                self.fault(entry.place, not_a_mapping(entry))
            else:
                entries.append((name, entry))
        return entries

    def resolved(self, section: str, name: str) -> Node | None:
        """An entry merged over those it extends; None if ``extends`` is wrong (a fault is added)."""
        entries = dict(self.section(section).items())
        chain: dict[str, Node] = {}
        while True:
            node = chain[name] = entries[name]
            base = node.get("extends")
            if base is None:
                break
            if base.text in chain:
                names = list(chain)
                circle = names[names.index(base.text) :]
                start = circle.index(min(circle, key=list(entries).index))
                circle = [*circle[start:], *circle[: start + 1]]  # the same fault from wherever it is entered
                place = entries[circle[0]].value["extends"].place
                self.fault(place, f"'extends' goes in a circle: {' -> '.join(circle)}")
                return None
            if base.text not in entries:
                others = [entry for entry in entries if entry != name]
                self.fault(base.place, unknown(base.plain(), others, f"none of the {section}"))
                return None
            if not entries[base.text].is_mapping:
                return None  # ``named`` adds its fault
            name = base.text
        own = [node.without("extends") for node in reversed(chain.values())]
        return reduce(lambda base, node: self.inherited(section, node, base), own)

    def inherited(self, section: str, own: Node, base: Node) -> Node:
        """``own`` merged over ``base``. A variant of another method inherits only the options that its method has."""
        method = own.get("method")
        if section == "variants" and method is not None and method.text in registries.METHODS:
            base = base.only([*fields(registries.METHODS[method.text]), "method"])
        return own.extending(base)

    def variant(self, name: str, tree: Node, recipes: Mapping[str, Node | None]) -> Variant | None:
        """A variant from its resolved entry; None if it has a fault."""
        method = tree.get("method")
        if method is None:
            others = (other for other, _ in self.section("variants").items() if other != name)
            choice = ", ".join(sorted(registries.METHODS))
            self.fault(tree.name_place, f"'method' is missing; choose {choice}{near(name, others)}")
            return None
        if method.text not in registries.METHODS:
            self.fault(method.place, unknown(method.plain(), registries.METHODS))
            return None
        kind = registries.METHODS[method.text]
        keys = fields(kind)
        tree = tree.without("method").over(self.section("defaults").only(keys))
        loss = tree.get("loss")
        if loss is not None and "loss" in keys:
            recipe = self.recipe(loss, recipes)
            if recipe is None:  # its fault is known; look for others in the rest
                self.model(kind, tree.without("loss"))
                return None
            tree = tree.put(["loss"], recipe)
        options = self.model(kind, tree)
        return Variant(name=name, method=method.text, options=options) if options is not None else None

    def recipe(self, node: Node, recipes: Mapping[str, Node | None]) -> Node | None:
        """A recipe by its name, or a mapping that may extend one."""
        base = node.get("extends") if node.is_mapping else node
        if base is None:
            return node
        if base.text not in recipes:
            self.fault(base.place, unknown(base.plain(), recipes, "not a recipe of this study"))
            return None
        recipe = recipes[base.text]
        if recipe is None or not node.is_mapping:
            return recipe
        return node.without("extends").extending(recipe)

    def model(self, kind: type[Any], node: Node) -> Any:
        """A node as the options of a class; None if it does not validate."""
        if not node.is_mapping:
            self.fault(node.place, not_a_mapping(node))
            return None
        return self.value(kind, node, None)

    def value(self, kind: Any, node: Node, default: Any) -> Any:
        """A node as a type that pydantic knows; ``default`` if it does not validate. One fault for each place."""
        try:
            return TypeAdapter(kind).validate_python(node.plain())
        except ValidationError as error:
            messages: dict[str, list[str]] = {}
            for fault in error.errors():
                wrong = node.at(fault["loc"])
                is_key = fault["type"] == "extra_forbidden" or fault["loc"][-1:] == ("[key]",)
                place = wrong.name_place if is_key else wrong.place
                sentences, got = messages.setdefault(str(place), []), f"got {shown(fault['input'])}; "
                sentences.append(explain(fault, kind).removeprefix(got if sentences else ""))
            for place_text, texts in messages.items():
                self.faults.append(f"{place_text}: {'; or '.join(dict.fromkeys(texts))}")
            return default
