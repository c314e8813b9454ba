"""The paper's own numbers, read from paper.yaml."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import pandas as pd

from reports.analysis.frames import Frames
from reports.analysis.paper import paper

__all__ = ["counterpart", "paper", "published", "published_values"]


@cache
def published() -> pd.DataFrame:
    """The numbers of Tables 6 to 8. Columns: table, data, method, variant, metric, value (dB or 0..1)."""
    rows = [{"table": table["table"], **row} for table in paper()["tables"] for row in table["rows"]]
    return pd.DataFrame(rows)


def counterpart(frames: Frames, data: str) -> str | None:
    """The paper's data set that ``data`` stands beside, or None.

    It is the one that the study names as ``like``; otherwise the one that the kind of ``data`` reads or draws
    (``kinds`` in paper.yaml). A folder without ``like`` stands beside none, so it has no published numbers.
    """
    entry: Mapping[str, Any] = next((one for one in frames.study["data"] or [] if one["name"] == data), {})
    if entry.get("like") in paper()["data"]:
        return str(entry["like"])
    return next((name for name, known in paper()["data"].items() if entry.get("kind") in known["kinds"]), None)


def published_values(frames: Frames, data: str, metric: str) -> dict[str, float]:
    """Our variant -> the paper's value on the counterpart of ``data``; its proposed model is the study's reference."""
    table = published()
    chosen = table[(table["data"] == counterpart(frames, data)) & (table["metric"] == metric)]
    reference = frames.study["reference"] or "proposed"
    return {
        reference if variant == "proposed" else variant: float(value)
        for variant, value in zip(chosen["variant"], chosen["value"], strict=True)
    }
