"""The commands for data sets: ``data pack``, ``data show``, ``data write``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from study.cli import options
from study.cli.terminal import Screen, command, heed_signals, image_progress, print_json, printer, wide

if TYPE_CHECKING:
    from study.config import Study

DataName = Annotated[str, typer.Argument(help="Name of a data set in the study.", metavar="NAME")]


def pack(
    file: options.File,
    name: DataName,
    out: options.Out = Path("out"),
    profile: options.Profile = None,
    settings: options.Settings = None,
) -> None:
    """Pack a data set as training reads it. `run` does this when needed."""
    folder = _prepared(file, name, out, profile, settings, Screen())[1]
    printer()(f"packed: {folder}")


def show(
    file: options.File,
    name: DataName,
    out: options.Out = Path("out"),
    profile: options.Profile = None,
    settings: options.Settings = None,
    as_json: options.AsJson = False,
) -> None:
    """Show a data set. Counts, sizes, skipped images, duplicates between its parts, and a contact sheet."""
    from study.data import show

    study, folder = _prepared(file, name, out, profile, settings, Screen(stderr=as_json))
    about = {key: getattr(study.data[name], key) for key in ("kind", "like", "licence")}
    sheet = show.sheet(folder, out / "data" / f"{name}.png")
    with Screen(stderr=True).status("comparing the parts"):
        facts = show.facts(folder, study.data[name])
    found = {"name": name, **about, "folder": str(folder), **facts, "sheet": str(sheet)}
    if as_json:
        print_json(found)
    else:
        show.show(found, wide())


def write(
    out: Annotated[Path, typer.Argument(help="Output folder of a study.", metavar="OUT")],
    folder: Annotated[Path, typer.Argument(help="Folder to write. It must not exist yet.", metavar="DIR")],
    data: Annotated[str | None, typer.Option("--data", help="Data set, if the study has several.")] = None,
) -> None:
    """Export a study's test images and masks as PNG. For a method that runs elsewhere."""
    from study.external.join import hand_out

    say = printer()
    with image_progress() as heard:
        test = hand_out(out, folder, data, heard=heard)
    what = "truth, mask (the hole is white), masked (the hole is black)"
    say(f"wrote {len(test.places)} test images of {test.data} to {folder}: {what}")
    say(test.share())
    say(f"repair the images in {folder / 'masked'}, save them under the same names in another folder, then run:")
    score = ["score", "--output", "REPAIRED", "--into", str(out), "--as", "NAME", "--seed", "0", "--data", test.data]
    say(f"  {command(*score)}")


def _prepared(
    file: Path, name: str, out: Path, profile: str | None, settings: list[str] | None, console: Console
) -> tuple[Study, Path]:
    """A study, and the folder of one of its data sets, packed if it was not yet."""
    from study import config
    from study.running.pack import pack

    heed_signals()
    study = config.load(file, profile=profile, settings=settings or ())
    try:
        return study, pack(study, name, options.store_of(out), console)
    except KeyboardInterrupt:
        printer(console)(f"interrupted; nothing is lost. Go on with:  {command()}")
        raise typer.Exit(130) from None
