"""The command that searches: tune."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from study.cli import options
from study.cli.app import app
from study.cli.terminal import command, heed_sigterm
from study.errors import BadInput, unknown
from study.search.trials import brief

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


@app.command()
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
) -> None:
    """Search the settings that the paper set by hand, on the validation images. Several processes share a search."""
    from rich.progress import TextColumn

    from study import config
    from study.config import space
    from study.running.locks import searching
    from study.running.progress import bars
    from study.search.tune import Tuner

    heed_sigterm()
    chosen = [f"search.{key}={value}" for key, value in (("sampler", sampler), ("pruner", pruner)) if value]
    study = config.load(file, profile=profile, settings=[*(settings or ()), *chosen])
    console = Console()
    say = partial(console.print, highlight=False, soft_wrap=True)
    variants, left_out = space.candidates(study) if every else ([], [])
    for name in variant or ():
        if name not in study.variants:
            raise BadInput(f"--variant {name}: {unknown(name, study.variants, 'not a variant of this study')}")
        variants += [study.variants[name]] if study.variants[name] not in variants else []
    if not variants:
        raise BadInput("; ".join(left_out) or "choose what to tune: --variant NAME, or --all")
    for why in left_out:
        say(f"left out: {why}")
    kind, store = options.device_of(device), options.store_of(out)
    jobs = jobs or options.jobs_of(kind)
    executor = options.executor_of(executor_name, store.out, jobs=jobs, device=kind)
    trials = trials or study.search.trials
    parallel = max(1, jobs // len(study.search.seeds))
    with searching(store.out) as worker, executor:
        for one in variants:
            tuner = Tuner(
                study, one, store, worker=worker, device=kind, trials=trials, parallel=parallel, storage=storage
            )
            done = min(trials, tuner.finished())
            searched = ", ".join(tuner.space)
            say(f"{one.name}, on {kind}: {done} of {trials} trials have ended; searching {searched}")
            with bars(console, TextColumn("{task.fields[best]}")) as bar:
                row = bar.add_task(one.name, total=trials, completed=done, best="")
                tuner.on_trial = partial(_show_trial, bar, row)
                result = tuner.run(executor)
            if result.interrupted or result.failed:
                why = "interrupted" if result.interrupted else f"[red]failed[/]: {result.failed}"
                say(f"{why}; nothing is lost. Go on with:  {command()}")
                raise typer.Exit(130 if result.interrupted else 3)
            if result.best is None:
                say(f"{one.name}: no trial was completed")
                continue
            usual = ", the study's own setting" if result.best["usual"] else ""
            say(
                f"best of {one.name}: trial {result.best['number']}{usual}, {result.best['value']:.2f} dB on "
                f"the validation images; to run it with fresh seeds: include {result.file}"
            )


def _show_trial(bar: Progress, row: TaskID, trial: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Prints a line about a trial that has ended, and updates the bar."""
    search = brief(state)
    best, done = search["best"], search["ended"]
    text = f"best so far {best['validation_psnr_db']:.2f} dB, trial {best['trial']}" if best else "none completed yet"
    value = f" {trial['value']:.2f} dB" if trial["value"] is not None else ""
    usual = ", the study's own setting" if trial["usual"] else ""
    why = f" ({trial['why']})" if trial["why"] else ""
    what = f"{state['variant']}, trial {trial['number']}{usual}: {trial['state']}{value}{why}"
    bar.console.print(f"{what}; {text}; {done} of {state['of']}", highlight=False, soft_wrap=True)
    bar.update(row, completed=done, best=text)
