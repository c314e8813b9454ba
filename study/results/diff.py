"""What changed between two outputs: configuration, code, data, stages, effects and claims. Reads; knows no torch.

An effect is b minus a of one variant, by the rule of `reports.analysis.statistics`. The two outputs' runs are in one
frame under names of their own, and are paired if every seed of both begins at the same start. A start's key is a
content address: equal keys are the same start.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from reports.analysis.claims import claims_table
from reports.analysis.naming import metric_of, ordered
from reports.analysis.statistics import compare, mean_interval
from study.errors import BadInput
from study.plan.graph import KINDS, Plan, Stage, json_digest
from study.results.frames import Results, load
from study.store import Store

EFFECTS = (("psnr", "hole"), ("ssim", "whole"))
OUTPUT = "composite"
OF_THE_STUDY = ("name", "profile", "image_size", "shared")
OF_THE_DATA = ("stage", "version", "content")
"""What the plan says of a data set that is no option of it: it is told among the code and the data."""
OF_THE_MACHINE = {"torch": "torch", "python": "python", "device": "processor", "threads": "threads"}
TEST_MASKS = "masks of the test"


@dataclass(frozen=True)
class Side:
    """One of the two outputs."""

    out: Path
    plan: Plan
    store: Store
    results: Results

    @cached_property
    def names(self) -> dict[str, str]:
        """Every name of a variant that was asked for, with that under which it was run."""
        return {name: run.variant for run in self.plan.runs for name in (run.variant, *run.aliases)}

    @cached_property
    def files(self) -> list[str]:
        """The variants that were scored from files."""
        return self.results.external()

    @cached_property
    def settings(self) -> dict[str, dict[str, Any]]:
        """The options of each variant that was run, and its method, by dotted keys; what is not set is left out."""
        return {run.variant: _flat({"method": run.method, **run.config}) for run in self.plan.runs}

    @cached_property
    def digests(self) -> dict[str, str | None]:
        """The digest of each data set's pixels; None where it is not known."""
        return {str(entry["name"]): entry.get("digest") for entry in self.results.study["data"]}

    def evaluations(self, variant: str, data: str) -> dict[int, str | None]:
        """By seed the checksum of what a variant's evaluation published; None where there is none. Of files theirs."""
        if variant in self.files:
            entries = self.results.study["external"]
            own = [entry for entry in entries if (entry["name"], entry["data"]) == (variant, data)]
            return {entry["seed"] or 0: None if entry["why"] else entry["checksum"] for entry in own}
        own = [run for run in self.plan.runs if (run.variant, run.data) == (variant, data)]
        return {run.seed: self.store.manifest(run.stages["evaluate"]).get("digest") for run in own}


def diff(out_a: str | Path, out_b: str | Path) -> dict[str, Any]:
    """What changed from the output ``out_a`` to ``out_b``, as plain values fit for JSON.

    ``a``, ``b``: out, name, profile, image_size, completed and runs (counts of runs).
    ``configuration``: ``changed``, rows of key, a, b (None: not set), variants (None for a key of the study), having
        (how many variants of both have this option) and reading ('R7' or None); ``only``, of variants, data, seeds,
        ablations and multiverses, and what was scored from files (``external``, where there is any), those in a or b
        alone; ``readings``, rows of key, a, b and variants where the number
        of a reading or its departure from the text differs.
    ``code``: ``parts``, ``machine``: rows of name, a, b that differ; ``only``: {a: {part: version}, b: ...};
        ``stages``: kinds of stage whose own code differs; ``same_parts``: how many are equal; ``same_machine``.
    ``data``: rows of kind ('images', 'masks'), name, a, b (digests or None), same (True, False, or None where it is
        not known).
    ``stages``: ``kinds``, rows of kind, common, same, other, not_made (in one or both), only_a, only_b; ``other``:
        keys that have other checksums in a and b, which must not be.
    ``effects``: a row for each variant, data set and metric: variant, data, metric, region, unit, a, b (means; where
        seeds are paired, of these), difference (b - a), low, high (95%), apart (the interval does not hold zero),
        n_seeds (of a and b), n_images, paired, same_data, same_bits (every seed's evaluation is the same to the last
        bit), why (what it rests on).
    ``claims``: rows of id, claim, a, b (outcomes), scope_a, scope_b, changed.

    Raises BadInput where one of the folders holds no study; both are told at once.
    """
    a, b = _sides(out_a, out_b)
    data = list(_data(a, b))
    return {
        "a": _heading(a),
        "b": _heading(b),
        "configuration": _configuration(a, b),
        "code": _code(a, b),
        "data": data,
        "stages": _stages(a, b),
        "effects": list(_effects(a, b, {row["name"] for row in data if row["kind"] == "images" and row["same"]})),
        "claims": list(_claims(a, b)),
    }


