"""The sections of the report that a study's plugins declare."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from reports.analysis.frames import NoDataError
from study.errors import StudyError
from study.parts import plugins, registries
from study.plan.graph import PLAN, Plan


def own_sections(out: Path) -> dict[str, Callable[..., Any]]:
    """The sections of an output's plugins by name. Runs the plugins, if they are as they were when it was planned.

    The sections of a plugin that is missing or has changed say so.
    """
    if not (out / PLAN).is_file():  # a search alone
        return {}
    study = Plan.of(out).study
    if not study.sections:
        return {}
    try:
        plugins.use_planned(study.digests, study.command)
    except StudyError as error:
        return dict.fromkeys(study.sections, _missing(str(error)))
    return {name: registries.SECTIONS[name] for name in study.sections}


def _missing(why: str) -> Callable[..., Any]:
    def section(frames: Any) -> Any:
        raise NoDataError(f"This section of a plugin is left out: {why}.")

    return section
