"""A study's output as tidy frames: ``study.load("out")``. Reads stored files only.

Does not import torch, except to draw the holes of a test whose holes differ, once (``study.evaluation.shares``).
"""

from __future__ import annotations

import json
import shlex
import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file

from reports.analysis.claims import claims_table, links_table
from reports.analysis.critics import spread
from reports.analysis.frames import COLUMNS, EXTERNAL, Frames
from reports.analysis.published import paper
from reports.analysis.statistics import OUTCOMES, Comparison, compare
from study.errors import few, unknown
from study.evaluation.evaluation import Evaluation
from study.external import entries
from study.external.entries import External
from study.facts import DataFacts, StudyFacts, TreatmentFacts
from study.files import open_file
from study.plan.graph import PLAN, Plan, Run, Stage
from study.running import progress
from study.search.trials import states
from study.store import Damaged, RunState, Store

TRAINED = ("pretrain", "critic", "joint", "fit")
"""The kinds of stage that are trained, and so have curves."""

MADE = {"device", "torch", "python", "made", "seconds", "threads", "peak_memory_mib"}
"""What is recorded of how a stage was made."""

STUDY_FACTS = {
    "name", "file", "profile", "image_size", "command", "seeds", "looks", "numerics", "protocol", "networks", "metrics",
    "methods", "claims", "multiverses", "left_out", "left_out_seeds",
}  # fmt: skip
"""The facts of a study that a report reads as the plan has them."""


class Results(Frames):
    """A study's frames (columns: ``reports.analysis.frames.Frames``), with the comparison of two variants."""

    def __repr__(self) -> str:
        """The summary as text."""
        return "\n".join(f"{name:9} {value}" for name, value in self.summary().items())

    def _repr_html_(self) -> str:
        """The summary as a table, for a notebook."""
        rows = (f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in self.summary().items())
        return f"<table>{''.join(rows)}</table>"

    def summary(self) -> dict[str, str]:
        """The study in a few lines: what was run, and the outcomes of the claims."""
        study, runs = self.study, self.runs
        variants = list(dict.fromkeys(runs["variant"].astype(str)))
        outcomes = self.claims.groupby("outcome")["id"].agg(", ".join)
        return {
            "study": f"{study['name']}, profile {study['profile'] or 'none'}, scope {study['scope'] or 'none'}",
            "data": ", ".join(self.data_sets()) or "none",
            "variants": f"{len(variants)}: {few(variants, 8)}" if variants else "none",
            "seeds": ", ".join(map(str, study["seeds"] or [])) or "none",
            "runs": ", ".join(f"{count} {status}" for status, count in runs["status"].value_counts().items()) or "none",
            "claims": "; ".join(f"{name}: {outcomes[name]}" for name in OUTCOMES if name in outcomes),
            "frames": ", ".join(name for name in COLUMNS if len(getattr(self, name))),
        }

    @property
    def claims(self) -> pd.DataFrame:
        """A row per claim of the paper (columns: ``reports.analysis.claims.claims_table``)."""
        return claims_table(self)

    @property
    def links(self) -> pd.DataFrame:
        """A row per link and control of each claim (columns: ``reports.analysis.claims.links_table``)."""
        return links_table(self)

    def compare(
        self,
        a: str,
        b: str,
        *,
        metric: str = "psnr",
        region: str = "hole",
        margin: float | Literal["usual"] | None = "usual",
        **more: Any,
    ) -> Comparison:
        """``a`` minus ``b`` with its interval, by the rule for few seeds (``reports.analysis.statistics.compare``).

        ``margin``: in the metric's unit; by default the one that the claims use, 0.16 dB of PSNR and 0.006 of SSIM.
        ``level``: by default 95%, or what the study's look at this number of seeds may spend.

        Raises ValueError if there is no such variant or metric, or the metric is not computed in that region.
        """
        a, b = self.variant(a), self.variant(b)
        for variant in (a, b):
            if variant not in set(self.runs["variant"]):
                raise ValueError(unknown(variant, set(self.runs["variant"]), "not a variant of this study"))
        known, own = list(self.scores["metric"].unique()), (self.study["metrics"] or {}).get(metric)
        if known and metric not in known:
            raise ValueError(f"metric: {unknown(metric, known)}")
        regions = list(self.scores.loc[self.scores["metric"] == metric, "region"].unique())
        if regions and region not in regions:
            raise ValueError(f"region: {unknown(region, regions, f'no region of {metric}')}")
        if own:
            more = {"direction": "more" if own["better"] == "higher" else "less", **more}
        more = {"level": self.level, **more}
        return compare(self.runs, self.scores, a, b, metric=metric, region=region, margin=margin, **more)


