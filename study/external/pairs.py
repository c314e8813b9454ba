"""Image folders of any method, paired by name and checked before anything is scored.

The check reads every image once and reports all faults together: sizes, bit depths, colours, transparency, masks, and
masks whose polarity is not the one that the outputs were made with.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from study.data.files import tree
from study.data.files.image import OPAQUE, Raster, exact
from study.data.files.masks import SSIM_EDGE, Hole, fits_ssim
from study.data.files.source import is_image, printable, some, stem
from study.errors import BadInput, prefixed
from study.metrics.structure import WINDOW

SHOWN = 5  # faults in one message, at most
STEP = 1  # of 255: an output that differs from the truth by this much was only rounded differently
KEPT = 0.5
"""An output kept a region if at least this share of its pixels equals the truth. Not all of them, because some methods
smooth the edge of the hole."""

PASTED = 0.95
"""An output is a composite if at least this share of the known pixels equals the truth."""

KEPT_LOSSY = 6.0  # of 255: the largest mean difference that JPEG makes in a region that a method kept
APART = 3.0  # a region that changed differs this many times as much as one that did not

Listener = Callable[[str, int, int], None]
"""Called as ``listener(what, done, total)`` with 'checked', 'scored' or 'written', in images."""

HoleReader = Callable[[str, tuple[int, int]], tuple[Hole, str]]
"""Reads the hole, (H, W), of an image by its name and (width, height), with a note on what had to be decided. Raises
ValueError."""


def silent(what: str, done: int, of: int) -> None:
    """A listener that does nothing."""


@dataclass(frozen=True)
class Pairs:
    """Images and a method's outputs. ``names``: the files' relative paths without suffix.

    truth: reads a true image by its name. output: reads an output file's bytes. Both raise ValueError.
    """

    names: Sequence[str]
    truth: Callable[[str], Raster]
    output: Callable[[str], bytes]
    hole: HoleReader | None


@dataclass
class Findings:
    """The result of pairing and checking.

    unpaired: names without a partner, by the side that has them. notes, warnings: sentences for the user.
    images: number of pairs. counts: of outputs, by what ``_seen`` says of them. digest: of all output files.
    """

    unpaired: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    images: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    digest: str = ""

    @property
    def pasted(self) -> bool:
        """True if every output keeps the known pixels: composites, whose prediction outside the hole is lost."""
        return self.counts["pasted"] == self.images


class Listed:
    """The images below a folder, or in a zip or tar. ``files``: their names by their relative paths without suffix.

    Raises BadInput if there are none, or two with one name.
    """

    def __init__(self, option: str, folder: Path) -> None:
        self.title = f"{option} {folder}"
        try:
            self.source = tree.opened(str(folder))
        except ValueError as fault:
            raise BadInput(f"{self.title}: {str(fault).removeprefix('root: ')}") from fault
        self.files: dict[str, str] = {}
        faults, names = [], self.source.names
        for name in self.source.images:
            twin = self.files.setdefault(stem(name), name)
            if twin != name:
                faults.append(f"{self.title}: {twin} and {name} have one name but for the suffix; leave one of them")
        if faults:
            raise BadInput(_first(faults))
        if not self.files:
            there = f"; it has {some(names)}" if names else ""
            raise BadInput(f"{self.title}: there is no image in it{there}")
        self.notes = [f"{folder}/{entry.name}: {entry.why}" for entry in self.source.left_out]
        if others := [name for name in names if not is_image(name)]:
            text = f"{len(others)} files are no images by their names and not read: {some(others)}"
            self.notes.insert(0, f"{folder}: {text}")

    def content(self, name: str) -> bytes:
        """A file's bytes. Raises ValueError."""
        try:
            with self.source.open(self.files[name]) as file:
                return file.read()
        except OSError as error:
            raise ValueError(f"it cannot be read ({error.strerror})") from error

    def picture(self, name: str) -> Raster:
        """The image of this name. Raises ValueError with a sentence that names the file."""
        with prefixed(self.place(name)):
            return exact(self.content(name))

    def place(self, name: str) -> str:
        """The file's path in messages."""
        return f"{self.source.place}/{self.files[name]}"


