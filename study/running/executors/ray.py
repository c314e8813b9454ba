"""Tasks of a Ray cluster. Each is a worker, ``study work OUT``: a study's own tasks are claimed by the workers.

A worker is a process of its own. It stops with checkpoints when its task is cancelled, and also when Ray's process or
the driver is killed. Ray starts it again elsewhere if its node dies.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from study.errors import BadInput, StudyError, unknown
from study.running.executors.base import Elsewhere, Event

SETTINGS = {
    "address": "of the cluster, such as 10.0.0.1:6379; without it, RAY_ADDRESS, or a Ray on this machine alone",
    "num_cpus": "processors of each worker: 1",
    "num_gpus": "GPUs of each worker: 1 on cuda, a fraction if several share one",
}
CONNECT_S = 10.0
LOOK_S = 0.5
STOP_S = 60.0

# study, which stops as soon as its standard input is closed: when the process that started it ends, however that ends
TETHERED = """
import os, runpy, signal, sys, threading
def wait():
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=wait, daemon=True).start()
runpy.run_module("study", run_name="__main__", alter_sys=True)
"""


class Ray(Elsewhere):
    """Tasks of a Ray cluster. ``settings``: see ``SETTINGS``."""

    def __init__(self, out: Path, *, jobs: int, device: str, settings: Mapping[str, str]) -> None:
        for name in settings:
            if name not in SETTINGS:
                raise BadInput(f"--set-executor {name}: {unknown(name, SETTINGS)}")
        try:
            import ray  # noqa: F401
        except ImportError:
            raise BadInput("--executor ray needs Ray: pip install 'mo-zhou-study[ray]'") from None
        self._address = settings.get("address")
        self._cpus = _number(settings, "num_cpus", 1)
        self._gpus = _number(settings, "num_gpus", 0 if device == "cpu" else 1)
        jobs_each = ("--jobs", str(max(1, int(self._cpus)))) if device == "cpu" else ()
        self._arguments = (str(out.absolute()), "--crew", f"ray-{uuid.uuid4().hex[:8]}", *jobs_each)
        self._jobs, self._gone = jobs, False
        self._workers: list[Any] = []

    def start(self) -> str:
        """Starts the workers that are missing, as soon as there is room for them."""
        import ray

        if (where := re.fullmatch(r"(?:ray://)?(.+):(\d+)", self._address or "")) is not None:
            try:  # Ray itself tries for minutes
                socket.create_connection((where[1], int(where[2])), CONNECT_S).close()
            except OSError as error:
                raise BadInput(f"--set-executor address={self._address}: no Ray answers there: {error}") from None
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a Ray of this machine alone sends nothing
        if not ray.is_initialized():
            alone = {} if self._address or "RAY_ADDRESS" in os.environ else {"include_dashboard": False}
            before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
            ray.init(address=self._address, logging_level="warning", log_to_driver=False, **alone)
            if threading.current_thread() is threading.main_thread():
                for number, handler in before.items():  # Ray has its own
                    signal.signal(number, handler)
        task = ray.remote(work).options(num_cpus=self._cpus, num_gpus=self._gpus, max_retries=-1)
        _, left = ray.wait(self._workers, num_returns=len(self._workers), timeout=0) if self._workers else ([], [])
        self._workers = [*left, *(task.remote(self._arguments) for _ in range(self._jobs - len(left)))]
        return f"{self._jobs} workers are started"

    def poll(self, timeout_s: float) -> list[Event]:
        """Waits. Raises StudyError if all workers have ended although something is left to make."""
        import ray

        time.sleep(timeout_s)
        _, left = ray.wait(self._workers, num_returns=len(self._workers), timeout=0)
        if left:
            return []
        if self._gone:  # for the second time: the driver has seen what the last of them made
            raise StudyError(f"all {self._jobs} workers have ended, but something is left to make: {self._reason()}")
        self._gone = True
        return []

    def _reason(self) -> str:
        """Why the workers ended, as far as they failed."""
        import ray

        reasons: dict[str, None] = {}
        for worker in self._workers:
            try:
                ray.get(worker)
            except ray.exceptions.RayError as error:
                reasons[str(error).strip().splitlines()[-1]] = None
        return "; ".join(reasons) or "none of them failed; run the same command again"

    def stop(self) -> None:
        """Cancels the workers, and returns when they have written their checkpoints."""
        if not self._workers:
            return
        import ray

        for worker in self._workers:
            ray.cancel(worker)
        ray.wait(self._workers, num_returns=len(self._workers), timeout=STOP_S)
        self._workers = []
        ray.shutdown()


def work(arguments: tuple[str, ...]) -> None:
    """What a task of Ray's runs: ``study work`` with these arguments. Its output is in ``out/ray/``."""
    log = Path(arguments[0], "ray", f"{os.uname().nodename}-{os.getpid()}.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    # Ray kills a process with its children and its group, without time for a checkpoint. So the worker is the child of
    # a child, in a group of its own.
    command = ["/bin/sh", "-c", '"$@"; exit $?', "sh", sys.executable, "-c", TETHERED, "work", *arguments]
    with log.open("ab") as output:
        worker = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        while worker.poll() is None:
            time.sleep(LOOK_S)  # not wait(): a cancelled task is only told between two sleeps
    finally:
        worker.communicate()  # closes the pipe, and waits
    if code := worker.returncode:
        said = log.read_text(errors="replace").strip().splitlines()[-1:]
        raise RuntimeError(
            f"a worker ended with exit code {code if code > 0 else 128 - code} ({log}: {' '.join(said)})"
        )


def _number(settings: Mapping[str, str], name: str, default: float) -> float:
    try:
        number = float(settings.get(name, default))
    except ValueError:
        number = -1
    if not 0 <= number < 1000:
        raise BadInput(f"--set-executor {name}={settings[name]}: write a number, {SETTINGS[name]}")
    return number
