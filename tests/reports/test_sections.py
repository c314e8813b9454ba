"""What the report says: right, whole, and there whatever the study lacks."""

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reports.analysis import protocols, tables
from reports.analysis.frames import COLUMNS, Frames, NoDataError
from reports.analysis.naming import label
from reports.document import Cell, Document, Facts, FigureView, Heading, Note, Section, TableView, duration
from reports.sections import SECTIONS, ablations, answer, common, document, repairs, results, runs

UNIVERSES = (("proposed", "glcic"), ("multiscale=0,loss=wgan", "glcic"), ("single", "glcic"))


def checked(frames: Frames) -> Document:
    """The document, after what holds of every one."""
    told = document(frames)
    assert len(told.sections) == len(SECTIONS)
    assert len({section.id for section in told.sections}) == len(SECTIONS)
    for section in told.sections:
        assert section.title and section.blocks
        assert not any(isinstance(a, Heading) and isinstance(b, Heading) for a, b in pairwise(section.blocks))
    for views in (list(told.tables()), list(told.figures())):
        assert [view.number for view in views] == list(range(1, len(views) + 1))
        assert len({view.name for view in views}) == len(views)
        assert all(view.caption for view in views)
    for table in told.tables():
        assert all(len(row) == len(table.headings) for row in table.rows), table.name
        assert not table.groups or len(table.groups) == len(table.rows)
        assert table.rows
    assert all(figure.alt for figure in told.figures())
    return told


def texts(told: Document) -> Iterator[str]:
    """All that is said in it."""
    for section in told.sections:
        yield section.title
        for block in section.blocks:
            if isinstance(block, Note | Heading):
                yield block.text
            elif isinstance(block, Facts):
                yield from (part for pair in block.pairs for part in pair)
            elif isinstance(block, FigureView):
                yield block.caption
    for table in told.tables():
        yield table.caption
        yield from (part for row in table.rows for cell in row for part in (cell.text, cell.below))


def table_of(told: Document, name: str) -> TableView:
    return next(table for table in told.tables() if table.name == name)


def values(rows: list[list[Cell]]) -> list[float]:
    return [cell.value for row in rows for cell in row if cell.value is not None]


def with_all(frames: Frames, **entry: str) -> Frames:
    """The same with a multiverse, blended outputs and pictures, GIICA's departure, and the data set as in `entry`."""
    universes = [
        ("readings", number, base, variant, reading, level, number == 0, True)
        for number, pair in enumerate(UNIVERSES)
        for base, variant in zip(("proposed", "glcic"), pair, strict=True)
        for reading, level in (("head", ("mean", "linear", "patch")[number]), ("mask", '{"kind": "center"}'))
    ]
    blended = frames.scores.assign(output="blended", value=frames.scores["value"] + 0.1)
    kept = frames.pictures[frames.pictures["output"] == "composite"].assign(output="blended")
    giica = ("giica", "loss.critic_steps", "1", "R14", "updates of the critics to one of the generator", True,
             "The critics' optimizer: adam for ce; adadelta for glcic.")  # fmt: skip
    readings = pd.DataFrame([giica], columns=frames.readings.columns)
    told = {"base": ["proposed", "glcic"], "contrasts": [["proposed", "glcic"]], "design": "one_at_a_time"}
    return replace(
        frames,
        study={**frames.study, "multiverses": {"readings": told}, "data": [{**frames.study["data"][0], **entry}]},
        universes=pd.DataFrame(universes, columns=list(COLUMNS["universes"])),
        scores=pd.concat([frames.scores, blended], ignore_index=True),
        pictures=pd.concat([frames.pictures, kept], ignore_index=True),
        readings=pd.concat([readings, frames.readings], ignore_index=True),
    )


@pytest.fixture(scope="module")
def whole(frames: Frames) -> Document:
    return checked(frames)