def _sides(*outs: str | Path) -> list[Side]:
    sides, faults = [], []
    for out in map(Path, outs):
        try:
            results = load(out)
        except BadInput as error:
            faults += error.faults
            continue
        sides.append(Side(out, Plan.of(out), Store(out), results))
    if faults:
        raise BadInput(faults)
    return sides


def _heading(side: Side) -> dict[str, Any]:
    runs = side.results.runs
    facts = side.plan.study.model_dump(include={"name", "profile", "image_size"})
    return {"out": str(side.out), **facts, "completed": int((runs["status"] == "completed").sum()), "runs": len(runs)}


# -- configuration -------------------------------------------------------------------------------------------


def _configuration(a: Side, b: Side) -> dict[str, Any]:
    study = [
        {"key": key, "a": left, "b": right, "variants": None, "having": None, "reading": None}
        for key, left, right in _changes(_study_keys(a.plan), _study_keys(b.plan))
    ]
    return {
        "changed": study + list(_variants(a, b)),
        "only": {name: _apart(of(a), of(b)) for name, of in NAMED.items()}
        | ({"external": _apart(a.files, b.files)} if a.files or b.files else {}),
        "readings": list(_readings(a, b)),
    }


NAMED: Mapping[str, Callable[[Side], Iterable[Any]]] = {
    "variants": lambda side: side.names,
    "data": lambda side: side.plan.study.data,
    "seeds": lambda side: side.plan.study.seeds,
    "ablations": lambda side: side.plan.study.ablations,
    "multiverses": lambda side: side.plan.study.multiverses,
}
"""What a study has by name, and may have in one output alone."""


def _study_keys(plan: Plan) -> dict[str, Any]:
    """The study's own settings by dotted keys, but for its variants'."""
    study = plan.study.model_dump()
    sets = {
        name: {key: value for key, value in entry.items() if key not in OF_THE_DATA}
        for name, entry in study["data"].items()
    }
    numerics = {key: value for key, value in study["numerics"].items() if key not in ("device", "threads")}
    ablations = {
        name: {key: entry[key] for key in ("reference", "factors")} for name, entry in study["ablations"].items()
    }
    multiverses = {name: _multiverse(entry) for name, entry in study["multiverses"].items()}
    return _flat(
        {
            **{name: study[name] for name in OF_THE_STUDY},
            "data": sets,
            "protocol": study["protocol"],
            "numerics": numerics,
            "ablations": ablations,
            "multiverses": multiverses,
        }
    )


