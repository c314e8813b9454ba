"""``study export``: a run's generator as a folder to share: weights, a model card, an example that loads them.

model.safetensors    the generator's weights and buffers
config.json          the network's options, the fill, the run and its stages
README.md            the model card: data, budget, scores, readings, limits, licences
example.py           loads the model with only torch, safetensors and the packages of the networks
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from safetensors.torch import save

import models
from models.method import Steps
from study.errors import BadInput
from study.parts import registries
from study.plan.graph import Run
from study.results.frames import Results, load
from study.store import read_facts, write_atomically
from study.use.finished import Finished

FORMAT = "mo-zhou-study export 1"
"""Marks a folder as an export, which may be replaced."""

FILES = ("model.safetensors", "README.md", "example.py", "config.json")

PAPER = Steps().generator * 32
"""The number of images that the paper's generator sees: its updates times batch 32 (section 4)."""

PACKAGES = {
    "models": "the folder `models/`",
    "baselines": "scikit-image, and the folders `models/` and `baselines/`",
}
"""What the networks of each package need, for the card."""

METRICS = {"psnr": "PSNR, dB", "ssim": "SSIM"}
HOLES = {
    "center": "the central square of half the side",
    "random_box": "a random box",
    "free_form": "free-form strokes",
    "files": "masks from files",
}


def export(finished: Finished, folder: Path) -> list[Path]:
    """Writes a run's generator into ``folder``. Returns the files.

    Raises BadInput if the run trained nothing, or the folder holds anything except an export; Damaged.
    """
    if finished.filler:
        raise BadInput(f"{finished.run.name}: {finished.filler} is a filler, which trains nothing; nothing to export")
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder}: this is a file; name a folder")
    earlier = read_facts(folder / "config.json").get("format") == FORMAT
    if folder.exists() and any(folder.iterdir()) and not earlier:
        raise BadInput(f"{folder}: it is not empty and not an export; name an empty or new folder")
    weights = save(finished.weights())
    config = _config(finished, hashlib.sha256(weights).hexdigest())
    card = _card(finished, config, load(finished.store.out))
    contents: dict[str, bytes | str] = {"model.safetensors": weights, "README.md": card}
    if package := _package(config):
        facts = {"side": finished.image_size, "central_only": finished.central_only, "noise": finished.fill == "noise"}
        contents["example.py"] = _rendered("example.py.jinja", package=package, **facts)
    contents["config.json"] = json.dumps(config, indent=1) + "\n"
    for name in FILES:
        (folder / name).unlink(missing_ok=True)
    for name, content in contents.items():
        write_atomically(folder / name, content)
    return [folder / name for name in contents]


def _config(finished: Finished, digest: str) -> dict[str, Any]:
    """What is needed to build the network and its input, and where the weights come from."""
    run, study, options = finished.run, finished.plan.study, finished.evaluation.options
    model, data = finished.evaluation.needs["model"], run.stages["data"]
    return {
        "format": FORMAT,
        "generator": options["generator"],
        "image_size": finished.image_size,
        "fill": finished.fill if isinstance(finished.fill, str) else "colour",
        "colour": finished.colour,
        "central_only": finished.central_only,
        "weights_sha256": digest,
        "run": run.name,
        "method": run.method,
        "study": study.model_dump(include={"name", "file", "profile"}),
        "stages": {"data": data, "model": model, "evaluate": run.stages["evaluate"]},
        "protocol": study.protocol,
        "code": {"generator": registries.version("GENERATORS", options["generator"]["kind"])},
        "plugins": [{"file": Path(file).name, "digest": digest} for file, digest in study.digests.items()],
        "trained_with": {key: finished.store.made(model).get(key) for key in ("device", "torch", "python")},
    }


def _package(config: Mapping[str, Any]) -> str | None:
    """The package with the network's code; None for a plugin's."""
    kind = config["generator"]["kind"]
    if ("GENERATORS", kind) in registries.SOURCES:
        return None
    return "models" if kind in models.GENERATORS else "baselines"


def _card(finished: Finished, config: Mapping[str, Any], results: Results) -> str:
    """The model card, in Markdown with a front matter in YAML."""
    run, package = finished.run, _package(config)
    same = results.scores[(results.scores["variant"] == run.variant) & (results.scores["data"] == run.data)]
    departs = results.readings[(results.readings["variant"] == run.variant) & results.readings["departs"].astype(bool)]
    return _rendered(
        "card.md.jinja",
        run=run,
        study=finished.plan.study,
        side=finished.image_size,
        central_only=finished.central_only,
        scope=results.study["scope"],
        example=package is not None,
        packages=PACKAGES.get(package or "", ""),
        plugins=", ".join(f"{one['file']} (digest {one['digest']})" for one in config["plugins"]),
        data=next(entry for entry in results.study["data"] if entry["name"] == run.data),
        licence=finished.plan.study.data[run.data].licence or "not stated",
        paper=PAPER,
        seconds=results.runs.loc[results.runs["run"] == run.name, "seconds"].item(),
        made=finished.store.made(finished.evaluation.needs["model"]),
        precision=finished.evaluation.options["numerics"]["precision"],
        images=same.loc[same["run"] == run.name, "image"].nunique(),
        seeds=sorted(same["seed"].unique().tolist()),
        scores=list(_scores(results, run)),
        readings=departs[["key", "value", "reading", "meaning"]].map(_cell).to_numpy().tolist(),
    )


def _scores(results: Results, run: Run) -> Iterator[list[str]]:
    """Rows of metric, region, and the run's mean for each output; in brackets the range of the seeds' means."""
    for metric, title in METRICS.items():
        digits = 2 if metric == "psnr" else 3
        for region in ("hole", "whole"):
            parts = [results.select(metric, region, output, run.data) for output in ("composite", "blended")]
            yield [title, region, *(_score(part[part["variant"] == run.variant], run, digits) for part in parts)]


def _score(scores: pd.DataFrame, run: Run, digits: int) -> str:
    means = scores.groupby("seed")["value"].mean()
    if run.seed not in means:
        return "not available"
    spread = f" ({means.min():.{digits}f} to {means.max():.{digits}f})" if len(means) > 1 else ""
    return f"{means[run.seed]:.{digits}f}{spread}"


def _hole(mask: Mapping[str, Any]) -> str:
    return HOLES.get(mask.get("kind", ""), str(mask.get("kind", "not stated")))


def _percent(share: float) -> str:
    """``0.24%``: two significant digits."""
    return f"{100 * share:.2g}%" if share < 0.995 else f"{100 * share:.0f}%"


def _cell(text: object) -> str:
    """Text in a cell of a Markdown table."""
    return re.sub(r"\s+", " ", str(text)).replace("|", "\\|")


def _rendered(template: str, **facts: Any) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("study.use"),
        autoescape=False,  # Markdown and Python; the study has checked the names
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"hole": _hole, "percent": _percent, "count": "{:,}".format}
    return environment.get_template(template).render(**facts)
