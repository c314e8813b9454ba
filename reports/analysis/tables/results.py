"""Tables 6 to 8, contrasts between methods, blending, and the worst repairs."""

from collections.abc import Hashable, Mapping
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from reports.analysis.claims import best_filler, hole_psnr
from reports.analysis.frames import EXTERNAL, Frames, NoDataError
from reports.analysis.naming import group, label, metric_of, ordered, titled
from reports.analysis.published import counterpart, published, published_values
from reports.analysis.statistics import Comparison, compare, mean_interval

REGIONS = ("whole", "hole")
BLENDED = {"psnr": "hole", "seam": "boundary", "sharpness": "hole"}
"""The metrics that judge blending, with their region."""
STATUSES = ("diverged", "failed", "interrupted", "missing")
CONTRASTED = (("psnr", "hole"), ("ssim", "whole"), ("ssim", "hole"))
"""Metric and region of the contrasts: those of the paper, and SSIM of the hole, which known pixels do not raise."""
WORST_SHOWN = 10


def table_6(frames: Frames, data: str) -> pd.DataFrame:
    """Table 6 with our PSNR, dB. Columns as ``results_table``."""
    return results_table(frames, metric="psnr", data=data)


def table_7(frames: Frames, data: str) -> pd.DataFrame:
    """Table 7 with our SSIM. Columns as ``results_table``."""
    return results_table(frames, metric="ssim", data=data)


def results_table(
    frames: Frames, *, metric: str, data: str, output: str = "composite", level: float = 0.95
) -> pd.DataFrame:
    """A row per variant: the paper's methods first, run or not, then controls, fillers, external methods, and others.

    Columns: variant, label, group, published (NaN where the paper has none); for each region r of whole
    and hole (reading R23: the paper does not say which it means) r, r_low, r_high and r_seeds (tuple of
    each seed's mean); seeds and images (numbers used), notes; strong_whole, strong_hole (bool: of the trained methods
    of the paper and the controls this is the best, and better than the second best by ``statistics.compare``, with an
    interval beyond zero). Raises NoDataError if there is neither a run nor a published number.
    """
    values = published_values(frames, data, metric)
    runs = frames.runs[frames.runs["data"] == data]
    variants = ordered(frames, [*values, *runs["variant"].tolist()])
    if not variants:
        raise NoDataError(f"No run on {data} is known, and the paper has no number for it.")
    chosen = {region: frames.select(metric, region, output, data) for region in REGIONS}
    most = max((frame["image"].nunique() for frame in chosen.values()), default=0)
    options: dict[str, Any] = {"metric": metric, "output": output, "data": data, "level": level}
    rows = []
    for variant in variants:
        row: dict[str, object] = {
            "variant": variant,
            "label": titled(frames, variant),
            "group": group(frames, variant),
            "published": values.get(variant, np.nan),
        }
        seeds = images = 0
        for region in REGIONS:
            found = mean_interval(runs, chosen[region], variant, region=region, **options)
            row |= {
                region: found.mean,
                f"{region}_low": found.low,
                f"{region}_high": found.high,
                f"{region}_seeds": tuple(found.by_seed.values()),
            }
            seeds, images = max(seeds, found.n_seeds), max(images, found.n_images)
        left_out = (frames.study["left_out"] or {}).get(variant)
        if left_out is not None and runs[runs["variant"] == variant].empty:
            by_claims = left_out.get("by") == "--claims"
            notes = "left out by --claims" if by_claims else f"left out: add --only {variant}"
        else:
            notes = _notes(runs, variant, seeds, images, most)
        rows.append({**row, "seeds": seeds, "images": images, "notes": notes})
    table = pd.DataFrame(rows)
    for region in REGIONS:
        first, second = _best_two(table, runs, region, metric)
        strong = first is not None and second is not None
        if strong:
            found_between = compare(runs, chosen[region], str(first), str(second), region=region, **options)
            strong = found_between.outcome == "supported"
        table[f"strong_{region}"] = strong & (table["variant"] == first)
    return table


