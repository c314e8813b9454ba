"""``study score --into``: what a method that cannot be run here made of a study's test images, as rows of the study.

The truth and the holes are the study's own: its packed test images under its protocol.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file

from models.masking import erase
from reports.analysis.naming import label
from study.config.variants import NAME
from study.data import Packed
from study.data.files.pictures import Hole, Picture, picture
from study.data.holes import as_mask, drawn_holes
from study.errors import BadInput, shown, unknown
from study.evaluation.evaluate import BATCH
from study.evaluation.scoring import Scoring, holes_of
from study.external import entries
from study.external.entries import External
from study.external.pairs import Found, Listed, Listener, Pair, checked, listed, silent, stems, together
from study.external.score import COMPOSITES, Asked, Column, Scored, stacked
from study.metrics.perceptual import Gathering
from study.parts import plugins, registries
from study.plan.graph import Plan, Stage
from study.running.machine import prepare
from study.store import Store, read_facts

SEEDLESS = (
    "no seed is said: the files stand for themselves, as those of one set of released weights; their interval is over "
    "images alone"
)


@dataclass(frozen=True)
class Joining:
    """The study that the rows are to join, and as what. ``seed``: None where the method has none."""

    out: Path
    name: str
    seed: int | None = None
    data: str | None = None


@dataclass(frozen=True)
class Test:
    """The test images of a study's data set, with the holes of its protocol. ``names``: as files are to have them."""

    plan: Plan
    store: Store
    data: str
    stage: Stage
    packed: Packed
    names: Sequence[str]

    @classmethod
    def of(cls, out: Path, data: str | None) -> Test:
        """Of the data set of that name, or the only one. Raises BadInput where there is none that is packed."""
        plan = Plan.of(out)
        sets = list(dict.fromkeys(run.data for run in plan.runs))
        if data is None and len(sets) != 1:
            raise BadInput(f"--data: the study has {len(sets)} data sets; choose one of {', '.join(sets)}")
        data = data or sets[0]
        stage = entries.evaluation(plan, data)
        if stage is None:
            raise BadInput(f"--data {data}: {unknown(data, sets, 'no data set of this study')}")
        store = Store(out)
        for key in stage.needs.values():
            if key.startswith("data-") and not store.has(key):
                raise BadInput(f"{out}: the images of {data} are not packed yet; the study's own command packs them")
        plugins.use_planned(plan.study.digests, plan.study.command)
        packed = Packed(store.verified(stage.needs["data"]))
        return cls(plan, store, data, stage, packed, stems(packed.names("test")))

    @property
    def protocol(self) -> dict[str, Any]:
        """As the stage's key has it."""
        protocol: dict[str, Any] = self.stage.options["protocol"]
        return protocol

    def draw(self) -> Callable[[NDArray[np.int64]], NDArray[np.bool_]]:
        """What gives the holes of the images with these indices, (n, side, side)."""
        drawn = drawn_holes(self.protocol["mask"], self.stage.needs, self.store, self.packed.image_size)
        return lambda indices: holes_of(drawn, self.protocol["seed"], indices)

    def image(self, index: int) -> Picture:
        """A test image."""
        return Picture(np.asarray(self.packed.part("test")[index]))

    def pairs(self, output: Listed, names: Sequence[str]) -> Iterator[Pair]:
        """These images with what a method made of them."""
        places, draw = {name: place for place, name in enumerate(self.names)}, self.draw()
        for name in names:
            place = places[name]
            hole = partial(_drawn, draw, place)
            yield Pair(name, partial(self.image, place), partial(output.content, name), hole)


def _drawn(draw: Callable[..., NDArray[np.bool_]], place: int, size: tuple[int, int]) -> tuple[Hole, str]:
    return draw(np.array([place]))[0], ""


def score_into(asked: Asked, joining: Joining, *, device: str = "cpu", heard: Listener = silent) -> Scored:
    """Scores outputs of a study's test images and puts them beside its runs, in the place of what was there.

    Raises BadInput with all that is wrong; then nothing is written.
    """
    if asked.mask or asked.center or asked.hole:
        raise BadInput("--into: the holes are the study's own; leave out --mask, --center and --hole")
    test = Test.of(joining.out, joining.data)
    one = _named(joining, test)
    output = listed("--output", asked.output)
    found = Found(notes=[*output.notes])
    names = together(test.names, output, found, whole=not asked.partial, theirs=f"the test part of {test.data}")
    if asked.truth:
        _same_truth(listed("--truth", asked.truth), test, names)
    turned = "the masks that data write hands out are white in the hole"
    found = checked(list(test.pairs(output, names)), found, turned=turned, heard=heard)
    for other in sorted(one.folder.parent.glob("[!.]*")):
        if other != one.folder and read_facts(other / entries.FACTS).get("digest") == found.digest:
            raise BadInput(
                f"--seed {joining.seed}: these files are scored as --seed {other.name} already; "
                "a seed is a training of its own, with files of its own"
            )
    found.notes += [SEEDLESS] if joining.seed is None else []
    found.notes += [COMPOSITES] if found.pasted else []
    replaced = _published(test, output, names, found, one, prepare(device), heard)
    about = {"into": str(joining.out), "run": one.run, "as": one.name, "data": one.data, "seed": one.seed}
    about |= {"folder": str(one.folder), "replaced": replaced}
    columns, values = _stored(one.folder, pasted=found.pasted)
    return Scored(names, columns, values, found, about)


