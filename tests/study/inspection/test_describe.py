"""What is described is what is built, beside what the paper prints: every cell of its Tables 1 to 5."""

import io
import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from commands import command

from models.method import Trained
from reports.analysis.published import paper
from study import cli, config
from study.config import Study
from study.inspection import anatomy
from study.inspection.describe import describe

ROOT = Path(__file__).parents[3]
TABLES = {
    1: (
        "generator",
        """\
conv 5x5 1 1x1 64
conv 3x3 1 2x2 128
conv 3x3 1 1x1 128
conv 3x3 1 2x2 256
conv 3x3 1 1x1 256
d-conv 3x3 2 1x1 256
d-conv 3x3 4 1x1 256
d-conv 3x3 8 1x1 256
d-conv 3x3 16 1x1 256
conv 3x3 1 1x1 256
deconv 4x4 1 1/2x1/2 128
conv 3x3 1 1x1 128
deconv 4x4 1 1/2x1/2 64
conv 3x3 1 1x1 32
deconv 3x3 1 1x1 3""",
    ),
    2: ("local", "\n".join(f"conv 5x5 2x2 {outputs}" for outputs in (64, 128, 256, 512, 512, 512))),
    3: ("global", "\n".join(f"conv 5x5 2x2 {outputs}" for outputs in (64, 128, 256, 512, 512))),
    4: ("half", "\n".join(f"conv 5x5 2x2 {outputs}" for outputs in (64, 128, 256, 512, 512))),
    5: ("quarter", "\n".join(f"conv 5x5 2x2 {outputs}" for outputs in (64, 128, 256, 512))),
}
"""The paper's tables of its networks as they are printed, copied by hand."""

NETWORK = {
    *("name", "kind", "layers", "parameters", "norm_parameters", "macs", "receptive_field", "score_receptive_field"),
    *("paper", "agrees_with_paper", "why", "unbuilt", "released"),
}
LAYER = {
    *("name", "kind", "kernel", "dilation", "stride", "outputs", "size", "parameters", "macs", "receptive_field"),
    *("paper", "agrees"),
}


def as_printed(row: dict[str, Any], columns: int) -> str:
    """A layer as a line of the paper's table with this many columns."""
    stride = "1/2" if row["stride"] == 0.5 else row["stride"]
    cells = [row.get("kind") or row["layer"], f"{row['kernel']}x{row['kernel']}"]
    cells += [row["dilation"]] if columns == 5 else []
    cells += [f"{stride}x{stride}", row["outputs"]]
    return " ".join(map(str, cells))


@pytest.fixture(scope="module")
def study_of() -> Callable[..., Study]:
    @cache
    def load(*settings: str, profile: str = "paper") -> Study:
        return config.load(ROOT / "runs.yaml", profile=profile, settings=settings)

    return load


def networks(study: Study, variant: str = "proposed") -> dict[str, dict[str, Any]]:
    found = describe(study.variants[variant].options, study.image_size)
    return {network["name"]: network for network in found["networks"]}


def proposed(**changes: Any) -> list[str]:
    return [f"variants.proposed.{key}={value}" for key, value in changes.items()]


@pytest.mark.parametrize("number", TABLES)
def test_every_cell_of_the_papers_tables(number: int, study_of: Callable[..., Study]) -> None:
    name, text = TABLES[number]
    lines = text.splitlines()
    columns = len(lines[0].split())
    (stored,) = (table for table in paper()["architecture"] if table["table"] == number)
    assert stored["network"] == name
    assert [as_printed(row, columns) for row in stored["layers"]] == lines
    network = networks(study_of())[name]
    compared = [layer for layer in network["layers"] if layer["agrees"] is not None]
    assert [as_printed(layer, columns) for layer in compared] == lines
    assert [layer["paper"] for layer in compared] == stored["layers"]
    assert all(layer["agrees"] for layer in compared)
    assert (network["paper"], network["agrees_with_paper"], network["unbuilt"]) == (f"Table {number}", True, [])


def test_what_no_table_has_is_compared_with_none(study_of: Callable[..., Study]) -> None:
    found = networks(study_of(*proposed(multiscale=3)))
    others = {
        (name, layer["name"]) for name, net in found.items() for layer in net["layers"] if layer["agrees"] is None
    }
    heads = {(view, "head") for view in ("local", "global", "half", "quarter", "eighth")}
    pools = {(view, "avg_pool2d") for view in ("half", "quarter", "eighth")}
    assert others == heads | pools | {("eighth", f"tower.{place}.0") for place in range(3)}
    assert found["generator"]["why"] is None
    assert found["local"]["why"] == "Its head, a 1x1 convolution, is reading R7 and in no table."
    assert (found["eighth"]["paper"], found["eighth"]["agrees_with_paper"]) == (None, None)
    assert found["eighth"]["why"] == "Mo & Zhou print no table of this network (R10)."
    assert sum(layer["parameters"] for layer in found["eighth"]["layers"] if layer["name"] != "head") == 1_029_248


