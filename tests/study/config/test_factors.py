"""Ablations and multiverses: the variants that they expand to, and the faults that they report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tiny

import study
from study import config
from study.config.schema import Study
from study.errors import BadInput
from study.facts import MultiverseFacts
from study.plan import planner

VARIANTS = {
    "proposed": {**tiny.PROPOSED, "multiscale": 1},
    "classic": {"extends": "proposed", "loss": "js"},
    "glcic": {"method": "glcic"},
    "mean": {"method": "mean"},
}
HEADS = {"vary": {"head": ["mean", "linear", "patch"]}}


def load(folder: Path, *, settings: list[str] | None = None, **sections: Any) -> Study:
    return config.load(tiny.write(folder, VARIANTS, **sections), settings=settings or [])


def ablation(folder: Path, factors: Any, reference: str = "proposed") -> tuple[dict[tuple[str, ...], str], Study]:
    """The variants of one ablation by their levels, and the study."""
    found = load(folder, ablations={"one": {"reference": reference, "factors": factors}})
    return dict(found.ablations["one"].cells), found


def multiverse(folder: Path, *bases: str, **more: Any) -> tuple[MultiverseFacts, Study]:
    """A multiverse of these bases, and the study."""
    found = load(folder, multiverses={"all": {"base": list(bases), **more}})
    return found.multiverses["all"], found


def made(found: MultiverseFacts, base: str) -> list[str]:
    """The variant of a base in each universe."""
    runs = [{setting.variant for setting in universe if setting.base == base} for universe in found.universes]
    assert all(len(names) == 1 for names in runs), "a base has one run in a universe"
    return [names.pop() for names in runs]


def test_levels_of_nothing_switches_and_deeper_options(tmp_path: Path) -> None:
    factors = {"total_weight": [None, 0.5], "dilated": [True, False], "mask.kind": ["center", "free_form"]}
    cells, found = ablation(tmp_path, factors)
    assert len(cells) == len(set(cells.values())) == 8
    assert cells["null", "true", "center"] == "proposed"
    name = cells["0.5", "false", "free_form"]
    assert name == "proposed:total_weight=0.5,dilated=false,mask.kind=free_form"
    options = found.variants[name].options.model_dump()
    assert (options["total_weight"], options["dilated"], options["mask"]["kind"]) == (0.5, False, "free_form")
    assert options["mask"]["brush"] == 0.08  # another kind of hole, with its own defaults
    assert found.variants[name].reference == "proposed"


def test_null_is_a_level_of_what_the_reference_says(tmp_path: Path) -> None:
    """And takes a mapping or a list out, so that the method's own default stands there."""
    wide = {**VARIANTS, "proposed": {**tiny.PROPOSED, "total_weight": 0.5, "weights": {"local": 0.3}}}
    factors = {"total_weight": [0.5, None], "weights": [{"local": 0.3}, None]}
    file = tiny.write(tmp_path, wide, ablations={"one": {"reference": "proposed", "factors": factors}})
    found = config.load(file)
    cells = dict(found.ablations["one"].cells)
    assert cells["0.5", "local=0.3"] == "proposed"
    options = found.variants[cells["null", "null"]].options.model_dump()
    assert options["total_weight"] is None and options["weights"]["local"] == 0.001


def test_a_cell_that_is_a_known_variant_keeps_its_name(tmp_path: Path) -> None:
    """Named in the file, or made by an ablation before."""
    factors = {"loss": ["wgan", "js"], "head": ["mean", "linear"]}
    ablations = {
        "one": {"reference": "proposed", "factors": factors},
        "two": {"reference": "classic", "factors": {"head": ["mean", "linear"], "loss": ["js", "wgan"]}},
    }
    found = load(tmp_path, ablations=ablations)
    one, two = (dict(found.ablations[name].cells) for name in ("one", "two"))
    assert one["js", "mean"] == two["mean", "js"] == "classic"
    assert one["js", "linear"] == two["linear", "js"] == "proposed:loss=js,head=linear"
    assert two["mean", "wgan"] == "proposed" and two["linear", "wgan"] == "proposed:head=linear"
    assert [name for name in found.variants if name.startswith("classic:")] == []


