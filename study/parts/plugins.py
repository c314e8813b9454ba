"""Plugins: Python files with parts of your own, which a study names under ``plugins``.

A plugin declares its parts like the project does, in dictionaries from names to parts: ``METHODS``, ``GENERATORS``,
``CRITICS``, ``LOSSES``, ``FILLERS``, ``MASKS``, ``METRICS``, ``DATASETS``, and for the report ``CLAIMS`` and
``SECTIONS``. The digest of its source is the version of each, so an edit invalidates every stage that uses them.

A plugin is code, and runs with the rights of the user who names it.
"""

from __future__ import annotations

import ast
import hashlib
import io
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

from models.masks import PluginMask
from models.method import Filler, Trained
from study.data import DataSet
from study.errors import BadInput, StudyError, in_words, shown, unknown
from study.files import read_file
from study.metrics import REGIONS, Metric
from study.parts import registries

MOST_SOURCE = 2_000_000  # bytes of a plugin
OURS = ("models", "baselines", "reports", "study")
"""The names of this program's packages, which come before a module of the same name elsewhere."""


@dataclass(frozen=True)
class Plugin:
    """A loaded plugin: its parts by registry and name, and the first 16 hex digits of its source's SHA-256."""

    file: Path
    digest: str
    parts: Mapping[tuple[str, str], Any]
    source: bytes = field(default=b"", repr=False)

    def line(self, registry: str, name: str | None = None, *members: str) -> int | None:
        """The line of a part: of the first of its ``members`` that its class defines, of its class or function, or of
        its entry in the dictionary; without ``name``, of the dictionary. None if the source does not show it.
        """
        body = ast.parse(self.source).body
        entries = next((found for node in body if (found := _assigned(node, registry))), None)
        if entries is None:
            return None
        keys = entries.keys if isinstance(entries, ast.Dict) else []
        place = next((n for n, key in enumerate(keys) if isinstance(key, ast.Constant) and key.value == name), None)
        if place is None or not isinstance(entries, ast.Dict):
            return entries.lineno
        value = entries.values[place]
        value = value.func if isinstance(value, ast.Call) else value  # a metric is an object: Mine()
        named = {node.name: node for node in body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
        if not isinstance(value, ast.Name) or value.id not in named:
            return entries.keys[place].lineno  # type: ignore[union-attr]
        defined = {node.name: node.lineno for node in named[value.id].body if isinstance(node, ast.FunctionDef)}
        return next((defined[member] for member in members if member in defined), named[value.id].lineno)


def _assigned(node: ast.stmt, name: str) -> ast.expr | None:
    """What a statement assigns to a name; None if it does not."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    found = any(isinstance(target, ast.Name) and target.id == name for target in targets)
    return node.value if found and isinstance(node, ast.Assign | ast.AnnAssign) else None


_used: list[Plugin] = []


def use(files: Sequence[Path]) -> list[Plugin]:
    """Runs plugins and registers their parts, in place of those of the previous study.

    Raises:
        BadInput: A file cannot be read or run, declares nothing, or declares a part whose name is taken or whose type
            does not fit its registry.
    """
    _unregister()
    faults: list[str] = []
    try:
        for file in files:
            try:
                plugin = _load(file)
            except BadInput as error:
                faults += error.faults
                continue
            _used.append(plugin)
            for (registry, name), part in plugin.parts.items():
                if name in registries.REGISTRIES[registry]:
                    why = "there is a part of this name already; choose another"
                    faults.append(f"{_at(plugin, registry, name)}: {registry}['{name}']: {why}")
                else:
                    registries.REGISTRIES[registry][name] = part
                    registries.SOURCES[registry, name] = plugin.digest
        for plugin in _used:
            for (registry, name), part in plugin.parts.items():
                if why := _fault(registry, name, part):
                    faults.append(f"{_at(plugin, registry, name)}: {registry}['{name}']{why}")
        if faults:
            raise BadInput(faults)
    except BadInput:
        _unregister()
        raise
    return list(_used)


def used() -> list[Plugin]:
    """The plugins whose parts are registered."""
    return list(_used)


def use_planned(digests: Mapping[str, str], command: str | None = None) -> None:
    """Registers the plugins of a plan. Raises StudyError if a file has changed since the study was planned."""
    planned = {Path(file): digest for file, digest in digests.items()}
    if {plugin.file: plugin.digest for plugin in _used} == planned:
        return
    for plugin in use(list(planned)):
        if plugin.digest != planned[plugin.file]:
            _unregister()
            how = f"run the study again: {command or 'python -m study run STUDY'}"
            raise StudyError(f"{plugin.file}: it has changed since the study was planned; {how}")


def place_of(error: BaseException, files: Iterable[Path] | None = None) -> str | None:
    """``file:line`` of the innermost code in an error's traceback from these files, by default the used plugins."""
    names = {str(file) for file in ([plugin.file for plugin in _used] if files is None else files)}
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in names]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else None


