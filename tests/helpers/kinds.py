"""Every kind of stage, as one tiny study each: methods, recipes, holes, precisions, readings, plugins.

They run dry on ``meta``, and run on a real card by ``pytest -m gpu``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tiny
from own_parts import GOOD
from PIL import Image

from study.plan.graph import Plan
from study.store import Store

STEPS = {"steps": {"pretrain": 2, "critic": 2, "joint": 2}, "log_every": 2}  # an interruption falls into an interval
PROPOSED = {"method": "proposed", "multiscale": 0, "loss": "wgan", "norm": "none"}
"""The smallest kind: two critics, and a generator that computes only the hole's window."""
GIICA = {"method": "giica", "loss": "wgan_gp"}

KINDS: dict[str, dict[str, Any]] = {
    # the paper's method with each recipe; batch norm takes statistics over whole maps
    "proposed": {"variant": {**PROPOSED, "multiscale": 1, "norm": "batch"}},
    "proposed, window": {"variant": PROPOSED},
    "proposed, js": {"variant": {**PROPOSED, "loss": "js"}},
    "proposed, wgan_gp": {"variant": {**PROPOSED, "loss": "wgan_gp"}},
    "proposed, lsgan": {"variant": {**PROPOSED, "loss": "lsgan"}},
    # other methods
    "single": {"variant": {"method": "single", "loss": "wgan", "norm": "none"}},
    "reconstruction_only": {"variant": {"method": "reconstruction_only", "norm": "none"}},
    "ce": {"variant": {"method": "ce"}},
    "glcic": {"variant": {"method": "glcic"}},
    "giica": {"variant": GIICA},
    "mean": {"variant": {"method": "mean"}},
    "biharmonic": {"variant": {"method": "biharmonic", "images": 2}},
    # holes, in training and in the test
    "boxes": {"variant": PROPOSED, "mask": {"kind": "random_box"}},
    "strokes": {"variant": PROPOSED, "mask": {"kind": "free_form"}},
    "strokes, giica": {"variant": GIICA, "mask": {"kind": "free_form"}},
    "files": {"variant": PROPOSED, "mask": {"kind": "files", "hole": "white"}},
    # precisions
    "tf32": {"variant": PROPOSED, "numerics": {"precision": "tf32"}},
    "bf16": {"variant": PROPOSED, "numerics": {"precision": "bf16"}},
    "bf16, giica": {"variant": GIICA, "numerics": {"precision": "bf16"}},
    "contiguous": {"variant": PROPOSED, "numerics": {"memory_format": "contiguous"}},
    # readings that take another way through a step
    "a share": {"variant": {**PROPOSED, "adversarial_share": 0.1}},
    "raw": {"variant": {**PROPOSED, "critic_input": "raw", "reduction": "sum", "fill": "noise"}},
    "patches": {
        "variant": {
            **PROPOSED,
            "multiscale": 1,
            "head": "patch",
            "downsample": "bilinear",
            "real_window": "independent",
            "fill": "mean",
            "norm": "instance",
        }
    },
    # a plugin: its network and its critic; its own loop, holes and metric; its loss
    "plugin, networks": {"variant": {"method": "judged"}, "plugin": True},
    "plugin, fit": {"variant": {"method": "mine"}, "plugin": True, "mask": {"kind": "stripes"}},
    "plugin, loss": {
        "variant": {**PROPOSED, "loss": {"kind": "logistic", "optimizer": {"kind": "adam", "lr": 1e-4}}},
        "plugin": True,
    },
}

ALIKE = ("tf32", "bf16, giica", "contiguous")
"""Kinds that differ from others on a card alone: ``meta`` has no values, and so no precision."""


def planned(folder: Path, name: str, device: str) -> tuple[Plan, Store]:
    """The plan of a kind for a device. In one folder, kinds share the stages that they have in common."""
    kind = KINDS[name]
    changes: dict[str, Any] = {"defaults": STEPS, "numerics": kind.get("numerics", {}), "protocol": {"pictures": 2}}
    if kind.get("plugin"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "plugin.py").write_text(GOOD)
        changes["plugins"] = ["plugin.py"]
    variant = kind["variant"]
    if mask := kind.get("mask"):
        if mask["kind"] == "files":
            mask = {**mask, "root": str(_masks(folder / "masks"))}
        changes["protocol"]["mask"] = mask
        variant = {**variant, "mask": mask}
    return tiny.planned(folder, {"kind": variant}, device=device, **changes)


def _masks(folder: Path) -> Path:
    """Three masks, white in a box and in a slanted stroke."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, columns = np.indices((32, 32))
    for number in range(3):
        hole = (abs(rows - columns + number) < 3) & (rows > 7) & (rows < 24) | (rows // 6 == 2) & (
            columns // 6 == number
        )
        Image.fromarray((hole * 255).astype(np.uint8)).save(folder / f"{number}.png")
    return folder
