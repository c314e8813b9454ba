"""The report's sections: the answer, then its evidence, then the details, which the page folds.

A section is a function of the frames, listed in ``SECTIONS``.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from reports.analysis.frames import Frames, NoDataError
from reports.analysis.published import paper
from reports.document import Document, Note, Section
from reports.sections import (
    ablations,
    answer,
    architecture,
    claims,
    glossary,
    progress,
    provenance,
    readings,
    repairs,
    results,
    runs,
    search,
    training,
)
from reports.sections.common import slug

SECTIONS: tuple[Callable[[Frames], Section], ...] = (
    answer.answer,
    claims.claims,
    results.results,
    results.contrasts,
    repairs.repairs,
    ablations.ablations,
    training.mechanism,
    runs.runs,
    ablations.one_by_one,
    architecture.architecture,
    architecture.schedule,
    repairs.other_data,
    search.search,
    training.curves,
    training.cost,
    readings.other_readings,
    repairs.blending,
    repairs.worst,
    readings.protocol,
    readings.in_force,
    provenance.provenance,
    glossary.glossary,
)

QUESTION = (
    "Does the paper's model do what the paper claims, when it is trained beside its baselines with one budget, several "
    "seeds and controls?"
)


def document(frames: Frames, own: Mapping[str, Callable[[Frames], Section]] = MappingProxyType({})) -> Document:
    """The whole report of a study, with numbered tables and figures. A part without data says why.

    ``own``: sections of plugins by name. They come before the provenance.
    """
    study = frames.study
    return Document(
        title=f"Does Mo & Zhou 2020 hold up? ({study['name'] or 'a study'})",
        question=QUESTION,
        citation=paper()["citation"],
        doi=paper()["doi"],
        made=str(study["made"] or ""),
        sections=[
            *(section(frames) for section in SECTIONS[:-2]),
            *(_own(name, section, frames) for name, section in own.items()),
            *(section(frames) for section in SECTIONS[-2:]),
        ],
        progress=progress.sentence(frames),
        terms=glossary.TERMS,
    ).numbered()


def _own(name: str, section: Callable[[Frames], Section], frames: Frames) -> Section:
    """A plugin's section. If it cannot be made, its place says why, and the rest of the report is there."""
    try:
        made = section(frames)
        if not isinstance(made, Section):
            raise TypeError(f"it gives a {type(made).__name__}; expected a reports.document.Section")
        return replace(made, id=f"own-{slug(name)}")
    except NoDataError as error:
        why = str(error)
    except Exception as error:
        why = f"This section of a plugin could not be made: {type(error).__name__}: {error}"
    return Section(id=f"own-{slug(name)}", title=name, blocks=[Note(why, "nothing")])
