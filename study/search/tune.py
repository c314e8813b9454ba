"""Optuna, and nothing else that knows it: a variant's options are searched, judged on the validation images.

A trial is a run like any other, but for its evaluation: its stages are addressed by what decides them, so that all
trials share pretrain and critics where their settings allow it, a setting that comes up again costs nothing, and what
was interrupted goes on from its checkpoint. Several processes share a search through its storage. None holds a trial
that another has: a trial belongs to the process that asked for it, by its number; that of a process which is gone is
settled as failed, and its settings are tried again under a new number.
"""

from __future__ import annotations

import importlib.util
import json
import re
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from filelock import FileLock
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState
from safetensors.numpy import load_file

from study.config import space
from study.config.schema import Range, Study, Variant
from study.errors import BadInput
from study.evaluation.scoring import JUDGED
from study.plan.facts import StudyFacts
from study.plan.graph import Plan, json_digest
from study.plan.planner import make_plan
from study.running import driver
from study.running.executors import Event, Executor, Task
from study.running.locks import lives
from study.running.record import settle
from study.running.runs import complete
from study.search import tuned
from study.search.trials import FOLDER, best_of, trial_name
from study.seeds import seed_of
from study.store import RunState, Store, write_json

optuna.logging.set_verbosity(optuna.logging.ERROR)

POLL_S = 1.0
BEAT_S = 60.0
STALE_S = 600.0
"""How long a process on another machine may be silent before its trial is taken for lost."""

LOCKED_S = 60.0
CLAIMED = (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
LOST: type[Exception] = getattr(optuna.exceptions, "UpdateFinishedTrialError", RuntimeError)
"""What Optuna raises where a trial that is written to is over already; before 4.3 it had no name of its own."""

ENOUGH = 20
"""Under so many completed trials nothing is said of what mattered: their best tenth would be one or none."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a search came to. ``file``: the tuned variant's, once the search is complete; ``failed``: why it stopped."""

    best: Mapping[str, Any] | None
    file: Path | None
    failed: str = ""
    interrupted: bool = False


@dataclass
class _Flying:
    """A trial that is being made. ``plans``: one for each share of the joint stage after which it is judged."""

    trial: Trial
    plans: list[Plan]
    at: int = 0
    recording: bool = False
    ended: str = ""
    why: str = ""
    asked: bool = False
    files: list[Path] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)

    @property
    def plan(self) -> Plan:
        return self.plans[self.at]


