"""What changed between two outputs: configuration, code, data, stages, effects and claims. Does not import torch.

An effect is b - a of one variant, by the rule of ``reports.analysis.statistics``. The runs of both outputs form one
frame, with the variants ``a: NAME`` and ``b: NAME``. They are paired if all common seeds have the same start. A start's
key is a content address: equal keys are the same start.
"""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from reports.analysis.claims import claims_table
from reports.analysis.naming import metric_of, ordered
from reports.analysis.statistics import compare, mean_interval
from study.errors import BadInput
from study.plan.graph import KINDS, Plan, Stage, json_digest
from study.results.frames import load
from study.store import Store, digests

EFFECTS = (("psnr", "hole"), ("ssim", "whole"))
OUTPUT = "composite"
SETTINGS = {"name", "profile", "image_size", "shared", "data", "protocol", "numerics", "ablations", "multiverses"}
NOT_SETTINGS: dict[str, Any] = {
    "data": {"__all__": {"stage", "version", "content", "follow_links"}},
    "numerics": {"device", "threads"},
    "ablations": {"__all__": {"cells"}},
    "multiverses": {"__all__": {"universes"}},
}
"""What the study's settings do not include: facts about its data, machine and cells."""

MACHINE = {"torch": "torch", "python": "python", "device": "processor", "threads": "threads"}
TEST_MASKS = "masks of the test"

Options = dict[tuple[str, ...], Any]
"""Settings by their path of keys."""


class Side:
    """One of the two outputs. Raises BadInput where the folder holds no study.

    ``options``: the method and options of each variant that was run. ``readings``: the readings of each variant by key.
    ``digests``: of each data set's pixels; None where it is unknown.
    """

    def __init__(self, out: Path) -> None:
        self.out, self.plan, self.store, self.results = out, Plan.of(out), Store(out), load(out)
        self.names = self.plan.names()
        self.options = {run.variant: _flat({"method": run.method, **run.config}) for run in self.plan.runs}
        self.readings: dict[str, dict[str, str]] = defaultdict(dict)
        for row in self.plan.study.readings:
            departs = ", departs from the text" if row.departs else ""
            self.readings[row.variant][row.key] = f"{row.reading}{departs}"
        self.digests = {entry["name"]: entry.get("digest") for entry in self.results.study["data"]}

    def evaluations(self, variant: str, data: str) -> dict[int, str | None]:
        """By seed, the checksum of a variant's scores; None where there are none."""
        if variant in self.results.external():
            entries = self.results.study["external"]
            own = [entry for entry in entries if (entry["name"], entry["data"]) == (variant, data)]
            return {entry["seed"] or 0: None if entry["why"] else entry["checksum"] for entry in own}
        runs = [run for run in self.plan.runs if (run.variant, run.data) == (variant, data)]
        return {run.seed: self.store.manifest(run.stages["evaluate"]).get("digest") for run in runs}


