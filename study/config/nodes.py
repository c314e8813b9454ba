"""A YAML file as nodes. Each knows its line and column, so that every later error can point there."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode
from ruamel.yaml.nodes import Node as YamlNode
from ruamel.yaml.scanner import Scanner

from study.errors import BadInput, shown, unknown
from study.files import read_file

YAML_TAG = "tag:yaml.org,2002:"
SCALARS = {YAML_TAG + name for name in ("str", "int", "float", "bool", "null")}
COLLECTIONS = {YAML_TAG + "map", YAML_TAG + "seq"}
MAX_BYTES = 500_000
MAX_DEPTH = 30
MAX_VALUES = 8_000
"""Limits for a file; of depth and values, with its aliases expanded. A larger one is a mistake or an attack."""
WORD = re.compile(r'(?:^|\.)(?:"([^"]*)"|([^.]*))(?=\.|$)')
"""A key in the path of ``--set``: up to the next dot, or in quotes."""

BESIDE = 100  # levels that are still composed, so that the message can name the place

TOO_DEEP = f"nested more than {MAX_DEPTH} levels deep; a study file has fewer"
TOO_MANY = f"more than {MAX_VALUES} values with aliases expanded; a study file has fewer"


@dataclass(frozen=True)
class Place:
    """Where a value is: ``runs.yaml:41:13: variants.no_local.loss``. ``line`` is 0 for a command-line option."""

    source: str
    line: int
    column: int
    path: tuple[str, ...]

    def __str__(self) -> str:
        at = f"{self.source}:{self.line}:{self.column}" if self.line else self.source
        path = ".".join(part if part.isprintable() else repr(part) for part in self.path)
        return f"{at}: {path}" if path else at

    def fault(self, message: str) -> str:
        """``place: message``, as users see it."""
        return f"{self}: {message}"

    def error(self, message: str) -> BadInput:
        """A fault as an error."""
        return BadInput(self.fault(message))


@dataclass(frozen=True)
class Node:
    """A scalar, a list of nodes, or a dictionary of nodes. ``key`` is the place of the key that names it, if any."""

    value: Any
    place: Place
    key: Place | None = None

    @property
    def is_mapping(self) -> bool:
        return isinstance(self.value, dict)

    @property
    def text(self) -> str:
        """The value if it is text, else an empty string."""
        return self.value if isinstance(self.value, str) else ""

    @property
    def name_place(self) -> Place:
        """The place of the key, or of the value if it has no key."""
        return self.key or self.place

    def get(self, key: str) -> Node | None:
        """The entry ``key``; None if there is none or this is not a mapping."""
        return self.value.get(key) if self.is_mapping else None

    def items(self) -> Iterator[tuple[str, Node]]:
        """The entries of a mapping; none for anything else."""
        yield from self.value.items() if self.is_mapping else ()

    def listed(self, key: str) -> list[Node]:
        """The entries of the list ``key``; a single value counts as a list of one."""
        entry = self.get(key)
        return [] if entry is None else entry.value if isinstance(entry.value, list) else [entry]

    def without(self, *keys: str) -> Node:
        """The mapping without some keys."""
        return self.only(key for key, _ in self.items() if key not in keys)

    def only(self, keys: Iterable[str]) -> Node:
        """The mapping with these keys alone."""
        known = set(keys)
        return replace(self, value={key: node for key, node in self.items() if key in known})

    def plain(self) -> Any:
        """The value without places."""
        if self.is_mapping:
            return {key: node.plain() for key, node in self.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def at(self, path: Sequence[str | int]) -> Node:
        """The node at a path, or the deepest one on the way to it."""
        node = self
        for part in path:
            entries: dict[Any, Node] = dict(enumerate(node.value) if isinstance(node.value, list) else node.items())
            node = entries.get(part, node)
        return node

    def put(self, path: Sequence[str], node: Node) -> Node:
        """The mapping with ``node`` at a path, in place of what is there. ``null`` removes a mapping or a list."""
        if not path:
            return node
        first, *rest = path
        base = self if self.is_mapping else Node({}, replace(node.place, path=node.place.path[: -len(path)]))
        if not rest and _removes(node, base.get(first)):
            return base.without(first)
        entry = base.get(first) or Node(None, node.place)
        return replace(base, value={**base.value, first: entry.put(rest, node)})

    def over(self, base: Node) -> Node:
        """This node merged over another: mappings are merged key by key, anything else replaces the base.

        A mapping with another ``kind`` than the base's replaces it as a whole. ``null`` removes a mapping or a list.
        """
        kind, other = self.get("kind"), base.get("kind")
        return self if kind and other and kind.value != other.value else self.extending(base)

    def extending(self, base: Node) -> Node:
        """The same for an entry that names the other under ``extends``: the two are merged whatever their ``kind``."""
        if not (self.is_mapping and base.is_mapping):
            return self
        merged = dict(base.value)
        for key, node in self.items():
            if _removes(node, merged.get(key)):
                del merged[key]
            else:
                merged[key] = node.over(merged[key]) if key in merged else node
        return replace(self, value=merged)


def _removes(node: Node, base: Node | None) -> bool:
    return node.value is None and base is not None and isinstance(base.value, dict | list)


def read(file: Path, faults: list[str]) -> Node:
    """Reads a YAML file. Adds duplicate keys and values that are not plain to ``faults``. Raises BadInput."""
    try:
        text = read_file(file, MAX_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise BadInput(f"{file}: cannot be read: {why}; name a study file such as runs.yaml") from error
    return parse(text, str(file), faults)


def parse(text: str, source: str, faults: list[str], path: tuple[str, ...] = (), lines: bool = True) -> Node:
    """Parses YAML text. With ``lines=False`` places give the source alone, as for ``--set``."""
    parser = _Parser(source, lines, faults)
    try:
        root = parser.yaml.compose(text)
    except MarkedYAMLError as error:
        why = ", ".join(filter(None, (error.context, error.problem)))
        place = parser.place(error.problem_mark or error.context_mark, path)
        raise place.error(f"this is not YAML: {why}") from error
    except YAMLError as error:
        raise BadInput(f"{source}: this is not YAML: {' '.join(str(error).split())}") from error
    except BadInput as error:
        raise BadInput(f"{source}: {error}") from None
    if root is None:
        return Node(None, Place(source, 1 if lines else 0, 1, path))
    return parser.node(root, path)


class _Composer(Composer):
    """ruamel's, which stops as soon as a file is too deep or too long, and not at its end."""

    levels = 0
    count = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.levels += 1
        self.count += 1
        if self.levels > MAX_DEPTH + BESIDE:
            raise BadInput(TOO_DEEP)
        if self.count > 2 * MAX_VALUES:  # keys and values
            raise BadInput(TOO_MANY)
        node = super().compose_node(parent, index)
        self.levels -= 1
        return node


