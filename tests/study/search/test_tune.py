"""Searches: a planted optimum is found, no trial is lost or double, and no test image is looked at."""

from __future__ import annotations

import json
import multiprocessing
import signal
from pathlib import Path
from typing import Any

import pytest
import tiny
from at_once import AtOnce
from commands import command
from gate import PATIENCE_S
from planted import BEST, Planted, score, share

from study import config
from study.config import space
from study.config.schema import Study
from study.data import Packed
from study.errors import BadInput, Interrupted
from study.plan.planner import make_plan
from study.results.frames import load
from study.running import workers
from study.running.executors import Event, Executor, Task
from study.running.make import make
from study.search import trials, tune
from study.store import RunState, Store

TOY = {"toy": {"method": "proposed", "multiscale": 0, "loss": "wgan"}, "mean": {"method": "mean"}}
STEPS = {"steps": {"pretrain": 4, "critic": 3, "joint": 8}}


def written(folder: Path, **changes: Any) -> Path:
    return tiny.write(folder, TOY, defaults={**STEPS, **changes.pop("defaults", {})}, **changes)


def searched(
    file: Path, out: Path, executor: Executor | None = None, variant: str = "toy", **more: Any
) -> tune.SearchResult:
    """A search in this process, to its end."""
    study, store = config.load(file), Store(out)
    with workers.working(out, "tune") as worker:
        tuner = tune.Tuner(study, study.variants[variant], store, worker=worker, device="cpu", **more)
        return tuner.run(executor or Planted(store))


def rows(out: Path, variant: str = "toy") -> list[dict[str, Any]]:
    return next(state["trials"] for state in trials.states(out) if state["variant"] == variant)


def test_a_planted_optimum_is_found_and_written_as_a_variant(tmp_path: Path) -> None:
    file, out = written(tmp_path, search={"pruner": "none"}), tmp_path / "out"
    found = searched(file, out, trials=40)
    assert found.best is not None and found.file == out / "search" / "toy_tuned.yaml"
    usual, *others = rows(out)
    assert usual["usual"] and usual["settings"] == {"weights.local": 1e-3, "weights.global": 1e-3}
    assert usual["value"] == pytest.approx(score({"local": 1e-3, "global": 1e-3}))
    assert found.best["value"] == max(row["value"] for row in (usual, *others)) > usual["value"] + 1.5
    assert score(BEST) - found.best["value"] < 0.5

    # A study that includes it runs it with seeds of its own, and shares what it can.
    tuned = tiny.write(tmp_path, TOY, include=["out/search/toy_tuned.yaml"], defaults=STEPS)
    study = config.load(tuned)
    assert list(study.variants) == ["toy", "mean", "toy_tuned"]
    assert (
        study.variants["toy_tuned"].options
        == space.with_settings(study.variants["toy"], found.best["settings"]).options
    )
    plan = make_plan(study)
    assert tiny.run_of(plan, "toy").start == tiny.run_of(plan, "toy_tuned").start
    with pytest.raises(BadInput, match=r"'toy_tuned' was tuned with seed 1000; run it with other"):
        config.load(tuned, seeds=[0, 1000])


def test_an_output_with_a_search_alone_opens_and_has_a_report(tmp_path: Path) -> None:
    file, out = written(tmp_path / "studies", search={"pruner": "none"}), tmp_path / "out"
    found = searched(file, out, trials=3)
    results = load(out)
    assert len(results.trials) == 3 and results.runs.empty and "toy" in results.study["searches"]
    assert "scope none" in repr(results) and set(results.claims["outcome"]) == {"not tested"}
    done = command("report", str(out))
    assert done.returncode == 0, done.stderr
    page = (out / "report" / "report.html").read_text()
    assert "Tuning" in page
    assert found.file is not None and "include: [../out/search/toy_tuned.yaml]" in found.file.read_text()
    other = tiny.write(tmp_path / "studies", TOY, include=[str(found.file)], defaults=STEPS)
    assert "toy_tuned" in config.load(other).variants


