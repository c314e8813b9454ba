"""The figures of results: marks are the tables' numbers, words can be read, and what is empty says why."""

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from functools import partial
from itertools import combinations, pairwise
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.text import Text

from reports.analysis import tables
from reports.analysis.frames import Frames, NoDataError
from reports.analysis.statistics import mean_interval
from reports.figures import style
from reports.figures.ablation import ablation, ablation_parts, ablations
from reports.figures.contrasts import forest_of_contrasts
from reports.figures.curves import MOST, OTHERS, THIN, recorded, thinned, training_curves
from reports.figures.mechanism import mechanism, sharpness
from reports.figures.repairs import repairs, worst
from reports.figures.specification import specification
from reports.figures.style import WIDTH, axis_label, wrapped
from tests.reports.analysis.test_multiverse import make_multiverse

LONG = "proposed:multiscale=0,total_weight=0.004,head={kind: <b>linear</b>},$x_1$"
CRITICS = ("local", "global", "half", "quarter")
LOSS = {"proposed": "wgan", "single": "wgan", "giica": "wgan_gp", "glcic": "js", "ce": "js"}


def with_mechanism(frames: Frames) -> Frames:
    """The made-up study with sharpness, losses, every critic of the reference, and its worst repairs."""
    random = np.random.default_rng(7)
    psnr = frames.scores[(frames.scores["metric"] == "psnr") & (frames.scores["region"] == "hole")]
    sharp = psnr.assign(metric="sharpness", value=0.04 * psnr["value"])
    blended = psnr.assign(output="blended", value=psnr["value"] + 0.5)
    run = frames.runs[(frames.runs["variant"] == frames.study["reference"]) & (frames.runs["status"] == "completed")]
    rows = []
    for row in run.to_dict("records"):
        shared = {key: row[key] for key in ("run", "variant", "data", "seed")} | {"stage": "joint"}
        for critic in CRITICS:
            for step in range(25, 325, 25):
                for term, value in (("gap", random.normal(0.3, 0.1)), ("at_bound", random.uniform(0.1, 0.4))):
                    rows.append({**shared, "network": critic, "term": term, "step": step, "value": value})
    first = frames.pictures["seed"] == 0
    bad = frames.pictures[first & (frames.pictures["variant"] == frames.study["reference"])]
    bad = pd.concat([bad, bad[bad["output"] == "composite"].assign(output="blended")])
    pictures = [frames.pictures, frames.pictures[frames.pictures["output"] == "composite"].assign(output="blended")]
    return replace(
        frames,
        study={
            **frames.study,
            "configs": {v: {"method": v, "options": {"loss": {"kind": kind}}} for v, kind in LOSS.items()},
        },
        scores=pd.concat([frames.scores, sharp, blended]),
        curves=pd.concat([frames.curves[frames.curves["network"] != "local"], pd.DataFrame(rows), _locals(frames)]),
        pictures=pd.concat(pictures),
        worst=bad,
    )


def _locals(frames: Frames) -> pd.DataFrame:
    """What the fixture has of local critics, less that of the reference's joint gap, which is ours."""
    own = frames.curves[frames.curves["network"] == "local"]
    ours = (own["variant"] == frames.study["reference"]) & (own["stage"] == "joint") & (own["term"] == "gap")
    return own[~ours]


def renamed(frames: Frames) -> Frames:
    """The same study whose variants, data and images have long names with markup, a dollar and no place to break."""
    names = {
        "proposed": LONG,
        "multiscale=3,loss=js": f"other_{LONG}",
        "reconstruction_only": "without_any_critic_at_all_<i>of_the_paper</i>_or_of_others",
    }
    tables_of = ("runs", "scores", "curves", "factors", "pictures", "worst", "readings")
    changed: dict[str, pd.DataFrame] = {}
    for name in tables_of:
        table = getattr(frames, name)
        table = table.assign(variant=table["variant"].replace(names))
        if "image" in table:
            table = table.assign(image="n01440764_" + table["image"].astype(str) + "_of_a_long_folder.JPEG")
        changed[name] = table
    configs = {names.get(v, v): told for v, told in (frames.study["configs"] or {}).items()}
    facts = {"reference": LONG, "control": names["reconstruction_only"], "configs": configs}
    return replace(frames, study={**frames.study, **facts}, **changed)


