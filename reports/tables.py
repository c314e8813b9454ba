"""Frame in, table out: pure functions, full precision; rendering rounds."""

from collections.abc import Hashable, Iterator, Mapping
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from reports.claims import best_filler, hole_psnr, worse_than
from reports.frames import Frames, NoDataError
from reports.naming import group, label, metric_of, ordered
from reports.paper import counterpart, paper, published, published_values
from reports.statistics import Comparison, compare, mean_interval, resolvable, simultaneous

REGIONS = ("whole", "hole")
BLENDED = {"psnr": "hole", "seam": "boundary", "sharpness": "hole"}
"""What blending is judged by, and of which region."""
STATUSES = ("diverged", "failed", "interrupted", "missing")
CONTRASTED = (("psnr", "hole"), ("ssim", "whole"), ("ssim", "hole"))
"""Metric and region of the contrasts: what the paper has numbers of, and the SSIM that no surround lifts."""
LAST = 0.2
"""What share of the joint stage, its last, says what the critics have come to do."""
OF_ALL_CRITICS = ("ratio", "adversarial_gradient")
OF_EACH_CRITIC = ("gap", "score_size", "at_bound", "gradient_norm")
"""The series that say whether the critics do anything."""
WORST_SHOWN = 10
GEOMETRY = ("layer", "kernel", "dilation", "stride", "outputs")
"""What Tables 1 to 5 print of a layer; Table 1 alone has the dilation."""


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
    each seed's mean); seeds and images that entered, notes; strong_whole, strong_hole (bool: of the trained methods
    of the paper and the controls this is the best, and by `statistics.compare` better than the second best, its
    interval beyond zero). Raises NoDataError where there is neither a run nor a published number.
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
            "label": label(variant),
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
        rows.append({**row, "seeds": seeds, "images": images, "notes": _notes(runs, variant, seeds, images, most)})
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
    """Table 8 with ours beside it: the proposed model and the fillers on data like ImageNet and Places2.

    A row for each of our data sets that stands beside one of the two, metric (PSNR in dB, SSIM) and variant. Columns:
    data, counterpart, variant, label, metric, published (NaN where the paper has none), whole, whole_low, whole_high,
    whole_seeds, hole, hole_low, hole_high, hole_seeds, seeds, images, notes, as in `results_table`. Where the study
    has no such data set, `data` is empty and the published number stands alone.
    """
    reference = frames.study["reference"] or "proposed"
    untrained = frames.runs.loc[frames.runs["start"] == "", ["data", "variant"]]
    printed = published()
    rows: list[Mapping[Any, Any]] = []
    for theirs in printed.loc[printed["table"] == 8, "data"].unique():
        beside = [data for data in frames.data_sets() if counterpart(frames, data) == theirs]
        for data, metric in product(beside or [""], ("psnr", "ssim")):
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
    """What a reader must know about a row: seeds that are not in it, and why; a sample of the images; no training."""
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
    of: tuple[tuple[str, str], ...] = CONTRASTED,
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
                level=level,
            )
            rows.append({"published": values.get(a, np.nan) - values.get(b, np.nan), **_row(found)})
    return pd.DataFrame(rows)


