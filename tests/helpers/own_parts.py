"""Plugins in text: a part of each kind that conforms, for tests to load, and to break."""

LOSS = """
import torch

class Logistic:
    def critic(self, real, fake):
        return torch.nn.functional.softplus(fake - real).mean()

    def generator(self, fake):
        return torch.nn.functional.softplus(-fake).mean()

LOSSES = {"logistic": Logistic}
"""
MASK = """
from typing import Literal
import numpy as np
from models.masks import PluginMask

class Stripes(PluginMask):
    kind: Literal["stripes"] = "stripes"
    every: int = 4

    def draw(self, rng, count, side):
        holes = np.zeros((count, side, side), bool)
        holes[:, :: self.every] = True
        return holes

MASKS = {"stripes": Stripes}
"""
FIT = """
import torch
from torch import nn
from models.method import Fitted

class Net(nn.Module):
    windowed = False

    def __init__(self, image_side):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(4, 3, 3, padding=1), nn.Sigmoid())

    def forward(self, masked_image, mask, window=None):
        return self.layers(torch.cat([masked_image, mask], 1))

class Mine(Fitted):
    rate: float = 1e-2

    def generator(self, image_size):
        return {"kind": "net", "image_side": image_size}

    def fit(self, network, training):
        optimizer = torch.optim.SGD(network.parameters(), self.rate)
        for image, mask, masked_image in training:
            loss = ((network(masked_image, mask) - image) * mask).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            training.log(loss=loss)

METHODS = {"mine": Mine}
GENERATORS = {"net": Net}
"""
METRIC = """
from study.metrics import Metric

class Own(Metric):
    name, title, unit, better, regions = "own", "Own", "", "lower", ("whole",)

    def __call__(self, output, image, mask):
        return {"whole": (output - image).abs().mean((1, 2, 3))}

METRICS = {"own": Own()}
"""
OTHERS = """
from models.method import Filler
from models.proposed import CriticOptions
from study.data import DataSet, packed

class Judge(nn.Module):
    normalises_batch = False
    views = ("global",)

    def __init__(self, image_side):
        super().__init__()
        side = image_side // 4
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 4, 4), nn.Tanh(), nn.Flatten(), nn.Linear(4 * side**2, 1))

    def forward(self, image, windows):
        return self.layers(image)[:, 0]

class Judged(CriticOptions):
    def method(self, image_size):
        ours = self.with_critics(["global"], image_size)
        critic = ours.critics["global"].model_copy(update={"network": {"kind": "judge", "image_side": image_size}})
        net = {"kind": "net", "image_side": image_size}
        return ours.model_copy(update={"generator": net, "critics": {"global": critic}})

def grey(masked_image, mask):
    return masked_image * (1 - mask) + 0.5 * mask

class Grey(Filler):
    filler = "grey"

class Noise(DataSet):
    kind: Literal["noise"] = "noise"
    train: int = 6

    def identity(self):
        return self.deciding()

    def pack(self, image_size, folder, report):
        names = {"train": [f"a{n}" for n in range(self.train)], "validation": ["b0"], "test": ["c0", "c1"]}
        rng = np.random.default_rng(0)

        def drawn(name):
            return packed.Picture(name, rng.integers(0, 256, (image_size, image_size, 3), np.uint8))

        packed.write(folder, image_size, names, drawn, report)

METHODS |= {"judged": Judged, "grey": Grey}
CRITICS = {"judge": Judge}
FILLERS = {"grey": grey}
DATASETS = {"noise": Noise}
"""
REPORT = """
from reports.document import Note, Section

def words(frames):
    return Section(id="words", title="Words", blocks=[Note("These are words.")])

SECTIONS = {"words": words}
LINK = {"name": "over the mean", "a": "mine", "b": "mean", "metric": "own", "of": "whole", "direction": "less"}
CLAIMS = {"M1": {"claim": "Mine is nearer.", "links": [LINK]}}
"""
GOOD = FIT + LOSS + MASK + METRIC + OTHERS + REPORT
