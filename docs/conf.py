"""Builds this folder as a site, in ``build/site``: ``python -m sphinx -W --keep-going docs build/site``."""

import shutil
import sys
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
GALLERY = ROOT / "docs" / "gallery"
sys.path.insert(0, str(ROOT))

project = "A paper, taken apart"
author = copyright = "The authors of this repository"
html_theme = "furo"
html_title = project
html_show_copyright = html_show_sourcelink = html_copy_source = False

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["gallery"]  # a finished page, which is copied
myst_heading_anchors = 3
nb_execution_mode = "off"  # the notebook's own test runs it
autodoc_typehints = "description"
autodoc_member_order = "bysource"


def setup(app: Sphinx) -> None:
    """Copies the sample report, with its figures and tables, as it is."""
    app.connect("build-finished", lambda *_: shutil.copytree(GALLERY, app.outdir / "gallery", dirs_exist_ok=True))
    app.connect("autodoc-process-docstring", _no_type, priority=400)


def _no_type(app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Keeps napoleon, which comes after, from reading the words before a colon as the type of a property."""
    if what in ("property", "attribute", "data"):
        lines[:0] = ["..", ""]  # an empty comment
