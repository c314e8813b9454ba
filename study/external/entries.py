"""Scores of methods that run outside the harness: where they are stored, and which of them still apply to the study.

out/external/NAME/DATA/SEED/    an evaluation as ``study.evaluation.scoring`` writes it, published as a stage is. The
                                ``outcome`` in its manifest.json says what was scored and what it was tested on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from study.plan.graph import Plan, Stage
from study.store import MANIFEST, Damaged, read_facts, verify

FOLDER = "external"
OLD_FACTS = "external.json"
"""What earlier versions of this program wrote in place of the manifest."""


@dataclass(frozen=True)
class External:
    """The scores of one set of files.

    Args:
        seed: None where the method has no seeds.
        facts: what was scored: name, data, seed, kind, notes, warnings, digest, images, of, scored, protocol, tested;
            empty where its manifest cannot be read.
        checksum: the SHA-256 of its scores.
        why: why its scores are not shown; empty where they are.
        joins: whether it is listed among the study's runs.
    """

    folder: Path
    name: str
    data: str
    seed: int | None
    facts: Mapping[str, Any] = field(default_factory=dict)
    checksum: str | None = None
    why: str = ""
    joins: bool = True

    @property
    def run(self) -> str:
        """The name of its run, in the form of the study's own."""
        return f"{self.name}/{self.data}/{self.seed or 0}"

    @property
    def start(self) -> str:
        """A unique name in place of the key of its unknown training; empty where the method has no seeds."""
        return "" if self.seed is None else f"external-{str(self.facts.get('digest', self.run))[:16]}"

    @property
    def pasted(self) -> bool:
        """True if the files hold the known pixels, so that the method's own output there is unknown."""
        return self.facts.get("kind") == "composite"


def place(out: Path, name: str, data: str, seed: int | None) -> Path:
    """The folder for the scores of one set of files."""
    return out / FOLDER / name / data / ("all" if seed is None else str(seed))


def read(folder: Path) -> External:
    """The scores in ``out/external/NAME/DATA/SEED``, unchecked."""
    name, data, seed = folder.parts[-3:]
    manifest = read_facts(folder / MANIFEST)
    facts, files = (each if isinstance(each, dict) else {} for each in map(manifest.get, ("outcome", "files")))
    checksum = files.get("scores.safetensors")
    return External(folder, name, data, int(seed) if seed.isdecimal() else None, facts, checksum)


def tested(stage: Stage) -> dict[str, Any]:
    """The test images, holes and metrics of an evaluate stage: equal for all runs on a data set."""
    protocol = stage.options["protocol"]
    return {
        "data": stage.needs["data"],
        "holes": protocol["mask"],
        "masks": stage.needs.get("masks"),
        "seed": protocol["seed"],
        "metrics": stage.options["metrics"],
        "perceptual": stage.options.get("perceptual"),
    }


def evaluation(plan: Plan, data: str) -> Stage | None:
    """An evaluate stage of a study's data set; None where nothing is evaluated on it."""
    return next((plan.stages[run.stages["evaluate"]] for run in plan.runs if run.data == data), None)


def found(out: Path, plan: Plan) -> list[External]:
    """All external scores of an output, by name, data set and seed. ``why`` says which no longer apply."""
    folders = [folder for folder in (out / FOLDER).glob("[!.]*/[!.]*/[!.]*") if folder.is_dir()]
    all_found = [read(folder) for folder in folders if folder.name == "all" or folder.name.isdecimal()]
    return [_checked(one, out, plan) for one in sorted(all_found, key=lambda one: (one.name, one.data, one.seed or 0))]


def _checked(one: External, out: Path, plan: Plan) -> External:
    """The same, with the reason where its scores are not shown."""
    if one.data not in plan.study.data or (stage := evaluation(plan, one.data)) is None:
        return replace(one, why=f"the study has no run on {one.data} now", joins=False)
    if one.name in plan.names():
        why = f"a variant of the study is called {one.name} now; score its files again under another name"
        return replace(one, why=why, joins=False)
    seed = "" if one.seed is None else f" --seed {one.seed}"
    options = f"--output DIR --into {out} --as {one.name}{seed} --data {one.data}"
    again = f"score its files again: python -m study score {options}"
    if not one.facts and (one.folder / OLD_FACTS).is_file():
        return replace(one, why=f"it was scored by an earlier version of this program; {again}")
    try:
        verify(one.folder)
    except Damaged:
        return replace(one, why=f"its files in {one.folder} are damaged; {again}")
    if differing := _differing(one.facts.get("tested") or {}, tested(stage)):
        return replace(one, why=f"it was scored under another protocol: {', '.join(differing)}; {again}")
    return one


def _differing(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What was tested in another way than the study tests now, in words."""
    old, new = then.get("metrics") or {}, now["metrics"]
    metrics = sorted(name for name in {**old, **new} if old.get(name) != new.get(name))
    words = {
        "data": "its images were different, or packed differently",
        "holes": f"its holes were {_plain(then.get('holes'))} and are {_plain(now['holes'])}",
        "masks": "its holes came from other mask files",
        "seed": f"its seed was {then.get('seed')} and is {now['seed']}",
        "metrics": f"other metrics, or other versions of them ({', '.join(metrics)})",
        "perceptual": "other perceptual distances",
    }
    changed = [key for key in words if then.get(key) != now[key]]
    return [words[key] for key in changed if key != "masks" or "holes" not in changed]


def _plain(holes: Mapping[str, Any] | None) -> str:
    """``random_box, least 0.25``."""
    options = {k: value for k, value in (holes or {}).items() if k not in ("kind", "version") and value is not None}
    return ", ".join([str((holes or {}).get("kind")), *(f"{key} {value}" for key, value in options.items())])