def load(out: str | Path) -> Results:
    """The frames of an output folder, finished or not; ``why`` of a run says what is missing or damaged.

    A folder that holds searches and no study has trials, and no runs. Raises BadInput if there is neither, or the plan
    cannot be read.
    """
    out = Path(out)
    if not (out / PLAN).is_file() and (searches := _searches(out)):
        first = next(iter(searches.values()))
        facts = {"name": f"Search in {out}", "profile": first["profile"], "searches": searches}
        return Results(study=facts, trials=_trials(out))
    return frames_of(Plan.of(out), out)


def frames_of(plan: Plan, out: Path) -> Results:
    """The frames of a plan's runs, with what is stored of them in an output folder."""
    store = Store(out)
    records = {key: _record(store, key, stage.kind) for key, stage in plan.stages.items() if stage.kind != "evaluate"}
    runs = [_run(run, store, records) for run in plan.runs]
    evaluated = [
        _Evaluated(_of(run), store.folder(run.stages["evaluate"]))
        for run, row in zip(plan.runs, runs, strict=True)
        if row["status"] == "completed"
    ]
    external = entries.found(out, plan)
    joined = [one for one in external if one.joins]
    facts = _facts(plan, store, external)
    running = _running(plan, store, records) if facts["progress"] else ()
    runs += [_external(one) for one in joined]
    evaluated += [_Evaluated(_whose(one), one.folder, "raw" if one.pasted else "") for one in joined if not one.why]
    return Results(
        study=facts,
        runs=_frame("runs", runs),
        factors=_frame("factors", _factors(plan)),
        universes=_frame("universes", _universes(plan)),
        readings=_frame("readings", _readings(plan)),
        scores=_long("scores", _scores(evaluated, _groups(plan, records), _shares(plan, store, records))),
        curves=_long("curves", _curves(plan.runs, records)).dropna(subset="value", ignore_index=True),
        running=_long("running", running).dropna(subset="value", ignore_index=True),
        stages=_frame("stages", _stages(plan, store)),
        trials=_trials(out),
        pictures=_frame("pictures", [row for one in evaluated for row in _pictures(one, "pictures")]),
        worst=_frame("worst", [row for one in evaluated for row in _pictures(one, "worst")]),
        distances=_distances(evaluated),
    )


def _record(store: Store, key: str, kind: str) -> dict[str, Any]:
    """What a stage recorded: ``step`` and ``terms`` of training, the parts of a data set; empty if it is damaged."""
    name = "series.json" if kind in TRAINED else "data.json"
    return store.recorded(key, name)


class _Logged(BaseModel):
    """What a checkpoint says of its stage's series: the mean of each term over the log interval up to each step."""

    steps: list[int]
    terms: dict[str, list[float | None]]


def _so_far(store: Store, stage: Stage) -> dict[str, Any]:
    """``step`` and ``terms`` of a stage in training, from its checkpoint; empty if it has none or it is damaged."""
    try:
        open_file(store.checkpoint(stage.key)).close()
        with safe_open(store.checkpoint(stage.key), framework="numpy") as opened:
            logged = _Logged.model_validate_json((opened.metadata() or {}).get("facts", ""))
    except (OSError, SafetensorError, ValueError):
        return {}
    whole = all(len(values) == len(logged.steps) for values in logged.terms.values())
    possible = all(0 < step <= stage.steps for step in logged.steps)
    return {"step": logged.steps, "terms": logged.terms} if whole and possible else {}


def _made(store: Store, key: str) -> dict[str, Any]:
    """The machine and the time that made a stage; empty if they are not recorded, or the record is damaged."""
    made = store.made(key)
    return made if made.keys() >= MADE else {}


def _frame(name: str, rows: Any) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(COLUMNS[name]))