def test_a_path_from_another_folder_comes_with_the_right_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "toy_tuned.yaml").write_text("variants: {}\n")
    for name, hint in (
        ("out/toy_tuned.yaml", "(paths start at the study file's folder: write [../out/toy_tuned.yaml])"),
        ("out/none.yaml", "(a finished search writes it: python -m study tune studies/tiny.yaml --variant NAME)"),
    ):
        file = tiny.write(Path("studies"), TOY, include=[name], defaults=STEPS)
        with pytest.raises(BadInput) as caught:
            config.load(file)
        assert hint in str(caught.value)


def test_each_kind_of_range_is_searched_and_comes_back_from_the_file(tmp_path: Path) -> None:
    ranges = {
        "weights.local": {"low": 0.01, "high": 1, "log": True},
        "loss.critic_steps": {"low": 1, "high": 3},
        "loss.clip": {"low": 0.001, "high": 0.02},
        "rates.joint.lr": {"low": 1e-4, "high": 1e-3, "log": True},
        "head": {"choices": ["mean", "linear"]},
    }
    file, out = written(tmp_path, search={"space": ranges, "rungs": []}), tmp_path / "out"
    found = searched(file, out, trials=6)
    assert found.best is not None
    assert not any(row["usual"] for row in rows(out))  # the study's own weight lies outside of the space
    for row in rows(out):
        assert set(row["settings"]) == set(ranges)
        assert isinstance(row["settings"]["loss.critic_steps"], int) and row["settings"]["head"] in ("mean", "linear")
        assert 0.01 <= row["settings"]["weights.local"] <= 1
    study = config.load(tiny.write(tmp_path, TOY, include=["out/search/toy_tuned.yaml"], defaults=STEPS))
    expected = space.with_settings(study.variants["toy"], found.best["settings"]).options
    assert study.variants["toy_tuned"].options == expected


@pytest.mark.parametrize("name", ["tpe", "random", "qmc", "gp"])
def test_a_search_that_is_cut_short_goes_on_as_if_it_had_not_been(tmp_path: Path, name: str) -> None:
    settings = {"sampler": name, "pruner": "none"}
    whole, parts = written(tmp_path / "a", search=settings), written(tmp_path / "b", search=settings)
    searched(whole, tmp_path / "whole", trials=12)
    for count in (5, 12, 12):
        searched(parts, tmp_path / "parts", trials=count)
    assert [row["settings"] for row in rows(tmp_path / "whole")] == [
        row["settings"] for row in rows(tmp_path / "parts")
    ]


def test_a_trial_is_judged_by_the_mean_of_its_seeds(tmp_path: Path) -> None:
    file, out = written(tmp_path, search={"seeds": [5, 6], "pruner": "none"}), tmp_path / "out"
    searched(file, out, trials=1)
    (row,) = rows(out)
    of_seed = [score(dict.fromkeys(BEST, 1e-3), seed=seed) for seed in (5, 6)]
    assert row["value"] == pytest.approx(sum(of_seed) / 2) and row["seeds"] == 2 and row["record"] == "7, 7"


@pytest.mark.parametrize("pruner", ["median", "halving", "hyperband"])
def test_poor_trials_are_pruned_and_counted(tmp_path: Path, pruner: str) -> None:
    file, out = written(tmp_path, search={"pruner": pruner}), tmp_path / "out"
    executor = Planted(Store(out))
    searched(file, out, executor, trials=25)
    found = rows(out)
    pruned = [row for row in found if row["state"] == "pruned"]
    assert len(found) == 25 and pruned
    assert {row["steps"] for row in found} <= {2, 4, 8} and all(row["steps"] < 8 for row in pruned)
    assert sum(key.startswith("pretrain") for key in executor.made) == 1
    assert sum(key.startswith("critic") for key in executor.made) == 2
    for row in pruned:
        assert row["value"] == pytest.approx(score({k[8:]: v for k, v in row["settings"].items()}, row["steps"]))


