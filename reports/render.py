"""The report of a study's frames: a page, a paper, and its tables and figures as files of their own."""

import tempfile
from pathlib import Path

from reports.frames import Frames
from reports.page import page
from reports.sections import document


def render(frames: Frames, folder: Path) -> Path:
    """Write report.html into `folder`; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    return write(folder / "report.html", page(document(frames)))


def write(path: Path, text: str) -> Path:
    """Write aside in the same folder, then move into place, so that a reader sees the old file or the new one."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False, newline="") as aside:
        try:
            aside.write(text)
            aside.close()
            Path(aside.name).chmod(0o644)
            Path(aside.name).replace(path)
        except BaseException:
            Path(aside.name).unlink(missing_ok=True)
            raise
    return path
