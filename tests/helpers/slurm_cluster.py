"""A real Slurm with three nodes on this machine, in a folder of its own, from Debian's packages. It needs root."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

PROGRAMS = ("munged", "mariadb-install-db", "mariadbd", "slurmdbd", "slurmctld", "slurmd", "srun", "sbatch", "sacctmgr")
PACKAGES = "munge slurmctld slurmd slurm-client slurmdbd mariadb-server"
NODES = ("n1", "n2", "n3")
START_S = 40.0
PORTS = 6  # slurmctld, three slurmd, slurmdbd, mariadbd

SLURM = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
SlurmctldPort={ports[0]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={ports[4]}
AccountingStoragePass={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
ReturnToService=2
JobRequeue=1
KillWait=10
MinJobAge=600
SlurmdTimeout=10
SlurmdParameters=config_overrides
{nodes}
PartitionName=debug Nodes=n[1-3] Default=YES MaxTime=INFINITE State=UP
"""

ACCOUNTING = """\
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={ports[4]}
SlurmUser=root
LogFile={folder}/slurmdbd.log
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={ports[5]}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm
"""


@dataclass
class Slurm:
    """A running Slurm. ``environment``: what its commands need."""

    folder: Path
    environment: dict[str, str]
    _started: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, *command: str) -> None:
        """Starts a daemon in the foreground, and keeps its process."""
        with (self.folder / f"{name}.out").open("ab") as log:
            self._started[name] = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self.environment, start_new_session=True
            )

    def run(self, *command: str) -> str:
        """Runs a command and returns what it prints."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
        )
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr or done.stdout}"
        return done.stdout

    def start_node(self, node: str) -> None:
        self.start(node, _program("slurmd"), "-D", "-N", node)

    def lose(self, node: str, *, jobs: bool = True) -> None:
        """Loses a node as in a power cut: its daemon and all processes of its jobs end at once.

        ``jobs``: False to end its daemon alone, as if the network were cut. Slurm notices after ``SlurmdTimeout``.
        """
        daemon = self._started.pop(node)
        _kill(daemon.pid)
        daemon.wait()
        if not jobs:
            return
        own = [pid for pid, variables in self._processes().items() if f"SLURMD_NODENAME={node}" in variables]
        keepers = [parent for pid in own if _command(parent := _parent(pid)).startswith("slurmstepd:")]
        for pid in [*keepers, *own]:
            _kill(pid)
        self.run("scontrol", "update", f"nodename={node}", "state=down", "reason=lost")

    def _processes(self) -> dict[int, list[str]]:
        """The processes that belong to this Slurm, with their environments."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                variables = (folder / "environ").read_text(errors="replace").split("\0")
                if f"SLURM_CONF={self.environment['SLURM_CONF']}" in variables:
                    found[int(folder.name)] = variables
        return found

    def stop(self) -> None:
        """Ends the daemons, the jobs and what they started."""
        for pid in self._processes():
            _kill(pid)
        for process in self._started.values():
            process.wait()


def missing() -> str:
    """Why there can be no Slurm here; empty if there can."""
    if os.geteuid() != 0:
        return "a Slurm for tests needs root"
    if lacking := [name for name in PROGRAMS if not shutil.which(name, path=_path())]:
        return f"a Slurm for tests needs {', '.join(lacking)}: apt-get install {PACKAGES}"
    return ""


@contextmanager
def slurm(folder: Path) -> Iterator[Slurm]:
    """A Slurm with three nodes that accepts jobs. Raises AssertionError if it does not start."""
    ports, host = _ports(), os.uname().nodename.partition(".")[0]
    facts = {"folder": folder, "ports": ports, "host": host}
    nodes = "\n".join(
        f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=2 RealMemory=1000"
        for node, port in zip(NODES, ports[1:], strict=False)
    )
    for name in ("state", "spool", "db"):
        (folder / name).mkdir(parents=True)
    folder.chmod(0o755)
    (folder / "slurm.conf").write_text(SLURM.format(**facts, nodes=nodes))
    (folder / "slurmdbd.conf").write_text(ACCOUNTING.format(**facts))
    (folder / "slurmdbd.conf").chmod(0o600)
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o600)
    cluster = Slurm(folder, {**os.environ, "SLURM_CONF": str(folder / "slurm.conf"), "PATH": _path()})
    with ExitStack() as stack:
        stack.callback(cluster.stop)
        files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        named = [f"--{option}={folder}/munge.{end}" for option, end in files.items()]
        cluster.start("munged", _program("munged"), "--foreground", "--force", *named)
        _database(cluster, ports[5])
        cluster.start("slurmdbd", _program("slurmdbd"), "-D")
        _until(lambda: cluster.run("sacctmgr", "-i", "add", "cluster", "test"))
        cluster.start("slurmctld", _program("slurmctld"), "-D")
        for node in NODES:
            cluster.start_node(node)
        _until(lambda: cluster.run("srun", "--immediate=5", "--nodes=3", "hostname"))
        yield cluster


def _database(cluster: Slurm, port: int) -> None:
    """The server that keeps the accounts."""
    place = [f"--datadir={cluster.folder}/db", "--user=root", "--no-defaults"]
    cluster.run(
        "mariadb-install-db", place[2], *place[:2], "--skip-test-db", "--auth-root-authentication-method=normal"
    )
    socket_file = f"--socket={cluster.folder}/db.socket"
    network = ["--bind-address=127.0.0.1", f"--port={port}", socket_file, f"--pid-file={cluster.folder}/db.pid"]
    cluster.start(
        "mariadbd", _program("mariadbd"), place[2], *place[:2], *network, "--innodb-flush-log-at-trx-commit=0"
    )
    grants = "create user slurm@localhost identified by 'slurm'; grant all on slurm.* to slurm@localhost;"
    grants += grants.replace("localhost", "'127.0.0.1'")
    _until(lambda: cluster.run("mariadb", "--no-defaults", socket_file, "--user=root", "--execute", grants))


def _until(done: Callable[[], object]) -> None:
    """Calls a function until it succeeds."""
    deadline = time.monotonic() + START_S
    while True:
        try:
            done()
            return
        except (AssertionError, subprocess.TimeoutExpired):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _ports() -> list[int]:
    """Ports that are free now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(PORTS)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def _path() -> str:
    return f"{os.environ['PATH']}:/usr/sbin:/sbin"


def _program(name: str) -> str:
    found = shutil.which(name, path=_path())
    assert found
    return found


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _parent(pid: int) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    return ""
