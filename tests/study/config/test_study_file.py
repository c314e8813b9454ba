"""The study file: what it may contain, and the messages for its mistakes."""

import json
import os
import random
import time
from pathlib import Path

import pytest
import tiny
from commands import command
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from baselines.context_encoder import ContextEncoderOptions
from models.method import Rate
from models.proposed import Proposed
from study import config
from study.cli.options import seeds_of, variants_of
from study.config.nodes import Node, Place, assign, parse
from study.errors import BadInput, near, shown, unknown
from study.plan import planner

ROOT = Path(__file__).parents[3]
RUNS = ROOT / "runs.yaml"

SMALL = """\
study: small
image_size: 64
data:
  faces: {kind: faces}
recipes:
  wgan: {kind: wgan, clip: 0.01, optimizer: {kind: rmsprop, lr: 1.0e-4}}
  js: {kind: js, norm: batch, optimizer: {kind: adam, lr: 2.0e-4}}
variants:
  proposed:
    method: proposed
    loss: wgan
"""
ABLATION = """\
ablations:
  critics:
    reference: proposed
    factors: {multiscale: [0, 2], loss: [wgan, js]}
"""
SECTIONS = (
    "ablations, data, defaults, image_size, include, multiverses, numerics, observers, plugins, profile, profiles, "
    "protocol, recipes, search, seeds, study, tuned, variants"
)
OPTIONS = (
    "adversarial_share, batch, critic_input, critic_tables, dilated, downsample, fill, flips, head, leave_out, "
    "log_every, loss, mask, mask_channel, multiscale, norm, optimizer, output, rates, real_window, reduction, steps, "
    "three_stages, total_weight, weights, width"
)
METHODS = "biharmonic, ce, giica, glcic, mean, proposed, reconstruction_only, single"
FILE_SECTIONS = [name for name in SECTIONS.split(", ") if name != "profiles"]


def load(folder: Path, text: str | bytes, **options):
    """The study of a file with this text, in ``folder``."""
    file = folder / "runs.yaml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return config.load(file, **options)


def faults(folder: Path, text: str | bytes, **options) -> list[str]:
    """The faults of a file with this text, without its folder."""
    with pytest.raises(BadInput) as raised:
        planner.make_plan(load(folder, text, **options))
    assert raised.value.exit_code == 2
    assert str(raised.value) == "\n".join(raised.value.faults)
    return [fault.replace(f"{folder}{os.sep}", "") for fault in raised.value.faults]


def changed(old: str, new: str, text: str = SMALL) -> str:
    assert text.count(old) == 1
    return text.replace(old, new)


BOMB = "".join(f"a{i}: &a{i} [{', '.join(['x' if i == 0 else f'*a{i - 1}'] * 9)}]\n" for i in range(9))

