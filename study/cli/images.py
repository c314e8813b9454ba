"""Images of others and of one's own: score, inpaint, export."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from study.cli.app import app
from study.cli.options import AsJson, Device, Out, device_of
from study.cli.terminal import command, hearing, teller
from study.errors import BadInput

RunName = Annotated[
    str, typer.Argument(help="a completed run: VARIANT, or VARIANT/DATA/SEED in whole or part", metavar="RUN")
]


@app.command("score")
def score_images(
    output: Annotated[Path, typer.Option("--output", help="the folder of what a method made")],
    truth: Annotated[
        Path | None, typer.Option("--truth", help="the folder of the true images, of the same names")
    ] = None,
    mask: Annotated[Path | None, typer.Option("--mask", help="a folder of masks, or one mask for all images")] = None,
    center: Annotated[bool, typer.Option("--center", help="the hole is the central square of half the side")] = False,
    hole: Annotated[str | None, typer.Option("--hole", help="the masks' colour of the hole: white or black")] = None,
    partial: Annotated[bool, typer.Option("--partial", help="score what is there, though not all is")] = False,
    into: Annotated[Path | None, typer.Option("--into", help="the output folder of a study that the rows join")] = None,
    named: Annotated[str | None, typer.Option("--as", help="the method's name in that study")] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="which of its trainings; none for one set of weights")
    ] = None,
    data: Annotated[str | None, typer.Option("--data", help="a data set of that study, where it has several")] = None,
    perceptual: Annotated[
        str | None, typer.Option("--perceptual", help="of folders: [lpips, fid, kid], or with files of weights")
    ] = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Score folders of images by every metric of the protocol, whoever made them; with --into beside a study's runs."""
    from study.external.score import Request, score

    asked = Request(output, truth, mask, center, hole, partial, perceptual)
    if into is None and any(value is not None for value in (named, seed, data)):
        raise BadInput("--as, --seed and --data: they say as what the rows join a study; name it with --into OUT")
    if into is not None and perceptual is not None:
        raise BadInput("--perceptual: beside --into the study file says it, protocol.perceptual")
    if into is not None and named is None:
        raise BadInput("--into: say with --as NAME how the study is to call the method")
    kind = device_of(device)
    with hearing() as heard:
        if into is None or named is None:
            found, last = score(asked, device=kind, heard=heard), ""
        else:
            from study.external.join import Joining, score_into

            found = score_into(asked, Joining(into, named, seed, data), device=kind, heard=heard)
            what = "replaced" if found.about["replaced"] else "joined"
            last = f"{what}: {found.about['run']} in {into}; the report shows it after: {command('report', str(into))}"
    if as_json:
        print(json.dumps(found.as_json(), indent=1, allow_nan=False))
        return
    found.show(Console(width=None if sys.stdout.isatty() else 120))
    if last:
        teller()(last)


@app.command("inpaint")
def inpaint_images(
    named: RunName,
    images: Annotated[list[Path], typer.Argument(help="pictures, of any size", metavar="IMAGE...")],
    to: Annotated[Path, typer.Option("-o", "--to", help="the picture to write; of several, or into one, a folder")],
    mask: Annotated[
        Path | None, typer.Option("--mask", help="a black and white picture of the image's size, or a folder of them")
    ] = None,
    box: Annotated[
        str | None, typer.Option("--box", help="x,y,w,h: a rectangle, in pixels from the upper left")
    ] = None,
    hole: Annotated[str | None, typer.Option("--hole", help="the mask's colour of the hole: white or black")] = None,
    window: Annotated[
        int | None, typer.Option("--window", min=8, help="px: see so much around a small hole, at the cost of detail")
    ] = None,
    no_blend: Annotated[bool, typer.Option("--no-blend", help="paste what was predicted, seam and all")] = False,
    out: Out = Path("out"),
    device: Device = "auto",
) -> None:
    """Repair pictures by what a run trained. Without --mask or --box the hole is what is transparent."""
    from study.use.finished import Finished
    from study.use.inpaint import repair_files, where

    kind, told = device_of(device), teller()
    finished = Finished.find(out, named)
    told(f"{finished.run.name}, {finished.image_size} px, on {kind}")
    repair_files(
        finished, images, to, where(mask, box, hole), device=kind, print_line=told, blended=not no_blend, least=window
    )


@app.command("export")
def export_model(
    named: RunName,
    folder: Annotated[Path, typer.Argument(help="the folder to write", metavar="DIR")],
    out: Out = Path("out"),
) -> None:
    """Write a run's generator as safetensors, with a model card, and an example that loads it."""
    from study.use.export import export
    from study.use.finished import Finished

    told = teller()
    finished = Finished.find(out, named)
    told(f"{finished.run.name}, {finished.image_size} px")
    for file in export(finished, folder):
        told(f"written: {file}")
