"""A stranger's parts: Python files that a study names under ``plugins``.

A plugin declares its parts as the project does, in dictionaries from names to parts: ``METHODS``, ``GENERATORS``,
``CRITICS``, ``LOSSES``, ``FILLERS``, ``MASKS``, ``METRICS``, ``DATASETS``. The digest of its source stands for the
version of each, so that what an edit may change is made anew.

A plugin is code, and runs as the user who names it.
"""

from __future__ import annotations

import hashlib
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from study import catalog
from study.errors import BadInput, StudyError


@dataclass(frozen=True)
class Plugin:
    """A file that was run: its parts by registry and name, and the first 16 hex digits of its source's SHA-256."""

    file: Path
    digest: str
    parts: Mapping[tuple[str, str], Any]


_used: list[Plugin] = []


def use(files: Sequence[Path]) -> list[Plugin]:
    """Runs plugins and lists their parts in the registries, in place of those of the study before.

    Raises BadInput: a file cannot be read or run, declares nothing, or names a part that is there already.
    """
    _forget()
    for file in files:
        plugin = _loaded(file)
        for registry, name in plugin.parts:
            if name in catalog.REGISTRIES[registry]:
                _forget()
                raise BadInput(f"{file}: {registry}['{name}']: there is a part of this name already; choose another")
        for (registry, name), part in plugin.parts.items():
            catalog.REGISTRIES[registry][name] = part
            catalog.SOURCES[registry, name] = plugin.digest
        _used.append(plugin)
    return list(_used)


def used() -> list[Plugin]:
    """The plugins whose parts are listed now."""
    return list(_used)


def use_planned(plan: Mapping[str, Any]) -> None:
    """Those of a plan's study: in a worker, or to use what was trained.

    Raises StudyError where a file is not what it was when the study was planned.
    """
    planned = {Path(entry["file"]): entry["digest"] for entry in plan.get("plugins", [])}
    if {plugin.file: plugin.digest for plugin in _used} == planned:
        return
    for plugin in use(list(planned)):
        if plugin.digest != planned[plugin.file]:
            _forget()
            raise StudyError(f"{plugin.file}: it has changed since the study was planned; run the same command again")


def _forget() -> None:
    for plugin in _used:
        for registry, name in plugin.parts:
            del catalog.REGISTRIES[registry][name], catalog.SOURCES[registry, name]
    _used.clear()


def _loaded(file: Path) -> Plugin:
    try:
        source = file.read_bytes()
    except OSError as error:
        raise BadInput(f"{file}: {error.strerror}; name a Python file, from the study file's folder") from error
    digest = hashlib.sha256(source).hexdigest()[:16]
    module = ModuleType(f"plugin_{file.stem}_{digest}")
    module.__file__ = str(file)
    sys.modules[module.__name__] = module  # where annotations are looked up
    try:
        exec(compile(source, str(file), "exec", dont_inherit=True), vars(module))  # what is digested is what is run
    except Exception as error:
        raise BadInput(f"{_place_in(file, error)}: {type(error).__name__}: {error}") from error
    parts: dict[tuple[str, str], Any] = {}
    for registry, parts_there in catalog.REGISTRIES.items():
        own = getattr(module, registry, {})
        if not isinstance(own, dict) or not all(isinstance(name, str) for name in own):
            raise BadInput(f"{file}: {registry} is no dictionary from names to parts, as in: {_example(parts_there)}")
        parts |= {(registry, name): part for name, part in own.items()}
    if not parts:
        raise BadInput(f"{file}: it declares no part; write one of {', '.join(catalog.REGISTRIES)}, a dictionary")
    return Plugin(file, digest, parts)


def _place_in(file: Path, error: Exception) -> str:
    """The line of the plugin that an error comes from."""
    if isinstance(error, SyntaxError):
        return f"{file}:{error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    return f"{file}:{lines[-1]}" if lines else str(file)


def _example(registry: Mapping[str, Any]) -> str:
    name, part = next(iter(registry.items()))
    return f"{{'{name}': {getattr(part, '__name__', type(part).__name__)}}}"