def diff(out_a: str | Path, out_b: str | Path) -> dict[str, Any]:
    """What changed from the output ``out_a`` to ``out_b``, as plain values for JSON.

    ``a``, ``b``: out, name, profile, image_size, completed and runs (counts of runs).
    ``configuration``: ``changed``, rows of key, a, b (None: not set), variants (None for a key of the study), having
        (how many variants of both have this option) and reading ('R7' or None); ``only``, the names of variants, data,
        seeds, ablations, multiverses and external scores (``external``, if there are any) in a or b alone;
        ``readings``, rows of key, a, b and variants where the number of a reading, or whether it departs from the
        text, differs.
    ``code``: ``parts``, ``machine``: rows of name, a, b that differ; ``only``: {a: {part: version}, b: ...};
        ``stages``: kinds of stage whose own code differs; ``same_parts``: how many are equal; ``same_machine``.
    ``data``: rows of kind ('images', 'masks'), name, a, b (digests or None), same (True, False, or None if unknown).
    ``stages``: ``kinds``, rows of kind, common, same, other, not_made (in one or both), only_a, only_b; ``other``:
        keys whose files differ between a and b, which is an error.
    ``effects``: a row for each variant, data set and metric: variant, data, metric, region, unit, a, b (means; of the
        common seeds where seeds are paired), difference (b - a), low, high (95%), apart (the interval excludes zero),
        n_seeds (of a and b), n_images, paired, same_data, same_bits (the scores of every seed are identical), why
        (seeds and images behind it).
    ``claims``: rows of id, claim, a, b (outcomes), scope_a, scope_b, changed.

    Raises BadInput where a folder holds no study, with the faults of both.
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
        "claims": _claims(a, b),
    }


def _sides(*outs: str | Path) -> list[Side]:
    sides, faults = [], []
    for out in map(Path, outs):
        try:
            sides.append(Side(out))
        except BadInput as error:
            faults += error.faults
    if faults:
        raise BadInput(faults)
    return sides


def _heading(side: Side) -> dict[str, Any]:
    runs = side.results.runs
    facts = side.plan.study.model_dump(include={"name", "profile", "image_size"})
    return {"out": str(side.out), **facts, "completed": int((runs["status"] == "completed").sum()), "runs": len(runs)}


def _flat(value: Mapping[str, Any], path: tuple[str, ...] = ()) -> Options:
    """Nested options by their path. None is left out: an option that is not set changes nothing."""
    flat: Options = {}
    for key, entry in value.items():
        if isinstance(entry, Mapping):
            flat |= _flat(entry, (*path, key))
        elif entry is not None:
            flat[*path, key] = entry
    return flat


def _differences(a: Mapping[Any, Any], b: Mapping[Any, Any]) -> list[tuple[Any, Any, Any]]:
    """The keys whose values differ, with both values; None where a side lacks the key."""
    return [(key, a.get(key), b.get(key)) for key in dict.fromkeys([*a, *b]) if a.get(key) != b.get(key)]


def _alone(a: Collection[Any], b: Collection[Any]) -> dict[str, list[Any]]:
    """What is in a alone and in b alone, each in its order."""
    return {"a": [one for one in a if one not in b], "b": [one for one in b if one not in a]}


def _row(key: str, a: Any, b: Any, variants: list[str] | None = None, having: int | None = None) -> dict[str, Any]:
    return {"key": key, "a": a, "b": b, "variants": variants, "having": having, "reading": None}


def _configuration(a: Side, b: Side) -> dict[str, Any]:
    only = {"variants": _alone(a.names, b.names)}
    for name in ("data", "seeds", "ablations", "multiverses"):
        only[name] = _alone(getattr(a.plan.study, name), getattr(b.plan.study, name))
    external = a.results.external(), b.results.external()
    if any(external):
        only["external"] = _alone(*external)
    readings = _by_variant(_run_in_both(a, b), a.readings, b.readings)
    return {
        "changed": [*_study_changes(a.plan, b.plan), *_variant_changes(a, b)],
        "only": only,
        # where one side has no reading, the option itself has changed
        "readings": [row for row in readings if row["a"] is not None and row["b"] is not None],
    }


def _study_changes(a: Plan, b: Plan) -> Iterator[dict[str, Any]]:
    """The study's settings that differ, except those of its variants and of entries that only one side has."""
    left, right = _study_options(a), _study_options(b)
    alone = {path[:2] for path in left} ^ {path[:2] for path in right}
    for path, *values in _differences(left, right):
        if path[0] not in ("data", "ablations", "multiverses") or path[:2] not in alone:
            yield _row(".".join(path), *values)


def _study_options(plan: Plan) -> Options:
    """The settings of the study as a whole. What else the plan says is compared as data, code or stages."""
    study = plan.study.model_dump(include=SETTINGS, exclude=NOT_SETTINGS)
    for name, multiverse in plan.study.multiverses.items():
        rows = [row for row in itertools.chain(*multiverse.universes) if row.level]
        study["multiverses"][name]["vary"] = {  # every level that a base has in some universe, by option
            key: list(dict.fromkeys(row.level for row in rows if row.reading == key))
            for key in dict.fromkeys(row.reading for row in rows)
        }
    return _flat(study)


def _variant_changes(a: Side, b: Side) -> Iterator[dict[str, Any]]:
    """The options that differ: a row for each key and pair of values, with the variants that have it."""
    numbers = {(row.variant, row.key): row.reading for s in (a, b) for row in s.plan.study.readings}
    both = _run_in_both(a, b)
    for row in _by_variant(both, a.options, b.options):
        path, row["key"] = row["key"], ".".join(row["key"])
        having = sum(path in a.options[name] or path in b.options[name] for name in both)
        reading = next((numbers[name, row["key"]] for name in row["variants"] if (name, row["key"]) in numbers), None)
        yield {**row, "having": having, "reading": reading}
    for name in _common(a, b):
        runs = ["a run of its own" if side.names[name] == name else f"the run of {side.names[name]}" for side in (a, b)]
        if runs[0] != runs[1]:
            yield _row("run", runs[0], runs[1], [name], 1)


