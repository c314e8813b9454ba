"""One pass over the named entries of a study file: names, what extends what, recipes, variants.

Faults are collected with their places; an entry with a fault is left out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from study.config.messages import fields, said
from study.config.nodes import Node, Place, no_mapping
from study.config.schema import Variant
from study.errors import near, shown, unknown
from study.parts import registries

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class VariantReader:
    """Reads named entries and variants from a study's tree. Collects faults."""

    def __init__(self, file: Path, tree: Node, profile: str | None, faults: list[str]) -> None:
        self.file, self.tree, self.profile, self.faults = file, tree, profile, faults

    def fault(self, place: Place, message: str) -> None:
        self.faults.append(place.fault(message))

    def section(self, name: str) -> Node:
        return self.tree.get(name) or Node({}, Place(str(self.file), 1, 1, (name,)))

    def named(self, section: str) -> list[tuple[str, Node]]:
        """The entries of a section whose names can be file names, columns and words of a command."""
        node, entries = self.section(section), []
        if not node.is_mapping:
            self.fault(node.place, no_mapping(node, "names"))
        for name, entry in node.items():
            if not NAME.fullmatch(name):
                self.fault(
                    entry.key or entry.place,
                    f"{shown(name)} is no name; use letters, digits, '_', '-' and '.', 64 at most",
                )
            elif not entry.is_mapping:
                self.fault(entry.place, no_mapping(entry))
            else:
                entries.append((name, entry))
        return entries

    def chain(self, section: str, name: str) -> Node | None:
        """An entry laid over what it extends; None where that cannot be followed (the fault is noted)."""
        entries = dict(self.section(section).items())
        chain: list[Node] = []
        seen: list[str] = []
        current = name
        while True:
            node = entries[current]
            chain.append(node)
            seen.append(current)
            base = node.get("extends")
            if base is None:
                break
            if base.value in seen:
                circle = seen[seen.index(base.value) :]
                first = min(range(len(circle)), key=lambda i: list(entries).index(circle[i]))
                circle = [*circle[first:], *circle[: first + 1]]  # the same fault for all that stand on it
                place = entries[circle[0]].value["extends"].place
                self.fault(place, f"'extends' goes in a circle: {' -> '.join(circle)}")
                return None
            if base.text not in entries:
                others = [entry for entry in entries if entry != current]
                self.fault(base.place, unknown(base.plain(), others, f"none of the {section}"))
                return None
            if not entries[base.value].is_mapping:
                return None  # noted where it stands
            current = base.value
        tree: Node | None = None
        for node in reversed(chain):
            own = node.without("extends")
            tree = own if tree is None else self.inherited(section, own, tree)
        return tree

    def inherited(self, section: str, own: Node, base: Node) -> Node:
        """``own`` over ``base``; a variant of another method takes those of the base's keys that its method has."""
        method = own.get("method")
        if section != "variants" or method is None or method.text not in registries.METHODS:
            return own.extending(base)
        keys = {*fields(registries.METHODS[method.value]), "method"}
        return own.extending(base.without(*(key for key, _ in base.items() if key not in keys)))

    def variant(self, name: str, tree: Node, recipes: Mapping[str, Node | None]) -> Variant | None:
        method = tree.get("method")
        if method is None:
            others = (other for other, _ in self.section("variants").items() if other != name)
            choice = ", ".join(sorted(registries.METHODS))
            self.fault(tree.key or tree.place, f"'method' is missing; choose {choice}{near(name, others)}")
            return None
        if method.text not in registries.METHODS:
            self.fault(method.place, unknown(method.plain(), registries.METHODS))
            return None
        kind = registries.METHODS[method.value]
        defaults = self.section("defaults")
        keys = fields(kind)
        tree = tree.without("method").over(defaults.without(*(k for k, _ in defaults.items() if k not in keys)))
        loss = tree.get("loss")
        if loss is not None and "loss" in keys:
            recipe = self.recipe(loss, recipes)
            if recipe is None:  # the fault is noted; look for others in what remains
                self.model(kind, tree.without("loss"))
                return None
            tree = Node({**tree.value, "loss": recipe}, tree.place)
        options = self.model(kind, tree)
        return Variant(name=name, method=method.value, options=options) if options is not None else None

    def recipe(self, node: Node, recipes: Mapping[str, Node | None]) -> Node | None:
        """A recipe by name, or a mapping that extends one."""
        if node.is_mapping and node.get("extends") is None:
            return node
        base = node.get("extends") if node.is_mapping else node
        assert base is not None
        if base.text not in recipes:
            self.fault(base.place, unknown(base.plain(), recipes, "no recipe of this study"))
            return None
        recipe = recipes[base.value]
        if recipe is None or not node.is_mapping:
            return recipe
        return node.without("extends").extending(recipe)

    def model(self, kind: type[Any], node: Node) -> Any:
        """The options of a class from a node, or None (the faults are noted)."""
        if not node.is_mapping:
            self.fault(node.place, no_mapping(node))
            return None
        return self.checked(kind.model_validate, node, kind, None)

    def checked(self, validate: Callable[[Any], Any], node: Node, kind: type[BaseModel] | None, default: Any) -> Any:
        try:
            return validate(node.plain())
        except ValidationError as error:
            messages: dict[str, list[str]] = {}
            for fault in error.errors():
                found = node.at(fault["loc"])
                of_key = fault["type"] == "extra_forbidden" or fault["loc"][-1:] == ("[key]",)
                place = (found.key or found.place) if of_key else found.place
                sentences, got = messages.setdefault(str(place), []), f"got {shown(fault['input'])}; "
                sentences.append(said(dict(fault), kind).removeprefix(got if sentences else ""))
            for place_text, texts in messages.items():
                self.faults.append(f"{place_text}: {'; or '.join(dict.fromkeys(texts))}")
            return default
