"""A YAML file as nodes that remember where they stand, so that every later fault can point at its place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.nodes import Node as YamlNode

from study.errors import BadInput, shown, unknown

YAML_TAG = "tag:yaml.org,2002:"
PLAIN_TAGS = {YAML_TAG + name for name in ("str", "int", "float", "bool", "null")}
DEEPEST = 30
MOST = 20_000
"""Values in a file, aliases followed; and levels of nesting. Beyond is no study, but a mistake or an attack."""


@dataclass(frozen=True)
class Place:
    """Where a value stands: ``runs.yaml:41:13: variants.no_local.loss``, or in an option of the command line."""

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


@dataclass(frozen=True)
class Node:
    """A value with its place. ``value`` is a scalar, a list of nodes, or a dictionary of nodes.

    ``key``: where the key stands that names it, if one does.
    """

    value: Any
    place: Place
    key: Place | None = None

    @property
    def is_mapping(self) -> bool:
        return isinstance(self.value, dict)

    @property
    def text(self) -> str:
        """The value where it is text; else what no name is."""
        return self.value if isinstance(self.value, str) else ""

    def get(self, key: str) -> Node | None:
        """The entry ``key`` of a mapping, if there."""
        return self.value.get(key) if self.is_mapping else None

    def items(self) -> Iterator[tuple[str, Node]]:
        """The entries of a mapping; nothing for anything else."""
        yield from self.value.items() if self.is_mapping else ()

    def without(self, *keys: str) -> Node:
        """The mapping less some keys."""
        return replace(self, value={key: node for key, node in self.items() if key not in keys})

    def plain(self) -> Any:
        """The value without places."""
        if self.is_mapping:
            return {key: node.plain() for key, node in self.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def at(self, path: tuple[str | int, ...]) -> Node:
        """The node at a path, or the deepest one on the way to it."""
        node = self
        for part in path:
            entries: dict[Any, Node] = dict(enumerate(node.value) if isinstance(node.value, list) else node.items())
            node = entries.get(part, node)
        return node

    def over(self, base: Node) -> Node:
        """This node laid over another: mappings are joined key by key, anything else replaces.

        A mapping that names another ``kind`` than the base's is another thing and replaces it whole; ``null`` takes a
        mapping or a list out.
        """
        kind, other = self.get("kind"), base.get("kind")
        if kind and other and kind.value != other.value:
            return self
        return self.extending(base)

    def extending(self, base: Node) -> Node:
        """The same, for an entry that says itself that it extends the other, whatever its ``kind``."""
        if not (self.is_mapping and base.is_mapping):
            return self
        joined = dict(base.value)
        for key, node in self.items():
            if _takes_out(node, joined.get(key)):
                del joined[key]
            else:
                joined[key] = node.over(joined[key]) if key in joined else node
        return replace(self, value=joined)


def _takes_out(node: Node, base: Node | None) -> bool:
    return node.value is None and base is not None and isinstance(base.value, dict | list)


def read(file: Path, faults: list[str]) -> Node:
    """Reads a YAML file; duplicate keys and odd values are added to ``faults``. Raises BadInput where it is no YAML."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise BadInput(f"{file}: cannot be read: {why}; name a study file such as runs.yaml") from error
    return parse(text, str(file), faults)


def parse(text: str, source: str, faults: list[str], path: tuple[str, ...] = (), lines: bool = True) -> Node:
    """YAML text as a node. ``lines`` false: the places name the source alone, as for ``--set``."""
    yaml = YAML(typ="safe", pure=True)
    try:
        root = yaml.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(source, mark.line + 1 if mark and lines else 0, mark.column + 1 if mark else 0, path)
        why = ", ".join(filter(None, (error.context, error.problem)))
        raise BadInput(place.fault(f"this is not YAML: {why}")) from error
    except YAMLError as error:
        raise BadInput(f"{source}: this is not YAML: {' '.join(str(error).split())}") from error
    except RecursionError:
        raise BadInput(f"{source}: nested deeper than {DEEPEST} levels; a study file is not") from None
    if root is None:
        return Node(None, Place(source, 1 if lines else 0, 1, path))
    return _Reader(yaml, source, lines, faults).node(root, path, 0)


