"""The study file: read, laid under profile and options, checked, and turned into what is to be run.

Every fault of a file is reported at once, each with its place, what was got, and what is allowed.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from models.masks import RandomBox
from models.method import Recipe, Trained
from study import catalog, plugins
from study.cells import Cells
from study.configuration import Ablation, Multiverse, Numerics, Observer, Protocol, Search, Study, Tuned, Variant
from study.errors import BadInput, near, shown, unknown
from study.search import impossible
from study.source import Node, Place, assign, known_keys, no_mapping, read
from study.wording import fields, said

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

INCLUDED = ("variants", "tuned")
"""What a file may say that a study includes."""

SMALLEST_HOLE = 6
"""The side, in pixels, of a box that holds the centre of one of SSIM's 11x11 windows wherever it lies."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


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
    _use_plugins(root, file)
    root = _with_included(root, file, faults, unread)
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
    _repairable(study, tree)
    _fresh(study)
    return study


def _place_of(fault: str) -> tuple[str, ...]:
    return tuple(fault.split(": ", 2)[:2])


def _use_plugins(root: Node, file: Path) -> None:
    """Runs the study's plugins, which are named from its own folder: what follows may name their parts."""
    section = root.get("plugins")
    nodes = [] if section is None else section.value if isinstance(section.value, list) else [section]
    if wrong := [node for node in nodes if not node.text.endswith(".py")]:
        raise BadInput([node.place.fault(f"{shown(node.plain())} is no plugin; write [mine.py]") for node in wrong])
    plugins.use([(file.parent / node.text).resolve() for node in nodes])


def _with_included(root: Node, file: Path, faults: list[str], unread: list[str]) -> Node:
    """The study's tree with the variants of the files that it includes, which are named from its own folder."""
    section = root.get("include")
    if section is None:
        return root
    names = section.value if isinstance(section.value, list) else [section]
    for name in names:
        if not name.text:
            faults.append(name.place.fault(f"{shown(name.plain())} is no file; write [out/search/proposed_tuned.yaml]"))
            continue
        try:
            tree = read(file.parent / name.text, unread)
        except BadInput as error:
            why = f"a search writes it at its end: python -m study tune {file.name} --variant NAME"
            faults.append(name.place.fault(f"{error} ({why})"))
            continue
        tree = known_keys(tree, INCLUDED, faults)
        for section_name, entries in tree.items():
            own = root.get(section_name)
            for key, entry in entries.items():
                if own is not None and own.get(key) is not None:
                    faults.append((entry.key or entry.place).fault(f"'{key}' stands in {file} too; rename one"))
        root = tree.extending(root)
    return root


def _profiles(root: Node, faults: list[str]) -> dict[str, Node]:
    """The profiles by name, less what none of them may say."""
    section = root.get("profiles")
    if section is None or section.value is None:
        return {}
    if not section.is_mapping:
        faults.append(section.place.fault(no_mapping(section, "profiles")))
    keys = [key for key in SECTIONS if key not in ("study", "profile", "include", "plugins")]
    return {name: known_keys(overlay, keys, faults) for name, overlay in section.items()}


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


def _repairable(study: Study, tree: Node) -> None:
    """The holes of training and test have to be such as every chosen method can repair and every metric can score."""
    faults = []
    place = (tree.get("protocol") or tree).at(("mask", "kind")).place
    mask = study.protocol.mask
    for variant in study.variants.values():
        if not isinstance(variant.options, Trained) or not variant.options.central_only:
            continue
        told = f"'{variant.name}' repairs the central square only; leave it out with --only"
        if mask.kind != "center":
            faults.append(place.fault(f"got {mask.kind}; {told}"))
        if variant.options.mask.kind != "center":
            where = (tree.get("variants") or tree).get(variant.reference or variant.name) or tree
            faults.append(
                (where.key or where.place).fault(f"its holes in training are {variant.options.mask.kind}; {told}")
            )
    if isinstance(mask, RandomBox) and (pixels := round(mask.smallest * study.image_size)) < SMALLEST_HOLE:
        faults.append(
            place.fault(
                f"a hole of {pixels} px may lie where no window of SSIM fits; make 'smallest' at least "
                f"{SMALLEST_HOLE} px of {study.image_size}"
            )
        )
    if faults:
        raise BadInput(faults)


def _fresh(study: Study) -> None:
    """A tuned variant is not run with the seeds by which it was found: its score there is the search's own."""
    faults = []
    for variant in study.variants.values():
        tuned = study.tuned.get(variant.reference or variant.name)
        if tuned and (seen := sorted({*tuned.seeds} & {*study.seeds})):
            faults.append(
                f"{study.file}: '{variant.name}' was found by a search with seed {', '.join(map(str, seen))}; run it "
                "with fresh ones (--seeds or 'seeds'), or leave it out with --only"
            )
    if faults:
        raise BadInput(faults)


@cache
def _build(registry: str, part: str, version: int | str) -> None:
    """Builds a network without memory, once. Raises ValueError where it cannot be built."""
    with torch.device("meta"):
        catalog.build(catalog.REGISTRIES[registry], json.loads(part))


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

    # -- sections of named entries --------------------------------------------------------------------------

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
        if section != "variants" or method is None or method.text not in catalog.METHODS:
            return own.extending(base)
        keys = {*fields(catalog.METHODS[method.value]), "method"}
        return own.extending(base.without(*(key for key, _ in base.items() if key not in keys)))

    def defaults(self) -> None:
        every = {key for method in catalog.METHODS.values() for key in fields(method)}
        known_keys(self.section("defaults"), every, self.faults)

    # -- variants -------------------------------------------------------------------------------------------

    def variant(self, name: str, tree: Node, recipes: Mapping[str, Node | None]) -> Variant | None:
        method = tree.get("method")
        if method is None:
            others = (other for other, _ in self.section("variants").items() if other != name)
            choice = ", ".join(sorted(catalog.METHODS))
            self.fault(tree.key or tree.place, f"'method' is missing; choose {choice}{near(name, others)}")
            return None
        if method.text not in catalog.METHODS:
            self.fault(method.place, unknown(method.plain(), catalog.METHODS))
            return None
        kind = catalog.METHODS[method.value]
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
                _build(registry, json.dumps(part), catalog.version(registry, part["kind"]))
        except ValueError as error:
            place = self.section("image_size").place
            self.fault(
                node.key or node.place,
                f"'{variant.name}' cannot be built at image_size {image_size} ({place}): {error}",
            )

    # -- data -----------------------------------------------------------------------------------------------

    def dataset(self, node: Node) -> Any:
        kind = node.get("kind")
        if kind is None or kind.text not in catalog.DATASETS:
            place = kind.place if kind else (node.key or node.place)
            self.fault(place, unknown(kind.plain() if kind else "kind", catalog.DATASETS, "" if kind else "missing"))
            return None
        return self.model(catalog.DATASETS[kind.value], node)

    # -- pydantic's errors, with their places ---------------------------------------------------------------

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


__all__ = ["Ablation", "BadInput", "Multiverse", "Numerics", "Observer", "Protocol", "Study", "Variant", "load", "near"]