def stems(names: Sequence[str]) -> list[str]:
    """Names without suffix for a study's images; where two would clash, both keep their suffix."""
    found = [stem(name) for name in names]
    counts = Counter(each.lower() for each in found)  # some file systems ignore case
    return [name if counts[short.lower()] > 1 else short for name, short in zip(names, found, strict=True)]


def together(truth: Collection[str], output: Listed, found: Findings, *, whole: bool, theirs: str) -> list[str]:
    """The names in both folders, in the order of ``truth``. Records the others in ``found``.

    Args:
        whole: every image must have a partner.
        theirs: how messages call the truth.

    Raises BadInput if no name has a partner, or if ``whole`` and one has none.
    """
    names = [name for name in truth if name in output.files]
    lacking = [name for name in truth if name not in output.files]
    spare = sorted(set(output.files) - set(truth))
    found.unpaired = {"truth": lacking, "output": spare}
    gaps = []
    if lacking:
        gaps.append(f"{len(lacking)} of {len(truth)} images of {theirs} have no output: {some(lacking)}")
    if spare:
        gaps.append(f"{len(spare)} outputs have no image in {theirs}: {some(spare)}")
    lower = {name.lower(): name for name in spare}
    if alike := [(name, lower[name.lower()]) for name in lacking if name.lower() in lower]:
        gaps.append(f"{len(alike)} of these differ in case alone: {printable(alike[0][0])}, {printable(alike[0][1])}")
    text = f"{output.title}: {'; '.join(gaps)}"
    if not names:
        raise BadInput(f"{text}; a pair has the same path below both folders, except for the suffix")
    if gaps and whole:
        raise BadInput(f"{text}; --partial scores the {len(names)} that are there and says how many are not")
    found.notes += [text] if gaps else []
    return names


def check(pairs: Pairs, found: Findings, *, turned: str, heard: Listener) -> None:
    """Reads every pair once and records in ``found`` what the outputs are.

    Args:
        turned: advice for masks with the opposite polarity.

    Raises BadInput if a pair cannot be scored, or the outputs were made with the opposite polarity.
    """
    faults, reversed_, digest, decided = [], [], hashlib.sha256(), []
    of = len(pairs.names)
    for done, name in enumerate(pairs.names):
        heard("checked", done, of)
        try:
            content = pairs.output(name)
            digest.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
            truth = pairs.truth(name)
            with prefixed(f"{name}, the output"):
                output = exact(content)
            if fault := _unlike(truth, output):
                raise ValueError(f"{name}: {fault}")
            hole, note = pairs.hole(name, truth.size) if pairs.hole else (None, "")
            if hole is not None and not fits_ssim(hole):
                raise ValueError(
                    f"{name}: its hole lies within {SSIM_EDGE} px of the border, where no window of SSIM fits"
                )
        except ValueError as fault:
            faults.append(str(fault))
            continue
        decided += [note] if note else []
        found.images += 1
        seen, means = _seen(truth, output, hole)
        found.counts.update(seen)
        reversed_ += [(name, *means)] if "reversed" in seen else []
    if faults:
        heading = [f"{len(faults)} of {of} images cannot be scored:"] if len(faults) > 1 else []
        raise BadInput(heading + _first(faults))
    if len(reversed_) > of / 2:
        name, inside, outside = reversed_[0]
        raise BadInput(
            f"the masks are the other way round: {len(reversed_)} of {of} outputs are the truth inside the "
            f"hole and not outside ({printable(name)} differs by {inside:.1f} of 255 in the hole and by {outside:.1f} "
            f"in what should be known); {turned}"
        )
    found.digest = digest.hexdigest()
    if pairs.hole and not found.pasted:
        found.notes.append(
            f"{found.images - found.counts['pasted']} of {found.images} outputs change the known pixels, as raw "
            "predictions do: they are scored as they are ('raw'), and with the known pixels of the truth "
            "('composite'), as in the protocol"
        )
    if decided:
        found.notes.append(f"{len(decided)} masks are not of two values; {decided[0]}")
    found.warnings += _warnings(found, reversed_, holes=pairs.hole is not None)