class Tuner:
    """The search of one variant in one output, as one process sees it.

    ``trials``: how many there are to be in the end, over all processes: completed, pruned and diverged. ``parallel``:
    how many of them this process makes at once. Raises BadInput where the storage cannot be reached, or holds a search
    of something else.
    """

    def __init__(
        self,
        study: Study,
        variant: Variant,
        store: Store,
        *,
        worker: str,
        device: str,
        trials: int,
        parallel: int = 1,
        storage: str | None = None,
        told: Callable[[Mapping[str, Any], Mapping[str, Any]], None] = lambda trial, state: None,
    ) -> None:
        self.study, self.variant, self.store = study, variant, store
        self.worker, self.device, self.trials, self.parallel = worker, device, trials, parallel
        self.remote, self.told = storage is not None, told
        self.space = space.space_of(study, variant)
        self.folder = store.out / FOLDER
        self.folder.mkdir(parents=True, exist_ok=True)
        self.lock = FileLock(self.folder / f"{variant.name}.lock", timeout=LOCKED_S)
        facts = StudyFacts.model_construct(name=study.name)  # workers read the facts of each trial's own plan
        self.whole = Plan(study=facts, runs=[], stages={})
        self.flying: list[_Flying] = []
        self.stopped = ""
        self._beat = time.monotonic()
        self._deaths: dict[Task, int] = {}
        self._queued: set[tuple[tuple[str, ...], str | None]] = set()
        with self.lock, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is experimental in Optuna
            _sampler(study, variant, 0)  # at once, if it cannot be had
            self.optuna = self._opened(storage)

    def run(self, executor: Executor) -> Found:
        """Asks, makes and tells until the trials are complete, or one of this process's own fails."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            summary = driver.drive(
                self.whole, self.store, executor, [], told=self.heard, tick=self.tick, more=self.more
            )
            for one in list(self.flying):
                one.why = "it was interrupted"
                self._end(one, TrialState.FAIL)
            state = self.note()
            best = best_of(state)
            file = None
            if best is not None and self.finished() >= self.trials:
                told = {"trials": self.finished(), "trial": best["number"], "validation_psnr_db": best["value"]}
                file = tuned.write_tuned(self.store.out, self.study, self.variant, best["settings"], told)
        return Found(best=best, file=file, failed=self.stopped, interrupted=summary.interrupted)

    # -- the storage ------------------------------------------------------------------------------------------

    def _opened(self, url: str | None) -> optuna.Study:
        """The search in its storage, begun if it is not there; its first trial is the usual setting."""
        journal = self.folder / f"{self.variant.name}.journal"
        where = f"--storage {_without_password(url)}" if url else str(journal)
        name = self.variant.name if url is None else f"{self.study.name}:{self.study.profile}:{self.variant.name}"
        try:
            storage: BaseStorage = RDBStorage(url) if url else JournalStorage(_journal(journal))
            opened = optuna.create_study(
                storage=storage, study_name=name, direction="maximize", load_if_exists=True, pruner=_pruner(self.study)
            )
        except Exception as error:  # whatever a database's client raises
            why = " ".join(str(error).split())[:300] or type(error).__name__
            remedy = (
                "give a URL of a database that is up and whose client is installed, such as "
                "postgresql://user@host/name, or leave --storage out"
                if url
                else "remove the file to begin anew"
            )
            raise BadInput(f"{where}: this storage cannot be used: {why}; {remedy}") from error
        identity = self._identity()
        known = opened.user_attrs.get("identity")
        if known is None:
            opened.set_user_attr("identity", identity)
            usual = self._usual()
            if all(within.holds(usual[key]) for key, within in self.space.items()):
                opened.enqueue_trial(usual, user_attrs={"usual": True})
        elif known != identity:
            which = next(part for part in identity if known.get(part) != identity[part])
            anew = f"remove study '{name}' there" if url else f"remove {journal}"
            raise BadInput(
                f"{where}: this search was begun with another {which}: {_told(known.get(which))}, not "
                f"{_told(identity[which])}; go on with that one, or begin anew: {anew}, or name another folder "
                "with --out"
            )
        return opened

    def _identity(self) -> dict[str, Any]:
        """What decides a trial's score besides its settings, part by part, as a sentence names them."""
        options = self.variant.options.model_dump(mode="json", by_alias=True)
        for key in self.space:
            *parts, last = key.split(".")
            place: Any = options
            for part in parts:
                place = place.get(part) if isinstance(place, dict) else None
            if isinstance(place, dict):
                place.pop(last, None)
        plan = make_plan(tuned.as_study(self.study, self.variant), device=self.device, part="validation")
        described = {key: within.model_dump(exclude_none=True) for key, within in self.space.items()}
        return {
            "space": json.loads(json.dumps(described)),
            "set of seeds": list(self.study.search.seeds),
            "data set": [entry.stage for entry in plan.study.data.values()],
            "protocol": plan.study.protocol,
            "setting of its own": self._usual(),
            "configuration of the variant": json_digest(
                [self.variant.method, options, self.study.image_size, self.study.numerics.model_dump()]
            ),
        }

    def _usual(self) -> dict[str, Any]:
        """The study's own setting of what is searched."""
        return {key: space.usual(self.variant, key) for key in self.space}

    def finished(self) -> int:
        """How many trials are completed, pruned or diverged, over all processes."""
        return len(self.optuna.get_trials(deepcopy=False, states=FINISHED))

    # -- asking -----------------------------------------------------------------------------------------------

    def more(self) -> list[Task]:
        """The tasks that have come up: trials are told and asked for. Waits while only others have trials under way."""
        while True:
            found: list[Task] = []
            for one in list(self.flying):
                found += self._stepped(one)
            while not self.stopped and len(self.flying) < self.parallel and (one_more := self._claimed()):
                found += self._stepped(one_more)
            if found or self.flying or self.stopped or self.finished() >= self.trials:
                return found
            time.sleep(POLL_S)

    def _claimed(self) -> _Flying | None:
        """A trial of this process's own; None where enough are claimed.

        Optuna numbers trials in the order in which they are asked for. Whoever finds enough before his own steps back,
        so that there are never too many, on however many machines.
        """
        with self.lock:
            self._settle_lost()
            trials = self.optuna.get_trials(deepcopy=False)
            if sum(trial.state in CLAIMED for trial in trials) >= self.trials:
                return None
            self.optuna.sampler = _sampler(self.study, self.variant, len(trials))
            trial = self.optuna.ask({key: _distribution(within) for key, within in self.space.items()})
            trial.set_user_attr("worker", self.worker)
            trial.set_user_attr("beat", time.time())
            before = self.optuna.get_trials(deepcopy=False)[: trial.number]
            if sum(one.state != TrialState.FAIL for one in before) >= self.trials:
                trial.set_user_attr("why", "there were enough already")
                self.optuna.tell(trial, state=TrialState.FAIL)
                return None
            one = _Flying(trial=trial, plans=self._plans(trial))
            self.flying.append(one)
            self.note()
            return one

    def _plans(self, trial: Trial) -> list[Plan]:
        """A trial's plan, and before it those of a shorter joint stage after which it may be pruned.

        A joint stage whose rate depends on its end cannot be gone on from, so such a trial is judged at its end alone.
        """
        name = trial_name(self.variant.name, trial.number)
        variant = space.with_settings(self.variant, trial.params, name)
        study = tuned.as_study(self.study, variant)
        facts = {"search": self.variant.name, "number": trial.number, "settings": trial.params}

        def planned(share: float) -> Plan:
            plan = make_plan(study, device=self.device, part="validation", joint=share)
            return replace(plan, study=plan.study.of_trial(facts))

        plans = [planned(1.0)]
        goes_on = all(stage.lineage is not None for stage in plans[0].stages.values() if stage.kind == "joint")
        for share in sorted(self.study.search.rungs, reverse=True) if goes_on else ():
            plan = planned(share)
            if self.study.search.pruner != "none" and _steps(plan) < _steps(plans[0]):
                plans.insert(0, plan)
        return plans

    def _settle_lost(self) -> None:
        """Trials of processes that are gone are failed ones, and their settings are tried again. Needs the lock."""
        own = {one.trial.number for one in self.flying}
        for trial in self.optuna.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if trial.number in own or not self._lost(trial):
                continue
            for seed in self.study.search.seeds:
                run = f"{trial_name(self.variant.name, trial.number)}/{tuned.data_of(self.study)}/{seed}"
                state = RunState.of(self.store.out, run)
                facts = state.read()
                if facts.get("status") == "running":
                    settle(self.store.out, facts["record"])
                    state.write(**{**facts, "status": "interrupted", "why": "its process was killed"})
            self._failed(trial)

    def _lost(self, trial: FrozenTrial) -> bool:
        worker = trial.user_attrs.get("worker")
        alive = lives(self.store.out, worker) if worker else None
        if alive is not None or not self.remote:
            return not alive
        began = trial.datetime_start.timestamp() if trial.datetime_start else 0.0
        return time.time() - trial.user_attrs.get("beat", began) > STALE_S

    def _failed(self, trial: Trial | FrozenTrial) -> None:
        """Tells that a trial failed, and puts its settings before all that the sampler would draw."""
        try:
            self.optuna.tell(trial.number, state=TrialState.FAIL)
        except (ValueError, LOST):  # another process was first
            return
        again = {key: trial.user_attrs[key] for key in ("usual",) if key in trial.user_attrs}
        self.optuna.enqueue_trial(trial.params, user_attrs={**again, "retry_of": trial.number})

    # -- making -----------------------------------------------------------------------------------------------

    def _stepped(self, one: _Flying) -> list[Task]:
        """The same as ``_step``; what another process took for lost is let go."""
        try:
            return self._step(one)
        except LOST:
            self.flying.remove(one)
            return []

    def _step(self, one: _Flying) -> list[Task]:
        """Takes a trial as far as it goes without work; the tasks that it needs then. It is told where it is over."""
        while True:
            if one.why:
                self.stopped = f"trial {one.trial.number}: {one.why}"
                self._end(one, TrialState.FAIL)
                return []
            if one.at == len(one.plans) - 1:
                one.recording = True
            if not one.asked:
                one.asked = True
                self._enter(one)
                if found := self._fresh(one):
                    return found
            if not self._made(one):
                return []
            if one.recording:
                one.ended = one.ended or ("diverged" if self._diverged(one.plan) else "completed")
                self._end(one, TrialState.COMPLETE if one.ended == "completed" else TrialState.PRUNED)
                return []
            one.asked = False
            if self._diverged(one.plan):
                one.ended, one.recording = "diverged", True
                continue
            one.trial.report(float(np.mean(self._values(one.plan))), _steps(one.plan))
            if one.trial.should_prune():
                one.ended, one.recording = "pruned", True
            else:
                one.at += 1

    def _enter(self, one: _Flying) -> None:
        """Saves a trial's plan for the workers, and lays out its tasks. Before its end no run is recorded."""
        plan = one.plan if one.recording else replace(one.plan, runs=[])
        file = one.plan.save(self.store.out, asked=False)
        one.files.append(file)
        names = {run.name for run in plan.runs}
        self.whole.runs[:] = [*(run for run in self.whole.runs if run.name not in names), *plan.runs]
        self.whole.stages.update(plan.stages)
        one.tasks = [replace(task, plan=str(file)) for task in driver.tasks(plan, self.store)]

    def _fresh(self, one: _Flying) -> list[Task]:
        """A trial's tasks that no other of this process has asked for."""
        found = [task for task in one.tasks if (task.keys, task.run) not in self._queued]
        self._queued.update((task.keys, task.run) for task in found)
        return found

    def _made(self, one: _Flying) -> bool:
        if one.recording:
            return all(complete(run, one.plan, self.store) for run in one.plan.runs)
        return all(self.store.has(run.stages["evaluate"]) for run in one.plan.runs)

    def heard(self, event: Event) -> None:
        """Hears what became of a task."""
        if event.kind == "progress":
            return
        if event.kind == "died":
            self._deaths[event.task] = self._deaths.get(event.task, 0) + 1
            if self._deaths[event.task] < driver.TRIES:
                return
        self._queued.discard((event.task.keys, event.task.run))
        if event.kind == "done" and not event.task.why:
            return
        lost = set(event.task.keys)
        for one in self.flying:
            if lost & set(one.plan.stages) or event.task.run in {run.name for run in one.plan.runs}:
                one.why = one.why or event.text or event.task.why or "its process was told to stop"

    def tick(self, running: list[Task]) -> None:
        """Tells other machines that this process lives, and the display what is running."""
        if self.remote and time.monotonic() - self._beat > BEAT_S:
            self._beat = time.monotonic()
            for one in self.flying:
                with suppress(LOST):  # told at its next step
                    one.trial.set_user_attr("beat", time.time())

    # -- telling ----------------------------------------------------------------------------------------------

    def _end(self, one: _Flying, ended: TrialState) -> None:
        """Tells what became of a trial, to Optuna first and then to readers."""
        self.flying.remove(one)
        try:
            self._tell(one, ended)
        except LOST:
            return
        for file in one.files if ended != TrialState.FAIL else ():  # of a failure a worker may still read them
            file.unlink(missing_ok=True)
        state = self.note()
        self.told(next(row for row in state["trials"] if row["number"] == one.trial.number), state)

    def _tell(self, one: _Flying, ended: TrialState) -> None:
        """Raises LOST where another process took the trial for lost, and has its settings tried again."""
        trial = one.trial
        if one.why:
            trial.set_user_attr("why", one.why)
        if ended == TrialState.FAIL:
            with self.lock:
                self._failed(trial)
            return
        records = [RunState.of(self.store.out, run.name).read().get("record") for run in one.plan.runs]
        for name, known in (("ended", one.ended), ("records", records), ("steps", _steps(one.plan))):
            trial.set_user_attr(name, known)
        value = None
        if ended == TrialState.COMPLETE:
            by_seed = self._values(one.plan)
            trial.set_user_attr("by_seed", by_seed)
            value = float(np.mean(by_seed))
        self.optuna.tell(trial, value, state=ended)

    def _diverged(self, plan: Plan) -> bool:
        keys = [run.stages["evaluate"] for run in plan.runs]
        return any(self.store.outcome(key).get("status") == "diverged" for key in keys)

    def _values(self, plan: Plan) -> list[float]:
        """Each seed's score: the mean PSNR (dB) of the hole over the validation images."""
        return [score(self.store.verified(run.stages["evaluate"])) for run in plan.runs]

    def note(self) -> dict[str, Any]:
        """Writes down for readers how far the search is."""
        with self.lock:
            state = {
                "variant": self.variant.name,
                "data": tuned.data_of(self.study),
                "seeds": list(self.study.search.seeds),
                "profile": self.study.profile,
                "of": max(self.trials, self.finished()),
                "sampler": self.study.search.sampler,
                "pruner": self.study.search.pruner,
                "space": [{"key": key, **within.model_dump(exclude_none=True)} for key, within in self.space.items()],
                "importance": self._importance(),
                "trials": self._rows(),
            }
            write_json(self.folder / f"{self.variant.name}.json", state)
        return state

    def _rows(self) -> list[dict[str, Any]]:
        trials = self.optuna.get_trials(deepcopy=False)
        again = {trial.user_attrs["retry_of"]: trial.number for trial in trials if "retry_of" in trial.user_attrs}
        return [
            _row(trial, len(self.study.search.seeds), again.get(trial.number))
            for trial in trials
            if trial.state != TrialState.WAITING
        ]

    def _importance(self) -> dict[str, float]:
        """The share of each option in what sets good trials apart (PED-ANOVA, Watanabe 2023); empty for few trials."""
        done = self.optuna.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if len(done) < ENOUGH or len({trial.value for trial in done}) < 2:
            return {}
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
        try:
            found = optuna.importance.get_param_importances(self.optuna, evaluator=evaluator)
        except (ValueError, RuntimeError):  # too few that differ
            return {}
        return {key: round(float(value), 6) for key, value in found.items()}