def other_ablations(frames: Frames) -> Frames:
    """A study with ablations of a single factor, of three, and of eight cells."""
    reference = frames.study["reference"]
    rows = [
        ("dilation", reference, "dilated", "true"),
        ("dilation", "multiscale=0,loss=js", "dilated", "false"),
        ("three", reference, "a", '{"kind": "wgan", "clip": 0.01}'),
        ("three", reference, "b", "true"),
        ("three", reference, "a.very.long.key", "short"),
        ("three", "multiscale=1,loss=js", "a", '{"kind": "js"}'),
        ("three", "multiscale=1,loss=js", "b", "false"),
        ("three", "multiscale=1,loss=js", "a.very.long.key", "a level of more than forty characters, of words"),
    ]
    eight = [
        reference,
        *(f"multiscale={n},loss=js" for n in range(3)),
        *(f"multiscale={n},loss=wgan" for n in (0, 1, 3)),
    ]
    for place, variant in enumerate([*eight, "glcic"]):
        levels = {
            "leave_out": "local" if place % 2 else "none",
            "training.mask.kind": f"a {place // 2 % 2}",
            "downsample": f"avgpool{place // 4}",
        }
        rows += [("eight", variant, factor, level) for factor, level in levels.items()]
    return replace(frames, factors=pd.DataFrame(rows, columns=["ablation", "variant", "factor", "level"]))


ALL: dict[str, Callable[[Frames], Figure]] = {
    "ablation": lambda frames: ablation(frames, data="faces"),
    "ablation, seam": lambda frames: ablation(frames, data="faces", metric="seam", region="boundary"),
    "ablation, one factor": lambda frames: ablation(other_ablations(frames), "dilation", data="faces"),
    "ablation, three factors": lambda frames: ablation(other_ablations(frames), "three", data="faces"),
    "ablations": lambda frames: ablations(frames, "faces"),
    "ablations, several": lambda frames: ablations(other_ablations(frames), "faces"),
    "ablation, eight cells": lambda frames: ablation(other_ablations(frames), "eight", data="faces"),
    "contrasts": lambda frames: forest_of_contrasts(frames, "faces"),
    "curves": lambda frames: training_curves(frames, data="faces"),
    "mechanism": lambda frames: mechanism(frames, "faces"),
    "sharpness": lambda frames: sharpness(frames, "faces"),
    "repairs": lambda frames: repairs(frames, data="faces"),
    "repairs, blended": lambda frames: repairs(frames, data="faces", output="blended"),
    "worst": lambda frames: worst(frames, data="faces"),
}


@pytest.fixture(scope="session")
def full(frames: Frames) -> Frames:
    return with_mechanism(frames)


def texts(drawn: Figure) -> Iterator[tuple[str, Any]]:
    """Every text that shows, with its box in pixels."""
    with style.styled():
        drawn.draw_without_rendering()
        renderer = FigureCanvasAgg(drawn).get_renderer()
    found: list[Text] = [*drawn.texts, *(text for legend in drawn.legends for text in legend.get_texts())]
    for axes in drawn.axes:
        found += [*axes.texts, axes.title, axes._left_title, axes._right_title]
        for axis in (axes.xaxis, axes.yaxis):
            found += [axis.label, axis.offsetText]
            found += [label for tick in axis._update_ticks() for label in (tick.label1, tick.label2)]
    for text in found:
        if text.get_visible() and text.get_text().strip():
            yield text.get_text(), text.get_window_extent(renderer)


@pytest.mark.parametrize("change", [lambda frames: frames, renamed], ids=["short names", "long names"])
@pytest.mark.parametrize("name", ALL)
def test_words_are_apart_and_within_the_figure(name: str, change: Callable[[Frames], Frames], full: Frames) -> None:
    drawn = ALL[name](change(full))
    assert drawn.get_figwidth() <= WIDTH + 1e-9
    found = list(texts(drawn))
    assert found
    edge = drawn.bbox
    for told, box in found:
        assert edge.x0 - 1 <= box.x0 and box.x1 <= edge.x1 + 1 and edge.y0 - 1 <= box.y0 and box.y1 <= edge.y1 + 1, told
    for (one, a), (other, b) in combinations(found, 2):
        across, up = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert min(across, up) <= 1, (one, other)


