"""What checks share: the part that is checked, outcomes as exceptions, seeded images."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

CLOSE = 1e-4
"""The largest difference between values in 0..1 that are equal except for the order of sums."""


@dataclass(frozen=True)
class Part:
    """A registered part."""

    registry: str
    name: str
    entry: Any


class Fault(Exception):
    """A part does not conform. The sentence says what is expected, what the part does, and how to fix it."""


class NotChecked(Exception):
    """A check does not apply. The sentence says why."""


def expect(condition: object, sentence: str) -> None:
    """Raises Fault with the sentence if the condition is false."""
    if not condition:
        raise Fault(sentence)


@contextmanager
def unchanged(**tensors: Tensor) -> Iterator[None]:
    """Raises Fault if the block changes one of the tensors."""
    before = {name: tensor.detach().clone() for name, tensor in tensors.items()}
    yield
    for name, tensor in tensors.items():
        sentence = f"it writes into its argument {name}, which others use too: work on a copy, {name}.clone()"
        expect(torch.equal(before[name], tensor), sentence)


def images(count: int, side: int) -> Tensor:
    """(count, 3, side, side), uniform noise in 0..1."""
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(1))


def shape(value: Any) -> str:
    """The shape of a tensor, or the type of anything else, for a message."""
    return str(tuple(value.shape)) if isinstance(value, Tensor) else f"a {type(value).__name__}"


def finite(*tensors: Tensor) -> bool:
    return all(bool(tensor.isfinite().all()) for tensor in tensors)
