"""Tables say what the frames say, in the order that a reader expects."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from reports import tables
from reports.frames import Frames, NoDataError
from reports.naming import group, level_label, ordered
from reports.paper import counterpart, published, published_values


def test_the_paper_s_numbers_are_the_paper_s() -> None:
    table = published()
    values = {tuple(row[:3]): row[3] for row in table[["table", "data", "variant", "value"]].itertuples(index=False)}
    assert values[6, "CelebA", "ce"] == 18.61
    assert values[6, "CelebA", "glcic"] == 19.45
    assert values[6, "CelebA", "proposed"] == 19.61
    assert [values[7, "CelebA", name] for name in ("ce", "glcic", "proposed")] == [0.773, 0.799, 0.805]
    assert table[table["table"] == 8]["value"].tolist() == [0.7483, 18.55, 0.7869, 19.21]


def test_a_data_set_stands_beside_its_like(study_of: Callable[..., Frames]) -> None:
    kinds = {"faces": "CelebA", "my-celeba": "CelebA", "scenes": "Places2", "objects": "ImageNet"}
    for name, theirs in kinds.items():
        assert counterpart(study_of([0], name, data=[{"name": name, "kind": "folder"}]), name) == theirs
    unlike = study_of([0], "tiles", data=[{"name": "tiles", "kind": "folder"}, {"name": "more", "kind": "folder"}])
    assert [counterpart(unlike, name) for name in ("tiles", "more", "unknown")] == ["CelebA", None, None]
    assert published_values(study_of([0], "scenes", data=[{"name": "scenes"}]), "scenes", "psnr") == {"proposed": 19.21}
    said = [{"name": "faces", "kind": "folder", "like": "Places2"}, {"name": "objects", "kind": "folder", "like": None}]
    assert [counterpart(study_of([0], "faces", data=said), name) for name in ("faces", "objects")] == [
        "Places2",
        "ImageNet",
    ]


@pytest.mark.parametrize(("make", "metric"), [(tables.table_6, "psnr"), (tables.table_7, "ssim")])
def test_results_equal_the_frame(frames: Frames, make: Callable[..., pd.DataFrame], metric: str) -> None:
    table = make(frames, "faces").set_index("variant")
    scores = frames.scores[frames.scores["metric"] == metric]
    for region in ("whole", "hole"):
        own = scores[scores["region"] == region]
        expected = own.groupby("variant")["value"].mean()
        assert table[region].to_dict() == pytest.approx(expected.to_dict())
        seeds = own[own["variant"] == "glcic"].groupby("seed")["value"].mean()
        assert table.loc["glcic", f"{region}_seeds"] == pytest.approx(tuple(seeds))
        assert (table[f"{region}_low"] < table[region]).all()


def test_results_are_ordered_and_say_what_is_missing(frames: Frames) -> None:
    table = tables.table_6(frames, "faces")
    assert table["variant"].tolist()[:7] == [
        "ce", "glcic", "proposed", "reconstruction_only", "single", "mean", "biharmonic",
    ]  # fmt: skip
    notes = table.set_index("variant")["notes"]
    assert notes["single"] == "1 of 3 failed (seed 1)"
    assert notes["multiscale=0,loss=js"] == "1 of 3 diverged (seed 2)"
    assert notes["biharmonic"] == "a sample of 5 of 12 images; not trained: all seeds are alike"
    alone = replace(frames, runs=frames.runs[frames.runs["variant"] == "proposed"])
    table = tables.table_6(alone, "faces")
    assert table["variant"].tolist() == ["ce", "glcic", "proposed"]
    assert table["notes"].tolist() == ["not in this study", "not in this study", ""]
    assert table["published"].tolist() == [18.61, 19.45, 19.61]


def test_the_reference_may_have_another_name(frames: Frames) -> None:
    renamed = replace(frames, study={**frames.study, "reference": "multiscale=3,loss=wgan"})
    table = tables.table_6(renamed, "faces").set_index("variant")
    assert table.loc["multiscale=3,loss=wgan", "published"] == 19.61
    assert np.isnan(table.loc["proposed", "published"])


def test_contrasts_stand_beside_the_paper_s(frames: Frames) -> None:
    table = tables.contrast_table(frames, "faces").query("metric == 'psnr'").set_index(["a", "b"])
    assert table.loc[("proposed", "glcic"), "published"] == pytest.approx(0.16)
    assert table.loc[("glcic", "ce"), "published"] == pytest.approx(0.84)
    assert table.loc[("proposed", "glcic"), "paired"]
    assert not table.loc[("glcic", "ce"), "paired"]
    assert table.loc[("proposed", "reconstruction_only"), "outcome"] == "opposed"
    assert table.loc[("proposed", "single"), "outcome"] == "unresolved"  # a seed failed
    with pytest.raises(NoDataError, match="No two variants"):
        tables.contrast_table(replace(frames, runs=frames.runs[frames.runs["variant"] == "ce"]), "faces")


def blend(frames: Frames) -> Frames:
    """With blended outputs that gain 0.1 dB and half the seam, and raw ones."""
    blended = frames.scores.assign(output="blended")
    gain = blended["metric"].map({"psnr": 0.1, "seam": 0.0}).fillna(0.0)
    half = blended["metric"].map({"seam": 0.5}).fillna(1.0)
    blended["value"] = blended["value"] * half + gain
    return replace(frames, scores=pd.concat([frames.scores, blended, frames.scores.assign(output="raw")]))


def test_blending_is_a_change_with_its_interval(frames: Frames) -> None:
    table = tables.blending_table(blend(frames), "faces").set_index("variant")
    plain = tables.table_6(frames, "faces").set_index("variant")
    assert table.index.tolist() == plain.index.tolist()
    assert table["psnr"].to_dict() == pytest.approx(plain["hole"].to_dict())
    assert table["psnr_change"].to_list() == pytest.approx([0.1] * len(table))
    assert table["psnr_low"].to_list() == pytest.approx([0.1] * len(table))  # each image and seed gains as much
    assert table["seam_blended"].to_list() == pytest.approx(list(table["seam"] / 2))
    assert (table["seam_low"] < table["seam_change"]).all() and (table["seam_high"] < 0).all()
    assert table["seam_raw"].to_dict() == pytest.approx(table["seam"].to_dict())
    assert table["sharpness"].isna().all()
    assert table.loc["single", ["seeds", "images"]].tolist() == [2, 12]
    with pytest.raises(NoDataError, match=r"^No blended output was scored on faces\.$"):
        tables.blending_table(frames, "faces")


def test_departures_are_of_the_paper_s_methods(frames: Frames) -> None:
    steps = pd.DataFrame(
        [("giica", "loss.critic_steps", "1", "R14", "updates of the critics to one of the generator", True)],
        columns=frames.readings.columns,
    )
    known = replace(frames, readings=pd.concat([steps, frames.readings], ignore_index=True))
    table = tables.departures_table(known)
    assert table["variant"].tolist() == ["ce", "glcic", "giica", "proposed"]
    assert table.loc[2, ["label", "reading", "key", "value"]].tolist() == ["GIICA", "R14", "loss.critic_steps", "1"]
    assert tables.readings_table(known).loc[1, ["key", "departs", "variants"]].tolist() == [
        "loss.critic_steps",
        True,
        "giica",
    ]
    assert tables.departures_table(replace(frames, readings=frames.readings.assign(departs=False))).empty
    with pytest.raises(NoDataError, match="No reading"):
        tables.departures_table(replace(frames, readings=frames.readings.iloc[:0]))


def test_giica_is_one_of_the_paper_s(frames: Frames) -> None:
    assert ordered(frames, ["mean", "proposed", "giica", "single", "glcic", "ce"]) == [
        "ce", "glcic", "giica", "proposed", "single", "mean",
    ]  # fmt: skip
    assert group(frames, "giica") == "paper"


@pytest.mark.parametrize(
    ("level", "text"),
    [
        ("mean", "mean"), ("0.004", "0.004"), ("true", "true"), ("null", "null"), ("{", "{"), ("{}", "{}"),
        ('{"kind": "center"}', "center"), ('{"kind": "free_form", "strokes": 4}', "free_form, strokes 4"),
        ('{"local": 0.1, "global": 0.2}', "local 0.1, global 0.2"),
    ],
)  # fmt: skip
def test_levels_are_read_as_a_reader_writes_them(level: str, text: str) -> None:
    assert level_label(level) == text


def test_an_ablation_widens_its_intervals(frames: Frames) -> None:
    table = tables.ablation_table(frames, "critics_and_loss", "faces").set_index("variant")
    alone = tables.table_6(frames, "faces").set_index("variant")
    assert list(table.columns[:2]) == ["multiscale", "loss"]
    assert len(table) == 8
    assert table.loc["proposed", "low"] < alone.loc["proposed", "hole_low"]
    assert np.isnan(table.loc["proposed", "difference"])
    assert table.loc["multiscale=0,loss=js", "diverged"] == 1
    with pytest.raises(NoDataError, match="no ablation nothing"):
        tables.ablation_table(frames, "nothing", "faces")


def test_one_variant_may_stand_in_two_cells(frames: Frames) -> None:
    cells = pd.DataFrame(
        [("x", v, f, level) for v, level in (("ce", "0"), ("ce", "1"), ("proposed", "2")) for f in ("n", "m")],
        columns=["ablation", "variant", "factor", "level"],
    )
    table = tables.ablation_table(replace(frames, factors=cells), "x", "faces")
    assert table[["variant", "n", "m"]].to_numpy().tolist() == [
        ["ce", "0", "0"],
        ["ce", "1", "1"],
        ["proposed", "2", "2"],
    ]


def test_cost_and_sharing(frames: Frames) -> None:
    cost = tables.cost_table(frames)
    assert "mean" not in cost["variant"].tolist()
    assert cost.set_index("variant").loc["proposed", "seconds"] == 143.0
    stages = tables.stage_table(frames).set_index("kind")
    assert stages.loc["pretrain", ["stages", "uses", "seconds", "seconds_unshared"]].tolist() == [1, 11, 25.0, 275.0]


def test_readings_that_depart_come_first_and_are_told_once(frames: Frames) -> None:
    table = tables.readings_table(frames)
    assert table["reading"].tolist() == ["R11", "R1", "R7"]
    assert table["variants"].tolist() == ["all"] * 3
    other = (frames.readings["variant"] == "ce") & (frames.readings["reading"] == "R7")
    mixed = replace(frames, readings=frames.readings.assign(value=frames.readings["value"].mask(other, "linear")))
    heads = tables.readings_table(mixed).query("reading == 'R7'").set_index("value")["variants"]
    assert heads.to_dict() == {"mean": "all but ce", "linear": "ce"}


def test_frames_name_missing_columns() -> None:
    with pytest.raises(ValueError, match=r"frames\.runs: columns \['critic_parameters', .* are missing"):
        Frames(study={}, runs=pd.DataFrame({"run": []}))