def test_a_recipe_written_in_place_is_a_level(tmp_path: Path) -> None:
    cells, found = ablation(tmp_path, {"loss": ["wgan", {"extends": "wgan", "critic_steps": 5}]})
    name = cells["extends=wgan,critic_steps=5",]
    assert found.variants[name].options.model_dump()["loss"]["critic_steps"] == 5


def test_one_at_a_time_is_the_default_and_universe_0_the_studys_own(tmp_path: Path) -> None:
    vary = {**HEADS["vary"], "reduction": ["mean", "sum"], "fill": ["zero", "noise"]}
    found, _ = multiverse(tmp_path, "proposed", vary=vary)
    assert found.design == "one_at_a_time"
    assert made(found, "proposed") == [
        "proposed",
        "proposed:head=linear",
        "proposed:head=patch",
        "proposed:reduction=sum",
        "proposed:fill=noise",
    ]
    first = {setting.reading: setting for setting in found.universes[0]}
    assert {reading: setting.level for reading, setting in first.items()} == {
        "head": "mean",
        "reduction": "mean",
        "fill": "zero",
    }
    assert all(setting.usual and setting.applies for setting in first.values())
    for universe in found.universes[1:]:
        assert len(universe) == 3 and sum(not setting.usual for setting in universe) == 1


def test_a_product_is_every_combination(tmp_path: Path) -> None:
    vary = {**HEADS["vary"], "reduction": ["sum", "mean"]}
    found, whole = multiverse(tmp_path, "proposed", vary=vary, design="product")
    names = made(found, "proposed")
    assert names[0] == "proposed" and len(names) == len(set(names)) == 6
    assert "proposed:head=patch,reduction=sum" in names and set(names) <= set(whole.variants)
    levels = {tuple(setting.level for setting in universe) for universe in found.universes}
    assert levels == {(head, reduction) for head in HEADS["vary"]["head"] for reduction in ("sum", "mean")}


def test_the_studys_own_levels_need_not_be_listed(tmp_path: Path) -> None:
    vary = {"head": ["patch"], "reduction": ["sum"], "fill": ["zero"]}
    for design, expected in {
        "one_at_a_time": ["proposed", "proposed:head=patch", "proposed:reduction=sum"],
        "product": ["proposed", "proposed:head=patch,reduction=sum"],
    }.items():
        found, _ = multiverse(tmp_path, "proposed", vary=vary, design=design)
        assert made(found, "proposed") == expected


def test_a_base_whose_method_lacks_the_reading_keeps_its_run(tmp_path: Path) -> None:
    vary = {"critic_input": ["composite", "raw"], "norm": ["batch", "none"]}
    found, whole = multiverse(tmp_path, "proposed", "glcic", "mean", vary=vary)
    assert made(found, "proposed") == ["proposed", "proposed:critic_input=raw", "proposed:norm=none"]
    assert made(found, "glcic") == ["glcic", "glcic", "glcic:norm=none"]
    assert made(found, "mean") == ["mean"] * 3
    assert not any(name.startswith("mean:") for name in whole.variants)
    for universe in found.universes:
        settings = {(setting.base, setting.reading): setting for setting in universe}
        assert len(settings) == 6
        assert {key for key, setting in settings.items() if not setting.applies} == {
            ("glcic", "critic_input"),
            ("mean", "critic_input"),
            ("mean", "norm"),
        }
        assert all(setting.usual for setting in settings.values() if not setting.applies)
    raw = {(setting.base, setting.reading): setting for setting in found.universes[1]}
    assert not raw["proposed", "critic_input"].usual and raw["proposed", "norm"].level == "batch"