def test_exchanged_captions_disagree_and_say_so(study_of: Callable[..., Study]) -> None:
    found = networks(study_of(*proposed(critic_tables="exchanged")))
    assert {name: network["agrees_with_paper"] for name, network in found.items()} == {
        "generator": True,
        "local": False,
        "global": False,
        "half": True,
        "quarter": True,
    }
    for name in ("local", "global"):
        assert found[name]["why"].startswith("R6, exchanged: Tables 2 and 3 have each other's captions.")
    assert found["local"]["unbuilt"] == [{"layer": "conv", "kernel": 5, "stride": 2, "outputs": 512}]
    last = found["global"]["layers"][5]
    assert (last["name"], last["paper"], last["agrees"]) == ("tower.5.0", None, False)


def test_a_smaller_study_disagrees_and_says_why(study_of: Callable[..., Study]) -> None:
    found = networks(study_of("image_size=64", "defaults.width=0.125", profile="demo"))
    assert not any(network["agrees_with_paper"] for network in found.values())
    assert found["generator"]["why"] == "Width 0.125: outputs are not the published ones."
    assert "At 64 px the last layers are left out, 2 in all" in found["local"]["why"]
    assert len(found["local"]["unbuilt"]) == 2
    found = networks(study_of("image_size=64"))
    assert [name for name, network in found.items() if network["agrees_with_paper"]] == ["generator"]


def test_other_dilations_disagree_and_cost_the_same(study_of: Callable[..., Study]) -> None:
    """Section 3.1: dilation has "no additional parameters and calculations", and sees more."""
    dilated, plain = (networks(study_of(*proposed(dilated=value)))["generator"] for value in ("true", "false"))
    assert [layer["agrees"] for layer in plain["layers"]] == [True] * 5 + [False] * 4 + [True] * 6
    assert plain["why"] == "Dilations are 1, 1, 1, 1, not those printed."
    assert (plain["parameters"], plain["macs"]) == (dilated["parameters"], dilated["macs"])
    assert (plain["receptive_field"], dilated["receptive_field"]) == (79, 287)


@pytest.mark.parametrize(
    "options, seen",
    [
        ({}, {"local": 253, "global": 125, "half": 251, "quarter": 247}),
        ({"critic_tables": "exchanged"}, {"local": 125, "global": 253, "half": 251, "quarter": 247}),
        ({"head": "linear"}, {"local": 253, "global": 125, "half": 251, "quarter": 247}),
        ({"downsample": "bilinear"}, {"local": 253, "global": 125, "half": 252, "quarter": 248}),
        ({"downsample": "none"}, {"local": 253, "global": 125, "half": 125, "quarter": 61}),
    ],
)
def test_receptive_fields_of_the_critics(
    options: dict[str, str], seen: dict[str, int], study_of: Callable[..., Study]
) -> None:
    found = networks(study_of(*proposed(**options)))
    assert {name: found[name]["receptive_field"] for name in seen} == seen
    for name in seen:
        whole = "whole window" if name == "local" else "whole image"
        assert found[name]["score_receptive_field"] == whole


def test_a_patch_sees_no_more_than_its_maps(study_of: Callable[..., Study]) -> None:
    found = networks(study_of(*proposed(head="patch")))
    assert (found["half"]["receptive_field"], found["half"]["score_receptive_field"]) == (251, 251)


def test_parameters_of_the_papers_networks(study_of: Callable[..., Study]) -> None:
    found = networks(study_of())
    generator = found["generator"]
    assert (generator["parameters"], generator["norm_parameters"]) == (4_890_947, 4_928)
    convolutions = {
        name: sum(layer["parameters"] for layer in found[name]["layers"] if layer["agrees"]) for name in found
    }
    assert convolutions == {  # with their biases
        "generator": 4_886_019,
        "local": 17_414_784,
        "global": 10_860_672,
        "half": 10_860_672,
        "quarter": 4_306_560,
    }
    biases = {name: sum(layer["outputs"] for layer in found[name]["layers"] if layer["agrees"]) for name in found}
    assert biases == {"generator": 2_467, "local": 1_984, "global": 1_472, "half": 1_472, "quarter": 960}
    critics = [name for name in found if name != "generator"]
    norms = {name: found[name]["norm_parameters"] for name in critics}
    assert norms == {name: 2 * biases[name] for name in critics}  # a layer norm's scale and shift (R8)
    assert {found[name]["parameters"] - norms[name] - convolutions[name] for name in critics} == {513}  # the head (R7)


@pytest.mark.parametrize(
    "variant, network, settings, count, norms",
    [
        ("glcic", "generator", [], 6_072_131, 5_952),
        ("glcic", "joined", [], 45_063_681, 6_912),
        ("ce", "generator", ["variants.ce.bottleneck=conv4000", "image_size=128"], 71_124_544, 11_840),
        ("ce", "hole", ["image_size=128"], 2_765_568, 1_792),
    ],
)
def test_released_networks_have_as_many_parameters(
    variant: str, network: str, settings: list[str], count: int, norms: int, study_of: Callable[..., Study]
) -> None:
    found = networks(study_of(*settings), variant)[network]
    assert (found["parameters"], found["norm_parameters"]) == (count, norms)
    assert found["released"]["parameters"] == count
    assert (found["released"]["agrees"], found["released"]["difference"], found["released"]["why"]) == (True, 0, None)


