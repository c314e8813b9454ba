"""The graph of a study: a stage's key names all that it reads and nothing else, and equal stages are one."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from commands import command
from hypothesis import given, settings
from hypothesis import strategies as st

from models.method import Trained
from study import config
from study.config import Study
from study.config.variants import NAME
from study.errors import BadInput
from study.facts import StudyFacts
from study.plan.graph import KINDS, Plan, Run, Stage, json_digest, pass_of
from study.plan.planner import make_plan
from study.plan.readings import readings
from study.store import read_facts

ROOT = Path(__file__).parents[3]
BASE = """\
image_size: 64
seeds: [0, 1]
data: {faces: {kind: faces, train: 50, validation: 5, test: 5}}
recipes:
  wgan: {kind: wgan, clip: 0.01, optimizer: {kind: rmsprop, lr: 1.0e-4}}
  js: {kind: js, norm: batch, optimizer: {kind: adam, lr: 2.0e-4}}
defaults: {batch: 4, steps: {pretrain: 8, critic: 4, joint: 8}, width: 0.0625, log_every: 2}
variants:
  proposed: {method: proposed, loss: wgan}
"""
ALL = (
    BASE
    + """\
  ce: {method: ce}
  glcic: {method: glcic}
  single: {extends: proposed, method: single}
  reconstruction_only: {extends: proposed, method: reconstruction_only}
  mean: {method: mean}
  biharmonic: {method: biharmonic}
  twin: {extends: proposed, weights: {local: 0.001}}
ablations:
  critics: {reference: proposed, factors: {multiscale: [0, 2], loss: [wgan, js]}}
"""
)


@pytest.fixture(scope="module")
def study_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Study]:
    file = tmp_path_factory.mktemp("study") / "runs.yaml"

    @cache
    def made(text: str = ALL, *more: str, name: str = "runs.yaml") -> Study:
        place = file.with_name(name)
        place.write_text(text)
        return config.load(place, settings=more)

    return made


@pytest.fixture(scope="module")
def whole(study_of: Callable[..., Study]) -> Plan:
    return make_plan(study_of())


def roles(plan: Plan, variant: str = "proposed", seed: int = 0) -> dict[str, str]:
    """The keys of a run's stages by role."""
    (run,) = (run for run in plan.runs if (run.variant, run.data, run.seed) == (variant, "faces", seed))
    return run.stages


CRITICS = {"critic.local", "critic.global", "critic.half", "critic.quarter"}
LAST = {"joint", "evaluate"}
TRAINED = {"pretrain", *CRITICS, *LAST}
EVERYTHING = {"data", *TRAINED}