def resolvable_table(frames: Frames, data: str, *, level: float = 0.95) -> pd.DataFrame:
    """Whether so many seeds and images could have told the paper's own gain from none.

    A row for the proposed model against GLCIC and against the control, each in PSNR of the hole (dB) and SSIM of the
    whole image. Columns: a, b, metric, region, published (the paper's gain over GLCIC on CelebA, 0.16 dB and 0.006,
    for both contrasts: it has no control), resolvable (the smallest true difference that would be told from none, in
    the metric's unit; NaN under two seeds), enough (bool: resolvable is no more than published), difference, low,
    high, seeds_a, seeds_b, images, groups, paired. Raises NoDataError where neither contrast has runs of both.
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
    table = table.assign(enough=table["resolvable"] <= table["published"])
    columns = ["a", "b", "metric", "region", "published", "resolvable", "enough", "difference", "low", "high"]
    return table[[*columns, "seeds_a", "seeds_b", "images", "groups", "paired"]].reset_index(drop=True)


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
        row: dict[str, object] = {"variant": variant, "label": label(variant), "group": group(frames, variant)}
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
    chosen = frames.select(metric, region, output, data)
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

    Columns: variant, label, data, runs (completed), updates (of the generator), parameters, critic_parameters,
    seconds (median of the completed runs' own, shared stages included as the harness counts them); macs, critic_macs
    (multiply-accumulates of one image through the generator, through all critics), step_ms (median over the runs of
    the milliseconds of a step of the joint stage), memory_mib (greatest of the runs'), device_hours (of all runs,
    completed or not, had each made all of its stages itself). What is not recorded is NaN.
    """
    trained = frames.runs[frames.runs["start"] != ""]
    completed = trained[trained["status"] == "completed"]
    if completed.empty:
        raise NoDataError("No trained run completed.")
    rows = []
    for variant in ordered(frames, completed["variant"].tolist()):
        macs = {str(network["name"]): network["macs"] for network in _networks(frames, variant)}
        for data, own in completed[completed["variant"] == variant].groupby("data", sort=False, observed=True):
            first = own.iloc[0]
            every = trained[(trained["variant"] == variant) & (trained["data"] == data)]
            rows.append(
                {
                    "variant": variant,
                    "label": label(variant),
                    "data": data,
                    "runs": len(own),
                    "updates": first["updates"],
                    "parameters": first["parameters"],
                    "critic_parameters": first["critic_parameters"],
                    "seconds": _numbers(own, "seconds").dropna().median(),
                    "macs": macs.get("generator", np.nan),
                    "critic_macs": sum(macs.values()) - macs["generator"] if "generator" in macs else np.nan,
                    "step_ms": _numbers(own, "step_ms").dropna().median(),
                    "memory_mib": _numbers(own, "memory_mib").max(),
                    "device_hours": _numbers(every, "seconds").sum(min_count=1) / 3600,
                }
            )
    return pd.DataFrame(rows)


def _networks(frames: Frames, variant: str) -> list[Mapping[str, Any]]:
    """What is recorded of a variant's networks as they are built; none where nothing is."""
    return list(((frames.study["networks"] or {}).get(variant) or {}).get("networks") or [])


def _numbers(rows: pd.DataFrame, column: str) -> pd.Series:
    """A column as numbers; NaN where a value is not there."""
    return pd.to_numeric(rows[column]).astype(float)


def schedule_table(frames: Frames) -> pd.DataFrame:
    """The schedule as it ran: a row a trained variant, the first row the paper's (variant '').

    Columns: variant, label; pretrain and joint (updates of the generator in each stage), critic (steps of the critics
    while the generator is frozen), updates (of the generator, in all); batch (images); loss, form, clip (the bound),
    penalty (its weight), critic_steps (updates of the critics in a step), norm (of the critics), weights (of the
    critics in eq. 8, in words); optimizer, betas (text), rate_pretrain, rate_joint (learning rates at the stage's
    beginning), drop (when they fall, in words); critic_optimizer, critic_betas, critic_rate; note. What a variant does
    not have or the paper does not say is NaN, or as text empty. Raises NoDataError where no options are recorded.
    """
    trained = frames.runs[frames.runs["start"] != ""].drop_duplicates("variant").set_index("variant")
    options = {name: config["options"] for name, config in (frames.study["configs"] or {}).items()}
    variants = [variant for variant in ordered(frames, trained.index.tolist()) if "steps" in options.get(variant, {})]
    if not variants:
        raise NoDataError("No trained variant's options are recorded.")
    kinds = dict(zip(frames.stages["key"].tolist(), frames.stages["kind"].tolist(), strict=True))
    rows = [_paper_schedule()]
    for variant in variants:
        own, start = options[variant], str(trained.loc[variant, "start"])
        pretrained = kinds.get(start, start.partition("-")[0]) == "pretrain"
        rows.append({"variant": variant, "label": label(variant), **_schedule(own, pretrained)})
    text = ("loss", "form", "norm", "weights", "optimizer", "betas", "drop", "critic_optimizer", "critic_betas", "note")
    table = pd.DataFrame(rows)
    return table.fillna(dict.fromkeys(text, "")).astype({"clip": float, "penalty": float, "critic_rate": float})


