"""The schedule as run, the critics' effect, and the cost."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from reports.analysis.critics import critics_table
from reports.analysis.frames import Frames, NoDataError
from reports.analysis.naming import group, label, ordered
from reports.analysis.published import paper
from reports.analysis.statistics import compare, mean_interval
from reports.analysis.tables.networks import networks_of
from reports.analysis.tables.results import BLENDED

LAST = 0.2
"""The last share of the joint stage, over which the critics' series are averaged."""
OF_ALL_CRITICS = ("ratio", "adversarial_gradient")
OF_EACH_CRITIC = ("gap", "score_size", "at_bound", "gradient_norm")
"""The series that show whether the critics have an effect."""


def cost_table(frames: Frames) -> pd.DataFrame:
    """A row per trained variant and data set. Raises NoDataError if none was trained.

    Columns: variant, label, data, runs (completed), updates (of the generator), parameters, critic_parameters,
    seconds (median of the completed runs' own, including shared stages); macs, critic_macs
    (multiply-accumulates of one image through the generator, through all critics), step_ms (median over the runs of
    the milliseconds of a step of the joint stage), memory_mib (maximum over runs), device_hours (of all runs,
    completed or not, without sharing). What is not recorded is NaN.
    """
    trained = frames.trained()
    completed = trained[trained["status"] == "completed"]
    if completed.empty:
        raise NoDataError("No trained run completed.")
    rows = []
    for variant in ordered(frames, completed["variant"].tolist()):
        macs = {str(network["name"]): network["macs"] for network in networks_of(frames, variant)}
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


def _numbers(rows: pd.DataFrame, column: str) -> pd.Series:
    """A column as numbers; NaN where a value is missing."""
    return pd.to_numeric(rows[column]).astype(float)


def schedule_table(frames: Frames) -> pd.DataFrame:
    """The schedule as run: a row per trained variant, the first row the paper's (variant '').

    Columns: variant, label; pretrain and joint (updates of the generator in each stage), critic (steps of the critics
    while the generator is frozen), updates (of the generator, in all); batch (images); loss, form, clip (the bound),
    penalty (its weight), critic_steps (updates of the critics in a step), norm (of the critics), weights (of the
    critics in eq. 8, in words); optimizer, betas (text), rate_pretrain, rate_joint (learning rates at the stage's
    start), drop (when they fall, in words); critic_optimizer, critic_betas, critic_rate; note. What a variant does not
    have or the paper does not state is NaN, or empty text. Raises NoDataError if no options are recorded.
    """
    trained = frames.trained().drop_duplicates("variant").set_index("variant")
    options = {name: config["options"] for name, config in (frames.study["configs"] or {}).items()}
    variants = [variant for variant in ordered(frames, trained.index.tolist()) if "steps" in options.get(variant, {})]
    if not variants:
        raise NoDataError("No trained variant's options are recorded.")
    kinds = dict(zip(frames.stages["key"].tolist(), frames.stages["kind"].tolist(), strict=True))
    rows = [_paper_schedule()]
    for variant in variants:
        own, start = options[variant], str(trained.loc[variant, "start"])
        begins = kinds.get(start, start.partition("-")[0])
        rows.append({"variant": variant, "label": label(variant), **_schedule(own, begins)})
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


NOTES = {
    "joint": "joint from the start, for as many updates of the generator",
    "fit": "a training of its own, for as many updates of the generator",
}
"""The note on a variant, by the kind of its first stage."""


def _schedule(options: Mapping[str, Any], begins: str) -> dict[str, Any]:
    """A variant's stages and settings. Updates of G for a missing stage are part of the joint stage."""
    steps, loss = options["steps"], options.get("loss") or {}
    updates, pretrained = steps["pretrain"] + steps["joint"], begins == "pretrain"
    optimizer, rates = options.get("optimizer") or {}, options.get("rates") or {}
    critics = loss.get("optimizer") or {}
    first = {stage: rates.get(stage) or {"lr": optimizer.get("lr", np.nan)} for stage in ("pretrain", "joint")}
    return {
        "pretrain": steps["pretrain"] if pretrained else 0,
        "critic": steps["critic"] if pretrained and loss else 0,
        "joint": steps["joint"] if pretrained else updates,
        "updates": updates,
        "batch": options["batch"],
        **{name: loss.get(name) for name in ("form", "clip", "penalty", "critic_steps", "norm")},
        "loss": loss.get("kind"),
        "weights": _weights(options),
        "optimizer": optimizer.get("kind", ""),
        "betas": _betas(optimizer),
        "rate_pretrain": first["pretrain"]["lr"] if pretrained else np.nan,
        "rate_joint": first["joint"]["lr"],
        "drop": "; ".join(_drops({stage: first[stage] for stage in first if pretrained or stage == "joint"})),
        "critic_optimizer": critics.get("kind"),
        "critic_betas": _betas(critics),
        "critic_rate": critics.get("lr"),
        "note": NOTES.get(begins, ""),
    }