@pytest.mark.parametrize("name", [*ALL, "specification"])
def test_a_figure_is_pure_and_repeatable(name: str, full: Frames, as_categories: Callable[[Frames], Frames]) -> None:
    """The same frame gives the same bytes, of text or of categories, and nothing outside is touched."""
    frames = make_multiverse() if name == "specification" else full
    draw = ALL.get(name, lambda frames: specification(frames, data="faces"))
    settings = dict(matplotlib.rcParams)
    before = {f.name: getattr(frames, f.name).copy() for f in fields(frames)[1:]}
    first, second, other = (style.inline(style.svg(draw(of)), "x") for of in (frames, frames, as_categories(frames)))
    assert first == second
    assert dict(matplotlib.rcParams) == settings
    for table, values in before.items():
        pd.testing.assert_frame_equal(getattr(frames, table), values)
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
    # of categories, sums in another order differ in the last digit, and with it the names of clip paths
    text, categories = (re.split(r"(\d+\.\d+)", re.sub("x-p[0-9a-f]+", "x-p", drawn)) for drawn in (first, other))
    assert text[::2] == categories[::2]
    assert [float(each) for each in text[1::2]] == pytest.approx([float(each) for each in categories[1::2]], abs=1e-4)


@pytest.mark.parametrize(
    "make",
    [
        *(partial(draw, data="faces") for draw in (ablation, training_curves, repairs, worst, specification)),
        lambda frames: ablations(frames, "faces"),
        lambda frames: forest_of_contrasts(frames, "faces"),
        lambda frames: mechanism(frames, "faces"),
        lambda frames: sharpness(frames, "faces"),
        lambda frames: repairs(frames, data="faces", output="raw"),
    ],
)
def test_a_figure_says_why_it_is_empty(make: Callable[[Frames], Figure], frames: Frames) -> None:
    with pytest.raises(NoDataError, match=r"^(No|The study) .*\.$"):
        make(Frames(study=frames.study))


def test_what_was_not_scored_is_said(frames: Frames) -> None:
    unscored = replace(frames, scores=frames.scores.iloc[:0])
    for make in (lambda: ablations(unscored, "faces"), lambda: forest_of_contrasts(unscored, "faces")):
        with pytest.raises(NoDataError, match=r"^No .* scored .*faces\.$"):
            make()
    with pytest.raises(NoDataError, match="No blended image of faces is stored"):
        repairs(frames, data="faces", output="blended")
    with pytest.raises(ValueError, match="output: 'mended' is unknown; choose composite, raw, blended"):
        repairs(frames, data="faces", output="mended")


def _differences(axes: Axes) -> dict[float, tuple[float, float, float]]:
    """Row's place from the top down -> low, middle, high of each interval that is drawn."""
    found = {}
    for bar in axes.containers:
        line, _, bars = bar.lines
        (ends,) = bars[0].get_segments()
        found[round(float(line.get_ydata()[0]), 6)] = (ends[0][0], float(line.get_xdata()[0]), ends[1][0])
    return dict(sorted(found.items()))


def test_the_forest_of_ablations_holds_the_tables_differences(frames: Frames) -> None:
    plot, words, ns = ablations(frames, "faces").axes
    table = tables.ablation_table(frames, "critics_and_loss", "faces")
    bounded = table[table["difference_low"].notna()]
    drawn = list(_differences(plot).values())
    expected = bounded[["difference_low", "difference", "difference_high"]].to_numpy()
    assert np.asarray(drawn) == pytest.approx(expected)
    assert len(words.texts) == len(ns.texts) == len(table) == 8
    reference = table["variant"].tolist().index("proposed")
    assert words.texts[reference].get_text() == "the reference"
    assert ns.texts[table["variant"].tolist().index("multiscale=0,loss=js")].get_text().endswith("1\ndiverged")
    band = [patch for patch in plot.patches if patch.get_width() == pytest.approx(0.32)]
    assert len(band) == 1
    heading, *names = [(tick.get_text(), tick.get_fontweight()) for tick in plot.get_yticklabels()]
    assert heading == ("critics and loss", "bold") and {weight for _, weight in names} == {"normal"}


