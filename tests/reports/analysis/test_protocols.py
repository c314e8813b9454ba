"""What numbers on photographs say of the protocol behind the published ones."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reports.analysis.frames import COLUMNS, Frames, NoDataError
from reports.analysis.protocols import HEADROOM, OUTPUTS, protocol_summary, protocol_table, protocol_words
from reports.analysis.published import published

WHOLE = 6.02  # dB that an untouched surround adds to a quarter hole
SCORES = {  # of a folder of real faces: PSNR of the hole, SSIM of the hole, of the whole, through one window
    "proposed": (19.5, 0.62, 0.90, 0.95), "ce": (18.2, 0.55, 0.88, 0.93), "biharmonic": (17.4, 0.50, 0.87, 0.92),
    "mean": (14.0, 0.30, 0.80, 0.85),
}  # fmt: skip
FILLERS = ("mean", "biharmonic")
COPYING = ("ce", "biharmonic")
"""What leaves the surround as it is in its own output, too."""
POOR = {"psnr": 8.0, "ssim": 0.4, "ssim_global": 0.4}
"""What the others' own output lacks outside the hole."""


def make_photographs(
    scores: Mapping[str, tuple[float, ...]] = SCORES,
    *,
    outputs: tuple[str, ...] = OUTPUTS,
    entry: Mapping[str, Any] | None = None,
) -> Frames:
    """Two images and two seeds; each score is the mean of the two images'. Outside the hole raw outputs are poor."""
    entry = {"name": "portraits", "kind": "folder", "like": "CelebA", **(entry or {})}
    runs, rows = [], []
    for variant, (psnr, hole, whole, one) in scores.items():
        for seed in (0, 1):
            run = f"{variant}/{entry['name']}/{seed}"
            facts = {"run": run, "variant": variant, "data": entry["name"], "seed": seed}
            start = "" if variant in FILLERS else f"pretrain{seed}"
            runs.append({**dict.fromkeys(COLUMNS["runs"]), **facts, "status": "completed", "start": start})
            values = {
                ("psnr", "hole"): psnr, ("psnr", "whole"): psnr + WHOLE, ("ssim", "hole"): hole,
                ("ssim", "whole"): whole, ("ssim_global", "whole"): one,
            }  # fmt: skip
            for (metric, region), value in values.items():
                for output in outputs:
                    untrained = (region, output) == ("whole", "raw") and variant not in COPYING
                    poor = POOR[metric] if untrained else 0.0
                    rows += [
                        {**facts, "metric": metric, "region": region, "output": output, "image": i, "value": each}
                        for i, each in enumerate((value - poor - 0.01, value - poor + 0.01))
                    ]
    return Frames(study={"reference": "proposed", "data": [entry]}, runs=pd.DataFrame(runs), scores=pd.DataFrame(rows))


@pytest.fixture(scope="module")
def frames() -> Frames:
    return make_photographs()


def rows_of(table: pd.DataFrame, metric: str, region: str, output: str = "composite") -> pd.DataFrame:
    keep = (table["metric"] == metric) & (table["region"] == region) & (table["output"] == output)
    return table[keep].set_index("method")


def test_the_floor_is_the_best_filler_and_the_ceiling_the_best_trained(frames: Frames) -> None:
    own = rows_of(protocol_table(frames), "psnr", "hole")
    assert own["published"].to_dict() == {"ce": 18.61, "glcic": 19.45, "proposed": 19.61}
    assert set(own["filler"]) == {"biharmonic"} and set(own["best"]) == {"proposed"}
    assert own["floor"].to_list() == pytest.approx([17.4] * 3)
    assert own["ceiling"].to_list() == pytest.approx([22.5] * 3)
    assert own["measured"].to_dict() == pytest.approx({"ce": 18.2, "glcic": np.nan, "proposed": 19.5}, nan_ok=True)
    assert own["in_reach"].all() and (own["why"] == "").all()


def test_below_the_floor_a_trained_method_would_be_worse_than_a_filler(frames: Frames) -> None:
    own = rows_of(protocol_table(frames), "psnr", "whole")
    assert not own["in_reach"].any()
    assert own.loc["ce", "why"] == (
        "In PSNR on CelebA the paper's CE would have to be 4.81 dB worse than the biharmonic filler (23.42), which is "
        "not trained."
    )


def test_above_the_ceiling_it_would_have_to_beat_the_best_here(frames: Frames) -> None:
    own = rows_of(protocol_table(frames), "ssim", "hole")
    assert not own["in_reach"].any()
    assert own.loc["proposed", "why"] == (
        "In SSIM on CelebA the paper's Proposed would have to be 0.185 better than the best method here (Proposed, "
        "0.620)."
    )
    wide = protocol_table(frames, {**HEADROOM, "ssim": 0.17})
    assert rows_of(wide, "ssim", "hole")["in_reach"].to_dict() == {"ce": True, "glcic": False, "proposed": False}


def test_every_protocol_holds_every_published_figure(frames: Frames) -> None:
    table = protocol_table(frames)
    protocols = table.groupby(["metric", "region", "output"]).size()
    assert len(protocols) == 6 + 6 + 3
    assert (protocols == 3).all()


