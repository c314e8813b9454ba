"""Options that several commands share, and how they are parsed."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from study.errors import BadInput, unknown

if TYPE_CHECKING:
    from study.running.executors import Executor
    from study.store import Store

MAX_SEEDS = 1000
UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}

File = Annotated[Path, typer.Argument(help="Study file, such as runs.yaml.", metavar="STUDY")]
Out = Annotated[Path, typer.Option("--out", help="Output folder.")]
Profile = Annotated[str | None, typer.Option("--profile", help="Profile of the study file, such as paper.")]
Only = Annotated[list[str] | None, typer.Option("--only", help="Variants to run: names or patterns. Repeatable.")]
Seeds = Annotated[str | None, typer.Option("--seeds", help="Seeds, instead of the study file's: 0,1,2 or 0-9.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="Override a key of the study file: path.to.key=value. Repeatable.")
]
Device = Annotated[str, typer.Option("--device", help="cpu, cuda, or auto: cuda if available.")]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        min=1,
        help="Worker processes. Default: one per CPU core; one per GPU, or up to 4 where steps are small.",
    ),
]
ExecutorName = Annotated[str, typer.Option("--executor", help="Where to run: local, processes on this machine.")]
NoShare = Annotated[
    bool, typer.Option("--no-share", help="Train shared stages separately for each run. Slower; same results.")
]
UntilResolved = Annotated[
    bool,
    typer.Option("--until-resolved", help="Start with 3 seeds, and add seeds where a claim is not decided yet."),
]
Claims = Annotated[
    str | None,
    typer.Option("--claims", help="With --until-resolved: decide these claims, such as C1,C3. Default: all."),
]
MaxSeeds = Annotated[
    int | None, typer.Option("--max-seeds", help="With --until-resolved: at most this many seeds. Default: 12.")
]
Budget = Annotated[
    str | None, typer.Option("--budget", help="With --until-resolved: the time to spend: 90s, 45m, 6h or 2d.")
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


def seconds_of(text: str) -> float:
    """The seconds in ``--budget 90s``, ``45m``, ``6h`` or ``2d``."""
    written = re.fullmatch(r"(\d{1,9}(?:\.\d+)?)([smhd])", text.strip())
    if written is None or (seconds := float(written[1]) * UNITS_S[written[2]]) <= 0:
        raise BadInput(f"--budget {text}: write a time above zero, such as 90s, 45m, 6h or 2d")
    return seconds


def device_of(option: str) -> str:
    """``cpu`` or ``cuda``, from ``--device``."""
    import torch

    available = torch.cuda.is_available()
    if option == "auto":
        return "cuda" if available else "cpu"
    if option not in ("cpu", "cuda"):
        raise BadInput(f"--device {option}: choose cpu, cuda or auto")
    if option == "cuda" and not available:
        raise BadInput("--device cuda: torch finds no CUDA device here; choose cpu, or install a CUDA build of torch")
    return option


def check_precision(precision: str, kind: str) -> None:
    """Raises BadInput if the device does not have a precision of ``numerics``."""
    import torch

    place = f"numerics.precision: {precision}"
    if precision == "tf32" and kind != "cuda":
        raise BadInput(f"{place}: only CUDA cards have it; on {kind}, choose --set numerics.precision=fp32 or bf16")
    if kind == "cuda" and precision != "fp32" and (capability := torch.cuda.get_device_capability()) < (8, 0):
        card, older = torch.cuda.get_device_name(), ".".join(map(str, capability))
        raise BadInput(
            f"{place}: {card} does not have it (compute capability {older}, 8.0 is needed); choose "
            "--set numerics.precision=fp32"
        )


def executor_of(name: str, out: Path, *, jobs: int | None, device: str) -> Executor:
    from study.running.executors import EXECUTORS

    if name not in EXECUTORS:
        raise BadInput(f"--executor: {unknown(name, EXECUTORS)}")
    return EXECUTORS[name](out, jobs=jobs or jobs_of(device), device=device)


def jobs_of(kind: str) -> int:
    """The default number of workers: GPUs or CPU cores that this process may use."""
    if kind == "cuda":
        import torch

        return torch.cuda.device_count()
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def store_of(out: Path) -> Store:
    """The store in an output folder. Raises BadInput if it is a file."""
    from study.store import Store

    if out.exists() and not out.is_dir():
        raise BadInput(f"--out {out}: this is a file; name a folder")
    return Store(out)
