"""Frame in, table out: pure functions, full precision; rendering rounds."""

from collections.abc import Hashable

import numpy as np
import pandas as pd

from reports.frames import Frames, NoDataError
from reports.naming import group, label, ordered
from reports.paper import counterpart, published_values
from reports.statistics import Comparison, compare, mean_interval, resolvable, select, simultaneous

REGIONS = ("whole", "hole")
BLENDED = {"psnr": "hole", "seam": "boundary", "sharpness": "hole"}
"""What blending is judged by, and of which region."""
STATUSES = ("diverged", "failed", "interrupted", "missing")


def table_6(frames: Frames, data: str) -> pd.DataFrame:
    """Table 6 with ours beside it: PSNR in dB. Columns as `results_table`."""
    return results_table(frames, metric="psnr", data=data)


def table_7(frames: Frames, data: str) -> pd.DataFrame:
    """Table 7 with ours beside it: SSIM. Columns as `results_table`."""
    return results_table(frames, metric="ssim", data=data)


def results_table(
    frames: Frames, *, metric: str, data: str, output: str = "composite", level: float = 0.95
) -> pd.DataFrame:
    """A row a variant: the paper's first, then controls, fillers and others; the paper's stay where we ran none.

    Columns: variant, label, group, published (NaN where the paper has none); for each region r of whole
    and hole (reading R23: the paper does not say which it means) r, r_low, r_high and r_seeds (tuple of
    each seed's mean); seeds and images that entered, notes. Raises NoDataError where there is neither a
    run nor a published number.
    """
    values = published_values(frames, data, metric)
    runs = frames.runs[frames.runs["data"] == data]
    variants = ordered(frames, [*values, *runs["variant"].tolist()])
    if not variants:
        raise NoDataError(f"No run on {data} is known, and the paper has no number for it.")
    chosen = {
        region: select(frames.scores, metric=metric, region=region, output=output, data=data) for region in REGIONS
    }
    most = max((frame["image"].nunique() for frame in chosen.values()), default=0)
    rows = []
    for variant in variants:
        row: dict[str, object] = {
            "variant": variant,
            "label": label(variant),
            "group": group(frames, variant),
            "published": values.get(variant, np.nan),
        }
        seeds = images = 0
        for region in REGIONS:
            found = mean_interval(
                runs,
                chosen[region],
                variant,
                metric=metric,
                region=region,
                output=output,
                data=data,
                level=level,
            )
            row |= {
                region: found.mean,
                f"{region}_low": found.low,
                f"{region}_high": found.high,
                f"{region}_seeds": tuple(found.by_seed.values()),
            }
            seeds, images = max(seeds, found.n_seeds), max(images, found.n_images)
        rows.append({**row, "seeds": seeds, "images": images, "notes": _notes(runs, variant, seeds, images, most)})
    return pd.DataFrame(rows)


def _notes(runs: pd.DataFrame, variant: str, seeds: int, images: int, most: int) -> str:
    """What a reader must know about a row: seeds that are not in it, and why; a sample of the images; no training."""
    own = runs[runs["variant"] == variant]
    if own.empty:
        return "not in this study"
    notes = []
    for status in STATUSES:
        lost = own[own["status"] == status]
        if len(lost):
            notes.append(f"{len(lost)} of {len(own)} {status} (seed {', '.join(map(str, lost['seed']))})")
    if (own["status"] == "completed").any() and not seeds:
        notes.append("completed, but not scored")
    if 0 < images < most:
        notes.append(f"a sample of {images} of {most} images")
    if (own["start"] == "").all() and seeds:
        notes.append("not trained: all seeds are alike")
    return "; ".join(notes)


def contrasts(frames: Frames) -> list[tuple[str, str]]:
    """What is put against what: the paper's two links, then the proposed model against the controls."""
    reference, control = frames.study["reference"], frames.study["control"]
    pairs = [(reference, "glcic"), ("glcic", "ce"), (reference, control), (reference, "single")]
    return [(a, b) for a, b in pairs if a is not None and b is not None and a != b]


def contrast_table(
    frames: Frames,
    data: str,
    *,
    of: tuple[tuple[str, str], ...] = (("psnr", "hole"), ("ssim", "whole"), ("ssim", "hole")),
    level: float = 0.95,
) -> pd.DataFrame:
    """A row a contrast and (metric, region): the claim that a is better than b, beside the paper's difference.

    PSNR is of the hole alone: in a composite the whole image's differs from it by a constant, so that the
    differences are equal. Columns: a, b, metric, region, published (NaN where the paper has none),
    difference, low, high, resolvable, seeds_a, seeds_b, images, groups, paired, diverged_a, diverged_b,
    outcome, why. Raises NoDataError where no contrast has runs of both.
    """
    present = set(frames.runs.loc[frames.runs["data"] == data, "variant"])
    pairs = [(a, b) for a, b in contrasts(frames) if {a, b} <= present]
    if not pairs:
        raise NoDataError(f"No two variants that the paper contrasts ran on {data}.")
    chosen = {key: select(frames.scores, metric=key[0], region=key[1], output="composite", data=data) for key in of}
    rows = []
    for a, b in pairs:
        for metric, region in of:
            values = published_values(frames, data, metric)
            found = compare(
                frames.runs,
                chosen[metric, region],
                a,
                b,
                metric=metric,
                region=region,
                data=data,
                level=level,
            )
            rows.append({"published": values.get(a, np.nan) - values.get(b, np.nan), **_row(found)})
    return pd.DataFrame(rows)


