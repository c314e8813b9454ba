"""Colours, markers and dashes: contrast in both themes, and apart in greyscale and under any colour vision."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest
from skimage.color import rgb2lab

from reports.analysis.frames import Frames
from reports.figures import style
from reports.figures.curves import training_curves

WHITE, DARK = "#ffffff", "#16191c"
"""The page's paper in both themes."""
SEEN = {  # Machado, Oliveira and Fernandes 2009, severity 1.0: rows of the matrix for linear RGB
    "all": [1, 0, 0, 0, 1, 0, 0, 0, 1],
    "no red": [0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998],
    "no green": [0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.011820, 0.042940, 0.968881],
    "no blue": [1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.303900],
}
THEMES = {
    "light": (WHITE, style.LEVELS, style.MUTED),
    "dark": (DARK, [style.DARK[shade] for shade in style.LEVELS], style.DARK[style.MUTED]),
}


def linear(colour: str) -> npt.NDArray[np.float64]:
    """A colour "#rrggbb" as linear RGB, 0 to 1."""
    values = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """The contrast of WCAG 2: 1 to 21."""
    low, high = sorted(float(linear(colour) @ [0.2126, 0.7152, 0.0722]) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def lab(colours: Sequence[str], seen: str) -> npt.NDArray[np.float64]:
    """The colours in CIE Lab as somebody sees them, ``(n, 3)``."""
    shown = np.clip(np.stack([linear(colour) for colour in colours]) @ np.reshape(SEEN[seen], (3, 3)).T, 0, 1)
    return rgb2lab(np.where(shown <= 0.0031308, 12.92 * shown, 1.055 * shown ** (1 / 2.4) - 0.055))  # type: ignore


@pytest.mark.parametrize("theme", THEMES)
def test_marks_and_words_stand_out(theme: str) -> None:
    paper, levels, muted = THEMES[theme]
    assert min(contrast(colour, paper) for colour in levels) >= 3
    assert contrast(muted, paper) >= 4.5
    assert contrast(style.INK, WHITE) >= 4.5


@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize("theme", THEMES)
def test_colours_are_apart_however_they_are_seen(theme: str, seen: str) -> None:
    shown = lab(THEMES[theme][1], seen)
    assert min(float(np.linalg.norm(a - b)) for a, b in combinations(shown, 2)) > 20


@pytest.mark.parametrize("theme", THEMES)
def test_colours_are_apart_in_greyscale(theme: str) -> None:
    lightness = sorted(lab(THEMES[theme][1], "all")[:, 0])
    assert min(np.diff(lightness)) > 6  # a difference of 1 is just seen


def test_each_method_has_its_own_marker_and_dashes() -> None:
    looks = list(dict.fromkeys(style.LOOKS.values()))
    assert len({look.marker for look in looks}) == len(looks)
    assert len({str(look.dashes) for look in looks}) == len(looks)
    spare = {*style._MARKERS} | {str(dashes) for dashes in style._DASHES}
    assert not spare & ({look.marker for look in looks} | {str(look.dashes) for look in looks})


def test_the_marker_and_the_dashes_are_drawn(frames: Frames) -> None:
    axes = training_curves(frames, data="faces").axes[0]
    drawn = {(line.get_marker(), line.get_color()) for line in axes.lines}
    assert {(style.look(frames, name).marker, style.look(frames, name).colour) for name in ("proposed", "ce")} <= drawn


def test_colours_follow_the_page_s_theme() -> None:
    shade = style.LEVELS[0]
    with style.styled():
        fig = style.figure(2, 2)
        fig.subplots().plot([0, 1], color=shade)
    inline = style.inline(style.svg(fig), "f1")
    assert f"light-dark({shade}, {style.DARK[shade]})" in inline and style.INK not in inline
