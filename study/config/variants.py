"""Reads the named entries of a study file: names, ``extends``, recipes, variants."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from study.config.messages import explain, fields
from study.config.nodes import MAX_DEPTH, Node, Place, collected, node_of, not_a_mapping
from study.config.schema import Variant
from study.errors import MANY, BadInput, near, shown, unknown
from study.parts import registries

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""Names become file names, columns and words of a command."""

OF_OPTIMIZER = ("optimizer", "rates")
"""The options that a variant with ``optimizer_of`` takes from another one."""

T = TypeVar("T")


class VariantReader:
    """Reads named entries and variants from a study's tree. Methods raise BadInput, or add to ``faults`` and go on."""

    def __init__(self, file: Path, tree: Node, profile: str | None, faults: list[str]) -> None:
        self.file, self.tree, self.profile, self.faults = file, tree, profile, faults

    def fault(self, place: Place, message: str) -> None:
        self.faults.append(place.fault(message))

    def section(self, name: str) -> Node:
        """A section of the study file; an empty mapping if there is none."""
        return self.tree.get(name) or Node({}, Place(str(self.file), 1, 1, (name,)))

    def entries(self, section: str, read: Callable[[str, Node], T]) -> dict[str, T]:
        """What ``read`` makes of each entry of a section, without those that have a fault."""
        node, entries = self.section(section), dict[str, T]()
        if not node.is_mapping:
            self.fault(node.place, not_a_mapping(node, "names"))
        for name, entry in node.items():
            if len(self.faults) >= MANY:
                break
            if not NAME.fullmatch(name):
                rule = "use letters, digits, '_', '-' and '.', 64 at most"
                self.fault(entry.name_place, f"{shown(name)} is not a valid name; {rule}")
            elif not entry.is_mapping:
                self.fault(entry.place, not_a_mapping(entry))
            else:
                with collected(self.faults):
                    entries[name] = read(name, entry)
        return entries

    def resolved(self, section: str, name: str, chain: tuple[str, ...] = ()) -> Node:
        """An entry merged over those it extends. ``chain``: the entries that lead to it.

        A variant with ``optimizer_of`` has the optimizer and the rates of the generator of the variant named there.
        """
        entries: dict[str, Node] = self.section(section).value
        node, chain = entries[name], (*chain, name)
        if len(chain) > MAX_DEPTH:
            place = (entries[chain[0]].get("extends") or entries[chain[0]]).place
            raise place.error(f"'extends' leads through more than {MAX_DEPTH} {section}; extend one nearer its base")
        if not node.is_mapping:
            raise BadInput([])  # ``entries`` adds its fault
        own, base = node.without("extends"), node.get("extends")
        source = node.get("optimizer_of") if section == "variants" else None
        if source is not None:
            own = own.without("optimizer_of").over(self.optimizer_of(source, chain))
        if base is None:
            return own
        if base.text in chain:
            circle = chain[chain.index(base.text) :]
            start = circle.index(min(circle, key=list(entries).index))
            circle = (*circle[start:], *circle[: start + 1])  # the same fault from wherever it is entered
            place = (entries[circle[0]].get("extends") or base).place
            raise place.error(f"'extends' goes in a circle: {' -> '.join(circle)}")
        if base.text not in entries:
            raise base.place.error(unknown(base.plain(), entries.keys() - {name}, f"none of the {section}"))
        tree, method = self.resolved(section, base.text, chain), own.get("method")
        if section == "variants" and method is not None and method.text in registries.METHODS:
            # a variant of another method inherits only the options that its method has
            tree = tree.only([*fields(registries.METHODS[method.text]), "method"])
        if source is not None:
            tree = tree.without(*OF_OPTIMIZER)
        return own.extending(tree)

    def optimizer_of(self, source: Node, chain: tuple[str, ...]) -> Node:
        """The optimizer and the rates of the generator of the variant that ``source`` names."""
        variants: dict[str, Node] = self.section("variants").value
        if source.text in chain:
            raise source.place.error(f"'optimizer_of' goes in a circle: {' -> '.join([*chain, source.text])}")
        if source.text not in variants:
            raise source.place.error(unknown(source.plain(), variants.keys() - set(chain), "not a variant"))
        options = self.variant(source.text, self.resolved("variants", source.text, chain)).options
        if not {*OF_OPTIMIZER} <= {*type(options).model_fields}:
            raise source.place.error(f"'{source.text}' has no optimizer and rates; name a variant that has them")
        plain = options.model_dump(mode="json", include={*OF_OPTIMIZER}, exclude_none=True)
        return node_of(plain, source.place)

    def variant(self, name: str, tree: Node) -> Variant:
        """A variant from its resolved entry."""
        method = tree.get("method")
        if method is None:
            others = (other for other, _ in self.section("variants").items() if other != name)
            choice = ", ".join(sorted(registries.METHODS))
            raise tree.name_place.error(f"'method' is missing; choose {choice}{near(name, others)}")
        if method.text not in registries.METHODS:
            raise method.place.error(unknown(method.plain(), registries.METHODS))
        kind = registries.METHODS[method.text]
        tree = tree.without("method").over(self.section("defaults").only(fields(kind)))
        faults: list[str] = []
        loss = tree.get("loss")
        if loss is not None and "loss" in fields(kind):
            tree = tree.without("loss")
            with collected(faults):  # after a fault, look for others in the rest
                tree = tree.put(["loss"], self.recipe(loss))
        with collected(faults):
            options = self.value(kind, tree)
        if faults:
            raise BadInput(faults)
        return Variant(name=name, method=method.text, options=options)

    def recipe(self, node: Node) -> Node:
        """A recipe by its name, or a mapping that may extend one."""
        base = node.get("extends") if node.is_mapping else node
        if base is None:
            return node
        recipes = dict(self.section("recipes").items())
        if base.text not in recipes:
            raise base.place.error(unknown(base.plain(), recipes, "not a recipe of this study"))
        recipe = self.resolved("recipes", base.text)
        return node.without("extends").extending(recipe) if node.is_mapping else recipe

    def value(self, kind: Any, node: Node) -> Any:
        """A node as a class of options, or another type that pydantic knows. Raises one fault for each place."""
        if isinstance(kind, type) and not node.is_mapping:
            raise node.place.error(not_a_mapping(node))
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
            faults = [f"{place}: {'; or '.join(dict.fromkeys(texts))}" for place, texts in messages.items()]
            raise BadInput(faults) from error