def test_universes_that_come_to_the_same_are_one(tmp_path: Path) -> None:
    """The base's own level, whatever it is written as; and levels that none of the bases tells apart."""
    clipped = {"extends": "wgan", "clip": 0.01}
    vary = {"loss": [clipped, "wgan", "js"], "weights.local": [0.001, 0.5]}
    found, _ = multiverse(tmp_path, "proposed", vary=vary)
    assert made(found, "proposed") == ["proposed", "classic", "proposed:weights.local=0.5"]
    assert found.universes[0][0].level == "extends=wgan,clip=0.01" and found.universes[0][0].usual
    product, _ = multiverse(tmp_path, "proposed", vary=vary, design="product")
    assert made(product, "proposed") == [
        "proposed",
        "proposed:weights.local=0.5",
        "classic",
        "proposed:loss=js,weights.local=0.5",
    ]


def test_bases_own_levels_differ(tmp_path: Path) -> None:
    """Each base has its own usual level, and a universe is of what is chosen for all."""
    found, _ = multiverse(tmp_path, "proposed", "classic", vary={"loss": ["wgan", "js"]})
    assert made(found, "proposed") == ["proposed", "proposed", "classic"]
    assert made(found, "classic") == ["classic", "proposed", "classic"]
    usual = [{setting.base: (setting.level, setting.usual) for setting in universe} for universe in found.universes]
    assert usual == [
        {"proposed": ("wgan", True), "classic": ("js", True)},
        {"proposed": ("wgan", True), "classic": ("wgan", False)},
        {"proposed": ("js", False), "classic": ("js", True)},
    ]


def test_a_level_that_is_not_listed_is_named_by_its_value(tmp_path: Path) -> None:
    found, _ = multiverse(tmp_path, "proposed", vary={"mask.kind": ["random_box"], "weights.local": [0.5]})
    assert [setting.level for setting in found.universes[0]] == ["center", "0.001"]


def test_contrasts_are_the_first_against_each_other_unless_they_are_named(tmp_path: Path) -> None:
    bases = ("proposed", "glcic", "mean")
    assert multiverse(tmp_path, *bases, **HEADS)[0].contrasts == [["proposed", "glcic"], ["proposed", "mean"]]
    named = multiverse(tmp_path, *bases, **HEADS, contrasts=[["glcic", "mean"]])[0]
    assert named.contrasts == [["glcic", "mean"]]
    assert multiverse(tmp_path, "proposed", **HEADS)[0].contrasts == []


def test_the_cells_of_ablations_and_multiverses_are_the_same_variants(tmp_path: Path) -> None:
    found = load(
        tmp_path,
        ablations={"heads": {"reference": "proposed", "factors": {"head": ["mean", "patch"]}}},
        multiverses={
            "all": {"base": ["proposed"], **HEADS},
            "few": {"base": ["proposed"], "vary": {"head": ["patch"]}},
        },
    )
    assert list(found.variants) == [*VARIANTS, "proposed:head=patch", "proposed:head=linear"]


def test_null_in_a_profile_takes_out_an_ablation_a_multiverse_or_what_it_varies(tmp_path: Path) -> None:
    ablations = {name: {"reference": "proposed", "factors": {"head": ["mean", name]}} for name in ("linear", "patch")}
    vary = {**HEADS["vary"], "reduction": ["mean", "sum"]}
    multiverses = {
        "all": {"base": ["proposed"], "vary": vary, "contrasts": []},
        "more": {"base": ["glcic"], "vary": {"norm": ["batch", "none"]}},
    }
    less = {
        "ablations": {"patch": None},
        "multiverses": {"all": {"vary": {"reduction": None}, "contrasts": None}, "more": None},
    }
    file = tiny.write(tmp_path, VARIANTS, ablations=ablations, multiverses=multiverses, profiles={"less": less})
    whole, found = config.load(file), config.load(file, profile="less")
    assert (list(whole.ablations), list(whole.multiverses)) == (["linear", "patch"], ["all", "more"])
    assert (list(found.ablations), list(found.multiverses)) == (["linear"], ["all"])
    assert {setting.reading for universe in found.multiverses["all"].universes for setting in universe} == {"head"}
    assert len(whole.multiverses["all"].universes) == 4 and len(found.multiverses["all"].universes) == 3
    assert config.load(file, settings=["multiverses.more=null"]).multiverses.keys() == {"all"}
    assert config.load(file, settings=["multiverses=null"]).multiverses == {}


