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
    """A file that was run: its parts by registry and name, and the first 16 hex digits of its source's SHA-256."""

    file: Path
    digest: str
    parts: Mapping[tuple[str, str], Any]


_used: list[Plugin] = []


def use(files: Sequence[Path]) -> list[Plugin]:
    """Runs plugins and lists their parts in the registries, in place of those of the study before.

    Raises BadInput: a file cannot be read or run, declares nothing, names a part that is there already, or one that is
    not what its registry holds.
    """
    _forget()
    try:
        for file in files:
            plugin = _loaded(file)
            _list(plugin)
        faults = [fault for plugin in _used for fault in _unfilled(plugin)]
        if faults:
            raise BadInput(faults)
    except BadInput:
        _forget()
        raise
    return list(_used)


def used() -> list[Plugin]:
    """The plugins whose parts are listed now."""
    return list(_used)


def use_planned(digests: Mapping[str, str], command: str | None = None) -> None:
    """Uses the plugins of a planned study, by file: in a worker, or to use what was trained.

    Raises StudyError where a file is not what it was when the study was planned.
    """
    planned = {Path(file): digest for file, digest in digests.items()}
    if {plugin.file: plugin.digest for plugin in _used} == planned:
        return
    for plugin in use(list(planned)):
        if plugin.digest != planned[plugin.file]:
            _forget()
            again = command or "python -m study run STUDY"
            raise StudyError(
                f"{plugin.file}: it has changed since the study was planned; plan and make it anew: {again}"
            )


def place_of(error: BaseException) -> str | None:
    """The file and the line of the plugin that an error passed through last; None where it passed through none."""
    files = {str(plugin.file) for plugin in _used}
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in files]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else None


def _forget() -> None:
    for plugin in _used:
        for registry, name in plugin.parts:
            del registries.REGISTRIES[registry][name], registries.SOURCES[registry, name]
    _used.clear()


def _list(plugin: Plugin) -> None:
    taken = [(registry, name) for registry, name in plugin.parts if name in registries.REGISTRIES[registry]]
    if taken:
        told = "there is a part of this name already; choose another"
        raise BadInput([f"{plugin.file}: {registry}['{name}']: {told}" for registry, name in taken])
    for (registry, name), part in plugin.parts.items():
        registries.REGISTRIES[registry][name] = part
        registries.SOURCES[registry, name] = plugin.digest
    _used.append(plugin)


def _loaded(file: Path) -> Plugin:
    try:
        source = file.read_bytes()
    except OSError as error:
        raise BadInput(f"{file}: {error.strerror}; name a Python file, from the study file's folder") from error
    digest = hashlib.sha256(source).hexdigest()[:16]
    module = ModuleType(f"plugin_{file.stem}_{digest}")
    module.__file__ = str(file)
    sys.modules[module.__name__] = module  # where annotations are looked up
    before = set(sys.modules)
    try:
        exec(compile(source, str(file), "exec", dont_inherit=True), vars(module))  # what is digested is what is run
    except (Exception, SystemExit) as error:  # a plugin that leaves Python would end the command without a word
        raise BadInput(f"{_place_in(file, error)}: {type(error).__name__}: {error}") from error
    if beside := _beside(file, before):
        raise BadInput(
            f"{file}: it imports {beside}, of whose edits nothing would be made anew; "
            "a plugin is one file: put it in, or install it as a package"
        )
    parts: dict[tuple[str, str], Any] = {}
    for registry, parts_there in registries.REGISTRIES.items():
        own = getattr(module, registry, {})
        if not isinstance(own, dict) or not all(isinstance(name, str) for name in own):
            raise BadInput(f"{file}: {registry} is no dictionary from names to parts, as in: {_example(parts_there)}")
        parts |= {(registry, name): part for name, part in own.items()}
    if not parts:
        raise BadInput(f"{file}: it declares no part; write one of {', '.join(registries.REGISTRIES)}, a dictionary")
    wrong = {place: _wrong(*place, part) for place, part in parts.items()}
    if faults := [f"{file}: {registry}['{name}'] {why}" for (registry, name), why in wrong.items() if why]:
        raise BadInput(faults)
    return Plugin(file, digest, parts)


def _beside(file: Path, before: set[str]) -> str:
    """The first of the modules imported since then that lies in the plugin's folder; no such module stays imported."""
    new = {name: getattr(sys.modules[name], "__file__", None) for name in set(sys.modules) - before}
    found = [name for name, place in sorted(new.items()) if place and Path(place).resolve().parent == file.parent]
    for name in found:
        del sys.modules[name]
    return str(new[found[0]]) if found else ""


def _place_in(file: Path, error: BaseException) -> str:
    """The line of the plugin that an error comes from."""
    if isinstance(error, SyntaxError):
        return f"{file}:{error.lineno}" if error.lineno else str(file)
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    return f"{file}:{lines[-1]}" if lines else str(file)


def _example(registry: Mapping[str, Any]) -> str:
    name, part = next(iter(registry.items()))
    return f"{{'{name}': {getattr(part, '__name__', type(part).__name__)}}}"


# -- what each registry holds --------------------------------------------------------------------------------


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


def _wrong(registry: str, name: str, part: Any) -> str:
    """What is wrong with a part by its kind alone, whatever it does; nothing where it is what its registry holds."""
    fits, expected = _EXPECTED[registry]
    if not fits(part):
        return f"is {shown(part)}; expected {expected}"
    if registry in ("MASKS", "DATASETS"):
        kind = part.model_fields.get("kind")
        if kind is None or kind.default != name:
            return f"is not found by its name; give it the option  kind: Literal['{name}'] = '{name}'"
    return _unreadable(name, part) if registry == "METRICS" else ""


def _unreadable(name: str, metric: Metric) -> str:
    """What a report could not say of a metric."""
    if lacking := [told for told in ("name", "title", "unit", "better", "regions") if not hasattr(metric, told)]:
        return f"does not say its {', '.join(lacking)}; a study.metrics.Metric has all five"
    if metric.name != name:
        return f"has the name {shown(metric.name)}; give it the one under which it is listed"
    if metric.better not in ("higher", "lower"):
        return f"has better = {shown(metric.better)}; write 'higher' or 'lower'"
    wrong = [region for region in metric.regions if region not in REGIONS]
    if wrong or not metric.regions or isinstance(metric.regions, str):
        return f"has regions = {shown(metric.regions)}; write a tuple of some of {', '.join(REGIONS)}"
    return ""


def _unfilled(plugin: Plugin) -> list[str]:
    """The methods that name a filler which is in no plugin either."""
    return [
        f"{plugin.file}: METHODS['{name}']: its filler {unknown(part.filler, registries.FILLERS)}"
        if hasattr(part, "filler")
        else f"{plugin.file}: METHODS['{name}'] does not say its filler; write  filler = 'name'  in it, without a type"
        for (registry, name), part in plugin.parts.items()
        if registry == "METHODS"
        and issubclass(part, Filler)
        and getattr(part, "filler", None) not in registries.FILLERS
    ]