def test_where_the_rate_depends_on_the_end_a_trial_is_judged_there_alone(tmp_path: Path) -> None:
    drops = {"toy": {**TOY["toy"], "rates": {"joint": {"lr": 1e-3, "drop_after": 0.5, "drop_to": 0.1}}}}
    file, out = tiny.write(tmp_path, drops, defaults=STEPS), tmp_path / "out"
    searched(file, out, trials=8)
    assert {(row["state"], row["steps"]) for row in rows(out)} == {("completed", 8)}


def test_what_diverges_is_pruned_and_counted_and_never_the_best(tmp_path: Path) -> None:
    file, out = written(tmp_path, search={"pruner": "none"}), tmp_path / "out"
    found = searched(file, out, Planted(Store(out), wild=lambda weights: weights["local"] > 2e-3), trials=15)
    states = [row["state"] for row in rows(out)]
    assert states.count("diverged") > 1 and states.count("diverged") + states.count("completed") == 15
    assert all(row["value"] is None for row in rows(out) if row["state"] == "diverged")
    assert found.best is not None and found.best["settings"]["weights.local"] <= 2e-3


def test_a_failure_stops_the_search_which_tries_its_settings_again(tmp_path: Path) -> None:
    file, out = written(tmp_path, search={"pruner": "none"}), tmp_path / "out"
    count = 0

    def fate(task: Task) -> Event | None:
        nonlocal count
        count += task.run is not None
        return Event("failed", task, text="no memory") if count == 3 else None

    found = searched(file, out, Planted(Store(out), fate=fate), trials=4)
    assert found.failed == "trial 2: no memory" and found.file is None
    assert searched(file, out, trials=4).file is not None
    by_number = {row["number"]: row for row in rows(out)}
    assert (
        by_number[2]["state"] == "failed"
        and by_number[2]["why"] == "no memory; its settings are tried again as trial 3"
    )
    assert by_number[3]["settings"] == by_number[2]["settings"]
    assert [row["state"] for row in by_number.values()].count("completed") == 4 and len(by_number) == 5


def test_an_interrupt_loses_nothing(tmp_path: Path) -> None:
    file, out = written(tmp_path), tmp_path / "out"

    def fate(task: Task) -> Event | None:
        raise Interrupted

    found = searched(file, out, Planted(Store(out), fate=fate), trials=3)
    assert found.interrupted and [row["state"] for row in rows(out)] == ["failed"]
    assert not searched(file, out, trials=3).interrupted
    first, again, *_ = rows(out)
    assert again["usual"] and again["settings"] == first["settings"]
    assert [row["state"] for row in rows(out)] == ["failed", "completed", "completed", "completed"]


def test_a_trial_of_a_process_that_is_gone_is_settled(tmp_path: Path) -> None:
    file, out = written(tmp_path), tmp_path / "out"
    study, store = config.load(file), Store(out)
    with workers.working(out, "tune") as worker:
        lost = tune.Tuner(study, study.variants["toy"], store, worker=worker, device="cpu", trials=2)
        assert lost._claim() is not None
        state = RunState.of(out, "toy@0/faces/1000")
        state.write(run="toy@0/faces/1000", status="running", record="1")
        beside = tune.Tuner(
            study, study.variants["toy"], store, worker=workers.Worker(out, "other"), device="cpu", trials=1
        )
        assert beside._claim() is None  # it is another's, who lives
    searched(file, out, trials=2)
    assert [row["state"] for row in rows(out)] == ["failed", "completed", "completed"]
    assert "its process was killed; its settings are tried again as trial 1" in rows(out)[0]["why"]
    assert state.read()["status"] == "interrupted"


