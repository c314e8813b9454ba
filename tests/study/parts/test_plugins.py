"""Plugins: their parts join the registries while a study is read and run, and their source is part of the keys."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import inline
import pytest
import tiny
from commands import ROOT, command
from own_parts import FIT, LOSS, MASK, METRIC

from reports.analysis import looks, naming
from reports.analysis.tables import readings_table
from study.config import load as read
from study.errors import BadInput, StudyError
from study.parts import plugins, registries
from study.plan.graph import Plan
from study.plan.planner import make_plan
from study.results.frames import load

LOGISTIC = {
    "method": "proposed",
    "multiscale": 0,
    "loss": {"kind": "logistic", "optimizer": {"kind": "adam", "lr": 1e-4}},
}


def planned(folder: Path, source: str, variants: dict[str, object], **changes: object) -> Plan:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "own.py").write_text(source)
    return tiny.planned(folder, variants, plugins=["own.py"], **changes)[0]


def keys(plan: Plan, variant: str) -> dict[str, str]:
    return tiny.run_of(plan, variant).stages


def test_an_edit_remakes_what_it_decides_and_nothing_else(tmp_path: Path) -> None:
    variants = {"proposed": tiny.PROPOSED, "own": LOGISTIC}
    before = planned(tmp_path, LOSS, variants)
    after = planned(tmp_path, LOSS.replace("fake - real", "2 * (fake - real)"), variants)
    assert keys(before, "proposed") == keys(after, "proposed")
    same = {role for role, key in keys(before, "own").items() if keys(after, "own")[role] == key}
    assert same == {"data", "pretrain"}
    assert keys(before, "own")["pretrain"] == keys(before, "proposed")["pretrain"]


def test_a_study_without_plugins_has_the_keys_that_it_had(tmp_path: Path) -> None:
    alone = tiny.planned(tmp_path / "a")[0]
    beside = planned(tmp_path / "b", LOSS, {"proposed": tiny.PROPOSED})
    assert alone.stages.keys() == beside.stages.keys()


def test_plugins_are_forgotten_with_the_next_study(tmp_path: Path) -> None:
    planned(tmp_path / "a", MASK, {"proposed": {**tiny.PROPOSED, "mask": {"kind": "stripes"}}})
    assert "stripes" in registries.MASKS and registries.version("MASKS", "stripes") == plugins.used()[0].digest
    tiny.planned(tmp_path / "b")
    assert "stripes" not in registries.MASKS and not registries.SOURCES


def test_a_mask_of_a_plugin_has_options_that_are_checked(tmp_path: Path) -> None:
    fine = planned(tmp_path, MASK, {"mean": {"method": "mean"}}, protocol={"mask": {"kind": "stripes", "every": 8}})
    assert fine.study.protocol["mask"] == {"kind": "stripes", "every": 8}
    with pytest.raises(BadInput, match=r"protocol\.mask.*every"):
        planned(tmp_path, MASK, {"mean": {"method": "mean"}}, protocol={"mask": {"kind": "stripes", "every": "x"}})
    with pytest.raises(BadInput, match="'strips' is unknown; choose center, files, free_form, random_box, stripes"):
        planned(tmp_path, MASK, {"mean": {"method": "mean"}}, protocol={"mask": {"kind": "strips"}})


def test_a_fit_is_a_stage_with_a_series_and_a_budget(tmp_path: Path) -> None:
    plan = planned(tmp_path, FIT, {"mine": {"method": "mine"}, "mean": {"method": "mean"}})
    assert list(keys(plan, "mine")) == ["data", "fit", "evaluate"]
    store = tiny.recorded(plan, tiny.Store(tmp_path / "out"))
    results = load(tmp_path / "out")
    assert set(results.runs["status"]) == {"completed"}
    own = results.curves[results.curves["variant"] == "mine"]
    assert set(own["stage"]) == {"fit"} and set(own["term"]) == {"loss"}
    assert plan.stages[keys(plan, "mine")["fit"]].steps == 7  # of pretrain and joint together
    again = tiny.recorded(
        planned(tmp_path / "again", FIT, {"mine": {"method": "mine"}}), tiny.Store(tmp_path / "again/out")
    )
    key = keys(plan, "mine")["fit"]
    assert tiny.published(store, key) == tiny.published(again, key)


def test_an_interrupted_fit_begins_again_with_the_same_bytes(tmp_path: Path) -> None:
    whole = tiny.made(planned(tmp_path / "a", FIT, {"mine": {"method": "mine"}}), tiny.Store(tmp_path / "a/out"))
    plan = planned(tmp_path / "b", FIT, {"mine": {"method": "mine"}})
    store = tiny.Store(tmp_path / "b/out")
    key = keys(plan, "mine")["fit"]
    tiny.made(plan, store, {keys(plan, "mine")["data"]})
    assert tiny.stopped_at(3, [key], plan, store)
    assert not store.has(key)
    tiny.made(plan, store)
    assert tiny.published(store, key) == tiny.published(whole, key)


def test_what_is_not_finite_ends_as_diverged(tmp_path: Path) -> None:
    plan = planned(tmp_path, FIT.replace("log(loss=loss)", "log(loss=loss / 0)"), {"mine": {"method": "mine"}})
    store = tiny.made(plan, tiny.Store(tmp_path / "out"))
    outcome = store.outcome(keys(plan, "mine")["evaluate"])
    assert outcome["status"] == "diverged" and outcome["term"] == "generator.loss"


def test_a_plugin_that_changed_since_it_was_planned_is_refused(tmp_path: Path) -> None:
    plan = planned(tmp_path, FIT, {"mine": {"method": "mine"}})
    (tmp_path / "own.py").write_text(FIT + "# edited\n")
    plugins.use([])
    with pytest.raises(StudyError, match=r"own\.py: it has changed since the study was planned"):
        plugins.use_planned(plan.study.digests, plan.study.command)
    assert "mine" not in registries.METHODS


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ("own.txt", "plugins: 'own.txt' is not a plugin; write [mine.py]"),
        ([3], "plugins.0: 3 is not a plugin; write [mine.py]"),
        (["none.py"], "none.py: No such file or directory"),
    ],
)
def test_what_is_no_plugin_is_told(names: object, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as told:
        read(tiny.write(tmp_path, plugins=names))
    assert sentence in str(told.value)


def test_a_profile_may_not_name_plugins(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"profiles\.p\.plugins: 'plugins' is an unknown key"):
        read(tiny.write(tmp_path, profiles={"p": {"plugins": ["own.py"]}}))


def test_two_plugins_may_not_bring_the_same_part(tmp_path: Path) -> None:
    for name in ("one.py", "two.py"):
        (tmp_path / name).write_text(MASK)
    with pytest.raises(BadInput, match=r"two\.py:\d+: MASKS\['stripes'\]: there is a part of this name already"):
        read(tiny.write(tmp_path, plugins=["one.py", "two.py"]))
    assert "stripes" not in registries.MASKS


def test_the_faults_of_all_plugins_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(MASK.replace("stripes", "center") + "METRICS = {'z': 3}\n")
    (tmp_path / "two.py").write_text("raise SystemExit\n")
    (tmp_path / "three.py").write_text(MASK)
    with pytest.raises(BadInput) as told:
        read(tiny.write(tmp_path, plugins=["one.py", "two.py", "three.py"]))
    assert [fault.partition(".py:")[0].rpartition("/")[2] for fault in told.value.faults] == ["one", "two", "one"]
    assert "stripes" not in registries.MASKS


@pytest.mark.slow
def test_a_part_that_raises_is_a_failed_run_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(FIT.replace("loss.backward()", "loss.backwards()"))
    file = tiny.write(tmp_path, {"mine": {"method": "mine"}, "mean": {"method": "mean"}}, plugins=["own.py"])
    done = inline.run(file, tmp_path / "out")
    assert done.returncode == 3, done.stderr
    assert "failed: mine/faces/0: AttributeError: 'Tensor' object has no attribute 'backwards'" in done.stdout
    (trace,) = (tmp_path / "out" / "failures").iterdir()
    assert "own.py" in trace.read_text()


def test_the_plan_of_a_study_without_plugins_names_none(tmp_path: Path) -> None:
    assert make_plan(read(tiny.write(tmp_path))).study.plugins == []


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("raise SystemExit(0)", "own.py:1: it ended this program, with exit code 0; raise an exception instead"),
        ("x = = 2\n", "own.py:1: SyntaxError"),
        ("import torch\n\nraise RuntimeError('no')\n", "own.py:3: RuntimeError: no"),
        ("x = 2\n", "it declares no part; write one of METHODS, GENERATORS"),
        ("METHODS = [1]\n", "METHODS must be a dictionary from names to parts"),
        ("LOSSES = {'wgan': object}\n", "LOSSES['wgan']: there is a part of this name already"),
        ("METHODS = {'mine': dict}", "METHODS['mine'] is <class 'dict'>; expected a class of options, a subclass of"),
        ("GENERATORS = {'net': 3}", "GENERATORS['net'] is 3; expected a network's class"),
        (
            MASK.replace('stripes"] = "stripes"', 'x"] = "x"'),
            "add the option  kind: Literal['stripes'] = 'stripes'",
        ),
        (
            METRIC.replace("Own()}", "Own}"),
            "expected an object of a subclass of study.metrics.Metric: Mine(), not Mine",
        ),
        (METRIC.replace('"own": ', '"mine": '), "has the name 'own'; use the name of its entry, 'mine'"),
        (METRIC.replace('"lower"', '"less"'), "has better = 'less'; write 'higher' or 'lower'"),
        (METRIC.replace('("whole",)', '"whole"'), "has regions = 'whole'; write a tuple with any of hole, whole"),
        (
            METRIC.replace('unit, better, regions = "own", "Own", ""', 'better, regions = "own", "Own"'),
            "lacks unit; a study.metrics.Metric has",
        ),
        (
            "from models.method import Filler\nclass F(Filler):\n    filler = 'maen'\nMETHODS = {'f': F}",
            "METHODS['f']: its filler 'maen' is unknown; choose biharmonic, mean (did you mean 'mean'?)",
        ),
    ],
)
def test_a_part_that_is_not_what_its_registry_holds_is_told(source: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(source)
    with pytest.raises(BadInput) as told:
        plugins.use([tmp_path / "own.py"])
    assert sentence in str(told.value)
    assert not plugins.used() and not registries.SOURCES


def test_what_a_plugin_raises_while_a_study_is_planned_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(FIT.replace('return {"kind": "net"', 'return {"kind": net'))
    file = tiny.write(tmp_path, {"mine": {"method": "mine"}}, plugins=["own.py"])
    done = command("plan", file, "--out", tmp_path / "out")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "own.py:20: NameError: name 'net' is not defined" in done.stderr


def test_a_module_beside_a_plugin_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "helper_of_mine.py").write_text("every = 4\n")
    (tmp_path / "own.py").write_text(MASK.replace("import numpy", "from helper_of_mine import every\nimport numpy"))
    for _ in range(2):  # it does not stay imported
        with pytest.raises(
            BadInput, match=r"own\.py: it imports .*helper_of_mine\.py, whose edits would not invalidate results"
        ):
            plugins.use([tmp_path / "own.py"])
        assert "helper_of_mine" not in sys.modules


def test_a_filler_with_a_type_is_told_how_it_is_written(tmp_path: Path) -> None:
    source = "from models.method import Filler\nclass F(Filler):\n    filler: str = 'mean'\nMETHODS = {'f': F}\n"
    (tmp_path / "own.py").write_text(source)
    with pytest.raises(
        BadInput, match=r"METHODS\['f'\] has no 'filler'; write  filler = 'name'  in the class, without"
    ):
        plugins.use([tmp_path / "own.py"])


HASTY = """
from models.method import Filler
from study.metrics import Metric

