"""Mask files: in a study, in `score` and in `inpaint`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from pathlib import Path

import mask_files
import numpy as np
import tiny
from cases import Case, told
from mask_files import READ, REFUSED, SIDE, saved
from PIL import Image

from models.masks import Files
from study.data import holes
from study.data.files.image import Pixels
from study.external.score import Request, score
from study.use.finished import Finished
from study.use.inpaint import HoleSource, repair_files

TITLE = "Mask files"
TEXT = """
The image has 64 x 64 px. The mask belongs to it by its name and the hole is white (`hole: white`, `--hole white`), if
nothing else is said.
"""


@lru_cache(maxsize=1)
def finished() -> Finished:
    plan, store = tiny.planned(Path(tempfile.mkdtemp()), {"mean": {"method": "mean"}})
    tiny.recorded(plan, store)
    return Finished(store.out, "mean")


def pixels() -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)


def written(folder: Path, files: Mapping[str, Callable[[], bytes]]) -> Path:
    masks = folder / "masks"
    for name, content in files.items():
        (masks / name).parent.mkdir(parents=True, exist_ok=True)
        (masks / name).write_bytes(content())
    return masks


def in_a_study(files: Mapping[str, Callable[[], bytes]], hole: str, folder: Path) -> str:
    options = Files(root=str(written(folder, files)), hole=hole)

    def read() -> list[str]:
        holes.identity(options, SIDE)
        return []

    return told(folder, read)


def in_score(files: Mapping[str, Callable[[], bytes]], hole: str, folder: Path) -> str:
    masks = written(folder, files)
    repaired = np.where(mask_files.hole()[..., None], 255 - pixels(), pixels())
    for name, values in (("truth", pixels()), ("output", repaired)):
        (folder / name).mkdir()
        Image.fromarray(values).save(folder / name / "1.png")

    def scored() -> list[str]:
        found = score(Request(folder / "output", folder / "truth", masks, hole=hole)).found
        return [*(note for note in found.notes if "they are composites" not in note), *found.warnings]

    return told(folder, scored)


def in_inpaint(files: Mapping[str, Callable[[], bytes]], hole: str, folder: Path) -> str:
    masks, said = written(folder, files), []
    Image.fromarray(pixels()).save(folder / "1.png")

    def repaired() -> list[str]:
        source = HoleSource(masks, None, hole)
        repair_files(finished(), [folder / "1.png"], folder / "to.png", source, device="cpu", print_line=said.append)
        return said[:-1]

    return told(folder, repaired)


def case(what: str, content: Callable[[], bytes], name: str = "1.png", hole: str = "white") -> Case:
    commands = {"a study": in_a_study, "`score`": in_score, "`inpaint`": in_inpaint}
    return Case(what, {command: partial(do, {name: content}, hole) for command, do in commands.items()})


CASES = [
    *(case(what, content) for what, content in READ.items()),
    *(case(what, content) for what, (content, _) in REFUSED.items()),
    case("the other way round", lambda: saved(mask_files.shades(0, 255))),
]
