"""Searches: tune."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from study.cli.app import app
from study.cli.options import Device, File, Jobs, Out, Profile, Settings, device_of, jobs_of, store_of
from study.cli.terminal import command, heed_sigterm
from study.errors import BadInput, unknown

if TYPE_CHECKING:
    from study.config import Study
    from study.config.schema import Variant
    from study.store import Store


@app.command()
def tune(
    file: File,
    variant: Annotated[list[str] | None, typer.Option("--variant", help="what to tune; may be repeated")] = None,
    every: Annotated[bool, typer.Option("--all", help="tune each trained method, with equally many trials")] = False,
    trials: Annotated[
        int | None, typer.Option("--trials", min=1, help="how many in all, for each variant; else the study file says")
    ] = None,
    sampler: Annotated[str | None, typer.Option("--sampler", help="tpe, random, qmc, gp or cmaes")] = None,
    pruner: Annotated[str | None, typer.Option("--pruner", help="median, halving, hyperband or none")] = None,
    storage: Annotated[
        str | None, typer.Option("--storage", help="a database's URL, for many machines; else a file in the output")
    ] = None,
    out: Out = Path("out"),
    profile: Profile = None,
    settings: Settings = None,
    device: Device = "auto",
    jobs: Jobs = None,
) -> None:
    """Search the settings that the paper set by hand, on the validation images; several at once share a search."""
    from study import config
    from study.config import space

    heed_sigterm()
    chosen = [f"search.{key}={value}" for key, value in (("sampler", sampler), ("pruner", pruner)) if value]
    study = config.load(file, profile=profile, settings=[*(settings or ()), *chosen])
    console = Console()
    variants, left_out = space.candidates(study) if every else ([], [])
    for name in variant or ():
        if name not in study.variants:
            raise BadInput(f"--variant {name}: {unknown(name, study.variants, 'no variant of this study')}")
        variants += [study.variants[name]] if study.variants[name] not in variants else []
    if not variants:
        raise BadInput("; ".join(left_out) or "name what to tune: --variant proposed, or --all")
    for why in left_out:
        console.print(f"left out: {why}", highlight=False, soft_wrap=True)
    kind, store = device_of(device), store_of(out)
    _tuned(study, variants, store, kind, jobs or jobs_of(kind), trials or study.search.trials, storage, console)


def _tuned(
    study: Study,
    variants: list[Variant],
    store: Store,
    kind: str,
    jobs: int,
    trials: int,
    storage: str | None,
    console: Console,
) -> None:
    """One search after another, with one set of workers; exits with 3 or 130 where one did not come to its end."""
    from study.running.executors import Kept, Local
    from study.running.locks import searching
    from study.search.progress import SearchDisplay
    from study.search.tune import Tuner

    executor = Kept(Local(store.out, store.out / "plan.json", jobs=jobs, device=kind), jobs)
    parallel = max(1, jobs // len(study.search.seeds))
    with searching(store.out) as worker:
        try:
            for variant in variants:
                tuner = Tuner(
                    study, variant, store, worker=worker, device=kind, trials=trials, parallel=parallel, storage=storage
                )
                done = min(trials, tuner.finished())
                space = ", ".join(tuner.space)
                text = f"{variant.name}, on {kind}: {done} of {trials} trials are there; searched: {space}"
                console.print(text, highlight=False, soft_wrap=True)
                display = SearchDisplay(console, variant.name, done, trials)
                tuner.told = display.told
                try:
                    found = tuner.run(executor)
                finally:
                    display.close()
                if found.interrupted or found.failed:
                    why = "interrupted" if found.interrupted else f"[red]failed[/]: {found.failed}"
                    text = f"{why}; nothing is lost. Go on with:  {command()}"
                    console.print(text, highlight=False, soft_wrap=True)
                    raise typer.Exit(130 if found.interrupted else 3)
                if found.best is None:
                    console.print(f"{variant.name}: no trial was completed", highlight=False)
                    continue
                usual = ", the usual setting" if found.best["usual"] else ""
                console.print(
                    f"best of {variant.name}: trial {found.best['number']}{usual}, {found.best['value']:.2f} dB on "
                    f"the validation images; to run it with fresh seeds: include {found.file}",
                    highlight=False,
                    soft_wrap=True,
                )
        finally:
            executor.end()
