"""Seeds until there is an answer: which runs a look makes, what is said of each link, and what is refused."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import inline
import pytest
import tiny
from commands import command

from reports.analysis import looks
from reports.analysis.claims import findings as real_findings
from reports.analysis.links import claims
from reports.analysis.looks import Open
from study.cli import until
from study.config import load
from study.config.schema import Tuned
from study.errors import BadInput
from study.plan.graph import Plan
from study.plan.planner import make_plan
from study.results.frames import frames_of
from study.running import driver
from study.store import Store

SMALL = {**tiny.PROPOSED, "multiscale": 0}
VARIANTS = {
    "proposed": SMALL,
    "glcic": tiny.EVERY["glcic"],
    "ce": tiny.EVERY["ce"],
    "reconstruction_only": tiny.EVERY["reconstruction_only"],
    "mean": tiny.EVERY["mean"],
    "local": {"extends": "proposed", "method": "single"},
}
SETS = {
    name: {"kind": "faces", "seed": seed, "train": 12, "validation": 2, "test": 4, "like": like}
    for seed, (name, like) in enumerate((("faces", "CelebA"), ("scenes", "Places2")))
}
Script = dict[int, list[tuple[str, str, str]]]
"""The links that are open by the most seeds of a run: the claim, the link, its variants (a comma between them)."""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write(tmp_path_factory.mktemp("until"), VARIANTS, data=SETS, seeds=[7, 0])


def planned(file: Path, most: int = 12, only: Sequence[str] = ()) -> Plan:
    return make_plan(until.with_seeds(load(file, only=only), most))


@pytest.fixture(scope="module")
def plan(file: Path) -> Plan:
    return planned(file)


class Made:
    """Looks at a study whose runs nobody makes: what is open is said by a script. ``seconds``: of each stage."""

    def __init__(self, out: Path, script: Script, *, data: str = "faces", seconds: float = 0.0) -> None:
        self.store, self.script, self.data, self.seconds = Store(out), script, data, seconds
        self.plans: list[Plan] = []
        self.lines: list[str] = []
        self.summary = driver.Summary()

    def __call__(self, plan: Plan) -> driver.Summary:
        self.plans.append(plan)
        plan.save(self.store.out)
        for key in plan.stages if self.seconds else ():
            if not self.store.has(key):
                self.store.publish(key, {"status": "finished"}, {"key": key, "seconds": self.seconds})
        return self.summary

    def undecided(self, frames: Any, chosen: Sequence[str] | None, most: int) -> list[Open]:
        n = int(frames.runs.groupby(["variant", "data"]).size().max())
        return [
            Open(
                claim=claim,
                link=link.rstrip("!"),
                data=self.data,
                variants=tuple(variants.split(",")),
                n=n,
                possible=not link.endswith("!"),
                why="it takes too many",
            )
            for claim, link, variants in self.script.get(n, [])
        ]

    def run(
        self,
        plan: Plan,
        chosen: list[str] | None = None,
        *,
        most: int = 12,
        budget_s: float | None = None,
        workers: int = 1,
    ) -> Plan:
        asked = until.Request(claims=chosen, most=most, budget_s=budget_s)
        own = {"looks": until.looks_of(plan.study, self.store.out, asked)}
        plan = replace(plan, study=plan.study.model_copy(update=own))
        with mock.patch.object(looks, "undecided", self.undecided):
            say = self.lines.append
            found, summary = until.until_resolved(plan, self.store, asked, make=self, say=say, workers=workers)
        assert summary is self.summary or not self.plans
        return found

    def said(self, start: str) -> list[str]:
        return [line for line in self.lines if line.startswith(start)]


def seeds(plan: Plan) -> dict[str, list[int]]:
    """The seeds by variant and data set."""
    found: dict[str, list[int]] = {}
    for run in plan.runs:
        found.setdefault(f"{run.variant}/{run.data}", []).append(run.seed)
    return found


ORDER = [7, 0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11]


def test_the_studys_seeds_come_first_then_the_smallest_that_nothing_used(file: Path) -> None:
    study = load(file)
    assert until.with_seeds(study, 12).seeds == ORDER
    tuned = {"best": Tuned(extends="proposed", seeds=[1, 3], trials=1, trial=0, validation_psnr_db=1.0)}
    assert until.with_seeds(replace(study, tuned=tuned), 5).seeds == [7, 0, 2, 4, 5]
    assert until.with_seeds(replace(study, seeds=list(range(20))), 5).seeds == [0, 1, 2, 3, 4]
    fewer = load(file, seeds=[5, 6, 8])
    assert fewer.left_out_seeds == [7, 0]
    added = until.with_seeds(fewer, 6)
    assert (added.seeds, added.left_out_seeds) == ([5, 6, 8, 0, 1, 2], [7])


def test_a_look_gives_seeds_to_what_an_open_link_compares_and_to_nothing_else(plan: Plan, tmp_path: Path) -> None:
    script = {3: [("C1", "over GLCIC", "proposed,glcic"), ("C1", "over CE!", "proposed,ce")]}
    script |= {5: [("C1", "over GLCIC", "proposed,glcic")], 8: []}
    made = Made(tmp_path, script)
    found = made.run(plan)
    first, second, third = map(seeds, made.plans)
    assert set(first) == {f"{variant}/{data}" for variant in VARIANTS for data in SETS}  # no claim is chosen
    assert all(own == ORDER[:3] for own in first.values())
    open_ones = ("proposed/faces", "glcic/faces")
    assert second == {**first, **dict.fromkeys(open_ones, ORDER[:5])}
    assert third == {**first, **dict.fromkeys(open_ones, ORDER[:8])}
    assert seeds(found) == third and Plan.of(tmp_path) == found
    assert found.study.looks == looks.looks_until(12) and found.study.seeds == ORDER[:8]
    assert json.loads((tmp_path / "plan.json").read_text())["study"]["looks"]["3"] == looks.LOOKS[3]
    assert frames_of(found, tmp_path).study["looks"] == looks.LOOKS


def test_its_runs_are_those_of_a_plain_study(plan: Plan, file: Path, tmp_path: Path) -> None:
    found = Made(tmp_path, {3: [("C1", "over GLCIC", "proposed,glcic")]}).run(plan)
    plain = make_plan(load(file, seeds=ORDER[:5]))
    known = {run.name: run for run in plain.runs}
    assert all(run == known[run.name] for run in found.runs)
    assert found.stages.items() <= plain.stages.items()
    assert set(found.stages) == {key for run in found.runs for key in run.stages.values()}
    assert {need for stage in found.stages.values() for need in stage.needs.values()} <= set(found.stages)


def test_a_chosen_claim_needs_only_what_it_compares(plan: Plan, tmp_path: Path) -> None:
    """The reference, by which others are found, the fillers of a link about one, and the controls are among them."""
    for number, (chosen, needed) in enumerate(
        {
            "C1": {"proposed/faces", "glcic/faces", "ce/faces", "reconstruction_only/faces"},
            "C7": {"proposed/faces", "local/faces"},
            "C12": {"proposed/faces", "proposed/scenes", "mean/faces", "mean/scenes"},
            "C14": {"proposed/faces", "proposed/scenes"},
            "C15": {"proposed/faces", "reconstruction_only/faces"},
        }.items()
    ):
        assert set(seeds(Made(tmp_path / str(number), {}).run(plan, [chosen]))) == needed, chosen


def test_what_the_chosen_claims_do_not_need_is_recorded_as_left_out(plan: Plan, file: Path, tmp_path: Path) -> None:
    made = Made(tmp_path / "a", {3: [("C7", "a global critic beside the local one", "proposed,local")]})
    made.run(plan, ["C7"])
    for found in (*made.plans, Plan.of(tmp_path / "a")):
        ran = {(run.variant, run.data) for run in found.runs}
        left_out = {(name, data) for name, one in found.study.left_out.items() for data in one.data}
        assert left_out == {(run.variant, run.data) for run in plan.runs} - ran
        assert {one.by for one in found.study.left_out.values()} == {"--claims"}
    frames = frames_of(Plan.of(tmp_path / "a"), tmp_path / "a")
    (over_glcic, _) = real_findings(frames, ["C1"])
    assert "no run of glcic on faces; --claims left it out: run without --claims" in over_glcic[2].why
    assert not Made(tmp_path / "b", {}).run(plan).study.left_out  # all claims
    both = Made(tmp_path / "c", {}).run(planned(file, only=["proposed", "glcic", "mean"]), ["C1"]).study.left_out
    assert (both["ce"].by, both["mean"].by) == ("--only", "--claims")


def test_data_that_stand_beside_none_of_the_papers_decide_claims_under_their_own_name(tmp_path: Path) -> None:
    kept = {key: value for key, value in SETS["faces"].items() if key != "like"}
    file = tiny.write(tmp_path, VARIANTS, data={"mine": kept})
    plan = planned(file)
    mine = plan.study.data["mine"].model_copy(update={"kind": "folder"})
    plan = replace(plan, study=plan.study.model_copy(update={"data": {"mine": mine}}))
    found = Made(tmp_path / "out", {}, data="mine").run(plan, ["C1"])
    assert set(seeds(found)) == {f"{name}/mine" for name in ("proposed", "glcic", "ce", "reconstruction_only")}


def test_a_link_that_holds_only_with_critics_needs_the_control(file: Path, tmp_path: Path) -> None:
    variants = {**VARIANTS, "proposed": tiny.PROPOSED, "none": SMALL, "two": {**SMALL, "multiscale": 2}}
    study = tiny.write(tmp_path, variants, image_size=64)
    found = Made(tmp_path / "out", {}).run(planned(study), ["C3"])
    assert {run.variant for run in found.runs} == {"proposed", "none", "two", "reconstruction_only"}


def test_each_link_has_one_line_until_it_changes(plan: Plan, tmp_path: Path) -> None:
    both = [("C14", "PSNR", "proposed"), ("C14", "SSIM!", "proposed")]
    made = Made(tmp_path, {3: both, 5: both[1:], 8: []}, data="faces and scenes")
    with mock.patch("reports.analysis.claims.findings", scripted(made)):
        found = made.run(plan, ["C14"])
    assert seeds(found) == dict.fromkeys(("proposed/faces", "proposed/scenes"), ORDER[:5])
    assert made.said("C14") == [
        "C14, SSIM: it takes too many; left at 3 seeds",
        "C14, PSNR: supported at 5 seeds",
    ]
    assert made.said("1 of 2 links") and made.said("0 of 2 links")


def scripted(made: Made) -> Callable[..., list[tuple[Any, ...]]]:
    """The findings, but inconclusive where the script says so, and otherwise supported."""

    def findings(frames: Any, chosen: Any = None, *, controls: bool = False) -> list[tuple[Any, ...]]:
        still = {(one.claim, one.link) for one in made.undecided(frames, None, 0)}
        n = int(frames.runs.groupby(["variant", "data"]).size().max())
        return [
            (name, link, replace(found, outcome="inconclusive" if (name, link.name) in still else "supported", n=n))
            for name, link, found in real_findings(frames, chosen, controls=controls)
        ]

    return findings


def test_the_last_look_is_said_as_it_is_and_a_link_can_open_again(plan: Plan, tmp_path: Path) -> None:
    one, other = ("C14", "PSNR", "proposed"), ("C14", "SSIM", "proposed")
    made = Made(tmp_path, {3: [one], 5: [one, other], 8: [one, other]}, data="faces and scenes")
    with mock.patch("reports.analysis.claims.findings", scripted(made)):
        made.run(plan, ["C14"], most=8)
    assert made.said("C14") == [
        "C14, SSIM: supported at 3 seeds",
        "C14, SSIM: open again at 5 seeds",
        "C14, PSNR: inconclusive at 8 seeds",
        "C14, SSIM: inconclusive at 8 seeds",
    ]


def test_a_link_that_the_study_lacks_says_so(plan: Plan, file: Path, tmp_path: Path) -> None:
    made = Made(tmp_path / "a", {})
    made.run(planned(file, only=["proposed", "glcic"]), ["C1"])
    (line,) = made.said("C1, over CE")
    assert line.startswith("C1, over CE: not tested:") and "--only left it out: add --only ce" in line
    made = Made(tmp_path / "b", {})
    made.run(plan, ["C1", "C11"])
    (line,) = made.said("C11")
    assert line.startswith("C11, over one stage: not tested:") and "three_stages_false" in line


@pytest.mark.parametrize(
    ("only", "chosen", "sentence"),
    [
        (["mean"], None, "decides a claim: PSNR of the hole: this study has no run of proposed on faces; --only left"),
        (["mean"], None, "add --only proposed; this study has no run of glcic on faces; --only left it out"),
        (["proposed"], ["C1", "C7"], "runs nothing that decides C1, C7: PSNR of the hole: this study has no run of g"),
        (["proposed"], ["C1", "C7"], "--only left it out: add --only glcic"),
        (["glcic", "ce"], ["C1"], "this study runs nothing that decides C1: PSNR of the hole: this study has no run"),
        (["glcic", "ce"], ["C1"], "--only left it out: add --only proposed"),
        ([], ["C11"], "this study runs nothing that decides C11: PSNR of the hole: this study has no run of"),
        (["mean"], ["C11"], "this study runs nothing that decides C11: PSNR of the hole"),
        ([], ["C8"], "--claims C8: computed from the networks, without seeds; choose a claim that runs decide"),
    ],
)
def test_a_study_without_a_claims_variants_is_refused(
    file: Path, tmp_path: Path, only: list[str], chosen: list[str] | None, sentence: str
) -> None:
    made = Made(tmp_path, {})
    with pytest.raises(BadInput) as refused:
        made.run(planned(file, only=only), chosen)
    assert sentence in str(refused.value) and not made.plans and not (tmp_path / "plan.json").exists()


# The budget: each stage takes 10 s; a further seed of proposed or glcic has four or five of them

ALWAYS: Script = {n: [("C1", "over GLCIC", "proposed,glcic")] for n in (3, 5, 8)}


def test_a_look_that_cannot_be_paid_is_not_begun(plan: Plan, tmp_path: Path) -> None:
    made = Made(tmp_path, ALWAYS, seconds=10.0)
    with mock.patch("reports.analysis.claims.findings", scripted(made)):
        found = made.run(plan, ["C1"], budget_s=200.0)
    new = 10 * (len(made.plans[1].stages) - len(made.plans[0].stages))
    assert len(made.plans) == 2 and found == made.plans[1]
    assert made.said("look at 5 seeds")[0].endswith(f"stages, about {timedelta(seconds=new)}")
    assert made.said("C1") == [
        "C1, over CE: supported at 3 seeds",
        "C1, over GLCIC: out of budget; inconclusive at 5 seeds",
    ]
    dear = timedelta(seconds=new * 3 / 2)  # three more seeds, after two
    assert made.lines[-2] == f"the look at 8 seeds takes about {dear}, more than is left of the budget"


def test_workers_share_the_cost_but_a_run_is_no_shorter(plan: Plan, tmp_path: Path) -> None:
    made = Made(tmp_path, ALWAYS, seconds=10.0)
    made.run(plan, ["C1"], most=5, workers=1000)
    longest = max(len(set(run.stages.values())) - 1 for run in made.plans[1].runs if run.variant == "glcic")
    longest = max(longest, *(len(set(run.stages.values())) - 1 for run in made.plans[1].runs if run.seed == 3))
    assert made.said("look at 5 seeds")[0].endswith(f"about 0:00:{longest * 10}")


def test_a_budget_that_cannot_pay_the_first_look_is_refused(plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(
        BadInput, match="the look at 3 seeds takes time, more than is left of the budget; give more time"
    ):
        Made(tmp_path / "a", {}).run(plan, ["C1"], budget_s=-1.0)
    store = Store(tmp_path / "b")
    for key in plan.only(lambda run: run.seed == 7).stages:
        store.publish(key, {"status": "finished"}, {"key": key, "seconds": 1000.0})
    with pytest.raises(BadInput, match=r"the look at 3 seeds takes about \d:\d\d:\d\d, more than is left"):
        Made(tmp_path / "b", {}).run(plan, ["C1"], budget_s=900.0)
    assert not (tmp_path / "b" / "plan.json").exists()


def test_levels_are_spent_once(plan: Plan, tmp_path: Path) -> None:
    most = {n: until.Request(claims=None, most=n, budget_s=None) for n in (3, 5, 8, 12)}
    assert until.looks_of(plan.study, tmp_path, None) is None
    assert until.looks_of(plan.study, tmp_path, most[12]) == looks.LOOKS
    Made(tmp_path, {}).run(plan, ["C1"], most=8)
    saved = (tmp_path / "plan.json").read_bytes()
    for again in (None, most[8]):
        assert until.looks_of(plan.study, tmp_path, again) == looks.looks_until(8)
    for other in (3, 5, 12):
        with pytest.raises(BadInput) as refused:
            Made(tmp_path, {}).run(plan, ["C7"], most=other)
        assert str(refused.value) == (
            f"--max-seeds {other}: {tmp_path} has looks at 3, 5 and 8 seeds, and their levels can be spent once; "
            "give --max-seeds 8, or another --out"
        )
    assert (tmp_path / "plan.json").read_bytes() == saved
    for another in ({"name": "another"}, {"profile": "paper"}):
        assert until.looks_of(plan.study.model_copy(update=another), tmp_path, most[3]) == looks.looks_until(3)
    (tmp_path / "plan.json").write_text('{"study": []}')
    assert until.looks_of(plan.study, tmp_path, most[3]) == looks.looks_until(3)


def test_without_a_budget_time_does_not_count() -> None:
    assert until.Request(claims=None, most=12, budget_s=None, started=-1e9).left_s() == math.inf
    assert until.Request(claims=None, most=12, budget_s=5.0).left_s() <= 5.0


@pytest.mark.parametrize("how", ["interrupted", "failed"])
def test_it_stops_where_runs_fail_or_the_user_stops_it(plan: Plan, tmp_path: Path, how: str) -> None:
    made = Made(tmp_path, ALWAYS)
    setattr(made.summary, how, {"glcic/faces/0": "no memory"} if how == "failed" else True)
    found = made.run(plan, ["C1"])
    assert len(made.plans) == 1 and Plan.of(tmp_path) == found
    assert bool(made.said("stopped in the look at 3 seeds")) == (how == "failed")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--until-resolved --claims C99", "--claims C99: 'C99' is not a claim of the paper; choose C1, C2, C3"),
        ("--until-resolved --claims C3-scaled", "--claims C3-scaled: C3-scaled is decided together with C3; give C3"),
        ("--until-resolved --claims C8-scaled", "--claims C8-scaled: 'C8-SCALED' is not a claim of the paper"),
        ("--until-resolved --claims C1,", "--claims C1,: '' is not a claim of the paper"),
        ("--claims C1", "--claims: only with --until-resolved; add it"),
        ("--max-seeds 5 --budget 6h", "--max-seeds and --budget: only with --until-resolved; add it"),
        ("--until-resolved --max-seeds 2", "--max-seeds 2: fewer than 3 seeds decide nothing; give 3 or more"),
        ("--until-resolved --max-seeds 1001", "--max-seeds 1001: give at most 1000"),
        ("--until-resolved --seeds 0-12", "--seeds names 13 seeds, more than --max-seeds 12; raise that"),
        *(
            (f"--until-resolved --budget {text}", f"--budget {text}: write a time above zero, such as 90s, 45m, 6h")
            for text in ("0s", "6", "h", "6 h", "-1h", "1w", "0.0d")
        ),
    ],
)
def test_bad_options_are_a_sentence_and_two(file: Path, tmp_path: Path, arguments: str, sentence: str) -> None:
    words = arguments.replace("6 h", "6_h").split()
    found = command("run", file, "--out", tmp_path, *(word.replace("_", " ") for word in words))
    assert found.returncode == 2 and found.stderr.startswith(sentence), found.stderr
    assert found.stderr.count("\n") == 1 and not list(tmp_path.iterdir())


def test_the_time_of_a_budget() -> None:
    texts = {"90s": 90, "45m": 2700, "6h": 21600, "2d": 172800, "1.5h": 5400, " 1m ": 60}
    assert {text: until.options.seconds_of(text) for text in texts} == texts


# A study that is really trained

TRAINED = {name: VARIANTS[name] for name in ("proposed", "mean")}
DATA = {"faces": {"kind": "faces", "seed": 1, "train": 4, "validation": 1, "test": 8}}
STEPS = {"steps": {"pretrain": 1, "critic": 1, "joint": 1}, "log_every": 1}


def trained(file: Path, out: Path, *more: str, script: Script | None = None) -> str:
    judge = looks.undecided if script is None else Made(out, script).undecided
    with mock.patch.object(looks, "undecided", judge):
        done = inline.run(file, out, inline.Inline, "--until-resolved", "--max-seeds", "5", *more)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_it_makes_the_bytes_of_a_plain_run_and_goes_on_where_it_was(tmp_path: Path) -> None:
    file, out = tiny.write(tmp_path, TRAINED, data=DATA, defaults=STEPS), tmp_path / "out"
    script: Script = {3: [("C12", "over a trivial filler", "proposed")]}
    text = trained(file, out, script=script)
    plan = Plan.of(out)
    assert seeds(plan) == {"proposed/faces": [*range(5)], "mean/faces": [*range(3)]}
    assert "8 of 8 runs completed" in text and "look at 3 seeds: 6 runs" in text and "look at 5 seeds: 8 runs" in text
    (lost,) = [run.stages["evaluate"] for run in plan.runs if run.name == "proposed/faces/4"]
    before = {file: file.read_bytes() for file in (out / "stages").rglob("*") if file.is_file()}
    saved = (out / "plan.json").read_bytes()

    shutil.rmtree(out / "stages" / lost)
    text = trained(file, out, script=script)  # it makes this one only
    assert text.count("made ") == 1 and "made proposed, seed 4" in text and "look at 3 seeds" not in text
    assert (out / "plan.json").read_bytes() == saved
    assert before == {file: file.read_bytes() for file in (out / "stages").rglob("*") if file.is_file()}

    done = inline.run(file, out, inline.Inline, "--seeds", "0-4")  # a plain run keeps the looks, and says so
    assert done.returncode == 0 and "has looks from --until-resolved: they are kept" in done.stdout, done.stderr
    assert Plan.of(out).study.looks == looks.looks_until(5)

    last = tiny.run_of(plan, "proposed", 4).stages.values()
    plain = tiny.made(make_plan(load(file, seeds=[*range(5)])), Store(tmp_path / "plain"), last)
    assert all(tiny.published(plain, key) == tiny.published(Store(out), key) for key in last)


@pytest.mark.slow
def test_the_real_rule_on_a_real_study(tmp_path: Path) -> None:
    """Each link of the chosen claims is told, and each variant has a look's number of seeds."""
    file, out = tiny.write(tmp_path, TRAINED, data=DATA, defaults=STEPS), tmp_path / "out"
    lines = trained(file, out, "--claims", "c10,C12").splitlines()
    plan, chosen = Plan.of(out), [claim for claim in claims() if claim.id in ("C10", "C12")]
    assert {len(own) for own in seeds(plan).values()} <= {3, 5} and plan.study.looks == looks.looks_until(5)
    for claim in chosen:
        assert all(any(line.startswith(f"{claim.id}, {link.name}") for line in lines) for link in claim.links)
    shown = {claim["id"]: claim for claim in json.loads(command("claims", out, "--json").stdout)}
    assert {link["n"] for claim in chosen for link in shown[claim.id]["links"]} <= {3, 5}