def _of(run: Run) -> dict[str, Any]:
    return {"run": run.name, "variant": run.variant, "data": run.data, "seed": run.seed}


class _Evaluated:
    """The scores of a run, or of files. ``lacks``: an output that is stored but is not the method's own."""

    def __init__(self, whose: Mapping[str, Any], folder: Path, lacks: str = "") -> None:
        self.whose, self.folder, self.lacks = whose, folder, lacks
        self.evaluation = Evaluation.read(folder, without=lacks)


def _whose(one: External) -> dict[str, Any]:
    return {"run": one.run, "variant": one.name, "data": one.data, "seed": one.seed or 0}


def _external(one: External) -> dict[str, Any]:
    """The row of a run that was scored from files. Its training is unknown; the columns that it lacks are NaN."""
    return {
        **_whose(one),
        "method": EXTERNAL,
        "status": "missing" if one.why else "completed",
        "diverged_at": pd.NA,
        "why": one.why or "; ".join(one.facts.get("warnings", [])),
        "start": one.start,
        "record": "",
        **dict.fromkeys(("updates", "parameters", "critic_parameters", "seconds"), 0),
    }


def _run(run: Run, store: Store, records: Mapping[str, Any]) -> dict[str, Any]:
    state = RunState.of(store.out, run.name).read()
    state = state if state.get("status") in ("completed", "diverged", "failed", "interrupted", "running") else {}
    last = run.stages["evaluate"]
    status, why = RunState.word(state, store.has(last), alive=True), str(state.get("why", ""))
    if status == "missing" and state:
        why = f"its stage {last} is missing"
    elif status == "missing" and store.has(last):
        why = "its outcome is not recorded; run the study again to record it"
    elif status in ("completed", "diverged"):
        try:
            store.verified(last)
        except Damaged:
            status, why = "missing", f"its stage {last} is damaged; run the study again to remake it"
    if status == "completed":  # add the warnings of its stages, and what is missing of them
        warned = [warning for key in run.stages.values() for warning in store.outcome(key).get("warnings", [])]
        why = "; ".join(dict.fromkeys(filter(None, [why, *warned, *_lacking(run, store, records)])))
    trained = {role: _made(store, key) for role, key in run.stages.items() if not role.startswith("data")}
    made = [facts for facts in trained.values() if facts]
    joint = trained.get("joint") or trained.get("fit") or {}
    return {
        **vars(run),
        "run": run.name,
        "status": status,
        "why": why,
        "diverged_at": store.outcome(last).get("step", pd.NA) if status == "diverged" else pd.NA,
        "seconds": sum(facts["seconds"] for facts in made),
        "start": run.start,
        "record": state.get("record", ""),
        "step_ms": 1000 * joint["seconds"] / joint["steps"] if joint.get("steps") else np.nan,
        "memory_mib": max((facts["peak_memory_mib"] for facts in made), default=np.nan),
        "spread": _spread(store, run.stages["joint"]) if "joint" in run.stages else np.nan,
        "scale": store.outcome(run.stages.get("joint", "")).get("adversarial_scale", np.nan),
    }


def _spread(store: Store, key: str) -> float:
    """The spread of the adversarial gradient in a joint stage; NaN if it was not recorded."""
    name = "every_step.safetensors"
    if not store.intact(key, name):
        return np.nan
    return spread(load_file(store.folder(key) / name)["generator.adversarial_gradient"])


def _lacking(run: Run, store: Store, records: Mapping[str, Any]) -> Iterator[str]:
    """What is missing of a completed run, in words."""
    for role, key in run.stages.items():
        lost = "its image counts" if role == "data" else ""
        lost = "its curves" if role.partition(".")[0] in TRAINED else lost
        if lost and not store.has(key):
            yield f"its stage {key} is missing, with {lost}"
        elif lost and not records.get(key):
            yield f"its stage {key} is damaged; {lost} are left out"
        if not _made(store, key):
            yield f"the machine and time of its stage {key} are not recorded"


Part = tuple[int, dict[str, Any]]
"""Rows of a long frame: how many, and the columns. One value for all, numbers, or texts and each row's index of one."""


