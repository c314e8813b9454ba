"""The time of loading and rendering a large study, and the size of its report.

The output is synthetic: 20 variants (21 names, two of them for one run), 10 seeds, three data sets and 500 test
images. Its plan is that of runs.yaml; the contents of its stages are random. Nothing is trained. It runs once, because
it takes minutes.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.random import Generator
from safetensors.numpy import save_file

from benchmarks.timing import Row
from reports.render import render
from study.config import load as read
from study.evaluation.evaluation import PICTURES
from study.metrics import METRICS
from study.plan.graph import Plan, Stage
from study.plan.planner import make_plan
from study.results.frames import load
from study.store import RunState, Store

ROOT = Path(__file__).resolve().parents[1]
OUTPUTS = ("composite", "raw", "blended")
POINTS = 200
"""The number of points in a stage's series."""


def planned(variants: int, seeds: int, images: int, side: int) -> Plan:
    """The demo's plan on three data sets, with the first ``variants`` variants."""
    faces = {"kind": "faces", "train": 3000, "validation": 100, "test": images}
    data = {name: {**faces, "seed": place} for place, name in enumerate(("faces", "objects", "scenes"))}
    settings = [f"data={json.dumps(data)}", f"image_size={side}"]
    options = {"profile": "demo", "settings": settings, "seeds": range(seeds)}
    names = list(read(ROOT / "runs.yaml", **options).variants)  # type: ignore[arg-type]
    return make_plan(read(ROOT / "runs.yaml", only=names[:variants], **options))  # type: ignore[arg-type]


def fill(plan: Plan, store: Store, random: Generator, images: int, side: int) -> None:
    """Publishes every stage and completes every run."""
    effects = {run.variant: random.normal(17, 1) for run in plan.runs}
    of_image = random.normal(0, 1.5, images)
    names = [f"test-{place:06d}" for place in range(images)]
    series = {key: _terms(stage) for key, stage in plan.stages.items()}
    for key, stage in plan.stages.items():
        folder = store.files(key)
        if stage.kind == "data":
            packed = {"parts": {"train": [0, 3000], "test": [0, images]}, "digest": key, "left_out": [], "names": names}
            (folder / "data.json").write_text(json.dumps(packed))
        elif stage.kind != "evaluate":
            steps = np.linspace(1, stage.steps, POINTS).astype(int).tolist()
            terms = {name: random.lognormal(0, 1, POINTS).round(4).tolist() for name in series[key]}
            (folder / "series.json").write_text(json.dumps({"step": steps, "terms": terms}))
        else:
            continue
        _publish(store, key, stage)
    columns = [(output, region, name) for output in OUTPUTS for name, m in METRICS.items() for region in m.regions]
    shown = {kind: random.integers(0, 255, (6, side, side, 3), dtype=np.uint8) for kind in PICTURES}
    for run in plan.runs:
        key = run.stages["evaluate"]
        if not store.has(key):
            folder = store.files(key)
            level = effects[run.variant] + of_image + random.normal(0, 0.2)
            wide = level[:, None] + random.normal(0, 0.3, (images, len(columns)))
            save_file({"scores": wide}, folder / "scores.safetensors")
            save_file(shown, folder / "pictures.safetensors")
            save_file({kind: pixels[:3] for kind, pixels in shown.items()}, folder / "worst.safetensors")
            table = {"columns": columns, "images": names, "of": images, "pictures": names[:6], "worst": names[6:9]}
            (folder / "evaluation.json").write_text(json.dumps(table))
            _publish(store, key, plan.stages[key])
        RunState.of(store.out, run.name).write(run=run.name, status="completed", record="1")
    plan.save(store.out)


def _terms(stage: Stage) -> list[str]:
    """The names of a stage's series."""
    if stage.kind == "critic":
        critics = [stage.options["role"]]
    else:
        critics = list(stage.options.get("critics", {})) if stage.kind == "joint" else []
    each = ("loss", "gap", "at_bound", "score_size", "gradient_norm")
    terms = [f"{critic}.{term}" for critic in critics for term in each]
    if stage.kind != "critic":
        terms += ["generator.reconstruction", "generator.gradient_norm"]
    return terms + (["generator.ratio", "generator.adversarial"] if stage.kind == "joint" and critics else [])


def _publish(store: Store, key: str, stage: Stage) -> None:
    facts = {"seconds": 30.0, "steps": stage.steps, "device": "none", "threads": 1, "torch": "none", "python": "none"}
    store.publish(key, {"status": "finished"}, {"key": key, "made": "2020-09-23", "peak_memory_mib": 500, **facts})


def rows(variants: int = 21, seeds: int = 10, images: int = 500, side: int = 128) -> Iterator[Row]:
    """Yields seconds and sizes."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        plan = planned(variants, seeds, images, side)
        fill(plan, Store(out), np.random.default_rng(0), images, side)
        started = time.monotonic()
        results = load(out)
        loaded = time.monotonic()
        page = render(results, out / "report")
        rendered = time.monotonic()
        yield Row(f"load {len(plan.runs)} runs, {len(results.scores):,} scores", loaded - started, unit="s")
        yield Row("render", rendered - loaded, unit="s")
        yield Row("page", page.stat().st_size / 1e6, unit="MB")
        whole = sum(file.stat().st_size for file in (out / "report").rglob("*") if file.is_file())
        yield Row("whole report", whole / 1e6, unit="MB")
