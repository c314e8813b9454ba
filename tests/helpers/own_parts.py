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