def _long(name: str, parts: Iterable[Part]) -> pd.DataFrame:
    """One frame of all parts, with text as categories: millions of rows stay small and fast."""
    columns: dict[str, list[NDArray[Any]]] = defaultdict(list)
    known: dict[str, dict[str, int]] = defaultdict(dict)
    for rows, part in parts:
        for column, value in part.items():
            if column not in ("value", "step", "seed", "hole_share"):
                texts, places = ([value], 0) if isinstance(value, str) else value
                codes = [known[column].setdefault(text, len(known[column])) for text in texts]
                value = np.array(codes, np.int32)[places]
            columns[column].append(np.broadcast_to(value, rows))
    if not columns:
        return _frame(name, [])
    whole: dict[str, Any] = {column: np.concatenate(arrays) for column, arrays in columns.items()}
    for column, names in known.items():
        whole[column] = pd.Categorical.from_codes(whole[column], pd.Index(list(names), dtype="str"))
    return pd.DataFrame(whole, copy=False)


def _scores(
    evaluated: list[_Evaluated], groups: Mapping[str, Mapping[str, str]], shares: Mapping[str, Mapping[str, float]]
) -> Iterator[Part]:
    """All scores, with the share of the image that is hole.

    Where it is known of any data set what its images belong to, with that as ``group``.
    """
    for one in evaluated:
        images, wide = one.evaluation.images, one.evaluation.scores
        image, column = (places.ravel() for places in np.indices(wide.shape))
        outputs, regions, metrics = zip(*one.evaluation.columns, strict=True)
        part = {**one.whose, "image": (images, image), "region": (regions, column), "output": (outputs, column)}
        part |= {"metric": (metrics, column), "value": wide.ravel()}
        of_image = shares.get(one.whose["data"], {})
        part["hole_share"] = np.array([of_image.get(name, np.nan) for name in images])[image]
        if groups:
            known = groups.get(one.whose["data"], {})
            part["group"] = ([known.get(name, name) for name in images], image)
        yield wide.size, part