class _Reader:
    def __init__(self, yaml: YAML, source: str, lines: bool, faults: list[str]) -> None:
        self.yaml, self.source, self.lines, self.faults = yaml, source, lines, faults
        self.count, self.open = 0, set[int]()

    def place(self, node: YamlNode, path: tuple[str, ...]) -> Place:
        mark = node.start_mark
        return Place(self.source, mark.line + 1 if self.lines else 0, mark.column + 1, path)

    def node(self, node: YamlNode, path: tuple[str, ...], depth: int) -> Node:
        place = self.place(node, path)
        self.count += 1
        if id(node) in self.open:
            raise BadInput(place.fault("this alias stands inside its own anchor; write the value itself"))
        short = replace(place, path=path[:3])
        if depth > DEEPEST:
            raise BadInput(short.fault(f"nested deeper than {DEEPEST} levels; a study file is not"))
        if self.count > MOST:
            raise BadInput(short.fault(f"more than {MOST} values, aliases followed; a study file has fewer"))
        tag = str(node.tag)
        if isinstance(node, ScalarNode):
            return Node(self.scalar(node, tag, place), place)
        if tag not in (YAML_TAG + "map", YAML_TAG + "seq"):
            self.faults.append(place.fault(_tagged(tag)))
            return Node(None, place)
        self.open.add(id(node))
        value: Any
        if isinstance(node, MappingNode):
            value = self.mapping(node, path, depth)
        else:
            assert isinstance(node, SequenceNode)
            value = [self.node(item, (*path, str(i)), depth + 1) for i, item in enumerate(node.value)]
        self.open.remove(id(node))
        return Node(value, place)

    def scalar(self, node: ScalarNode, tag: str, place: Place) -> Any:
        """The value of a scalar; None where it is no plain one (the fault is noted)."""
        if tag not in PLAIN_TAGS:
            self.faults.append(place.fault(_tagged(tag, node.value)))
            return None
        try:
            return self.yaml.constructor.construct_object(node)
        except (ValueError, KeyError, YAMLError):
            self.faults.append(place.fault(f"{shown(node.value)} cannot be read as {tag.removeprefix(YAML_TAG)}"))
            return None

    def mapping(self, node: MappingNode, path: tuple[str, ...], depth: int) -> dict[str, Node]:
        found: dict[str, Node] = {}
        first: dict[str, int] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value) if isinstance(key_node, ScalarNode) else "?"
            place = self.place(key_node, (*path, key))
            if not isinstance(key_node, ScalarNode) or key == "<<":
                self.faults.append(place.fault("a key is a plain word; write 'extends: NAME' to build on another"))
            elif key in found:
                line = f", first in line {first[key]}" if self.lines else ""
                self.faults.append(place.fault(f"the key {shown(key)} stands twice{line}; keep one"))
            else:
                value = self.node(value_node, (*path, key), depth + 1)
                empty = not value_node.value and str(value_node.tag) == YAML_TAG + "null"
                found[key] = replace(value, key=place, place=place if empty else value.place)
                first[key] = place.line
        return found


def _tagged(tag: str, value: str = "") -> str:
    if tag == YAML_TAG + "timestamp":
        return f"'{value}' is a date to YAML; write it in quotes"
    short = "!!" + tag.removeprefix(YAML_TAG) if tag.startswith(YAML_TAG) else tag
    return f"the tag {short} is not allowed; write plain values only"


def assign(root: Node, setting: str, faults: list[str]) -> Node:
    """Lays ``path.to.key=value`` (the value is YAML) over a tree: what ``--set`` does."""
    name, sign, text = setting.partition("=")
    path = tuple(name.strip().split("."))
    source = f"--set {setting}"
    if not sign or not all(path):
        raise BadInput(f"{source}: write --set path.to.key=value")
    if path[0] in ("profile", "profiles"):  # laid over already: it would do nothing
        raise BadInput(f"{source}: choose a profile with --profile NAME, and set the key itself, as in image_size=64")
    node = parse(text, source, faults, path, lines=False)
    if node.value is None and text.strip() not in ("null", "~"):
        raise BadInput(f"{source}: the value is missing; write --set {name}=value, or null")
    return _assigned(root, path, node)


def _assigned(base: Node | None, path: tuple[str, ...], node: Node) -> Node:
    if not path:
        return node
    if base is None or not base.is_mapping:
        base = Node({}, replace(node.place, path=node.place.path[: len(node.place.path) - len(path)]))
    if len(path) == 1 and _takes_out(node, base.get(path[0])):
        return base.without(path[0])
    entries = {**base.value, path[0]: _assigned(base.get(path[0]), path[1:], node)}
    return replace(base, value=entries)


def known_keys(node: Node, keys: Iterable[str], faults: list[str]) -> Node:
    """The mapping less its unknown keys, which are noted; an empty one where it is none."""
    known = list(keys)
    if not node.is_mapping:
        faults.append(node.place.fault(no_mapping(node)))
        return Node({}, node.place)
    strange = {key: entry for key, entry in node.items() if key not in known}
    for key, entry in strange.items():
        faults.append((entry.key or entry.place).fault(unknown(key, known, "an unknown key")))
    return node.without(*strange)


def no_mapping(node: Node, what: str = "its keys") -> str:
    """What is wrong with a node that should be a mapping."""
    if node.value is None:
        return f"nothing stands here; write {what} below it"
    return f"{shown(node.plain())} is not a mapping; write {what} below it"
