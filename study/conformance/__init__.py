"""The conformance suite: what the harness expects of each registered part.

A check raises ``Fault`` if a part does not conform and ``NotChecked`` if the check does not apply. It returns a note or
None. ``tests/study/conformance/test_conformance.py`` checks our own parts; ``python -m study check`` checks a plugin's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from study.conformance import dry_run, networks, parts, report
from study.conformance.expectation import Fault, NotChecked, Part
from study.conformance.joins import joins_a_study
from study.errors import StudyError
from study.parts import plugins, registries

CHECKS: dict[str, Sequence[Callable[[Any], str | None]]] = {
    "METHODS": (parts.keeps_its_options, networks.describes_itself, joins_a_study, dry_run.runs_on_a_card),
    "GENERATORS": (
        networks.predicts_images,
        networks.computes_windows,
        networks.learns,
        networks.repairs_each_image_alone,
        dry_run.learns_on_a_card,
    ),
    "CRITICS": (
        networks.scores_each_image,
        networks.declares_batch_dependence,
        networks.teaches,
        dry_run.learns_on_a_card,
    ),
    "LOSSES": (
        parts.tells_real_from_repaired,
        parts.has_finite_gradients,
        joins_a_study,
        dry_run.runs_on_a_card,
    ),
    "FILLERS": (parts.fills, dry_run.fills_on_a_card),
    "MASKS": (parts.keeps_its_options, parts.draws_holes, joins_a_study),
    "METRICS": (parts.measures, parts.worsens_with_noise, joins_a_study, dry_run.runs_on_a_card),
    "DATASETS": (parts.keeps_its_options, parts.packs, joins_a_study),
    "CLAIMS": (report.has_an_outcome,),
    "SECTIONS": (report.stands_in_a_report,),
}
"""The checks of each registry's parts. Networks and fillers join a study with the method that uses them."""


MEMBERS: dict[str, Sequence[str]] = {
    "METHODS": ("fit", "method"),
    "GENERATORS": ("forward",),
    "CRITICS": ("forward",),
    "LOSSES": ("critic", "generator"),
    "MASKS": ("draw",),
    "METRICS": ("__call__",),
    "DATASETS": ("pack", "identity"),
}
"""The methods that a part's checks call. A fault is on the line of the one that its sentence names, or of the first."""


@dataclass(frozen=True)
class Finding:
    """The outcome of one check of one part. ``why`` is the reason, or a note on a part that is fine."""

    registry: str
    part: str
    check: str
    outcome: Literal["fine", "fault", "not checked"]
    why: str = ""


def conformance(registry: str, name: str) -> Iterator[Finding]:
    """Runs all checks of a part. A network is checked in each of its configurations."""
    part = Part(registry, name, registries.REGISTRIES[registry][name])
    for check in CHECKS[registry]:
        notes, skipped, fault = [], [], ""
        try:
            for case in networks.configurations(part) if registry in ("GENERATORS", "CRITICS") else [part]:
                try:
                    notes.append(check(case))
                except NotChecked as error:
                    skipped.append(str(error))
        except Exception as error:  # a plugin's part may raise anything
            fault = _sentence(error, part, () if check is parts.keeps_its_options else MEMBERS.get(registry, ()))
        outcome: Any = "fault" if fault else "fine" if notes else "not checked"
        why = fault or "; ".join(dict.fromkeys(filter(None, [*notes, *skipped])))
        yield Finding(registry, name, check.__name__.replace("_", " "), outcome, why)


def plugin(file: Path) -> list[Finding]:
    """Runs the checks of all parts of a plugin. Raises BadInput if the file is not a plugin."""
    (loaded,) = plugins.use([file.resolve()])
    return [finding for registry, name in loaded.parts for finding in conformance(registry, name)]


def _sentence(error: Exception, part: Part, members: Sequence[str]) -> str:
    """An error as a sentence with its line in the plugin. One that is not ours gets its type, too."""
    text = " ".join(str(error).split())
    if not isinstance(error, Fault | StudyError):
        text = f"{type(error).__name__}: {text}"
    if "(line " in text:  # a dry run names the line of the operation
        return text
    place = plugins.place_of(error) or _place(text, part, members)
    file, _, line = (place or "").rpartition(":")
    return f"{text} (line {line} of {Path(file).name})" if file else text


def _place(text: str, part: Part, members: Sequence[str]) -> str | None:
    """``file:line`` of the member of a part that a sentence is about; None for a part of the project."""
    for plugin in plugins.used():
        if (part.registry, part.name) in plugin.parts:
            named = [member for member in members if text.startswith((f"{member}(", f"{member} ", f"its {member} "))]
            return f"{plugin.file}:{plugin.line(part.registry, part.name, *named, *members)}"
    return None
