"""``study score``: every metric of the protocol, on folders of images from any method."""

from __future__ import annotations

import math
import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table
from rich.text import Text
from torch import Tensor

from models.host import on_host, with_float64
from models.masking import center_box, composite
from study import metrics
from study.config.messages import explain
from study.config.nodes import parse
from study.config.schema import Protocol
from study.data.files.image import Raster, exact
from study.data.files.masks import Hole, doubt, read_hole
from study.data.files.source import is_archive
from study.data.holes import as_mask
from study.errors import BadInput, prefixed
from study.evaluation.evaluate import BATCH
from study.evaluation.evaluation import Column
from study.evaluation.scoring import scores_of
from study.external.names import hint, patterns
from study.external.pairs import Findings, HoleReader, Listed, Listener, Pairs, check, silent, together
from study.files import read_file
from study.metrics.perceptual import Gathering, Perceptual, find
from study.training.machine import prepare

BATCH_PIXELS = 2**18
"""The most pixels in one batch: four images of 256 px. More is slower; this needs half a GiB."""

QUANTILES = (0.05, 0.5, 0.95)

T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """The options of the command.

    hole: which colour of the masks is the hole. center: the hole is the paper's. partial: score even if images have no
    partner. perceptual: perceptual distances to compute as well, in the notation of a study file. resize: 'nearest'
    takes masks of another size. match: the patterns of the names of truth, mask and output, of those that are folders
    (``study.external.names``).
    """

    output: Path
    truth: Path | None = None
    mask: Path | None = None
    center: bool = False
    hole: str | None = None
    partial: bool = False
    perceptual: str | None = None
    resize: str | None = None
    match: str | None = None


@dataclass(frozen=True)
class Scored:
    """The scores of images. values: (images, columns), float64. about: further facts, fit for JSON."""

    names: Sequence[str]
    columns: Sequence[Column]
    values: NDArray[np.float64]
    found: Findings
    about: dict[str, Any] = field(default_factory=dict)

    def summary(self) -> Iterator[dict[str, Any]]:
        """A row for each column: metric, region, output; mean, standard deviation and quantiles of the finite values.

        ``infinite`` counts the images without a finite value, such as the PSNR of an image that equals the truth.
        """
        for (output, region, name), values in zip(self.columns, self.values.T, strict=True):
            finite = values[np.isfinite(values)]
            quantiles = np.quantile(finite, QUANTILES).tolist() if len(finite) else [None] * len(QUANTILES)
            yield {
                "metric": name,
                "region": region,
                "output": output,
                **_described(name),
                "mean": float(finite.mean()) if len(finite) else None,
                "deviation": float(finite.std(ddof=1)) if len(finite) > 1 else None,
                **dict(zip(("low", "median", "high"), quantiles, strict=True)),
                "images": len(finite),
                "infinite": len(values) - len(finite),
            }

    def as_json(self) -> dict[str, Any]:
        """Everything, with each image's values in the order of ``columns``; infinite values are 'inf'."""
        return {
            **self.about,
            "images": len(self.names),
            "unpaired": self.found.unpaired,
            "notes": self.found.notes,
            "warnings": self.found.warnings,
            "hole_share": {"mean": self.found.share, "images": self.found.shares} if self.found.shares else None,
            "summary": list(self.summary()),
            "columns": [list(column) for column in self.columns],
            "values": {
                name: [_plain(value) for value in row]
                for name, row in zip(self.names, self.values.tolist(), strict=True)
            },
        }

    def show(self, console: Console) -> None:
        """Prints the notes and a table. Names are text, not markup."""
        for kind, texts in (("note", self.found.notes), ("warning", self.found.warnings)):
            for text in texts:
                console.print(Text(f"{kind}: {text}"), soft_wrap=True)
        table = Table("metric", "region", "output", box=None)
        for heading in ("mean", "sd", "5%", "median", "95%", "images"):
            table.add_column(heading, justify="right")
        for row in self.summary():
            digits, arrow = 2 if row["unit"] == "dB" else 4, "↑" if row["better"] == "higher" else "↓"
            title = f"{row['title']} ({row['unit']}{', ' if row['unit'] else ''}{arrow})"
            values = (row[key] for key in ("mean", "deviation", "low", "median", "high"))
            numbers = ["-" if value is None else f"{value:.{digits}f}" for value in values]
            count = f"{row['images']}" + (f" + {row['infinite']} infinite" if row["infinite"] else "")
            table.add_row(title, row["region"], row["output"], *numbers, count)
        if shares := list(self.found.shares.values()):
            spread = f"{np.std(shares, ddof=1):.1%}" if len(shares) > 1 else "-"
            quantiles = [f"{share:.1%}" for share in np.quantile(shares, QUANTILES)]
            mean = f"{self.found.share:.1%}"
            table.add_row("hole, share of the image", "", "", mean, spread, *quantiles, str(len(shares)))
        console.print(table)
        for row in self.about.get("distances") or []:
            what = f"{row['metric'].upper()} (↓), {row['output']}, n = {row['images']}"
            line = f"{what}: {row['value']:.4f}" if row["value"] is not None else row["why"]
            console.print(Text(line), soft_wrap=True)
        if any(row["infinite"] for row in self.summary()):
            console.print("infinite: the output equals the truth there; means are over the others", style="dim")