class _Scanner(Scanner):
    """ruamel's, which stops at brackets that are too deep: it reads far ahead of the composer."""

    def fetch_flow_collection_start(self, *arguments: Any, **named: Any) -> None:
        if self.flow_level > MAX_DEPTH + BESIDE:
            raise BadInput(TOO_DEEP)
        super().fetch_flow_collection_start(*arguments, **named)


class _Parser:
    """Turns ruamel's nodes into ours. Collects faults; a node with a fault gets the value None."""

    def __init__(self, source: str, lines: bool, faults: list[str]) -> None:
        self.yaml, self.source, self.lines, self.faults = YAML(typ="safe", pure=True), source, lines, faults
        self.yaml.Composer, self.yaml.Scanner = _Composer, _Scanner
        self.count = 0
        self.open = set[int]()  # the collections around the current node: an alias to one of them has no end

    def place(self, mark: Any, path: tuple[str, ...]) -> Place:
        return Place(self.source, mark.line + 1 if self.lines else 0, mark.column + 1, path)

    def node(self, node: YamlNode, path: tuple[str, ...]) -> Node:
        place, value, tag = self.place(node.start_mark, path), None, str(node.tag)
        self.count += 1
        if id(node) in self.open:
            raise place.error("this alias refers to itself; write the value instead")
        short = replace(place, path=path[:3])
        if len(path) > MAX_DEPTH:
            raise short.error(TOO_DEEP)
        if self.count > MAX_VALUES:
            raise short.error(TOO_MANY)
        if tag not in (SCALARS if isinstance(node, ScalarNode) else COLLECTIONS):
            self.faults.append(place.fault(_tagged(tag, node)))
        elif isinstance(node, ScalarNode):
            try:
                value = self.yaml.constructor.construct_object(node)
            except (ValueError, KeyError, YAMLError):
                self.faults.append(place.fault(f"{shown(node.value)} cannot be read as {tag.removeprefix(YAML_TAG)}"))
        else:
            self.open.add(id(node))
            if isinstance(node, MappingNode):
                value = self.mapping(node, path)
            else:
                value = [self.node(item, (*path, str(i))) for i, item in enumerate(node.value)]
            self.open.remove(id(node))
        return Node(value, place)

    def mapping(self, node: MappingNode, path: tuple[str, ...]) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value) if isinstance(key_node, ScalarNode) else "?"
            place = self.place(key_node.start_mark, (*path, key))
            if not isinstance(key_node, ScalarNode) or key == "<<":
                why = "a key is a plain word; write 'extends: NAME' to build on another entry"
                self.faults.append(place.fault(why))
            elif key in entries:
                line = f", first on line {entries[key].name_place.line}" if self.lines else ""
                self.faults.append(place.fault(f"the key {shown(key)} appears twice{line}; keep one"))
            else:
                value = self.node(value_node, (*path, key))
                empty = not value_node.value and str(value_node.tag) == YAML_TAG + "null"
                entries[key] = replace(value, key=place, place=place if empty else value.place)
        return entries


