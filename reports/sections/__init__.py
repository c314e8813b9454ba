"""The report's sections: the answer, then its evidence, then the details, which the page folds.

A section is a function of the frames, listed in ``SECTIONS``.
"""

from collections.abc import Callable

from reports.analysis.frames import Frames
from reports.analysis.published import paper
from reports.document import Document, Section
from reports.sections import (
    ablations,
    answer,
    architecture,
    claims,
    glossary,
    provenance,
    readings,
    repairs,
    results,
    runs,
    search,
    training,
)

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


def document(frames: Frames) -> Document:
    """The whole report of a study, with numbered tables and figures. A part without data says why."""
    study = frames.study
    return Document(
        title=f"Does Mo & Zhou 2020 hold up? ({study['name'] or 'a study'})",
        question=QUESTION,
        citation=paper()["citation"],
        doi=paper()["doi"],
        made=str(study["made"] or ""),
        sections=[section(frames) for section in SECTIONS],
    ).numbered()