READS = {
    # eq. (8): the weights are read where the generator is trained against the critics, and not before
    "variants.proposed.weights.local=0.5": LAST,
    "variants.proposed.weights.quarter=0.5": LAST,
    "variants.proposed.weights.eighth=0.5": set(),  # of a critic that this variant has not
    "variants.proposed.total_weight=0.5": LAST,
    "variants.proposed.total_weight=0.004": set(),  # what they add up to already
    # the critics' recipe
    "recipes.wgan.optimizer.lr=0.5": CRITICS | LAST,
    "recipes.wgan.clip=0.5": CRITICS | LAST,
    "recipes.wgan.critic_steps=2": CRITICS | LAST,
    "recipes.wgan.norm=layer": CRITICS | LAST,
    "recipes.wgan.form=null": set(),  # as if it were not said
    "recipes.wgan={kind: wgan_gp, penalty: 10.0, optimizer: {kind: rmsprop, lr: 1.0e-4}}": CRITICS | LAST,
    "recipes.js.optimizer.lr=0.5": set(),  # of a recipe that it does not name
    "variants.proposed.head=patch": CRITICS | LAST,
    "variants.proposed.critic_input=raw": CRITICS | LAST,
    # of one critic alone
    "variants.proposed.critic_tables=exchanged": {"critic.local", "critic.global"} | LAST,
    "variants.proposed.downsample=area": {"critic.half", "critic.quarter"} | LAST,
    "variants.proposed.downsample=none": {"critic.half", "critic.quarter"} | LAST,
    "variants.proposed.real_window=independent": {"critic.local"} | LAST,
    # the generator and what it is trained on
    "variants.proposed.optimizer={kind: adam, lr: 0.5}": TRAINED,
    "variants.proposed.norm=none": TRAINED,
    "variants.proposed.fill=mean": TRAINED,
    "variants.proposed.reduction=sum": TRAINED,
    "variants.proposed.flips=false": TRAINED,
    "variants.proposed.mask.kind=random_box": TRAINED,
    "variants.proposed.mask={kind: free_form, brush: 0.1}": TRAINED,
    "variants.proposed.dilated=false": TRAINED,
    "variants.proposed.leave_out=none": set(),
    "variants.proposed.three_stages=true": set(),
    "variants.proposed.rates.pretrain.lr=0.5": TRAINED,
    "variants.proposed.rates.joint.lr=0.5": LAST,
    "defaults.batch=5": TRAINED,
    "defaults.width=0.125": TRAINED,
    "defaults.log_every=4": TRAINED,
    "defaults.steps.pretrain=10": TRAINED,
    "defaults.steps.critic=6": CRITICS | LAST,
    "defaults.steps.joint=10": LAST,
    "numerics.precision=bf16": TRAINED,
    "numerics.memory_format=contiguous": TRAINED,
    # the data
    "image_size=128": EVERYTHING,
    "data.faces.seed=1": EVERYTHING,
    "data.faces.train=51": EVERYTHING,
    # the evaluation
    "protocol.mask.kind=random_box": {"evaluate"},
    "protocol.mask={kind: free_form}": {"evaluate"},
    "protocol.seed=1": {"evaluate"},
    "protocol.pictures=1": {"evaluate"},
    # names, and what is run beside it
    "study=another": set(),
    "observers=[{kind: sql, url: 'sqlite://'}]": set(),
    "seeds=[0, 1, 2]": set(),
    "variants.more={extends: proposed, batch: 7}": set(),
    "multiverses={all: {base: [proposed], vary: {head: [mean, patch]}}}": set(),
    "data.more={kind: faces, train: 9}": set(),
}


def changed(before: Plan, after: Plan) -> set[str]:
    old, new = roles(before), roles(after)
    assert list(old) == list(new)
    return {role for role in old if old[role] != new[role]}


@pytest.mark.parametrize("setting", READS)
def test_a_key_changes_with_what_its_stage_reads_alone(setting: str, study_of: Callable[..., Study]) -> None:
    assert changed(make_plan(study_of(BASE)), make_plan(study_of(BASE, setting))) == READS[setting]


FREE = [setting for setting in READS if not setting.startswith(("data.more", "variants.more", "image_size"))]


@settings(max_examples=30, deadline=None)
@given(st.sets(st.sampled_from(FREE), max_size=5))
def test_several_changes_change_what_each_of_them_does(study_of: Callable[..., Study], several: set[str]) -> None:
    after = make_plan(study_of(BASE, *sorted(several)))
    assert changed(make_plan(study_of(BASE)), after) == set().union(*(READS[setting] for setting in several))


def test_the_kind_of_device_is_in_the_keys(study_of: Callable[..., Study]) -> None:
    assert changed(make_plan(study_of(BASE)), make_plan(study_of(BASE), device="cuda")) == TRAINED


def test_the_seed_is_in_all_keys_but_the_datas(whole: Plan) -> None:
    zero, one = roles(whole, seed=0), roles(whole, seed=1)
    assert {role for role in zero if zero[role] == one[role]} == {"data"}
    assert {run.stages["evaluate"] for run in whole.runs if run.variant == "mean"} == {roles(whole, "mean")["evaluate"]}


@settings(max_examples=20, deadline=None)
@given(st.from_regex(NAME, fullmatch=True), st.from_regex(NAME, fullmatch=True))
def test_names_change_nothing(study_of: Callable[..., Study], variant: str, data: str) -> None:
    study = study_of(BASE)
    named = replace(
        study,
        variants={variant: replace(study.variants["proposed"], name=variant)},
        data={data: study.data["faces"]},
        data_nodes={},
        name="other",
    )
    plan = make_plan(named)
    assert list(plan.stages) == list(make_plan(study).stages)
    assert plan.runs[0].name == f"{variant}/{data}/0"


