"""What is expected of methods, and what one describes."""

from __future__ import annotations

from typing import Any

import torch

from models.method import Filler, Fitted, Method, Trained
from study.conformance.expectation import SIDES, defaulted, expect
from study.parts import registries


def describes_itself(name: str) -> str | None:
    """method(image_size) describes networks that can be built, the same each time."""
    options = defaulted(registries.METHODS[name])
    if isinstance(options, Filler):
        return None  # that its filler is listed is seen when it is
    refused = []
    for side in SIDES:
        try:
            method = options.method(side)
            expect(
                isinstance(method, Method), f"method({side}) gives a {type(method).__name__}, no models.method.Method"
            )
            expect(method == options.method(side), f"method({side}) describes another one the second time")
            expect(
                ("fit" in method.stages) == isinstance(options, Fitted),
                "the stage 'fit' is of a models.method.Fitted, and its only one",
            )
            buildable(method)
        except ValueError as error:
            refused.append(f"{side} px: {error}")
    expect(len(refused) < len(SIDES), f"it can be built at none of these sizes: {'; '.join(refused)}")
    return "; ".join(refused) or None


def buildable(method: Method) -> None:
    parts = [("GENERATORS", method.generator), *(("CRITICS", critic.network) for critic in method.critics.values())]
    for registry, part in parts:
        known = registries.REGISTRIES[registry]
        expect(
            part.get("kind") in known,
            f"it describes {registry}['{part.get('kind')}'], which there is not; there are {', '.join(known)}",
        )
        with torch.device("meta"):  # as a study is planned
            registries.build(known, part)


def described(kind: type[Any], side: int) -> Method | None:
    """What a method's default options describe; None where they describe nothing: its own checks say why."""
    try:
        return kind().method(side) if issubclass(kind, Trained) else None
    except Exception:
        return None


def side_of(kind: type[Any]) -> int:
    """The least side at which a method's networks can be built."""
    for side in SIDES:
        method = described(kind, side)
        if method is not None:
            try:
                buildable(method)
            except ValueError:
                continue
        return side
    return SIDES[-1]
