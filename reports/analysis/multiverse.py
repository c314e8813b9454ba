"""A contrast under every reading of the paper: how its open choices change an effect.

A specification curve (Simonsohn, Simmons & Nelson 2020) is descriptive; it is not a test. Its universes share images,
seeds and often training, so the share of them on one side of zero is not a probability, and there are no p-values.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from reports.analysis.frames import Frames, NoDataError
from reports.analysis.naming import label
from reports.analysis.published import published_values
from reports.analysis.statistics import ENOUGH_SEEDS, compare

FIXED = (
    "universe", "merged", "usual", "a", "b", "difference", "low", "high", "n_seeds", "n_images", "paired",
    "beyond_zero", "note",
)  # fmt: skip
"""The columns of ``specification_table`` that are not readings."""


def multiverses(frames: Frames) -> dict[str, list[tuple[str, str]]]:
    """The multiverses by name, in the study's order, each with its contrasts (a, b) of bases."""
    entries: Mapping[str, Any] = frames.study["multiverses"] or {}
    names = dict.fromkeys([*entries, *frames.universes["multiverse"].tolist()])
    return {str(name): [(a, b) for a, b in (entries.get(name) or {}).get("contrasts") or []] for name in names}


def specification_table(
    frames: Frames,
    multiverse: str,
    data: str,
    *,
    contrast: tuple[str, str] | None = None,
    metric: str = "psnr",
    region: str = "hole",
    output: str = "composite",
    level: float = 0.95,
) -> pd.DataFrame:
    """The contrast a - b in each universe, a row each, sorted by the effect; those without a result come last.

    ``contrast``: two bases, by default the first that the study asks for. Universes with the same two variants, because
    neither has the reading that was changed, are one row, that of the first.

    Columns: universe, merged (tuple of the others that this row stands for), usual (the study's own settings), a
    and b (the variants that were run), difference, low, high (each interval holds at ``level`` on its own), n_seeds
    (of a and of b), n_images, paired, beyond_zero (the interval excludes zero), note (what is missing, and why);
    then one per reading with its level: "x / y" where a and b differ in it, "" where neither has it. Raises
    NoDataError if there is no such multiverse or contrast, or none of its universes ran on ``data``.
    """
    a, b = contrast or next(iter(multiverses(frames).get(multiverse, [])), (None, None))
    own = frames.universes[frames.universes["multiverse"] == multiverse]
    if own.empty:
        raise NoDataError(f"No universe of a multiverse {multiverse} is recorded.")
    if a is None or b is None:
        raise NoDataError(f"The multiverse {multiverse} is asked for no contrast.")
    if lacking := [base for base in (a, b) if base not in set(own["base"])]:
        raise NoDataError(f"The multiverse {multiverse} does not vary {' or '.join(lacking)}.")
    runs = frames.runs[frames.runs["data"] == data]
    if not runs["variant"].isin(own.loc[own["base"].isin([a, b]), "variant"]).any():
        raise NoDataError(f"No universe of the multiverse {multiverse} ran on {data}.")

    chosen = frames.select(metric, region, output, data)
    scores = dict(tuple(chosen.groupby("variant", sort=False, observed=True)))
    nothing = chosen.iloc[:0]
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for universe, settings in own[own["base"].isin([a, b])].groupby("universe", sort=True):
        ran = settings.drop_duplicates("base").set_index("base")["variant"]
        if a not in ran.index or b not in ran.index:
            continue
        pair = (str(ran[a]), str(ran[b]))
        if pair in rows:
            rows[pair]["merged"] += (universe,)
            continue
        found = compare(
            runs,
            pd.concat([scores.get(variant, nothing) for variant in dict.fromkeys(pair)]),
            *pair,
            metric=metric,
            region=region,
            output=output,
            data=data,
            level=level,
        )
        notes = [_lost(runs, variant) for variant in dict.fromkeys(pair)]
        if not any(notes) and not np.isfinite(found.difference):
            notes.append("not scored by both")
        if 0 < min(found.n_seeds) < ENOUGH_SEEDS:
            notes.append(f"fewer than {ENOUGH_SEEDS} seeds")
        rows[pair] = {
            "universe": universe,
            "merged": (),
            "usual": bool(settings.loc[settings["applies"].astype(bool), "usual"].all()),
            "a": pair[0],
            "b": pair[1],
            "difference": found.difference,
            "low": found.low,
            "high": found.high,
            "n_seeds": found.n_seeds,
            "n_images": found.n_images,
            "paired": found.paired,
            "beyond_zero": bool(found.low > 0 or found.high < 0),
            "note": "; ".join(filter(None, notes)),
            **_levels(settings, a, b),
        }
    if not rows:
        raise NoDataError(f"No universe of the multiverse {multiverse} has both {a} and {b}.")
    return pd.DataFrame(rows.values()).sort_values("difference", kind="stable", na_position="last", ignore_index=True)