def test_a_lost_trial_that_turns_up_again_is_not_counted_twice(tmp_path: Path) -> None:
    file, out = written(tmp_path), tmp_path / "out"
    study, store = config.load(file), Store(out)
    slow = tune.Tuner(study, study.variants["toy"], store, worker=workers.Worker(out, "gone"), device="cpu", trials=2)
    slow._claim()
    searched(file, out, trials=2)
    slow.run(Planted(store))
    assert [row["state"] for row in rows(out)] == ["failed", "completed", "completed"]


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_several_processes_share_a_search_and_one_is_killed(tmp_path: Path) -> None:
    file, out, count = written(tmp_path), tmp_path / "out", 8
    context = multiprocessing.get_context("fork")
    pipes = [context.Pipe() for _ in range(3)]
    processes = [context.Process(target=share, args=(file, out, count, theirs)) for _, theirs in pipes]
    for process in processes:
        process.start()
    for pipe, _ in pipes:  # each has a trial before any goes on
        assert pipe.poll(PATIENCE_S) and pipe.recv() == "half-way"
    processes[0].kill()
    processes[0].join()
    for pipe, _ in pipes[1:]:
        pipe.send("go on")
    for pipe, _ in pipes[1:]:
        assert pipe.poll(PATIENCE_S) and isinstance(pipe.recv(), int)  # each tells a trial
        while pipe.recv() is not None:
            pass
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [-signal.SIGKILL, 0, 0]
    found = rows(out)
    ended = [row for row in found if row["state"] in trials.ENDED]
    assert len(ended) == count and len({row["number"] for row in found}) == len(found)
    assert {row["state"] for row in found} <= {*trials.ENDED, "failed"}
    assert len([row for row in found if row["state"] == "failed"]) == 1
    assert workers.workers(out) == {}


def test_several_at_once_in_one_process(tmp_path: Path) -> None:
    file, out = written(tmp_path), tmp_path / "out"
    searched(file, out, Planted(Store(out), slots=4), trials=10, parallel=4)
    assert [row["number"] for row in rows(out)] == list(range(10))
    assert all(row["state"] in trials.ENDED for row in rows(out))


def test_a_database_holds_a_search_too(tmp_path: Path) -> None:
    file, url = written(tmp_path), f"sqlite:///{tmp_path}/trials.db"
    searched(file, tmp_path / "a", trials=3, storage=url)
    searched(file, tmp_path / "b", trials=5, storage=url)  # another machine, with an output of its own
    assert len(rows(tmp_path / "a")) == 3 and len(rows(tmp_path / "b")) == 5


def opening(file: Path, out: Path, url: str, variant: str, barrier: Any, told: Any) -> None:
    """Opens a search with others, as on a machine of its own, and tells the first trial that it gets."""
    study = config.load(file)
    with workers.working(out, "tune") as worker:
        barrier.wait()
        try:
            tuner = tune.Tuner(
                study, study.variants[variant], Store(out), worker=worker, device="cpu", trials=9, storage=url
            )
            one = tuner._claim()
            told.send((variant, one.trial.number if one else None, one.trial.user_attrs.get("usual") if one else None))
        except BaseException as error:
            told.send(repr(error))
            raise


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_searches_begin_at_once_on_a_new_database(tmp_path: Path) -> None:
    """Two of one variant and two of another, each with an output of its own: none fails, none overtakes the first."""
    variants = {"toy": TOY["toy"], "other": {"method": "proposed", "multiscale": 1, "loss": "wgan"}}
    file = tiny.write(tmp_path, variants, defaults=STEPS)
    context = multiprocessing.get_context("fork")
    url, barrier = f"sqlite:///{tmp_path}/trials.db", context.Barrier(4)
    pipes = [context.Pipe(duplex=False) for _ in range(4)]
    processes = [
        context.Process(target=opening, args=(file, tmp_path / f"{n}", url, name, barrier, pipe))
        for n, (name, (_, pipe)) in enumerate(zip(("toy", "toy", "other", "other"), pipes, strict=True))
    ]
    for process in processes:
        process.start()
    assert all(ours.poll(PATIENCE_S) for ours, _ in pipes)
    found = [ours.recv() for ours, _ in pipes]
    for process in processes:
        process.join()
    expected = [(name, number, usual) for name in ("other", "toy") for number, usual in ((0, True), (1, None))]
    assert sorted(found, key=str) == sorted(expected, key=str)