def _published(
    test: Test,
    output: Listed,
    names: Sequence[str],
    found: Found,
    one: External,
    device: torch.device,
    heard: Listener,
) -> bool:
    """Scores and publishes; whether that replaced what was there."""
    making = one.folder.with_name(f".{one.folder.name}.{os.getpid()}")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    try:
        _write(test, output, names, making, device, heard)
        facts = {
            "name": one.name,
            "data": one.data,
            "seed": one.seed,
            "kind": "composite" if found.pasted else "raw",
            "notes": found.notes,
            "warnings": found.warnings,
            "digest": found.digest,
            "images": len(names),
            "of": len(test.names),
            "scored": datetime.now(UTC).isoformat(timespec="seconds"),
            "protocol": test.protocol,
            "tested": entries.tested(test.stage),
        }
        return entries.publish(making, one.folder, facts)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _named(joining: Joining, test: Test) -> External:
    """Where the scores are to lie. Raises BadInput where the name, or the seed, cannot be taken."""
    name, seed = joining.name, joining.seed
    if not re.fullmatch(NAME, name):
        raise BadInput(
            f"--as {shown(name)}: a name has letters, digits and _.-, begins with a letter or digit, 64 at most"
        )
    if name in {each for run in test.plan.runs for each in (run.variant, *run.aliases)}:
        raise BadInput(f"--as {name}: a variant of the study has this name; choose another, such as {name}_theirs")
    if label(name) != name or name in registries.METHODS or name in registries.FILLERS:
        why = "the report speaks of a method by this name, as it is trained here"
        raise BadInput(f"--as {name}: {why}; choose another, such as {name}_theirs")
    if seed is not None and not 0 <= seed < 2**31:
        raise BadInput(f"--seed {seed}: a seed is from 0 to {2**31 - 1}")
    folder = entries.place(joining.out, name, test.data, seed)
    for other in sorted(folder.parent.glob("[!.]*")):
        if (other.name == "all") != (folder.name == "all"):
            told = "without a seed" if other.name == "all" else f"with --seed {other.name}"
            raise BadInput(
                f"--as {name}: it was scored on {test.data} {told}, and one name has seeds or has none; say so again, "
                f"choose another name, or remove {other}"
            )
    return External(folder, name, test.data, seed)


def _same_truth(truth: Listed, test: Test, names: Sequence[str]) -> None:
    """Raises BadInput where a truth is not the study's image to the last bit."""
    size = test.packed.image_size
    what = f"--truth {truth.source.place}: these are not the study's test images at {size} px"
    places = {name: place for place, name in enumerate(test.names)}
    for name in names:
        if name not in truth.files:
            raise BadInput(f"{what}: {name} is not among them; leave --truth out, the study has its own")
        try:
            theirs = truth.picture(name)
        except ValueError as fault:
            raise BadInput(f"--truth: {fault}") from fault
        ours = test.image(places[name])
        if theirs.size != ours.size:
            raise BadInput(f"{what}: {truth.place(name)} is {theirs.size[0]} x {theirs.size[1]} px")
        if not np.array_equal(theirs.unit(), ours.unit()):
            raise BadInput(f"{what}: {truth.place(name)} has other pixels; write them with: python -m study data write")


def _write(
    test: Test, output: Listed, names: Sequence[str], folder: Path, device: torch.device, heard: Listener
) -> None:
    """Scores the outputs as an evaluation is scored, and writes what it writes."""
    draw, images = test.draw(), test.packed.part("test")
    scoring = Scoring(test.protocol, test.packed.names("test"), None, _gathering(test, device))
    there = set(names)
    scoring.chosen = np.array([place for place, name in enumerate(test.names) if name in there], np.int64)
    for start in range(0, len(scoring.chosen), BATCH):
        heard("scored", start, len(scoring.chosen))
        indices = scoring.chosen[start : start + BATCH]
        image = torch.from_numpy(images[indices]).to(device).permute(0, 3, 1, 2).float() / 255
        mask = as_mask(draw(indices), device)
        raw = stacked([picture(output.content(test.names[index])) for index in indices.tolist()], device)
        scoring.add(indices, image, mask, erase(image, mask, 0.0), raw)
    scoring.write(folder)


def _gathering(test: Test, device: torch.device) -> Gathering | None:
    """What gathers the perceptual distances that the study's own runs have."""
    if not (wanted := test.stage.options.get("perceptual")):
        return None
    truths = (test.stage.needs["data"], "test")
    files = test.stage.hints["perceptual"]
    return Gathering(wanted, files, device, seed=test.protocol["seed"], truths=truths)


def _stored(folder: Path, *, pasted: bool) -> tuple[list[Column], NDArray[np.float64]]:
    """What was written, less what is no output of the method."""
    facts = json.loads((folder / "evaluation.json").read_text())
    wide = load_file(folder / "scores.safetensors")["scores"]
    keep = [place for place, (output, *_) in enumerate(facts["columns"]) if not (pasted and output == "raw")]
    return [tuple(facts["columns"][place]) for place in keep], wide[:, keep]
