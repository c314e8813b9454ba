"""Prints the tables of docs/artefacts.md: what the metric ``artefact`` finds, and what it passes.

Artefacts are planted in repairs of drawn portraits, at 64 and 128 pixels, and of photographs in FOLDERs if given. Run
``python docs/artefacts.py [FOLDER ...]``; without photographs it takes about two minutes.
"""

import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, conv_transpose2d, interpolate, max_pool2d, pad

from baselines.fillers import FILLERS
from models.masking import center_box, composite, erase, mask_of
from study.data.portraits.faces import portrait
from study.metrics.artefact import Artefact

SIDES = (64, 128)
IMAGES = 25
STRENGTHS = (0.05, 0.1, 0.2)
"""Of a planted artefact in 0..1: the root mean square of a pattern, the height of a blob or a streak."""

RATES = (0.01, 0.05, 0.2)
"""The shares of false alarms at which points of the ROC curve are shown."""

SIZES = (0.25, 0.5)
"""Of a planted artefact, relative to the hole's side."""


# Images


def portraits(side: int, count: int = IMAGES) -> Tensor:
    """Drawn portraits: (count, 3, side, side) in 0..1."""
    return _tensor([portrait(0, "test", i, side) for i in range(count)])


def photographs(folder: Path, side: int, count: int = IMAGES) -> Tensor:
    """Evenly chosen photographs of a folder, cut square: (count, 3, side, side) in 0..1. Exits with 2 without any."""
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if not files:
        print(f"{folder}: no .jpg, .jpeg or .png file; name a folder of photographs", file=sys.stderr)
        raise SystemExit(2)
    return _tensor([_square(file, side) for file in files[:: -(-len(files) // count)]])


def _square(file: Path, side: int) -> np.ndarray:
    with Image.open(file) as opened:
        least = min(opened.size)
        left, top = (opened.width - least) // 2, (opened.height - least) // 2
        box = (left, top, left + least, top + least)
        return np.asarray(opened.convert("RGB").resize((side, side), Image.Resampling.LANCZOS, box=box))


def _tensor(pixels: list[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).double() / 255


def blurred(image: Tensor, sigma: float) -> Tensor:
    """Gaussian blur with reflection at the edges."""
    radius = int(3 * sigma + 1)
    curve = torch.exp(-(torch.arange(-radius, radius + 1).double() ** 2) / (2 * sigma**2))
    kernel = (curve / curve.sum()).expand(image.shape[1], 1, 1, -1)
    image = pad(image, (radius,) * 4, mode="reflect")
    for weights in (kernel, kernel.transpose(2, 3)):
        image = conv2d(image, weights, groups=image.shape[1])
    return image


# Repairs without an artefact


def clean(image: Tensor, mask: Tensor, random: torch.Generator) -> dict[str, Tensor]:
    """Repairs without an artefact, by kind: predictions of (B, 3, H, W)."""
    side = image.shape[-1]
    return {
        "the truth": image,
        "the truth, little noise": image + 0.01 * _normal(random, *image.shape),
        "blurred a little": blurred(image, side / 64),
        "blurred much": blurred(image, side / 16),
        "low-pass": interpolate(avg_pool2d(image, 4), scale_factor=4, mode="bicubic"),
        "blurred, too dark": 0.85 * blurred(image, side / 32),
        "displaced by 3% of the side": image.roll((side // 32, side // 32), (2, 3)),
        "mean filler": FILLERS["mean"](erase(image, mask, 0.0), mask),
        "biharmonic filler": FILLERS["biharmonic"](erase(image, mask, 0.0), mask),
    }


def invented(image: Tensor) -> dict[str, Tensor]:
    """Repairs without a pattern whose content is not the truth's, by kind: predictions of (B, 3, H, W)."""
    side = image.shape[-1]
    sharp = {
        "displaced by 6% of the side": image.roll((side // 16, side // 16), (2, 3)),
        "the truth, mirrored": image.flip(3),
        "another image": image.roll(1, 0),
    }
    return sharp | {f"{kind}, blurred a little": blurred(repair, side / 64) for kind, repair in sharp.items()}


# Artefacts


def checkerboard(image: Tensor, size: float, random: torch.Generator) -> Tensor:
    """What a transposed convolution of stride 2 leaves where its kernels, of 3 pixels, overlap unevenly."""
    count, _, side, _ = image.shape
    maps = 1 + blurred(_normal(random, count, 8, side // 2, side // 2), 2)
    weights = _normal(random, 8, 3, 3, 3)
    pattern = conv_transpose2d(maps, weights, stride=2, padding=1, output_padding=1)
    return _scaled(pattern - blurred(pattern, 2), _square_in_hole(image, size, random))


def noise(image: Tensor, size: float, random: torch.Generator) -> Tensor:
    """A patch of white noise."""
    return _scaled(_normal(random, *image.shape), _square_in_hole(image, size, random))


def stripes(image: Tensor, size: float, random: torch.Generator) -> Tensor:
    """Waves of 3 to 8 pixels in any direction."""
    angle, length = np.pi * _uniform(random, image), 3 + 5 * _uniform(random, image)
    down, right = _places(image)
    waves = torch.sin(2 * np.pi * (down * angle.cos() + right * angle.sin()) / length)
    return _scaled(waves.expand_as(image), _square_in_hole(image, size, random))


def ghost(image: Tensor, size: float, random: torch.Generator) -> Tensor:
    """The edges of the image itself, from elsewhere: an eighth of the side away, a sixth across."""
    side = image.shape[-1]
    edges = (image - blurred(image, 1.5)).roll((side // 8, -side // 6), (2, 3))
    return _scaled(edges, _square_in_hole(image, size, random))


def streaks(image: Tensor, size: float, random: torch.Generator) -> Tensor:
    """Three straight lines, black or white, two pixels wide."""
    down, right = _places(image)
    angle, middle = np.pi * _uniform(random, image), image.shape[-1] / 2
    drawn = torch.zeros_like(image[:, :1])
    for _ in range(3):
        offset = middle + middle / 2 * (2 * _uniform(random, image) - 1)
        distance = ((down - offset) * angle.cos() + (right - middle) * angle.sin()).abs()
        drawn = torch.maximum(drawn, (1 - distance / 1.2).clamp_min(0))
    sign = (_uniform(random, image) - 0.5).sign()
    return (sign * drawn * _square_in_hole(image, size, random)).expand_as(image)


def blob(image: Tensor, size: float, random: torch.Generator) -> Tensor:
    """A round spot of another colour with a soft edge."""
    side = image.shape[-1]
    radius = size * side / 4
    down, right = _places(image)
    y, x = (side / 4 + radius + _uniform(random, image) * (side / 2 - 2 * radius) for _ in range(2))
    spot = torch.sigmoid((radius - ((down - y) ** 2 + (right - x) ** 2).sqrt()) / 1.5)
    colour = _normal(random, len(image), 3, 1, 1)
    return spot * colour / colour.square().mean(1, keepdim=True).sqrt()


PLANTED: dict[str, Callable[[Tensor, float, torch.Generator], Tensor]] = {
    "checkerboard": checkerboard,
    "noise": noise,
    "ghost edges": ghost,
    "stripes": stripes,
    "streaks": streaks,
    "blob of another colour": blob,
}
"""What is added to a repair, by kind, at strength 1: (B, 3, H, W)."""


def _normal(random: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=random, dtype=torch.float64)


def _uniform(random: torch.Generator, image: Tensor) -> Tensor:
    return torch.rand(len(image), 1, 1, 1, generator=random, dtype=torch.float64)


def _places(image: Tensor) -> tuple[Tensor, Tensor]:
    """The row and the column of each pixel."""
    side = torch.arange(image.shape[-1]).double()
    return side[:, None], side[None, :]


def _square_in_hole(image: Tensor, size: float, random: torch.Generator) -> Tensor:
    """1 in a square somewhere in the central hole of each image: (B, 1, H, W)."""
    side = image.shape[-1]
    length = int(size * side / 2)
    top, left = (side // 4 + (_uniform(random, image) * (side // 2 - length + 1)).floor() for _ in range(2))
    down, right = _places(image)
    return ((down >= top) & (down < top + length) & (right >= left) & (right < left + length)).double()


def _scaled(pattern: Tensor, where: Tensor) -> Tensor:
    """The pattern inside, with a root mean square of 1 there."""
    inside = pattern * where
    power = inside.square().sum((1, 2, 3), keepdim=True) / (3 * where.sum((1, 2, 3), keepdim=True))
    return inside / power.sqrt().clamp_min(1e-9)


# Definitions


def fine_detail(output: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    """The metric: (B,)."""
    return Artefact()(output, image, mask)["hole"]


def steps(output: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    """The same of the squared steps between neighbours: (B,)."""

    def energy(of: Tensor) -> Tensor:
        squares = of.diff(dim=2)[..., :-1].square() + of.diff(dim=3)[..., :-1, :].square()
        return squares.sum(1, keepdim=True)

    inside = -max_pool2d(-mask, 2, 1)
    reach = image.shape[-1] // 20
    near = max_pool2d(avg_pool2d(energy(image), 5, 1, 2), 2 * reach + 1, 1, reach)
    return (avg_pool2d(energy(output) * inside, 5, 1, 2) / (near + 12 * 0.02**2)).amax((1, 2, 3)).sqrt()


def colour(output: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    """How far, in 0..1, the repair's local mean colour lies beyond the truth's colours nearby: (B,)."""
    reach = image.shape[-1] // 20
    highest, lowest = (sign * max_pool2d(sign * image, 2 * reach + 1, 1, reach) for sign in (1, -1))
    mean = avg_pool2d(pad(output, (1,) * 4, mode="replicate"), 3, 1)
    return (torch.maximum(mean - highest, lowest - mean).clamp_min(0) * mask).amax((1, 2, 3))


Definition = Callable[[Tensor, Tensor, Tensor], Tensor]
DEFINITIONS: dict[str, Definition] = {"fine detail": fine_detail, "steps": steps, "colour": colour}


# The tables

Kind = tuple[str, float]
"""A kind of repair: its name, and the strength of the artefact, 0 of a clean one."""


def repairs(
    sets: Sequence[Tensor], strengths: Sequence[float] = STRENGTHS
) -> Iterator[tuple[Kind, Tensor, Tensor, Tensor]]:
    """Clean repairs, then those with an artefact: kind, composite, truth and mask of a batch.

    Every kind of artefact is planted in each size in the truth and in a blurred repair.
    """
    random = torch.Generator().manual_seed(0)
    for image in sets:
        side = image.shape[-1]
        mask = mask_of([center_box(side)] * len(image), side).double()
        for name, prediction in clean(image, mask, random).items():
            yield (name, 0.0), composite(prediction.clamp(0, 1), image, mask), image, mask
        bases = image, blurred(image, side / 32)
        for (name, plant), strength, base, size in product(PLANTED.items(), strengths, bases, SIZES):
            prediction = base + strength * plant(image, size, random)
            yield (name, strength), composite(prediction.clamp(0, 1), image, mask), image, mask


def measured(
    sets: Sequence[Tensor], definitions: Mapping[str, Definition] = DEFINITIONS, **more: Any
) -> dict[str, dict[Kind, Tensor]]:
    """The values by definition and kind of repair: (repairs,) each."""
    parts: dict[str, dict[Kind, list[Tensor]]] = {name: defaultdict(list) for name in definitions}
    for kind, output, image, mask in repairs(sets, **more):
        for name, definition in definitions.items():
            parts[name][kind].append(definition(output, image, mask))
    return {name: {kind: torch.cat(each) for kind, each in own.items()} for name, own in parts.items()}


def joined(values: Mapping[Kind, Tensor], name: str | None = None) -> Tensor:
    """The values of all planted artefacts of that name; by default of all clean repairs."""
    wanted = [each for (of, strength), each in values.items() if (of == name if name else strength == 0)]
    return torch.cat(wanted)


def area(negative: Tensor, positive: Tensor) -> float:
    """The area under the ROC curve: the probability that a positive has the higher value; a tie counts half."""
    ordered = negative.sort().values
    below, upto = (torch.searchsorted(ordered, positive, right=right).double() for right in (False, True))
    return float((below + upto).mean() / (2 * len(negative)))


def found(negative: Tensor, positive: Tensor, rate: float) -> float:
    """A point of the ROC curve: the share of positives above the value that this share of negatives exceeds."""
    return float((positive > negative.quantile(1 - rate)).double().mean())


def above(values: Tensor) -> float:
    """The share above 1: those with an artefact."""
    return float((values > 1).double().mean())


def tables(sets: Sequence[Tensor]) -> Iterator[str]:
    """The lines of four tables in Markdown: definitions, clean repairs, planted artefacts, invented content."""
    every = measured(sets)
    yield from _header("definition", "all", *PLANTED)
    for name, values in every.items():
        positive = [joined(values, kind) for kind in PLANTED]
        areas = [area(joined(values), each) for each in (torch.cat(positive), *positive)]
        yield _line(name, *(f"{each:.3f}" for each in areas))
    values, negative = every["fine detail"], joined(every["fine detail"])
    yield from ("", *_header("clean repair", "repairs", "highest value", "with an artefact"))
    for (name, strength), own in values.items():
        if not strength:
            yield _line(name, len(own), f"{own.max():.2f}", f"{above(own):.1%}")
    yield from ("", *_header("planted", "strength", "AUC", *(f"at {rate:.0%}" for rate in RATES), "above 1"))
    for (name, strength), own in values.items():
        if strength:
            shares = [f"{each:.1%}" for each in (*(found(negative, own, rate) for rate in RATES), above(own))]
            yield _line(name, strength, f"{area(negative, own):.3f}", *shares)

    yield from ("", *_header("invented content", "repairs", "with an artefact"))
    for name, own in measured_inventions(sets).items():
        yield _line(name, len(own), f"{above(own):.1%}")


def measured_inventions(sets: Sequence[Tensor]) -> dict[str, Tensor]:
    """The metric's values of invented content, by kind: (repairs,) each."""
    parts: dict[str, list[Tensor]] = defaultdict(list)
    for image in sets:
        mask = mask_of([center_box(image.shape[-1])] * len(image), image.shape[-1]).double()
        for kind, prediction in invented(image).items():
            parts[kind].append(fine_detail(composite(prediction, image, mask), image, mask))
    return {kind: torch.cat(each) for kind, each in parts.items()}


def _header(*cells: str) -> tuple[str, str]:
    return _line(*cells), "|---" * len(cells) + "|"


def _line(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def main(folders: Sequence[str]) -> None:
    """Prints the tables of drawn portraits, and of the photographs in the folders."""
    torch.set_num_threads(1)
    photographed = [photographs(Path(folder), side) for folder in folders for side in SIDES]
    for title, sets in {"Drawn portraits": [portraits(side) for side in SIDES], "Photographs": photographed}.items():
        if sets:
            print(f"\n{title}\n", *tables(sets), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