def _paper_schedule() -> dict[str, Any]:
    said, steps = paper()["training"], paper()["steps"]
    return {
        "variant": "",
        "label": "The paper",
        **{name: steps[name] for name in ("pretrain", "critic", "joint")},
        "updates": steps["pretrain"] + steps["joint"],
        "batch": paper()["batch"],
        "loss": said["loss"],
        "form": "",
        "clip": said["clip"],
        "penalty": None,
        "critic_steps": said["critic_steps"],
        "norm": said["norm"],
        "weights": f"{said['weights']:g} each",
        "optimizer": said["optimizer"],
        "betas": "",
        "rate_pretrain": said["rate"],
        "rate_joint": said["rate"],
        "drop": "",
        "critic_optimizer": said["optimizer"],
        "critic_betas": "",
        "critic_rate": said["rate"],
        "note": said["unsaid"],
    }


def _schedule(options: Mapping[str, Any], pretrained: bool) -> dict[str, Any]:
    """A variant's stages and settings. Updates of G in a stage that it lacks are made in the joint one."""
    steps, loss = options["steps"], options.get("loss") or {}
    updates = steps["pretrain"] + steps["joint"]
    optimizer, rates = options["optimizer"], options.get("rates") or {}
    critics = loss.get("optimizer") or {}
    first = {stage: rates.get(stage) or {"lr": optimizer["lr"]} for stage in ("pretrain", "joint")}
    return {
        "pretrain": steps["pretrain"] if pretrained else 0,
        "critic": steps["critic"] if pretrained and loss else 0,
        "joint": steps["joint"] if pretrained else updates,
        "updates": updates,
        "batch": options["batch"],
        **{name: loss.get(name) for name in ("form", "clip", "penalty", "critic_steps", "norm")},
        "loss": loss.get("kind"),
        "weights": _weights(options),
        "optimizer": optimizer["kind"],
        "betas": _betas(optimizer),
        "rate_pretrain": first["pretrain"]["lr"] if pretrained else np.nan,
        "rate_joint": first["joint"]["lr"],
        "drop": "; ".join(_drops({stage: first[stage] for stage in first if pretrained or stage == "joint"})),
        "critic_optimizer": critics.get("kind"),
        "critic_betas": _betas(critics),
        "critic_rate": critics.get("lr"),
        "note": "" if pretrained else "joint from the start, for as many updates of the generator",
    }


def _betas(optimizer: Mapping[str, Any]) -> str:
    return ", ".join(f"{beta:g}" for beta in optimizer.get("betas") or ())


