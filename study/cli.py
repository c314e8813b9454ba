"""The command line: thin. Exit codes: 0 fine, 1 error, 2 bad input, 3 some runs failed, 130 interrupted."""

from __future__ import annotations

import errno
import json
import os
import shlex
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from study.errors import BadInput, Interrupted, StudyError, unknown

if TYPE_CHECKING:
    from study.configuration import Variant
    from study.plan import Plan
    from study.spec import Study
    from study.store import Store

app = typer.Typer(
    help="Trains a paper's model, its baselines and its ablations, and reports what came of it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

data_app = typer.Typer(help="Data sets: pack them, look at them, hand them out.", no_args_is_help=True)
app.add_typer(data_app, name="data")

MOST_SEEDS = 1000

File = Annotated[Path, typer.Argument(help="the study file, such as runs.yaml", metavar="STUDY")]
Out = Annotated[Path, typer.Option("--out", help="the folder for all that is made")]
Profile = Annotated[str | None, typer.Option("--profile", help="a profile of the study file, such as paper")]
Only = Annotated[list[str] | None, typer.Option("--only", help="variants to run, by name or pattern; may be repeated")]
Seeds = Annotated[str | None, typer.Option("--seeds", help="seeds instead of the file's: 0,1,2 or 0-9")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="path.to.key=value, laid over the file; may be repeated")
]
Device = Annotated[str, typer.Option("--device", help="cpu, cuda, or auto: cuda where there is one")]
Jobs = Annotated[int | None, typer.Option("--jobs", min=1, help="worker processes; default: one a core, or one a GPU")]
NoShare = Annotated[bool, typer.Option("--no-share", help="make every run's stages for itself: the same bytes, later")]
AsJson = Annotated[bool, typer.Option("--json", help="for programs")]


LEFT_OUT_SHOWN = 10

CLAIMS_LEGEND = (
    "A claim needs all of its links; the one that decides stands first. supported: the interval lies beyond zero as "
    "claimed; opposed: on the other side; negligible: the 90% interval lies within the margin; else unresolved, and "
    "under three seeds always. An effect is the first less the second; resolvable: the least that this n would tell "
    "from none. Below an outcome stands its scope: but for 'paper' it speaks of this study alone."
)


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
    from study import driver
    from study.executors import Local
    from study.progress import Display

    signal.signal(signal.SIGTERM, _interrupt)
    study, plan, kind = _planned(file, profile, only, seeds, settings, device, no_share)
    console = Console()
    store = _store(out)
    started = time.monotonic()
    with driver.OutputLock(out):
        for damage in driver.check(plan, store):
            console.print(f"[yellow]damaged[/] {damage}; it is set aside in {out / 'damaged'} and made again")
        driver.settle_stale(out)
        plan.study["command"] = f"{_python()} -m study {shlex.join(sys.argv[1:])}"
        saved = plan.save(out)
        waiting = driver.tasks(plan, store)
        known = len(plan.stages) - len({key for task in waiting for key in task.keys})
        text = f"{len(plan.runs)} runs, {len(plan.stages)} stages, {known} of them there already"
        console.print(
            f"{study.name}, profile {study.profile or 'none'}, on {kind}: {text}", highlight=False, soft_wrap=True
        )
        if waiting:
            executor = Local(out, saved, jobs=jobs or _jobs(kind), device=kind)
            with Display(plan, store, waiting, console) as display:
                summary = driver.drive(plan, store, executor, waiting, told=display.told, tick=display.tick)
        else:
            summary = driver.Summary()
        if summary.interrupted:
            console.print(
                f"interrupted; nothing is lost. Go on with:  {plan.study['command']}", highlight=False, soft_wrap=True
            )
            raise typer.Exit(130)
        page = _report(out)
    _summarise(console, plan, store, summary.failed, time.monotonic() - started)
    console.print(f"report: {page}", highlight=False, soft_wrap=True)
    if summary.failed:
        raise typer.Exit(3)


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
    from study import search, spec

    signal.signal(signal.SIGTERM, _interrupt)
    chosen = [f"search.{key}={value}" for key, value in (("sampler", sampler), ("pruner", pruner)) if value]
    study = spec.load(file, profile=profile, settings=[*(settings or ()), *chosen])
    console = Console()
    variants, left_out = search.candidates(study) if every else ([], [])
    for name in variant or ():
        if name not in study.variants:
            raise BadInput(f"--variant {name}: {unknown(name, study.variants, 'no variant of this study')}")
        variants += [study.variants[name]] if study.variants[name] not in variants else []
    if not variants:
        raise BadInput("; ".join(left_out) or "name what to tune: --variant proposed, or --all")
    for why in left_out:
        console.print(f"left out: {why}", highlight=False, soft_wrap=True)
    kind, store = _device(device), _store(out)
    _tuned(study, variants, store, kind, jobs or _jobs(kind), trials or study.search.trials, storage, console)


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
    from study import overview

    _, plan, kind = _planned(file, profile, only, seeds, settings, device, no_share)
    store = _store(out)
    measured = overview.measure(plan, kind) if measure else None
    if as_json:
        print(json.dumps(overview.as_json(plan, store, measured), indent=1))
    else:
        overview.show(plan, store, measured, Console())


