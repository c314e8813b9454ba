"""Checks of what a plugin adds to the report: claims and sections."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

from reports.analysis.claims import claims_table
from reports.analysis.frames import Frames, NoDataError
from reports.document import Block, Document, Section
from reports.files import exports, write_files
from reports.page import page
from reports.render import drawings
from study.conformance.expectation import Part, expect
from study.conformance.joins import make_all, plan_with
from study.results.frames import frames_of
from study.store import Store


def has_an_outcome(part: Part) -> str | None:
    """The claim has a row in the table of claims. A note says if a study without its variants does not test it."""
    with _frames(part) as frames:
        row = claims_table(frames).set_index("id").loc[part.name]
    return "a study with the variants that it compares decides it" if row["outcome"] == "not tested" else None


def stands_in_a_report(part: Part) -> str | None:
    """The function gives a Section from the frames of a study, and it can be written as a page and as files."""
    with _frames(part) as frames, tempfile.TemporaryDirectory() as place:
        try:
            section = part.entry(frames)
        except NoDataError as error:
            return f"in a study of the method mean alone: {error}"
        got = type(section).__name__
        expect(isinstance(section, Section), f"it gives a {got}; expected a reports.document.Section")
        wrong = [type(block).__name__ for block in section.blocks if not isinstance(block, get_args(Block))]
        known = ", ".join(kind.__name__ for kind in get_args(Block))
        expect(not wrong, f"its blocks hold a {', '.join(wrong)}; choose {known} of reports.document")
        whole = Document(title="", question="", citation="", doi="", made="", sections=[section]).numbered()
        images = drawings(whole)
        files = exports(whole, images)
        write_files(files, Path(place))
        page(whole, images, files)
    return None


@contextmanager
def _frames(part: Part) -> Iterator[Frames]:
    """The frames of a study of one run."""
    with tempfile.TemporaryDirectory() as place:
        plan, store = plan_with(part, Path(place)), Store(Path(place) / "out")
        make_all(plan, store)
        yield frames_of(plan, store.out)
