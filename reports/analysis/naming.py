"""Names and order of variants, levels and metrics, the same in every table and figure."""

import json
from dataclasses import dataclass
from math import floor, log10
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
    "ce_same_optimizer": "CE, same optimizer",
    "glcic_same_optimizer": "GLCIC, same optimizer",
    "reconstruction_only": "Reconstruction only",
    "mean": "Mean filler",
    "biharmonic": "Biharmonic filler",
    # of the study files in the project
    "proposed_js_matched": "Proposed, JS loss matched",
    "proposed_half": "Proposed, critics scaled",
    "single_half": "Single critic, scaled",
    "half_js": "Critics scaled, JS loss",
    "half_js_matched": "Critics scaled, JS loss matched",
}
OPTIONS = {
    "multiscale": "multi-scale critics",
    "downsample": "down-sampling",
    "adversarial_share": "critics' share",
    "mask": "holes",
}
"""The names of options where a person reads; another option has its own, with spaces."""

LEVELS = {
    "null": "not set", "true": "yes", "false": "no", "js": "JS", "js_matched": "JS, matched", "wgan": "WGAN",
    "wgan_gp": "WGAN-GP", "lsgan": "LSGAN", "avgpool3": "average pooling",
}  # fmt: skip
"""The names of an option's values, as far as they need one."""

TUNED = "_tuned"
"""The suffix of the name of a tuned variant."""

_ORDER: dict[str, tuple[int, Group]] = {
    "ce": (0, "paper"),
    "glcic": (1, "paper"),
    "giica": (2, "paper"),  # of Figure 4 alone
    "contextual_attention": (2, "paper"),
    "proposed": (3, "paper"),
    "reconstruction_only": (4, "control"),
    "single": (5, "control"),
    "ce_same_optimizer": (6, "control"),
    "glcic_same_optimizer": (7, "control"),
    "mean": (9, "filler"),
    "biharmonic": (10, "filler"),
}
_OWN = 8
"""The place of plugins' methods: after the controls."""


@dataclass(frozen=True)
class Metric:
    """Name and unit of a metric.

    ``better``: +1 if higher is better, -1 if lower is. ``digits``: decimals shown. ``margin``: the difference, in the
    metric's unit, below which two means count as equivalent: the paper's own gain over GLCIC (Tables 6 and 7).
    """

    label: str
    unit: str
    better: int
    digits: int
    margin: float | None = None


METRICS = {
    "psnr": Metric("PSNR", "dB", 1, 2, margin=0.16),
    "ssim": Metric("SSIM", "", 1, 3, margin=0.006),
    "ssim_global": Metric("SSIM, one window", "", 1, 3),
    "l1": Metric("L1", "", -1, 4),
    "seam": Metric("Seam error", "", -1, 4),
    "sharpness": Metric("Sharpness", "", 1, 3),  # share of the truth's gradient magnitude: 1 is as sharp as the truth
    "artefact": Metric("Artefact", "", -1, 2),  # above 1 the repair has one
    "lpips": Metric("LPIPS", "", -1, 4),
}
OF_SETS = {"fid": Metric("FID", "", -1, 1), "kid": Metric("KID", "", -1, 4)}
"""Metrics of a whole set of images. They have no value per image, so variants cannot be compared by image."""


def metric_of(name: str) -> Metric:
    """The metric of that name. Raises ValueError with the known names."""
    if name not in METRICS:
        raise ValueError(f"metric: {name!r} is unknown; choose {', '.join(METRICS)}")
    return METRICS[name]


def shown_digits(value: float, low: float, high: float) -> int:
    """The decimals to show of a difference: two digits of its interval's width, at most 5; none of a whole number."""
    width = abs(high - low) if high == high and low == low else abs(value)
    if not width or (low != low and float(value).is_integer()):
        return 0
    return min(max(1 - floor(log10(width)), 0), 5)


def label(variant: str) -> str:
    """The label of a variant in a report; an unknown name is its own label.

    A cell of an ablation is named by what differs: "Proposed (multi-scale critics 0, loss JS)".
    """
    base, _, differences = variant.partition(":")
    pairs = [difference.partition("=") for difference in differences.split(",")]
    if all(equals for _, equals, _ in pairs):
        return f"{label(base)} ({', '.join(f'{option_label(name)} {level_label(level)}' for name, _, level in pairs)})"
    base = variant.removesuffix(TUNED)
    return f"{LABELS[base]}, tuned" if base != variant and base in LABELS else LABELS.get(variant, variant)


def option_label(option: str) -> str:
    """The label of an option or factor, such as "multi-scale critics"."""
    return OPTIONS.get(option, option.replace("_", " ").replace(".", ": "))


def titled(frames: Frames, variant: str) -> str:
    """The label of a variant, marked if it was scored from files."""
    return f"{variant} (external)" if variant in frames.once("external", frames.external) else label(variant)


def level_label(level: str) -> str:
    """The label of a level: for a mapping its kind, then its other settings."""
    try:
        value = json.loads(level)
    except ValueError:
        return LEVELS.get(level, level)
    if not isinstance(value, dict) or not value:
        return LEVELS.get(level, level)
    parts = [f"{key} {entry}" for key, entry in value.items() if key != "kind" and entry is not None]
    return ", ".join([str(value["kind"]), *parts] if "kind" in value else parts)


def role(frames: Frames, variant: str) -> str:
    """The standard name of a variant: a study may give its reference or its control another name."""
    if variant == frames.study["reference"]:
        return "proposed"
    if variant == frames.study["control"]:
        return "reconstruction_only"
    return variant


def group(frames: Frames, variant: str) -> Group:
    """The group of a variant in tables."""
    return _place(frames, variant)[1]


def ordered(frames: Frames, variants: list[str]) -> list[str]:
    """The variants in the order of a table, without duplicates.

    The paper's methods first, then controls, methods of plugins, fillers, external methods, and others; within a group
    by first appearance.
    """
    return sorted(dict.fromkeys(variants), key=lambda variant: _place(frames, variant)[0])


def _place(frames: Frames, variant: str) -> tuple[float, Group]:
    """Sort key and group. A tuned variant follows the untuned one."""
    if variant in frames.once("external", frames.external):
        return len(_ORDER) + 0.75, "external"
    base = variant.removesuffix(TUNED)
    other: tuple[int, Group] = (_OWN, "own") if base in frames.once("own", frames.own) else (len(_ORDER) + 1, "other")
    place, kind = _ORDER.get(role(frames, base), other)
    return place + 0.5 * (base != variant), kind
