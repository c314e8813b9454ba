"""``study score --into``: scores the outputs of an external method on a study's test images, as runs of the study.

The truth and the holes are the study's own: its packed test images under its protocol.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from models.masking import erase
from models.masks import Holes
from reports.analysis.naming import label
from study.config.variants import NAME
from study.data import Packed
from study.data.files.image import Raster, exact
from study.data.holes import Draw, as_mask, drawn_holes
from study.errors import BadInput, shown, unknown
from study.evaluation.evaluate import BATCH, perceptual
from study.evaluation.evaluation import Evaluation
from study.evaluation.scoring import Scoring, holes_of
from study.external import entries
from study.external.entries import External
from study.external.pairs import Findings, Listed, Listener, Pair, checked, listed, silent, stems, together
from study.external.score import COMPOSITES, Request, Scored, stacked
from study.parts import plugins, registries
from study.plan.graph import Plan, Stage
from study.store import Store, publish
from study.training.machine import prepare

SEEDLESS = (
    "no seed is given: the files are treated as one set of released weights, and their interval is over images alone"
)


@dataclass(frozen=True)
class Test:
    """The test images of a study's data set, with the holes of its protocol. ``names``: of their files."""

    plan: Plan
    store: Store
    data: str
    stage: Stage
    packed: Packed
    names: Sequence[str]

    @classmethod
    def of(cls, out: Path, data: str | None) -> Test:
        """The test images of the named data set, or of the only one. Raises BadInput if it is unknown or not packed."""
        plan = Plan.of(out)
        sets = list(dict.fromkeys(run.data for run in plan.runs))
        if data is None and len(sets) != 1:
            raise BadInput(f"--data: the study has {len(sets)} data sets; choose one of {', '.join(sets)}")
        data = data or sets[0]
        stage = entries.evaluation(plan, data)
        if stage is None:
            raise BadInput(f"--data {data}: {unknown(data, sets, 'not a data set of this study')}")
        store = Store(out)
        for key in stage.needs.values():
            if key.startswith("data-") and not store.has(key):
                raise BadInput(f"{out}: the images of {data} are not packed yet; the study's own command packs them")
        plugins.use_planned(plan.study.digests, plan.study.command)
        packed = Packed(store.verified(stage.needs["data"]))
        return cls(plan, store, data, stage, packed, stems(packed.names("test")))

    @property
    def protocol(self) -> dict[str, Any]:
        """The protocol in the stage's key."""
        protocol: dict[str, Any] = self.stage.options["protocol"]
        return protocol

    @cached_property
    def _draw(self) -> Draw:
        return drawn_holes(self.protocol["mask"], self.stage.needs, self.store, self.packed.image_size)

    def holes(self, indices: ArrayLike) -> Holes:
        """The holes of the test images with these indices, (n, side, side)."""
        return holes_of(self._draw, self.protocol["seed"], np.asarray(indices))

    def image(self, index: int) -> Raster:
        """The test image with this index."""
        return Raster(np.asarray(self.packed.part("test")[index]))

    def pair(self, index: int, output: Listed) -> Pair:
        """A test image with the method's output and the hole."""
        name = self.names[index]
        return Pair(
            name, partial(self.image, index), partial(output.content, name), lambda _: (self.holes([index])[0], "")
        )