def score(folder: Path) -> float:
    """The mean PSNR of the hole, dB, of an evaluate stage's composites; infinite ones are left out."""
    columns = [tuple(column) for column in json.loads((folder / "evaluation.json").read_text())["columns"]]
    values = load_file(folder / "scores.safetensors")["scores"][:, columns.index(JUDGED)]
    return float(values[np.isfinite(values)].mean())


def _row(trial: FrozenTrial, seeds: int, again: int | None) -> dict[str, Any]:
    known = trial.user_attrs
    ended = {TrialState.COMPLETE: "completed", TrialState.RUNNING: "running", TrialState.FAIL: "failed"}
    why = known.get("why", "")
    if trial.state == TrialState.FAIL and not why:
        why = "its process was killed"
    if again is not None:
        why = f"{why}; its settings are tried again as trial {again}"
    last = max(trial.intermediate_values, default=None)
    value = trial.value if trial.state == TrialState.COMPLETE else None
    if known.get("ended") == "pruned" and last is not None:
        value = trial.intermediate_values[last]
    return {
        "number": trial.number,
        "state": ended.get(trial.state, known.get("ended", "pruned")),
        "value": value,
        "seeds": seeds,
        "seconds": round(_seconds(trial), 3),
        "settings": trial.params,
        "usual": bool(known.get("usual", False)),
        "steps": known.get("steps", last),
        "record": ", ".join(filter(None, known.get("records", []))),
        "why": why,
    }