def _row(found: Comparison) -> dict[str, object]:
    return {
        "a": found.a,
        "b": found.b,
        "metric": found.metric,
        "region": found.region,
        "difference": found.difference,
        "low": found.low,
        "high": found.high,
        "resolvable": resolvable(found),
        "seeds_a": found.n_seeds[0],
        "seeds_b": found.n_seeds[1],
        "images": found.n_images,
        "groups": found.n_groups,
        "paired": found.paired,
        "diverged_a": found.diverged[0],
        "diverged_b": found.diverged[1],
        "outcome": found.outcome,
        "why": found.why,
    }


def blending_table(frames: Frames, data: str, *, level: float = 0.95) -> pd.DataFrame:
    """A row a variant: means over seeds and images, before and after Poisson blending, and what it changed.

    Columns: variant, label, group; for each metric of `BLENDED` (of the hole, the seam of its boundary) metric,
    metric_blended, metric_change, metric_low, metric_high; seam_raw (of the output as the generator gives it; the
    hole's PSNR and sharpness are the composite's); seeds, images. Raises NoDataError where no
    blended output was scored.
    """
    here = frames.scores[(frames.scores["data"] == data) & frames.scores["metric"].isin(list(BLENDED))]
    here = here[here["region"] == here["metric"].map(BLENDED)]
    runs = frames.runs[frames.runs["data"] == data]
    completed = runs[(runs["status"] == "completed") & runs["run"].isin(here["run"])]
    finite = here[np.isfinite(here["value"].astype(float)) & here["run"].isin(completed["run"])]
    if not (finite["output"] == "blended").any():
        raise NoDataError(f"No blended output was scored on {data}.")
    means = finite.groupby(["variant", "metric", "output"], observed=True)["value"].mean().to_dict()
    rows = []
    for variant in ordered(frames, completed["variant"].tolist()):
        row: dict[str, object] = {"variant": variant, "label": label(variant), "group": group(frames, variant)}
        own = here[here["variant"] == variant]
        seeds = images = 0
        for metric, region in BLENDED.items():
            found = compare(
                runs,
                own,
                variant,
                variant,
                metric=metric,
                region=region,
                output=("blended", "composite"),
                data=data,
                level=level,
            )
            row[metric] = means.get((variant, metric, "composite"), np.nan)
            row[f"{metric}_blended"] = means.get((variant, metric, "blended"), np.nan)
            row |= {f"{metric}_change": found.difference, f"{metric}_low": found.low, f"{metric}_high": found.high}
            seeds, images = max(seeds, found.n_seeds[0]), max(images, found.n_images)
        row["seam_raw"] = means.get((variant, "seam", "raw"), np.nan)
        rows.append({**row, "seeds": seeds, "images": images})
    return pd.DataFrame(rows)


