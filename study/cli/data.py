"""Data sets: pack, show, write."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from study.cli.app import data_app
from study.cli.options import AsJson, File, Out, Profile, Settings, store_of
from study.cli.terminal import command, hearing, heed_sigterm, teller
from study.errors import Interrupted

if TYPE_CHECKING:
    from study.config import Study

DataName = Annotated[str, typer.Argument(help="a data set of the study", metavar="NAME")]


@data_app.command("pack")
def pack_data(
    file: File, name: DataName, out: Out = Path("out"), profile: Profile = None, settings: Settings = None
) -> None:
    """Read a data set's images once, into the form that training reads; `run` does it by itself."""
    folder = _prepared(file, name, out, profile, settings, Console())[1]
    Console().print(f"packed: {folder}", highlight=False, soft_wrap=True)


@data_app.command("show")
def show_data(
    file: File,
    name: DataName,
    out: Out = Path("out"),
    profile: Profile = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Show a data set: counts, sizes, what was left out and why, duplicates between its parts, and a contact sheet."""
    from study.data import show

    study, folder = _prepared(file, name, out, profile, settings, Console(stderr=as_json))
    about = {key: getattr(study.data[name], key) for key in ("kind", "like", "licence")}
    sheet = show.sheet(folder, out / "data" / f"{name}.png")
    with Console(stderr=True).status("comparing the parts"):
        facts = show.facts(folder)
    found = {"name": name, **about, "folder": str(folder), **facts, "sheet": str(sheet)}
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        show.show(found, Console(width=None if sys.stdout.isatty() else 120))


@data_app.command("write")
def write_data(
    out: Annotated[Path, typer.Argument(help="the output folder of a study", metavar="OUT")],
    folder: Annotated[Path, typer.Argument(help="the folder to write, which is not there yet", metavar="DIR")],
    data: Annotated[str | None, typer.Option("--data", help="a data set of the study, where it has several")] = None,
) -> None:
    """Write a study's test images with their holes as PNG, for a method that cannot be run here."""
    from study.external.handout import hand_out

    told = teller()
    with hearing() as heard:
        name, names = hand_out(out, folder, data, heard=heard)
    what = "truth, mask (white is the hole), masked (black there)"
    told(f"written: {len(names)} test images of {name} in {folder}: {what}")
    told(f"repair {folder / 'masked'} by {folder / 'mask'}, under the same names, in a folder of their own; then:")
    score = ["score", "--output", "REPAIRED", "--into", str(out), "--as", "NAME", "--seed", "0", "--data", name]
    told(f"  {command(*score)}")


def _prepared(
    file: Path, name: str, out: Path, profile: str | None, settings: list[str] | None, console: Console
) -> tuple[Study, Path]:
    """A study, and the folder of the packed images of one of its data sets."""
    from study import config
    from study.running.pack import pack

    heed_sigterm()
    study = config.load(file, profile=profile, settings=settings or ())
    try:
        return study, pack(study, name, store_of(out), console)
    except (KeyboardInterrupt, Interrupted):
        console.print(f"interrupted; nothing is lost. Go on with:  {command()}", highlight=False, soft_wrap=True)
        raise typer.Exit(130) from None
