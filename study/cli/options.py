"""Options that several commands share, and how they are parsed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from study.errors import BadInput, unknown
from study.processes import processors

if TYPE_CHECKING:
    from study.running.executors import Executor
    from study.store import Store

MAX_SEEDS = 1000
DEVICES = ("cpu", "cuda", "mps", "xpu")
NOT_PROMISED = (
    "the same weights on a second run or after an interruption are not promised there, and 'tf32' is not available; "
    "nobody has compared its scores with those of a CPU"
)
"""What to know of devices other than the CPU and CUDA cards."""
UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}

File = Annotated[Path, typer.Argument(help="Study file, such as runs.yaml.", metavar="STUDY")]
Out = Annotated[Path, typer.Option("--out", help="Output folder.")]
Profile = Annotated[str | None, typer.Option("--profile", help="Profile of the study file, such as paper.")]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="NAMES", help="Variants to run: names or patterns, also of ablations. Repeatable."),
]
Seeds = Annotated[
    str | None, typer.Option("--seeds", metavar="SEEDS", help="Seeds, instead of the study file's: 0,1,2 or 0-9.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the study file: path.to.key=value. Repeatable."),
]
Device = Annotated[
    str, typer.Option("--device", help="cpu, cuda, mps, xpu, or auto: cuda if available, otherwise cpu.")
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        min=1,
        help="Worker processes. Default: one per CPU core; one per GPU, or up to 4 where steps are small.",
    ),
]
ExecutorName = Annotated[
    str, typer.Option("--executor", help="Where to run: local (processes here), slurm, ray, or manual (study work).")
]
ExecutorSettings = Annotated[
    list[str] | None,
    typer.Option(
        "--set-executor", metavar="KEY=VALUE", help="Settings of the executor: partition=gpu,time=4h. Repeatable."
    ),
]
NoShare = Annotated[
    bool, typer.Option("--no-share", help="Train shared stages separately for each run. Slower; same results.")
]
UntilResolved = Annotated[
    bool,
    typer.Option("--until-resolved", help="Start with 3 seeds, and add seeds where a claim is not decided yet."),
]
Claims = Annotated[
    str | None,
    typer.Option(
        "--claims", metavar="IDS", help="With --until-resolved: decide these claims, such as C1,C3. Default: all."
    ),
]
MaxSeeds = Annotated[
    int | None,
    typer.Option("--max-seeds", metavar="N", help="With --until-resolved: at most this many seeds. Default: 12."),
]
Budget = Annotated[
    str | None,
    typer.Option("--budget", metavar="TIME", help="With --until-resolved: the time to spend: 90s, 45m, 6h or 2d."),
]
ReportEvery = Annotated[
    str,
    typer.Option(
        "--report-every", metavar="TIME", help="Renew the report this often while runs go on: 90s, 5m, 2h, or never."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def variants_of(only: list[str] | None) -> list[str]:
    """The names in ``--only a,b --only c``. Commas within a variant's name (multiscale=0,loss=js) are kept."""
    names: list[str] = []
    for text in only or []:
        for part in text.split(","):
            if "=" in part and ":" not in part and names:
                names[-1] += f",{part}"
            else:
                names.append(part.strip())
    return names


def seeds_of(text: str | None) -> list[int] | None:
    """The seeds in ``--seeds 0,1,2`` or ``0-9``, each once."""
    if text is None:
        return None
    seeds: list[int] = []
    for part in text.split(","):
        if not (written := re.fullmatch(r"(\d{1,10})(-(\d{1,10}))?", part.strip())):
            raise BadInput(f"--seeds {text}: write seeds as 0,1,2 or 0-9")
        numbers = range(int(written[1]), int(written[3] or written[1]) + 1)
        if not numbers or numbers[-1] >= 2**31 or len(numbers) > MAX_SEEDS:
            raise BadInput(
                f"--seeds {text}: {part.strip()} is not a range of seeds; write low-high, below 2147483648, "
                f"at most {MAX_SEEDS} seeds"
            )
        seeds += numbers
    return list(dict.fromkeys(seeds))


def seconds_of(text: str, option: str = "--budget", also: str = "") -> float:
    """The seconds in ``--budget 90s``, ``45m``, ``6h`` or ``2d``. ``also``: what else the option takes, in words."""
    written = re.fullmatch(r"(\d{1,9}(?:\.\d+)?)([smhd])", text.strip())
    if written is None or (seconds := float(written[1]) * UNITS_S[written[2]]) <= 0:
        more = f", {also}" if also else ""
        raise BadInput(f"{option} {text}: write a time above zero, such as 90s, 45m, 6h or 2d{more}")
    return seconds


