"""The notebook in docs is stored with its outputs, and every cell runs."""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import pytest
import tiny

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "docs" / "ablations.ipynb"
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def stored() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(NOTEBOOK.read_text())
    return found


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of a few seconds, with the demo's names."""
    factors = {"multiscale": [0, 1], "loss": ["wgan", "js"]}
    plan, store = tiny.planned(
        tmp_path_factory.mktemp("notebook"),
        {name: tiny.EVERY[name] for name in ("proposed", "glcic", "reconstruction_only", "mean")},
        seeds=[0, 1, 2],
        ablations={"critics_and_loss": {"reference": "proposed", "factors": factors}},
        multiverses={"readings": {"base": ["proposed", "glcic"], "vary": {"head": ["mean", "linear"]}}},
    )
    return tiny.recorded(plan, store).out


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    """docs/notebook.py."""
    for needed in ("nbformat", "nbclient", "ipykernel"):
        pytest.importorskip(needed, reason=f"{needed} is not installed: pip install nbclient ipykernel")
    with mock.patch.object(sys, "path", [str(ROOT / "docs"), *sys.path]):
        return importlib.import_module("notebook")


def outputs(cell: dict[str, Any]) -> list[str]:
    """The kinds of output of a cell: 'stdout', 'image/png', 'text/html', 'text/plain', 'error'."""
    found = []
    for output in cell["outputs"]:
        kinds = output.get("data", {})
        rich = [kind for kind in ("image/png", "text/html") if kind in kinds]
        found.append(output.get("name") or (rich or [*kinds] or [output["output_type"]])[0])
    return found


def test_it_is_stored_with_the_outputs_of_its_code(stored: dict[str, Any], maker: ModuleType) -> None:
    import nbformat

    cells = [cell for cell in stored["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == [*range(1, len(cells) + 1)]
    every = [kind for cell in cells for kind in outputs(cell)]
    assert every.count("image/png") == 4 and every.count("text/html") >= 7 and not {"error", "stderr"} & {*every}
    now = maker.code_digest(nbformat.read(NOTEBOOK, as_version=4))
    assert stored["metadata"]["code_digest"] == now, "a cell has changed: python docs/notebook.py OUT"


def test_it_holds_no_path_of_a_machine_and_is_small(stored: dict[str, Any]) -> None:
    assert stored["metadata"]["kernelspec"]["name"] == "python3"
    code = "".join(line for cell in stored["cells"] for line in cell["source"])
    assert not re.search(r"""["'](/|~|[A-Za-z]:\\)""", code)  # an absolute path
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert not re.search(r"/(tmp|home|root|work|Users|var)/", text) and len(text) < 1_000_000


@pytest.mark.slow
def test_every_cell_runs_and_shows_what_is_stored(stored: dict[str, Any], out: Path, maker: ModuleType) -> None:
    made = maker.executed(out)
    printed = "".join(one["text"] for cell in made.cells for one in cell.get("outputs", []) if "text" in one)
    assert "tiny, profile None, 32 px, data: faces" in printed and "95% interval" in printed
    for ours, cell in zip(made.cells, stored["cells"], strict=True):
        if cell["cell_type"] == "code":
            assert outputs(ours) == outputs(cell), cell["id"]
