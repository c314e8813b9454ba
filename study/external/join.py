"""A study's test images for external methods.

``study data write`` writes them as files. ``study score --into`` scores a method's outputs, as runs of the study. The
truth and the holes are the study's own: its packed test images under its protocol.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from models.host import with_float64
from models.masking import erase
from reports.analysis.naming import label
from study.config.variants import NAME
from study.data import Packed
from study.data.files.image import Raster, exact
from study.data.files.masks import Hole
from study.data.holes import as_mask, drawn_holes
from study.errors import BadInput, shown, unknown
from study.evaluation.evaluate import BATCH, perceptual
from study.evaluation.evaluation import Evaluation
from study.evaluation.scoring import Scoring, holes_of
from study.external import entries
from study.external.entries import External
from study.external.names import hint, patterns
from study.external.pairs import Findings, Listed, Listener, Pairs, check, silent, stems, together
from study.external.score import Request, Scored, own, stacked
from study.parts import plugins, registries
from study.plan.graph import Plan
from study.store import Store, publish
from study.training.machine import prepare

SEEDLESS = (
    "no seed is given: the files are treated as one set of released weights, and their interval is over images alone"
)


class Test:
    """The test images of a study's data set, with the holes of its protocol.

    Args:
        data: the data set; None for the only one.

    ``places`` has the index of each image by the name of its file. Raises BadInput if the data set is unknown or not
    packed.
    """

    def __init__(self, out: Path, data: str | None) -> None:
        self.plan, store = Plan.of(out), Store(out)
        sets = list(dict.fromkeys(run.data for run in self.plan.runs))
        if data is None and len(sets) != 1:
            raise BadInput(f"--data: the study has {len(sets)} data sets; choose one of {', '.join(sets)}")
        self.data = data or sets[0]
        stage = entries.evaluation(self.plan, self.data)
        if stage is None:
            raise BadInput(f"--data {data}: {unknown(data, sets, 'not a data set of this study')}")
        for key in stage.needs.values():
            if key.startswith("data-") and not store.has(key):
                raise BadInput(
                    f"{out}: the images of {self.data} are not packed yet; the study's own command packs them"
                )
        plugins.use_planned(self.plan.study.digests, self.plan.study.command)
        self.stage, self.protocol = stage, stage.options["protocol"]
        self.packed = Packed(store.verified(stage.needs["data"]))
        self.places = {name: place for place, name in enumerate(stems(self.packed.names("test")))}
        self._draw = drawn_holes(self.protocol["mask"], stage.needs, store, self.packed.image_size, "test")

    def hole(self, name: str) -> Hole:
        """The hole of one test image, (side, side)."""
        hole: Hole = holes_of(self._draw, self.protocol["seed"], np.array([self.places[name]]))[0]
        return hole

    def share(self) -> str:
        """How much of an image is hole, and which mask it gets if the masks are files, in words."""
        shares = [float(self.hole(name).mean()) for name in self.places]
        how = self.protocol["mask"].get("pairing", "drawn") if self.protocol["mask"]["kind"] == "files" else ""
        paired = f"; masks are paired with images: {how}" if how else ""
        return f"{np.mean(shares):.0%} of an image is hole on average ({min(shares):.0%} to {max(shares):.0%}){paired}"

    def image(self, name: str) -> Raster:
        """One test image."""
        return Raster(np.asarray(self.packed.part("test")[self.places[name]]))


def hand_out(out: Path, folder: Path, data: str | None, *, heard: Listener = silent) -> Test:
    """Writes truth, mask (white in the hole) and masked (black in the hole) as PNG. Returns the test.

    Raises BadInput if the folder is not empty, or the study's images are not packed.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"{folder}: there is something there already; name a new folder, or an empty one")
    test = Test(out, data)
    for name, place in test.places.items():
        heard("written", place, len(test.places))
        pixels, hole = test.image(name).pixels, test.hole(name)
        image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None]
        masked = erase(image, as_mask(hole[None], torch.device("cpu")), 0)[0].permute(1, 2, 0).numpy()
        for part, values in (("truth", pixels), ("mask", hole.astype(np.uint8) * 255), ("masked", masked)):
            file = folder / part / f"{name}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(file)
    return test


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
    if asked.mask or asked.center or asked.hole or asked.resize:
        raise BadInput("--into: the holes are the study's own; leave out --mask, --center, --hole and --resize")
    test = Test(out, data)
    one = _named(test, out, name, seed)
    named = patterns(asked.match, *(("truth", "output") if asked.truth else ("output",)))
    output = Listed("--output", asked.output, named["output"])
    found = Findings(notes=[*output.notes])
    hinted = "" if asked.match or asked.truth else hint({"output": output.paths}, test.places)
    theirs = f"the test part of {test.data}"
    names = together(test.places, output, found, whole=not asked.partial, theirs=theirs, other=hinted)
    if asked.truth:
        _same_truth(Listed("--truth", asked.truth, named["truth"]), test, names)
    turned = "the masks that data write hands out are white in the hole"
    pairs = Pairs(names, test.image, output.content, lambda name, _: (test.hole(name), ""))
    check(pairs, found, turned=turned, heard=heard)
    for other in sorted(one.folder.parent.glob("[!.]*")):
        if other != one.folder and entries.read(other).facts.get("digest") == found.digest:
            raise BadInput(
                f"--seed {seed}: these files are scored as --seed {other.name} already; "
                "a seed is a training of its own, with files of its own"
            )
    found.notes += [SEEDLESS] if seed is None else []
    facts = {
        **{key: getattr(one, key) for key in ("name", "data", "seed")},
        **{key: getattr(found, key) for key in ("notes", "warnings", "digest", "images")},
        "kind": "composite" if found.pasted else "raw",
        "of": len(test.places),
        "protocol": test.protocol,
        "tested": entries.tested(test.stage),
    }
    making = one.folder.with_name(f".{one.folder.name}.{os.getpid()}")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    try:
        _write(test, pairs, making, with_float64(prepare(device)), heard)
        scored = datetime.now(UTC).isoformat(timespec="seconds")
        replaced = publish(making, one.folder, {**facts, "scored": scored})
    finally:
        shutil.rmtree(making, ignore_errors=True)
    about = {"into": str(out), "run": one.run, "as": one.name, "data": one.data, "seed": one.seed}
    about |= {"folder": str(one.folder), "replaced": replaced}
    evaluation = Evaluation.read(one.folder)
    columns = own({column: place for place, column in enumerate(evaluation.columns)}, found)
    return Scored(names, list(columns), evaluation.scores[:, list(columns.values())], found, about)


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