BROKEN = {
    # -- keys
    "unknown key": (
        SMALL + "seed: [1]\n",
        f"runs.yaml:12:1: seed: 'seed' is an unknown key; choose {SECTIONS} (did you mean 'seeds'?)",
    ),
    "unknown key of a variant": (
        SMALL + "    multi_scale: 2\n",
        "runs.yaml:12:5: variants.proposed.multi_scale: 'multi_scale' is an unknown key; "
        f"choose {OPTIONS} (did you mean 'multiscale'?)",
    ),
    "unknown key of an optimiser": (
        changed("lr: 1.0e-4}", "lr: 1.0e-4, learning: 3}"),
        "runs.yaml:6:73: recipes.wgan.optimizer.learning: 'learning' is an unknown key; choose betas, kind, lr",
    ),
    "unknown key of a window": (
        SMALL + "    mask: {kind: center, side: 80}\n",
        "runs.yaml:12:26: variants.proposed.mask.side: 'side' is an unknown key; choose kind",
    ),
    "unknown key of strokes": (
        SMALL + "    mask: {kind: free_form, brsh: 0.1}\n",
        "runs.yaml:12:29: variants.proposed.mask.brsh: 'brsh' is an unknown key; "
        "choose brush, kind, largest, length, smallest, turns (did you mean 'brush'?)",
    ),
    "unknown key of a profile": (
        SMALL + "profiles:\n  demo: {image_siz: 32}\n",
        "runs.yaml:13:10: profiles.demo.image_siz: 'image_siz' is an unknown key; choose "
        + ", ".join(name for name in FILE_SECTIONS if name not in ("include", "plugins", "profile", "study"))
        + " (did you mean 'image_size'?)",
    ),
    "unknown key of a data set": (
        changed("{kind: faces}", "{kind: faces, trian: 5}"),
        "runs.yaml:4:24: data.faces.trian: 'trian' is an unknown key; choose kind, licence, like, seed, test, "
        "train, validation, variants (did you mean 'train'?)",
    ),
    "duplicate key": (
        SMALL + "    loss: js\n",
        "runs.yaml:12:5: variants.proposed.loss: the key 'loss' appears twice, first on line 11; keep one",
    ),
    "merge key": (
        SMALL + "    <<: {batch: 3}\n",
        "runs.yaml:12:5: variants.proposed.<<: a key is a plain word; write 'extends: NAME' to build on another entry",
    ),
    "a key that is a list": (
        SMALL + "    ? [a]\n    : 3\n",
        "runs.yaml:12:7: variants.proposed.?: a key is a plain word; write 'extends: NAME' to build on another entry",
    ),
    # -- types and values
    "text for a number": (
        changed("64", "big"),
        "runs.yaml:2:13: image_size: got 'big'; write a whole number",
    ),
    "no value": (changed(" 64", ""), "runs.yaml:2:1: image_size: got nothing; write a whole number"),
    "a number for a switch": (
        SMALL + "    flips: 1\n",
        "runs.yaml:12:12: variants.proposed.flips: got 1; write true or false",
    ),
    "a number for text": (
        changed("study: small", "study: 3"),
        "runs.yaml:1:8: study: got 3; write text (in quotes if it looks like a number)",
    ),
    "a number out of bounds": (
        SMALL + "    width: 2\n",
        "runs.yaml:12:12: variants.proposed.width: got 2; write 1 or less",
    ),
    "an endless rate": (
        changed("lr: 1.0e-4", "lr: .inf"),
        "runs.yaml:6:65: recipes.wgan.optimizer.lr: got inf; write a finite number",
    ),
    "one of several forms": (
        SMALL + "    fill: blak\n",
        "runs.yaml:12:11: variants.proposed.fill: 'blak' is unknown; choose mean, noise, zero; "
        "or write a list, such as [0, 1]",
    ),
    "seeds that are none": (
        SMALL + "seeds: []\n",
        "runs.yaml:12:8: seeds: got []; write a list of 1 or more",
    ),
    "one seed twice": (SMALL + "seeds: [1, 1]\n", "runs.yaml:12:8: seeds: got [1, 1]; a value appears twice"),
    "no section": (
        changed("  faces: {kind: faces}\n", ""),
        "runs.yaml:3:1: data: this is empty; write names below it",
    ),
    "a name for a data set": (
        changed("{kind: faces}", "faces"),
        "runs.yaml:4:10: data.faces: 'faces' is not a mapping; write its keys below it",
    ),
    "a name that no file can have": (
        SMALL + "  a/b: {method: mean}\n",
        "runs.yaml:12:3: variants.a/b: 'a/b' is not a valid name; use letters, digits, '_', '-' and '.', 64 at most",
    ),
    "a name of two lines": (
        SMALL + '  "a\\nb": {method: mean}\n',
        "runs.yaml:12:3: variants.'a\\nb': 'a\\nb' is not a valid name; "
        "use letters, digits, '_', '-' and '.', 64 at most",
    ),
    "a word for holes": (
        SMALL + "    mask: center\n",
        "runs.yaml:12:11: variants.proposed.mask: got 'center'; write a mapping, such as {key: value}",
    ),
    "a hole without size": (
        SMALL + "    mask: {kind: random_box, smallest: 0}\n",
        "runs.yaml:12:40: variants.proposed.mask.smallest: got 0; write a value above 0",
    ),
    "unknown critic to leave out": (
        SMALL + "    leave_out: locale\n",
        "runs.yaml:12:16: variants.proposed.leave_out: 'locale' is unknown; "
        "choose eighth, global, half, local, none, quarter (did you mean 'local'?)",
    ),
    # -- names
    "unknown recipe": (
        changed("loss: wgan", "loss: wgam"),
        "runs.yaml:11:11: variants.proposed.loss: 'wgam' is not a recipe of this study; choose js, wgan "
        "(did you mean 'wgan'?)",
    ),
    "no recipes": (
        "".join(line for line in SMALL.splitlines(True) if "lr:" not in line and "recipes" not in line),
        "runs.yaml:8:11: variants.proposed.loss: 'wgan' is not a recipe of this study; there is none",
    ),
    "unknown loss": (
        changed("kind: wgan", "kind: wgam"),
        "runs.yaml:6:16: recipes.wgan.kind: 'wgam' is unknown; choose js, lsgan, wgan, wgan_gp (did you mean 'wgan'?)",
    ),
    "unknown kind of hole": (
        SMALL + "defaults: {mask: {kind: randombox}}\n",
        "runs.yaml:12:18: defaults.mask: 'randombox' is unknown; choose center, files, free_form, random_box "
        "(did you mean 'random_box'?)",
    ),
    "unknown norm": (
        SMALL + "    norm: bach\n",
        "runs.yaml:12:11: variants.proposed.norm: 'bach' is unknown; choose batch, instance, none "
        "(did you mean 'batch'?)",
    ),
    "unknown method": (
        changed("method: proposed", "method: propsed"),
        f"runs.yaml:10:13: variants.proposed.method: 'propsed' is unknown; choose {METHODS} (did you mean 'proposed'?)",
    ),
    "a method that is a list": (
        changed("method: proposed", "method: [mean]"),
        f"runs.yaml:10:13: variants.proposed.method: ['mean'] is unknown; choose {METHODS} (did you mean 'mean'?)",
    ),
    "no method": (
        changed("    method: proposed\n", ""),
        f"runs.yaml:9:3: variants.proposed: 'method' is missing; choose {METHODS}",
    ),
    "unknown kind of data": (
        changed("kind: faces", "kind: face"),
        "runs.yaml:4:17: data.faces.kind: 'face' is unknown; choose celeba, faces, folder, imagenet, "
        "places2 (did you mean 'faces'?)",
    ),
    "no kind of data": (
        changed("{kind: faces}", "{}"),
        "runs.yaml:4:3: data.faces: 'kind' is missing; choose celeba, faces, folder, imagenet, places2",
    ),
    "unknown profile": (
        SMALL + "profile: demmo\nprofiles:\n  demo: {}\n",
        "runs.yaml:12:10: profile: 'demmo' is not a profile of this study; choose demo (did you mean 'demo'?)",
    ),
    "profiles that are a list": (
        SMALL + "profiles: [demo]\n",
        "runs.yaml:12:11: profiles: ['demo'] is not a mapping; write profiles below it",
    ),
    "a key of rates": (
        SMALL + "    rates: {pretran: {lr: 0.1}}\n",
        "runs.yaml:12:13: variants.proposed.rates.pretran: 'pretran' is unknown; choose joint, pretrain "
        "(did you mean 'pretrain'?)",
    ),
    # -- extends
    "extends in a circle": (
        SMALL + "  c: {extends: b}\n  a: {extends: b}\n  b: {extends: a}\n",
        "runs.yaml:13:16: variants.a.extends: 'extends' goes in a circle: a -> b -> a",
    ),
    "extends itself": (
        SMALL + "  a: {extends: a}\n",
        "runs.yaml:12:16: variants.a.extends: 'extends' goes in a circle: a -> a",
    ),
    "recipes in a circle": (
        changed("  js: {kind: js,", "  js: {extends: js,"),
        "runs.yaml:7:17: recipes.js.extends: 'extends' goes in a circle: js -> js",
    ),
    "extends through a long chain": (
        SMALL + "  v0: {extends: proposed}\n" + "".join(f"  v{n}: {{extends: v{n - 1}}}\n" for n in range(1, 30)),
        "runs.yaml:41:18: variants.v29.extends: 'extends' leads through more than 30 variants; "
        "extend one nearer its base",
    ),
    "extends nobody": (
        SMALL + "  a: {extends: propsed}\n",
        "runs.yaml:12:16: variants.a.extends: 'propsed' is none of the variants; choose proposed "
        "(did you mean 'proposed'?)",
    ),
    "extends a list": (
        SMALL + "  a: {extends: [proposed]}\n",
        "runs.yaml:12:16: variants.a.extends: ['proposed'] is none of the variants; choose proposed "
        "(did you mean 'proposed'?)",
    ),
    # -- optimizer_of
    "the optimizer of nobody": (
        SMALL + "  a: {method: glcic, optimizer_of: propsed}\n",
        "runs.yaml:12:36: variants.a.optimizer_of: 'propsed' is not a variant; choose proposed "
        "(did you mean 'proposed'?)",
    ),
    "its own optimizer": (
        SMALL + "  a: {method: glcic, optimizer_of: a}\n",
        "runs.yaml:12:36: variants.a.optimizer_of: 'optimizer_of' goes in a circle: a -> a",
    ),
    "the optimizer of what is not trained": (
        SMALL + "  a: {method: glcic, optimizer_of: mean}\n  mean: {method: mean}\n",
        "runs.yaml:12:36: variants.a.optimizer_of: 'mean' has no optimizer and rates; name a variant that has them",
    ),
    "an optimizer for what is not trained": (
        SMALL + "  a: {method: mean, optimizer_of: proposed}\n",
        "runs.yaml:12:35: variants.a.optimizer_of: 'optimizer' is an unknown key; choose images; or 'rates' is an "
        "unknown key; choose images",
    ),
    # -- impossible combinations
    "an image side that the strides do not divide": (
        changed("64", "60"),
        "runs.yaml:2:13: image_size: got 60; write a multiple of 8: the hole has half the side, "
        "and the generator halves it twice",
    ),
    "a critic for which the image is too small": (
        changed("64", "32") + "    multiscale: 3\n",
        "runs.yaml:9:3: variants.proposed: 'proposed' cannot be built at image_size 32 (runs.yaml:2:13: image_size): "
        "view: 'eighth' leaves no critic at 32 px; choose a larger image or another view",
    ),
    "a profile for which the image is too small": (
        SMALL + "profiles:\n  tiny: {image_size: 16}\n",
        "runs.yaml:9:3: variants.proposed: 'proposed' cannot be built at image_size 16 "
        "(runs.yaml:13:22: profiles.tiny.image_size): "
        "view: 'quarter' leaves no critic at 16 px; choose a larger image or another view",
    ),
    "an ablation for which the image is too small": (
        changed("64", "32") + ABLATION.replace("[0, 2]", "[1, 3]").replace(", loss: [wgan, js]", ""),
        "runs.yaml:9:3: variants.proposed: 'proposed:multiscale=3' cannot be built at image_size 32 "
        "(runs.yaml:2:13: image_size): "
        "view: 'eighth' leaves no critic at 32 px; choose a larger image or another view",
    ),
    "a hole that a method cannot repair": (
        SMALL + "  ce: {method: ce, mask: {kind: random_box}}\n",
        "runs.yaml:12:3: variants.ce: its training masks are of kind random_box; 'ce' repairs the central square only; "
        "leave it out with --only",
    ),
    "betas for rmsprop": (
        changed("lr: 1.0e-4}", "lr: 1.0e-4, betas: [0.5, 0.9]}"),
        "runs.yaml:6:45: recipes.wgan.optimizer: 'betas' belong to adam, not to rmsprop",
    ),
    "wgan without clip": (
        changed(", clip: 0.01", ""),
        "runs.yaml:6:9: recipes.wgan: wgan needs 'clip': the paper bounds its critics by clipping their weights",
    ),
    "wgan_gp without penalty": (
        changed("kind: wgan, clip: 0.01", "kind: wgan_gp"),
        "runs.yaml:6:9: recipes.wgan: wgan_gp needs 'penalty', the weight of its gradient penalty; its paper has 10",
    ),
    "a penalty for wgan": (
        changed("clip: 0.01", "clip: 0.01, penalty: 10.0"),
        "runs.yaml:6:9: recipes.wgan: 'penalty' belongs to wgan_gp, not to wgan",
    ),
    "wgan_gp with batch norm": (
        changed("kind: wgan, clip: 0.01", "kind: wgan_gp, penalty: 10.0, norm: batch"),
        "runs.yaml:6:9: recipes.wgan: wgan_gp penalises each image's gradient, which batch norm mixes; "
        "choose norm none or layer",
    ),
    "a form of lsgan": (
        changed("kind: wgan, clip: 0.01", "kind: lsgan, form: saturating"),
        "runs.yaml:6:9: recipes.wgan: 'form' belongs to the js loss; lsgan has one form only",
    ),
    "boxes whose bounds are exchanged": (
        SMALL + "    mask: {kind: random_box, smallest: 0.6}\n",
        "runs.yaml:12:11: variants.proposed.mask: smallest: 0.6 is more than largest, 0.5",
    ),
    "a critic left out that is not there": (
        SMALL + "    leave_out: eighth\n",
        "runs.yaml:10:5: variants.proposed: leave_out: with multiscale 2 there is no critic 'eighth'",
    ),
    "one split file alone": (
        changed("{kind: faces}", "{kind: folder, root: photos, train: train.txt}"),
        "runs.yaml:4:10: data.faces: name both split files, 'train' and 'test', or neither",
    ),
    "a folder that is not there": (
        changed("{kind: faces}", "{kind: folder, root: no/photos}"),
        "runs.yaml:4:31: data.faces.root: there is no folder no/photos; name one that holds images, "
        "or a zip or tar of them",
    ),
    # -- the protocol
    "test holes that a method cannot repair": (
        SMALL + "  ce: {method: ce}\nprotocol: {mask: {kind: random_box}}\n",
        "runs.yaml:13:25: protocol.mask.kind: got random_box; 'ce' repairs the central square only; "
        "leave it out with --only",
    ),
    "test holes of masks that are not there": (
        SMALL + "protocol: {mask: {kind: files, root: no/masks, hole: white}}\n",
        "runs.yaml: protocol.mask.root: there is no folder no/masks; name one that holds masks, or a zip or tar of "
        "them",
    ),
    "masks without their polarity": (
        SMALL + "    mask: {kind: files, root: masks}\n",
        "runs.yaml:12:11: variants.proposed.mask: 'hole' is missing; choose white or black",
    ),
    # -- ablations
    "an ablation of nobody": (
        SMALL + ABLATION.replace("proposed", "propose"),
        "runs.yaml:14:16: ablations.critics.reference: 'propose' is not a variant; choose proposed "
        "(did you mean 'proposed'?)",
    ),
    "an ablation of a list": (
        SMALL + ABLATION.replace("proposed", "[proposed]"),
        "runs.yaml:14:16: ablations.critics.reference: ['proposed'] is not a variant; choose proposed "
        "(did you mean 'proposed'?)",
    ),
    "an ablation without reference": (
        SMALL + ABLATION.replace("    reference: proposed\n", ""),
        "runs.yaml:13:3: ablations.critics: 'reference' is missing; choose proposed",
    ),
    "an unknown factor": (
        SMALL + ABLATION.replace("multiscale", "critics"),
        f"runs.yaml:15:15: ablations.critics.factors.critics: 'critics' is not an option of proposed; choose {OPTIONS} "
        "(did you mean 'critic_tables'?)",
    ),
    "a level that the factor has not": (
        SMALL + ABLATION.replace("js]", "jss]"),
        "runs.yaml:15:48: ablations.critics.factors.loss.1: 'jss' is not a recipe of this study; choose js, wgan "
        "(did you mean 'js'?)",
    ),
    "a level out of bounds": (
        SMALL + ABLATION.replace("2]", "4]"),
        "runs.yaml:15:31: ablations.critics.factors.multiscale.1: got 4; write 3 or less",
    ),
    "a level twice": (
        SMALL + ABLATION.replace("0, 2", "0, 2, 0"),
        "runs.yaml:15:27: ablations.critics.factors.multiscale: the level 0 appears twice",
    ),
    "a level alone": (
        SMALL + ABLATION.replace("[0, 2]", "2"),
        "runs.yaml:15:27: ablations.critics.factors.multiscale: 2 is not a list of levels",
    ),
    # -- what is no study file
    "not YAML": (
        SMALL + "  a: {b: [\n",
        "runs.yaml:13:1: this is not YAML: while parsing a flow node, expected the node content, "
        "but found '<stream end>'",
    ),
    "text": ("hello", "runs.yaml:1:1: a study file is a mapping with 'data' and 'variants'"),
    "empty": ("", "runs.yaml:1:1: a study file is a mapping with 'data' and 'variants'"),
    "two documents": (
        SMALL + "---\n" + SMALL,
        "runs.yaml:12:1: this is not YAML: expected a single document in the stream, but found another document",
    ),
    "not text": (
        b"study: caf\xe9\n",
        "runs.yaml: cannot be read: it is not UTF-8 text; name a study file such as runs.yaml",
    ),
    "a tag": (
        changed("loss: wgan", "loss: !!python/object:os.system ls"),
        "runs.yaml:11:11: variants.proposed.loss: the tag !!python/object:os.system is not allowed; "
        "write plain values only",
    ),
    "a tag on a list": (
        changed("loss: wgan", "loss: !!python/object/apply:os.system [ls]"),
        "runs.yaml:11:11: variants.proposed.loss: the tag !!python/object/apply:os.system is not allowed; "
        "write plain values only",
    ),
    "a tag that lies": (changed("64", "!!int x"), "runs.yaml:2:13: image_size: 'x' cannot be read as int"),
    "a date": (
        changed("study: small", "study: 2020-06-01"),
        "runs.yaml:1:8: study: YAML reads '2020-06-01' as a date; write it in quotes",
    ),
    "an alias in its own anchor": (
        SMALL + "    rates: &rates\n      pretrain: *rates\n",
        "runs.yaml:12:12: variants.proposed.rates.pretrain: this alias refers to itself; write the value instead",
    ),
    "an alias bomb": (
        BOMB + SMALL,
        "runs.yaml:1:5: a3.8.5: more than 8000 values with aliases expanded; a study file has fewer",
    ),
    "deep nesting": (
        SMALL + f"x: {'[' * 100}{']' * 100}\n",
        "runs.yaml:12:34: x.0.0: nested more than 30 levels deep; a study file has fewer",
    ),
    "bottomless nesting": (
        SMALL + f"x: {'[' * 5000}{']' * 5000}\n",
        "runs.yaml: nested more than 30 levels deep; a study file has fewer",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_fault_says_where_what_and_what_is_allowed(name: str, tmp_path: Path) -> None:
    text, message = BROKEN[name]
    assert faults(tmp_path, text) == [message]


def test_all_faults_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    text = """\
studdy: small
image_size: 60
seeds: [0, -1]
data:
  faces: {kind: face}
variants:
  proposed:
    method: proposed
    loss: wgam
    batch: 8
    batch: 8
ablations:
  critics: {reference: nobody, factors: {}}
profiles:
  other: {numerics: {precision: fp16}}
"""
    assert [fault.split("; ")[0] for fault in faults(tmp_path, text)] == [
        "runs.yaml:11:5: variants.proposed.batch: the key 'batch' appears twice, first on line 10",
        "runs.yaml:1:1: studdy: 'studdy' is an unknown key",
        "runs.yaml:2:13: image_size: got 60",
        "runs.yaml:9:11: variants.proposed.loss: 'wgam' is not a recipe of this study",
        "runs.yaml:13:24: ablations.critics.reference: 'nobody' is not a variant",
        "runs.yaml:5:17: data.faces.kind: 'face' is unknown",
        "runs.yaml:3:12: seeds.1: got -1",
        "runs.yaml:15:33: profiles.other.numerics.precision: 'fp16' is unknown",
    ]


def test_faults_of_several_data_sets_are_told_at_once(tmp_path: Path) -> None:
    text = changed("{kind: faces}", "{kind: folder, root: a}\n  other: {kind: folder, root: b}")
    assert faults(tmp_path, text) == [
        "runs.yaml:4:31: data.faces.root: there is no folder a; name one that holds images, or a zip or tar of them",
        "runs.yaml:5:31: data.other.root: there is no folder b; name one that holds images, or a zip or tar of them",
    ]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as raised:
        config.load(tmp_path / "rnus.yaml")
    assert raised.value.faults == [
        f"{tmp_path / 'rnus.yaml'}: cannot be read: No such file or directory; name a study file such as runs.yaml"
    ]
    with pytest.raises(BadInput, match="cannot be read: Is a directory"):
        config.load(tmp_path)


SET = {
    "variants.proposed.weight.local=0.1": "variants.proposed.weight: 'weight' is an unknown key; "
    f"choose {OPTIONS} (did you mean 'weights'?)",
    "variants.proposed.weights.local=x": "variants.proposed.weights.local: got 'x'; write a number",
    "variants.proposed.loss=wgam": "variants.proposed.loss: 'wgam' is not a recipe of this study; "
    "choose js, wgan (did you mean 'wgan'?)",
    "variants.propsed.batch=3": f"variants.propsed: 'method' is missing; choose {METHODS} (did you mean 'proposed'?)",
    "image_size": "write --set path.to.key=value",
    "=3": "write --set path.to.key=value",
    "a..b=3": "write --set path.to.key=value",
    "image_size=": "the value is missing; write --set image_size=value, or null",
    "image_size=60": "image_size: got 60; write a multiple of 8: the hole has half the side, "
    "and the generator halves it twice",
    "image_size.x=3": "image_size: got {'x': 3}; write a whole number",
    "seeds=[0, 0]": "seeds: got [0, 0]; a value appears twice",
    "data={a: 1, a: 2}": "data.a: the key 'a' appears twice; keep one",
    "data={a: [}": "data: this is not YAML: while parsing a flow node, expected the node content, but found '}'",
    "data={photos: {kind: folder, root: no/photos}}": "data.photos.root: there is no folder no/photos; "
    "name one that holds images, or a zip or tar of them",
    "profile=paper": "choose a profile with --profile NAME, and set the key itself, as in image_size=64",
}


@pytest.mark.parametrize("setting", SET)
def test_faults_of_set_point_at_the_option(setting: str, tmp_path: Path) -> None:
    assert faults(tmp_path, SMALL, settings=[setting]) == [f"--set {setting}: {SET[setting]}"]


def test_set_lays_over_profile_and_file(tmp_path: Path) -> None:
    text = SMALL + "profiles:\n  tiny: {image_size: 32, defaults: {batch: 4}}\n"
    study = load(tmp_path, text, profile="tiny", settings=["image_size=128", "variants.proposed.weights.local=0.5"])
    options = study.variants["proposed"].options
    assert isinstance(options, Proposed)
    assert (study.image_size, options.batch, options.weights.local) == (128, 4, 0.5)
    assert study.resolved["image_size"] == 128


def test_set_finds_names_with_dots(tmp_path: Path) -> None:
    text = SMALL.replace("  proposed:", "  v1.5: {extends: proposed}\n  proposed:", 1)
    text += "search: {space: {weights.local: {low: 0.1, high: 1}}}\n"
    settings = [
        "variants.v1.5.width=0.25",
        "search.space.weights.local.low=0.2",
        'data."a.b"={kind: faces, train: 5}',
        'data."a.b".train=7',
        "data.a.b.test=2",
        'search.space."loss.critic_steps"={low: 1, high: 3}',
    ]
    study = load(tmp_path, text, settings=settings)
    assert study.variants["v1.5"].options.width == 0.25  # type: ignore[union-attr]
    assert (study.data["a.b"].train, study.data["a.b"].test) == (7, 2)
    assert study.search.space["weights.local"].low == 0.2 and study.search.space["loss.critic_steps"].high == 3
    assert "v1.5" not in load(tmp_path, text, settings=["variants.v1.5=null"]).variants


def test_set_of_a_mapping_replaces_it(tmp_path: Path) -> None:
    study = load(tmp_path, SMALL, settings=["data={drawn: {kind: faces, train: 5}}"])
    assert {name: options.train for name, options in study.data.items()} == {"drawn": 5}


def test_set_makes_what_is_not_there(tmp_path: Path) -> None:
    study = load(tmp_path, SMALL, settings=["variants.small.extends=proposed", "variants.small.width=0.5"])
    assert study.variants["small"].options.model_dump()["width"] == 0.5


def test_a_method_that_is_left_out_need_not_repair_the_holes(tmp_path: Path) -> None:
    text = SMALL + "  ce: {method: ce}\ndefaults: {mask: {kind: free_form}}\n"
    assert list(load(tmp_path, text, only=["proposed"]).variants) == ["proposed"]
    (fault,) = faults(tmp_path, text)
    assert "variants.ce: its training masks are of kind free_form; 'ce' repairs the central square only; " in fault


def test_only_knows_names_patterns_and_near_names(tmp_path: Path) -> None:
    text = SMALL + "  mean: {method: mean}\n" + ABLATION
    assert list(load(tmp_path, text, only=["mean"]).variants) == ["mean"]
    assert list(load(tmp_path, text, only=["proposed:multi*", "mean"]).variants) == [
        "mean",
        "proposed:multiscale=0",
        "proposed:multiscale=0,loss=js",
    ]
    cells = ["proposed", "proposed:loss=js", "proposed:multiscale=0", "proposed:multiscale=0,loss=js"]
    assert sorted(load(tmp_path, text, only=["critics"]).variants) == cells  # an ablation by its name
    assert sorted(load(tmp_path, text, only=["crit*", "mean"]).variants) == ["mean", *cells]
    names = "critics, mean, proposed, proposed:loss=js, proposed:multiscale=0, proposed:multiscale=0,loss=js"
    assert faults(tmp_path, text, only=["maen"]) == [
        f"--only maen: 'maen' is not a variant or ablation of this study; choose {names} (did you mean 'mean'?)"
    ]


def test_profile_of_the_command_line_has_a_near_name(tmp_path: Path) -> None:
    text = SMALL + "profiles:\n  demo: {}\n"
    message = "--profile demmo: 'demmo' is not a profile of this study; choose demo (did you mean 'demo'?)"
    assert faults(tmp_path, text, profile="demmo") == [message]
    assert faults(tmp_path, SMALL, profile="demo") == [
        "--profile demo: 'demo' is not a profile of this study; there is none"
    ]


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("3", [3]), ("0,2", [0, 2]), ("0-3", [0, 1, 2, 3]), ("1, 0-2", [1, 0, 2]), (None, None)],
)
def test_seeds_of_the_command_line(text: str | None, seeds: list[int] | None) -> None:
    assert seeds_of(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "1,,2", "-1", "1-", "1.5", "0x3", "1_0", "9" * 5000])