def grey(masked_image, mask):
    masked_image.mul_(1 - mask)
    return masked_image.add_(mask.mul_(0.5))

class Grey(Filler):
    filler = "grey"

class Own(Metric):
    name, title, unit, better, regions = "a_own", "Own", "", "lower", ("whole",)

    def __call__(self, output, image, mask):
        found = output.sub_(image).abs().mean((1, 2, 3))
        image.zero_()
        found[::2] = float("nan")
        return {"whole": found}

class Late(Own):
    name = "z_late"

    def __call__(self, output, image, mask):
        return {"whole": (output - image).abs().mean((1, 2, 3))}

METHODS = {"grey": Grey}
FILLERS = {"grey": grey}
METRICS = {"a_own": Own(), "z_late": Late()}
"""


def test_parts_that_write_into_what_they_are_given_falsify_nothing(tmp_path: Path) -> None:
    plan = planned(tmp_path, HASTY, {"grey": {"method": "grey"}, "mean": {"method": "mean"}})
    tiny.recorded(plan, tiny.Store(tmp_path / "out"))
    results = load(tmp_path / "out")
    scores = results.scores[results.scores["output"] == "composite"].set_index(["variant", "metric", "region"])["value"]
    assert scores["grey"].max() < 100  # not infinite: the hole that is scored is still there
    late, ours = scores["grey", "z_late", "whole"], scores["grey", "l1", "whole"]
    assert late.to_numpy(float) == pytest.approx(ours.to_numpy(float))
    assert "a_own of whole, composite: no number (for " in str(
        tiny.Store(tmp_path / "out").outcome(keys(plan, "grey")["evaluate"])["warnings"]
    )


def test_a_method_of_a_plugin_stands_in_the_open_and_has_no_readings(tmp_path: Path) -> None:
    plan = planned(tmp_path, FIT, {"mine": {"method": "mine"}, "proposed": tiny.PROPOSED})
    tiny.recorded(plan, tiny.Store(tmp_path / "out"))
    results = load(tmp_path / "out")
    assert results.study["methods"] == ["mine"] and results.own() == ["mine"]
    assert naming.group(results, "mine") == "own" and naming.ordered(results, ["mine", "proposed"]) == [
        "proposed",
        "mine",
    ]
    assert set(results.readings["variant"]) == {"proposed"}
    assert set(readings_table(results)["variants"]) == {"proposed"}
    with pytest.raises(ValueError, match="region: 'boundary' is no region of psnr; choose hole, whole"):
        results.compare("mine", "proposed", region="boundary")


LINK = {"name": "over the mean", "a": "mine", "b": "mean", "metric": "own", "of": "whole", "direction": "less"}


def claiming(**claims: object) -> str:
    return f"CLAIMS = {claims!r}\n"


def claim(**link: object) -> str:
    return claiming(M1={"claim": "x", "links": [{**LINK, **link}]})


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        (claim(metric="onw"), r"own\.py:1: CLAIMS\['M1'\]: links\.0\.metric: 'onw' is unknown; choose psnr, .* own"),
        (claim(direction="no more"), r"CLAIMS\['M1'\]: links\.0: 'margin' is missing"),
        (claim(own=1), r"links\.0: 'own' is unknown; choose name, a, b, metric"),
        (claiming(M1={"claim": "x"}), r"CLAIMS\['M1'\]: 'links' is missing"),
        (claiming(M1="more"), r"CLAIMS\['M1'\] is 'more'; expected a dictionary"),
        (claiming(C3={"claim": "x", "links": [LINK]}), r"C1, C2, \.\.\. are the paper's"),
        ("CLAIMS = [1]\n", r"own\.py:1: CLAIMS must be a dictionary from names to parts"),
        ("\nSECTIONS = {'words': 'words'}\n", r"own\.py:2: SECTIONS\['words'\] is 'words'; expected a function of"),
    ],
)
def test_a_claim_or_section_that_is_wrong_is_told_with_its_place(source: str, fault: str, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(source)
    (tmp_path / "metric.py").write_text(METRIC)
    with pytest.raises(BadInput, match=fault):
        plugins.use([tmp_path / "own.py", tmp_path / "metric.py"])
    assert not registries.CLAIMS and not registries.SECTIONS


def test_own_claims_are_decided_beside_the_paper_s_and_by_own_metrics(tmp_path: Path) -> None:
    m1, m2 = {**LINK, "a": "mine"}, {**LINK, "a": "other", "metric": "psnr", "of": "hole", "direction": "more"}
    claims = claiming(M1={"claim": "Mine is nearer.", "links": [m1]}, M2={"claim": "Other is.", "links": [m2]})
    variants = {name: {"method": "mine", "rate": rate} for name, rate in (("first", 0.01), ("other", 0.02))}
    (tmp_path / "claims.py").write_text(claims)
    (tmp_path / "own.py").write_text(FIT + METRIC)
    file = tiny.write(
        tmp_path, plugins=["own.py", "claims.py"], seeds=[0, 1, 2], variants={**variants, "mean": {"method": "mean"}}
    )
    assert inline.run(file, tmp_path / "out").returncode == 0
    results = load(tmp_path / "out")
    table = results.claims.set_index("id")
    assert list(table.index[-2:]) == ["M1", "M2"] and table.index[0] == "C1"
    assert table.loc["M1", "contrast"] == "first − Mean filler"  # the method's first variant
    assert table.loc["M2", "contrast"] == "other − Mean filler"  # a variant by its name
    assert table.loc["M1", "why"].startswith("Own of the whole image on faces, first against Mean filler: ")
    assert set(table.loc[["M1", "M2"], "outcome"]) <= {"supported", "contradicted", "equivalent", "inconclusive"}
    own = table.loc[["M1", "M2"]]
    undecided = own.index[own["outcome"] == "inconclusive"]
    assert {one.claim for one in looks.undecided(results, ["M1", "M2"], 12)} == set(undecided)
    assert {"M1", "M2"} <= set(looks.power_table(results)["id"])
    done = command("run", str(file), "--until-resolved", "--claims", "m3", cwd=tmp_path)
    assert (
        done.returncode == 2
        and "'M3' is not a claim of the paper; choose C1, " in done.stderr
        and ", M1, M2" in done.stderr
    )


SPOILS = ("print(1000000 * 'x')", "sys.stdout.close()", "sys.stderr.close()", "os.close(1)", "sys.stdout = None")
FILLER = """
import os, signal, sys
def fill(images, masks):
    {late}
    return images * 0 + 0.5
