"""The input of a report: plain facts about the study and tidy tables."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, TypeVar

import pandas as pd

STUDY = (
    "name", "profile", "image_size", "command", "scope", "generator_updates", "batch", "data", "versions",
    "devices", "seeds", "reference", "control", "sharing", "seconds", "made", "numerics", "steps", "multiverses",
    "configs", "networks", "protocol", "file", "aliases", "searches", "external", "looks", "progress",
    "metrics", "methods", "claims", "plugins", "left_out", "left_out_seeds",
)  # fmt: skip

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "runs": (
        "run", "variant", "data", "seed", "method", "status", "why", "diverged_at", "updates", "parameters",
        "critic_parameters", "seconds", "start", "record", "step_ms", "memory_mib", "spread", "scale",
    ),
    "scores": ("run", "variant", "data", "seed", "image", "region", "output", "metric", "value", "hole_share"),
    "curves": ("run", "variant", "data", "seed", "stage", "network", "term", "step", "value"),
    "running": ("run", "variant", "data", "seed", "stage", "network", "term", "step", "value"),
    "factors": ("ablation", "variant", "factor", "level"),
    "universes": ("multiverse", "universe", "base", "variant", "reading", "level", "usual", "applies"),
    "readings": ("variant", "key", "value", "reading", "meaning", "departs", "unlike"),
    "stages": ("key", "kind", "runs", "steps", "seconds", "device", "torch"),
    "trials": (
        "variant", "number", "state", "value", "seeds", "seconds", "settings", "usual", "steps", "record", "why",
    ),
    "pictures": ("run", "variant", "data", "seed", "image", "output", "pixels"),
    "worst": ("run", "variant", "data", "seed", "image", "output", "pixels"),
    "distances": ("run", "variant", "data", "seed", "output", "metric", "value", "spread", "images", "why"),
}  # fmt: skip

EXTERNAL = "external"
"""The method of a run that was scored from files and not trained here."""

T = TypeVar("T")


class NoDataError(ValueError):
    """A table or figure has no data. The message is a sentence for the reader that says why."""


def _empty(name: str) -> pd.DataFrame:
    return pd.DataFrame({column: [] for column in COLUMNS[name]})


@dataclass(frozen=True, kw_only=True)
class Frames:
    """A study's facts and results. A table that is left out is empty.

    ``study``: plain facts, by the names in ``STUDY``. A missing one shows as "not recorded".
        name, file, profile ('demo', 'paper', ...), scope ('paper', 'reduced', 'other'), command, made (ISO date): text;
        image_size (px), generator_updates, batch: int; seconds: the sum over stages;
        data: a list of {name, kind, train, validation, test, digest, left_out}, with counts of images, and optionally
        ``like``: the paper's data set ('CelebA', 'ImageNet', 'Places2') that it corresponds to, and ``duplicates``:
        how many test images have an exact or near duplicate in each other part, {exact, near: {train, validation}};
        versions {package: version}; devices: a list; seeds: a list; numerics, steps: a mapping or text;
        reference: the proposed model's variant, which the command may have left out, or None; control: the variant
        trained with the reconstruction loss alone, or None;
        sharing {shared, unshared}: multiply-accumulates with and without shared stages;
        multiverses {name: {base: [variant], contrasts: [[a, b]] of bases, design: 'one_at_a_time' or 'product'}};
        configs {variant: {method, options}}; networks {variant: facts of its networks}; protocol: a mapping of how all
        are evaluated, with its seed and mask; aliases {name: the variant that was run for it};
        searches {variant: {data, seeds, of (trials wanted), sampler, pruner, profile, space: [{key, low, high, log or
        choices}], importance {key: share, 0..1}}}, of what was tuned;
        external: a list of {name, data, seed (None: it has none), kind ('raw', or 'composite': the files hold the known
        pixels), images (scored), of (test images), scored (ISO time), digest (of the files), checksum (of the
        scores), notes, why (text: the reason why it is not shown), joins (bool: it is among the runs)};
        left_out {variant: {method, options, by ('--only' or '--claims'), data: [set], of --claims}}, of the file's
        variants that the command left out; left_out_seeds: a list;
        plugins {file: digest of its source}; metrics {name: {title, unit, better ('higher', 'lower')}}
        and methods, their names, of plugins; claims {id: a claim as in paper.yaml}, of plugins;
        progress {done: the share of the work, 0 to 1; left_s: seconds or None; running: titles of what is being made;
        at: seconds since 1970}, while the study runs;
        looks {number of seeds (int, or text as in JSON): the two-sided error spent there}, where seeds were added until
        there was an answer.

    ``runs``, a row per run: run ('proposed/faces/0'), variant, data, seed, method ('proposed', 'ce', 'glcic', ...),
        status ('completed', 'diverged', 'failed', 'interrupted', 'missing'), why (text), diverged_at (step or NA),
        updates (of the generator), parameters (of the generator), critic_parameters, seconds, start (key of the
        first trained stage, equal where two runs share it; '' for fillers, which are not trained), record (Sacred id),
        step_ms (one step of joint training), memory_mib (peak over its stages), spread (``critics.spread`` of the
        adversarial gradient), scale (of the critics' weights, under ``adversarial_share``); NaN where unknown.
        A run that was scored from files has the method 'external'. Its training is unknown: updates, parameters and
        seconds are 0; start is a unique name, or '' where the method has no seeds.
    ``scores``, a row per value: run, variant, data, seed, image, region ('hole', 'whole', 'boundary'), output
        ('composite', 'raw', 'blended'), metric (``naming.METRICS`` gives unit and direction), value, hole_share (how
        much of the image is hole, 0..1; NaN where unknown, as in all rows if the column is left out). An optional
        column ``group`` names images that belong together (tiles of a photograph, pictures of a person).
    ``curves``, a row per value: run, variant, data, seed, stage ('pretrain', 'critic', 'joint'), network ('generator',
        'local', 'global', 'half', ...), term ('reconstruction', 'gap', 'ratio', ...), step (within the stage), value.

    ``running``, the same for stages that are still in training, up to their last checkpoint, while the study runs. A
        stage that several runs share is there once, as the first one's. Only the figure of the training curves shows
        it; no table, mean or claim uses it.

    ``factors``, a row per level: ablation, variant, factor, level (text).

    ``universes``, a row per multiverse, universe (int; 0: the study's own settings), base (the variant that the
        study names) and reading (an option's key: 'head', 'critic_input'): variant (the one that was run for the base
        in this universe, possibly the base), level (text), usual (bool: the base's own level), applies (bool: the
        base's method has this option).
    ``readings``, a row per setting: variant, key, value, reading ('R7'), meaning, departs (bool: from the text), unlike
        (a sentence where the text is silent and the compared methods were treated unlike; otherwise empty).

    ``stages``, a row per stage: key, kind, runs (how many use it), steps, seconds, device, torch (version).

    ``trials``, a row per trial of a search: variant (that was searched), number (Optuna's), state ('completed',
        'pruned', 'diverged', 'failed', 'running'), value (mean PSNR of the hole over validation images and the search's
        seeds, dB; of a pruned trial at pruning; NaN where there is none), seeds (how many), seconds (wall time),
        settings (JSON: option -> value), usual (bool: the study file's own setting), steps (of the joint stage, at the
        last evaluation), record (Sacred ids), why (of a failure).
    ``pictures``, a row per image: run, variant, data, seed, image, output ('truth', 'masked', 'composite', 'raw',
        'blended'), pixels ((H, W, 3) uint8), of the test images that the protocol's seed drew.

    ``worst``, the same for the test images with the lowest PSNR of the hole in a run's composite, the lowest first.

    ``distances``, a row per run, output and perceptual distance between whole sets of images, if the study asks for
        any: run, variant, data, seed, output, metric ('fid', 'kid'), value (NaN where there is none), spread (KID only:
        standard deviation over its subsets), images (number of outputs, and of truths), why (text: the reason for a
        missing value). A row of 'lpips' only says why there is none; its values are scores of images.

    Text columns may be categories, as in long ``scores``, ``curves`` and ``running``.

    Raises ValueError if a table lacks columns.
    """

    study: Mapping[str, Any]
    runs: pd.DataFrame = field(default_factory=partial(_empty, "runs"))
    scores: pd.DataFrame = field(default_factory=partial(_empty, "scores"))
    curves: pd.DataFrame = field(default_factory=partial(_empty, "curves"))
    running: pd.DataFrame = field(default_factory=partial(_empty, "running"))
    factors: pd.DataFrame = field(default_factory=partial(_empty, "factors"))
    universes: pd.DataFrame = field(default_factory=partial(_empty, "universes"))
    readings: pd.DataFrame = field(default_factory=partial(_empty, "readings"))
    stages: pd.DataFrame = field(default_factory=partial(_empty, "stages"))
    trials: pd.DataFrame = field(default_factory=partial(_empty, "trials"))
    pictures: pd.DataFrame = field(default_factory=partial(_empty, "pictures"))
    worst: pd.DataFrame = field(default_factory=partial(_empty, "worst"))
    distances: pd.DataFrame = field(default_factory=partial(_empty, "distances"))

    def __post_init__(self) -> None:
        if "hole_share" not in self.scores:
            object.__setattr__(self, "scores", self.scores.assign(hole_share=float("nan")))
        for table in fields(self)[1:]:
            missing = sorted(set(COLUMNS[table.name]) - set(getattr(self, table.name).columns))
            if missing:
                raise ValueError(f"frames.{table.name}: columns {missing} are missing; expected {COLUMNS[table.name]}")
        object.__setattr__(self, "study", {**dict.fromkeys(STUDY), **self.study})

    @property
    def level(self) -> float | dict[int, float]:
        """The level of the study's intervals: 95%, or what each of its looks spends (``statistics.level_at``)."""
        looks = self.study["looks"]
        return {int(seeds): float(error) for seeds, error in looks.items()} if looks else 0.95

    def variant(self, name: str) -> str:
        """The variant that was run for a name: another one where two names mean the same run."""
        found: str = (self.study["aliases"] or {}).get(name, name)
        return found

    def trained(self) -> pd.DataFrame:
        """The rows of ``runs`` that were trained here, without fillers and external methods."""
        return self.runs[(self.runs["start"] != "") & (self.runs["method"] != EXTERNAL)]

    def external(self) -> list[str]:
        """The variants that were scored from files, in order."""
        return self.runs.loc[self.runs["method"] == EXTERNAL, "variant"].unique().tolist()

    def own(self) -> list[str]:
        """The variants of plugins' methods, without the cells of ablations and multiverses."""
        variants = self.runs.loc[self.runs["method"].isin(self.study["methods"] or []), "variant"].unique().tolist()
        return [variant for variant in variants if ":" not in variant]

    def data_sets(self) -> list[str]:
        """Names of the data sets: in the study's order, then those that occur in the runs only."""
        named = [str(entry["name"]) for entry in self.study["data"] or []]
        return list(dict.fromkeys([*named, *self.runs["data"].tolist()]))

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """The result of ``make``, computed once and cached with these frames under ``key``. Do not modify it."""
        kept: dict[Hashable, Any] = self.__dict__.setdefault("_kept", {})
        if key not in kept:
            kept[key] = make()
        found: T = kept[key]
        return found

    def select(self, metric: str, region: str, output: str, data: str) -> pd.DataFrame:
        """The scores of one metric, region, output and data set, from an index that is built once. Do not modify."""
        by = ["metric", "region", "output", "data"]
        parts = self.once("select", lambda: dict(tuple(self.scores.groupby(by, observed=True, sort=False))))
        found: pd.DataFrame = parts.get((metric, region, output, data), self.scores.iloc[:0])
        return found