def test_seeds_that_are_none(text: str) -> None:
    with pytest.raises(BadInput, match=r"--seeds .*: write seeds as 0,1,2 or 0-9"):
        seeds_of(text)


@pytest.mark.parametrize("text", ["3-1", "0-2147483648", "2147483648", "0-1000"])
def test_ranges_of_seeds_that_are_none(text: str) -> None:
    with pytest.raises(BadInput, match=f"--seeds {text}: {text} is not a range of seeds"):
        seeds_of(text)


@pytest.mark.parametrize(
    ("only", "names"),
    [
        (["a,b", "c"], ["a", "b", "c"]),
        (["proposed:multiscale=0,loss=js"], ["proposed:multiscale=0,loss=js"]),
        (["a, proposed:multiscale=0,loss=js,b"], ["a", "proposed:multiscale=0,loss=js", "b"]),
    ],
)
def test_only_is_cut_at_its_own_commas(only: list[str], names: list[str]) -> None:
    assert variants_of(only) == names


@pytest.mark.parametrize("name", ["unknown recipe", "a critic for which the image is too small"])
def test_the_command_ends_with_2_and_the_fault_alone(name: str, tmp_path: Path) -> None:
    text, message = BROKEN[name]
    (tmp_path / "runs.yaml").write_text(text)
    done = command("run", "runs.yaml", "--device", "cpu", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", message + "\n")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "image_size=60"], "--set image_size=60: image_size: got 60; write a multiple"),
        (["--only", "propsed"], "--only propsed: 'propsed' is not a variant or ablation of this study; choose"),
        (["--seeds", "x"], "--seeds x: write seeds as 0,1,2 or 0-9"),
        (["--device", "gpu"], "--device gpu: choose cpu, cuda, mps, xpu or auto"),
        (["--out", "runs.yaml"], "--out runs.yaml: this is a file; name a folder"),
        (["--jbos", "3"], "No such option"),
    ],
)
def test_wrong_options_end_with_2(words: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "runs.yaml").write_text(SMALL)
    done = command("plan", "runs.yaml", *words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_variant_states_only_its_difference(tmp_path: Path) -> None:
    text = SMALL + "    weights: {local: 0.5}\n  other: {extends: proposed, weights: {half: 0.25}, head: patch}\n"
    study = load(tmp_path, text)
    options, other = study.variants["proposed"].options, study.variants["other"].options
    assert isinstance(options, Proposed) and isinstance(other, Proposed)
    weights = options.weights.model_copy(update={"half": 0.25})
    assert other == options.model_copy(update={"weights": weights, "head": "patch"})
    assert other.weights.local == 0.5


FAIR = (
    SMALL
    + """\
    optimizer: {kind: adam, lr: 1.0e-3}
  glcic: {method: glcic, optimizer: {kind: adadelta, lr: 0.5}, weight: 0.5}
  fair: {extends: glcic, optimizer_of: proposed}
  faster: {extends: fair, optimizer: {lr: 0.1}}
  chained: {method: ce, optimizer_of: fair}
profiles:
  quick: {variants: {proposed: {rates: {joint: {lr: 0.3}}}}}
"""
)


@pytest.mark.parametrize("settings", [(), ("variants.proposed.optimizer.betas=[0.1, 0.2]",)])
@pytest.mark.parametrize("profile", [None, "quick"])
def test_a_variant_with_optimizer_of_follows_another_s(
    profile: str | None, settings: tuple[str, ...], tmp_path: Path
) -> None:
    variants = load(tmp_path, FAIR, profile=profile, settings=settings).variants
    proposed, glcic, fair = (variants[name].options for name in ("proposed", "glcic", "fair"))
    assert (proposed.optimizer.betas is not None, bool(proposed.rates)) == (bool(settings), profile is not None)
    for name in ("fair", "chained"):
        assert (variants[name].options.optimizer, variants[name].options.rates) == (proposed.optimizer, proposed.rates)
    assert glcic.optimizer.kind == "adadelta"
    own = {"optimizer": glcic.optimizer, "rates": glcic.rates}
    assert fair.model_copy(update=own) == glcic  # the critic's optimizer and all else is GLCIC's
    assert variants["faster"].options.optimizer == proposed.optimizer.model_copy(update={"lr": 0.1})
    default = load(tmp_path, SMALL + "  a: {method: glcic, optimizer_of: proposed}\n").variants["a"].options
    assert default.optimizer == Proposed().optimizer


def test_ce_s_one_stage_has_the_rate_that_others_have_at_the_same_update() -> None:
    def joint(**rates: dict[str, float]) -> Rate | None:
        options = ContextEncoderOptions.model_validate(
            {"rates": rates, "steps": {"pretrain": 720, "joint": 140}, "optimizer": {"kind": "adam", "lr": 0.5}}
        )
        return options.method(64).rates.get("joint")

    assert joint() is None
    assert joint(joint={"lr": 0.1, "drop_after": 0.5, "drop_to": 0.2}) == Rate(lr=0.1, drop_after=0.5, drop_to=0.2)
    assert joint(pretrain={"lr": 0.1}, joint={"lr": 0.1}) == Rate(lr=0.1)
    dropped = {"lr": 4e-3, "drop_after": 0.6, "drop_to": 0.3}
    for rates in (
        {"pretrain": dropped, "joint": {"lr": 6e-4}},
        {"pretrain": dropped, "joint": {"lr": 6e-4, "drop_after": 0.5, "drop_to": 0.1}},
        {"pretrain": dropped, "joint": dropped},
        {"pretrain": {"lr": 0.1}},
    ):
        one = joint(**rates)
        first, then = (Rate.model_validate(rates.get(stage, {"lr": 0.5})) for stage in ("pretrain", "joint"))
        in_three = [first.at(step, 720) for step in range(720)] + [then.at(step, 140) for step in range(140)]
        assert one is not None and [one.at(update, 860) for update in range(860)] == pytest.approx(in_three)


def test_what_the_command_leaves_out_is_recorded(tmp_path: Path) -> None:
    study = load(tmp_path, FAIR + "seeds: [0, 1, 2]\n", only=["proposed", "ch*"], seeds=[2, 5])
    facts = planner.make_plan(study).study
    assert [*facts.left_out] == ["glcic", "fair", "faster"] and facts.left_out_seeds == [0, 1]
    assert facts.left_out["fair"].method == "glcic"
    assert facts.left_out["fair"].options["optimizer"] == {"kind": "adam", "lr": 1e-3, "betas": None}
    facts = planner.make_plan(load(tmp_path, FAIR)).study
    assert (facts.left_out, facts.left_out_seeds) == ({}, [])


def test_a_variant_of_another_method_inherits_what_its_method_knows(tmp_path: Path) -> None:
    text = SMALL + "    multiscale: 1\n    norm: instance\n  single: {extends: proposed, method: single}\n"
    options = load(tmp_path, text).variants["single"].options.model_dump()
    assert options["norm"] == "instance"
    assert "multiscale" not in options


def test_defaults_go_where_the_method_knows_the_key(tmp_path: Path) -> None:
    text = (
        SMALL
        + "    batch: 5\n  ce: {method: ce}\n  mean: {method: mean}\ndefaults: {batch: 3, multiscale: 1, images: 7}\n"
    )
    variants = load(tmp_path, text).variants
    assert variants["proposed"].options.model_dump()["batch"] == 5
    assert variants["proposed"].options.model_dump()["multiscale"] == 1
    assert variants["ce"].options.model_dump()["batch"] == 3
    assert variants["mean"].options.model_dump() == {"images": 7}


def test_a_profile_is_laid_over_the_rest(tmp_path: Path) -> None:
    text = (
        SMALL
        + """\
profile: tiny
profiles:
  tiny:
    image_size: 32
    recipes: {wgan: {optimizer: {lr: 0.5}}}
    variants: {proposed: {batch: 4}}
  other: {seeds: [7]}
"""
    )
    tiny, other = load(tmp_path, text), load(tmp_path, text, profile="other")
    options = tiny.variants["proposed"].options
    assert isinstance(options, Proposed)
    assert (tiny.profile, tiny.image_size, tiny.seeds, options.batch) == ("tiny", 32, [0], 4)
    assert (options.loss.optimizer.lr, options.loss.optimizer.kind, options.loss.clip) == (
        0.5,
        "rmsprop",
        0.01,
    )
    assert (other.profile, other.image_size, other.seeds) == ("other", 64, [7])
    assert "profiles" not in tiny.resolved


def test_another_kind_replaces_whole(tmp_path: Path) -> None:
    text = SMALL + "profile: p\nprofiles: {p: {recipes: {wgan: {optimizer: {kind: adadelta, lr: 1.0}}}}}\n"
    options = load(tmp_path, text).variants["proposed"].options
    assert isinstance(options, Proposed)
    assert options.loss.optimizer.kind == "adadelta"
    assert faults(tmp_path, text.replace("adadelta, lr: 1.0", "adadelta")) == [
        "runs.yaml:13:44: profiles.p.recipes.wgan.optimizer: 'lr' is missing"
    ]


def test_a_loss_may_extend_a_recipe_in_place(tmp_path: Path) -> None:
    text = changed("loss: wgan", "loss: {extends: wgan, clip: 0.5}")
    options = load(tmp_path, text).variants["proposed"].options
    assert isinstance(options, Proposed)
    assert (options.loss.kind, options.loss.clip, options.loss.optimizer.kind) == ("wgan", 0.5, "rmsprop")


def test_null_takes_out_a_mapping_or_a_list(tmp_path: Path) -> None:
    """From a profile, the command line or what is extended: as if it had never been said. A section goes whole."""
    listed = SMALL + "    fill: [0.1, 0.2, 0.3]\n    rates: {joint: {lr: 0.1}}\n"
    text = listed + "  plain: {extends: proposed, rates: null}\n  mean: {method: mean}\n" + ABLATION
    text += "profile: p\nprofiles: {p: {ablations: null, variants: {proposed: {fill: null}}}}\n"
    study = load(tmp_path, text)
    said = {name: variant.options.model_dump() for name, variant in study.variants.items()}
    assert study.ablations == {} and list(said) == ["proposed", "plain", "mean"]
    assert said["proposed"]["fill"] == said["plain"]["fill"] == "zero"
    assert list(said["proposed"]["rates"]) == ["joint"] and said["plain"]["rates"] == {}
    assert "ablations" not in study.resolved
    assert list(load(tmp_path, text, settings=["variants.mean=null"]).variants) == ["proposed", "plain"]


def test_null_takes_out_nothing_that_is_not_there(tmp_path: Path) -> None:
    assert faults(tmp_path, SMALL, settings=["variants.propsed=null"]) == [
        "--set variants.propsed=null: variants.propsed: this is empty; write its keys below it"
    ]
    text = SMALL + ABLATION + "profile: p\nprofiles: {p: {ablations: {critic: null}}}\n"
    assert faults(tmp_path, text) == [
        "runs.yaml:17:36: profiles.p.ablations.critic: this is empty; write its keys below it"
    ]


def test_the_cells_of_an_ablation(tmp_path: Path) -> None:
    study = load(tmp_path, SMALL + ABLATION)
    ablation = study.ablations["critics"]
    assert ablation.factors == {"multiscale": ["0", "2"], "loss": ["wgan", "js"]}
    assert dict(ablation.cells) == {
        ("0", "wgan"): "proposed:multiscale=0",
        ("0", "js"): "proposed:multiscale=0,loss=js",
        ("2", "wgan"): "proposed",  # the cell equal to the reference is the reference
        ("2", "js"): "proposed:loss=js",
    }
    assert list(study.variants) == [
        "proposed",
        *(name for _, name in ablation.cells if name != "proposed"),
    ]
    assert {variant.reference for variant in study.variants.values()} == {None, "proposed"}


def test_yaml_aliases_are_allowed(tmp_path: Path) -> None:
    text = SMALL + "    rates: {pretrain: &rate {lr: 0.1}, joint: *rate}\n"
    options = load(tmp_path, text).variants["proposed"].options
    assert isinstance(options, Proposed)
    assert options.rates["joint"].lr == options.rates["pretrain"].lr == 0.1


def test_the_paper_has_the_papers_numbers() -> None:
    study = config.load(RUNS, profile="paper")
    options = study.variants["proposed"].options
    assert isinstance(options, Proposed)
    assert study.image_size == 256
    assert (options.batch, options.width) == (32, 1.0)
    assert options.steps.model_dump() == {"pretrain": 20_000, "critic": 10_000, "joint": 70_000}
    assert set(options.weights.model_dump().values()) == {0.001}
    assert (options.multiscale, options.loss.kind, options.loss.clip) == (2, "wgan", 0.01)
    assert (options.loss.optimizer.kind, options.loss.optimizer.lr) == ("rmsprop", 5e-5)
    assert options.optimizer.betas == [0.5, 0.999]
    method = options.method(256)
    assert list(method.critics) == ["local", "global", "half", "quarter"]
    assert study.protocol.mask.kind == options.mask.kind == "center"


def test_the_demo_is_small() -> None:
    study = config.load(RUNS)
    assert (study.profile, study.image_size, study.seeds) == ("demo", 64, [0, 1, 2])
    assert len(study.variants) * len(study.seeds) >= 36
    assert {variant.method for variant in study.variants.values()} == set(METHODS.split(", "))
    cells = dict(study.ablations["critics_and_loss"].cells)
    assert len(cells) == 8 and cells["2", "wgan"] == "proposed"


LINES = RUNS.read_text().splitlines()
TEXT = "\n".join(LINES)
PATHS = [
    "ablations.dilation",
    "ablations.each_critic.factors.leave_out",
    "ablations.weight_of_critics.factors.total_weight",
    "ablations.critics_and_loss.factors.multiscale",
    "ablations.critics_and_loss.reference",
    "data",
    "data.faces.kind",
    "defaults.steps",
    "image_size",
    "multiverses",
    "multiverses.readings.base",
    "multiverses.readings.contrasts",
    "multiverses.readings.design",
    "multiverses.readings.most",
    "multiverses.readings.vary",
    "multiverses.readings.vary.head",
    "numerics",
    "observers",
    "profile",
    "profiles",
    "protocol.mask",
    "recipes.js.extends",
    "recipes.wgan",
    "recipes.wgan.clip",
    "recipes.wgan.kind",
    "recipes.wgan_gp.penalty",
    "seeds",
    "study",
    "variants",
    "variants.ce.extends",
    "variants.proposed",
    "variants.proposed.fill",
    "variants.proposed.loss",
    "variants.proposed.mask",
    "variants.proposed.method",
    "variants.proposed.rates",
    "variants.proposed.weights.local",
    "variants.single.extends",
]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["wgan", "js", "proposed", "ce", "faces", "center", "kind", "extends"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["kind", "extends", "lr", "a"]), inner),
    max_leaves=5,
)
QUICK = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))


