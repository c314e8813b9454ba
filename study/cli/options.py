"""The options that several commands have, and what they mean."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from study.errors import BadInput, unknown

if TYPE_CHECKING:
    from study.running.executors import Executor
    from study.store import Store

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
ExecutorName = Annotated[str, typer.Option("--executor", help="where to run: local, in processes on this machine")]
NoShare = Annotated[bool, typer.Option("--no-share", help="make every run's stages for itself: the same bytes, later")]
AsJson = Annotated[bool, typer.Option("--json", help="for programs")]


def variants_of(only: list[str] | None) -> list[str]:
    """``--only a,b --only c``; a variant's own commas (multiscale=0,loss=js) are kept."""
    names: list[str] = []
    for text in only or []:
        for part in text.split(","):
            if "=" in part and ":" not in part and names:
                names[-1] += f",{part}"
            else:
                names.append(part.strip())
    return names


def seeds_of(text: str | None) -> list[int] | None:
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


def device_of(asked: str) -> str:
    import torch

    there = torch.cuda.is_available()
    if asked == "auto":
        return "cuda" if there else "cpu"
    if asked not in ("cpu", "cuda"):
        raise BadInput(f"--device {asked}: choose cpu, cuda or auto")
    if asked == "cuda" and not there:
        raise BadInput("--device cuda: torch finds no CUDA device here; choose cpu, or install a CUDA build of torch")
    return asked


def executor_of(name: str, out: Path, *, jobs: int | None, device: str) -> Executor:
    from study.running.executors import EXECUTORS

    if name not in EXECUTORS:
        raise BadInput(f"--executor: {unknown(name, EXECUTORS)}")
    return EXECUTORS[name](out, jobs=jobs or jobs_of(device), device=device)


def jobs_of(kind: str) -> int:
    if kind == "cuda":
        import torch

        return torch.cuda.device_count()
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def store_of(out: Path) -> Store:
    from study.store import Store

    if out.exists() and not out.is_dir():
        raise BadInput(f"--out {out}: this is a file; name a folder")
    return Store(out)