def test_a_search_whose_creator_was_killed_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune, "BEGIN_S", 0.2)
    file, url = written(tmp_path), f"sqlite:///{tmp_path}/trials.db"
    tune.optuna.create_study(storage=url, study_name="tiny:None:toy", direction="maximize")
    searched(file, tmp_path / "out", trials=2, storage=url)
    assert [row["usual"] for row in rows(tmp_path / "out")] == [True, False]


@pytest.fixture
def no_test_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """A data set that fails when its test images are asked for."""
    part = Packed.part

    def guarded(self: Packed, name: str) -> Any:
        assert name != "test", "the test images were looked at"
        return part(self, name)

    monkeypatch.setattr(Packed, "part", guarded)


@pytest.mark.slow
def test_trials_are_trained_once_recorded_and_never_see_the_test_images(tmp_path: Path, no_test_images: None) -> None:
    file, out = written(tmp_path, search={"sampler": "random", "seeds": [0]}), tmp_path / "out"
    executor = AtOnce(Store(out))
    searched(file, out, executor, trials=3)
    kinds = [key.partition("-")[0] for key in executor.keys]
    assert (kinds.count("pretrain"), kinds.count("critic")) == (1, 2)
    configs = [json.loads((out / "sacred" / row["record"] / "config.json").read_text()) for row in rows(out)]
    assert [config["trial"]["number"] for config in configs] == [0, 1, 2]
    assert all(config["trial"]["search"] == "toy" for config in configs)
    assert {json.loads((out / "sacred" / row["record"] / "run.json").read_text())["status"] for row in rows(out)} == {
        "COMPLETED"
    }

    # The study shares what the search made, and its own evaluation looks at the test images.
    plan, store = make_plan(config.load(file)), Store(out)
    run = tiny.run_of(plan, "toy")
    assert all(store.has(key) for role, key in run.stages.items() if role != "evaluate")
    assert not store.has(run.stages["evaluate"])
    with pytest.raises(AssertionError, match="the test images were looked at"):
        make([run.stages["evaluate"]], plan, store, tiny.Onlooker(), tiny.CPU)

    # A setting that comes up again costs nothing: the search begun anew finds every stage.
    (out / "search" / "toy.journal").unlink()
    again = AtOnce(Store(out))
    searched(file, out, again, trials=3)
    assert len(rows(out)) == 3 and all(store.has(key) for key in again.keys)
    assert not any(key.startswith(("pretrain", "critic", "joint")) and not store.has(key) for key in again.keys)
    assert set(again.keys) <= set(executor.keys)


def test_readers_find_the_trials_without_optuna(tmp_path: Path) -> None:
    file, out = written(tmp_path), tmp_path / "out"
    searched(file, out, trials=24)
    make_plan(config.load(file)).save(out)
    frames = load(out)
    assert frames.trials["number"].tolist() == list(range(24)) and frames.trials["usual"].tolist()[:2] == [True, False]
    assert list(json.loads(frames.trials["settings"].iloc[0])) == ["weights.local", "weights.global"]
    facts = frames.study["searches"]["toy"]
    assert facts["of"] == 24 and [entry["key"] for entry in facts["space"]] == ["weights.local", "weights.global"]
    assert facts["importance"] == {} or sum(facts["importance"].values()) == pytest.approx(1, abs=1e-4)


def study_of(folder: Path, **changes: Any) -> Study:
    variants = {name: tiny.EVERY[name] for name in ("proposed", "single", "reconstruction_only", "glcic", "ce", "mean")}
    return config.load(tiny.write(folder, variants, **changes))


