"""Pydantic's errors as sentences for the author of a study file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from study.errors import shown, unknown


def explain(fault: ErrorDetails, kind: Any) -> str:
    """One of pydantic's errors as a sentence. ``kind`` is the type that was validated."""
    location, context = fault["loc"], fault.get("ctx", {})
    match fault["type"]:
        case "extra_forbidden":
            return unknown(location[-1], fields(next(iter(models_at(kind, location[:-1])), None)), "an unknown key")
        case "missing":
            return f"'{location[-1]}' is missing"
        case "int_type" | "int_from_float":
            wanted = "a whole number"
        case "float_type":
            wanted = "a number"
        case "bool_type":
            wanted = "true or false"
        case "string_type":
            wanted = "text (in quotes, where it looks like a number)"
        case "list_type":
            wanted = "a list, such as [0, 1]"
        case "model_type" | "model_attributes_type" | "dict_type":
            wanted = "a mapping, such as {key: value}"
        case "finite_number":
            wanted = "a finite number"
        case "greater_than":
            wanted = f"a value above {context['gt']:g}"
        case "greater_than_equal":
            wanted = f"{context['ge']:g} or more"
        case "less_than":
            wanted = f"a value below {context['lt']:.10g}"
        case "less_than_equal":
            wanted = f"{context['le']:g} or less"
        case "too_short":
            wanted = f"a list of {context['min_length']} or more"
        case "too_long":
            wanted = f"a list of at most {context['max_length']}"
        case "union_tag_invalid" | "union_tag_not_found" if isinstance(fault["input"], dict):
            kinds = {name for member in models_at(kind, location) for name in _kinds_of(member)}
            tag = fault["input"].get("kind")
            return unknown(tag or "kind", kinds, "" if tag else "missing")
        case "union_tag_invalid" | "union_tag_not_found":
            wanted = "a mapping, such as {key: value}"
        case "literal_error":
            return unknown(fault["input"], re.findall(r"'([^']*)'", context["expected"]))
        case "value_error":
            return str(context["error"])
        case _:
            return f"got {shown(fault['input'])}; {fault['msg'][0].lower()}{fault['msg'][1:]}"
    return f"got {shown(fault['input'])}; write {wanted}"


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


def _kinds_of(model: type[BaseModel]) -> list[str]:
    """The kinds that a member of a union accepts: its own, or every name in its registry."""
    return list(getattr(model, "registry", None) or [str(_kind_of(model))])


def _kind_of(model: type[BaseModel]) -> Any:
    info = model.model_fields.get("kind")
    return info.default if info else None


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def fields(kind: type[BaseModel] | None) -> list[str]:
    """The options of a class, as a study file names them."""
    return [info.alias or name for name, info in kind.model_fields.items()] if kind else []
