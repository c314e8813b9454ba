"""The notebook in docs is stored without outputs, and every cell runs."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

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


def test_it_is_stored_without_outputs_or_paths(stored: dict[str, Any]) -> None:
    cells = [cell for cell in stored["cells"] if cell["cell_type"] == "code"]
    assert len(cells) > 8 and all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
    assert stored["metadata"]["kernelspec"]["name"] == "python3"
    code = "".join(line for cell in cells for line in cell["source"])
    assert not re.search(r"""["'](/|~|[A-Za-z]:\\)""", code)  # an absolute path


@pytest.mark.slow
def test_every_cell_runs(stored: dict[str, Any], out: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    client = pytest.importorskip("nbclient", reason="nbclient is not installed: pip install nbclient ipykernel")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed: pip install nbclient ipykernel")
    import nbformat
    from jupyter_client import AsyncKernelManager
    from jupyter_client.kernelspec import KernelSpec

    class ThisPython(AsyncKernelManager):
        """A kernel of the interpreter that runs the tests, whatever kernels the machine has by name."""

        @property
        def kernel_spec(self) -> KernelSpec:
            return KernelSpec(argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"])

    monkeypatch.setenv("STUDY_OUT", str(out))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    resources = {"metadata": {"path": str(NOTEBOOK.parent)}}
    client.NotebookClient(notebook, timeout=600, resources=resources, kernel_manager_class=ThisPython).execute()

    made = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not any(output["output_type"] == "error" or output.get("name") == "stderr" for output in made), made
    assert sum("image/png" in output.get("data", {}) for output in made) == 4
    assert sum("text/html" in output.get("data", {}) for output in made) >= 7
    printed = "".join(output["text"] for output in made if output["output_type"] == "stream")
    assert "tiny, profile None, 32 px, data: faces" in printed and "95% interval" in printed
