"""Searches, but for Optuna: what can be searched, what a trial is, and the file that the best setting becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from models.method import Filler, Trained
from study.config.messages import fields, said
from study.config.schema import Range, Study, Variant
from study.errors import BadInput, near, shown

AROUND = 100.0
"""How far below and above the usual weight of a critic a search looks where the study file names no space."""


# -- the space ---------------------------------------------------------------------------------------------


def with_settings(variant: Variant, settings: Mapping[str, Any], name: str = "") -> Variant:
    """The variant with options set, each by its dotted name. Raises pydantic's ValidationError."""
    options = variant.options.model_dump(mode="json", by_alias=True)
    for key, value in settings.items():
        place = options
        *parts, last = key.split(".")
        for part in parts:
            if not isinstance(place.get(part), dict):
                place[part] = {}
            place = place[part]
        place[last] = value
    return replace(variant, name=name or variant.name, options=type(variant.options).model_validate(options))


def usual(variant: Variant, key: str) -> Any:
    """A variant's own value of an option; None where it has none."""
    value: Any = variant.options.model_dump(mode="json", by_alias=True)
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if value is None and key.startswith("rates.") and key.endswith(".lr") and isinstance(variant.options, Trained):
        return usual(variant, "optimizer.lr")  # what a stage's rate is where it is not said
    return value


def impossible(key: str, within: Range, variants: Sequence[Variant]) -> str | None:
    """Why none of the trained variants can have its option ``key`` set to the range's ends; None where one can."""
    whys = []
    known = dict.fromkeys(option for variant in variants for option in fields(type(variant.options)))
    for variant in variants:
        if key.split(".")[0] in fields(type(variant.options)):
            why = _refused(variant, key, within)
            if why is None:
                return None
            whys.append(why)
    if whys:
        return whys[0]
    return (
        f"{shown(key)} is no option of a method that is trained here{near(key, known)}; name options by their dotted "
        "names, such as weights.local or loss.clip"
    )


def _refused(variant: Variant, key: str, within: Range) -> str | None:
    for value in within.ends:
        try:
            with_settings(variant, {key: value})
        except ValidationError as error:
            fault = dict(error.errors()[0])
            if fault["loc"] and fault["type"] == "extra_forbidden":
                return said(fault, type(variant.options))
            return f"{shown(value)} is impossible: {said(fault, type(variant.options))}"
    return None


def space_of(study: Study, variant: Variant) -> dict[str, Range]:
    """What is searched of a variant, by the options' dotted names: what the study file names, of its method alone.

    Where it names nothing, the weights of the variant's critics, on a log scale. Raises BadInput where there is nothing
    to be searched.
    """
    options = variant.options
    if isinstance(options, Filler):
        raise BadInput(f"'{variant.name}' is not trained, so there is nothing to search; name a method that is")
    views = list(options.method(study.image_size).critics)
    named = study.search.space
    if not named:
        keys = [f"weights.{view}" for view in views] if "weights" in fields(type(options)) else []
        keys = keys or (["weight"] if "weight" in fields(type(options)) else [])
        found = {key: _around(usual(variant, key)) for key in keys if views}
        why = "it has no critic, and so no weight; name other options in the study file under search.space"
    else:
        found = {
            key: within
            for key, within in named.items()
            if key.split(".")[0] in fields(type(options))
            and not (key.startswith("weights.") and key.split(".")[1] not in views)
            and _refused(variant, key, within) is None
        }
        why = f"none of {', '.join(named)} is an option of {variant.method}; name one of its own under search.space"
    if not found:
        raise BadInput(f"'{variant.name}': {why}")
    return found


def _around(value: float) -> Range:
    return Range(low=float(f"{value / AROUND:.6g}"), high=float(f"{value * AROUND:.6g}"), log=True)


def candidates(study: Study) -> tuple[list[Variant], list[str]]:
    """The trained variants that the study file names itself, and why others of them cannot be searched.

    Cells of ablations, what was tuned already, and second names of one configuration are left out.
    """
    found: list[Variant] = []
    left_out: list[str] = []
    for variant in study.variants.values():
        if variant.reference or variant.name in study.tuned or isinstance(variant.options, Filler):
            continue
        if any(variant.same_as(other) for other in found):
            continue
        try:
            space_of(study, variant)
            found.append(variant)
        except BadInput as error:
            left_out.append(str(error))
    return found, left_out


# -- trials ------------------------------------------------------------------------------------------------


# -- what is left for readers ------------------------------------------------------------------------------
