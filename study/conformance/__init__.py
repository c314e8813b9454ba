"""The conformance suite: what the harness expects of a part, by its registry.

A check raises ``Fault`` with a sentence where a part is not as it has to be, and ``NotChecked`` where that cannot be
told; what it returns is worth knowing, and no fault. Our own parts are held to it by
``tests/study/conformance/test_conformance.py``, a stranger's by ``python -m study check``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from study.conformance.datasets import packs
from study.conformance.expectation import Check, Fault, NotChecked
from study.conformance.joining import joining
from study.conformance.methods import describes_itself
from study.conformance.networks import (
    computes_windows,
    learns,
    predicts_images,
    repairs_each_image_alone,
    says_whether_it_mixes,
    scores_each_image,
    teaches,
)
from study.conformance.options import options_of
from study.conformance.parts import (
    draws_holes,
    fills,
    measures,
    pulls_with_finite_force,
    tells_real_from_repaired,
    worsens_with_noise,
)
from study.errors import StudyError
from study.parts import plugins


@dataclass(frozen=True)
class Finding:
    """What came of one check of one part. ``why``: the sentence; where it is fine, what is worth knowing of it."""

    registry: str
    part: str
    check: str
    outcome: Literal["fine", "fault", "not checked"]
    why: str = ""


def conformance(registry: str, name: str) -> Iterator[Finding]:
    """Makes every check of one listed part."""
    for check in CHECKS[registry]:
        title = check.__name__.replace("_", " ")
        try:
            note = check(name)
        except NotChecked as told:
            yield Finding(registry, name, title, "not checked", str(told))
        except Exception as error:  # whatever a stranger's part raises
            yield Finding(registry, name, title, "fault", _told(error))
        else:
            yield Finding(registry, name, title, "fine", note or "")


def plugin(file: Path) -> list[Finding]:
    """The checks of all parts of a plugin. Raises BadInput where the file is none."""
    (found,) = plugins.use([file.resolve()])
    return [finding for registry, name in found.parts for finding in conformance(registry, name)]


def _told(error: Exception) -> str:
    """An error as a sentence; one that is not ours with its name, and with the line of the plugin where it came up."""
    text = " ".join(str(error).split())
    if isinstance(error, Fault | StudyError):
        return text
    place = plugins.place_of(error)
    where = f" (line {place.rpartition(':')[2]} of {Path(place.rpartition(':')[0]).name})" if place else ""
    return f"{type(error).__name__}: {text}{where}"


CHECKS: Mapping[str, Sequence[Check]] = {
    "METHODS": (options_of("METHODS"), describes_itself, joining("METHODS")),
    "GENERATORS": (predicts_images, computes_windows, learns, repairs_each_image_alone),
    "CRITICS": (scores_each_image, says_whether_it_mixes, teaches),
    "LOSSES": (tells_real_from_repaired, pulls_with_finite_force, joining("LOSSES")),
    "FILLERS": (fills,),
    "MASKS": (options_of("MASKS"), draws_holes, joining("MASKS")),
    "METRICS": (measures, worsens_with_noise, joining("METRICS")),
    "DATASETS": (options_of("DATASETS"), packs, joining("DATASETS")),
}
"""What is checked of each registry's parts. Networks and fillers join a study with the method that has them."""
