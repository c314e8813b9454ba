"""Searches a variant's options with Optuna, judged on the validation images. The only module that imports optuna.

A trial is made like any other run; only its evaluation differs. Trials share pretrain and critics where their settings
allow it, a setting that comes up again costs nothing, and an interrupted trial continues from its checkpoint.

Several processes can share a search through its storage. A trial belongs to the process that asked for it. If that
process is gone, another one marks the trial as failed, and its settings are tried again under a new number. Optuna's
own heartbeat does this for databases only, not for the journal, and its MaxTrialsCallback works in ``Study.optimize``
only, so both are done here.
"""

from __future__ import annotations

import importlib.util
import json
import re
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from study.config import paths, space
from study.config.schema import Range, Study, Variant
from study.errors import BadInput
from study.evaluation.evaluation import HOLE_PSNR, Evaluation
from study.leases import Leases
from study.plan.graph import Plan, json_digest
from study.plan.planner import make_plan
from study.running import driver
from study.running.executors import Event, Executor, Task
from study.running.states import settle
from study.running.workers import Worker, lives
from study.search import tuned
from study.search.journal import JournalLock, mended
from study.search.trials import FOLDER, best_of, trial_name
from study.seeds import seed_of
from study.store import RunState, Store, sealed, write_json

optuna.logging.set_verbosity(optuna.logging.ERROR)

POLL_S, BEAT_S, LOCKED_S = 1.0, 60.0, 180.0
STALE_S = 600.0  # a process on another machine that is silent for this long is taken for lost
BEGIN_S, MOST_TRIES = 30.0, 20  # how long a process waits for another that begins the same search
AT_ONCE = re.compile("already exists|duplicate|unique|locked|no such table", re.IGNORECASE)
"""What databases say to one of several processes that make the same tables at once."""

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)

ENOUGH = 20  # importances need this many completed trials: PED-ANOVA looks at the best tenth


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """The outcome of a search."""

    best: Mapping[str, Any] | None  # the row of the best trial
    file: Path | None  # the tuned variant, once all trials have ended
    failed: str = ""  # why the search stopped
    interrupted: bool = False


@dataclass
class _ActiveTrial:
    """A trial that this process is making."""

    trial: Trial
    plan: Plan  # the one being made now
    tasks: Iterator[list[Task]] = field(init=False)
    pruned: bool = False
    failure: str = ""  # why it failed
    files: list[Path] = field(default_factory=list)  # the saved plans


