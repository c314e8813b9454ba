"""The report as one self-contained HTML page, which loads nothing and opens from disk."""

import base64
import hashlib
import io
from collections.abc import Mapping
from importlib import resources

import jinja2
from markupsafe import Markup
from PIL import Image

from reports.document import Card, Document, Pixels
from reports.figures import style
from reports.files import file_name

LOSSLESS = 16_000_000
"""Pictures with more bytes of pixels than this in total are stored as lossy WebP; otherwise as PNG."""
QUALITY = 90
"""WebP quality, 0 to 100."""


def page(document: Document, drawings: Mapping[str, str]) -> str:
    """The HTML of a document; the same document gives the same bytes. ``drawings`` maps figure names to SVG.

    The page is readable without its script, which adds sorting, filters, zoom and a theme button. A content security
    policy forbids the page to load anything or to run any other script.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("reports"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    script = resources.files("reports").joinpath("templates/report.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("report.html").render(
        document=document,
        file_name=file_name,
        svg=lambda figure: Markup(style.inline(drawings[figure.name], f"f{figure.number}")),
        pictures=Pictures(document),
        evidence=lambda card: evidence(document, card),
        script=Markup(script),
        policy=f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'",
    )


def evidence(document: Document, card: Card) -> list[tuple[str, str]]:
    """The links from a claim to the tables and figures that show its numbers: address and text."""
    views = [("Table", view) for view in document.tables()] + [("Figure", view) for view in document.figures()]
    chosen = [(kind, view) for name in [*card.evidence, "links"] for kind, view in views if view.name == name]
    return [(f"#{kind.lower()}-{view.number}", f"{kind} {view.number}") for kind, view in chosen]


class Pictures:
    """The page's pictures as data URLs: lossless PNG, or WebP if they are many and large."""

    def __init__(self, document: Document) -> None:
        grids = [figure.pictures for figure in document.figures() if figure.pictures is not None]
        shown = (pixels for grid in grids for _, cells in grid.rows for cell in cells for pixels in cell.values())
        self.compressed = sum(pixels.nbytes for pixels in shown) > LOSSLESS

    def source(self, pixels: Pixels) -> str:
        """A picture ``(H, W, 3)`` as a data URL."""
        kind, options = ("webp", {"quality": QUALITY}) if self.compressed else ("png", {"optimize": True})
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, format=kind, **options)
        return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
