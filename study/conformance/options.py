"""What is expected of options: the study file gives them, and records, keys and models keep them as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from models.masks import Mask
from study.conformance.expectation import Check, Fault, defaulted, expect, first_fault
from study.parts import registries


def options_of(registry: str) -> Check:
    """The check that options are frozen, have defaults that are allowed, and come back from JSON as they were."""

    def has_options(name: str) -> None:
        kind = registries.REGISTRIES[registry][name]
        _options(kind, TypeAdapter[Any](Mask).validate_python if registry == "MASKS" else kind.model_validate)

    return has_options


def _options(kind: type[BaseModel], read: Callable[[Any], Any]) -> None:
    options = defaulted(kind)
    expect(
        kind.model_config.get("frozen"), "its options can be changed; leave 'frozen' as models.options.Options has it"
    )
    plain = json.loads(json.dumps(options.model_dump(mode="json", by_alias=True)))
    try:
        again = read(plain)
    except ValidationError as error:
        raise Fault(f"its options do not come back from JSON, as which they are kept: {first_fault(error)}") from error
    expect(again == options, "its options come back from JSON as others; they are kept as JSON")
