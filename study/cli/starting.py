"""The commands that need no study yet: ``init`` writes a study file, ``docs`` shows the pages that messages name."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from study.cli.terminal import Screen, command, printer
from study.errors import BadInput, unknown

NAME = "runs.yaml"

PHOTOGRAPHS_HEAD = """\
# A study of your photographs: the methods of Mo & Zhou 2020, and the ablations that test the paper's claims.
#
#     python -m study plan runs.yaml                  show what would be trained, and the hours
#     python -m study run  runs.yaml                  run it, small: an hour or two on two CPU cores
#     python -m study run  runs.yaml --profile gpu    the published widths, and a tenth of the paper's schedule
#     python -m study docs data                       show a page that comments name, here docs/data.md
"""

PHOTOGRAPHS_DATA = """\
data:
  # Fill in your folder, zip or tar of images: its whole path, or from where you run the command. A random fifth becomes
  # the test set. More in docs/data.md.
  photos: {kind: folder, root: path/to/my/photos}

"""

PAPER_HEAD = """\
#     python -m study plan runs.yaml                      show what would be trained, and the hours on a GPU
#     python -m study run  runs.yaml                      the paper's sizes and schedule, on a GPU
#     python -m study run  runs.yaml --profile demo       a trial: small images and networks, a short schedule
"""

PAPER_DATA = """\
# ---- Section 5: the data. Fill in where they are: the whole path, or from where you run the command. They are read as
#      they are distributed (docs/data.md).
data:
  celeba: {kind: celeba, root: path/to/CelebA}
  # imagenet: {kind: imagenet, root: path/to/ILSVRC}
  # places2: {kind: places2, root: path/to/places365_standard}

"""


def shipped(name: str) -> Path:
    """A file that comes with the package: in a clone at its own place, otherwise in ``study/shipped``."""
    package = Path(__file__).parents[1]
    inside = package / "shipped"
    return (inside if inside.is_dir() else package.parent) / name


def _demo() -> str:
    return shipped("runs.yaml").read_text(encoding="utf-8")


def _paper() -> str:
    """The demo's file with the paper's data sets and schedule."""
    text = _replaced(r"(#     python -m study (plan|run) .*\n)+", PAPER_HEAD, _demo())
    text = _replaced(r"(?s)^# ---- Section 5: the data.*?(?=^# ---- )", PAPER_DATA, text)
    text = _replaced(r"^profile: demo$", "profile: paper", text)
    return _replaced(r"^    data:\n      faces: .*\n", "", text)


def _photographs() -> str:
    """The file of the study in docs/results.md, with one data set to fill in."""
    text = shipped("docs/studies/photographs.yaml").read_text(encoding="utf-8")
    text = _replaced(r"\A(#.*\n)+", PHOTOGRAPHS_HEAD, text)
    return _replaced(r"(?s)^data:\n.*?(?=^recipes:)", PHOTOGRAPHS_DATA, text)


KINDS: dict[str, Callable[[], str]] = {"demo": _demo, "photographs": _photographs, "paper": _paper}


def init(
    folder: Annotated[Path, typer.Argument(help="Folder of the study.", metavar="DIR")] = Path(),
    kind: Annotated[
        str,
        typer.Option(
            "--kind", help="demo: drawn portraits. photographs: your own. paper: its data sets, sizes and schedule."
        ),
    ] = "demo",
) -> None:
    """Write a study file to start from. Replaces nothing."""
    if kind not in KINDS:
        raise BadInput(f"--kind {kind}: {unknown(kind, KINDS)}")
    file, text = folder / NAME, KINDS[kind]()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(text)
    except FileExistsError:
        raise BadInput(f"{file}: it is there already, and is not replaced; name another folder") from None
    say = printer()
    say(f"written: {file}")
    for number, line in enumerate(text.splitlines(), start=1):
        if ": path/to/" in line and not line.lstrip().startswith("#"):
            say(f"fill in:  {file}, line {number}: {line.strip()}")
    say(f"then:     {command('plan', str(file))}    what would be trained, and the hours")
    say(f"          {command('run', str(file))}")


def docs(page: Annotated[str | None, typer.Argument(help="Page, such as readings.", metavar="[PAGE]")] = None) -> None:
    """Show a page of the documentation, or list the pages."""
    pages = {file.stem: file for file in sorted(shipped("docs").glob("*.md"))}
    say = printer()
    if page is None:
        for name, file in pages.items():
            title = file.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
            say(f"{name:14s} {title}")
        say(f"\nThe files are in {shipped('docs')}. To cite this project: {shipped('CITATION.cff')}")
        return
    name = page.removeprefix("docs/").removesuffix(".md")
    if name not in pages:
        raise BadInput(f"{page}: {unknown(name, pages, 'not a page')}")
    text = pages[name].read_text(encoding="utf-8")
    if not sys.stdout.isatty():
        print(text, end="")
        return
    from rich.markdown import Markdown

    Screen().print(Markdown(text))


def _replaced(pattern: str, new: str, text: str) -> str:
    text, count = re.subn(pattern, lambda _: new, text, flags=re.MULTILINE)
    assert count == 1, f"{pattern} matches {count} times"
    return text
