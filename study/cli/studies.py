"""The commands for studies and plugins: ``run``, ``plan``, ``report``, ``describe``, ``check``."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from study.cli import options
from study.cli.app import app
from study.cli.terminal import command, heed_sigterm, print_json, printer, reading_data, wide
from study.errors import BadInput, unknown

if TYPE_CHECKING:
    from study.config import Study
    from study.plan.graph import Plan
    from study.store import Store

SKIPPED_SHOWN = 10


@app.command()
def run(
    file: options.File,
    out: options.Out = Path("out"),
    profile: options.Profile = None,
    only: options.Only = None,
    seeds: options.Seeds = None,
    settings: options.Settings = None,
    device: options.Device = "auto",
    jobs: options.Jobs = None,
    executor_name: options.ExecutorName = "local",
    no_share: options.NoShare = False,
) -> None:
    """Run a study: train what is missing, evaluate, and write the report."""
    from study.running import driver
    from study.running.locks import output_lock
    from study.running.progress import Display
    from study.running.runs import settle_all

    heed_sigterm()
    study, plan, kind = _planned(file, profile, only, seeds, settings, device, no_share)
    console, store, started = Console(), options.store_of(out), time.monotonic()
    say = printer(console)
    executor = options.executor_of(executor_name, out, jobs=jobs, device=kind)
    with output_lock(out):
        for damage in driver.check(plan, store):
            say(f"damaged: {damage}; it is set aside in {out / 'damaged'} and made again")
        settle_all(out)
        plan = replace(plan, study=plan.study.model_copy(update={"command": command()}))
        saved = plan.save(out)
        waiting = driver.tasks(plan, store, saved)
        known = len(plan.stages) - len({key for task in waiting for key in task.keys})
        text = f"{len(plan.runs)} runs, {len(plan.stages)} stages, {known} already done"
        say(f"{study.name}, profile {study.profile or 'none'}, on {kind}: {text}")
        if waiting:
            with Display(plan, store, waiting, console) as display, executor:
                summary = driver.drive(store, executor, waiting, on_event=display.on_event, on_tick=display.on_tick)
        else:
            summary = driver.Summary()
        if summary.interrupted:
            say(f"interrupted; nothing is lost. Go on with:  {plan.study.command}")
            raise typer.Exit(130)
        page = _report(out)
    _summarise(say, plan, store, summary.failed, time.monotonic() - started)
    say(f"report: {page}")
    if summary.failed:
        raise typer.Exit(3)


@app.command("plan")
def show_plan(
    file: options.File,
    out: options.Out = Path("out"),
    profile: options.Profile = None,
    only: options.Only = None,
    seeds: options.Seeds = None,
    settings: options.Settings = None,
    device: options.Device = "auto",
    no_share: options.NoShare = False,
    as_json: options.AsJson = False,
    measure: Annotated[
        bool, typer.Option("--measure", help="Run a few steps of each stage to estimate time, memory and disk.")
    ] = False,
) -> None:
    """Show what a study would train: runs, stages, what is shared or done, and the cost. Trains nothing."""
    from study.plan import overview
    from study.running import measure as measuring

    _, plan, kind = _planned(file, profile, only, seeds, settings, device, no_share)
    store = options.store_of(out)
    measured = measuring.measure(plan, kind) if measure else None
    if as_json:
        print_json(overview.as_json(plan, store, measured))
    else:
        overview.print_plan(plan, store, measured, Console())


@app.command()
def report(out: Annotated[Path, typer.Argument(help="Output folder.")] = Path("out")) -> None:
    """Rebuild the report from the stored results."""
    printer()(f"report: {_report(out)}")


@app.command("describe")
def show_variant(
    variant: Annotated[str, typer.Argument(help="Variant of the study, such as proposed.", metavar="VARIANT")],
    file: Annotated[Path, typer.Option("--study", help="Study file.")] = Path("runs.yaml"),
    profile: options.Profile = None,
    settings: options.Settings = None,
    as_json: options.AsJson = False,
) -> None:
    """Show a method's networks: layers, receptive fields and cost, next to the paper's tables."""
    from study import config
    from study.inspection import describe

    study = config.load(file, profile=profile, settings=settings or ())
    if variant not in study.variants:
        raise BadInput(unknown(variant, study.variants, "not a variant of this study"))
    described = describe.describe(study.variants[variant].options, study.image_size)
    if as_json:
        print_json({"variant": variant, **described})
    else:
        describe.print_networks(variant, described, wide(100))


@app.command("check")
def check_plugin(
    file: Annotated[Path, typer.Argument(help="Plugin, such as my_method.py.", metavar="PLUGIN")],
    as_json: options.AsJson = False,
) -> None:
    """Check that a plugin's parts conform, and explain what fails."""
    from dataclasses import asdict

    from study import conformance

    findings = conformance.plugin(file)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        table = Table("part", "check", "", "why", box=None)
        for found in findings:
            style = {"fine": "green", "fault": "red"}.get(found.outcome, "dim")
            part = f"{found.registry}['{found.part}']"
            table.add_row(Text(part), found.check, Text(found.outcome, style=style), Text(found.why))
        console = wide()
        console.print(table)
        counts = Counter(found.outcome for found in findings)
        total = f"{counts['fine']} fine, {counts['fault']} faults, {counts['not checked']} not checked"
        printer(console)(f"{file}: {len(findings)} checks: {total}")
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
    """The study of a file and options, its plan, and the kind of device."""
    from study import config
    from study.plan import planner

    study = config.load(
        file, profile=profile, settings=settings or (), only=options.variants_of(only), seeds=options.seeds_of(seeds)
    )
    kind = options.device_of(device)
    with reading_data():
        return study, planner.make_plan(study, device=kind, share=not no_share), kind


def _report(out: Path) -> Path:
    """Renders the report of an output folder. Returns the file of its page."""
    from reports.render import render
    from study.results.frames import load

    return render(load(out), out / "report")


def _summarise(say: Callable[[str], None], plan: Plan, store: Store, failed: dict[str, str], seconds: float) -> None:
    """Prints runs that diverged or failed, skipped images, warnings and totals."""
    from study.store import RunState, read_json

    states = {run.name: RunState.of(store.out, run.name).read() for run in plan.runs}
    diverged = {name: state["why"] for name, state in states.items() if state.get("status") == "diverged"}
    for name, why in diverged.items():
        say(f"diverged: {name}: {why}")
    for name, why in failed.items():
        say(f"failed: {name}: {why} (see {store.out / 'failures'})")
    for name, entry in plan.study.data.items():
        file = store.folder(entry.stage) / "data.json"
        left_out = (read_json(file) or {}).get("left_out", [])
        for one in left_out[:SKIPPED_SHOWN]:
            say(f"skipped in {name}: {one['name']}: {one['why']}")
        if len(left_out) > SKIPPED_SHOWN:
            say(f"{len(left_out)} images of {name} are skipped in total, listed in {file}")
    warnings = Counter(
        warning.partition(" (")[0] for key in plan.stages for warning in store.outcome(key).get("warnings", [])
    )
    for warning, count in warnings.items():
        say(f"warning, in {count} stages: {warning}")
    fine = sum(state.get("status") == "completed" for state in states.values())
    text = f"{fine} of {len(plan.runs)} runs completed, {len(diverged)} diverged, {len(failed)} failed"
    say(f"{text}, in {seconds:.0f} s")
