"""Clusters on this machine, and the bytes of a study that they make."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import elsewhere
import pytest
import slurm_cluster
from commands import ROOT


@pytest.fixture(scope="session")
def made_here(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """The stages of the study in ``elsewhere``, made in this process."""
    return elsewhere.made_here(tmp_path_factory.mktemp("here"))


@pytest.fixture(scope="session")
def _slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[slurm_cluster.Slurm]:
    pytest.importorskip("submitit", reason="submitit is not installed: pip install 'mo-zhou-study[slurm]'")
    if why := slurm_cluster.missing():
        pytest.skip(why)
    with slurm_cluster.slurm(tmp_path_factory.mktemp("slurm") / "cluster") as cluster:
        yield cluster


@pytest.fixture
def slurm_here(_slurm: slurm_cluster.Slurm, monkeypatch: pytest.MonkeyPatch) -> Iterator[slurm_cluster.Slurm]:
    """A real Slurm of three nodes. Its jobs are ended after the test."""
    from study.running.executors import slurm

    for name in ("SLURM_CONF", "PATH"):
        monkeypatch.setenv(name, _slurm.environment[name])
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(slurm, "LOOK_S", 1.0)
    yield _slurm
    _slurm.run("scancel", "--user", "root")


@pytest.fixture(scope="session")
def ray_here() -> Iterator[Any]:
    """A Ray of three simulated nodes with one processor each; the first is the head."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'mo-zhou-study[ray]'")
    folder = Path(tempfile.mkdtemp(prefix="ray-"))  # the names of its sockets must be short
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("RAY_USAGE_STATS_ENABLED", "0"), ("RAY_AUTH_MODE", "disabled"), ("PYTHONPATH", str(ROOT))):
            patch.setenv(name, value)
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 1, "include_dashboard": False, "temp_dir": str(folder)}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            for _ in range(2):
                cluster.add_node(num_cpus=1)
            yield cluster
        finally:
            cluster.shutdown()
            while folder.exists():  # what Ray has ended may write a last line
                shutil.rmtree(folder, ignore_errors=True)
                time.sleep(0.1)


@pytest.fixture
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Starts the study in ``elsewhere`` with an executor, or with several ``study work``, on a cluster of its kind."""
    begun: list[elsewhere.Start | elsewhere.Work] = []

    def start(name: str, jobs: int, **settings: str) -> elsewhere.Start | elsewhere.Work:
        if name == "slurm":
            request.getfixturevalue("slurm_here")
        if name == "ray":
            settings = {"address": request.getfixturevalue("ray_here").address, **settings}
        work = name == "work"
        begun.append(elsewhere.Work(tmp_path, jobs) if work else elsewhere.Start(tmp_path, name, jobs, **settings))
        return begun[-1]

    yield start
    for one in begun:
        if not one.ended:  # the test failed
            one.stop()
            one.end()
