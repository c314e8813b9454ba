"""Plugins: Python files with parts of your own, which a study names under ``plugins``.

A plugin declares its parts like the project does, in dictionaries from names to parts: ``METHODS``, ``GENERATORS``,
``CRITICS``, ``LOSSES``, ``FILLERS``, ``MASKS``, ``METRICS``, ``DATASETS``. The digest of its source is the version of
each, so an edit invalidates every stage that uses them.

A plugin is code, and runs with the rights of the user who names it.
"""

from __future__ import annotations

import hashlib
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from models.masks import PluginMask
from models.method import Filler, Trained
from study.data import DataSet
from study.errors import BadInput, StudyError, shown, unknown
from study.metrics import REGIONS, Metric
from study.parts import registries


@dataclass(frozen=True)
class Plugin:
    """A loaded plugin: its parts by registry and name, and the first 16 hex digits of its source's SHA-256."""

    file: Path
    digest: str
    parts: Mapping[tuple[str, str], Any]


_used: list[Plugin] = []


def use(files: Sequence[Path]) -> list[Plugin]:
    """Runs plugins and registers their parts, in place of those of the previous study.

    Raises:
        BadInput: A file cannot be read or run, declares nothing, or declares a part whose name is taken or whose type
            does not fit its registry.
    """
    _unregister()
    try:
        for file in files:
            _register(_load(file))
        if faults := [fault for plugin in _used for fault in _filler_faults(plugin)]:
            raise BadInput(faults)
    except BadInput:
        _unregister()
        raise
    return list(_used)


def used() -> list[Plugin]:
    """The plugins whose parts are registered."""
    return list(_used)


def use_planned(digests: Mapping[str, str], command: str | None = None) -> None:
    """Registers the plugins of a plan, in a worker or to use a trained model.

    Raises:
        StudyError: A file has changed since the study was planned.
    """
    planned = {Path(file): digest for file, digest in digests.items()}
    if {plugin.file: plugin.digest for plugin in _used} == planned:
        return
    for plugin in use(list(planned)):
        if plugin.digest != planned[plugin.file]:
            _unregister()
            again = command or "python -m study run STUDY"
            raise StudyError(f"{plugin.file}: it has changed since the study was planned; run the study again: {again}")


def place_of(error: BaseException) -> str | None:
    """``file:line`` of the innermost plugin code in an error's traceback; None if there is none."""
    return _innermost(error, {str(plugin.file) for plugin in _used})


def _innermost(error: BaseException, files: set[str]) -> str | None:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in files]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else None


def _unregister() -> None:
    for plugin in _used:
        for registry, name in plugin.parts:
            del registries.REGISTRIES[registry][name], registries.SOURCES[registry, name]
    _used.clear()


def _register(plugin: Plugin) -> None:
    if taken := [(registry, name) for registry, name in plugin.parts if name in registries.REGISTRIES[registry]]:
        why = "there is a part of this name already; choose another"
        raise BadInput([f"{plugin.file}: {registry}['{name}']: {why}" for registry, name in taken])
    for (registry, name), part in plugin.parts.items():
        registries.REGISTRIES[registry][name] = part
        registries.SOURCES[registry, name] = plugin.digest
    _used.append(plugin)


def _load(file: Path) -> Plugin:
    """Runs a file and collects its parts."""
    try:
        source = file.read_bytes()
    except OSError as error:
        raise BadInput(f"{file}: {error.strerror}; name a Python file, relative to the study file's folder") from error
    digest = hashlib.sha256(source).hexdigest()[:16]
    module = ModuleType(f"plugin_{file.stem}_{digest}")
    module.__file__ = str(file)
    sys.modules[module.__name__] = module  # pydantic looks up annotations there
    before = set(sys.modules)
    try:
        exec(compile(source, str(file), "exec", dont_inherit=True), vars(module))  # run exactly what is digested
    except (Exception, SystemExit) as error:  # SystemExit would end the command without a message
        syntax = f"{file}:{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else None
        place = syntax or _innermost(error, {str(file)}) or file
        raise BadInput(f"{place}: {type(error).__name__}: {error}") from error
    if neighbour := _imported_neighbour(file, before):
        raise BadInput(
            f"{file}: it imports {neighbour}, whose edits would not invalidate results; "
            "a plugin is one file: move the code into it, or install it as a package"
        )
    parts: dict[tuple[str, str], Any] = {}
    for registry, known in registries.REGISTRIES.items():
        own = getattr(module, registry, {})
        if not isinstance(own, dict) or not all(isinstance(name, str) for name in own):
            raise BadInput(f"{file}: {registry} must be a dictionary from names to parts, such as {_example(known)}")
        parts |= {(registry, name): part for name, part in own.items()}
    if not parts:
        raise BadInput(f"{file}: it declares no part; write one of {', '.join(registries.REGISTRIES)}, a dictionary")
    reasons = {key: _fault(*key, part) for key, part in parts.items()}
    if faults := [f"{file}: {registry}['{name}'] {why}" for (registry, name), why in reasons.items() if why]:
        raise BadInput(faults)
    return Plugin(file, digest, parts)