FILLERS = {{"own": fill}}
class Own(Filler):
    filler = "own"
METHODS = {{"own": Own}}
{early}
"""


def spoiling(folder: Path, *, late: str = "pass", early: str = "") -> Path:
    (folder / "own.py").write_text("from models.method import Filler\n" + FILLER.format(late=late, early=early))
    return tiny.write(folder, {"own": {"method": "own"}}, plugins=["own.py"])


@pytest.mark.parametrize("code", ["os._exit(0)", "sys.exit(0)"])
def test_a_plugin_that_ends_the_program_as_it_is_read_is_named(tmp_path: Path, code: str) -> None:
    done = command("plan", spoiling(tmp_path, early=code))
    assert done.returncode == 2 and done.stdout == ""
    assert "own.py:11: it ended this program, with exit code 0; raise an exception instead" in done.stderr


def test_a_run_whose_plugin_ends_its_process_has_failed(tmp_path: Path) -> None:
    plan = make_plan(read(spoiling(tmp_path, late="os._exit(0)")))
    plan.save(tmp_path / "out")
    done = command("work", tmp_path / "out", "--jobs", "1")
    assert "it ended this program, with exit code 0" in done.stdout, done


def test_a_plugin_can_neither_spoil_what_a_command_prints_nor_close_it(tmp_path: Path) -> None:
    file = spoiling(tmp_path, early="; ".join(SPOILS))
    words = [sys.executable, "-m", "study", "plan", str(file), "--json"]  # in a process whose streams may be closed
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and json.loads(done.stdout)["runs"], done.stderr[-500:]
