"""The study file: read, laid under profile and options, checked, and turned into what is to be run.

Every fault of a file is reported at once, each with its place, what was got, and what is allowed.
"""

from __future__ import annotations

import fnmatch
import importlib.util
import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import torch
from pydantic import BaseModel, Field, TypeAdapter, ValidationError, model_validator

from models.method import Filler, Mask, Options, Recipe, Trained
from study import catalog
from study.errors import BadInput, near, shown, unknown
from study.source import Node, Place, assign, read

SECTIONS = (
    "study",
    "seeds",
    "profile",
    "image_size",
    "data",
    "recipes",
    "defaults",
    "variants",
    "ablations",
    "protocol",
    "numerics",
    "observers",
)
"""What a study file may say; ``profiles`` lays some of them over the rest."""

SMALLEST_RANDOM = 24
"""The image side, in pixels, from which the smallest random hole holds the centre of an SSIM window anywhere."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class Protocol(Options):
    """How every method is evaluated alike: the test's holes, and which images the figures show."""

    mask: Mask = Mask()
    seed: Annotated[int, Field(ge=0)] = 2020
    pictures: Annotated[int, Field(ge=0, le=64)] = 6


class Numerics(Options):
    """What changes the last bits: fixed before keys are computed, never by load."""

    precision: Literal["fp32", "bf16"] = "fp32"
    memory_format: Literal["channels_last", "contiguous"] = "channels_last"


class Observer(Options):
    """Where Sacred's records go, beside the files in the output that are always written."""

    kind: Literal["mongo", "sql"]
    url: str
    database: str | None = None

    @model_validator(mode="after")
    def _has_its_client(self) -> Observer:
        package = {"mongo": "pymongo", "sql": "sqlalchemy"}[self.kind]
        if importlib.util.find_spec(package) is None:
            raise ValueError(f"the observer '{self.kind}' needs the package {package}: pip install {package}")
        return self


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One named configuration of a method."""

    name: str
    method: str
    options: Trained | Filler
    reference: str | None = None

    def same_as(self, other: Variant) -> bool:
        """Whether both are one configuration under two names."""
        return self.method == other.method and self.options == other.options


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """A reference and a product of factors; ``cells`` maps each combination of levels to its variant's name."""

    name: str
    reference: str
    factors: dict[str, list[str]]
    cells: dict[tuple[str, ...], str]


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study file with its profile and options applied: everything that decides what is run."""

    name: str
    file: Path
    profile: str | None
    seeds: list[int]
    image_size: int
    data: dict[str, Any]
    variants: dict[str, Variant]
    ablations: dict[str, Ablation]
    protocol: Protocol
    numerics: Numerics
    observers: list[Observer] = field(default_factory=list)
    resolved: Mapping[str, Any] = field(default_factory=dict)
    data_nodes: Mapping[str, Node] = field(default_factory=dict, compare=False)


def load(
    file: Path,
    *,
    profile: str | None = None,
    settings: Sequence[str] = (),
    only: Sequence[str] = (),
    seeds: Sequence[int] | None = None,
) -> Study:
    """Reads a study file. ``settings`` are ``path.to.key=value``; ``only`` are names of variants, ``*`` allowed.

    Raises BadInput with all the file's faults at once, those of the profiles that are not chosen included.
    """
    faults: list[str] = []
    unread: list[str] = []
    root = read(file, unread)
    if not root.is_mapping:
        raise BadInput([*unread, root.place.fault("a study file is a mapping with 'data' and 'variants'")])
    profiles = _profiles(root, faults)
    chosen = _chosen_profile(root, profiles, profile, faults)
    for name, overlay in profiles.items():
        if name != chosen:
            _Reader(file, overlay.over(root), name, faults).study()
    tree = profiles[chosen].over(root) if chosen else root
    for setting in settings:
        tree = assign(tree, setting, unread)
    study = _Reader(file, tree, chosen, faults).study()
    if unread or faults or study is None:
        places = {_place_of(fault) for fault in unread}  # what could not be read is not also said to be wrong
        faults = [*unread, *(fault for fault in faults if _place_of(fault) not in places)]
        raise BadInput(list(dict.fromkeys(faults)))
    study = _selected(study, only, seeds)
    _evaluable(study, (tree.get("protocol") or tree).at(("mask", "kind")).place)
    return study


def _place_of(fault: str) -> tuple[str, ...]:
    return tuple(fault.split(": ", 2)[:2])


def _profiles(root: Node, faults: list[str]) -> dict[str, Node]:
    """The profiles by name, less what none of them may say."""
    section = root.get("profiles")
    if section is None or section.value is None:
        return {}
    if not section.is_mapping:
        faults.append(section.place.fault(_no_mapping(section, "profiles")))
    keys = [key for key in SECTIONS if key not in ("study", "profile")]
    return {name: _known_keys(overlay, keys, faults) for name, overlay in section.items()}


def _chosen_profile(root: Node, profiles: Mapping[str, Node], asked: str | None, faults: list[str]) -> str | None:
    if asked is not None:
        if asked not in profiles:
            raise BadInput(f"--profile {asked}: {unknown(asked, profiles, 'no profile of this study')}")
        return asked
    node = root.get("profile")
    if node is None:
        return None
    if not isinstance(node.value, str) or node.value not in profiles:
        faults.append(node.place.fault(unknown(node.plain(), profiles, "no profile of this study")))
        return None
    return node.value


def _selected(study: Study, only: Sequence[str], seeds: Sequence[int] | None) -> Study:
    variants = study.variants
    if only:
        for pattern in only:
            if not fnmatch.filter(variants, pattern):
                raise BadInput(f"--only {pattern}: {unknown(pattern, variants, 'no variant of this study')}")
        variants = {
            name: variant
            for name, variant in variants.items()
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in only)
        }
    if seeds is not None and not seeds:
        raise BadInput("--seeds: name at least one seed, such as 0,1,2 or 0-9")
    return Study(**{**vars(study), "variants": variants, "seeds": list(seeds or study.seeds)})


def _evaluable(study: Study, place: Place) -> None:
    """The protocol's holes have to be such as every chosen method can repair and every metric can score."""
    kind = study.protocol.mask.kind
    if kind == "center":
        return
    faults = [
        place.fault(f"got {kind}; '{variant.name}' repairs the central square only; leave it out with --only")
        for variant in study.variants.values()
        if isinstance(variant.options, Trained) and variant.options.central_only
    ]
    if study.image_size < SMALLEST_RANDOM:
        faults.append(place.fault(f"got {kind}; below {SMALLEST_RANDOM} px such holes are too small for SSIM"))
    if faults:
        raise BadInput(faults)


