"""A study's output as tidy frames: ``study.load("out")``. Reads what is stored alone; knows no torch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors import SafetensorError
from safetensors.numpy import load_file

from reports.frames import COLUMNS, Frames
from reports.statistics import Comparison, compare
from study.errors import BadInput, unknown
from study.plan import Plan, Run
from study.store import Damaged, RunState, Store


class Results(Frames):
    """A study's frames (``reports.frames.Frames`` tells their columns), with the comparison of two variants."""

    def compare(self, a: str, b: str, *, metric: str = "psnr", region: str = "hole", **more: Any) -> Comparison:
        """``a`` minus ``b`` with its interval, by the rule for few seeds (``reports.statistics.compare``).

        Raises ValueError where there is no such variant or metric.
        """
        aliases = self.study["aliases"]
        a, b = aliases.get(a, a), aliases.get(b, b)
        for variant in (a, b):
            if variant not in set(self.runs["variant"]):
                raise ValueError(unknown(variant, set(self.runs["variant"]), "no variant of this study"))
        return compare(self.runs, self.scores, a, b, metric=metric, region=region, **more)


def load(out: str | Path) -> Results:
    """The frames of an output folder, whatever of its runs is there. Raises BadInput where there is no study."""
    out = Path(out)
    plan = Plan.read(out / "plan.json")
    if plan is None:
        raise BadInput(f"{out}: there is no study here; make one with: python -m study run runs.yaml --out {out}")
    store = Store(out)
    runs = [_run(run, plan, store) for run in plan.runs]
    there = [run for run, row in zip(plan.runs, runs, strict=True) if row["status"] == "completed"]
    return Results(
        study=_facts(plan, store),
        runs=_frame("runs", runs),
        scores=_joined("scores", (_scores(run, store) for run in there)),
        curves=_joined("curves", (_curves(run, store) for run in plan.runs)),
        factors=_frame("factors", _factors(plan)),
        universes=_frame("universes", _universes(plan)),
        readings=_frame("readings", plan.study["readings"]),
        stages=_frame("stages", _stages(plan, store)),
        pictures=_frame("pictures", [row for run in there for row in _pictures(run, store)]),
    )


def _frame(name: str, rows: Any) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(COLUMNS[name]))


def _joined(name: str, parts: Iterator[pd.DataFrame | None]) -> pd.DataFrame:
    found = [part for part in parts if part is not None and len(part)]
    return pd.concat(found, ignore_index=True) if found else _frame(name, [])


def _of(run: Run) -> dict[str, Any]:
    return {"run": run.name, "variant": run.variant, "data": run.data, "seed": run.seed}


def _run(run: Run, plan: Plan, store: Store) -> dict[str, Any]:
    state = RunState.of(store.out, run.name).read()
    last = run.stages["evaluate"]
    status, why = RunState.word(state, store.has(last), alive=True), state.get("why", "")
    if status == "missing" and state:
        why = f"its stage {last} is not there"
    elif status == "completed":
        try:
            store.verified(last)
        except Damaged:
            status, why = "missing", f"its stage {last} is damaged; the study's command makes it again"
    if status == "completed":  # with what its stages warned of
        warned = [warning for key in run.stages.values() for warning in store.outcome(key).get("warnings", [])]
        why = "; ".join(dict.fromkeys(filter(None, [why, *warned])))
    outcome = store.outcome(last)
    trained = [key for role, key in run.stages.items() if not role.startswith("data")]
    seconds = [store.made(key).get("seconds", 0.0) for key in trained]
    return {
        **_of(run),
        "method": run.method,
        "status": status,
        "why": why,
        "diverged_at": outcome.get("step", pd.NA) if status == "diverged" else pd.NA,
        "updates": run.updates,
        "parameters": run.parameters,
        "critic_parameters": run.critic_parameters,
        "seconds": sum(seconds),
        "start": run.start,
        "record": state.get("record", ""),
    }


def _scores(run: Run, store: Store) -> pd.DataFrame | None:
    folder = store.folder(run.stages["evaluate"])
    try:
        facts = json.loads((folder / "evaluation.json").read_text())
        wide = load_file(folder / "scores.safetensors")["scores"]
    except (OSError, ValueError, KeyError, SafetensorError):
        return None
    images, columns = facts["images"], facts["columns"]
    outputs, regions, metrics = (np.tile(names, len(images)) for names in zip(*columns, strict=True))
    return pd.DataFrame(
        {
            **_of(run),
            "image": np.repeat(images, len(columns)),
            "region": regions,
            "output": outputs,
            "metric": metrics,
            "value": wide.ravel(),
        }
    )


