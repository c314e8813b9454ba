"""The first screen and the cards of the claims say what the table of claims says, in words for a reader."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from reports.analysis import tables
from reports.analysis.claims import claims_table
from reports.analysis.frames import Frames
from reports.analysis.naming import label
from reports.document import Document, Effect, Facts, FigureView, Heading, Note, TableView, Tally, interval, number
from reports.sections import answer, claims, common, document

CELL = re.compile(r"\w+:\w+=")
HASH = re.compile(r"\b(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{10,}\b")
DICTIONARY = re.compile(r"[{}]|'\w+':|None\b|\bNaN\b|\bnan\b")


def shown(told: Document) -> dict[str, str]:
    """What a person reads of each open section, by its id."""
    found = {}
    for section in told.sections:
        parts = [section.title]
        for block in section.blocks:
            match block:
                case Note() | Heading():
                    parts.append(block.text)
                case Facts():
                    parts += [part for pair in block.pairs for part in pair]
                case FigureView():
                    parts += [block.caption, block.alt]
                case TableView():
                    parts.append(block.caption)
                    for card in block.cards:
                        parts += [card.id, card.claim, card.why]
                        parts += [f"{each.name} {each.contrast} {each.quantity} {each.text} {each.bounds} {each.n}"
                                  for each in [*card.links, *card.controls]]  # fmt: skip
                    parts += [f"{cell.text} {cell.below}" for row in block.rows for cell in row]
        found[section.id] = "\n".join(parts)
    return found


def test_the_tally_counts_the_claims_as_printed(frames: Frames) -> None:
    table = claims_table(frames)
    (tally,) = (block for block in answer.answer(frames).blocks if isinstance(block, Tally))
    printed = table[table["adversarial_share"].isna()]["outcome"].value_counts().to_dict()
    assert dict(tally.counts) == printed and sum(printed.values()) == 15


@pytest.mark.parametrize(
    ("profile", "scope", "begins"),
    [
        ("demo", "other", "A demonstration: it cannot confirm or refute the paper. Of 15 claims, "),
        ("paper", "paper", "Of the paper's 15 claims, "),
        ("mine", "reduced", "Of the paper's 15 claims, "),
    ],
)
def test_the_headline_says_what_a_study_can_say(
    study_of: Callable[..., Frames], profile: str, scope: str, begins: str
) -> None:
    frames = study_of([0, 1, 2], profile=profile)
    frames = replace(frames, study={**frames.study, "scope": scope})
    said = answer.headline(frames)
    outcomes = claims_table(frames)["outcome"]
    held, failed = (int(outcomes.isin(group).sum()) for group in (answer.HELD, answer.FAILED))
    assert said.startswith(begins)
    assert f"{held} held up, {failed} did not, and {15 - held - failed} stay open" in said


def test_the_main_numbers_are_those_of_the_tables(frames: Frames) -> None:
    table = answer.main_values(frames, "faces").set_index("variant")
    full = tables.table_6(frames, "faces").set_index("variant")
    for variant in ("proposed", "ce", "glcic", "reconstruction_only"):
        assert table.loc[variant, "psnr_value"] == full.loc[variant, "hole"]
    assert table.loc["ce", "psnr_published"] == 18.61 and list(table.index)[:2] == ["ce", "glcic"]
    assert "single" not in table.index


def test_a_card_has_the_numbers_of_its_claim(frames: Frames) -> None:
    view = claims.claims_view(frames)
    table = claims_table(frames)
    assert [card.id for card in view.cards] == table["id"].tolist()
    for card, row in zip(view.cards, table.to_dict("records"), strict=True):
        assert (card.claim, card.outcome, card.where) == (row["claim"], row["outcome"], row["where"])
        rows: list[Mapping[str, Any]] = [*row["links"], *row["controls"]]
        for each, link in zip([*card.links, *card.controls], rows, strict=True):
            assert each.name == link["name"] and each.outcome == (link["outcome"] or "")
            expected = [np.nan if link[name] is None else link[name] for name in ("effect", "low", "high", "published")]
            np.testing.assert_array_equal(each.numbers, expected)
        assert card.query == f"results.links.query('id == \"{card.id}\"')"


def test_the_evidence_of_a_claim_is_in_the_report(frames: Frames) -> None:
    told = document(frames)
    names = {view.name for view in [*told.tables(), *told.figures()]}
    (view,) = (table for table in told.tables() if table.name == "claims")
    tested = [card for card in view.cards if card.outcome != "not tested"]
    assert tested and all(set(card.evidence) & names for card in tested)


@pytest.mark.parametrize(
    ("numbers", "margin", "expected"),
    [
        ((1.0, -1.0, 3.0, np.nan), 0.5, {"value": 1 / 3, "low": -1 / 3, "high": 1.0, "margin": 1 / 6}),
        ((0.1, 0.0, 0.2, 1.0), np.nan, {"value": 0.1, "low": 0.0, "high": 0.2, "published": 1.0}),
        ((633.0, np.nan, np.nan, np.nan), np.nan, {}),
        ((0.0, 0.0, 0.0, np.nan), np.nan, {"value": 0.0, "low": 0.0, "high": 0.0}),
    ],
)
def test_a_card_s_plot_fits_its_box(
    numbers: tuple[float, float, float, float], margin: float, expected: dict[str, float]
) -> None:
    effect = Effect(name="", contrast="", quantity="", text="", bounds="", numbers=numbers, margin=margin,
                    outcome="", reason="", n="")  # fmt: skip
    assert effect.scaled() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ((0.1383, -0.3136, 0.5902, "dB"), ("+0.14 dB", "[−0.31, +0.59]")),
        ((1.8366, 0.8782, 2.7949, "dB"), ("+1.8 dB", "[+0.9, +2.8]")),
        ((0.0002, 0.00002, 0.00038, ""), ("+0.00020", "[+0.00002, +0.00038]")),
        ((-0.00001, -0.4, 0.4, "dB"), ("+0.00 dB", "[−0.40, +0.40]")),
        ((633.0, np.nan, np.nan, ""), ("+633", "")),
        ((4.0, np.nan, np.nan, "px"), ("+4 px", "")),
        ((np.nan, np.nan, np.nan, "dB"), ("", "")),
    ],
)
def test_an_effect_is_rounded_by_what_is_known(row: tuple[float, float, float, str], text: tuple[str, str]) -> None:
    assert common.difference(dict(zip(("effect", "low", "high", "unit"), row, strict=True))) == text


def test_open_sections_have_no_identifiers_hashes_or_dictionaries(frames: Frames) -> None:
    told = document(frames)
    texts = shown(told)
    for section in told.sections:
        if not section.folded:
            for pattern in (CELL, HASH, DICTIONARY):
                found = pattern.search(texts[section.id])
                assert not found, (section.id, found)


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ("proposed:multiscale=0", "Proposed (multi-scale critics 0)"),
        ("proposed:multiscale=0,loss=js", "Proposed (multi-scale critics 0, loss JS)"),
        ("proposed_half:downsample=none", "Proposed, critics scaled (down-sampling none)"),
        ("mine:three_stages=false", "mine (three stages no)"),
        ("a:b", "a:b"),
        ("glcic_tuned", "GLCIC, tuned"),
    ],
)
def test_a_cell_has_a_name_that_a_person_reads(variant: str, expected: str) -> None:
    assert label(variant) == expected


def test_numbers_never_show_a_negative_zero() -> None:
    assert number(-0.0004, 2).text == "0.00" and interval(-0.001, 0.2, 1) == "[0.0, 0.2]"
