"""The commands for images: ``score``, ``inpaint``, ``export``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from study.cli import options
from study.cli.terminal import command, image_progress, print_json, printer, wide
from study.errors import BadInput

RunName = Annotated[
    str,
    typer.Argument(
        help="A completed run: VARIANT, VARIANT/DATA, VARIANT/SEED or VARIANT/DATA/SEED. Default: the first data set "
        "and the lowest seed.",
        metavar="RUN",
    ),
]
Resize = Annotated[
    str | None, typer.Option("--resize", help="nearest: take masks of another size, resized to the nearest neighbour.")
]


def score(
    output: Annotated[Path, typer.Option("--output", help="Folder of repaired images.")],
    truth: Annotated[Path | None, typer.Option("--truth", help="Folder of true images with the same names.")] = None,
    mask: Annotated[Path | None, typer.Option("--mask", help="Folder of masks, or one mask for all images.")] = None,
    center: Annotated[bool, typer.Option("--center", help="The hole is the central square, half the side.")] = False,
    hole: Annotated[str | None, typer.Option("--hole", help="Color of the hole in the masks: white or black.")] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Score the images that exist, even if some are missing.")
    ] = False,
    into: Annotated[Path | None, typer.Option("--into", help="Output folder of a study to add the scores to.")] = None,
    named: Annotated[str | None, typer.Option("--as", help="Name of the method in that study.")] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", help="Seed of the method's training; leave it out for a single set of weights."),
    ] = None,
    data: Annotated[str | None, typer.Option("--data", help="Data set of that study, if it has several.")] = None,
    perceptual: Annotated[
        str | None, typer.Option("--perceptual", help="Perceptual distances for folders, such as [lpips, fid, kid].")
    ] = None,
    resize: Resize = None,
    match: Annotated[
        str | None,
        typer.Option(
            "--match",
            help="How files are named, without suffix: '{name}_raw,{name}_mask,{name}_output' for truth, mask, output.",
        ),
    ] = None,
    device: options.Device = "auto",
    as_json: options.AsJson = False,
) -> None:
    """Score a folder of repaired images from any method. With --into the scores join a study."""
    from study.external.score import Request, score

    asked = Request(output, truth, mask, center, hole, partial, perceptual, resize, match)
    if into is None and any(value is not None for value in (named, seed, data)):
        raise BadInput("--as, --seed and --data are for scores that join a study; name its output with --into OUT")
    if into is not None and perceptual is not None:
        raise BadInput("--perceptual: with --into the study file sets it, under protocol.perceptual")
    if into is not None and named is None:
        raise BadInput("--into: name the method with --as NAME")
    kind = options.device_of(device)
    with image_progress() as heard:
        if into is None or named is None:
            found, last = score(asked, device=kind, heard=heard), ""
        else:
            from study.external.join import score_into

            found = score_into(asked, into, named, seed, data, device=kind, heard=heard)
            what = "replaced" if found.about["replaced"] else "joined"
            last = f"{what}: {found.about['run']} in {into}; to update the report, run: {command('report', str(into))}"
    if as_json:
        print_json(found.as_json())
        return
    found.show(wide())
    if last:
        printer()(last)


def inpaint(
    named: RunName,
    images: Annotated[list[Path] | None, typer.Argument(help="Images of any size.", metavar="IMAGE...")] = None,
    *,
    to: Annotated[Path, typer.Option("-o", "--to", help="Image to write, or a folder for several.")],
    demo: Annotated[
        bool, typer.Option("--demo", help="Without RUN: use the demo's model. It is trained once, in a minute or two.")
    ] = False,
    mask: Annotated[
        Path | None, typer.Option("--mask", help="Black and white image of the same size, or a folder of them.")
    ] = None,
    box: Annotated[
        str | None, typer.Option("--box", help="Rectangular hole: x,y,w,h in pixels from the upper left.")
    ] = None,
    hole: Annotated[str | None, typer.Option("--hole", help="Color of the hole in the mask: white or black.")] = None,
    resize: Resize = None,
    window: Annotated[
        int | None,
        typer.Option(
            "--window", min=8, help="Smallest window around a hole, in pixels. Larger: more context, less detail."
        ),
    ] = None,
    no_blend: Annotated[bool, typer.Option("--no-blend", help="Paste the prediction without blending.")] = False,
    out: options.Out = Path("out"),
    device: options.Device = "auto",
) -> None:
    """Repair images with a trained model. Without --mask or --box the transparent pixels are the hole."""
    from study.use.finished import Finished
    from study.use.inpaint import HoleSource, checked, repair_files

    kind, say, images = options.device_of(device), printer(), images or []
    source = HoleSource(mask, box, hole, resize)
    if demo:
        from study.cli.demo import model

        images = [Path(named), *images]
        checked(images, to, source)  # before the model is trained
        out, named = model(out, device, say)
    elif not images:
        raise BadInput(f"name the images to repair, as in: {command('inpaint', named, 'photo.png', '-o', str(to))}")
    elif not (out / "plan.json").is_file():
        words = sys.argv[2:]
        words[words.index(named)] = "--demo"
        trial = command("inpaint", *words)
        raise BadInput(f"{out}: there is no study here; name its folder with --out, or try the demo's model: {trial}")
    finished = Finished(out, named)
    say(f"{finished.run.name}, {finished.image_size} px, on {kind}")
    repair_files(finished, images, to, source, device=kind, print_line=say, blended=not no_blend, least=window)


def export(
    named: RunName,
    folder: Annotated[Path, typer.Argument(help="Folder to write.", metavar="DIR")],
    out: options.Out = Path("out"),
) -> None:
    """Export a run's generator as safetensors. With a model card, and an example that loads it."""
    from study.use.export import export
    from study.use.finished import Finished

    say = printer()
    finished = Finished(out, named)
    say(f"{finished.run.name}, {finished.image_size} px")
    for file in export(finished, folder):
        say(f"written: {file}")
