"""Facts of the study: failures, readings, data, records and external scores."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from reports.analysis.frames import Frames, NoDataError
from reports.analysis.naming import group, label, ordered
from reports.analysis.published import counterpart

DUPLICATES = ("exact_train", "near_train", "exact_validation", "near_validation")


def trouble_table(frames: Frames) -> pd.DataFrame:
    """The runs that did not complete, or have warnings. Columns: run, status, diverged_at (step or NA), why, record."""
    lost = frames.runs[(frames.runs["status"] != "completed") | (frames.runs["why"].fillna("") != "")]
    return lost[["run", "status", "diverged_at", "why", "record"]].reset_index(drop=True)


def departures_table(frames: Frames) -> pd.DataFrame:
    """Where the paper's methods depart from the text of their own papers.

    Columns: variant, label, reading, key, value, meaning. Empty where none departs; raises NoDataError where no
    reading is known.
    """
    if frames.readings.empty:
        raise NoDataError("No reading is recorded.")
    own = frames.readings[frames.readings["departs"].astype(bool)]
    order = [v for v in ordered(frames, own["variant"].tolist()) if group(frames, v) == "paper"]
    own = own[own["variant"].isin(order)].sort_values(
        "variant", key=lambda names: names.map(order.index), kind="stable"
    )
    own = own.assign(label=own["variant"].map(label))
    return own[["variant", "label", "reading", "key", "value", "meaning"]].reset_index(drop=True)


def readings_table(frames: Frames) -> pd.DataFrame:
    """The study's readings, those that depart from the paper's text first. Raises NoDataError if none is known.

    Columns: reading, key, value, meaning, departs, variants ('all', 'all but' names, or names).
    """
    if frames.readings.empty:
        raise NoDataError("No reading is recorded.")
    every = ordered(frames, [*frames.readings["variant"], *frames.own()])  # a plugin's method has none
    rows = []
    for (reading, key, value, meaning, departs), own in frames.readings.astype({"value": str}).groupby(
        ["reading", "key", "value", "meaning", "departs"], sort=False, dropna=False
    ):
        names = ordered(frames, own["variant"].tolist())
        rows.append(
            {
                "reading": reading,
                "key": key,
                "value": value,
                "meaning": meaning,
                "departs": bool(departs),
                "variants": _among(names, every),
            }
        )
    number = pd.DataFrame(rows)["reading"].astype(str).str.extract(r"(\d+)")[0].astype(float)
    return (
        pd.DataFrame(rows)
        .assign(_number=number)
        .sort_values(["departs", "_number"], ascending=[False, True], kind="stable")
        .drop(columns="_number")
        .reset_index(drop=True)
    )


def unlike_table(frames: Frames) -> pd.DataFrame:
    """The settings on which the paper is silent, and in which the methods that it compares were treated unlike.

    Columns: key, reading, unlike (a sentence). Raises NoDataError if there is none.
    """
    table = frames.readings.loc[frames.readings["unlike"].fillna("") != "", ["key", "reading", "unlike"]]
    if table.empty:
        raise NoDataError("Where the paper is silent, no two of the methods that it compares are known to differ.")
    return table.drop_duplicates(["key", "unlike"], ignore_index=True)


def _among(names: list[str], every: list[str]) -> str:
    """Names those that are in, or those that are not, whichever is shorter."""
    others = [name for name in every if name not in names]
    if not others:
        return "all"
    return ", ".join(names) if len(names) <= len(others) else f"all but {', '.join(others)}"


def provenance_table(frames: Frames) -> pd.DataFrame:
    """A row per run. Columns: run, variant, data, seed, method, status, record (Sacred id), start.

    Raises NoDataError if there is none.
    """
    if frames.runs.empty:
        raise NoDataError("No run is recorded.")
    return frames.runs[["run", "variant", "data", "seed", "method", "status", "record", "start"]].reset_index(drop=True)


def external_table(frames: Frames) -> pd.DataFrame:
    """The external scores, including those that are not shown.

    Columns: name, data, seed (text; empty where it has none), kind ('composite', 'raw'), images (scored), of (test
    images), scored (ISO time), digest (of the files), notes (text, one per line), why (the reason it is not shown;
    empty if it is shown). Raises NoDataError if there is none.
    """
    if not frames.study["external"]:
        raise NoDataError("Nothing was scored from files.")
    columns = ["name", "data", "seed", "kind", "images", "of", "scored", "digest", "notes", "why"]
    rows = [
        {
            **{column: entry.get(column) for column in columns},
            "seed": "" if entry["seed"] is None else str(entry["seed"]),
            "notes": "\n".join(entry.get("notes") or []),
        }
        for entry in frames.study["external"]
    ]
    return pd.DataFrame(rows, columns=columns)


def data_table(frames: Frames) -> pd.DataFrame:
    """The data sets.

    Columns: name, kind, train, validation, test, left_out, digest, counterpart (the paper's), and how many test images
    have an exact or near duplicate in another part: exact_train, near_train, exact_validation, near_validation (<NA>
    where they were not counted). Raises NoDataError if there is none.
    """
    if not frames.study["data"]:
        raise NoDataError("No data set is recorded.")
    columns = ["name", "kind", "train", "validation", "test", "left_out", "digest"]
    return pd.DataFrame(
        [
            {
                **{column: entry.get(column) for column in columns},
                "counterpart": counterpart(frames, str(entry["name"])),
                **{name: _duplicates(entry, *name.split("_")) for name in DUPLICATES},
            }
            for entry in frames.study["data"]
        ]
    ).astype(dict.fromkeys(DUPLICATES, "Int64"))


def _duplicates(entry: Mapping[str, Any], kind: str, part: str) -> int | None:
    """How many test images of a data set have a duplicate of a kind in a part; None if they were not counted."""
    counted: Mapping[str, Mapping[str, int]] = entry.get("duplicates") or {}
    return counted.get(kind, {}).get(part)
