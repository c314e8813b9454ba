"""What a method that cannot be run here made of a study's test images, scored from files: where it lies, and what of
it still speaks of the study. Knows no torch.

out/external/NAME/DATA/SEED/    an evaluation as `study.evaluation.scoring` writes it, and external.json: whose it is,
                                what it was tested on, and the checksum of each file. Published whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from study.plan.graph import Plan, Stage
from study.store import file_digest, read_facts, write_json

FOLDER = "external"
FACTS = "external.json"
METHOD = "external"
"""The method of a run that was scored from files."""


@dataclass(frozen=True)
class External:
    """The scores of one set of files. ``seed``: None where the files stand for themselves, without seeds.

    ``facts``: what external.json says. ``why``: why its scores are not shown, empty where they are. ``joins``: whether
    it stands among the study's runs at all.
    """

    folder: Path
    name: str
    data: str
    seed: int | None
    facts: Mapping[str, Any] = field(default_factory=dict)
    why: str = ""
    joins: bool = True

    @property
    def run(self) -> str:
        """The name of its run, as the study's own have them."""
        return f"{self.name}/{self.data}/{self.seed or 0}"

    @property
    def start(self) -> str:
        """Stands for the training that nobody here knows: its own, and none where there are no seeds."""
        return "" if self.seed is None else f"external-{str(self.facts.get('digest', self.run))[:16]}"

    @property
    def warnings(self) -> list[str]:
        """What its reader has to know."""
        return [str(text) for text in self.facts.get("warnings") or []]

    @property
    def pasted(self) -> bool:
        """Whether the files hold the known pixels, so that nobody knows what the method itself puts there."""
        return self.facts.get("kind") == "composite"


def place(out: Path, name: str, data: str, seed: int | None) -> Path:
    """Where the scores of a set of files lie."""
    return out / FOLDER / name / data / ("all" if seed is None else str(seed))


def tested(stage: Stage) -> dict[str, Any]:
    """What an evaluate stage is tested on and by: the same for all runs of a data set, and a part of their keys."""
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


def publish(made: Path, folder: Path, facts: Mapping[str, Any]) -> bool:
    """Puts a folder of scores in its place, with ``facts``; whether it replaced one that was there."""
    digests = {file.name: file_digest(file) for file in sorted(made.iterdir()) if file.name != FACTS}
    whole = {**facts, "files": digests}
    write_json(made / FACTS, {**whole, "checksum": _checksum(whole)})
    folder.parent.mkdir(parents=True, exist_ok=True)
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    replaced = folder.exists()
    if replaced:
        folder.rename(old)
    made.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
    return replaced


def found(out: Path, plan: Plan) -> list[External]:
    """All that was scored into an output, by name, data set and seed; what is no longer of the study says why."""
    root = out / FOLDER
    folders = sorted(root.glob("[!.]*/[!.]*/[!.]*"), key=lambda folder: (folder.parts[:-1], _seed(folder) or 0))
    return [_external(folder, out, plan) for folder in folders if folder.is_dir() and _named(folder)]


def _seed(folder: Path) -> int | None:
    return int(folder.name) if folder.name.isdecimal() else None


def _named(folder: Path) -> bool:
    return folder.name == "all" or folder.name.isdecimal()


def _external(folder: Path, out: Path, plan: Plan) -> External:
    data, name = folder.parent.name, folder.parent.parent.name
    facts = read_facts(folder / FACTS)
    one = External(folder, name, data, _seed(folder), facts)
    own = {each for run in plan.runs for each in (run.variant, *run.aliases)}
    if data not in plan.study.data or (stage := evaluation(plan, data)) is None:
        return _but(one, f"the study has no run on {data} now", joins=False)
    if name in own:
        why = f"a variant of the study is called {name} now; score its files again under another name"
        return _but(one, why, joins=False)
    if not sound(folder, facts):
        return _but(one, f"its files in {folder} are damaged; {again(out, one)}")
    if differing := list(_differing(facts.get("tested") or {}, tested(stage))):
        return _but(one, f"it was scored under another protocol: {', '.join(differing)}; {again(out, one)}")
    return one


def _but(one: External, why: str, *, joins: bool = True) -> External:
    return External(one.folder, one.name, one.data, one.seed, one.facts, why, joins)


def again(out: Path, one: External) -> str:
    """What to do where scores are stale."""
    seed = "" if one.seed is None else f" --seed {one.seed}"
    options = f"--output DIR --into {out} --as {one.name}{seed} --data {one.data}"
    return f"score its files again: python -m study score {options}"


def sound(folder: Path, facts: Mapping[str, Any]) -> bool:
    """Whether a folder of scores is what was published."""
    files, told = facts.get("files"), {key: value for key, value in facts.items() if key != "checksum"}
    if not isinstance(files, dict) or facts.get("checksum") != _checksum(told):
        return False
    return all((folder / name).is_file() and file_digest(folder / name) == digest for name, digest in files.items())


def _checksum(facts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _differing(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """What was tested otherwise than it is now, in words."""
    changed = {key for key, value in now.items() if _canonical(then.get(key)) != _canonical(value)}
    if "data" in changed:
        yield "its images were other ones, or packed otherwise"
    if "holes" in changed:
        yield f"its holes were {_plain(then.get('holes'))} and are {_plain(now['holes'])}"
    if "masks" in changed and "holes" not in changed:
        yield "its holes were of other mask files"
    if "seed" in changed:
        yield f"its seed was {then.get('seed')} and is {now['seed']}"
    if "metrics" in changed:
        old, new = then.get("metrics") or {}, now["metrics"]
        names = sorted(name for name in {**old, **new} if old.get(name) != new.get(name))
        yield f"other metrics, or other versions of them ({', '.join(names)})"
    if "perceptual" in changed:
        yield "other perceptual distances"


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _plain(holes: Mapping[str, Any] | None) -> str:
    """``random_box, least 0.25``."""
    told = {key: value for key, value in (holes or {}).items() if key not in ("kind", "version") and value is not None}
    return ", ".join([str((holes or {}).get("kind")), *(f"{key} {value}" for key, value in told.items())])
