"""Options by their dotted names, such as ``weights.local``, in nested dictionaries; and files as a study names them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
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


def seen_from(study_file: Path, file: Path) -> str:
    """The path of a file from the folder of a study file, where the paths in it start."""
    return Path(os.path.relpath(file, study_file.parent)).as_posix()