def universes_of(folder: Path, *, only: list[str] | None = None) -> Any:
    """The universes of a study that is planned and not begun."""
    vary = {"head": ["mean", "patch"], "total_weight": [0.003]}
    multiverses = {"all": {"base": ["proposed", "glcic"], "vary": vary}}
    file = tiny.write(folder, VARIANTS, multiverses=multiverses)
    plan = planner.make_plan(config.load(file, only=only or []))
    plan.save(folder / "out")
    return study.load(folder / "out").universes


def test_universes_are_read_back_under_the_names_that_are_run(tmp_path: Path) -> None:
    found = universes_of(tmp_path)
    assert sorted(found["universe"].unique()) == [0, 1, 2]
    assert found.groupby("universe").size().tolist() == [4, 4, 4]
    last = found.query("universe == 2 and base == 'proposed'")
    assert set(last["variant"]) == {"proposed"}, "0.003 is what three critics weigh in all: one run, two names"
    assert dict(zip(last["reading"], last["level"], strict=True)) == {"head": "mean", "total_weight": "0.003"}
    assert json.loads((tmp_path / "out" / "plan.json").read_text())["study"]["multiverses"]["all"]["universes"]


def test_universes_that_were_not_asked_for_whole_are_left_out(tmp_path: Path) -> None:
    assert set(universes_of(tmp_path / "a", only=["proposed", "glcic"])["universe"]) == {0}
    assert set(universes_of(tmp_path / "b", only=["proposed*", "glcic"])["universe"]) == {0, 1, 2}
    assert universes_of(tmp_path / "c", only=["proposed*"]).empty


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "no base": (HEADS, "", "a multiverse needs 'base', a list of variants such as [proposed, glcic]"),
    "a base that is no list": (
        {"base": "proposed", **HEADS},
        ".base",
        "a multiverse needs 'base', a list of variants such as [proposed, glcic]",
    ),
    "an unknown base": (
        {"base": ["proposed", "glcik"], **HEADS},
        ".base.1",
        "'glcik' is not a variant; choose classic, glcic, mean, proposed (did you mean 'glcic'?)",
    ),
    "a base twice": ({"base": ["proposed", "glcic", "proposed"], **HEADS}, ".base", "'proposed' appears twice"),
    "nothing varied": ({"base": ["proposed"]}, "", "this needs 'vary', such as {head: [mean, linear]}"),
    "an option that no base has": (
        {"base": ["glcic", "mean"], "vary": {"head": ["mean"]}},
        ".vary.head",
        "'head' is not an option of glcic or mean; choose batch, fill, flips, images, log_every, loss, mask, norm, "
        "optimizer, rates, real_window, steps, weight, width",
    ),
    "an option nearly written": (
        {"base": ["mean"], "vary": {"image": [1]}},
        ".vary.image",
        "'image' is not an option of mean; choose images (did you mean 'images'?)",
    ),
    "a level alone": ({"base": ["proposed"], "vary": {"head": "mean"}}, ".vary.head", "'mean' is not a list of levels"),
    "no levels": ({"base": ["proposed"], "vary": {"head": []}}, ".vary.head", "[] is not a list of levels"),
    "a level twice": (
        {"base": ["proposed"], "vary": {"head": ["mean", "mean"]}},
        ".vary.head",
        "the level mean appears twice",
    ),
    "a level that the option has not": (
        {"base": ["proposed"], "vary": {"head": ["mean", "lineal"]}},
        ".vary.head.1",
        "'lineal' is unknown; choose linear, mean, patch (did you mean 'linear'?)",
    ),
    "an unknown design": (
        {"base": ["proposed"], **HEADS, "design": "latin"},
        ".design",
        "'latin' is unknown; choose one_at_a_time, product",
    ),
    "a contrast with what is no base": (
        {"base": ["proposed", "glcic"], **HEADS, "contrasts": [["proposed", "mean"]]},
        ".contrasts",
        "[['proposed', 'mean']] is not a list of pairs of bases, such as [[a, b]]",
    ),
    "contrasts that are no pairs": (
        {"base": ["proposed", "glcic"], **HEADS, "contrasts": ["proposed", "glcic"]},
        ".contrasts",
        "['proposed', 'glcic'] is not a list of pairs of bases, such as [[a, b]]",
    ),
    "an unknown key": (
        {"base": ["proposed"], **HEADS, "desing": "product"},
        ".desing",
        "'desing' is an unknown key; choose base, contrasts, design, most, vary (did you mean 'design'?)",
    ),
    "more than is meant": (
        {
            "base": ["proposed", "glcic"],
            "vary": {"batch": [*range(1, 10)], "log_every": [*range(1, 10)]},
            "design": "product",
        },
        "",
        "this multiverse has up to 81 universes, that is 162 variants of proposed, glcic for each seed; "
        "the limit is 64: "
        "vary less, set 'design: one_at_a_time', or set 'most: 81'",
    ),
    "more than it allows itself": (
        {"base": ["proposed"], "vary": {"head": ["mean", "patch"], "flips": [True, False]}, "design": "product"}
        | {"most": 3},
        "",
        "this multiverse has up to 4 universes, that is 4 variants of proposed for each seed; "
        "the limit is 3: "
        "vary less, set 'design: one_at_a_time', or set 'most: 4'",
    ),
    "a size that is none": (
        {"base": ["proposed"], **HEADS, "most": "many"},
        ".most",
        "got 'many'; write a whole number up to 1,000, the most universes allowed",
    ),
    "a size that takes hours": (
        {"base": ["proposed"], **HEADS, "most": 10**9},
        ".most",
        "got 1000000000; write a whole number up to 1,000, the most universes allowed",
    ),
    "a switch for a size": (
        {"base": ["proposed"], **HEADS, "most": True},
        ".most",
        "got true; write a whole number up to 1,000, the most universes allowed",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_fault_of_a_multiverse_says_where_what_and_what_is_allowed(name: str, tmp_path: Path) -> None:
    told, place, message = WRONG[name]
    with pytest.raises(BadInput) as caught:
        load(tmp_path, multiverses={"all": told})
    (fault,) = caught.value.faults
    where, _, said = fault.partition(": ")
    path, _, text = said.partition(": ")
    assert where.startswith(f"{tmp_path / 'tiny.yaml'}:")
    assert (path, text) == (f"multiverses.all{place}", message)


def test_a_multiverse_may_be_as_large_as_it_says(tmp_path: Path) -> None:
    vary = {"batch": [*range(1, 12)], "log_every": [*range(1, 8)]}
    found, _ = multiverse(tmp_path, "proposed", vary=vary, design="product", most=77)
    assert len(found.universes) == 77


def test_a_base_that_cannot_be_built_in_a_universe_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"'proposed:multiscale=3' cannot be built at image_size 32"):
        multiverse(tmp_path, "proposed", vary={"multiscale": [1, 3]})
    with pytest.raises(BadInput, match=r"with multiscale 1 there is no critic 'quarter'$"):
        multiverse(tmp_path, "proposed", vary={"leave_out": ["none", "quarter"]})