def test_of_the_whole_raw_output_those_that_copy_the_surround_stand_apart(frames: Frames) -> None:
    own = rows_of(protocol_table(frames), "psnr", "whole", "raw")
    assert own["filler"].to_dict() == {"ce": "biharmonic", "glcic": "mean", "proposed": "mean"}
    assert own["best"].to_dict() == {"ce": "ce", "glcic": "proposed", "proposed": "proposed"}
    assert own["floor"].to_list() == pytest.approx([17.4 + WHOLE, *[14.0 + WHOLE - 8] * 2])
    assert own["ceiling"].to_list() == pytest.approx([18.2 + WHOLE + 3, *[19.5 + WHOLE - 8 + 3] * 2])
    assert own["in_reach"].to_dict() == {"ce": False, "glcic": True, "proposed": True}


def test_the_summary_counts_each_metric_and_both(frames: Frames) -> None:
    summary = protocol_summary(frames).set_index(["region", "output", "window"])
    assert len(summary) == 9
    hole = summary.loc[("hole", "composite", "Gaussian window")]
    assert hole[["psnr", "psnr_of", "ssim", "ssim_of", "in_reach"]].tolist() == [3, 3, 0, 3, False]
    assert "CE, GLCIC and Proposed would have to be 0.153, 0.179 and 0.185 better" in hole["would_have_to"]
    whole = summary.loc[("whole", "composite", "one window")]
    assert whole[["psnr", "ssim"]].tolist() == [0, 0]
    assert "4.81, 3.97 and 3.81 dB worse than the biharmonic filler" in whole["would_have_to"]
    assert "In SSIM, one window on CelebA" in whole["would_have_to"]
    reached = summary["psnr"] + summary["ssim"]
    assert reached.is_monotonic_decreasing


def test_the_words_say_what_it_comes_to(frames: Frames) -> None:
    words = protocol_words(protocol_summary(frames))
    assert "All 3 published figures of PSNR are in reach under: " in words
    assert "hole, composite; hole, raw; hole, blended" in words
    assert "Under no protocol are all 3 published figures of SSIM in reach." in words
    assert "Under no protocol are all of both" in words
    assert "Not scored" not in words
    fine = {**SCORES, "proposed": (19.5, 0.80, 0.90, 0.95)}
    words = protocol_words(protocol_summary(make_photographs(fine, outputs=("composite", "raw"))))
    assert "Those of both are under: hole, composite, Gaussian window" in words
    assert words.endswith("Not scored here: blended.")


def test_the_data_set_says_what_it_is_like() -> None:
    places = protocol_table(make_photographs(entry={"like": "Places2"}))
    assert set(places["counterpart"]) == {"Places2"}
    theirs = published()[published()["data"] == "Places2"].set_index("metric")["value"]
    assert rows_of(places, "psnr", "hole")["published"].to_dict() == {"proposed": theirs["psnr"]}
    assert rows_of(places, "ssim_global", "whole")["published"].to_dict() == {"proposed": theirs["ssim"]}


def test_the_reference_is_the_paper_s_own(frames: Frames) -> None:
    named = frames.runs.assign(variant=frames.runs["variant"].replace("proposed", "mine"))
    scores = frames.scores.assign(variant=frames.scores["variant"].replace("proposed", "mine"))
    mine = replace(frames, study={**frames.study, "reference": "mine"}, runs=named, scores=scores)
    own = rows_of(protocol_table(mine), "psnr", "whole")
    assert own.loc["mine", "measured"] == pytest.approx(19.5 + WHOLE)
    assert "the paper's Proposed would have to be 3.81 dB worse" in own.loc["mine", "why"]


def test_what_did_not_complete_counts_for_nothing(frames: Frames) -> None:
    lost = frames.runs.assign(status=frames.runs["status"].mask(frames.runs["variant"] == "proposed", "diverged"))
    own = rows_of(protocol_table(replace(frames, runs=lost)), "psnr", "hole")
    assert own["ceiling"].to_list() == pytest.approx([21.2] * 3)
    unfilled = frames.runs[~frames.runs["variant"].isin(FILLERS)]
    own = rows_of(protocol_table(replace(frames, runs=unfilled)), "psnr", "whole")
    assert own["floor"].isna().all() and own["in_reach"].all()


@pytest.mark.parametrize("entry", [{"kind": "faces"}, {"kind": None}])
def test_drawn_portraits_say_nothing(entry: dict[str, Any]) -> None:
    with pytest.raises(NoDataError, match=r"^The study has no photographs, and drawn portraits say nothing .*\.$"):
        protocol_table(make_photographs(entry=entry))


def test_without_a_trained_method_there_is_nothing(frames: Frames) -> None:
    fillers = frames.runs[frames.runs["variant"].isin(FILLERS)]
    with pytest.raises(NoDataError, match=r"^No method was trained .*\.$"):
        protocol_summary(replace(frames, runs=fillers))


def test_text_may_be_categories(frames: Frames, as_categories: Callable[[Frames], Frames]) -> None:
    pd.testing.assert_frame_equal(protocol_table(as_categories(frames)), protocol_table(frames))


def test_where_no_run_was_completed_there_is_nothing() -> None:
    frames = make_photographs()
    failed = frames.runs.assign(status="failed")
    with pytest.raises(NoDataError, match=r"^No method was trained .*\.$"):
        protocol_table(replace(frames, runs=failed, scores=frames.scores.iloc[:0]))
