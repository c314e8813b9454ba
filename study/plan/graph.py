"""The graph of a study: its runs and the stages that they need. ``study.plan.planner`` makes it.

A stage is a pure function of what its key hashes: its kind and version, the options that this kind reads, the keys of
its inputs, its seed, the versions of the parts that it uses, and the numerics. Runs that need the same key share the
stage. This module does not import torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter

from study.errors import BadInput
from study.facts import StudyFacts
from study.store import read_facts, sealed, write_atomically

KINDS = ("data", "pretrain", "critic", "joint", "fit", "evaluate")
LAST = ("joint", "fit", "evaluate")
PLAN = "plan.json"  # in an output folder: the most recent study


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One node of the graph. ``options``, ``needs`` and ``seed`` decide the result.

    A stage can continue from a shorter one of the same ``lineage``: the key without the number of steps.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    key: str
    kind: str
    options: dict[str, Any]
    needs: dict[str, str]  # keys of inputs
    seed: int | None = None
    hints: dict[str, Any] = field(default_factory=dict)  # for making it: does not decide the result; a folder's path
    lineage: str | None = None
    work: int = 0  # multiply-accumulates, without ``forward``
    forward: int = 0  # those of the generator's forward pass, which the critics of one pass share

    @property
    def steps(self) -> int:
        """Updates of the network that the stage trains; 0 for data and evaluate."""
        return int(self.options.get("steps", 0))


@dataclass(frozen=True, kw_only=True)
class Run:
    """A variant x data set x seed."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: str
    variant: str
    data: str
    seed: int
    method: str
    stages: dict[str, str]  # keys by role, in order: data, data.masks, pretrain, critic.local, ..., evaluate
    config: dict[str, Any]  # the variant's options
    updates: int = 0  # of the generator
    parameters: int = 0
    critic_parameters: int = 0
    aliases: list[str] = field(default_factory=list)  # other variants that are the same run

    @property
    def names(self) -> list[str]:
        """The variant, then the other names under which the study file asks for the same run."""
        return [self.variant, *self.aliases]

    @property
    def cell(self) -> bool:
        """True for a variant that an ablation or a multiverse adds, such as ``proposed:multiscale=0``."""
        return ":" in self.variant

    @property
    def start(self) -> str:
        """The key of the first trained stage; empty for a filler. Runs with the same start are paired in statistics."""
        return next((key for key in self.stages.values() if not key.startswith(("data-", "evaluate-"))), "")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Runs and the stages that they need. ``stages``: by key."""

    study: StudyFacts
    runs: list[Run]
    stages: dict[str, Stage]

    def only(self, wanted: Callable[[Run], bool]) -> Plan:
        """The plan of some of the runs: what a study of just these runs would plan, under the same keys."""
        runs = [run for run in self.runs if wanted(run)]
        keys = {key for run in runs for key in run.stages.values()}
        names, seeds = {name for run in runs for name in run.names}, {run.seed for run in runs}
        networks = self.study.networks
        facts = {
            "seeds": [seed for seed in self.study.seeds if seed in seeds],
            "networks": networks and {name: built for name, built in networks.items() if name in names},
            "readings": [row for row in self.study.readings if row.variant in names],
        }
        stages = {key: stage for key, stage in self.stages.items() if key in keys}
        return Plan(study=self.study.model_copy(update=facts), runs=runs, stages=stages)

    def names(self) -> dict[str, str]:
        """Every name of a variant that the study file asks for, with the variant that was run for it."""
        return {name: run.variant for run in self.runs for name in run.names}

    def users(self) -> dict[str, list[str]]:
        """The names of the runs that need each stage."""
        users: dict[str, list[str]] = {key: [] for key in self.stages}
        for run in self.runs:
            for key in dict.fromkeys(run.stages.values()):
                users[key].append(run.name)
        return users

    def own(self, run: Run) -> list[str]:
        """The run's last stages, if no other run needs them: they are made and recorded as part of the run."""
        users = self.users()
        last = [key for key in dict.fromkeys(run.stages.values()) if self.stages[key].kind in LAST]
        return [key for key in last if len(users[key]) == 1]

    def passes(self) -> list[list[str]]:
        """The critic stages in groups, each trained in one pass over one generator's outputs."""
        groups: dict[str, list[str]] = {}
        for stage in self.stages.values():
            if stage.kind == "critic":
                groups.setdefault(pass_of(stage), []).append(stage.key)
        return list(groups.values())

    def work(self) -> dict[str, int]:
        """Multiply-accumulates of the whole study, with and without sharing."""
        once = sum(stage.work for stage in self.stages.values())
        once += sum(self.stages[keys[0]].forward for keys in self.passes())
        alone = 0
        for run in self.runs:
            stages = [self.stages[key] for key in run.stages.values()]
            alone += sum(stage.work for stage in stages) + max(stage.forward for stage in stages)
        return {"shared": once, "unshared": alone}

    def save(self, out: Path, *, recent: bool = True) -> Path:
        """Writes the plan for workers, named by its digest, and returns that file.

        ``recent``: also writes it as ``plan.json`` for readers, unless it is of a search's trial: no report shows that.
        """
        value = {
            "study": self.study.plain(),
            "runs": [asdict(run) for run in self.runs],
            "stages": [asdict(stage) for stage in self.stages.values()],
        }
        file = out / "plans" / f"{json_digest(value)}.json"
        text = json.dumps(sealed(value), indent=1)  # keys are not sorted: a run's stages are in order
        write_atomically(file, text)
        if recent and self.study.trial is None:
            write_atomically(out / PLAN, text)
        return file

    @staticmethod
    def of(out: Path) -> Plan:
        """The plan of an output folder. Raises BadInput if there is none, or it is damaged or incomplete."""
        file = out / PLAN
        again = f"python -m study run STUDY --out {out}"
        if not file.is_file():
            raise BadInput(f"{out}: there is no study here; name its folder, or make one with: {again}")
        try:
            plan = Plan.read(file)
            if plan is None or not all("evaluate" in run.stages for run in plan.runs):
                raise ValueError("incomplete")
            plan.work()  # reads every stage of every run
        except (KeyError, TypeError, AttributeError, ValueError) as fault:
            raise BadInput(
                f"{file}: this file is damaged; write it anew, with all that is made kept, with: {again}"
            ) from fault
        return plan

    @staticmethod
    def read(file: Path) -> Plan | None:
        """Reads a saved plan; None if there is no such file, or it is damaged. Raises ValueError if it fits no plan."""
        if not (value := read_facts(file)):
            return None
        stages, runs = _STAGES.validate_python(value.get("stages")), _RUNS.validate_python(value.get("runs"))
        if len({run.name for run in runs}) < len(runs):
            raise ValueError("a run is listed twice")
        study = StudyFacts.model_validate(value.get("study"))
        return Plan(study=study, runs=runs, stages={stage.key: stage for stage in stages})


_STAGES, _RUNS = TypeAdapter(list[Stage]), TypeAdapter(list[Run])


def pass_of(stage: Stage) -> str:
    """A digest that is equal for the critic stages of one pass: of everything except the critic."""
    options = {name: value for name, value in stage.options.items() if name not in ("critic", "role", "versions")}
    options["sees"] = stage.options["critic"]["sees"]  # the raw output or the composite
    return json_digest([options, stage.needs, stage.seed, stage.hints.get("salt")])


def json_digest(value: Any) -> str:
    """The first 16 hex digits of the SHA-256 of a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
