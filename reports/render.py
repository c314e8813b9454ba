"""The report of a study's frames: a page, a paper, and its tables and figures as files of their own."""

from pathlib import Path

from reports.analysis.frames import Frames
from reports.document import Document
from reports.figures import style
from reports.files import write, write_files
from reports.page import page
from reports.pdf import pdf
from reports.sections import document


def render(frames: Frames, folder: Path) -> Path:
    """Write report.html, report.pdf, tables/ and figures/ into `folder`; return the page's path.

    All are made from one document of the frames, and load nothing: no file but these, no network. What has no data
    says why in its place. Each file is written aside and moved into place.
    """
    told = document(frames)
    drawn = drawings(told)
    write_files(told, drawn, folder)
    write(folder / "report.pdf", pdf(told, drawn))
    return write(folder / "report.html", page(told, drawn))


def drawings(document: Document) -> dict[str, str]:
    """Each figure's SVG by its name, drawn once for all that is written."""
    return {figure.name: style.svg(figure.drawn) for figure in document.figures()}