def _best_two(table: pd.DataFrame, runs: pd.DataFrame, region: str, metric: str) -> tuple[str | None, str | None]:
    """The best and the second best of the trained rows of the paper's methods and of the controls."""
    trained = table["variant"].isin(runs.loc[runs["start"] != "", "variant"])
    rivals = table[trained & table["group"].isin(["paper", "control"]) & table[region].notna()]
    best = rivals.sort_values(region, ascending=metric_of(metric).better < 0, kind="stable")["variant"].tolist()
    first, second, *_ = [*best, None, None]
    return first, second


def table_8(frames: Frames, *, level: float = 0.95) -> pd.DataFrame:
    """Table 8 with our results: the proposed model and the fillers on data like ImageNet and Places2.

    A row per data set of ours that corresponds to one of the two, metric (PSNR in dB, SSIM) and variant. Columns:
    data, counterpart, variant, label, metric, published (NaN where the paper has none), whole, whole_low, whole_high,
    whole_seeds, hole, hole_low, hole_high, hole_seeds, seeds, images, notes, as in ``results_table``. Where the study
    has no such data set, ``data`` is empty and only the published number is there.
    """
    reference = frames.study["reference"] or "proposed"
    fixed = (frames.runs["start"] == "") & (frames.runs["method"] != EXTERNAL)
    untrained = frames.runs.loc[fixed, ["data", "variant"]]
    printed = published()
    rows: list[Mapping[Any, Any]] = []
    for theirs in printed.loc[printed["table"] == 8, "data"].unique():
        matching = [data for data in frames.data_sets() if counterpart(frames, data) == theirs]
        for data, metric in product(matching or [""], ("psnr", "ssim")):
            of = {"data": data, "counterpart": theirs, "metric": metric}
            if not data:
                found = printed[(printed["data"] == theirs) & (printed["metric"] == metric)]
                row = {"variant": reference, "label": label(reference), "published": float(found["value"].iloc[0])}
                row |= {"seeds": 0, "images": 0, "notes": f"no data set of this study stands beside {theirs}"}
                rows.append({**of, **row, **{f"{region}_seeds": () for region in REGIONS}})
                continue
            table = results_table(frames, metric=metric, data=data, level=level)
            fillers = untrained.loc[untrained["data"] == data, "variant"]
            chosen = table[(table["variant"] == reference) | table["variant"].isin(fillers)]
            rows += chosen.assign(**of).to_dict("records")
    columns = ["data", "counterpart", "variant", "label", "metric", "published"]
    columns += [f"{region}{part}" for region in REGIONS for part in ("", "_low", "_high", "_seeds")]
    return pd.DataFrame(rows, columns=[*columns, "seeds", "images", "notes"])


def _notes(runs: pd.DataFrame, variant: str, seeds: int, images: int, most: int) -> str:
    """Notes on a row: missing seeds with the reason, a sample of the images, no training."""
    own = runs[runs["variant"] == variant]
    if own.empty:
        return "not in this study"
    ended = list(zip(own["status"].tolist(), own["seed"].tolist(), strict=True))
    notes = []
    for status in STATUSES:
        lost = [str(seed) for how, seed in ended if how == status]
        if lost:
            notes.append(f"{len(lost)} of {len(own)} {status} (seed {', '.join(lost)})")
    if any(how == "completed" for how, _ in ended) and not seeds:
        notes.append("completed, but not scored")
    if 0 < images < most:
        notes.append(f"a sample of {images} of {most} images")
    if (own["method"] == EXTERNAL).all():
        fixed = ", without seeds: its interval is over images alone" if (own["start"] == "").all() else ""
        notes.append(f"scored from files{fixed}")
    elif (own["start"] == "").all() and seeds:
        notes.append("not trained: all seeds are alike")
    return "; ".join(notes)


def contrasts(frames: Frames) -> list[tuple[str, str]]:
    """The contrasts: the proposed model against the paper's baselines, their own order, the controls, the external."""
    reference, control = frames.study["reference"], frames.study["control"]
    pairs = [(reference, "glcic"), (reference, "ce"), ("glcic", "ce"), (reference, control), (reference, "single")]
    pairs += [(reference, "glcic_same_optimizer"), (reference, "ce_same_optimizer")]
    pairs += [(reference, other) for other in frames.external()]
    return [(a, b) for a, b in pairs if a is not None and b is not None and a != b]


