"""The commands that care for output folders: ``merge``, ``gc``, ``doctor``."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from study.cli import options
from study.cli.terminal import Screen, command, image_progress, print_json, printer
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
        say, warn = printer(), printer(Screen(stderr=True))
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


def gc(
    out: Annotated[Path, typer.Argument(help="the output folder", metavar="OUT")],
    keep_days: Annotated[
        float, typer.Option("--keep-days", min=0, metavar="N", help="Keep what was made or used within N days.")
    ] = 0.0,
    optimizer_states: Annotated[
        bool, typer.Option("--optimizer-states", help="Also the optimizer states of a finished study's joint stages.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Remove without a question.")] = False,
    each: Annotated[bool, typer.Option("--each", help="List each file or folder.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Remove from an output what no study names.

    The studies of an output are its most recent plan and its searches. Shows what and how much first. Without
    optimiser states, a joint stage with more steps starts from its beginning; all else works as before. With --json
    nothing is asked: --yes removes what is listed.
    """
    from study.stores.gc import remove, unneeded

    say = printer()
    found = unneeded(out, keep_days, optimizer_states)
    if as_json:
        print_json([{"path": str(one.path), "what": one.what, "bytes": one.size} for one in found])
        if yes:
            remove(out, found)
        return
    groups = Counter(one.what for one in found)
    for what, count in groups.items():
        say(f"{_mib(sum(one.size for one in found if one.what == what)):>12}  {count} {what}")
        for one in found if each else ():
            if one.what == what:
                say(f"{'':14}{one.path}")
    if not found:
        say("there is nothing to remove")
        return
    say(f"{_mib(sum(one.size for one in found)):>12}  in total")
    if not yes:
        if not sys.stdin.isatty():
            say(f"nothing is removed; to remove it:  {command(*sys.argv[1:], '--yes')}")
            return
        typer.confirm("remove it?", abort=True)
    now = set(unneeded(out, keep_days, optimizer_states))  # the question may have stood for hours
    remove(out, [one for one in found if one in now])
    say("removed")


def _mib(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB"


def doctor(
    out: Annotated[Path | None, typer.Argument(help="an output folder, to check it too", metavar="[OUT]")] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Do what is safe, and say what was done.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Check the machine and an output, and say what to do.

    Of an output: every checksum, and what killed processes left. Exit code 0 if all is fine or repaired, 1 otherwise.
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
        say(f"findings: {len(rows)}, repaired: {len(done)}{more_to_do}" if rows else "nothing is wrong")
    if len(done) < len(found):
        raise typer.Exit(1)


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in counts.items()) or "nothing"
