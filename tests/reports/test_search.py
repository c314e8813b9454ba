"""The section of searches: what it says of trials, and of what they were worth."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reports import figures
from reports.analysis import tables
from reports.analysis.frames import COLUMNS, Frames, NoDataError
from reports.document import FigureView, Note, TableView
from reports.figures import style
from reports.sections import document
from reports.sections.search import search

SPACE = [
    {"key": "weights.local", "low": 1e-5, "high": 0.1, "log": True},
    {"key": "loss.critic_steps", "low": 1, "high": 5},
    {"key": "loss.norm", "choices": ["none", "layer"]},
]
STATES = {3: "pruned", 5: "diverged", 6: "failed", 9: "running"}


def score(weight: float) -> float:
    """The planted score: best at 1e-2."""
    return 19.6 - (np.log10(weight) + 2) ** 2


def trials(variant: str = "proposed", count: int = 10) -> pd.DataFrame:
    """A made-up search, its first trial the study's own setting."""
    random = np.random.default_rng(1)
    rows = []
    for number in range(count):
        weight = 1e-3 if number == 0 else float(10 ** random.uniform(-5, -1))
        state = STATES.get(number, "completed")
        settings = {
            "weights.local": weight,
            "loss.critic_steps": number % 5 + 1,
            "loss.norm": ["none", "layer"][number % 2],
        }
        rows.append(
            {
                "variant": variant,
                "number": number,
                "state": state,
                "value": score(weight) if state in ("completed", "pruned") else np.nan,
                "seeds": 2,
                "seconds": 10.0,
                "settings": json.dumps(settings),
                "usual": number == 0,
                "steps": 40 if state == "pruned" else 140,
                "record": str(number),
                "why": "its process was killed" if state == "failed" else "",
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS["trials"]))


@pytest.fixture
def searched(study_of: Callable[..., Frames]) -> Frames:
    """A study with a search, and with the tuned variant in it: 0.5 dB better in each image."""
    facts = {"of": 12, "sampler": "tpe", "pruner": "median", "space": SPACE, "importance": {"weights.local": 0.9}}
    frames = study_of([0, 1, 2], searches={"proposed": facts})
    return replace(frames, trials=trials())


def tuned(frames: Frames, gain: float = 0.5) -> Frames:
    """The same where the tuned variant ran beside its own."""

    def as_tuned(table: pd.DataFrame) -> pd.DataFrame:
        own = table[table["variant"] == "proposed"]
        return own.assign(variant="proposed_tuned", run=own["run"].str.replace("proposed", "proposed_tuned"))

    scores = as_tuned(frames.scores)
    hole = (scores["metric"] == "psnr") & (scores["region"] == "hole")
    scores.loc[hole, "value"] += gain
    runs = pd.concat([frames.runs, as_tuned(frames.runs)], ignore_index=True)
    return replace(frames, runs=runs, scores=pd.concat([frames.scores, scores], ignore_index=True))


def test_a_study_without_a_search_says_so(frames: Frames) -> None:
    assert search(frames).blocks == [Note(tables.NO_SEARCH, "nothing")]
    with pytest.raises(NoDataError, match="No method was tuned"):
        tables.search_table(frames)


def test_trials_are_counted_and_the_own_setting_is_known(searched: Frames) -> None:
    (row,) = tables.search_table(searched).to_dict("records")
    counted = {key: row[key] for key in ("trials", "wanted", "completed", "pruned", "diverged", "failed", "seeds")}
    assert counted == {
        "trials": 8, "wanted": 12, "completed": 6, "pruned": 1, "diverged": 1, "failed": 1, "seeds": 2,
    }  # fmt: skip
    assert row["usual"] == pytest.approx(score(1e-3))
    done = searched.trials[searched.trials["state"] == "completed"]
    assert row["best"] == done["value"].max() and row["gain"] == row["best"] - row["usual"]
    assert row["number"] == done.loc[done["value"].idxmax(), "number"]