def contrast_table(
    frames: Frames,
    data: str,
    *,
    of: tuple[tuple[str, str], ...] = CONTRASTED,
    level: float | None = None,
) -> pd.DataFrame:
    """A row per contrast and (metric, region): the claim that a is better than b, with the paper's difference.

    PSNR is of the hole only: for a composite the PSNR of the whole image differs from it by a constant, so the
    differences are equal. ``level``: by default the claims' own (``Frames.level``). Columns: a, b, metric, region,
    published (NaN where the paper has none), difference, low, high, detectable, seeds_a, seeds_b, images, groups,
    paired, diverged_a, diverged_b, outcome, why. Raises NoDataError if no contrast has runs of both.
    """
    present = set(frames.runs.loc[frames.runs["data"] == data, "variant"])
    pairs = [(a, b) for a, b in contrasts(frames) if {a, b} <= present]
    if not pairs:
        raise NoDataError(f"No two variants that the paper contrasts ran on {data}.")
    chosen = {(metric, region): frames.select(metric, region, "composite", data) for metric, region in of}
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
                level=frames.level if level is None else level,
            )
            rows.append({"published": values.get(a, np.nan) - values.get(b, np.nan), **_row(found)})
    return pd.DataFrame(rows)


def detectable_table(frames: Frames, data: str, *, level: float | None = None) -> pd.DataFrame:
    """Whether this many seeds and images can detect the paper's own gain.

    A row for the proposed model against GLCIC and against the control, each in PSNR of the hole (dB) and SSIM of the
    whole image. Columns: a, b, metric, region, published (the paper's gain over GLCIC on CelebA, 0.16 dB and 0.006,
    for both contrasts: it has no control), detectable (the minimum detectable effect at 80% power, in the metric's
    unit; NaN with fewer than two seeds), enough (bool: detectable is no more than published), difference, low, high,
    seeds_a, seeds_b, images, groups, paired. Raises NoDataError if neither contrast has runs of both.
    """
    reference, control = frames.study["reference"], frames.study["control"]
    ran = set(frames.runs.loc[frames.runs["data"] == data, "variant"])
    if reference not in ran or not ran & {"glcic", control}:
        raise NoDataError(f"Neither GLCIC nor the control ran on {data} beside the proposed model.")
    table = contrast_table(frames, data, of=CONTRASTED[:2], level=level)
    table = table[(table["a"] == reference) & table["b"].isin(["glcic", control])]
    celeba = published().query("data == 'CelebA'")
    gains = celeba.pivot(index="metric", columns="variant", values="value")
    table = table.assign(published=table["metric"].map(gains["proposed"] - gains["glcic"]))
    table = table.assign(enough=table["detectable"] <= table["published"])
    columns = ["a", "b", "metric", "region", "published", "detectable", "enough", "difference", "low", "high"]
    chosen: pd.DataFrame = table[[*columns, "seeds_a", "seeds_b", "images", "groups", "paired"]]
    return chosen.reset_index(drop=True)