def _at(plugin: Plugin, registry: str, name: str | None = None) -> str:
    """``file:line`` of a part in its plugin, or the file alone."""
    line = plugin.line(registry, name)
    return f"{plugin.file}:{line}" if line else str(plugin.file)


def _unregister() -> None:
    for registry, name in registries.SOURCES:
        del registries.REGISTRIES[registry][name]
    registries.SOURCES.clear()
    _used.clear()


def _load(file: Path) -> Plugin:
    """Runs a file and collects its parts."""
    try:
        source = read_file(file, MOST_SOURCE)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        raise BadInput(
            f"{file}: {getattr(error, 'strerror', error)}; name a Python file, relative to the study file's folder"
        ) from error
    digest = hashlib.sha256(source).hexdigest()[:16]
    module = ModuleType(f"plugin_{file.stem}_{digest}")
    module.__file__ = str(file)
    sys.modules[module.__name__] = module  # pydantic looks up annotations there
    before = set(sys.modules)
    try:
        with _set_apart():
            exec(compile(source, str(file), "exec", dont_inherit=True), vars(module))  # run exactly what is digested
    except (Exception, SystemExit) as error:  # SystemExit would end the command without a message
        syntax = f"{file}:{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else None
        place = syntax or place_of(error, [file]) or file
        what = in_words(error) if isinstance(error, SystemExit) else f"{type(error).__name__}: {error}"
        raise BadInput(f"{place}: {what}{_hidden(error, file)}") from error
    if neighbour := _imported_neighbour(file, before):
        how = "a plugin is one file: move the code into it, or install it as a package"
        raise BadInput(f"{file}: it imports {neighbour}, whose edits would not invalidate results; {how}")
    parts: dict[tuple[str, str], Any] = {}
    plugin = Plugin(file, digest, parts, source)
    for registry, known in registries.REGISTRIES.items():
        own = getattr(module, registry, {})
        if not isinstance(own, dict) or not all(isinstance(name, str) for name in own):
            name, part = next(iter(known.items()), ("NAME", ...))
            example = f"{{'{name}': {getattr(part, '__name__', type(part).__name__)}}}"
            place = _at(plugin, registry)
            raise BadInput(f"{place}: {registry} must be a dictionary from names to parts, such as {example}")
        parts |= {(registry, name): part for name, part in own.items()}
    if not parts:
        raise BadInput(f"{file}: it declares no part; write one of {', '.join(registries.REGISTRIES)}, a dictionary")
    return plugin


class _Aside(io.TextIOBase):
    """A stream that cannot be closed."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()

    def fileno(self) -> int:
        return self._stream.fileno()

    def close(self) -> None:
        """Does nothing."""


@contextmanager
def _set_apart() -> Iterator[None]:
    """Sends what a plugin prints to standard error. Afterwards both streams are as before, even if it closed them."""
    kept = {number: os.dup(number) for number in (1, 2)}
    aside = _Aside(sys.stderr)
    try:
        with redirect_stdout(aside), redirect_stderr(aside):
            yield
    finally:
        for number, copy in kept.items():
            os.dup2(copy, number)
            os.close(copy)


def _hidden(error: BaseException, file: Path) -> str:
    """What to do if a plugin meant a module of its own, and got this program's package of the same name."""
    module = getattr(error, "obj", None)  # of an AttributeError
    name = module.__name__ if isinstance(module, ModuleType) else str(getattr(error, "name", None))
    top = name.partition(".")[0]
    places = [folder / one for folder in (file.parent, Path.cwd()) for one in (f"{top}.py", top)]
    theirs = next((place for place in places if place.exists()), None)
    if top not in OURS or theirs is None:
        return ""
    return f"; here '{top}' is this program's package, and not {theirs}: rename yours, or move its code into the plugin"