def test_by_default_the_weights_of_the_critics_in_use_are_searched(tmp_path: Path) -> None:
    study = study_of(tmp_path)
    found, left_out = space.candidates(study)
    spaces = {variant.name: space.space_of(study, variant) for variant in found}
    assert {name: list(ranges) for name, ranges in spaces.items()} == {
        "proposed": ["weights.local", "weights.global", "weights.half"],
        "single": ["weights.local"],
        "glcic": ["weight"],
        "ce": ["weight"],
    }
    assert spaces["proposed"]["weights.local"].ends == [1e-5, 0.1] and spaces["glcic"]["weight"].ends == [4e-6, 0.04]
    assert all(within.log for ranges in spaces.values() for within in ranges.values())
    (why,) = left_out
    assert why.startswith("'reconstruction_only': it has no critic and so no weight")


def test_a_named_space_is_searched_where_a_method_has_it(tmp_path: Path) -> None:
    ranges = {
        "weight": {"low": 0.1, "high": 1},
        "weights.half": {"low": 0.1, "high": 1},
        "loss.clip": {"low": 0.1, "high": 1},
    }
    study = study_of(tmp_path, search={"space": ranges})
    assert list(space.space_of(study, study.variants["proposed"])) == ["weights.half", "loss.clip"]
    assert "weights.half" not in space.space_of(study, study.variants["single"])
    with pytest.raises(
        BadInput, match=r"none of weight, weights\.half, loss\.clip is an option of reconstruction_only"
    ):
        space.space_of(study, study.variants["reconstruction_only"])


FAULTS = {
    "unknown key": ({"weights.locl": {"low": 1e-3, "high": 1}}, "'locl' is an unknown key; choose"),
    "no option": (
        {"wieght": {"low": 1e-3, "high": 1}},
        "'wieght' is not an option of a trained method of this study (did you mean 'we",
    ),
    "upside down": (
        {"weights.local": {"low": 1, "high": 0.1}},
        "low 1 is not below high 0.1",
    ),
    "log from zero": (
        {"weights.local": {"low": 0, "high": 1, "log": True}},
        "got low 0; on a log scale it must be above 0",
    ),
    "impossible": ({"weights.local": {"low": -1, "high": 1}}, "-1 is impossible: got -1"),
    "impossible choice": ({"head": {"choices": ["mean", "max"]}}, "'max' is impossible: 'max' is unknown; choose"),
    "one choice": ({"head": {"choices": ["mean"]}}, "write a list of 2 or more"),
    "twice": ({"head": {"choices": ["mean", "mean"]}}, "a value appears twice"),
    "half a range": ({"weights.local": {"low": 1}}, "write 'low' and 'high', or 'choices', a list"),
    "both": ({"weights.local": {"low": 1, "high": 2, "choices": [1, 2]}}, "write either 'choices', or"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_space_that_cannot_be_meant_is_refused_at_its_place(tmp_path: Path, fault: str) -> None:
    ranges, sentence = FAULTS[fault]
    with pytest.raises(BadInput) as raised:
        config.load(written(tmp_path, search={"space": ranges}))
    (told,) = raised.value.faults
    assert sentence in told and "tiny.yaml:" in told and f"search.space.{next(iter(ranges))}" in told


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"sampler": "tpee"}, "'tpee' is unknown; choose cmaes, gp, qmc, random, tpe (did you mean 'tpe'?)"),
        ({"pruner": 3}, "search.pruner: 3 is unknown; choose halving"),
        ({"data": "face"}, "'face' is not a data set of this study; choose faces"),
        ({"seeds": [1, 1]}, "got [1, 1]; a value appears twice"),
        ({"trials": 0}, "search.trials: got 0; write 1 or more"),
        ({"rungs": [1.5]}, "write a value below 1"),
    ],
)
def test_a_search_that_cannot_be_meant_is_refused(tmp_path: Path, settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadInput) as raised:
        config.load(written(tmp_path, search=settings))
    assert sentence in str(raised.value)


