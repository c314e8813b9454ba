"""A contrast under every reading: the right runs, told once, and nothing dropped in silence."""

from collections.abc import Iterable, Mapping
from itertools import product

import numpy as np
import pandas as pd

from reports.frames import COLUMNS, Frames

READINGS = {
    "head": ["mean", "linear", "patch"], "critic_input": ["composite", "raw"],
    "mask": ['{"kind": "center"}', '{"kind": "free_form"}'], "bottleneck": ["channelwise", "conv"],
}  # fmt: skip
HAS = {"proposed": {"head", "critic_input", "mask"}, "glcic": {"critic_input", "mask"}}
EFFECT = {"linear": 0.5, "patch": -0.9, "raw": 0.25, '{"kind": "free_form"}': -1.1}
"""How much better the proposed model is under a level than under the usual one, dB."""
SEEDS, IMAGES = (0, 1, 2), [f"face-{i:02d}" for i in range(10)]


def universes(levels: Mapping[str, list[str]], design: str) -> list[dict[str, str]]:
    """Each universe's levels; the first is the study's own."""
    own = {reading: given[0] for reading, given in levels.items()}
    if design == "product":
        return [dict(zip(levels, chosen, strict=True)) for chosen in product(*levels.values())]
    return [own, *({**own, reading: other} for reading, given in levels.items() for other in given[1:])]


def variant_of(base: str, own: Mapping[str, str], settings: Mapping[str, str], has: Iterable[str]) -> str:
    """What is run for a base: itself, or itself with what of the settings it has."""
    changed = [f"{name}={settings[name]}" for name in own if name in has and settings[name] != own[name]]
    return ":".join([base, ",".join(changed)]) if changed else base


def make_multiverse(
    levels: Mapping[str, list[str]] = READINGS,
    design: str = "one_at_a_time",
    *,
    has: Mapping[str, set[str]] = HAS,
    effect: Mapping[str, float] = EFFECT,
    lost: Mapping[str, str] | None = None,
    data: str = "faces",
    kind: str = "faces",
) -> Frames:
    """A multiverse of the bases in `has`. `lost`: runs that did not complete -> their status; None: not run at all."""
    random = np.random.default_rng(44)
    told = universes(levels, design)
    table, runs, scores = [], {}, []
    of_image = random.normal(0, 1.5, len(IMAGES))
    of_start = {seed: random.normal(0, 0.1) for seed in SEEDS}
    for number, settings in enumerate(told):
        for base in has:
            variant = variant_of(base, told[0], settings, has[base])
            for reading, level in settings.items():
                facts = (level == told[0][reading], reading in has[base])
                table.append(("readings", number, base, variant, reading, level, *facts))
            middle = 19.4 + (base == "proposed") * (0.3 + sum(effect.get(level, 0.0) for level in settings.values()))
            for seed in SEEDS:
                run = f"{variant}/{data}/{seed}"
                if run in runs:
                    continue
                status = (lost or {}).get(run, "completed")
                runs[run] = {
                    **dict.fromkeys(COLUMNS["runs"]), "run": run, "variant": variant, "data": data, "seed": seed,
                    "method": base, "status": status, "why": "", "start": f"pretrain {base} {seed}", "seconds": 1.0,
                    "updates": 900, "parameters": 10, "critic_parameters": 10, "record": run, "diverged_at": pd.NA,
                }  # fmt: skip
                noise = random.normal(0, 0.1, len(IMAGES)) + random.normal(0, 0.05)
                values = middle + of_image + of_start[seed] + noise
                facts = {"run": run, "variant": variant, "data": data, "seed": seed, "region": "hole"}
                if status == "completed":
                    scores += [
                        {**facts, "output": "composite", "metric": "psnr", "image": image, "value": value}
                        for image, value in zip(IMAGES, values, strict=True)
                    ]
    bases = list(has)
    return Frames(
        study={
            "reference": "proposed", "data": [{"name": data, "kind": kind}],
            "multiverses": {"readings": {"base": bases, "contrasts": [bases[:2]], "design": design}},
        },
        runs=pd.DataFrame(runs.values()),
        scores=pd.DataFrame(scores),
        universes=pd.DataFrame(table, columns=list(COLUMNS["universes"])),
    )  # fmt: skip
