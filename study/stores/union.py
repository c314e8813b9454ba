"""The union of two plans of one study, that differ only in their seeds, variants or data sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from study.errors import shown
from study.facts import AblationFacts, StudyFacts, VariantFacts
from study.plan.graph import Plan, Run

SAME = ("name", "profile", "image_size", "protocol", "numerics", "shared", "metrics", "methods", "claims", "looks")
"""The facts that are equal in two plans of one study. ``looks``: the error that a study may spend is spent once."""
BY_NAME = ("data", "multiverses")
"""Facts whose entries of one name are equal in two plans of one study."""


def differences(ours: Plan, theirs: Plan) -> list[str]:
    """What keeps two plans from being of one study: each as ``protocol.mask.kind: 'center' here, 'box' there``."""
    a, b = ours.study, theirs.study
    found = [line for name in SAME for line in _different(name, getattr(a, name), getattr(b, name))]
    if sorted(a.digests.values()) != sorted(b.digests.values()):
        found.append("plugins: not the same files")
    for name in BY_NAME:
        left, right = getattr(a, name), getattr(b, name)
        found += [f"{name}.{one}: not the same" for one in left if one in right and left[one] != right[one]]
    for name, left in a.ablations.items():
        right = b.ablations.get(name, left)
        if (left.reference, left.factors) != (right.reference, right.factors):
            found.append(f"ablations.{name}: not the same reference or factors")
    return found or list(_other_runs(ours, theirs))


def _different(place: str, left: Any, right: Any) -> Iterator[str]:
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        for key in dict.fromkeys([*left, *right]):
            yield from _different(f"{place}.{key}", left.get(key), right.get(key))
    elif left != right:
        yield f"{place}: {shown(left)} here, {shown(right)} there"


def _other_runs(ours: Plan, theirs: Plan) -> Iterator[str]:
    """Variants of one name that are not one configuration, and one configuration under two names."""
    known = {run.variant: (run.method, run.config) for run in ours.runs}
    other = {run.variant: (run.method, run.config) for run in theirs.runs}
    for name in known.keys() & other.keys():
        yield from _different(f"variants.{name}", dict([known[name]]), dict([other[name]]))
    names, others = ours.names(), theirs.names()
    for name in names.keys() & others.keys():
        if names[name] != others[name]:
            yield f"variants.{name}: the same as {names[name]} here, as {others[name]} there"
    made = {_identity(run): run.name for run in ours.runs}
    runs = {run.name: run for run in ours.runs}
    for run in theirs.runs:
        twin, same = made.get(_identity(run), run.name), runs.get(run.name)
        if ours.study.shared and twin != run.name:
            yield f"{twin} here is {run.name} there"
        if same and same.stages != run.stages:
            yield f"{run.name}: not the same stages; was another version of this program used?"


def _identity(run: Run) -> tuple[str, ...]:
    """What makes two runs of a study one run, whatever they are called."""
    return run.data, str(run.seed), run.method, *run.stages.values()


def union(ours: Plan, theirs: Plan) -> Plan:
    """One plan with the runs of both, in the order in which a study lists them. ``differences`` must find none."""
    runs = {run.name: run for run in ours.runs}
    for run in theirs.runs:
        runs[run.name] = _with_aliases(runs.get(run.name, run), run.aliases)
    seeds = list(dict.fromkeys([*ours.study.seeds, *theirs.study.seeds]))
    data = list(dict.fromkeys([*ours.study.data, *theirs.study.data]))
    variants = list(dict.fromkeys(run.variant for run in runs.values()))
    ordered = sorted(
        runs.values(), key=lambda run: (data.index(run.data), variants.index(run.variant), seeds.index(run.seed))
    )
    joined = Plan(study=ours.study, runs=ordered, stages={**ours.stages, **theirs.stages})
    return replace(joined, study=_facts(joined, theirs.study, seeds))


def _with_aliases(run: Run, aliases: list[str]) -> Run:
    return replace(run, aliases=list(dict.fromkeys([*run.aliases, *aliases])))


def _facts(joined: Plan, theirs: StudyFacts, seeds: list[int]) -> StudyFacts:
    ours, made = joined.study, {(name, run.data) for run in joined.runs for name in run.names}
    changed: dict[str, Any] = {
        "seeds": seeds,
        "data": {**ours.data, **theirs.data},
        "ablations": {
            name: _cells(ours.ablations.get(name), theirs.ablations.get(name))
            for name in {**ours.ablations, **theirs.ablations}
        },
        "multiverses": {**theirs.multiverses, **ours.multiverses},
        "networks": {**(theirs.networks or {}), **(ours.networks or {})} or None,
        "left_out": _left_out({**theirs.left_out, **ours.left_out}, made),
        "left_out_seeds": [
            seed for seed in dict.fromkeys([*ours.left_out_seeds, *theirs.left_out_seeds]) if seed not in seeds
        ],
    }
    for name in ("readings", "treatments", "notes"):
        mine, others = getattr(ours, name), getattr(theirs, name)
        changed[name] = [*mine, *(one for one in others if one not in mine)]
    return ours.model_copy(update=changed)


def _cells(ours: AblationFacts | None, theirs: AblationFacts | None) -> AblationFacts:
    both = [one for one in (ours, theirs) if one is not None]
    cells = [cell for one in both for cell in one.cells]
    return both[0].model_copy(update={"cells": [cell for n, cell in enumerate(cells) if cell not in cells[:n]]})


def _left_out(left_out: Mapping[str, VariantFacts], made: set[tuple[str, str]]) -> dict[str, VariantFacts]:
    """The variants that are still left out: of no run, or of none on some of their data sets."""
    names, still = {name for name, _ in made}, {}
    for name, one in left_out.items():
        data = [each for each in one.data if (name, each) not in made]
        if data or (not one.data and name not in names):
            still[name] = one.model_copy(update={"data": data})
    return still
