"""What checks share: the part that is checked, outcomes as exceptions, seeded images."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import BaseModel, ValidationError
from torch import Tensor

SIDES = (32, 64)
IMAGES = {"train": 6, "validation": 2, "test": 3}
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


def first_error(error: ValidationError) -> str:
    fault = error.errors()[0]
    return f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"


def defaulted(kind: type[BaseModel]) -> Any:
    """Options with their defaults. Raises NotChecked if an option has none."""
    try:
        return kind()
    except ValidationError as error:
        required = [str(fault["loc"][-1]) for fault in error.errors() if fault["type"] == "missing"]
        if not required:
            raise Fault(f"its defaults are not valid: {first_error(error)}") from error
        raise NotChecked(f"it has options without a default: {', '.join(required)}") from error
