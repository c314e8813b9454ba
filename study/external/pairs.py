"""Image folders of any method, paired by name and checked before anything is scored.

The check reads every image once and reports all faults together: sizes, bit depths, colours, transparency, masks, and
masks whose polarity is not the one that the outputs were made with.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from study.data.files import tree
from study.data.files.census import census, why_none
from study.data.files.image import OPAQUE, Raster, exact
from study.data.files.masks import SSIM_EDGE, Hole, fits_ssim
from study.data.files.source import printable, some, stem
from study.errors import BadInput, prefixed
from study.external.names import NAME, match
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

HoleReader = Callable[[str, Raster], tuple[Hole, str]]
"""Reads the hole, (H, W), of an image by its name and the image itself, with a note on what had to be decided. Raises
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

    unpaired: names without a partner, by the side that has them. faults: of the names; ``check`` raises them with its
        own. notes, warnings: sentences for the user.
    images: number of pairs. counts: of outputs, by what ``_seen`` says of them. digest: of all output files.
    shares: how much of each image is hole, by name; empty without holes.
    """

    unpaired: dict[str, list[str]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    images: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    digest: str = ""
    shares: dict[str, float] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """How much of an image is hole, on average; NaN without holes."""
        return float(np.mean(list(self.shares.values()))) if self.shares else float("nan")

    @property
    def pasted(self) -> bool:
        """True if every output keeps the known pixels: composites, whose prediction outside the hole is lost."""
        return self.counts["pasted"] == self.images


class Listed:
    """The images below a folder, or in a zip or tar. ``files``: their files by their names.

    A name is a relative path without its suffix, or the part of it that stands for ``{name}`` in ``pattern``.

    Raises BadInput if there are none, or two with one name.
    """

    def __init__(self, option: str, folder: Path, pattern: str = NAME) -> None:
        self.title = f"{option} {folder}"
        try:
            self.source = tree.opened(str(folder))
        except ValueError as fault:
            raise BadInput(f"{self.title}: {str(fault).removeprefix('root: ')}") from fault
        self.files: dict[str, str] = {}
        faults = []
        named = {name: short for name in self.source.images if (short := match(pattern, stem(name))) is not None}
        for name, short in named.items():
            twin = self.files.setdefault(short, name)
            if twin != name:
                faults.append(f"{self.title}: {twin} and {name} have one name but for the suffix; leave one of them")
        if faults:
            raise BadInput(_first(faults))
        if not self.files:
            if pattern != NAME and self.source.images:
                like = f"no image in it has a name like {pattern}"
                raise BadInput(f"{self.title}: {like}; it has {some(self.source.images)}")
            why = why_none(self.source)
            raise BadInput(f"{self.title}: there is no image in it{f'; {why}' if why else ''}")
        self.notes = [f"{folder}: {sentence}" for sentence in census(self.source).sentences()]
        self.notes += [f"{folder}/{printable(entry.name)}: {entry.why}" for entry in self.source.left_out]
        if spare := [name for name in self.source.images if name not in named]:
            self.notes.append(f"{folder}: {len(spare)} images have no name like {pattern}: {some(spare)}")

    @property
    def paths(self) -> tuple[str, list[str]]:
        """The folder, and the relative paths of its images without suffix."""
        return self.source.place, list(map(stem, self.source.images))

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


def together(
    truth: Collection[str], output: Listed, found: Findings, *, whole: bool, theirs: str, other: str = ""
) -> list[str]:
    """The names in both folders, in the order of ``truth``. Records the others in ``found``.

    Args:
        whole: every image must have a partner; it is a fault of ``found`` if one has none.
        theirs: how messages call the truth.
        other: a hint at other names that pair more, if there is one.

    Raises BadInput if no name has a partner.
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
    text = "; ".join([f"{output.title}: {'; '.join(gaps)}", *([other] if gaps and other else [])])
    if not names:
        raise BadInput(f"{text}; a pair has the same path below both folders, except for the suffix")
    if gaps and whole:
        found.faults.append(f"{text}; --partial scores the {len(names)} that are there and says how many are not")
    elif gaps:
        found.notes.append(text)
    return names


def check(pairs: Pairs, found: Findings, *, turned: str, heard: Listener) -> None:
    """Reads every pair once and records in ``found`` what the outputs are.

    Args:
        turned: advice for masks with the opposite polarity.

    Raises BadInput with all faults if a pair cannot be scored, or the outputs were made with the opposite polarity.
    """
    faults: list[str] = []
    reversed_, digest, decided = [], hashlib.sha256(), []
    of = len(pairs.names)
    for done, name in enumerate(pairs.names):
        heard("checked", done, of)
        masked = name not in found.unpaired.get("mask", ())
        if (pair := _read(replace(pairs, hole=pairs.hole if masked else None), name, digest, faults)) is None:
            continue
        truth, output, hole, note = pair
        decided += [note] if note else []
        found.images += 1
        found.shares |= {name: float(hole.mean())} if hole is not None else {}
        seen, means = _seen(truth, output, hole)
        found.counts.update(seen)
        reversed_ += [(name, *means)] if "reversed" in seen else []
    if faults or found.faults:
        bad = of - found.images
        heading = [f"{bad} of {of} images cannot be scored:"] if bad > 1 else []
        raise BadInput([*found.faults, *heading, *_by_kind(faults)])
    if len(reversed_) > of / 2:
        name, inside, outside = reversed_[0]
        raise BadInput(
            f"the masks are the other way round: {len(reversed_)} of {of} outputs are the truth inside the "
            f"hole and not outside ({printable(name)} differs by {inside:.1f} of 255 in the hole and by {outside:.1f} "
            f"in what should be known); on average {found.share:.0%} of an image is hole; {turned}"
        )
    found.digest = digest.hexdigest()
    if pairs.hole:
        found.notes.append(_known(found))
    if decided:
        found.notes.append(f"{len(decided)} of {of} masks had to be interpreted, the first: {decided[0]}")
    found.warnings += _warnings(found, reversed_, holes=pairs.hole is not None)