def test_a_search_goes_on_with_its_own_space_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    searched(written(tmp_path), out, trials=2)
    changes: list[tuple[dict[str, Any], str]] = [
        ({"search": {"space": {"weights.local": {"low": 0.1, "high": 1}}}}, "space"),
        ({"search": {"seeds": [7]}}, "set of seeds"),
        ({"defaults": {"batch": 3}}, "configuration of the variant"),
        ({"protocol": {"seed": 3}}, "protocol"),
    ]
    for change, part in changes:
        with pytest.raises(BadInput) as raised:
            searched(written(tmp_path / part, **change), out, trials=2)
        assert f"toy.journal: this search was started with another {part}: " in str(raised.value)
        assert "or start over: remove " in str(raised.value)
    other = {"sampler": "random", "pruner": "none"}  # these may change
    searched(written(tmp_path / "other", search=other), out, trials=3)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (
            "postgresql://me:secret@127.0.0.1:1/none",
            "--storage postgresql://me:...@127.0.0.1:1/none: this storage cannot",
        ),
        ("sqlite:////nowhere/at/all.db", "unable to open database file"),
        ("nonsense", "--storage nonsense: this storage cannot be used"),
    ],
)
def test_a_storage_that_cannot_be_reached_is_said_in_a_sentence(tmp_path: Path, url: str, said: str) -> None:
    with pytest.raises(BadInput) as raised:
        searched(written(tmp_path), tmp_path / "out", trials=1, storage=url)
    assert said in str(raised.value) and "secret" not in str(raised.value) and "or omit --storage" in str(raised.value)


def test_a_damaged_journal_is_said_in_a_sentence(tmp_path: Path) -> None:
    file, out = written(tmp_path), tmp_path / "out"
    searched(file, out, trials=1)
    journal = out / "search" / "toy.journal"
    journal.write_text("{]\n" + journal.read_text())
    with pytest.raises(BadInput, match=r"toy\.journal: this storage cannot be used: .*remove the file to start over"):
        searched(file, out, trials=1)


def test_what_is_included_is_a_file_of_variants(tmp_path: Path) -> None:
    file = written(tmp_path, include=["none.yaml"])
    with pytest.raises(BadInput, match=r"include\.0: .*none\.yaml: cannot be read.*a finished search writes it"):
        config.load(file)
    (tmp_path / "none.yaml").write_text("variants: {toy: {extends: mean}}\nseeds: [1]\n")
    with pytest.raises(BadInput) as raised:
        config.load(file)
    assert any("none.yaml:1:12: variants.toy: 'toy' is also in" in fault for fault in raised.value.faults)
    assert any(
        "none.yaml:2:1: seeds: 'seeds' is an unknown key; choose tuned, variants" in f for f in raised.value.faults
    )


def test_the_command_says_what_it_cannot_do(tmp_path: Path) -> None:
    file, out = written(tmp_path), tmp_path / "out"
    for arguments, sentence in (
        ((), "choose what to tune: --variant NAME, or --all"),
        (
            ("--variant", "tony"),
            "--variant tony: 'tony' is not a variant of this study; choose mean, toy (did you mean 'toy'?)",
        ),
        (("--variant", "mean"), "'mean' is not trained, so there is nothing to search"),
        (("--variant", "toy", "--sampler", "x"), "'x' is unknown; choose cmaes, gp, qmc, random, tpe"),
        (("--variant", "toy", "--trials", "0"), "--trials"),
    ):
        done = command("tune", file, "--out", out, *arguments)
        assert done.returncode == 2 and sentence in done.stderr, done.stdout


def test_status_knows_of_searches(tmp_path: Path) -> None:
    file, out = written(tmp_path, search={"pruner": "none"}), tmp_path / "out"
    found = searched(file, out, trials=3)
    assert found.best is not None
    line = (
        f"search of toy: 3 of 3 trials (0 pruned, 0 diverged, 0 running, 0 failed); best {found.best['value']:.2f} dB"
    )
    assert line in command("status", out).stdout
    make_plan(config.load(file)).save(out)
    assert line in command("status", out).stdout
    facts = json.loads(command("status", out, "--json").stdout)
    assert facts["searching"] == 0 and facts["searches"]["toy"]["completed"] == 3
    assert facts["searches"]["toy"]["best"]["validation_psnr_db"] == found.best["value"]
