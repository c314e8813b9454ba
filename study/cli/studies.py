"""The commands for studies and plugins: ``run``, ``plan``, ``report``, ``describe``, ``check``, ``tune``."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from study.cli import live, options
from study.cli.terminal import Screen, command, heed_signals, print_json, printer, wide
from study.errors import BadInput, hidden, unknown

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from study.config import Study
    from study.plan.graph import Plan
    from study.running.driver import Summary
    from study.running.executors import Event, Executor, Task
    from study.running.workers import Worker
    from study.store import Store

SKIPPED_SHOWN = 10


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
    executor_settings: options.ExecutorSettings = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="With an executor elsewhere: start its workers and return at once.")
    ] = False,
    no_share: options.NoShare = False,
    until_resolved: options.UntilResolved = False,
    claims: options.Claims = None,
    max_seeds: options.MaxSeeds = None,
    budget: options.Budget = None,
    report_every: options.ReportEvery = live.EVERY,
    rehearse: Annotated[
        bool,
        typer.Option(
            "--rehearsal/--no-rehearsal",
            help="Before a study of over two hours, train for some minutes; stop if critics explode.",
        ),
    ] = True,
) -> None:
    """Run a study: train what is missing, evaluate, write the report."""
    from study.cli import cards, rehearsal, until
    from study.running import driver
    from study.running.record import contact
    from study.running.states import settle_all
    from study.running.workers import workers, working

    heed_signals()
    started = time.monotonic()
    asked = until.request(until_resolved, claims, max_seeds, budget, options.seeds_of(seeds))
    most, every_s = asked.most if asked else None, live.every_s_of(report_every)
    where = options.executor_kind(executor_name)
    elsewhere = where.elsewhere
    if detach and not (where.outlives and asked is None):
        raise BadInput(
            "--detach: only with an executor whose workers stay (slurm, manual), and without --until-resolved"
        )
    study, plan, kind = planned(file, profile, only, seeds, settings, device, no_share, most, elsewhere)
    until.check_claims(claims, asked, plan.study)
    console, store = Screen(), options.store_of(out)
    say = printer(console)
    if elsewhere:
        jobs, rehearse = jobs or 1, False
    else:
        options.check_precision(study.numerics.precision, kind)
        jobs = cards.checked_jobs(plan, store, kind, jobs)
    executor = options.executor_of(executor_name, out, jobs=jobs, device=kind, settings=executor_settings)
    head = f"{study.name}, profile {study.profile or 'none'}, on {kind}"
    with working(out, "run") as worker:
        looks = until.looks_of(plan.study, out, asked)
        for damage in driver.check(plan, store):
            say(f"damaged: {damage}; it is set aside in {out / 'damaged'} and made again")
        settle_all(out)
        for line in contact(plan.study.observers, out):
            say(line)
        if rehearse:
            rehearsal.before_run(study, plan, store, kind, jobs, console)
        own = {"command": hidden(command()), **({"looks": looks} if looks else {})}
        plan = replace(plan, study=plan.study.model_copy(update=own))
        renewal = live.Renewal(out, every_s, say)
        make_it = partial(make, store=store, executor=executor, console=console, renewal=renewal, worker=worker)
        if detach:
            plan.save(out)
            for task in driver.tasks(plan, store):
                driver.forget_failure(out, task)
            say(f"{head}: {len(plan.runs)} runs; {executor.start()}")
            say(f"to start a worker:    {command('work', str(out))}")
            say(f"to see the progress:  {command('status', str(out))}")
            say(f"to stop them:         {command('stop', str(out))}")
            say(f"the report, any time: {command('report', str(out))}")
            return
        with executor, closing(renewal):
            if asked is None:
                known = len(plan.stages) - len({key for task in driver.tasks(plan, store) for key in task.keys})
                say(f"{head}: {len(plan.runs)} runs, {len(plan.stages)} stages, {known} already done")
                if looks:
                    say(f"{out} has looks from --until-resolved: they are kept, and outcomes have their levels")
                summary = make_it(plan)
            else:
                say(f"{head}: up to {len(study.seeds)} seeds each, in this order: {', '.join(map(str, study.seeds))}")
                plan, summary = until.until_resolved(plan, store, asked, make=make_it, say=say, workers=jobs)
        if summary.interrupted:
            say(f"interrupted; nothing is lost. Go on with:  {plan.study.command}")
            if others := len(workers(out).keys() - {worker.name}):
                say(f"{others} other processes go on here; to stop them:  {command('stop', str(out))}")
            if renewal.made:
                say(f"to bring the report up to date:  {command('report', str(out))}")
            raise typer.Exit(130)
        _summarise(say, plan, store, summary.failed, time.monotonic() - started)
        page, answer = _report(out)
    for line in [*answer, f"report: {page}"]:
        say(line)
    if summary.failed:
        raise typer.Exit(3)


def plan(
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
    power: Annotated[
        bool, typer.Option("--power", help="From the runs in --out: the seeds, and hours, that an answer would take.")
    ] = False,
    rehearse: Annotated[
        bool,
        typer.Option("--rehearse", help="Train for minutes at the true width: which critics sleep or explode."),
    ] = False,
    stages: Annotated[bool, typer.Option("--stages", help="List every stage with its key, too.")] = False,
    jobs: options.Jobs = None,
) -> None:
    """Show what a study would train, and its cost. EFLOP, hours by variant, what is shared or done; trains nothing."""
    from study.cli import cards
    from study.plan import overview

    modes = [name for name, on in (("--measure", measure), ("--power", power), ("--rehearse", rehearse)) if on]
    if len(modes) > 1:
        raise BadInput(f"{' and '.join(modes)}: each prints a table of its own; give one of them")
    study, plan, kind = planned(file, profile, only, seeds, settings, device, no_share)
    store = options.store_of(out)
    if power:
        from study.cli import power as seeds_for

        again = command("run", *(word for word in sys.argv[2:] if word not in ("--power", "--json")))
        table = seeds_for.power(plan, store, again=again, warn=printer(Screen(stderr=True)))
        if as_json:
            print_json(seeds_for.as_json(table))
        else:
            seeds_for.show(table, wide())
        return
    if rehearse:
        from study.cli import rehearsal

        heed_signals()
        chosen = [run.variant for run in plan.runs] if only else None
        table = rehearsal.rehearse(rehearsal.short_plan(study, plan, kind, chosen), kind, jobs or options.jobs_of(kind))
        if as_json:
            print_json(table.astype(object).where(table.notna(), None).to_dict("records"))
        else:
            rehearsal.show(table, wide())
        return
    here, measured = cards.here_of(plan, kind, jobs), None
    if measure:
        from study.running import costs, driver
        from study.running.measure import measure as measure_stages

        found = measure_stages(plan, kind)
        each = {key: cost.total_s for key, cost in found.items()}
        left_s = costs.makespan_s(driver.tasks(plan, store), each, jobs or here.workers)
        measured = overview.Measured(found, left_s)
    if as_json:
        print_json(overview.as_json(plan, store, here, measured))
    else:
        overview.print_plan(plan, store, here, measured, wide(100), stages=stages)


def report(
    out: Annotated[Path, typer.Argument(help="Output folder.")] = Path("out"),
    watch: Annotated[bool, typer.Option("--watch", help="Renew it each minute until the running study ends.")] = False,
) -> None:
    """Rebuild the report from the stored results."""
    heed_signals()
    if watch:
        live.watch(out, _report, printer())
    else:
        page, answer = _report(out)
        for line in [*answer, f"report: {page}"]:
            printer()(line)


def describe(
    variant: Annotated[str, typer.Argument(help="Variant of the study, such as proposed.", metavar="VARIANT")],
    file: Annotated[Path, typer.Option("--study", help="Study file.")] = Path("runs.yaml"),
    profile: options.Profile = None,
    settings: options.Settings = None,
    as_json: options.AsJson = False,
) -> None:
    """Show a method's networks next to the paper's tables. Layers, receptive fields and cost."""
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


def check(
    file: Annotated[Path, typer.Argument(help="Plugin, such as my_method.py.", metavar="PLUGIN")],
    as_json: options.AsJson = False,
) -> None:
    """Check that a plugin's parts conform, and explain what fails."""
    from dataclasses import asdict

    from study import conformance

    findings = conformance.plugin(file)
    counts = Counter(found.outcome for found in findings)
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
        total = f"{counts['fine']} fine, {counts['fault']} faults, {counts['not checked']} not checked"
        printer(console)(f"{file}: {len(findings)} checks: {total}")
    if counts["fault"] or not counts["fine"]:
        raise typer.Exit(2)


