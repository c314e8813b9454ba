"""A contrast under every reading: the right runs, told once, and nothing dropped in silence."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest

from reports import figures
from reports.analysis.frames import COLUMNS, Frames, NoDataError
from reports.analysis.multiverse import multiverses, readings, specification_table, specification_words
from reports.analysis.statistics import compare

READINGS = {
    "head": ["mean", "linear", "patch"], "critic_input": ["composite", "raw"],
    "mask": ['{"kind": "center"}', '{"kind": "free_form"}'], "bottleneck": ["channelwise", "conv"],
}  # fmt: skip
HAS = {"proposed": {"head", "critic_input", "mask"}, "glcic": {"critic_input", "mask"}}
EFFECT = {"linear": 0.5, "patch": -0.9, "raw": 0.25, '{"kind": "free_form"}': -1.1}
"""How much better the proposed model is under a level than under the usual one, dB."""
SEEDS, IMAGES = (0, 1, 2), [f"face-{i:02d}" for i in range(10)]


def universes(levels: Mapping[str, list[str]], design: str) -> list[dict[str, str]]:
    """Each universe's levels; the first is the study's own."""
    own = {reading: given[0] for reading, given in levels.items()}
    if design == "product":
        return [dict(zip(levels, chosen, strict=True)) for chosen in product(*levels.values())]
    return [own, *({**own, reading: other} for reading, given in levels.items() for other in given[1:])]


def variant_of(base: str, own: Mapping[str, str], settings: Mapping[str, str], has: Iterable[str]) -> str:
    """What is run for a base: itself, or itself with what of the settings it has."""
    changed = [f"{name}={settings[name]}" for name in own if name in has and settings[name] != own[name]]
    return ":".join([base, ",".join(changed)]) if changed else base


def make_multiverse(
    levels: Mapping[str, list[str]] = READINGS,
    design: str = "one_at_a_time",
    *,
    has: Mapping[str, set[str]] = HAS,
    effect: Mapping[str, float] = EFFECT,
    lost: Mapping[str, str] | None = None,
    data: str = "faces",
    kind: str = "faces",
) -> Frames:
    """A multiverse of the bases in `has`. `lost`: runs that did not complete -> their status; None: not run at all."""
    random = np.random.default_rng(44)
    told = universes(levels, design)
    table, runs, scores = [], {}, []
    of_image = random.normal(0, 1.5, len(IMAGES))
    of_start = {seed: random.normal(0, 0.1) for seed in SEEDS}
    for number, settings in enumerate(told):
        for base in has:
            variant = variant_of(base, told[0], settings, has[base])
            for reading, level in settings.items():
                facts = (level == told[0][reading], reading in has[base])
                table.append(("readings", number, base, variant, reading, level, *facts))
            middle = 19.4 + (base == "proposed") * (0.3 + sum(effect.get(level, 0.0) for level in settings.values()))
            for seed in SEEDS:
                run = f"{variant}/{data}/{seed}"
                if run in runs:
                    continue
                status = (lost or {}).get(run, "completed")
                runs[run] = {
                    **dict.fromkeys(COLUMNS["runs"]), "run": run, "variant": variant, "data": data, "seed": seed,
                    "method": base, "status": status, "why": "", "start": f"pretrain {base} {seed}", "seconds": 1.0,
                    "updates": 900, "parameters": 10, "critic_parameters": 10, "record": run, "diverged_at": pd.NA,
                }  # fmt: skip
                noise = random.normal(0, 0.1, len(IMAGES)) + random.normal(0, 0.05)
                values = middle + of_image + of_start[seed] + noise
                facts = {"run": run, "variant": variant, "data": data, "seed": seed, "region": "hole"}
                if status == "completed":
                    scores += [
                        {**facts, "output": "composite", "metric": "psnr", "image": image, "value": value}
                        for image, value in zip(IMAGES, values, strict=True)
                    ]
    bases = list(has)
    return Frames(
        study={
            "reference": "proposed", "data": [{"name": data, "kind": kind}],
            "multiverses": {"readings": {"base": bases, "contrasts": [bases[:2]], "design": design}},
        },
        runs=pd.DataFrame(runs.values()),
        scores=pd.DataFrame(scores),
        universes=pd.DataFrame(table, columns=list(COLUMNS["universes"])),
    )  # fmt: skip


@pytest.fixture(scope="module")
def frames() -> Frames:
    """One at a time: seven universes, of which one changes what neither side has."""
    return make_multiverse()


def table_of(frames: Frames) -> pd.DataFrame:
    return specification_table(frames, "readings", "faces")


def test_every_universe_is_the_contrast_of_what_was_run_in_it(frames: Frames) -> None:
    table = table_of(frames).set_index("universe")
    assert table.loc[1, ["a", "b"]].tolist() == ["proposed:head=linear", "glcic"]  # GLCIC has no head
    assert table.loc[3, ["a", "b"]].tolist() == ["proposed:critic_input=raw", "glcic:critic_input=raw"]
    for row in table.to_dict("records"):
        found = compare(frames.runs, frames.scores, row["a"], row["b"], data="faces")
        assert (row["difference"], row["low"], row["high"]) == (found.difference, found.low, found.high)
        assert (row["n_seeds"], row["n_images"], row["paired"]) == (found.n_seeds, found.n_images, found.paired)
        assert row["beyond_zero"] == (found.low > 0 or found.high < 0)
    planted = table["difference"] - table.loc[0, "difference"]
    assert planted.drop(0).to_dict() == pytest.approx({1: 0.5, 2: -0.9, 3: 0.25, 4: -1.1}, abs=0.25)


def test_it_is_sorted_and_knows_the_study_s_own(frames: Frames) -> None:
    table = table_of(frames)
    assert table["difference"].is_monotonic_increasing
    assert table.loc[table["usual"], "universe"].tolist() == [0]
    assert table.set_index("universe").loc[1, ["head", "critic_input"]].tolist() == ["linear", "composite"]


def test_what_neither_side_has_is_told_once(frames: Frames) -> None:
    assert len(frames.universes["universe"].unique()) == 6
    table = table_of(frames).set_index("universe")
    assert table["merged"].to_dict() == {0: (5,), 1: (), 2: (), 3: (), 4: ()}
    assert readings(table.reset_index()) == ["head", "critic_input", "mask"]
    assert (table["bottleneck"] == "").all()
    assert "1 universe more would change only what neither side has" in specification_words(table)


def test_a_product_has_every_combination() -> None:
    levels = {"head": ["mean", "linear", "patch"], "critic_input": ["composite", "raw"]}
    table = table_of(make_multiverse(levels, "product"))
    assert len(table) == len(table[["head", "critic_input"]].drop_duplicates()) == 6
    assert table["usual"].sum() == 1


def test_bases_may_differ_in_what_is_usual(frames: Frames) -> None:
    own = (frames.universes["base"] == "glcic") & (frames.universes["reading"] == "critic_input")
    raw = frames.universes["level"] == "raw"
    unlike = frames.universes.assign(
        level=frames.universes["level"].mask(own & ~raw, "none"), usual=frames.universes["usual"] & ~(own & raw)
    )
    table = table_of(replace(frames, universes=unlike)).set_index("universe")
    assert table.loc[0, "critic_input"] == "composite / none"
    assert table.loc[3, "critic_input"] == "raw"
    assert table["usual"].to_dict() == {0: True, 1: False, 2: False, 3: False, 4: False}


def test_a_universe_without_a_result_stays_and_says_why() -> None:
    lost = {f"proposed:head=patch/faces/{seed}": "diverged" for seed in SEEDS}
    lost |= {"proposed:head=linear/faces/2": "failed"}
    frames = make_multiverse(lost=lost)
    frames = replace(frames, runs=frames.runs[~frames.runs["variant"].str.endswith("critic_input=raw")])
    table = table_of(frames)
    assert table["difference"].isna().tolist() == [False] * 3 + [True] * 2
    notes = table.set_index("universe")["note"]
    assert notes[0] == ""
    assert notes[1] == "Proposed (head linear): 1 failed of 3; fewer than 3 seeds"
    assert notes[2] == "Proposed (head patch): 3 diverged of 3"
    assert notes[3] == "Proposed (critic input raw): not run; GLCIC (critic input raw): not run"
    assert "2 universes have no result" in specification_words(table)
    unscored = specification_table(frames, "readings", "faces", output="blended")
    assert unscored["difference"].isna().all() and "not scored by both" in unscored["note"].tolist()
    assert "Of 0 universes with a result" in specification_words(unscored)


def test_the_words_count_signs_and_intervals_and_claim_nothing(frames: Frames) -> None:
    table = table_of(frames)
    words = specification_words(table)
    assert (table["difference"] > 0).sum() == 3
    assert "Of 5 universes with a result, the difference is above zero in 3 and below in 2" in words
    assert f"{table['beyond_zero'].sum()} of the intervals exclude zero" in words
    assert "2 of the other 4 agree in sign with the study's own settings" in words
    assert "tests nothing" in words
    assert "p-value" not in words and "significant" not in words


def test_what_is_not_there_is_said(frames: Frames) -> None:
    assert multiverses(frames) == {"readings": [("proposed", "glcic")]}
    assert multiverses(Frames(study={})) == {}
    for contrast, data, why in (
        (("proposed", "ce"), "faces", "does not vary ce"),
        (None, "scenes", "ran on scenes"),
    ):
        with pytest.raises(NoDataError, match=why):
            specification_table(frames, "readings", data, contrast=contrast)
    with pytest.raises(NoDataError, match="No universe of a multiverse other"):
        specification_table(frames, "other", "faces")
    with pytest.raises(NoDataError, match="no contrast"):
        specification_table(replace(frames, study={}), "readings", "faces")


@pytest.mark.parametrize(("levels", "count"), [({"head": ["mean", "linear"]}, 2), (READINGS, 24)])
def test_the_curve_has_a_dot_for_every_effect_and_level(levels: Mapping[str, list[str]], count: int) -> None:
    lost = {f"proposed:head=linear/faces/{seed}": "diverged" for seed in SEEDS}
    frames = make_multiverse(levels, "product", lost=lost)
    table = table_of(frames)
    above, below = figures.specification(frames, data="faces").axes
    marks = [line for line in above.lines if line.get_marker() in ("o", "D", "x")]
    crosses = [line for line in marks if line.get_marker() == "x"]
    assert len(marks) == len(table) == count // len(levels.get("bottleneck", [""]))
    assert len(crosses) == table["difference"].isna().sum() == 1
    assert sum(line.get_marker() == "D" for line in marks) == 1
    assert sum(len(line.get_xdata()) for line in below.lines) == len(table) * len(readings(table))
    assert 0.16 in [round(line.get_ydata()[0], 2) for line in above.lines if line.get_linestyle() == "--"]


def test_text_may_be_categories(frames: Frames, as_categories: Callable[[Frames], Frames]) -> None:
    pd.testing.assert_frame_equal(table_of(as_categories(frames)), table_of(frames))