@pytest.mark.parametrize("metric", ["psnr", "ssim"])
def test_every_number_of_tables_6_and_7_is_the_frame_s(whole: Document, frames: Frames, metric: str) -> None:
    shown = table_of(whole, f"results-{metric}-faces")
    assert shown.more is not None
    scores = frames.scores[frames.scores["metric"] == metric]
    means = scores.groupby(["variant", "region"])["value"].mean()
    expected: list[float] = []
    for row in tables.results_table(frames, metric=metric, data="faces").to_dict("records"):
        expected += [] if pd.isna(row["published"]) else [row["published"]]
        expected += [means[row["variant"], "whole"], means[row["variant"], "hole"], row["seeds"], row["images"]]
    assert values(shown.rows) + values(shown.more.rows) == pytest.approx(expected)


def test_every_number_of_every_table_is_in_its_frame(whole: Document, frames: Frames) -> None:
    """As it is, in hundredths (shares as percents) or in millions (multiply-accumulates)."""
    held = 0
    for told in (whole, checked(with_all(frames, kind="folder", like="CelebA"))):
        for table in told.tables():
            if table.frame is None:
                continue
            numbers = table.frame.select_dtypes("number").to_numpy(dtype=float).ravel()
            objects = table.frame.select_dtypes(exclude="number").to_numpy(dtype=object).ravel()
            flat = [one for cell in objects for one in (cell if isinstance(cell, tuple) else (cell,))]
            plain = [float(one) for one in flat if isinstance(one, int | float) and not isinstance(one, bool)]
            known = np.concatenate([numbers, np.array(plain, float)])
            every = np.concatenate([known, known * 100, known / 1e6])
            for value in values(table.rows):
                assert np.isclose(every, value, rtol=1e-12, atol=0).any(), (table.name, value)
                held += 1
    assert held > 500


def test_other_variants_are_folded_away_and_none_is_lost(whole: Document, frames: Frames) -> None:
    for metric in ("psnr", "ssim"):
        shown = table_of(whole, f"results-{metric}-faces")
        assert shown.more is not None
        assert shown.more.caption.endswith("on faces: 7 other variants, of the ablations and other readings.")
        named = [row[0].text for row in shown.rows + shown.more.rows]
        assert sorted(named) == sorted({label(v) for v in frames.runs["variant"]} | {"GIICA"} & set(named))


def test_readings_blending_and_protocols_are_shown(frames: Frames) -> None:
    told = checked(with_all(frames, kind="folder", like="CelebA"))
    said = "\n".join(texts(told))
    for words in (
        "Of 3 universes with a result", "tests nothing", "The universes of readings on faces: Proposed − GLCIC",
        "Before and after Poisson blending on faces", "loss.critic_steps",
        "The critics' optimizer: adam for ce; adadelta for glcic.",
        "All 3 published figures of PSNR are in reach under", "worse than the biharmonic filler",
        "Not scored here: raw.",
    ):  # fmt: skip
        assert words in said, words
    names = {table.name for table in told.tables()}
    assert {
        "unlike",
        "blending-faces",
        "claims",
        "links",
        "protocols",
        "specification-readings-proposed-glcic-faces",
    } <= names
    assert len(table_of(told, "claims").rows) == 15
    links = table_of(told, "links").frame
    assert links is not None
    assert set(links["id"]) == {f"C{n}" for n in range(1, 16)}
    grid = next(figure.pictures for figure in told.figures() if figure.name == "repairs-faces")
    assert grid is not None
    assert grid.outputs == ["composite", "blended"]


def test_what_a_study_lacks_is_said_in_its_place(whole: Document) -> None:
    said = "\n".join(texts(whole))
    for words in (
        "The study has no multiverse.", "No blended output was scored on faces.", "drawn portraits say nothing",
        "The study has no data set like ImageNet, which the paper's Figure 5 shows.", "the paper's Figure 6 shows",
    ):  # fmt: skip
        assert words in said, words


def test_it_says_what_a_sceptic_asks(whole: Document) -> None:
    said = "\n".join(texts(whole))
    for words in (
        "cannot confirm or refute the paper", "40 completed", "the loss is not finite", "OSError: no space left",
        "1 of 3 diverged (seed 2)", "saved 59%", "R11", "9f3c", "torch 2.12.0",
        "900 updates of the generator, batch 16",
    ):  # fmt: skip
        assert words in said, words


EMPTY = [f.name for f in fields(Frames)[1:]]