@dataclass(eq=False)
class Tuner:
    """One process's part in the search of one variant in one output.

    Raises:
        BadInput: the storage cannot be used, or it holds a different search.
    """

    study: Study
    variant: Variant
    store: Store
    _: KW_ONLY
    worker: Worker  # this process
    device: str  # its kind, such as cuda
    trials: int  # how many the search has in the end, over all processes: completed, pruned and diverged
    parallel: int = 1  # how many trials this process makes at once
    storage: str | None = None  # a database URL; None for a journal file in the output
    on_trial: Callable[[Mapping[str, Any], Mapping[str, Any]], None] = lambda trial, state: None
    """Called with a trial's row and the search's state when a trial ends."""

    def __post_init__(self) -> None:
        self.space = space.space_of(self.study, self.variant)
        self.folder = self.store.out / FOLDER
        self.folder.mkdir(parents=True, exist_ok=True)
        shared, name = _sqlite_file(self.storage), f"search-{self.variant.name}"
        leases = Leases(shared.with_name(f"{shared.name}.leases")) if shared else self.store.leases
        self.lock = leases.lock(name, LOCKED_S)
        self.damage = ""  # what was wrong with the journal
        self.usual = {key: space.usual(self.variant, key) for key in self.space}  # the study's own setting
        self.active: list[_ActiveTrial] = []
        self.stopped = ""
        self._beat = time.monotonic()
        with self.lock, warnings.catch_warnings(action="ignore"):  # Optuna warns of its experimental parts
            _sampler(self.study, self.variant, 0)  # fails early if its package is missing
            self.optuna = self._open(self.storage)

    def run(self, executor: Executor) -> SearchResult:
        """Makes trials until there are enough, or until one of this process's trials fails."""
        with warnings.catch_warnings(action="ignore"):
            summary = driver.drive(
                self.store, executor, [], on_event=self.on_event, on_tick=self.on_tick, more=self.more
            )
            for one in list(self.active):
                one.failure = "it was interrupted"
                self._end(one)
            best, ended, file = best_of(self.write_state()), self.finished(), None
            if best is not None and ended >= self.trials:
                facts = {"trials": ended, "trial": best["number"], "validation_psnr_db": best["value"]}
                file = tuned.write_tuned(self.store.out, self.study, self.variant, best["settings"], facts)
        return SearchResult(best=best, file=file, failed=self.stopped, interrupted=summary.interrupted)

    def _open(self, url: str | None) -> optuna.Study:
        """Opens the search in its storage, or creates it there; its first trial is the study's own setting."""
        journal = self.folder / f"{self.variant.name}.journal"
        where, name = str(journal), self.variant.name
        remedy, start_over = "remove the file to start over", f"remove {journal}"
        if url:
            where = "--storage " + re.sub(r"//([^:/@]*):[^@]*@", r"//\1:...@", url)  # without a password
            name = f"{self.study.name}:{self.study.profile}:{self.variant.name}"
            remedy = (
                "give the URL of a running database whose client is installed, such as "
                "postgresql://user@host/name, or omit --storage"
            )
            start_over = f"remove study '{name}' there"
        lock = self.store.leases.lock(f"journal-{self.variant.name}", LOCKED_S)
        try:
            if url:
                storage: RDBStorage | JournalStorage = _database(url)
            else:
                with lock:
                    self.damage = mended(journal)
                mending: Any = JournalLock(journal, lock)
                storage = JournalStorage(JournalFileBackend(str(journal), lock_obj=mending))
            opened, begun = _created(storage, name, PRUNERS[self.study.search.pruner]())
        except Exception as error:  # database clients raise errors of their own
            why = " ".join(str(error).split())[:300] or type(error).__name__
            raise BadInput(f"{where}: this storage cannot be used: {why}; {remedy}") from error
        identity = self._identity()
        known = opened.user_attrs.get("identity") if begun else _awaited_identity(opened)
        if known is None:
            usual = all(within.holds(self.usual[key]) for key, within in self.space.items())
            if usual and not opened.get_trials(deepcopy=False):
                opened.enqueue_trial(self.usual, user_attrs={"usual": True})
            opened.set_user_attr("identity", identity)  # last: others wait for it
        elif known != identity:
            which = next(part for part in identity if known.get(part) != identity[part])
            raise BadInput(
                f"{where}: this search was started with another {which}: {_shortened(known.get(which))}, not "
                f"{_shortened(identity[which])}; continue with that one, or start over: {start_over}, or choose "
                "another folder with --out"
            )
        return opened

    def _identity(self) -> dict[str, Any]:
        """Everything besides its settings that decides a trial's score, by the name used in messages."""
        options = self.variant.options.model_dump(mode="json", by_alias=True)
        for key in self.space:
            paths.drop(options, key)
        plan = make_plan(tuned.as_study(self.study, self.variant), device=self.device, part="validation")
        decides = [self.variant.method, options, self.study.image_size, self.study.numerics.model_dump()]
        return {
            "space": {key: within.model_dump(mode="json", exclude_none=True) for key, within in self.space.items()},
            "set of seeds": list(self.study.search.seeds),
            "data set": [entry.stage for entry in plan.study.data.values()],
            "protocol": plan.study.protocol,
            "setting of its own": self.usual,
            "configuration of the variant": json_digest(decides),
        }

    def finished(self) -> int:
        """The number of completed, pruned and diverged trials, over all processes."""
        return len(self.optuna.get_trials(deepcopy=False, states=FINISHED))

    def more(self) -> list[Task]:
        """The tasks that the trials need now; asks for new trials. Waits while only other processes have trials."""
        while True:
            tasks = [task for one in list(self.active) for task in self._advance(one)]
            while not self.stopped and len(self.active) < self.parallel and (claimed := self._claim()):
                tasks += self._advance(claimed)
            if tasks or self.active or self.stopped or self.finished() >= self.trials:
                return tasks
            time.sleep(POLL_S)

    def _claim(self) -> _ActiveTrial | None:
        """Asks for a trial; None if there are enough.

        Optuna numbers trials in the order in which they are asked for. A process that finds enough trials before its
        own withdraws, so there are never too many, on any number of machines.
        """
        with self.lock:
            self._settle_lost()
            trials = self.optuna.get_trials(deepcopy=False)
            if sum(trial.state in (*FINISHED, TrialState.RUNNING) for trial in trials) >= self.trials:
                return None
            self.optuna.sampler = _sampler(self.study, self.variant, len(trials))
            trial = self.optuna.ask({key: _distribution(within) for key, within in self.space.items()})
            trial.set_user_attr("worker", self.worker.name)
            trial.set_user_attr("beat", time.time())
            before = self.optuna.get_trials(deepcopy=False)[: trial.number]
            if sum(one.state != TrialState.FAIL for one in before) >= self.trials:
                trial.set_user_attr("why", "there were enough already")
                self.optuna.tell(trial, state=TrialState.FAIL)
                return None
            *rungs, last = self._plans(trial)
            one = _ActiveTrial(trial, last)
            one.tasks = self._make(one, rungs)
            self.active.append(one)
            self.write_state()
            return one

    def _plans(self, trial: Trial) -> list[Plan]:
        """A trial's plan, after those with a shorter joint stage at which it may be pruned.

        If the rate of the joint stage depends on its end, a longer stage cannot continue a shorter one. Then the trial
        is judged only at its end.
        """
        name = trial_name(self.variant.name, trial.number)
        variant = space.with_settings(self.variant, trial.params, name)
        study = tuned.as_study(self.study, variant)
        facts = {"search": self.variant.name, "number": trial.number, "settings": trial.params}

        def planned(share: float) -> Plan:
            plan = make_plan(study, device=self.device, part="validation", joint=share)
            return replace(plan, study=plan.study.of_trial(facts))

        whole = planned(1.0)
        joints = [stage for stage in whole.stages.values() if stage.kind == "joint"]
        if self.study.search.pruner == "none" or any(stage.lineage is None for stage in joints):
            return [whole]
        rungs = {_steps(plan): plan for plan in map(planned, sorted(self.study.search.rungs))}
        return [*(plan for steps, plan in rungs.items() if steps < _steps(whole)), whole]

    def _settle_lost(self) -> None:
        """Fails the trials of processes that are gone. Needs the lock."""
        own = {one.trial.number for one in self.active}
        for trial in self.optuna.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if trial.number not in own and self._lost(trial):
                name = f"{trial_name(self.variant.name, trial.number)}/{tuned.data_of(self.study)}"
                for seed in self.study.search.seeds:
                    settle(self.store.out, f"{name}/{seed}")
                self._fail(trial)

    def _lost(self, trial: FrozenTrial) -> bool:
        """Returns True if the process that makes a trial is gone."""
        if lives(self.store.out, trial.user_attrs.get("worker", "")):
            return False
        if self.storage is None:
            return True
        began = trial.datetime_start.timestamp() if trial.datetime_start else 0.0
        return bool(time.time() - trial.user_attrs.get("beat", began) > STALE_S)

    def _fail(self, trial: Trial | FrozenTrial) -> None:
        """Marks a trial as failed, and queues its settings before any new ones."""
        try:
            self.optuna.tell(trial.number, state=TrialState.FAIL)
        except (ValueError, UpdateFinishedTrialError):  # another process was first
            return
        usual = {"usual": trial.user_attrs["usual"]} if "usual" in trial.user_attrs else {}
        self.optuna.enqueue_trial(trial.params, user_attrs={**usual, "retry_of": trial.number})

    def _advance(self, one: _ActiveTrial) -> list[Task]:
        """Takes a trial as far as it goes without more work. Returns the tasks that it then needs."""
        if one.failure:
            self.stopped = f"trial {one.trial.number}: {one.failure}"
            self._end(one)
            return []
        try:
            return next(one.tasks, [])
        except UpdateFinishedTrialError:  # another process took the trial for lost
            self.active.remove(one)
            return []

    def _make(self, one: _ActiveTrial, rungs: list[Plan]) -> Iterator[list[Task]]:
        """Makes a trial: yields the tasks that it needs next, or none while it waits for them."""
        last = one.plan
        for rung in rungs:
            yield from self._make_plan(one, rung, recorded=False)
            if scores := self._scores(rung):
                one.trial.report(float(np.mean(scores)), _steps(rung))
                one.pruned = one.trial.should_prune()
            if one.pruned or not scores:
                last = rung
                break
        yield from self._make_plan(one, last, recorded=True)
        self._end(one)

    def _make_plan(self, one: _ActiveTrial, plan: Plan, *, recorded: bool) -> Iterator[list[Task]]:
        """Yields a plan's tasks, then none until they are done. ``recorded``: its runs get Sacred records."""
        one.plan = plan
        saved = plan if recorded else replace(plan, runs=[])
        one.files.append(saved.save(self.store.out))
        self.worker.tell(plans=[file.name for other in self.active for file in other.files])
        if tasks := driver.tasks(saved, self.store, one.files[-1]):
            yield tasks
        while driver.tasks(saved, self.store):
            yield []

    def on_event(self, event: Event) -> None:
        """Notes the trials that a failed task belongs to."""
        if event.kind == "failed" or event.task.why:
            for one in self.active:
                if one.plan.stages.keys() & event.task.keys or event.task.run in {run.name for run in one.plan.runs}:
                    one.failure = one.failure or event.text or event.task.why

    def on_tick(self, running: list[Task]) -> None:
        """Tells other machines that this process is alive."""
        if self.storage is not None and time.monotonic() - self._beat > BEAT_S:
            self._beat = time.monotonic()
            for one in self.active:
                with suppress(UpdateFinishedTrialError):  # its next step notices
                    one.trial.set_user_attr("beat", time.time())

    def _end(self, one: _ActiveTrial) -> None:
        """Tells Optuna how a trial ended, and then writes the search's state."""
        self.active.remove(one)
        try:
            if one.failure:
                one.trial.set_user_attr("why", one.failure)
                with self.lock:
                    self._fail(one.trial)
            else:
                scores = self._scores(one.plan)
                ended = "diverged" if not scores else "pruned" if one.pruned else "completed"
                records = [RunState.of(self.store.out, run.name).read().get("record") for run in one.plan.runs]
                facts = {"ended": ended, "records": records, "steps": _steps(one.plan), "by_seed": scores}
                for name, fact in facts.items():
                    one.trial.set_user_attr(name, fact)
                if ended == "completed":
                    self.optuna.tell(one.trial, float(np.mean(scores)), TrialState.COMPLETE)
                else:
                    self.optuna.tell(one.trial, state=TrialState.PRUNED)
                for file in one.files:  # workers may still read those of a failed trial
                    file.unlink(missing_ok=True)
        except UpdateFinishedTrialError:  # another process took the trial for lost
            return
        written = self.write_state()
        self.on_trial(next(row for row in written["trials"] if row["number"] == one.trial.number), written)

    def _scores(self, plan: Plan) -> list[float]:
        """The score by seed: the mean finite PSNR of the hole, in dB, on validation images; empty if a run diverged."""
        keys = [run.stages["evaluate"] for run in plan.runs]
        if any(self.store.outcome(key).get("status") == "diverged" for key in keys):
            return []
        return [Evaluation.read(self.store.verified(key)).means().get(HOLE_PSNR, np.nan) for key in keys]

    def write_state(self) -> dict[str, Any]:
        """Writes the search's state for readers that do not use Optuna, and returns it."""
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
            write_json(self.folder / f"{self.variant.name}.json", sealed(state))
        return state

    def _rows(self) -> list[dict[str, Any]]:
        trials, seeds = self.optuna.get_trials(deepcopy=False), len(self.study.search.seeds)
        again = {trial.user_attrs["retry_of"]: trial.number for trial in trials if "retry_of" in trial.user_attrs}
        began = [trial for trial in trials if trial.state != TrialState.WAITING]
        return [_row(trial, seeds, again.get(trial.number)) for trial in began]

    def _importance(self) -> dict[str, float]:
        """The importance of each option (PED-ANOVA, Watanabe 2023); empty if there are too few trials."""
        done = self.optuna.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if len(done) < ENOUGH or len({trial.value for trial in done}) < 2:
            return {}
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
        try:
            importances = optuna.importance.get_param_importances(self.optuna, evaluator=evaluator)
        except (ValueError, RuntimeError):  # too few trials differ
            return {}
        return {key: round(float(value), 6) for key, value in importances.items()}


