"""Options by their dotted names, such as ``weights.local``, in nested dictionaries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def get(options: Mapping[str, Any], name: str) -> Any:
    """The value of an option; None if there is none."""
    value: Any = options
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def put(options: dict[str, Any], name: str, value: Any) -> None:
    """Sets an option. Whatever is in the way and is not a dictionary becomes one."""
    *parents, last = name.split(".")
    for part in parents:
        if not isinstance(options.get(part), dict):
            options[part] = {}
        options = options[part]
    options[last] = value


def drop(options: dict[str, Any], name: str) -> None:
    """Removes an option, if it is there."""
    parent, _, last = name.rpartition(".")
    holder = get(options, parent) if parent else options
    if isinstance(holder, dict):
        holder.pop(last, None)
