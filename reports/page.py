"""The report as one self-contained HTML page, which loads nothing, opens from disk and holds its own files."""

import base64
import hashlib
import io
import itertools
import re
import zlib
from collections import Counter
from collections.abc import Mapping
from importlib import resources

import jinja2
import numpy as np
from markupsafe import Markup, escape
from PIL import Image

from reports.document import Card, Document, FigureView, Pixels
from reports.figures import style
from reports.files import file_name

LOSSLESS = 16_000_000
"""Pictures with more bytes of pixels than this in total are stored with loss."""
QUALITY = 90
"""WebP quality with loss, 0 to 100."""
SHARED = 0.25
"""A picture that equals the original in more than this share of its pixels is stored as its difference from it."""


def page(document: Document, drawings: Mapping[str, str], files: Mapping[str, bytes]) -> str:
    """The HTML of a document; the same document gives the same bytes.

    The page is readable without its script, which adds search, sorting, filters, copies, zoom and a theme button. A
    content security policy forbids the page to load anything or to run any other script. Every table and figure can be
    linked to by its name, such as ``#table-claims``.

    Args:
        drawings: Each figure's SVG by its name.
        files: The exports (``reports.files.exports``). The page holds them, compressed, so that a page that is passed
            on alone keeps them. Its script draws PNG, and PDF of pictures.
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
        heading_id=HeadingIds(),
        terms=Terms(document.terms),
        packed=packed(document, files),
        svg=lambda figure: Markup(style.inline(drawings[figure.name], f"f{figure.number}")),
        pictures=Pictures(document),
        evidence=lambda card: evidence(document, card),
        script=Markup(script),
        policy=f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'",
    )


class Terms:
    """Marks up the first occurrence of each term in a section, with its meaning where it is pointed at or tabbed to."""

    def __init__(self, meanings: Mapping[str, str]) -> None:
        self.meanings, self.seen = meanings, set[tuple[str, str]]()
        longest = sorted(meanings, key=len, reverse=True)
        self.pattern = re.compile(rf"\b({'|'.join(map(re.escape, longest))})\b") if meanings else None

    def __call__(self, text: str, section: str) -> Markup:
        """The text as HTML. Call it in the order of the page."""

        def mark(found: re.Match[str]) -> str:
            term = found[0]
            if (section, term) in self.seen:
                return term
            self.seen.add((section, term))
            return Markup('<a class="term" href="#words" data-meaning="{}">{}</a>').format(self.meanings[term], term)

        escaped = str(escape(text))
        return Markup(self.pattern.sub(mark, escaped) if self.pattern else escaped)


def evidence(document: Document, card: Card) -> list[tuple[str, str]]:
    """The links from a claim to the tables and figures that show its numbers: address and text."""
    views = [("Table", view) for view in document.tables()] + [("Figure", view) for view in document.figures()]
    chosen = [(kind, view) for name in [*card.evidence, "links"] for kind, view in views if view.name == name]
    return [(f"#{kind.lower()}-{file_name(view.name)}", f"{kind} {view.number}") for kind, view in chosen]


class HeadingIds:
    """Anchors of headings within sections: the section's and the heading's words, numbered where they repeat."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()

    def __call__(self, section: str, text: str) -> str:
        """The anchor of the next heading in the order of the page."""
        words = re.sub(r"[\W_]+", "-", text.lower()).strip("-") or "part"
        name = f"{section}--{words}"
        self.seen[name] += 1
        return name if self.seen[name] == 1 else f"{name}--{self.seen[name]}"


def packed(document: Document, files: Mapping[str, bytes]) -> dict[str, str]:
    """The files that the page holds, by path: deflated, as base64.

    All but PNG, which the page's script draws from the SVG, and PDF of pictures. A picture in an SVG that the page
    shows is named by its place in the figure (``#picture-3``) and not repeated.
    """
    held = {path: content for path, content in files.items() if not path.endswith(".png")}
    for figure in document.figures():
        place = f"figures/{file_name(figure.name)}"
        if f"{place}.svg" in held:
            held[f"{place}.svg"] = _named(figure, held[f"{place}.svg"])
        if figure.pictures is not None:
            held.pop(f"{place}.pdf", None)
    return {path: base64.b64encode(zlib.compress(content, 9)).decode() for path, content in held.items()}


def _named(figure: FigureView, drawing: bytes) -> bytes:
    order = itertools.count()  # the page shows a drawing with its pictures in their order, and a grid in its own
    shown = figure.pictures.shown() if figure.pictures is not None else ()
    places = {_key(pixels): place for place, pixels in reversed(list(enumerate(shown)))}

    def name(found: re.Match[bytes]) -> bytes:
        if figure.pictures is None:
            return b"#picture-%d" % next(order)
        with Image.open(io.BytesIO(base64.b64decode(found[1]))) as image:
            place = places.get(_key(np.asarray(image.convert("RGB"))))
        return found[0] if place is None else b"#picture-%d" % place

    return re.sub(rb"data:image/png;base64,([\sA-Za-z0-9+/=]+)", name, drawing)


def _key(pixels: Pixels) -> tuple[tuple[int, ...], bytes]:
    return pixels.shape, pixels.tobytes()


class Pictures:
    """The page's pictures as data URLs of WebP: without loss, unless they are many and large."""

    def __init__(self, document: Document) -> None:
        grids = [figure.pictures for figure in document.figures() if figure.pictures is not None]
        self.compressed = sum(pixels.nbytes for grid in grids for pixels in grid.shown()) > LOSSLESS

    def source(self, pixels: Pixels, original: Pixels | None = None) -> tuple[str, bool]:
        """A picture ``(H, W, 3)`` as a data URL, and whether it is to be laid over the original.

        Where a repair equals the original, as it does outside the hole, it is transparent: this halves the page.
        """
        over = False
        if original is not None and original.shape == pixels.shape and not self.compressed:
            same = (pixels == original).all(axis=2)
            over = SHARED < same.mean() < 1
            if over:
                pixels = np.dstack([pixels, np.where(same, 0, 255).astype(np.uint8)])
                pixels[same] = 0
        options = {"quality": QUALITY} if self.compressed else {"lossless": True, "quality": 50, "method": 3}
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, format="webp", **options)
        return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}", over
