"""The paper in numbers and words: paper.yaml. This module does not import pandas."""

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from ruamel.yaml import YAML


@cache
def paper() -> Mapping[str, Any]:
    """All of paper.yaml."""
    loaded: Mapping[str, Any] = YAML(typ="safe").load(
        resources.files("reports.analysis").joinpath("paper.yaml").read_text("utf-8")
    )
    return loaded
