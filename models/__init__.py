"""The paper's networks and losses. Needs torch and nothing of the harness.

A part is a name and its options. A network in these registries is built by its name and tested by the conformance
suite (``study.conformance``). Raise its ``version`` when its numbers change.
"""

from __future__ import annotations

from torch import nn

from models.critics import Critic
from models.generator import Generator
from models.method import Filler, Trained
from models.proposed import Proposed, ReconstructionOnly

GENERATORS: dict[str, type[nn.Module]] = {"mo_zhou": Generator}
CRITICS: dict[str, type[nn.Module]] = {"mo_zhou": Critic}
METHODS: dict[str, type[Trained] | type[Filler]] = {
    "proposed": Proposed,
    "reconstruction_only": ReconstructionOnly,
}
