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

from study.data.files.image import Pixels
from study.external.score import Request, score
from study.use.finished import Finished
from study.use.inpaint import HoleSource, repair_files

TITLE = "Mask files"
TEXT = """
The images have 64 x 64 px, and each has a mask of its name; the hole is white (`hole: white`, `--hole white`) if
nothing else is said. A study's column shows what `plan` and `run` say of `protocol.mask`, beside how many masks there
are, how much of an image is hole, and which image gets which.
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


USUAL = ("masks; on average", "(pairing: by_name)")
"""Notes that are the same for nearly every case."""


def in_a_study(files: Mapping[str, Callable[[], bytes]], hole: str, folder: Path, resize: str | None = None) -> str:
    masks = written(folder, files)
    for number in range(3):
        (folder / "images").mkdir(exist_ok=True)
        Image.fromarray(pixels()).save(folder / "images" / f"{number + 1}.png")
    mask = {"kind": "files", "root": str(masks), "hole": hole, "resize": resize}
    data = {"photos": {"kind": "folder", "root": str(folder / "images")}}

    def planned() -> list[str]:
        asked = {"image_size": SIDE, "data": data, "protocol": {"mask": mask}}
        notes = tiny.planned(folder, {"mean": {"method": "mean"}}, **asked)[0].study.notes
        return [note.removeprefix("protocol.mask: ") for note in notes if not any(map(note.__contains__, USUAL))]

    text = told(folder, planned)
    return text.replace(f"{folder}", "").replace("/tiny.yaml: ", "").replace("tiny.yaml: ", "")


def in_score(files: Mapping[str, Callable[[], bytes]], hole: str, folder: Path, resize: str | None = None) -> str:
    masks = written(folder, files)
    repaired = np.where(mask_files.hole()[..., None], 255 - pixels(), pixels())
    for name, values in (("truth", pixels()), ("output", repaired)):
        (folder / name).mkdir()
        Image.fromarray(values).save(folder / name / "1.png")

    def scored() -> list[str]:
        found = score(Request(folder / "output", folder / "truth", masks, hole=hole, resize=resize)).found
        return [*(note for note in found.notes if "they are composites" not in note), *found.warnings]

    return told(folder, scored)


def in_inpaint(files: Mapping[str, Callable[[], bytes]], hole: str, folder: Path, resize: str | None = None) -> str:
    masks, said = written(folder, files), []
    Image.fromarray(pixels()).save(folder / "1.png")

    def repaired() -> list[str]:
        source = HoleSource(masks, None, hole, resize)
        repair_files(finished(), [folder / "1.png"], folder / "to.png", source, device="cpu", print_line=said.append)
        return said[:-1]

    return told(folder, repaired)


COMMANDS = {"a study": in_a_study, "`score`": in_score, "`inpaint`": in_inpaint}


def case(what: str, content: Callable[[], bytes], hole: str = "white", resize: str | None = None) -> Case:
    return of_files(what, {f"{number}.png": content for number in (1, 2, 3)}, hole, resize)


def of_files(
    what: str, files: Mapping[str, Callable[[], bytes]], hole: str = "white", resize: str | None = None
) -> Case:
    return Case(what, {name: partial(do, files, hole, resize=resize) for name, do in COMMANDS.items()})


def square() -> bytes:
    return saved(mask_files.shades())


def large() -> bytes:
    return saved(Image.fromarray(mask_files.shades()).resize((512, 512), Image.Resampling.NEAREST))


CASES = [
    *(case(what, content) for what, content in READ.items()),
    *(of_files(what, {"1.png": content}) for what, (content, _) in REFUSED.items()),
    case("512 px for images of 64, `resize: nearest`", large, resize="nearest"),
    case("the other way round", lambda: saved(mask_files.shades(0, 255))),
    case("the other way round, `hole: black`", lambda: saved(mask_files.shades(0, 255)), hole="black"),
    of_files("below folders", {f"a/b/{number}.png": square for number in (1, 2, 3)}),
    of_files("names that no image has", {"m1.png": square, "m2.png": square}),
    of_files("beside files of other systems", {"1.png": square, "2.png": square, "3.png": square, "._1.png": square}),
    of_files("beside other files", {"1.png": square, "2.png": square, "3.png": square, "notes.txt": lambda: b"mine"}),
    of_files("a folder without masks", {"notes.txt": lambda: b"mine"}),
]