def _multiverse(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A multiverse as a study file says it, with every level that a base has in some universe."""
    vary: dict[str, list[str]] = {}
    for universe in entry["universes"]:
        for row in universe:
            found = vary.setdefault(row["reading"], [])
            if row["level"] and row["level"] not in found:
                found.append(row["level"])
    return {**{key: entry[key] for key in ("base", "contrasts", "design")}, "vary": vary}


def _changes(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Keys whose values differ, with both; of a key that one side alone has as a whole, ``only`` tells."""
    alone = {place for place in _places(a) ^ _places(b) if place.startswith(("data.", "ablations.", "multiverses."))}
    for key in dict.fromkeys([*a, *b]):
        if a.get(key) != b.get(key) and ".".join(key.split(".")[:2]) not in alone:
            yield key, a.get(key), b.get(key)


def _places(keys: Iterable[str]) -> set[str]:
    """The first two parts of each key: ``data.faces``."""
    return {".".join(key.split(".")[:2]) for key in keys}


def _apart(a: Iterable[Any], b: Iterable[Any]) -> dict[str, list[Any]]:
    """What is in a alone and in b alone, each in its order."""
    left, right = list(a), list(b)
    return {"a": [one for one in left if one not in right], "b": [one for one in right if one not in left]}


def _variants(a: Side, b: Side) -> Iterator[dict[str, Any]]:
    """Options that differ, a row for each key and pair of values, with the variants in which it is so."""
    numbers = {(row.variant, row.key): row.reading for s in (a, b) for row in s.plan.study.readings}
    for key, left, right, names in _by_variant(a, b, lambda side, name: side.settings[name]):
        reading = next((numbers[name, key] for name in names if (name, key) in numbers), None)
        having = sum(key in a.settings[name] or key in b.settings[name] for name in _own_in_both(a, b))
        yield {"key": key, "a": left, "b": right, "variants": names, "having": having, "reading": reading}
    for name in _common(a, b):
        told = [f"the run of {side.names[name]}" if side.names[name] != name else "a run of its own" for side in (a, b)]
        if told[0] != told[1]:
            yield {"key": "run", "a": told[0], "b": told[1], "variants": [name], "having": 1, "reading": None}


def _readings(a: Side, b: Side) -> Iterator[dict[str, Any]]:
    def told(side: Side, variant: str) -> dict[str, str]:
        rows = [row for row in side.plan.study.readings if row.variant == variant]
        return {row.key: row.reading + (", departs from the text" if row.departs else "") for row in rows}

    for key, left, right, names in _by_variant(a, b, told):
        if left is not None and right is not None:  # else the option itself has changed
            yield {"key": key, "a": left, "b": right, "variants": names}


def _by_variant(
    a: Side, b: Side, of: Callable[[Side, str], Mapping[str, Any]]
) -> Iterator[tuple[str, Any, Any, list[str]]]:
    """Keys whose values differ in variants that both ran under one name: key, a's, b's, and those variants."""
    found: dict[str, tuple[str, Any, Any, list[str]]] = {}
    for name in _own_in_both(a, b):
        left, right = of(a, name), of(b, name)
        for key in dict.fromkeys([*left, *right]):
            pair = (left.get(key), right.get(key))
            if pair[0] != pair[1]:
                found.setdefault(json.dumps([key, *pair], sort_keys=True), (key, *pair, []))[3].append(name)
    yield from found.values()


def _common(a: Side, b: Side) -> list[str]:
    """The names of variants that both have; not those that in both are but another name of a run."""
    return [name for name in a.names if name in b.names and name in (a.names[name], b.names[name])]


def _own_in_both(a: Side, b: Side) -> list[str]:
    """The variants that have runs of their own in both, whose options are known."""
    return [name for name in _common(a, b) if name == a.names[name] == b.names[name]]


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested options by dotted keys. What is None is left out: an option that nobody sets changes nothing."""
    found: dict[str, Any] = {}
    for key, entry in value.items():
        if isinstance(entry, Mapping):
            found |= _flat(entry, f"{prefix}{key}.")
        elif entry is not None:
            found[f"{prefix}{key}"] = entry
    return found


# -- code, data and stages -----------------------------------------------------------------------------------


def _code(a: Side, b: Side) -> dict[str, Any]:
    left, right = _parts(a.plan), _parts(b.plan)
    machines = [_machine(a), _machine(b)]
    parts = [{"name": n, "a": left[n], "b": right[n]} for n in left if n in right and left[n] != right[n]]
    return {
        "parts": parts,
        "only": {
            "a": {name: version for name, version in left.items() if name not in right},
            "b": {name: version for name, version in right.items() if name not in left},
        },
        "same_parts": sum(name in right for name in left) - len(parts),
        "stages": _changed_kinds(a.plan, b.plan),
        "machine": [{"name": n, "a": machines[0][n], "b": v} for n, v in machines[1].items() if machines[0][n] != v],
        "same_machine": {name: value for name, value in machines[0].items() if machines[1][name] == value},
    }


def _parts(plan: Plan) -> dict[str, int]:
    """The versions of the parts that a plan's stages are built from; a plan is made by one state of the code."""
    found: dict[str, int] = {}
    for stage in plan.stages.values():
        options = stage.options
        found |= options.get("versions", {})
        found |= {f"metric.{name}": version for name, version in options.get("metrics", {}).items()}
        parts = {"data": options.get("dataset"), "mask": options.get("mask") or options.get("masks")}
        for what, part in [*parts.items(), ("mask", options.get("protocol", {}).get("mask"))]:
            if part and "version" in part:
                found[f"{what}.{part['kind']}"] = part["version"]
    return dict(sorted(found.items()))


def _changed_kinds(a: Plan, b: Plan) -> list[str]:
    """The kinds of which a stage has in a and b the same options, inputs and seed, but another key."""

    def described(stage: Stage) -> str:
        return json_digest([stage.kind, _flat(stage.options), stage.needs, stage.seed, stage.hints.get("salt")])

    keys = {described(stage): stage.key for stage in a.stages.values()}
    changed = {s.kind for s in b.stages.values() if keys.get(described(s), s.key) != s.key}
    return [kind for kind in KINDS if kind in changed]


def _machine(side: Side) -> dict[str, list[str]]:
    """What made an output's stages: each fact's values, one unless the output was gone on with elsewhere."""
    made = [side.store.made(key) for key in side.plan.stages if side.store.has(key)]
    found = {
        told: sorted({str(facts[name]) for facts in made if facts.get(name) is not None})
        for name, told in OF_THE_MACHINE.items()
    }
    return {**found, "device": [str(side.plan.study.numerics["device"])]}


def _data(a: Side, b: Side) -> Iterator[dict[str, Any]]:
    """The data sets that both have; then the masks from files, where there are any."""
    for name, left in a.digests.items():
        if name not in b.digests:
            continue
        right = b.digests[name]
        same = None if left is None or right is None else left == right
        if same is None and a.plan.study.data[name].stage == b.plan.study.data[name].stage:
            same = True  # the key says all that decides the pixels
        yield {"kind": "images", "name": name, "a": left, "b": right, "same": same}
    for role, told in (("data.masks", "masks in training"), ("data.test_masks", TEST_MASKS)):
        left, right = _masks(a.plan, role), _masks(b.plan, role)
        if left or right:
            yield {"kind": "masks", "name": told, "a": left, "b": right, "same": left == right}


def _masks(plan: Plan, role: str) -> str | None:
    """The digests of the packed masks that a plan's runs have in a role, several with commas; None without any."""
    keys = dict.fromkeys(run.stages[role] for run in plan.runs if role in run.stages)
    return ", ".join(sorted(plan.stages[key].options["masks"]["content"] for key in keys)) or None


def _stages(a: Side, b: Side) -> dict[str, Any]:
    rows, others = [], []
    for kind in KINDS:
        left, right = ([key for key, stage in s.plan.stages.items() if stage.kind == kind] for s in (a, b))
        common = [key for key in left if key in b.plan.stages]
        there = [key for key in common if a.store.has(key) and b.store.has(key)]
        other = [key for key in there if _checksums(a.store, key) != _checksums(b.store, key)]
        others += other
        rows.append(
            {
                "kind": kind,
                "common": len(common),
                "same": len(there) - len(other),
                "other": len(other),
                "not_made": len(common) - len(there),
                "only_a": len(left) - len(common),
                "only_b": len(right) - len(common),
            }
        )
    return {"kinds": [row for row in rows if row["common"] or row["only_a"] or row["only_b"]], "other": others}


def _checksums(store: Store, key: str) -> tuple[Any, Any]:
    manifest = store.manifest(key)
    return manifest.get("files"), manifest.get("outcome")


# -- effects and claims --------------------------------------------------------------------------------------


def _effects(a: Side, b: Side, same_data: Collection[str]) -> Iterator[dict[str, Any]]:
    names = ordered(a.results, [*_common(a, b), *(name for name in a.files if name in b.files)])
    for data in a.digests:
        if data not in b.digests:
            continue
        sides = [_own(a, data, "a: ", data), _own(b, data, "b: ", data if data in same_data else f"{data} of b")]
        runs = pd.concat(sides, ignore_index=True)
        for metric, region in EFFECTS:
            scores = pd.concat(
                [_scores(side, own, data, metric, region) for side, own in zip((a, b), sides, strict=True)],
                ignore_index=True,
            )
            for name in names:
                left, right = a.names.get(name, name), b.names.get(name, name)
                if {f"a: {left}", f"b: {right}"} <= set(runs["variant"]):
                    found = _effect(runs, scores, f"a: {left}", f"b: {right}", metric, region)
                    bits = a.evaluations(left, data), b.evaluations(right, data)
                    same_bits = bits[0] == bits[1] and None not in bits[0].values()
                    yield {"variant": name, "data": data, **found, "same_bits": same_bits}


def _own(side: Side, data: str, before: str, told: str) -> pd.DataFrame:
    """A side's runs on a data set, under names of its own; the data set as ``told``."""
    runs = side.results.runs[side.results.runs["data"] == data]
    return runs[["run", "seed", "status", "start"]].assign(variant=before + runs["variant"].astype(str), data=told)


def _scores(side: Side, runs: pd.DataFrame, data: str, metric: str, region: str) -> pd.DataFrame:
    """The scores of these runs, with their names in place of the side's."""
    found = side.results.select(metric, region, OUTPUT, data)
    text = {name: found[name].astype(str) for name in ("run", "image", "region", "output", "metric")}
    found = found.assign(**text)[["run", "seed", "image", "region", "output", "metric", "value"]]
    return found.merge(runs[["run", "variant", "data"]], on="run")


def _effect(runs: pd.DataFrame, scores: pd.DataFrame, a: str, b: str, metric: str, region: str) -> dict[str, Any]:
    sets = [str(runs.loc[runs["variant"] == variant, "data"].iloc[0]) for variant in (a, b)]
    asked: dict[str, Any] = {"metric": metric, "region": region, "output": OUTPUT}
    same = sets[0] == sets[1]
    found = compare(runs, scores, b, a, **asked, data=sets[0] if same else (sets[1], sets[0]))
    seeds = _seeds_of(runs, a) & _seeds_of(runs, b) if found.paired else _seeds_of(runs, a) | _seeds_of(runs, b)
    entered = runs[runs["seed"].isin(seeds)]
    means = [mean_interval(entered, scores, v, **asked, data=data) for v, data in zip((a, b), sets, strict=True)]
    counts = found.n_seeds[::-1]
    return {
        "metric": metric,
        "region": region,
        "unit": metric_of(metric).unit,
        "a": _number(means[0].mean),
        "b": _number(means[1].mean),
        "difference": _number(found.difference),
        "low": _number(found.low),
        "high": _number(found.high),
        "apart": bool(found.low > 0 or found.high < 0),
        "n_seeds": list(counts),
        "n_images": found.n_images,
        "paired": found.paired,
        "same_data": same,
        "why": _rests_on(runs, a, b, counts, found.n_images, found.paired, same),
    }


def _seeds_of(runs: pd.DataFrame, variant: str) -> set[int]:
    """The seeds that completed."""
    return set(runs.loc[(runs["variant"] == variant) & (runs["status"] == "completed"), "seed"])


def _rests_on(
    runs: pd.DataFrame, a: str, b: str, seeds: tuple[int, int], images: int, paired: bool, same_data: bool
) -> str:
    """``3 paired seeds, 100 images``, or what was lost."""
    told = [f"{seeds[0]} paired seed{'s' * (seeds[0] != 1)}" if paired else f"{seeds[0]} and {seeds[1]} seeds"]
    if (runs.loc[runs["variant"].isin([a, b]), "start"] == "").all():
        told = ["no seeds"]
    told.append(f"{images} images" if same_data else f"{images} images, not the same")
    for variant in (a, b):
        lost = runs.loc[(runs["variant"] == variant) & (runs["status"] != "completed"), "status"]
        told += [f"{variant[0]}: {count} {status}" for status, count in lost.value_counts(sort=False).items()]
    return ", ".join(told)


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _claims(a: Side, b: Side) -> Iterator[dict[str, Any]]:
    tables = [claims_table(side.results)[["id", "claim", "outcome", "scope"]] for side in (a, b)]
    for left, right in zip(*(table.to_dict("records") for table in tables), strict=True):
        yield {
            "id": left["id"],
            "claim": left["claim"],
            "a": left["outcome"],
            "b": right["outcome"],
            "scope_a": left["scope"],
            "scope_b": right["scope"],
            "changed": (left["outcome"], left["scope"]) != (right["outcome"], right["scope"]),
        }
