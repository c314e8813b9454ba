"""The paper's networks and losses. Knows torch and nothing of the harness.

A part is a name and its options: a network that is listed here is built by its name, called like the one
beside it, and tested by the conformance suite, ``study.conformance``. Its ``version`` is
raised when its numbers change.
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