def loads_or_says_why(text: str | bytes, folder: Path, **options: object) -> None:
    """A file loads, or raises BadInput that names the file or the option; anything else is a fault of ours."""
    try:
        load(folder, text, **options)
    except BadInput as error:
        assert error.faults
        for fault in error.faults:
            assert fault.startswith((str(folder / "runs.yaml"), "--set")), fault
            assert "Node(" not in fault and "\n" not in fault


@QUICK
@given(st.sets(st.integers(0, len(LINES) - 1), min_size=1, max_size=4))
def test_a_file_with_lines_lost(tmp_path: Path, lost: set[int]) -> None:
    loads_or_says_why("\n".join(line for number, line in enumerate(LINES) if number not in lost), tmp_path)


@QUICK
@given(st.randoms(use_true_random=False), st.integers(1, 5))
def test_a_file_with_characters_exchanged(tmp_path: Path, chance: random.Random, times: int) -> None:
    text = list(TEXT)
    for _ in range(times):
        a, b = chance.randrange(len(text)), chance.randrange(len(text))
        text[a], text[b] = text[b], text[a]
    loads_or_says_why("".join(text), tmp_path)


@QUICK
@given(st.integers(0, len(TEXT)), st.text(st.sampled_from("{}[]&*!|>%@:,-#'\"\n\t 0x~?"), min_size=1, max_size=4))
def test_a_file_with_characters_put_in(tmp_path: Path, place: int, more: str) -> None:
    loads_or_says_why(TEXT[:place] + more + TEXT[place:], tmp_path)


