"""What a report is made from: plain facts about the study and tidy tables."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, TypeVar

import pandas as pd

STUDY = (
    "name", "profile", "image_size", "command", "scope", "generator_updates", "batch", "data", "versions",
    "devices", "seeds", "reference", "control", "sharing", "seconds", "made", "numerics", "steps", "multiverses",
    "configs", "networks", "protocol", "file", "aliases", "searches", "external",
    "metrics", "methods", "plugins",
)  # fmt: skip

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "runs": (
        "run", "variant", "data", "seed", "method", "status", "why", "diverged_at", "updates", "parameters",
        "critic_parameters", "seconds", "start", "record", "step_ms", "memory_mib",
    ),
    "scores": ("run", "variant", "data", "seed", "image", "region", "output", "metric", "value"),
    "curves": ("run", "variant", "data", "seed", "stage", "network", "term", "step", "value"),
    "factors": ("ablation", "variant", "factor", "level"),
    "universes": ("multiverse", "universe", "base", "variant", "reading", "level", "usual", "applies"),
    "readings": ("variant", "key", "value", "reading", "meaning", "departs"),
    "stages": ("key", "kind", "runs", "steps", "seconds", "device", "torch"),
    "trials": (
        "variant", "number", "state", "value", "seeds", "seconds", "settings", "usual", "steps", "record", "why",
    ),
    "pictures": ("run", "variant", "data", "seed", "image", "output", "pixels"),
    "worst": ("run", "variant", "data", "seed", "image", "output", "pixels"),
    "distances": ("run", "variant", "data", "seed", "output", "metric", "value", "spread", "images", "why"),
}  # fmt: skip

EXTERNAL = "external"
"""The method of a run that was not made here: its outputs were scored from files."""

T = TypeVar("T")


class NoDataError(ValueError):
    """A table or figure has nothing to show; the message says why, as a sentence for the reader."""


def _empty(name: str) -> pd.DataFrame:
    return pd.DataFrame({column: [] for column in COLUMNS[name]})


@dataclass(frozen=True, kw_only=True)
class Frames:
    """A study's facts and results. A table left out is empty.

    `study`: plain facts, by the names in `STUDY`; what is missing shows as "not recorded".
        name, file, profile ('demo', 'paper', ...), scope ('paper', 'reduced', 'other'), command, made (ISO date): text;
        image_size (px), generator_updates, batch: int; seconds: the sum of the stages';
        data: a list of {name, kind, train, validation, test, digest, left_out}, with counts of images, and where the
            study says so `like`: the paper's data set ('CelebA', 'ImageNet', 'Places2') that it stands beside;
        versions {package: version}; devices: a list; seeds: a list; numerics, steps: a mapping or text;
        reference: the proposed model's variant; control: the variant trained with the reconstruction loss
        alone, or None; sharing {shared, unshared}: multiply-accumulates as made, and had each run made its own;
        multiverses {name: {base: [variant], contrasts: [[a, b]] of bases, design: 'one_at_a_time' or 'product'}};
        configs {variant: {method, options}}; networks {variant: facts of what is built}; protocol: a mapping of how
        all are evaluated, with its seed and mask; searches {variant: {data, seeds, of (trials wanted), sampler, pruner,
        profile, space: [{key, low, high, log or choices}], importance {key: share, 0..1}}}, of what was tuned;
        external: a list of {name, data, seed (None: it has none), kind ('raw', or 'composite': the files hold the known
        pixels), images (scored), of (test images), scored (ISO time), digest (of the files), checksum (of the scores),
        notes, why (it is not shown: text), joins (bool: it is among the runs)}, of what was scored from files;
        plugins {file: digest of its source}; metrics {name: {title, unit, better ('higher', 'lower')}}
            and methods, their names, of plugins.

    `runs`, a row a run: run ('proposed/faces/0'), variant, data, seed, method ('proposed', 'ce', 'glcic', ...),
        status ('completed', 'diverged', 'failed', 'interrupted', 'missing'), why (text), diverged_at (step or NA),
        updates (of the generator), parameters (of the generator), critic_parameters, seconds, start (key of the
        first trained stage, equal where two runs share it; '' for fillers, which train nothing), record (Sacred id),
        step_ms (a step of joint training), memory_mib (the most that one of its stages took); NaN where unknown.
        A run whose outputs were scored from files has the method 'external', and of its training nothing is known:
        updates, parameters and seconds are 0, start is a name of its own, or '' where the method has no seeds.
    `scores`, a row a value: run, variant, data, seed, image, region ('hole', 'whole', 'boundary'), output
        ('composite', 'raw', 'blended'), metric (`naming.METRICS` names unit and direction), value. An optional
        column `group` names images that belong together (a photograph's tiles, a person's pictures).
    `curves`, a row a value: run, variant, data, seed, stage ('pretrain', 'critic', 'joint'), network ('generator',
        'local', 'global', 'half', ...), term ('reconstruction', 'gap', 'ratio', ...), step (within the stage), value.
    `factors`, a row a level: ablation, variant, factor, level (text).
    `universes`, a row for each multiverse, universe (int; 0: the study's own settings), base (the variant that the
        study names) and reading (an option's key: 'head', 'critic_input'): variant (that which was run for the base in
        this universe, maybe the base itself), level (text), usual (bool: the base's own level), applies (bool: the
        base's method has this option).
    `readings`, a row a setting: variant, key, value, reading ('R7'), meaning, departs (bool: from the literal text).
    `stages`, a row a stage made: key, kind, runs (how many use it), steps, seconds, device, torch (version).
    `trials`, a row a trial of a search: variant (that which was searched), number (Optuna's), state ('completed',
        'pruned', 'diverged', 'failed', 'running'), value (mean PSNR of the hole over validation images and the search's
        seeds, dB; of a pruned trial when it was pruned; NaN where there is none), seeds (how many), seconds (from its
        asking to its telling), settings (JSON: option -> value), usual (bool: the study file's own setting), steps (of
        the joint stage, when it was last judged), record (Sacred ids), why (of a failure).
    `pictures`, a row an image: run, variant, data, seed, image, output ('truth', 'masked', 'composite', 'raw',
        'blended'), pixels ((H, W, 3) uint8), of the test images that the protocol's seed drew.
    `worst`, the same of the test images whose hole a run's composite repaired with the least PSNR, the worst first.
    `distances`, a row a run, output and perceptual distance of a whole set of images, where the study asks for any:
        run, variant, data, seed, output, metric ('fid', 'kid'), value (NaN where there is none), spread (of KID the
        standard deviation over its subsets), images (how many of outputs and of truths), why (there is no value: text).
        A row of 'lpips' says why there is none; where there is, it is a score of each image.

    Text may be categories, which `scores` and `curves` need where they are long.

    Raises ValueError where a table lacks columns.
    """

    study: Mapping[str, Any]
    runs: pd.DataFrame = field(default_factory=partial(_empty, "runs"))
    scores: pd.DataFrame = field(default_factory=partial(_empty, "scores"))
    curves: pd.DataFrame = field(default_factory=partial(_empty, "curves"))
    factors: pd.DataFrame = field(default_factory=partial(_empty, "factors"))
    universes: pd.DataFrame = field(default_factory=partial(_empty, "universes"))
    readings: pd.DataFrame = field(default_factory=partial(_empty, "readings"))
    stages: pd.DataFrame = field(default_factory=partial(_empty, "stages"))
    trials: pd.DataFrame = field(default_factory=partial(_empty, "trials"))
    pictures: pd.DataFrame = field(default_factory=partial(_empty, "pictures"))
    worst: pd.DataFrame = field(default_factory=partial(_empty, "worst"))
    distances: pd.DataFrame = field(default_factory=partial(_empty, "distances"))

    def __post_init__(self) -> None:
        for table in fields(self)[1:]:
            missing = sorted(set(COLUMNS[table.name]) - set(getattr(self, table.name).columns))
            if missing:
                raise ValueError(f"frames.{table.name}: columns {missing} are missing; expected {COLUMNS[table.name]}")
        object.__setattr__(self, "study", {**dict.fromkeys(STUDY), **self.study})

    def variant(self, name: str) -> str:
        """The variant that was run for a name: another one where two names mean the same run."""
        found: str = (self.study["aliases"] or {}).get(name, name)
        return found

    def trained(self) -> pd.DataFrame:
        """The rows of `runs` that were trained here: no fillers, and nothing that was scored from files."""
        return self.runs[(self.runs["start"] != "") & (self.runs["method"] != EXTERNAL)]

    def external(self) -> list[str]:
        """The variants that were scored from files, in their order."""
        return self.runs.loc[self.runs["method"] == EXTERNAL, "variant"].unique().tolist()

    def own(self) -> list[str]:
        """The variants of plugins' methods, less the cells of ablations and multiverses."""
        theirs = self.runs.loc[self.runs["method"].isin(self.study["methods"] or []), "variant"].unique().tolist()
        return [variant for variant in theirs if ":" not in variant]

    def data_sets(self) -> list[str]:
        """Names of the data sets, the study's order first, then those that only the runs know."""
        named = [str(entry["name"]) for entry in self.study["data"] or []]
        return list(dict.fromkeys([*named, *self.runs["data"].tolist()]))

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` makes, made once and kept with these frames under `key`; not to be changed by who asks for it."""
        kept: dict[Hashable, Any] = self.__dict__.setdefault("_kept", {})
        if key not in kept:
            kept[key] = make()
        found: T = kept[key]
        return found

    def select(self, metric: str, region: str, output: str, data: str) -> pd.DataFrame:
        """The scores of one metric, region, output and data set; all of them are sorted out once. Not to be changed."""
        by = ["metric", "region", "output", "data"]
        parts = self.once("select", lambda: dict(tuple(self.scores.groupby(by, observed=True, sort=False))))
        found: pd.DataFrame = parts.get((metric, region, output, data), self.scores.iloc[:0])
        return found
