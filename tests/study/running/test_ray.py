"""The executor ``ray`` on three simulated nodes: what its workers make has the bytes of a study made here.

What it shares with the other executors is in ``test_executors.py``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import elsewhere
import pytest

pytestmark = pytest.mark.slow


def below(pid: int) -> list[int]:
    """A process and all that it started, directly or not."""
    found = [pid]
    for one in found:
        with suppress(OSError):
            found += map(int, Path(f"/proc/{one}/task/{one}/children").read_text().split())
    return found


def workers(node: Any) -> list[int]:
    """The processes of a node that train."""
    processes = below(node.all_processes["raylet"][0].process.pid)
    lines = {pid: Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") for pid in processes}
    return [pid for pid, words in lines.items() if b"work" in words]


def test_a_node_is_lost(start: Callable[..., Any], ray_here: Any, made_here: dict[str, dict[str, bytes]]) -> None:
    """As in a power cut: all its processes end at once."""
    one = start("ray", 2)
    one.trains()
    node = next(node for node in ray_here.worker_nodes if workers(node))
    for pid in below(node.all_processes["raylet"][0].process.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    ray_here.remove_node(node, allow_graceful=False)
    elsewhere.go(one.folder)
    try:
        assert (one.end().failed, one.error) == (elsewhere.FAILURES, "")
    finally:
        ray_here.add_node(num_cpus=1)
    assert elsewhere.stages(one.plan, one.store) == made_here


def test_the_driver_is_killed(ray_here: Any, tmp_path: Path, made_here: dict[str, dict[str, bytes]]) -> None:
    """Its workers write checkpoints and end. The same command goes on there."""
    plan, store = elsewhere.planned(tmp_path)
    line = [sys.executable, "-m", "study", "run", str(tmp_path / "tiny.yaml"), "--out", str(store.out)]
    line += ["--executor", "ray", "--device", "cpu", "--set-executor", f"address={ray_here.address}"]
    first = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    elsewhere.until(lambda: elsewhere.calls(tmp_path) > 3)
    first.kill()
    first.communicate()
    elsewhere.until(lambda: not store.leases.held())
    assert list(store.out.glob("making/critic-*/checkpoint.safetensors"))
    elsewhere.go(tmp_path)
    second = subprocess.run(line, capture_output=True, text=True, timeout=180)
    assert second.returncode == 3 and "failed: broken/faces/0: evaluate, all seeds failed" in second.stdout, second
    assert elsewhere.stages(plan, store) == made_here
    assert elsewhere.calls(tmp_path) == elsewhere.ALL_CALLS, "no step was made twice"