def score_into(
    asked: Request,
    out: Path,
    name: str,
    seed: int | None = None,
    data: str | None = None,
    *,
    device: str = "cpu",
    heard: Listener = silent,
) -> Scored:
    """Scores outputs for a study's test images and adds them to its runs as ``name``. ``seed``: None if it has none.

    Earlier scores of this name and seed are replaced. Raises BadInput with all faults; then nothing is written.
    """
    if asked.mask or asked.center or asked.hole:
        raise BadInput("--into: the holes are the study's own; leave out --mask, --center and --hole")
    test = Test.of(out, data)
    one = _named(test, out, name, seed)
    output = listed("--output", asked.output)
    found = Findings(notes=[*output.notes])
    names = together(test.names, output, found, whole=not asked.partial, theirs=f"the test part of {test.data}")
    places = {name: place for place, name in enumerate(test.names)}
    chosen = [places[name] for name in names]
    if asked.truth:
        _same_truth(listed("--truth", asked.truth), test, chosen)
    turned = "the masks that data write hands out are white in the hole"
    found = checked([test.pair(index, output) for index in chosen], found, turned=turned, heard=heard)
    for other in sorted(one.folder.parent.glob("[!.]*")):
        if other != one.folder and entries.read(other).facts.get("digest") == found.digest:
            raise BadInput(
                f"--seed {seed}: these files are scored as --seed {other.name} already; "
                "a seed is a training of its own, with files of its own"
            )
    found.notes += [SEEDLESS] if seed is None else []
    found.notes += [COMPOSITES] if found.pasted else []
    facts = {
        **{key: getattr(one, key) for key in ("name", "data", "seed")},
        **{key: getattr(found, key) for key in ("notes", "warnings", "digest", "images")},
        "kind": "composite" if found.pasted else "raw",
        "of": len(test.names),
        "protocol": test.protocol,
        "tested": entries.tested(test.stage),
    }
    making = one.folder.with_name(f".{one.folder.name}.{os.getpid()}")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    try:
        _write(test, output, chosen, making, prepare(device), heard)
        scored = datetime.now(UTC).isoformat(timespec="seconds")
        replaced = publish(making, one.folder, {**facts, "scored": scored})
    finally:
        shutil.rmtree(making, ignore_errors=True)
    about = {"into": str(out), "run": one.run, "as": one.name, "data": one.data, "seed": one.seed}
    about |= {"folder": str(one.folder), "replaced": replaced}
    evaluation = Evaluation.read(one.folder, without="raw" if found.pasted else "")
    return Scored(names, evaluation.columns, evaluation.scores, found, about)


def _named(test: Test, out: Path, name: str, seed: int | None) -> External:
    """The folder, name and seed of the scores. Raises BadInput if the name or the seed cannot be used."""
    if not re.fullmatch(NAME, name):
        raise BadInput(
            f"--as {shown(name)}: a name has letters, digits and _.-, begins with a letter or digit, 64 at most"
        )
    if name in test.plan.names():
        raise BadInput(f"--as {name}: a variant of the study has this name; choose another, such as {name}_theirs")
    if label(name) != name or name in registries.METHODS or name in registries.FILLERS:
        why = "the report speaks of a method by this name, as it is trained here"
        raise BadInput(f"--as {name}: {why}; choose another, such as {name}_theirs")
    if seed is not None and not 0 <= seed < 2**31:
        raise BadInput(f"--seed {seed}: a seed is from 0 to {2**31 - 1}")
    folder = entries.place(out, name, test.data, seed)
    for other in sorted(folder.parent.glob("[!.]*")):
        if (other.name == "all") != (folder.name == "all"):
            seeds = "without a seed" if other.name == "all" else f"with --seed {other.name}"
            raise BadInput(
                f"--as {name}: it was scored on {test.data} {seeds}, and one name has seeds or has none; do the same "
                f"again, choose another name, or remove {other}"
            )
    return External(folder, name, test.data, seed)


def _same_truth(truth: Listed, test: Test, chosen: Sequence[int]) -> None:
    """Raises BadInput if a truth is not identical to the study's image."""
    what = f"--truth {truth.source.place}: these are not the study's test images at {test.packed.image_size} px"
    for index in chosen:
        name, ours = test.names[index], test.image(index)
        if name not in truth.files:
            raise BadInput(f"{what}: {name} is not among them; leave --truth out, the study has its own")
        try:
            theirs = truth.picture(name)
        except ValueError as fault:
            raise BadInput(f"--truth: {fault}") from fault
        if theirs.size != ours.size:
            raise BadInput(f"{what}: {truth.place(name)} is {theirs.size[0]} x {theirs.size[1]} px")
        if not np.array_equal(theirs.unit(), ours.unit()):
            raise BadInput(f"{what}: {truth.place(name)} has other pixels; write them with: python -m study data write")


def _write(
    test: Test, output: Listed, chosen: Sequence[int], folder: Path, device: torch.device, heard: Listener
) -> None:
    """Scores the outputs and writes the files of an evaluation."""
    images = test.packed.part("test")
    scoring = Scoring(test.protocol, test.packed.names("test"), None, perceptual(test.stage, "test", device))
    scoring.chosen = np.array(chosen, np.int64)
    for start in range(0, len(chosen), BATCH):
        heard("scored", start, len(chosen))
        indices = scoring.chosen[start : start + BATCH]
        image = torch.from_numpy(images[indices]).to(device).permute(0, 3, 1, 2).float() / 255
        mask = as_mask(test.holes(indices), device)
        raw = stacked([exact(output.content(test.names[index])) for index in indices.tolist()], device)
        scoring.add(indices, image, mask, erase(image, mask, 0.0), raw)
    scoring.write(folder)
