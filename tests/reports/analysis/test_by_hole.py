"""Scores by the size of the hole: bins, means that can be checked by hand, and nothing where all are alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from reports.analysis import tables
from reports.analysis.frames import Frames, NoDataError
from reports.document import FigureView, TableView
from reports.figures import by_hole
from reports.sections import results


def with_shares(frames: Frames, share: Callable[[int], float]) -> Frames:
    numbers = frames.scores["image"].astype(str).str[-2:].astype(int)
    return replace(frames, scores=frames.scores.assign(hole_share=numbers.map(share)))


def test_a_bin_holds_its_first_share_and_not_its_second(frames: Frames) -> None:
    shares = [0.0, 0.05, 0.1, 0.3, 0.6, 0.7, 0.9999, 1.0, 0.29999, 0.2, 0.15, 0.59]
    table = tables.by_hole_table(with_shares(frames, shares.__getitem__), "faces")
    counts = table[table["variant"] == "proposed"].set_index("bin")["images"].to_dict()
    wanted = {"0-10%": 2, "10-20%": 2, "20-30%": 2, "30-40%": 1, "50-60%": 1, "60-70%": 1, "70-80%": 1, "90-100%": 2}
    assert counts == wanted


def test_means_are_those_of_the_images_in_the_bin(frames: Frames) -> None:
    sized = with_shares(frames, lambda number: 0.15 if number < 6 else 0.35)
    table = tables.by_hole_table(sized, "faces")
    psnr = frames.select("psnr", "hole", "composite", "faces")
    own = psnr[psnr["variant"] == "proposed"]
    small = own["image"].astype(str).str[-2:].astype(int) < 6
    means = table[table["variant"] == "proposed"].set_index("bin")["mean"]
    assert means["10-20%"] == pytest.approx(own[small]["value"].mean())
    assert means["30-40%"] == pytest.approx(own[~small]["value"].mean())
    assert (table["low"].isna() | (table["low"] <= table["mean"])).all()
    assert not any("=" in variant for variant in table["variant"])  # no cell of an ablation


@pytest.mark.parametrize("share", [lambda _: 0.25, lambda number: 0.21 + number / 200, lambda _: np.nan])
def test_holes_of_one_size_have_no_table(frames: Frames, share: Callable[[int], float]) -> None:
    alike = with_shares(frames, share)
    with pytest.raises(NoDataError, match="of one size, or their sizes are not known"):
        tables.by_hole_table(alike, "faces")
    assert not any(getattr(block, "name", "").startswith("by-hole") for block in results.results(alike).blocks)


def test_the_report_has_a_figure_and_tables_where_holes_differ(frames: Frames) -> None:
    sized = with_shares(frames, lambda number: number / 20)
    blocks = [block for block in results.results(sized).blocks if getattr(block, "name", "").startswith("by-hole")]
    assert [type(block) for block in blocks] == [FigureView, TableView, TableView, TableView]
    (table,) = (block for block in blocks if isinstance(block, TableView) and "psnr-hole" in block.name)
    assert table.headings == ["Method", *(f"{n}0-{n + 1}0%".replace("00-", "0-", 1) + " (n = 2)" for n in range(6))]
    assert "The holes are 0% to 55% of an image" in table.caption


def test_the_figure_has_a_line_a_method(frames: Frames) -> None:
    sized = with_shares(frames, lambda number: number / 20)
    table = tables.by_hole_table(sized, "faces")
    axes = by_hole(sized, "faces").axes[0]
    assert len(axes.lines) == table["variant"].nunique()
    own = table[table["variant"] == table["variant"].iloc[0]]
    assert np.asarray(axes.lines[0].get_ydata()) == pytest.approx(own["mean"].to_numpy())