@pytest.mark.parametrize(
    "without", [[name] for name in EMPTY] + [EMPTY, ["scores", "curves", "pictures"]], ids="+".join
)
def test_a_report_survives_what_is_missing(frames: Frames, without: list[str]) -> None:
    empty = Frames(study={})
    checked(replace(frames, **{name: getattr(empty, name) for name in without}))


@pytest.mark.parametrize("seeds", [[0], [0, 1], []])
def test_a_report_survives_few_seeds(frames: Frames, seeds: list[int]) -> None:
    kept = {f.name: getattr(frames, f.name) for f in fields(frames)[1:]}
    kept = {name: table[table["seed"].isin(seeds)] if "seed" in table else table for name, table in kept.items()}
    told = checked(replace(frames, **kept))
    outcomes = {row[1].text for row in table_of(told, "claims").rows}
    assert outcomes <= ({"inconclusive", "not tested"} if seeds else {"not tested"})


def test_a_report_survives_one_variant_no_facts_and_no_completed_run(frames: Frames) -> None:
    kept = {f.name: getattr(frames, f.name) for f in fields(frames)[1:]}
    one = {name: table[table["variant"] == "single"] if "variant" in table else table for name, table in kept.items()}
    checked(replace(frames, **one))
    said = "\n".join(texts(checked(Frames(study={}))))
    assert "not recorded" in said
    assert "The study has no data set." in said
    checked(Frames(study={}, **kept))
    lost = frames.runs.assign(status="failed", why="out of memory")
    assert "3 of 3 failed (seed 0, 1, 2)" in "\n".join(texts(checked(replace(frames, runs=lost))))


def test_several_data_sets_are_kept_apart(study_of: Callable[..., Frames]) -> None:
    entries = [{"name": "faces", "kind": "faces"}, {"name": "scenes", "kind": "folder", "like": "Places2"}]
    parts = [study_of([0, 1, 2], name, data=entries, profile="paper") for name in ("faces", "scenes")]
    joined = {
        f.name: pd.concat([getattr(part, f.name) for part in parts], ignore_index=True)
        for f in fields(Frames)[1:]
        if f.name not in ("factors", "readings")
    }
    told = checked(replace(parts[0], **joined))
    said = "\n".join(texts(told))
    assert "Published numbers are for Places2" in said
    assert "cannot confirm" not in said
    assert {"repairs-faces", "repairs-scenes"} <= {figure.name for figure in told.figures()}
    eight = table_of(told, "table-8")
    assert {row[1].text for row in eight.rows if row[0].text == "Places2"} == {"scenes"}
    assert {row[1].text for row in eight.rows if row[0].text == "ImageNet"} == {"not in this study"}


def test_a_folder_that_stands_beside_nothing_has_no_published_numbers(study_of: Callable[..., Frames]) -> None:
    frames = study_of([0], "my_faces", data=[{"name": "my_faces", "kind": "folder"}], file="mine.yaml")
    for metric in ("psnr", "ssim"):
        table = results.results_view(frames, "my_faces", metric)
        assert "Published" not in table.headings and "the paper's Table" not in table.caption
        assert all(len(row) == len(table.headings) for row in table.rows)
    contrasts = results.contrast_values(frames, "my_faces")
    assert "Published" not in contrasts.headings
    assert all(len(row) == len(contrasts.headings) for row in contrasts.rows)
    assert results.beside(frames, "my_faces").text == (
        "my_faces is not compared with a data set of the paper, so there are no published numbers. If its images "
        "resemble one, say so in mine.yaml (like: CelebA, ImageNet or Places2)."
    )
    assert "the paper's Figure" not in repairs.grid(frames, "my_faces").caption
    with pytest.raises(NoDataError, match="that stand beside the paper's data; if yours resemble one of its sets"):
        protocols.protocol_table(frames)


