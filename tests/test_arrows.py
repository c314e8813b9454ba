"""The architecture, held: what each room may import. A room is a folder with all below it, or a module by itself."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

ROOMS = {
    # the networks and methods
    "models": "",
    "baselines": "models",
    # the ground of the harness
    "study/errors": "",
    "study/facts": "",
    "study/files": "",
    "study/processes": "",
    "study/seeds": "",
    "study/leases": "",
    "study/store": "study/errors study/files study/leases",
    "study/metrics": "models study/errors study/files study/seeds study/store",
    "study/data": "models study/errors study/files study/processes study/seeds study/store",
    "study/parts": "baselines models reports/analysis study/data study/errors study/files study/metrics",
    # from a study file to its results
    "study/config": "models study/errors study/facts study/files study/metrics study/parts",
    "study/inspection": "models reports/analysis study/parts",
    "study/plan": "models study/config study/data study/errors study/facts study/inspection study/metrics "
    "study/parts study/store",
    "study/training": "models study/data study/errors study/files study/parts study/plan study/seeds study/store",
    "study/evaluation": "models study/data study/errors study/metrics study/parts study/plan study/seeds study/store "
    "study/training",
    "study/running": "models study/config study/data study/errors study/evaluation study/inspection study/parts "
    "study/leases study/plan study/processes study/store study/training",
    "study/search": "study/config study/errors study/evaluation study/leases study/plan study/running study/seeds "
    "study/store",
    "study/conformance": "models reports reports/analysis reports/document study/config study/data study/errors "
    "study/parts study/plan study/results study/running study/store",
    "study/external": "models reports/analysis study/config study/data study/errors study/evaluation study/files "
    "study/metrics study/parts study/plan study/store study/training",
    "study/results": "reports/analysis study/errors study/evaluation study/external study/facts study/files "
    "study/parts study/plan study/running study/search study/store",
    "study/stores": "study/errors study/external study/facts study/leases study/plan study/running study/search "
    "study/store study/training",
    "study/use": "models study/data study/errors study/evaluation study/files study/parts study/plan study/results "
    "study/store study/training",
    "study/cli": "reports reports/analysis study/config study/conformance study/data study/errors study/external "
    "study/facts study/inspection study/parts study/plan study/processes study/results study/running study/search "
    "study/store study/stores study/use",
    "study/__init__": "study/results",
    "study/__main__": "study/cli",
    # the report
    "reports/analysis": "",
    "reports/document": "reports/analysis",
    "reports/pictures": "reports/analysis reports/document",
    "reports/figures": "reports/analysis reports/pictures",
    "reports/sections": "reports/analysis reports/document reports/figures reports/pictures",
    "reports": "reports/analysis reports/document reports/figures reports/sections",
}
"""Each room, and the rooms that it may import. A room stands below those that it is named in."""

OURS = ("models", "baselines", "reports", "study")
FILES = [file for package in OURS for file in sorted((ROOT / package).rglob("*.py"))]
ONLY = {"sacred": "study/running/record.py", "optuna": "study/search/tune.py"}
"""Packages that one file alone may import."""

UNKNOWN = {
    "models": {"pandas", "sacred", "optuna", "matplotlib", "seaborn", "typer", "rich", "ruamel", "filelock"},
    "baselines": {"pandas", "sacred", "optuna", "matplotlib", "seaborn", "typer", "rich", "ruamel", "filelock"},
    "reports/analysis": {"torch", "sacred", "optuna", "typer", "rich", "pydantic", "filelock", "safetensors"}
    | {"matplotlib", "seaborn", "jinja2", "typst"},
    "reports": {"torch", "sacred", "optuna", "typer", "rich", "pydantic", "filelock", "safetensors"},
    "study/results": {"torch", "sacred", "optuna"},
}
"""Packages that a room does not use."""


def imported(file: Path) -> Iterator[str]:
    """The modules that a file names, wherever in it: in functions, and for types alone, too."""
    package = file.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, (base, node.module)))
            yield from (f"{module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            if name in ("import_module", "__import__"):
                (named,) = node.args[:1]
                yield str(named.value) if isinstance(named, ast.Constant) else "a module that is computed"


def name_of(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def room_of(name: str) -> str:
    """The room of a module or package by its path without a suffix, such as ``study/plan/graph``."""
    return max((room for room in ROOMS if f"{name}/".startswith(f"{room}/")), key=len)


MODULES = {".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file for file in FILES}


def ours(file: Path) -> set[str]:
    """The modules of ours that a file imports."""
    found = {name if name in MODULES else name.rpartition(".")[0] for name in imported(file)}
    return found & MODULES.keys()


def path_of(module: str) -> str:
    return name_of(MODULES[module]).removesuffix(".py").removesuffix("/__init__") if "." in module else module


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_a_file_imports_what_its_room_may(file: Path) -> None:
    name = name_of(file).removesuffix(".py")
    room = room_of(name)
    tops = {found.split(".")[0] for found in imported(file)}
    assert "a module that is computed" not in tops
    assert {room_of(path_of(module)) for module in ours(file)} <= {room, *ROOMS[room].split()}
    for known, packages in UNKNOWN.items():
        assert not (f"{name}/".startswith(f"{known}/") and tops & packages)
    assert not tops & {"tests", "benchmarks"}
    for part, place in ONLY.items():
        assert part not in tops or name_of(file) == place


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """The circles of a graph: each as its nodes in order."""
    done: set[str] = set()
    found: list[list[str]] = []

    def walk(node: str, way: list[str]) -> None:
        if node in way:
            found.append([*way[way.index(node) :], node])
        elif node not in done:
            for other in sorted(arrows.get(node, ())):
                walk(other, [*way, node])
            done.add(node)

    for node in sorted(arrows):
        walk(node, [])
    return found


def test_no_circle_of_rooms() -> None:
    assert not circles({room: set(others.split()) for room, others in ROOMS.items()})


def test_no_circle_of_modules() -> None:
    assert not circles({module: ours(file) - {module} for module, file in MODULES.items()})


def test_each_arrow_is_used() -> None:
    """What a room may import and does not is taken out of its line."""
    used: dict[str, set[str]] = {room: set() for room in ROOMS}
    for file in FILES:
        room = room_of(name_of(file).removesuffix(".py"))
        used[room] |= {room_of(path_of(module)) for module in ours(file)} - {room}
    assert {room: set(others.split()) for room, others in ROOMS.items()} == used


LIGHT = (
    {
        "study": {"torch", "pandas", "sacred", "models", "reports"},
        "study.cli": {"torch", "pandas", "sacred", "matplotlib", "models", "reports"},
        "study.plan.graph": {"torch", "pandas", "sacred", "models"},
        "study.running.progress": {"torch", "pandas", "sacred"},
        "study.running.driver": {"torch", "models"},
    },
    {
        "reports": {"torch", "study", "models", "baselines", "sacred"},
        "study.results.frames": {"torch", "sacred", "models", "baselines", "skimage"},
    },
    {
        "models": {"pandas", "sacred", "study", "baselines", "reports", "matplotlib"},
        "baselines": {"sacred", "study", "reports", "matplotlib"},
        "study.plan.planner": {"sacred", "pandas", "matplotlib", "reports", "skimage", "scipy"},
    },
)
"""What the import of a module does not bring with it. A fresh process imports those of one set, in this order."""


@pytest.mark.slow
@pytest.mark.parametrize("modules", LIGHT)
def test_an_import_brings_no_more_than_it_needs(modules: dict[str, set[str]]) -> None:
    code = "import sys\n" + "\n".join(f"import {module}; print(*sys.modules)" for module in modules)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    for (module, heavy), loaded in zip(modules.items(), done.stdout.splitlines(), strict=True):
        assert not heavy & set(loaded.split()), module
