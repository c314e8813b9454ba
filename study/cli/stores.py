"""The commands that care for output folders: ``merge``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from study.cli import options
from study.cli.terminal import image_progress, print_json, printer

Folder = Annotated[Path, typer.Argument(help="the output folder", metavar="OUT")]


def merge(
    out: Annotated[Path, typer.Argument(help="the output folder that gets what it lacks", metavar="OUT")],
    others: Annotated[list[Path], typer.Argument(help="the outputs to copy from; they stay as they are")],
    as_json: options.AsJson = False,
) -> None:
    """Join outputs: copy what OUT lacks from others.

    Copies stages, runs with their records, searches and external rows, and joins the plans of one study.

    Each stage is copied only if it matches its checksums. Where both have a stage with other bytes, that of OUT stays.
    Exit code 1 if something was damaged or differs.
    """
    from dataclasses import asdict

    from study.stores.merge import merge as merge_outputs

    with image_progress() as progress:
        merged = merge_outputs(out, others, progress)
    if as_json:
        print_json(asdict(merged))
    else:
        say, warn = printer(), printer(Console(stderr=True))
        say(f"copied into {out}: {_counts(merged.copied)}; there already: {_counts(merged.skipped)}")
        for note in merged.notes:
            say(f"note: {note}")
        for damage in merged.damaged:
            warn(f"DAMAGED: {damage}")
        for conflict in merged.conflicts:
            warn(f"DIFFERENT BYTES, those of {out} stay: {conflict}")
        if merged.conflicts:
            warn(
                "one of the two was not made as its key says: compare where they were made (made/KEY.json), and make "
                "the one in doubt again in an empty folder"
            )
    if merged.damaged or merged.conflicts:
        raise typer.Exit(1)


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in counts.items()) or "nothing"