def _seconds(trial: FrozenTrial) -> float:
    if trial.datetime_start is None:
        return 0.0
    return ((trial.datetime_complete or datetime.now()) - trial.datetime_start).total_seconds()


def _steps(plan: Plan) -> int:
    """The steps of a plan's joint stages."""
    return max(stage.steps for stage in plan.stages.values() if stage.kind == "joint")


# -- Optuna's parts by their names ---------------------------------------------------------------------------


def _distribution(within: Range) -> BaseDistribution:
    if within.choices is not None:
        return CategoricalDistribution(within.choices)
    assert within.low is not None and within.high is not None
    if within.whole:
        return IntDistribution(int(within.low), int(within.high), log=within.log)
    return FloatDistribution(float(within.low), float(within.high), log=within.log)


def _sampler(study: Study, variant: Variant, number: int) -> optuna.samplers.BaseSampler:
    """The sampler, seeded for the trial of this number: what it draws depends on the trials before it alone."""
    name, one = study.search.sampler, seed_of(study.name, variant.name, "search") % 2**32
    seed = seed_of(study.name, variant.name, "search", number) % 2**32
    if name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    if name == "qmc":  # one sequence, of which each trial takes the next point
        return optuna.samplers.QMCSampler(scramble=True, seed=one, warn_asynchronous_seeding=False)
    if name == "gp":
        return optuna.samplers.GPSampler(seed=seed)
    if name == "cmaes":
        if importlib.util.find_spec("cmaes") is None:
            raise BadInput("search.sampler: cmaes needs the package cmaes: pip install cmaes, or choose tpe")
        return optuna.samplers.CmaEsSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed, constant_liar=True)


def _pruner(study: Study) -> optuna.pruners.BasePruner:
    if study.search.pruner == "median":
        return optuna.pruners.MedianPruner()
    if study.search.pruner == "halving":
        return optuna.pruners.SuccessiveHalvingPruner()
    if study.search.pruner == "hyperband":
        return optuna.pruners.HyperbandPruner()
    return optuna.pruners.NopPruner()


class _JournalLock:
    """The journal's lock as the system's own, which is let go when its holder is killed."""

    def __init__(self, file: Path) -> None:
        self._lock = FileLock(file, timeout=LOCKED_S)

    def acquire(self) -> bool:
        self._lock.acquire()
        return True

    def release(self) -> None:
        self._lock.release()


def _journal(file: Path) -> JournalFileBackend:
    lock: Any = _JournalLock(file.with_suffix(".journal.lock"))
    return JournalFileBackend(str(file), lock_obj=lock)


def _without_password(url: str) -> str:
    return re.sub(r"//([^:/@]*):[^@]*@", r"//\1:...@", url)


def _told(value: Any) -> str:
    text = json.dumps(value) if not isinstance(value, str) else value
    return text if len(text) <= 300 else text[:297] + "..."
