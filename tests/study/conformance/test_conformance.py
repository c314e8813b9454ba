"""The conformance suite passes for every registered part, and finds the faults of broken parts."""

from __future__ import annotations

import json
import re
from itertools import chain, zip_longest
from pathlib import Path

import pytest
from commands import command
from own_parts import FIT, GOOD

from study.conformance import CHECKS, conformance, plugin
from study.conformance.dry_run import runs_on_a_card
from study.conformance.parts import DETAIL
from study.parts import plugins, registries

OURS = [(registry, name) for registry, parts in registries.REGISTRIES.items() for name in parts]
NEEDING = {"files", "folder", "celeba", "imagenet", "places2"}
"""Parts that have options without a default. They have their own tests."""


def test_every_registry_has_checks() -> None:
    assert CHECKS.keys() == registries.REGISTRIES.keys()
    assert all(CHECKS.values())


@pytest.mark.parametrize(("registry", "name"), OURS)
def test_our_own_part_conforms(registry: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if registry in ("METHODS", "LOSSES"):  # test_dry_run.py has them all
        checks = [check for check in CHECKS[registry] if check is not runs_on_a_card]
        monkeypatch.setitem(CHECKS, registry, checks)
    if registry not in ("METHODS",):
        assert isinstance(registries.version(registry, name), int)
    for found in conformance(registry, name):
        apart = name in NEEDING or (name in DETAIL and found.check == "worsens with noise")
        assert found.outcome == ("not checked" if apart else "fine"), found
        assert apart or not found.why, found


IN_FIT = "        for image, mask, masked_image in training:\n"
BROKEN = {
    "no sigmoid": ("padding=1), nn.Sigmoid())", "padding=1))", "images are 0..1"),
    "another size": ("self.layers(torch.cat([masked_image, mask], 1))", "masked_image[..., 1:]", "expected (2, 3,"),
    "no gradient": ("return self.layers(torch.cat([masked_image, mask], 1))", "return masked_image", "no gradient"),
    "a mask that is written into": (
        "return self.layers(torch.cat([masked_image, mask], 1))",
        "out = self.layers(torch.cat([masked_image, mask], 1)); mask.mul_(0.5); return out",
        "it writes into its argument mask, which others use too: work on a copy, mask.clone()",
    ),
    "an image that is written into": ("return self.layers(image)[:, 0]", "return self.layers(image.mul_(0.5))[:, 0]",
                                      "it writes into its argument image"),
    "a hole that is written into": ("return masked_image * (1 - mask) + 0.5 * mask",
                                    "return masked_image.mul_(1 - mask).add_(0.5 * mask)",
                                    "writes into its argument masked_image"),
    "an output that is written into": ("(output - image).abs()", "output.sub_(image).abs()",
                                       "it writes into its argument output"),
    "values of no region": ('{"whole": (output - image).abs().mean((1, 2, 3))}',
                            "(output - image).abs().mean((1, 2, 3))",
                            "expected a dictionary of values by region"),
    "a window that changes": (
        "return self.layers(torch.cat([masked_image, mask], 1))",
        "return self.layers(torch.cat([masked_image * (window is None), mask], 1))",
        "with a window its values there differ by",
    ),
    "images that mix": (
        "return self.layers(torch.cat([masked_image, mask], 1))",
        "return self.layers(torch.cat([masked_image - masked_image.mean(0), mask], 1))",
        "in evaluation an image's repair depends on the others of its batch",
    ),
    "chance that is not torch's": (
        "return self.layers(torch.cat([masked_image, mask], 1))",
        "return self.layers(torch.cat([masked_image + np.random.rand(), mask], 1))",
        "give different bits the second time",
    ),
    "a layer that is not known": ("self.layers = nn.Sequential(nn.Conv2d(4, 3, 3",
                                  "self.other = nn.PReLU(); self.layers = nn.Sequential(nn.Conv2d(4, 3, 3",
                                  "all initial weights are drawn from the seed"),
    "an error with its line": ("return self.layers(image)[:, 0]", "return self.layer(image)[:, 0]",
                               "AttributeError: 'Judge' object has no attribute 'layer' (line 84 of broken.py)"),
    "a score for every pixel": ("return self.layers(image)[:, 0]", "return image",
                                "expected (3,), one score per image"),
    "a bounded score": ("self.layers(image)[:, 0]", "self.layers(image).sigmoid()[:, 0]", "come out of a sigmoid"),
    "a critic that mixes": ("self.layers(image)[:, 0]", "self.layers(image - image.mean(0))[:, 0]",
                            "its 'normalises_batch' is False, but an image's score depends on the others"),
    "a critic without a word": ("    normalises_batch = False\n", "", "it lacks 'normalises_batch = False'"),
    "a critic that teaches nothing": ("self.layers(image)[:, 0]", "self.layers(image.detach())[:, 0]",
                                      "no gradient of its scores reaches the image"),
    "a loss the wrong way": ("softplus(fake - real)", "softplus(real - fake)", "is its sign wrong?"),
    "not a scalar": ("softplus(-fake).mean()", "softplus(-fake)", "expected a scalar"),
    "a loss that overflows": ("softplus(-fake).mean()", "softplus(-fake.double().mul(30).exp()).log().mean().neg()",
                              "is not finite"),
    "a filler that looks": ("masked_image * (1 - mask) + 0.5 * mask", "masked_image + 0.5 * mask",
                            "it reads pixels in the hole"),
    "an empty hole": ("holes[:, :: self.every] = True", "holes[:, 0] = True", "where SSIM has no window"),
    "a full hole": ("holes[:, :: self.every] = True", "holes[:] = True", "a hole covers the whole image"),
    "a hole the wrong way": ("holes[:, :: self.every] = True", "holes[:, 5:] = True",
                             "its holes cover 84% of an image on average, over half; true is the hole"),
    "chance of its own": ("holes[:, :: self.every] = True", "holes[:, np.random.randint(9, 20)] = True",
                          "draws different holes"),
    "one value for all": (".abs().mean((1, 2, 3))", ".abs().mean()", "expected (3,)"),
    "a value of few digits": ("mean((1, 2, 3))", "mean((1, 2, 3)).float()", "expected float64"),
    "the wrong direction": ('"lower"', '"higher"', "noise of 0.02 does not make it worse"),
    "an identity that is not JSON": ("return self.deciding()", "return {1, 2}", "identity() is not JSON"),
    "images of another size": ("packed.write(folder, image_size,", "packed.write(folder, 2 * image_size,",
                               "its pixels are uint8 (16, 16, 3); expected uint8 (32, 32, 3)"),
    "other bytes": ("np.random.default_rng(0)", "np.random.default_rng()",
                    "pack writes different bytes the second time"),
    "options that change": ("    train: int = 6", "    model_config = {'frozen': False}; train: int = 6",
                            "its options can be changed"),
    "a network that is not there": ('"kind": "judge"', '"kind": "juror"',
                                    "it describes CRITICS['juror'], which does not exist"),
    "too few batches": (IN_FIT, "        if 1:\n            image, mask, masked_image = next(iter(training))\n",
                        "its fit took"),
    "a fit that does not stop": (
        "    def fit(self, network, training):\n",
        """    def fit(self, network, training):
        try:
            self.really_fit(network, training)
        except BaseException:
            pass

    def really_fit(self, network, training):
""", "its fit does not stop when asked to"),
    "a fit that raises": ("training.log(loss=loss)", "training.log(loss=los)", "NameError: name 'los'"),
    "nothing but NaN": ("training.log(loss=loss)", "training.log(loss=loss * float('nan'))", "it diverged"),
}  # fmt: skip


def test_a_plugin_conforms(tmp_path: Path) -> None:
    file = tmp_path / "good.py"
    file.write_text(GOOD)
    found = plugin(file)
    assert [one for one in found if one.outcome != "fine"] == []
    assert {(one.registry, one.part) for one in found} == set(plugins.used()[0].parts)


@pytest.mark.parametrize("name", BROKEN)
def test_the_suite_says_what_is_wrong(name: str, tmp_path: Path) -> None:
    old, new, sentence = BROKEN[name]
    assert old in GOOD
    file = tmp_path / "broken.py"
    file.write_text(GOOD.replace(old, new))
    (broken,) = plugins.use([file])
    faults = []
    # the first checks of all parts, then the next ones: those that train come last
    for found in chain.from_iterable(zip_longest(*(conformance(*part) for part in broken.parts))):
        if found is not None and found.outcome == "fault":
            faults.append(found.why)
            line = re.search(r"\(line (\d+) of broken\.py\)", found.why)
            assert line and 0 < int(line[1]) <= len(file.read_text().splitlines()), found.why
            if sentence in found.why:
                return
    pytest.fail(str(faults))


JUDGED = "return self.layers(image)[:, 0]"
REFUSED = {
    "a tensor that stays on the CPU": (
        "CRITICS", "judge", JUDGED, "return (self.layers(image) @ torch.ones(1, 1))[:, 0]",
        "mm gets tensors of two devices, which raises on every card (line 84 of broken.py)",
    ),
    "a gradient that is not deterministic on a card": (
        "CRITICS", "judge", JUDGED,
        "return self.layers(nn.functional.interpolate(image, scale_factor=1.0, mode='bicubic'))[:, 0]",
        "interpolate(mode='bicubic') (line 84 of broken.py) has no deterministic kernel for CUDA cards",
    ),
    "a filler that takes a card's images for its own": (
        "FILLERS", "grey", "return masked_image *", "return torch.from_numpy(masked_image.numpy()) *",
        "Use Tensor.cpu() to copy the tensor to host memory first. (line 94 of broken.py)",
    ),
    "a metric of two devices": (
        "METRICS", "own", "(output - image).abs()", "(output - image + torch.zeros(32)).abs()", "two devices",
    ),
    "a loop of two devices": (
        "METHODS", "mine", "* mask).square()", "* mask * torch.ones(32)).square()", "two devices",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", REFUSED)
def test_what_a_card_refuses_is_a_fault(fault: str, tmp_path: Path) -> None:
    """It is fine on a CPU, and its check there passes."""
    registry, part, old, new, sentence = REFUSED[fault]
    assert old in GOOD
    file = tmp_path / "broken.py"
    file.write_text(GOOD.replace(old, new))
    plugins.use([file])
    *on_a_cpu, on_a_card = conformance(registry, part)
    assert {found.outcome for found in on_a_cpu} == {"fine"}
    assert on_a_card.outcome == "fault" and sentence in on_a_card.why, on_a_card.why


def test_weights_that_are_not_finite_end_a_fit_as_diverged(tmp_path: Path) -> None:
    file = tmp_path / "broken.py"
    broken = "training.log(loss=0.0); network.layers[0].bias.data.fill_(float('nan'))"
    file.write_text(FIT.replace("training.log(loss=loss)", broken))
    plugins.use([file])
    faults = [found.why for found in conformance("METHODS", "mine") if found.outcome == "fault"]
    assert faults == ["it diverged: generator.weights is not finite at step 4 (line 22 of broken.py)"]


def test_a_wait_for_a_card_is_a_note(tmp_path: Path) -> None:
    """It is slow there and right everywhere."""
    file = tmp_path / "waits.py"
    file.write_text(FIT.replace("training.log(loss=loss)", "training.log(loss=loss.item())"))
    plugins.use([file])
    found = list(conformance("METHODS", "mine"))[-1]
    line = 1 + file.read_text().splitlines().index("            training.log(loss=loss.item())")
    assert (found.outcome, found.check) == ("fine", "runs on a card")
    assert f"item(), float(), bool() or an 'if' on a tensor (line {line} of waits.py)" in found.why


def test_what_follows_from_made_up_values_is_no_fault(tmp_path: Path) -> None:
    file = tmp_path / "waits.py"
    file.write_text(FIT.replace("training.log(loss=loss)", "1 / loss.item(); training.log(loss=loss)"))
    plugins.use([file])
    found = list(conformance("METHODS", "mine"))[-1]
    assert found.outcome == "fine" and "it ended with ZeroDivisionError" in found.why and "of waits.py" in found.why


@pytest.mark.slow
def test_the_command_tells_programs_and_exits_with_two_where_something_fails(tmp_path: Path) -> None:
    file = tmp_path / "broken.py"
    file.write_text(GOOD.replace("mean((1, 2, 3))", "mean()"))
    done = command("check", file, "--json")
    assert done.returncode == 2, done.stderr
    faults = [found for found in json.loads(done.stdout) if found["outcome"] == "fault"]
    assert ("METRICS", "own") in {(found["registry"], found["part"]) for found in faults}


@pytest.mark.parametrize(
    ("old", "new", "registry", "line"),
    [
        ("softplus(-fake).mean()", "softplus(-fake)", "LOSSES", "def generator("),
        ("return self.deciding()", "return {1, 2}", "DATASETS", "def identity("),
        ("holes[:, :: self.every] = True", "holes[:] = True", "MASKS", "def draw("),
        (".abs().mean((1, 2, 3))", ".abs().mean()", "METRICS", "def __call__("),
        ("    train: int = 6", "    model_config = {'frozen': False}; train: int = 6", "DATASETS", "class "),
    ],
)
def test_a_fault_names_the_line_of_what_is_wrong(old: str, new: str, registry: str, line: str, tmp_path: Path) -> None:
    file = tmp_path / "broken.py"
    file.write_text(GOOD.replace(old, new))
    (broken,) = plugins.use([file])
    name = next(name for one, name in broken.parts if one == registry)
    fault = next(found.why for found in conformance(registry, name) if found.outcome == "fault")
    number = int(re.search(r"\(line (\d+) of broken\.py\)$", fault)[1])  # type: ignore[index]
    assert file.read_text().splitlines()[number - 1].strip().startswith(line), fault