def departures_table(frames: Frames) -> pd.DataFrame:
    """Where the paper's methods depart from the text, each from that of its own paper.

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


def levels(frames: Frames, ablation: str) -> pd.DataFrame:
    """An ablation's cells, in the order given. Columns: variant, then one a factor with its level.

    A variant that stands in several cells has a row for each. Raises NoDataError where there is no such ablation.
    """
    own = frames.factors[frames.factors["ablation"] == ablation]
    if own.empty:
        raise NoDataError(f"The study has no ablation {ablation}.")
    cells = own.assign(cell=own.groupby(["variant", "factor"], observed=True).cumcount())
    wide = cells.pivot(index=["variant", "cell"], columns="factor", values="level")
    order = pd.MultiIndex.from_frame(cells[["variant", "cell"]].drop_duplicates())
    return wide.loc[order, own["factor"].unique()].reset_index(level="variant").reset_index(drop=True)


def ablation_table(
    frames: Frames,
    ablation: str,
    data: str,
    *,
    metric: str = "psnr",
    region: str = "hole",
    output: str = "composite",
    level: float = 0.95,
) -> pd.DataFrame:
    """A row a variant of the ablation, with intervals that hold together at `level` (Bonferroni).

    Columns: variant, one a factor, mean, low, high, by_seed (tuple of each seed's mean), seeds, diverged;
    difference, difference_low, difference_high (from the study's reference; NaN for itself, or where it
    is not among them), paired. Raises NoDataError where there is no such ablation, or none of its
    variants ran on `data`.
    """
    wide = levels(frames, ablation)
    runs = frames.runs[frames.runs["data"] == data]
    if not wide["variant"].isin(runs["variant"]).any():
        raise NoDataError(f"No variant of the ablation {ablation} ran on {data}.")
    chosen = select(frames.scores, metric=metric, region=region, output=output, data=data)
    reference = frames.study["reference"]
    variants = wide["variant"].nunique()
    each, others = simultaneous(level, variants), simultaneous(level, variants - 1)
    rows = []
    for cell in wide.to_dict("records"):
        variant = cell["variant"]
        own = mean_interval(runs, chosen, variant, metric=metric, region=region, output=output, data=data, level=each)
        row: dict[Hashable, object] = dict(cell)
        row |= {"mean": own.mean, "low": own.low, "high": own.high, "by_seed": tuple(own.by_seed.values())}
        row |= {"seeds": own.n_seeds, "diverged": own.diverged}
        row |= {"difference": np.nan, "difference_low": np.nan, "difference_high": np.nan, "paired": False}
        if variant != reference and (wide["variant"] == reference).any():
            found = compare(
                runs,
                chosen,
                variant,
                reference,
                metric=metric,
                region=region,
                output=output,
                data=data,
                level=others,
            )
            row |= {
                "difference": found.difference,
                "difference_low": found.low,
                "difference_high": found.high,
            }
            row["paired"] = found.paired
        rows.append(row)
    return pd.DataFrame(rows)


def trouble_table(frames: Frames) -> pd.DataFrame:
    """The runs that did not complete, or that warn. Columns: run, status, diverged_at (step or NA), why, record."""
    lost = frames.runs[(frames.runs["status"] != "completed") | (frames.runs["why"].fillna("") != "")]
    return lost[["run", "status", "diverged_at", "why", "record"]].reset_index(drop=True)


def cost_table(frames: Frames) -> pd.DataFrame:
    """A row a trained variant and data set. Raises NoDataError where none was trained.

    Columns: variant, label, data, runs, updates (of the generator), parameters, critic_parameters,
    seconds (median of the completed runs' own, shared stages included as the harness counts them).
    """
    trained = frames.runs[(frames.runs["start"] != "") & (frames.runs["status"] == "completed")]
    if trained.empty:
        raise NoDataError("No trained run completed.")
    rows = []
    for variant in ordered(frames, trained["variant"].tolist()):
        for data, own in trained[trained["variant"] == variant].groupby("data", sort=False, observed=True):
            first = own.iloc[0]
            rows.append(
                {
                    "variant": variant,
                    "label": label(variant),
                    "data": data,
                    "runs": len(own),
                    "updates": first["updates"],
                    "parameters": first["parameters"],
                    "critic_parameters": first["critic_parameters"],
                    "seconds": float(pd.to_numeric(own["seconds"]).median()),
                }
            )
    return pd.DataFrame(rows)


def stage_table(frames: Frames) -> pd.DataFrame:
    """What sharing saved, by kind of stage. Raises NoDataError where no stage is known.

    Columns: kind, stages (made once each), uses (by runs), seconds (spent), seconds_unshared (had each
    run made its own: uses times what the stage took).
    """
    if frames.stages.empty:
        raise NoDataError("No stage is recorded.")
    unshared = frames.stages.assign(unshared=frames.stages["runs"] * frames.stages["seconds"])
    return (
        unshared.groupby("kind", sort=False, observed=True)
        .agg(
            stages=("key", "size"),
            uses=("runs", "sum"),
            seconds=("seconds", "sum"),
            seconds_unshared=("unshared", "sum"),
        )
        .reset_index()
    )


def readings_table(frames: Frames) -> pd.DataFrame:
    """The readings in force, those that depart from the paper's text first. Raises NoDataError where none is known.

    Columns: reading, key, value, meaning, departs, variants ('all', 'all but' names, or names).
    """
    if frames.readings.empty:
        raise NoDataError("No reading is recorded.")
    every = ordered(frames, frames.readings["variant"].tolist())
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


def _among(names: list[str], every: list[str]) -> str:
    """The shorter of naming those that are in and those that are not."""
    others = [name for name in every if name not in names]
    if not others:
        return "all"
    return ", ".join(names) if len(names) <= len(others) else f"all but {', '.join(others)}"


def provenance_table(frames: Frames) -> pd.DataFrame:
    """A row a run. Columns: run, variant, data, seed, status, record (Sacred id), start.

    Raises NoDataError where there is none.
    """
    if frames.runs.empty:
        raise NoDataError("No run is recorded.")
    return frames.runs[["run", "variant", "data", "seed", "status", "record", "start"]].reset_index(drop=True)


def data_table(frames: Frames) -> pd.DataFrame:
    """The data sets. Columns: name, kind, train, validation, test, left_out, digest, counterpart (the paper's)."""
    if not frames.study["data"]:
        raise NoDataError("No data set is recorded.")
    columns = ["name", "kind", "train", "validation", "test", "left_out", "digest"]
    return pd.DataFrame(
        [
            {
                **{column: entry.get(column) for column in columns},
                "counterpart": counterpart(frames, str(entry["name"])),
            }
            for entry in frames.study["data"]
        ]
    )