def device_of(option: str, *, elsewhere: bool = False) -> str:
    """A kind in ``DEVICES`` that torch finds here, from ``--device``. Says on stderr what is not promised on it.

    ``auto`` never chooses a device on which the same bytes are not promised. ``elsewhere``: on other machines, whose
    devices are not known here.
    """
    if elsewhere:
        if option not in DEVICES:
            raise BadInput(f"--device {option}: say which device the workers have: {', '.join(DEVICES)}")
        return option
    if option == "auto":
        return "cuda" if _devices("cuda") else "cpu"
    if option not in DEVICES:
        raise BadInput(f"--device {option}: choose {', '.join(DEVICES)} or auto")
    if option != "cpu" and not _devices(option):
        raise BadInput(f"--device {option}: {_why_not(option)}")
    if option not in ("cpu", "cuda"):
        typer.echo(f"note: --device {option}: {NOT_PROMISED}", err=True)
    return option


def _devices(kind: str) -> int:
    """How many devices of a kind torch finds here."""
    import torch

    return int(torch.get_device_module(kind).device_count())


def _why_not(kind: str) -> str:
    """Why torch finds no device of a kind, and what to do about it."""
    import torch

    if kind != "cuda":
        return f"torch {torch.__version__} finds no {kind.upper()} device here; choose cpu"
    built_for = torch.version.cuda or torch.version.hip
    if built_for is None:
        return f"torch {torch.__version__} is built for CPUs only; choose cpu, or install a CUDA build of torch"
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
        cause = "no CUDA device"
    except (RuntimeError, AssertionError) as error:
        cause = str(error).partition(". ")[0].strip(".")
    what = f"torch {torch.__version__} is built for {'CUDA' if torch.version.cuda else 'ROCm'} {built_for}"
    how = "choose cpu, update the card's driver, which may be too old, or install a build of torch for an older one"
    return f"{what} and finds no card that it can use ({cause}); {how}"


def check_precision(precision: str, kind: str) -> None:
    """Raises BadInput if the device does not have a precision of ``numerics``."""
    place = f"numerics.precision: {precision}"
    if precision == "tf32" and kind != "cuda":
        raise BadInput(f"{place}: only CUDA cards have it; on {kind}, choose --set numerics.precision=fp32 or bf16")
    if kind != "cuda":
        return
    import torch

    if precision != "fp32" and (capability := torch.cuda.get_device_capability()) < (8, 0):
        card, older = torch.cuda.get_device_name(), ".".join(map(str, capability))
        raise BadInput(
            f"{place}: {card} does not have it (compute capability {older}, 8.0 is needed); choose "
            "--set numerics.precision=fp32"
        )


def executor_of(
    name: str, out: Path, *, jobs: int | None, device: str, settings: Sequence[str] | None = None
) -> Executor:
    """An executor by its name. ``settings``: of ``--set-executor``. Raises BadInput."""
    kind = executor_kind(name)
    jobs = jobs or (1 if kind.elsewhere else jobs_of(device))
    return kind(out, jobs=jobs, device=device, settings=_settings_of(settings or ()))


def executor_kind(name: str) -> type[Executor]:
    """The class of an executor. Raises BadInput."""
    from study.running.executors import EXECUTORS

    if name not in EXECUTORS:
        raise BadInput(f"--executor: {unknown(name, EXECUTORS)}")
    return EXECUTORS[name]


def _settings_of(texts: Sequence[str]) -> dict[str, str]:
    """The settings in ``--set-executor partition=gpu,time=4h``. A comma within a value is kept: gres=gpu:1,mem=8G."""
    settings: dict[str, str] = {}
    for part in (part for text in texts for part in re.split(r",(?=[A-Za-z_-]+=)", text)):
        key, equals, value = part.partition("=")
        if not (key.strip() and equals):
            raise BadInput(f"--set-executor {part}: write settings as key=value, such as partition=gpu,time=4h")
        settings[key.strip().replace("-", "_")] = value.strip()
    return settings


def jobs_of(kind: str) -> int:
    """The default number of workers: GPUs or CPU cores that this process may use."""
    return processors() if kind == "cpu" else _devices(kind)


def store_of(out: Path) -> Store:
    """The store in an output folder. Raises BadInput if it is a file."""
    from study.store import Store

    if out.exists() and not out.is_dir():
        raise BadInput(f"--out {out}: this is a file; name a folder")
    return Store(out)