def readings(table: pd.DataFrame) -> list[str]:
    """The readings of a ``specification_table`` that either side has."""
    return [str(name) for name in table.columns if name not in FIXED and (table[name] != "").any()]


def published_difference(frames: Frames, data: str, a: str, b: str, metric: str) -> float:
    """a - b in the paper's Tables 6 to 8 on the counterpart of ``data``; NaN if they lack one of them."""
    values = published_values(frames, data, metric)
    return values.get(a, np.nan) - values.get(b, np.nan)


def specification_words(table: pd.DataFrame) -> str:
    """A summary: how many universes agree in sign, how many intervals exclude zero, and that this is no test."""
    known = table[table["difference"].notna()]
    above, below = (known["difference"] > 0).sum(), (known["difference"] < 0).sum()
    apart = known[known["beyond_zero"]]
    beyond = [int((apart["difference"] > 0).sum()), int((apart["difference"] < 0).sum())]
    parts = [
        f"Of {_universes(len(known))} with a result, the difference is above zero in {above} and below in {below}; "
        f"{sum(beyond)} of the intervals exclude{'s' if sum(beyond) == 1 else ''} zero"
        + (f", {beyond[0]} above and {beyond[1]} below." if sum(beyond) else ".")
    ]
    settled = known[known["usual"]]
    if len(settled):
        sign = np.sign(settled["difference"].iloc[0])
        same = int((np.sign(known["difference"]) == sign).sum()) - 1
        parts.append(f"{same} of the other {len(known) - 1} agree in sign with the study's own settings.")
    if lost := len(table) - len(known):
        parts.append(f"{_universes(lost)} {'has' if lost == 1 else 'have'} no result: the table says why.")
    if merged := int(table["merged"].map(len).sum()):
        parts.append(f"{_universes(merged)} more would change only what neither side has, and stand with their equals.")
    parts.append("This describes and tests nothing: the universes share images, seeds and often training.")
    return " ".join(parts)


def _universes(count: int) -> str:
    return f"{count} universe{'' if count == 1 else 's'}"


def _levels(settings: pd.DataFrame, a: str, b: str) -> dict[str, str]:
    """The level of each reading in one universe, for the sides that have the reading."""
    levels = {}
    for reading, own in settings.groupby("reading", sort=False):
        applying = own[own["applies"].astype(bool)].set_index("base")["level"]
        found = [str(applying[base]) for base in (a, b) if base in applying.index]
        levels[str(reading)] = " / ".join(dict.fromkeys(found))
    return levels


def _lost(runs: pd.DataFrame, variant: str) -> str:
    """How many of a variant's runs have no result, by status."""
    own = runs[runs["variant"] == variant]
    if own.empty:
        return f"{label(variant)}: not run"
    lost = own[own["status"] != "completed"]
    text = [f"{n} {status}" for status, n in lost["status"].value_counts(sort=False).items()]
    return f"{label(variant)}: {', '.join(text)} of {len(own)}" if text else ""