def test_each_seed_of_an_ablation_is_a_stroke(frames: Frames) -> None:
    plot, *_ = ablations(frames, "faces").axes
    strokes = [c.get_offsets() for c in plot.collections if isinstance(c, PathCollection)]
    assert sorted(map(len, strokes)) == [2, *[3] * 6]  # one seed diverged
    table = tables.ablation_table(frames, "critics_and_loss", "faces").set_index("variant")
    first = np.subtract(table["by_seed"]["multiscale=0,loss=wgan"], table["by_seed"]["proposed"])
    assert np.asarray(strokes[0])[:, 0] == pytest.approx(first)


def test_a_cell_beside_no_reference_has_its_mean(frames: Frames) -> None:
    apart = frames.factors[frames.factors["variant"] != "proposed"]
    plot, words, ns = ablations(replace(frames, factors=apart), "faces").axes
    means = tables.ablation_table(replace(frames, factors=apart), "critics_and_loss", "faces")["mean"]
    assert [text.get_text() for text in words.texts] == [f"mean {mean:.2f}" for mean in means]
    assert not plot.containers and not any("paired" in text.get_text() for text in ns.texts)


def test_ablations_that_are_higher_than_a_page_have_parts(frames: Frames) -> None:
    many = pd.concat([frames.factors.assign(ablation=f"number_{place}") for place in range(5)])
    grown = replace(frames, factors=many)
    assert ablation_parts(frames, "faces") == 1 and ablation_parts(grown, "faces") == 2
    first, second = (ablations(grown, "faces", part) for part in range(2))
    ticks = [[tick.get_text() for tick in drawn.axes[0].get_yticklabels()] for drawn in (first, second)]
    assert sum("number" in name for name in ticks[0] + ticks[1]) in (5, 6)
    assert sum("number" not in name for name in ticks[0] + ticks[1]) == 5 * 8
    assert max(drawn.get_figheight() for drawn in (first, second)) < 8.3  # inches of a page


def test_one_seed_has_a_difference_and_no_interval(study_of: Callable[..., Frames]) -> None:
    plot, words, _ = ablations(study_of([0]), "faces").axes
    assert not plot.containers
    assert sum(text.get_text().endswith("(no interval)") for text in words.texts) == 7


def test_contrasts_hold_the_tables_and_the_papers_differences(frames: Frames) -> None:
    plot = forest_of_contrasts(frames, "faces").axes[0]
    table = tables.contrast_table(frames, "faces", of=(("psnr", "hole"),))
    assert np.asarray(list(_differences(plot).values())) == pytest.approx(
        table[["low", "difference", "high"]].to_numpy()
    )
    rings = [float(line.get_xdata()[0]) for line in plot.lines if line.get_markerfacecolor() == "none"]
    assert rings == pytest.approx(table["published"].dropna().tolist())
    assert rings == pytest.approx([0.16, 1.0, 0.84])


def test_an_ablation_joins_means_and_seeds(frames: Frames) -> None:
    dots, lines = ablation(frames, data="faces").axes
    table = tables.ablation_table(frames, "critics_and_loss", "faces")
    thick = [line for line in lines.lines if line.get_marker() == "D"]
    for line, loss in zip(thick, ("wgan", "js"), strict=True):
        assert np.asarray(line.get_ydata()) == pytest.approx(table.loc[table["loss"] == loss, "mean"].to_numpy())
    thin = [line for line in lines.lines if line.get_marker() != "D"]
    assert len(thin) == 2 * 3
    lost = [line for line in thin if np.isnan(np.asarray(line.get_ydata(), dtype=float)).any()]
    assert len(lost) == 1  # seed 2 of the variant of which it diverged
    first = table.loc[table["variant"] == "multiscale=0", "by_seed"]
    assert first.empty or len(first.iloc[0]) == 3
    seeds = mean_interval(frames.runs, frames.scores, "multiscale=0,loss=wgan", data="faces").by_seed
    assert [float(line.get_ydata()[0]) for line in thin[:3]] == pytest.approx(list(seeds.values()))
    assert dots.get_ylabel() == "PSNR of the hole (dB) ↑ more is better"