def _row(found: Comparison) -> dict[str, object]:
    return {
        "a": found.a,
        "b": found.b,
        "metric": found.metric,
        "region": found.region,
        "difference": found.difference,
        "low": found.low,
        "high": found.high,
        "detectable": found.detectable,
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
    """A row per variant: means over seeds and images, before and after Poisson blending, and the change.

    Columns: variant, label, group; for each metric of ``BLENDED`` (of the hole, the seam of its boundary) metric,
    metric_blended, metric_change, metric_low, metric_high; seam_raw (of the generator's raw output; PSNR and
    sharpness of the hole are equal in the composite); seeds, images. Raises NoDataError if no
    blended output was scored.
    """
    chosen = {
        (metric, output): frames.select(metric, region, output, data)
        for (metric, region), output in product(BLENDED.items(), ("composite", "blended", "raw"))
    }
    runs = frames.runs[frames.runs["data"] == data]
    completed = runs.loc[runs["status"] == "completed", "run"]
    means: dict[tuple[str, str], dict[Hashable, float]] = {}
    scored: set[str] = set()
    for key, here in chosen.items():
        finite = here[np.isfinite(here["value"].astype(float)) & here["run"].isin(completed)]
        means[key] = finite.groupby("variant", observed=True)["value"].mean().to_dict()
        scored.update(here["run"].unique())
    if not any(means[metric, "blended"] for metric in BLENDED):
        raise NoDataError(f"No blended output was scored on {data}.")
    both = {metric: pd.concat([chosen[metric, "composite"], chosen[metric, "blended"]]) for metric in BLENDED}
    variants = runs.loc[runs["run"].isin(completed) & runs["run"].isin(scored), "variant"]
    rows = []
    for variant in ordered(frames, variants.tolist()):
        row: dict[str, object] = {"variant": variant, "label": titled(frames, variant)}
        row["group"] = group(frames, variant)
        seeds = images = 0
        for metric, region in BLENDED.items():
            found = compare(
                runs,
                both[metric],
                variant,
                variant,
                metric=metric,
                region=region,
                output=("blended", "composite"),
                data=data,
                level=level,
            )
            row[metric] = means[metric, "composite"].get(variant, np.nan)
            row[f"{metric}_blended"] = means[metric, "blended"].get(variant, np.nan)
            row |= {f"{metric}_change": found.difference, f"{metric}_low": found.low, f"{metric}_high": found.high}
            seeds, images = max(seeds, found.n_seeds[0]), max(images, found.n_images)
        row["seam_raw"] = means["seam", "raw"].get(variant, np.nan)
        rows.append({**row, "seeds": seeds, "images": images})
    return pd.DataFrame(rows)


def worst_table(frames: Frames, data: str) -> pd.DataFrame:
    """The proposed model's worst repairs: the images whose PSNR of the hole is furthest below the best filler's.

    The ten test images with the lowest difference, the worst first; means over completed seeds, in the composite.
    Columns: image, reference and filler (their PSNR, dB), difference (dB), seeds, seeds_worse (in how many of them it
    is worse than the filler); the same in every row: filler_variant, images (that both repaired), share (of images and
    seeds that are worse than the filler).

    Raises NoDataError if the proposed model or a filler was not scored on ``data``.
    """
    reference, filler = frames.study["reference"], best_filler(frames, data)
    scores = hole_psnr(frames, data)
    own = scores[scores["variant"] == reference]
    if filler is None or own.empty:
        lacking = "the proposed model" if filler else "a trivial filler"
        raise NoDataError(f"No run of {lacking} has been scored on {data}.")
    theirs = scores[scores["variant"] == filler]
    worse = worse_than(own, theirs)
    table = pd.DataFrame(
        {
            "reference": own.groupby("image", observed=True)["value"].mean(),
            "filler": theirs.groupby("image", observed=True)["value"].mean(),
            "seeds": worse.groupby("image", observed=True)["value"].size(),
            "seeds_worse": worse.groupby("image", observed=True)["value"].sum(),
        }
    ).dropna()
    if table.empty:
        raise NoDataError(f"The proposed model and {label(filler)} repaired no image of {data} in common.")
    table = table.assign(difference=table["reference"] - table["filler"], image=table.index.astype(str))
    table = table.assign(filler_variant=filler, images=len(table), share=worse["value"].mean())
    first = table.sort_values("difference", kind="stable").head(WORST_SHOWN).astype({"seeds": int, "seeds_worse": int})
    columns = [
        "image",
        "reference",
        "filler",
        "difference",
        "seeds",
        "seeds_worse",
        "filler_variant",
        "images",
        "share",
    ]
    return first[columns].reset_index(drop=True)


def worse_than(rows: pd.DataFrame, filler: pd.DataFrame) -> pd.DataFrame:
    """The scores as 1 where they are below the filler's on the same image (averaged over its seeds), otherwise 0.

    Images that the filler did not repair are left out.
    """
    theirs = filler.groupby("image", observed=True)["value"].mean()
    rows = rows[rows["image"].isin(theirs.index)]
    return rows.assign(value=(rows["value"].to_numpy() < theirs.loc[rows["image"]].to_numpy()).astype(float))


def worst_words(table: pd.DataFrame) -> str:
    """The rule that chose a ``worst_table``, and the share of all repairs that are worse than the filler's."""
    first = table.iloc[0]
    filler = label(first["filler_variant"]).lower()
    return (
        f"Of {first['images']} test images those {len(table)} on which the PSNR of the hole lies furthest below, or "
        f"least above, that of the {filler}, in means over seeds. {first['share']:.1%} of all repairs, each image at "
        "each seed, are worse than the filler's."
    )
