"""The arrows of imports run one way: study -> reports, study -> baselines -> models."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = ("models", "baselines", "reports", "study")
FILES = [file for package in OURS for file in sorted((ROOT / package).rglob("*.py"))]
ALLOWED = {
    "models": {"models"},
    "baselines": {"baselines", "models"},
    "reports": {"reports"},
    "study": {"study", "reports", "baselines", "models"},
}
ONLY = {"sacred": "study/record.py", "optuna": "study/tune.py"}
"""Packages that one file alone may import."""

UNKNOWN = {
    "models": {"pandas", "sacred", "optuna", "matplotlib", "seaborn", "typer", "rich", "ruamel", "filelock"},
    "baselines": {"pandas", "sacred", "optuna", "matplotlib", "seaborn", "typer", "rich", "ruamel", "filelock"},
    "reports": {"torch", "sacred", "optuna", "typer", "rich", "pydantic", "filelock", "safetensors"},
    "study": set[str](),
}
"""What a package knows nothing of."""


def imported(file: Path) -> Iterator[str]:
    """The modules that a file names, wherever in it: in functions, and for types alone, too."""
    package = file.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            yield ".".join(filter(None, (base, node.module)))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            if name in ("import_module", "__import__"):
                (named,) = node.args[:1]
                yield str(named.value) if isinstance(named, ast.Constant) else "a module that is computed"


def name_of(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_a_file_imports_what_its_package_may(file: Path) -> None:
    package = name_of(file).split("/")[0]
    tops = {name.split(".")[0] for name in imported(file)}
    assert "a module that is computed" not in tops
    assert not (tops & set(OURS)) - ALLOWED[package]
    assert not tops & UNKNOWN[package]
    assert not tops & {"tests", "benchmarks"}
    for part, place in ONLY.items():
        assert part not in tops or name_of(file) == place


def test_there_is_something_to_hold() -> None:
    packages = {name_of(file).split("/")[0] for file in FILES}
    assert packages == set(OURS)
    assert "study" in {name.split(".")[0] for name in imported(ROOT / "study" / "cli" / "studies.py")}
    assert "sacred" in {name.split(".")[0] for name in imported(ROOT / "study" / "record.py")}


LIGHT = {
    "study": {"torch", "pandas", "sacred", "models", "reports"},
    "study.cli": {"torch", "pandas", "sacred", "matplotlib", "models", "reports"},
    "study.plan": {"torch", "pandas", "sacred", "models"},
    "study.results": {"torch", "sacred", "models", "baselines", "skimage"},
    "study.progress": {"torch", "pandas", "sacred"},
    "reports": {"torch", "study", "models", "baselines", "sacred"},
    "models": {"pandas", "sacred", "study", "baselines", "reports", "matplotlib"},
    "baselines": {"sacred", "study", "reports", "matplotlib"},
    "study.planner": {"sacred", "pandas", "matplotlib", "reports"},
}
"""What the import of a module does not bring with it: a fresh process proves it."""


@pytest.mark.parametrize("module", LIGHT)
def test_an_import_brings_no_more_than_it_needs(module: str) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert not LIGHT[module] & set(done.stdout.split())


def test_results_are_loaded_without_torch(tmp_path: Path) -> None:
    code = (
        "import sys, study\n"
        "try: study.load(sys.argv[1])\n"
        "except Exception as error: print(type(error).__name__)\n"
        "print('torch' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["BadInput", "False"], done.stderr