def _row(trial: FrozenTrial, seeds: int, again: int | None) -> dict[str, Any]:
    """A trial for readers. ``again``: the number under which its settings are tried again."""
    known = trial.user_attrs
    began = trial.datetime_start
    seconds = ((trial.datetime_complete or datetime.now()) - began).total_seconds() if began else 0.0
    states = {TrialState.COMPLETE: "completed", TrialState.RUNNING: "running", TrialState.FAIL: "failed"}
    why = known.get("why", "") or ("its process was killed" if trial.state == TrialState.FAIL else "")
    if again is not None:
        why = f"{why}; its settings are tried again as trial {again}"
    return {
        "number": trial.number,
        "state": states.get(trial.state, known.get("ended", "pruned")),
        "value": None if known.get("ended") == "diverged" else trial.value,  # of a pruned trial: its last score
        "seeds": seeds,
        "seconds": round(seconds, 3),
        "settings": trial.params,
        "usual": bool(known.get("usual", False)),
        "steps": known.get("steps", trial.last_step),
        "record": ", ".join(filter(None, known.get("records", []))),
        "why": why,
    }


def _sqlite_file(url: str | None) -> Path | None:
    """The file of an SQLite URL, whose processes need a lock beside it: SQLite lets two take one waiting trial."""
    if url is None or not url.startswith("sqlite:"):
        return None
    file = Path(url.partition(":///")[2].partition("?")[0])
    return file.absolute() if file.name and file.parent.is_dir() else None