@QUICK
@given(st.sampled_from(PATHS), VALUES)
@example("seeds", [True])
@example("profile", ["demo"])
@example("data.faces.kind", {"a": 1})
@example("variants.proposed.weights.local", "\n")
def test_any_value_at_any_place_of_the_command_line(tmp_path: Path, path: str, value: object) -> None:
    loads_or_says_why(TEXT, tmp_path, settings=[f"{path}={_yaml(value)}"])


@QUICK
@given(st.sampled_from(PATHS), VALUES)
def test_any_value_at_any_place_of_the_file(tmp_path: Path, path: str, value: object) -> None:
    plain = parse(TEXT, "", []).plain()
    *way, last = path.split(".")
    entry = plain
    for part in way:
        entry = entry.setdefault(part, {})
    entry[last] = value
    loads_or_says_why(_yaml(plain), tmp_path)


@QUICK
@given(st.text() | st.binary())
def test_any_text_at_all(tmp_path: Path, text: str | bytes) -> None:
    loads_or_says_why(text.encode(errors="replace") if isinstance(text, str) else text, tmp_path)


def _yaml(value: object) -> str:
    """A value as YAML in one line (JSON, and the numbers that JSON lacks)."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_yaml(key)}: {_yaml(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_yaml, value)) + "]"
    if isinstance(value, str):
        return '"' + "".join(c if c.isalnum() and c.isascii() else f"\\U{ord(c):08x}" for c in value) + '"'
    if isinstance(value, float):
        return str(value).replace("inf", ".inf").replace("nan", ".nan")
    return "null" if value is None else str(value).lower()


def tree(value: object) -> Node:
    return Node(
        {key: tree(entry) for key, entry in value.items()} if isinstance(value, dict) else value,
        Place("", 0, 0, ()),
    )


TREES = st.recursive(
    st.integers(0, 3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
MAPPINGS = st.dictionaries(st.sampled_from("abc"), TREES, max_size=3)
KINDS = st.fixed_dictionaries(
    {"kind": st.sampled_from("xy")}, optional={"a": st.integers(0, 3), "b": st.integers(0, 3)}
)


@given(MAPPINGS)
def test_nothing_laid_over_or_under_changes_nothing(mapping: dict[str, object]) -> None:
    node = tree(mapping)
    assert node.over(tree({})).plain() == tree({}).over(node).plain() == node.over(node).plain() == mapping


@given(MAPPINGS, MAPPINGS)
def test_what_is_laid_over_wins(over: dict[str, object], base: dict[str, object]) -> None:
    laid = tree(over).over(tree(base)).plain()
    assert set(laid) == {*over, *base}
    assert tree(over).over(tree(laid)).plain() == laid
    assert {key: laid[key] for key in base if key not in over} == {key: base[key] for key in base if key not in over}


@given(MAPPINGS.map(tree), MAPPINGS.map(tree), MAPPINGS.map(tree))
def test_laying_is_associative_where_shapes_agree(a: Node, b: Node, c: Node) -> None:
    """A scalar between two mappings cuts the lower one off, or not: by the order. Elsewhere the order is the same."""
    if _alike(a, b) and _alike(b, c) and _alike(a, c):
        assert a.over(b).over(c).plain() == a.over(b.over(c)).plain()


def _alike(a: Node, b: Node) -> bool:
    """Whether both are mappings, or both are not, wherever both say something."""
    if a.is_mapping != b.is_mapping:
        return False
    return all(_alike(node, b.value[key]) for key, node in a.items() if key in b.value)


@given(KINDS.map(tree), KINDS.map(tree))
def test_another_kind_is_another_thing(a: Node, b: Node) -> None:
    same = a.value["kind"].value == b.value["kind"].value
    assert a.over(b).plain() == ({**b.plain(), **a.plain()} if same else a.plain())
    assert a.extending(b).plain() == {**b.plain(), **a.plain()}


@given(MAPPINGS, st.lists(st.sampled_from("abc"), min_size=1, max_size=3), st.integers(0, 9))
def test_what_is_assigned_is_there_and_the_rest_is_left(
    mapping: dict[str, object], path: list[str], value: int
) -> None:
    before = tree(mapping)
    after = assign(before, f"{'.'.join(path)}={value}", [])
    assert after.at(tuple(path)).plain() == value
    assert before.plain() == mapping
    assert {k: v for k, v in after.plain().items() if k != path[0]} == {
        k: v for k, v in mapping.items() if k != path[0]
    }


def test_words_of_a_message() -> None:
    assert unknown("wgam", ["wgan", "js"]) == "'wgam' is unknown; choose js, wgan (did you mean 'wgan'?)"
    assert unknown(3, []) == "3 is unknown; there is none"
    assert near("xyz", ["wgan", "js"]) == ""
    assert [shown(value) for value in (None, True, "a", 1.5)] == ["nothing", "true", "'a'", "1.5"]
    assert len(shown("x" * 100)) == 60


LARGE = {
    "values": lambda: {"seeds": list(range(7_900))},
    "too many values": lambda: {"seeds": list(range(200_000))},
    "variants": lambda: {"variants": {f"v{number}": {"method": "mean"} for number in range(2_500)}},
    "names that are wrong": lambda: {"variants": {f"v{n}": {"extends": f"w{n}"} for n in range(2_500)}},
    "keys that are wrong": lambda: {f"v{number}": 1 for number in range(3_500)},
    "brackets": lambda: {"seeds": "@"},
}


@pytest.mark.parametrize("name", LARGE)
def test_a_large_file_is_read_or_refused_in_seconds(name: str, tmp_path: Path) -> None:
    file = tiny.write(tmp_path)
    study = json.loads(file.read_text()) | LARGE[name]()
    file.write_text(json.dumps(study).replace('"@"', "[" * 100_000))
    began = time.process_time()
    try:
        config.load(file)
    except BadInput as error:
        assert len(error.faults) <= 101 and all(len(fault) < 2_000 for fault in error.faults)
    assert time.process_time() - began < 2