def _by_variant(names: list[str], a: Mapping[str, Any], b: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of key, a, b and variants: what differs in these variants."""
    rows: dict[str, dict[str, Any]] = {}
    for name in names:
        for key, left, right in _differences(a[name], b[name]):
            same = json.dumps([key, left, right], sort_keys=True)
            rows.setdefault(same, {"key": key, "a": left, "b": right, "variants": []})["variants"].append(name)
    return list(rows.values())


def _common(a: Side, b: Side) -> list[str]:
    """The names of variants in both outputs, except those that are another name of a run in both."""
    return [name for name in a.names if name in b.names and name in (a.names[name], b.names[name])]


def _run_in_both(a: Side, b: Side) -> list[str]:
    """The variants that have runs of their own in both outputs, and so known options."""
    return [name for name in _common(a, b) if name == a.names[name] == b.names[name]]


def _code(a: Side, b: Side) -> dict[str, Any]:
    left, right = _parts(a.plan), _parts(b.plan)
    both = left.keys() & right.keys()
    of_a, of_b = _machine(a), _machine(b)
    parts = [{"name": n, "a": x, "b": y} for n, x, y in _differences(left, right) if n in both]
    return {
        "parts": parts,
        "only": {
            side: {name: version for name, version in versions.items() if name not in both}
            for side, versions in (("a", left), ("b", right))
        },
        "same_parts": len(both) - len(parts),
        "stages": _changed_kinds(a.plan, b.plan),
        "machine": [{"name": name, "a": x, "b": y} for name, x, y in _differences(of_a, of_b)],
        "same_machine": {name: values for name, values in of_a.items() if of_b[name] == values},
    }


def _parts(plan: Plan) -> dict[str, int]:
    """The versions of the parts that a plan's stages are built from. One state of the code makes a plan."""
    versions: dict[str, int] = {}
    for stage in plan.stages.values():
        options = stage.options
        versions |= options.get("versions", {})
        versions |= {f"metric.{name}": version for name, version in options.get("metrics", {}).items()}
        parts = {"data": options.get("dataset"), "mask": options.get("mask") or options.get("masks")}
        for what, part in [*parts.items(), ("mask", options.get("protocol", {}).get("mask"))]:
            if part and "version" in part:
                versions[f"{what}.{part['kind']}"] = part["version"]
    return dict(sorted(versions.items()))


def _changed_kinds(a: Plan, b: Plan) -> list[str]:
    """The kinds with a stage that has the same options, inputs and seed in both plans, but another key."""

    def described(stage: Stage) -> str:
        options = {".".join(path): value for path, value in _flat(stage.options).items()}
        return json_digest([stage.kind, options, stage.needs, stage.seed, stage.hints.get("salt")])

    keys = {described(stage): stage.key for stage in a.stages.values()}
    changed = {stage.kind for stage in b.stages.values() if keys.get(described(stage), stage.key) != stage.key}
    return [kind for kind in KINDS if kind in changed]


def _machine(side: Side) -> dict[str, list[str]]:
    """The software and hardware that made an output's stages: several values where it was continued elsewhere."""
    made = [side.store.made(key) for key in side.plan.stages if side.store.has(key)]
    values = {
        label: sorted({str(facts[name]) for facts in made if facts.get(name) is not None})
        for name, label in MACHINE.items()
    }
    return {**values, "device": [str(side.plan.study.numerics["device"])]}


def _data(a: Side, b: Side) -> Iterator[dict[str, Any]]:
    """The data sets of both outputs, then the masks that come from files."""
    for name in (name for name in a.digests if name in b.digests):
        left, right = a.digests[name], b.digests[name]
        same = None if left is None or right is None else left == right
        if same is None and a.plan.study.data[name].stage == b.plan.study.data[name].stage:
            same = True  # the key covers everything that decides the pixels
        yield {"kind": "images", "name": name, "a": left, "b": right, "same": same}
    for role, label in (("data.masks", "masks in training"), ("data.test_masks", TEST_MASKS)):
        left, right = _masks(a.plan, role), _masks(b.plan, role)
        if left or right:
            yield {"kind": "masks", "name": label, "a": left, "b": right, "same": left == right}


def _masks(plan: Plan, role: str) -> str | None:
    """The digests of the packed masks that a plan's runs have in a role, separated by commas; None without any."""
    keys = {run.stages[role] for run in plan.runs if role in run.stages}
    return ", ".join(sorted(plan.stages[key].options["masks"]["content"] for key in keys)) or None


def _stages(a: Side, b: Side) -> dict[str, Any]:
    def state(key: str) -> str:
        if key not in a.plan.stages or key not in b.plan.stages:
            return "only_a" if key in a.plan.stages else "only_b"
        if not (a.store.has(key) and b.store.has(key)):
            return "not_made"
        return "same" if digests(a.store.manifest(key)) == digests(b.store.manifest(key)) else "other"

    states = {key: (stage.kind, state(key)) for key, stage in {**a.plan.stages, **b.plan.stages}.items()}
    counts = Counter(states.values())
    names = ("same", "other", "not_made", "only_a", "only_b")
    rows = [
        {"kind": kind, "common": sum(counts[kind, name] for name in names[:3])} | {n: counts[kind, n] for n in names}
        for kind in KINDS
        if any(counts[kind, name] for name in names)
    ]
    return {"kinds": rows, "other": [key for key, (_, name) in states.items() if name == "other"]}


def _effects(a: Side, b: Side, same_data: Collection[str]) -> Iterator[dict[str, Any]]:
    external = b.results.external()
    names = ordered(a.results, [*_common(a, b), *(name for name in a.results.external() if name in external)])
    for data in (data for data in a.digests if data in b.digests):
        sets = (data, data if data in same_data else f"{data} of b")
        runs = _together([side.results.runs[side.results.runs["data"] == data] for side in (a, b)], sets)
        for metric, region in EFFECTS:
            scores = _together([side.results.select(metric, region, OUTPUT, data) for side in (a, b)], sets)
            for name in names:
                left, right = a.names.get(name, name), b.names.get(name, name)
                if {f"a: {left}", f"b: {right}"} <= set(runs["variant"]):
                    bits = a.evaluations(left, data), b.evaluations(right, data)
                    yield {
                        "variant": name,
                        "data": data,
                        **_effect(runs, scores, f"a: {left}", f"b: {right}", sets, metric, region),
                        "same_bits": bits[0] == bits[1] and None not in bits[0].values(),
                    }


def _together(tables: Iterable[pd.DataFrame], sets: tuple[str, str]) -> pd.DataFrame:
    """The rows of a and b in one frame, the variants with their side in front, the data set as ``sets`` names it."""
    labelled = [
        table.assign(variant=f"{side}: " + table["variant"].astype(str), data=data)
        for table, side, data in zip(tables, "ab", sets, strict=True)
    ]
    return pd.concat(labelled, ignore_index=True)


def _effect(
    runs: pd.DataFrame, scores: pd.DataFrame, a: str, b: str, sets: tuple[str, str], metric: str, region: str
) -> dict[str, Any]:
    asked: dict[str, Any] = {"metric": metric, "region": region, "output": OUTPUT}
    found = compare(runs, scores, b, a, **asked, data=(sets[1], sets[0]))
    completed = runs[runs["status"] == "completed"]
    if found.paired:
        seeds = [completed.loc[completed["variant"] == variant, "seed"] for variant in (a, b)]
        completed = completed[completed["seed"].isin(seeds[0]) & completed["seed"].isin(seeds[1])]
    sides = zip((a, b), sets, strict=True)
    means = [mean_interval(completed, scores, variant, **asked, data=data).mean for variant, data in sides]
    numbers = {"a": means[0], "b": means[1], "difference": found.difference, "low": found.low, "high": found.high}
    n_a, n_b = found.n_seeds[::-1]
    why = [f"{n_a} paired seed{'s' * (n_a != 1)}" if found.paired else f"{n_a} and {n_b} seeds"]
    if (runs.loc[runs["variant"].isin([a, b]), "start"] == "").all():
        why = ["no seeds"]
    why.append(f"{found.n_images} images{'' if sets[0] == sets[1] else ', not the same'}")
    for variant in (a, b):
        lost = runs.loc[(runs["variant"] == variant) & (runs["status"] != "completed"), "status"]
        why += [f"{variant[0]}: {count} {status}" for status, count in lost.value_counts(sort=False).items()]
    return {
        "metric": metric,
        "region": region,
        "unit": metric_of(metric).unit,
        **{name: float(value) if math.isfinite(value) else None for name, value in numbers.items()},
        "apart": bool(found.low > 0 or found.high < 0),
        "n_seeds": [n_a, n_b],
        "n_images": found.n_images,
        "paired": found.paired,
        "same_data": sets[0] == sets[1],
        "why": ", ".join(why),
    }


def _claims(a: Side, b: Side) -> list[dict[Any, Any]]:
    columns = ["id", "claim", "outcome", "scope"]
    left, right = (claims_table(side.results)[columns] for side in (a, b))
    both = left.merge(right, on=["id", "claim"], suffixes=("_a", "_b"))
    both["changed"] = (both["outcome_a"] != both["outcome_b"]) | (both["scope_a"] != both["scope_b"])
    return both.rename(columns={"outcome_a": "a", "outcome_b": "b"}).to_dict("records")