def _groups(plan: Plan, records: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The group of each test image, by data set and name, for the data sets that have groups."""
    found = {}
    for data, entry in plan.study.data.items():
        packed = records.get(entry.stage, {})
        if groups := packed.get("groups"):
            test = slice(*packed["parts"]["test"])
            found[data] = dict(zip(packed["names"][test], groups[test], strict=True))
    return found


def _shares(plan: Plan, store: Store, records: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """How much of each test image is hole, by data set and name. To draw holes that differ needs torch."""
    found: dict[str, dict[str, float]] = {}
    for data, entry in plan.study.data.items():
        stage, packed = entries.evaluation(plan, data), records.get(entry.stage, {})
        if stage is None or not packed:
            continue
        names = packed["names"][slice(*packed["parts"]["test"])]
        if stage.options["protocol"]["mask"]["kind"] == "center":
            found[data] = dict.fromkeys(names, (plan.study.image_size // 2) ** 2 / plan.study.image_size**2)
            continue
        from study.evaluation.shares import hole_shares

        shares = hole_shares(stage, store, len(names))
        found[data] = {} if shares is None else dict(zip(names, shares.tolist(), strict=True))
    return found


def _distances(evaluated: list[_Evaluated]) -> pd.DataFrame:
    """The perceptual distances of whole sets of images, and why one that the study asks for is missing."""
    rows = [{**one.whose, **row} for one in evaluated for row in one.evaluation.distances or ()]
    return _frame("distances", rows).astype({"value": float, "spread": float})


def _curves(runs: list[Run], records: Mapping[str, Any]) -> Iterator[Part]:
    for run in runs:
        for role, key in run.stages.items():
            yield from _series(run, role, records.get(key, {}))


def _running(plan: Plan, store: Store, records: Mapping[str, Any]) -> Iterator[Part]:
    """The curves so far of each stage in training, once: as those of the first run that needs it."""
    waiting = {key: stage for key, stage in plan.stages.items() if stage.kind in TRAINED and not records[key]}
    for run in plan.runs:
        for role, key in run.stages.items():
            if stage := waiting.pop(key, None):
                yield from _series(run, role, _so_far(store, stage))


def _series(run: Run, role: str, recorded: Mapping[str, Any]) -> Iterator[Part]:
    for name, values in recorded.get("terms", {}).items():
        network, _, term = name.partition(".")
        part = {**_of(run), "stage": role.partition(".")[0], "network": network, "term": term}
        yield len(values), {**part, "step": recorded["step"], "value": np.array(values, float)}


def _factors(plan: Plan) -> Iterator[dict[str, str]]:
    """A row for each factor of each cell that the plan runs, for ablations with at least two such cells."""
    ran = plan.names()
    for name, ablation in plan.study.ablations.items():
        cells = [(levels, ran[variant]) for levels, variant in ablation.cells if variant in ran]
        for levels, variant in cells if len(cells) > 1 else ():
            for factor, level in zip(ablation.factors, levels, strict=True):
                yield {"ablation": name, "variant": variant, "factor": factor, "level": level}


def _universes(plan: Plan) -> Iterator[dict[str, Any]]:
    """A row for each setting of each universe of which the plan runs every variant."""
    ran = plan.names()
    for name, multiverse in plan.study.multiverses.items():
        for number, universe in enumerate(multiverse.universes):
            if all(row.variant in ran for row in universe):
                for row in universe:
                    yield {"multiverse": name, "universe": number, **vars(row), "variant": ran[row.variant]}


def _readings(plan: Plan) -> Iterator[dict[str, Any]]:
    """A row for each reading, and for each setting in which the compared methods that run were treated unlike."""
    ran = set(plan.names())
    treated = defaultdict[str, list[TreatmentFacts]](list)
    for row in plan.study.treatments:
        if row.variant in ran:
            treated[row.key].append(row)
    unlike = {
        (row.variant, key): sentence for key, rows in treated.items() if (sentence := _unlike(rows)) for row in rows
    }
    known = {(row.variant, row.key) for row in plan.study.readings}
    for reading in plan.study.readings:
        yield {**reading.model_dump(), "unlike": unlike.get((reading.variant, reading.key), "")}
    for row in plan.study.treatments:
        place = (row.variant, row.key)
        if place in unlike and place not in known:
            yield {**row.model_dump(exclude={"origin"}), "departs": False, "unlike": unlike[place]}


def _unlike(rows: Sequence[TreatmentFacts]) -> str:
    """How methods were treated in a setting, in a sentence; empty if they were treated alike."""
    if len({row.value for row in rows}) < 2:
        return ""
    parts = "; ".join(f"{row.value} for {row.variant} ({row.origin})" for row in rows)
    return f"{rows[0].meaning[0].upper()}{rows[0].meaning[1:]}: {parts}."


def _stages(plan: Plan, store: Store) -> Iterator[dict[str, Any]]:
    users = plan.users()
    for key, stage in plan.stages.items():
        if store.has(key):
            yield {**_made(store, key), "key": key, "kind": stage.kind, "runs": len(users[key]), "steps": stage.steps}


def _searches(out: Path) -> dict[str, dict[str, Any]]:
    """The searches of an output by variant, without their trials."""
    return {
        state["variant"]: {key: value for key, value in state.items() if key not in ("variant", "trials")}
        for state in states(out)
    }


def _trials(out: Path) -> pd.DataFrame:
    """The trials of all searches of an output, in order, with settings in the order of the search's space."""
    rows = []
    for state in states(out):
        keys = [entry["key"] for entry in state["space"]]
        for row in state["trials"]:
            settings = {key: row["settings"][key] for key in keys if key in row["settings"]}
            rows.append({**row, "variant": state["variant"], "settings": json.dumps(settings)})
    found = _frame("trials", rows)
    return found.assign(value=found["value"].astype(float), usual=found["usual"].astype(bool))


def _pictures(one: _Evaluated, kind: str) -> Iterator[dict[str, Any]]:
    """The stored images of the ``kind`` 'pictures' or 'worst'."""
    names = getattr(one.evaluation, kind)
    for output, stack in _mapped(one.folder / f"{kind}.safetensors").items() if names else ():
        for image, pixels in zip(names, stack, strict=True) if output != one.lacks else ():
            yield {**one.whose, "image": image, "output": output, "pixels": pixels}


def _mapped(file: Path) -> dict[str, NDArray[np.uint8]]:
    """The uint8 arrays of a safetensors file, memory-mapped: a report shows few of the images of hundreds of runs."""
    with file.open("rb") as stream:
        (size,) = struct.unpack("<Q", stream.read(8))
        header = json.loads(stream.read(size))
    data = np.memmap(file, np.uint8, mode="r", offset=8 + size)
    entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
    return {name: data[slice(*entry["data_offsets"])].reshape(entry["shape"]) for name, entry in entries.items()}


def _facts(plan: Plan, store: Store, external: Sequence[External]) -> dict[str, Any]:
    """The facts of the study as a whole (``reports.analysis.frames.Frames.study``)."""
    study, live = plan.study, progress.live(store.out)
    made = [facts for key in plan.stages if store.has(key) and (facts := _made(store, key))]
    proposed = next((run for run in plan.runs if run.variant == "proposed"), None)
    if proposed is None and "proposed" not in study.left_out:
        proposed = next((run for run in plan.runs if run.method == "proposed"), None)
    left_out = "proposed" if "proposed" in study.left_out else None
    config = proposed.config if proposed else next((run.config for run in plan.runs if run.updates), {})
    return {
        **study.model_dump(include=STUDY_FACTS, exclude={"multiverses": {"__all__": {"universes"}}}),
        "file": _file(study),
        "scope": _scope(study, config),
        "generator_updates": max((run.updates for run in plan.runs), default=0),
        "batch": config.get("batch"),
        "steps": config.get("steps"),
        "data": [_data(name, entry, store) for name, entry in study.data.items()],
        "versions": {name: made[-1][name] for name in ("torch", "python")} if made else {},
        "devices": sorted({f"{facts['device']}, {facts['threads']} thread" for facts in made}),
        "reference": proposed.variant if proposed else left_out,
        "control": next((run.variant for run in plan.runs if run.method == "reconstruction_only"), None),
        "sharing": plan.work(),
        "seconds": sum(facts["seconds"] for facts in made),
        "progress": {name: live.get(name) for name in ("done", "left_s", "running", "at")} if live else None,
        "made": max((facts["made"] for facts in made), default=""),
        "aliases": {name: variant for name, variant in plan.names().items() if name != variant},
        "external": [_external_facts(one) for one in external],
        "configs": {run.variant: {"method": run.method, "options": run.config} for run in plan.runs},
        "plugins": {Path(file).name: digest for file, digest in study.digests.items()},
        "searches": _searches(store.out),
    }


def _external_facts(one: External) -> dict[str, Any]:
    stored = {name: one.facts.get(name) for name in ("kind", "images", "of", "scored", "digest", "notes")}
    return {**stored, **{name: getattr(one, name) for name in ("name", "data", "seed", "checksum", "why", "joins")}}


def _file(study: StudyFacts) -> str | None:
    """The study file as the command names it; its name alone where no command is recorded."""
    words = shlex.split(study.command or "")
    return next((word for word in words if study.file and Path(word).name == study.file), study.file)


def _scope(study: StudyFacts, config: Mapping[str, Any]) -> str:
    """'paper': the paper's data, size and schedule; 'reduced': data in place of the paper's; otherwise 'other'."""
    printed, entries = paper(), study.data.values()
    sets = {kind.lower(): kind for kind in printed["data"]}  # the paper's data sets, by the kinds that read them
    schedule = {"batch": printed["batch"], "steps": printed["steps"], "width": 1.0}
    same = study.image_size == printed["image_size"] and all(config.get(key) == of for key, of in schedule.items())
    whole = all(
        entry.kind in sets and getattr(entry, "train", 0) >= printed["data"][sets[entry.kind]]["train"]
        for entry in entries
    )
    if same and whole:
        return "paper"
    return "reduced" if any(entry.like for entry in entries) else "other"


def _data(name: str, entry: DataFacts, store: Store) -> dict[str, Any]:
    """The facts of a data set; without counts and digest until it is packed."""
    duplicates = store.made(entry.stage).get("duplicates")
    facts: dict[str, Any] = {"name": name, "kind": entry.kind, "like": entry.like, "duplicates": duplicates}
    if not (packed := _record(store, entry.stage, "data")):
        return facts
    counts = {part: stop - start for part, (start, stop) in packed["parts"].items()}
    return {**facts, **counts, "digest": packed["digest"], "left_out": len(packed["left_out"])}
