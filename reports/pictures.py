"""Which pictures are shown, beside which: the same images for all methods, and none chosen by its look."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from reports.analysis.frames import EXTERNAL, Frames, NoDataError
from reports.analysis.naming import group, label, ordered, titled
from reports.document import Grid, Pixels

OUTPUTS = {"composite": "repaired", "raw": "raw", "blended": "blended"}
"""What of a method is shown, and how a sentence calls it."""
SURROUND = ("truth", "masked")


def sample(
    frames: Frames,
    data: str,
    *,
    variants: list[str] | None = None,
    seed: int | None = None,
    limit: int = 6,
    outputs: Sequence[str] = tuple(OUTPUTS),
) -> Grid:
    """The test images that the protocol's seed drew, as Figure 4 has them: original, masked, then a column a method.

    `variants`: by default the paper's methods, the controls, the fillers and what was scored from files. `seed`: by
    default that of which most of them have pictures, the least of equals; fillers have none, and files that were scored
    with other seeds alone are shown by their first. `limit`: how many images, the first by name. A method without a
    picture leaves its place empty. Raises NoDataError where no such picture is stored.
    """
    called = OUTPUTS[outputs[0]]
    pictures = frames.pictures[frames.pictures["data"] == data]
    repaired = pictures[pictures["output"].isin(outputs)]
    if repaired.empty:
        raise NoDataError(f"No {called} image of {data} is stored.")
    present = ordered(frames, repaired["variant"].tolist())
    if variants is None:
        variants = [v for v in present if group(frames, v) != "other"] or present
    repaired = repaired[repaired["variant"].isin(variants)]
    if seed is None and not repaired.empty:
        by_seed = repaired.groupby("seed")["variant"].nunique().sort_index()
        seed = int(by_seed.index[int(by_seed.to_numpy().argmax())])
    runs = frames.runs[frames.runs["data"] == data]
    untrained = runs.loc[(runs["start"] == "") & (runs["status"] == "completed"), "variant"]
    theirs = repaired["seed"] == repaired["variant"].map(_seeds_of_files(runs, seed))
    repaired = repaired[(repaired["seed"] == seed) | repaired["variant"].isin(untrained) | theirs]
    images = sorted(repaired["image"].unique(), key=str)[:limit]
    if not images:
        chosen = f" with seed {seed}" if seed is not None else " by the chosen variants"
        raise NoDataError(f"No {called} image of {data}{chosen} is stored.")
    found = _pixels(repaired, ["variant", "image", "output"])
    surround = _pixels(pictures[pictures["output"].isin(SURROUND)], ["image", "output"])
    stored = [output for output in outputs if (repaired["output"] == output).any()]
    rows: list[tuple[str, list[Mapping[str, Pixels]]]] = []
    for image in map(str, images):
        around = [{kind: surround[image, kind]} if (image, kind) in surround else {} for kind in SURROUND]
        own = [{o: found[v, image, o] for o in stored if (v, image, o) in found} for v in variants]
        rows.append((image, [*around, *own]))
    return Grid(
        columns=["Original", "Masked", *(titled(frames, variant) for variant in variants)],
        rows=rows,
        outputs=stored,
        seed=seed,
    )


def worst(frames: Frames, data: str, *, limit: int = 3) -> Grid:
    """The reference's worst repairs: the test images with the least PSNR in the hole of a run's composite, worst first.

    They are of the first seed that has any. `limit`: how many. Raises NoDataError where none is stored.
    """
    reference = str(frames.study["reference"] or "a proposed model")
    own = frames.worst[(frames.worst["data"] == data) & (frames.worst["variant"] == reference)]
    if own.empty:
        raise NoDataError(f"No worst repair of {label(reference)} on {data} is stored.")
    seed = int(own["seed"].min())
    own = own[own["seed"] == seed]
    found = _pixels(own, ["image", "output"])
    stored = [output for output in OUTPUTS if (own["output"] == output).any()]
    rows: list[tuple[str, list[Mapping[str, Pixels]]]] = []
    for image in map(str, own["image"].drop_duplicates().tolist()[:limit]):
        around = [{kind: found[image, kind]} if (image, kind) in found else {} for kind in SURROUND]
        rows.append((image, [*around, {o: found[image, o] for o in stored if (image, o) in found}]))
    return Grid(columns=["Original", "Masked", label(reference)], rows=rows, outputs=stored, seed=seed)


def _seeds_of_files(runs: pd.DataFrame, seed: int | None) -> dict[str, int]:
    """By variant the seed of which files are shown: this one where they have it, else their least."""
    own = runs[(runs["method"] == EXTERNAL) & (runs["status"] == "completed")]
    seeds = {str(variant): sorted(each) for variant, each in own.groupby("variant")["seed"]}
    return {variant: seed if seed in each else int(each[0]) for variant, each in seeds.items()}  # type: ignore[misc]


def _pixels(pictures: pd.DataFrame, by: list[str]) -> dict[Any, Pixels]:
    return {tuple(str(row[name]) for name in by): row["pixels"] for row in pictures.to_dict("records")}
