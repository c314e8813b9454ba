"""Pydantic's errors as sentences for the author of a study file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from study.errors import shown, unknown

MAPPING = "a mapping, such as {{key: value}}"
WANTED = {
    "bool_type": "true or false",
    "dict_type": MAPPING,
    "finite_number": "a finite number",
    "float_type": "a number",
    "greater_than": "a value above {gt:g}",
    "greater_than_equal": "{ge:g} or more",
    "int_from_float": "a whole number",
    "int_type": "a whole number",
    "less_than": "a value below {lt:.10g}",
    "less_than_equal": "{le:g} or less",
    "list_type": "a list, such as [0, 1]",
    "model_attributes_type": MAPPING,
    "model_type": MAPPING,
    "string_type": "text (in quotes if it looks like a number)",
    "too_long": "a list of at most {max_length}",
    "too_short": "a list of {min_length} or more",
    "union_tag_invalid": MAPPING,
    "union_tag_not_found": MAPPING,
}
"""What to write instead, by pydantic's type of error; filled in with the error's context."""


def explain(fault: ErrorDetails, kind: Any) -> str:
    """One of pydantic's errors as a sentence. ``kind`` is the type that was validated."""
    location, value, context = fault["loc"], fault["input"], fault.get("ctx", {})
    match fault["type"]:
        case "extra_forbidden":
            return unknown(location[-1], fields(models_at(kind, location[:-1])[0]), "an unknown key")
        case "missing":
            options = models_at(kind, location[:-1])[0].model_fields.get(str(location[-1]))
            choices = get_args(options.annotation) if options and get_origin(options.annotation) is Literal else ()
            return f"'{location[-1]}' is missing" + (f"; choose {' or '.join(map(str, choices))}" if choices else "")
        case "union_tag_invalid" | "union_tag_not_found" if isinstance(value, dict):
            members = models_at(kind, location)  # a class with a registry accepts every name in it
            kinds = {name for member in members for name in getattr(member, "registry", [str(_kind_of(member))])}
            tag = value.get("kind")
            return unknown(tag or "kind", kinds, "" if tag else "missing")
        case "literal_error":
            return unknown(value, re.findall(r"'([^']*)'", context["expected"]))
        case "value_error":
            return str(context["error"])
        case error if error in WANTED:
            return f"got {shown(value)}; write {WANTED[error].format(**context)}"
    return f"got {shown(value)}; {fault['msg'][0].lower()}{fault['msg'][1:]}"


def models_at(kind: Any, location: Sequence[str | int]) -> list[type[BaseModel]]:
    """The classes of options at a pydantic location below ``kind``: all members of a union, unless it names one."""
    models = list(_models_in(kind))
    for part in location:
        if len(models) > 1:
            models = [model for model in models if _kind_of(model) == part] or models
        elif models and isinstance(part, str):
            for name, info in models[0].model_fields.items():
                if part in (name, info.alias):
                    models = list(_models_in(info.annotation)) or models
    return models


def _kind_of(model: type[BaseModel]) -> Any:
    info = model.model_fields.get("kind")
    return info.default if info else None


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def fields(kind: type[BaseModel]) -> list[str]:
    """The options of a class, as a study file names them."""
    return [info.alias or name for name, info in kind.model_fields.items()]