def tune(
    file: options.File,
    variant: Annotated[list[str] | None, typer.Option("--variant", help="a variant to tune; may be repeated")] = None,
    every: Annotated[bool, typer.Option("--all", help="tune every trained method, with equally many trials")] = False,
    trials: Annotated[
        int | None, typer.Option("--trials", min=1, help="trials per variant; default: the study file's")
    ] = None,
    sampler: Annotated[str | None, typer.Option("--sampler", help="tpe, random, qmc, gp or cmaes")] = None,
    pruner: Annotated[str | None, typer.Option("--pruner", help="median, halving, hyperband or none")] = None,
    storage: Annotated[
        str | None, typer.Option("--storage", help="a database URL, to share a search between machines")
    ] = None,
    out: options.Out = Path("out"),
    profile: options.Profile = None,
    settings: options.Settings = None,
    device: options.Device = "auto",
    jobs: options.Jobs = None,
    executor_name: options.ExecutorName = "local",
    executor_settings: options.ExecutorSettings = None,
) -> None:
    """Search the settings that the paper set by hand. It scores validation images. Several processes share a search."""
    from rich.progress import TextColumn

    from study import config
    from study.config import paths, space
    from study.running.progress import bars
    from study.running.record import contact
    from study.running.workers import working
    from study.search.tune import Tuner

    heed_signals()
    chosen = [f"search.{key}={value}" for key, value in (("sampler", sampler), ("pruner", pruner)) if value]
    study = config.load(file, profile=profile, settings=[*(settings or ()), *chosen])
    console = Screen()
    say = printer(console)
    variants, left_out = space.candidates(study) if every else ([], [])
    for name in variant or ():
        if name not in study.variants:
            raise BadInput(f"--variant {name}: {unknown(name, study.variants, 'not a variant of this study')}")
        variants += [study.variants[name]] if study.variants[name] not in variants else []
    if not variants:
        raise BadInput("; ".join(left_out) or "choose what to tune: --variant NAME, or --all")
    for why in left_out:
        say(f"left out: {why}")
    elsewhere = options.executor_kind(executor_name).elsewhere
    kind, store = options.device_of(device, elsewhere=elsewhere), options.store_of(out)
    if not elsewhere:
        options.check_precision(study.numerics.precision, kind)
    jobs = jobs or (1 if elsewhere else options.jobs_of(kind))
    executor = options.executor_of(executor_name, store.out, jobs=jobs, device=kind, settings=executor_settings)
    trials = trials or study.search.trials
    parallel = max(1, jobs // len(study.search.seeds))
    with working(store.out, "tune") as worker, executor:
        for line in contact(study.described_observers(), store.out):
            say(line)
        for one in variants:
            tuner = Tuner(
                study, one, store, worker=worker, device=kind, trials=trials, parallel=parallel, storage=storage
            )
            if tuner.damage:
                say(f"damaged: {tuner.damage}")
            done = min(trials, tuner.finished())
            searched = ", ".join(tuner.space)
            say(f"{one.name}, on {kind}: {done} of {trials} trials have ended; searching {searched}")
            with bars(console, TextColumn("{task.fields[best]}", markup=False)) as bar:
                row = bar.add_task(one.name, total=trials, completed=done, best="")
                tuner.on_trial = partial(_show_trial, bar, row)
                result = tuner.run(executor)
            if result.interrupted or result.failed:
                why = "interrupted" if result.interrupted else f"failed: {result.failed}"
                say(f"{why}; nothing is lost. Go on with:  {command()}")
                raise typer.Exit(130 if result.interrupted else 3)
            if result.best is None:
                say(f"{one.name}: no trial was completed")
                continue
            usual = ", the study's own setting" if result.best["usual"] else ""
            best = f"trial {result.best['number']}{usual}, {result.best['value']:.2f} dB on the validation images"
            include = f"include: [{paths.seen_from(file, result.file)}]" if result.file else ""
            say(
                f"best of {one.name}: {best}"
                + (f"; to run it with fresh seeds, add to {file}: {include}" if include else "")
            )


def _show_trial(bar: Progress, row: TaskID, trial: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Prints a line about a trial that has ended, and updates the bar."""
    from study.search.trials import brief

    search = brief(state)
    best, done = search["best"], search["ended"]
    text = f"best so far {best['validation_psnr_db']:.2f} dB, trial {best['trial']}" if best else "none completed yet"
    value = f" {trial['value']:.2f} dB" if trial["value"] is not None else ""
    usual = ", the study's own setting" if trial["usual"] else ""
    why = f" ({trial['why']})" if trial["why"] else ""
    what = f"{state['variant']}, trial {trial['number']}{usual}: {trial['state']}{value}{why}"
    bar.console.print(f"{what}; {text}; {done} of {state['of']}", soft_wrap=True)
    bar.update(row, completed=done, best=text)


def planned(
    file: Path,
    profile: str | None,
    only: list[str] | None,
    seeds: str | None,
    settings: list[str] | None,
    device: str,
    no_share: bool,
    most: int | None = None,
    elsewhere: bool = False,
) -> tuple[Study, Plan, str]:
    """The study of a file and options, its plan, and the kind of device. ``most``: with as many seeds."""
    import torch

    from study import config
    from study.plan import planner

    torch.set_num_threads(1)  # a plan computes little, and on a busy machine threads wait for each other
    study = config.load(
        file, profile=profile, settings=settings or (), only=options.variants_of(only), seeds=options.seeds_of(seeds)
    )
    if most is not None:
        from study.cli import until

        study = until.with_seeds(study, most)
    kind = options.device_of(device, elsewhere=elsewhere)
    with Screen(stderr=True).status("reading the data; the first time this reads every image"):
        plan = planner.make_plan(study, device=kind, share=not no_share)
    for note in plan.study.notes:
        typer.echo(note, err=True)
    return study, plan, kind


def make(
    plan: Plan,
    *,
    store: Store,
    executor: Executor,
    console: Console,
    renewal: live.Renewal | None = None,
    worker: Worker | None = None,
    more: Callable[[], Iterable[Task]] = tuple,
    stopping: Callable[[], bool] = lambda: False,
    helping: bool = False,
) -> Summary:
    """Makes what a plan lacks, and shows the progress. Saves the plan as the most recent study.

    Args:
        worker: this process, which may be asked to stop.
        more, stopping: as in ``study.running.driver.drive``.
        helping: True if another process began the study. Then what has failed is not tried again.
    """
    from study.running import driver
    from study.running.progress import Display

    file = plan.save(store.out, recent=not helping)
    waiting = driver.tasks(plan, store, file)
    if worker:
        worker.tell(plans=[file.name])
    if not waiting and more is tuple:
        return driver.Summary()
    names = {task.run for task in waiting}
    if renewal:
        renewal.wait_for([run.name for run in driver.first_runs(plan) if run.name in names])
    with Display(plan, store, waiting, console, worker) as display:

        def on_event(event: Event) -> None:
            display.on_event(event)
            if renewal:
                renewal.on_event(event)

        def on_tick(running: list[Task]) -> None:
            display.on_tick(running)
            if renewal:
                renewal.on_tick()

        return driver.drive(
            store,
            executor,
            waiting,
            on_event=on_event,
            on_tick=on_tick,
            more=more,
            stopping=lambda: stopping() or bool(worker and worker.stopped),
            again=not helping,
        )


def _report(out: Path) -> tuple[Path, list[str]]:
    """Renders the report of an output folder. Returns the file of its page, and the answer in a few lines.

    Waits if another process renders it.
    """
    from reports.render import render
    from study.cli.outcomes import in_short
    from study.results.frames import load
    from study.results.own import own_sections

    load(out)  # says what is wrong with the folder before a file is written there
    with options.store_of(out).leases.lock("report"):
        results = load(out)
        return render(results, out / "report", own_sections(out)), in_short(results)


def _summarise(say: Callable[[str], None], plan: Plan, store: Store, failed: dict[str, str], seconds: float) -> None:
    """Prints runs that diverged or failed, skipped images, warnings and totals."""
    from study.store import RunState

    states = {run.name: RunState.of(store.out, run.name).read() for run in plan.runs}
    diverged = {name: state.get("why", "") for name, state in states.items() if state.get("status") == "diverged"}
    for name, why in diverged.items():
        say(f"diverged: {name}: {why}")
    for name, why in failed.items():
        say(f"failed: {name}: {why} (see {store.out / 'failures'})")
    lost: dict[str, list[str]] = {}
    for state in states.values():
        for name, why in state.get("lost", {}).items():
            lost.setdefault(name, []).append(why)
    for name, reasons in lost.items():
        say(f"not recorded by {name}: {len(reasons)} of {len(plan.runs)} runs: {reasons[-1]}")
    for name, entry in plan.study.data.items():
        file = store.folder(entry.stage) / "data.json"
        packed = store.recorded(entry.stage, file.name)
        for note in packed.get("notes", []):
            say(f"note on {name}: {note}")
        left_out = packed.get("left_out", [])
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
    text = f"{fine} of {len(plan.runs)} runs completed, {len(diverged)} diverged, {len(failed.keys() & states)} failed"
    say(f"{text}, in {seconds:.0f} s")
