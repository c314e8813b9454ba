"""The report as one page of HTML: all is in it, it loads nothing, and it opens from disk."""

import base64
import hashlib
import io
from collections.abc import Mapping
from importlib import resources

import jinja2
from markupsafe import Markup
from PIL import Image

from reports.document import Document, Pixels
from reports.figures import style
from reports.files import file_name

LOSSLESS = 16_000_000
"""The most bytes of pixels that a page holds as they are; above, its pictures are compressed."""
QUALITY = 90


def page(document: Document, drawings: Mapping[str, str]) -> str:
    """The page of a document: the same bytes each time. `drawings`: each figure's SVG by its name.

    Without its script it is a plain page to read; the script adds sorting, filters, enlarging and the theme's button.
    A policy in its head forbids it to load anything, and to run any script but that one.
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
        script=Markup(script),
        policy=f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'",
    )


class Pictures:
    """The page's pictures as addresses of data: as they are, or compressed where they are many and large."""

    def __init__(self, document: Document) -> None:
        grids = [figure.pictures for figure in document.figures() if figure.pictures is not None]
        shown = (pixels for grid in grids for _, cells in grid.rows for cell in cells for pixels in cell.values())
        self.compressed = sum(pixels.nbytes for pixels in shown) > LOSSLESS

    def source(self, pixels: Pixels) -> str:
        """The picture (H, W, 3) as a data: address, PNG or WebP."""
        kind, more = ("webp", {"quality": QUALITY}) if self.compressed else ("png", {"optimize": True})
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, format=kind, **more)
        return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
