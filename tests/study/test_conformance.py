"""One conformance suite runs over each registry: what is listed is tested. And the suite itself finds what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from study import catalog, plugins
from study.conformance import CHECKS, conformance, plugin

OURS = [(registry, name) for registry, parts in catalog.REGISTRIES.items() for name in parts]
NEEDING = {"files", "folder", "celeba", "imagenet", "places2"}
"""What has options without a default, and tests of its own."""


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    plugins.use([])


def test_every_registry_has_checks() -> None:
    assert CHECKS.keys() == catalog.REGISTRIES.keys()
    assert all(CHECKS.values())


@pytest.mark.parametrize(("registry", "name"), OURS)
def test_our_own_part_conforms(registry: str, name: str) -> None:
    if registry not in ("METHODS",):
        assert isinstance(catalog.version(registry, name), int)
    for found in conformance(registry, name):
        assert found.outcome == ("not checked" if name in NEEDING else "fine"), found


GOOD = """
import numpy as np
import torch
from typing import Literal
from torch import nn
from models.masks import PluginMask
from models.method import Fitted
from study.metrics import Metric

class Net(nn.Module):
    windowed = False

    def __init__(self, image_side):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.Sigmoid(), nn.Conv2d(4, 3, 1), nn.Sigmoid())

    def forward(self, masked_image, mask, window=None):
        return self.layers(torch.cat([masked_image, mask], 1))

class Mine(Fitted):
    def generator(self, image_size):
        return {"kind": "mine", "image_side": image_size}

    def fit(self, network, training):
        optimizer = torch.optim.Adam(network.parameters(), 1e-3)
        for image, mask, masked_image in training:
            loss = ((network(masked_image, mask) - image) * mask).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            training.log(loss=loss)

class Stripes(PluginMask):
    kind: Literal["stripes"] = "stripes"

    def draw(self, rng, count, side):
        holes = np.zeros((count, side, side), bool)
        holes[:, ::4] = True
        return holes

class RMSE(Metric):
    name, title, unit, better, regions = "rmse", "RMSE", "", "lower", ("whole",)

    def __call__(self, output, image, mask):
        return {"whole": (output - image).square().mean((1, 2, 3)).sqrt()}

class Logistic:
    def critic(self, real, fake):
        return nn.functional.softplus(fake - real).mean()

    def generator(self, fake):
        return nn.functional.softplus(-fake).mean()

METHODS = {"mine": Mine}
GENERATORS = {"mine": Net}
MASKS = {"stripes": Stripes}
METRICS = {"rmse": RMSE()}
LOSSES = {"logistic": Logistic}
"""

BROKEN = {
    "no sigmoid": ("nn.Conv2d(4, 3, 1), nn.Sigmoid())", "nn.Conv2d(4, 3, 1))", "images are 0..1"),
    "another size": ("self.layers(torch.cat([masked_image, mask], 1))", "masked_image[..., 1:]", "expected (2, 3,"),
    "no gradient": ("return self.layers(torch.cat([masked_image, mask], 1))", "return masked_image", "no gradient"),
    "no windowed": ("    windowed = False\n", "", "it lacks 'windowed = False'"),
    "a loss the wrong way": ("softplus(fake - real)", "softplus(real - fake)", "critic(real, fake) is"),
    "not a scalar": ("softplus(-fake).mean()", "softplus(-fake)", "expected a scalar"),
    "an empty hole": ("holes[:, ::4] = True", "holes[:, 0] = True", "where SSIM sees nothing"),
    "a full hole": ("holes[:, ::4] = True", "holes[:] = True", "a hole is the whole image"),
    "chance of its own": ("holes[:, ::4] = True", "holes[:, np.random.randint(9, 20)] = True", "draws other holes"),
    "one value for all": ("mean((1, 2, 3)).sqrt()", "mean().sqrt()", "expected (3,)"),
    "the wrong direction": ('"lower"', '"higher"', "noise does not make it worse"),
    "too few batches": ("        for image, mask, masked_image in training:\n", "        if 1:\n"
                        "            image, mask, masked_image = next(iter(training))\n", "its fit took"),
    "a fit that raises": ("training.log(loss=loss)", "training.log(loss=los)", "NameError: name 'los'"),
    "nothing but NaN": ("training.log(loss=loss)", "training.log(loss=loss * float('nan'))", "it diverged"),
}  # fmt: skip


def test_a_plugin_conforms(tmp_path: Path) -> None:
    file = tmp_path / "good.py"
    file.write_text(GOOD)
    found = plugin(file)
    assert {one.outcome for one in found} == {"fine", "not checked"}
    assert [one.why for one in found if one.outcome == "not checked"] == ["it joins with the method that has it"]
    assert {(one.registry, one.part) for one in found} == set(plugins.used()[0].parts)


@pytest.mark.parametrize("name", BROKEN)
def test_the_suite_says_what_is_wrong(name: str, tmp_path: Path) -> None:
    old, new, sentence = BROKEN[name]
    assert old in GOOD
    file = tmp_path / "broken.py"
    file.write_text(GOOD.replace(old, new))
    faults = [found.why for found in plugin(file) if found.outcome == "fault"]
    assert any(sentence in why for why in faults), faults


UNREADABLE = {
    "no file": (None, "No such file or directory"),
    "no python": ("x = = 2\n", "broken.py:1: SyntaxError"),
    "a line that raises": ("import torch\n\nraise RuntimeError('no')\n", "broken.py:3: RuntimeError: no"),
    "nothing": ("x = 2\n", "it declares no part; write one of METHODS, GENERATORS"),
    "no dictionary": ("METHODS = [1]\n", "METHODS is no dictionary from names to parts"),
    "a name that is taken": ("LOSSES = {'wgan': object}\n", "LOSSES['wgan']: there is a part of this name already"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_file_that_is_no_plugin_is_told(name: str, tmp_path: Path) -> None:
    text, sentence = UNREADABLE[name]
    file = tmp_path / "broken.py"
    if text is not None:
        file.write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "study", "check", str(file)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2 and sentence in done.stderr and "Traceback" not in done.stderr, done.stderr


def test_the_command_tells_programs_and_exits_with_two_where_something_fails(tmp_path: Path) -> None:
    file = tmp_path / "broken.py"
    file.write_text(GOOD.replace("mean((1, 2, 3)).sqrt()", "mean().sqrt()"))
    command = [sys.executable, "-m", "study", "check", str(file), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2, done.stderr
    faults = [found for found in json.loads(done.stdout) if found["outcome"] == "fault"]
    assert ("METRICS", "rmse") in {(found["registry"], found["part"]) for found in faults}
