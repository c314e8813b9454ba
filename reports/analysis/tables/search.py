"""Searches: their trials, the best settings, and the gain of these with new seeds."""

import json

import numpy as np
import pandas as pd

from reports.analysis.frames import Frames, NoDataError
from reports.analysis.naming import TUNED, label, ordered
from reports.analysis.statistics import compare, mean_interval

NO_SEARCH = "No method was tuned: the study's settings are those of its file."


def searched(frames: Frames) -> list[str]:
    """The variants that were tuned, the paper's rows first."""
    return ordered(frames, frames.trials["variant"].tolist())


def trials_table(frames: Frames, variant: str) -> pd.DataFrame:
    """A search's trials, the best first, then the pruned, diverged and failed ones.

    Columns: those of ``frames.trials``, one per option (NaN where a trial lacks it), and best (bool: the best completed
    one). Raises NoDataError if the variant was not searched.
    """
    own = frames.trials[frames.trials["variant"] == variant].reset_index(drop=True)
    if own.empty:
        raise NoDataError(f"{label(variant)} was not tuned.")
    settings = pd.DataFrame([json.loads(text) for text in own["settings"]], index=own.index)
    table = pd.concat([own, settings], axis=1)
    rank = {"completed": 0, "pruned": 1, "diverged": 2, "running": 3, "failed": 4}
    table = table.assign(_rank=table["state"].map(rank), best=False)
    table = table.sort_values(["_rank", "value", "number"], ascending=[True, False, True], kind="stable")
    table = table.drop(columns="_rank").reset_index(drop=True)
    if table["state"].iloc[0] == "completed":
        table.loc[0, "best"] = True
    return table


def options(frames: Frames, variant: str) -> list[str]:
    """The options searched for a variant, in the order of its space."""
    space = ((frames.study["searches"] or {}).get(variant) or {}).get("space") or []
    found = frames.trials.loc[frames.trials["variant"] == variant, "settings"]
    seen = [key for text in found for key in json.loads(text)]
    return list(dict.fromkeys([*(str(entry["key"]) for entry in space), *seen]))


def option_table(frames: Frames, variant: str) -> pd.DataFrame:
    """A row an option that was searched.

    Columns: option, low, high (of its range; NaN where it has choices), own (the study's value) and best (the best
    trial's; NA where there is none), correlation (Spearman's, of its value and the score over the completed trials;
    NaN where either does not vary, with fewer than three trials, or without an order), trials (the number used). Raises
    NoDataError where no trial was completed.
    """
    table = trials_table(frames, variant)
    done = table[table["state"] == "completed"]
    if done.empty:
        raise NoDataError("No trial was completed, so nothing can be said of what mattered.")
    space = {entry["key"]: entry for entry in ((frames.study["searches"] or {}).get(variant) or {}).get("space") or []}
    rows = []
    for key in (key for key in options(frames, variant) if key in done):
        own = done.loc[done["usual"], key]
        varies = pd.api.types.is_numeric_dtype(done[key]) and done[key].nunique() > 1 and done["value"].nunique() > 1
        rows.append(
            {
                "option": key,
                "low": space.get(key, {}).get("low", np.nan),
                "high": space.get(key, {}).get("high", np.nan),
                "own": own.iloc[0] if len(own) else pd.NA,
                "best": done[key].iloc[0],
                "correlation": done[key].corr(done["value"], method="spearman") if varies and len(done) > 2 else np.nan,
                "trials": len(done),
            }
        )
    return pd.DataFrame(rows)


def search_table(frames: Frames) -> pd.DataFrame:
    """A row per search.

    Columns: variant, label, trials (that ended: completed, pruned or diverged), wanted (NaN where not recorded),
    completed, pruned, diverged, failed, seeds (of a trial), usual (the study file's own setting) and best, mean PSNR of
    the hole over the validation images (dB), number (of the best), gain (best - usual), seconds (of all trials).
    Raises NoDataError if there is no search.
    """
    if frames.trials.empty:
        raise NoDataError(NO_SEARCH)
    rows = []
    for variant in searched(frames):
        table = trials_table(frames, variant)
        counts = table["state"].value_counts()
        done = table[table["state"] == "completed"]
        usual = done.loc[done["usual"], "value"]
        own, best = usual.mean() if len(usual) else np.nan, done["value"].max()
        rows.append(
            {
                "variant": variant,
                "label": label(variant),
                "trials": sum(int(counts.get(word, 0)) for word in ("completed", "pruned", "diverged")),
                "wanted": ((frames.study["searches"] or {}).get(variant) or {}).get("of", np.nan),
                **{word: int(counts.get(word, 0)) for word in ("completed", "pruned", "diverged", "failed")},
                "seeds": int(table["seeds"].max()),
                "usual": own,
                "best": best,
                "number": done["number"].iloc[0] if len(done) else pd.NA,
                "gain": best - own,
                "seconds": table["seconds"].sum(),
            }
        )
    return pd.DataFrame(rows)


def bought_table(frames: Frames, data: str, *, level: float = 0.95) -> pd.DataFrame:
    """The gain from tuning on the test images: each method with the study's settings, and tuned, run with new seeds.

    Columns: variant, label, untuned, untuned_low, untuned_high, tuned, tuned_low, tuned_high (PSNR of the hole, dB),
    difference, low, high, seeds_untuned, seeds_tuned, paired, images, diverged, outcome, why. ``level`` is of the
    means; the difference is decided as the claims are (``Frames.level``). Raises NoDataError where no method ran both
    ways on ``data``.
    """
    runs = frames.runs[frames.runs["data"] == data]
    present = set(runs["variant"])
    scores = frames.select("psnr", "hole", "composite", data)
    rows = []
    for variant in searched(frames):
        tuned = variant + TUNED
        if variant not in present or tuned not in present:
            continue
        own = mean_interval(runs, scores, variant, data=data, level=level)
        other = mean_interval(runs, scores, tuned, data=data, level=level)
        found = compare(runs, scores, tuned, variant, data=data, level=frames.level)
        rows.append(
            {
                "variant": variant,
                "label": label(variant),
                "untuned": own.mean,
                "untuned_low": own.low,
                "untuned_high": own.high,
                "tuned": other.mean,
                "tuned_low": other.low,
                "tuned_high": other.high,
                "difference": found.difference,
                "low": found.low,
                "high": found.high,
                "seeds_untuned": found.n_seeds[1],
                "seeds_tuned": found.n_seeds[0],
                "paired": found.paired,
                "images": found.n_images,
                "diverged": sum(found.diverged),
                "outcome": found.outcome,
                "why": found.why,
            }
        )
    if not rows:
        same = [variant for variant in searched(frames) if frames.variant(variant + TUNED) == variant]
        if same:
            raise NoDataError(
                f"What tuning bought is nothing: the best setting of {', '.join(map(label, same))} is the study's own."
            )
        raise NoDataError(
            f"No tuned method ran on {data} beside the untuned one, so what tuning bought is not known: a search's own "
            "score is no result. docs/tuning.md says how to run what it found."
        )
    return pd.DataFrame(rows)