@app.command("describe")
def show_variant(
    variant: Annotated[str, typer.Argument(help="a variant of the study, such as proposed", metavar="VARIANT")],
    file: Annotated[Path, typer.Option("--study", help="the study file")] = Path("runs.yaml"),
    profile: Profile = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Show a method as it is built: its networks' layers, what they see and cost, beside the paper's own tables."""
    from study import describe, spec

    study = spec.load(file, profile=profile, settings=settings or ())
    if variant not in study.variants:
        raise BadInput(unknown(variant, study.variants, "no variant of this study"))
    described = describe.describe(study.variants[variant].options, study.image_size)
    if as_json:
        print(json.dumps({"variant": variant, **described}, indent=1))
    else:
        describe.show(variant, described, Console(width=None if sys.stdout.isatty() else 100))


@app.command()
def status(
    out: Annotated[Path, typer.Argument(help="the output folder")] = Path("out"), as_json: AsJson = False
) -> None:
    """Tell how far a study is, from another terminal or later."""
    from study import external, progress
    from study.plan import Plan
    from study.store import RunState, Store
    from study.trials import brief, states, workers

    plan = Plan.read(out / "plan.json")
    searches = {state["variant"]: brief(state) for state in states(out)}
    searching = len(workers(out))
    if plan is None and searches and not as_json:
        _show_searches(Console(), searches, searching)
        return
    if plan is None and searches:
        print(json.dumps({"running": False, "searching": searching, "searches": searches}, indent=1))
        return
    if plan is None:
        raise BadInput(f"{out}: there is no study here; start one with: python -m study run runs.yaml --out {out}")
    store, live = Store(out), progress.read(out)
    known = {run.name: RunState.of(out, run.name).read() for run in plan.runs}
    running = bool(live) and not live["over"] and _alive(live["pid"])
    words = {run.name: RunState.word(known[run.name], store.has(run.stages["evaluate"]), running) for run in plan.runs}
    counts = Counter(words.values())
    made = sum(store.has(key) for key in plan.stages)
    others = external.found(out, plan)
    facts = {
        "running": running,
        "stages": [made, len(plan.stages)],
        "runs": counts,
        "done": live.get("done") if running else None,
        "left_s": live.get("left_s") if running else None,
        "now": live.get("running", []) if running else [],
        "failed": {name: state.get("why", "") for name, state in known.items() if state.get("status") == "failed"},
        "diverged": {name: state.get("why", "") for name, state in known.items() if state.get("status") == "diverged"},
        "external": {one.run: one.why or "completed" for one in others},
        "searching": searching,
        "searches": searches,
    }
    if as_json:
        print(json.dumps(facts, indent=1))
        return
    console = Console()
    table = Table("run", "status", "why", "record", box=None)
    for name, state in known.items():
        table.add_row(name, words[name], state.get("why", ""), state.get("record", ""))
    for one in others:
        table.add_row(one.run, "missing" if one.why else "completed", one.why or "scored from files", "")
    console.print(table)
    text = ", ".join(f"{count} {word}" for word, count in sorted(counts.items()))
    console.print(f"{made}/{len(plan.stages)} stages; runs: {text}", highlight=False)
    if running:
        console.print(
            f"running: {live['done']:.0%} of this start's work, {progress.left(live['left_s'])}", highlight=False
        )
        for name in live["running"]:
            console.print(f"  {name}", highlight=False)
    else:
        console.print("nothing is running here", highlight=False)
    if searches:
        _show_searches(console, searches, searching)


@app.command()
def claims(
    out: Annotated[Path, typer.Argument(help="the output folder")] = Path("out"), as_json: AsJson = False
) -> None:
    """Tell what came of each of the paper's claims, and on what that rests."""
    from reports.claims import claims_table
    from study.results import load

    results = load(out)
    table = claims_table(results)
    if as_json:
        rows = table.astype(object).where(table.notna(), None).to_dict("records")
        print(json.dumps(rows, indent=1, allow_nan=False))
        return
    _show_claims(table.to_dict("records"), results.study)


@app.command("diff")
def show_diff(
    a: Annotated[Path, typer.Argument(help="an output folder", metavar="OUT-A")],
    b: Annotated[Path, typer.Argument(help="the one that it is compared with", metavar="OUT-B")],
    as_json: AsJson = False,
) -> None:
    """Tell what changed from one output to another: configuration, code, data, stages, effects and claims."""
    from study import diff, show_diff

    found = diff.diff(a, b)
    if as_json:
        print(json.dumps(found, indent=1, allow_nan=False))
    else:
        show_diff.show(found, Console(width=None if sys.stdout.isatty() else 120))


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
    if any(found.outcome == "fault" for found in findings):
        raise typer.Exit(2)


@app.command()
def report(out: Annotated[Path, typer.Argument(help="the output folder")] = Path("out")) -> None:
    """Write the report again from what is stored."""
    Console().print(f"report: {_report(out)}", highlight=False, soft_wrap=True)


DataName = Annotated[str, typer.Argument(help="a data set of the study", metavar="NAME")]


@data_app.command("pack")
def pack_data(
    file: File, name: DataName, out: Out = Path("out"), profile: Profile = None, settings: Settings = None
) -> None:
    """Read a data set's images once, into the form that training reads; `run` does it by itself."""
    folder = _prepared(file, name, out, profile, settings, Console())[1]
    Console().print(f"packed: {folder}", highlight=False, soft_wrap=True)


@data_app.command("show")
def show_data(
    file: File,
    name: DataName,
    out: Out = Path("out"),
    profile: Profile = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Show a data set: counts, sizes, what was left out and why, duplicates between its parts, and a contact sheet."""
    from study.data import show

    study, folder = _prepared(file, name, out, profile, settings, Console(stderr=as_json))
    about = {key: getattr(study.data[name], key) for key in ("kind", "like", "licence")}
    sheet = show.sheet(folder, out / "data" / f"{name}.png")
    with Console(stderr=True).status("comparing the parts"):
        facts = show.facts(folder)
    found = {"name": name, **about, "folder": str(folder), **facts, "sheet": str(sheet)}
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        show.show(found, Console(width=None if sys.stdout.isatty() else 120))


@data_app.command("write")
def write_data(
    out: Annotated[Path, typer.Argument(help="the output folder of a study", metavar="OUT")],
    folder: Annotated[Path, typer.Argument(help="the folder to write, which is not there yet", metavar="DIR")],
    data: Annotated[str | None, typer.Option("--data", help="a data set of the study, where it has several")] = None,
) -> None:
    """Write a study's test images with their holes as PNG, for a method that cannot be run here."""
    from study.handout import hand_out

    told = _teller()
    with _heard() as heard:
        name, names = hand_out(out, folder, data, heard=heard)
    what = "truth, mask (white is the hole), masked (black there)"
    told(f"written: {len(names)} test images of {name} in {folder}: {what}")
    told(f"repair {folder / 'masked'} by {folder / 'mask'}, under the same names, in a folder of their own; then:")
    command = ["score", "--output", "REPAIRED", "--into", str(out), "--as", "NAME", "--seed", "0", "--data", name]
    told(f"  {_python()} -m study {shlex.join(command)}")


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
    from study.score import Asked, score

    asked = Asked(output, truth, mask, center, hole, partial, perceptual)
    if into is None and any(value is not None for value in (named, seed, data)):
        raise BadInput("--as, --seed and --data: they say as what the rows join a study; name it with --into OUT")
    if into is not None and perceptual is not None:
        raise BadInput("--perceptual: beside --into the study file says it, protocol.perceptual")
    if into is not None and named is None:
        raise BadInput("--into: say with --as NAME how the study is to call the method")
    kind = _device(device)
    with _heard() as heard:
        if into is None or named is None:
            found, last = score(asked, device=kind, heard=heard), ""
        else:
            from study.joining import Joining, score_into

            found = score_into(asked, Joining(into, named, seed, data), device=kind, heard=heard)
            what = "replaced" if found.about["replaced"] else "joined"
            last = (
                f"{what}: {found.about['run']} in {into}; the report shows it after: {_python()} -m study report {into}"
            )
    if as_json:
        print(json.dumps(found.as_json(), indent=1, allow_nan=False))
        return
    found.show(Console(width=None if sys.stdout.isatty() else 120))
    if last:
        _teller()(last)


RunName = Annotated[
    str, typer.Argument(help="a completed run: VARIANT, or VARIANT/DATA/SEED in whole or part", metavar="RUN")
]


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
    from study.finished import Finished
    from study.inpaint import repair_files, where

    kind, told = _device(device), _teller()
    finished = Finished.find(out, named)
    told(f"{finished.run.name}, {finished.image_size} px, on {kind}")
    repair_files(
        finished, images, to, where(mask, box, hole), device=kind, told=told, blended=not no_blend, least=window
    )


@app.command("export")
def export_model(
    named: RunName,
    folder: Annotated[Path, typer.Argument(help="the folder to write", metavar="DIR")],
    out: Out = Path("out"),
) -> None:
    """Write a run's generator as safetensors, with a model card, and an example that loads it."""
    from study.export import export
    from study.finished import Finished

    told = _teller()
    finished = Finished.find(out, named)
    told(f"{finished.run.name}, {finished.image_size} px")
    for file in export(finished, folder):
        told(f"written: {file}")


def main() -> None:
    """Runs the command line; turns our errors into a sentence and an exit code. STUDY_TRACEBACK=1 shows the rest."""
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except typer.Exit as stop:
        sys.exit(stop.exit_code)
    except (KeyboardInterrupt, Interrupted, typer.Abort):
        sys.exit(130)
    except StudyError as error:
        if os.environ.get("STUDY_TRACEBACK"):
            raise
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        if os.environ.get("STUDY_TRACEBACK"):
            raise
        print(f"{error.filename}: {error.strerror}; is this the folder that you mean (--out)?", file=sys.stderr)
        sys.exit(2 if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM) else 1)
    except Exception as error:
        if os.environ.get("STUDY_TRACEBACK"):
            raise
        show = getattr(error, "show", None)
        if show is not None:  # click's own: a wrong option
            show()
            sys.exit(getattr(error, "exit_code", 2))
        sys.exit(_unforeseen(error))


def _unforeseen(error: Exception) -> int:
    """Tells an error that is not ours, where a plugin raised it with its line; gives the exit code."""
    from study import plugins

    text = f"{type(error).__name__}: {error}"
    if place := plugins.place_of(error):
        print(f"{place}: {text}\n(STUDY_TRACEBACK=1 shows the way there)", file=sys.stderr)
        return 2
    print(f"error: {text}\n(STUDY_TRACEBACK=1 shows where)", file=sys.stderr)
    for plugin in plugins.used():
        told = "tells whether its parts are as they have to be"
        print(f"{plugin.file} takes part: python -m study check {plugin.file.name} {told}", file=sys.stderr)
    return 1


# -- helpers -----------------------------------------------------------------------------------------------


def _planned(
    file: Path,
    profile: str | None,
    only: list[str] | None,
    seeds: str | None,
    settings: list[str] | None,
    device: str,
    no_share: bool,
) -> tuple[Study, Plan, str]:
    from study import planner, spec

    study = spec.load(file, profile=profile, settings=settings or (), only=_split(only), seeds=_seeds(seeds))
    kind = _device(device)
    return study, planner.make_plan(study, device=kind, share=not no_share), kind


def _teller() -> Callable[[str], None]:
    """What prints a sentence as it is."""
    console = Console()
    return lambda text: console.print(text, highlight=False, soft_wrap=True, markup=False)


@contextmanager
def _heard() -> Iterator[Callable[[str, int, int], None]]:
    """Shows on a terminal how many images are read, as long as that takes."""
    from rich.progress import Progress, TaskID

    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        rows: dict[str, TaskID] = {}

        def heard(what: str, done: int, of: int) -> None:
            if what not in rows:
                rows[what] = progress.add_task(what, total=of)
            progress.update(rows[what], completed=done)

        yield heard


def _prepared(
    file: Path, name: str, out: Path, profile: str | None, settings: list[str] | None, console: Console
) -> tuple[Study, Path]:
    """A study, and the folder of the packed images of one of its data sets."""
    from study import spec
    from study.data.prepare import prepare

    signal.signal(signal.SIGTERM, _interrupt)
    study = spec.load(file, profile=profile, settings=settings or ())
    try:
        return study, prepare(study, name, _store(out), console)
    except (KeyboardInterrupt, Interrupted):
        again = f"{_python()} -m study {shlex.join(sys.argv[1:])}"
        console.print(f"interrupted; nothing is lost. Go on with:  {again}", highlight=False, soft_wrap=True)
        raise typer.Exit(130) from None


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
    from study import driver
    from study.executors import Kept, Local
    from study.progress import SearchDisplay
    from study.tune import Tuner

    executor = Kept(Local(store.out, store.out / "plan.json", jobs=jobs, device=kind), jobs)
    parallel = max(1, jobs // len(study.search.seeds))
    with driver.searching(store.out) as worker:
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
                    again = f"{_python()} -m study {shlex.join(sys.argv[1:])}"
                    text = f"{why}; nothing is lost. Go on with:  {again}"
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


def _show_searches(console: Console, searches: Mapping[str, Mapping[str, Any]], searching: int) -> None:
    """Each search in a line."""
    for name, facts in searches.items():
        best = facts["best"]
        told = f"best {best['validation_psnr_db']:.2f} dB, trial {best['trial']}" if best else "none completed yet"
        states = ", ".join(f"{facts[word]} {word}" for word in ("pruned", "diverged", "running", "failed"))
        text = f"search of {name}: {facts['ended']} of {facts['of']} trials ({states}); {told}"
        console.print(text, highlight=False, soft_wrap=True)
    console.print(f"processes that search here: {searching or 'none'}", highlight=False)


def _python() -> str:
    """The interpreter as it can be pasted here: ``.venv/bin/python`` where it lies below this folder."""
    here = Path(sys.executable)
    return str(here.relative_to(Path.cwd())) if here.is_relative_to(Path.cwd()) else "python"


def _split(only: list[str] | None) -> list[str]:
    """``--only a,b --only c``; a variant's own commas (multiscale=0,loss=js) are kept."""
    names: list[str] = []
    for text in only or []:
        for part in text.split(","):
            if "=" in part and ":" not in part and names:
                names[-1] += f",{part}"
            else:
                names.append(part.strip())
    return names


def _seeds(text: str | None) -> list[int] | None:
    if text is None:
        return None
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not all(word.isdecimal() and len(word) <= 10 for word in (first, *([last] if dash else []))):
            raise BadInput(f"--seeds {text}: write seeds as 0,1,2 or 0-9")
        numbers = range(int(first), int(last or first) + 1)
        if not numbers or numbers[-1] >= 2**31 or len(numbers) > MOST_SEEDS:
            raise BadInput(
                f"--seeds {text}: {part.strip()} is no range of seeds: from low to high, below 2147483648, "
                f"{MOST_SEEDS} at most"
            )
        seeds += numbers
    return list(dict.fromkeys(seeds))


def _device(asked: str) -> str:
    import torch

    there = torch.cuda.is_available()
    if asked == "auto":
        return "cuda" if there else "cpu"
    if asked not in ("cpu", "cuda"):
        raise BadInput(f"--device {asked}: choose cpu, cuda or auto")
    if asked == "cuda" and not there:
        raise BadInput("--device cuda: torch finds no CUDA device here; choose cpu, or install a CUDA build of torch")
    return asked


def _jobs(kind: str) -> int:
    if kind == "cuda":
        import torch

        return torch.cuda.device_count()
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _store(out: Path) -> Store:
    from study.store import Store

    if out.exists() and not out.is_dir():
        raise BadInput(f"--out {out}: this is a file; name a folder")
    return Store(out)


def _report(out: Path) -> Path:
    from reports.render import render
    from study.results import load

    return render(load(out), out / "report")


def _show_claims(rows: list[dict[Any, Any]], study: Mapping[str, Any]) -> None:
    """The claims as a table: the sentence that decides, then what else was looked at. Names are text, not markup."""
    shown = Table("", "outcome", "claim, and what it rests on", box=None)
    for row in rows:
        told = Text.assemble((row["claim"], "bold"), *(f"\n{line}" for line in [row["why"], *row["beside"]]))
        shown.add_row(row["id"], Text.assemble(row["outcome"], (f"\n{row['scope']}", "dim")), told)
    console = Console(width=None if sys.stdout.isatty() else 100)
    console.print(Text(f"{study['name']}, profile {study['profile'] or 'none'}, {study['image_size']} px"))
    console.print(shown)
    console.print(Text(CLAIMS_LEGEND, style="dim"))


def _summarise(console: Console, plan: Plan, store: Store, failed: dict[str, str], seconds: float) -> None:
    from study.store import RunState, read_json

    states = {run.name: RunState.of(store.out, run.name).read() for run in plan.runs}
    diverged = {name: state["why"] for name, state in states.items() if state.get("status") == "diverged"}
    for name, why in diverged.items():
        console.print(f"diverged: {name}: {why}", highlight=False, soft_wrap=True)
    for name, why in failed.items():
        console.print(f"[red]failed[/]: {name}: {why} (see {store.out / 'failures'})", highlight=False, soft_wrap=True)
    for name, entry in plan.study["data"].items():
        file = store.folder(entry["stage"]) / "data.json"
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


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _interrupt(signum: int, frame: FrameType | None) -> Any:
    raise Interrupted