def test_variants_with_one_generator_share_its_pretraining(whole: Plan) -> None:
    ours = ("proposed", "single", "reconstruction_only", "proposed:multiscale=0", "proposed:loss=js")
    assert len({roles(whole, variant)["pretrain"] for variant in ours}) == 1
    assert len({roles(whole, variant)["joint"] for variant in ours}) == len(ours)
    assert roles(whole, "glcic")["pretrain"] != roles(whole)["pretrain"]
    assert "pretrain" not in roles(whole, "ce")
    starts = {run.variant: run.start for run in whole.runs if run.seed == 0}
    assert starts["proposed"] == starts["single"] == roles(whole)["pretrain"]
    assert starts["ce"] == roles(whole, "ce")["joint"]
    assert starts["mean"] == ""


def test_variants_with_one_critic_and_loss_share_its_stage(whole: Plan) -> None:
    proposed = roles(whole)
    for role in ("critic.local", "critic.global"):
        assert roles(whole, "proposed:multiscale=0")[role] == proposed[role]
        assert roles(whole, "proposed:loss=js")[role] != proposed[role]
    assert roles(whole, "single")["critic.local"] == proposed["critic.local"]
    js = roles(whole, "proposed:loss=js")
    assert roles(whole, "proposed:multiscale=0,loss=js")["critic.local"] == js["critic.local"]


LEFT_OUT = """\
ablations:
  each: {reference: proposed, factors: {leave_out: [none, local, global, half, quarter]}}
"""


def test_a_critic_that_is_left_out_leaves_the_others_as_they_are(study_of: Callable[..., Study]) -> None:
    plan = make_plan(study_of(BASE + LEFT_OUT))
    whole = roles(plan)
    for view in ("local", "global", "half", "quarter"):
        less = roles(plan, f"proposed:leave_out={view}")
        assert {role for role in whole if less.get(role) != whole[role]} == {f"critic.{view}", *LAST}
        assert f"critic.{view}" not in less
        assert set(plan.stages[less["joint"]].options["critics"]) == {"local", "global", "half", "quarter"} - {view}


def test_one_stage_has_the_updates_of_three(study_of: Callable[..., Study]) -> None:
    plan = make_plan(study_of(BASE + "  at_once: {extends: proposed, three_stages: false}\n"))
    three, one = (next(run for run in plan.runs if run.variant == variant) for variant in ("proposed", "at_once"))
    assert list(one.stages) == ["data", "joint", "evaluate"]
    assert one.updates == three.updates == plan.stages[one.stages["joint"]].steps == 16
    joint = plan.stages[one.stages["joint"]]
    assert joint.options["first_update"] == 0 and joint.needs == {"data": one.stages["data"]}
    assert joint.options["critics"] == plan.stages[three.stages["joint"]].options["critics"]
    assert one.start == one.stages["joint"] != three.start


def test_the_total_weight_is_shared_out_among_the_critics_in_use(study_of: Callable[..., Study]) -> None:
    def weights(*more: str) -> dict[str, float]:
        own = ["variants.proposed.weights={local: 0.003}", *(f"variants.proposed.{option}" for option in more)]
        plan = make_plan(study_of(BASE, *own))
        critics = plan.stages[roles(plan)["joint"]].options["critics"]
        return {view: critic["weight"] for view, critic in critics.items()}

    assert weights() == {"local": 0.003, "global": 0.001, "half": 0.001, "quarter": 0.001}
    assert weights("total_weight=0.6") == pytest.approx({"local": 0.3, "global": 0.1, "half": 0.1, "quarter": 0.1})
    assert weights("total_weight=0.6", "multiscale=0") == pytest.approx({"local": 0.45, "global": 0.15})
    assert weights("total_weight=0.6", "multiscale=0", "leave_out=local") == pytest.approx({"global": 0.6})