def _curves(run: Run, store: Store) -> pd.DataFrame | None:
    parts = []
    for role, key in run.stages.items():
        try:
            series = json.loads((store.folder(key) / "series.json").read_text())
        except (OSError, ValueError):
            continue
        for name, values in series["terms"].items():
            network, _, term = name.partition(".")
            facts = {"stage": role.partition(".")[0], "network": network, "term": term}
            parts.append(pd.DataFrame({**_of(run), **facts, "step": series["step"], "value": values}))
    return pd.concat(parts, ignore_index=True).dropna(subset="value") if parts else None


def _asked(plan: Plan) -> dict[str, str]:
    """The variants that were asked for, by each of their names, with the one under which they were run."""
    return {name: run.variant for run in plan.runs for name in (run.variant, *run.aliases)}


def _factors(plan: Plan) -> Iterator[dict[str, str]]:
    """The ablations of which at least two cells were asked for, by those cells."""
    asked = _asked(plan)
    for name, ablation in plan.study["ablations"].items():
        cells = [(levels, asked[variant]) for levels, variant in ablation["cells"] if variant in asked]
        for levels, variant in cells if len(cells) > 1 else ():
            for factor, level in zip(ablation["factors"], levels, strict=True):
                yield {"ablation": name, "variant": variant, "factor": factor, "level": level}


def _universes(plan: Plan) -> Iterator[dict[str, Any]]:
    """The multiverses of which every base was asked for, by those universes that were asked for whole."""
    asked = _asked(plan)
    for name, multiverse in plan.study.get("multiverses", {}).items():
        for number, universe in enumerate(multiverse["universes"]):
            if all(row["variant"] in asked for row in universe):
                for row in universe:
                    yield {"multiverse": name, "universe": number, **row, "variant": asked[row["variant"]]}


def _stages(plan: Plan, store: Store) -> Iterator[dict[str, Any]]:
    users = plan.users()
    for key, stage in plan.stages.items():
        if store.has(key):
            made = store.made(key)
            facts = {name: made.get(name) for name in ("seconds", "device", "torch")}
            yield {"key": key, "kind": stage.kind, "runs": len(users[key]), "steps": stage.steps, **facts}


def _pictures(run: Run, store: Store) -> Iterator[dict[str, Any]]:
    folder = store.folder(run.stages["evaluate"])
    try:
        names = json.loads((folder / "evaluation.json").read_text())["pictures"]
        pictures = load_file(folder / "pictures.safetensors") if names else {}
    except (OSError, ValueError, SafetensorError):
        return
    for output, stack in pictures.items():
        for image, pixels in zip(names, stack, strict=True):
            yield {**_of(run), "image": image, "output": output, "pixels": pixels}


def _facts(plan: Plan, store: Store) -> dict[str, Any]:
    """What the report says of the study as a whole."""
    study = plan.study
    made = [store.made(key) for key in plan.stages if store.has(key)]
    proposed = next((run for run in plan.runs if run.variant == "proposed"), None)
    proposed = proposed or next((run for run in plan.runs if run.method == "proposed"), None)
    control = next((run.variant for run in plan.runs if run.method == "reconstruction_only"), None)
    config = proposed.config if proposed else next((run.config for run in plan.runs if run.updates), {})
    return {
        "name": study["name"],
        "profile": study["profile"],
        "image_size": study["image_size"],
        "command": study.get("command"),
        "scope": "reduced" if any(entry.get("like") for entry in study["data"].values()) else "other",
        "generator_updates": max((run.updates for run in plan.runs), default=0),
        "batch": config.get("batch"),
        "steps": config.get("steps"),
        "data": [_data(name, entry, store) for name, entry in study["data"].items()],
        "versions": made[-1] and {name: made[-1].get(name) for name in ("torch", "python")} if made else {},
        "devices": sorted({f"{facts['device']}, {facts['threads']} thread" for facts in made if "device" in facts}),
        "seeds": study["seeds"],
        "reference": proposed.variant if proposed else None,
        "control": control,
        "sharing": plan.work(),
        "seconds": sum(facts.get("seconds", 0.0) for facts in made),
        "made": max((facts.get("made", "") for facts in made), default=""),
        "numerics": study["numerics"],
        "aliases": {alias: run.variant for run in plan.runs for alias in run.aliases},
        "configs": {run.variant: {"method": run.method, "options": run.config} for run in plan.runs},
        "networks": study.get("networks"),
        "multiverses": {
            name: {key: multiverse[key] for key in ("base", "contrasts", "design")}
            for name, multiverse in study.get("multiverses", {}).items()
        },
    }


def _data(name: str, entry: dict[str, Any], store: Store) -> dict[str, Any]:
    facts: dict[str, Any] = {"name": name, "kind": entry["kind"], "like": entry.get("like")}
    try:
        packed = json.loads((store.folder(entry["stage"]) / "data.json").read_text())
    except (OSError, ValueError):
        return facts
    counts = {part: stop - start for part, (start, stop) in packed["parts"].items()}
    return {**facts, **counts, "digest": packed["digest"], "left_out": len(packed["left_out"])}
