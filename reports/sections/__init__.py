"""The report's sections, in the paper's order. A section is a function of the frames, listed in ``SECTIONS``."""

from collections.abc import Callable

from reports.analysis.frames import Frames
from reports.analysis.published import paper
from reports.document import Document, Section
from reports.sections import (
    ablations,
    architecture,
    glossary,
    progress,
    provenance,
    readings,
    repairs,
    results,
    search,
    summary,
    training,
)

SECTIONS: tuple[Callable[[Frames], Section], ...] = (
    summary.summary,
    architecture.architecture,
    architecture.schedule,
    repairs.repairs,
    results.results,
    results.contrasts,
    repairs.other_data,
    ablations.ablations,
    search.search,
    training.mechanism,
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
    "What does each part of the paper's model contribute, and do its claims hold when it is trained beside its "
    "baselines, with one budget, several seeds and a control?"
)


def document(frames: Frames) -> Document:
    """The whole report of a study, with numbered tables and figures. A part without data says why."""
    study = frames.study
    return Document(
        title=f"{study['name'] or 'Study'}: Mo & Zhou 2020 taken apart",
        question=QUESTION,
        citation=paper()["citation"],
        doi=paper()["doi"],
        made=str(study["made"] or ""),
        sections=[section(frames) for section in SECTIONS],
        progress=progress.sentence(frames),
    ).numbered()
