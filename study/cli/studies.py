"""Studies: run, plan, report, describe; and check, of the plugins that one names."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from study.cli.app import app
from study.cli.options import (
    AsJson,
    Device,
    File,
    Jobs,
    NoShare,
    Only,
    Out,
    Profile,
    Seeds,
    Settings,
    device_of,
    jobs_of,
    seeds_of,
    store_of,
    variants_of,
)
from study.cli.terminal import command, heed_sigterm, looking
from study.errors import BadInput, unknown

if TYPE_CHECKING:
    from study.config import Study
    from study.plan.graph import Plan
    from study.store import Store

LEFT_OUT_SHOWN = 10


@app.command()
def run(
    file: File,
    out: Out = Path("out"),
    profile: Profile = None,
    only: Only = None,
    seeds: Seeds = None,
    settings: Settings = None,
    device: Device = "auto",
    jobs: Jobs = None,
    no_share: NoShare = False,
) -> None:
    """Make every stage of a study that is not there yet, evaluate, and write the report."""
    from study.running import driver
    from study.running.executors import Local
    from study.running.locks import OutputLock
    from study.running.progress import Display

    heed_sigterm()
    study, plan, kind = _planned(file, profile, only, seeds, settings, device, no_share)
    console = Console()
    store = store_of(out)
    started = time.monotonic()
    with OutputLock(out):
        for damage in driver.check(plan, store):
            console.print(f"[yellow]damaged[/] {damage}; it is set aside in {out / 'damaged'} and made again")
        driver.settle_stale(out)
        plan = replace(plan, study=plan.study.model_copy(update={"command": command()}))
        saved = plan.save(out)
        waiting = driver.tasks(plan, store)
        known = len(plan.stages) - len({key for task in waiting for key in task.keys})
        text = f"{len(plan.runs)} runs, {len(plan.stages)} stages, {known} of them there already"
        console.print(
            f"{study.name}, profile {study.profile or 'none'}, on {kind}: {text}", highlight=False, soft_wrap=True
        )
        if waiting:
            executor = Local(out, saved, jobs=jobs or jobs_of(kind), device=kind)
            with Display(plan, store, waiting, console) as display:
                summary = driver.drive(plan, store, executor, waiting, told=display.told, tick=display.tick)
        else:
            summary = driver.Summary()
        if summary.interrupted:
            console.print(
                f"interrupted; nothing is lost. Go on with:  {plan.study.command}", highlight=False, soft_wrap=True
            )
            raise typer.Exit(130)
        page = _report(out)
    _summarise(console, plan, store, summary.failed, time.monotonic() - started)
    console.print(f"report: {page}", highlight=False, soft_wrap=True)
    if summary.failed:
        raise typer.Exit(3)


@app.command("plan")
def show_plan(
    file: File,
    out: Out = Path("out"),
    profile: Profile = None,
    only: Only = None,
    seeds: Seeds = None,
    settings: Settings = None,
    device: Device = "auto",
    no_share: NoShare = False,
    as_json: AsJson = False,
    measure: Annotated[
        bool, typer.Option("--measure", help="run a few steps of each distinct stage here: time, memory, disk")
    ] = False,
) -> None:
    """Show what would be made: runs, stages, which are shared, which exist, and the work. Trains nothing."""
    from study.plan import overview
    from study.running import measure as measuring

    _, plan, kind = _planned(file, profile, only, seeds, settings, device, no_share)
    store = store_of(out)
    measured = measuring.measure(plan, kind) if measure else None
    if as_json:
        print(json.dumps(overview.as_json(plan, store, measured), indent=1))
    else:
        overview.print_plan(plan, store, measured, Console())


@app.command()
def report(out: Annotated[Path, typer.Argument(help="the output folder")] = Path("out")) -> None:
    """Write the report again from what is stored."""
    Console().print(f"report: {_report(out)}", highlight=False, soft_wrap=True)


@app.command("describe")
def show_variant(
    variant: Annotated[str, typer.Argument(help="a variant of the study, such as proposed", metavar="VARIANT")],
    file: Annotated[Path, typer.Option("--study", help="the study file")] = Path("runs.yaml"),
    profile: Profile = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Show a method as it is built: its networks' layers, what they see and cost, beside the paper's own tables."""
    from study import config
    from study.inspection import describe

    study = config.load(file, profile=profile, settings=settings or ())
    if variant not in study.variants:
        raise BadInput(unknown(variant, study.variants, "no variant of this study"))
    described = describe.describe(study.variants[variant].options, study.image_size)
    if as_json:
        print(json.dumps({"variant": variant, **described}, indent=1))
    else:
        describe.print_networks(variant, described, Console(width=None if sys.stdout.isatty() else 100))


