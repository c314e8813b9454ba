"""The executor ``slurm`` on a real Slurm: what its jobs make has the bytes of a study made here, whatever happens."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import elsewhere
import pytest
import slurm_cluster

from study.errors import BadInput, StudyError
from study.running import driver
from study.running.executors import EXECUTORS, Event, slurm

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made_here(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    return elsewhere.made_here(tmp_path_factory.mktemp("here"))


@pytest.fixture(scope="module")
def slurm_here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[slurm_cluster.Slurm]:
    pytest.importorskip("submitit", reason="submitit is not installed: pip install 'mo-zhou-study[slurm]'")
    if why := slurm_cluster.missing():
        pytest.skip(why)
    with slurm_cluster.slurm(tmp_path_factory.mktemp("slurm") / "cluster") as cluster:
        yield cluster


class Start:
    """A study that jobs make while a thread drives it."""

    def __init__(self, folder: Path, jobs: int, **settings: str) -> None:
        self.folder = folder
        self.plan, self.store = elsewhere.planned(folder)
        self.executor = EXECUTORS["slurm"](self.store.out, jobs=jobs, device="cpu", settings=settings)
        self.stopping, self.told = False, list[Event]()
        self.summary: driver.Summary | None = None
        self.error: StudyError | None = None
        self._thread = threading.Thread(target=self._drive)
        self._thread.start()

    def _drive(self) -> None:
        tasks = driver.tasks(self.plan, self.store, self.plan.save(self.store.out))
        try:
            with self.executor:
                self.summary = driver.drive(
                    self.store, self.executor, tasks, on_event=self.told.append, stopping=lambda: self.stopping
                )
        except StudyError as error:
            self.error = error

    def join(self) -> None:
        self._thread.join(180)
        assert not self._thread.is_alive()

    def end(self) -> driver.Summary:
        """Waits until the study is made, or stopped."""
        self.join()
        assert self.summary is not None, self.error
        return self.summary

    def trains(self) -> None:
        """Waits until training has begun."""
        elsewhere.until(lambda: elsewhere.calls(self.folder) > 3)


@pytest.fixture
def start(
    slurm_here: slurm_cluster.Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Start]]:
    """Starts a study on Slurm. Its jobs are ended after the test."""
    for name in ("SLURM_CONF", "PATH"):
        monkeypatch.setenv(name, slurm_here.environment[name])
    monkeypatch.setenv(elsewhere.PLACE, str(tmp_path))
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")])
    )
    monkeypatch.setattr(slurm, "LOOK_S", 1.0)
    yield lambda jobs, **settings: Start(tmp_path, jobs, **settings)
    slurm_here.run("scancel", "--user", "root")


def states(cluster: slurm_cluster.Slurm) -> dict[str, str]:
    """The jobs that wait or run, with their states."""
    lines = cluster.run("squeue", "--array", "--noheader", "--format=%i %T").splitlines()
    return dict(line.split() for line in lines)


def again(cluster: slurm_cluster.Slurm) -> None:
    """Waits until a job is back in the queue, and lets it start at once: Slurm waits for two minutes."""
    elsewhere.until(lambda: "PENDING" in states(cluster).values())
    for job, state in states(cluster).items():
        if state == "PENDING":
            cluster.run("scontrol", "update", f"jobid={job}", "StartTime=now")


def test_the_jobs_make_each_stage_once(start: Callable[..., Start], made_here: dict[str, dict[str, bytes]]) -> None:
    one = start(3, time="10m", mem="200M")
    elsewhere.go(one.folder)
    assert one.end().failed == {}
    assert elsewhere.stages(one.plan, one.store) == made_here
    assert elsewhere.calls(one.folder) == 2 * 3 * (elsewhere.STEPS + 3), "each stage was trained once"
    assert {event.kind for event in one.told} <= {"done", "note"}


def test_a_node_is_lost(
    start: Callable[..., Start], slurm_here: slurm_cluster.Slurm, made_here: dict[str, dict[str, bytes]]
) -> None:
    one = start(2)
    one.trains()
    slurm_here.lose("n1")
    again(slurm_here)
    elsewhere.go(one.folder)
    assert one.end().failed == {}
    slurm_here.start_node("n1")
    assert elsewhere.stages(one.plan, one.store) == made_here


def test_a_time_limit_is_met(
    start: Callable[..., Start],
    slurm_here: slurm_cluster.Slurm,
    made_here: dict[str, dict[str, bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slurm, "SIGNAL_S", 20)
    one = start(1, time="1")
    one.trains()
    again(slurm_here)
    assert list(one.store.out.glob("making/critic-*/checkpoint.safetensors"))
    elsewhere.go(one.folder)
    assert one.end().failed == {}
    assert elsewhere.stages(one.plan, one.store) == made_here
    assert elsewhere.calls(one.folder) == 2 * 3 * (elsewhere.STEPS + 3), "no step was made twice"


def test_two_copies_of_one_job(
    start: Callable[..., Start], slurm_here: slurm_cluster.Slurm, made_here: dict[str, dict[str, bytes]]
) -> None:
    """A node that Slurm only believes lost: its daemon has ended, and its job goes on beside a second copy."""
    one = start(1)
    one.trains()
    slurm_here.lose("n1", jobs=False)
    again(slurm_here)
    elsewhere.go(one.folder)
    assert one.end().failed == {}
    slurm_here.start_node("n1")
    assert elsewhere.stages(one.plan, one.store) == made_here


def test_stop_and_go_on(
    start: Callable[..., Start], slurm_here: slurm_cluster.Slurm, made_here: dict[str, dict[str, bytes]]
) -> None:
    """Ctrl-C: the jobs that run write checkpoints, those that wait are cancelled. The next start goes on."""
    one = start(8)
    one.trains()
    one.stopping = True
    assert one.end().interrupted
    assert not states(slurm_here), "six jobs ran and two waited"
    assert list(one.store.out.glob("making/critic-*/checkpoint.safetensors"))
    elsewhere.go(one.folder)
    assert start(2).end().failed == {}
    assert elsewhere.stages(one.plan, one.store) == made_here
    assert elsewhere.calls(one.folder) == 2 * 3 * (elsewhere.STEPS + 3), "no step was made twice"


def test_all_jobs_have_ended(start: Callable[..., Start], slurm_here: slurm_cluster.Slurm) -> None:
    one = start(2)
    one.trains()
    slurm_here.run("scancel", "--user", "root")
    one.join()
    text = str(one.error)
    assert "all 2 jobs have ended, but something is left to make: 2 CANCELLED by 0 (exit code 0:0, on n1)" in text, text
    assert "the last log" in text and "stopped; nothing is lost" in text


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"partion": "gpu"}, r"partion: sbatch has no such option; see sbatch --help \(did you mean 'partition'\?\)"),
        ({"array": "0-3"}, "array: study sets this option of sbatch itself; leave it out"),
    ],
)
def test_bad_settings(start: Callable[..., Start], tmp_path: Path, settings: dict[str, str], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        EXECUTORS["slurm"](tmp_path, jobs=1, device="cpu", settings=settings)


def test_what_sbatch_refuses(start: Callable[..., Start], tmp_path: Path) -> None:
    executor = EXECUTORS["slurm"](tmp_path, jobs=1, device="cpu", settings={"partition": "gpu"})
    with pytest.raises(BadInput, match="sbatch refuses the jobs: invalid partition specified: gpu"):
        executor.start()


def test_without_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInput, match="there is no sbatch here; run this where you submit jobs"):
        EXECUTORS["slurm"](tmp_path, jobs=1, device="cpu", settings={})