def _imported_neighbour(file: Path, before: set[str]) -> str | None:
    """The first new module that is in the plugin's folder. All such modules are unloaded again."""
    places = {name: getattr(sys.modules[name], "__file__", None) for name in sorted(set(sys.modules) - before)}
    own = {name: place for name, place in places.items() if place and Path(place).resolve().parent == file.parent}
    for name in own:
        del sys.modules[name]
    return next(iter(own.values()), None)


def _subclass(*kinds: type) -> Callable[[Any], bool]:
    return lambda part: isinstance(part, type) and issubclass(part, kinds)


def _claim_fault(name: str, entry: Any) -> str:
    """Why a claim cannot be read; '' if it can."""
    from reports.analysis import links  # with pandas, which studies without claims of their own need not import

    if not CLAIM_ID.fullmatch(name):
        return ": name it with capital letters and digits, such as M1; C1, C2, ... are the paper's"
    used = [metric for key, metric in registries.METRICS.items() if ("METRICS", key) in registries.SOURCES]
    own = {metric.name: {key: getattr(metric, key) for key in ("title", "unit", "better")} for metric in used}
    try:
        links.own_claim(name, entry, links.own_metrics(own))
    except ValueError as error:
        return f": {error}"
    return ""


CLAIM_ID = re.compile(r"(?!C\d)[A-Z][A-Z0-9]{0,15}")
_OPTIONS = "a class of options, a subclass of "
_EXPECTED: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "METHODS": (_subclass(Trained, Filler), _OPTIONS + "models.method.Trained, Fitted or Filler"),
    "GENERATORS": (callable, "a network's class, a subclass of torch.nn.Module"),
    "CRITICS": (callable, "a network's class, a subclass of torch.nn.Module"),
    "LOSSES": (callable, "a class with critic(real, fake) and generator(fake)"),
    "FILLERS": (callable, "a function of masked images and masks"),
    "MASKS": (_subclass(PluginMask), _OPTIONS + "models.masks.PluginMask"),
    "METRICS": (
        lambda part: isinstance(part, Metric),
        "an object of a subclass of study.metrics.Metric: Mine(), not Mine",
    ),
    "DATASETS": (_subclass(DataSet), _OPTIONS + "study.data.DataSet"),
    "CLAIMS": (lambda part: isinstance(part, dict), "a dictionary: {'claim': '...', 'links': [...]}"),
    "SECTIONS": (callable, "a function of the frames that returns a reports.document.Section"),
}


def _fault(registry: str, name: str, part: Any) -> str:
    """Why a part's type or attributes do not fit its registry."""
    fits, expected = _EXPECTED[registry]
    if not fits(part):
        return f" is {shown(part)}; expected {expected}"
    if registry == "METHODS" and issubclass(part, Filler):
        if not hasattr(part, "filler"):
            return " has no 'filler'; write  filler = 'name'  in the class, without a type annotation"
        known = registries.FILLERS
        return "" if part.filler in known else f": its filler {unknown(part.filler, known)}"
    if registry in ("MASKS", "DATASETS"):
        kind = part.model_fields.get("kind")
        if kind is None or kind.default != name:
            return f" has no 'kind' of its name; add the option  kind: Literal['{name}'] = '{name}'"
    if registry == "CLAIMS":
        return _claim_fault(name, part)
    if registry != "METRICS":
        return ""
    attributes = ("name", "title", "unit", "better", "regions")  # what a report needs of a metric
    if missing := [attribute for attribute in attributes if not hasattr(part, attribute)]:
        return f" lacks {', '.join(missing)}; a study.metrics.Metric has {', '.join(attributes)}"
    if part.name != name:
        return f" has the name {shown(part.name)}; use the name of its entry, '{name}'"
    if part.better not in ("higher", "lower"):
        return f" has better = {shown(part.better)}; write 'higher' or 'lower'"
    if not part.regions or isinstance(part.regions, str) or not set(part.regions) <= set(REGIONS):
        return f" has regions = {shown(part.regions)}; write a tuple with any of {', '.join(REGIONS)}"
    return ""