def test_a_network_unlike_the_released_says_in_what(study_of: Callable[..., Study]) -> None:
    released = networks(study_of(), "ce")["generator"]["released"]
    assert (released["agrees"], released["difference"]) == (False, 14_372_608 - 71_124_544)
    theirs, ours = "image_side 128, bottleneck conv4000", "image_side 256, bottleneck channelwise"
    assert released["why"] == f"Released with {theirs}; here {ours}."
    assert networks(study_of())["generator"]["released"] is None


def test_every_variant_is_described_as_json(study_of: Callable[..., Study]) -> None:
    study = study_of()
    for variant in study.variants.values():
        found = describe(variant.options, study.image_size)
        assert json.loads(json.dumps(found, allow_nan=False)) == found
        assert isinstance(variant.options, Trained) == bool(found["networks"])
        for network in found["networks"]:
            assert set(network) == NETWORK
            assert all(set(layer) == LAYER for layer in network["layers"])
            own = sum(layer["parameters"] for layer in network["layers"])
            assert own + network["norm_parameters"] == network["parameters"]
            assert sum(layer["macs"] for layer in network["layers"]) == network["macs"]
            assert network["why"] or network["agrees_with_paper"]
        for total in ("parameters", "macs"):
            assert found["totals"][total] == sum(network[total] for network in found["networks"])


def test_a_network_is_built_once_for_all_variants(study_of: Callable[..., Study]) -> None:
    study = study_of()
    for _ in range(2):
        built = anatomy._of_part.cache_info().misses
        for variant in study.variants.values():
            describe(variant.options, study.image_size)
    assert built == anatomy._of_part.cache_info().misses


def test_what_is_handed_out_can_be_changed(study_of: Callable[..., Study]) -> None:
    study = study_of()
    first = networks(study)["generator"]
    first["layers"][0]["paper"]["outputs"] = 1
    first["layers"].clear()
    assert networks(study)["generator"]["layers"][0]["paper"]["outputs"] == 64


@pytest.mark.parametrize(
    "variant, sentences",
    [
        (
            "proposed",
            [
                "encoder.8 d-conv    3x3   16    1 256   64 590,080 2,415.9  263 == d-conv 3x3 16 1 256",
                "4,890,947 parameters (4,928 of them of norms), 27.72 GMAC; sees 287 px",
                "As Table 1 prints it.",
                "17,419,265 parameters (3,968 of them of norms), 779.9 MMAC; sees 253 px at its last maps, its score",
                "proposed, 256 px: 5 networks, 48,347,463 parameters, 32.43 GMAC an image",
            ],
        ),
        ("glcic", ["global_.2", "Released: 6,072,131 parameters, the same.", "print no table of this network."]),
        ("ce", ["bottleneck.2", "sees the whole image", "ours has -56,751,936."]),
        ("single", ["generator (mo_zhou)", "local (mo_zhou)", "single, 256 px: 2 networks"]),
        ("proposed:multiscale=0,loss=js", ["proposed:multiscale=0,loss=js, 256 px: 3 networks"]),
        ("proposed:critic_tables=exchanged", ["(none)", "!= conv 5x5 2 512", "!= none", "Not as Table 2 prints it."]),
        ("mean", ["mean has no networks: it is not trained"]),
    ],
)
def test_a_variant_in_a_terminal(variant: str, sentences: list[str]) -> None:
    done = command("describe", variant, "--profile", "paper")
    assert (done.returncode, done.stderr) == (0, "")
    for sentence in sentences:
        assert sentence in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_a_variant_for_programs(study_of: Callable[..., Study]) -> None:
    words = ("describe", "proposed", "--profile", "paper", "--json", "--set", "variants.proposed.head=linear")
    done = command(*words)
    study = study_of("variants.proposed.head=linear")
    described = describe(study.variants["proposed"].options, study.image_size)
    assert done.returncode == 0 and json.loads(done.stdout) == {"variant": "proposed", **described}


@pytest.mark.parametrize(
    "words, said",
    [
        (["propsed"], "'propsed' is not a variant of this study; choose biharmonic, ce, "),
        (["proposed:multiscale=9"], "'proposed:multiscale=9' is not a variant of this study"),
        (
            ["proposed", "--profile", "papr"],
            "--profile papr: 'papr' is not a profile of this study; choose demo, paper",
        ),
        (["proposed", "--study", "nothing.yaml"], "nothing.yaml: cannot be read"),
        (["proposed", "--set", "variants.proposed.hed=mean"], "'hed' is an unknown key; choose "),
        ([], "Missing argument"),
    ],
)
def test_what_cannot_be_meant_is_refused(words: list[str], said: str) -> None:
    done = command("describe", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr and "Traceback" not in done.stderr


def test_the_command_prints_on_a_terminal_that_knows_only_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr(sys, "argv", ["study", "describe", "single", "--study", str(ROOT / "runs.yaml")])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    terminal.seek(0)
    assert stopped.value.code in (None, 0) and "Not as Table 2 prints it. Width 0.125" in terminal.read()
