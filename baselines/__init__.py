"""Methods that are not the paper's. Each has its own file and a line in these registries."""

from __future__ import annotations

from torch import nn

from baselines.context_encoder import ContextEncoder, ContextEncoderOptions, HoleCritic
from baselines.contextual_attention import GiicaCritic, GiicaGenerator
from baselines.fillers import FILLERS, Biharmonic, MeanColour
from baselines.giica import GiicaOptions
from baselines.glcic import GlcicGenerator, GlcicOptions, JoinedCritic
from baselines.single import Single
from models.method import Filler, Trained

METHODS: dict[str, type[Trained] | type[Filler]] = {
    "ce": ContextEncoderOptions,
    "glcic": GlcicOptions,
    "giica": GiicaOptions,
    "single": Single,
    "mean": MeanColour,
    "biharmonic": Biharmonic,
}
GENERATORS: dict[str, type[nn.Module]] = {
    "context_encoder": ContextEncoder,
    "glcic": GlcicGenerator,
    "giica": GiicaGenerator,
}
CRITICS: dict[str, type[nn.Module]] = {"context_encoder": HoleCritic, "glcic": JoinedCritic, "giica": GiicaCritic}

__all__ = ["CRITICS", "FILLERS", "GENERATORS", "METHODS"]
