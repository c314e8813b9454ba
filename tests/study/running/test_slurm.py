"""The executor ``slurm`` on a real Slurm: what its jobs make has the bytes of a study made here, whatever happens.

What it shares with the other executors is in ``test_executors.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import elsewhere
import pytest
import slurm_cluster
import tiny
from commands import command

from study.errors import BadInput
from study.running.executors import EXECUTORS, slurm


def states(cluster: slurm_cluster.Slurm) -> dict[str, str]:
    """The jobs that wait or run, with their states."""
    lines = cluster.run("squeue", "--array", "--noheader", "--format=%i %T").splitlines()
    return dict(line.split() for line in lines)


def again(cluster: slurm_cluster.Slurm, jobs: int = 1) -> None:
    """Waits until so many jobs are back in the queue, and lets them start soon: Slurm waits for two minutes."""
    elsewhere.until(lambda: list(states(cluster).values()).count("PENDING") == jobs)
    for job, state in states(cluster).items():
        if state == "PENDING":
            cluster.run("scontrol", "update", f"jobid={job}", "StartTime=now+2")  # at once: credential revoked
    elsewhere.until(lambda: "PENDING" not in states(cluster).values())


def importing(out: Path) -> bool:
    """True once Python has begun in a job."""
    line = f"-u\0-m\0submitit.core._submit\0{out / 'slurm'}\0".encode()
    found = False
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found |= file.read_bytes().partition(b"\0")[2] == line
    return found


@pytest.mark.slow
def test_a_node_is_lost_and_another_is_only_believed_lost(
    start: Callable[..., Any], slurm_here: slurm_cluster.Slurm, made_here: dict[str, dict[str, bytes]]
) -> None:
    """On the second, the daemon has ended, and its job goes on beside a second copy."""
    one = start("slurm", 2, exclusive="true")
    elsewhere.until(lambda: len(list(one.store.out.glob("making/critic-*"))) == 6)  # both jobs train
    one.trains()
    assert sorted(states(slurm_here).values()) == ["RUNNING", "RUNNING"]
    slurm_here.lose("n1")
    slurm_here.lose("n2", jobs=False)
    again(slurm_here)  # n1's, on n3
    slurm_here.start_node("n1")
    again(slurm_here)  # n2's, on n1
    elsewhere.go(one.folder)
    assert (one.end().failed, one.error) == (elsewhere.FAILURES, "")
    slurm_here.start_node("n2")
    assert elsewhere.stages(one.plan, one.store) == made_here


@pytest.mark.slow
def test_a_time_limit_is_met(
    start: Callable[..., Any],
    slurm_here: slurm_cluster.Slurm,
    made_here: dict[str, dict[str, bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also, a job that is told to stop before it could begin is queued again."""
    monkeypatch.setattr(slurm, "SIGNAL_S", 45)
    one = start("slurm", 1, time="10m", mem="200M")
    elsewhere.until(lambda: importing(one.store.out))
    slurm_here.run("scancel", "--signal=USR2", "--batch", *states(slurm_here))
    again(slurm_here)
    one.trains()
    (job,) = states(slurm_here)
    slurm_here.run("scontrol", "update", f"jobid={job}", "TimeLimit=1")
    again(slurm_here)
    slurm_here.run("scontrol", "update", f"jobid={job}", "TimeLimit=10")  # on a busy machine it would be met again
    assert list(one.store.out.glob("making/critic-*/checkpoint.safetensors"))
    elsewhere.go(one.folder)
    assert (one.end().failed, one.error) == (elsewhere.FAILURES, "")
    assert elsewhere.stages(one.plan, one.store) == made_here
    assert elsewhere.calls(one.folder) == elsewhere.ALL_CALLS, "no step was made twice"
    assert {event.kind for event in one.told} <= {"done", "failed", "note"}


@pytest.mark.slow
def test_jobs_that_wait_are_shown_and_cancelled(
    slurm_here: slurm_cluster.Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, out = tiny.write(tmp_path), tmp_path / "out"
    run = ["run", file, "--out", out, "--executor", "slurm", "--device", "cpu", "--jobs", "2", "--detach"]
    run += ["--set-executor", "begin=now+1hour"]
    assert "1 runs; 2 jobs are submitted\n" in command(*run).stdout
    assert "2 jobs of an earlier start wait or run\n" in command(*run).stdout
    with monkeypatch.context() as patch:
        patch.setattr(slurm, "_asked", lambda *words: None)
        silent = command(*run)
    assert silent.returncode == 1 and "does not answer (squeue), so nothing is submitted" in silent.stderr
    elsewhere.until(lambda: list(states(slurm_here).values()) == ["PENDING", "PENDING"])
    assert "nothing is running here\n2 jobs wait in Slurm's queue" in (said := command("status", out).stdout), said
    assert command("stop", out).stdout == "2 jobs that waited in Slurm's queue are cancelled\n"
    assert not states(slurm_here)


def test_without_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInput, match="there is no sbatch here; run this where you submit jobs"):
        EXECUTORS["slurm"](tmp_path, jobs=1, device="cpu", settings={})
