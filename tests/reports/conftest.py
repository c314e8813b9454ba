"""A made-up study: plausible numbers, one diverged run, one that failed."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reports.analysis.frames import Frames
from reports.document import Document
from reports.files import exports
from reports.render import drawings
from reports.sections import document

IMAGES = [f"face-{i:02d}" for i in range(12)]
EFFECTS = {  # PSNR of the hole, dB
    "proposed": 19.6, "ce": 18.4, "glcic": 19.5, "single": 19.2, "reconstruction_only": 20.3, "mean": 14.0,
    "biharmonic": 15.5,
    **{f"multiscale={n},loss={loss}": 19.2 + 0.1 * n - 0.4 * (loss == "js")
       for n in range(4) for loss in ("wgan", "js") if (n, loss) != (2, "wgan")},
}  # fmt: skip
FILLERS = ("mean", "biharmonic")
STATUS = {"multiscale=0,loss=js/faces/2": "diverged", "single/faces/1": "failed"}


def _runs(seeds: list[int], data: str) -> pd.DataFrame:
    rows = []
    for number, (variant, seed) in enumerate((v, s) for v in EFFECTS for s in seeds):
        run = f"{variant}/{data}/{seed}"
        status = STATUS.get(run, "completed")
        why = {"diverged": "the loss is not finite", "failed": "OSError: no space left"}.get(status, "")
        start = "" if variant in FILLERS else f"own{number}" if variant == "ce" else f"pretrain{seed}"
        rows.append(
            {
                "run": run,
                "variant": variant,
                "data": data,
                "seed": seed,
                "method": "proposed" if "=" in variant else variant,
                "status": status,
                "why": why,
                "diverged_at": 812 if status == "diverged" else pd.NA,
                "updates": 0 if variant in FILLERS else 900,
                "parameters": 0 if variant in FILLERS else 6_061_955,
                "critic_parameters": 0 if variant in (*FILLERS, "reconstruction_only") else 8_500_000,
                "seconds": 0.4 if variant in FILLERS else 140.0 + 3 * seed,
                "start": start,
                "record": str(number + 1),
                "step_ms": float("nan") if variant in FILLERS else 25.0 + seed,
                "memory_mib": 300.0 + number,
                "spread": 0.5,
                "scale": None,
            }
        )
    return pd.DataFrame(rows)


def _scores(runs: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    of_image = random.normal(0, 1.5, len(IMAGES))
    of_start = {seed: random.normal(0, 0.1) for seed in runs["seed"].unique()}
    rows = []
    for run in runs[runs["status"] == "completed"].to_dict("records"):
        still = run["variant"] in FILLERS
        of_run = 0.0 if still else of_start[run["seed"]] + random.normal(0, 0.05)
        for i, image in enumerate(IMAGES[:5] if run["variant"] == "biharmonic" else IMAGES):
            hole = EFFECTS[run["variant"]] + of_image[i] + of_run + (0 if still else random.normal(0, 0.1))
            ssim = 0.35 + 0.02 * (hole - 19)
            values = {
                ("hole", "psnr"): hole, ("whole", "psnr"): hole + 6.02, ("hole", "ssim"): ssim,
                ("whole", "ssim"): 1 - (1 - ssim) / 4, ("boundary", "seam"): 0.3 - hole / 100,
            }  # fmt: skip
            shared = {key: run[key] for key in ("run", "variant", "data", "seed")}
            rows += [
                {
                    **shared,
                    "image": image,
                    "region": region,
                    "output": "composite",
                    "metric": metric,
                    "value": value,
                }
                for (region, metric), value in values.items()
            ]
    return pd.DataFrame(rows)


def _curves(runs: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    series = [
        ("pretrain", "generator", "reconstruction", 0.05), ("joint", "generator", "reconstruction", 0.03),
        ("critic", "local", "gap", 0.4), ("critic", "global", "gap", 0.6), ("joint", "local", "gap", 0.3),
        ("joint", "local", "ratio", 1e-3),
    ]  # fmt: skip
    rows = []
    for run in runs[(runs["start"] != "") & (runs["status"] != "failed")].to_dict("records"):
        shared = {key: run[key] for key in ("run", "variant", "data", "seed")}
        for stage, network, term, scale in series:
            for step in range(0, 300, 25):
                value = scale * (0.3 + np.exp(-step / 90)) * random.lognormal(0, 0.1)
                rows.append({**shared, "stage": stage, "network": network, "term": term, "step": step, "value": value})
    return pd.DataFrame(rows)


def _pictures(runs: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    rows = []
    across, down = np.meshgrid(np.linspace(0, 1, 16), np.linspace(0, 1, 16))
    truths = {
        image: (255 * np.stack([across, down, 0 * down + i / 4], axis=2)).astype(np.uint8)
        for i, image in enumerate(IMAGES[:4])
    }
    for run in runs[(runs["seed"] == 0) & (runs["status"] == "completed")].to_dict("records"):
        shared = {key: run[key] for key in ("run", "variant", "data", "seed")}
        for image, truth in truths.items():
            masked, repaired = truth.copy(), truth.copy()
            masked[4:12, 4:12] = 0
            repaired[4:12, 4:12] = random.integers(60, 200, (8, 8, 3), dtype=np.uint8)
            for output, pixels in (("truth", truth), ("masked", masked), ("composite", repaired)):
                rows.append({**shared, "image": image, "output": output, "pixels": pixels})
    return pd.DataFrame(rows)


def _factors() -> pd.DataFrame:
    rows = []
    for n in range(4):
        for loss in ("wgan", "js"):
            variant = "proposed" if (n, loss) == (2, "wgan") else f"multiscale={n},loss={loss}"
            for factor, level in (("multiscale", str(n)), ("loss", loss)):
                rows.append({"ablation": "critics_and_loss", "variant": variant, "factor": factor, "level": level})
    return pd.DataFrame(rows)


def _readings() -> pd.DataFrame:
    settings = [
        ("critic_head", "mean", "R7", "one map, averaged to one score", False),
        ("critic_input", "composite", "R11", "critics see the repaired image in its surround", True),
        ("mask_channel", True, "R1", "the generator is told where the hole is", False),
    ]
    columns = ["variant", "key", "value", "reading", "meaning", "departs"]
    rows = [(v, *setting) for v in EFFECTS if v not in FILLERS for setting in settings]
    return pd.DataFrame(rows, columns=columns).assign(unlike="")


def make_frames(seeds: list[int], data: str = "faces", /, **study: Any) -> Frames:
    """A study of 14 variants on one data set."""
    random = np.random.default_rng(20200923)
    runs = _runs(seeds, data)
    stages = pd.DataFrame(
        {
            "key": ["a1", "b2", "c3"],
            "kind": ["pretrain", "critic", "joint"],
            "runs": [11, 4, 1],
            "steps": [200, 100, 700],
            "seconds": [25.0, 30.0, 90.0],
            "device": "cpu",
            "torch": "2.12.0",
        }
    )
    facts: dict[str, Any] = {
        "name": "demo",
        "profile": "demo",
        "image_size": 32,
        "command": "study run runs.yaml",
        "scope": "reduced",
        "generator_updates": 900,
        "batch": 16,
        "data": [
            {
                "name": data,
                "kind": "faces",
                "train": 512,
                "validation": 64,
                "test": 12,
                "digest": "9f3c",
                "left_out": 0,
            }
        ],
        "versions": {"torch": "2.12.0", "numpy": "2.4.6"},
        "devices": ["cpu"],
        "seeds": seeds,
        "reference": "proposed",
        "control": "reconstruction_only",
        "sharing": {"shared": 1.2e13, "unshared": 2.9e13},
        "seconds": 5230.0,
        "made": "2026-11-22",
        "numerics": {"threads": 1, "precision": "float32"},
        "steps": {"pretrain": 200, "critic": 100, "joint": 700},
    }
    return Frames(
        study={**facts, **study},
        runs=runs,
        scores=_scores(runs, random),
        curves=_curves(runs, random),
        factors=_factors(),
        readings=_readings(),
        stages=stages,
        pictures=_pictures(runs, random),
    )


@pytest.fixture(scope="session")
def frames() -> Frames:
    """Three seeds, 14 variants, one diverged run and one that failed. Not to be changed."""
    return make_frames([0, 1, 2])


@pytest.fixture(scope="session")
def content(frames: Frames) -> Document:
    """The report of ``frames``."""
    return document(frames)


@pytest.fixture(scope="session")
def files(content: Document) -> dict[str, bytes]:
    """The exports of ``content``."""
    return exports(content, drawings(content))


@pytest.fixture(scope="session")
def study_of() -> Callable[..., Frames]:
    """`make_frames`, for studies of other seeds, data and facts."""
    return make_frames


@pytest.fixture(scope="session")
def as_categories() -> Callable[[Frames], Frames]:
    """The same frames with the text of scores and curves as categories, in an order that is not the alphabet's."""

    def convert(table: pd.DataFrame) -> pd.DataFrame:
        text = [column for column in table.columns if column not in ("seed", "step", "value", "hole_share")]
        kinds = {column: pd.CategoricalDtype([*table[column].unique()[::-1], "of no row"]) for column in text}
        return table.astype(kinds)

    return lambda frames: replace(frames, scores=convert(frames.scores), curves=convert(frames.curves))
