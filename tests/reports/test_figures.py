"""Figures are pure: the same frame gives the same bytes, and nothing outside is touched."""

import sys
from collections.abc import Callable
from dataclasses import fields, replace
from itertools import pairwise

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

from reports import figures
from reports.analysis.frames import Frames, NoDataError
from reports.figures import style
from tests.reports.analysis.test_multiverse import make_multiverse

ALL: dict[str, Callable[..., Figure]] = {
    "ablation": figures.ablation,
    "training_curves": figures.training_curves,
    "repairs": figures.repairs,
    "specification": figures.specification,
}


@pytest.fixture(scope="session")
def shown(frames: Frames) -> Callable[[str], Frames]:
    """What each figure has something to show of."""
    multiverse = make_multiverse()
    return lambda name: multiverse if name == "specification" else frames


@pytest.mark.parametrize("name", ALL)
def test_a_figure_is_pure_and_repeatable(name: str, shown: Callable[[str], Frames]) -> None:
    frames = shown(name)
    settings = dict(matplotlib.rcParams)
    before = {f.name: getattr(frames, f.name).copy() for f in fields(frames)[1:]}
    first, second = (style.inline(style.svg(ALL[name](frames, data="faces")), "x") for _ in range(2))
    assert first == second
    assert dict(matplotlib.rcParams) == settings
    for table, values in before.items():
        pd.testing.assert_frame_equal(getattr(frames, table), values)
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


@pytest.mark.parametrize("name", ALL)
def test_a_figure_says_why_it_is_empty(name: str, frames: Frames) -> None:
    with pytest.raises(NoDataError, match=r"^(No|The study) .*\.$"):
        ALL[name](Frames(study=frames.study), data="faces")


def test_every_seed_is_a_dot_and_a_lost_one_a_cross(frames: Frames) -> None:
    means, joined = figures.ablation(frames, data="faces").axes
    dots = sum(len(drawn.get_offsets()) for drawn in means.collections if isinstance(drawn, PathCollection))
    crosses = sum(len(line.get_xdata()) for line in means.lines if line.get_marker() == "x")
    lines = sum(line.get_marker() == "D" for line in joined.lines)
    assert (dots, crosses, len(means.containers), lines) == (8 * 3 - 1, 1, 8, 2)


def test_curves_show_mean_and_range(frames: Frames) -> None:
    drawn = figures.training_curves(frames, data="faces", variants=["proposed"])
    panel = drawn.axes[0]
    own = frames.curves.query("variant == 'proposed' and stage == 'pretrain' and term == 'reconstruction'")
    over = own.groupby("step")["value"]
    assert np.asarray(panel.lines[0].get_ydata()) == pytest.approx(over.mean().to_numpy())
    band = panel.collections[0].get_paths()[0].vertices
    assert np.asarray(band)[:, 1].max() == pytest.approx(over.max().max())


def test_the_grid_shows_the_same_images_of_one_seed(frames: Frames) -> None:
    drawn = figures.repairs(frames, data="faces", variants=["glcic", "proposed"], limit=2)
    shown = [picture.get_array() for picture in drawn.axes[0].images]
    assert len(shown) == 2 * 4
    pictures = frames.pictures.query("variant == 'proposed' and image == 'face-01' and output == 'composite'")
    assert np.array_equal(np.asarray(shown[-1]), pictures["pixels"].iloc[0])
    gap = replace(frames, pictures=frames.pictures[frames.pictures["run"] != "glcic/faces/0"])
    texts = [text.get_text() for text in figures.repairs(gap, data="faces", variants=["glcic", "ce"]).axes[0].texts]
    assert texts == ["no picture"] * 4


def test_colours_are_one_a_method(frames: Frames) -> None:
    renamed = replace(frames, study={**frames.study, "reference": "mine"})
    assert style.colour(renamed, "mine") == style.colour(frames, "proposed") == style.COLOURS["proposed"]
    assert style.colour(frames, "some variant") == style.colour(renamed, "some variant")


@pytest.mark.parametrize(
    ("levels", "design"),
    [
        ({"head": ["mean", "linear"]}, "product"),
        ({"head": ["mean", "linear", "patch"], "a.very.long.key": ["short", "a level of more than forty characters"]},
         "one_at_a_time"),
        ({f"reading{n}": ["this", "that"] for n in range(6)}, "product"),
    ],
    ids=["2", "5", "64"],
)  # fmt: skip
def test_a_specification_curve_keeps_within_its_edges(levels: dict[str, list[str]], design: str) -> None:
    drawn = figures.specification(
        make_multiverse(levels, design, has={"proposed": set(levels), "glcic": set()}), data="faces"
    )
    with style.styled():
        drawn.draw_without_rendering()
        renderer = FigureCanvasAgg(drawn).get_renderer()
    edge = drawn.bbox
    labels = [tick.get_window_extent(renderer) for tick in drawn.axes[1].get_yticklabels()]
    for box in [drawn.get_tightbbox(renderer).transformed(drawn.dpi_scale_trans), *labels]:
        assert edge.x0 <= box.x0 and box.x1 <= edge.x1 and edge.y0 <= box.y0 and box.y1 <= edge.y1
    for upper, lower in pairwise(labels):
        assert lower.y1 <= upper.y0
