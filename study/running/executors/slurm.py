"""Jobs of a Slurm cluster. Each is a worker, ``study work OUT``: tasks are not submitted, the workers claim them.

submitit writes the batch script and submits an array of jobs. It pickles what a job runs (a ``Job``, which holds words
alone) and what that returns; this module reads none of its pickles.

out/slurm/ID_submission.sh     the batch script
out/slurm/ID_*.pkl             a job, and its return value, as submitit writes them
out/slurm/ID_0_log.out         a job's log
out/crews/CREW.json            the ids of the jobs of one start

Before its time is up, a job stops with checkpoints and goes back into the queue.
"""

from __future__ import annotations

import io
import math
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from study.errors import BadInput, StudyError, near
from study.running import workers
from study.running.executors.base import Elsewhere, Event, Task
from study.store import read_facts, write_json

OWN = ("array", "error", "open-mode", "output", "parsable", "requeue", "signal", "test-only", "wait", "wrap")
"""Options of sbatch that are set here."""
SIGNAL_S = 120  # how long before its time is up a job is told
LOOK_S = 15.0  # between two looks at the queue
STOP_S = 60.0
LINES = 5  # of a log, in a message
MINUTES = {"s": 1 / 60, "m": 1, "h": 60, "d": 1440}
SIGNALS = (signal.SIGUSR2, signal.SIGTERM)
"""What Slurm sends a job whose time is nearly up, and one that has to make room."""
HELD = f"""exec {shlex.quote(sys.executable)} -ISc '
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {[int(number) for number in SIGNALS]})
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
'"""
"""Python for the batch script, which holds these signals back until the job is ready for them (``Job``)."""


@dataclass(frozen=True)
class Job:
    """What a job runs: ``study work`` with these arguments."""

    arguments: tuple[str, ...]

    def __call__(self) -> None:
        """Returns when there is nothing left to make. After a signal, waits until Slurm ends the job."""
        heard: list[int] = []
        started: list[subprocess.Popen[bytes]] = []

        def stop(number: int, _: object) -> None:
            heard.append(number)
            for worker in started:
                worker.terminate()

        for number in SIGNALS:
            signal.signal(number, stop)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)  # what came since the job began arrives here
        if not heard:
            started.append(subprocess.Popen([sys.executable, "-m", "study", "work", *self.arguments]))
        if heard:  # meanwhile
            stop(heard[0], None)
        code = max((worker.wait() for worker in started), default=0)
        if signal.SIGUSR2 in heard:  # its time is nearly up
            signal.signal(signal.SIGTERM, signal.SIG_DFL)  # which Slurm answers with: it need not wait for SIGKILL
            subprocess.run(["scontrol", "requeue", _this_job()], check=True, timeout=60)
        if heard:  # a job that ends itself is not queued again after it had to make room
            time.sleep(3600)
        if code:
            sys.exit(code if code > 0 else 128 - code)


def _this_job() -> str:
    array = os.environ.get("SLURM_ARRAY_JOB_ID")  # its SLURM_JOB_ID may name the whole array
    return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}" if array else os.environ["SLURM_JOB_ID"]


class Slurm(Elsewhere):
    """Jobs of a Slurm cluster. ``settings`` are options of sbatch."""

    outlives: ClassVar[bool] = True

    def __init__(self, out: Path, *, jobs: int, device: str, settings: Mapping[str, str]) -> None:
        self._out, self._jobs, self._device = out.absolute(), jobs, device
        self._settings = _checked(settings)
        if "%" in str(self._out):
            raise BadInput(f"--out {out}: Slurm reads % in a path as a pattern; name another folder")
        try:
            import submitit  # noqa: F401
        except ImportError:
            raise BadInput("--executor slurm needs submitit: pip install 'mo-zhou-study[slurm]'") from None
        self._next_look, self._gone, self._said = 0.0, False, ""

    def start(self) -> str:
        """Submits the jobs that are missing: those of an earlier start that wait or run still count."""
        from submitit import SlurmExecutor
        from submitit.core.utils import FailedJobError

        queue = _queue(_submitted(self._out))
        if queue is None:
            raise StudyError("Slurm's queue does not answer (squeue), so nothing is submitted; try again later")
        missing = self._jobs - len(queue)
        if missing <= 0:
            return f"{self._jobs} jobs of an earlier start wait or run"
        crew = f"slurm-{uuid.uuid4().hex[:8]}"
        cores = self._settings.get("cpus-per-task", "1")
        arguments = (str(self._out), "--crew", crew, *(("--jobs", cores) if self._device == "cpu" else ()))
        # exec: so that it is the job that gets the signal, and not the shell that started it. srun is not needed.
        submitter = SlurmExecutor(folder=self._out / "slurm", python=HELD)
        submitter.update_parameters(
            time=None,  # not submitit's, but the cluster's own limit
            wckey=None,
            job_name=f"study-{self._out.name}",
            stderr_to_stdout=True,
            array_parallelism=missing,
            use_srun=False,
            additional_parameters={"requeue": True, "signal": f"B:USR2@{SIGNAL_S}", **self._settings},
        )
        try:
            with redirect_stderr(io.StringIO()):  # submitit prints what is reported below
                jobs = submitter.submit_array([Job(arguments)] * missing)
        except FailedJobError as error:
            raise BadInput(f"--executor slurm: sbatch refuses the jobs: {_reason(str(error))}") from None
        write_json(self._out / workers.CREWS / f"{crew}.json", {"crew": crew, "jobs": [job.job_id for job in jobs]})
        return f"{missing} jobs are submitted"

    def poll(self, timeout_s: float) -> list[Event]:
        """Waits. Says how many jobs run. Raises StudyError if all have ended although something is left to make."""
        time.sleep(timeout_s)
        if time.monotonic() < self._next_look:
            return []
        self._next_look = time.monotonic() + LOOK_S
        jobs = _submitted(self._out)
        queue = _queue(jobs)
        if queue is None:  # Slurm does not answer now
            return []
        if not queue and self._gone:  # for the second time: the driver has seen what the last of them made
            raise StudyError(_obituary(self._out, jobs))
        self._gone = not queue
        if self._gone:
            self._next_look = 0.0
            return []
        counts = Counter(state.lower() for state in queue.values())
        said, self._said = self._said, ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
        return [Event("note", Task((), (), title="jobs"), text=self._said)] if said != self._said else []

    def stop(self) -> None:
        """Returns when the jobs that run have written their checkpoints. Takes back those that wait."""
        jobs = _submitted(self._out)
        workers.stop(self._out, [], _crews(self._out))
        self.withdraw(self._out)
        deadline = time.monotonic() + STOP_S
        while _queue(jobs) and time.monotonic() < deadline:
            time.sleep(1)

    @classmethod
    def waiting(cls, out: Path) -> list[str]:
        """How many jobs of an output wait in the queue, and Slurm's reasons."""
        reasons = Counter(_waiting(out).values())
        return [f"{count} jobs wait in Slurm's queue {reason}".strip() for reason, count in sorted(reasons.items())]

    @classmethod
    def withdraw(cls, out: Path) -> list[str]:
        """Takes back the jobs of an output that wait in the queue."""
        waiting = _waiting(out)
        if waiting:
            subprocess.run(["scancel", *waiting], capture_output=True, timeout=60)
        for crew in _crews(out):
            (out / workers.CREWS / f"{crew}.json").unlink(missing_ok=True)
        return [f"{len(waiting)} jobs that waited in Slurm's queue are cancelled"] if waiting else []