def _same_truth(truth: Listed, test: Test, names: Sequence[str]) -> None:
    """Raises BadInput if a truth is not identical to the study's image."""
    what = f"{truth.title}: these are not the study's test images at {test.packed.image_size} px"
    for name in names:
        if name not in truth.files:
            raise BadInput(f"{what}: {name} is not among them; leave --truth out, the study has its own")
        try:
            ours, theirs = test.image(name), truth.picture(name)
        except ValueError as fault:
            raise BadInput(f"--truth: {fault}") from fault
        if theirs.size != ours.size:
            raise BadInput(f"{what}: {truth.place(name)} is {theirs.size[0]} x {theirs.size[1]} px")
        if not np.array_equal(theirs.unit(), ours.unit()):
            raise BadInput(f"{what}: {truth.place(name)} has other pixels; write them with: python -m study data write")


def _write(test: Test, pairs: Pairs, folder: Path, device: torch.device, heard: Listener) -> None:
    """Scores the outputs and writes the files of an evaluation."""
    images = test.packed.part("test")
    scoring = Scoring(test.protocol, test.packed.names("test"), None, perceptual(test.stage, "test", device))
    scoring.chosen = np.array([test.places[name] for name in pairs.names], np.int64)
    for start in range(0, len(pairs.names), BATCH):
        heard("scored", start, len(pairs.names))
        names, indices = pairs.names[start : start + BATCH], scoring.chosen[start : start + BATCH]
        image = torch.from_numpy(images[indices]).to(device).permute(0, 3, 1, 2).float() / 255
        holes = np.stack([test.hole(name) for name in names])
        mask = as_mask(holes, device)
        raw = stacked([exact(pairs.output(name)) for name in names], device)
        scoring.add(indices, holes, image, mask, erase(image, mask, 0.0), raw)
    scoring.write(folder)