def score(request: Request, *, device: str = "cpu", heard: Listener = silent) -> Scored:
    """The scores of image folders. ``device``: its kind, such as 'cpu' or 'cuda'. Raises BadInput with all faults."""
    if request.truth is None:
        raise BadInput("--truth: name the folder of the true images, or a study with --into OUT --as NAME")
    if request.mask and request.center:
        raise BadInput("--mask and --center: both say where the hole is; choose one")
    if request.hole and not request.mask:
        raise BadInput("--hole: it says which colour of a --mask is the hole; there is no --mask")
    if request.hole not in (None, "white", "black"):
        raise BadInput(f"--hole {request.hole}: choose white or black")
    if request.resize not in (None, "nearest"):
        raise BadInput(f"--resize {request.resize}: choose nearest, or leave it out")
    several = request.mask is not None and (request.mask.is_dir() or is_archive(request.mask.name))
    roles = ("truth", "mask", "output") if several else ("truth", "output")
    named = patterns(request.match, *roles)
    truth = Listed("--truth", request.truth, named["truth"])
    output = Listed("--output", request.output, named["output"])
    masks = Listed("--mask", request.mask, named["mask"]) if request.mask is not None and several else None
    white = request.hole or "white"
    found = Findings(notes=[*truth.notes, *output.notes, *(masks.notes if masks else [])])
    listed = {"truth": truth, **({"mask": masks} if masks else {}), "output": output}
    other = "" if request.match else hint({role: one.paths for role, one in listed.items()})
    if other and request.truth.resolve() == request.output.resolve():
        raise BadInput(f"--truth and --output: both are {request.output}; {other}")
    names = together(truth.files, output, found, whole=not request.partial, theirs=str(request.truth), other=other)
    pairs = Pairs(names, truth.picture, output.content, _holes(request, white, masks, names, found))
    turned = "black" if white == "white" else "white"
    turned = f"if the hole is {turned} in the masks, say --hole {turned}; otherwise the method got reversed masks"
    check(pairs, found, turned=turned, heard=heard)
    if request.mask and (why := doubt(found.share, white, "say --hole")):
        found.warnings.append(why)
    ends = {name: [posixpath.splitext(each.files[name])[1] for each in (truth, output)] for name in names}
    if apart := [name for name, (one, other) in ends.items() if one != other]:
        first = f"{truth.files[apart[0]]} with {output.files[apart[0]]}"
        found.notes.append(
            f"{len(apart)} of {len(names)} pairs have names that differ in the suffix, the first {first}"
        )
    about: dict[str, Any] = {
        "truth": str(request.truth),
        "output": str(request.output),
        "mask": str(request.mask) if request.mask else "center" if request.center else None,
        "hole": white if request.mask else None,
    }
    place = with_float64(prepare(device))
    gathering = _gathering(request.perceptual, pairs, place)
    columns, values = _scores(pairs, found, place, heard, gathering)
    if gathering is not None:
        about["distances"] = gathering.distances()
    return Scored(names, columns, values, found, about)


def _holes(
    request: Request, white: str, masks: Listed | None, names: Sequence[str], found: Findings
) -> HoleReader | None:
    """The reader of the holes. None without holes. An image without a mask is a fault of ``found``."""
    mask = request.mask
    if mask is None:
        return _central if request.center else None

    def read(place: str, content: Callable[[], bytes], image: Raster) -> tuple[Hole, str]:
        with prefixed(place):
            hole, note = read_hole(content(), white, image.size, resize=request.resize, orientation=image.orientation)
        return hole, f"{place}: {note}" if note else ""

    if masks is None:
        return lambda _, image: read(str(mask), partial(read_file, mask), image)
    if lacking := [name for name in names if name not in masks.files]:
        count = f"{len(lacking)} of {len(names)} images have no mask of their name"
        found.faults.append(f"--mask {mask}: {count}, the first {lacking[0]}; one file as --mask is the mask of all")
        found.unpaired["mask"] = lacking
    return lambda name, image: read(masks.place(name), partial(masks.content, name), image)


