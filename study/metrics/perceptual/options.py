"""Which perceptual distances a study wants, and where their weights are, as its file says it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from models.options import Options
from study.errors import shown, unknown


def _there(file: str) -> str:
    if not Path(file).expanduser().is_file():
        raise ValueError(f"there is no file {file}; name a file of weights, or leave it out to search the usual caches")
    return file


Weights = Annotated[str, AfterValidator(_there)]
"""The path of a file of weights that is there."""


class LPIPS(Options):
    """``features``: weights of the network; ``linear``: those of the heads, as the package lpips ships them."""

    net: Literal["alex", "vgg"] = "alex"
    features: Weights | None = None
    linear: Weights | None = None


class FID(Options):
    """``weights``: of Inception, in the layout of pytorch-fid's file."""

    weights: Weights | None = None


class KID(FID):
    """The same; ``subsets``: over how many the mean is; ``size``: the most images that each has a side."""

    subsets: Annotated[int, Field(ge=1, le=10_000)] = 100
    size: Annotated[int, Field(ge=2, le=10_000)] = 1000


class Perceptual(Options):
    """The distances that are wanted, each with its options; a list of names wants them with weights from the caches."""

    lpips: LPIPS | None = None
    fid: FID | None = None
    kid: KID | None = None

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        if isinstance(value, list):
            for name in value:
                if not isinstance(name, str) or name not in cls.model_fields:
                    raise ValueError(unknown(name, cls.model_fields, "no perceptual distance"))
            value = {name: {} for name in value}
        if not isinstance(value, dict):
            raise ValueError(f"got {shown(value)}; write a list of names, such as [lpips, fid, kid], or a mapping")
        if empty := [name for name in cls.model_fields if name in value and value[name] is None]:
            raise ValueError(f"'{empty[0]}' has no options; write {empty[0]}: {{}} for the usual ones, or leave it out")
        if not value:
            raise ValueError("no distance is named; write some of [lpips, fid, kid], or leave 'perceptual' out")
        return value

    def wanted(self) -> dict[str, LPIPS | FID | KID]:
        """The distances that are wanted, with their options."""
        named = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: options for name, options in named.items() if options is not None}
