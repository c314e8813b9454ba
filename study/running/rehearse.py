"""A rehearsal: a study cut short to minutes, at its true width, that shows which critics sleep or explode.

It is an ordinary study in a folder of its own. On a CPU its images and batches are small, too.
"""

from __future__ import annotations

from dataclasses import replace

from models.masks import Center, Files
from models.method import Steps, Trained
from study.config import Study
from study.config.schema import Protocol
from study.data import Faces
from study.plan import hours
from study.plan.devices import A100, CORE
from study.plan.graph import Plan
from study.store import Store

STEPS = Steps(pretrain=40, critic=80, joint=60)
LOG_EVERY = 10
CPU_SIDE, CPU_BATCH = 128, 4

LONG_H = 2.0
"""A study that takes longer than this many hours is rehearsed before it is run."""


def shortened(study: Study, device: str, variants: list[str]) -> Study:
    """The study with these variants, one seed and few steps, on drawn portraits in place of its data.

    Masks from files have the study's size, so holes are the central square instead.
    """
    side = study.image_size if device == "cuda" else min(study.image_size, CPU_SIDE)
    options = {name: study.variants[name].options for name in variants}
    changed = {
        name: one.model_copy(
            update={
                "steps": STEPS,
                "log_every": LOG_EVERY,
                "mask": Center() if isinstance(one.mask, Files) else one.mask,
                "batch": one.batch if device == "cuda" else min(one.batch, CPU_BATCH),
            }
        )
        for name, one in options.items()
        if isinstance(one, Trained)
    }
    return replace(
        study,
        seeds=study.seeds[:1],
        image_size=side,
        data={"faces": Faces(kind="faces", train=256, validation=1, test=1)},
        variants={name: replace(study.variants[name], options=one) for name, one in changed.items()},
        protocol=Protocol(),
        ablations={},
        multiverses={},
        tuned={},
        observers={},
    )


def is_long(plan: Plan, store: Store, device: str, jobs: int) -> bool:
    """Returns True if what is missing of a plan takes these workers longer than ``LONG_H``."""
    rates = CORE if device == "cpu" else A100  # some card
    missing = [work for work in hours.works(plan) if not all(map(store.has, work.keys))]
    seconds = sum(work.seconds(rates, plan.study.numerics["precision"]) for work in missing)
    return seconds / jobs > 3600 * LONG_H