def test_a_variant_of_an_ablation_cannot_be_expanded_again(tmp_path: Path) -> None:
    first = {"reference": "proposed", "factors": {"multiscale": [0, 1]}}
    second = {"reference": "proposed:multiscale=0", "factors": {"loss": ["wgan", "js"]}}
    with pytest.raises(BadInput, match=r"ablations\.two\.reference: 'proposed:multiscale=0' is not a variant; choose"):
        load(tmp_path, ablations={"one": first, "two": second})


FACTORS = {"multiscale": [0, 1, 2], "head": ["mean", "linear"]}


def cells_of(folder: Path, **more: Any) -> dict[tuple[str, ...], str]:
    """The cells of an ablation with these sections."""
    found = load(folder, ablations={"one": {"reference": "proposed", "factors": FACTORS, **more}})
    return dict(found.ablations["one"].cells)


def test_excluded_cells_are_not_made(tmp_path: Path) -> None:
    exclude = [{"multiscale": 0, "head": "linear"}, {"multiscale": [2, 1], "head": "mean"}]
    assert list(cells_of(tmp_path, exclude=exclude)) == [("0", "mean"), ("1", "linear"), ("2", "linear")]
    found = load(tmp_path, ablations={"one": {"reference": "proposed", "factors": FACTORS, "exclude": exclude}})
    assert "proposed:multiscale=0,head=linear" not in found.variants and len(found.variants) == len(VARIANTS) + 3
    assert list(cells_of(tmp_path, exclude=[{"head": "linear"}])) == [("0", "mean"), ("1", "mean"), ("2", "mean")]