@app.command("check")
def check_plugin(
    file: Annotated[Path, typer.Argument(help="a plugin, such as my_method.py", metavar="PLUGIN")],
    as_json: AsJson = False,
) -> None:
    """Run the conformance suite over a plugin's parts, and explain what fails."""
    from dataclasses import asdict

    from study import conformance

    findings = conformance.plugin(file)
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        table = Table("part", "check", "", "why", box=None)
        for found in findings:
            style = {"fine": "green", "fault": "red"}.get(found.outcome, "dim")
            part = f"{found.registry}['{found.part}']"
            table.add_row(Text(part), found.check, Text(found.outcome, style=style), Text(found.why))
        console = Console(width=None if sys.stdout.isatty() else 120)
        console.print(table)
        counts = Counter(found.outcome for found in findings)
        told = f"{counts['fine']} fine, {counts['fault']} faults, {counts['not checked']} not checked"
        console.print(f"{file}: {len(findings)} checks: {told}", highlight=False, markup=False, soft_wrap=True)
    outcomes = {found.outcome for found in findings}
    if "fault" in outcomes or "fine" not in outcomes:
        raise typer.Exit(2)


def _planned(
    file: Path,
    profile: str | None,
    only: list[str] | None,
    seeds: str | None,
    settings: list[str] | None,
    device: str,
    no_share: bool,
) -> tuple[Study, Plan, str]:
    from study import config
    from study.plan import planner

    study = config.load(file, profile=profile, settings=settings or (), only=variants_of(only), seeds=seeds_of(seeds))
    kind = device_of(device)
    with looking():
        return study, planner.make_plan(study, device=kind, share=not no_share), kind


def _report(out: Path) -> Path:
    """Renders what an output folder holds; gives the page's file."""
    from reports.render import render
    from study.results.frames import load

    return render(load(out), out / "report")


def _summarise(console: Console, plan: Plan, store: Store, failed: dict[str, str], seconds: float) -> None:
    from study.store import RunState, read_json

    states = {run.name: RunState.of(store.out, run.name).read() for run in plan.runs}
    diverged = {name: state["why"] for name, state in states.items() if state.get("status") == "diverged"}
    for name, why in diverged.items():
        console.print(f"diverged: {name}: {why}", highlight=False, soft_wrap=True)
    for name, why in failed.items():
        console.print(f"[red]failed[/]: {name}: {why} (see {store.out / 'failures'})", highlight=False, soft_wrap=True)
    for name, entry in plan.study.data.items():
        file = store.folder(entry.stage) / "data.json"
        left_out = (read_json(file) or {}).get("left_out", [])
        for one in left_out[:LEFT_OUT_SHOWN]:
            console.print(f"left out of {name}: {one['name']}: {one['why']}", highlight=False, soft_wrap=True)
        if len(left_out) > LEFT_OUT_SHOWN:
            console.print(f"{len(left_out)} images in all are left out of {name}; {file} names them", highlight=False)
    warnings = Counter(
        warning.partition(" (")[0] for key in plan.stages for warning in store.outcome(key).get("warnings", [])
    )
    for warning, count in warnings.items():
        console.print(f"warning, in {count} stages: {warning}", highlight=False, soft_wrap=True)
    fine = sum(state.get("status") == "completed" for state in states.values())
    text = f"{fine} of {len(plan.runs)} runs completed, {len(diverged)} diverged, {len(failed)} failed"
    console.print(f"{text}, in {seconds:.0f} s", highlight=False)