def test_without_dilation_the_generator_costs_the_same(study_of: Callable[..., Study]) -> None:
    plan = make_plan(study_of(BASE + "  dense: {extends: proposed, dilated: false}\n"))
    dilated, dense = (next(run for run in plan.runs if run.variant == variant) for variant in ("proposed", "dense"))
    assert (dense.parameters, dense.critic_parameters) == (dilated.parameters, dilated.critic_parameters)
    for role in TRAINED:
        one, other = plan.stages[dilated.stages[role]], plan.stages[dense.stages[role]]
        assert one.key != other.key and (one.work, one.forward) == (other.work, other.forward)
    generators = [plan.stages[run.stages["pretrain"]].options["generator"] for run in (dilated, dense)]
    assert "dilations" not in generators[0] and generators[1]["dilations"] == [1, 1, 1, 1]


def test_a_critic_that_sees_all_at_full_size_costs_more_and_has_as_many_weights(study_of: Callable[..., Study]) -> None:
    plan = make_plan(study_of(BASE + "  full: {extends: proposed, downsample: none}\n"))
    small, full = (next(run for run in plan.runs if run.variant == variant) for variant in ("proposed", "full"))
    assert full.critic_parameters == small.critic_parameters
    for role, factor in {"critic.half": 4, "critic.quarter": 16}.items():
        work = [plan.stages[run.stages[role]].work for run in (small, full)]
        assert work[1] == pytest.approx(factor * work[0], rel=0.01)


def test_the_form_of_the_js_loss_is_the_generators_affair(study_of: Callable[..., Study]) -> None:
    js = ["variants.proposed.loss=js"]
    before = make_plan(study_of(BASE, *js))
    assert changed(before, make_plan(study_of(BASE, *js, "recipes.js.form=saturating"))) == LAST


def test_two_names_of_one_configuration_are_one_run(whole: Plan) -> None:
    assert [run.aliases for run in whole.runs if run.variant == "proposed"] == [["twin"], ["twin"]]
    assert not [run for run in whole.runs if run.variant == "twin"]
    assert len({run.name for run in whole.runs}) == len(whole.runs)


def test_without_sharing_the_data_alone_is_shared(study_of: Callable[..., Study], whole: Plan) -> None:
    apart = make_plan(study_of(), share=False)
    users = apart.users()
    assert {apart.stages[key].kind for key, names in users.items() if len(names) > 1} == {"data"}
    assert {run.variant for run in apart.runs} == {run.variant for run in whole.runs} | {"twin"}
    assert not any(run.aliases for run in apart.runs)
    assert not set(apart.stages) & {key for key, stage in whole.stages.items() if stage.kind != "data"}
    assert all(len({pass_of(apart.stages[key]) for key in keys}) == 1 for keys in apart.passes())

    # what is made is the same: the keys differ, and nothing else that a stage reads
    def content(plan: Plan, key: str) -> str:
        stage = plan.stages[key]
        return json_digest([stage.kind, stage.options, stage.seed, [content(plan, k) for k in stage.needs.values()]])

    alone = {(run.variant, run.seed): run for run in apart.runs}
    for run in whole.runs:
        other = alone[run.variant, run.seed]
        assert list(run.stages) == list(other.stages)
        for role, key in run.stages.items():
            assert content(whole, key) == content(apart, other.stages[role])


def test_sharing_saves_work(study_of: Callable[..., Study], whole: Plan) -> None:
    work = whole.work()
    assert 0 < work["shared"] < work["unshared"]
    one = make_plan(study_of(BASE, "seeds=[0]")).work()
    assert one["shared"] == one["unshared"]
    assert make_plan(study_of(BASE, "seeds=[0]"), share=False).work() == one
    apart = make_plan(replace(study_of(), seeds=[0]), share=False)
    assert apart.work()["shared"] == apart.work()["unshared"]


def test_a_stages_work_is_its_own_whoever_shares_it(study_of: Callable[..., Study]) -> None:
    alone = make_plan(study_of(BASE))
    beside = make_plan(study_of(BASE + "  raw: {extends: proposed, critic_input: raw}\n"))
    assert all(beside.stages[key] == stage for key, stage in alone.stages.items())


