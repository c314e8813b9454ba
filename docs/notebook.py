"""Runs docs/ablations.ipynb on a finished demo and stores its outputs in it: python docs/notebook.py [out]

So the notebook shows its tables and figures where it is viewed. Run this after a change to a cell. Needs the extra
``test`` (nbclient, ipykernel).
"""

import hashlib
import os
import sys
import tempfile
from pathlib import Path
from unittest import mock

import nbformat
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec
from nbclient import NotebookClient

DOCS = Path(__file__).parent
NOTEBOOK = DOCS / "ablations.ipynb"


class ThisPython(AsyncKernelManager):
    """A kernel of the interpreter that runs this, whatever kernels the machine has by name."""

    @property
    def kernel_spec(self) -> KernelSpec:
        """How the kernel is started."""
        return KernelSpec(argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"])


def code_digest(notebook: nbformat.NotebookNode) -> str:
    """A digest of the code cells. The notebook stores that of the code that its outputs are of."""
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return hashlib.sha256("\0".join(code).encode()).hexdigest()


def executed(out: Path) -> nbformat.NotebookNode:
    """The notebook with its outputs for the study in ``out``. Raises CellExecutionError if a cell fails."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        own = {name: str(Path(folder) / name.lower()) for name in ("JUPYTER_RUNTIME_DIR", "IPYTHONDIR")}
        own |= {"STUDY_OUT": str(out.resolve()), "PYTHONPATH": str(DOCS.parent)}
        with mock.patch.dict(os.environ, own):
            NotebookClient(
                notebook,
                timeout=600,
                record_timing=False,
                resources={"metadata": {"path": str(DOCS)}},
                kernel_manager_class=ThisPython,
            ).execute()
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "code_digest": code_digest(notebook),
    }
    return notebook


if __name__ == "__main__":
    found = executed(Path(sys.argv[1] if len(sys.argv) > 1 else "out"))
    NOTEBOOK.write_text(nbformat.writes(found, indent=1) + "\n", encoding="utf-8")
