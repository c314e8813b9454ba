"""Loads a study file: plugins, included files, profile, settings of the command line, checks.

All faults of a file are reported at once, each with its place, the value, and what is allowed.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from models.masks import RandomBox
from models.method import Trained
from study.config import paths
from study.config.nodes import Node, assign, known_keys, not_a_mapping, read
from study.config.reader import NAMED, SETTINGS, StudyReader
from study.config.schema import Study
from study.errors import MANY, BadInput, shown, unknown
from study.parts import plugins

INCLUDED = ("variants", "tuned")
"""The sections of a file that a study includes."""

SMALLEST_HOLE = 6
"""Pixels. A box with this side contains the centre of one of SSIM's 11x11 windows wherever it is."""


def load(
    file: Path,
    *,
    profile: str | None = None,
    settings: Sequence[str] = (),
    only: Sequence[str] = (),
    seeds: Sequence[int] | None = None,
) -> Study:
    """Loads a study file.

    Args:
        profile: One of the file's profiles; by default the one that it names itself.
        settings: ``path.to.key=value``, applied last.
        only: Names or patterns of the variants to keep. The name of an ablation or multiverse keeps all of its own.
        seeds: Replace those of the file.

    Raises:
        BadInput: With all faults of the file, including those of profiles that are not chosen.
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
        places = {_place_of(fault) for fault in unread}  # report a value that cannot be read once
        faults = [*unread, *(fault for fault in faults if _place_of(fault) not in places)]
        faults = list(dict.fromkeys(faults))
        if len(faults) >= MANY:
            faults = [
                *faults[:MANY],
                f"{file}: these are the first {MANY} faults; correct them to see whether there are more",
            ]
        raise BadInput(faults)
    study = _selected(study, only, seeds)
    _check(study, tree, only)
    return study


def _place_of(fault: str) -> tuple[str, ...]:
    return tuple(fault.split(": ", 2)[:2])


def _use_plugins(root: Node, file: Path) -> None:
    """Runs the study's plugins, so that the rest of the file may name their parts. Paths start at the file's folder."""
    nodes = root.listed("plugins")
    if wrong := [node for node in nodes if not node.text.endswith(".py")]:
        raise BadInput([node.place.fault(f"{shown(node.plain())} is not a plugin; write [mine.py]") for node in wrong])
    plugins.use([Path(os.path.realpath(file.parent / node.text)) for node in nodes])  # resolve() fails at loops


def _with_included(root: Node, file: Path, faults: list[str], unread: list[str]) -> Node:
    """The study's tree with the variants of the files that it includes. Paths start at the file's folder."""
    for name in root.listed("include"):
        if not name.text:
            got = shown(name.plain())
            faults.append(name.place.fault(f"{got} is not a file name; write [out/search/proposed_tuned.yaml]"))
            continue
        try:
            tree = read(file.parent / name.text, unread)
        except BadInput as error:
            how = f"a finished search writes it: python -m study tune {file} --variant NAME"
            if Path(name.text).is_file():  # as seen from the current folder
                how = f"paths start at the study file's folder: write [{paths.seen_from(file, Path(name.text))}]"
            faults.append(name.place.fault(f"{error} ({how})"))
            continue
        tree = known_keys(tree, INCLUDED, faults)
        for section, entries in tree.items():
            own = root.get(section)
            twice = [(key, entry.name_place) for key, entry in entries.items() if own and own.get(key)]
            faults += [place.fault(f"'{key}' is also in {file}; rename one") for key, place in twice]
        root = tree.extending(root)
    return root


def _profiles(root: Node, faults: list[str]) -> dict[str, Node]:
    """The profiles by name, without the keys that a profile may not have."""
    section = root.get("profiles")
    if section is None or section.value is None:
        return {}
    if not section.is_mapping:
        faults.append(section.place.fault(not_a_mapping(section, "profiles")))
    return {name: known_keys(overlay, [*NAMED, *SETTINGS], faults) for name, overlay in section.items()}


def _chosen_profile(root: Node, profiles: Mapping[str, Node], option: str | None, faults: list[str]) -> str | None:
    """The profile of ``--profile``, or the one that the file names."""
    node, wrong = root.get("profile"), "not a profile of this study"
    if option is not None and option not in profiles:
        raise BadInput(f"--profile {option}: {unknown(option, profiles, wrong)}")
    if option is not None or node is None:
        return option
    if node.text not in profiles:
        faults.append(node.place.fault(unknown(node.plain(), profiles, wrong)))
        return None
    return node.text


def _selected(study: Study, only: Sequence[str], seeds: Sequence[int] | None) -> Study:
    """The study with the chosen variants and seeds alone."""
    chosen = set[str]()
    groups = _groups(study)
    for pattern in only:
        names = {*fnmatch.filter(study.variants, pattern)}
        names.update(*(groups[group] for group in fnmatch.filter(groups, pattern)))
        if not names:
            known = [*study.variants, *groups]
            raise BadInput(f"--only {pattern}: {unknown(pattern, known, 'not a variant or ablation of this study')}")
        chosen |= names
    variants = {name: variant for name, variant in study.variants.items() if name in chosen or not only}
    left_out = {name: variant for name, variant in study.variants.items() if name not in variants}
    if seeds is not None and not seeds:
        raise BadInput("--seeds: name at least one seed, such as 0,1,2 or 0-9")
    kept = list(seeds or study.seeds)
    left_out_seeds = [seed for seed in study.seeds if seed not in kept]
    return replace(study, variants=variants, seeds=kept, left_out=left_out, left_out_seeds=left_out_seeds)


def _groups(study: Study) -> dict[str, set[str]]:
    """The variants of each ablation and multiverse."""
    groups = {name: {variant for _, variant in facts.cells} for name, facts in study.ablations.items()}
    for name, facts in study.multiverses.items():
        groups.setdefault(name, set()).update(row.variant for rows in facts.universes for row in rows)
    return groups


def _check(study: Study, tree: Node, only: Sequence[str]) -> None:
    """Checks the chosen variants and seeds together with the protocol.

    Each method can repair the holes of training and test, each metric can score them, and no tuned variant is run with
    the seeds of its search, to which it was fitted.
    """
    faults, leave_out = [], "leave it out of --only" if only else "leave it out with --only"
    place = (tree.get("protocol") or tree).at(("mask", "kind")).place
    mask = study.protocol.mask
    for variant in study.variants.values():
        origin = variant.reference or variant.name
        tuned = study.tuned.get(origin)
        if tuned and (seen := sorted({*tuned.seeds} & {*study.seeds})):
            which = f"'{variant.name}' was tuned with seed {', '.join(map(str, seen))}"
            how = f"run it with other seeds (--seeds or 'seeds'), or {leave_out}"
            faults.append(f"{study.file}: {which}; {how}")
        if not isinstance(variant.options, Trained) or not variant.options.central_only:
            continue
        why = f"'{variant.name}' repairs the central square only; {leave_out}"
        if mask.kind != "center":
            faults.append(place.fault(f"got {mask.kind}; {why}"))
        if (kind := variant.options.mask.kind) != "center":
            entry = tree.at(("variants", origin))
            faults.append(entry.name_place.fault(f"its training masks are of kind {kind}; {why}"))
    if isinstance(mask, RandomBox) and (pixels := round(mask.smallest * study.image_size)) < SMALLEST_HOLE:
        least = f"make 'smallest' at least {SMALLEST_HOLE} px of {study.image_size}"
        faults.append(place.fault(f"SSIM cannot score a hole of {pixels} px near the border; {least}"))
    if faults:
        raise BadInput(faults)