def _checked(settings: Mapping[str, str]) -> dict[str, str | bool]:
    """Options of sbatch by their names, checked against its own list. Raises BadInput."""
    try:
        told = subprocess.run(["sbatch", "--help"], capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        raise BadInput("--executor slurm: there is no sbatch here; run this where you submit jobs") from None
    if told.returncode:
        raise BadInput(f"--executor slurm: sbatch does not work here: {_reason(told.stderr)}")
    known = set(re.findall(r"--([a-z][a-z-]+)", told.stdout))
    checked: dict[str, str | bool] = {}
    for name, value in settings.items():
        option = name.replace("_", "-")
        if option in OWN:
            raise BadInput(f"--set-executor {name}: study sets this option of sbatch itself; leave it out")
        if option not in known:
            raise BadInput(f"--set-executor {name}: sbatch has no such option; see sbatch --help{near(option, known)}")
        written = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", value) if option == "time" else None
        minutes = str(math.ceil(float(written[1]) * MINUTES[written[2]])) if written else value
        checked[option] = True if value == "true" else minutes
    return checked


def _crews(out: Path) -> list[str]:
    return [file.stem for file in sorted((out / workers.CREWS).glob("slurm-*.json"))]


def _submitted(out: Path) -> list[str]:
    """The ids of an output's jobs, whether or not they have ended."""
    facts = [read_facts(out / workers.CREWS / f"{crew}.json") for crew in _crews(out)]
    return [str(job) for one in facts for job in one.get("jobs", ())]


def _queue(jobs: Sequence[str]) -> dict[str, str] | None:
    """Those of the jobs that wait or run, with their states; None if Slurm does not answer."""
    if not jobs:
        return {}
    lines = _asked("squeue", "--me", "--array", "--noheader", "--format=%i|%T|%r")
    if lines is None:
        return None
    found = {}
    for job, state, reason in (line.split("|", 2) for line in lines):
        if job in jobs:
            found[job] = f"{state} ({reason})" if state == "PENDING" and reason != "None" else state
    return found


def _waiting(out: Path) -> dict[str, str]:
    """The jobs of an output that wait in the queue, with the reasons."""
    queue = _queue(_submitted(out)) or {}
    return {job: state.partition(" ")[2] for job, state in queue.items() if state.startswith("PENDING")}


def _obituary(out: Path, jobs: Sequence[str]) -> str:
    """What became of jobs: Slurm's word, and the end of a log."""
    named = f"--jobs={','.join(jobs)}"
    told = _asked(
        "sacct", named, "--allocations", "--noheader", "--parsable2", "--format=JobID,State,ExitCode,NodeList"
    )
    ends = {}
    for job, *facts in (line.split("|") for line in told or ()):
        if job in jobs:
            ends[job] = "{} (exit code {}, on {})".format(*facts)
    counts = Counter(ends.values())
    word = ", ".join(f"{count} {end}" for end, count in counts.most_common(3)) or "sacct does not know how"
    logs = [file for job in jobs if (file := out / "slurm" / f"{job}_0_log.out").exists()]
    text = f"{out}: all {len(jobs)} jobs have ended, but something is left to make: {word}"
    if logs:
        log = max(logs, key=lambda file: file.stat().st_mtime)
        lines = log.read_text(errors="replace").splitlines()[-LINES:]
        text += "\n".join([f"; the last log, {log}, ends with:", *lines])
    return f"{text}\nrun the same command again to go on"


def _asked(*command: str) -> list[str] | None:
    """The lines that a command of Slurm prints; None if it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.splitlines() if done.returncode == 0 else None


def _reason(text: str) -> str:
    """The part of what sbatch says that names the reason."""
    found = re.findall(r"(?:error|fatal): (.+)", text)
    return "; ".join(dict.fromkeys(line.strip() for line in found)) or text.strip()[-200:]