def test_a_folder_is_called_by_its_name_and_no_verdict_is_of_the_papers_data(study_of: Callable[..., Frames]) -> None:
    frames = study_of([0, 1, 2], "holidays", data=[{"name": "holidays", "kind": "folder"}], profile="demo")
    told = checked(frames)
    assert [table.name for table in told.tables() if "Published" in table.headings] == [
        "table-8"
    ]  # the paper's other sets
    (protocol,) = (section for section in told.sections if section.title == "Which protocol did the paper use?")
    assert all(isinstance(block, Note) for block in protocol.blocks)
    assert answer.scope(frames).startswith("Demonstration on holidays: ")


def test_what_the_command_left_out_is_said(frames: Frames) -> None:
    assert "Left out" not in dict(runs.facts(frames))
    left_out = {"ce": {}, "proposed:head=linear": {}, "proposed:fill=mean": {}}
    study = {**frames.study, "left_out": left_out, "left_out_seeds": [3, 4]}
    lacking = replace(frames, study=study, factors=frames.factors.iloc[:0])
    said = dict(runs.facts(lacking))["Left out"]
    assert said == "ce, 2 of ablations and readings (by --only); seed 3, 4 (by --seeds)"
    assert Note("The study has no ablation of the variants that --only kept.", "nothing") in (
        ablations.ablations(lacking).blocks
    )
    by_claims = {name: {"by": "--claims", "data": ["faces"]} for name in ("absent", "proposed")}
    study = {**frames.study, "left_out": {"ce": {"by": "--only"}, **by_claims}}
    said = dict(runs.facts(replace(frames, study=study)))["Left out"]
    assert said == "ce (by --only); absent, proposed on faces (by --claims)"
    assert common.of_what_ran(replace(frames, study=study)) == " of the variants that --only and --claims kept"


def test_a_section_of_a_plugin_stands_before_the_provenance_whatever_it_does(frames: Frames) -> None:
    def lacking(frames: Frames) -> Section:
        raise NoDataError("There is <nothing>.")

    def broken(frames: Frames) -> Section:
        return frames.study["no such"]  # type: ignore[no-any-return]

    own = {
        "Good one": lambda frames: Section(id="provenance", title="Good", blocks=[Note("Well.")]),
        "lacking": lacking,
        "broken": broken,
        "other": lambda frames: 3,
    }
    *_, good, none, fault, other, provenance, glossary = document(frames, own).sections
    assert [provenance.id, glossary.id] == ["provenance", "words"]
    assert (good.id, good.title, good.blocks) == ("own-good-one", "Good", [Note("Well.")])
    assert none.blocks == [Note("There is <nothing>.", "nothing")] and none.title == "lacking"
    assert fault.blocks == [Note("This section of a plugin could not be made: KeyError: 'no such'", "nothing")]
    assert "it gives a int; expected a reports.document.Section" in other.blocks[0].text  # type: ignore[union-attr]


def test_duplicates_of_test_images_are_said_beside_the_data_set(study_of: Callable[..., Frames]) -> None:
    def entry(name: str, *counts: int) -> dict[str, Any]:
        exact, near = ({"train": counts[k], "validation": counts[k + 2]} for k in (0, 1)) if counts else ({}, {})
        return {"name": name, "kind": "folder", "test": 1200, "duplicates": {"exact": exact, "near": near}}

    data = [entry("clean", 0, 0, 0, 0), entry("mixed", 1, 1030, 0, 2), entry("old"), {"name": "older", "kind": "faces"}]
    told = checked(study_of([0], "mixed", data=data))
    table = table_of(told, "data")
    place = table.headings.index("Duplicates")
    assert [row[place].text for row in table.rows] == [
        "none", "1 exact in training, 1,030 near in training, 2 near in validation", "–", "–",
    ]  # fmt: skip
    (note,) = [text for text in texts(told) if "instead of repairing it" in text]
    assert note.startswith(
        "mixed: 1 of 1,200 test images equal a training image, and 1,030 have a near duplicate there."
    )


def test_mixed_devices_are_told(frames: Frames) -> None:
    mixed = frames.stages.assign(device=["cpu", "H100", "cpu"])
    assert "different devices (cpu, H100)" in "\n".join(texts(checked(replace(frames, stages=mixed))))


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "not recorded"), (3.21, "3.2 s"), (245, "4 min 5 s"), (7980, "2 h 13 min")]
)
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text
