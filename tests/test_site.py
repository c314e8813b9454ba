"""The documentation builds as a site without a warning or a dead link. Skipped without the extra ``docs``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_site_builds_without_a_warning_or_a_dead_link(tmp_path: Path) -> None:
    for module in ("sphinx", "myst_nb", "furo"):
        pytest.importorskip(module, reason="the site's packages are missing: pip install -e '.[docs]'")
    words = ["-m", "sphinx", "-q", "-W", "--keep-going", "-d", tmp_path / "doctrees", ROOT / "docs", tmp_path / "site"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pages = {page: page.read_text(encoding="utf-8") for page in (tmp_path / "site").rglob("*.html")}
    assert len(pages) > len(list((ROOT / "docs").glob("*.md")))
    assert not [link for page in pages for link in dead(page, pages)]


def dead(page: Path, pages: dict[Path, str]) -> list[str]:
    """The links of a page to files, or to places in pages, that are not in the site."""
    found = []
    for link in re.findall(r'(?:href|src)="(?![a-z]+:|//)([^"]+)"', pages[page]):
        path, _, place = unquote(link).partition("#")
        file = Path(os.path.normpath(page.parent / path.partition("?")[0])) if path else page
        lacks = place and file in pages and not re.search(rf'\b(?:id|name)="{re.escape(place)}"', pages[file])
        if lacks or not file.exists():
            found.append(f"{page.name}: {link}")
    return found