def test_curves_have_a_panel_for_each_kind_of_loss(full: Frames) -> None:
    titles = [axes.get_title(loc="left") for axes in training_curves(full, data="faces").axes]
    gaps = [title.split("\n")[1] for title in titles if "gap" in title]
    assert gaps == [
        "critic stage, WGAN scores", "critic stage, JS scores", "critic stage",
        "joint stage, WGAN scores", "joint stage, JS scores", "joint stage",
    ]  # fmt: skip
    plain = training_curves(replace(full, study={**full.study, "configs": None}), data="faces").axes
    assert sum("gap" in axes.get_title(loc="left") for axes in plain) == 2


def test_thinning_keeps_the_extremes_and_the_mean() -> None:
    random = np.random.default_rng(3)
    steps = np.arange(10, 30_010, 10)
    each = pd.DataFrame({"step": np.tile(steps, 4), "value": random.normal(size=4 * len(steps))})
    thin = thinned(each)
    assert len(thin) == MOST <= 300
    assert thin["min"].min() == each["value"].min() and thin["max"].max() == each["value"].max()
    assert thin["mean"].mean() == pytest.approx(each["value"].mean())
    assert (thin["min"] <= thin["mean"]).all() and (thin["mean"] <= thin["max"]).all()
    assert thin.index.is_monotonic_increasing and steps[0] <= thin.index[0] and thin.index[-1] <= steps[-1]
    few = thinned(each[each["step"] <= 100])
    assert few.index.tolist() == list(range(10, 110, 10))
    assert few["mean"].tolist() == pytest.approx(each[each["step"] <= 100].groupby("step")["value"].mean().tolist())


def test_lines_are_thinned(full: Frames) -> None:
    curves = full.curves[full.curves["variant"] == "proposed"]
    long = pd.concat([curves.assign(step=curves["step"] + 7 * shift) for shift in range(300)])
    for axes in training_curves(replace(full, curves=long), data="faces").axes:
        assert all(len(line.get_xdata()) <= MOST for line in axes.lines)


def test_mechanism_shows_each_critic_of_the_reference(full: Frames) -> None:
    ratio, *panels = mechanism(full, "faces").axes
    assert [axes.get_title(loc="left") for axes in panels[:4]] == [f"Proposed\n{critic} critic" for critic in CRITICS]
    assert len(panels) == 2 * 4 and ratio.get_yscale() == "log"
    assert any(np.asarray(line.get_ydata()) == pytest.approx(1.0) for line in ratio.lines)
    own = recorded(full, "faces", ["gap"], "joint").query("variant == 'proposed' and network == 'half'")
    thick = next(line for line in panels[2].lines if line.get_linewidth() == 1.5)
    assert np.asarray(thick.get_ydata()) == pytest.approx(own.groupby("step")["value"].mean().to_numpy())
    assert sum(line.get_linewidth() == 0.5 and len(line.get_xdata()) > 2 for line in panels[2].lines) == 3


def test_mute_critics_can_be_drawn(full: Frames) -> None:
    """A gradient of zero has no place on a logarithmic axis: the line falls below its foot."""
    ratios = full.curves["term"] == "ratio"
    for some in (full.curves["step"] > 100, full.curves["step"] >= 0):
        mute = full.curves.assign(value=full.curves["value"].where(~(ratios & some), 0.0))
        drawn = mechanism(replace(full, curves=mute), "faces")
        assert np.isfinite(drawn.axes[0].get_ylim()).all()
        style.inline(style.svg(drawn), "x")


def test_a_reference_without_critics_leaves_the_ratio(full: Frames) -> None:
    alone = full.curves[(full.curves["term"] == "ratio") & (full.curves["variant"] != "proposed")]
    assert len(mechanism(replace(full, curves=alone), "faces").axes) == 1
    unclipped = full.curves[full.curves["term"] != "at_bound"]
    assert len(mechanism(replace(full, curves=unclipped), "faces").axes) == 1 + 4


