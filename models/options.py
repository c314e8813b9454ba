"""The base of all options, and how a reading is declared."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]


class Options(BaseModel):
    """Base of all options: frozen and strict. Unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def reading(default: Any, number: str, meaning: str, *, paper: Any = None, **limits: Any) -> Any:
    """Declares an option that the paper leaves open or contradicts. Every report lists these readings.

    ``paper``: the value in the literal text, if it has one. A run with another value is listed as a departure. For a
    baseline, the text is its own paper.
    """
    extra = {"reading": number, "paper": paper}
    return Field(default=default, description=meaning, json_schema_extra=extra, **limits)