SEVERAL = ("proposed", "ce", "glcic", "single", "reconstruction_only", "mean", "twin", "proposed:loss=js")


@settings(max_examples=25, deadline=None)
@given(st.sets(st.sampled_from(SEVERAL), min_size=1))
def test_work_shared_is_never_more(study_of: Callable[..., Study], names: set[str]) -> None:
    study = study_of()
    plan = make_plan(replace(study, variants={name: study.variants[name] for name in names}))
    work = plan.work()
    assert 0 <= work["shared"] <= work["unshared"]
    check_graph(plan)


def check_graph(plan: Plan) -> None:
    """Needs are in the plan and come before; runs name what is there; every stage has a run."""
    done: set[str] = set()
    waiting = dict(plan.stages)
    while waiting:
        ready = [key for key, stage in waiting.items() if set(stage.needs.values()) <= done]
        assert ready, "needs that are not in the plan, or go in a circle"
        done.update(ready)
        for key in ready:
            del waiting[key]
    for key, stage in plan.stages.items():
        assert key == stage.key
        assert key.startswith(f"{stage.kind}-") and stage.kind in KINDS
        for need in stage.needs.values():
            assert KINDS.index(plan.stages[need].kind) < KINDS.index(stage.kind)
    for run in plan.runs:
        places = [KINDS.index(plan.stages[key].kind) for key in run.stages.values()]
        assert places == sorted(places)
        for key in run.stages.values():
            assert set(plan.stages[key].needs.values()) <= set(run.stages.values())
    assert all(plan.users().values())


def test_the_graph_is_whole_and_has_no_circle(whole: Plan, study_of: Callable[..., Study]) -> None:
    check_graph(whole)
    check_graph(make_plan(study_of(), share=False))


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["demo", "paper"])
def test_the_papers_study(profile: str) -> None:
    study = config.load(ROOT / "runs.yaml", profile=profile)
    plan = make_plan(study)
    check_graph(plan)
    assert len(plan.runs) >= 36
    work = plan.work()
    assert work["shared"] <= {"demo": 0.5, "paper": 0.95}[profile] * work["unshared"]
    updates = {run.updates for run in plan.runs if study.variants[run.variant].options.trained}
    assert len(updates) == 1
    if profile == "paper":
        assert updates == {90_000}


def test_every_trained_method_gets_the_same_updates_of_the_generator(whole: Plan) -> None:
    for run in whole.runs:
        steps = [whole.stages[key].steps for role, key in run.stages.items() if role in ("pretrain", "joint")]
        assert run.updates == sum(steps) == (0 if run.method in ("mean", "biharmonic") else 16)
    for stage in whole.stages.values():
        if stage.kind == "joint":
            assert stage.options["first_update"] == (8 if "generator" in stage.needs else 0)


def test_critics_of_one_generator_are_one_pass(whole: Plan) -> None:
    passes = whole.passes()
    assert sorted(key for keys in passes for key in keys) == sorted(
        key for key, stage in whole.stages.items() if stage.kind == "critic"
    )
    for keys in passes:
        stages = [whole.stages[key] for key in keys]
        assert len({stage.needs["generator"] for stage in stages}) == 1
        assert len({stage.seed for stage in stages}) == 1
    ours = {key for role, key in roles(whole).items() if role.startswith("critic")}
    js = {key for role, key in roles(whole, "proposed:loss=js").items() if role.startswith("critic")}
    assert any(ours | js == set(keys) for keys in passes), "wgan and js look at the same outputs"


def test_critics_of_several_rounds_are_a_pass_of_their_own(study_of: Callable[..., Study]) -> None:
    plan = make_plan(study_of(ALL, "recipes.js.critic_steps=2", "seeds=[0]"))
    for keys in plan.passes():
        assert len({plan.stages[key].options["critic_steps"] for key in keys}) == 1


def test_a_runs_own_stages_are_those_that_no_other_needs(whole: Plan) -> None:
    users = whole.users()
    for run in whole.runs:
        own = whole.own(run)
        assert all(users[key] == [run.name] for key in own)
        assert {whole.stages[key].kind for key in own} <= {"joint", "evaluate"}