def _known_keys(node: Node, keys: Iterable[str], faults: list[str]) -> Node:
    """The mapping less its unknown keys, which are noted; an empty one where it is none."""
    known = list(keys)
    if not node.is_mapping:
        faults.append(node.place.fault(_no_mapping(node)))
        return Node({}, node.place)
    strange = {key: entry for key, entry in node.items() if key not in known}
    for key, entry in strange.items():
        faults.append((entry.key or entry.place).fault(unknown(key, known, "an unknown key")))
    return node.without(*strange)


def _no_mapping(node: Node, what: str = "its keys") -> str:
    if node.value is None:
        return f"nothing stands here; write {what} below it"
    return f"{shown(node.plain())} is not a mapping; write {what} below it"


def _text(node: Node) -> str:
    """The value where it is text; else what no name is."""
    return node.value if isinstance(node.value, str) else ""


class _Reader:
    """One pass over a study's tree. Faults are collected, and what stands on a fault is left out."""

    def __init__(self, file: Path, tree: Node, profile: str | None, faults: list[str]) -> None:
        self.file, self.tree, self.profile, self.faults = file, tree, profile, faults

    def fault(self, place: Place, message: str) -> None:
        self.faults.append(place.fault(message))

    def section(self, name: str) -> Node:
        return self.tree.get(name) or Node({}, Place(str(self.file), 1, 1, (name,)))

    def value(self, name: str, kind: Any, default: Any) -> Any:
        node = self.tree.get(name)
        if node is None:
            return default
        return self.checked(TypeAdapter(kind).validate_python, node, None, default)

    def study(self) -> Study | None:
        before = len(self.faults)
        _known_keys(self.tree, [*SECTIONS, "profiles"], self.faults)
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
        ablations = {name: self.ablation(name, node, variants, recipes) for name, node in self.named("ablations")}
        found = {name: variant for name, variant in variants.items() if variant}
        if len(self.faults) == before:
            for variant in found.values():
                self.buildable(variant, image_size)
        protocol = self.model(Protocol, self.section("protocol")) or Protocol()
        data = {name: self.dataset(node) for name, node in self.named("data")}
        if self.section("data").value == {}:
            self.fault(self.section("data").place, "a study needs at least one data set")
        study = Study(
            name=self.value("study", Annotated[str, Field(strict=True, min_length=1)], self.file.stem),
            file=self.file,
            profile=self.profile,
            seeds=self.seeds(),
            image_size=image_size,
            data=data,
            variants=found,
            ablations={name: ablation for name, ablation in ablations.items() if ablation},
            protocol=protocol,
            numerics=self.model(Numerics, self.section("numerics")) or Numerics(),
            observers=self.value("observers", list[Observer], []),
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

    # -- sections of named entries --------------------------------------------------------------------------

    def named(self, section: str) -> list[tuple[str, Node]]:
        """The entries of a section whose names can be file names, columns and words of a command."""
        node, entries = self.section(section), []
        if not node.is_mapping:
            self.fault(node.place, _no_mapping(node, "names"))
        for name, entry in node.items():
            if not NAME.fullmatch(name):
                self.fault(
                    entry.key or entry.place,
                    f"{shown(name)} is no name; use letters, digits, '_', '-' and '.', 64 at most",
                )
            elif not entry.is_mapping:
                self.fault(entry.place, _no_mapping(entry))
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
            if _text(base) not in entries:
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
        if section != "variants" or method is None or _text(method) not in catalog.METHODS:
            return own.extending(base)
        keys = {*_fields(catalog.METHODS[method.value]), "method"}
        return own.extending(base.without(*(key for key, _ in base.items() if key not in keys)))

    def defaults(self) -> None:
        every = {key for method in catalog.METHODS.values() for key in _fields(method)}
        _known_keys(self.section("defaults"), every, self.faults)

    # -- variants -------------------------------------------------------------------------------------------

    def variant(self, name: str, tree: Node, recipes: Mapping[str, Node | None]) -> Variant | None:
        method = tree.get("method")
        if method is None:
            others = (other for other, _ in self.section("variants").items() if other != name)
            choice = ", ".join(sorted(catalog.METHODS))
            self.fault(tree.key or tree.place, f"'method' is missing; choose {choice}{near(name, others)}")
            return None
        if _text(method) not in catalog.METHODS:
            self.fault(method.place, unknown(method.plain(), catalog.METHODS))
            return None
        kind = catalog.METHODS[method.value]
        defaults = self.section("defaults")
        keys = _fields(kind)
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
        if _text(base) not in recipes:
            self.fault(base.place, unknown(base.plain(), recipes, "no recipe of this study"))
            return None
        recipe = recipes[base.value]
        if recipe is None or not node.is_mapping:
            return recipe
        return node.without("extends").extending(recipe)

    def ablation(
        self, name: str, node: Node, variants: dict[str, Variant | None], recipes: Mapping[str, Node | None]
    ) -> Ablation | None:
        """Expands a product of factors; new combinations join ``variants``, known ones keep their first name."""
        _known_keys(node, ("reference", "factors"), self.faults)
        reference = node.get("reference")
        factors = node.get("factors")
        if reference is None or _text(reference) not in variants:
            place = reference.place if reference else node.key or node.place
            got = reference.plain() if reference else "reference"
            self.fault(place, unknown(got, variants, "missing" if reference is None else "no variant"))
            return None
        origin = variants[reference.value]
        tree = self.chain("variants", reference.value)
        if origin is None or tree is None:
            return None
        if factors is None or not factors.is_mapping or not factors.value:
            self.fault((factors or node).place, "an ablation needs 'factors', such as {multiscale: [0, 1, 2, 3]}")
            return None
        levels: dict[str, list[Node]] = {}
        for factor, values in factors.items():
            if factor.split(".")[0] not in _fields(catalog.METHODS[origin.method]):
                self.fault(
                    values.key or values.place,
                    unknown(factor, _fields(catalog.METHODS[origin.method]), f"no option of {origin.method}"),
                )
            elif not isinstance(values.value, list) or not values.value:
                self.fault(values.place, f"{shown(values.plain())} is not a list of levels")
            elif twice := _twice([_label(level) for level in values.value]):
                self.fault(values.place, f"the level {twice} stands twice")
            else:
                levels[factor] = values.value
        if len(levels) < len(factors.value):
            return None
        cells: dict[tuple[str, ...], str] = {}
        for combination in itertools.product(*levels.values()):
            chosen = dict(zip(levels, combination, strict=True))
            cell = self.cell(reference.value, tree, origin, chosen, variants, recipes)
            if cell is None:
                return None
            cells[tuple(_label(node) for node in combination)] = cell
        texts = {factor: [_label(node) for node in nodes] for factor, nodes in levels.items()}
        return Ablation(name=name, reference=reference.value, factors=texts, cells=cells)

    def cell(
        self,
        reference: str,
        tree: Node,
        origin: Variant,
        chosen: Mapping[str, Node],
        variants: dict[str, Variant | None],
        recipes: Mapping[str, Node | None],
    ) -> str | None:
        """One combination of levels, named after the factors in which it differs from the reference."""
        differs = []
        for factor, node in chosen.items():
            single = self.variant("", _laid(tree, factor, node), recipes)
            if single is None:
                return None
            if not single.same_as(origin):
                differs.append(f"{factor}={_label(node)}")
        name = f"{reference}:{','.join(differs)}" if differs else reference
        for factor, node in chosen.items():
            tree = _laid(tree, factor, node)
        variant = self.variant(name, tree, recipes)
        if variant is None:
            return None
        for known in variants.values():
            if known is not None and known.same_as(variant):
                return known.name
        variants[name] = Variant(**{**vars(variant), "reference": reference})
        return name

    def buildable(self, variant: Variant, image_size: int) -> None:
        """Builds a variant's networks without memory: what cannot be built is a fault of the study file."""
        if not isinstance(variant.options, Trained):
            return
        node = self.section("variants").get(variant.reference or variant.name) or self.section("variants")
        try:
            method = variant.options.method(image_size)
            with torch.device("meta"):
                catalog.build(catalog.GENERATORS, method.generator)
                for critic in method.critics.values():
                    catalog.build(catalog.CRITICS, critic.network)
        except ValueError as error:
            place = self.section("image_size").place
            self.fault(
                node.key or node.place,
                f"'{variant.name}' cannot be built at image_size {image_size} ({place}): {error}",
            )

    # -- data -----------------------------------------------------------------------------------------------

    def dataset(self, node: Node) -> Any:
        kind = node.get("kind")
        if kind is None or _text(kind) not in catalog.DATASETS:
            place = kind.place if kind else (node.key or node.place)
            self.fault(place, unknown(kind.plain() if kind else "kind", catalog.DATASETS, "" if kind else "missing"))
            return None
        return self.model(catalog.DATASETS[kind.value], node)

    # -- pydantic's errors, with their places ---------------------------------------------------------------

    def model(self, kind: type[Any], node: Node) -> Any:
        """The options of a class from a node, or None (the faults are noted)."""
        if not node.is_mapping:
            self.fault(node.place, _no_mapping(node))
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
                said, got = messages.setdefault(str(place), []), f"got {shown(fault['input'])}; "
                said.append(_said(dict(fault), kind).removeprefix(got if said else ""))
            for place_text, texts in messages.items():
                self.faults.append(f"{place_text}: {'; or '.join(dict.fromkeys(texts))}")
            return default


def _said(fault: dict[str, Any], kind: type[BaseModel] | None) -> str:
    """One pydantic error in our words."""
    location, context = fault["loc"], fault.get("ctx", {})
    match fault["type"]:
        case "extra_forbidden":
            return unknown(location[-1], _fields(_model_at(kind, location[:-1])), "an unknown key")
        case "missing":
            return f"'{location[-1]}' is missing"
        case "int_type" | "int_from_float":
            wanted = "a whole number"
        case "float_type":
            wanted = "a number"
        case "bool_type":
            wanted = "true or false"
        case "string_type":
            wanted = "text (in quotes, where it looks like a number)"
        case "list_type":
            wanted = "a list, such as [0, 1]"
        case "model_type" | "model_attributes_type" | "dict_type":
            wanted = "a mapping, such as {key: value}"
        case "finite_number":
            wanted = "a finite number"
        case "greater_than":
            wanted = f"a value above {context['gt']:g}"
        case "greater_than_equal":
            wanted = f"{context['ge']:g} or more"
        case "less_than":
            wanted = f"a value below {context['lt']}"
        case "less_than_equal":
            wanted = f"{context['le']:g} or less"
        case "too_short":
            wanted = f"a list of {context['min_length']} or more"
        case "too_long":
            wanted = f"a list of {context['max_length']} or less"
        case "literal_error":
            return unknown(fault["input"], re.findall(r"'([^']*)'", context["expected"]))
        case "value_error":
            return str(context["error"])
        case _:
            return f"got {shown(fault['input'])}; {fault['msg'][0].lower()}{fault['msg'][1:]}"
    return f"got {shown(fault['input'])}; write {wanted}"


def _model_at(kind: type[BaseModel] | None, location: Sequence[str | int]) -> type[BaseModel] | None:
    for part in location:
        if kind is None or not isinstance(part, str):
            continue
        for name, info in kind.model_fields.items():
            if part in (name, info.alias):
                kind = _model_in(info.annotation) or kind
    return kind


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)


def _fields(kind: type[BaseModel] | None) -> list[str]:
    return [info.alias or name for name, info in kind.model_fields.items()] if kind else []


def _laid(tree: Node, factor: str, node: Node) -> Node:
    """A tree with one option, named by a dotted path, set to a level."""
    for part in reversed(factor.split(".")):
        node = Node({part: node}, node.place)
    return node.over(tree)


def _twice(words: Sequence[str]) -> str | None:
    return next((word for place, word in enumerate(words) if word in words[:place]), None)


def _label(node: Node) -> str:
    """A factor's level as text: ``true`` as it is written, a mapping as ``key=value``."""
    plain = node.plain()
    if isinstance(plain, bool) or plain is None:
        return {True: "true", False: "false", None: "null"}[plain]
    return ",".join(f"{k}={v}" for k, v in plain.items()) if isinstance(plain, dict) else str(plain)


__all__ = ["Ablation", "BadInput", "Numerics", "Observer", "Protocol", "Study", "Variant", "load", "near"]