def test_sharpness_has_every_seed_and_the_truth(full: Frames) -> None:
    sharp, seam = sharpness(full, "faces").axes
    dots = np.concatenate([np.asarray(c.get_offsets()) for c in sharp.collections if isinstance(c, PathCollection)])
    shown = ("ce", "glcic", "proposed", "reconstruction_only", "single", "mean", "biharmonic")
    assert len(dots) == 7 * 3 - 1  # a run of the single critic failed
    expected = []
    for variant in shown:
        values = [
            mean_interval(full.runs, full.scores, variant, metric=metric, data="faces").by_seed.values()
            for metric in ("psnr", "sharpness")
        ]
        expected += list(zip(*values, strict=True))
    assert np.asarray(sorted(map(tuple, dots))) == pytest.approx(np.asarray(sorted(expected)))
    means = {float(line.get_xdata()[0]) for line in sharp.lines if line.get_marker() not in ("None", "")}
    table = tables.results_table(full, metric="psnr", data="faces").set_index("variant")["hole"]
    assert sorted(means) == pytest.approx(sorted(table[list(shown)].tolist()))
    assert any(list(line.get_ydata()) == [1, 1] for line in sharp.lines)
    assert seam.get_title(loc="left").endswith("↓ less is better") and seam.get_ylim()[0] < 0
    assert len(sharpness(replace(full, scores=full.scores[full.scores["metric"] != "seam"]), "faces").axes) == 1


def test_the_worst_are_shown_with_their_psnr(full: Frames) -> None:
    axes = worst(full, data="faces", limit=2).axes[0]
    assert len(axes.images) == 2 * 4
    notes = [text.get_text() for text in axes.texts]
    own = full.scores.query(
        "run == 'proposed/faces/0' and region == 'hole' and metric == 'psnr' and image == 'face-00'"
    )
    composite, blended = (own.loc[own["output"] == output, "value"].iloc[0] for output in ("composite", "blended"))
    assert notes[:2] == [f"{composite:.2f} dB", f"{blended:.2f} dB"] and len(notes) == 4
    assert [label.get_text() for label in axes.get_yticklabels()] == ["face-00", "face-01"]


@pytest.mark.parametrize(
    ("metric", "region", "of", "told"),
    [
        ("psnr", "hole", "", "PSNR of the hole (dB) ↑ more is better"),
        ("ssim", "whole", "Difference in ", "Difference in SSIM of the whole image ↑ more is better"),
        ("seam", "boundary", "", "Seam error at the hole's boundary ↓ less is better"),
        ("sharpness", "hole", "", "Sharpness of the hole (1 = the truth's)"),
        ("sharpness", "hole", "Difference in ", "Difference in sharpness of the hole ↑ more is sharper"),
    ],
)
def test_a_metric_says_its_direction(metric: str, region: str, of: str, told: str) -> None:
    assert axis_label(metric, region, of=of) == told


def test_long_names_are_broken_and_cut() -> None:
    assert wrapped("proposed") == "proposed"
    assert wrapped("proposed:multiscale=0,total_weight=0.004", 22) == "proposed:multiscale=0,\ntotal_weight=0.004"
    assert wrapped("x" * 50, 10) == "x" * 10 + "\n" + "x" * 9 + "…"
    assert max(map(len, wrapped(LONG, 20, 3).split("\n"))) <= 20
    assert wrapped("proposed:multiscale=0", 12, 1) == "proposed:mu…"
    assert wrapped("") == ""


def test_a_diverged_run_ends_in_a_cross(full: Frames) -> None:
    lost = "multiscale=0,loss=js"
    first = training_curves(full, data="faces", variants=[lost]).axes[0]
    (cross,) = [line for line in first.lines if line.get_marker() == "x"]
    run = full.curves.query("run == @lost + '/faces/2' and stage == 'pretrain' and term == 'reconstruction'")
    end = run.loc[run["step"].idxmax()]
    assert (cross.get_xdata()[0], cross.get_ydata()[0]) == (end["step"], pytest.approx(end["value"]))


def test_every_seed_is_a_dot_and_a_lost_one_a_cross(frames: Frames) -> None:
    means, joined = ablation(frames, data="faces").axes
    dots = sum(len(drawn.get_offsets()) for drawn in means.collections if isinstance(drawn, PathCollection))
    crosses = sum(len(line.get_xdata()) for line in means.lines if line.get_marker() == "x")
    lines = sum(line.get_marker() == "D" for line in joined.lines)
    assert (dots, crosses, len(means.containers), lines) == (8 * 3 - 1, 1, 8, 2)