def test_a_longer_stage_has_the_lineage_of_a_shorter_one(study_of: Callable[..., Study]) -> None:
    plan, longer = make_plan(study_of(BASE)), make_plan(study_of(BASE, "defaults.steps.pretrain=16"))
    assert roles(plan)["pretrain"] != roles(longer)["pretrain"]
    lineage = plan.stages[roles(plan)["pretrain"]].lineage
    assert lineage is not None and lineage == longer.stages[roles(longer)["pretrain"]].lineage
    dropping = "variants.proposed.rates.pretrain={lr: 0.1, drop_after: 0.5, drop_to: 0.1}"
    dropped = make_plan(study_of(BASE, dropping))
    assert dropped.stages[roles(dropped)["pretrain"]].lineage is None


@pytest.mark.parametrize(("variants", "seeds"), [(["ce", "mean"], [1]), (["single", "reconstruction_only"], [0, 1])])
def test_a_part_of_a_plan_is_the_plan_of_that_part(
    study_of: Callable[..., Study], whole: Plan, variants: list[str], seeds: list[int]
) -> None:
    alone = make_plan(config.load(study_of(ALL, name="part.yaml").file, only=variants, seeds=seeds))
    part = whole.only(lambda run: run.variant in variants and run.seed in seeds)
    assert part.runs == alone.runs and part.stages == alone.stages
    for fact in ("seeds", "networks", "readings"):
        assert getattr(part.study, fact) == getattr(alone.study, fact), fact
    assert whole.only(lambda run: True) == whole


def test_readings_are_named(study_of: Callable[..., Study]) -> None:
    rows = {
        row.key: row for row in readings(study_of(BASE, "variants.proposed.loss.extends=wgan").variants["proposed"])
    }
    assert rows["critic_input"].reading == "R11" and rows["critic_input"].departs
    assert rows["critic_tables"].value == "printed" and not rows["critic_tables"].departs
    assert rows["loss.clip"].value == "0.01"


def test_a_baselines_text_is_its_own_paper(study_of: Callable[..., Study]) -> None:
    """What it departs from are its own defaults; of the proposed, the paper's literal text."""

    def departs(variant: str, *more: str) -> set[str]:
        rows = readings(study_of(ALL, *(f"variants.{option}" for option in more)).variants[variant])
        return {row.key for row in rows if row.departs}

    assert departs("glcic") == departs("ce") == set()
    assert departs("glcic", "glcic.optimizer={kind: adam, lr: 0.1}", "glcic.weight=0.5") == {"optimizer", "weight"}
    assert departs("glcic", "glcic.loss=wgan") >= {"loss.norm", "loss.optimizer"}
    assert departs("ce", "ce.edge=7", "ce.flips=false") == {"edge", "flips"}
    assert departs("proposed", "proposed.weights.local=0.5") == departs("proposed") == {"critic_input", "reduction"}


def test_how_the_compared_methods_are_treated_is_recorded(study_of: Callable[..., Study]) -> None:
    def of(*settings: str) -> dict[str, dict[str, tuple[str, str]]]:
        found: dict[str, dict[str, tuple[str, str]]] = {}
        for row in make_plan(study_of(ALL, *settings)).study.treatments:
            found.setdefault(row.key, {})[row.variant] = (row.value, row.origin)
        return found

    usual = of("variants.again={extends: glcic}")
    assert set(usual["optimizer"]) >= {"proposed", "ce", "glcic"}
    assert not {"again", "single", "reconstruction_only", "mean"} & {*usual["optimizer"]}
    assert usual["optimizer"]["glcic"] == ("adadelta at 1", "as in its own paper")
    assert usual["optimizer"]["proposed"][1] == "chosen here"
    assert usual["init_std"]["ce"] == ("0.02", "as in its own paper")
    for key in ("rates", "batch", "flips", "steps", "width", "mask"):
        assert len({value for value, _ in usual[key].values()}) == 1, key
    assert "ce" not in usual["norm"]  # it has no such option
    rates = of("variants.proposed.rates.joint={lr: 0.5, drop_after: 0.6, drop_to: 0.1}")["rates"]
    assert rates["proposed"] == ("joint 0.5 and 0.05 after 60%", "chosen here")
    assert rates["ce"] == ("the optimizer's", "as in its own paper")
    more = of("variants.glcic.batch=3", "variants.ce.flips=false", "variants.glcic.norm=none")
    assert more["batch"]["glcic"] == ("3", "chosen here") and more["flips"]["ce"] == ("no", "chosen here")
    assert more["norm"]["glcic"] == ("none", "chosen here")


