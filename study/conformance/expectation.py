"""What every check says and needs: its outcome as an exception, images of a seed, a part by its defaults."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from pydantic import BaseModel, ValidationError
from torch import Tensor

SIDES = (32, 64)
IMAGES = {"train": 6, "validation": 2, "test": 3}
CLOSE = 1e-4
"""How far values of 0..1 may be apart that are the same but for the order of sums."""

Check = Callable[[str], str | None]


class Fault(Exception):
    """A part is not as it has to be; the sentence says what was expected, what was got, what to do."""


class NotChecked(Exception):
    """A check that cannot be made; the sentence says why."""


def expect(holds: object, sentence: str) -> None:
    """Raises Fault with the sentence where something does not hold."""
    if not holds:
        raise Fault(sentence)


@contextmanager
def unchanged(**given: Tensor) -> Iterator[None]:
    """Expects that what is done within leaves these tensors as they are."""
    before = {name: tensor.detach().clone() for name, tensor in given.items()}
    yield
    for name, tensor in given.items():
        expect(
            torch.equal(before[name], tensor),
            f"it writes into its {name}, of which others read: use a copy, {name}.clone()",
        )


def images(count: int, side: int) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(1))


def shape(made: Any) -> str:
    return str(tuple(made.shape)) if isinstance(made, Tensor) else f"a {type(made).__name__}"


def first_fault(error: ValidationError) -> str:
    fault = error.errors()[0]
    return f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"


def defaulted(kind: type[BaseModel]) -> Any:
    """An object of options, by their defaults. Raises NotChecked where one has none."""
    try:
        return kind()
    except ValidationError as error:
        needed = [str(fault["loc"][-1]) for fault in error.errors() if fault["type"] == "missing"]
        if not needed:
            raise Fault(f"its defaults are refused: {first_fault(error)}") from error
        raise NotChecked(f"it has options without a default, which a study file gives: {', '.join(needed)}") from error
