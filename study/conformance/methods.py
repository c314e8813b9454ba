"""Checks of methods, and what a method describes."""

from __future__ import annotations

from typing import Any

import torch

from models.method import Filler, Fitted, Method, Trained
from study.conformance.expectation import SIDES, Part, defaulted, expect
from study.parts import registries


def describes_itself(part: Part) -> str | None:
    """method(image_size) describes networks that can be built, the same each time."""
    options = defaulted(part.entry)
    if isinstance(options, Filler):
        return None  # a plugin without its filler is refused when it is listed
    refused = []
    for side in SIDES:
        try:
            method = options.method(side)
            got = type(method).__name__
            expect(isinstance(method, Method), f"method({side}) gives a {got}; expected a models.method.Method")
            expect(method == options.method(side), f"method({side}) gives another description the second time")
            expect(
                ("fit" in method.stages) == isinstance(options, Fitted),
                "a models.method.Fitted has the stage 'fit' alone, and no other method has it",
            )
            build(method)
        except ValueError as error:
            refused.append(f"{side} px: {error}")
    expect(len(refused) < len(SIDES), f"it can be built at none of these sizes: {'; '.join(refused)}")
    return "; ".join(refused) or None


def build(method: Method) -> None:
    """Builds a method's networks without memory, as planning does. Raises ValueError if options do not fit together."""
    networks = [("GENERATORS", method.generator), *(("CRITICS", critic.network) for critic in method.critics.values())]
    for registry, network in networks:
        known = registries.REGISTRIES[registry]
        kind = network.get("kind")
        expect(kind in known, f"it describes {registry}['{kind}'], which does not exist; choose {', '.join(known)}")
        with torch.device("meta"):
            registries.build(known, network)


def described(kind: type[Any], side: int) -> Method | None:
    """What a method's default options describe; None if that fails: the method's own checks say why."""
    try:
        return kind().method(side) if issubclass(kind, Trained) else None
    except Exception:
        return None


def side_of(kind: type[Any]) -> int:
    """The smallest side at which a method's networks can be built."""
    for side in SIDES:
        try:
            if method := described(kind, side):
                build(method)
        except ValueError:
            continue
        return side
    return SIDES[-1]