def test_the_plan_knows_multiverses_and_what_is_built(study_of: Callable[..., Study]) -> None:
    plan = make_plan(study_of(ALL, "multiverses={all: {base: [proposed, mean], vary: {head: [mean, patch]}}}"))
    facts = plan.study.multiverses["all"]
    assert (facts.base, facts.contrasts) == (["proposed", "mean"], [["proposed", "mean"]])
    assert facts.design == "one_at_a_time" and len(facts.universes) == 2
    assert facts.universes[1][0].variant == "proposed:head=patch"
    assert plan.study.networks is not None
    assert set(plan.study.networks) == {run.variant for run in plan.runs} - {"mean", "biharmonic"} | {"twin"}
    for run in plan.runs:
        if run.updates:
            built = plan.study.networks[run.variant]["networks"]
            assert built[0]["parameters"] == run.parameters
            assert sum(network["parameters"] for network in built[1:]) == run.critic_parameters


def test_a_plan_is_saved_and_read_back(whole: Plan, tmp_path: Path) -> None:
    file = whole.save(tmp_path)
    assert Plan.read(file) == Plan.read(tmp_path / "plan.json") == _as_json(whole)
    assert Plan.read(tmp_path / "none.json") is None
    assert whole.save(tmp_path) == file
    again = Plan.read(file)
    assert again is not None
    assert list(again.stages) == list(whole.stages)
    assert [list(run.stages) for run in again.runs] == [list(run.stages) for run in whole.runs]


def _saved_without(plan: Plan, out: Path, *names: str) -> Path:
    file = plan.save(out)
    value = read_facts(file)
    for name in names:
        del value["study"][name]
    (out / "plan.json").write_text(json.dumps(value))
    return out


OPTIONAL = {name for name, field in StudyFacts.model_fields.items() if not field.is_required()}


def test_a_plan_of_an_older_version_has_defaults(whole: Plan, tmp_path: Path) -> None:
    names = OPTIONAL & whole.study.plain().keys()
    study = Plan.of(_saved_without(whole, tmp_path, *names)).study
    assert (study.plugins, study.multiverses, study.networks, study.command) == ([], {}, None, None)
    assert study.data == whole.study.data and study.readings == whole.study.readings


@pytest.mark.parametrize("name", sorted(StudyFacts.model_fields.keys() - OPTIONAL))
def test_a_plan_without_a_required_fact_is_damaged(whole: Plan, tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match=r"plan\.json: this file is damaged"):
        Plan.of(_saved_without(whole, tmp_path, name))


def test_a_trials_plan_leaves_out_what_only_reports_read(whole: Plan, tmp_path: Path) -> None:
    trial = {"search": "proposed", "number": 3, "settings": {}}
    plan = replace(whole, study=whole.study.of_trial(trial))
    file = plan.save(tmp_path)
    assert Plan.read(file) == _as_json(plan) and not (tmp_path / "plan.json").exists()
    assert plan.study.trial == trial and plan.study.data == whole.study.data
    assert not plan.study.readings and not plan.study.networks and not plan.study.resolved


def _as_json(plan: Plan) -> Plan:
    """The same plan, with its facts written to JSON and read back."""
    assert all(isinstance(run, Run) for run in plan.runs)
    assert all(isinstance(stage, Stage) for stage in plan.stages.values())
    return replace(plan, study=StudyFacts.model_validate(json.loads(json.dumps(plan.study.plain()))))


