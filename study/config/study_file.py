"""The study file: read, laid under profile and options, checked, and turned into what is to be run.

Every fault of a file is reported at once, each with its place, what was got, and what is allowed.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from pathlib import Path

from models.masks import RandomBox
from models.method import Trained
from study.config.nodes import Node, assign, known_keys, no_mapping, read
from study.config.reader import SECTIONS, StudyReader
from study.config.schema import Study
from study.errors import BadInput, shown, unknown
from study.parts import plugins

INCLUDED = ("variants", "tuned")
"""What a file may say that a study includes."""

SMALLEST_HOLE = 6
"""The side, in pixels, of a box that holds the centre of one of SSIM's 11x11 windows wherever it lies."""


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
            StudyReader(file, overlay.over(root), name, faults).study()
    tree = profiles[chosen].over(root) if chosen else root
    for setting in settings:
        tree = assign(tree, setting, unread)
    study = StudyReader(file, tree, chosen, faults).study()
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