def _unlike(truth: Raster, output: Raster) -> str:
    """Why an output cannot be compared with its truth; empty if it can."""
    if truth.size != output.size:
        return f"the truth is {_px(truth.size)}, the output {_px(output.size)}{_hint(truth.size, output.size)}"
    if truth.depth != output.depth:
        return (
            f"the truth has {truth.depth} bits a channel, the output {output.depth}; save both with the same, "
            "or the conversion between them counts against the method"
        )
    if truth.pixels.ndim != output.pixels.ndim and not (truth.grey and output.grey):
        sides = ("grey", "in colour") if truth.pixels.ndim == 2 else ("in colour", "grey")
        return f"the truth is {sides[0]}, the output {sides[1]}; save both alike"
    if min(truth.size) < WINDOW:
        return f"it is {_px(truth.size)}; SSIM needs at least {WINDOW} x {WINDOW} px"
    return ""


def _seen(truth: Raster, output: Raster, hole: Hole | None) -> tuple[set[str], tuple[float, float]]:
    """What an output is, and its mean difference from the truth in the hole and in the known region, of 255.

    equal: the whole output equals the truth. lossy: it is a JPEG. pasted: nearly all known pixels equal the truth, but
    for JPEG artefacts. idle: most of the hole equals the truth. reversed: the hole equals the truth and the known
    region does not. doubtful: the output changes both regions, the hole less than the rest.
    """
    a, b = (each.pixels if each.pixels.ndim == 3 else each.pixels[..., None] for each in (truth, output))
    apart = np.abs(a.astype(np.int32) - b.astype(np.int32)).mean(axis=2) * (255 / OPAQUE[truth.depth])
    seen = {"equal": not apart.any(), "lossy": output.lossy}
    means = float("nan"), float(apart.mean())
    if hole is not None:
        inside, outside = apart[hole], apart[np.logical_not(hole)]
        means = float(inside.mean()), float(outside.mean())
        kept = _kept(outside, output.lossy)
        turned = _kept(inside, output.lossy) and not kept and means[1] > APART * means[0]
        seen["pasted"] = kept if output.lossy else bool((outside <= STEP).mean() >= PASTED)
        seen["reversed"] = turned
        seen["idle"] = not output.lossy and bool((inside == 0).mean() > KEPT)
        seen["doubtful"] = not kept and not turned and means[0] < means[1]
    return {name for name, true in seen.items() if true}, means


def _kept(apart: NDArray[np.float64], lossy: bool) -> bool:
    """True if a method kept a region, from its pixels' differences to the truth."""
    return bool(apart.mean() <= KEPT_LOSSY) if lossy else bool((apart <= STEP).mean() >= KEPT)


def _warnings(found: Findings, turned: Sequence[tuple[str, float, float]], *, holes: bool) -> Iterator[str]:
    """What the user must know about the outputs."""
    of, counts = f"of {found.images} outputs", found.counts
    if counts["equal"]:
        yield f"{counts['equal']} {of} are the truth itself, to the last bit; are these the files?"
    if counts["lossy"]:
        pasted = "; the composite has the truth's own there" if holes else ""
        yield f"{counts['lossy']} {of} are JPEG, which changes what the method left alone, and its repairs{pasted}"
    if counts["doubtful"] > found.images / 2:
        closer = "are closer to the truth in the hole than in what is known"
        yield f"{counts['doubtful']} {of} {closer}; are the masks the other way round?"
    if counts["idle"] > max(counts["equal"], found.images / 2):
        idle = "most of the hole is the truth to the last bit"
        yield f"in {counts['idle']} {of} {idle}; are these the holes that were repaired?"
    if turned:
        yield f"{len(turned)} {of} are the truth inside the hole and not outside, the first {printable(turned[0][0])}"


def _px(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]} px"


def _hint(truth: tuple[int, int], output: tuple[int, int]) -> str:
    """A likely reason for a different size."""
    if truth == output[::-1]:
        return ", which is rotated by 90 degrees"
    ratios = output[0] / truth[0], output[1] / truth[1]
    if ratios[0] == ratios[1]:
        factor = f"{ratios[0]:g} times" if ratios[0] > 1 else f"1/{1 / ratios[0]:g} of"
        return f", which is {factor} the size; score outputs at the size of the truth, or the truth resized likewise"
    return ""


def _first(faults: Sequence[str]) -> list[str]:
    more = [f"and {len(faults) - SHOWN} more"] if len(faults) > SHOWN else []
    return [*faults[:SHOWN], *more]