def _database(url: str) -> RDBStorage:
    """Opens a database and makes its tables. Tries again while another process makes them, too."""
    tries = 0
    while True:
        try:
            return RDBStorage(url)
        except Exception as error:  # database clients raise errors of their own
            tries += 1
            if tries == MOST_TRIES or not AT_ONCE.search(str(error)):
                raise
            time.sleep(0.2)


def _created(
    storage: RDBStorage | JournalStorage, name: str, pruner: optuna.pruners.BasePruner
) -> tuple[optuna.Study, bool]:
    """The search of this name, and True if this process is the one that created it: names are unique in a storage."""
    try:
        created = optuna.create_study(storage=storage, study_name=name, direction="maximize", pruner=pruner)
        return created, True
    except optuna.exceptions.DuplicatedStudyError:
        return optuna.load_study(storage=storage, study_name=name, pruner=pruner), False


def _awaited_identity(opened: optuna.Study) -> dict[str, Any] | None:
    """The identity of a search that another process created; None if that process was killed before it wrote it."""
    started = time.monotonic()
    while (known := opened.user_attrs.get("identity")) is None and time.monotonic() - started < BEGIN_S:
        time.sleep(0.1)
    return known


def _steps(plan: Plan) -> int:
    return max(stage.steps for stage in plan.stages.values() if stage.kind == "joint")


