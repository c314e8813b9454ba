"""Prints docs/critics.md's table: python docs/critics.py OUT, where OUT holds the study docs/studies/critics.yaml."""

import sys

import pandas as pd

import study
from reports.analysis.critics import critics_table


def table(results: "study.Results") -> pd.DataFrame:
    """A row per recipe: the state of its critics over all seeds, and their least and greatest values."""
    levels = results.factors.pivot(index="variant", columns="factor", values="level")
    critics = critics_table(results).astype({"variant": str, "network": str})
    rows = []
    for variant, level in levels.iterrows():
        own = critics[critics["variant"] == variant]
        row = {
            name: level[f"loss.{key}"] for name, key in (("norm", "norm"), ("clip", "clip"), ("rate", "optimizer.lr"))
        }
        row["awake"] = f"{(own['state'] == 'awake').sum()} of {len(own)}"
        for name in ("accuracy", "share", "gradient_ratio"):
            row[name.replace("_", " ")] = f"{own[name].min():.2g} to {own[name].max():.2g}"
        rows.append(row)
    return pd.DataFrame(rows).sort_values(["norm", "clip", "rate"], ignore_index=True)


if __name__ == "__main__":
    found = table(study.load(sys.argv[1]))
    for cells in [found.columns, ["---"] * found.shape[1], *found.to_numpy()]:
        print("|", " | ".join(map(str, cells)), "|")