def _betas(optimizer: Mapping[str, Any]) -> str:
    return ", ".join(f"{beta:g}" for beta in optimizer.get("betas") or ())


def _drops(rates: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """The stages whose learning rates fall, in words."""
    for stage, rate in rates.items():
        after, to = rate.get("drop_after", 1.0), rate.get("drop_to", 1.0)
        if after < 1 and to != 1:
            yield f"{stage}: times {to:g} after {after:.0%} of its steps"
        for share, lr in rate.get("then") or ():
            yield f"{stage}: {lr:.3g} after {share:.0%} of its steps"


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
    """Whether the critics have an effect: a row per trained variant with critics, in the last fifth of its joint stage.

    Columns: variant, label, group, critics (their names); seeds (completed), diverged (seeds); for each series s that
    training records, s (the mean over seeds, each of them the mean over critics and steps) with s_least and
    s_greatest of the seeds: ratio (the norm of the adversarial over that of the reconstruction loss's gradient, at the
    generator's output), adversarial_gradient (that norm), gap (the critics' mean score of real minus that of
    repaired images), score_size (mean absolute score), at_bound (share of the weights at the clip's bound),
    gradient_norm (of the critics' weights); sharpness (of the hole, as a share of the truth's), sharpness_low,
    sharpness_high, seam (at the hole's boundary), seam_low, seam_high, both of the composite; sharpness_difference
    from the control with sharpness_difference_low and _high, paired. What was not recorded is NaN.

    Raises NoDataError if no variant with critics was trained on ``data``.
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
        built = [str(network["name"]) for network in networks_of(frames, variant)]
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


def awake_table(frames: Frames, data: str) -> pd.DataFrame:
    """A row per critic of each variant, over its seeds, in the second half of joint training. No cells of ablations.

    Columns: variant, label, network, seeds; accuracy, share and gradient_ratio (means over the seeds, columns of
    ``critics.critics_table``) with their least and greatest seed (_least, _greatest); awake (seeds). Raises NoDataError
    if no critic was recorded.
    """
    critics = critics_table(frames)
    critics = critics[(critics["data"] == data) & ~critics["variant"].astype(str).str.contains(":")]
    if critics.empty:
        raise NoDataError(f"No critic's accuracy and gradient are recorded on {data}.")
    rows = []
    for variant in ordered(frames, critics["variant"].unique().tolist()):
        own = critics[critics["variant"] == variant]
        for network, each in own.groupby("network", observed=True, sort=False):
            row: dict[str, object] = {"variant": variant, "label": label(variant), "network": network}
            for name in ("accuracy", "share", "gradient_ratio"):
                row |= {
                    name: each[name].mean(),
                    f"{name}_least": each[name].min(),
                    f"{name}_greatest": each[name].max(),
                }
            rows.append({**row, "seeds": len(each), "awake": int((each["state"] == "awake").sum())})
    return pd.DataFrame(rows)


def _last_of_joint(frames: Frames, runs: pd.Series) -> pd.DataFrame:
    """The series of these runs' critics in the last fifth of their joint stages. Columns as ``frames.curves``."""
    curves = frames.curves
    own = curves[curves["run"].isin(runs) & (curves["stage"] == "joint")]
    each = own["term"].isin(OF_EACH_CRITIC) & (own["network"] != "generator")  # G has a gradient_norm, too
    own = own[own["term"].isin(OF_ALL_CRITICS) | each].astype({"value": float})
    last = own.groupby("variant", observed=True)["step"].transform("max")
    return own[own["step"] > (1 - LAST) * last]


def stage_table(frames: Frames) -> pd.DataFrame:
    """The savings of shared stages, by kind of stage. Raises NoDataError if no stage is known.

    Columns: kind, stages (each made once), uses (by runs), seconds (spent), seconds_unshared (uses times the seconds of
    each stage: the time without sharing).
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
