"""Metrics of a study's plugins."""

import pandas as pd

from reports.analysis.frames import Frames, NoDataError
from reports.analysis.naming import group, ordered, titled
from reports.analysis.statistics import mean_interval


def own_metrics(frames: Frames) -> list[str]:
    """The names of the metrics of plugins, in the study's order."""
    return list(frames.study["metrics"] or {})


def own_metrics_table(frames: Frames, data: str, *, output: str = "composite", level: float = 0.95) -> pd.DataFrame:
    """A row per metric, region and variant.

    Columns: metric, title, unit, better ('higher', 'lower'), region, variant, label, group; mean with low and high,
    by_seed (tuple of each seed's mean), seeds, images.

    Raises NoDataError if no plugin's metric was scored on ``data``.
    """
    runs = frames.runs[(frames.runs["data"] == data) & (frames.runs["status"] == "completed")]
    rows = []
    for metric in own_metrics(frames):
        facts = frames.study["metrics"][metric]
        scored = frames.scores[frames.scores["metric"] == metric]
        for region in dict.fromkeys(scored["region"].astype(str)):
            scores = frames.select(metric, region, output, data)
            for variant in ordered(frames, runs["variant"].tolist()):
                found = mean_interval(
                    runs, scores, variant, metric=metric, region=region, output=output, data=data, level=level
                )
                row = {
                    "metric": metric,
                    **facts,
                    "region": region,
                    "variant": variant,
                    "label": titled(frames, variant),
                }
                row |= {"group": group(frames, variant), "mean": found.mean, "low": found.low, "high": found.high}
                row |= {"by_seed": tuple(found.by_seed.values()), "seeds": found.n_seeds, "images": found.n_images}
                rows.append(row)
    if not rows:
        raise NoDataError(f"No metric of a plugin was scored on {data}.")
    return pd.DataFrame(rows)