def _imported_neighbour(file: Path, before: set[str]) -> str | None:
    """The first new module that is in the plugin's folder. All such modules are unloaded again."""
    places = {name: getattr(sys.modules[name], "__file__", None) for name in sorted(set(sys.modules) - before)}
    own = {name: place for name, place in places.items() if place and Path(place).resolve().parent == file.parent}
    for name in own:
        del sys.modules[name]
    return next(iter(own.values()), None)


def _example(registry: Mapping[str, Any]) -> str:
    name, part = next(iter(registry.items()))
    return f"{{'{name}': {getattr(part, '__name__', type(part).__name__)}}}"


def _subclass(*kinds: type) -> Callable[[Any], bool]:
    return lambda part: isinstance(part, type) and issubclass(part, kinds)


_EXPECTED: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "METHODS": (
        _subclass(Trained, Filler),
        "a class of options, a subclass of models.method.Trained, Fitted or Filler",
    ),
    "GENERATORS": (callable, "a network's class, a subclass of torch.nn.Module"),
    "CRITICS": (callable, "a network's class, a subclass of torch.nn.Module"),
    "LOSSES": (callable, "a class with critic(real, fake) and generator(fake)"),
    "FILLERS": (callable, "a function of masked images and masks"),
    "MASKS": (_subclass(PluginMask), "a class of options, a subclass of models.masks.PluginMask"),
    "METRICS": (
        lambda part: isinstance(part, Metric),
        "an object of a subclass of study.metrics.Metric: Mine(), not Mine",
    ),
    "DATASETS": (_subclass(DataSet), "a class of options, a subclass of study.data.DataSet"),
}


def _fault(registry: str, name: str, part: Any) -> str:
    """Why a part cannot be registered, by its type and attributes; empty if it can."""
    fits, expected = _EXPECTED[registry]
    if not fits(part):
        return f"is {shown(part)}; expected {expected}"
    if registry in ("MASKS", "DATASETS"):
        kind = part.model_fields.get("kind")
        if kind is None or kind.default != name:
            return f"has no 'kind' of its name; add the option  kind: Literal['{name}'] = '{name}'"
    return _metric_fault(name, part) if registry == "METRICS" else ""


def _metric_fault(name: str, metric: Metric) -> str:
    """What a report needs and a metric lacks."""
    attributes = ("name", "title", "unit", "better", "regions")
    if missing := [attribute for attribute in attributes if not hasattr(metric, attribute)]:
        return f"lacks {', '.join(missing)}; a study.metrics.Metric has {', '.join(attributes)}"
    if metric.name != name:
        return f"has the name {shown(metric.name)}; use the name of its entry, '{name}'"
    if metric.better not in ("higher", "lower"):
        return f"has better = {shown(metric.better)}; write 'higher' or 'lower'"
    wrong = [region for region in metric.regions if region not in REGIONS]
    if wrong or not metric.regions or isinstance(metric.regions, str):
        return f"has regions = {shown(metric.regions)}; write a tuple with any of {', '.join(REGIONS)}"
    return ""


def _filler_faults(plugin: Plugin) -> list[str]:
    """The methods that name no filler, or one that is not registered."""
    faults = []
    for (registry, name), part in plugin.parts.items():
        if registry != "METHODS" or not issubclass(part, Filler):
            continue
        if not hasattr(part, "filler"):
            why = "has no 'filler'; write  filler = 'name'  in the class, without a type annotation"
            faults.append(f"{plugin.file}: METHODS['{name}'] {why}")
        elif part.filler not in registries.FILLERS:
            faults.append(f"{plugin.file}: METHODS['{name}']: its filler {unknown(part.filler, registries.FILLERS)}")
    return faults
