"""Folders and modules of the user's that have the names of our packages break nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny
from commands import command

from study.parts import plugins

ROOT = Path(__file__).parents[2]
THEIRS = "raise RuntimeError('this is the user\\'s module')\n"
SCRIPT = "from study.cli import main\nif __name__ == '__main__':\n    main()\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a study and with modules and packages of our names."""
    tiny.write(tmp_path, {"reconstruction_only": {"method": "reconstruction_only"}, "mean": {"method": "mean"}})
    for name in ("models", "baselines"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(THEIRS)
    for name in ("models", "reports"):
        (tmp_path / f"{name}.py").write_text(THEIRS)
    return tmp_path


def ended(folder: Path, *words: str | Path) -> str:
    """What Python prints in a folder. Fails if it fails."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONSAFEPATH", None)
    done = subprocess.run([sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_study_runs_beside_modules_of_our_names(folder: Path) -> None:
    """``study``, the command, also beside a package of that name: workers and the report find ours."""
    (folder / "study").mkdir()
    (folder / "study" / "__init__.py").write_text(THEIRS)
    (folder / "bin").mkdir()
    (folder / "bin" / "study").write_text(SCRIPT)
    assert "report: out/report/report.html" in ended(
        folder, folder / "bin" / "study", "run", "tiny.yaml", "--jobs", "1"
    )


@pytest.mark.slow
def test_so_does_python_m_and_a_notebook(folder: Path) -> None:
    assert "2 runs" in ended(folder, "-m", "study", "plan", "tiny.yaml")
    ended(folder, "-c", "import study; study.load; import models.masks, baselines, reports")


def test_a_module_that_was_imported_before_is_named(tmp_path: Path) -> None:
    (tmp_path / "reports.py").write_text("")
    code = (
        "import sys; sys.path.insert(0, ''); import reports, study\ntry: study.load\nexcept ImportError as e: print(e)"
    )
    told = ended(tmp_path, "-c", code)
    assert (
        told
        == f"{tmp_path}/reports.py was imported before and hides the package 'reports' of study; import study first\n"
    )


@pytest.fixture
def _none_is_left_registered() -> Iterator[None]:
    yield
    plugins.use([])


@pytest.mark.usefixtures("_none_is_left_registered")
@pytest.mark.parametrize(
    "source",
    ["from models import Mine", "import models\nmodels.Mine", "from models.mine import Mine", "import models.mine"],
)
def test_a_plugin_that_means_the_users_is_told(source: str, folder: Path) -> None:
    (folder / "own.py").write_text(f"{source}\nLOSSES = {{}}\n")
    done = command("check", "own.py", cwd=folder)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    line = source.count("\n") + 1
    assert done.stderr.startswith(f"own.py:{line}: ") or f"{folder}/own.py:{line}: " in done.stderr
    assert "here 'models' is this program's package, and not " in done.stderr
    assert done.stderr.endswith("models.py: rename yours, or move its code into the plugin\n")
