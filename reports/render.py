"""Renders a study's frames as a report: a page, a paper with its supplement, and tables and figures as single files."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from reports.analysis.frames import Frames
from reports.document import Document, Section
from reports.figures import style
from reports.files import exports, write, write_files
from reports.page import page
from reports.pdf import pdf
from reports.sections import document
from reports.sections.article import article


def render(frames: Frames, folder: Path, own: Mapping[str, Callable[[Frames], Section]] = MappingProxyType({})) -> Path:
    """Writes report.html, report.pdf (the paper), supplement.pdf, tables/ and figures/; returns the page's path.

    The files are self-contained. A part without data says why. Files are replaced atomically. ``own``: sections of
    plugins by name.
    """
    content = document(frames, own)
    short = article(frames)
    images = drawings(content)
    images |= {figure.name: style.svg(figure.drawn) for figure in short.figures() if figure.name not in images}
    files = exports(content, images)
    write_files(files, folder)
    write(folder / "report.pdf", pdf(short, images, paper=True))
    write(folder / "supplement.pdf", pdf(content, images))
    return write(folder / "report.html", page(content, images, files))


def drawings(document: Document) -> dict[str, str]:
    """Each figure's SVG by its name, drawn once for all outputs."""
    return {figure.name: style.svg(figure.drawn) for figure in document.figures()}