@pytest.mark.slow
def test_keys_are_the_same_in_another_process(whole: Plan, tmp_path: Path) -> None:
    (tmp_path / "runs.yaml").write_text(ALL)
    code = (
        "import sys; from pathlib import Path; from study import config; from study.plan.planner import make_plan\n"
        "plan = make_plan(config.load(Path('runs.yaml'))); print('\\n'.join(plan.stages)); plan.save(Path('out'))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600)
    assert done.stdout.split() == list(whole.stages), done.stderr
    make_plan(config.load(tmp_path / "runs.yaml")).save(tmp_path / "out")
    assert len(list((tmp_path / "out" / "plans").iterdir())) == 1


def _plan(folder: Path, *words: str) -> str:
    """What the command ``plan`` prints."""
    (folder / "runs.yaml").write_text(ALL)
    done = command("plan", "runs.yaml", *words, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_plan_for_programs(whole: Plan, tmp_path: Path) -> None:
    pretrain = roles(whole)["pretrain"]
    there = tmp_path / "out" / "stages" / pretrain
    there.mkdir(parents=True)
    (there / "manifest.json").write_text("{}")
    shown = json.loads(_plan(tmp_path, "--json", "--device", "cpu"))
    assert set(shown) == {"runs", "stages", "work", "eflop", "hours"}
    assert shown["work"] == whole.work()
    assert [run["name"] for run in shown["runs"]] == [run.name for run in whole.runs]
    names = {run["name"] for run in shown["runs"]}
    stages = {stage["key"]: stage for stage in shown["stages"]}
    assert set(stages) == set(whole.stages)
    for key, stage in stages.items():
        assert {"key", "kind", "needs", "runs", "exists"} <= set(stage)
        assert set(stage["needs"]) <= set(stages)
        assert stage["runs"] and set(stage["runs"]) <= names
        assert stage["exists"] == (key == pretrain)


def test_the_plan_measured(tmp_path: Path) -> None:
    words = ["--json", "--device", "cpu", "--measure", "--only", "proposed", "--seeds", "0"]
    words += ["--set", "image_size=32", "--set", "defaults.width=0.0625", "--set", "defaults.batch=2"]
    shown = json.loads(_plan(tmp_path, *words))
    trained = [stage for stage in shown["stages"] if stage["kind"] in ("pretrain", "critic", "joint")]
    assert trained and all(stage["step_s"] > 0 for stage in trained)
    for stage in shown["stages"]:  # data and evaluation, too
        assert stage["total_s"] > 0 and stage["disk_bytes"] > 0 and stage["peak_memory_bytes"] > 0
    total = sum(stage["total_s"] for stage in shown["stages"])
    (here,) = shown["hours"]
    assert shown["expected_s"] == pytest.approx(total)  # one run: its stages follow one another
    assert here["device"].endswith("measured") and here["hours"] * here["workers"] * 3600 == pytest.approx(total)
    assert not (tmp_path / "out").exists()


def test_the_plan_for_people(whole: Plan, tmp_path: Path) -> None:
    assert not any(key in _plan(tmp_path, "--device", "cpu") for key in whole.stages)  # no row is a hash
    out = _plan(tmp_path, "--device", "cpu", "--stages")
    assert all(key in out for key in whole.stages)
    assert "proposed is also twin: one run under several names" in out
    assert f"{len(whole.runs)} runs of" in out and "without sharing" in out
    assert not (tmp_path / "out").exists()


def test_options_of_a_trained_method_say_what_they_train() -> None:
    with pytest.raises(AssertionError, match="Trained does not say what it trains"):
        Trained().method(64)


def test_only_long_stages_are_compiled(tmp_path: Path) -> None:
    file = tmp_path / "runs.yaml"
    file.write_text(BASE.replace("pretrain: 8, critic: 4, joint: 8", "pretrain: 20000, critic: 10000, joint: 70000"))
    eager, compiled = (
        make_plan(config.load(file, settings=[f"numerics.compile={value}"])) for value in ("null", "true")
    )
    long = {stage.kind for stage in compiled.stages.values() if stage.options.get("numerics", {}).get("compile")}
    assert long == {"pretrain", "joint"}
    assert [stage.options["numerics"] for stage in compiled.stages.values() if stage.kind == "critic"] == [
        stage.options["numerics"] for stage in eager.stages.values() if stage.kind == "critic"
    ]
