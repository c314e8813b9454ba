"""Image files: in a data set, in `score` and in `inpaint`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

import layouts
import tiny
from cases import Case, packed_set, told
from image_files import IMAGES

from study.external.score import Request, score
from study.use.finished import Finished
from study.use.inpaint import HoleSource, repair_files

TITLE = "Image files"
TEXT = """
A data set is a study's `data` and what `data show` says of it: a folder of ten plain images and this one. `data write`
hands out what was packed, as PNG of 8 bits. In `score` the file is the truth and the output at once, without a mask. In
`inpaint` the hole is a `--box`.
"""
COPIES = "12 bits in a file of 16"  # said of a set where all images are so


@lru_cache(maxsize=1)
def finished() -> Finished:
    plan, store = tiny.planned(Path(tempfile.mkdtemp()), {"mean": {"method": "mean"}})
    tiny.recorded(plan, store)
    return Finished(store.out, "mean")


def in_a_data_set(what: str, name: str, content: Callable[[], bytes], folder: Path) -> str:
    copies = {f"{i}/{name}": content() for i in range(10)} if what == COPIES else {}
    return packed_set({name: content(), **copies}, folder, plain=not copies)


def in_score(name: str, content: Callable[[], bytes], folder: Path) -> str:
    for side in ("truth", "output"):
        layouts.as_folder(folder / side, {name: content()})

    def scored() -> list[str]:
        found = score(Request(folder / "output", folder / "truth")).found
        return [*found.notes, *(warning for warning in found.warnings if "are the truth itself" not in warning)]

    return told(folder, scored).partition("; 1, the output:")[0]  # the same again


def in_inpaint(name: str, content: Callable[[], bytes], folder: Path) -> str:
    said: list[str] = []
    layouts.as_folder(folder, {name: content()})

    def repaired() -> list[str]:
        source = HoleSource(None, "2,2,4,4", None)
        repair_files(finished(), [folder / name], folder / "to.png", source, device="cpu", print_line=said.append)
        return [line for line in said[:-1] if "of the image is hole" not in line]

    return told(folder, repaired)


CASES = [
    Case(
        what,
        {
            "a data set": partial(in_a_data_set, what, name, content),
            "`score`": partial(in_score, name, content),
            "`inpaint`": partial(in_inpaint, name, content),
        },
    )
    for what, (name, content) in IMAGES.items()
]
