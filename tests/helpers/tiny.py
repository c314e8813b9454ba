"""A study that trains in a second: 32 px, the narrowest networks, a few steps, in one process with one thread."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from study.config import load
from study.errors import Interrupted
from study.plan.graph import Plan, Run, Stage
from study.plan.planner import make_plan
from study.running.make import make
from study.running.runs import make_run
from study.store import Store

CPU = torch.device("cpu")
RECIPES = {
    "wgan": {"kind": "wgan", "clip": 0.01, "critic_steps": 1, "norm": "none"}
    | {"optimizer": {"kind": "rmsprop", "lr": 5.0e-5}},
    "js": {"kind": "js", "norm": "batch", "optimizer": {"kind": "adam", "lr": 2.0e-4, "betas": [0.5, 0.999]}},
    "wgan_gp": {"kind": "wgan_gp", "penalty": 10.0, "critic_steps": 2, "norm": "none"}
    | {"optimizer": {"kind": "adam", "lr": 1.0e-4, "betas": [0.5, 0.9]}},
    "lsgan": {"kind": "lsgan", "norm": "batch", "optimizer": {"kind": "adam", "lr": 2.0e-4, "betas": [0.5, 0.999]}},
}
PROPOSED = {"method": "proposed", "multiscale": 1, "loss": "wgan"}
EVERY = {
    "proposed": PROPOSED,
    "proposed_js": {"extends": "proposed", "loss": "js"},
    "single": {"extends": "proposed", "method": "single"},
    "reconstruction_only": {"extends": "proposed", "method": "reconstruction_only"},
    "ce": {"method": "ce"},
    "glcic": {"method": "glcic"},
    "giica": {"method": "giica", "loss": "wgan_gp"},
    "mean": {"method": "mean"},
    "biharmonic": {"method": "biharmonic", "images": 2},
}


def write(folder: Path, variants: Mapping[str, Any] | None = None, **changes: Any) -> Path:
    """Writes a study file (JSON is YAML). ``changes`` replace whole sections, except ``defaults``, which are merged."""
    defaults = {"batch": 2, "steps": {"pretrain": 4, "critic": 3, "joint": 3}, "width": 0.0625, "log_every": 2}
    study = {
        "study": "tiny",
        "seeds": [0],
        "image_size": 32,
        "data": {"faces": {"kind": "faces", "seed": 1, "train": 12, "validation": 2, "test": 4}},
        "defaults": defaults | changes.pop("defaults", {}),
        "recipes": RECIPES,
        "variants": dict(variants or {"proposed": PROPOSED}),
        "protocol": {"pictures": 2},
    }
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "tiny.yaml"
    file.write_text(json.dumps(study | changes, indent=1))
    return file


def planned(
    folder: Path,
    variants: Mapping[str, Any] | None = None,
    *,
    share: bool = True,
    device: str = "cpu",
    **changes: Any,
) -> tuple[Plan, Store]:
    """The plan of a tiny study for a kind of device, and a store in ``folder``."""
    plan = make_plan(load(write(folder, variants, **changes)), share=share, device=device)
    plan.save(folder / "out")
    return plan, Store(folder / "out")


class Onlooker:
    """A watch that records what is logged. It may ask to stop after some steps, counted over all stages of a pass."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.stop_after, self.steps = stop_after, 0
        self.rows: list[tuple[str, int, dict[str, float]]] = []
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    @property
    def stopping(self) -> bool:
        return self.stop_after is not None and self.steps >= self.stop_after

    def progress(self, key: str, done: int, total: int) -> None:
        self.steps += 1

    def logged(self, key: str, step: int, terms: Mapping[str, float]) -> None:
        self.rows.append((key, step, dict(terms)))


def made(plan: Plan, store: Store, keys: Iterable[str] | None = None, device: torch.device = CPU) -> Store:
    """Makes all stages, or those in ``keys``, inputs first and critics in their passes."""
    wanted = set(plan.stages if keys is None else keys)
    groups = [[key] for key, stage in plan.stages.items() if stage.kind != "critic"] + plan.passes()
    ranks = ("data", "pretrain", "critic", "joint", "fit", "evaluate")
    for group in sorted(groups, key=lambda group: ranks.index(plan.stages[group[0]].kind)):
        if chosen := [key for key in group if key in wanted]:
            make(chosen, plan, store, Onlooker(), device)
    return store


def recorded(plan: Plan, store: Store, watch: Onlooker | None = None) -> Store:
    """Makes the whole study like the driver: shared stages, then each run in its Sacred record."""
    own = {key for run in plan.runs for key in plan.own(run)}
    made(plan, store, set(plan.stages) - own)
    for run in plan.runs:
        make_run(run, plan, store, watch or Onlooker(), CPU)
    return store


def inputs_of(plan: Plan, made: Store, keys: Iterable[str], folder: Path) -> Store:
    """A store that holds just what these stages need."""
    store = Store(folder)
    for key in {need for one in keys for need in plan.stages[one].needs.values()}:
        place = store.folder(key)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(made.folder(key), target_is_directory=True)
    return store


def run_of(plan: Plan, variant: str, seed: int = 0) -> Run:
    return next(run for run in plan.runs if run.variant == variant and run.seed == seed)


def stage_of(plan: Plan, role: str, variant: str = "proposed", seed: int = 0) -> Stage:
    return plan.stages[run_of(plan, variant, seed).stages[role]]


def published(store: Store, key: str) -> dict[str, bytes]:
    """The bytes of a stage by file, including its manifest."""
    folder = store.folder(key)
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in sorted(folder.rglob("*"))}


def by_role(plan: Plan, store: Store) -> dict[tuple[str, str], dict[str, Any]]:
    """The manifest, with checksums, of each stage of each run; without its key, which differs without sharing."""
    found = {(run.name, role): store.manifest(key) for run in plan.runs for role, key in run.stages.items()}
    return {
        name: {fact: value for fact, value in manifest.items() if fact != "key"} for name, manifest in found.items()
    }


def stopped_at(n: int, keys: Sequence[str], plan: Plan, store: Store) -> bool:
    """Makes stages in one pass, and asks to stop after ``n`` steps. Returns True if it stopped."""
    try:
        make(keys, plan, store, Onlooker(stop_after=n), CPU)
    except Interrupted:
        return True
    return False