def _drops(rates: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Which stages' rates fall, in words."""
    for stage, rate in rates.items():
        after, to = rate.get("drop_after", 1.0), rate.get("drop_to", 1.0)
        if after < 1 and to != 1:
            yield f"{stage}: times {to:g} after {after:.0%} of its steps"


def _weights(options: Mapping[str, Any]) -> str:
    """The weights of the critics in eq. (8), in words."""
    if options.get("total_weight") is not None:
        return f"{options['total_weight']:g} in all"
    weights = options.get("weights") or ({"": options["weight"]} if "weight" in options else {})
    if not options.get("loss") or not weights:
        return ""
    if len(set(weights.values())) == 1:
        return f"{next(iter(weights.values())):g} each"
    return ", ".join(f"{view} {weight:g}" for view, weight in weights.items())


def mechanism_table(frames: Frames, data: str, *, level: float = 0.95) -> pd.DataFrame:
    """Did the critics do anything? A row a trained variant with critics, in the last fifth of its joint stage.

    Columns: variant, label, group, critics (their names); seeds (completed), diverged (seeds); for each series s that
    `study.train` records, s (the mean over seeds, each of them the mean over critics and steps) with s_least and
    s_greatest of the seeds: ratio (the norm of the adversarial over that of the reconstruction loss's gradient, at the
    generator's output), adversarial_gradient (the norm by itself), gap (the critics' mean score of real less that of
    repaired images), score_size (mean absolute score), at_bound (share of the weights that stand at the clip's bound),
    gradient_norm (of the critics' weights); sharpness (of the hole, as a share of the truth's), sharpness_low,
    sharpness_high, seam (at the hole's boundary), seam_low, seam_high, both of the composite; sharpness_difference
    from the control with sharpness_difference_low and _high, paired. What was not recorded is NaN.

    Raises NoDataError where no variant with critics was trained on `data`.
    """
    runs = frames.runs[frames.runs["data"] == data]
    trained = runs[(runs["start"] != "") & (_numbers(runs, "critic_parameters") > 0)]
    if trained.empty:
        raise NoDataError(f"No method with critics was trained on {data}.")
    series = _last_of_joint(frames, trained.loc[trained["status"] == "completed", "run"])
    by_critic = series.groupby(["variant", "term", "seed", "network"], observed=True)["value"].mean()
    by_seed = by_critic.groupby(["variant", "term", "seed"], observed=True).mean()
    found = by_seed.groupby(["variant", "term"], observed=True).agg(["mean", "min", "max"])
    terms = {key: tuple(values) for key, *values in found.itertuples(name=None)}
    chosen = {name: frames.select(name, BLENDED[name], "composite", data) for name in ("sharpness", "seam")}
    control = frames.study["control"]
    rows = []
    for variant in ordered(frames, trained["variant"].tolist()):
        status = trained.loc[trained["variant"] == variant, "status"]
        seen = series.loc[(series["variant"] == variant) & (series["network"] != "generator"), "network"]
        built = [str(network["name"]) for network in _networks(frames, variant)]
        row: dict[str, object] = {"variant": variant, "label": label(variant), "group": group(frames, variant)}
        row["critics"] = ", ".join(name for name in built or map(str, seen.unique()) if name != "generator")
        row |= {"seeds": int((status == "completed").sum()), "diverged": int((status == "diverged").sum())}
        for term in (*OF_ALL_CRITICS, *OF_EACH_CRITIC):
            names = (term, f"{term}_least", f"{term}_greatest")
            row |= dict(zip(names, terms.get((variant, term), (np.nan,) * 3), strict=True))
        for name, scores in chosen.items():
            mean = mean_interval(runs, scores, variant, metric=name, region=BLENDED[name], data=data, level=level)
            row |= {name: mean.mean, f"{name}_low": mean.low, f"{name}_high": mean.high}
        row |= dict.fromkeys(("sharpness_difference", "sharpness_difference_low", "sharpness_difference_high"), np.nan)
        row["paired"] = False
        if control is not None and (runs["variant"] == control).any():
            apart = compare(
                runs, chosen["sharpness"], variant, control, metric="sharpness", region="hole", data=data, level=level
            )
            row |= {"sharpness_difference": apart.difference, "sharpness_difference_low": apart.low}
            row |= {"sharpness_difference_high": apart.high, "paired": apart.paired}
        rows.append(row)
    return pd.DataFrame(rows)


def _last_of_joint(frames: Frames, runs: pd.Series) -> pd.DataFrame:
    """What was recorded of these runs' critics in the last fifth of their joint stages. Columns as `frames.curves`."""
    curves = frames.curves
    own = curves[curves["run"].isin(runs) & (curves["stage"] == "joint")]
    each = own["term"].isin(OF_EACH_CRITIC) & (own["network"] != "generator")  # G has a gradient_norm, too
    own = own[own["term"].isin(OF_ALL_CRITICS) | each].astype({"value": float})
    last = own.groupby("variant", observed=True)["step"].transform("max")
    return own[own["step"] > (1 - LAST) * last]


def architecture_table(frames: Frames, table: int) -> pd.DataFrame:
    """One of Tables 1 to 5 beside the proposed model's network as it is built, a row a layer.

    Columns: layer, kernel, dilation, stride, outputs (as printed: strides of 1/2 are 0.5; None where no row is printed,
    as of a pool or a critic's head); name, built_layer, built_kernel, built_dilation, built_stride, built_outputs,
    size (side of its maps, px), parameters, macs (an image), receptive_field (px, or 'whole image'); all None where no
    layer is built; agrees (bool: every printed cell is as built), differs (which are not, in words), why (of a layer
    that does not agree: what the network's options change).

    Raises NoDataError where the reference's networks are not recorded or it has no such network, and ValueError where
    `table` is none of 1 to 5.
    """
    printed = {entry["table"]: entry for entry in paper()["architecture"]}
    if table not in printed:
        raise ValueError(
            f"table: {table!r} is none of the paper's tables of networks; choose {', '.join(map(str, printed))}"
        )
    networks = _networks(frames, str(frames.study["reference"]))
    if not networks:
        raise NoDataError("What was built is not recorded.")
    network = next((network for network in networks if network["paper"] == f"Table {table}"), None)
    if network is None:
        raise NoDataError(f"The proposed model has no network of Table {table} in this study.")
    layers, why = network["layers"], network["why"]
    rows = [_layer(layer.get("paper"), layer, why) for layer in layers]
    after = max((place for place, layer in enumerate(layers, 1) if layer.get("paper")), default=len(layers))
    rows[after:after] = [_layer(row, {}, why) for row in network["unbuilt"]]
    return pd.DataFrame(rows, dtype=object).astype({"agrees": bool})


def _layer(row: Mapping[str, Any] | None, layer: Mapping[str, Any], why: str | None) -> dict[str, Any]:
    """A printed row and the layer that is built for it; either may be lacking."""
    built = {name: layer.get("kind" if name == "layer" else name) for name in GEOMETRY}
    if row is None:
        differs = "not printed"
    elif not layer:
        differs = "not built"
    else:
        differs = ", ".join(f"{name} {built[name]}, not {value}" for name, value in row.items() if built[name] != value)
    return {
        **{name: (row or {}).get(name) for name in GEOMETRY},
        "name": layer.get("name"),
        **{f"built_{name}": value for name, value in built.items()},
        **{name: layer.get(name) for name in ("size", "parameters", "macs", "receptive_field")},
        "agrees": not differs,
        "differs": differs,
        "why": (why or "") if differs else "",
    }


def worst_table(frames: Frames, data: str) -> pd.DataFrame:
    """The proposed model's worst repairs by a rule: where its PSNR of the hole falls furthest below the best filler's.

    The ten test images with the least difference, the worst first; of each the mean over completed seeds, in the
    composite. Columns: image, reference and filler (their PSNR, dB), difference (dB), seeds, seeds_worse (in how many
    of them it is worse than the filler); the same in every row: filler_variant, images (that both repaired), share (of
    images and seeds that are worse than the filler, as claim C15 counts them).

    Raises NoDataError where the proposed model or a filler was not scored on `data`.
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


def worst_words(table: pd.DataFrame) -> str:
    """By what rule a `worst_table` was chosen, and how many of all repairs are worse than the filler's."""
    first = table.iloc[0]
    filler = label(first["filler_variant"]).lower()
    return (
        f"Of {first['images']} test images those {len(table)} on which the PSNR of the hole lies furthest below, or "
        f"least above, that of the {filler}, in means over seeds. {first['share']:.1%} of all repairs, each image at "
        "each seed, are worse than the filler's."
    )


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
