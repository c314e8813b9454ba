"""The commands that care for output folders: ``merge``, ``doctor``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from study.cli import options
from study.cli.terminal import command, image_progress, print_json, printer
from study.errors import BadInput


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


def doctor(
    out: Annotated[Path | None, typer.Argument(help="an output folder, to check it too", metavar="[OUT]")] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Do what is safe, and say what was done.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Check the machine, and an output if it is named: every checksum, and what killed processes left.

    Exit code 0 if all is fine or repaired, 1 if something is found.
    """
    from study.stores import doctor as outputs
    from study.stores.machine import folder, machine

    if out is not None and not out.is_dir():
        raise BadInput(f"{out}: there is no such folder; name an output, or make the folder to check its file system")
    facts, found = machine()
    if out is not None:
        place, more = folder(out)
        facts |= place
        with image_progress() as progress:
            found += [*more, *outputs.findings(out, progress)]
    done = [one for one in found if repair and one.repair and one.repair() is not False]
    rows = [
        {"where": one.where, "what": one.what, "do": one.advice, "safe": bool(one.repair), "repaired": one in done}
        for one in found
    ]
    if as_json:
        print_json({"facts": facts, "findings": rows})
    else:
        say = printer()
        for name, fact in facts.items():
            say(f"{name}: {', '.join(fact) or 'nothing' if isinstance(fact, list) else fact}")
        for row in rows:
            say(f"{'REPAIRED' if row['repaired'] else 'FOUND'} {row['where']}: {row['what']}; {row['do']}")
        safe = sum(bool(row["safe"]) and not row["repaired"] for row in rows)
        more_to_do = f"; {command('doctor', str(out), '--repair')} repairs {safe} of them" if safe else ""
        say(f"{len(rows)} findings, {len(done)} repaired{more_to_do}" if rows else "nothing is wrong")
    if len(done) < len(found):
        raise typer.Exit(1)


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in counts.items()) or "nothing"
