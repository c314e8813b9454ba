"""The search space of a variant: which options a search may set, and to which values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from models.method import Filler, Trained
from study.config import paths
from study.config.messages import explain, fields
from study.config.schema import Range, Study, Variant
from study.errors import BadInput, near, shown

AROUND = 100.0
"""By default a critic's weight is searched from its usual value divided by this to its value times this."""


def with_settings(variant: Variant, settings: Mapping[str, Any], name: str = "") -> Variant:
    """The variant with options set by their dotted names. Raises pydantic's ValidationError."""
    options = variant.options.model_dump(mode="json", by_alias=True)
    for key, value in settings.items():
        paths.put(options, key, value)
    return replace(variant, name=name or variant.name, options=type(variant.options).model_validate(options))


def usual(variant: Variant, key: str) -> Any:
    """A variant's own value of an option; None if it has none."""
    value = paths.get(variant.options.model_dump(mode="json", by_alias=True), key)
    if value is None and key.startswith("rates.") and key.endswith(".lr") and isinstance(variant.options, Trained):
        return usual(variant, "optimizer.lr")  # the default of each stage's rate
    return value


def impossible(key: str, within: Range, variants: Sequence[Variant]) -> str | None:
    """Why no trained variant accepts the ends of a range for the option ``key``; None if one does."""
    every = dict.fromkeys(option for variant in variants for option in fields(type(variant.options)))
    having = [variant for variant in variants if key.split(".")[0] in fields(type(variant.options))]
    if not having:
        return (
            f"{shown(key)} is not an option of a trained method of this study{near(key, every)}; name options by "
            "their dotted names, such as weights.local or loss.clip"
        )
    reasons = [_refused(variant, key, within) for variant in having]
    return None if None in reasons else reasons[0]


def _refused(variant: Variant, key: str, within: Range) -> str | None:
    """Why a variant does not accept the ends of a range; None if it does."""
    for value in within.ends:
        try:
            with_settings(variant, {key: value})
        except ValidationError as error:
            fault = error.errors()[0]
            why = explain(fault, type(variant.options))
            return why if fault["type"] == "extra_forbidden" else f"{shown(value)} is impossible: {why}"
    return None


def space_of(study: Study, variant: Variant) -> dict[str, Range]:
    """The options to search, by dotted name: those of the study file's ``search.space`` that the variant has.

    Without a ``search.space`` they are the weights of the variant's critics, on a log scale.

    Raises:
        BadInput: There is nothing to search.
    """
    options = variant.options
    if isinstance(options, Filler):
        raise BadInput(f"'{variant.name}' is not trained, so there is nothing to search; choose a trained method")
    views, own, named = options.method(study.image_size).critics, fields(type(options)), study.search.space
    if named:
        space = {
            key: within
            for key, within in named.items()
            if not (key.startswith("weights.") and key.split(".")[1] not in views)
            and _refused(variant, key, within) is None
        }
        why = f"none of {', '.join(named)} is an option of {variant.method}; name one of its own under search.space"
    else:
        keys = [f"weights.{view}" for view in views] if "weights" in own else ["weight"]
        space = {key: _around(usual(variant, key)) for key in keys if views and key.split(".")[0] in own}
        why = "it has no critic and so no weight; name other options under search.space in the study file"
    if not space:
        raise BadInput(f"'{variant.name}': {why}")
    return space


def _around(value: float) -> Range:
    return Range(low=float(f"{value / AROUND:.6g}"), high=float(f"{value * AROUND:.6g}"), log=True)


def candidates(study: Study) -> tuple[list[Variant], list[str]]:
    """The variants that ``tune --all`` searches, and a reason for each trained one that cannot be searched.

    It leaves out variants of ablations, tuned variants, and repeats of one configuration.
    """
    chosen: list[Variant] = []
    left_out: list[str] = []
    for variant in study.variants.values():
        derived = variant.reference or variant.name in study.tuned
        repeated = variant.configuration in {one.configuration for one in chosen}
        if derived or repeated or isinstance(variant.options, Filler):
            continue
        try:
            space_of(study, variant)
            chosen.append(variant)
        except BadInput as error:
            left_out.append(str(error))
    return chosen, left_out