def _read(
    pairs: Pairs, name: str, digest: hashlib._Hash, faults: list[str]
) -> tuple[Raster, Raster, Hole | None, str] | None:
    """Truth, output, hole and a note on the mask of one image; None if there are faults, which go into ``faults``.

    digest: gets the output's bytes.
    """
    before = len(faults)
    truth = output = hole = None
    note = ""
    try:
        truth = pairs.truth(name)
    except ValueError as fault:
        faults.append(str(fault))
    try:
        with prefixed(f"{name}, the output"):
            content = pairs.output(name)
            digest.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
            output = exact(content)
    except ValueError as fault:
        faults.append(str(fault))
    if truth is not None and output is not None and (unlike := _unlike(truth, output)):
        faults.append(f"{name}: {unlike}")
    if truth is not None and pairs.hole is not None:
        try:
            hole, note = pairs.hole(name, truth)
            if not fits_ssim(hole):
                why = f"its hole lies within {SSIM_EDGE} px of the border, where no window of SSIM fits"
                raise ValueError(f"{name}: {why}")
        except ValueError as fault:
            faults.append(str(fault))
    return None if truth is None or output is None or len(faults) > before else (truth, output, hole, note)


def _known(found: Findings) -> str:
    """How the outputs' known pixels are like the truth's, and so what is scored."""
    if not found.pasted:
        return (
            f"{found.images - found.counts['pasted']} of {found.images} outputs change the known pixels, as raw "
            "predictions do: they are scored as they are ('raw'), and with the known pixels of the truth "
            "('composite'), as in the protocol"
        )
    same, rounded, lossy = (found.counts[word] for word in ("same", "rounded", "lossy"))
    rest = found.images - same - rounded - lossy
    how = [
        f"{same} to the bit" if same else "",
        f"{rounded} within {STEP} of 255" if rounded else "",
        f"{lossy} but for JPEG" if lossy else "",
        f"{rest} within {STEP} of 255 but for {1 - PASTED:.0%} of them at most" if rest else "",
    ]
    what = "of the whole image there is also 'raw', the files as they are"
    return (
        f"the outputs hold the known pixels of the truth ({', '.join(filter(None, how))}): they are composites; {what}"
    )


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

    equal: the whole output equals the truth. faint: both may have 12 bits in files of 16. lossy: it is a JPEG.
    pasted: nearly all known pixels equal the truth, but for rounding or JPEG artefacts. same: all of them do, to the
    bit. rounded: all of them do within ``STEP``. idle: most of the hole equals the truth. reversed: the hole equals the
    truth and the known region does not. doubtful: the output changes both regions, the hole less than the rest.
    """
    a, b = (each.pixels if each.pixels.ndim == 3 else each.pixels[..., None] for each in (truth, output))
    apart = np.abs(a.astype(np.int32) - b.astype(np.int32)).mean(axis=2) * (255 / OPAQUE[truth.depth])
    seen = {"equal": not apart.any(), "lossy": output.lossy, "faint": truth.faint and output.faint}
    means = float("nan"), float(apart.mean())
    if hole is not None:
        inside, outside = apart[hole], apart[np.logical_not(hole)]
        means = float(inside.mean()), float(outside.mean())
        kept = _kept(outside, output.lossy)
        turned = _kept(inside, output.lossy) and not kept and means[1] > APART * means[0]
        seen["pasted"] = kept if output.lossy else bool((outside <= STEP).mean() >= PASTED)
        seen["same"] = not output.lossy and not outside.any()
        seen["rounded"] = not output.lossy and not seen["same"] and bool(outside.max() <= STEP)
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
    if counts["faint"] == found.images:
        yield (
            "all images have 16 bits a channel and use less than a sixteenth of the range, as 12 bits do: PSNR and "
            "SSIM are too high; save them with the full range"
        )
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


def _by_kind(faults: Sequence[str]) -> list[str]:
    """The first faults of each kind: those whose sentences differ in their file's name and in numbers alone."""
    kinds: dict[str, list[str]] = {}
    for fault in faults:
        kinds.setdefault(re.sub(r"\d+", "", fault.partition(": ")[2]), []).append(fault)
    return [line for kind in kinds.values() for line in _first(kind)]


def _first(faults: Sequence[str]) -> list[str]:
    more = [f"and {len(faults) - SHOWN} more"] if len(faults) > SHOWN else []
    return [*faults[:SHOWN], *more]
