"""Names and order of variants, levels and metrics, the same in every table and figure."""

import json
from dataclasses import dataclass
from typing import Literal

from reports.analysis.frames import Frames

Group = Literal["paper", "control", "own", "filler", "external", "other"]

LABELS = {
    "proposed": "Proposed",
    "ce": "CE",
    "glcic": "GLCIC",
    "giica": "GIICA",
    "contextual_attention": "GIICA",
    "single": "Single critic",
    "reconstruction_only": "Reconstruction only",
    "mean": "Mean filler",
    "biharmonic": "Biharmonic filler",
}
TUNED = "_tuned"
"""What a search adds to the name of a variant."""

_ORDER: dict[str, tuple[int, Group]] = {
    "ce": (0, "paper"),
    "glcic": (1, "paper"),
    "giica": (2, "paper"),  # of Figure 4 alone
    "contextual_attention": (2, "paper"),
    "proposed": (3, "paper"),
    "reconstruction_only": (4, "control"),
    "single": (5, "control"),
    "mean": (7, "filler"),
    "biharmonic": (8, "filler"),
}
_OWN = 6
"""Where methods of plugins stand: behind the controls."""


@dataclass(frozen=True)
class Metric:
    """How a metric is named and read: `better` is +1 where more is better, -1 where less is."""

    label: str
    unit: str
    better: int
    digits: int


METRICS = {
    "psnr": Metric("PSNR", "dB", 1, 2),
    "ssim": Metric("SSIM", "", 1, 3),
    "ssim_global": Metric("SSIM, one window", "", 1, 3),
    "l1": Metric("L1", "", -1, 4),
    "seam": Metric("Seam error", "", -1, 4),
    "sharpness": Metric("Sharpness", "", 1, 3),  # share of the truth's gradient magnitude: 1 is as sharp as the truth
    "lpips": Metric("LPIPS", "", -1, 4),
}
OF_SETS = {"fid": Metric("FID", "", -1, 1), "kid": Metric("KID", "", -1, 4)}
"""Of a whole set of images: no image has a value of its own by which variants could be compared."""


def metric_of(name: str) -> Metric:
    """The metric of that name; ValueError names the known ones."""
    if name not in METRICS:
        raise ValueError(f"metric: {name!r} is unknown; choose {', '.join(METRICS)}")
    return METRICS[name]


def label(variant: str) -> str:
    """The reader's name of a variant; a name that we do not know stays as it is."""
    base = variant.removesuffix(TUNED)
    return f"{LABELS[base]}, tuned" if base != variant and base in LABELS else LABELS.get(variant, variant)


def titled(frames: Frames, variant: str) -> str:
    """The same, with a mark on what was not made here but scored from files."""
    return f"{variant} (external)" if variant in frames.once("external", frames.external) else label(variant)


def level_label(level: str) -> str:
    """A level as a reader writes it: of an option that is a mapping its kind, then what else it says."""
    try:
        told = json.loads(level)
    except ValueError:
        return level
    if told is None:
        return "not set"
    if not isinstance(told, dict) or not told:
        return level
    parts = [f"{key} {value}" for key, value in told.items() if key != "kind" and value is not None]
    return ", ".join([str(told["kind"]), *parts] if "kind" in told else parts)


def role(frames: Frames, variant: str) -> str:
    """The well-known name behind a variant: the study may call its reference or its control otherwise."""
    if variant == frames.study["reference"]:
        return "proposed"
    if variant == frames.study["control"]:
        return "reconstruction_only"
    return variant


def group(frames: Frames, variant: str) -> Group:
    """What a row is there for: the paper's own method, a control, a plugin's, a filler, another's, or anything else."""
    return _place(frames, variant)[1]


def ordered(frames: Frames, variants: list[str]) -> list[str]:
    """The paper's rows first, then controls, methods of plugins, fillers, what was scored from files, and the others;
    within a place by first appearance."""
    return sorted(dict.fromkeys(variants), key=lambda variant: _place(frames, variant)[0])


def _place(frames: Frames, variant: str) -> tuple[float, Group]:
    """A tuned variant stands behind the one that was tuned."""
    if variant in frames.once("external", frames.external):
        return len(_ORDER) + 0.75, "external"
    base = variant.removesuffix(TUNED)
    other: tuple[int, Group] = (_OWN, "own") if base in frames.once("own", frames.own) else (len(_ORDER) + 1, "other")
    place, kind = _ORDER.get(role(frames, base), other)
    return place + 0.5 * (base != variant), kind