def test_the_best_stands_first_and_what_ended_otherwise_last(searched: Frames) -> None:
    table = tables.trials_table(searched, "proposed")
    assert table["best"].tolist() == [True] + [False] * 9
    assert table["value"].iloc[0] == table.loc[table["state"] == "completed", "value"].max()
    assert table["state"].tolist() == ["completed"] * 6 + ["pruned", "diverged", "running", "failed"]
    assert tables.options(searched, "proposed") == ["weights.local", "loss.critic_steps", "loss.norm"]
    with pytest.raises(NoDataError, match="GLCIC was not tuned"):
        tables.trials_table(searched, "glcic")


def test_what_tuning_bought_is_told_by_runs_and_never_by_the_search(searched: Frames) -> None:
    with pytest.raises(NoDataError, match="a search's own score is no result"):
        tables.bought_table(searched, "faces")
    (row,) = tables.bought_table(tuned(searched), "faces").to_dict("records")
    assert row["difference"] == pytest.approx(0.5) == pytest.approx(row["tuned"] - row["untuned"])
    assert row["low"] <= row["difference"] <= row["high"] and row["paired"]
    assert (row["seeds_untuned"], row["seeds_tuned"], row["outcome"]) == (3, 3, "supported")
    same = replace(searched, study={**searched.study, "aliases": {"proposed_tuned": "proposed"}})
    with pytest.raises(NoDataError, match="the best setting of Proposed is the study's own"):
        tables.bought_table(same, "faces")


def test_the_section_shows_it_all(searched: Frames) -> None:
    told = document(tuned(searched))
    section = next(section for section in told.sections if section.id == "search")
    names = [block.name for block in section.blocks if isinstance(block, TableView | FigureView)]
    assert names == [
        "searches", "tuned-faces", "search-proposed", "slices-proposed", "options-proposed", "importance-proposed",
        "trials-proposed",
    ]  # fmt: skip
    texts = " ".join(block.text for block in section.blocks if isinstance(block, Note))
    assert "8 trials of 2 seeds each (6 completed, 1 pruned, 1 diverged), 1 failed and not counted" in texts
    assert "4 are still to run" in texts and "The best is trial" in texts


def test_options_say_which_way_the_score_goes(searched: Frames) -> None:
    table = tables.option_table(searched, "proposed").set_index("option")
    done = tables.trials_table(searched, "proposed").query("state == 'completed'")
    weight = table.loc["weights.local"]
    assert weight["correlation"] == pytest.approx(done["weights.local"].corr(done["value"], method="spearman"))
    assert (weight["low"], weight["high"], weight["own"]) == (1e-5, 0.1, 1e-3)
    assert weight["best"] == done["weights.local"].iloc[0] and weight["trials"] == 6
    assert np.isnan(table.loc["loss.norm", "correlation"]) and table.loc["loss.norm", "own"] == "none"


@pytest.mark.parametrize("draw", [figures.history, figures.slices, figures.importances])
def test_figures_are_drawn_without_change(searched: Frames, draw: Callable[..., Any]) -> None:
    before = searched.trials.copy()
    assert style.svg(draw(searched, "proposed")) == style.svg(draw(searched, "proposed"))
    pd.testing.assert_frame_equal(before, searched.trials)


def test_slices_have_a_panel_an_option_and_every_trial_that_ended(searched: Frames) -> None:
    drawn = figures.slices(searched, "proposed")
    assert [axes.get_title(loc="left") for axes in drawn.axes] == ["weights.local", "loss.critic_steps", "loss.norm"]
    for axes in drawn.axes:
        assert sum(len(marks.get_offsets()) for marks in axes.collections) == 8
    labels = [text.get_text() for text in drawn.legends[0].get_texts()]
    assert labels == ["completed", "the study's own setting", "the best", "pruned, when it was", "diverged, no score"]


def test_little_is_no_fault(searched: Frames) -> None:
    alone = replace(searched, trials=trials(count=1))
    assert any(isinstance(block, FigureView) for block in search(alone).blocks)
    lost = replace(searched, trials=trials().query("state == 'diverged'"))
    with pytest.raises(NoDataError, match="No trial was scored"):
        figures.history(lost, "proposed")
    assert search(lost).blocks
    unknown = replace(searched, study={**searched.study, "searches": None})
    with pytest.raises(NoDataError, match="too few trials"):
        figures.importances(unknown, "proposed")
    assert search(unknown).blocks