def test_a_seed_in_training_is_a_thin_line_beside_the_band_of_the_others(
    frames: Frames, as_categories: Callable[[Frames], Frames]
) -> None:
    last = frames.curves["run"] == "proposed/faces/2"
    some = as_categories(replace(frames, curves=frames.curves[~last]))
    some = replace(
        some, running=frames.curves[last & (frames.curves["stage"] == "pretrain")].astype({"run": "category"})
    )
    drawn = training_curves(some, data="faces", variants=["proposed", "glcic"])
    assert [text.get_text() for text in drawn.legends[0].get_texts()] == [
        *(
            text.get_text()
            for text in training_curves(frames, data="faces", variants=["proposed", "glcic"]).legends[0].get_texts()
        ),
        "Proposed (running)",
    ]
    pretrain, *others = drawn.axes
    (thin,) = [line for line in pretrain.lines if line.get_linewidth() == THIN]
    assert thin.get_color() == style.colour(frames, "proposed") and len(pretrain.collections) == 2
    assert np.asarray(thin.get_ydata()) == pytest.approx(some.running["value"].to_numpy())
    assert not [line for axes in others for line in axes.lines if line.get_linewidth() == THIN]


def test_cells_of_ablations_are_drawn_while_they_are_in_training_and_few_at_once(frames: Frames) -> None:
    cells = [variant for variant in frames.runs["variant"].unique() if "=" in variant]
    assert len(cells) > OTHERS
    for running in (cells[:1], cells):
        rows = frames.curves[frames.curves["variant"].isin(running) & (frames.curves["stage"] == "joint")]
        drawn = training_curves(replace(frames, running=rows), data="faces")
        names = [text.get_text() for text in drawn.legends[0].get_texts() if text.get_text().endswith(" (running)")]
        assert len(names) == min(len(running), OTHERS)
        bands = [len(axes.collections) for axes in drawn.axes]
        assert bands == [len(axes.collections) for axes in training_curves(frames, data="faces").axes]


def test_curves_show_mean_and_range(frames: Frames) -> None:
    drawn = training_curves(frames, data="faces", variants=["proposed"])
    panel = drawn.axes[0]
    own = frames.curves.query("variant == 'proposed' and stage == 'pretrain' and term == 'reconstruction'")
    over = own.groupby("step")["value"]
    assert np.asarray(panel.lines[0].get_ydata()) == pytest.approx(over.mean().to_numpy())
    band = panel.collections[0].get_paths()[0].vertices
    assert np.asarray(band)[:, 1].max() == pytest.approx(over.max().max())


def test_the_grid_shows_the_same_images_of_one_seed(frames: Frames) -> None:
    drawn = repairs(frames, data="faces", variants=["glcic", "proposed"], limit=2)
    shown = [picture.get_array() for picture in drawn.axes[0].images]
    assert len(shown) == 2 * 4
    pictures = frames.pictures.query("variant == 'proposed' and image == 'face-01' and output == 'composite'")
    assert np.array_equal(np.asarray(shown[-1]), pictures["pixels"].iloc[0])
    gap = replace(frames, pictures=frames.pictures[frames.pictures["run"] != "glcic/faces/0"])
    texts = [text.get_text() for text in repairs(gap, data="faces", variants=["glcic", "ce"]).axes[0].texts]
    assert texts == ["no picture"] * 4


def test_looks_are_one_a_method(frames: Frames) -> None:
    renamed = replace(frames, study={**frames.study, "reference": "mine"})
    assert style.look(renamed, "mine") == style.look(frames, "proposed") == style.LOOKS["proposed"]
    assert style.look(frames, "some variant") == style.look(renamed, "some variant")
    looks = [style.look(frames, variant) for variant in frames.runs["variant"].unique()]
    assert len(set(looks)) == len(looks)


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
    drawn = specification(make_multiverse(levels, design, has={"proposed": set(levels), "glcic": set()}), data="faces")
    with style.styled():
        drawn.draw_without_rendering()
        renderer = FigureCanvasAgg(drawn).get_renderer()
    edge = drawn.bbox
    labels = [tick.get_window_extent(renderer) for tick in drawn.axes[1].get_yticklabels()]
    for box in [drawn.get_tightbbox(renderer).transformed(drawn.dpi_scale_trans), *labels]:
        assert edge.x0 <= box.x0 and box.x1 <= edge.x1 and edge.y0 <= box.y0 and box.y1 <= edge.y1
    for upper, lower in pairwise(labels):
        assert lower.y1 <= upper.y0