def test_zipped_factors_move_together(tmp_path: Path) -> None:
    factors = {"head": ["mean", "linear"], "multiscale": [0, 1, 1], "total_weight": [None, None, 0.5]}
    cells = cells_of(tmp_path, factors=factors, zip=[["multiscale", "total_weight"]])
    together = [("0", "null"), ("1", "null"), ("1", "0.5")]
    assert list(cells) == [(head, *row) for head in ("mean", "linear") for row in together]
    assert cells["mean", "1", "null"] == "proposed"
    first = {key: factors[key] for key in ("multiscale", "head", "total_weight")}  # the levels are in the file's order
    cells = cells_of(tmp_path, factors=first, zip=[["total_weight", "multiscale"]], exclude=[{"total_weight": 0.5}])
    assert list(cells) == [(row[0], head, row[1]) for row in together[:2] for head in ("mean", "linear")]


OF_CELLS = {
    "a factor that is not there": (
        {"exclude": [{"heads": "mean"}]},
        r"exclude\.0\.heads: 'heads' is not a factor; choose head",
    ),
    "a level that is not there": (
        {"exclude": [{"head": ["mean", "patch"]}]},
        r"exclude\.0\.head\.1: 'patch' is not a level; choose linear, mean$",
    ),
    "no mapping": (
        {"exclude": ["mean"]},
        r"exclude\.0: 'mean' is not a mapping of factors to levels; write exclude: \[",
    ),
    "nothing left": (
        {"exclude": [{"head": ["mean", "linear"]}]},
        r"one: 'exclude' leaves out every cell; leave out fewer",
    ),
    "a list too few": (
        {"zip": ["head", "multiscale"]},
        r"zip\.0: 'head' is not a list of factors; write zip: \[\[a, b\]\]",
    ),
    "unlike lengths": (
        {"zip": [["head", "multiscale"]]},
        r"zip\.0: factors that move together .* got head 2, multiscale 3",
    ),
    "an unknown factor": ({"zip": [["head", "fill"]]}, r"zip\.0\.1: 'fill' is not a factor; choose head, multiscale"),
    "a factor twice": ({"zip": [["head", "head"]]}, r"zip\.0\.\d: 'head' is in 'zip' twice"),
    "a pair twice": (
        {"factors": {"head": ["mean", "mean"], "multiscale": [1, 1]}, "zip": [["head", "multiscale"]]},
        r"zip\.0: head=mean, multiscale=1 appears twice",
    ),
}


@pytest.mark.parametrize("name", OF_CELLS)
def test_a_fault_of_an_ablation_says_where_what_and_what_is_allowed(name: str, tmp_path: Path) -> None:
    more, fault = OF_CELLS[name]
    with pytest.raises(BadInput, match=fault):
        cells_of(tmp_path, **more)


def test_an_ablation_of_too_many_cells_is_refused_before_they_are_made(tmp_path: Path) -> None:
    levels = {key: list(range(1, 201)) for key in ("batch", "log_every", "total_weight")}
    file = tiny.write(tmp_path, ablations={"all": {"reference": "proposed", "factors": levels}})
    with pytest.raises(
        BadInput, match=r"ablations\.all: this ablation has 8,000,000 cells; the limit is 500: vary less"
    ):
        config.load(file)
