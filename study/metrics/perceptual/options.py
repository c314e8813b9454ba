"""The options ``protocol.perceptual`` of a study file: perceptual distances and the files of their weights."""

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
"""The path of an existing file of weights."""


class LPIPS(Options):
    """``features``: the file of the network's weights; ``linear``: of the heads' weights, as in the package lpips."""

    net: Literal["alex", "vgg"] = "alex"
    features: Weights | None = None
    linear: Weights | None = None


class FID(Options):
    """``weights``: the file of Inception's weights, in the layout of pytorch-fid."""

    weights: Weights | None = None


class KID(FID):
    """``weights`` as for FID; ``subsets``: their number; ``size``: the largest number of images in each."""

    subsets: Annotated[int, Field(ge=1, le=10_000)] = 100
    size: Annotated[int, Field(ge=2, le=10_000)] = 1000


class Perceptual(Options):
    """The distances and their options. In a study file also a list of names, with weights from the usual caches."""

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