PRUNERS: dict[str, type[optuna.pruners.BasePruner]] = {
    "median": optuna.pruners.MedianPruner,
    "halving": optuna.pruners.SuccessiveHalvingPruner,
    "hyperband": optuna.pruners.HyperbandPruner,
    "none": optuna.pruners.NopPruner,
}


def _distribution(within: Range) -> BaseDistribution:
    if within.choices is not None:
        return CategoricalDistribution(within.choices)
    assert within.low is not None and within.high is not None
    if within.whole:
        return IntDistribution(int(within.low), int(within.high), log=within.log)
    return FloatDistribution(float(within.low), float(within.high), log=within.log)


def _sampler(study: Study, variant: Variant, number: int) -> optuna.samplers.BaseSampler:
    """The sampler, seeded for the trial of this number: its draws depend only on the trials before."""
    name, first_seed = study.search.sampler, seed_of(study.name, variant.name, "search") % 2**32
    seed = seed_of(study.name, variant.name, "search", number) % 2**32
    if name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    if name == "qmc":  # each trial takes the next point of one sequence
        return optuna.samplers.QMCSampler(scramble=True, seed=first_seed, warn_asynchronous_seeding=False)
    if name == "gp":
        return optuna.samplers.GPSampler(seed=seed)
    if name == "cmaes":
        if importlib.util.find_spec("cmaes") is None:
            raise BadInput("search.sampler: cmaes needs the package cmaes: run pip install cmaes, or choose tpe")
        return optuna.samplers.CmaEsSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed, constant_liar=True)


def _shortened(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 300 else text[:297] + "..."
