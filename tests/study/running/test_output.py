"""What a run prints is kept with its record: of Python, of C, of programs, and of processes that die."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from study.running import output
from study.running.record import Log, record, settle_record

PRINTS = """
import ctypes, os, subprocess, sys, warnings
from pathlib import Path
from study.running.record import record

def body(log):
    print("python")
    print("to stderr", file=sys.stderr)
    ctypes.CDLL(None).puts(b"from C")
    os.write(2, b"raw\\n")
    subprocess.run(["echo", "a program"])
    print("no newline", end="")
    {end}
    return {{}}

record("run", {{}}, body, out=Path(sys.argv[1]))
print("afterwards")
"""
LINES = {"python", "to stderr", "from C", "raw", "a program", "no newline"}


@pytest.mark.parametrize(
    "end, code", [("", 0), ("raise ValueError('x')", 1), ("raise KeyboardInterrupt", -2), ("os.abort()", -6)]
)
def test_the_output_of_a_run(end: str, code: int, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PRINTS.format(end=end), str(tmp_path)], capture_output=True, text=True, check=False
    )
    kept = set((tmp_path / "sacred" / "1" / "cout.txt").read_text().splitlines())
    assert done.returncode == code
    if code == -6:  # it died: what C had in its buffer died with it
        assert {"python", "to stderr", "raw", "a program"} <= kept
    else:
        assert kept == LINES
        assert all(line in done.stderr for line in LINES)  # it goes on to the terminal
    assert ("afterwards" in done.stdout) == (code == 0)


def test_long_output_with_a_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "KEPT", 100)

    def body(log: Log) -> dict[str, float]:
        print("x" * 1000, "postgresql://me:geheim@host/db?password=geheim")
        return {}

    record("run", {}, body, out=tmp_path)
    text = (tmp_path / "sacred" / "1" / "cout.txt").read_text()
    head, rest = text.split("\n", 1)
    assert head == f"[{1001 + 46 + 1 - 100} bytes before this are left out]"
    assert rest.endswith("x postgresql://me:***@host/db?password=***\n")


def test_the_output_of_a_killed_process_is_settled(tmp_path: Path) -> None:
    record("run", {}, lambda log: {}, out=tmp_path)
    folder = tmp_path / "sacred" / "1"
    entry = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**entry, "status": "RUNNING"}))
    (folder / "cout.txt").write_bytes(b"ftp://me:geheim@x\xff")
    settle_record(tmp_path, "1")
    assert (folder / "cout.txt").read_text() == "ftp://me:***@x\ufffd"


@pytest.mark.parametrize("closed", ["1", "2", "1); os.close(2", "0); os.close(1); os.close(2"])
def test_a_process_without_streams(closed: str, tmp_path: Path) -> None:
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, 10**6))\n"
        f"import os, sys; os.close({closed}); from pathlib import Path; from study.running.record import record\n"
        "record('run', {}, lambda log: print('x') or {}, out=Path(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, timeout=60)
    assert (tmp_path / "sacred" / "1" / "cout.txt").read_text() == "x\n"