def _central(name: str, image: Raster) -> tuple[Hole, str]:
    """The paper's hole, the central square of half the side. Raises ValueError if the image is not square."""
    width, height = image.size
    if width != height:
        what = f"{name}: --center is the central square of square images"
        raise ValueError(f"{what}, and it is {width} x {height} px; give a --mask")
    hole = np.zeros((height, width), bool)
    hole[center_box(width).slices] = True
    return hole, ""


def _gathering(perceptual: str | None, pairs: Pairs, device: torch.device) -> Gathering | None:
    """Computes the requested perceptual distances, if any. Raises BadInput for bad options or missing weights."""
    if perceptual is None:
        return None
    faults: list[str] = []
    try:
        wanted = Perceptual.model_validate(parse(perceptual, "--perceptual", faults, lines=False).plain())
    except ValidationError as error:
        faults += [f"--perceptual: {explain(fault, Perceptual)}" for fault in error.errors()]
        raise BadInput(faults) from error
    weights, missing = find(wanted, min(min(pairs.truth(name).size) for name in pairs.names))
    if faults or missing:
        raise BadInput([*faults, *(f"--perceptual.{fault}" for fault in missing)])
    return Gathering(weights.options, weights.files, device, seed=Protocol().seed)


def _scores(
    pairs: Pairs, found: Findings, device: torch.device, heard: Listener, gathering: Gathering | None
) -> tuple[list[Column], NDArray[np.float64]]:
    """Columns and values (images, columns), from batches of images of one size."""
    columns: list[Column] = []
    rows: list[NDArray[np.float64]] = []
    done = 0
    for batch in _batches(pairs):
        truths, predictions, holes = zip(*batch, strict=True)
        image, raw = stacked(truths, device), stacked(predictions, device)
        outputs = {"raw": raw}
        if holes[0] is not None:
            mask = as_mask(np.stack(holes), device)
            outputs = {"composite": composite(raw, image, mask), "raw": raw}
            scored = own(scores_of(outputs, image, mask), found)
            outputs = {"composite": outputs["composite"]} if found.pasted else outputs
        else:  # only the whole image can be scored
            every = metrics.score(raw, image, torch.ones_like(image[:, :1]))
            scored = {("raw", region, name): each for (region, name), each in every.items() if region == "whole"}
        if gathering is not None:
            scored |= gathering.add(np.arange(done, done + len(image)), image, outputs)
        columns, done = list(scored), done + len(image)
        rows.append(np.stack([on_host(values.double()).numpy() for values in scored.values()], axis=1))
        heard("scored", done, len(pairs.names))
    return columns, np.concatenate(rows)


def _batches(pairs: Pairs) -> Iterator[list[tuple[Raster, Raster, Hole | None]]]:
    """Batches of consecutive images of one size: the truth, the output and the hole of each."""
    read = (
        (truth := pairs.truth(name), exact(pairs.output(name)), pairs.hole(name, truth)[0] if pairs.hole else None)
        for name in pairs.names
    )
    for (width, height), alike in groupby(read, key=lambda each: each[0].size):
        most = max(1, min(BATCH, BATCH_PIXELS // (width * height)))
        while batch := list(islice(alike, most)):
            yield batch


def own(scored: Mapping[Column, T], found: Findings) -> dict[Column, T]:
    """The columns of the method's own pixels: where its files hold the known pixels, 'raw' is of the whole image."""
    return {one: value for one, value in scored.items() if not found.pasted or one[0] != "raw" or one[1] == "whole"}


def stacked(pictures: Sequence[Raster], device: torch.device) -> Tensor:
    """(B, 3, H, W) in 0..1."""
    return torch.from_numpy(np.stack([each.unit() for each in pictures])).to(device)


def _described(name: str) -> dict[str, str]:
    """A metric's title, unit and direction."""
    metric = metrics.METRICS.get(name)
    if metric is None:
        return {"title": name.upper(), "unit": "", "better": "lower"}
    return {"title": metric.title, "unit": metric.unit, "better": metric.better}


def _plain(value: float) -> float | str | None:
    return value if math.isfinite(value) else {math.inf: "inf", -math.inf: "-inf"}.get(value)