def _tagged(tag: str, node: YamlNode) -> str:
    if tag == YAML_TAG + "timestamp":
        return f"YAML reads '{node.value}' as a date; write it in quotes"
    short = "!!" + tag.removeprefix(YAML_TAG) if tag.startswith(YAML_TAG) else tag
    return f"the tag {short} is not allowed; write plain values only"


def assign(root: Node, setting: str, faults: list[str]) -> Node:
    """The tree with one ``path.to.key=value`` of ``--set`` applied. The value is YAML; a key with dots, in quotes."""
    name, sign, text = setting.partition("=")
    path = _path(name, root)
    source = f"--set {setting}"
    if not sign or not all(path):
        raise BadInput(f"{source}: write --set path.to.key=value")
    if path[0] in ("profile", "profiles"):  # profiles are applied before --set: it would do nothing
        raise BadInput(f"{source}: choose a profile with --profile NAME, and set the key itself, as in image_size=64")
    node = parse(text, source, faults, path, lines=False)
    if node.value is None and text.strip() not in ("null", "~"):
        raise BadInput(f"{source}: the value is missing; write --set {name}=value, or null")
    return root.put(path, node)


def _path(name: str, root: Node) -> tuple[str, ...]:
    """The keys that a dotted name means. A key with dots is found if the tree has it, or is written in quotes."""
    rest = [quoted or word for quoted, word in WORD.findall(name.strip())]
    node: Node | None = root
    path: list[str] = []
    while rest:
        size = next((n for n in range(len(rest), 0, -1) if node and node.get(".".join(rest[:n]))), 1)
        key, rest = ".".join(rest[:size]), rest[size:]
        path.append(key)
        node = node.get(key) if node else None
    return tuple(path)


def node_of(value: Any, place: Place) -> Node:
    """A plain value as a node, all of it at one place."""
    if isinstance(value, dict):
        return Node({key: node_of(entry, place) for key, entry in value.items()}, place)
    return Node([node_of(entry, place) for entry in value] if isinstance(value, list) else value, place)


@contextmanager
def collected(faults: list[str]) -> Iterator[None]:
    """Ends the block at a ``BadInput`` and adds its faults to ``faults``."""
    try:
        yield
    except BadInput as error:
        faults += error.faults


def known_keys(node: Node, known: Collection[str], faults: list[str]) -> Node:
    """The mapping without unknown keys, which are added to ``faults``; empty if the node is not a mapping."""
    if not node.is_mapping:
        faults.append(node.place.fault(not_a_mapping(node)))
    wrong = [(key, entry.name_place) for key, entry in node.items() if key not in known]
    faults += [place.fault(unknown(key, known, "an unknown key")) for key, place in wrong]
    return node.only(known)


def not_a_mapping(node: Node, content: str = "its keys") -> str:
    """The message for a node that should be a mapping."""
    if node.value is None:
        return f"this is empty; write {content} below it"
    return f"{shown(node.plain())} is not a mapping; write {content} below it"
